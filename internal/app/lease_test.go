package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"forebay/internal/app"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// roles answers for dynamic roles: the users of database/creds/x are x-1, x-2 and so on.
type roles struct {
	mu     sync.Mutex
	made   map[string]int
	leases map[string]bool
}

func (f *roles) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); {
	case path == "auth/token/lookup-self":
		fmt.Fprint(w, `{"data": {"ttl": 0}}`)
	case path == "sys/leases/revoke":
		var in struct {
			ID string `json:"lease_id"`
		}
		if json.NewDecoder(r.Body).Decode(&in) != nil || !f.leases[in.ID] {
			http.Error(w, `{"errors": ["invalid lease"]}`, http.StatusBadRequest)
			return
		}
		delete(f.leases, in.ID)
		w.WriteHeader(http.StatusNoContent)
	default:
		role := path[strings.LastIndex(path, "/")+1:]
		f.made[role]++
		user := fmt.Sprintf("%s-%d", role, f.made[role])
		f.leases[user] = true
		fmt.Fprintf(w, `{"lease_id": %q, "lease_duration": 3600, "renewable": true, "data": {"username": %q, "password": "p"}}`, user, user)
	}
}

// left are the leases that there are.
func (f *roles) left() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.leases {
		all = append(all, id)
	}
	return all
}

// TestLeases: a reload keeps users whose secrets stay, and takes over their clients' secret; the end of the process ends all,
// those of secrets that a reload has removed included.
func TestLeases(t *testing.T) {
	t.Parallel()
	vault := &roles{made: map[string]int{}, leases: map[string]bool{}}
	server := httptest.NewServer(vault)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "forebay.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure := func(clients, more string) {
		t.Helper()
		write("forebay.yaml", fmt.Sprintf(`
admin: {listen: ""}
oidc: {issuer: "https://idp.test", audience: forebay, user_claim: email}
secrets:
  - {name: clients, file: %s}
  - {name: app, vault: {address: %q, path: database/creds/app, clients: clients, token_file: token}}
  %s
proxies: [{name: a, engine_family: POSTGRESQL, endpoints: [{listen: "127.0.0.1:6432"}], auth: [{secret: app}], target: {host: db.test}}]
`, clients, server.URL, more))
	}
	write("token", "t")
	write("one.json", `{"username": "one", "password": "first"}`)
	write("two.json", `{"username": "two", "password": "second"}`)
	var secrets secret.Store
	options := app.Options{ConfigPath: file, Log: &log{}, NewPlane: func(o app.PlaneOptions) (app.Plane, app.View, error) {
		secrets = o.Secrets
		return &anyPlane{applied: make(chan resource.Snapshot, 4)}, app.View{}, nil
	}}
	configure("one.json", fmt.Sprintf("- {name: tokens, vault: {address: %q, path: database/creds/tokens, clients_user: reporting, token_file: token}}", server.URL))
	a, err := app.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	get := func(name, user, login string) secret.Secret {
		t.Helper()
		s, err := secrets.Get(t.Context(), name)
		if err != nil || s.Name != name || s.Username != user || s.Login == nil || s.Login.Username != login {
			t.Fatalf("%s: %+v, %+v, %v; want %s, who logs in as %s", name, s, s.Login, err, user, login)
		}
		return s
	}
	if s := get("app", "one", "app-1"); s.Password.Reveal() != "first" {
		t.Error("it has not its clients' password")
	}
	nobody := get("tokens", "reporting", "tokens-1")
	if n := len(nobody.Password.Reveal()); n < 20 || get("tokens", "reporting", "tokens-1").Version != nobody.Version {
		t.Errorf("who has no password has one of %d letters, or another one each time", n)
	}
	configure("two.json", "")
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	get("app", "two", "app-1")
	if left := vault.left(); len(left) != 2 {
		t.Errorf("leases %v after the reload, want both: server connections may have them", left)
	}
	a.Close()
	if left := vault.left(); len(left) != 0 {
		t.Errorf("leases %v are left", left)
	}
}
