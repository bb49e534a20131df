package iamapi

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
	"forebay/internal/policy"
)

// Policy is a managed policy.
type Policy struct {
	PolicyName                    string
	PolicyID                      string `aws:"name=PolicyId"`
	Arn                           string
	Path                          string
	DefaultVersionID              string `aws:"name=DefaultVersionId"`
	AttachmentCount               int
	PermissionsBoundaryUsageCount int
	IsAttachable                  bool
	Description                   *string
	CreateDate                    time.Time
	UpdateDate                    time.Time
	Tags                          []Tag
}

// PolicyOutput is one policy.
type PolicyOutput struct{ Policy Policy }

func apiPolicy(s *controlplane.State, p *controlplane.Policy) Policy {
	return Policy{
		PolicyName: p.Name, PolicyID: p.ID, Arn: p.ARN, Path: p.Path, DefaultVersionID: p.DefaultVersion().ID,
		AttachmentCount: attachments(s, p.ARN), IsAttachable: true, Description: awsapi.Optional(p.Description),
		CreateDate: p.Created, UpdateDate: p.Updated, Tags: apiTags(p.Tags),
	}
}

// attachments counts who has the policy.
func attachments(s *controlplane.State, arn string) int {
	n := 0
	for _, u := range s.Users.All() {
		n += count(u.Attached, arn)
	}
	for _, r := range s.Roles.All() {
		n += count(r.Attached, arn)
	}
	return n
}

func count(attached []string, arn string) int {
	if slices.Contains(attached, arn) {
		return 1
	}
	return 0
}

// CreatePolicyInput is the input of CreatePolicy.
type CreatePolicyInput struct {
	PolicyName     string `aws:"required"`
	PolicyDocument string `aws:"required"`
	Path           *string
	Description    *string
	Tags           []Tag
}

// CreatePolicy makes a managed policy, which nobody has yet.
func (a *API) CreatePolicy(ctx context.Context, c *awsapi.Call, in *CreatePolicyInput) (*PolicyOutput, error) {
	if err := checkName("policyName", in.PolicyName, 128); err != nil {
		return nil, err
	}
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	if err := checkManaged(in.PolicyDocument); err != nil {
		return nil, err
	}
	if err := checkDescription(in.Description); err != nil {
		return nil, err
	}
	tags, err := setTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	out := &PolicyOutput{}
	err = a.update(ctx, func(tx *controlplane.Tx) error {
		now := a.now().UTC()
		p := &controlplane.Policy{
			ARN: "arn:aws:iam::" + tx.Account().ID + ":policy" + path + in.PolicyName, Name: in.PolicyName, Path: path,
			ID: "ANPA" + identity.RandomID(16), Description: awsapi.Value(in.Description), Created: now, Updated: now, Tags: tags,
			Versions: []controlplane.PolicyVersion{{ID: "v1", Document: in.PolicyDocument, Default: true, Created: now}},
		}
		if err := mayCreate(c, "Policy", p.ARN, in.Tags); err != nil {
			return err
		}
		if tx.Policies.Find(func(is *controlplane.Policy) bool { return strings.EqualFold(is.Name, p.Name) }) != nil {
			return exists("A policy called %s already exists. Duplicate names are not allowed.", in.PolicyName)
		}
		tx.Policies.Put(p.ARN, p)
		out.Policy = apiPolicy(tx.State(), p)
		return nil
	})
	return out, err
}

func checkManaged(document string) error {
	doc, err := policy.Parse(policy.Identity, []byte(document))
	if err != nil {
		return malformed(err)
	}
	if doc.Size() > policy.MaxSizeManaged {
		return limit("Cannot exceed quota for PolicySize: %d", policy.MaxSizeManaged)
	}
	return nil
}

// PolicyArnInput names a managed policy.
type PolicyArnInput struct {
	PolicyArn string `aws:"required"`
}

func findPolicy(s *controlplane.State, c *awsapi.Call, operation, arn string, keys map[string][]string) (*controlplane.Policy, error) {
	p := s.Policies.Get(arn)
	access := awsapi.Access{Action: "iam:" + operation, Resource: arn, Keys: map[string][]string{}}
	maps.Copy(access.Keys, keys)
	if p != nil {
		maps.Copy(access.Keys, resourceKeys(p.Tags))
	}
	if err := c.AuthorizeAccess(access); err != nil {
		return nil, err
	}
	if p == nil {
		return nil, noSuch("Policy %s was not found.", arn)
	}
	return p, nil
}

// changePolicy has fn change a copy of the policy.
func (a *API) changePolicy(ctx context.Context, c *awsapi.Call, operation, arn string, keys map[string][]string, fn func(s *controlplane.State, p *controlplane.Policy) error) error {
	return a.update(ctx, func(tx *controlplane.Tx) error {
		s := tx.State()
		old, err := findPolicy(s, c, operation, arn, keys)
		if err != nil {
			return err
		}
		p := *old
		p.Versions = slices.Clone(p.Versions)
		if err := fn(s, &p); err != nil {
			return err
		}
		tx.Policies.Put(arn, &p)
		return nil
	})
}

