package iamapi

import (
	"context"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
)

// User is an IAM user.
type User struct {
	Path       string
	UserName   string
	UserID     string `aws:"name=UserId"`
	Arn        string
	CreateDate time.Time
	Tags       []Tag
}

// UserOutput is one user.
type UserOutput struct{ User User }

func apiUser(s *controlplane.State, u *controlplane.User) User {
	return User{u.Path, u.Name, u.ID, identity.UserARN(s.Account().ID, u), u.Created, apiTags(u.Tags)}
}

// CreateUserInput is the input of CreateUser.
type CreateUserInput struct {
	UserName            string `aws:"required"`
	Path                *string
	Tags                []Tag
	PermissionsBoundary *string
}

// CreateUser makes a user, who may do nothing yet.
func (a *API) CreateUser(ctx context.Context, c *awsapi.Call, in *CreateUserInput) (*UserOutput, error) {
	if err := checkName("userName", in.UserName, 64); err != nil {
		return nil, err
	}
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	if in.PermissionsBoundary != nil {
		return nil, invalid("Forebay has no permissions boundaries: leave PermissionsBoundary out.")
	}
	tags, err := setTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	out := &UserOutput{}
	err = a.update(ctx, func(tx *controlplane.Tx) error {
		u := &controlplane.User{Name: in.UserName, Path: path, ID: "AIDA" + identity.RandomID(16), Created: a.now().UTC(), Tags: tags}
		s := tx.State()
		if err := mayCreate(c, "User", identity.UserARN(s.Account().ID, u), in.Tags); err != nil {
			return err
		}
		key := strings.ToLower(in.UserName)
		if tx.Users.Get(key) != nil {
			return exists("User with name %s already exists.", in.UserName)
		}
		tx.Users.Put(key, u)
		out.User = apiUser(s, u)
		return nil
	})
	return out, err
}

// UserInput names a user. Without a name it is the caller.
type UserInput struct{ UserName *string }

func (in *UserInput) name(c *awsapi.Call) string {
	if in.UserName != nil {
		return *in.UserName
	}
	if p, ok := c.Caller.(*identity.Principal); ok {
		return p.User()
	}
	return ""
}

// GetUser describes a user. Root is asked for by nobody's name but its own.
func (a *API) GetUser(_ context.Context, c *awsapi.Call, in *UserInput) (*UserOutput, error) {
	s := a.plane.State()
	name := in.name(c)
	if name == "" {
		if p, ok := c.Caller.(*identity.Principal); ok && p.Root() {
			return &UserOutput{User{Path: "/", UserID: p.UserID(), Arn: p.ARN(), CreateDate: s.Account().Made}}, nil
		}
		return nil, invalid("Must specify userName when calling with non-User credentials")
	}
	if _, err := users.find(s, c, "GetUser", name, nil); err != nil {
		return nil, err
	}
	return &UserOutput{apiUser(s, s.Users.Get(strings.ToLower(name)))}, nil
}

// ListInput chooses users or roles by the beginning of their path.
type ListInput struct {
	PathPrefix *string
	Marker     *string
	MaxItems   *int
}

// ListUsersOutput is a list of users.
type ListUsersOutput struct {
	Users       []User
	IsTruncated bool
	Marker      *string
}

// ListUsers lists the users.
func (a *API) ListUsers(_ context.Context, c *awsapi.Call, in *ListInput) (*ListUsersOutput, error) {
	s := a.plane.State()
	if err := c.Authorize("iam:ListUsers", "arn:aws:iam::"+s.Account().ID+":user/"); err != nil {
		return nil, err
	}
	all := []User{}
	for _, u := range s.Users.All() {
		if strings.HasPrefix(u.Path, awsapi.Value(in.PathPrefix)) {
			user := apiUser(s, u)
			user.Tags = nil // as in AWS: lists come without
			all = append(all, user)
		}
	}
	page, more, marker, err := paginate(all, Page{in.Marker, in.MaxItems}, func(u User) string { return strings.ToLower(u.UserName) })
	if err != nil {
		return nil, err
	}
	return &ListUsersOutput{page, more, marker}, nil
}

// UserNameInput names a user.
type UserNameInput struct {
	UserName string `aws:"required"`
}

// DeleteUser removes a user who has neither keys nor policies left.
func (a *API) DeleteUser(ctx context.Context, c *awsapi.Call, in *UserNameInput) error {
	return a.update(ctx, func(tx *controlplane.Tx) error {
		h, err := users.find(tx.State(), c, "DeleteUser", in.UserName, nil)
		if err != nil {
			return err
		}
		key := strings.ToLower(in.UserName)
		switch {
		case len(tx.Users.Get(key).Keys) > 0:
			return conflict("Cannot delete entity, must delete access keys first.")
		case len(h.inline) > 0:
			return conflict("Cannot delete entity, must delete policies first.")
		case len(h.attached) > 0:
			return conflict("Cannot delete entity, must detach all policies first.")
		}
		tx.Users.Delete(key)
		return nil
	})
}

