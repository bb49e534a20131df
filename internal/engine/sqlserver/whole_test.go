package sqlserver_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"database/sql/driver"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"
	"forebay/internal/wire/tds"

	mssql "github.com/microsoft/go-mssqldb"
)

// certificate is what a test's Forebay shows to its clients, and a file with it.
func certificate(t *testing.T) (cfg *tls.Config, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "forebay.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, file
}

// open is a pool of connections to f.
func open(t *testing.T, f *testkit.Forebay, user, password, database string, more url.Values) *sql.DB {
	t.Helper()
	q := url.Values{"database": {database}, "encrypt": {"disable"}, "trustservercertificate": {"true"}, "disableretry": {"true"}}
	for k, v := range more {
		q[k] = v
	}
	u := url.URL{Scheme: "sqlserver", User: url.UserPassword(user, password), Host: net.JoinHostPort(f.Host, strconv.Itoa(f.Port)), RawQuery: q.Encode()}
	db, err := sql.Open("sqlserver", u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func start(t *testing.T, s *tdsserver.Server, o testkit.ForebayOptions) *testkit.Forebay {
	t.Helper()
	if o.Users == nil {
		o.Users = map[string]string{tdsserver.DefaultUser: tdsserver.DefaultPassword}
	}
	return testkit.StartForebaySQLServer(t, s.Host, s.Port, o)
}

// number is that of the SQL Server error in err; 0: there is none.
func number(err error) int32 {
	var e mssql.Error
	errors.As(err, &e)
	return e.Number
}

// TestEncryption goes through Forebay in each mode of a client and each of a target: neither says anything of the other.
func TestEncryption(t *testing.T) {
	t.Parallel()
	cfg, file := certificate(t)
	for _, mode := range []resource.TLSMode{resource.TLSDisable, resource.TLSPrefer, resource.TLSRequire, resource.TLSVerifyCA, resource.TLSStrict} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := tdsserver.Start(t, tdsserver.Options{})
			ca := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(ca, s.PEM, 0o600); err != nil {
				t.Fatal(err)
			}
			f := start(t, s, testkit.ForebayOptions{TLS: cfg, Change: func(p *resource.Proxy) {
				m := &p.Target.Members[0]
				if m.TLSMode = mode; mode == resource.TLSVerifyCA || mode == resource.TLSStrict {
					m.CAFile = ca
				}
			}})
			for _, encrypt := range []string{"disable", "false", "true", "strict"} {
				var got string
				more := url.Values{"encrypt": {encrypt}}
				if encrypt == "strict" { // which trusts nobody without a reason
					more = url.Values{"encrypt": {encrypt}, "trustservercertificate": nil, "certificate": {file}, "hostNameInCertificate": {"localhost"}}
				}
				err := open(t, f, tdsserver.DefaultUser, tdsserver.DefaultPassword, "app", more).
					QueryRowContext(t.Context(), "SELECT DB_NAME()").Scan(&got)
				if err != nil || got != "app" {
					t.Errorf("encrypt=%s: %q, %v", encrypt, got, err)
				}
			}
			sessions := s.Sessions()
			if len(sessions) == 0 {
				t.Error("no server connection")
			}
			for _, x := range sessions {
				if x.Encrypted != (mode != resource.TLSDisable) {
					t.Errorf("server connection of %q: encrypted %t", x.Application, x.Encrypted)
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s := tdsserver.Start(t, tdsserver.Options{})
	f := start(t, s, testkit.ForebayOptions{Change: func(p *resource.Proxy) { p.MaxClients = 1 }})
	for name, c := range map[string]struct {
		user, password, database string
		want                     int32
	}{
		"wrong password": {tdsserver.DefaultUser, "wrong", "app", 18456},
		"unknown user":   {"nobody", tdsserver.DefaultPassword, "app", 18456},
		"no database":    {tdsserver.DefaultUser, tdsserver.DefaultPassword, "nowhere", 4060},
	} {
		db := open(t, f, c.user, c.password, c.database, nil)
		err := db.PingContext(t.Context())
		for number(err) == 10928 { // the one before has not quite left
			err = db.PingContext(t.Context())
		}
		if number(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		db.Close()
	}
	db := open(t, f, tdsserver.DefaultUser, tdsserver.DefaultPassword, "app", nil)
	err := db.PingContext(t.Context())
	for number(err) == 10928 {
		err = db.PingContext(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := open(t, f, tdsserver.DefaultUser, tdsserver.DefaultPassword, "app", nil).PingContext(t.Context()); number(err) != 10928 || !strings.Contains(err.Error(), "limit for the proxy is 1 ") {
		t.Errorf("one client too many: %v", err)
	}
}

// TestRotation has the secret change before the database does: clients come in by either password, and server connections by
// the one that is still good.
func TestRotation(t *testing.T) {
	t.Parallel()
	s := tdsserver.Start(t, tdsserver.Options{})
	f := start(t, s, testkit.ForebayOptions{})
	f.Rotate(tdsserver.DefaultUser, "next")
	for _, password := range []string{"next", tdsserver.DefaultPassword} {
		if err := open(t, f, tdsserver.DefaultUser, password, "app", nil).PingContext(t.Context()); err != nil {
			t.Errorf("%s: %v", password, err)
		}
	}
	if err := open(t, f, tdsserver.DefaultUser, "other", "app", nil).PingContext(t.Context()); number(err) != 18456 {
		t.Errorf("another one: %v", err)
	}
}

// tokens let in whom they name.
type tokens struct{}

func (tokens) Verify(_ context.Context, l engine.TokenLogin) error {
	if !l.TLS || l.Token.Reveal() != "Action=connect&DBUser="+l.User {
		return &engine.TokenError{Reason: engine.TokenSignature}
	}
	return nil
}

func (tokens) TokenUser(p secret.Password) (string, bool) {
	_, user, ok := strings.Cut(p.Reveal(), "DBUser=")
	return user, ok
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := tdsserver.Start(t, tdsserver.Options{})
	cfg, _ := certificate(t)
	f := start(t, s, testkit.ForebayOptions{TLS: cfg, Tokens: tokens{}, Change: func(p *resource.Proxy) {
		p.Auth[0].IAMAuth = resource.IAMRequired
	}})
	for token, want := range map[string]int32{"Action=connect&DBUser=sa": 0, "Action=connect&DBUser=sb": 18456, "Action=connect": 18456} {
		dsn := fmt.Sprintf("sqlserver://%s?database=app&encrypt=true&trustservercertificate=true", net.JoinHostPort(f.Host, strconv.Itoa(f.Port)))
		connector, err := mssql.NewAccessTokenConnector(dsn, func() (string, error) { return token, nil })
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(connector)
		var user string
		err = db.QueryRowContext(t.Context(), "SELECT SUSER_SNAME()").Scan(&user)
		if number(err) != want || want == 0 && (err != nil || user != "sa") {
			t.Errorf("%s: %q, %v", token, user, err)
		}
		db.Close()
	}
	if err := open(t, f, "sa", tdsserver.DefaultPassword, "app", url.Values{"encrypt": {"true"}}).PingContext(t.Context()); number(err) != 18456 {
		t.Errorf("the password, where a token is required: %v", err)
	}
}

// TestInitQuery has the proxy's init query run on each server connection, and count for every session.
func TestInitQuery(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]tdsserver.Options{"all told": {}, "no @@TEXTSIZE": {NoTextSize: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tdsserver.Start(t, o)
			f := start(t, s, testkit.ForebayOptions{Change: func(p *resource.Proxy) {
				p.Pool.InitQuery = "SET LOCK_TIMEOUT 1234; SET IMPLICIT_TRANSACTIONS ON"
			}})
			for range 2 {
				var got, begun int
				db := open(t, f, tdsserver.DefaultUser, tdsserver.DefaultPassword, "app", nil)
				if err := db.QueryRowContext(t.Context(), "SELECT @@LOCK_TIMEOUT, @@TRANCOUNT").Scan(&got, &begun); err != nil || got != 1234 || begun != 0 {
					t.Errorf("lock timeout %d, %d transactions, %v", got, begun, err)
				}
				db.Close()
			}
		})
	}
}

// TestBadInitQuery has log-ins to the server fail for one that does.
func TestBadInitQuery(t *testing.T) {
	t.Parallel()
	s := tdsserver.Start(t, tdsserver.Options{})
	f := start(t, s, testkit.ForebayOptions{Change: func(p *resource.Proxy) {
		p.Pool.InitQuery, p.Pool.ConnectionBorrowTimeout = "SELECT 1; SELECT nonsense FROM nowhere", 500*time.Millisecond
	}})
	if err := open(t, f, tdsserver.DefaultUser, tdsserver.DefaultPassword, "app", nil).PingContext(t.Context()); number(err) != 49918 {
		t.Error(err)
	}
}

// member is one that a monitor or a look is given.
type member struct{ cfg resource.Member }

func (m member) Config() resource.Member { return m.cfg }

func (m member) Dial(ctx context.Context) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", m.cfg.Address())
}

func TestMonitor(t *testing.T) {
	t.Parallel()
	s := tdsserver.Start(t, tdsserver.Options{MaxConnections: 77})
	e := sqlserver.New(slog.New(slog.DiscardHandler))
	m := member{resource.Member{Host: s.Host, Port: s.Port, TLSMode: resource.TLSRequire}}
	if err := e.Knock(t.Context(), &resource.Proxy{Target: resource.Target{Members: []resource.Member{m.cfg}}}, m); err != nil {
		t.Errorf("knock: %v", err)
	}
	sec := secret.Secret{Name: "sa", Username: tdsserver.DefaultUser, Password: tdsserver.DefaultPassword}
	o := engine.MonitorOptions{
		Member: m, Log: slog.New(slog.DiscardHandler),
		Secret: func(context.Context) (secret.Secret, error) { return sec, nil },
	}
	mon := e.NewMonitor(o)
	defer mon.Close()
	for range 2 {
		st, err := mon.Look(t.Context())
		if err != nil || st.Role != engine.Writer || st.Capacity.MaxConnections != 77 || st.Version == "" {
			t.Errorf("%+v, %v", st, err)
		}
		s.KillAll() // the connection that it keeps: it makes another one
	}
	sec.Password = "wrong"
	refused := e.NewMonitor(o)
	defer refused.Close()
	var answer *engine.AnswerError
	if _, err := refused.Look(t.Context()); !errors.As(err, &answer) || strings.Contains(err.Error(), "wrong\"") {
		t.Errorf("a wrong password: %v", err)
	}
	s.Close()
	if _, err := mon.Look(t.Context()); err == nil || errors.As(err, &answer) {
		t.Errorf("a server that has gone: %v", err)
	}
}

// TestModules has procedures made and called through Forebay: those that leave nothing let their session go, and those that
// leave something keep it until that is gone.
func TestModules(t *testing.T) {
	t.Parallel()
	s := tdsserver.Start(t, tdsserver.Options{})
	f := start(t, s, testkit.ForebayOptions{Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 }})
	db := open(t, f, tdsserver.DefaultUser, tdsserver.DefaultPassword, "app", nil)
	exec := func(c *sql.Conn, text string) {
		t.Helper()
		if _, err := c.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	conn := func() *sql.Conn {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	pins := func() (all []string) {
		for _, x := range f.Plane.Pins().Pinned {
			for _, p := range x.Pins {
				all = append(all, p.Reason)
			}
		}
		return all
	}
	a := conn()
	exec(a, "CREATE PROCEDURE dbo.clean AS SELECT 1 AS a")
	exec(a, "CREATE PROCEDURE dbo.leaves AS SELECT 1 AS a INTO ##left")
	exec(a, "CREATE PROCEDURE dbo.calls AS EXEC dbo.leaves")
	a.Close()
	// Until they have been read, nothing is known of them, and a call pins.
	for {
		a = conn()
		exec(a, "EXEC dbo.clean")
		known := len(pins()) == 0
		if known {
			break
		}
		if err := a.Raw(func(any) error { return driver.ErrBadConn }); !errors.Is(err, driver.ErrBadConn) {
			t.Fatal(err)
		}
		for len(pins()) > 0 && t.Context().Err() == nil {
			runtime.Gosched()
		}
	}
	if _, err := a.ExecContext(t.Context(), "dbo.calls"); err != nil { // by name
		t.Fatal(err)
	}
	if got := pins(); len(got) != 1 || got[0] != "temporary_table" {
		t.Errorf("pinned for %q", got)
	}
	var n int
	if err := a.QueryRowContext(t.Context(), "SELECT a FROM ##left").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	exec(a, "DROP TABLE ##left")
	if got := pins(); len(got) != 0 {
		t.Errorf("pinned for %q", got)
	}
	// Writes and calls that leave nothing cost no reset.
	exec(a, "CREATE TABLE t (a int)")
	b := conn()
	exec(b, "SELECT 1")
	before := s.Resets()
	for range 3 {
		exec(a, "INSERT t VALUES (1)")
		exec(b, "EXEC dbo.clean")
		exec(b, "SELECT 1")
	}
	if n := s.Resets() - before; n != 0 {
		t.Errorf("%d resets", n)
	}
	// They are read with a limit for locks, which is none of the clients'.
	if err := b.QueryRowContext(t.Context(), "SELECT @@LOCK_TIMEOUT").Scan(&n); err != nil || n != -1 {
		t.Errorf("LOCK_TIMEOUT is %d, %v", n, err)
	}
	limited := false
	for _, c := range s.Conversations() {
		for _, p := range c {
			limited = limited || bytes.Contains(p.Data, tds.AppendText(nil, "SET LOCK_TIMEOUT 500"))
		}
	}
	if !limited {
		t.Error("the modules are read without a limit for locks")
	}
}
