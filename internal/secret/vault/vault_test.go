package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/secret"
	"forebay/internal/secret/vault"
	"forebay/internal/testkit/testlog"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// version is one of a key-value store's version 2.
type version struct {
	data    map[string]any
	created time.Time
	deleted bool
}

// fake answers as Vault's HTTP API is documented to.
type fake struct {
	*httptest.Server

	mu       sync.Mutex
	tokens   map[string]time.Duration // good ones, and how long they are when they are renewed
	may      map[string]bool          // tokens that may read
	versions []version                // of secret/data/app
	plain    map[string]any           // of kv1/app
	static   map[string]any           // of database/static-creds/app
	sealed   bool
	hang     bool
	logins   int
	calls    []string
	ttl      time.Duration     // of tokens from a log-in
	spent    bool              // a renewal gives but half of that: a token's longest life is near
	leases   map[string]string // those that there are: whose token they hang on, by id
	left     int               // seconds that a renewal gives
}

func newFake(t *testing.T) *fake {
	f := &fake{tokens: map[string]time.Duration{"s.root": 0}, may: map[string]bool{"s.root": true}, ttl: time.Hour}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

func (f *fake) set(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fake) called(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == call {
			n++
		}
	}
	return n
}

func (f *fake) put(data map[string]any) {
	f.set(func() { f.versions = append(f.versions, version{data: data, created: time.Now()}) })
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func fault(w http.ResponseWriter, status int, words ...string) {
	answer(w, status, map[string]any{"errors": words})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, r.Method+" "+r.URL.Path)
	if f.hang {
		f.mu.Unlock()
		<-r.Context().Done()
		f.mu.Lock()
		return
	}
	if f.sealed {
		fault(w, 503, "Vault is sealed")
		return
	}
	if r.Header.Get("X-Vault-Request") != "true" || r.Header.Get("X-Vault-Namespace") != "team" {
		fault(w, 400, "headers")
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if strings.HasPrefix(path, "auth/") && strings.HasSuffix(path, "/login") {
		f.logIn(w, r, path)
		return
	}
	token := r.Header.Get("X-Vault-Token")
	longer, good := f.tokens[token]
	if !good {
		fault(w, 403, "permission denied", "invalid token")
		return
	}
	switch path {
	case "auth/token/lookup-self":
		answer(w, 200, map[string]any{"data": map[string]any{"id": token, "ttl": int64(longer / time.Second)}})
		return
	case "auth/token/renew-self":
		if f.spent {
			longer /= 2
		}
		f.auth(w, token, longer)
		return
	case "auth/token/revoke-self":
		delete(f.tokens, token)
		w.WriteHeader(204)
		return
	}
	if !f.may[token] {
		fault(w, 403, "1 error occurred:\n\t* permission denied\n\n")
		return
	}
	switch path {
	case "db/creds/app", "sys/leases/renew", "sys/leases/revoke":
		f.dynamic(w, r, path, token)
	case "secret/data/app":
		f.v2(w, r)
	case "secret/app":
		answer(w, 404, map[string]any{"errors": []string{}, "warnings": []string{"Invalid path for a versioned K/V secrets engine."}})
	case "kv1/app":
		answer(w, 200, map[string]any{"lease_id": "", "lease_duration": 2764800, "renewable": false, "data": f.plain})
	case "database/static-creds/app":
		answer(w, 200, map[string]any{"lease_id": "", "lease_duration": 0, "renewable": false, "data": f.static})
	case "database/creds/app":
		answer(w, 200, map[string]any{"lease_id": "database/creds/app/1", "lease_duration": 3600, "renewable": true, "data": map[string]any{"username": "v-app-1", "password": "x"}})
	case "broken":
		fmt.Fprint(w, `{"data": {"username": "hunter2`)
	default:
		fault(w, 404)
	}
}

func (f *fake) logIn(w http.ResponseWriter, r *http.Request, path string) {
	var in map[string]string
	json.NewDecoder(r.Body).Decode(&in)
	switch {
	case path == "auth/approle/login" && in["role_id"] == "the-role" && in["secret_id"] == "the-secret-id",
		path == "auth/k8s/login" && in["role"] == "forebay" && in["jwt"] == "a.b.c":
	default:
		fault(w, 400, "invalid role or secret ID")
		return
	}
	f.logins++
	token := fmt.Sprintf("hvs.%d", f.logins)
	f.tokens[token], f.may[token] = f.ttl, true
	f.auth(w, token, f.ttl)
}

func (f *fake) auth(w http.ResponseWriter, token string, ttl time.Duration) {
	answer(w, 200, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": int(ttl / time.Second), "renewable": true}})
}

func (f *fake) v2(w http.ResponseWriter, r *http.Request) {
	n := len(f.versions)
	if q := r.URL.Query().Get("version"); q != "" {
		n, _ = strconv.Atoi(q)
	}
	if n < 1 || n > len(f.versions) {
		fault(w, 404)
		return
	}
	v := f.versions[n-1]
	metadata := map[string]any{"version": n, "created_time": v.created.UTC().Format(time.RFC3339Nano), "deletion_time": "", "destroyed": false, "custom_metadata": nil}
	if v.deleted {
		metadata["deletion_time"] = time.Now().UTC().Format(time.RFC3339Nano)
		answer(w, 404, map[string]any{"data": map[string]any{"data": nil, "metadata": metadata}})
		return
	}
	answer(w, 200, map[string]any{"lease_id": "", "data": map[string]any{"data": v.data, "metadata": metadata}})
}

// options are those of a store with the root token.
func (f *fake) options(t *testing.T, log *bytes.Buffer, path string) vault.Options {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})))
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "s.root\n")
	if log == nil {
		log = &bytes.Buffer{}
	}
	return vault.Options{
		Log: slog.New(slog.NewTextHandler(log, nil)), Address: f.URL + "/", Namespace: "team", CAFile: ca, Path: path,
		UsernameKey: "username", PasswordKey: "password", PreviousFor: time.Hour, Refresh: 20 * time.Millisecond, Auth: vault.Auth{TokenFile: token},
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, o vault.Options) secret.Store {
	s := vault.New(o)
	t.Cleanup(s.Close)
	return s
}

