package vault

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forebay/internal/secret"
	"forebay/internal/secret/vault"
	"forebay/internal/testkit"
	"forebay/internal/testkit/testlog"
)

// readerRules are what docs/secrets.md asks for, for the paths of these tests.
const readerRules = `
path "secret/data/app"           { capabilities = ["read"] }
path "secret/app"                { capabilities = ["read"] }
path "secret/data/none"          { capabilities = ["read"] }
path "kv1/app"                   { capabilities = ["read"] }
path "database/static-creds/app" { capabilities = ["read"] }
path "database/creds/app"        { capabilities = ["read"] }
path "sys/leases/revoke"         { capabilities = ["update"] }
`

// kv starts a Vault with a key-value store of each version.
func kv(t *testing.T) *testkit.RealVault {
	v := testkit.StartRealVault(t)
	v.Do(http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	v.Do(http.MethodPost, "sys/mounts/kv1", map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
	v.Policy("reader", readerRules)
	testkit.Eventually(t, "the store of version 2 is ready", func() bool { return v.Try(http.MethodPost, "secret/config", map[string]any{"max_versions": 10}) })
	return v
}

func put(v *testkit.RealVault, password string) {
	v.Do(http.MethodPost, "secret/data/app", map[string]any{"data": map[string]any{"username": "app", "password": password, "port": 5432}})
}

// options are those of a store with a token that lasts.
func options(t *testing.T, v *testkit.RealVault, path string) (vault.Options, *log) {
	l := &log{}
	return vault.Options{
		Log: slog.New(slog.NewTextHandler(l, nil)), Address: v.URL, CAFile: v.CAFile, Path: path,
		UsernameKey: "username", PasswordKey: "password", PreviousFor: time.Hour, Refresh: 50 * time.Millisecond,
		Auth: vault.Auth{TokenFile: v.TokenFile("reader", time.Hour)},
	}, l
}

func open(t *testing.T, o vault.Options) secret.Store {
	s := vault.New(o)
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, s secret.Store) (user, password, previous string, err error) {
	t.Helper()
	got, err := s.Get(t.Context(), "x")
	if got.Previous != nil {
		previous = got.Previous.Password.Reveal()
	}
	return got.Username, got.Password.Reveal(), previous, err
}

func has(t *testing.T, s secret.Store, want, wantPrevious string) func() bool {
	return func() bool {
		_, password, previous, err := get(t, s)
		return err == nil && password == want && previous == wantPrevious
	}
}

// TestKeyValue: both versions of the key-value store, and how one version of a secret follows the other.
func TestKeyValue(t *testing.T) {
	t.Parallel()
	v := kv(t)
	put(v, "one")
	o, l := options(t, v, "secret/data/app")
	s := open(t, o)
	if user, password, previous, err := get(t, s); err != nil || user != "app" || password != "one" || previous != "" {
		t.Fatalf("got %q, %v; a first version has none before it: %q", user, err, previous)
	}
	put(v, "two")
	testkit.Eventually(t, "the new version, and the one before", has(t, s, "two", "one"))
	put(v, "three")
	testkit.Eventually(t, "another", has(t, s, "three", "two"))
	v.Do(http.MethodPost, "secret/delete/app", map[string]any{"versions": []int{2}})
	testkit.Eventually(t, "the version before is deleted", has(t, s, "three", ""))
	v.Do(http.MethodPost, "secret/destroy/app", map[string]any{"versions": []int{3}})
	testkit.Eventually(t, "the present version is destroyed", func() bool {
		_, _, _, err := get(t, s)
		return errors.Is(err, secret.ErrNotFound)
	})
	put(v, "four")
	testkit.Eventually(t, "it is there again", has(t, s, "four", ""))

	v.Do(http.MethodPost, "kv1/app", map[string]any{"username": "app", "password": "plain"})
	o, _ = options(t, v, "kv1/app")
	s = open(t, o)
	testkit.Eventually(t, "version 1", has(t, s, "plain", ""))
	v.Do(http.MethodPost, "kv1/app", map[string]any{"username": "app", "password": "changed"})
	testkit.Eventually(t, "version 1, changed", has(t, s, "changed", ""))

	for path, want := range map[string]string{
		"secret/app":       "Invalid path for a versioned K/V secrets engine",
		"secret/data/none": "nothing at this path (404)",
	} {
		o, _ := options(t, v, path)
		if _, err := open(t, o).Get(t.Context(), "x"); !errors.Is(err, secret.ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	o, _ = options(t, v, "secret/data/other")
	if _, err := open(t, o).Get(t.Context(), "x"); !errors.Is(err, secret.ErrDenied) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a path that the policy does not have: %v", err)
	}
	if err := os.WriteFile(o.Auth.TokenFile, []byte("hvs.none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, o).Get(t.Context(), "x"); err == nil || errors.Is(err, secret.ErrDenied) || !strings.Contains(err.Error(), "is no good") {
		t.Errorf("a token that is none: %v", err)
	}
	l.keeps(t, "three", "hvs.")
}

// TestDown: a Vault that is sealed, gone, and back, takes nothing away, and a new version is seen afterwards.
func TestDown(t *testing.T) {
	t.Parallel()
	v := kv(t)
	put(v, "one")
	o, l := options(t, v, "secret/data/app")
	s := open(t, o)
	testkit.Eventually(t, "first", has(t, s, "one", ""))
	v.Seal()
	testkit.Eventually(t, "the log says that it is sealed", func() bool { return strings.Contains(l.String(), "Vault is sealed or in maintenance (503)") })
	if !has(t, s, "one", "")() {
		t.Error("what was read is no more, now that Vault is sealed")
	}
	v.Unseal()
	put(v, "two")
	testkit.Eventually(t, "unsealed", has(t, s, "two", "one"))
	v.Stop()
	testkit.Eventually(t, "the log says that it is not there", func() bool { return strings.Contains(l.String(), "no connection to Vault") })
	v.Start()
	v.Unseal()
	put(v, "three")
	testkit.Eventually(t, "started again", has(t, s, "three", "two"))
}

// TestLogIn: each way to a token, which is renewed, replaced when it cannot be, and when somebody revokes it.
func TestLogIn(t *testing.T) {
	t.Parallel()
	v := kv(t)
	v.Do(http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	v.Do(http.MethodPost, "sys/auth/jwt", map[string]any{"type": "jwt"})
	issuer := testkit.StartIssuer(t)
	ca, err := os.ReadFile(issuer.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	v.Do(http.MethodPost, "auth/jwt/config", map[string]any{"oidc_discovery_url": issuer.URL, "oidc_discovery_ca_pem": string(ca)})
	life := map[string]any{"token_ttl": "3s", "token_max_ttl": "9s", "token_policies": []string{"reader"}}
	with := func(more map[string]any) map[string]any {
		for k, value := range life {
			more[k] = value
		}
		return more
	}
	v.Do(http.MethodPost, "auth/approle/role/forebay", with(map[string]any{}))
	v.Do(http.MethodPost, "auth/jwt/role/forebay", with(map[string]any{"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"forebay"}}))
	for _, tt := range []struct {
		name       string
		auth       vault.Auth
		credential string
	}{
		{"approle", vault.Auth{Mount: "approle", Role: v.Field("auth/approle/role/forebay/role-id", "role_id", nil), AppRole: true}, v.Field("auth/approle/role/forebay/secret-id", "secret_id", map[string]any{})},
		{"jwt", vault.Auth{Mount: "jwt", Role: "forebay"}, issuer.Token("one", nil, map[string]any{"sub": "system:serviceaccount:apps:forebay", "iat": time.Now().Unix()})},
	} {
		t.Run(tt.name, func(t *testing.T) { // one after the other: each counts all tokens
			put(v, "one")
			o, l := options(t, v, "secret/data/app")
			file := filepath.Join(t.TempDir(), tt.name)
			if err := os.WriteFile(file, []byte(tt.credential+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			o.Auth = tt.auth
			o.Auth.Credential = file
			seen := map[string]bool{} // accessors of tokens
			tokens := func() int {
				for _, a := range v.Accessors() {
					seen[a] = true
				}
				return len(seen)
			}
			before := tokens()
			s := open(t, o)
			if _, password, _, err := get(t, s); err != nil || password != "one" {
				t.Fatalf("at first: %q, %v", password, err)
			}
			testkit.Eventually(t, "the token cannot be renewed any more, and there is another", func() bool { return tokens() >= before+2 })
			v.Do(http.MethodPut, "sys/leases/revoke-prefix/auth/"+tt.auth.Mount+"/login", nil)
			put(v, "two")
			testkit.Eventually(t, "its token was revoked", has(t, s, "two", "one"))

			if err := os.WriteFile(file, []byte("wrong"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := open(t, o).Get(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "log-in at auth/"+tt.auth.Mount) || strings.Contains(err.Error(), "wrong") {
				t.Errorf("a wrong credential: %v", err)
			}
			l.keeps(t, tt.credential, "hvs.")
		})
	}
}

// log is the log of a Forebay.
type log struct{ testlog.Buffer }

// keeps fails the test where the log has told a secret.
func (l *log) keeps(t *testing.T, secrets ...string) {
	t.Helper()
	text := l.String()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("the log has told a secret:\n%s", text)
		}
	}
}
