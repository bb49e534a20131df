package secretsapi

import (
	"context"
	"maps"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// find returns the secret that an operation is about, if the caller may do that to it. Who may not is told so whether the
// secret exists or not.
func find(s *controlplane.State, c *awsapi.Call, operation, id string, keys map[string][]string) (*controlplane.Secret, error) {
	if id == "" || len(id) > 2048 {
		return nil, invalid("The parameter SecretId must have from 1 to 2048 characters.")
	}
	row := s.FindSecret(id)
	if row == nil {
		access := awsapi.Access{Action: "secretsmanager:" + operation, Resource: id, Keys: keys}
		if !strings.HasPrefix(id, "arn:") {
			access.Resource = arn(s.Account(), id, "")
		}
		if err := c.AuthorizeAccess(access); err != nil {
			return nil, err
		}
		return nil, errNotFound
	}
	if err := c.AuthorizeAccess(AccessTo(row, operation, keys)); err != nil {
		return nil, err
	}
	return row, nil
}

// AccessTo is an operation on a secret: with the secret's own policy, and the condition keys that it has by itself beside
// those of the request.
func AccessTo(row *controlplane.Secret, operation string, keys map[string][]string) awsapi.Access {
	a := awsapi.Access{Action: "secretsmanager:" + operation, Resource: row.ARN, Policy: row.ResourcePolicy, Keys: map[string][]string{}}
	maps.Copy(a.Keys, keys)
	a.Keys["secretsmanager:SecretId"] = []string{row.ARN}
	for _, t := range row.Tags {
		a.Keys["aws:ResourceTag/"+t.Key] = []string{t.Value}
		a.Keys["secretsmanager:ResourceTag/"+t.Key] = []string{t.Value}
	}
	return a
}

// live is find for what cannot be done to a secret that waits for its deletion.
func live(s *controlplane.State, c *awsapi.Call, operation, id string, keys map[string][]string) (*controlplane.Secret, error) {
	row, err := find(s, c, operation, id, keys)
	if err == nil && !row.Deleted.IsZero() {
		return nil, badRequest("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return row, err
}

// maxLabels is the quota of staging labels of a secret. It bounds how many versions one keeps.
const maxLabels = 20

// change has fn change a copy of the secret, and stores it.
func (a *API) change(ctx context.Context, c *awsapi.Call, operation, id string, keys map[string][]string, fn func(row *controlplane.Secret) error) (*controlplane.Secret, error) {
	var after *controlplane.Secret
	_, err := a.plane.Update(ctx, func(tx *controlplane.Tx) error {
		row, err := live(tx.State(), c, operation, id, keys)
		if err != nil {
			return err
		}
		after = row.Clone()
		if err := fn(after); err != nil {
			return err
		}
		labels := 0
		for i := range after.Versions {
			labels += len(after.Versions[i].Stages)
		}
		if labels > maxLabels {
			return refuse("LimitExceededException", "A secret has at most %d staging labels, of all its versions together.", maxLabels)
		}
		after.Changed = a.now()
		if now, was := after.Staged(controlplane.StagePrevious), row.Staged(controlplane.StagePrevious); now == nil {
			after.PreviousSince = time.Time{}
		} else if was == nil || was.ID != now.ID {
			after.PreviousSince = after.Changed
		}
		after.Prune()
		tx.Secrets.Put(after.ARN, after)
		return nil
	})
	return after, err
}

// arn makes the ARN of a secret. Without the random end it stands for whatever secret has that name.
func arn(account *controlplane.Account, name, random string) string {
	if random == "" {
		random = "??????"
	}
	return "arn:aws:secretsmanager:" + account.Region + ":" + account.ID + ":secret:" + name + "-" + random
}

// tagKeys are the condition keys that tags in a request have.
func tagKeys(tags []Tag) map[string][]string {
	keys := map[string][]string{}
	for _, t := range tags {
		keys["aws:RequestTag/"+t.Key] = []string{t.Value}
		keys["aws:TagKeys"] = append(keys["aws:TagKeys"], t.Key)
	}
	return keys
}
