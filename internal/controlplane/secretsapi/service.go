// Package secretsapi is the API of AWS Secrets Manager over the control plane's secrets (API version 2017-10-17). What it
// does not serve (replicas, rotation by a Lambda function) it refuses, in AWS's terms.
package secretsapi

import (
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// API serves the operations.
type API struct {
	// Static after New.
	plane *controlplane.Plane
	ring  *controlplane.Keyring
	now   func() time.Time
}

// New returns the API over the secrets of plane, whose contents ring seals.
func New(plane *controlplane.Plane, ring *controlplane.Keyring, now func() time.Time) *API {
	return &API{plane: plane, ring: ring, now: now}
}

// Service lists the operations.
func (a *API) Service() *awsapi.Service {
	return &awsapi.Service{
		Name: "secretsmanager", Protocol: awsapi.JSON, Version: "2017-10-17", Target: "secretsmanager",
		Operations: map[string]awsapi.Operation{
			"CreateSecret":             awsapi.Op(a.CreateSecret),
			"GetSecretValue":           awsapi.Op(a.GetSecretValue),
			"PutSecretValue":           awsapi.Op(a.PutSecretValue),
			"UpdateSecret":             awsapi.Op(a.UpdateSecret),
			"DescribeSecret":           awsapi.Op(a.DescribeSecret),
			"ListSecrets":              awsapi.Op(a.ListSecrets),
			"ListSecretVersionIds":     awsapi.Op(a.ListSecretVersionIds),
			"UpdateSecretVersionStage": awsapi.Op(a.UpdateSecretVersionStage),
			"RotateSecret":             awsapi.Op(a.RotateSecret),
			"CancelRotateSecret":       awsapi.Op(a.CancelRotateSecret),
			"GetRandomPassword":        awsapi.Op(a.GetRandomPassword),
			"GetResourcePolicy":        awsapi.Op(a.GetResourcePolicy),
			"PutResourcePolicy":        awsapi.Op(a.PutResourcePolicy),
			"DeleteResourcePolicy":     awsapi.Op(a.DeleteResourcePolicy),
			"TagResource":              awsapi.Op(a.TagResource),
			"UntagResource":            awsapi.Op(a.UntagResource),
			"DeleteSecret":             awsapi.Op(a.DeleteSecret),
			"RestoreSecret":            awsapi.Op(a.RestoreSecret),
		},
	}
}
