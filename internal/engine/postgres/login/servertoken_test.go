package login_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"forebay/internal/engine/postgres/login"
	"forebay/internal/resource"
	"forebay/internal/testkit/testcert"
)

// tokenServer is a server that takes one connection: it answers SSLRequest, and the startup packet with ask. What it is
// sent after that goes to got.
func tokenServer(t *testing.T, offersTLS bool, ask string) (addr string, got chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ca := testcert.New(t, "localhost")
	got = make(chan string, 1)
	ended := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-ended })
	go func() {
		defer close(ended)
		defer close(got)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		packet := func() string {
			var n [4]byte
			if _, err := io.ReadFull(c, n[:]); err != nil {
				return ""
			}
			b := make([]byte, binary.BigEndian.Uint32(n[:])-4)
			_, _ = io.ReadFull(c, b)
			return string(b)
		}
		packet() // SSLRequest
		if !offersTLS {
			_, _ = c.Write([]byte("N"))
			got <- packet()
			return
		}
		_, _ = c.Write([]byte("S"))
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{ca.Cert}, NextProtos: []string{"postgresql"}})
		packet() // startup
		_, _ = io.WriteString(c, ask)
		var typ [1]byte
		if _, err := io.ReadFull(c, typ[:]); err == nil {
			got <- string(typ[:]) + packet()
			_, _ = io.WriteString(c, "R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I")
		}
	}()
	return ln.Addr().String(), got
}

// TestTokenOnlyInTheClearAndOverTLS: a token goes to a server that asks for a password in the clear, over TLS, and to no other.
func TestTokenOnlyInTheClearAndOverTLS(t *testing.T) {
	t.Parallel()
	const token = "db:5432/?Action=connect&X-Amz-Signature=0123"
	for _, tt := range []struct {
		name  string
		mode  resource.TLSMode
		tls   bool
		ask   string
		got   string
		fails error
		text  string
	}{
		{"cleartext", "require", true, "R\x00\x00\x00\x08\x00\x00\x00\x03", "p" + token + "\x00", nil, ""},
		{"MD5", "require", true, "R\x00\x00\x00\x0c\x00\x00\x00\x05salt", "", login.ErrAuth, `the user "app" for an MD5 password`},
		{"SCRAM", "require", true, "R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00", "", login.ErrAuth, "for SCRAM"},
		{"GSSAPI", "require", true, "R\x00\x00\x00\x08\x00\x00\x00\x07", "", login.ErrAuth, "for Kerberos"},
		{"unknown", "require", true, "R\x00\x00\x00\x08\x00\x00\x00\x63", "", login.ErrAuth, "authentication method 99"},
		{"no TLS", "require", false, "", "", login.ErrTLS, "does not offer TLS"},
		{"prefer", "prefer", true, "", "", login.ErrTLS, "over TLS alone"},
		{"default mode", "", true, "", "", login.ErrTLS, "over TLS alone"},
		{"disable", "disable", true, "", "", login.ErrTLS, "over TLS alone"},
	} {
		addr, got := tokenServer(t, tt.tls, tt.ask)
		s, err := login.Dial(t.Context(), login.DialOptions{Address: addr, TLSMode: tt.mode, Credentials: login.NewTokenCredentials("app", token)})
		if tt.fails == nil && err != nil || !errors.Is(err, tt.fails) || !strings.Contains(fmt.Sprint(err), tt.text) || strings.Contains(fmt.Sprint(err), "Signature") {
			t.Errorf("%s: %v; want %v with %q", tt.name, err, tt.fails, tt.text)
		}
		if s != nil {
			s.Close()
		}
		if tt.mode != "require" {
			continue // it was not even called
		}
		if what := <-got; what != tt.got {
			t.Errorf("%s: the server was sent %q, want %q", tt.name, what, tt.got)
		}
	}
}

func TestKnock(t *testing.T) {
	t.Parallel()
	for _, offers := range []bool{true, false} {
		addr, got := tokenServer(t, offers, "")
		err := login.Knock(t.Context(), login.DialOptions{Address: addr, TLSMode: resource.TLSRequire})
		if offers && err != nil || !offers && !errors.Is(err, login.ErrTLS) {
			t.Errorf("TLS %v: %v", offers, err)
		}
		<-got
	}
	if err := login.Knock(t.Context(), login.DialOptions{Address: "127.0.0.1:1", TLSMode: resource.TLSRequire}); !errors.Is(err, login.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}
