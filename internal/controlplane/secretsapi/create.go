package secretsapi

import (
	"context"
	"crypto/subtle"
	"regexp"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// Content is what a version holds: one of the two.
type Content struct {
	SecretString *string
	SecretBinary []byte
}

// maxContent is the most bytes a secret has.
const maxContent = 65536

// read returns the content, or nil if there is none.
func (c Content) read() (text []byte, binary bool, err error) {
	switch {
	case c.SecretString != nil && c.SecretBinary != nil:
		return nil, false, invalid("You can't specify both a binary secret value and a string secret value in the same secret.")
	case c.SecretString != nil:
		text = []byte(*c.SecretString)
	case c.SecretBinary != nil:
		text, binary = c.SecretBinary, true
	default:
		return nil, false, nil
	}
	if len(text) == 0 || len(text) > maxContent {
		return nil, false, invalid("The secret value must have from 1 to %d bytes.", maxContent)
	}
	return text, binary, nil
}

// Tag belongs to a secret.
type Tag struct{ Key, Value string }

// CreateSecretInput is the input of CreateSecret.
type CreateSecretInput struct {
	Name                        string `aws:"required"`
	ClientRequestToken          *string
	Description                 *string
	KmsKeyID                    *string `aws:"name=KmsKeyId"`
	SecretString                *string
	SecretBinary                []byte
	Tags                        []Tag
	AddReplicaRegions           []ReplicaRegion
	ForceOverwriteReplicaSecret *bool
	Type                        *string
}

// ReplicaRegion is where AWS would keep a copy.
type ReplicaRegion struct {
	Region   *string
	KmsKeyID *string `aws:"name=KmsKeyId"`
}

// SecretVersionOutput says which version an operation was about.
type SecretVersionOutput struct {
	ARN       string
	Name      string
	VersionID *string `aws:"name=VersionId"`
}

var nameRule = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]{1,512}$`)

// checkMetadata holds what is said of a secret, beside its content, to what there is and to AWS's lengths.
func checkMetadata(kind, description, kmsKeyID *string) error {
	switch {
	case kind != nil:
		return invalid("Forebay has no managed external secrets: leave Type out.")
	case len(awsapi.Value(description)) > 2048:
		return invalid("The description must have at most 2048 characters.")
	case len(awsapi.Value(kmsKeyID)) > 2048:
		return invalid("The KmsKeyId must have at most 2048 characters.")
	}
	return nil
}

// CreateSecret makes a secret, with a first version if there is a content.
func (a *API) CreateSecret(ctx context.Context, c *awsapi.Call, in *CreateSecretInput) (*SecretVersionOutput, error) {
	text, binary, err := Content{in.SecretString, in.SecretBinary}.read()
	switch {
	case err != nil:
		return nil, err
	case !nameRule.MatchString(in.Name):
		return nil, invalid("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	case len(in.AddReplicaRegions) > 0 || in.ForceOverwriteReplicaSecret != nil && *in.ForceOverwriteReplicaSecret:
		return nil, invalid("Forebay keeps no replicas of secrets in other Regions: leave AddReplicaRegions out.")
	}
	if err := checkMetadata(in.Type, in.Description, in.KmsKeyID); err != nil {
		return nil, err
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	version, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	var row *controlplane.Secret
	_, err = a.plane.Update(ctx, func(tx *controlplane.Tx) error {
		old := tx.State().FindSecret(in.Name)
		row = &controlplane.Secret{ARN: arn(tx.Account(), in.Name, randomEnd()), Name: in.Name, Created: a.now(), Changed: a.now()}
		keys := tagKeys(in.Tags)
		keys["secretsmanager:Name"] = []string{in.Name}
		access := awsapi.Access{Action: "secretsmanager:CreateSecret", Resource: row.ARN, Keys: keys}
		if err := c.AuthorizeAccess(access); err != nil {
			return err
		}
		if access.Action = "secretsmanager:TagResource"; len(in.Tags) > 0 {
			if err := c.AuthorizeAccess(access); err != nil {
				return err
			}
		}
		if old != nil {
			row = old
			return a.createdBefore(old, version, text)
		}
		row.Description, row.KMSKeyID = awsapi.Value(in.Description), awsapi.Value(in.KmsKeyID)
		row.Tags = rowTags(in.Tags)
		if text != nil {
			a.addVersion(row, version, text, binary, []string{controlplane.StageCurrent})
		}
		tx.Secrets.Put(row.ARN, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &SecretVersionOutput{ARN: row.ARN, Name: row.Name}
	if text != nil {
		out.VersionID = &version
	}
	return out, nil
}

// createdBefore decides about a name that is taken: the same request again is answered as the first time was.
func (a *API) createdBefore(row *controlplane.Secret, version string, text []byte) error {
	if !row.Deleted.IsZero() {
		return badRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if v := row.Version(version); v != nil && text != nil && a.holds(row, v, text) {
		return nil
	}
	return refuse("ResourceExistsException", "The operation failed because the secret %s already exists.", row.Name)
}

// holds reports whether v has this content.
func (a *API) holds(row *controlplane.Secret, v *controlplane.SecretVersion, text []byte) bool {
	is, err := row.OpenVersion(a.ring, v)
	return err == nil && subtle.ConstantTimeCompare(is, text) == 1
}

func (a *API) addVersion(row *controlplane.Secret, id string, text []byte, binary bool, stages []string) {
	row.Versions = append([]controlplane.SecretVersion{{
		ID: id, Created: a.now(), Binary: binary, Sealed: row.SealVersion(a.ring, id, text),
	}}, row.Versions...)
	row.Stage(id, stages...)
}

// versionID is the token that names a version: the client's, or one made here.
func versionID(token *string) (string, error) {
	if token == nil {
		return awsapi.NewUUID(), nil
	}
	if len(*token) < 32 || len(*token) > 64 {
		return "", invalid("You must provide a ClientRequestToken value. We recommend a UUID-type value: it must have from 32 to 64 characters.")
	}
	return *token, nil
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// randomEnd is the end of an ARN: a secret that is made again under an old name is another one.
func randomEnd() string {
	return controlplane.Draw(6, alphanumeric)
}

func timestamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
