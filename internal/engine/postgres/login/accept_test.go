package login_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine/postgres/login"
	"forebay/internal/testkit/testcert"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// psql runs a query through libpq and returns what it prints, errors included.
func psql(t *testing.T, dsn string, env ...string) (string, error) {
	t.Helper()
	bin, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("needs psql, the PostgreSQL client")
	}
	cmd := exec.CommandContext(t.Context(), bin, "-X", "-A", "-t", "-w", "-c", "SELECT 1", "-d", dsn)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PGGSSENCMODE=disable"}, env...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func hostPort(t *testing.T, addr string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return "host=localhost hostaddr=" + host + " port=" + port
}

func TestPsql(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	both := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), Lookup: users(t)})
	plain := startProxy(t, login.AcceptOptions{Lookup: users(t)})
	strict := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), RequireTLS: true, Lookup: users(t)})
	verify := " sslmode=verify-full sslrootcert=" + ca.File
	const ok = "password=" + password
	const wrong = `The password that was provided for the role `
	tests := []struct {
		name string
		p    *proxy
		dsn  string
		want string // in the output; "" for success
		tls  bool
	}{
		{"scram plain", both, "user=scram sslmode=disable " + ok, "", false},
		{"scram prefer", both, "user=scram sslmode=prefer " + ok, "", true},
		{"scram prefer, no tls", plain, "user=scram sslmode=prefer " + ok, "", false},
		{"scram verify-full", both, "user=scram " + ok + verify, "", true},
		{"scram bound", both, "user=scram channel_binding=require " + ok + verify, "", true},
		{"scram unbound", both, "user=scram channel_binding=disable sslmode=require " + ok, "", true},
		{"md5 plain", both, "user=md5 sslmode=disable " + ok, "", false},
		{"md5 tls", both, "user=md5 sslmode=require " + ok, "", true},
		{"clear tls", both, "user=clear sslmode=require " + ok, "", true},
		{"clear plain", both, "user=clear sslmode=disable " + ok, "This RDS Proxy requires TLS connections", false},
		{"strict plain", strict, "user=scram sslmode=disable " + ok, "This RDS Proxy requires TLS connections", false},
		{"strict tls", strict, "user=scram sslmode=require " + ok, "", true},
		{"require, no tls", plain, "user=scram sslmode=require " + ok, "server does not support SSL", false},
		{"wrong scram", both, "user=scram sslmode=disable password=x", wrong + "scram is wrong.", false},
		{"wrong scram bound", both, "user=scram sslmode=require password=x", wrong + "scram is wrong.", true},
		{"wrong md5", both, "user=md5 sslmode=disable password=x", wrong + "md5 is wrong.", false},
		{"wrong clear", both, "user=clear sslmode=require password=x", wrong + "clear is wrong.", true},
		{"unknown", both, "user=nobody sslmode=disable " + ok, wrong + "nobody is wrong.", false},
		{"store down", both, "user=broken sslmode=disable " + ok, "Unknown error.", false},
		{"no password", both, "user=scram sslmode=disable", "no password supplied", false},
		{"replication", both, "user=scram sslmode=disable replication=database " + ok, "streaming replication", false},
		{"bad options", both, "user=scram sslmode=disable options='-c x' " + ok, "-c x requires a value", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, err := psql(t, hostPort(t, tt.p.addr)+" dbname=db "+tt.dsn)
			if tt.want == "" {
				if err != nil || out != "ok" {
					t.Errorf("psql: %v, prints %q", err, out)
				}
			} else if err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("psql: %v, prints %q, want %q", err, out, tt.want)
			}
			if strings.Contains(out, password) {
				t.Errorf("the password is in %q", out)
			}
		})
	}
}

