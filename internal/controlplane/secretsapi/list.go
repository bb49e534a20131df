package secretsapi

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// ListSecretsInput is the input of ListSecrets.
type ListSecretsInput struct {
	IncludePlannedDeletion *bool
	MaxResults             *int
	NextToken              *string
	Filters                []Filter
	SortOrder              *string // asc or desc
	SortBy                 *string // one of sortKeys
}

// Filter chooses secrets: all filters must hold, and of each filter one of its values.
type Filter struct {
	Key    string
	Values []string
}

// ListSecretsOutput is the answer of ListSecrets.
type ListSecretsOutput struct {
	SecretList []SecretEntry
	NextToken  *string
}

// SecretEntry is a secret in a list.
type SecretEntry struct {
	ARN                    string
	Name                   string
	Description            *string
	KmsKeyID               *string `aws:"name=KmsKeyId"`
	LastChangedDate        *time.Time
	LastAccessedDate       *time.Time
	DeletedDate            *time.Time
	Tags                   []Tag
	SecretVersionsToStages map[string][]string
	CreatedDate            *time.Time
}

// ListSecrets lists the secrets that the filters let through.
func (a *API) ListSecrets(_ context.Context, c *awsapi.Call, in *ListSecretsInput) (*ListSecretsOutput, error) {
	if err := c.Authorize("secretsmanager:ListSecrets", "*"); err != nil {
		return nil, err
	}
	for _, f := range in.Filters {
		if !slices.Contains(filterKeys, f.Key) {
			return nil, refuse("ValidationException", "1 validation error detected: Value '%s' at 'filters.1.member.key' failed to satisfy constraint: Member must satisfy enum value set: [%s]", f.Key, strings.Join(filterKeys, ", "))
		}
		if len(f.Values) == 0 || len(f.Values) > 10 {
			return nil, invalid("Invalid filter values for key: %s. It needs from 1 to 10.", f.Key)
		}
	}
	order := awsapi.Value(in.SortOrder)
	if !slices.Contains([]string{"", "asc", "desc"}, order) {
		return nil, invalid("SortOrder must be asc or desc.")
	}
	by, ok := sortKeys[awsapi.Or(in.SortBy, "created-date")]
	if !ok {
		return nil, refuse("ValidationException", "1 validation error detected: Value '%s' at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set: [created-date, last-accessed-date, last-changed-date, name]", *in.SortBy)
	}
	entries := []SecretEntry{}
	for _, row := range a.plane.State().Secrets.All() {
		if (row.Deleted.IsZero() || in.IncludePlannedDeletion != nil && *in.IncludePlannedDeletion) && matches(row, in.Filters) {
			entries = append(entries, entry(row))
		}
	}
	slices.SortStableFunc(entries, func(a, b SecretEntry) int {
		c := cmp.Or(by(a, b), cmp.Compare(a.ARN, b.ARN))
		if order != "asc" {
			c = -c
		}
		return c
	})
	page, next, err := awsapi.PageInOrder(awsapi.SecretsPaging, entries, in.NextToken, in.MaxResults, func(e SecretEntry) string { return e.ARN })
	if err != nil {
		return nil, err
	}
	return &ListSecretsOutput{SecretList: page, NextToken: next}, nil
}

// sortKeys are the orders of ListSecrets.
var sortKeys = map[string]func(a, b SecretEntry) int{
	"created-date": func(a, b SecretEntry) int { return a.CreatedDate.Compare(*b.CreatedDate) },
	"last-accessed-date": func(a, b SecretEntry) int {
		return awsapi.Value(a.LastAccessedDate).Compare(awsapi.Value(b.LastAccessedDate))
	},
	"last-changed-date": func(a, b SecretEntry) int {
		return awsapi.Value(a.LastChangedDate).Compare(awsapi.Value(b.LastChangedDate))
	},
	"name": func(a, b SecretEntry) int { return cmp.Compare(a.Name, b.Name) },
}

func entry(row *controlplane.Secret) SecretEntry {
	return SecretEntry{
		ARN: row.ARN, Name: row.Name, Description: awsapi.Optional(row.Description), KmsKeyID: awsapi.Optional(row.KMSKeyID),
		LastChangedDate: timestamp(row.Changed), LastAccessedDate: timestamp(row.Accessed), DeletedDate: timestamp(row.Deleted),
		Tags: apiTags(row.Tags), SecretVersionsToStages: stagesByVersion(row), CreatedDate: &row.Created,
	}
}

var filterKeys = []string{"description", "name", "tag-key", "tag-value", "primary-region", "owning-service", "all"}

func matches(row *controlplane.Secret, filters []Filter) bool {
	for _, f := range filters {
		if !slices.ContainsFunc(f.Values, func(v string) bool { return matchesOne(row, f.Key, v) }) {
			return false
		}
	}
	return true
}

// matchesOne: a value is the beginning of what it is compared with, and one that begins with ! is the negation.
func matchesOne(row *controlplane.Secret, key, value string) bool {
	if rest, not := strings.CutPrefix(value, "!"); not {
		return !matchesOne(row, key, rest)
	}
	fold := func(s string) bool { return strings.HasPrefix(strings.ToLower(s), strings.ToLower(value)) }
	word := func(s string) bool { return slices.ContainsFunc(strings.Fields(s), fold) }
	switch key {
	case "name":
		return strings.HasPrefix(row.Name, value)
	case "description":
		return word(row.Description)
	case "tag-key":
		return slices.ContainsFunc(row.Tags, func(t controlplane.Tag) bool { return strings.HasPrefix(t.Key, value) })
	case "tag-value":
		return slices.ContainsFunc(row.Tags, func(t controlplane.Tag) bool { return strings.HasPrefix(t.Value, value) })
	case "all":
		return fold(row.Name) || word(row.Description) ||
			slices.ContainsFunc(row.Tags, func(t controlplane.Tag) bool { return fold(t.Key) || fold(t.Value) })
	}
	return false // no secret has another Region, or belongs to a service
}
