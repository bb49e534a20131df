package login_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit/testcert"
	"forebay/internal/wire/mysqlwire"
)

// TestTokenByCleartextOverTLS: a token goes by mysql_clear_password, over TLS, and in no other way; a server that wants another
// plugin of the user is named with it.
func TestTokenByCleartextOverTLS(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	withTLS := startProxy(t, mysqlwire.PluginCachingSHA2, login.AcceptOptions{TLS: ca.Server()})
	plain := startProxy(t, mysqlwire.PluginCachingSHA2, login.AcceptOptions{})
	for _, tt := range []struct {
		name  string
		p     *proxy
		user  string
		mode  resource.TLSMode
		fails error
		text  string
	}{
		{"cleartext", withTLS, "token", "require", nil, ""},
		{"a native user", withTLS, "native", "require", login.ErrAuth, `plugin "mysql_native_password", and not for mysql_clear_password`},
		{"a caching_sha2 user", withTLS, "sha2", "require", login.ErrAuth, `plugin "caching_sha2_password", and not for mysql_clear_password`},
		{"no TLS", plain, "token", "require", login.ErrTLS, "does not offer TLS"},
		{"prefer", withTLS, "token", "prefer", login.ErrTLS, "over TLS alone"},
		{"default mode", withTLS, "token", "", login.ErrTLS, "over TLS alone"},
		{"disable", withTLS, "token", "disable", login.ErrTLS, "over TLS alone"},
	} {
		s, err := login.Dial(t.Context(), nil, login.DialOptions{
			Address: tt.p.addr, TLSMode: tt.mode, Credentials: login.NewTokenCredentials(tt.user, password),
		})
		if tt.fails == nil && err != nil || !errors.Is(err, tt.fails) || !strings.Contains(fmt.Sprint(err), tt.text) || strings.Contains(fmt.Sprint(err), password) {
			t.Errorf("%s: %v; want %v with %q", tt.name, err, tt.fails, tt.text)
		}
		if s != nil {
			s.Close()
		}
		if tt.mode == "require" {
			<-tt.p.outcomes
		}
	}
}

// TestKnock hears a server's greeting, which then refuses the log-in: it has had a whole one.
func TestKnock(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	p := startProxy(t, mysqlwire.PluginCachingSHA2, login.AcceptOptions{TLS: ca.Server()})
	o := login.DialOptions{Address: p.addr, TLSMode: resource.TLSRequire, Credentials: login.NewCredentials("stranger", "")}
	s, err := login.Knock(t.Context(), nil, o)
	if err != nil || s.Version != "8.0.99-test" || s.Charset != 45 {
		t.Errorf("knocked: %+v, %v", s, err)
	}
	if out := <-p.outcomes; !errors.As(out.err, new(*login.Refusal)) {
		t.Errorf("the server did not have a whole log-in: %v", out.err)
	}
	hello := string(login.NewHello("8.0.99", 9, false).Append(nil))
	for name, tt := range map[string]struct {
		script []string
		fails  error
	}{
		"no plugin of ours": {[]string{hello, packet(2, "\xfedialog\x00x")}, nil},
		"blocked":           {[]string{packet(0, "\xff\x69\x04Host 'x' is blocked")}, login.ErrUnreachable},
		"full":              {[]string{packet(0, "\xff\x10\x04Too many connections")}, login.ErrTooManyConnections},
		"gone":              {[]string{hello}, login.ErrUnreachable},
	} {
		c := &scriptConn{in: script(tt.script)}
		o.TLSMode = resource.TLSDisable
		if _, err := login.Knock(t.Context(), c.transport, o); tt.fails == nil && err != nil || !errors.Is(err, tt.fails) {
			t.Errorf("%s: %v, want %v", name, err, tt.fails)
		}
	}
}

// TestAdmit: a client that has proven who it is may still be turned away, in its own protocol, before it is told that it is in.
func TestAdmit(t *testing.T) {
	t.Parallel()
	p := startProxy(t, mysqlwire.PluginNative, login.AcceptOptions{Admit: func(c *login.Client) error {
		if c.User == "native" && c.Verifier != nil {
			return &login.Refusal{Code: 1105, SQLState: "HY000", Message: "not today", Reason: "a test"}
		}
		return nil
	}})
	dial := func(user string, pw secret.Password) error {
		s, err := login.Dial(context.Background(), func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, p.addr)
		}, login.DialOptions{Address: p.addr, TLSMode: resource.TLSDisable, Credentials: login.NewCredentials(user, pw)})
		if err == nil {
			s.Close()
		}
		<-p.outcomes
		return err
	}
	var refused *login.ServerError
	if err := dial("native", password); !errors.As(err, &refused) || refused.Message != "not today" {
		t.Errorf("turned away with %v", err)
	}
	if err := dial("native", "wrong"); !errors.As(err, &refused) || refused.Code != 1045 {
		t.Errorf("a wrong password: %v", err)
	}
	if err := dial("sha2", password); err != nil {
		t.Errorf("another user: %v", err)
	}
}
