package iamapi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
	"forebay/internal/policy"
)

// holder is what has policies, whether a user or a role: what the operations on policies need of it.
type holder struct {
	arn      string
	name     string
	tags     []controlplane.Tag
	inline   map[string]string
	attached []string
	maxSize  int // of all inline policies together
}

// kind tells users and roles apart.
type kind struct {
	noun string // in error texts
	get  func(s *controlplane.State, name string) *holder
	put  func(tx *controlplane.Tx, name string, h *holder)
	// arn is the ARN of whoever has that name, or would have it.
	arn func(s *controlplane.State, name string) string
}

var users = kind{
	noun: "user",
	get: func(s *controlplane.State, name string) *holder {
		u := s.Users.Get(strings.ToLower(name))
		if u == nil {
			return nil
		}
		return &holder{identity.UserARN(s.Account().ID, u), u.Name, u.Tags, u.Inline, u.Attached, policy.MaxSizeInlineUser}
	},
	put: func(tx *controlplane.Tx, name string, h *holder) {
		u := *tx.Users.Get(strings.ToLower(name))
		u.Tags, u.Inline, u.Attached = h.tags, h.inline, h.attached
		tx.Users.Put(strings.ToLower(name), &u)
	},
	arn: func(s *controlplane.State, name string) string {
		if u := s.Users.Get(strings.ToLower(name)); u != nil {
			return identity.UserARN(s.Account().ID, u)
		}
		return identity.UserARN(s.Account().ID, &controlplane.User{Path: "/", Name: name})
	},
}

var roles = kind{
	noun: "role",
	get: func(s *controlplane.State, name string) *holder {
		r := s.Roles.Get(strings.ToLower(name))
		if r == nil {
			return nil
		}
		return &holder{identity.RoleARN(s.Account().ID, r), r.Name, r.Tags, r.Inline, r.Attached, policy.MaxSizeInlineRole}
	},
	put: func(tx *controlplane.Tx, name string, h *holder) {
		r := *tx.Roles.Get(strings.ToLower(name))
		r.Tags, r.Inline, r.Attached = h.tags, h.inline, h.attached
		tx.Roles.Put(strings.ToLower(name), &r)
	},
	arn: func(s *controlplane.State, name string) string {
		if r := s.Roles.Get(strings.ToLower(name)); r != nil {
			return identity.RoleARN(s.Account().ID, r)
		}
		return identity.RoleARN(s.Account().ID, &controlplane.Role{Path: "/", Name: name})
	},
}

// find returns the holder of that name, if the caller may do the operation to it.
func (k kind) find(s *controlplane.State, c *awsapi.Call, operation, name string, keys map[string][]string) (*holder, error) {
	h := k.get(s, name)
	access := awsapi.Access{Action: "iam:" + operation, Resource: k.arn(s, name), Keys: maps.Clone(keys)}
	if h != nil {
		if access.Keys == nil {
			access.Keys = map[string][]string{}
		}
		maps.Copy(access.Keys, resourceKeys(h.tags))
	}
	if err := c.AuthorizeAccess(access); err != nil {
		return nil, err
	}
	if h == nil {
		return nil, noSuch("The %s with name %s cannot be found.", k.noun, name)
	}
	return h, nil
}

// change has fn change a copy of the holder, and stores it.
func (a *API) change(ctx context.Context, c *awsapi.Call, k kind, operation, name string, keys map[string][]string, fn func(tx *controlplane.Tx, h *holder) error) error {
	return a.update(ctx, func(tx *controlplane.Tx) error {
		h, err := k.find(tx.State(), c, operation, name, keys)
		if err != nil {
			return err
		}
		h.inline, h.attached = maps.Clone(h.inline), slices.Clone(h.attached)
		if err := fn(tx, h); err != nil {
			return err
		}
		k.put(tx, name, h)
		return nil
	})
}

func (a *API) putPolicy(ctx context.Context, c *awsapi.Call, k kind, operation, name, policyName, document string) error {
	if err := checkName("policyName", policyName, 128); err != nil {
		return err
	}
	if _, err := policy.Parse(policy.Identity, []byte(document)); err != nil {
		return malformed(err)
	}
	return a.change(ctx, c, k, operation, name, nil, func(_ *controlplane.Tx, h *holder) error {
		if h.inline == nil {
			h.inline = map[string]string{}
		}
		h.inline[policyName] = document
		size := 0
		for _, text := range h.inline {
			doc, err := policy.Parse(policy.Identity, []byte(text))
			if err != nil {
				return malformed(err)
			}
			size += doc.Size()
		}
		if size > h.maxSize {
			return limit("Maximum policy size of %d bytes exceeded for %s %s", h.maxSize, k.noun, name)
		}
		return nil
	})
}

func (a *API) getPolicy(c *awsapi.Call, k kind, operation, name, policyName string) (*holder, string, error) {
	h, err := k.find(a.plane.State(), c, operation, name, nil)
	if err != nil {
		return nil, "", err
	}
	document, ok := h.inline[policyName]
	if !ok {
		return nil, "", noSuch("The %s policy with name %s cannot be found.", k.noun, policyName)
	}
	return h, encoded(document), nil
}

