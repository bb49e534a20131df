package login_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit/testcert"
	"forebay/internal/wire/mysqlwire"
)

// steps gives each of its parts in a read of its own.
type steps [][]byte

func (s *steps) Read(b []byte) (int, error) {
	for len(*s) > 0 {
		if len((*s)[0]) == 0 {
			*s = (*s)[1:]
			continue
		}
		n := copy(b, (*s)[0])
		(*s)[0] = (*s)[0][n:]
		return n, nil
	}
	return 0, io.EOF
}

func (c *scriptConn) transport(context.Context, string, string) (net.Conn, error) { return c, nil }
func (c *scriptConn) Close() error                                                { return nil }
func (c *scriptConn) SetDeadline(time.Time) error                                 { return nil }

// TestDialAccept lets Dial log in to Accept in every way there is.
func TestDialAccept(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	for _, tt := range loginCases() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, tt.plugin, login.AcceptOptions{TLS: ca.Server()})
			o := login.DialOptions{
				Address: p.addr, TLSMode: resource.TLSDisable, Database: "shop",
				Credentials:  login.NewCredentials(tt.user, secret.Password(tt.pw)),
				Capabilities: mysqlwire.ClientSessionTrack | mysqlwire.ClientDeprecateEOF,
				Attributes:   []mysqlwire.Attribute{{Name: "program_name", Value: "forebay"}},
			}
			if tt.tls {
				o.TLSMode = resource.TLSRequire
			}
			s, err := login.Dial(t.Context(), nil, o)
			out := <-p.outcomes
			if tt.want != "" && tt.code == 3159 {
				// We refuse to send the password, before the proxy can ask for it.
				if !errors.Is(err, login.ErrTLS) {
					t.Errorf("Dial: %v", err)
				}
				return
			}
			checkOutcome(t, tt, out)
			if tt.want != "" {
				var failed *login.ServerError
				if !errors.As(err, &failed) || failed.Code != tt.code || failed.Message != tt.want {
					t.Errorf("Dial: %v; want %s", err, tt.want)
				}
				if strings.Contains(fmt.Sprint(err), password) {
					t.Errorf("the password is in %q", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.TLS != tt.tls || s.Version != "8.0.99-test" || s.MariaDB || s.ConnectionID == 0 || s.Status&2 == 0 ||
				string(s.SessionState) != "\x01\x03\x02db" || !s.Capabilities.Has(o.Capabilities) || s.Charset != 45 {
				t.Errorf("%+v", s)
			}
			rows, err := s.Query(t.Context(), "SELECT 1")
			if err != nil || len(rows) != 1 || len(rows[0]) != 1 || *rows[0][0] != tt.user {
				t.Errorf("Query: %v, %v", rows, err)
			}
		})
	}
}

