package e2e

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"forebay/internal/certs"
	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/internal/testkit/testlog"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgconn"
)

// tokens take one token and remember what they were asked.
type tokens struct {
	mu   sync.Mutex
	seen []engine.TokenLogin
}

const goodToken = "db.test:6432/?Action=connect&DBUser=app&X-Amz-Signature=0123"

// Verify implements engine.Tokens.
func (k *tokens) Verify(_ context.Context, l engine.TokenLogin) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, l)
	switch l.Token {
	case goodToken:
		return nil
	case goodToken + "&down":
		return errors.New("the identities cannot be read")
	}
	return &engine.TokenError{Reason: engine.TokenSignature}
}

// TestTokens logs clients in by a token, as a user whose server connections have the secret's password.
func TestTokens(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	tlsConfig, err := certs.New(slog.New(slog.DiscardHandler), "127.0.0.1").Config(&resource.Proxy{})
	if err != nil {
		t.Fatal(err)
	}
	var k tokens
	var log testlog.Buffer
	f := testkit.StartForebay(t, db.Server, testkit.ForebayOptions{
		Users: map[string]string{db.User: db.Password}, TLS: tlsConfig, Tokens: &k, Log: slog.NewTextHandler(&log, nil),
		Change: func(p *resource.Proxy) {
			p.ResourceID = "prx-1"
			p.Endpoints[0].Hostnames = []string{"db.test", "db"}
			p.Auth[0].IAMAuth = resource.IAMRequired
		},
	})
	connect := func(password, more string) (*pgconn.PgConn, error) {
		cfg, err := pgconn.ParseConfig(f.DSN(db.User, db.Name, more))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Password = password
		return pgconn.ConnectConfig(t.Context(), cfg)
	}
	c, err := connect(goodToken, "sslmode=require")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "SELECT 1").ReadAll(); err != nil {
		t.Error(err)
	}
	want := []engine.TokenLogin{{
		Proxy: "test", ResourceID: "prx-1", Endpoint: "default", Hostnames: []string{"db.test", "db"}, Port: f.Port, User: db.User,
		Token: goodToken, TLS: true,
	}}
	k.mu.Lock()
	seen := slices.Clone(k.seen)
	k.mu.Unlock()
	if diff := cmp.Diff(want, seen, cmpopts.IgnoreFields(engine.TokenLogin{}, "Remote")); diff != "" {
		t.Errorf("what Verify was given (-want +got):\n%s", diff)
	}
	if a, ok := seen[0].Remote.(*net.TCPAddr); !ok || a.String() != c.Conn().LocalAddr().String() {
		t.Errorf("remote address %v, want %v", seen[0].Remote, c.Conn().LocalAddr())
	}
	c.Close(context.Background())

	for _, tt := range []struct{ password, more, code string }{
		{db.Password, "sslmode=require", "28P01"},
		{goodToken + "x", "sslmode=require", "28P01"},
		{goodToken + "&down", "sslmode=require", "XX000"},
		{goodToken, "sslmode=disable", "28000"},
	} {
		if _, err := connect(tt.password, tt.more); err == nil {
			t.Errorf("%+v was let in", tt)
		} else {
			failsWith(t, tt.more, err, tt.code)
		}
	}
	testkit.Eventually(t, "all is counted", func() bool { return f.Plane.Collect().Proxies[0].Clients.FailedAuth == 4 })
	got := f.Plane.Collect().Proxies[0].Clients
	var refused [engine.NumTokenReasons]int64
	refused[engine.TokenSignature], refused[engine.TokenUnavailable], refused[engine.TokenNoTLS] = 2, 1, 1
	if got.Tokens != 1 || got.TokensRefused != refused || got.Succeeded != 1 {
		t.Errorf("figures: %+v", got)
	}
	all := log.String()
	if strings.Contains(all, "Action=connect") || strings.Contains(all, db.Password) {
		t.Errorf("a token or a password is in the log:\n%s", all)
	}
	for _, line := range []string{
		`msg="client let in by a token"`, `msg="client with a token not let in"`, "reason=signature", "reason=no_tls", "user=" + db.User,
		"the identities cannot be read",
	} {
		if !strings.Contains(all, line) {
			t.Errorf("the log lacks %s:\n%s", line, all)
		}
	}

	f.Proxy.Auth = []resource.AuthEntry{{Secret: db.User, IAMAuth: resource.IAMEnabled}} // what was applied is the plane's
	f.Apply(t)
	for _, password := range []string{goodToken, db.Password} {
		c, err := connect(password, "sslmode=require")
		if err != nil {
			t.Errorf("either: %v", err)
			continue
		}
		c.Close(context.Background())
	}
	f.Proxy.Auth = []resource.AuthEntry{{Secret: db.User, IAMAuth: "required"}}
	if err := f.Plane.Apply(t.Context(), resource.Snapshot{Proxies: []resource.Proxy{f.Proxy}}); err == nil || !strings.Contains(err.Error(), `"required"`) {
		t.Errorf("an unknown IAMAuth: %v", err)
	}
}

// TestTokensCannotBeChecked: without anything to check tokens with, an entry that asks for them is refused at once.
func TestTokensCannotBeChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	p := w.f.Proxy
	p.Auth = []resource.AuthEntry{{Secret: w.db.User, IAMAuth: resource.IAMRequired}}
	if err := w.f.Plane.Apply(t.Context(), resource.Snapshot{Proxies: []resource.Proxy{p}}); err == nil || !strings.Contains(err.Error(), "REQUIRED") {
		t.Errorf("Apply: %v", err)
	}
	w.open().must("SELECT 1")
}
