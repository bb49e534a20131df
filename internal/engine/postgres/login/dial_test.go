package login_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/engine/postgres/login"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit"
	"forebay/internal/testkit/testcert"
)

// hba gives each user of realServer one way in. SCRAM for all the others is the server's default here.
var hba = []string{
	"host all clear 127.0.0.1/32 password",
	"host all trusted 127.0.0.1/32 trust",
	"host all md5 127.0.0.1/32 md5",
	"hostnossl all plainonly 127.0.0.1/32 scram-sha-256",
	"host all plainonly 127.0.0.1/32 reject",
	"hostssl all tlsonly 127.0.0.1/32 scram-sha-256",
	"host all tlsonly 127.0.0.1/32 reject",
	"host all rejected 127.0.0.1/32 reject",
}

// realServer starts a PostgreSQL with TLS and a user for each line of hba.
func realServer(t *testing.T) (*localserver.Postgres, *x509.CertPool) {
	t.Helper()
	p := testkit.Postgres(t, localserver.PostgresOptions{TLS: true, HBA: hba, MaxConnections: 20})
	for _, u := range []localserver.User{
		{Name: "scram"},
		{Name: "clear"},
		{Name: "trusted"},
		{Name: "md5", MD5: true},
		{Name: "plainonly"},
		{Name: "tlsonly"},
		{Name: "rejected"},
		{Name: "full", Options: "CONNECTION LIMIT 0"},
		{Name: "odd", Password: "\u2168 \u00ad\u00e9"},
	} {
		if u.Password == "" {
			u.Password = password
		}
		if err := p.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	pem, err := os.ReadFile(p.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the CA file")
	}
	return p, pool
}

func TestDial(t *testing.T) {
	t.Parallel()
	p, pool := realServer(t)
	local := net.JoinHostPort("localhost", fmt.Sprint(p.Port()))
	elsewhere := testcert.New(t).Pool
	toServer := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, p.Addr())
	}
	tests := []struct {
		name     string
		user     string
		password secret.Password
		mode     resource.TLSMode
		roots    *x509.CertPool
		address  string
		database string
		tls      bool
		fails    error
	}{
		{name: "scram plain", user: "scram", mode: "disable"},
		{name: "scram tls", user: "scram", mode: "require", tls: true},
		{name: "default mode", user: "scram", tls: true},
		{name: "verify-ca", user: "scram", mode: "verify-ca", roots: pool, address: "elsewhere:5432", tls: true},
		{name: "verify-full", user: "scram", mode: "verify-full", roots: pool, tls: true},
		{name: "verify-full by address", user: "scram", mode: "verify-full", roots: pool, address: p.Addr(), tls: true},
		{name: "verify-full, other name", user: "scram", mode: "verify-full", roots: pool, address: "elsewhere:5432", fails: login.ErrTLS},
		{name: "verify-ca, other CA", user: "scram", mode: "verify-ca", roots: elsewhere, fails: login.ErrTLS},
		{name: "verify-ca, system CAs", user: "scram", mode: "verify-ca", fails: login.ErrTLS},
		{name: "require checks given CAs", user: "scram", mode: "require", roots: elsewhere, fails: login.ErrTLS},
		{name: "prefer falls back", user: "scram", mode: "prefer", roots: elsewhere},
		{name: "unknown mode", user: "scram", mode: "allow", fails: login.ErrTLS},
		{name: "md5 plain", user: "md5", mode: "disable"},
		{name: "md5 tls", user: "md5", mode: "require", tls: true},
		{name: "clear tls", user: "clear", mode: "require", tls: true},
		{name: "clear plain", user: "clear", mode: "disable", fails: login.ErrAuth},
		{name: "trust", user: "trusted", mode: "disable", password: "x"},
		{name: "odd password", user: "odd", password: "IX \u00e9", mode: "disable"},
		{name: "odd password as typed", user: "odd", password: "\u2168 \u00ad\u00e9", mode: "disable"},
		{name: "hostnossl, prefer", user: "plainonly", mode: "prefer"},
		{name: "hostnossl, require", user: "plainonly", mode: "require", fails: login.ErrAuth},
		{name: "hostssl, prefer", user: "tlsonly", mode: "prefer", tls: true},
		{name: "hostssl, disable", user: "tlsonly", mode: "disable", fails: login.ErrAuth},
		{name: "rejected", user: "rejected", mode: "prefer", fails: login.ErrAuth},
		{name: "wrong password", user: "scram", password: "wrong-pw", mode: "prefer", fails: login.ErrAuth},
		{name: "wrong md5 password", user: "md5", password: "wrong-pw", mode: "prefer", fails: login.ErrAuth},
		{name: "no such user", user: "nobody", mode: "prefer", fails: login.ErrAuth},
		{name: "no such database", user: "scram", mode: "prefer", database: "nowhere", fails: login.ErrNoDatabase},
		{name: "role is full", user: "full", mode: "prefer", fails: login.ErrTooManyConnections},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := login.DialOptions{Address: local, TLSMode: tt.mode, RootCAs: tt.roots, Database: "postgres", Dialer: toServer}
			if tt.address != "" {
				o.Address = tt.address
			}
			if tt.database != "" {
				o.Database = tt.database
			}
			if tt.password == "" {
				tt.password = password
			}
			o.Credentials = login.NewCredentials(tt.user, tt.password)
			o.Params = []login.Param{{Name: "application_name", Value: "forebay test"}}
			s, err := login.Dial(t.Context(), o)
			if tt.fails != nil {
				if !errors.Is(err, tt.fails) {
					t.Errorf("Dial: %v; want %v", err, tt.fails)
				}
				if err != nil && strings.Contains(err.Error(), tt.password.Reveal()) {
					t.Errorf("the password is in %q", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			rows, err := s.Query(t.Context(), "SELECT current_user, ssl::text, pid::text, current_setting('application_name') "+
				"FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
			if err != nil {
				t.Fatal(err)
			}
			want := []string{tt.user, fmt.Sprint(tt.tls), fmt.Sprint(s.PID), "forebay test"}
			if got := text(rows[0]); !slices.Equal(got, want) || s.TLS != tt.tls {
				t.Errorf("server says %q, want %q; TLS %t", got, want, s.TLS)
			}
			if s.TxStatus != 'I' || len(s.SecretKey) != 4 || !slices.Contains(s.Params, login.Param{Name: "is_superuser", Value: "off"}) {
				t.Errorf("after the login: %+v", s)
			}
		})
	}
}

func text(row []*string) []string {
	out := make([]string, len(row))
	for i, v := range row {
		if out[i] = "NULL"; v != nil {
			out[i] = *v
		}
	}
	return out
}

func TestQuery(t *testing.T) {
	t.Parallel()
	p := testkit.SharedPostgres(t)
	db := testkit.Database(t, p)
	o := login.DialOptions{
		Address: p.Addr(), Database: db.Name, Credentials: login.NewCredentials(db.User, secret.Password(db.Password)),
	}
	s, err := login.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tests := []struct {
		sql  string
		want [][]string
		code string
		tx   byte
	}{
		{"", nil, "", 'I'},
		{"SET timezone = 'Asia/Tokyo'", nil, "", 'I'},
		{"SELECT 1; SELECT NULL, 'x' UNION ALL SELECT 'a', ''", [][]string{{"NULL", "x"}, {"a", ""}}, "", 'I'},
		{"SELECT 1; CREATE TEMP TABLE t (n int)", [][]string{{"1"}}, "", 'I'},
		{"SELECT 1 WHERE false", nil, "", 'I'},
		{"SELECT no_such_column", nil, "42703", 'I'},
		{"COPY t FROM STDIN", nil, "57014", 'I'},
		{"COPY (SELECT generate_series(1, 10000)) TO STDOUT", nil, "", 'I'},
		{"SELECT length(x) FROM (SELECT repeat('x', 1000000) AS x) q", [][]string{{"1000000"}}, "", 'I'},
		{"BEGIN", nil, "", 'T'},
		{"SELECT 1/0", nil, "22012", 'E'},
		{"ROLLBACK", nil, "", 'I'},
		{"DO $$ BEGIN RAISE NOTICE 'hello'; END $$", nil, "", 'I'},
		{"SELECT current_setting('TimeZone')", [][]string{{"Asia/Tokyo"}}, "", 'I'},
	}
	for _, tt := range tests {
		rows, err := s.Query(t.Context(), tt.sql)
		var se *login.ServerError
		code := ""
		if errors.As(err, &se) {
			code = se.Code
		} else if err != nil {
			t.Fatalf("%s: %v", tt.sql, err)
		}
		var got [][]string
		for _, r := range rows {
			got = append(got, text(r))
		}
		if code != tt.code || s.TxStatus != tt.tx || !slices.EqualFunc(got, tt.want, slices.Equal) {
			t.Errorf("%s: rows %q, error %q, status %c; want %q, %q, %c", tt.sql, got, code, s.TxStatus, tt.want, tt.code, tt.tx)
		}
	}
	if !slices.Contains(s.Params, login.Param{Name: "TimeZone", Value: "Asia/Tokyo"}) {
		t.Errorf("ParameterStatus not followed: %v", s.Params)
	}

	// A cancelled query, on the server's word alone.
	sleeping := make(chan error)
	go func() {
		_, err := s.Query(t.Context(), "SELECT pg_advisory_lock(1)")
		sleeping <- err
	}()
	blocker, err := login.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close()
	if err := <-sleeping; err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := blocker.Query(t.Context(), "SELECT pg_advisory_lock(1)")
		sleeping <- err
	}()
	waits := "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND pid = " + fmt.Sprint(blocker.PID)
	for {
		rows, err := s.Query(t.Context(), waits)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 1 {
			break
		}
	}
	if err := login.SendCancel(t.Context(), o, blocker.PID, blocker.SecretKey); err != nil {
		t.Fatal(err)
	}
	var se *login.ServerError
	if err := <-sleeping; !errors.As(err, &se) || se.Code != "57014" {
		t.Errorf("cancelled query: %v", err)
	}

	// The server ends the session: its last word is the error.
	if _, err := s.Query(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())"); !errors.Is(err, login.ErrUnreachable) {
		t.Errorf("terminated: %v", err)
	}
	if _, err := s.Query(t.Context(), "SELECT 1"); !errors.Is(err, login.ErrProtocol) {
		t.Errorf("query on a broken connection: %v", err)
	}
}

