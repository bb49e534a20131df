package localserver_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"forebay/internal/localserver"
	"forebay/internal/testkit"
)

// askMySQL runs one statement over a fresh connection and returns the last column of the first row.
func askMySQL(t *testing.T, dsn, statement string) (string, error) {
	t.Helper()
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), statement)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || !rows.Next() {
		return "", errors.Join(err, rows.Err())
	}
	into := make([]any, len(columns))
	for i := range into {
		into[i] = new(sql.NullString)
	}
	if err := rows.Scan(into...); err != nil {
		return "", err
	}
	return into[len(into)-1].(*sql.NullString).String, nil
}

// openDir is a folder that the server's account can enter, which t.TempDir is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "forebay-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// eachMySQL runs a subtest for each release, for tests that start servers of their own.
func eachMySQL(t *testing.T, test func(t *testing.T, in localserver.Install)) {
	t.Helper()
	all, err := localserver.MySQLReleases()
	if errors.Is(err, localserver.ErrNotInstalled) && os.Getenv("FOREBAY_REQUIRE_SERVERS") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range all {
		t.Run(in.Product+in.Series(), func(t *testing.T) {
			t.Parallel()
			test(t, in)
		})
	}
}

func TestMySQLLife(t *testing.T) {
	t.Parallel()
	eachMySQL(t, func(t *testing.T, in localserver.Install) {
		dir := ""
		if in.Chroot == "" {
			dir = openDir(t)
		}
		m := testkit.MySQL(t, localserver.MySQLOptions{
			BinDir: in.BinDir, Chroot: in.Chroot, Dir: dir, MaxConnections: 17, TLS: true,
			Settings: map[string]string{"init_connect": `SET @it = 'a \ test # here'`},
		})
		ctx := t.Context()
		if m.Version() != in {
			t.Errorf("version %+v, want %+v", m.Version(), in)
		}
		if err := m.CreateDatabase(ctx, "app_db"); err != nil {
			t.Fatal(err)
		}
		if err := m.CreateUser(ctx, localserver.MySQLUser{Name: "app", Password: `p'w\d`, Database: "app_db"}); err != nil {
			t.Fatal(err)
		}
		dsn := m.DSN("app", "app_db", `p'w\d`)
		for _, tt := range []struct{ name, dsn, sql, want string }{
			{"max_connections", m.SuperDSN(""), "SELECT @@max_connections", "17"},
			{"a setting with quotes", dsn, "SELECT @@init_connect", `SET @it = 'a \ test # here'`},
			{"TLS", dsn, "SHOW STATUS LIKE 'Ssl_version'", "TLSv1.3"},
			{"the user's database", dsn, "SELECT DATABASE()", "app_db"},
			{"no account without a name, none without a password", m.SuperDSN(""), "SELECT COUNT(*) FROM mysql.user WHERE User = '' " +
				"OR User = 'root' AND plugin IN ('mysql_native_password', 'caching_sha2_password') AND authentication_string = ''", "0"},
		} {
			if got, err := askMySQL(t, tt.dsn, tt.sql); err != nil || got != tt.want {
				t.Errorf("%s: got %q, err %v; want %q", tt.name, got, err, tt.want)
			}
		}
		var denied *mysql.MySQLError
		if _, err := askMySQL(t, m.DSN("root", "", "wrong"), "SELECT 1"); !errors.As(err, &denied) || denied.Number != 1045 {
			t.Errorf("a wrong password: err %v", err)
		}
		if _, err := askMySQL(t, m.DSN("app", "app_db", `p'w\d`), "CREATE DATABASE appxdb"); !errors.As(err, &denied) || denied.Number != 1044 {
			t.Errorf("a database beside the user's own: err %v", err)
		}
		if n, err := m.Connections(ctx); err != nil || n < 0 || n > 5 {
			t.Errorf("connections: %d, %v", n, err)
		}

		before := m.PID()
		if err := m.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		if m.PID() == before {
			t.Error("Restart kept the process")
		}
		if err := m.ExecIn(ctx, "app_db", "CREATE TABLE kept (x int) ENGINE=InnoDB; INSERT INTO kept VALUES (7)"); err != nil {
			t.Fatal(err)
		}
		m.Kill()
		if _, err := askMySQL(t, dsn, "SELECT 1"); err == nil {
			t.Error("a killed server answers")
		}
		if err := m.Restart(ctx); err != nil {
			t.Fatalf("Restart after Kill: %v", err)
		}
		if _, err := askMySQL(t, dsn, "SELECT COUNT(*) FROM kept"); err != nil {
			t.Errorf("after Restart: %v", err)
		}

		m.Stop()
		m.Stop()
		if _, err := os.Stat(filepath.Dir(m.Socket())); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Stop left the folder: %v", err)
		}
		if c, err := net.Dial("tcp", m.Addr()); err == nil {
			c.Close()
			t.Error("the port still answers after Stop")
		}
		if err := m.Restart(ctx); err == nil {
			t.Error("Restart after Stop succeeded")
		}
	})
}

