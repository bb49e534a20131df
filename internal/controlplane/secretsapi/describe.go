package secretsapi

import (
	"context"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// SecretIDInput is the input of operations that need nothing else.
type SecretIDInput struct {
	SecretID string `aws:"name=SecretId,required"`
}

// DescribeSecretOutput is the answer of DescribeSecret.
type DescribeSecretOutput struct {
	ARN                string
	Name               string
	Description        *string
	KmsKeyID           *string `aws:"name=KmsKeyId"`
	RotationEnabled    *bool
	LastChangedDate    *time.Time
	LastAccessedDate   *time.Time
	DeletedDate        *time.Time
	Tags               []Tag
	VersionIdsToStages map[string][]string
	CreatedDate        *time.Time
}

// DescribeSecret says everything about a secret but its content.
func (a *API) DescribeSecret(_ context.Context, c *awsapi.Call, in *SecretIDInput) (*DescribeSecretOutput, error) {
	row, err := find(a.plane.State(), c, "DescribeSecret", in.SecretID, nil)
	if err != nil {
		return nil, err
	}
	out := &DescribeSecretOutput{
		ARN: row.ARN, Name: row.Name, Description: awsapi.Optional(row.Description), KmsKeyID: awsapi.Optional(row.KMSKeyID),
		LastChangedDate: timestamp(row.Changed), LastAccessedDate: timestamp(row.Accessed), DeletedDate: timestamp(row.Deleted),
		CreatedDate: timestamp(row.Created), Tags: apiTags(row.Tags), VersionIdsToStages: stagesByVersion(row),
	}
	return out, nil
}

// stagesByVersion leaves out the versions without a stage, as AWS does.
func stagesByVersion(row *controlplane.Secret) map[string][]string {
	var all map[string][]string
	for i := range row.Versions {
		if v := &row.Versions[i]; len(v.Stages) > 0 {
			if all == nil {
				all = map[string][]string{}
			}
			all[v.ID] = v.Stages
		}
	}
	return all
}

// ListSecretVersionIdsInput is the input of ListSecretVersionIds.
type ListSecretVersionIdsInput struct {
	SecretID          string `aws:"name=SecretId,required"`
	MaxResults        *int
	NextToken         *string
	IncludeDeprecated *bool
}

// ListSecretVersionIdsOutput is the answer of ListSecretVersionIds.
type ListSecretVersionIdsOutput struct {
	ARN       string
	Name      string
	Versions  []VersionEntry
	NextToken *string
}

// VersionEntry is a version in a list.
type VersionEntry struct {
	VersionID     string `aws:"name=VersionId"`
	VersionStages []string
	CreatedDate   time.Time
	KmsKeyIds     []string
}

// ListSecretVersionIds lists the versions, newest first.
func (a *API) ListSecretVersionIds(_ context.Context, c *awsapi.Call, in *ListSecretVersionIdsInput) (*ListSecretVersionIdsOutput, error) {
	row, err := find(a.plane.State(), c, "ListSecretVersionIds", in.SecretID, nil)
	if err != nil {
		return nil, err
	}
	versions := []VersionEntry{}
	for i := range row.Versions {
		v := &row.Versions[i]
		if len(v.Stages) > 0 || in.IncludeDeprecated != nil && *in.IncludeDeprecated {
			versions = append(versions, VersionEntry{VersionID: v.ID, VersionStages: stages(v), CreatedDate: v.Created})
		}
	}
	page, next, err := awsapi.PageInOrder(awsapi.SecretsPaging, versions, in.NextToken, in.MaxResults, func(v VersionEntry) string { return v.VersionID })
	if err != nil {
		return nil, err
	}
	return &ListSecretVersionIdsOutput{ARN: row.ARN, Name: row.Name, Versions: page, NextToken: next}, nil
}
