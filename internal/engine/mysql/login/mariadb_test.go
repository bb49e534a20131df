package login_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit/testcert"
	"forebay/internal/wire/mysqlwire"
)

// startMariaDB starts a private MariaDB with TLS, and returns its address. sql is run first, line by line.
func startMariaDB(t *testing.T, ca testcert.Authority, sql ...string) string {
	t.Helper()
	bin, err := exec.LookPath("mariadbd")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/mariadbd"); err != nil {
			t.Skip("needs mariadbd, the server of MariaDB")
		}
	}
	install, err := exec.LookPath("mariadb-install-db")
	if err != nil {
		t.Skip("needs mariadb-install-db")
	}
	// Short: the path of a socket has at most some 100 bytes.
	dir, err := os.MkdirTemp("", "mariadb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	write := func(name string, b []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	key, err := x509.MarshalPKCS8PrivateKey(ca.Cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Certificate[0]}))
	keyFile := write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	data := filepath.Join(dir, "data")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), install, "--no-defaults", "--auth-root-authentication-method=normal",
		"--skip-test-db", "--datadir="+data, "--user="+me.Username).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	ln.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(bin, "--no-defaults", "--datadir="+data, "--user="+me.Username, "--bind-address=127.0.0.1", "--port="+port,
		"--socket="+filepath.Join(dir, "s"), "--pid-file="+filepath.Join(dir, "pid"), "--ssl-cert="+cert, "--ssl-key="+keyFile,
		"--plugin-load-add=auth_ed25519", "--innodb-buffer-pool-size=8M", "--skip-log-bin", "--max-connections=20",
		"--progress-report-time=1", "--init-file="+write("init.sql", []byte(strings.Join(sql, "\n"))))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Process.Kill()
		cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		// The greeting comes once the init file has run.
		s, err := login.Dial(ctx, nil, login.DialOptions{Address: addr, TLSMode: resource.TLSDisable, Credentials: login.NewCredentials("native", password)})
		if err == nil {
			s.Close()
			return addr
		}
		if !errors.Is(err, login.ErrUnreachable) {
			t.Fatal(err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	text, _ := os.ReadFile(log.Name())
	t.Fatalf("MariaDB does not start:\n%s", text)
	return ""
}

func TestDialMariaDB(t *testing.T) {
	t.Parallel()
	ca := testcert.New(t, "localhost")
	addr := startMariaDB(
		t, ca,
		"CREATE DATABASE shop;",
		"CREATE USER native@'%' IDENTIFIED BY '"+password+"';",
		"CREATE USER empty@'%' IDENTIFIED BY '';",
		"CREATE USER signed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('"+password+"');",
		"CREATE USER secure@'%' IDENTIFIED BY '"+password+"' REQUIRE SSL;",
		"CREATE USER locked@'%' IDENTIFIED BY '"+password+"' ACCOUNT LOCK;",
		"CREATE USER socket@'%' IDENTIFIED VIA unix_socket;",
		"GRANT ALL ON shop.* TO native@'%', empty@'%', signed@'%', secure@'%';",
	)
	for _, tt := range []struct {
		name, user string
		pw         secret.Password
		mode       resource.TLSMode
		roots      *x509.CertPool
		database   string
		tls        bool
		plugin     string
		fails      error
	}{
		{name: "native", user: "native", mode: "disable", plugin: mysqlwire.PluginNative},
		{name: "native, TLS", user: "native", plugin: mysqlwire.PluginNative, tls: true},
		{name: "verify-ca", user: "native", mode: "verify-ca", roots: ca.Pool, plugin: mysqlwire.PluginNative, tls: true},
		{name: "verify-full by address", user: "native", mode: "verify-full", roots: ca.Pool, fails: login.ErrTLS},
		{name: "empty password", user: "empty", mode: "disable", pw: "-", plugin: mysqlwire.PluginNative},
		{name: "ed25519", user: "signed", mode: "disable", plugin: mysqlwire.PluginEd25519},
		{name: "ed25519, TLS", user: "signed", mode: "require", plugin: mysqlwire.PluginEd25519, tls: true},
		{name: "ed25519, wrong", user: "signed", mode: "disable", pw: "wrong-pw", fails: login.ErrAuth},
		{name: "wrong", user: "native", pw: "wrong-pw", fails: login.ErrAuth},
		{name: "unknown", user: "nobody", fails: login.ErrAuth},
		{name: "locked", user: "locked", fails: login.ErrAuth},
		{name: "REQUIRE SSL, without", user: "secure", mode: "disable", fails: login.ErrAuth},
		{name: "REQUIRE SSL", user: "secure", plugin: mysqlwire.PluginNative, tls: true},
		{name: "no such database", user: "native", database: "nowhere", fails: login.ErrAuth},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.pw == "" {
				tt.pw = password
			} else if tt.pw == "-" {
				tt.pw = ""
			}
			if tt.database == "" {
				tt.database = "shop"
			}
			s, err := login.Dial(t.Context(), nil, login.DialOptions{
				Address: addr, TLSMode: tt.mode, RootCAs: tt.roots, Database: tt.database,
				Credentials:  login.NewCredentials(tt.user, tt.pw),
				Capabilities: login.DefaultCapabilities | mysqlwire.MariaDBExtended,
				Attributes:   []mysqlwire.Attribute{{Name: "program_name", Value: "forebay"}},
			})
			if tt.fails != nil {
				if !errors.Is(err, tt.fails) || strings.Contains(err.Error(), tt.pw.Reveal()) {
					t.Errorf("Dial: %v; want %v", err, tt.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.TLS != tt.tls || !s.MariaDB || strings.HasPrefix(s.Version, "5.5.5") || s.Plugin != tt.plugin ||
				!s.Status.Has(mysqlwire.StatusAutocommit) || !s.Capabilities.Has(mysqlwire.ClientSessionTrack|mysqlwire.ClientDeprecateEOF) {
				t.Errorf("%+v", s)
			}
			rows, err := s.Query(t.Context(), "SELECT USER(), DATABASE(), CONNECTION_ID(), NULL, @@character_set_client")
			if err != nil || len(rows) != 1 || !strings.HasPrefix(*rows[0][0], tt.user+"@") || *rows[0][1] != "shop" ||
				*rows[0][2] != fmt.Sprint(s.ConnectionID) || rows[0][3] != nil || *rows[0][4] != "utf8mb4" {
				t.Errorf("Query: %v, %v", rows, err)
			}
			var failed *login.ServerError
			if _, err := s.Query(t.Context(), "SELEKT"); !errors.As(err, &failed) || failed.Code != 1064 || failed.SQLState != "42000" {
				t.Errorf("Query: %v", err)
			}
			if rows, err := s.Query(t.Context(), "SELECT 1; SELECT seq FROM seq_1_to_1000"); err != nil || len(rows) != 1000 {
				t.Errorf("two statements: %d rows, %v", len(rows), err)
			}
			if rows, err := s.Query(t.Context(), "DO 1"); err != nil || rows != nil {
				t.Errorf("no rows: %v, %v", rows, err)
			}
			checkSessionState(t, s)
		})
	}
}

// checkSessionState holds what a real server says of its session against our decoder.
func checkSessionState(t *testing.T, s *login.Server) {
	t.Helper()
	for _, tt := range []struct{ sql, want string }{
		{"SET session_track_system_variables = '*', session_track_state_change = 1, session_track_transaction_info = 'CHARACTERISTICS'", ""},
		{"BEGIN", "5 =T_______;4 =START TRANSACTION;;"},
		{"ROLLBACK", "5 =________;4 =;"},
		{"SET autocommit = 0", "0 autocommit=OFF;2 =1;"},
		{"USE shop", "1 =shop;2 =1;"},
	} {
		out, _ := mysqlwire.AppendPacket(nil, 0, []byte("\x03"+tt.sql))
		if _, err := s.Conn.Write(out); err != nil {
			t.Fatal(err)
		}
		_, payload, err := readPacket(s.Conn)
		if err != nil {
			t.Fatal(err)
		}
		ok, err := mysqlwire.ParseOK(payload, s.Capabilities)
		if err != nil {
			t.Fatalf("%s: %q: %v", tt.sql, payload, err)
		}
		var got strings.Builder
		for b := ok.SessionState; len(b) > 0; {
			var e mysqlwire.StateChange
			if e, b, err = mysqlwire.NextStateChange(b); err != nil {
				t.Fatalf("%s: %q: %v", tt.sql, payload, err)
			}
			fmt.Fprintf(&got, "%d %s=%s;", e.Type, e.Name, e.Value)
		}
		if tt.want != "" && got.String() != tt.want {
			t.Errorf("%s: session state %q, want %q", tt.sql, got.String(), tt.want)
		}
	}
}
