package secretsapi

import (
	"context"
	"fmt"
	"unicode/utf8"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/policy"
)

// GetResourcePolicyOutput is the answer of GetResourcePolicy.
type GetResourcePolicyOutput struct {
	ARN            string
	Name           string
	ResourcePolicy *string
}

// GetResourcePolicy returns the policy that the secret itself has.
func (a *API) GetResourcePolicy(_ context.Context, c *awsapi.Call, in *SecretIDInput) (*GetResourcePolicyOutput, error) {
	row, err := find(a.plane.State(), c, "GetResourcePolicy", in.SecretID, nil)
	if err != nil {
		return nil, err
	}
	return &GetResourcePolicyOutput{row.ARN, row.Name, awsapi.Optional(row.ResourcePolicy)}, nil
}

// PutResourcePolicyInput is the input of PutResourcePolicy.
type PutResourcePolicyInput struct {
	SecretID          string `aws:"name=SecretId,required"`
	ResourcePolicy    string `aws:"required"`
	BlockPublicPolicy *bool
}

// PutResourcePolicy gives the secret a policy of its own.
func (a *API) PutResourcePolicy(ctx context.Context, c *awsapi.Call, in *PutResourcePolicyInput) (*SecretOutput, error) {
	if n := utf8.RuneCountInString(in.ResourcePolicy); n < 1 || n > policy.MaxSizeResource {
		return nil, awsapi.Constraint(fmt.Sprintf("Value at 'resourcePolicy' failed to satisfy constraint: Member must have length from 1 to %d", policy.MaxSizeResource))
	}
	doc, err := policy.Parse(policy.Resource, []byte(in.ResourcePolicy))
	if err != nil {
		return nil, refuse("MalformedPolicyDocumentException", "This resource policy contains a syntax error: %v", err)
	}
	row, err := a.change(ctx, c, "PutResourcePolicy", in.SecretID, nil, func(row *controlplane.Secret) error {
		if in.BlockPublicPolicy != nil && *in.BlockPublicPolicy && a.public(doc, row.ARN) {
			return refuse("PublicPolicyException", "You can't attach a policy that gives everybody access to the secret.")
		}
		row.ResourcePolicy = in.ResourcePolicy
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &SecretOutput{row.ARN, row.Name}, nil
}

// public reports whether the policy lets whoever comes do anything to the secret: here, somebody of another account, who comes over
// TLS. What it asks of him beyond that (an address, a tag) is taken to keep strangers out.
func (a *API) public(doc *policy.Document, arn string) bool {
	for operation := range a.Service().Operations {
		stranger := policy.Request{
			Principal: policy.Principal{ARN: "arn:aws:iam::000000000000:user/stranger", Account: "000000000000"},
			Action:    "secretsmanager:" + operation, Resource: arn,
			Context: map[string][]string{"aws:SecureTransport": {"true"}, "secretsmanager:SecretId": {arn}, "secretsmanager:VersionStage": {controlplane.StageCurrent}},
		}
		if policy.Evaluate(&stranger, policy.Set{Resource: []policy.Policy{{Document: doc}}}).Allowed() {
			return true
		}
	}
	return false
}

// DeleteResourcePolicy takes the secret's own policy away.
func (a *API) DeleteResourcePolicy(ctx context.Context, c *awsapi.Call, in *SecretIDInput) (*SecretOutput, error) {
	row, err := a.change(ctx, c, "DeleteResourcePolicy", in.SecretID, nil, func(row *controlplane.Secret) error {
		row.ResourcePolicy = ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &SecretOutput{row.ARN, row.Name}, nil
}
