package login_test

import (
	"bytes"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/resource"
	"forebay/internal/testkit/testcert"
	"forebay/internal/wire/mysqlwire"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
)

const (
	denied  = "Access denied for user '%s'@'127.0.0.1' (using password: %s)"
	wantTLS = "This RDS Proxy requires TLS connections."
)

// loginCase is one login by a driver; want is in its error, empty for success.
type loginCase struct {
	name   string
	plugin string // of the greeting
	user   string
	pw     string
	tls    bool
	want   string
	code   uint16
}

func loginCases() []loginCase {
	var cases []loginCase
	for _, plugin := range []string{mysqlwire.PluginCachingSHA2, mysqlwire.PluginNative} {
		for _, secure := range []bool{false, true} {
			name := func(what string) string { return fmt.Sprintf("%s, greeted by %s, TLS %t", what, plugin, secure) }
			for _, user := range []string{"native", "sha2", "full", "clear", "token"} {
				c := loginCase{name: name(user), plugin: plugin, user: user, pw: password, tls: secure}
				wrong := loginCase{
					name: name("wrong " + user), plugin: plugin, user: user, pw: "wrong", tls: secure,
					want: fmt.Sprintf(denied, user, "YES"), code: 1045,
				}
				if (user == "clear" || user == "token") && !secure {
					c.want, c.code, wrong.want, wrong.code = wantTLS, 3159, wantTLS, 3159
				}
				cases = append(cases, c, wrong)
			}
			cases = append(cases,
				loginCase{
					name: name("unknown"), plugin: plugin, user: "nobody", pw: password, tls: secure,
					want: fmt.Sprintf(denied, "nobody", "YES"), code: 1045,
				},
				loginCase{
					name: name("no password"), plugin: plugin, user: "sha2", pw: "", tls: secure,
					want: fmt.Sprintf(denied, "sha2", "NO"), code: 1045,
				},
				loginCase{name: name("store down"), plugin: plugin, user: "broken", pw: password, tls: secure, want: "Unknown error", code: 1105},
			)
		}
	}
	return cases
}

// checkOutcome holds what Accept returned against the case.
func checkOutcome(t *testing.T, tt loginCase, o outcome) {
	t.Helper()
	if tt.want == "" {
		if o.err != nil || o.client.User != tt.user || o.client.TLS != tt.tls || o.client.Verifier.User() != tt.user ||
			o.client.Verifier.Credentials() == nil || len(o.client.Buffered) > 0 {
			t.Errorf("Accept: %+v, %v", o.client, o.err)
		}
		return
	}
	var refusal *login.Refusal
	if !errors.As(o.err, &refusal) || refusal.Code != tt.code || refusal.User != tt.user || !refusal.AuthFailure() {
		t.Errorf("Accept: %v; want code %d", o.err, tt.code)
	}
	if o.err != nil && strings.Contains(o.err.Error(), password) {
		t.Errorf("the password is in %q", o.err)
	}
}

func TestGoDriver(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	if err := mysql.RegisterTLSConfig("test", &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range loginCases() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, tt.plugin, login.AcceptOptions{TLS: ca.Server()})
			cfg := mysql.NewConfig()
			cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.DBName = "tcp", p.addr, tt.user, tt.pw, "shop"
			cfg.AllowCleartextPasswords = true
			cfg.Logger = &mysql.NopLogger{}
			if tt.tls {
				cfg.TLSConfig = "test"
			}
			connector, err := mysql.NewConnector(cfg)
			if err != nil {
				t.Fatal(err)
			}
			db := sql.OpenDB(connector)
			defer db.Close()
			var got string
			err = db.QueryRowContext(t.Context(), "SELECT 1").Scan(&got)
			o := <-p.outcomes
			checkOutcome(t, tt, o)
			if tt.want == "" {
				if err != nil || got != tt.user {
					t.Errorf("driver: %q, %v", got, err)
				}
				if o.err == nil && o.client.Database != "shop" {
					t.Errorf("database is %q", o.client.Database)
				}
				return
			}
			var failed *mysql.MySQLError
			if !errors.As(err, &failed) || failed.Number != tt.code || failed.Message != tt.want {
				t.Errorf("driver: %v; want %s", err, tt.want)
			}
		})
	}
}

