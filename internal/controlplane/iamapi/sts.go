package iamapi

import (
	"context"
	"net/http"
	"regexp"
	"time"

	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
	"forebay/internal/policy"
)

// GetCallerIdentityOutput says who is calling.
type GetCallerIdentityOutput struct {
	UserID  string `aws:"name=UserId"`
	Account string
	Arn     string
}

// GetCallerIdentity says who is calling. Nobody needs a permission for it.
func (a *API) GetCallerIdentity(_ context.Context, c *awsapi.Call, _ *struct{}) (*GetCallerIdentityOutput, error) {
	return &GetCallerIdentityOutput{c.Caller.UserID(), c.Caller.AccountID(), c.Caller.ARN()}, nil
}

// AssumeRoleInput is the input of AssumeRole.
type AssumeRoleInput struct {
	RoleArn           string `aws:"required"`
	RoleSessionName   string `aws:"required"`
	DurationSeconds   *int
	Policy            *string
	PolicyArns        []PolicyDescriptor
	ExternalID        *string `aws:"name=ExternalId"`
	SourceIdentity    *string
	Tags              []Tag
	TransitiveTagKeys []string
	SerialNumber      *string
	TokenCode         *string
}

// PolicyDescriptor names a managed policy.
type PolicyDescriptor struct {
	Arn *string `aws:"name=arn"`
}

// AssumeRoleOutput is a session.
type AssumeRoleOutput struct {
	Credentials      Credentials
	AssumedRoleUser  AssumedRoleUser
	PackedPolicySize *int
}

// Credentials are of a session.
type Credentials struct {
	AccessKeyID     string `aws:"name=AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
}

// AssumedRoleUser names a session.
type AssumedRoleUser struct {
	AssumedRoleID string `aws:"name=AssumedRoleId"`
	Arn           string
}

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// maxChained is the longest session of a role that a session of a role may ask for, in seconds.
const maxChained = 3600

// AssumeRole makes a session of a role, for whom the role's trust policy lets.
func (a *API) AssumeRole(_ context.Context, c *awsapi.Call, in *AssumeRoleInput) (*AssumeRoleOutput, error) {
	switch {
	case !sessionName.MatchString(in.RoleSessionName):
		return nil, invalid("1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*", in.RoleSessionName)
	case len(in.PolicyArns) > 0 || len(in.Tags) > 0 || len(in.TransitiveTagKeys) > 0 || in.SourceIdentity != nil:
		return nil, invalid("Forebay's sessions have no tags, no source identity and no managed session policies: leave PolicyArns, Tags, TransitiveTagKeys and SourceIdentity out.")
	case in.SerialNumber != nil || in.TokenCode != nil:
		return nil, refuse(http.StatusForbidden, "AccessDenied", "MultiFactorAuthentication failed: Forebay knows no MFA devices.")
	}
	if in.Policy != nil {
		doc, err := policy.Parse(policy.Session, []byte(*in.Policy))
		if err != nil {
			return nil, malformed(err)
		}
		if doc.Size() > policy.MaxSizeSession {
			return nil, refuse(http.StatusBadRequest, "PackedPolicyTooLarge", "The session policy has %d characters, at most %d are allowed.", doc.Size(), policy.MaxSizeSession)
		}
	}
	s := a.plane.State()
	denied := refuse(http.StatusForbidden, "AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.Caller.ARN(), in.RoleArn)
	caller, ok := c.Caller.(*identity.Principal)
	role := identity.FindRole(s, in.RoleArn)
	if !ok || role == nil || caller.Root() { // as in AWS: root has no roles, and nobody learns whether there is one
		return nil, denied
	}
	keys := resourceKeys(role.Tags)
	keys["sts:RoleSessionName"] = []string{in.RoleSessionName}
	if in.ExternalID != nil {
		keys["sts:ExternalId"] = []string{*in.ExternalID}
	}
	if err := caller.AssumeRole(c, in.RoleArn, role.Trust, keys); err != nil {
		return nil, err
	}
	seconds := min(3600, role.MaxSessionDuration)
	longest := role.MaxSessionDuration
	if !caller.Expires.IsZero() {
		longest = min(longest, maxChained)
	}
	if in.DurationSeconds != nil {
		if seconds = *in.DurationSeconds; seconds < 900 || seconds > longest {
			return nil, invalid("The requested DurationSeconds must be from 900 to %d, the MaxSessionDuration set for this role (an hour for a role that is assumed by another role's session).", longest)
		}
	}
	creds, err := a.ids.NewSession(role, in.RoleSessionName, awsapi.Value(in.Policy), time.Duration(seconds)*time.Second)
	if err != nil {
		return nil, err
	}
	arn := "arn:aws:sts::" + s.Account().ID + ":assumed-role/" + role.Name + "/" + in.RoleSessionName
	return &AssumeRoleOutput{
		Credentials:     Credentials{creds.AccessKeyID, creds.SecretKey, creds.SessionToken, creds.Expires},
		AssumedRoleUser: AssumedRoleUser{role.ID + ":" + in.RoleSessionName, arn},
	}, nil
}
