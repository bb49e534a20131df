package secretsapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// DeleteSecretInput is the input of DeleteSecret.
type DeleteSecretInput struct {
	SecretID                   string `aws:"name=SecretId,required"`
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery *bool
}

// DeleteSecretOutput is the answer of DeleteSecret.
type DeleteSecretOutput struct {
	ARN          string
	Name         string
	DeletionDate time.Time
}

// DeleteSecret has a secret go for good after the recovery window, or at once when that is forced. Until then it can be
// restored, and is not given out.
func (a *API) DeleteSecret(ctx context.Context, c *awsapi.Call, in *DeleteSecretInput) (*DeleteSecretOutput, error) {
	force := in.ForceDeleteWithoutRecovery != nil && *in.ForceDeleteWithoutRecovery
	days := 30
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	switch {
	case force && in.RecoveryWindowInDays != nil:
		return nil, invalid("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case days < 7 || days > 30:
		return nil, invalid("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	var out *DeleteSecretOutput
	_, err := a.plane.Update(ctx, func(tx *controlplane.Tx) error {
		now := a.now()
		row, err := find(tx.State(), c, "DeleteSecret", in.SecretID, nil)
		if force && errors.Is(err, errNotFound) { // as AWS: what is to be gone is
			out = &DeleteSecretOutput{in.SecretID, in.SecretID, now}
			if !strings.HasPrefix(in.SecretID, "arn:") {
				out.ARN = arn(tx.Account(), in.SecretID, randomEnd())
			}
			return nil
		}
		if err != nil {
			return err
		}
		if !row.Deleted.IsZero() && !force {
			return badRequest("You tried to perform the operation on a secret that's currently marked deleted.")
		}
		if force {
			tx.Secrets.Delete(row.ARN)
			out = &DeleteSecretOutput{row.ARN, row.Name, now}
			return nil
		}
		row = row.Clone()
		row.Deleted, row.DeletionDate = now, now.AddDate(0, 0, days)
		tx.Secrets.Put(row.ARN, row)
		out = &DeleteSecretOutput{row.ARN, row.Name, row.DeletionDate}
		return nil
	})
	return out, err
}

// RestoreSecret takes a deletion back.
func (a *API) RestoreSecret(ctx context.Context, c *awsapi.Call, in *SecretIDInput) (*SecretOutput, error) {
	var out *SecretOutput
	_, err := a.plane.Update(ctx, func(tx *controlplane.Tx) error {
		row, err := find(tx.State(), c, "RestoreSecret", in.SecretID, nil)
		if err != nil {
			return err
		}
		row = row.Clone()
		row.Deleted, row.DeletionDate = time.Time{}, time.Time{}
		tx.Secrets.Put(row.ARN, row)
		out = &SecretOutput{row.ARN, row.Name}
		return nil
	})
	return out, err
}

// expireAtOnce is how many secrets go in one transaction: etcd allows 128 changes where nobody has said otherwise.
const expireAtOnce = 100

// Expire removes the secrets whose recovery window has ended.
func (a *API) Expire(ctx context.Context) error {
	now := a.now()
	due := func(row *controlplane.Secret) bool { return !row.DeletionDate.IsZero() && row.DeletionDate.Before(now) }
	if a.plane.State().Secrets.Find(due) == nil {
		return nil
	}
	_, err := a.plane.Update(ctx, func(tx *controlplane.Tx) error {
		for range expireAtOnce {
			row := tx.Secrets.Find(due)
			if row == nil {
				break
			}
			tx.Secrets.Delete(row.ARN)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.Expire(ctx)
}