func TestClientAsSeen(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	p := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), Lookup: users(t)})
	out, err := psql(t, hostPort(t, p.addr)+" user=scram dbname=shop sslmode=require password="+password,
		`PGOPTIONS=-c geqo=off --search-path=a\ b`, "PGAPPNAME=till", "PGTZ=UTC", "PGCLIENTENCODING=UTF8")
	if err != nil || out != "ok" {
		t.Fatalf("psql: %v, prints %q", err, out)
	}
	got := (<-p.outcomes).client
	want := []login.Param{
		{Name: "geqo", Value: "off"},
		{Name: "search_path", Value: "a b"},
		{Name: "application_name", Value: "till"},
		{Name: "client_encoding", Value: "UTF8"},
		{Name: "TimeZone", Value: "UTC"},
	}
	if len(got.Params) >= 2 {
		if diff := cmp.Diff(want[:2], got.Params[:2]); diff != "" {
			t.Errorf("options do not come first (-want +got):\n%s", diff)
		}
	}
	have := map[string]string{}
	for _, q := range got.Params {
		have[strings.ToLower(q.Name)] = q.Value
	}
	for _, q := range want {
		if have[strings.ToLower(q.Name)] != q.Value {
			t.Errorf("parameter %s is %q, want %q", q.Name, have[strings.ToLower(q.Name)], q.Value)
		}
	}
	if got.User != "scram" || got.Database != "shop" || !got.TLS || got.Cancel != nil || got.Buffered != nil {
		t.Errorf("client is %+v", got)
	}
	if _, isTCP := login.Raw(got.Conn).(*net.TCPConn); !isTCP {
		t.Errorf("Raw gives %T", login.Raw(got.Conn))
	}
}

func TestPgx(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	p := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), Lookup: users(t)})
	base := hostPort(t, p.addr)
	base = strings.Replace(base, "host=localhost hostaddr=", "host=", 1)
	for _, tt := range []struct {
		name, dsn string
		minor     int
		code      string // "" for success
	}{
		{"plain", "user=scram sslmode=disable password=" + password, 0, ""},
		{"tls", "user=scram sslmode=require password=" + password, 0, ""},
		{"direct tls", "user=scram sslmode=require sslnegotiation=direct password=" + password, 0, ""},
		{"direct tls, bound", "user=scram sslmode=require sslnegotiation=direct channel_binding=require password=" + password, 0, ""},
		{"protocol 3.2", "user=scram sslmode=disable min_protocol_version=3.2 max_protocol_version=3.2 password=" + password, 2, ""},
		{"md5", "user=md5 sslmode=disable password=" + password, 0, ""},
		{"wrong", "user=scram sslmode=disable password=x", 0, "28P01"},
		{"unknown", "user=nobody sslmode=disable password=x", 0, "28P01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := pgconn.Connect(t.Context(), base+" dbname=db "+tt.dsn)
			o := <-p.outcomes
			if tt.code != "" {
				var pgErr *pgconn.PgError
				var refusal *login.Refusal
				if !errors.As(err, &pgErr) || pgErr.Code != tt.code || !errors.As(o.err, &refusal) {
					t.Errorf("client: %v; Accept: %v; want %s", err, o.err, tt.code)
				}
				return
			}
			if err != nil {
				t.Fatalf("client: %v; Accept: %v", err, o.err)
			}
			defer c.Close(context.Background())
			if _, err := c.Exec(t.Context(), "SELECT 1").ReadAll(); err != nil {
				t.Error(err)
			}
			if o.client.ProtocolMinor != tt.minor {
				t.Errorf("protocol minor %d, want %d", o.client.ProtocolMinor, tt.minor)
			}
		})
	}
}

// packet encodes a startup packet: its length, a code, a body.
func packet(code uint32, body ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(binary.BigEndian.AppendUint32(b, code), body...)
}

const (
	sslCode    = 80877103
	gssCode    = 80877104
	cancelCode = 80877102
)

