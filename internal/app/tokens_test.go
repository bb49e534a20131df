package app

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/identity"
	"forebay/internal/engine"
	"forebay/internal/secret"
	"forebay/internal/sigv4"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const host, port = "orders.proxy-abc.eu-west-1.example", 5432
	ann := sigv4.Credentials{AccessKeyID: "AKIAANN", SecretKey: "ann-secret"}
	root := sigv4.Credentials{AccessKeyID: "AKIAROOT", SecretKey: "root-secret"}
	role := &controlplane.Role{Name: "function", Path: "/", ID: "AROAFUNCTION", Inline: map[string]string{
		"connect": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds-db:connect","Resource":"arn:aws:rds-db:eu-west-1:123456789012:dbuser:prx-*/*",
			"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"Bool":{"aws:SecureTransport":"true"}}}]}`,
	}}
	gone := &controlplane.Role{Name: "gone", Path: "/", ID: "AROAGONE"}
	w.update(t, func(tx *controlplane.Tx) {
		tx.Roles.Put("function", role)
		tx.Users.Put("off", &controlplane.User{Name: "off", Path: "/", ID: "AIDAOFF", Keys: []controlplane.AccessKey{{ID: "AKIAOFF", Sealed: w.key("AKIAOFF", "off-secret").Sealed}}})
		tx.Users.Put("lost", &controlplane.User{Name: "lost", Path: "/", ID: "AIDALOST", Keys: []controlplane.AccessKey{{ID: "AKIALOST", Active: true, Sealed: []byte("x")}}})
	})
	session := func(r *controlplane.Role) sigv4.Credentials {
		c, err := w.ids.NewSession(r, "s", "", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return sigv4.Credentials{AccessKeyID: c.AccessKeyID, SecretKey: c.SecretKey, SessionToken: c.SessionToken}
	}
	of := session(role)
	without := of
	without.SessionToken = ""
	sign := func(c sigv4.Credentials) string { return sigv4.SignToken(host, port, testRegion, "app", c, w.now) }
	const none = engine.NumTokenReasons // no refusal
	for name, tt := range map[string]struct {
		token  string
		change func(l *engine.TokenLogin)
		at     time.Duration // when it is used, after it was made
		want   engine.TokenReason
		cause  error
	}{
		"a user's":                   {token: sign(ann), want: none},
		"root's":                     {token: sign(root), want: none},
		"a session's":                {token: sign(of), want: none},
		"used again":                 {token: sign(ann), at: 14 * time.Minute, want: none},
		"another case of the host":   {token: sign(ann), change: func(l *engine.TokenLogin) { l.Hostnames = []string{"x", strings.ToUpper(host)} }, want: none},
		"a password":                 {token: "hunter2", want: engine.TokenMalformed},
		"nothing":                    {token: "", want: engine.TokenMalformed},
		"of a proxy of the file":     {token: sign(ann), change: func(l *engine.TokenLogin) { l.ResourceID = "" }, want: engine.TokenUnavailable},
		"another user":               {token: sign(ann), change: func(l *engine.TokenLogin) { l.User = "App" }, want: engine.TokenUser},
		"another port":               {token: sign(ann), change: func(l *engine.TokenLogin) { l.Port = 5433 }, want: engine.TokenEndpoint},
		"another host":               {token: sign(ann), change: func(l *engine.TokenLogin) { l.Hostnames = []string{"127.0.0.1"} }, want: engine.TokenEndpoint},
		"another region":             {token: sigv4.SignToken(host, port, "us-east-1", "app", ann, w.now), want: engine.TokenSignature},
		"a key that is not known":    {token: sign(sigv4.Credentials{AccessKeyID: "AKIANOBODY", SecretKey: "x"}), want: engine.TokenSignature, cause: identity.ErrUnknownKey},
		"a key that is not active":   {token: sign(sigv4.Credentials{AccessKeyID: "AKIAOFF", SecretKey: "off-secret"}), want: engine.TokenSignature, cause: identity.ErrUnknownKey},
		"a wrong signature":          {token: sign(sigv4.Credentials{AccessKeyID: "AKIAANN", SecretKey: "wrong"}), want: engine.TokenSignature},
		"without its session token":  {token: sign(without), want: engine.TokenSignature, cause: identity.ErrSession},
		"of a role that is gone":     {token: sign(session(gone)), want: engine.TokenSignature, cause: identity.ErrUnknownKey},
		"expired":                    {token: sign(ann), at: 15*time.Minute + time.Second, want: engine.TokenExpired},
		"made in the future":         {token: sign(ann), at: -6 * time.Minute, want: engine.TokenExpired},
		"of a session that is over":  {token: sigv4.SignToken(host, port, testRegion, "app", of, w.now.Add(time.Hour)), at: time.Hour, want: engine.TokenExpired, cause: identity.ErrExpired},
		"of a proxy that is not its": {token: sign(ann), change: func(l *engine.TokenLogin) { l.ResourceID = "prx-other" }, want: engine.TokenDenied},
		"from another network":       {token: sign(of), change: func(l *engine.TokenLogin) { l.Remote = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }, want: engine.TokenDenied},
		"from nowhere":               {token: sign(of), change: func(l *engine.TokenLogin) { l.Remote = nil }, want: engine.TokenDenied},
		"without TLS":                {token: sign(of), change: func(l *engine.TokenLogin) { l.TLS = false }, want: engine.TokenDenied},
	} {
		clock := w.now.Add(tt.at)
		at := func() time.Time { return clock }
		tokens := &tokens{plane: w.plane, ids: identity.New(w.plane, w.ring, at), now: at}
		l := engine.TokenLogin{
			Proxy: "orders", ResourceID: testProxy, Endpoint: "default", Hostnames: []string{host}, Port: port, User: "app",
			Token: secret.Password(tt.token), Remote: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 40000}, TLS: true,
		}
		if tt.change != nil {
			tt.change(&l)
		}
		err := tokens.Verify(t.Context(), l)
		var refused *engine.TokenError
		switch {
		case tt.want == none && err != nil:
			t.Errorf("%s: refused: %v", name, err)
		case tt.want != none && (!errors.As(err, &refused) || refused.Reason != tt.want || tt.cause != nil && !errors.Is(err, tt.cause)):
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
		if err != nil && tt.token != "" && strings.Contains(err.Error(), tt.token) || err != nil && strings.Contains(err.Error(), "X-Amz-Signature=") {
			t.Errorf("%s: the error holds the token: %v", name, err)
		}
	}

	// What cannot be told is no refusal.
	tokens := &tokens{plane: w.plane, ids: w.ids, now: func() time.Time { return w.now }}
	err := tokens.Verify(t.Context(), engine.TokenLogin{
		ResourceID: testProxy, Hostnames: []string{host}, Port: port, User: "app", Token: secret.Password(sign(sigv4.Credentials{AccessKeyID: "AKIALOST", SecretKey: "x"})),
	})
	if !errors.Is(err, controlplane.ErrSealed) || engine.TokenInvalid(err) {
		t.Errorf("a key that cannot be opened: got %v", err)
	}
}

// TestTokenUser reads whom a token names, for clients that name no user beside it.
func TestTokenUser(t *testing.T) {
	t.Parallel()
	users := engine.TokenUsers(&clientTokens{})
	ann := sigv4.Credentials{AccessKeyID: "AKIAANN", SecretKey: "ann-secret"}
	for token, want := range map[string]string{
		sigv4.SignToken("h", 1433, testRegion, "app", ann, time.Now()): "app",
		"hunter2":                            "",
		"eyJhIjoxfQ.eyJzdWIiOiJhcHAifQ.c2ln": "", // a JWT, and no issuer
	} {
		if got, ok := users.TokenUser(secret.Password(token)); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", token, got, ok)
		}
	}
}
