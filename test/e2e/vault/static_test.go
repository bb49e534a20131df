package vault

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forebay/internal/app"
	"forebay/internal/localserver"
	"forebay/internal/testkit"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// asker asks one statement, and returns the first column of its row.
type asker func(statement string) (string, error)

// place is a database in which Vault makes users.
type place struct {
	family string
	// open opens a client's connection, which ends with the test, and returns how to ask on it.
	open   func(addr, user, password string) (asker, error)
	config map[string]any // of the database secrets engine
	role   string         // its name is part of its users' names
	who    string         // asks for the user at the database
	port   int
	static string // the user of the static role
}

func postgresPlace(t *testing.T) place {
	db := testkit.Database(t, testkit.SharedPostgres(t))
	static := "static_" + db.User
	if err := db.Server.CreateUser(t.Context(), localserver.User{Name: static, Password: "at-first"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Server.Exec(context.Background(), "DROP ROLE "+static); err != nil {
			t.Error(err)
		}
	})
	return place{
		family: "POSTGRESQL", port: db.Server.Port(), role: strings.ReplaceAll(db.User, "_", ""), static: static,
		open: func(addr, user, password string) (asker, error) {
			c, err := pgconn.Connect(t.Context(), fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=require", user, password, addr, db.Name))
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { c.Close(context.Background()) })
			return func(statement string) (string, error) {
				results, err := c.Exec(t.Context(), statement).ReadAll()
				if err != nil {
					return "", err
				}
				return string(results[0].Rows[0][0]), nil
			}, nil
		},
		config: map[string]any{
			"plugin_name":    "postgresql-database-plugin",
			"connection_url": fmt.Sprintf("postgresql://{{username}}:{{password}}@%s/%s?sslmode=disable", db.Server.Addr(), db.Name),
			"username":       "postgres", "password": db.Server.Password(),
		},
		who: "SELECT session_user",
	}
}

func mariadbPlace(t *testing.T) place {
	m := testkit.SharedMySQL(t)
	db := testkit.MySQLDatabase(t, m)
	static, role := "static_"+db.User, strings.ReplaceAll(db.User, "_", "")
	if err := m.CreateUser(t.Context(), localserver.MySQLUser{Name: static, Password: "at-first", Database: db.Name}); err != nil {
		t.Fatal(err)
	}
	// Vault's own: it comes by TCP.
	if err := m.Exec(t.Context(), "CREATE USER 'vault_"+role+"'@'%' IDENTIFIED BY 'vaults-own'; GRANT ALL ON *.* TO 'vault_"+role+"'@'%' WITH GRANT OPTION"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, user := range []string{static, "vault_" + role} {
			if err := m.DropUser(context.Background(), user); err != nil {
				t.Error(err)
			}
		}
	})
	return place{
		family: "MYSQL", port: m.Port(), role: role, static: static,
		open: func(addr, user, password string) (asker, error) {
			pool, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/%s?tls=skip-verify", user, password, addr, db.Name))
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { pool.Close() })
			c, err := pool.Conn(t.Context())
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { c.Close() })
			return func(statement string) (out string, err error) {
				err = c.QueryRowContext(t.Context(), statement).Scan(&out)
				return out, err
			}, nil
		},
		config: map[string]any{
			"plugin_name":    "mysql-database-plugin",
			"connection_url": fmt.Sprintf("{{username}}:{{password}}@tcp(%s)/", m.Addr()),
			"username":       "vault_" + role, "password": "vaults-own",
		},
		who: "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)",
	}
}

// engine starts a Vault with a database secrets engine for the place.
func engine(t *testing.T, p place) *testkit.RealVault {
	v := testkit.StartRealVault(t)
	v.Do(http.MethodPost, "sys/mounts/database", map[string]any{"type": "database"})
	p.config["allowed_roles"] = "*"
	v.Do(http.MethodPost, "database/config/db", p.config)
	v.Policy("reader", `
path "database/static-creds/app"  { capabilities = ["read"] }
`)
	return v
}

// serve starts Forebay with a proxy in front of the place, whose secret app is this.
func serve(t *testing.T, p place, app1 string) (a *app.App, l *log) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "forebay.yaml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `
admin: {listen: "127.0.0.1:0"}
secrets:
  - {name: app, %s}
proxies:
  - name: test
    engine_family: %s
    endpoints: [{listen: "127.0.0.1:0"}]
    auth: [{secret: app}]
    target: {host: "127.0.0.1", port: %d, tls: {mode: disable}}
`, app1, p.family, p.port), 0o600); err != nil {
		t.Fatal(err)
	}
	l = &log{}
	a, err := app.Open(t.Context(), app.Options{ConfigPath: conf, Log: l})
	if err != nil {
		t.Fatal(err)
	}
	return a, l
}

func eachPlace(t *testing.T, test func(t *testing.T, p place)) {
	for name, place := range map[string]func(*testing.T) place{"postgresql": postgresPlace, "mariadb": mariadbPlace} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, place(t))
		})
	}
}

// TestStatic: a static role's password is rotated by Vault, and Forebay and its clients follow.
func TestStatic(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		v := engine(t, p)
		v.Do(http.MethodPost, "database/static-roles/app", map[string]any{"db_name": "db", "username": p.static, "rotation_period": "1h"})
		a, l := serve(t, p, fmt.Sprintf("refresh: 1s, vault: {address: %q, ca_file: %q, path: database/static-creds/app, token_file: %q}", v.URL, v.CAFile, v.TokenFile("reader", time.Hour)))
		t.Cleanup(func() { a.Close() })
		var c asker
		for range 2 {
			password := v.Field("database/static-creds/app", "password", nil)
			eventually(t, "a client with the password of now", func() bool {
				got, err := p.open(a.Addrs()["test"]["default"], p.static, password)
				c = got
				return err == nil
			})
			if user, err := c(p.who); err != nil || user != p.static {
				t.Errorf("works as %q, %v; want %s", user, err, p.static)
			}
			v.Do(http.MethodPost, "database/rotate-role/app", map[string]any{})
			if v.Field("database/static-creds/app", "password", nil) == password {
				t.Fatal("the password was not rotated")
			}
			l.keeps(t, password)
		}
		if _, err := c(p.who); err != nil {
			t.Errorf("a client that was there before the rotation: %v", err)
		}
	})
}