// TestRawClients plays clients that do not keep to the rules, and some that do in unusual ways. Each step writes,
// then reads what is wanted.
func TestRawClients(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	server := newServerTLS(t, ca)
	lookup := users(t)
	type step struct{ send, want string }
	ssl, gss := string(packet(sslCode)), string(packet(gssCode))
	startup := string(packet(3<<16, []byte("user\x00scram\x00\x00")...))
	sasl := "R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"
	tests := []struct {
		name    string
		steps   []step
		refused string // SQLSTATE; "-" for an error that is no refusal
		tls     *login.ServerTLS
	}{
		{"nothing", nil, "-", nil},
		{"gss, then ssl, then plain", []step{{gss, "N"}, {ssl, "N"}, {startup, sasl}}, "-", nil},
		{"ssl, then gss", []step{{ssl, "N"}, {gss, "N"}, {startup, sasl}}, "-", nil},
		{"ssl twice", []step{{ssl, "N"}, {ssl, "E"}}, "0A000", nil},
		{"stuffed behind ssl", []step{{ssl + startup, ""}}, "-", server},
		{"stuffed behind gss", []step{{gss + startup, ""}}, "-", server},
		{"plaintext after ssl", []step{{ssl, "S"}, {startup, ""}}, "-", server},
		{"protocol 2", []step{{string(packet(2 << 16)), "EFATAL:  Feature not supported: RDS Proxy supports only version 3.0"}}, "0A000", nil},
		{"protocol 4", []step{{string(packet(4 << 16)), "E"}}, "0A000", nil},
		{"short packet", []step{{"\x00\x00\x00\x04xxxx", ""}}, "-", nil},
		{"long packet", []step{{"\x00\x00\x27\x15\x00\x03\x00\x00", ""}}, "-", nil},
		{"negative length", []step{{"\xff\xff\xff\xff\x00\x03\x00\x00", ""}}, "-", nil},
		{"http", []step{{"GET / HTTP/1.1\r\n\r\n", ""}}, "-", nil},
		{"terminate when asked", []step{{startup, sasl}, {"X\x00\x00\x00\x04", ""}}, "-", nil},
		{"query when asked", []step{{startup, sasl}, {"Q\x00\x00\x00\x05\x00", "E"}}, "08P01", nil},
		{"unknown mechanism", []step{{startup, sasl}, {"p\x00\x00\x00\x0aX\x00\x00\x00\x00\x00", "E"}}, "08P01", nil},
		{"huge answer", []step{{startup, sasl}, {"p\x7f\xff\xff\xff", ""}}, "-", nil},
		{"bound, not offered", []step{{startup, sasl}, {
			saslInitial("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=x"), "E",
		}}, "08P01", nil},
		{"says y, rightly", []step{{startup, sasl}, {saslInitial("SCRAM-SHA-256", "y,,n=,r=x"), "R"}}, "-", nil},
		{"no initial response", []step{{startup, sasl}, {
			"p\x00\x00\x00\x16SCRAM-SHA-256\x00\xff\xff\xff\xff", "R\x00\x00\x00\x08\x00\x00\x00\x0b",
		}, {"p\x00\x00\x00\x0cn,,n=,r=", "R"}}, "-", nil},
		{"bad proof", []step{{startup, sasl}, {saslInitial("SCRAM-SHA-256", "n,,n=,r=x"), "R"}, {
			"p\x00\x00\x00\x08abcd", "E",
		}}, "08P01", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, login.AcceptOptions{TLS: tt.tls, Lookup: lookup})
			c, err := net.Dial("tcp", p.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, s := range tt.steps {
				if _, err := io.WriteString(c, s.send); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(s.want))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != s.want {
					t.Fatalf("after % x: got %q, %v; want %q", s.send, got, err, s.want)
				}
				if s.want == "R" {
					// The rest of the message does not matter here.
					buf := make([]byte, 1024)
					if _, err := c.Read(buf); err != nil {
						t.Fatal(err)
					}
				}
			}
			c.(*net.TCPConn).CloseWrite()
			o := <-p.outcomes
			var refusal *login.Refusal
			code := "-"
			if errors.As(o.err, &refusal) {
				code = refusal.SQLSTATE
			}
			if o.err == nil || code != tt.refused {
				t.Errorf("Accept: %v; want %s", o.err, tt.refused)
			}
		})
	}
}

