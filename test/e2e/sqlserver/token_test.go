package sqlserver

import (
	"context"
	"database/sql"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/sigv4"
	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"
	"forebay/internal/testkit/testlog"
	"forebay/internal/wire/tds"
)

const tokenRegion = "eu-central-1"

var tokenKey = sigv4.Credentials{AccessKeyID: "AKIAFOREBAYTEST00000", SecretKey: "the-secret-key-of-this-test"}

// rdsTokens judge tokens of RDS that are signed with tokenKey.
type rdsTokens struct{}

// Verify implements engine.Tokens.
func (rdsTokens) Verify(_ context.Context, l engine.TokenLogin) error {
	token, err := sigv4.ParseToken(l.Token.Reveal())
	switch {
	case err != nil:
		return &engine.TokenError{Reason: engine.TokenMalformed}
	case token.DBUser != l.User:
		return &engine.TokenError{Reason: engine.TokenUser}
	case token.Port != l.Port || !slices.Contains(l.Hostnames, token.Host):
		return &engine.TokenError{Reason: engine.TokenEndpoint}
	}
	switch err := token.Verify(tokenKey.SecretKey, time.Now()); {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "expired"):
		return &engine.TokenError{Reason: engine.TokenExpired}
	default:
		return &engine.TokenError{Reason: engine.TokenSignature}
	}
}

// TokenUser implements engine.TokenUsers.
func (rdsTokens) TokenUser(p secret.Password) (user string, ok bool) {
	token, err := sigv4.ParseToken(p.Reveal())
	if err != nil {
		return "", false
	}
	return token.DBUser, true
}

// TestTokens logs clients in by tokens of RDS, where a token is required, in each way that drivers send them.
func TestTokens(t *testing.T) {
	t.Parallel()
	t.Run("scripted", func(t *testing.T) {
		t.Parallel()
		testTokens(t, direct(t, tdsserver.Options{}))
	})
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		p := realPlace(t)
		stand := direct(t, tdsserver.Options{}) // for its certificate
		p.ca, p.server = stand.ca, stand.server
		testTokens(t, p)
	})
}

