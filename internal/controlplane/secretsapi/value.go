package secretsapi

import (
	"context"
	"slices"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// GetSecretValueInput is the input of GetSecretValue.
type GetSecretValueInput struct {
	SecretID     string  `aws:"name=SecretId,required"`
	VersionID    *string `aws:"name=VersionId"`
	VersionStage *string
}

// GetSecretValueOutput is the answer of GetSecretValue.
type GetSecretValueOutput struct {
	ARN           string
	Name          string
	VersionID     string `aws:"name=VersionId"`
	SecretString  *string
	SecretBinary  []byte
	VersionStages []string
	CreatedDate   time.Time
}

// GetSecretValue gives out the content of a version.
func (a *API) GetSecretValue(ctx context.Context, c *awsapi.Call, in *GetSecretValueInput) (*GetSecretValueOutput, error) {
	keys := map[string][]string{}
	if in.VersionID != nil {
		keys["secretsmanager:VersionId"] = []string{*in.VersionID}
	}
	// Of a version that is asked for by its id alone no stage is claimed: who may read AWSCURRENT may not read others so.
	if in.VersionID == nil || in.VersionStage != nil {
		keys["secretsmanager:VersionStage"] = []string{stageOf(in)}
	}
	row, err := live(a.plane.State(), c, "GetSecretValue", in.SecretID, keys)
	if err != nil {
		return nil, err
	}
	v, err := pickVersion(row, in)
	if err != nil {
		return nil, err
	}
	text, err := row.OpenVersion(a.ring, v)
	if err != nil {
		return nil, sealed(row.ARN)
	}
	a.accessed(ctx, row)
	out := &GetSecretValueOutput{ARN: row.ARN, Name: row.Name, VersionID: v.ID, VersionStages: stages(v), CreatedDate: v.Created}
	if v.Binary {
		out.SecretBinary = text
	} else {
		s := string(text)
		out.SecretString = &s
	}
	return out, nil
}

func stageOf(in *GetSecretValueInput) string {
	if in.VersionStage != nil {
		return *in.VersionStage
	}
	return controlplane.StageCurrent
}

func pickVersion(row *controlplane.Secret, in *GetSecretValueInput) (*controlplane.SecretVersion, error) {
	if in.VersionID == nil {
		stage := stageOf(in)
		if v := row.Staged(stage); v != nil {
			return v, nil
		}
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", stage)
	}
	v := row.Version(*in.VersionID)
	switch {
	case v == nil:
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionID: %s", *in.VersionID)
	case in.VersionStage != nil && !slices.Contains(v.Stages, *in.VersionStage):
		return nil, badRequest("You provided a VersionStage that is not associated to the provided VersionId.")
	}
	return v, nil
}

// accessedWait is how long reading a secret waits for the note of it, while the store takes no changes.
const accessedWait = 2 * time.Second

// accessed notes the day on which the secret was read, as AWS does. That the note is made is not worth an error.
func (a *API) accessed(ctx context.Context, row *controlplane.Secret) {
	day := a.now().UTC().Truncate(24 * time.Hour)
	if !row.Accessed.Before(day) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, accessedWait)
	defer cancel()
	_, _ = a.plane.Update(ctx, func(tx *controlplane.Tx) error {
		if now := tx.Secrets.Get(row.ARN); now != nil {
			changed := now.Clone()
			changed.Accessed = day
			tx.Secrets.Put(changed.ARN, changed)
		}
		return nil
	})
}

func stages(v *controlplane.SecretVersion) []string {
	if len(v.Stages) == 0 {
		return nil
	}
	return v.Stages
}

// PutSecretValueInput is the input of PutSecretValue.
type PutSecretValueInput struct {
	SecretID           string `aws:"name=SecretId,required"`
	ClientRequestToken *string
	SecretString       *string
	SecretBinary       []byte
	VersionStages      []string
	RotationToken      *string
}