// TestMariaDBClient logs in by the command-line client of MariaDB, which is libmariadb.
func TestMariaDBClient(t *testing.T) {
	t.Parallel()
	bin, err := exec.LookPath("mariadb")
	if err != nil {
		t.Skip("needs mariadb, the client of MariaDB")
	}
	ca := testcert.New(t, "localhost")
	for _, tt := range loginCases() {
		if tt.user == "full" && !tt.tls {
			continue // needs the server's key in a file
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, tt.plugin, login.AcceptOptions{TLS: ca.Server()})
			host, port, err := net.SplitHostPort(p.addr)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{
				"--no-defaults", "-N", "-B", "--protocol=tcp", "-h", host, "-P", port, "-u", tt.user, "-e", "SELECT 1", "shop",
			}
			if tt.tls {
				args = append(args, "--ssl", "--ssl-ca="+ca.File)
			} else {
				args = append(args, "--skip-ssl")
			}
			cmd := exec.CommandContext(t.Context(), bin, args...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN=1", "MYSQL_PWD=" + tt.pw}
			out, err := cmd.CombinedOutput()
			o := <-p.outcomes
			if errors.Is(o.err, login.ErrClientGone) && tt.want == "" && strings.Contains(string(out), "cannot be loaded") {
				t.Skipf("this client lacks the plugin: %s", out)
			}
			checkOutcome(t, tt, o)
			if tt.want == "" {
				if err != nil || strings.TrimSpace(string(out)) != tt.user {
					t.Errorf("client: %v, prints %q", err, out)
				}
				if o.err == nil && len(o.client.Attributes) == 0 {
					t.Error("no connection attributes")
				}
			} else if err == nil || !strings.Contains(string(out), fmt.Sprint(tt.code)) || !strings.Contains(string(out), tt.want) {
				t.Errorf("client: %v, prints %q, want %q", err, out, tt.want)
			}
		})
	}
}

// response is a client's answer to the greeting as a packet.
func response(seq uint8, r mysqlwire.HandshakeResponse41) string {
	b, _ := mysqlwire.AppendPacket(nil, seq, r.Append(nil))
	return string(b)
}

func packet(seq uint8, payload string) string {
	b, _ := mysqlwire.AppendPacket(nil, seq, []byte(payload))
	return string(b)
}

const plain = login.DefaultCapabilities &^ mysqlwire.ClientConnectWithDB

// as is a client's answer with capabilities, without a proof.
func as(c mysqlwire.Capability, user, plugin string) mysqlwire.HandshakeResponse41 {
	return mysqlwire.HandshakeResponse41{
		SSLRequest: mysqlwire.SSLRequest{Capabilities: c, MaxPacket: 1 << 24, Charset: 45}, User: user, Plugin: plugin,
	}
}