// message encodes one message with a single byte of length.
func message(typ byte, body string) string {
	return string([]byte{typ, 0, 0, 0, byte(4 + len(body))}) + body
}

// TestScriptedServers has servers that no real one is: too old, broken or hostile. Each reads one packet, answers,
// and reads the next.
func TestScriptedServers(t *testing.T) {
	t.Parallel()
	const ok = "R\x00\x00\x00\x08\x00\x00\x00\x00"
	const ready = "Z\x00\x00\x00\x05I"
	tests := []struct {
		name    string
		mode    resource.TLSMode
		answers []string // each connection takes the next ones; "" closes it instead of an answer
		fails   error
	}{
		{"trust", "disable", []string{ok + ready}, nil},
		{"parameter in the same packet", "disable", []string{ok + ready + message('S', "a\x00b\x00")}, nil},
		{"old server, prefer", "prefer", []string{"EFATAL", ok + ready}, nil},
		{"old server, require", "require", []string{"EFATAL"}, login.ErrTLS},
		{"no TLS, prefer", "prefer", []string{"N", ok + ready}, nil},
		{"no TLS, require", "require", []string{"N"}, login.ErrTLS},
		{"no TLS, verify-full", "verify-full", []string{"N"}, login.ErrTLS},
		{"stuffed behind S", "prefer", []string{"S" + ok}, login.ErrProtocol},
		{"stuffed behind N", "prefer", []string{"N" + ok}, login.ErrProtocol},
		{"answers nonsense", "prefer", []string{"H"}, login.ErrProtocol},
		{"closes at once", "disable", []string{""}, login.ErrUnreachable},
		{"closes after TLS question", "prefer", []string{""}, login.ErrUnreachable},
		{"cleartext", "disable", []string{"R\x00\x00\x00\x08\x00\x00\x00\x03"}, login.ErrAuth},
		{"gss", "disable", []string{"R\x00\x00\x00\x08\x00\x00\x00\x07"}, login.ErrAuth},
		{"sspi", "disable", []string{"R\x00\x00\x00\x08\x00\x00\x00\x09"}, login.ErrAuth},
		{"unknown method", "disable", []string{"R\x00\x00\x00\x08\x00\x00\x00\x63"}, login.ErrAuth},
		{"unknown mechanism", "disable", []string{message('R', "\x00\x00\x00\x0aX\x00\x00")}, login.ErrAuth},
		{"md5 salt too short", "disable", []string{"R\x00\x00\x00\x0a\x00\x00\x00\x05ab"}, login.ErrProtocol},
		{"md5 and then asks again", "disable", []string{"R\x00\x00\x00\x0c\x00\x00\x00\x05abcd", "R\x00\x00\x00\x08\x00\x00\x00\x03"}, login.ErrProtocol},
		{"scram without proof", "disable", []string{"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00", ok + ready}, login.ErrProtocol},
		{"scram, other nonce", "disable", []string{
			"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00",
			message('R', "\x00\x00\x00\x0br=x,s=QUFB,i=4096"),
		}, login.ErrProtocol},
		{"scram, work without end", "disable", []string{
			"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00",
			message('R', "\x00\x00\x00\x0br=x,s=QUFB,i=2000000000"),
		}, login.ErrProtocol},
		{"huge message", "disable", []string{"R\x7f\xff\xff\xff"}, login.ErrProtocol},
		{"starting up", "disable", []string{message('E', "SFATAL\x00C57P03\x00Mx\x00\x00")}, login.ErrUnreachable},
		{"new protocol", "disable", []string{message('v', "\x00\x00\x00\x00\x00\x00\x00\x00")}, login.ErrProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answers := tt.answers
			var wg sync.WaitGroup
			defer wg.Wait()
			dialer := func(context.Context, string, string) (net.Conn, error) {
				wg.Wait() // one connection after the other: the script is shared
				client, server := net.Pipe()
				wg.Go(func() {
					defer server.Close()
					buf := make([]byte, 1024)
					for len(answers) > 0 {
						if _, err := server.Read(buf); err != nil {
							return
						}
						answer := answers[0]
						answers = answers[1:]
						if answer == "" {
							return
						}
						if _, err := io.WriteString(server, answer); err != nil {
							return
						}
					}
					_, _ = io.Copy(io.Discard, server)
				})
				return client, nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a mistake in a script must not hang the tests
			defer cancel()
			s, err := login.Dial(ctx, login.DialOptions{
				Address: "db:5432", TLSMode: tt.mode, Dialer: dialer, Credentials: login.NewCredentials("u", password),
			})
			if s != nil {
				s.Close()
			}
			if !errors.Is(err, tt.fails) || (err == nil) != (tt.fails == nil) {
				t.Errorf("Dial: %v; want %v", err, tt.fails)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

// TestServerMustProveItself has a server that takes any proof and gives a wrong one.
func TestServerMustProveItself(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer client.Close()
	wg.Go(func() {
		defer server.Close()
		buf := make([]byte, 1024)
		read := func() string { n, _ := server.Read(buf); return string(buf[:n]) }
		auth := func(kind byte, data string) {
			_, _ = server.Write(append([]byte{'R', 0, 0, 0, byte(8 + len(data)), 0, 0, 0, kind}, data...))
		}
		read()
		auth(10, "SCRAM-SHA-256\x00\x00")
		_, nonce, _ := strings.Cut(read(), "r=")
		auth(11, "r="+nonce+"x,s=QUFBQUFB,i=1")
		read()
		auth(12, "v="+strings.Repeat("A", 43)+"=")
		_, _ = server.Write([]byte("R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I"))
	})
	_, err := login.Dial(t.Context(), login.DialOptions{
		Address: "db:5432", TLSMode: "disable", Credentials: login.NewCredentials("u", password),
		Dialer: func(context.Context, string, string) (net.Conn, error) { return client, nil },
	})
	if !errors.Is(err, login.ErrAuth) || !strings.Contains(err.Error(), "did not prove") {
		t.Errorf("Dial: %v", err)
	}
}

// TestCommonName has a certificate that names its host only in the common name, as libpq accepts.
func TestCommonName(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t)
	p := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), Lookup: users(t)})
	for address, wantOK := range map[string]bool{"localhost:1": true, "elsewhere:1": false} {
		s, err := login.Dial(t.Context(), login.DialOptions{
			Address: address, TLSMode: "verify-full", RootCAs: ca.Pool,
			Credentials: login.NewCredentials("scram", password),
			Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, p.addr)
			},
		})
		if (err == nil) != wantOK {
			t.Errorf("%s: %v", address, err)
		}
		if s != nil {
			s.Close()
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	o := login.DialOptions{Credentials: login.NewCredentials("u", password), Address: "db:5432"}
	refused := errors.New("connection refused")
	o.Dialer = func(context.Context, string, string) (net.Conn, error) { return nil, refused }
	if _, err := login.Dial(t.Context(), o); !errors.Is(err, login.ErrUnreachable) || !errors.Is(err, refused) {
		t.Errorf("Dial: %v", err)
	}
	// A server that never answers is given up when the context ends.
	client, server := net.Pipe()
	defer server.Close()
	o.Dialer = func(context.Context, string, string) (net.Conn, error) { return client, nil }
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.ReadFull(server, make([]byte, 8))
		cancel()
	}()
	if _, err := login.Dial(ctx, o); !errors.Is(err, context.Canceled) || !errors.Is(err, login.ErrUnreachable) {
		t.Errorf("Dial: %v", err)
	}
}

func TestServerTLSNeedsOneCertificate(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]*tls.Config{
		"none":    {},
		"empty":   {Certificates: make([]tls.Certificate, 1)},
		"two":     {Certificates: make([]tls.Certificate, 2)},
		"garbage": {Certificates: []tls.Certificate{{Certificate: [][]byte{{1, 2, 3}}}}},
	} {
		if _, err := login.NewServerTLS(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