// PutSecretValueOutput is the answer of PutSecretValue.
type PutSecretValueOutput struct {
	ARN           string
	Name          string
	VersionID     string `aws:"name=VersionId"`
	VersionStages []string
}

// PutSecretValue adds a version, which becomes AWSCURRENT unless other stages are named.
func (a *API) PutSecretValue(ctx context.Context, c *awsapi.Call, in *PutSecretValueInput) (*PutSecretValueOutput, error) {
	text, binary, err := Content{in.SecretString, in.SecretBinary}.read()
	switch {
	case err != nil:
		return nil, err
	case text == nil:
		return nil, invalid("You must provide either SecretString or SecretBinary.")
	case in.VersionStages != nil && (len(in.VersionStages) == 0 || len(in.VersionStages) > 20):
		return nil, invalid("VersionStages must have from 1 to 20 staging labels.")
	}
	if err := checkStages(in.VersionStages...); err != nil {
		return nil, err
	}
	id, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	labels := in.VersionStages
	if labels == nil {
		labels = []string{controlplane.StageCurrent}
	}
	row, err := a.change(ctx, c, "PutSecretValue", in.SecretID, nil, func(row *controlplane.Secret) error {
		return a.newVersion(row, id, text, binary, labels)
	})
	if err != nil {
		return nil, err
	}
	return &PutSecretValueOutput{ARN: row.ARN, Name: row.Name, VersionID: id, VersionStages: stages(row.Version(id))}, nil
}

// newVersion adds a version, or finds that the same request has done so before.
func (a *API) newVersion(row *controlplane.Secret, id string, text []byte, binary bool, labels []string) error {
	if v := row.Version(id); v != nil {
		if !a.holds(row, v, text) {
			return refuse("ResourceExistsException", "A resource with the ID you requested already exists: the version %s has another content.", id)
		}
		return nil
	}
	if row.Staged(controlplane.StageCurrent) == nil && !slices.Contains(labels, controlplane.StageCurrent) {
		labels = append(slices.Clone(labels), controlplane.StageCurrent) // a first version is the current one
	}
	a.addVersion(row, id, text, binary, labels)
	return nil
}

func checkStages(labels ...string) error {
	for _, l := range labels {
		if l == "" || len(l) > 256 {
			return invalid("A staging label must have from 1 to 256 characters.")
		}
	}
	return nil
}

// UpdateSecretInput is the input of UpdateSecret.
type UpdateSecretInput struct {
	SecretID           string `aws:"name=SecretId,required"`
	ClientRequestToken *string
	Description        *string
	KmsKeyID           *string `aws:"name=KmsKeyId"`
	SecretString       *string
	SecretBinary       []byte
	Type               *string
}

// UpdateSecret changes the description, and adds a version if there is a content.
func (a *API) UpdateSecret(ctx context.Context, c *awsapi.Call, in *UpdateSecretInput) (*SecretVersionOutput, error) {
	text, binary, err := Content{in.SecretString, in.SecretBinary}.read()
	if err == nil {
		err = checkMetadata(in.Type, in.Description, in.KmsKeyID)
	}
	if err != nil {
		return nil, err
	}
	id, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	row, err := a.change(ctx, c, "UpdateSecret", in.SecretID, nil, func(row *controlplane.Secret) error {
		if in.Description != nil {
			row.Description = *in.Description
		}
		if in.KmsKeyID != nil {
			row.KMSKeyID = *in.KmsKeyID
		}
		if text == nil {
			return nil
		}
		return a.newVersion(row, id, text, binary, []string{controlplane.StageCurrent})
	})
	if err != nil {
		return nil, err
	}
	out := &SecretVersionOutput{ARN: row.ARN, Name: row.Name}
	if text != nil {
		out.VersionID = &id
	}
	return out, nil
}

