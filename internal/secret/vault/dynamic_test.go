package vault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/secret"
	"forebay/internal/secret/lease"
	"forebay/internal/secret/vault"
	"forebay/internal/testkit/testlog"
)

// dynamic answers for the dynamic role db/creds/app. f.mu is held.
func (f *fake) dynamic(w http.ResponseWriter, r *http.Request, path, token string) {
	if path == "db/creds/app" {
		if f.leases == nil {
			f.leases = map[string]string{}
		}
		id := fmt.Sprint("db/creds/app/", len(f.calls))
		f.leases[id] = token
		answer(w, 200, map[string]any{
			"lease_id": id, "lease_duration": 3600, "renewable": true,
			"data": map[string]any{"username": fmt.Sprint("v-", len(f.leases)), "password": fmt.Sprint("hunter", len(f.leases))},
		})
		return
	}
	var in struct {
		ID        string `json:"lease_id"`
		Increment int    `json:"increment"`
		Sync      bool   `json:"sync"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Method != http.MethodPut {
		fault(w, 400, "failed to parse JSON input")
		return
	}
	switch _, ok := f.leases[in.ID]; {
	case !ok && path == "sys/leases/renew":
		fault(w, 400, "lease not found")
	case !ok:
		w.WriteHeader(204) // to end what is no more is no error
	case path == "sys/leases/renew":
		answer(w, 200, map[string]any{"lease_id": in.ID, "lease_duration": min(in.Increment, f.left), "renewable": true})
	case !in.Sync:
		fault(w, 400, "it is to be over when the answer comes")
	default:
		delete(f.leases, in.ID)
		w.WriteHeader(204)
	}
}

// watcher remembers what became of leases.
type watcher struct {
	mu    sync.Mutex
	asked map[string]int
}

func (w *watcher) Asked(request string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked == nil {
		w.asked = map[string]int{}
	}
	w.asked[fmt.Sprint(request, " ", err == nil)]++
}

func (*watcher) Stands(int, time.Time) {}

func openDynamic(t *testing.T, o vault.Options) (*lease.Store, *watcher) {
	w := &watcher{}
	s := vault.NewDynamic(o, lease.Options{
		Watch: w, DoubtClients: func(string) {},
		Clients: func(context.Context) (secret.Secret, error) {
			return secret.Secret{Version: "1", Username: "app", Password: "clients"}, nil
		},
	})
	t.Cleanup(s.Close)
	return s, w
}

// TestDynamicRole: clients keep their own user, the database's is the role's, and the leases that are there end with the store:
// one by one, and with a token of Forebay's own.
func TestDynamicRole(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"token file", "approle"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			var log testlog.Buffer
			o := f.options(t, nil, "db/creds/app")
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			if how == "approle" {
				file := filepath.Join(t.TempDir(), "secret-id")
				write(t, file, "the-secret-id")
				o.Auth = vault.Auth{Mount: "approle", Role: "the-role", Credential: file, AppRole: true}
			}
			s, w := openDynamic(t, o)
			for range 3 {
				got, err := s.Get(t.Context(), "x")
				if err != nil || got.Name != "x" || got.Username != "app" || got.Password != "clients" || got.Login == nil ||
					got.Login.Username != "v-1" || got.Login.Password != "hunter1" {
					t.Fatalf("got %v, %+v, %v", got, got.Login, err)
				}
				if left := time.Until(got.Login.Lease.Until()); left > time.Hour || left < 50*time.Minute {
					t.Errorf("the user lasts %v", left)
				}
			}
			s.Close()
			s.Shutdown(t.Context())
			if len(f.leases) != 0 || w.asked["obtain true"] != 1 || w.asked["revoke true"] != 1 {
				t.Errorf("%d leases are left, asked %v", len(f.leases), w.asked)
			}
			if _, good := f.tokens["hvs.1"]; good || (f.called("POST /v1/auth/token/revoke-self") == 1) != (how == "approle") || len(f.tokens) != 1 {
				t.Errorf("tokens %v; one of Forebay's own ends, another's does not", f.tokens)
			}
			if strings.Contains(log.String(), "hunter") || strings.Contains(log.String(), "the-secret-id") || strings.Contains(log.String(), "hvs") {
				t.Errorf("the log has a secret:\n%s", &log)
			}
		})
	}
}

// TestDynamicToken: a user does not outlive the token that it hangs on, and an expired token or none is an error.
func TestDynamicToken(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set(func() { f.tokens["s.root"] = 10 * time.Minute })
	s, _ := openDynamic(t, f.options(t, nil, "db/creds/app"))
	got, err := s.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(got.Login.Lease.Until()); left > 10*time.Minute || left < 5*time.Minute {
		t.Errorf("the user lasts %v, its token 10m", left)
	}

	f.set(func() { delete(f.tokens, "s.root") })
	s, _ = openDynamic(t, f.options(t, nil, "db/creds/app"))
	if _, err := s.Get(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "the token in") {
		t.Errorf("without a good token: %v", err)
	}
}

// TestDynamicAnswers: what is no dynamic role, is not there, or not to be had.
func TestDynamicAnswers(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set(func() { f.plain = map[string]any{"username": "app", "password": "hunter2"} })
	for path, want := range map[string]string{"kv1/app": "no lease", "db/creds/none": "nothing at this path"} {
		s, _ := openDynamic(t, f.options(t, nil, path))
		if _, err := s.Get(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	f.set(func() { f.may["s.root"] = false })
	s, _ := openDynamic(t, f.options(t, nil, "db/creds/app"))
	if _, err := s.Get(t.Context(), "x"); !errors.Is(err, secret.ErrDenied) {
		t.Errorf("denied: %v", err)
	}
}

// TestDynamicRenewal: what Vault says of a renewal.
func TestDynamicRenewal(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	source := vault.NewSource(f.options(t, nil, "db/creds/app"))
	if _, err := source.Session(t.Context()); err != nil {
		t.Fatal(err)
	}
	g, err := source.Obtain(t.Context())
	if err != nil || g.Life != time.Hour || !g.Renewable {
		t.Fatalf("%+v, %v", g, err)
	}
	for left, want := range map[int]time.Duration{7200: time.Hour, 600: 10 * time.Minute} {
		f.set(func() { f.left = left })
		if g, err := source.Renew(t.Context(), g.ID, time.Hour); err != nil || g.Life != want {
			t.Errorf("with %d s left: %+v, %v", left, g, err)
		}
	}
	f.set(func() { f.left = 0 })
	if _, err := source.Renew(t.Context(), g.ID, time.Hour); !errors.Is(err, lease.ErrNoLease) {
		t.Errorf("with nothing left: %v", err)
	}
	f.set(func() { f.sealed = true })
	if _, err := source.Renew(t.Context(), g.ID, time.Hour); err == nil || errors.Is(err, lease.ErrNoLease) {
		t.Errorf("sealed: %v", err)
	}
	f.set(func() { f.sealed = false })
	for range 2 { // the second time it is no more
		if err := source.Revoke(t.Context(), g.ID); err != nil {
			t.Errorf("revoked: %v", err)
		}
	}
	if _, err := source.Renew(t.Context(), g.ID, time.Hour); !errors.Is(err, lease.ErrNoLease) {
		t.Errorf("revoked: %v", err)
	}
}