func saslInitial(mechanism, data string) string {
	b, err := (&pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte(data)}).Encode(nil)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestCancelRequest(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	// Plain cancel requests pass even where TLS is required: libpq before 17 sends no others.
	p := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), RequireTLS: true, Lookup: users(t)})
	secret := []byte("a longer secret of protocol 3.2")
	for _, mode := range []struct {
		name string
		o    login.DialOptions
	}{
		{"plain", login.DialOptions{Address: p.addr, TLSMode: "disable"}},
		{"tls", login.DialOptions{Address: p.addr, TLSMode: "require"}},
	} {
		if err := login.SendCancel(t.Context(), mode.o, 99, secret); err != nil {
			t.Fatal(err)
		}
		o := <-p.outcomes
		if o.err != nil || o.client.TLS != (mode.name == "tls") {
			t.Fatalf("%s: %+v, %v", mode.name, o.client, o.err)
		}
		if diff := cmp.Diff(&login.CancelRequest{PID: 99, Secret: secret}, o.client.Cancel); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mode.name, diff)
		}
	}
	for _, body := range []int{0, 4, 7, 4 + 257} {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(packet(cancelCode, make([]byte, body)...)); err != nil {
			t.Fatal(err)
		}
		var length *login.LengthError
		if o := <-p.outcomes; !errors.As(o.err, &length) {
			t.Errorf("cancel request with %d bytes: %v", body, o.err)
		}
		c.Close()
	}
}

// A client that could bind the channel but was told that we cannot: somebody has changed our offer on the way.
func TestDowngradeIsNoticed(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	p := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), Lookup: users(t)})
	for _, tt := range []struct{ mechanism, data, code string }{
		{"SCRAM-SHA-256", "y,,n=,r=x", "28000"},
		{"SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=x", "08P01"},
		{"SCRAM-SHA-256-PLUS", "n,,n=,r=x", "08P01"},
		{"SCRAM-SHA-256-PLUS", "p=tls-unique,,n=,r=x", "08P01"},
	} {
		// Direct TLS, over which nothing but the conversation itself is left to write.
		c, err := tls.Dial("tcp", p.addr, &tls.Config{
			RootCAs: ca.Pool, ServerName: "localhost", NextProtos: []string{"postgresql"},
		})
		if err != nil {
			t.Fatal(err)
		}
		f := pgproto3.NewFrontend(c, c)
		f.Send(&pgproto3.StartupMessage{ProtocolVersion: 3 << 16, Parameters: map[string]string{"user": "scram"}})
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		if m, err := f.Receive(); err != nil {
			t.Fatalf("%v, %v", m, err)
		}
		if _, err := io.WriteString(c, saslInitial(tt.mechanism, tt.data)); err != nil {
			t.Fatal(err)
		}
		m, err := f.Receive()
		if e, ok := m.(*pgproto3.ErrorResponse); !ok || e.Code != tt.code || e.Severity != "FATAL" {
			t.Errorf("%s %q: answer %+v, %v; want %s", tt.mechanism, tt.data, m, err, tt.code)
		}
		c.Close()
		<-p.outcomes
	}
}

func TestDirectTLSNeedsALPN(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	p := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), Lookup: users(t)})
	c, err := tls.Dial("tcp", p.addr, &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read %d bytes, %v; want the end", n, err)
	}
	if o := <-p.outcomes; o.err == nil {
		t.Error("accepted")
	}
}

// A client that sends password and query unasked, in one go, loses nothing.
func TestEarlyBytesAreKept(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	p := startProxy(t, login.AcceptOptions{TLS: newServerTLS(t, ca), Lookup: users(t)})
	c, err := tls.Dial("tcp", p.addr, &tls.Config{
		RootCAs: ca.Pool, ServerName: "localhost", NextProtos: []string{"postgresql"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out := packet(3<<16, []byte("user\x00clear\x00\x00")...)
	out, _ = (&pgproto3.PasswordMessage{Password: password}).Encode(out)
	query, _ := (&pgproto3.Query{String: "SELECT 1"}).Encode(nil)
	if _, err := c.Write(append(out, query...)); err != nil {
		t.Fatal(err)
	}
	o := <-p.outcomes
	if o.err != nil || string(o.client.Buffered) != string(query) {
		t.Errorf("Accept: %v; client %+v", o.err, o.client)
	}
}

func TestAcceptEndsWithTheDeadline(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	done := make(chan error)
	go func() {
		_, err := login.Accept(t.Context(), server, login.AcceptOptions{Lookup: users(t)})
		done <- err
	}()
	if _, err := client.Write(packet(3 << 16)[:4]); err != nil { // half a packet
		t.Fatal(err)
	}
	if err := server.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Accept: %v", err)
	}
}
