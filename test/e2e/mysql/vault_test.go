package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/app"
	"forebay/internal/localserver"
	"forebay/internal/testkit"

	_ "github.com/go-sql-driver/mysql"
)

// TestVaultDynamic has a dynamic role make Forebay's users at the database, which end one after the other while clients are at
// work: none of them notices. A statement of a former user's server connection can still be interrupted.
func TestVaultDynamic(t *testing.T) {
	t.Parallel()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		db := testkit.MySQLDatabase(t, m)
		vault := testkit.StartVault(t, testkit.VaultOptions{
			TTL: 12 * time.Second,
			Make: func(ctx context.Context, user, password string) error {
				return m.CreateUser(ctx, localserver.MySQLUser{Name: user, Password: password, Database: db.Name})
			},
			Drop: m.DropUser,
		})
		dir := t.TempDir()
		clientsFile := filepath.Join(dir, "clients.json")
		if err := os.WriteFile(clientsFile, []byte(`{"username": "shop", "password": "stays-the-same"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "forebay.yaml")
		if err := os.WriteFile(path, fmt.Appendf(nil, `
admin: {listen: ""}
secrets:
  - {name: clients, file: %q}
  - {name: app, vault: {address: %q, path: database/creds/app, clients: clients, token_file: %q}}
proxies:
  - name: test
    engine_family: MYSQL
    endpoints: [{listen: "127.0.0.1:0"}]
    auth: [{secret: app}]
    target: {host: "%s", port: %d, tls: {mode: disable}}
    connection_pool: {max_connections: 6}
`, clientsFile, vault.URL, vault.TokenFile, m.Host(), m.Port()), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := app.Open(t.Context(), app.Options{ConfigPath: path, Log: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			a.Close()
			testkit.Eventually(t, "all users have been dropped, now that Forebay has ended", func() bool {
				made, dropped := vault.Users()
				return len(made) == len(dropped)
			})
		})
		open := func() *sql.Conn {
			clients, err := sql.Open("mysql", fmt.Sprintf("shop:stays-the-same@tcp(%s)/%s?tls=skip-verify", a.Addrs()["test"]["default"], db.Name))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { clients.Close() })
			c, err := clients.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return c
		}
		ask := func(c *sql.Conn, statement string) (out string, err error) {
			err = c.QueryRowContext(t.Context(), statement).Scan(&out)
			return out, err
		}

		const clients = 4
		var running sync.WaitGroup
		var done atomic.Bool
		var users [clients]sync.Map // at the database, as each client has seen them
		for i := range clients {
			c := open()
			running.Go(func() {
				for n := 0; !done.Load(); n++ {
					user, err := ask(c, "SELECT CURRENT_USER()")
					if err == nil && n%2 == 0 {
						err = transaction(t.Context(), c, fmt.Sprintf("SET @n = %d", n))
					}
					if err != nil {
						t.Errorf("client %d: %v", i, err)
						return
					}
					users[i].Store(user, true)
				}
			})
		}
		defer running.Wait()
		defer done.Store(true)

		sleeper, killer := open(), open()
		id, err := ask(sleeper, "SELECT CONNECTION_ID()")
		if err != nil {
			t.Fatal(err)
		}
		asleep := make(chan string, 1)
		go func() {
			slept, err := ask(sleeper, "SELECT SLEEP(1000)")
			asleep <- fmt.Sprint(slept, err)
		}()
		sleeps := func() (user string) {
			rows, err := m.Query(t.Context(), "", "SELECT USER FROM information_schema.PROCESSLIST WHERE INFO = 'SELECT SLEEP(1000)' AND DB = '"+db.Name+"'")
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) > 0 {
				user = rows[0][0]
			}
			return user
		}
		var of string
		testkit.Eventually(t, "the statement runs", func() bool { of = sleeps(); return of != "" })
		testkit.Eventually(t, "there is another user", func() bool {
			made, _ := vault.Users()
			return made[len(made)-1] != of
		})
		if sleeps() != of {
			t.Error("the statement was cut short when its user was replaced")
		}
		if _, err := killer.ExecContext(t.Context(), "KILL QUERY "+id); err != nil {
			t.Error(err)
		}
		if got := <-asleep; got != "1<nil>" && !strings.Contains(got, "1317") { // else its connection was lost, when the lease ended
			t.Errorf("the statement that was interrupted has ended with %s", got)
		}

		testkit.Eventually(t, "the users of all clients have been replaced, and dropped", func() bool {
			_, dropped := vault.Users()
			for i := range clients {
				n := 0
				users[i].Range(func(any, any) bool { n++; return true })
				if n < 2 {
					return false
				}
			}
			return len(dropped) >= 1 || t.Failed()
		})
		if user, err := ask(killer, "SELECT CURRENT_USER()"); err != nil || !strings.HasPrefix(user, "v-app-") {
			t.Errorf("works as %q, %v", user, err)
		}
		_, dropped := vault.Users()
		testkit.Eventually(t, "no server connection is left of a user who was dropped", func() bool {
			rows, err := m.Query(t.Context(), "", "SELECT DISTINCT USER FROM information_schema.PROCESSLIST")
			if err != nil {
				t.Fatal(err)
			}
			return !slices.ContainsFunc(rows, func(row []string) bool { return slices.Contains(dropped, row[0]) })
		})
	})
}

func transaction(ctx context.Context, c *sql.Conn, statement string) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, statement); err != nil {
		return err
	}
	return tx.Commit()
}