// TestMySQLWithoutTLS checks that a server without the option offers none: newer ones make certificates by themselves.
func TestMySQLWithoutTLS(t *testing.T) {
	t.Parallel()
	eachMySQL(t, func(t *testing.T, in localserver.Install) {
		m := testkit.MySQL(t, localserver.MySQLOptions{BinDir: in.BinDir, Chroot: in.Chroot})
		if err := m.CreateUser(t.Context(), localserver.MySQLUser{Name: "app", Password: "x"}); err != nil {
			t.Fatal(err)
		}
		if got, err := askMySQL(t, m.DSN("app", "", "x"), "SELECT CURRENT_USER()"); err != nil || got != "app@%" {
			t.Errorf("got %q, err %v", got, err)
		}
		if _, err := askMySQL(t, m.DSN("app", "", "x")+"?tls=skip-verify", "SELECT 1"); !errors.Is(err, mysql.ErrNoTLS) {
			t.Errorf("TLS: err %v", err)
		}
		if m.CAFile() != "" {
			t.Errorf("CA file %s", m.CAFile())
		}
	})
}

// TestMySQLPlugins logs in by every plugin that a server can have. Which has which is a matter of its version.
func TestMySQLPlugins(t *testing.T) {
	t.Parallel()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		db := testkit.MySQLDatabase(t, m)
		var has []string
		for _, plugin := range []string{"mysql_native_password", "caching_sha2_password", "sha256_password", "ed25519"} {
			u := localserver.MySQLUser{Name: "by_" + plugin, Password: "s e'cret", Plugin: plugin, Database: db.Name}
			err := m.CreateUser(t.Context(), u)
			if errors.Is(err, localserver.ErrNoPlugin) {
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", plugin, err)
				continue
			}
			has = append(has, plugin)
			withTLS := m.DSN(u.Name, db.Name, u.Password)
			// Without TLS first: the full way of the SHA-2 plugins, by RSA key.
			for _, dsn := range []string{strings.Replace(withTLS, "tls=skip-verify", "tls=false", 1), withTLS} {
				if got, err := askMySQL(t, dsn, "SELECT CURRENT_USER()"); err != nil || got != u.Name+"@%" {
					t.Errorf("%s: got %q, err %v", plugin, got, err)
				}
			}
			if err := m.DropUser(t.Context(), u.Name); err != nil {
				t.Error(err)
			}
		}
		t.Logf("%s has %s", m.Version(), strings.Join(has, ", "))
		want := []string{"caching_sha2_password"}
		if m.Version().Product == localserver.ProductMariaDB {
			want = []string{"mysql_native_password", "ed25519"}
		}
		for _, plugin := range want {
			if !strings.Contains(strings.Join(has, " "), plugin) {
				t.Errorf("%s is missing", plugin)
			}
		}
		if err := m.CreateUser(t.Context(), localserver.MySQLUser{Name: "x", Plugin: "no_such"}); !errors.Is(err, localserver.ErrNoPlugin) {
			t.Errorf("no such plugin: err %v", err)
		}
	})
}

func TestSharedMySQLDatabases(t *testing.T) {
	t.Parallel()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		a, b := testkit.MySQLDatabase(t, m), testkit.MySQLDatabase(t, m)
		if _, err := askMySQL(t, a.DSN(), "CREATE TABLE here (x int)"); err != nil {
			t.Fatal(err)
		}
		var myErr *mysql.MySQLError
		if _, err := askMySQL(t, b.DSN(), "SELECT * FROM "+a.Name+".here"); !errors.As(err, &myErr) || myErr.Number != 1142 {
			t.Errorf("a user may read the database of another, or: %v", err)
		}
		rows, err := m.Query(t.Context(), a.Name, "SELECT 1, 2; SELECT NULL, 'x'; SET @a = 1")
		if err != nil || len(rows) != 1 || len(rows[0]) != 2 || rows[0][0] != "" || rows[0][1] != "x" {
			t.Errorf("got %v, err %v", rows, err)
		}
	})
}

// TestMySQLPortTaken checks that the server's own words for a taken port are understood.
func TestMySQLPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // after the subtests, which run side by side
	eachMySQL(t, func(t *testing.T, in localserver.Install) {
		_, err := localserver.StartMySQL(context.Background(), localserver.MySQLOptions{
			BinDir: in.BinDir, Chroot: in.Chroot, Port: l.Addr().(*net.TCPAddr).Port,
		})
		if err == nil || !strings.Contains(err.Error(), "the port is taken") {
			t.Errorf("err %v", err)
		}
	})
}

func TestFindMySQL(t *testing.T) {
	t.Setenv("FOREBAY_MYSQL_BIN", t.TempDir())
	if _, err := localserver.FindMySQL(); !errors.Is(err, localserver.ErrNotInstalled) || !strings.Contains(err.Error(), "FOREBAY_MYSQL_BIN") {
		t.Errorf("an empty folder: err %v", err)
	}
	tree, err := localserver.SidTree()
	if err != nil {
		t.Skip(err)
	}
	bin := filepath.Join(tree, "opt/mysql/usr/sbin")
	if _, err := os.Stat(bin); err != nil {
		t.Skip("an old tree:", err)
	}
	t.Setenv("FOREBAY_MYSQL_BIN", bin)
	all, err := localserver.FindMySQL()
	if err != nil || all[0].Product != localserver.ProductMySQL || all[0].Major < 9 || all[0].Chroot != tree {
		t.Errorf("got %v, err %v; want MySQL 9 or newer of the tree first", all, err)
	}
}
