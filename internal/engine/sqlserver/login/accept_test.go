package login_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/wire/tds"

	mssql "github.com/microsoft/go-mssqldb"
)

// driverCase is one log-in by go-mssqldb.
type driverCase struct {
	name    string
	encrypt string // the driver's word
	user    string
	pw      string
	token   string // in place of user and password
	require bool   // the proxy requires TLS
	noTLS   bool   // the proxy has none
	full    bool   // there are too many clients

	tls    bool   // of the session
	want   int32  // the error's number; 0: let in
	text   string // in the driver's error, where it ends the connection itself
	reason engine.TokenReason
	failed bool // an authentication that has failed
}

func driverCases() []driverCase {
	var cases []driverCase
	for _, mode := range []string{"disable", "false", "true", "strict"} {
		all := mode == "true" || mode == "strict"
		cases = append(cases,
			driverCase{name: "password", encrypt: mode, user: "clerk", pw: password, tls: all},
			driverCase{name: "wrong password", encrypt: mode, user: "clerk", pw: "wrong", tls: all, want: 18456, failed: true},
			driverCase{name: "no password", encrypt: mode, user: "clerk", pw: "", tls: all, want: 18456, failed: true},
			driverCase{name: "unknown user", encrypt: mode, user: "nobody", pw: password, tls: all, want: 18456, failed: true},
			driverCase{name: "store down", encrypt: mode, user: "broken", pw: password, tls: all, want: 40197, failed: true},
			driverCase{name: "either: password", encrypt: mode, user: "either", pw: password, tls: all},
			driverCase{name: "too many", encrypt: mode, user: "clerk", pw: password, full: true, tls: all, want: 10928},
		)
		pasted := driverCase{name: "token as password", encrypt: mode, user: "either", pw: token, tls: all}
		badge := driverCase{name: "token alone, as password", encrypt: mode, user: "badge", pw: token, tls: all}
		handed := driverCase{name: "token", encrypt: mode, token: token, tls: all}
		bad := driverCase{name: "bad token", encrypt: mode, token: token + "clerk", tls: all, want: 18456, failed: true, reason: engine.TokenSignature}
		stranger := driverCase{name: "token of nobody", encrypt: mode, token: "x", tls: all, want: 18456, failed: true}
		if !all {
			for _, c := range []*driverCase{&pasted, &badge, &handed, &bad, &stranger} {
				c.want, c.reason, c.failed = 18456, engine.TokenNoTLS, true
			}
		}
		if mode == "false" { // a client that says that it has a token is told to encrypt everything
			handed.want, handed.reason, handed.failed, handed.tls = 0, 0, false, true
			bad.reason, stranger.reason = engine.TokenSignature, 0
		}
		cases = append(cases, pasted, badge, handed, bad, stranger)
	}
	return append(cases,
		driverCase{name: "required, off", encrypt: "false", user: "clerk", pw: password, require: true, tls: true},
		driverCase{name: "required, on", encrypt: "true", user: "clerk", pw: password, require: true, tls: true},
		driverCase{name: "required, strict", encrypt: "strict", user: "clerk", pw: password, require: true, tls: true},
		driverCase{name: "required, not supported", encrypt: "disable", user: "clerk", pw: password, require: true, text: "TLS", failed: true},
		driverCase{name: "none, off", encrypt: "false", user: "clerk", pw: password, noTLS: true},
		driverCase{name: "none, on", encrypt: "true", user: "clerk", pw: password, noTLS: true, text: "server does not support encryption"},
	)
}

// connector is the driver, set up.
func (c driverCase) connector(t *testing.T, addr, caFile string) driver.Connector {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{
		"database": {"shop"}, "encrypt": {c.encrypt}, "certificate": {caFile}, "hostNameInCertificate": {"localhost"},
		"app name": {"till"}, "packet size": {"8192"}, "disableretry": {"true"},
	}
	if c.encrypt == "disable" {
		q.Del("certificate")
		q.Del("hostNameInCertificate")
	}
	u := url.URL{Scheme: "sqlserver", Host: net.JoinHostPort("localhost", port), RawQuery: q.Encode()}
	if c.token != "" {
		connector, err := mssql.NewAccessTokenConnector(u.String(), func() (string, error) { return c.token, nil })
		if err != nil {
			t.Fatal(err)
		}
		return connector
	}
	u.User = url.UserPassword(c.user, c.pw)
	connector, err := mssql.NewConnector(u.String())
	if err != nil {
		t.Fatal(err)
	}
	return connector
}

func TestGoDriver(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for _, c := range driverCases() {
		t.Run(c.name+", "+c.encrypt, func(t *testing.T) {
			t.Parallel()
			o := ca.options()
			if o.RequireTLS = c.require; c.noTLS {
				o.InsideTLS, o.FirstTLS = nil, nil
			}
			if c.full {
				o.TooMany = 7
			}
			p := startProxy(t, o)
			db := sql.OpenDB(c.connector(t, p.addr, ca.caFile))
			defer db.Close()
			_, err := db.ExecContext(t.Context(), "PRINT 'x'")
			got := <-p.outcomes
			if got.err != nil && strings.Contains(got.err.Error(), password) {
				t.Errorf("the password is in %q", got.err)
			}
			switch {
			case c.text != "":
				c.endedByDriver(t, err, got)
			case c.want != 0:
				c.refused(t, err, got)
			case err != nil || got.err != nil:
				t.Errorf("driver: %v, Accept: %v", err, got.err)
			default:
				c.letIn(t, got.client)
			}
		})
	}
}

func (c driverCase) letIn(t *testing.T, client *login.Client) {
	t.Helper()
	user := c.user
	if c.token != "" {
		user = "badge"
	}
	if client.User != user || client.TLS != c.tls || client.Database != "shop" || client.Application != "till" || client.PacketSize != 8192 ||
		!client.ODBC || len(client.Buffered) > 0 {
		t.Errorf("client: %+v", client)
	}
	version := tds.V74
	if c.encrypt == "strict" {
		version = tds.V80
	}
	if client.Version != version {
		t.Errorf("version %#x, want %#x", client.Version, version)
	}
}

func (c driverCase) refused(t *testing.T, err error, got outcome) {
	t.Helper()
	var told mssql.Error
	if !errors.As(err, &told) || told.Number != c.want || told.State != 1 {
		t.Errorf("driver: %v (number %d); want %d", err, told.Number, c.want)
	}
	var refusal *login.Refusal
	if !errors.As(got.err, &refusal) || refusal.Number != c.want || refusal.AuthFailure() != c.failed {
		t.Fatalf("Accept: %v; want %d", got.err, c.want)
	}
	if c.want == 18456 && c.reason == 0 && told.Message != "login error: Login failed for user '"+c.user+"'." {
		t.Errorf("message %q", told.Message)
	}
	var bad *engine.TokenError
	if isToken := errors.As(got.err, &bad); isToken != (c.reason != 0) || isToken && bad.Reason != c.reason {
		t.Errorf("Accept: %v; want a token refused for %s", got.err, c.reason)
	}
}

func (c driverCase) endedByDriver(t *testing.T, err error, got outcome) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), c.text) {
		t.Errorf("driver: %v; want %q", err, c.text)
	}
	if got.err == nil {
		t.Error("Accept has let the client in")
	}
}
