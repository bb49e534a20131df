package secretsapi

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// TagResourceInput is the input of TagResource.
type TagResourceInput struct {
	SecretID string `aws:"name=SecretId,required"`
	Tags     []Tag  `aws:"required"`
}

// UntagResourceInput is the input of UntagResource.
type UntagResourceInput struct {
	SecretID string   `aws:"name=SecretId,required"`
	TagKeys  []string `aws:"required"`
}

// TagResource sets tags.
func (a *API) TagResource(ctx context.Context, c *awsapi.Call, in *TagResourceInput) (*struct{}, error) {
	_, err := a.change(ctx, c, "TagResource", in.SecretID, tagKeys(in.Tags), func(row *controlplane.Secret) error {
		if err := checkTags(row.Tags, in.Tags); err != nil {
			return err
		}
		for _, t := range rowTags(in.Tags) {
			row.Tags = slices.DeleteFunc(row.Tags, func(is controlplane.Tag) bool { return is.Key == t.Key })
			row.Tags = append(row.Tags, t)
		}
		return nil
	})
	return &struct{}{}, err
}

// UntagResource removes tags.
func (a *API) UntagResource(ctx context.Context, c *awsapi.Call, in *UntagResourceInput) (*struct{}, error) {
	keys := map[string][]string{"aws:TagKeys": in.TagKeys}
	_, err := a.change(ctx, c, "UntagResource", in.SecretID, keys, func(row *controlplane.Secret) error {
		row.Tags = slices.DeleteFunc(row.Tags, func(t controlplane.Tag) bool { return slices.Contains(in.TagKeys, t.Key) })
		return nil
	})
	return &struct{}{}, err
}

// maxTags is how many tags a secret has at most.
const maxTags = 50

func checkTags(has []controlplane.Tag, tags []Tag) error {
	keys := map[string]bool{}
	for _, t := range tags {
		switch n := utf8.RuneCountInString(t.Key); {
		case n < 1 || n > 128 || utf8.RuneCountInString(t.Value) > 256:
			return invalid("A tag's key must have from 1 to 128 characters, and its value at most 256.")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return invalid("Tag keys can't begin with aws:.")
		case keys[t.Key]:
			return invalid("The tag key %s appears twice.", t.Key)
		}
		keys[t.Key] = true
	}
	for _, t := range has {
		keys[t.Key] = true
	}
	if len(keys) > maxTags {
		return invalid("A secret has at most %d tags.", maxTags)
	}
	return nil
}

func rowTags(tags []Tag) []controlplane.Tag {
	var all []controlplane.Tag
	for _, t := range tags {
		all = append(all, controlplane.Tag(t))
	}
	return all
}

func apiTags(tags []controlplane.Tag) []Tag {
	var all []Tag
	for _, t := range tags {
		all = append(all, Tag(t))
	}
	return all
}