func (a *API) deletePolicy(ctx context.Context, c *awsapi.Call, k kind, operation, name, policyName string) error {
	return a.change(ctx, c, k, operation, name, nil, func(_ *controlplane.Tx, h *holder) error {
		if _, ok := h.inline[policyName]; !ok {
			return noSuch("The %s policy with name %s cannot be found.", k.noun, policyName)
		}
		delete(h.inline, policyName)
		return nil
	})
}

// PolicyNames is a list of inline policies.
type PolicyNames struct {
	PolicyNames []string
	IsTruncated bool
	Marker      *string
}

func (a *API) listPolicies(c *awsapi.Call, k kind, operation, name string, p Page) (*PolicyNames, error) {
	h, err := k.find(a.plane.State(), c, operation, name, nil)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(h.inline))
	page, more, marker, err := paginate(names, p, func(n string) string { return n })
	if err != nil {
		return nil, err
	}
	return &PolicyNames{page, more, marker}, nil
}

const maxAttached = 10

func (a *API) attach(ctx context.Context, c *awsapi.Call, k kind, operation, name, arn string) error {
	keys := map[string][]string{"iam:PolicyARN": {arn}}
	return a.change(ctx, c, k, operation, name, keys, func(tx *controlplane.Tx, h *holder) error {
		switch {
		case tx.Policies.Get(arn) == nil:
			return noSuch("Policy %s does not exist or is not attachable.", arn)
		case slices.Contains(h.attached, arn):
			return nil
		case len(h.attached) == maxAttached:
			return limit("Cannot exceed quota for PoliciesPer%s: %d", strings.ToUpper(k.noun[:1])+k.noun[1:], maxAttached)
		}
		h.attached = append(h.attached, arn)
		return nil
	})
}

func (a *API) detach(ctx context.Context, c *awsapi.Call, k kind, operation, name, arn string) error {
	keys := map[string][]string{"iam:PolicyARN": {arn}}
	return a.change(ctx, c, k, operation, name, keys, func(_ *controlplane.Tx, h *holder) error {
		i := slices.Index(h.attached, arn)
		if i < 0 {
			return noSuch("Policy %s was not found.", arn)
		}
		h.attached = slices.Delete(h.attached, i, i+1)
		return nil
	})
}

// AttachedPolicies is a list of managed policies.
type AttachedPolicies struct {
	AttachedPolicies []AttachedPolicy
	IsTruncated      bool
	Marker           *string
}

// AttachedPolicy is a managed policy that somebody has.
type AttachedPolicy struct{ PolicyName, PolicyArn string }

func (a *API) listAttached(c *awsapi.Call, k kind, operation, name string, prefix *string, p Page) (*AttachedPolicies, error) {
	s := a.plane.State()
	h, err := k.find(s, c, operation, name, nil)
	if err != nil {
		return nil, err
	}
	arns := slices.DeleteFunc(slices.Sorted(slices.Values(h.attached)), func(arn string) bool {
		row := s.Policies.Get(arn)
		return row == nil || !strings.HasPrefix(row.Path, awsapi.Value(prefix))
	})
	page, more, marker, err := paginate(arns, p, func(arn string) string { return arn })
	if err != nil {
		return nil, err
	}
	out := &AttachedPolicies{AttachedPolicies: []AttachedPolicy{}, IsTruncated: more, Marker: marker}
	for _, arn := range page {
		out.AttachedPolicies = append(out.AttachedPolicies, AttachedPolicy{arn[strings.LastIndexByte(arn, '/')+1:], arn})
	}
	return out, nil
}

func (a *API) tag(ctx context.Context, c *awsapi.Call, k kind, operation, name string, tags []Tag) error {
	return a.change(ctx, c, k, operation, name, tagKeys(tags), func(_ *controlplane.Tx, h *holder) (err error) {
		h.tags, err = setTags(h.tags, tags)
		return err
	})
}

func (a *API) untag(ctx context.Context, c *awsapi.Call, k kind, operation, name string, keys []string) error {
	return a.change(ctx, c, k, operation, name, map[string][]string{"aws:TagKeys": keys}, func(_ *controlplane.Tx, h *holder) error {
		h.tags = unsetTags(h.tags, keys)
		return nil
	})
}

// Tags is a list of tags.
type Tags struct {
	Tags        []Tag
	IsTruncated bool
	Marker      *string
}

func (a *API) listTags(c *awsapi.Call, k kind, operation, name string, p Page) (*Tags, error) {
	h, err := k.find(a.plane.State(), c, operation, name, nil)
	if err != nil {
		return nil, err
	}
	return tagPage(h.tags, p)
}

func tagPage(tags []controlplane.Tag, p Page) (*Tags, error) {
	all := apiTags(tags)
	slices.SortFunc(all, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	page, more, marker, err := paginate(all, p, func(t Tag) string { return t.Key })
	if err != nil {
		return nil, err
	}
	return &Tags{page, more, marker}, nil
}