// GroupsOutput is a list of groups, of which there are none.
type GroupsOutput struct {
	Groups      []string
	IsTruncated bool
}

// PagedUserInput names a user, and cuts a list.
type PagedUserInput struct {
	UserName string `aws:"required"`
	Marker   *string
	MaxItems *int
}

// ListGroupsForUser finds none: there are no groups. Terraform asks before it deletes a user.
func (a *API) ListGroupsForUser(_ context.Context, c *awsapi.Call, in *PagedUserInput) (*GroupsOutput, error) {
	if _, err := users.find(a.plane.State(), c, "ListGroupsForUser", in.UserName, nil); err != nil {
		return nil, err
	}
	return &GroupsOutput{Groups: []string{}}, nil
}

// TagUserInput is the input of TagUser.
type TagUserInput struct {
	UserName string `aws:"required"`
	Tags     []Tag  `aws:"required"`
}

// TagUser sets tags.
func (a *API) TagUser(ctx context.Context, c *awsapi.Call, in *TagUserInput) error {
	return a.tag(ctx, c, users, "TagUser", in.UserName, in.Tags)
}

// UntagUserInput is the input of UntagUser.
type UntagUserInput struct {
	UserName string   `aws:"required"`
	TagKeys  []string `aws:"required"`
}

// UntagUser removes tags.
func (a *API) UntagUser(ctx context.Context, c *awsapi.Call, in *UntagUserInput) error {
	return a.untag(ctx, c, users, "UntagUser", in.UserName, in.TagKeys)
}

// ListUserTags lists tags.
func (a *API) ListUserTags(_ context.Context, c *awsapi.Call, in *PagedUserInput) (*Tags, error) {
	return a.listTags(c, users, "ListUserTags", in.UserName, Page{in.Marker, in.MaxItems})
}

// PutUserPolicyInput is the input of PutUserPolicy.
type PutUserPolicyInput struct {
	UserName       string `aws:"required"`
	PolicyName     string `aws:"required"`
	PolicyDocument string `aws:"required"`
}

// PutUserPolicy sets an inline policy.
func (a *API) PutUserPolicy(ctx context.Context, c *awsapi.Call, in *PutUserPolicyInput) error {
	return a.putPolicy(ctx, c, users, "PutUserPolicy", in.UserName, in.PolicyName, in.PolicyDocument)
}

// UserPolicyInput names an inline policy.
type UserPolicyInput struct {
	UserName   string `aws:"required"`
	PolicyName string `aws:"required"`
}

// UserPolicyOutput is an inline policy.
type UserPolicyOutput struct{ UserName, PolicyName, PolicyDocument string }

// GetUserPolicy returns an inline policy.
func (a *API) GetUserPolicy(_ context.Context, c *awsapi.Call, in *UserPolicyInput) (*UserPolicyOutput, error) {
	h, document, err := a.getPolicy(c, users, "GetUserPolicy", in.UserName, in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &UserPolicyOutput{h.name, in.PolicyName, document}, nil
}

// ListUserPolicies lists the names of the inline policies.
func (a *API) ListUserPolicies(_ context.Context, c *awsapi.Call, in *PagedUserInput) (*PolicyNames, error) {
	return a.listPolicies(c, users, "ListUserPolicies", in.UserName, Page{in.Marker, in.MaxItems})
}

// DeleteUserPolicy removes an inline policy.
func (a *API) DeleteUserPolicy(ctx context.Context, c *awsapi.Call, in *UserPolicyInput) error {
	return a.deletePolicy(ctx, c, users, "DeleteUserPolicy", in.UserName, in.PolicyName)
}

// UserPolicyArnInput names a managed policy that a user gets or loses.
type UserPolicyArnInput struct {
	UserName  string `aws:"required"`
	PolicyArn string `aws:"required"`
}

// AttachUserPolicy gives a user a managed policy.
func (a *API) AttachUserPolicy(ctx context.Context, c *awsapi.Call, in *UserPolicyArnInput) error {
	return a.attach(ctx, c, users, "AttachUserPolicy", in.UserName, in.PolicyArn)
}

// DetachUserPolicy takes a managed policy away.
func (a *API) DetachUserPolicy(ctx context.Context, c *awsapi.Call, in *UserPolicyArnInput) error {
	return a.detach(ctx, c, users, "DetachUserPolicy", in.UserName, in.PolicyArn)
}

// ListAttachedUserPoliciesInput names a user, and chooses policies by the beginning of their path.
type ListAttachedUserPoliciesInput struct {
	UserName   string `aws:"required"`
	PathPrefix *string
	Marker     *string
	MaxItems   *int
}

// ListAttachedUserPolicies lists the managed policies of a user.
func (a *API) ListAttachedUserPolicies(_ context.Context, c *awsapi.Call, in *ListAttachedUserPoliciesInput) (*AttachedPolicies, error) {
	return a.listAttached(c, users, "ListAttachedUserPolicies", in.UserName, in.PathPrefix, Page{in.Marker, in.MaxItems})
}
