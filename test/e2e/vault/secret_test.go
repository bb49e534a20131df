package vault

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/secret"
	"forebay/internal/secret/vault"
	"forebay/internal/testkit"
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
	eventually(t, "the store of version 2 is ready", func() bool { return v.Try(http.MethodPost, "secret/config", map[string]any{"max_versions": 10}) })
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
	eventually(t, "the new version, and the one before", has(t, s, "two", "one"))
	put(v, "three")
	eventually(t, "another", has(t, s, "three", "two"))
	v.Do(http.MethodPost, "secret/delete/app", map[string]any{"versions": []int{2}})
	eventually(t, "the version before is deleted", has(t, s, "three", ""))
	v.Do(http.MethodPost, "secret/destroy/app", map[string]any{"versions": []int{3}})
	eventually(t, "the present version is destroyed", func() bool {
		_, _, _, err := get(t, s)
		return errors.Is(err, secret.ErrNotFound)
	})
	put(v, "four")
	eventually(t, "it is there again", has(t, s, "four", ""))

	v.Do(http.MethodPost, "kv1/app", map[string]any{"username": "app", "password": "plain"})
	o, _ = options(t, v, "kv1/app")
	s = open(t, o)
	eventually(t, "version 1", has(t, s, "plain", ""))
	v.Do(http.MethodPost, "kv1/app", map[string]any{"username": "app", "password": "changed"})
	eventually(t, "version 1, changed", has(t, s, "changed", ""))

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

// log is a log that can be read while it is written.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

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

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within two minutes: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
