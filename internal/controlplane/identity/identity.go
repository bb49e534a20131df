// Package identity says who has signed a request, and what they may do: the account's root, users, and sessions of roles.
// Everything is read from the control plane's newest state, so that a key which is deleted or a policy which is changed
// counts from the next request on.
package identity

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/policy"
)

// Registry finds principals. It is safe for concurrent use.
type Registry struct {
	// Static after New.
	plane *controlplane.Plane
	ring  *controlplane.Keyring
	now   func() time.Time
}

// New returns the registry over plane's state, where ring opens what is sealed.
func New(plane *controlplane.Plane, ring *controlplane.Keyring, now func() time.Time) *Registry {
	return &Registry{plane: plane, ring: ring, now: now}
}

// Principal is who makes a request. It implements awsapi.Caller.
type Principal struct {
	who     policy.Principal
	userID  string
	kind    string // aws:PrincipalType
	name    string // of a user
	tags    []controlplane.Tag
	allowed policy.Set // identity policies, and the session's

	issued time.Time // of a session; zero for long-term keys, and for what Forebay does in a role's name
	// Expires is when a session ends; zero for long-term keys.
	Expires time.Time
}

// ARN implements awsapi.Caller.
func (p *Principal) ARN() string { return p.who.ARN }

// AccountID implements awsapi.Caller.
func (p *Principal) AccountID() string { return p.who.Account }

// UserID implements awsapi.Caller.
func (p *Principal) UserID() string { return p.userID }

// Root reports whether this is the account's root.
func (p *Principal) Root() bool { return p.kind == "Account" }

// User is the name of the user; empty for others.
func (p *Principal) User() string { return p.name }

// Errors of Key and of Service, which a log-in by token may tell apart.
var (
	ErrUnknownKey = errors.New("the access key does not exist or is not active")
	ErrSession    = errors.New("the session token is missing, does not belong to the access key, or was not made here")
	ErrExpired    = errors.New("the session has expired")
)

// Key finds the principal of an access key and the secret key it signs with. Nothing is to be believed before a
// signature with that key has been checked.
func (r *Registry) Key(id, sessionToken string) (secret string, p *Principal, err error) {
	s := r.plane.State()
	if strings.HasPrefix(id, sessionPrefix) || sessionToken != "" {
		return r.session(s, id, sessionToken)
	}
	for _, k := range s.Account().RootKeys {
		if k.ID == id && k.Active {
			return r.opened(k, root(s))
		}
	}
	for _, u := range s.Users.All() {
		for _, k := range u.Keys {
			if k.ID != id || !k.Active {
				continue
			}
			p, err := user(s, u)
			if err != nil {
				return "", nil, err
			}
			return r.opened(k, p)
		}
	}
	return "", nil, ErrUnknownKey
}

func (r *Registry) opened(k controlplane.AccessKey, p *Principal) (string, *Principal, error) {
	secret, err := r.ring.Open(k.Sealed, KeyBelongs(k.ID))
	if err != nil {
		return "", nil, fmt.Errorf("access key %s: %w", k.ID, err)
	}
	return string(secret), p, nil
}

// KeyBelongs is what the secret key of an access key is sealed for.
func KeyBelongs(id string) string { return "access key\n" + id }

func root(s *controlplane.State) *Principal {
	a := s.Account()
	return &Principal{
		who: policy.Principal{ARN: "arn:aws:iam::" + a.ID + ":root", Account: a.ID}, userID: a.ID, kind: "Account",
	}
}

func user(s *controlplane.State, u *controlplane.User) (*Principal, error) {
	a := s.Account()
	policies, err := identityPolicies(s, u.Inline, u.Attached)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", u.Name, err)
	}
	return &Principal{
		who: policy.Principal{ARN: UserARN(a.ID, u), ID: u.ID, Account: a.ID}, userID: u.ID, kind: "User", name: u.Name, tags: u.Tags,
		allowed: policy.Set{Identity: policies},
	}, nil
}

// UserARN is the ARN of a user.
func UserARN(account string, u *controlplane.User) string {
	return "arn:aws:iam::" + account + ":user" + u.Path + u.Name
}

// RoleARN is the ARN of a role.
func RoleARN(account string, r *controlplane.Role) string {
	return "arn:aws:iam::" + account + ":role" + r.Path + r.Name
}

// identityPolicies are the policies of a user or role. What was stored has been checked: a document that cannot be read
// all the same must not be left out, since it may deny.
func identityPolicies(s *controlplane.State, inline map[string]string, attached []string) ([]policy.Policy, error) {
	var all []policy.Policy
	for name, text := range inline {
		doc, err := policy.Parse(policy.Identity, []byte(text))
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", name, err)
		}
		all = append(all, policy.Policy{Name: name, Document: doc})
	}
	for _, arn := range attached {
		row := s.Policies.Get(arn)
		if row == nil {
			return nil, fmt.Errorf("policy %s: it does not exist", arn)
		}
		doc, err := policy.Parse(policy.Identity, []byte(row.DefaultVersion().Document))
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", arn, err)
		}
		all = append(all, policy.Policy{Name: arn, Document: doc})
	}
	return all, nil
}

