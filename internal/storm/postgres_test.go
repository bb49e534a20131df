package storm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/goleak"

	"forebay/internal/localserver"
	"forebay/internal/storm"
	"forebay/internal/testkit"
)

func TestMain(m *testing.M) {
	code := testkit.Run(m)
	if err := goleak.Find(); code == 0 && err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

// scripted listens and hands each connection, by its number from 0, to script. It returns the address.
func scripted(t *testing.T, script func(n int64, conn net.Conn, be *pgproto3.Backend)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var count atomic.Int64
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				script(count.Add(1)-1, conn, pgproto3.NewBackend(conn, conn))
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

// admit reads the start-up message and lets the client in.
func admit(be *pgproto3.Backend) bool {
	if _, err := be.ReceiveStartupMessage(); err != nil {
		return false
	}
	be.Send(&pgproto3.AuthenticationOk{})
	be.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "15.0"})
	be.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return be.Flush() == nil
}

func TestScriptedServer(t *testing.T) {
	t.Parallel()
	addr := scripted(t, func(n int64, conn net.Conn, be *pgproto3.Backend) {
		switch n % 4 {
		case 0: // refuses
			if _, err := be.ReceiveStartupMessage(); err != nil {
				return
			}
			be.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "53300", Message: "sorry, too many clients already"})
			be.Flush()
		case 1: // fails the statement
			if !admit(be) {
				return
			}
			be.Receive()
			be.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42703", Message: "no such column"})
			be.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			be.Flush()
			be.Receive() // Terminate
		case 2: // leaves without a word
			if admit(be) {
				be.Receive()
			}
		default: // answers
			if !admit(be) {
				return
			}
			be.Receive()
			be.Send(&pgproto3.RowDescription{})
			be.Send(&pgproto3.DataRow{})
			be.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
			be.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			be.Flush()
			if m, err := be.Receive(); err != nil {
				t.Errorf("client left with %v, want Terminate", err)
			} else if _, ok := m.(*pgproto3.Terminate); !ok {
				t.Errorf("client left with %T, want Terminate", m)
			}
		}
	})
	var out, errOut bytes.Buffer
	cmd := storm.Command()
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SetArgs([]string{"--target", "postgres://u@" + addr + "/d?sslmode=disable", "--clients", "40", "--window", "0", "--json"})
	err := cmd.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), "30 of 40 clients failed") {
		t.Errorf("err = %v, want that 30 of 40 failed", err)
	}
	var got struct {
		Succeeded int
		Errors    []storm.ErrorCount
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	want := []storm.ErrorCount{
		{Text: "connection closed by the server", Count: 10},
		{Code: "42703", Text: "no such column", Count: 10},
		{Code: "53300", Text: "sorry, too many clients already", Count: 10},
	}
	if got.Succeeded != 10 || len(got.Errors) != 3 || got.Errors[0] != want[0] || got.Errors[1] != want[1] || got.Errors[2] != want[2] {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestBrokenServers checks that no answer makes a client hang or crash.
func TestBrokenServers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, mode string
		answer     []byte
		want       string
	}{
		{"no TLS to be had", "require", []byte("N"), "server does not offer TLS"},
		{"another protocol", "require", []byte("220 hello"), "server does not speak the PostgreSQL protocol"},
		{"an impossible length", "disable", []byte("R\xff\xff\xff\xff...."), "invalid message length"},
		{"SASL out of turn", "disable", []byte("R\x00\x00\x00\x0c\x00\x00\x00\x0br=.."), "out of turn"},
		{"clear text", "disable", []byte("R\x00\x00\x00\x08\x00\x00\x00\x03"), "unencrypted"},
		{"half a message", "disable", []byte("R\x00\x00"), "closed by the server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			addr := scripted(t, func(_ int64, conn net.Conn, _ *pgproto3.Backend) {
				conn.Read(make([]byte, 1024))
				conn.Write(tt.answer)
				conn.(*net.TCPConn).CloseWrite()
				conn.Read(make([]byte, 1024))
			})
			r := send(t, "postgres://u:s3cret@"+addr+"/d?sslmode="+tt.mode, storm.Options{Clients: 1, Statement: "SELECT 1"})
			if r.Failed != 1 || !strings.Contains(r.Errors[0].Text, tt.want) {
				t.Errorf("got %+v, want an error about %q", r.Errors, tt.want)
			}
		})
	}
}