func TestDialTLSModes(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	elsewhere := testcert.New(t).Pool
	both := startProxy(t, mysqlwire.PluginCachingSHA2, login.AcceptOptions{TLS: ca.Server()})
	plain := startProxy(t, mysqlwire.PluginCachingSHA2, login.AcceptOptions{})
	for _, tt := range []struct {
		name    string
		p       *proxy
		mode    resource.TLSMode
		roots   *x509.CertPool
		address string
		tls     bool
		fails   error
	}{
		{name: "disable", p: both, mode: "disable"},
		{name: "default", p: both, tls: true},
		{name: "prefer", p: both, mode: "prefer", tls: true},
		{name: "prefer, not offered", p: plain, mode: "prefer"},
		{name: "prefer, other CA, falls back", p: both, mode: "prefer", roots: elsewhere},
		{name: "require", p: both, mode: "require", tls: true},
		{name: "require, not offered", p: plain, mode: "require", fails: login.ErrTLS},
		{name: "require checks given CAs", p: both, mode: "require", roots: elsewhere, fails: login.ErrTLS},
		{name: "verify-ca", p: both, mode: "verify-ca", roots: ca.Pool, address: "elsewhere:1", tls: true},
		{name: "verify-ca, other CA", p: both, mode: "verify-ca", roots: elsewhere, fails: login.ErrTLS},
		{name: "verify-ca, system CAs", p: both, mode: "verify-ca", fails: login.ErrTLS},
		{name: "verify-full", p: both, mode: "verify-full", roots: ca.Pool, address: "localhost:1", tls: true},
		{name: "verify-full, other name", p: both, mode: "verify-full", roots: ca.Pool, address: "elsewhere:1", fails: login.ErrTLS},
		{name: "verify-full, not offered", p: plain, mode: "verify-full", fails: login.ErrTLS},
		{name: "unknown mode", p: both, mode: "allow", fails: login.ErrTLS},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := login.DialOptions{Address: tt.address, TLSMode: tt.mode, RootCAs: tt.roots, Credentials: login.NewCredentials("sha2", password)}
			if o.Address == "" {
				o.Address = tt.p.addr
			}
			transport := func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, tt.p.addr)
			}
			s, err := login.Dial(t.Context(), transport, o)
			if tt.fails != nil {
				if !errors.Is(err, tt.fails) {
					t.Errorf("Dial: %v; want %v", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.TLS != tt.tls {
				t.Errorf("TLS is %t", s.TLS)
			}
		})
	}
}

