package iamapi

import (
	"context"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
	"forebay/internal/policy"
)

// Role is an IAM role.
type Role struct {
	Path                     string
	RoleName                 string
	RoleID                   string `aws:"name=RoleId"`
	Arn                      string
	CreateDate               time.Time
	AssumeRolePolicyDocument string // percent-encoded
	Description              *string
	MaxSessionDuration       int
	Tags                     []Tag
}

// RoleOutput is one role.
type RoleOutput struct{ Role Role }

func apiRole(s *controlplane.State, r *controlplane.Role) Role {
	return Role{
		r.Path, r.Name, r.ID, identity.RoleARN(s.Account().ID, r), r.Created, encoded(r.Trust), awsapi.Optional(r.Description),
		r.MaxSessionDuration, apiTags(r.Tags),
	}
}

// CreateRoleInput is the input of CreateRole.
type CreateRoleInput struct {
	RoleName                 string `aws:"required"`
	AssumeRolePolicyDocument string `aws:"required"`
	Path                     *string
	Description              *string
	MaxSessionDuration       *int
	PermissionsBoundary      *string
	Tags                     []Tag
}

// CreateRole makes a role, which may do nothing yet.
func (a *API) CreateRole(ctx context.Context, c *awsapi.Call, in *CreateRoleInput) (*RoleOutput, error) {
	if err := checkName("roleName", in.RoleName, 64); err != nil {
		return nil, err
	}
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	if in.PermissionsBoundary != nil {
		return nil, invalid("Forebay has no permissions boundaries: leave PermissionsBoundary out.")
	}
	if err := checkTrust(in.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	longest, err := sessionLimit(in.MaxSessionDuration, 3600)
	if err != nil {
		return nil, err
	}
	if err := checkDescription(in.Description); err != nil {
		return nil, err
	}
	tags, err := setTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	out := &RoleOutput{}
	err = a.update(ctx, func(tx *controlplane.Tx) error {
		r := &controlplane.Role{
			Name: in.RoleName, Path: path, ID: "AROA" + identity.RandomID(16), Description: awsapi.Value(in.Description), Created: a.now().UTC(),
			Trust: in.AssumeRolePolicyDocument, MaxSessionDuration: longest, Tags: tags,
		}
		s := tx.State()
		if err := mayCreate(c, "Role", identity.RoleARN(s.Account().ID, r), in.Tags); err != nil {
			return err
		}
		key := strings.ToLower(in.RoleName)
		if tx.Roles.Get(key) != nil {
			return exists("Role with name %s already exists.", in.RoleName)
		}
		tx.Roles.Put(key, r)
		out.Role = apiRole(s, r)
		return nil
	})
	return out, err
}

func checkTrust(document string) error {
	doc, err := policy.Parse(policy.Trust, []byte(document))
	if err != nil {
		return malformed(err)
	}
	if doc.Size() > policy.MaxSizeTrust {
		return limit("Cannot exceed quota for ACLSizePerRole: %d", policy.MaxSizeTrust)
	}
	return nil
}

func sessionLimit(seconds *int, otherwise int) (int, error) {
	if seconds == nil {
		return otherwise, nil
	}
	if *seconds < 3600 || *seconds > 43200 {
		return 0, invalid("1 validation error detected: Value '%d' at 'maxSessionDuration' failed to satisfy constraint: Member must have value between 3600 and 43200", *seconds)
	}
	return *seconds, nil
}

// RoleNameInput names a role.
type RoleNameInput struct {
	RoleName string `aws:"required"`
}

// GetRole describes a role.
func (a *API) GetRole(_ context.Context, c *awsapi.Call, in *RoleNameInput) (*RoleOutput, error) {
	s := a.plane.State()
	if _, err := roles.find(s, c, "GetRole", in.RoleName, nil); err != nil {
		return nil, err
	}
	return &RoleOutput{apiRole(s, s.Roles.Get(strings.ToLower(in.RoleName)))}, nil
}

// ListRolesOutput is a list of roles.
type ListRolesOutput struct {
	Roles       []Role
	IsTruncated bool
	Marker      *string
}

// ListRoles lists the roles.
func (a *API) ListRoles(_ context.Context, c *awsapi.Call, in *ListInput) (*ListRolesOutput, error) {
	s := a.plane.State()
	if err := c.Authorize("iam:ListRoles", "arn:aws:iam::"+s.Account().ID+":role/"); err != nil {
		return nil, err
	}
	all := []Role{}
	for _, r := range s.Roles.All() {
		if strings.HasPrefix(r.Path, awsapi.Value(in.PathPrefix)) {
			role := apiRole(s, r)
			role.Tags = nil // as in AWS: lists come without
			all = append(all, role)
		}
	}
	page, more, marker, err := paginate(all, Page{in.Marker, in.MaxItems}, func(r Role) string { return strings.ToLower(r.RoleName) })
	if err != nil {
		return nil, err
	}
	return &ListRolesOutput{page, more, marker}, nil
}

// DeleteRole removes a role that has no policies left. A proxy that had it can read no secret from then on.
func (a *API) DeleteRole(ctx context.Context, c *awsapi.Call, in *RoleNameInput) error {
	return a.update(ctx, func(tx *controlplane.Tx) error {
		h, err := roles.find(tx.State(), c, "DeleteRole", in.RoleName, nil)
		switch {
		case err != nil:
			return err
		case len(h.inline) > 0:
			return conflict("Cannot delete entity, must delete policies first.")
		case len(h.attached) > 0:
			return conflict("Cannot delete entity, must detach all policies first.")
		}
		tx.Roles.Delete(strings.ToLower(in.RoleName))
		return nil
	})
}

// UpdateRoleInput is the input of UpdateRole.
type UpdateRoleInput struct {
	RoleName           string `aws:"required"`
	Description        *string
	MaxSessionDuration *int
}

// changeRole has fn change a copy of the role.
func (a *API) changeRole(ctx context.Context, c *awsapi.Call, operation, name string, fn func(r *controlplane.Role) error) (*controlplane.State, error) {
	return a.plane.Update(ctx, func(tx *controlplane.Tx) error {
		if _, err := roles.find(tx.State(), c, operation, name, nil); err != nil {
			return err
		}
		r := *tx.Roles.Get(strings.ToLower(name))
		if err := fn(&r); err != nil {
			return err
		}
		tx.Roles.Put(strings.ToLower(name), &r)
		return nil
	})
}

// UpdateRole changes a role's description and the longest session.
func (a *API) UpdateRole(ctx context.Context, c *awsapi.Call, in *UpdateRoleInput) (*struct{}, error) {
	if err := checkDescription(in.Description); err != nil {
		return nil, err
	}
	_, err := a.changeRole(ctx, c, "UpdateRole", in.RoleName, func(r *controlplane.Role) (err error) {
		if in.Description != nil {
			r.Description = *in.Description
		}
		r.MaxSessionDuration, err = sessionLimit(in.MaxSessionDuration, r.MaxSessionDuration)
		return err
	})
	return &struct{}{}, err
}

// UpdateRoleDescriptionInput is the input of UpdateRoleDescription.
type UpdateRoleDescriptionInput struct {
	RoleName    string `aws:"required"`
	Description string `aws:"required"`
}

// UpdateRoleDescription changes a role's description.
func (a *API) UpdateRoleDescription(ctx context.Context, c *awsapi.Call, in *UpdateRoleDescriptionInput) (*RoleOutput, error) {
	if err := checkDescription(&in.Description); err != nil {
		return nil, err
	}
	s, err := a.changeRole(ctx, c, "UpdateRoleDescription", in.RoleName, func(r *controlplane.Role) error {
		r.Description = in.Description
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &RoleOutput{apiRole(s, s.Roles.Get(strings.ToLower(in.RoleName)))}, nil
}

// UpdateAssumeRolePolicyInput is the input of UpdateAssumeRolePolicy.
type UpdateAssumeRolePolicyInput struct {
	RoleName       string `aws:"required"`
	PolicyDocument string `aws:"required"`
}

// UpdateAssumeRolePolicy changes who may assume the role.
func (a *API) UpdateAssumeRolePolicy(ctx context.Context, c *awsapi.Call, in *UpdateAssumeRolePolicyInput) error {
	if err := checkTrust(in.PolicyDocument); err != nil {
		return err
	}
	_, err := a.changeRole(ctx, c, "UpdateAssumeRolePolicy", in.RoleName, func(r *controlplane.Role) error {
		r.Trust = in.PolicyDocument
		return nil
	})
	return err
}

// TagRoleInput is the input of TagRole.
type TagRoleInput struct {
	RoleName string `aws:"required"`
	Tags     []Tag  `aws:"required"`
}

// TagRole sets tags.
func (a *API) TagRole(ctx context.Context, c *awsapi.Call, in *TagRoleInput) error {
	return a.tag(ctx, c, roles, "TagRole", in.RoleName, in.Tags)
}

// UntagRoleInput is the input of UntagRole.
type UntagRoleInput struct {
	RoleName string   `aws:"required"`
	TagKeys  []string `aws:"required"`
}

// UntagRole removes tags.
func (a *API) UntagRole(ctx context.Context, c *awsapi.Call, in *UntagRoleInput) error {
	return a.untag(ctx, c, roles, "UntagRole", in.RoleName, in.TagKeys)
}

// PagedRoleInput names a role, and cuts a list.
type PagedRoleInput struct {
	RoleName string `aws:"required"`
	Marker   *string
	MaxItems *int
}

// ListRoleTags lists tags.
func (a *API) ListRoleTags(_ context.Context, c *awsapi.Call, in *PagedRoleInput) (*Tags, error) {
	return a.listTags(c, roles, "ListRoleTags", in.RoleName, Page{in.Marker, in.MaxItems})
}

// PutRolePolicyInput is the input of PutRolePolicy.
type PutRolePolicyInput struct {
	RoleName       string `aws:"required"`
	PolicyName     string `aws:"required"`
	PolicyDocument string `aws:"required"`
}

// PutRolePolicy sets an inline policy.
func (a *API) PutRolePolicy(ctx context.Context, c *awsapi.Call, in *PutRolePolicyInput) error {
	return a.putPolicy(ctx, c, roles, "PutRolePolicy", in.RoleName, in.PolicyName, in.PolicyDocument)
}

// RolePolicyInput names an inline policy.
type RolePolicyInput struct {
	RoleName   string `aws:"required"`
	PolicyName string `aws:"required"`
}

// RolePolicyOutput is an inline policy.
type RolePolicyOutput struct{ RoleName, PolicyName, PolicyDocument string }

// GetRolePolicy returns an inline policy.
func (a *API) GetRolePolicy(_ context.Context, c *awsapi.Call, in *RolePolicyInput) (*RolePolicyOutput, error) {
	h, document, err := a.getPolicy(c, roles, "GetRolePolicy", in.RoleName, in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &RolePolicyOutput{h.name, in.PolicyName, document}, nil
}

// ListRolePolicies lists the names of the inline policies.
func (a *API) ListRolePolicies(_ context.Context, c *awsapi.Call, in *PagedRoleInput) (*PolicyNames, error) {
	return a.listPolicies(c, roles, "ListRolePolicies", in.RoleName, Page{in.Marker, in.MaxItems})
}

// DeleteRolePolicy removes an inline policy.
func (a *API) DeleteRolePolicy(ctx context.Context, c *awsapi.Call, in *RolePolicyInput) error {
	return a.deletePolicy(ctx, c, roles, "DeleteRolePolicy", in.RoleName, in.PolicyName)
}

// RolePolicyArnInput names a managed policy that a role gets or loses.
type RolePolicyArnInput struct {
	RoleName  string `aws:"required"`
	PolicyArn string `aws:"required"`
}

// AttachRolePolicy gives a role a managed policy.
func (a *API) AttachRolePolicy(ctx context.Context, c *awsapi.Call, in *RolePolicyArnInput) error {
	return a.attach(ctx, c, roles, "AttachRolePolicy", in.RoleName, in.PolicyArn)
}

// DetachRolePolicy takes a managed policy away.
func (a *API) DetachRolePolicy(ctx context.Context, c *awsapi.Call, in *RolePolicyArnInput) error {
	return a.detach(ctx, c, roles, "DetachRolePolicy", in.RoleName, in.PolicyArn)
}

// ListAttachedRolePoliciesInput names a role, and chooses policies by the beginning of their path.
type ListAttachedRolePoliciesInput struct {
	RoleName   string `aws:"required"`
	PathPrefix *string
	Marker     *string
	MaxItems   *int
}

// ListAttachedRolePolicies lists the managed policies of a role.
func (a *API) ListAttachedRolePolicies(_ context.Context, c *awsapi.Call, in *ListAttachedRolePoliciesInput) (*AttachedPolicies, error) {
	return a.listAttached(c, roles, "ListAttachedRolePolicies", in.RoleName, in.PathPrefix, Page{in.Marker, in.MaxItems})
}

// InstanceProfilesOutput is a list of instance profiles, of which there are none.
type InstanceProfilesOutput struct {
	InstanceProfiles []string
	IsTruncated      bool
}

// ListInstanceProfilesForRole finds none: there are no instances. Terraform asks before it deletes a role.
func (a *API) ListInstanceProfilesForRole(_ context.Context, c *awsapi.Call, in *PagedRoleInput) (*InstanceProfilesOutput, error) {
	if _, err := roles.find(a.plane.State(), c, "ListInstanceProfilesForRole", in.RoleName, nil); err != nil {
		return nil, err
	}
	return &InstanceProfilesOutput{InstanceProfiles: []string{}}, nil
}