// TestRawClients plays clients that do not keep to the rules, and some that do in unusual ways. Each step writes,
// then reads a packet whose payload begins as wanted; "" wants the end.
func TestRawClients(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	type step struct{ send, want string }
	ssl := packet(1, string(as(plain|mysqlwire.ClientSSL, "", "").SSLRequest.Append(nil)))
	bad := "\xff\x13\x0408S01Bad handshake"
	bad = strings.Replace(bad, "08S01", "#08S01", 1)
	old := "\xff\xe3\x04Client does not support"
	notSupported := "\xff\xe3\x04#08004Client does not support"
	switched := "\xfecaching_sha2_password\x00"
	broken := as(plain, "sha2", mysqlwire.PluginNative)
	broken.Attributes = []byte("\x05abc")
	tests := []struct {
		name  string
		steps []step
		code  uint16 // 0: no refusal
		tls   bool
	}{
		{"nothing", nil, 0, false},
		{"empty packet", []step{{packet(1, ""), bad}}, 1043, false},
		{"short packet", []step{{packet(1, "\x00\x82\x00"), bad}}, 1043, false},
		{"cut packet", []step{{response(1, as(plain, "sha2", ""))[:30], ""}}, 0, false},
		{"wrong number", []step{{response(0, as(plain, "sha2", "")), bad}}, 1043, false},
		{"long packet", []step{{"\xff\xff\x01\x01xxxx", bad}}, 1043, false},
		{"endless packet", []step{{"\xff\xff\xff\x01xxxx", bad}}, 1043, false},
		{"http", []step{{"GET / HTTP/1.1\r\n\r\n", bad}}, 1043, false},
		{"malformed attributes", []step{{response(1, broken), bad}}, 1043, false},
		{"protocol 3.23", []step{{packet(1, "\x05\x24\x00\x00\x00u\x00"), old}}, 1251, false},
		{"no secure connection", []step{{
			response(1, as(plain&^(mysqlwire.ClientSecureConnection|mysqlwire.ClientPluginAuthLenEncClientData), "sha2", "")), notSupported,
		}}, 1251, false},
		{"no plugins", []step{{response(1, as(plain&^mysqlwire.ClientPluginAuth, "sha2", "")), notSupported}}, 1251, false},
		{"no plugins, none needed, no proof", []step{{
			response(1, as(plain&^mysqlwire.ClientPluginAuth, "native", "")), "\xff\x15\x04#28000",
		}}, 1045, false},
		{"switch, then gone", []step{{response(1, as(plain, "sha2", mysqlwire.PluginNative)), switched}}, 0, false},
		{"switch, wrong number", []step{{response(1, as(plain, "sha2", mysqlwire.PluginNative)), switched}, {packet(7, "x"), bad}}, 1043, false},
		{"switch, wrong length", []step{{response(1, as(plain, "sha2", mysqlwire.PluginNative)), switched}, {packet(3, "x"), "\xff\x15\x04#28000"}}, 1045, false},
		{"wrong on the fast path, no ciphertext", []step{
			{response(1, as(plain, "sha2", mysqlwire.PluginNative)), switched},
			{packet(3, strings.Repeat("x", 32)), "\x01\x04"},
			{packet(5, "s3cret-pass\x00"), "\xff\x15\x04#28000"},
		}, 1045, false},
		{"unknown user", []step{
			{response(1, as(plain, "nobody", mysqlwire.PluginNative)), switched},
			{packet(3, strings.Repeat("x", 32)), "\x01\x04"},
			{packet(5, "\x02"), "\x01-----BEGIN PUBLIC KEY-----"},
			{packet(7, strings.Repeat("x", 256)), "\xff\x15\x04#28000"},
		}, 1045, false},
		{"full, no ciphertext", []step{
			{response(1, as(plain, "full", mysqlwire.PluginNative)), switched},
			{packet(3, strings.Repeat("x", 32)), "\x01\x04"},
			{packet(5, "s3cret-pass\x00"), "\xff\x15\x04#28000"},
		}, 1045, false},
		{"full, key, no ciphertext", []step{
			{response(1, as(plain, "full", mysqlwire.PluginNative)), switched},
			{packet(3, strings.Repeat("x", 32)), "\x01\x04"},
			{packet(5, "\x02"), "\x01-----BEGIN PUBLIC KEY-----"},
			{packet(7, strings.Repeat("x", 256)), "\xff\x15\x04#28000"},
		}, 1045, false},
		{"full, key twice", []step{
			{response(1, as(plain, "full", mysqlwire.PluginNative)), switched},
			{packet(3, strings.Repeat("x", 32)), "\x01\x04"},
			{packet(5, "\x02"), "\x01-----BEGIN PUBLIC KEY-----"},
			{packet(7, "\x02"), "\xff\x15\x04#28000"},
		}, 1045, false},
		{"TLS, not offered", []step{{ssl, bad}}, 1043, false},
		{"TLS, with more than the request", []step{{response(1, as(plain|mysqlwire.ClientSSL, "sha2", "")), bad}}, 1043, true},
		{"plaintext behind SSLRequest", []step{{ssl + response(2, as(plain|mysqlwire.ClientSSL, "sha2", "")), ""}}, 0, true},
		{"gone behind SSLRequest", []step{{ssl, ""}}, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var o login.AcceptOptions
			if tt.tls {
				o.TLS = ca.Server()
			}
			p := startProxy(t, mysqlwire.PluginCachingSHA2, o)
			c, err := net.Dial("tcp", p.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, _, err := readPacket(c); err != nil {
				t.Fatal(err)
			}
			for _, s := range tt.steps {
				if _, err := io.WriteString(c, s.send); err != nil {
					t.Fatal(err)
				}
				if s.want == "" {
					break
				}
				if _, got, err := readPacket(c); err != nil || !strings.HasPrefix(string(got), s.want) {
					t.Fatalf("after %q: got %q, %v; want %q", s.send, got, err, s.want)
				}
			}
			c.(*net.TCPConn).CloseWrite()
			o2 := <-p.outcomes
			var refusal *login.Refusal
			var code uint16
			if errors.As(o2.err, &refusal) {
				code = refusal.Code
			}
			if o2.err == nil || code != tt.code {
				t.Errorf("Accept: %v; want code %d", o2.err, tt.code)
			}
			if tt.name == "nothing" || tt.name == "switch, then gone" {
				if !errors.Is(o2.err, login.ErrClientGone) {
					t.Errorf("Accept: %v", o2.err)
				}
			}
		})
	}
}