// TestDialScripted plays servers that refuse, lie or break off.
func TestDialScripted(t *testing.T) {
	t.Parallel()
	hello := login.NewHello("8.0.99", 9, false)
	greeting := string(hello.Append(nil))
	ok := "\x00\x00\x00\x02\x00\x00\x00"
	old := &mysqlwire.HandshakeV10{ServerVersion: "4.0.1", Capabilities: mysqlwire.ClientLongPassword, AuthData: make([]byte, 8)}
	for _, tt := range []struct {
		name   string
		script []string // reads
		fails  error
		text   string // in the error
	}{
		{"closed", nil, login.ErrUnreachable, "closed the connection"},
		{"full", []string{packet(0, "\xff\x10\x04Too many connections")}, login.ErrTooManyConnections, "Too many connections (error 1040)"},
		{"blocked", []string{packet(0, "\xff\x69\x04Host 'x' is blocked")}, login.ErrUnreachable, "1129"},
		{"not MySQL", []string{"220 mail ESMTP\r\n"}, login.ErrProtocol, ""},
		{"no greeting", []string{packet(0, "\x09old\x00")}, login.ErrProtocol, "protocol version"},
		{"4.0", []string{packet(0, string(old.Append(nil)))}, login.ErrProtocol, "4.0.1"},
		{"more behind the greeting", []string{greeting + "x"}, login.ErrProtocol, "data behind the greeting"},
		{"gone", []string{greeting}, login.ErrUnreachable, ""},
		{"breaks off", []string{greeting, "\x07\x00\x00\x02\x00"}, login.ErrUnreachable, ""},
		{"wrong number", []string{greeting, packet(5, ok)}, login.ErrProtocol, "packet number 5 where 2 is due"},
		{"empty packet", []string{greeting, packet(2, "")}, login.ErrProtocol, "empty packet"},
		{"strange packet", []string{greeting, packet(2, "\x42")}, login.ErrProtocol, "0x42"},
		{"malformed OK", []string{greeting, packet(2, "\x00")}, login.ErrProtocol, "OK_Packet"},
		{"malformed ERR", []string{greeting, packet(2, "\xff")}, login.ErrProtocol, "ERR_Packet"},
		{"more behind OK", []string{greeting, packet(2, ok) + "x"}, login.ErrProtocol, "data while idle"},
		{"shut down at once", []string{greeting, packet(2, ok) + packet(0, "\xff\x1d\x04#08S01Server shutdown")}, login.ErrUnreachable, "1053"},
		{"no database", []string{greeting, packet(2, "\xff\x19\x04#42000Unknown database")}, login.ErrNoDatabase, "SQLSTATE 42000"},
		{"old password", []string{greeting, packet(2, "\xfe")}, login.ErrAuth, `"mysql_old_password"`},
		{"sha256_password", []string{greeting, packet(2, "\xfesha256_password\x00x")}, login.ErrAuth, `"sha256_password"`},
		{"PAM", []string{greeting, packet(2, "\xfedialog\x00x")}, login.ErrAuth, `"dialog"`},
		{"plugin name without end", []string{greeting, packet(2, "\xfedialog")}, login.ErrProtocol, "plugin name"},
		{"second factor", []string{greeting, packet(2, "\x02dialog\x00")}, login.ErrAuth, "second authentication factor"},
		{"cleartext", []string{greeting, packet(2, "\xfemysql_clear_password\x00")}, login.ErrAuth, "without TLS"},
		{"short scramble", []string{greeting, packet(2, "\xfemysql_native_password\x00short")}, login.ErrProtocol, "scramble of 5 bytes"},
		{"short nonce", []string{greeting, packet(2, "\xfeclient_ed25519\x00short")}, login.ErrProtocol, "scramble of 5 bytes"},
		{"more data for native", []string{greeting, packet(2, "\xfemysql_native_password\x0001234567890123456789\x00"), packet(4, "\x01\x04")}, login.ErrProtocol, "unexpected AuthMoreData"},
		{"strange more data", []string{greeting, packet(2, "\x01\x07")}, login.ErrProtocol, "0x07"},
		{"no key", []string{greeting, packet(2, "\x01\x04"), packet(4, "\x01nothing")}, login.ErrProtocol, "no PEM block"},
		{"error for a key", []string{greeting, packet(2, "\x01\x04"), packet(4, "\xff\x15\x04#28000no")}, login.ErrAuth, "1045"},
		{"never ends", append([]string{greeting}, endless()...), login.ErrProtocol, "does not end"},
	} {
		c := &scriptConn{in: script(tt.script)}
		_, err := login.Dial(t.Context(), c.transport, login.DialOptions{
			Address: "localhost:1", TLSMode: "disable", Credentials: login.NewCredentials("u", password),
		})
		if !errors.Is(err, tt.fails) || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%s: %v; want %v with %q", tt.name, err, tt.fails, tt.text)
		}
		if strings.Contains(c.out.String(), password) || strings.Contains(fmt.Sprint(err), password) {
			t.Errorf("%s: the password shows: %v, %q", tt.name, err, c.out.String())
		}
	}
}

func script(parts []string) *steps {
	var s steps
	for _, p := range parts {
		s = append(s, []byte(p))
	}
	return &s
}

// endless are requests for ever more proofs.
func endless() []string {
	var parts []string
	for i := range 40 {
		parts = append(parts, packet(uint8(2+2*i), "\xfemysql_native_password\x0001234567890123456789\x00"))
	}
	return parts
}

