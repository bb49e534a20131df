package secretsapi

import (
	"context"

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
	doc, err := policy.Parse(policy.Resource, []byte(in.ResourcePolicy))
	if err != nil {
		return nil, refuse("MalformedPolicyDocumentException", "This resource policy contains a syntax error: %v", err)
	}
	if in.BlockPublicPolicy != nil && *in.BlockPublicPolicy && public(doc) {
		return nil, refuse("PublicPolicyException", "You can't attach a policy that gives everybody access to the secret.")
	}
	row, err := a.change(ctx, c, "PutResourcePolicy", in.SecretID, nil, func(row *controlplane.Secret) error {
		row.ResourcePolicy = in.ResourcePolicy
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &SecretOutput{row.ARN, row.Name}, nil
}

// public reports whether the policy lets in whoever comes: here, somebody of another account.
func public(doc *policy.Document) bool {
	stranger := policy.Request{
		Principal: policy.Principal{ARN: "arn:aws:iam::000000000000:user/stranger", Account: "000000000000"},
		Action:    "secretsmanager:GetSecretValue", Resource: "*",
	}
	return policy.Evaluate(&stranger, policy.Set{Resource: []policy.Policy{{Document: doc}}}).Allowed()
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
