package storm_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/storm"
	"forebay/internal/testkit"
)

func TestMySQLRealServers(t *testing.T) {
	t.Parallel()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		db := testkit.MySQLDatabase(t, m)
		if err := m.ExecIn(t.Context(), db.Name, "CREATE PROCEDURE two() BEGIN SELECT 1; SELECT 1, 2 UNION SELECT 3, 4; END"); err != nil {
			t.Fatal(err)
		}
		o := storm.Options{Clients: 60, Concurrency: 10, Statement: "SELECT * FROM information_schema.collations", Transaction: true}
		ca := "&ssl-ca=" + m.CAFile()
		mode := func(mode string) string { return strings.Replace(db.URL(), "REQUIRED", mode, 1) }
		for _, tt := range []struct{ name, target, statement string }{
			{"plain", mode("DISABLED"), ""},
			{"TLS", db.URL(), ""},
			{"TLS preferred", mode("PREFERRED"), ""},
			{"authority verified", mode("VERIFY_CA") + ca, ""},
			{"name verified", mode("VERIFY_IDENTITY") + ca, ""},
			{"several results", db.URL() + "&app=x", "CALL two()"},
			{"no result", db.URL(), "SET @a = 1"},
		} {
			o := o
			if tt.statement != "" {
				o.Statement = tt.statement
			}
			if r := send(t, tt.target, o); r.Succeeded != 60 || r.Query.Max == 0 || r.Connect.P50 > r.Connect.Max {
				t.Errorf("%s: %+v; want 60 succeeded", tt.name, r)
			}
		}
		o.Clients, o.Concurrency = 3, 3
		for _, plugin := range []string{"mysql_native_password", "caching_sha2_password", "sha256_password", "ed25519"} {
			u := localserver.MySQLUser{Name: plugin, Password: "it's one", Plugin: plugin, Database: db.Name}
			if err := m.CreateUser(t.Context(), u); errors.Is(err, localserver.ErrNoPlugin) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			for _, mode := range []string{"DISABLED", "REQUIRED"} {
				target := strings.Replace(m.URL(u.Name, db.Name, u.Password), "REQUIRED", mode, 1)
				r := send(t, target, storm.Options{Clients: 3, Statement: "SELECT 1"})
				for range 10 {
					// The driver takes a challenge that ends in a zero byte for one byte too short: one log-in of 256.
					if plugin == "ed25519" && r.Failed > 0 && r.Errors[0].Text == "server does not speak the MySQL protocol" {
						r = send(t, target, storm.Options{Clients: 3, Statement: "SELECT 1"})
					}
				}
				if r.Succeeded != 3 {
					t.Errorf("%s, TLS %s: %+v; want 3 succeeded", plugin, mode, r)
				}
			}
			if err := m.DropUser(t.Context(), u.Name); err != nil {
				t.Error(err)
			}
		}
		for _, tt := range []struct{ name, target, statement, code, text string }{
			{"wrong password", strings.Replace(db.URL(), db.Password, "wrong", 1), "SELECT 1", "1045 (28000)", ""},
			{"certificate of nobody", mode("VERIFY_IDENTITY"), "SELECT 1", "", "certificate not accepted"},
			{"no database", m.URL("root", "missing", m.Password()), "SELECT 1", "1049 (42000)", ""},
			{"bad statement", db.URL(), "SELECT nothing", "1054 (42S22)", ""},
			{"local file", db.URL(), "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE x", "", ""},
		} {
			o.Statement = tt.statement
			r := send(t, tt.target, o)
			ok := r.Failed == 3 && len(r.Errors) == 1
			if tt.name != "local file" { // who refuses that first depends on the server
				ok = ok && r.Errors[0].Code == tt.code && strings.Contains(r.Errors[0].Text, tt.text)
			}
			if !ok {
				t.Errorf("%s: %+v; want 3 errors %s %s", tt.name, r, tt.code, tt.text)
			}
		}
	})
}

