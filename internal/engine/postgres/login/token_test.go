package login_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit/testcert"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// rotated is a secret in the overlap of a rotation.
func rotated(user string) secret.Secret {
	return secret.Secret{
		Name: "s", Version: "2", Username: user, Password: password,
		Previous: &secret.Previous{Version: "1", Username: user, Password: "former-pass"},
	}
}

// TestBothPasswords has clients log in by either password of a rotated secret, in every way that there is.
func TestBothPasswords(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	known := map[string]*login.Verifier{}
	for user, authType := range map[string]resource.ClientPasswordAuthType{
		"scram": resource.PostgresSCRAM, "md5": resource.PostgresMD5, "clear": resource.PostgresCleartext,
	} {
		v, err := login.NewVerifierOf(rotated(user), authType)
		if err != nil {
			t.Fatal(err)
		}
		if v.Previous() == nil || v.Previous() == v.Credentials() {
			t.Fatalf("%s: no credentials of the previous password", user)
		}
		known[user] = v
		late := rotated("late-" + user)
		late.Previous.ClientsUntil = time.Now().Add(-time.Second)
		if known[late.Username], err = login.NewVerifierOf(late, authType); err != nil || known[late.Username].Previous() == nil {
			t.Fatalf("%s: credentials after the overlap: %v", user, err)
		}
	}
	// The previous version of another user says nothing about this one.
	other := rotated("other")
	other.Previous.Username = "somebody"
	alone, err := login.NewVerifierOf(other, "")
	if err != nil || alone.Previous() != nil {
		t.Fatalf("previous credentials of another user: %v, %v", alone.Previous(), err)
	}
	known["other"] = alone
	p := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), Lookup: func(_ context.Context, user string) (*login.Verifier, error) {
		return known[user], nil
	}})
	base := hostPort(t, p.addr) + " dbname=db sslrootcert=" + ca.File
	for _, tt := range []struct{ user, how string }{
		{"scram", "sslmode=disable"},
		{"scram", "sslmode=require"},
		{"scram", "sslmode=require channel_binding=require"},
		{"md5", "sslmode=disable"},
		{"clear", "sslmode=require"},
		{"other", "sslmode=disable"},
		{"late-scram", "sslmode=disable"},
		{"late-scram", "sslmode=require channel_binding=require"},
		{"late-md5", "sslmode=disable"},
		{"late-clear", "sslmode=require"},
	} {
		for _, pw := range []string{password, "former-pass", "another"} {
			c, err := pgconn.Connect(t.Context(), base+" user="+tt.user+" "+tt.how+" password="+pw)
			o := <-p.outcomes
			if pw == "another" || (tt.user == "other" || strings.HasPrefix(tt.user, "late-")) && pw != password {
				var pgErr *pgconn.PgError
				if !errors.As(err, &pgErr) || pgErr.Code != "28P01" {
					t.Errorf("%s with %s, password %s: %v; want 28P01", tt.user, tt.how, pw, err)
				}
				continue
			}
			if err != nil || o.err != nil {
				t.Errorf("%s with %s, password %s: %v; Accept: %v", tt.user, tt.how, pw, err, o.err)
				continue
			}
			c.Close(context.Background())
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
		v, err := login.NewVerifierOf(s, resource.PostgresCleartext)
		if err != nil {
			t.Fatal(err)
		}
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

const (
	goodToken = "localhost:5432/?Action=connect&DBUser=u&X-Amz-Signature=0123"
	badToken  = "The IAM authentication failed for the role %. Check the IAM token for this role and try again."
	noTLS     = "IAM authentication is allowed only with SSL connections."
)

// tokenUsers know a user for each value of IAMAuth; "gone" is one that does not exist.
func tokenUsers(t testing.TB, good string) func(context.Context, string) (*login.Verifier, error) {
	known, err := login.NewVerifierOf(rotated("either"), resource.PostgresCleartext)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(_ context.Context, _ string, p secret.Password) error {
		switch p.Reveal() {
		case good:
			return nil
		case "x?Action=connect&down":
			return errors.New("the store is down")
		}
		return &engine.TokenError{Reason: engine.TokenSignature}
	}
	return func(_ context.Context, user string) (*login.Verifier, error) {
		c := &engine.TokenCheck{Verify: verify, IAMAuth: resource.IAMRequired, User: user, Password: known.Holds}
		credentials := known.Credentials()
		switch user {
		case "either":
			c.IAMAuth = resource.IAMEnabled
		case "gone":
			c.Unknown, credentials = true, nil
		}
		return login.NewTokenVerifier(user, c.Check, user != "either", credentials), nil
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	long := goodToken + "&X-Amz-Security-Token="
	long += strings.Repeat("s", 16<<10-len(long))
	for _, good := range []string{goodToken, long} {
		p := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), Lookup: tokenUsers(t, good)})
		for _, tt := range []struct {
			name, user, pw, mode string
			code, message        string // code empty: let in
			reason               engine.TokenReason
		}{
			{"good", "u", good, "require", "", "", 0},
			{"bad", "u", good[1:], "require", "28P01", badToken, engine.TokenSignature},
			{"the password", "u", password, "require", "28P01", badToken, engine.TokenSignature},
			{"unknown user", "gone", good, "require", "28P01", badToken, engine.TokenUnknownUser},
			{"store down", "u", "x?Action=connect&down", "require", "XX000", "Unknown error.", engine.NumTokenReasons},
			{"no TLS", "u", good, "disable", "28000", noTLS, engine.TokenNoTLS},
			{"either: good", "either", good, "require", "", "", 0},
			{"either: bad", "either", good[:len(good)-1] + "x", "require", "28P01", badToken, engine.TokenSignature},
			{"either: password", "either", password, "require", "", "", 0},
			{"either: former password", "either", "former-pass", "require", "", "", 0},
			{"either: wrong password", "either", "wrong", "require", "28P01", "The password that was provided for the role % is wrong.", engine.NumTokenReasons},
			{"either: no TLS", "either", password, "disable", "28000", "This RDS Proxy requires TLS connections", engine.NumTokenReasons},
		} {
			cfg, err := pgconn.ParseConfig(hostPort(t, p.addr) + " dbname=db user=" + tt.user + " sslmode=" + tt.mode)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Password = tt.pw
			c, err := pgconn.ConnectConfig(t.Context(), cfg)
			o := <-p.outcomes
			if tt.code == "" {
				if err != nil || o.err != nil {
					t.Errorf("%s: %v; Accept: %v", tt.name, err, o.err)
					continue
				}
				c.Close(context.Background())
				continue
			}
			var pgErr *pgconn.PgError
			want := strings.Replace(tt.message, "%", tt.user, 1)
			if !errors.As(err, &pgErr) || pgErr.Code != tt.code || pgErr.Message != want || pgErr.Severity != "FATAL" {
				t.Errorf("%s: %v; want %s %s", tt.name, err, tt.code, want)
			}
			var refusal *login.Refusal
			if !errors.As(o.err, &refusal) || !refusal.AuthFailure() || refusal.RefusedUser() != tt.user {
				t.Errorf("%s: Accept: %v", tt.name, o.err)
			}
			var token *engine.TokenError
			if is := errors.As(o.err, &token); is != (tt.reason != engine.NumTokenReasons) || is && token.Reason != tt.reason {
				t.Errorf("%s: Accept: %v", tt.name, o.err)
			}
			if strings.Contains(o.err.Error(), "Action=connect") {
				t.Errorf("%s: the token is in %q", tt.name, o.err)
			}
		}
	}
}