// UpdateSecretVersionStageInput is the input of UpdateSecretVersionStage.
type UpdateSecretVersionStageInput struct {
	SecretID            string  `aws:"name=SecretId,required"`
	VersionStage        string  `aws:"required"`
	RemoveFromVersionID *string `aws:"name=RemoveFromVersionId"`
	MoveToVersionID     *string `aws:"name=MoveToVersionId"`
}

// SecretOutput says which secret an operation was about.
type SecretOutput struct{ ARN, Name string }

// UpdateSecretVersionStage moves a stage from one version to another. Whoever moves it must know where it is.
func (a *API) UpdateSecretVersionStage(ctx context.Context, c *awsapi.Call, in *UpdateSecretVersionStageInput) (*SecretOutput, error) {
	if err := checkStages(in.VersionStage); err != nil {
		return nil, err
	}
	if in.RemoveFromVersionID == nil && in.MoveToVersionID == nil {
		return nil, invalid("You must provide RemoveFromVersionId, MoveToVersionId, or both.")
	}
	keys := map[string][]string{"secretsmanager:VersionStage": {in.VersionStage}}
	row, err := a.change(ctx, c, "UpdateSecretVersionStage", in.SecretID, keys, func(row *controlplane.Secret) error {
		return moveStage(row, in)
	})
	if err != nil {
		return nil, err
	}
	return &SecretOutput{row.ARN, row.Name}, nil
}

func moveStage(row *controlplane.Secret, in *UpdateSecretVersionStageInput) error {
	holder := row.Staged(in.VersionStage)
	if from := in.RemoveFromVersionID; from != nil && (holder == nil || holder.ID != *from) {
		return invalid("The staging label %s isn't attached to the version %s.", in.VersionStage, *from)
	}
	to := in.MoveToVersionID
	if to == nil {
		if in.VersionStage == controlplane.StageCurrent {
			return invalid("You can't remove the staging label AWSCURRENT: move it to another version.")
		}
		row.Unstage(in.VersionStage)
		return nil
	}
	switch v := row.Version(*to); {
	case v == nil:
		return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionID: %s", *to)
	case holder != nil && holder.ID != *to && in.RemoveFromVersionID == nil:
		return invalid("The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.", in.VersionStage, holder.ID)
	}
	row.Stage(*to, in.VersionStage)
	return nil
}

// RotateSecretInput is the input of RotateSecret.
type RotateSecretInput struct {
	SecretID                   string `aws:"name=SecretId,required"`
	ClientRequestToken         *string
	RotationLambdaARN          *string
	RotationRules              *RotationRules
	RotateImmediately          *bool
	ExternalSecretRotationRole *string `aws:"name=ExternalSecretRotationRoleArn"`
}

// RotationRules say when AWS would rotate.
type RotationRules struct {
	AutomaticallyAfterDays *int
	Duration               *string
	ScheduleExpression     *string
}

// RotateSecret is refused: Forebay runs no Lambda function. A rotation from outside works: PutSecretValue or
// UpdateSecretVersionStage, which proxies follow at once.
func (a *API) RotateSecret(_ context.Context, c *awsapi.Call, in *RotateSecretInput) (*SecretVersionOutput, error) {
	if _, err := live(a.plane.State(), c, "RotateSecret", in.SecretID, nil); err != nil {
		return nil, err
	}
	return nil, badRequest("Forebay runs no rotation function. Rotate from outside: change the password in the database, then call PutSecretValue.")
}

// CancelRotateSecretInput is the input of CancelRotateSecret.
type CancelRotateSecretInput struct {
	SecretID string `aws:"name=SecretId,required"`
}

// CancelRotateSecret finds nothing to cancel, as no secret rotates here.
func (a *API) CancelRotateSecret(_ context.Context, c *awsapi.Call, in *CancelRotateSecretInput) (*SecretVersionOutput, error) {
	row, err := live(a.plane.State(), c, "CancelRotateSecret", in.SecretID, nil)
	if err != nil {
		return nil, err
	}
	return &SecretVersionOutput{ARN: row.ARN, Name: row.Name}, nil
}
