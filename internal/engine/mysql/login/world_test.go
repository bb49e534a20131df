package login_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/wire/mysqlwire"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

const password = "s3cret-pass"

// users knows a user for each way to log in: native, sha2, clear, and those whose password is checked by a function.
func users(_ context.Context, user string) (*login.Verifier, error) {
	check := func(_ context.Context, p secret.Password) error {
		if p != password {
			return engine.ErrWrongPassword
		}
		return nil
	}
	switch user {
	case "native":
		return login.NewVerifier(user, password, resource.MySQLNative), nil
	case "sha2":
		return login.NewVerifier(user, password, ""), nil
	case "clear":
		return login.NewVerifier(user, password, resource.MySQLCleartext), nil
	case "full":
		return login.NewCheckVerifier(user, check, resource.MySQLCachingSHA2, login.NewCredentials(user, password)), nil
	case "token":
		return login.NewCheckVerifier(user, check, resource.MySQLCleartext, login.NewCredentials(user, password)), nil
	case "broken":
		return nil, errors.New("the store is down")
	}
	return nil, login.ErrUnknownUser
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

// startProxy starts a proxy that greets with plugin.
func startProxy(t testing.TB, plugin string, o login.AcceptOptions) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.Lookup == nil {
		o.Lookup = users
	}
	p := &proxy{addr: ln.Addr().String(), outcomes: make(chan outcome, 100)}
	var wg sync.WaitGroup
	var id atomic.Uint32
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
				o := o
				o.Hello = login.NewHello("8.0.99-test", id.Add(1), o.TLS != nil)
				o.Hello.Plugin = plugin
				client, err := login.Accept(ctx, c, o)
				p.outcomes <- outcome{client, err}
				if err == nil {
					serve(ctx, client, o)
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return p
}

// readPacket reads one packet.
func readPacket(r io.Reader) (h mysqlwire.Header, payload []byte, err error) {
	var head [mysqlwire.HeaderLen]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return h, nil, err
	}
	if h, err = mysqlwire.ParseHeader(head[:]); err != nil {
		return h, nil, err
	}
	payload = make([]byte, h.Length)
	_, err = io.ReadFull(r, payload)
	return h, payload, err
}

func appendOK(dst []byte, seq uint8, ok mysqlwire.OK, c mysqlwire.Capability) []byte {
	dst, _ = mysqlwire.AppendPacket(dst, seq, ok.Append(nil, c))
	return dst
}

// welcome ends the connection phase.
func welcome(c *login.Client) error {
	ok := mysqlwire.OK{Status: mysqlwire.StatusAutocommit}
	if c.Capabilities.Has(mysqlwire.ClientSessionTrack) {
		ok.Status |= mysqlwire.StatusSessionStateChanged
		ok.SessionState = mysqlwire.StateChange{Type: mysqlwire.TrackSchema, Value: []byte("db")}.Append(nil)
	}
	_, err := c.Conn.Write(appendOK(append([]byte(nil), c.Greeting...), c.Sequence, ok, c.Capabilities))
	return err
}

// serve is the command phase: every query gives one row, which holds the user's name.
func serve(ctx context.Context, c *login.Client, o login.AcceptOptions) {
	if welcome(c) != nil {
		return
	}
	for {
		_, payload, err := readPacket(c.Conn)
		if err != nil || len(payload) == 0 {
			return
		}
		switch mysqlwire.Command(payload[0]) {
		case mysqlwire.ComPing:
			_, err = c.Conn.Write(appendOK(nil, 1, mysqlwire.OK{Status: 2}, c.Capabilities))
		case mysqlwire.ComQuery:
			_, err = c.Conn.Write(oneRow(c.User, c.Capabilities))
		case mysqlwire.ComChangeUser:
			r, malformed := mysqlwire.ParseChangeUser(payload, c.Capabilities)
			if malformed != nil {
				return
			}
			if c, err = login.ChangeUser(ctx, login.Change{From: c, Request: r, Sequence: 1}, o); err == nil {
				err = welcome(c)
			}
		default:
			return
		}
		if err != nil {
			return
		}
	}
}

// column is a column definition: a text called c.
var column = []byte("\x03def\x00\x00\x00\x01c\x00\x0c\x2d\x00\x00\x01\x00\x00\xfd\x00\x00\x00\x00\x00")

// oneRow is the answer to a query, a single text.
func oneRow(text string, c mysqlwire.Capability) []byte {
	dst, seq := mysqlwire.AppendPacket(nil, 1, []byte{1})
	dst, seq = mysqlwire.AppendPacket(dst, seq, column)
	end := mysqlwire.EOF{Status: 2}.Append(nil)
	if c.Has(mysqlwire.ClientDeprecateEOF) {
		end = mysqlwire.OK{EOF: true, Status: 2}.Append(nil, c)
	} else {
		dst, seq = mysqlwire.AppendPacket(dst, seq, end)
	}
	dst, seq = mysqlwire.AppendPacket(dst, seq, mysqlwire.AppendLenEncString(nil, text))
	dst, _ = mysqlwire.AppendPacket(dst, seq, end)
	return dst
}
