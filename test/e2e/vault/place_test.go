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
	create []string       // statements
	drop   []string
	who    string // asks for the user at the database
	port   int
	init   string // of connection_pool
	users  func() []string
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
		create: []string{`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE ` + db.User},
		drop:   []string{`DROP ROLE IF EXISTS "{{name}}"`},
		who:    "SELECT session_user",
		init:   "SET ROLE " + db.User,
		users: func() []string {
			rows, err := db.Server.Query(context.Background(), db.Name, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%-"+strings.ReplaceAll(db.User, "_", "")+"-%'")
			return column(t, rows, err)
		},
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
		create: []string{"CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'", "GRANT ALL ON `" + db.Name + "`.* TO '{{name}}'@'%'"},
		who:    "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)",
		users: func() []string {
			rows, err := m.Query(context.Background(), "", "SELECT User FROM mysql.user WHERE User LIKE 'v-%-"+role+"-%'")
			return column(t, rows, err)
		},
	}
}

func column(t *testing.T, rows [][]string, err error) (out []string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		out = append(out, row[0])
	}
	return out
}

// engine starts a Vault with a database secrets engine for the place.
func engine(t *testing.T, p place) *testkit.RealVault {
	v := testkit.StartRealVault(t)
	v.Do(http.MethodPost, "sys/mounts/database", map[string]any{"type": "database"})
	p.config["allowed_roles"] = "*"
	v.Do(http.MethodPost, "database/config/db", p.config)
	v.Policy("reader", `
path "database/creds/`+p.role+`"  { capabilities = ["read"] }
path "database/static-creds/app"  { capabilities = ["read"] }
path "sys/leases/revoke"          { capabilities = ["update"] }`)
	return v
}

// serve starts Forebay with a proxy in front of the place, whose secret app has these keys.
func serve(t *testing.T, p place, keys string) (a *app.App, l *log) {
	dir := t.TempDir()
	clients := filepath.Join(dir, "clients.json")
	if err := os.WriteFile(clients, []byte(`{"username": "shop", "password": "stays-the-same"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	pool := "{max_connections: 4}"
	if p.init != "" && strings.Contains(keys, "clients") {
		pool = fmt.Sprintf("{max_connections: 4, init_query: %q}", p.init)
	}
	conf := filepath.Join(dir, "forebay.yaml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `
admin: {listen: "127.0.0.1:0"}
secrets:
  - {name: clients, file: %q}
  - {name: app, %s}
proxies:
  - name: test
    engine_family: %s
    endpoints: [{listen: "127.0.0.1:0"}]
    auth: [{secret: app}]
    target: {host: "127.0.0.1", port: %d, tls: {mode: disable}}
    connection_pool: %s
`, clients, keys, p.family, p.port, pool), 0o600); err != nil {
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