// GetPolicy describes a managed policy.
func (a *API) GetPolicy(_ context.Context, c *awsapi.Call, in *PolicyArnInput) (*PolicyOutput, error) {
	s := a.plane.State()
	p, err := findPolicy(s, c, "GetPolicy", in.PolicyArn, nil)
	if err != nil {
		return nil, err
	}
	return &PolicyOutput{apiPolicy(s, p)}, nil
}

// ListPoliciesInput chooses managed policies.
type ListPoliciesInput struct {
	Scope             *string // All, AWS or Local
	OnlyAttached      *bool
	PathPrefix        *string
	PolicyUsageFilter *string
	Marker            *string
	MaxItems          *int
}

// ListPoliciesOutput is a list of managed policies.
type ListPoliciesOutput struct {
	Policies    []Policy
	IsTruncated bool
	Marker      *string
}

// ListPolicies lists the managed policies: all of them are the account's own.
func (a *API) ListPolicies(_ context.Context, c *awsapi.Call, in *ListPoliciesInput) (*ListPoliciesOutput, error) {
	s := a.plane.State()
	if err := c.Authorize("iam:ListPolicies", "*"); err != nil {
		return nil, err
	}
	for _, m := range []struct {
		name  string
		value *string
		words []string
	}{{"scope", in.Scope, []string{"All", "AWS", "Local"}}, {"policyUsageFilter", in.PolicyUsageFilter, []string{"PermissionsPolicy", "PermissionsBoundary"}}} {
		if m.value != nil && !slices.Contains(m.words, *m.value) {
			return nil, invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]", *m.value, m.name, strings.Join(m.words, ", "))
		}
	}
	all := []Policy{}
	for _, row := range s.Policies.All() {
		p := apiPolicy(s, row)
		p.Tags = nil
		if awsapi.Value(in.Scope) != "AWS" && strings.HasPrefix(p.Path, awsapi.Value(in.PathPrefix)) &&
			(in.OnlyAttached == nil || !*in.OnlyAttached || p.AttachmentCount > 0) && awsapi.Value(in.PolicyUsageFilter) != "PermissionsBoundary" {
			all = append(all, p)
		}
	}
	page, more, marker, err := paginate(all, Page{in.Marker, in.MaxItems}, func(p Policy) string { return p.Arn })
	if err != nil {
		return nil, err
	}
	return &ListPoliciesOutput{page, more, marker}, nil
}