// TestDialEd25519 has a server ask for MariaDB's signature.
func TestDialEd25519(t *testing.T) {
	t.Parallel()
	const nonce = "0123456789abcdef0123456789ABCDEF"
	hello := login.NewHello("5.5.5-10.11.6-MariaDB", 9, false)
	hello.Plugin = mysqlwire.PluginNative
	hello.Capabilities = hello.Capabilities&^mysqlwire.ClientLongPassword | mysqlwire.MariaDBClientCacheMetadata
	c := &scriptConn{in: script([]string{
		string(hello.Append(nil)), packet(2, "\xfeclient_ed25519\x00"+nonce), packet(4, "\x00\x00\x00\x02\x00\x00\x00"),
	})}
	s, err := login.Dial(t.Context(), c.transport, login.DialOptions{
		Address: "localhost:1", Credentials: login.NewCredentials("u", password),
		Capabilities: mysqlwire.MariaDBClientCacheMetadata | mysqlwire.MariaDBClientProgress,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !s.MariaDB || s.Version != "10.11.6-MariaDB" || s.Plugin != mysqlwire.PluginEd25519 ||
		s.Capabilities&mysqlwire.MariaDBExtended != mysqlwire.MariaDBClientCacheMetadata {
		t.Errorf("%+v", s)
	}
	h, first, err := readPacket(&c.out)
	if err != nil || h.Sequence != 1 {
		t.Fatal(h, err)
	}
	r, err := mysqlwire.ParseHandshakeResponse41(first)
	if err != nil || r.Capabilities != s.Capabilities || r.Plugin != mysqlwire.PluginNative ||
		string(r.AuthResponse) != string(login.NativeProof(password, hello.Scramble)) {
		t.Errorf("%+v, %v", r, err)
	}
	if h, proof, err := readPacket(&c.out); err != nil || h.Sequence != 3 || string(proof) != string(login.Ed25519Proof(password, []byte(nonce))) {
		t.Errorf("proof % x, %v", proof, err)
	}
}

// TestQueryAll: the results of all statements come with the names of their columns; those before an error come with it.
func TestQueryAll(t *testing.T) {
	t.Parallel()
	hello := login.NewHello("8.0.99", 9, false)
	hello.Capabilities |= mysqlwire.ClientMultiStatements
	ok := "\x00\x00\x00\x02\x00\x00\x00"
	named := func(seq uint8, name string) string {
		return packet(seq, "\x03def\x00\x00\x00"+string(rune(len(name)))+name+"\x00\x0c\x2d\x00\x01\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
	}
	two := packet(1, "\x01") + named(2, "who") + packet(3, "\xfe\x00\x00\x0a\x00") + packet(4, "\x01a") + packet(5, "\xfe\x00\x00\x0a\x00") +
		packet(6, "\x00\x00\x00\x0a\x00\x00\x00")
	for _, tt := range []struct {
		name, answer string
		want         string // columns and rows as printed
		err          string
	}{
		{"two", two + packet(7, "\x01") + named(8, "n") + packet(9, "\xfe\x00\x00\x02\x00") + packet(10, "\xfb") + packet(11, "\xfe\x00\x00\x02\x00"), "[who] 1 [n] 1 ", ""},
		{"an error behind one", two + packet(7, "\xff\xcb\x04#42000Access denied"), "[who] 1 ", "1227"},
		{"a definition cut short", packet(1, "\x01") + packet(2, "\x03def\x00\x00\x09"), "", "malformed column definition"},
	} {
		c := &scriptConn{in: script([]string{string(hello.Append(nil)), packet(2, ok), tt.answer})}
		s, err := login.Dial(t.Context(), c.transport, login.DialOptions{
			Address: "localhost:1", Credentials: login.NewCredentials("u", password), Capabilities: mysqlwire.ClientMultiStatements,
		})
		if err != nil {
			t.Fatal(err)
		}
		results, err := s.QueryAll(t.Context(), "SELECT 1")
		got := ""
		for _, r := range results {
			got += fmt.Sprint(r.Columns, len(r.Rows), " ")
		}
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %q, %v", tt.name, got, err)
		}
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	const caps = mysqlwire.ClientOptionalResultsetMetadata | mysqlwire.ClientQueryAttributes
	hello := login.NewHello("8.0.99", 9, false)
	hello.Capabilities |= caps
	ok := "\x00\x00\x00\x02\x00\x00\x00"
	head := packet(1, "\x01\x02") + packet(2, string(column)) + packet(3, string(column)) + packet(4, "\xfe\x00\x00\x02\x00")
	for _, tt := range []struct {
		name, answer string
		want         string // rows as printed, or what is in the error
		usable       bool
	}{
		{"OK", packet(1, ok), "", true},
		{"rows", head + packet(5, "\x01a\xfb") + packet(6, "\x00\x01b") + packet(7, "\xfe\x00\x00\x02\x00"), "a,NULL;,b;", true},
		{"flag behind the count", strings.Replace(head, "\x01\x02", "\x02\x01", 1) + packet(5, "\x01a\xfb") + packet(6, "\xfe\x00\x00\x02\x00"), "a,NULL;", true},
		{"no definitions", packet(1, "\x01\x00") + packet(2, "\x01a") + packet(3, "\xfe\x00\x00\x02\x00"), "a;", true},
		{"two results", packet(1, "\x00\x00\x00\x0a\x00\x00\x00") + packet(2, ok), "", true},
		{"count and more", packet(1, "\x02\x01\x01"), "column count", false},
		{"error", packet(1, "\xff\x28\x04#42000You have an error"), "1064", true},
		{"error among rows", head + packet(5, "\x01a\xfb") + packet(6, "\xff\x25\x05#70100interrupted"), "1317", true},
		{"LOCAL INFILE", packet(1, "\xfb/etc/passwd") + packet(3, ok), "", true},
		{"progress", packet(1, "\xff\xff\xff\x01\x01\x02\x00\x00\x00\x01x") + packet(2, ok), "", true},
		{"empty packet", packet(1, ""), "column count", false},
		{"too many columns", packet(1, "\x01\xfd\xff\xff\xff"), "column count", false},
		{"malformed row", head + packet(5, "\x01a"), "malformed row", false},
		{"more behind", packet(1, ok) + "x", "data while idle", false},
		{"breaks off", head, "closed the connection", false},
		{"closing", packet(1, ok) + packet(0, "\xff\xbf\x0f#HY000The client was disconnected"), "4031", false},
	} {
		c := &scriptConn{in: script([]string{string(hello.Append(nil)), packet(2, ok), tt.answer})}
		s, err := login.Dial(t.Context(), c.transport, login.DialOptions{
			Address: "localhost:1", Credentials: login.NewCredentials("u", password), Capabilities: caps,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.out.Reset()
		rows, err := s.Query(t.Context(), "SELECT 1")
		if h, sent, e := readPacket(&c.out); e != nil || h.Sequence != 0 || string(sent) != "\x03\x00\x01SELECT 1" {
			t.Errorf("%s: sends %q, %v", tt.name, sent, e)
		}
		var got strings.Builder
		for _, row := range rows {
			for i, v := range row {
				if i > 0 {
					got.WriteByte(',')
				}
				if v == nil {
					got.WriteString("NULL")
				} else {
					got.WriteString(*v)
				}
			}
			got.WriteByte(';')
		}
		if err == nil && got.String() != tt.want || err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %q, %v; want %q", tt.name, got.String(), err, tt.want)
		}
		*c.in.(*steps) = *script([]string{packet(1, ok)})
		if _, err := s.Query(t.Context(), "x"); (err == nil) != tt.usable {
			t.Errorf("%s: then: %v", tt.name, err)
		}
	}
}

func TestDialEndsWithContext(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := ln.Accept()
		cancel()
		if err == nil {
			accepted <- c
		}
	}()
	_, err = login.Dial(ctx, nil, login.DialOptions{Address: ln.Addr().String(), Credentials: login.NewCredentials("u", password)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v", err)
	}
	(<-accepted).Close()
	if _, err := login.Dial(t.Context(), nil, login.DialOptions{Address: "127.0.0.1:0", Credentials: login.NewCredentials("u", password)}); !errors.Is(err, login.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
	o := login.DialOptions{Address: "x:1", Credentials: login.NewCredentials("a\x00b", password)}
	c := &scriptConn{in: script([]string{string(login.NewHello("v", 1, false).Append(nil))})}
	if _, err := login.Dial(t.Context(), c.transport, o); !errors.Is(err, login.ErrProtocol) {
		t.Errorf("user with NUL: %v", err)
	}
}
