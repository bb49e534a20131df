package iamapi

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// Tag belongs to a user, role or policy.
type Tag struct{ Key, Value string }

// Page is the members by which lists are cut.
type Page struct {
	Marker   *string
	MaxItems *int
}

// paginate cuts a page out of rows, in the order of their keys.
func paginate[T any](rows []T, p Page, key func(T) string) (page []T, more bool, marker *string, err error) {
	page, marker, err = awsapi.PageOf(awsapi.IAMPaging, rows, p.Marker, p.MaxItems, key)
	return page, marker != nil, marker, err
}

var (
	nameRule = regexp.MustCompile(`^[\w+=,.@-]+$`)
	pathRule = regexp.MustCompile(`^(/|/[\x21-\x7e]+/)$`)
)

func checkName(member, name string, most int) error {
	if len(name) < 1 || len(name) > most {
		return invalid("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length from 1 to %d", member, most)
	}
	if !nameRule.MatchString(name) {
		return invalid("The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", member)
	}
	return nil
}

func checkPath(path *string) (string, error) {
	if path == nil {
		return "/", nil
	}
	if len(*path) > 512 || !pathRule.MatchString(*path) {
		return "", invalid("The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return *path, nil
}

// checkDescription holds a description to what IAM takes: a row of the state is not to grow without bound.
func checkDescription(text *string) error {
	if text != nil && utf8.RuneCountInString(*text) > 1000 {
		return invalid("1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 1000")
	}
	return nil
}

const maxTags = 50

// setTags returns has with tags set.
func setTags(has []controlplane.Tag, tags []Tag) ([]controlplane.Tag, error) {
	all := slices.Clone(has)
	seen := map[string]bool{}
	for _, t := range tags {
		switch n := utf8.RuneCountInString(t.Key); {
		case n < 1 || n > 128 || utf8.RuneCountInString(t.Value) > 256:
			return nil, invalid("A tag's key must have from 1 to 128 characters, and its value at most 256.")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, refuse(400, "InvalidInput", "Tag keys can't begin with aws:.")
		case seen[strings.ToLower(t.Key)]:
			return nil, refuse(400, "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[strings.ToLower(t.Key)] = true
		all = slices.DeleteFunc(all, func(is controlplane.Tag) bool { return strings.EqualFold(is.Key, t.Key) })
		all = append(all, controlplane.Tag(t))
	}
	if len(all) > maxTags {
		return nil, limit("The number of tags has reached the maximum limit of %d.", maxTags)
	}
	return all, nil
}

func unsetTags(has []controlplane.Tag, keys []string) []controlplane.Tag {
	return slices.DeleteFunc(slices.Clone(has), func(t controlplane.Tag) bool { return slices.Contains(keys, t.Key) })
}

func apiTags(tags []controlplane.Tag) []Tag {
	var all []Tag
	for _, t := range tags {
		all = append(all, Tag(t))
	}
	return all
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

// mayCreate asks whether the caller may make a User, Role or Policy, and tag it where it comes with tags.
func mayCreate(c *awsapi.Call, what, arn string, tags []Tag) error {
	access := awsapi.Access{Action: "iam:Create" + what, Resource: arn, Keys: tagKeys(tags)}
	if err := c.AuthorizeAccess(access); err != nil || len(tags) == 0 {
		return err
	}
	access.Action = "iam:Tag" + what
	return c.AuthorizeAccess(access)
}

// resourceKeys are the condition keys that a resource's own tags have.
func resourceKeys(tags []controlplane.Tag) map[string][]string {
	keys := map[string][]string{}
	for _, t := range tags {
		keys["aws:ResourceTag/"+t.Key] = []string{t.Value}
		keys["iam:ResourceTag/"+t.Key] = []string{t.Value}
	}
	return keys
}

// encoded is how IAM gives out documents: percent-encoded (RFC 3986).
func encoded(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}