// TestSSLRequestAndHelloTogether: a client waits for no answer to its SSLRequest, so that its first TLS record may be read
// with it.
func TestSSLRequestAndHelloTogether(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	p := startProxy(t, mysqlwire.PluginNative, login.AcceptOptions{TLS: ca.Server(), RequireTLS: true})
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := readPacket(c); err != nil {
		t.Fatal(err)
	}
	ssl := packet(1, string(as(plain|mysqlwire.ClientSSL, "", "").SSLRequest.Append(nil)))
	secure := tls.Client(&prefixConn{Conn: c, prefix: ssl}, &tls.Config{RootCAs: ca.Pool, ServerName: "localhost"})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(secure, response(2, as(plain|mysqlwire.ClientSSL, "nobody", ""))); err != nil {
		t.Fatal(err)
	}
	if _, got, err := readPacket(secure); err != nil || got[0] != mysqlwire.HeaderAuthSwitch {
		t.Errorf("got %q, %v", got, err)
	}
}

// prefixConn writes prefix together with what is written first.
type prefixConn struct {
	net.Conn
	prefix string
}

func (c *prefixConn) Write(b []byte) (int, error) {
	if c.prefix == "" {
		return c.Conn.Write(b)
	}
	_, err := c.Conn.Write(append([]byte(c.prefix), b...))
	c.prefix = ""
	return len(b), err
}

func TestRequireTLS(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	p := startProxy(t, mysqlwire.PluginCachingSHA2, login.AcceptOptions{TLS: ca.Server(), RequireTLS: true})
	o := login.DialOptions{Address: p.addr, TLSMode: resource.TLSDisable, Credentials: login.NewCredentials("sha2", password)}
	_, err := login.Dial(t.Context(), nil, o)
	var failed *login.ServerError
	if !errors.As(err, &failed) || *failed != (login.ServerError{Code: 3159, SQLState: "HY000", Message: wantTLS}) || !errors.Is(err, login.ErrTLS) {
		t.Errorf("Dial: %v", err)
	}
	var refusal *login.Refusal
	if got := <-p.outcomes; !errors.As(got.err, &refusal) || refusal.User != "sha2" || !refusal.AuthFailure() {
		t.Errorf("Accept: %v", got.err)
	}
}