// TestMySQLTooMany is what the demo shows: a small server turns a crowd away.
func TestMySQLTooMany(t *testing.T) {
	t.Parallel()
	m := testkit.MySQL(t, localserver.MySQLOptions{MaxConnections: 10})
	if err := m.CreateUser(t.Context(), localserver.MySQLUser{Name: "app", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	tg, err := storm.ParseTarget(m.URL("app", "", "x"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := storm.NewProtocol(tg)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		s, err := p.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	r := send(t, m.URL("app", "", "x"), storm.Options{Clients: 40, Statement: "SELECT 1"})
	if r.Failed != 40 || len(r.Errors) != 1 || r.Errors[0].Code != "1040 (08004)" || r.Peak != 0 {
		t.Errorf("%+v; want all turned away with 1040", r)
	}
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := p.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m.Kill()
	err = s.Run(t.Context(), "SELECT 1")
	if code, text := p.Describe(err); err == nil || code != "" || !strings.HasPrefix(text, "connection ") {
		t.Errorf("a killed server: %v, described as %q %q", err, code, text)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Connect(ctx)
	if code, text := p.Describe(err); code != "" || text != "interrupted" {
		t.Errorf("interrupted: %v, described as %q %q", err, code, text)
	}
}

// TestMySQLBrokenServers checks that no answer makes a client hang or crash.
func TestMySQLBrokenServers(t *testing.T) {
	t.Parallel()
	greeting := "\x0a5.7.0\x00\x01\x00\x00\x0012345678\x00\x00\xa2\x21\x02\x00\x08\x00\x15" + strings.Repeat("\x00", 10) + "123456789012\x00mysql_native_password\x00"
	packet := func(payload string) string { return string([]byte{byte(len(payload)), 0, 0, 0}) + payload }
	for _, tt := range []struct {
		name, mode, answer, code, text string
	}{
		{"turned away", "DISABLED", packet("\xff\x10\x04Too many connections"), "1040 (08004)", "Too many connections"},
		{"turned away with a state", "DISABLED", packet("\xff\x10\x04#08004Too many connections"), "1040 (08004)", "Too many connections"},
		{"no TLS to be had", "REQUIRED", packet(greeting), "", "server does not offer TLS"},
		{"another protocol", "DISABLED", "220 hello, this is mail\r\n", "", "connection closed by the server"},
		{"nothing in it", "DISABLED", "\x00\x00\x00\x00", "", "does not speak the MySQL protocol"},
		{"half a greeting", "DISABLED", packet(greeting)[:30], "", "connection closed by the server"},
		{"closed at once", "DISABLED", "", "", "connection closed by the server"},
		{"closed after the greeting", "DISABLED", packet(greeting), "", "connection closed by the server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			t.Cleanup(func() { l.Close(); wg.Wait() })
			wg.Go(func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				conn.Write([]byte(tt.answer))
				conn.(*net.TCPConn).CloseWrite()
				for {
					if _, err := conn.Read(make([]byte, 1024)); err != nil {
						return
					}
				}
			})
			r := send(t, "mysql://u:s3cret@"+l.Addr().String()+"/d?ssl-mode="+tt.mode, storm.Options{Clients: 1, Statement: "SELECT 1"})
			if r.Failed != 1 || r.Errors[0].Code != tt.code || !strings.Contains(r.Errors[0].Text, tt.text) {
				t.Errorf("got %+v, want an error %s %s", r.Errors, tt.code, tt.text)
			}
		})
	}
}

func TestMySQLCommand(t *testing.T) {
	t.Parallel()
	m := testkit.SharedMySQL(t)
	db := testkit.MySQLDatabase(t, m)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(db.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := storm.Command()
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs([]string{"--target", "mariadb://" + db.User + "@" + m.Addr() + "/" + db.Name, "--tls", "--password-file", file, "--clients", "5", "--window", "0"})
	if err := cmd.ExecuteContext(t.Context()); err != nil || !strings.Contains(out.String(), "5 succeeded, 0 failed") {
		t.Errorf("err %v, output:\n%s", err, &out)
	}
}
