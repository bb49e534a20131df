package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
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

	"github.com/jackc/pgx/v5/pgconn"
)

// TestVaultDynamic has a dynamic role make Forebay's users at the database, which end one after the other while clients are at
// work. None of them may notice, and what they make is not any of these users'.
func TestVaultDynamic(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	vault := testkit.StartVault(t, testkit.VaultOptions{
		TTL: 6 * time.Second,
		Make: func(ctx context.Context, user, password string) error {
			return db.Server.CreateUser(ctx, localserver.User{Name: user, Password: password, Options: "IN ROLE " + db.User})
		},
		Drop: func(ctx context.Context, user string) error { return db.Server.Exec(ctx, `DROP ROLE "`+user+`"`) },
	})
	dir := t.TempDir()
	clientsFile := filepath.Join(dir, "clients.json")
	if err := os.WriteFile(clientsFile, []byte(`{"username": "shop", "password": "stays the same"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "forebay.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, `
admin: {listen: "127.0.0.1:0"}
secrets:
  - {name: clients, file: %q}
  - {name: app, vault: {address: %q, path: database/creds/app, clients: clients, token_file: %q}}
proxies:
  - name: test
    engine_family: POSTGRESQL
    endpoints: [{listen: "127.0.0.1:0"}]
    auth: [{secret: app}]
    target: {host: "%s", port: %d, tls: {mode: disable}}
    connection_pool: {max_connections: 4, init_query: "SET ROLE %s"}
`, clientsFile, vault.URL, vault.TokenFile, db.Server.Host(), db.Server.Port(), db.User), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), app.Options{ConfigPath: path, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	stop := func() {
		if !closed {
			closed = true
			a.Close()
		}
	}
	t.Cleanup(stop)
	host, port, _ := strings.Cut(a.Addrs()["test"]["default"], ":")
	connect := func(user, password string) (*pgconn.PgConn, error) {
		return pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=%s password='%s' dbname=%s sslmode=require", host, port, user, password, db.Name))
	}
	ask := func(c *pgconn.PgConn, sql string) (string, error) {
		results, err := c.Exec(t.Context(), sql).ReadAll()
		if err != nil {
			return "", err
		}
		if last := results[len(results)-1]; len(last.Rows) > 0 {
			return string(last.Rows[0][0]), nil
		}
		return "", nil
	}

	const clients = 8
	var running sync.WaitGroup
	var done atomic.Bool
	var users [clients]sync.Map // at the database, as each client has seen them
	count := func(i int) (n int) {
		users[i].Range(func(any, any) bool { n++; return true })
		return n
	}
	for i := range clients {
		c, err := connect("shop", "stays the same")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		running.Go(func() {
			for n := 0; !done.Load(); n++ {
				sql := "SELECT session_user"
				switch n % 4 {
				case 1: // what it leaves behind is looked at, and carried to other server connections
					sql = fmt.Sprintf("SELECT set_config('application_name', 'client %d', false); SELECT session_user", n)
				case 0, 2:
					sql = fmt.Sprintf("BEGIN; CREATE TABLE t%d_%d (a int); DROP TABLE t%d_%d; SELECT session_user; COMMIT; SELECT session_user", i, n, i, n)
				}
				user, err := ask(c, sql)
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

	c, err := connect("shop", "stays the same")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if owner, err := ask(c, "CREATE TABLE goods (a int); SELECT tableowner FROM pg_tables WHERE tablename = 'goods'"); err != nil || owner != db.User {
		t.Errorf("what a client has made is %q's, %v; want %s's", owner, err, db.User)
	}
	if who, err := ask(c, "SET application_name = 'kept'; SELECT current_user"); err != nil || who != db.User {
		t.Errorf("current user %q, %v; want %s", who, err, db.User)
	}
	testkit.Eventually(t, "the users of all clients have been replaced twice, and dropped", func() bool {
		_, dropped := vault.Users()
		for i := range clients {
			if count(i) < 3 {
				return false
			}
		}
		return len(dropped) >= 2 || t.Failed()
	})
	if name, err := ask(c, "SELECT current_setting('application_name') || current_user"); err != nil || name != "kept"+db.User {
		t.Errorf("a session's settings after its users were dropped: %q, %v", name, err)
	}
	if _, err := connect("shop", "wrong"); err == nil {
		t.Error("a wrong password lets in")
	}
	made, dropped := vault.Users()
	if _, err := connect(made[len(made)-1], "stays the same"); err == nil {
		t.Error("a user of the database's lets a client in")
	}
	testkit.Eventually(t, "no server connection is left of a user who was dropped", func() bool {
		rows, err := db.Server.Query(t.Context(), db.Name, "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename LIKE 'v-app-%'")
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(rows, func(row []string) bool { return slices.Contains(dropped, row[0]) })
	})
	r, err := http.Get("http://" + a.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	r.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	for _, want := range []string{`forebay_secret_lease_requests_total{request="obtain",secret="app"}`, `forebay_secret_leases{secret="app"}`, `forebay_secret_lease_end_timestamp_seconds{secret="app"} 1`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("the metrics, %v, have no %s", err, want)
		}
	}
	done.Store(true)
	running.Wait()
	stop()
	testkit.Eventually(t, "all users have been dropped, now that Forebay has ended", func() bool {
		made, dropped := vault.Users()
		return len(made) == len(dropped)
	})
	if n := vault.Revoked(); n == 0 {
		t.Error("Forebay has ended, and left its user to end by itself")
	}
}