func send(t *testing.T, target string, o storm.Options) *storm.Result {
	t.Helper()
	tg, err := storm.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	p, err := storm.NewProtocol(tg)
	if err != nil {
		t.Fatal(err)
	}
	o.Timeout = time.Minute // a limit for a test that hangs
	r, err := storm.Run(t.Context(), p, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRealServer(t *testing.T) {
	t.Parallel()
	pg := testkit.SharedPostgres(t)
	db := testkit.Database(t, pg)
	plain := strings.Replace(db.DSN(), "sslmode=require", "sslmode=disable", 1)
	byMD5 := "md5_" + db.Name
	if err := pg.CreateUser(t.Context(), localserver.User{Name: byMD5, Password: "m", MD5: true}); err != nil {
		t.Fatal(err)
	}
	o := storm.Options{Clients: 60, Concurrency: 10, Statement: "SELECT generate_series(1, 1000)", Transaction: true}
	ca := "&sslrootcert=" + pg.CAFile()
	for _, tt := range []struct{ name, target string }{
		{"plain", plain},
		{"TLS", db.DSN()},
		{"TLS preferred", strings.Replace(db.DSN(), "require", "prefer", 1)},
		{"authority verified", strings.Replace(db.DSN(), "require", "verify-ca", 1) + ca},
		{"name verified", strings.Replace(db.DSN(), "require", "verify-full", 1) + ca},
		{"MD5", pg.DSN(byMD5, "postgres", "m")},
	} {
		if r := send(t, tt.target, o); r.Succeeded != 60 || r.Query.Max == 0 || r.Connect.P50 > r.Connect.Max {
			t.Errorf("%s: %+v; want 60 succeeded", tt.name, r)
		}
	}
	o.Clients = 3
	for _, tt := range []struct{ name, target, code, text string }{
		{"wrong password", strings.Replace(db.DSN(), db.Password, "wrong", 1), "28P01", ""},
		{"certificate of nobody", strings.Replace(db.DSN(), "require", "verify-full", 1), "", "certificate not accepted"},
		{"no database", pg.DSN(db.User, "missing", db.Password), "3D000", ""},
	} {
		r := send(t, tt.target, o)
		if r.Failed != 3 || len(r.Errors) != 1 || r.Errors[0].Code != tt.code || !strings.Contains(r.Errors[0].Text, tt.text) {
			t.Errorf("%s: %+v; want 3 errors %s %s", tt.name, r, tt.code, tt.text)
		}
	}
	o.Statement = "COPY pg_temp.none FROM STDIN"
	if r := send(t, plain, o); r.Failed != 3 {
		t.Errorf("COPY: %+v; want 3 failures", r)
	}
}

// TestTooMany is what the demo shows: a small server turns a crowd away.
func TestTooMany(t *testing.T) {
	t.Parallel()
	pg := testkit.Postgres(t, localserver.PostgresOptions{MaxConnections: 10})
	for range 10 {
		conn, err := pgconn.Connect(t.Context(), pg.SuperDSN("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(t.Context()))
	}
	r := send(t, pg.SuperDSN("postgres"), storm.Options{Clients: 40, Statement: "SELECT 1"})
	if r.Failed != 40 || len(r.Errors) != 1 || r.Errors[0].Code != "53300" || r.Peak != 0 {
		t.Errorf("%+v; want all turned away with 53300", r)
	}
}

func TestPasswordFile(t *testing.T) {
	t.Parallel()
	pg := testkit.SharedPostgres(t)
	db := testkit.Database(t, pg)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(db.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := storm.Command()
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs([]string{"--target", "postgres://" + db.User + "@" + pg.Addr() + "/" + db.Name, "--tls", "--password-file", file, "--clients", "5", "--window", "0"})
	if err := cmd.ExecuteContext(t.Context()); err != nil || !strings.Contains(out.String(), "5 succeeded, 0 failed") {
		t.Errorf("err %v, output:\n%s", err, &out)
	}
}
