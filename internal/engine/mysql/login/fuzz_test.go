package login_test

import (
	"bytes"
	"errors"
	"testing"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/wire/mysqlwire"
)

// FuzzAccept checks that nothing a client sends makes Accept panic, hang or let it in: no input holds a proof for the
// scramble, which is drawn anew each time. What it is told is always whole packets, of which the last is an error.
func FuzzAccept(f *testing.F) {
	sha2 := as(plain, "sha2", mysqlwire.PluginCachingSHA2)
	sha2.AuthResponse = make([]byte, 32)
	f.Add([]byte(response(1, sha2)))
	f.Add([]byte(response(1, as(plain, "full", mysqlwire.PluginNative)) + packet(3, "x") + packet(5, "\x02") + packet(7, "y")))
	f.Add([]byte(response(1, as(plain, "nobody", mysqlwire.PluginClearPassword)) + packet(3, "x\x00")))
	f.Add([]byte(response(1, as(plain|mysqlwire.ClientConnectWithDB, "native", "")) + packet(3, "01234567890123456789")))
	f.Add([]byte(packet(1, string(as(plain|mysqlwire.ClientSSL, "", "").SSLRequest.Append(nil)))))
	f.Add([]byte(packet(1, "\x05\x24\x00\x00\x00u\x00")))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := &scriptConn{in: bytes.NewReader(in)}
		client, err := login.Accept(t.Context(), c, login.AcceptOptions{Hello: login.NewHello("v", 1, false), Lookup: users})
		if err == nil {
			t.Fatalf("%q lets in %+v", in, client)
		}
		var last []byte
		for out := bytes.NewReader(c.out.Bytes()); out.Len() > 0; {
			if _, last, err = readPacket(out); err != nil {
				t.Fatalf("%q is answered by %q", in, c.out.Bytes())
			}
		}
		var refusal *login.Refusal
		if errors.As(err, &refusal) && !mysqlwire.IsERR(last) {
			t.Errorf("%q is refused without a word: %q", in, last)
		}
	})
}

// FuzzChangeUser does the same for the part that COM_CHANGE_USER conducts.
func FuzzChangeUser(f *testing.F) {
	f.Add([]byte("\x11sha2\x00\x00db\x00\x2d\x00mysql_native_password\x00\x00"), []byte(packet(2, "x")))
	f.Add([]byte("\x11full\x00\x00\x00"), []byte(packet(2, "x")+packet(4, "\x02")))
	f.Fuzz(func(t *testing.T, payload, early []byte) {
		r, err := mysqlwire.ParseChangeUser(payload, plain)
		if err != nil {
			return
		}
		c := &scriptConn{in: bytes.NewReader(nil)}
		from := &login.Client{Conn: c, Capabilities: plain}
		if client, err := login.ChangeUser(t.Context(), login.Change{From: from, Request: r, Sequence: 1, Early: early},
			login.AcceptOptions{Lookup: users}); err == nil {
			t.Fatalf("%q, %q lets in %+v", payload, early, client)
		}
	})
}

// FuzzDial checks that nothing a server sends makes Dial panic or hang, or shows the password without TLS.
func FuzzDial(f *testing.F) {
	hello := login.NewHello("v", 1, false)
	greeting := string(hello.Append(nil))
	f.Add([]byte(greeting + packet(2, "\x01\x03") + packet(3, "\x00\x00\x00\x02\x00\x00\x00")))
	f.Add([]byte(greeting + packet(2, "\x01\x04") + packet(4, "\x01-----BEGIN PUBLIC KEY-----\n")))
	f.Add([]byte(greeting + packet(2, "\xfeclient_ed25519\x00"+"01234567890123456789012345678901") + packet(4, "\xff\x15\x04#28000no")))
	f.Add([]byte(greeting + packet(2, "\xfemysql_clear_password\x00")))
	f.Add([]byte(packet(0, "\xff\x10\x04Too many connections")))
	f.Fuzz(func(t *testing.T, in []byte) {
		// The greeting comes alone, as from a server that keeps to the protocol.
		first := in
		if h, err := mysqlwire.ParseHeader(in); err == nil && len(in) > mysqlwire.HeaderLen+h.Length {
			first = in[:mysqlwire.HeaderLen+h.Length]
		}
		c := &scriptConn{in: &steps{first, in[len(first):]}}
		s, err := login.Dial(t.Context(), c.transport, login.DialOptions{
			Address: "localhost:1", TLSMode: "disable", Credentials: login.NewCredentials("u", password),
		})
		if err == nil {
			_, _ = s.Query(t.Context(), "SELECT 1")
		}
		if bytes.Contains(c.out.Bytes(), []byte(password)) {
			t.Errorf("the password is sent in the clear: %q", c.out.Bytes())
		}
	})
}