// TestClientAsSeen has a client say all that one can say, and begin its first command before it is welcome.
func TestClientAsSeen(t *testing.T) {
	t.Parallel()
	hello := login.NewHello("8.0.99-test", 77, false)
	hello.Plugin = mysqlwire.PluginNative
	hello.Capabilities |= mysqlwire.ClientZstdCompression
	hello.Sent = true
	attrs := []mysqlwire.Attribute{{Name: "program_name", Value: "till"}}
	tooMany := append(attrs[:1:1], mysqlwire.Attribute{Name: "big", Value: strings.Repeat("x", 5000)}, mysqlwire.Attribute{Name: "a"})
	for _, sent := range [][]mysqlwire.Attribute{attrs, tooMany} {
		r := as(hello.Capabilities|mysqlwire.ClientQueryAttributes, "native", mysqlwire.PluginNative)
		r.Database, r.ZstdLevel, r.Attributes = "shop", 3, mysqlwire.AppendAttributes(nil, sent)
		r.AuthResponse = login.NativeProof(password, hello.Scramble)
		here := &scriptConn{in: strings.NewReader(response(1, r) + packet(0, "\x0e"))}
		blocked := 0
		c, err := login.Accept(t.Context(), here, login.AcceptOptions{
			Hello: hello, Lookup: users, Block: func(f func()) { blocked++; f() },
		})
		if err != nil {
			t.Fatal(err)
		}
		got := *c
		if got.Verifier.User() != "native" || got.Conn != here || blocked != 0 || here.out.Len() > 0 {
			t.Errorf("%+v; %d steps left the loop; sent: %q", got, blocked, here.out.String())
		}
		rest, err := io.ReadAll(io.MultiReader(bytes.NewReader(got.Buffered), here))
		if err != nil || string(rest) != packet(0, "\x0e") {
			t.Errorf("then comes %q, %v", rest, err)
		}
		got.Verifier, got.Conn, got.Buffered = nil, nil, nil
		want := login.Client{
			User: "native", Database: "shop", Capabilities: hello.Capabilities, Charset: 45, MaxPacket: 1 << 24, ZstdLevel: 3,
			Attributes: attrs, Sequence: 2, Scramble: hello.Scramble,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

// scriptConn is a peer that has said everything beforehand; what it is told is kept.
type scriptConn struct {
	net.Conn // nil
	in       io.Reader
	out      bytes.Buffer
}

func (c *scriptConn) Read(b []byte) (int, error)  { return c.in.Read(b) }
func (c *scriptConn) Write(b []byte) (int, error) { return c.out.Write(b) }
func (c *scriptConn) RemoteAddr() net.Addr        { return nil }

func TestChangeUser(t *testing.T) {
	t.Parallel()
	p := startProxy(t, mysqlwire.PluginNative, login.AcceptOptions{})
	const noPlugins = plain &^ mysqlwire.ClientPluginAuth
	for _, tt := range []struct {
		name, user, pw string
		c              mysqlwire.Capability
		want           string // in the reply
	}{
		{"switch", "sha2", password, plain, "\x01\x03"},
		{"wrong", "sha2", "wrong", plain, "\x01\x04"},
		{"unknown", "nobody", password, plain, "\x01\x04"},
		{"by the last scramble", "native", password, noPlugins, "\x00"},
		{"by the last scramble, wrong", "native", "wrong", noPlugins, "\xff\x15\x04#28000"},
		{"cannot switch", "sha2", password, noPlugins, "\xff\xe3\x04"},
		{"cleartext", "clear", password, plain, "\xff\x57\x0c#HY000" + wantTLS},
	} {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, payload, err := readPacket(c)
		if err != nil {
			t.Fatal(err)
		}
		greeting, err := mysqlwire.ParseHandshakeV10(payload)
		if err != nil {
			t.Fatal(err)
		}
		s := [20]byte(greeting.AuthData)
		first := as(tt.c, "native", mysqlwire.PluginNative)
		first.AuthResponse = login.NativeProof(password, s)
		io.WriteString(c, response(1, first))
		if _, got, err := readPacket(c); err != nil || got[0] != mysqlwire.HeaderOK {
			t.Fatalf("%s: first login: %q, %v", tt.name, got, err)
		}
		change := mysqlwire.ChangeUser{User: tt.user, AuthResponse: login.NativeProof(tt.pw, s), Database: "db", HasCharset: true, Charset: 255, Plugin: "mysql_native_password"}
		io.WriteString(c, packet(0, string(change.Append(nil, tt.c))))
		h, got, err := readPacket(c)
		if err == nil && got[0] == mysqlwire.HeaderAuthSwitch {
			r, malformed := mysqlwire.ParseAuthSwitchRequest(got)
			if malformed != nil {
				t.Fatal(malformed)
			}
			io.WriteString(c, packet(h.Sequence+1, string(login.SHA2Proof(tt.pw, [20]byte(r.Data)))))
			_, got, err = readPacket(c)
		}
		if err != nil || !strings.HasPrefix(string(got), tt.want) {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
		c.Close()
		<-p.outcomes
	}
}

// TestChangeUserEarly has a client send its answer and its next command along with the request.
func TestChangeUserEarly(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	defer here.Close()
	go func() { io.Copy(io.Discard, there) }()
	defer there.Close()
	from := &login.Client{Conn: here, Capabilities: plain, Charset: 33, MaxPacket: 5, Attributes: []mysqlwire.Attribute{{Name: "a"}}}
	tls := *from
	tls.TLS = true
	early := []byte(packet(2, password+"\x00") + packet(0, "\x0e"))
	got, err := login.ChangeUser(t.Context(), login.Change{
		From: &tls, Request: &mysqlwire.ChangeUser{User: "clear", Database: "db"}, Sequence: 1, Early: early,
	}, login.AcceptOptions{Lookup: users, RequireTLS: true})
	if err != nil || got.User != "clear" || string(got.Buffered) != packet(0, "\x0e") || got.Sequence != 3 || got.Charset != 33 ||
		got.MaxPacket != 5 || len(got.Attributes) != 1 || !got.TLS || got.Conn != here {
		t.Errorf("%+v, %v", got, err)
	}
	// A proof that is wrong, and then the password in full.
	for _, tt := range []struct{ user, pw string }{{"sha2", password}, {"sha2", "wrong"}, {"nobody", password}} {
		early := []byte(packet(2, strings.Repeat("x", 32)) + packet(4, tt.pw+"\x00") + packet(0, "\x0e"))
		got, err := login.ChangeUser(t.Context(), login.Change{From: &tls, Request: &mysqlwire.ChangeUser{User: tt.user}, Sequence: 1, Early: early},
			login.AcceptOptions{Lookup: users})
		if right := tt.user == "sha2" && tt.pw == password; right != (err == nil) || right && (string(got.Buffered) != packet(0, "\x0e") || got.Sequence != 5) {
			t.Errorf("%s with the password %s: %+v, %v", tt.user, tt.pw, got, err)
		}
	}
	var refusal *login.Refusal
	if _, err := login.ChangeUser(t.Context(), login.Change{From: from, Request: &mysqlwire.ChangeUser{User: "native"}, Sequence: 1},
		login.AcceptOptions{Lookup: users, RequireTLS: true}); !errors.As(err, &refusal) || refusal.Code != 3159 {
		t.Errorf("without TLS: %v", err)
	}
}