// Role returns what a role may do, for work that Forebay does in its name: reading the secrets of a proxy. service is who
// assumes it, such as rds.amazonaws.com; the role's trust policy must let it.
func (r *Registry) Role(arn, service string) (*Principal, error) {
	s := r.plane.State()
	role := FindRole(s, arn)
	if role == nil {
		return nil, fmt.Errorf("the role %s does not exist", arn)
	}
	trust, err := policy.Parse(policy.Trust, []byte(role.Trust))
	if err != nil {
		return nil, fmt.Errorf("the trust policy of %s: %w", arn, err)
	}
	a := s.Account()
	req := &policy.Request{
		Principal: policy.Principal{Service: service}, Action: "sts:AssumeRole", Resource: arn,
		Context: map[string][]string{"aws:SourceAccount": {a.ID}},
	}
	if !policy.Evaluate(req, policy.Set{Trust: &policy.Policy{Name: role.Name, Document: trust}}).Allowed() {
		return nil, fmt.Errorf("the trust policy of %s does not let %s assume the role", arn, service)
	}
	return roleSession(s, role, "forebay", "")
}

// FindRole finds a role by its ARN.
func FindRole(s *controlplane.State, arn string) *controlplane.Role {
	account := s.Account().ID
	role := s.Roles.Get(strings.ToLower(arn[strings.LastIndexByte(arn, '/')+1:]))
	if role == nil || RoleARN(account, role) != arn {
		return nil
	}
	return role
}

func roleSession(s *controlplane.State, role *controlplane.Role, name, sessionPolicy string) (*Principal, error) {
	a := s.Account()
	policies, err := identityPolicies(s, role.Inline, role.Attached)
	if err != nil {
		return nil, fmt.Errorf("role %s: %w", role.Name, err)
	}
	p := &Principal{
		who: policy.Principal{
			ARN: "arn:aws:sts::" + a.ID + ":assumed-role/" + role.Name + "/" + name, RoleARN: RoleARN(a.ID, role), ID: role.ID, Account: a.ID,
		},
		userID: role.ID + ":" + name, kind: "AssumedRole", tags: role.Tags, allowed: policy.Set{Identity: policies},
	}
	if sessionPolicy != "" {
		doc, err := policy.Parse(policy.Session, []byte(sessionPolicy))
		if err != nil {
			return nil, fmt.Errorf("the session policy of %s: %w", name, err)
		}
		p.allowed.Session = []policy.Policy{{Name: "session", Document: doc}}
	}
	return p, nil
}

// Authorize implements awsapi.Caller.
func (p *Principal) Authorize(c *awsapi.Call, a awsapi.Access) error {
	set := p.allowed
	if a.Policy != "" {
		doc, err := policy.Parse(policy.Resource, []byte(a.Policy))
		if err != nil {
			return awsapi.Errorf(http.StatusInternalServerError, "InternalFailure", "The policy of %s cannot be read: %v", a.Resource, err)
		}
		set.Resource = []policy.Policy{{Name: a.Resource, Document: doc}}
	}
	req := p.request(c, a)
	if d := policy.Evaluate(req, set); !d.Allowed() {
		return awsapi.Errorf(http.StatusForbidden, "AccessDenied", "%s", d.Message(req))
	}
	return nil
}

// AssumeRole reports as Authorize does whether p may become a session of role.
func (p *Principal) AssumeRole(c *awsapi.Call, arn, trust string, keys map[string][]string) error {
	doc, err := policy.Parse(policy.Trust, []byte(trust))
	if err != nil {
		return awsapi.Errorf(http.StatusInternalServerError, "InternalFailure", "The trust policy of %s cannot be read: %v", arn, err)
	}
	set := p.allowed
	set.Trust = &policy.Policy{Name: arn, Document: doc}
	req := p.request(c, awsapi.Access{Action: "sts:AssumeRole", Resource: arn, Keys: keys})
	if d := policy.Evaluate(req, set); !d.Allowed() {
		return awsapi.Errorf(http.StatusForbidden, "AccessDenied", "%s", d.Message(req))
	}
	return nil
}

// request puts the global condition keys beside those of the access.
func (p *Principal) request(c *awsapi.Call, a awsapi.Access) *policy.Request {
	t := c.Time.UTC()
	keys := map[string][]string{
		"aws:CurrentTime":      {t.Format(time.RFC3339)},
		"aws:EpochTime":        {fmt.Sprint(t.Unix())},
		"aws:SecureTransport":  {fmt.Sprint(c.Secure)},
		"aws:PrincipalArn":     {p.who.ARN},
		"aws:PrincipalAccount": {p.who.Account},
		"aws:PrincipalType":    {p.kind},
		"aws:userid":           {p.userID},
		"aws:ResourceAccount":  {p.who.Account},
		"aws:ViaAWSService":    {"false"},
	}
	if p.who.RoleARN != "" {
		keys["aws:PrincipalArn"] = []string{p.who.RoleARN}
	}
	if c.Region != "" {
		keys["aws:RequestedRegion"] = []string{c.Region}
	}
	if c.Source.IsValid() {
		keys["aws:SourceIp"] = []string{c.Source.Unmap().String()}
	}
	if p.name != "" {
		keys["aws:username"] = []string{p.name}
	}
	if !p.issued.IsZero() { // by which AWS's own policies revoke sessions
		keys["aws:TokenIssueTime"] = []string{p.issued.Format(time.RFC3339)}
	}
	for _, tag := range p.tags {
		keys["aws:PrincipalTag/"+tag.Key] = []string{tag.Value}
	}
	for k, v := range a.Keys {
		keys[k] = v
	}
	return &policy.Request{Principal: p.who, Action: a.Action, Resource: a.Resource, Context: keys}
}

// equal compares in constant time.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
