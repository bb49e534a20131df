package login_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit/testcert"
	"forebay/internal/wire/mysqlwire"

	"github.com/go-sql-driver/mysql"
)

// rotated is a secret in the overlap of a rotation.
func rotated(user string) secret.Secret {
	return secret.Secret{
		Name: "s", Version: "2", Username: user, Password: password,
		Previous: &secret.Previous{Version: "1", Username: user, Password: "former-pass"},
	}
}

// connect logs a driver in and says how that went.
func connect(t *testing.T, ca testcert.Authority, addr, user, pw string, secure bool) error {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd = "tcp", addr, user, pw
	cfg.AllowCleartextPasswords = true
	cfg.Logger = &mysql.NopLogger{}
	if secure {
		cfg.TLS = &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"}
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	return db.PingContext(t.Context())
}

// TestBothPasswords has clients log in by either password of a rotated secret, in every way that there is.
func TestBothPasswords(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	types := map[string]resource.ClientPasswordAuthType{
		"native": resource.MySQLNative, "sha2": resource.MySQLCachingSHA2, "clear": resource.MySQLCleartext, "other": resource.MySQLNative,
	}
	p := startProxy(t, mysqlwire.PluginCachingSHA2, login.AcceptOptions{TLS: ca.Server(), Lookup: func(_ context.Context, user string) (*login.Verifier, error) {
		s := rotated(user)
		if user == "other" { // the previous version of another user says nothing about this one
			s.Previous.Username = "somebody"
		}
		late, isLate := strings.CutPrefix(user, "late-")
		if isLate {
			s.Previous.ClientsUntil = time.Now().Add(-time.Second)
		}
		v := login.NewVerifierOf(s, types[late])
		if (v.Previous() == nil) != (user == "other") || v.Previous() == v.Credentials() {
			t.Errorf("%s: previous credentials %v", user, v.Previous())
		}
		return v, nil
	}})
	for _, tt := range []struct {
		user   string
		secure bool
	}{{"native", false}, {"sha2", false}, {"sha2", true}, {"clear", true}, {"other", false}, {"late-native", false}, {"late-sha2", false}, {"late-sha2", true}, {"late-clear", true}} {
		for _, pw := range []string{password, "former-pass", "another"} {
			err := connect(t, ca, p.addr, tt.user, pw, tt.secure)
			o := <-p.outcomes
			if pw == "another" || (tt.user == "other" || strings.HasPrefix(tt.user, "late-")) && pw != password {
				var e *mysql.MySQLError
				if !errors.As(err, &e) || e.Number != 1045 {
					t.Errorf("%s, TLS %t, password %s: %v; want 1045", tt.user, tt.secure, pw, err)
				}
			} else if err != nil || o.err != nil {
				t.Errorf("%s, TLS %t, password %s: %v; Accept: %v", tt.user, tt.secure, pw, err, o.err)
			} else if fast := string(o.client.Greeting); tt.user == "sha2" && !strings.HasSuffix(fast, "\x01\x03") {
				t.Errorf("%s, TLS %t, password %s: not on the fast path: %q", tt.user, tt.secure, pw, fast)
			}
		}
	}
}

// TestOverlapEnds: clients log in by the previous password until the overlap is over; the database is asked with it all the
// same.
func TestOverlapEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := rotated("u")
		s.Previous.ClientsUntil = time.Now().Add(24 * time.Hour)
		v := login.NewVerifierOf(s, resource.MySQLCleartext)
		for _, tt := range []struct {
			after time.Duration
			lets  bool
		}{{0, true}, {24*time.Hour - time.Second, true}, {time.Second, false}, {100 * time.Hour, false}} {
			time.Sleep(tt.after) // of the bubble's time
			if v.Holds("former-pass") != tt.lets || !v.Holds(password) || v.Previous() == nil {
				t.Errorf("after %v more the previous password lets in: %t", tt.after, v.Holds("former-pass"))
			}
		}
	})
}

const goodToken = "localhost:3306/?Action=connect&DBUser=u&X-Amz-Signature=0123"

