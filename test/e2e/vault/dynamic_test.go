package vault

import (
	"bufio"
	"fmt"
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
	"forebay/internal/testkit"
)

// setRole makes the dynamic role. Vault has renewals of a lease go by what the role says at that time.
func setRole(v *testkit.RealVault, p place, ttl, most string) {
	role := map[string]any{"db_name": "db", "creation_statements": p.create, "default_ttl": ttl, "max_ttl": most}
	if p.drop != nil {
		role["revocation_statements"] = p.drop
	}
	v.Do(http.MethodPost, "database/roles/"+p.role, role)
}

// requests is how many requests of a kind have been made, by the metrics.
func requests(t *testing.T, a *app.App, kind string) (n int) {
	t.Helper()
	r, err := http.Get("http://" + a.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	lines := bufio.NewScanner(r.Body)
	for lines.Scan() {
		fmt.Sscanf(lines.Text(), `forebay_secret_lease_requests_total{request="`+kind+`",secret="app"} %d`, &n)
	}
	return n
}

// appRole has the engine give Forebay tokens for a log-in by AppRole, and returns the keys of a secret with the dynamic role.
func appRole(t *testing.T, v *testkit.RealVault, p place) (keys string) {
	v.Do(http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	v.Do(http.MethodPost, "auth/approle/role/forebay", map[string]any{"token_ttl": "1h", "token_policies": []string{"reader"}})
	secretID := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(secretID, []byte(v.Field("auth/approle/role/forebay/secret-id", "secret_id", map[string]any{})), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("vault: {address: %q, ca_file: %q, path: database/creds/%s, clients: clients, approle: {role_id: %q, secret_id_file: %q}}",
		v.URL, v.CAFile, p.role, v.Field("auth/approle/role/forebay/role-id", "role_id", nil), secretID)
}

// TestDynamic has a real Vault make Forebay's users in a real database. A lease is renewed until Vault allows no more, and its user
// replaced, while clients notice nothing; then Vault drops the former user.
func TestDynamic(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		v := engine(t, p)
		setRole(v, p, "20s", "50s")
		a, l := serve(t, p, appRole(t, v, p))
		t.Cleanup(func() { a.Close() })

		var running sync.WaitGroup
		var done atomic.Bool
		var mu sync.Mutex
		var seen []string // users at the database, as clients have seen them; guarded by mu
		users := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(seen)
		}
		defer running.Wait()
		defer done.Store(true)
		for i := range 4 {
			c, err := p.open(a.Addrs()["test"]["default"], "shop", "stays-the-same")
			if err != nil {
				t.Fatal(err)
			}
			running.Go(func() {
				for !done.Load() {
					user, err := c(p.who)
					if err != nil {
						t.Errorf("client %d: %v", i, err)
						return
					}
					mu.Lock()
					if !slices.Contains(seen, user) {
						seen = append(seen, user)
					}
					mu.Unlock()
					time.Sleep(5 * time.Millisecond) // the machine has others to serve
				}
			})
		}
		testkit.Eventually(t, "a lease has been renewed, and its user replaced", func() bool {
			return requests(t, a, "renew") >= 2 && len(users()) >= 2 || t.Failed()
		})
		if t.Failed() {
			return
		}
		first := users()[0]
		if !strings.HasPrefix(first, "v-") || !strings.Contains(first, p.role) {
			t.Errorf("a client works as %s, no user that Vault has made", first)
		}
		testkit.Eventually(t, "the user whose lease has ended is dropped", func() bool { return !slices.Contains(p.users(), first) || t.Failed() })
		l.keeps(t, "stays-the-same", "hvs.")
	})
}

// TestDynamicDown: users stay while Vault is sealed or gone, and none is left when Forebay has ended, nor a token.
func TestDynamicDown(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		v := engine(t, p)
		setRole(v, p, "30m", "1h")
		keys := appRole(t, v, p)
		tokens := len(v.Accessors())
		a, l := serve(t, p, keys)
		end := sync.OnceValue(a.Close)
		t.Cleanup(func() { _ = end() })

		old, err := p.open(a.Addrs()["test"]["default"], "shop", "stays-the-same")
		if err != nil {
			t.Fatal(err)
		}
		work := func(when string) {
			t.Helper()
			c, err := p.open(a.Addrs()["test"]["default"], "shop", "stays-the-same")
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			for _, ask := range []asker{old, c} {
				if user, err := ask(p.who); err != nil || !strings.HasPrefix(user, "v-") {
					t.Errorf("%s: works as %q, %v", when, user, err)
				}
			}
		}
		work("at first")
		v.Seal()
		work("while Vault is sealed")
		v.Unseal()
		v.Stop()
		work("while Vault is gone")
		v.Start()
		work("while Vault is sealed after a restart")
		v.Unseal()
		work("after the restart")
		if _, err := p.open(a.Addrs()["test"]["default"], "shop", "wrong"); err == nil {
			t.Error("a wrong password lets in")
		}
		if there := p.users(); len(there) != 1 {
			t.Errorf("users: %q", there)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		testkit.Eventually(t, "no user is left, now that Forebay has ended", func() bool { return len(p.users()) == 0 })
		testkit.Eventually(t, "nor a lease", func() bool { return len(v.Leases("database/creds/"+p.role)) == 0 })
		testkit.Eventually(t, "nor a token", func() bool { return len(v.Accessors()) == tokens })
		l.keeps(t, "stays-the-same", "hvs.")
	})
}

// TestDynamicToken: there is another user as soon as the file has another token. The former one ends with the former token, or by
// Forebay's word where that lasts.
func TestDynamicToken(t *testing.T) {
	t.Parallel()
	for name, life := range map[string]time.Duration{"the former token ends": time.Minute, "the former token lasts": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachPlace(t, func(t *testing.T, p place) {
				v := engine(t, p)
				setRole(v, p, "30m", "1h")
				token := v.TokenFile("reader", life)
				a, _ := serve(t, p, fmt.Sprintf("vault: {address: %q, ca_file: %q, path: database/creds/%s, clients: clients, token_file: %q}", v.URL, v.CAFile, p.role, token))
				end := sync.OnceValue(a.Close)
				t.Cleanup(func() { _ = end() })
				c, err := p.open(a.Addrs()["test"]["default"], "shop", "stays-the-same")
				if err != nil {
					t.Fatal(err)
				}
				first, err := c(p.who)
				if err != nil {
					t.Fatal(err)
				}
				next, err := os.ReadFile(v.TokenFile("reader", time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(token, next, 0o600); err != nil {
					t.Fatal(err)
				}
				testkit.Eventually(t, "another user, and the first is dropped", func() bool {
					user, err := c(p.who)
					if err != nil {
						t.Fatal(err)
					}
					there := p.users()
					return user != first && len(there) == 1 && there[0] == user
				})
				if life == time.Hour {
					testkit.Eventually(t, "by Forebay's word", func() bool { return requests(t, a, "revoke") == 1 })
				}
				if err := end(); err != nil {
					t.Error(err)
				}
				testkit.Eventually(t, "no user is left, now that Forebay has ended", func() bool { return len(p.users()) == 0 })
			})
		})
	}
}