// eventually asks until the answer is as it should be.
func eventually(t *testing.T, store secret.Store, what string, ok func(secret.Secret, error) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		s, err := store.Get(t.Context(), "x")
		if ok(s, err) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: got %+v, %v", what, s, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func password(want string) func(secret.Secret, error) bool {
	return func(s secret.Secret, err error) bool { return err == nil && s.Password.Reveal() == want }
}

func creds(user, password string) map[string]any {
	return map[string]any{"username": user, "password": password, "port": 5432}
}

func TestVersioned(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.put(creds("app", "one"))
	store := open(t, f.options(t, nil, "secret/data/app"))
	s, err := store.Get(t.Context(), "ours")
	if err != nil || s.Name != "ours" || s.Username != "app" || s.Password.Reveal() != "one" || s.Previous != nil {
		t.Fatalf("got %+v, %v", s, err)
	}
	f.put(creds("app", "two"))
	eventually(t, store, "rotation", func(s secret.Secret, err error) bool {
		return password("two")(s, err) && s.Previous != nil && s.Previous.Password.Reveal() == "one" && time.Since(s.Previous.Since).Abs() < time.Hour
	})
	f.set(func() { f.versions[1].created = time.Now().Add(-2 * time.Hour) })
	eventually(t, store, "the end of the overlap", func(s secret.Secret, err error) bool { return password("two")(s, err) && s.Previous == nil })
	f.put(creds("app", "three"))
	eventually(t, store, "another", func(s secret.Secret, _ error) bool { return s.Previous != nil })
	f.set(func() { f.versions[1].deleted = true })
	eventually(t, store, "a previous version that is deleted", func(s secret.Secret, err error) bool { return password("three")(s, err) && s.Previous == nil })
	f.set(func() { f.versions[2].deleted = true })
	eventually(t, store, "deleted", func(_ secret.Secret, err error) bool { return errors.Is(err, secret.ErrNotFound) })
}

func TestOtherEngines(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.plain = map[string]any{"user": "app", "pw": "one"}
	o := f.options(t, nil, "kv1/app")
	o.UsernameKey, o.PasswordKey = "user", "pw"
	eventually(t, open(t, o), "version 1", password("one"))

	f.set(func() {
		f.static = map[string]any{"username": "app", "password": "p1", "last_vault_rotation": "2026-01-01T00:00:00Z", "rotation_period": 3600, "ttl": 0}
	})
	o = f.options(t, nil, "database/static-creds/app")
	o.Refresh = time.Hour
	store := open(t, o)
	eventually(t, store, "a static role", password("p1"))
	f.set(func() { f.static["password"] = "p2" })
	eventually(t, store, "its rotation, which was due", password("p2"))
}

// TestDynamic: users that change with each lease are no use, and leave no leases behind.
func TestDynamic(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	store := open(t, f.options(t, nil, "database/creds/app"))
	for range 3 {
		if _, err := store.Get(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "static role") {
			t.Errorf("got %v", err)
		}
	}
	if n := f.called("GET /v1/database/creds/app"); n != 1 || f.called("PUT /v1/sys/leases/revoke") != 1 {
		t.Errorf("%d leases were taken", n)
	}
}