// tokenUsers know users "u" and "either" for the values of IAMAuth, "gone", who does not exist, and those of users.
func tokenUsers(good string) func(context.Context, string) (*login.Verifier, error) {
	verify := func(_ context.Context, _ string, p secret.Password) error {
		switch p.Reveal() {
		case good:
			return nil
		case "x?Action=connect&down":
			return errors.New("the store is down")
		}
		return &engine.TokenError{Reason: engine.TokenSignature}
	}
	return func(ctx context.Context, user string) (*login.Verifier, error) {
		known := login.NewVerifierOf(rotated(user), resource.MySQLCleartext)
		c := &engine.TokenCheck{Verify: verify, IAMAuth: resource.IAMRequired, User: user, Password: known.Holds}
		credentials := known.Credentials()
		switch user {
		case "u":
		case "either":
			c.IAMAuth = resource.IAMEnabled
		case "gone":
			c.Unknown, credentials = true, nil
		default:
			return users(ctx, user)
		}
		return login.NewCheckVerifier(user, c.Check, resource.MySQLCleartext, credentials), nil
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	long := goodToken + "&X-Amz-Security-Token="
	long += strings.Repeat("s", 16<<10-len(long))
	none := engine.NumTokenReasons
	for _, good := range []string{goodToken, long} {
		p := startProxy(t, mysqlwire.PluginCachingSHA2, login.AcceptOptions{TLS: ca.Server(), Lookup: tokenUsers(good)})
		for _, tt := range []struct {
			name, user, pw string
			secure         bool
			code           uint16 // 0: let in
			state, message string
			reason         engine.TokenReason
		}{
			{"good", "u", good, true, 0, "", "", none},
			{"bad", "u", good[1:], true, 1045, "28000", "Access denied for user 'u'@'127.0.0.1' (using password: YES)", engine.TokenSignature},
			{"the password", "u", password, true, 1045, "28000", "Access denied for user 'u'@'127.0.0.1' (using password: YES)", engine.TokenSignature},
			{"nothing", "u", "", true, 1045, "28000", "Access denied for user 'u'@'127.0.0.1' (using password: NO)", none},
			{"unknown user", "gone", good, true, 1045, "28000", "Access denied for user 'gone'@'127.0.0.1' (using password: YES)", engine.TokenUnknownUser},
			{"store down", "u", "x?Action=connect&down", true, 1105, "HY000", "Unknown error", none},
			{"no TLS", "u", good, false, 3159, "HY000", wantTLS, engine.TokenNoTLS},
			{"either: good", "either", good, true, 0, "", "", none},
			{"either: bad", "either", good + "x", true, 1045, "28000", "Access denied for user 'either'@'127.0.0.1' (using password: YES)", engine.TokenSignature},
			{"either: password", "either", password, true, 0, "", "", none},
			{"either: former password", "either", "former-pass", true, 0, "", "", none},
			{"either: wrong password", "either", "wrong", true, 1045, "28000", "Access denied for user 'either'@'127.0.0.1' (using password: YES)", none},
		} {
			err := connect(t, ca, p.addr, tt.user, tt.pw, tt.secure)
			o := <-p.outcomes
			if tt.code == 0 {
				if err != nil || o.err != nil {
					t.Errorf("%s: %v; Accept: %v", tt.name, err, o.err)
				}
				continue
			}
			var e *mysql.MySQLError
			if !errors.As(err, &e) || e.Number != tt.code || string(e.SQLState[:]) != tt.state || e.Message != tt.message {
				t.Errorf("%s: %v; want %d %s", tt.name, err, tt.code, tt.message)
			}
			var refusal *login.Refusal
			if !errors.As(o.err, &refusal) || !refusal.AuthFailure() || refusal.RefusedUser() != tt.user {
				t.Errorf("%s: Accept: %v", tt.name, o.err)
			}
			var token *engine.TokenError
			if is := errors.As(o.err, &token); is != (tt.reason != none) || is && token.Reason != tt.reason {
				t.Errorf("%s: Accept: %v", tt.name, o.err)
			}
			if strings.Contains(o.err.Error(), "Action=connect") {
				t.Errorf("%s: the token is in %q", tt.name, o.err)
			}
		}
	}
}

// TestTokenOnTheWire sees what clients are asked for, at their first log-in and when they change their user.
func TestTokenOnTheWire(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	p := startProxy(t, mysqlwire.PluginNative, login.AcceptOptions{TLS: ca.Server(), Lookup: tokenUsers(goodToken)})
	const (
		switched = "\xfemysql_clear_password\x00"
		refused  = "\xff\x15\x04#28000Access denied"
		ok       = "\x00"
	)
	begun := as(plain|mysqlwire.ClientSSL, "u", mysqlwire.PluginClearPassword)
	begun.AuthResponse = []byte(goodToken + "\x00")
	type step struct{ send, want string }
	for _, tt := range []struct {
		name   string
		secure bool
		steps  []step
	}{
		{"switch", true, []step{
			{response(2, as(plain|mysqlwire.ClientSSL, "u", mysqlwire.PluginNative)), switched},
			{packet(4, goodToken+"\x00"), ok},
		}},
		{"switch, without the zero", true, []step{
			{response(2, as(plain|mysqlwire.ClientSSL, "u", mysqlwire.PluginNative)), switched},
			{packet(4, goodToken), ok},
		}},
		{"begun with it", true, []step{{response(2, begun), ok}}},
		{"a zero within", true, []step{
			{response(2, as(plain|mysqlwire.ClientSSL, "u", mysqlwire.PluginNative)), switched},
			{packet(4, goodToken+"\x00x"), refused},
		}},
		{"no plugins", true, []step{
			{response(2, as(plain&^mysqlwire.ClientPluginAuth|mysqlwire.ClientSSL, "u", "")), "\xff\xe3\x04#08004"},
		}},
		{"no TLS", false, []step{{response(1, as(plain, "u", mysqlwire.PluginClearPassword)), "\xff\x57\x0c#HY000" + wantTLS}}},
		{"change to it", true, []step{
			{response(2, as(plain|mysqlwire.ClientSSL, "either", mysqlwire.PluginNative)), switched},
			{packet(4, password+"\x00"), ok},
			{packet(0, string((&mysqlwire.ChangeUser{User: "u"}).Append(nil, plain))), switched},
			{packet(2, goodToken+"\x00"), ok},
			{packet(0, string((&mysqlwire.ChangeUser{User: "u"}).Append(nil, plain))), switched},
			{packet(2, password+"\x00"), refused},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", p.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { c.Close(); <-p.outcomes }()
			if _, _, err := readPacket(c); err != nil {
				t.Fatal(err)
			}
			if tt.secure {
				io.WriteString(c, packet(1, string(as(plain|mysqlwire.ClientSSL, "", "").SSLRequest.Append(nil))))
				c = tls.Client(c, &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"})
			}
			for i, s := range tt.steps {
				if _, err := io.WriteString(c, s.send); err != nil {
					t.Fatal(err)
				}
				if _, got, err := readPacket(c); err != nil || !strings.HasPrefix(string(got), s.want) {
					t.Fatalf("step %d: got %q, %v; want %q", i, got, err, s.want)
				}
			}
		})
	}
}
