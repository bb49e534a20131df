// Package iamapi is the part of the APIs of IAM (2010-05-08) and STS (2011-06-15) that proxies and their clients need:
// users with access keys, roles with trust policies, inline and managed policies, AssumeRole, GetCallerIdentity. Groups,
// instance profiles, identity providers and the rest are refused as unknown actions.
package iamapi

import (
	"context"
	"net/http"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
)

// API serves the operations of both services.
type API struct {
	// Static after New.
	plane *controlplane.Plane
	ring  *controlplane.Keyring
	ids   *identity.Registry
	now   func() time.Time
}

// New returns the APIs over plane's users and roles, whose keys ring seals.
func New(plane *controlplane.Plane, ring *controlplane.Keyring, ids *identity.Registry, now func() time.Time) *API {
	return &API{plane: plane, ring: ring, ids: ids, now: now}
}

// IAM lists the operations of IAM.
func (a *API) IAM() *awsapi.Service {
	return &awsapi.Service{
		Name: "iam", Protocol: awsapi.Query, Version: "2010-05-08", Namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
		Operations: map[string]awsapi.Operation{
			"CreateUser": awsapi.Op(a.CreateUser), "GetUser": awsapi.Op(a.GetUser), "ListUsers": awsapi.Op(a.ListUsers),
			"DeleteUser": awsapi.Silent(a.DeleteUser), "ListGroupsForUser": awsapi.Op(a.ListGroupsForUser),
			"TagUser": awsapi.Silent(a.TagUser), "UntagUser": awsapi.Silent(a.UntagUser), "ListUserTags": awsapi.Op(a.ListUserTags),
			"PutUserPolicy": awsapi.Silent(a.PutUserPolicy), "GetUserPolicy": awsapi.Op(a.GetUserPolicy),
			"ListUserPolicies": awsapi.Op(a.ListUserPolicies), "DeleteUserPolicy": awsapi.Silent(a.DeleteUserPolicy),
			"AttachUserPolicy": awsapi.Silent(a.AttachUserPolicy), "DetachUserPolicy": awsapi.Silent(a.DetachUserPolicy),
			"ListAttachedUserPolicies": awsapi.Op(a.ListAttachedUserPolicies),

			"CreateAccessKey": awsapi.Op(a.CreateAccessKey), "ListAccessKeys": awsapi.Op(a.ListAccessKeys),
			"UpdateAccessKey": awsapi.Silent(a.UpdateAccessKey), "DeleteAccessKey": awsapi.Silent(a.DeleteAccessKey),

			"CreateRole": awsapi.Op(a.CreateRole), "GetRole": awsapi.Op(a.GetRole), "ListRoles": awsapi.Op(a.ListRoles),
			"DeleteRole": awsapi.Silent(a.DeleteRole), "UpdateRole": awsapi.Op(a.UpdateRole),
			"UpdateRoleDescription": awsapi.Op(a.UpdateRoleDescription), "UpdateAssumeRolePolicy": awsapi.Silent(a.UpdateAssumeRolePolicy),
			"TagRole": awsapi.Silent(a.TagRole), "UntagRole": awsapi.Silent(a.UntagRole), "ListRoleTags": awsapi.Op(a.ListRoleTags),
			"PutRolePolicy": awsapi.Silent(a.PutRolePolicy), "GetRolePolicy": awsapi.Op(a.GetRolePolicy),
			"ListRolePolicies": awsapi.Op(a.ListRolePolicies), "DeleteRolePolicy": awsapi.Silent(a.DeleteRolePolicy),
			"AttachRolePolicy": awsapi.Silent(a.AttachRolePolicy), "DetachRolePolicy": awsapi.Silent(a.DetachRolePolicy),
			"ListAttachedRolePolicies":    awsapi.Op(a.ListAttachedRolePolicies),
			"ListInstanceProfilesForRole": awsapi.Op(a.ListInstanceProfilesForRole),

			"CreatePolicy": awsapi.Op(a.CreatePolicy), "GetPolicy": awsapi.Op(a.GetPolicy), "ListPolicies": awsapi.Op(a.ListPolicies),
			"DeletePolicy": awsapi.Silent(a.DeletePolicy), "CreatePolicyVersion": awsapi.Op(a.CreatePolicyVersion),
			"GetPolicyVersion": awsapi.Op(a.GetPolicyVersion), "ListPolicyVersions": awsapi.Op(a.ListPolicyVersions),
			"DeletePolicyVersion":     awsapi.Silent(a.DeletePolicyVersion),
			"SetDefaultPolicyVersion": awsapi.Silent(a.SetDefaultPolicyVersion),
			"TagPolicy":               awsapi.Silent(a.TagPolicy), "UntagPolicy": awsapi.Silent(a.UntagPolicy), "ListPolicyTags": awsapi.Op(a.ListPolicyTags),
		},
	}
}

// STS lists the operations of STS.
func (a *API) STS() *awsapi.Service {
	return &awsapi.Service{
		Name: "sts", Protocol: awsapi.Query, Version: "2011-06-15", Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		Operations: map[string]awsapi.Operation{
			"GetCallerIdentity": awsapi.Op(a.GetCallerIdentity), "AssumeRole": awsapi.Op(a.AssumeRole),
		},
	}
}

func refuse(status int, code, format string, args ...any) error {
	return awsapi.Errorf(status, code, format, args...)
}

func noSuch(format string, args ...any) error {
	return refuse(http.StatusNotFound, "NoSuchEntity", format, args...)
}

func exists(format string, args ...any) error {
	return refuse(http.StatusConflict, "EntityAlreadyExists", format, args...)
}

func invalid(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "ValidationError", format, args...)
}

func malformed(err error) error {
	return refuse(http.StatusBadRequest, "MalformedPolicyDocument", "%v", err)
}

func conflict(format string, args ...any) error {
	return refuse(http.StatusConflict, "DeleteConflict", format, args...)
}

func limit(format string, args ...any) error {
	return refuse(http.StatusConflict, "LimitExceeded", format, args...)
}

// update is Plane.Update without the state.
func (a *API) update(ctx context.Context, fn func(tx *controlplane.Tx) error) error {
	_, err := a.plane.Update(ctx, fn)
	return err
}