func TestDown(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.put(creds("app", "one"))
	var log testlog.Buffer
	o := f.options(t, nil, "secret/data/app")
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	store := open(t, o)
	eventually(t, store, "first", password("one"))
	f.set(func() { f.sealed = true })
	wait(t, func() bool { return strings.Contains(log.String(), "Vault is sealed or in maintenance (503)") })
	eventually(t, store, "sealed", password("one"))
	f.put(creds("app", "two"))
	f.set(func() { f.sealed = false })
	eventually(t, store, "unsealed", password("two"))
	f.put(map[string]any{"username": "app", "password": 17})
	wait(t, func() bool {
		return strings.Contains(log.String(), "to hold a text that is not empty")
	})
	eventually(t, store, "no text", password("two"))
	f.set(func() { f.may["s.root"] = false })
	eventually(t, store, "denied", func(_ secret.Secret, err error) bool { return errors.Is(err, secret.ErrDenied) })
	if text := log.String(); strings.Contains(text, "two") || strings.Contains(text, "s.root") {
		t.Errorf("the log has a secret: %s", text)
	}
}

func TestLogIn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		auth vault.Auth
		file string
	}{
		{"approle", vault.Auth{Mount: "approle", Role: "the-role", AppRole: true}, "the-secret-id\n"},
		{"kubernetes", vault.Auth{Mount: "k8s", Role: "forebay"}, "a.b.c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.put(creds("app", "one"))
			o := f.options(t, nil, "secret/data/app")
			o.Auth = tt.auth
			o.Auth.Credential = filepath.Join(t.TempDir(), "credential")
			write(t, o.Auth.Credential, tt.file)
			f.ttl = 2 * time.Second
			store := open(t, o)
			eventually(t, store, "first", password("one"))
			wait(t, func() bool { // a token that is renewed for its whole time is kept: it is renewed again, with no log-in between
				f.mu.Lock()
				defer f.mu.Unlock()
				renewed := 0
				for _, call := range f.calls {
					switch {
					case strings.HasSuffix(call, "/login"):
						renewed = 0
					case call == "POST /v1/auth/token/renew-self":
						renewed++
					}
					if renewed >= 2 {
						return true
					}
				}
				return false
			})
			before := f.called("POST /v1/auth/" + tt.auth.Mount + "/login")
			f.set(func() { f.spent = true })
			wait(t, func() bool { return f.called("POST /v1/auth/"+tt.auth.Mount+"/login") > before })
			f.set(func() { f.ttl, f.spent = time.Hour, false })
			f.set(func() { clear(f.tokens) }) // revoked
			f.put(creds("app", "two"))
			eventually(t, store, "after the revocation", password("two"))

			write(t, o.Auth.Credential, "wrong")
			_, err := open(t, o).Get(t.Context(), "x")
			if err == nil || !strings.Contains(err.Error(), "log-in at auth/"+tt.auth.Mount) || strings.Contains(err.Error(), "wrong") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for _, tt := range []struct {
		name   string
		change func(o *vault.Options)
		is     error
		want   string
	}{
		{"wrong form of path", func(o *vault.Options) { o.Path = "secret/app" }, secret.ErrNotFound, "Invalid path for a versioned K/V secrets engine."},
		{"nothing there", func(o *vault.Options) { o.Path = "secret/data/none" }, secret.ErrNotFound, "nothing at this path (404)"},
		{"token", func(o *vault.Options) { write(t, o.Auth.TokenFile, "s.other") }, nil, "is no good"},
		{"no token", func(o *vault.Options) { write(t, o.Auth.TokenFile, "\n") }, nil, "expected one line, with a token"},
		{"no file", func(o *vault.Options) { o.Auth.TokenFile = "/none" }, nil, "no such file"},
		{"not trusted", func(o *vault.Options) { o.CAFile = "" }, nil, "certificate"},
		{"nobody", func(o *vault.Options) { o.Address = "https://127.0.0.1:1" }, nil, "no connection to Vault"},
		{"broken", func(o *vault.Options) { o.Path = "broken" }, nil, "not JSON"},
		{"no keys", func(o *vault.Options) { o.Path = "kv1/app" }, nil, `expected the key "username", got none`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := f.options(t, nil, "secret/data/app")
			tt.change(&o)
			_, err := open(t, o).Get(t.Context(), "x")
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestHang: a read has an end.
func TestHang(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.hang = true
	if _, err := open(t, f.options(t, nil, "secret/data/app")).Get(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "no connection to Vault") {
		t.Errorf("got %v", err)
	}
}

// TestRedirect: a standby sends to the active node.
func TestRedirect(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.put(creds("app", "one"))
	standby := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, f.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	standby.StartTLS()
	t.Cleanup(standby.Close)
	o := f.options(t, nil, "secret/data/app")
	o.Address = standby.URL
	eventually(t, open(t, o), "through the standby", password("one"))
	if f.called("GET /v1/secret/data/app") == 0 {
		t.Error("nothing came to the active node")
	}
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("not within 30 s")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
