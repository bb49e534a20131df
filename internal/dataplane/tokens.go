package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// checkTokens refuses a proxy whose auth entries ask for what cannot be done.
func (p *Plane) checkTokens(cfg *resource.Proxy) error {
	for _, a := range cfg.Auth {
		if !a.IAMAuth.Known() {
			return fmt.Errorf("auth entry of secret %s: expected IAMAuth %s, %s or %s, got %q", a.Secret, resource.IAMDisabled, resource.IAMRequired, resource.IAMEnabled, a.IAMAuth)
		}
		if a.IAMAuth.Tokens() && p.opts.Tokens == nil {
			return fmt.Errorf("auth entry of secret %s: IAMAuth is %s, but nothing here can check tokens", a.Secret, a.IAMAuth)
		}
	}
	if cfg.EndToEndIAM && (p.opts.Tokens == nil || p.opts.ServerTokens == nil) {
		return errors.New("DefaultAuthScheme is IAM_AUTH, but nothing here can check or make tokens")
	}
	return nil
}

// verifyToken implements engine.AcceptOptions.VerifyToken for one client. It may block.
func (n *newcomer) verifyToken(ctx context.Context, user string, token secret.Password) error {
	px := n.px
	cfg := px.cfg.Load()
	l, ok := px.cameTo(cfg, n.net.LocalAddr())
	if !ok {
		return &engine.TokenError{Reason: engine.TokenEndpoint, Err: errNoEndpoint}
	}
	l.User, l.Token, l.Remote, l.TLS = user, token, n.net.RemoteAddr(), true
	ctx, stop := context.WithTimeout(ctx, loginTimeout(cfg))
	defer stop()
	err := px.plane.opts.Tokens.Verify(ctx, l)
	var refused *engine.TokenError
	if err != nil && !errors.As(err, &refused) {
		return &engine.TokenError{Reason: engine.TokenUnavailable, Err: err}
	}
	return err
}

var errNoEndpoint = errors.New("the endpoint that the client came through is no more")

// cameTo says what a token is held against of a client that has come to a listener's address.
func (px *proxy) cameTo(cfg *resource.Proxy, addr net.Addr) (l engine.TokenLogin, ok bool) {
	px.mu.Lock()
	defer px.mu.Unlock()
	for _, e := range cfg.Endpoints {
		listener := px.listeners[listenKey(e)]
		if listener == nil || !leadsTo(addr, listener.Addr()) {
			continue
		}
		l = engine.TokenLogin{Proxy: cfg.Name, ResourceID: cfg.ResourceID, Endpoint: e.Name, Hostnames: e.Hostnames}
		if a, isTCP := addr.(*net.TCPAddr); isTCP {
			l.Port = a.Port
		}
		return l, true
	}
	return l, false
}

// leadsTo reports whether a client that has come to the address at is one of a listener, which may listen on every
// address.
func leadsTo(at, listener net.Addr) bool {
	if at.String() == listener.String() {
		return true
	}
	a, ok1 := at.(*net.TCPAddr)
	l, ok2 := listener.(*net.TCPAddr)
	return ok1 && ok2 && l.IP.IsUnspecified() && a.Port == l.Port
}

// maxLoggedUser is how many bytes of a user name, which is the client's to choose, the log has.
const maxLoggedUser = 128

// tokenRefused counts and logs a connection phase that has ended because of a token. It reports whether it has.
func (n *newcomer) tokenRefused(err error) bool {
	var token *engine.TokenError
	if !errors.As(err, &token) {
		return false
	}
	px := n.px
	px.stats.failedAuth.Add(1)
	px.stats.tokensRefused[token.Reason].Add(1)
	user := ""
	var named interface{ RefusedUser() string }
	if errors.As(err, &named) {
		user = named.RefusedUser()
		user = user[:min(len(user), maxLoggedUser)]
	}
	level := slog.LevelInfo
	if token.Reason == engine.TokenUnavailable {
		level = slog.LevelError
	}
	px.log.Log(px.plane.ctx, level, "client with a token not let in", slog.String("client", n.net.RemoteAddr().String()),
		slog.String("user", user), slog.String("reason", token.Reason.String()), slog.Any("error", token))
	return true
}
