package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"forebay/internal/config"
	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
	"forebay/internal/engine"
	"forebay/internal/oidc"
	"forebay/internal/secret"
	"forebay/internal/sigv4"
)

// clientTokens checks what clients send as tokens: those of the OpenID Connect issuer of the configuration file, which are JWTs,
// and those of RDS. It implements engine.Tokens.
type clientTokens struct {
	rds    *tokens                    // nil: there is no control plane
	issuer atomic.Pointer[oidcIssuer] // nil: none is configured
}

// oidcIssuer is an issuer in use.
type oidcIssuer struct {
	cfg    config.OIDC
	verify *oidc.Verifier
}

// Errors of clientTokens that an operator can mend.
var (
	errNoIssuer   = errors.New("it is a JWT, and no OpenID Connect issuer is configured")
	errNotForAPI  = errors.New("it is a JWT, which proxies of the API do not take (oidc.api_proxies)")
	errNotForFile = errors.New("it is no JWT: tokens of RDS are for proxies of the API, and this one is of the configuration file")
)

// Verify implements engine.Tokens.
func (t *clientTokens) Verify(ctx context.Context, l engine.TokenLogin) error {
	issuer := t.issuer.Load()
	switch jwt := engine.IsJWT(l.Token); {
	case jwt && issuer == nil:
		return refuseToken(engine.TokenSignature, errNoIssuer)
	case jwt && l.ResourceID != "" && !issuer.cfg.APIProxies:
		return refuseToken(engine.TokenSignature, errNotForAPI)
	case jwt:
		return issuer.verify.Verify(ctx, l.Token, l.User)
	case t.rds == nil || l.ResourceID == "" && issuer != nil:
		return refuseToken(engine.TokenMalformed, errNotForFile)
	}
	return t.rds.Verify(ctx, l)
}

// TokenUser implements engine.TokenUsers.
func (t *clientTokens) TokenUser(p secret.Password) (user string, ok bool) {
	if engine.IsJWT(p) {
		if issuer := t.issuer.Load(); issuer != nil {
			return issuer.verify.UserOf(p)
		}
		return "", false
	}
	token, err := sigv4.ParseToken(p.Reveal())
	if err != nil {
		return "", false
	}
	return token.DBUser, true
}

// next makes what is to be the issuer. One whose settings are the same goes on, with the keys that it knows.
func (t *clientTokens) next(cfg config.OIDC) (*oidcIssuer, error) {
	if !cfg.Enabled() {
		return nil, nil
	}
	if now := t.issuer.Load(); now != nil && now.cfg.Equal(&cfg) {
		return now, nil
	}
	o := oidc.Options{Issuer: cfg.Issuer, Audience: cfg.Audience, CAFile: cfg.CAFile, UserClaim: cfg.UserClaim, UserTemplate: cfg.UserTemplate}
	for _, r := range cfg.RequiredClaims {
		o.Required = append(o.Required, oidc.Claim(r))
	}
	v, err := oidc.New(o)
	if err != nil {
		return nil, err
	}
	return &oidcIssuer{cfg: cfg, verify: v}, nil
}

// tokens checks RDS IAM tokens against the identities of the control plane (contract section 6.4). It implements
// engine.Tokens.
type tokens struct {
	plane *controlplane.Plane
	ids   *identity.Registry
	now   func() time.Time
}

// Verify implements engine.Tokens. It does not block: everything is in memory.
func (t *tokens) Verify(_ context.Context, l engine.TokenLogin) error {
	token, err := sigv4.ParseToken(l.Token.Reveal())
	if err != nil {
		return refuseToken(engine.TokenMalformed, err)
	}
	account := t.plane.State().Account()
	switch {
	case l.ResourceID == "":
		return refuseToken(engine.TokenUnavailable, errors.New("tokens are for proxies of the API: this one is of the configuration file"))
	case token.DBUser != l.User:
		return refuseToken(engine.TokenUser, nil)
	case token.Port != l.Port || !slices.ContainsFunc(l.Hostnames, func(h string) bool { return strings.EqualFold(h, token.Host) }):
		return refuseToken(engine.TokenEndpoint, fmt.Errorf("it is for %s, this endpoint is %s, port %d",
			net.JoinHostPort(token.Host, fmt.Sprint(token.Port)), strings.Join(l.Hostnames, " or "), l.Port))
	case token.Region != account.Region:
		return refuseToken(engine.TokenSignature, fmt.Errorf("it is for the region %s, this is %s", token.Region, account.Region))
	}
	secret, who, err := t.ids.Key(token.AccessKeyID, token.SessionToken)
	switch {
	case errors.Is(err, identity.ErrExpired):
		return refuseToken(engine.TokenExpired, err)
	case errors.Is(err, identity.ErrUnknownKey), errors.Is(err, identity.ErrSession):
		return refuseToken(engine.TokenSignature, err)
	case err != nil:
		return err
	}
	if err := token.Verify(secret, t.now()); err != nil {
		reason := engine.TokenSignature
		if errors.Is(err, &sigv4.Error{Kind: sigv4.RequestExpired}) || errors.Is(err, &sigv4.Error{Kind: sigv4.RequestInTheFuture}) {
			reason = engine.TokenExpired
		}
		return refuseToken(reason, err)
	}
	call := &awsapi.Call{Caller: who, Time: t.now(), Region: token.Region, Source: sourceOf(l.Remote), Secure: l.TLS}
	resource := fmt.Sprintf("arn:aws:rds-db:%s:%s:dbuser:%s/%s", account.Region, account.ID, l.ResourceID, l.User)
	if err := call.Authorize("rds-db:connect", resource); err != nil {
		return refuseToken(engine.TokenDenied, err)
	}
	return nil
}

func refuseToken(r engine.TokenReason, err error) error {
	return &engine.TokenError{Reason: r, Err: err}
}

func sourceOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}
