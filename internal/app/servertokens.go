package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/secret/awssm"
	"forebay/internal/sigv4"
)

// serverTokens makes the tokens of end-to-end IAM, in the name of a proxy's role (contract section 6.3). It implements
// engine.ServerTokens.
type serverTokens struct {
	plane *controlplane.Plane
	ids   *identity.Registry
	aws   *awssm.Account
	now   func() time.Time
}

// keysLimit is how long AWS may take to give out the credentials of a role.
const keysLimit = 10 * time.Second

// Token implements engine.ServerTokens. The state decides, as it is at the moment; m says where the token is sent.
func (t *serverTokens) Token(ctx context.Context, p *resource.Proxy, m resource.Member, user string) (secret.Password, error) {
	region, keys, err := t.keys(ctx, p, m.ResourceID, user)
	if err != nil {
		return "", err
	}
	return secret.Password(sigv4.SignToken(m.Host, m.Port, region, user, keys, t.now())), nil
}

// Ready implements engine.ServerTokens.
func (t *serverTokens) Ready(ctx context.Context, p *resource.Proxy) error {
	_, _, err := t.keys(ctx, p, "", "")
	return err
}

func noToken(format string, args ...any) error {
	return fmt.Errorf("%w: %w", engine.ErrNoToken, fmt.Errorf(format, args...))
}

// keys are what a token for a member of a proxy's target, named by its resource id, is signed with, and the region that it is for, if the proxy's role may connect
// there as that user; an empty one is nobody yet.
func (t *serverTokens) keys(ctx context.Context, p *resource.Proxy, member, user string) (region string, keys sigv4.Credentials, err error) {
	state := t.plane.State()
	proxy := state.Proxies.Get(p.ResourceID)
	if proxy == nil {
		return "", keys, noToken("the proxy %s is not of the API", p.Name)
	}
	declared := state.Declared(&proxy.Group)
	if len(declared) == 0 {
		return "", keys, noToken("no target is registered")
	}
	db := declared[0] // for a member that has been discovered, too: it takes what the others take
	for _, d := range declared {
		if d.ResourceID == member {
			db = d
		}
	}
	region = state.Account().Region
	switch db.IAM {
	case controlplane.IAMByForebay:
		keys, err = t.own(state, proxy, user)
	case controlplane.IAMByAWS:
		if at := db.Region(); at != "" {
			region = at
		}
		keys, err = t.foreign(ctx, state, proxy, region)
	default:
		err = noToken("the database %s is not declared to take IAM tokens (iam: aws or forebay)", db.Identifier)
	}
	return region, keys, err
}

// own makes a session of a role of this account, if the role may connect to the proxy's target as that user.
func (t *serverTokens) own(state *controlplane.State, proxy *controlplane.Proxy, user string) (sigv4.Credentials, error) {
	role, err := t.ids.Role(proxy.RoleARN, "rds.amazonaws.com")
	if err != nil {
		return sigv4.Credentials{}, noToken("%w", err)
	}
	if user == "" {
		return sigv4.Credentials{}, nil
	}
	account := state.Account()
	call := &awsapi.Call{Caller: role, Time: t.now(), Region: account.Region, Secure: true}
	to := fmt.Sprintf("arn:aws:rds-db:%s:%s:dbuser:%s/%s", account.Region, account.ID, state.ConnectID(&proxy.Group), user)
	if err := call.Authorize("rds-db:connect", to); err != nil {
		return sigv4.Credentials{}, noToken("%w", err)
	}
	row := identity.FindRole(state, proxy.RoleARN)
	if row == nil { // deleted since
		return sigv4.Credentials{}, noToken("the role %s does not exist", proxy.RoleARN)
	}
	c, err := t.ids.NewSession(row, "forebay", "", sigv4.TokenLifetime)
	if err != nil {
		return sigv4.Credentials{}, err
	}
	return sigv4.Credentials{AccessKeyID: c.AccessKeyID, SecretKey: c.SecretKey, SessionToken: c.SessionToken}, nil
}

// foreign has AWS give out credentials of a role there. What the role may do, AWS decides when the token is used.
func (t *serverTokens) foreign(ctx context.Context, state *controlplane.State, proxy *controlplane.Proxy, region string) (sigv4.Credentials, error) {
	if ofAccount(proxy.RoleARN, state.Account().ID) {
		return sigv4.Credentials{}, noToken("the database is one of AWS, where the role %s is not known: the proxy needs one of AWS", proxy.RoleARN)
	}
	ctx, stop := context.WithTimeout(ctx, keysLimit)
	defer stop()
	k, err := t.aws.Keys(ctx, proxy.RoleARN, region)
	switch {
	case errors.Is(err, secret.ErrDenied):
		return sigv4.Credentials{}, noToken("%w", err)
	case err != nil:
		return sigv4.Credentials{}, fmt.Errorf("credentials of the role %s: %w", proxy.RoleARN, err)
	}
	return sigv4.Credentials{AccessKeyID: k.AccessKeyID, SecretKey: k.SecretKey, SessionToken: k.SessionToken}, nil
}