// TestTokenOnTheWire sees what is asked for, and what an answer beyond all bounds gets.
func TestTokenOnTheWire(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	p := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), Lookup: tokenUsers(t, goodToken)})
	start, _ := (&pgproto3.StartupMessage{ProtocolVersion: 3 << 16, Parameters: map[string]string{"user": "u"}}).Encode(nil)
	const cleartext = "R\x00\x00\x00\x08\x00\x00\x00\x03"
	for _, tt := range []struct {
		name, answer string
		code         string // SQLSTATE; "-" for an error that is no refusal, empty for none
	}{
		{"good", passwordMessage(goodToken + "\x00"), ""},
		{"no end", passwordMessage(goodToken), "08P01"},
		{"16 KiB", passwordMessage(strings.Repeat("t", 16<<10) + "\x00"), "28P01"},
		{"more", passwordMessage(strings.Repeat("t", 16<<10) + "t\x00"), "-"},
		{"SCRAM", saslInitial("SCRAM-SHA-256", "n,,n=,r=x"), "08P01"},
		{"query", "Q\x00\x00\x00\x05\x00", "08P01"},
		{"gone", "X\x00\x00\x00\x04", "-"},
	} {
		raw, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		raw.Write(packet(sslCode))
		io.ReadFull(raw, make([]byte, 1))
		c := tls.Client(raw, &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"})
		c.Write(start)
		got := make([]byte, len(cleartext))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != cleartext {
			t.Fatalf("%s: asked %q, %v", tt.name, got, err)
		}
		io.WriteString(c, tt.answer)
		o := <-p.outcomes
		c.Close()
		var refusal *login.Refusal
		code := ""
		switch {
		case errors.As(o.err, &refusal):
			code = refusal.SQLSTATE
		case o.err != nil:
			code = "-"
		}
		if code != tt.code {
			t.Errorf("%s: %v; want %q", tt.name, o.err, tt.code)
		}
	}
}

func passwordMessage(body string) string {
	b, err := (&pgproto3.PasswordMessage{Password: body}).Encode(nil)
	if err != nil {
		panic(err)
	}
	b = b[:len(b)-1] // without the zero that Encode puts there
	n := len(b) - 1
	b[1], b[2], b[3], b[4] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return string(b)
}
