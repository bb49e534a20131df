package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
	"forebay/internal/engine"
	"forebay/internal/sigv4"
)

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