// DeletePolicy removes a policy that nobody has, and of which one version is left.
func (a *API) DeletePolicy(ctx context.Context, c *awsapi.Call, in *PolicyArnInput) error {
	return a.update(ctx, func(tx *controlplane.Tx) error {
		s := tx.State()
		p, err := findPolicy(s, c, "DeletePolicy", in.PolicyArn, nil)
		switch {
		case err != nil:
			return err
		case attachments(s, p.ARN) > 0:
			return conflict("Cannot delete a policy attached to entities.")
		case len(p.Versions) > 1:
			return conflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		tx.Policies.Delete(p.ARN)
		return nil
	})
}

// PolicyVersion is one version of a managed policy.
type PolicyVersion struct {
	Document         *string // percent-encoded; lists come without
	VersionID        string  `aws:"name=VersionId"`
	IsDefaultVersion bool
	CreateDate       time.Time
}

// PolicyVersionOutput is one version.
type PolicyVersionOutput struct{ PolicyVersion PolicyVersion }

// CreatePolicyVersionInput is the input of CreatePolicyVersion.
type CreatePolicyVersionInput struct {
	PolicyArn      string `aws:"required"`
	PolicyDocument string `aws:"required"`
	SetAsDefault   *bool
}

// maxVersions is how many versions a policy has at most.
const maxVersions = 5

// CreatePolicyVersion adds a version, which comes into force if that is said.
func (a *API) CreatePolicyVersion(ctx context.Context, c *awsapi.Call, in *CreatePolicyVersionInput) (*PolicyVersionOutput, error) {
	if err := checkManaged(in.PolicyDocument); err != nil {
		return nil, err
	}
	var added controlplane.PolicyVersion
	err := a.changePolicy(ctx, c, "CreatePolicyVersion", in.PolicyArn, nil, func(_ *controlplane.State, p *controlplane.Policy) error {
		if len(p.Versions) >= maxVersions {
			return limit("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		last := 0
		for _, v := range p.Versions {
			n, _ := strconv.Atoi(v.ID[1:])
			last = max(last, n)
		}
		added = controlplane.PolicyVersion{ID: "v" + strconv.Itoa(last+1), Document: in.PolicyDocument, Created: a.now().UTC()}
		p.Versions = append(p.Versions, added)
		if in.SetAsDefault != nil && *in.SetAsDefault {
			added.Default = true
			setDefault(p, added.ID, a.now().UTC())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &PolicyVersionOutput{PolicyVersion{VersionID: added.ID, IsDefaultVersion: added.Default, CreateDate: added.Created}}, nil
}

func setDefault(p *controlplane.Policy, id string, now time.Time) {
	for i := range p.Versions {
		p.Versions[i].Default = p.Versions[i].ID == id
	}
	p.Updated = now
}

// PolicyVersionInput names a version.
type PolicyVersionInput struct {
	PolicyArn string `aws:"required"`
	VersionID string `aws:"name=VersionId,required"`
}

func version(p *controlplane.Policy, id string) (int, error) {
	i := slices.IndexFunc(p.Versions, func(v controlplane.PolicyVersion) bool { return v.ID == id })
	if i < 0 {
		return 0, noSuch("Policy %s version %s does not exist or is not attachable.", p.ARN, id)
	}
	return i, nil
}

// GetPolicyVersion returns a version with its document.
func (a *API) GetPolicyVersion(_ context.Context, c *awsapi.Call, in *PolicyVersionInput) (*PolicyVersionOutput, error) {
	p, err := findPolicy(a.plane.State(), c, "GetPolicyVersion", in.PolicyArn, nil)
	if err != nil {
		return nil, err
	}
	i, err := version(p, in.VersionID)
	if err != nil {
		return nil, err
	}
	v := p.Versions[i]
	document := encoded(v.Document)
	return &PolicyVersionOutput{PolicyVersion{&document, v.ID, v.Default, v.Created}}, nil
}

// PagedPolicyInput names a policy, and cuts a list.
type PagedPolicyInput struct {
	PolicyArn string `aws:"required"`
	Marker    *string
	MaxItems  *int
}

// ListPolicyVersionsOutput is a list of versions.
type ListPolicyVersionsOutput struct {
	Versions    []PolicyVersion
	IsTruncated bool
	Marker      *string
}

// ListPolicyVersions lists the versions, oldest first.
func (a *API) ListPolicyVersions(_ context.Context, c *awsapi.Call, in *PagedPolicyInput) (*ListPolicyVersionsOutput, error) {
	p, err := findPolicy(a.plane.State(), c, "ListPolicyVersions", in.PolicyArn, nil)
	if err != nil {
		return nil, err
	}
	out := &ListPolicyVersionsOutput{Versions: []PolicyVersion{}} // at most five: always one page
	for _, v := range p.Versions {
		out.Versions = append(out.Versions, PolicyVersion{nil, v.ID, v.Default, v.Created})
	}
	return out, nil
}

// DeletePolicyVersion removes a version that is not in force.
func (a *API) DeletePolicyVersion(ctx context.Context, c *awsapi.Call, in *PolicyVersionInput) error {
	return a.changePolicy(ctx, c, "DeletePolicyVersion", in.PolicyArn, nil, func(_ *controlplane.State, p *controlplane.Policy) error {
		i, err := version(p, in.VersionID)
		if err != nil {
			return err
		}
		if p.Versions[i].Default {
			return conflict("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		return nil
	})
}

// SetDefaultPolicyVersion puts a version in force.
func (a *API) SetDefaultPolicyVersion(ctx context.Context, c *awsapi.Call, in *PolicyVersionInput) error {
	return a.changePolicy(ctx, c, "SetDefaultPolicyVersion", in.PolicyArn, nil, func(_ *controlplane.State, p *controlplane.Policy) error {
		if _, err := version(p, in.VersionID); err != nil {
			return err
		}
		setDefault(p, in.VersionID, a.now().UTC())
		return nil
	})
}

// TagPolicyInput is the input of TagPolicy.
type TagPolicyInput struct {
	PolicyArn string `aws:"required"`
	Tags      []Tag  `aws:"required"`
}

// TagPolicy sets tags.
func (a *API) TagPolicy(ctx context.Context, c *awsapi.Call, in *TagPolicyInput) error {
	return a.changePolicy(ctx, c, "TagPolicy", in.PolicyArn, tagKeys(in.Tags), func(_ *controlplane.State, p *controlplane.Policy) (err error) {
		p.Tags, err = setTags(p.Tags, in.Tags)
		return err
	})
}

// UntagPolicyInput is the input of UntagPolicy.
type UntagPolicyInput struct {
	PolicyArn string   `aws:"required"`
	TagKeys   []string `aws:"required"`
}

// UntagPolicy removes tags.
func (a *API) UntagPolicy(ctx context.Context, c *awsapi.Call, in *UntagPolicyInput) error {
	return a.changePolicy(ctx, c, "UntagPolicy", in.PolicyArn, map[string][]string{"aws:TagKeys": in.TagKeys}, func(_ *controlplane.State, p *controlplane.Policy) error {
		p.Tags = unsetTags(p.Tags, in.TagKeys)
		return nil
	})
}

// ListPolicyTags lists tags.
func (a *API) ListPolicyTags(_ context.Context, c *awsapi.Call, in *PagedPolicyInput) (*Tags, error) {
	p, err := findPolicy(a.plane.State(), c, "ListPolicyTags", in.PolicyArn, nil)
	if err != nil {
		return nil, err
	}
	return tagPage(p.Tags, Page{in.Marker, in.MaxItems})
}
