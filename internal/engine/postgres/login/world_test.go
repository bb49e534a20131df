package login_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"forebay/internal/engine/postgres/login"
	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/internal/testkit/testcert"

	"github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := testkit.Run(m)
	if err := goleak.Find(); err != nil && code == 0 {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

const password = "s3cret-pass"

func newServerTLS(t testing.TB, a testcert.Authority) *login.ServerTLS {
	t.Helper()
	s, err := login.NewServerTLS(&tls.Config{Certificates: []tls.Certificate{a.Cert}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// users returns a Lookup that knows a user for each way to log in.
func users(t testing.TB) func(context.Context, string) (*login.Verifier, error) {
	t.Helper()
	known := map[string]*login.Verifier{}
	for user, authType := range map[string]resource.ClientPasswordAuthType{
		"scram": resource.PostgresSCRAM, "md5": resource.PostgresMD5, "clear": resource.PostgresCleartext,
	} {
		v, err := login.NewVerifier(user, password, authType)
		if err != nil {
			t.Fatal(err)
		}
		known[user] = v
	}
	return func(_ context.Context, user string) (*login.Verifier, error) {
		if user == "broken" {
			return nil, errors.New("the store is down")
		}
		if v := known[user]; v != nil {
			return v, nil
		}
		return nil, login.ErrUnknownUser
	}
}

// outcome is what Accept returned for one connection.
type outcome struct {
	client *login.Client
	err    error
}

// proxy accepts clients until the test ends, welcomes them and answers every query with one row: ok.
type proxy struct {
	addr     string
	outcomes chan outcome
}

func startProxy(t testing.TB, o login.AcceptOptions) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: ln.Addr().String(), outcomes: make(chan outcome, 100)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				client, err := login.Accept(ctx, c, o)
				p.outcomes <- outcome{client, err}
				if err == nil && client.Cancel == nil {
					serve(client)
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return p
}

func serve(c *login.Client) {
	out := append([]byte(nil), c.Greeting...)
	for _, m := range []pgproto3.BackendMessage{
		&pgproto3.ParameterStatus{Name: "server_version", Value: "15.0"},
		&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"},
		&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"},
		&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: []byte{1, 2, 3, 4}},
		&pgproto3.ReadyForQuery{TxStatus: 'I'},
	} {
		out, _ = m.Encode(out)
	}
	if _, err := c.Conn.Write(out); err != nil {
		return
	}
	b := pgproto3.NewBackend(c.Conn, c.Conn)
	for {
		m, err := b.Receive()
		if err != nil {
			return
		}
		if _, ok := m.(*pgproto3.Query); !ok {
			return
		}
		b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{
			{Name: []byte("r"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1},
		}})
		b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("ok")}})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if b.Flush() != nil {
			return
		}
	}
}