func testTokens(t *testing.T, p place) {
	var log testlog.Buffer
	f := testkit.StartForebaySQLServer(t, p.host, p.port, testkit.ForebayOptions{
		Users: map[string]string{p.user: p.password}, TLS: p.server.TLS(), Tokens: rdsTokens{}, Log: slog.NewTextHandler(&log, nil),
		Change: func(px *resource.Proxy) {
			px.ResourceID = "prx-1"
			px.Endpoints[0].Hostnames = []string{"db.test"}
			px.Auth[0].IAMAuth = resource.IAMRequired
		},
	})
	p.host, p.port = f.Host, f.Port
	sign := func(host string, port int, user string, age time.Duration) string {
		return sigv4.SignToken(host, port, tokenRegion, user, tokenKey, time.Now().Add(-age))
	}
	good := sign("db.test", f.Port, p.user, 0)
	config := func(encrypt string) msdsn.Config {
		u := url.URL{Scheme: "sqlserver", Host: p.addr(), RawQuery: url.Values{
			"database": {p.database}, "certificate": {p.ca}, "hostNameInCertificate": {"localhost"}, "encrypt": {encrypt}, "disableRetry": {"true"},
		}.Encode()}
		c, err := msdsn.Parse(u.String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	// ways are those in which a token is sent.
	ways := map[string]func(encrypt, token string) *mssql.Connector{
		"in LOGIN7": func(encrypt, token string) *mssql.Connector {
			c, err := mssql.NewSecurityTokenConnector(config(encrypt), func(context.Context) (string, error) { return token, nil })
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		"asked for": func(encrypt, token string) *mssql.Connector {
			c, err := mssql.NewActiveDirectoryTokenConnector(config(encrypt), mssql.FedAuthADALWorkflowPassword, func(context.Context, string, string) (string, error) {
				return token, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		"in the password's place": func(encrypt, token string) *mssql.Connector {
			c := config(encrypt)
			c.User, c.Password = p.user, token
			return mssql.NewConnectorConfig(c)
		},
	}
	login := func(c *mssql.Connector) (user string, err error) {
		db := sql.OpenDB(c)
		err = db.QueryRowContext(t.Context(), "SELECT SUSER_SNAME()").Scan(&user)
		_ = db.Close() // nothing is under way
		return user, err
	}
	forged := sigv4.SignToken("db.test", f.Port, tokenRegion, p.user, sigv4.Credentials{AccessKeyID: tokenKey.AccessKeyID, SecretKey: "another"}, time.Now())
	var want [engine.NumTokenReasons]int64
	let := int64(0)
	for way, connector := range ways {
		for _, encrypt := range []string{"true", "strict"} {
			let++
			if user, err := login(connector(encrypt, good)); err != nil || user != p.user {
				t.Errorf("%s, encrypt=%s: %q, %v", way, encrypt, user, err)
			}
		}
		for name, c := range map[string]struct {
			token  string
			reason engine.TokenReason
		}{
			"expired":             {sign("db.test", f.Port, p.user, 20*time.Minute), engine.TokenExpired},
			"of another endpoint": {sign("other.test", f.Port, p.user, 0), engine.TokenEndpoint},
			"of another port":     {sign("db.test", f.Port+1, p.user, 0), engine.TokenEndpoint},
			"forged":              {forged, engine.TokenSignature},
		} {
			want[c.reason]++
			if _, err := login(connector("true", c.token)); errNumber(err) != 18456 {
				t.Errorf("%s, %s: %v", way, name, err)
			}
		}
	}
	// For another user: beside no name, it is that user who wants in, of whom there is no secret; beside a name it does not fit.
	for way, reason := range map[string]engine.TokenReason{"in LOGIN7": engine.TokenUnknownUser, "in the password's place": engine.TokenUser} {
		want[reason]++
		if _, err := login(ways[way]("true", sign("db.test", f.Port, "somebody", 0))); errNumber(err) != 18456 {
			t.Errorf("%s, for another user: %v", way, err)
		}
	}
	// Over a session of which the log-in alone, or nothing, is encrypted. (With FEDAUTH the driver makes "false" a "true".)
	for _, c := range []struct{ way, encrypt string }{
		{"in LOGIN7", "disable"}, {"asked for", "disable"}, {"in the password's place", "disable"}, {"in the password's place", "false"},
	} {
		want[engine.TokenNoTLS]++
		if _, err := login(ways[c.way](c.encrypt, good)); errNumber(err) != 18456 {
			t.Errorf("%s, encrypt=%s: %v", c.way, c.encrypt, err)
		}
	}
	want[engine.TokenMalformed]++
	if _, err := login(ways["in the password's place"]("true", p.password)); errNumber(err) != 18456 {
		t.Errorf("the password, where a token is required: %v", err)
	}
	clients := func() (n int64, refused [engine.NumTokenReasons]int64) {
		c := f.Plane.Collect().Proxies[0].Clients
		return c.Tokens, c.TokensRefused
	}
	sum := func(counts [engine.NumTokenReasons]int64) (n int64) {
		for _, c := range counts {
			n += c
		}
		return n
	}
	testkit.Eventually(t, "all are counted", func() bool { n, refused := clients(); return n+sum(refused) >= let+sum(want) })
	if n, refused := clients(); n != let || refused != want {
		t.Errorf("counted %d, %v; want %d, %v", n, refused, let, want)
	}
	testkit.Eventually(t, "all is logged", func() bool { return strings.Contains(log.String(), "reason=malformed") })
	all := log.String()
	for _, line := range []string{"client let in by a token", "reason=expired", "reason=endpoint", "reason=signature", "reason=no_tls", "user=" + p.user} {
		if !strings.Contains(all, line) {
			t.Errorf("no %q in the log:\n%s", line, all)
		}
	}
	for _, s := range []string{"Action=connect", "X-Amz-Signature", p.password} {
		if strings.Contains(all, s) {
			t.Errorf("%q is in the log:\n%s", s, all)
		}
	}
}

// TestTokenInTheClear has a client send a token over a connection that nothing encrypts, which go-mssqldb may keep itself from.
func TestTokenInTheClear(t *testing.T) {
	t.Parallel()
	p := direct(t, tdsserver.Options{})
	f := testkit.StartForebaySQLServer(t, p.host, p.port, testkit.ForebayOptions{
		Users: map[string]string{p.user: p.password}, Tokens: rdsTokens{}, Log: slog.DiscardHandler,
		Change: func(px *resource.Proxy) {
			px.ResourceID, px.Endpoints[0].Hostnames, px.Auth[0].IAMAuth = "prx-1", []string{"db.test"}, resource.IAMEnabled
		},
	})
	p.host, p.port = f.Host, f.Port
	token := sigv4.SignToken("db.test", f.Port, tokenRegion, p.user, tokenKey, time.Now())
	fedAuth := &tds.FedAuth{Library: tds.FedAuthSecurityToken, Token: token}
	for name, l := range map[string]tds.Login7{
		"in LOGIN7":               {Features: []tds.Feature{{ID: tds.FeatureFedAuth, Data: fedAuth.Append(nil)}}},
		"in the password's place": {UserName: p.user, Password: token},
	} {
		l.Database = p.database
		r := connectRaw(t, p, tds.V74)
		if a := r.login(l); len(a.errors) != 1 || a.errors[0] != 18456 {
			t.Errorf("%s: errors %d", name, a.errors)
		}
	}
	dialRaw(t, p, tds.V74).expect("SELECT 'in'", "in") // by the password
	refused := func() int64 { return f.Plane.Collect().Proxies[0].Clients.TokensRefused[engine.TokenNoTLS] }
	testkit.Eventually(t, "both are counted", func() bool { return refused() == 2 })
}
