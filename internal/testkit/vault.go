package testkit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// VaultOptions say what a Vault's dynamic role does.
type VaultOptions struct {
	TTL  time.Duration // that leases are given, in whole seconds; they are not renewed for longer than that from their making
	Make func(ctx context.Context, user, password string) error
	Drop func(ctx context.Context, user string) error
}

// Vault answers as HashiCorp Vault and OpenBao do where the dynamic role database/creds/app is asked for, and makes and drops real
// users.
type Vault struct {
	URL       string
	TokenFile string

	t     testing.TB
	o     VaultOptions
	token string

	mu      sync.Mutex
	down    bool                   // guarded by mu
	leases  map[string]*vaultLease // guarded by mu; those that there are
	made    []string               // guarded by mu; users
	dropped []string               // guarded by mu
	revoked int                    // guarded by mu; of these, because they were asked for
	work    sync.WaitGroup
}

type vaultLease struct {
	user string
	born time.Time
	ends *time.Timer
}

// StartVault starts one, which drops all its users at the test's end.
func StartVault(t testing.TB, o VaultOptions) *Vault {
	t.Helper()
	v := &Vault{t: t, o: o, token: "hvs." + rand.Text(), leases: map[string]*vaultLease{}}
	v.TokenFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(v.TokenFile, []byte(v.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(v)
	v.URL = s.URL
	t.Cleanup(func() {
		s.Close()
		v.mu.Lock()
		left := v.leases
		v.leases = map[string]*vaultLease{}
		v.mu.Unlock()
		for _, l := range left {
			l.ends.Stop()
			v.drop(l.user)
		}
		v.work.Wait()
	})
	return v
}

// SetDown has it answer nothing any more, or again. Leases end all the same.
func (v *Vault) SetDown(down bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.down = down
}

// Users are the users that it has made, and those that it has dropped.
func (v *Vault) Users() (made, dropped []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append(made, v.made...), append(dropped, v.dropped...)
}

// Revoked is how many users it has dropped because it was asked to.
func (v *Vault) Revoked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.revoked
}

func (v *Vault) drop(user string) {
	if err := v.o.Drop(context.Background(), user); err != nil {
		v.t.Errorf("drop user %s: %v", user, err)
	}
	v.mu.Lock()
	v.dropped = append(v.dropped, user)
	v.mu.Unlock()
}

// end ends a lease, if there is such a one.
func (v *Vault) end(id string) bool {
	v.mu.Lock()
	l := v.leases[id]
	delete(v.leases, id)
	if l != nil {
		l.ends.Stop()
		v.work.Add(1)
	}
	v.mu.Unlock()
	if l == nil {
		return false
	}
	defer v.work.Done()
	v.drop(l.user)
	return true
}

// ServeHTTP implements http.Handler.
func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	down := v.down
	v.mu.Unlock()
	var in struct {
		LeaseID string `json:"lease_id"`
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	switch {
	case down:
		panic(http.ErrAbortHandler)
	case r.Header.Get("X-Vault-Token") != v.token:
		vaultAnswer(w, http.StatusForbidden, map[string]any{"errors": []string{"permission denied"}})
		return
	case r.Method == http.MethodPut && json.NewDecoder(r.Body).Decode(&in) != nil:
		vaultAnswer(w, http.StatusBadRequest, map[string]any{"errors": []string{"failed to parse JSON input"}})
		return
	}
	switch r.Method + " " + path {
	case "GET auth/token/lookup-self":
		vaultAnswer(w, http.StatusOK, map[string]any{"data": map[string]any{"ttl": 0}})
	case "GET database/creds/app":
		v.create(w, r)
	case "PUT sys/leases/renew":
		v.renew(w, in.LeaseID)
	case "PUT sys/leases/revoke":
		if v.end(in.LeaseID) { // to end what is no more is no error
			v.mu.Lock()
			v.revoked++
			v.mu.Unlock()
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		vaultAnswer(w, http.StatusNotFound, map[string]any{"errors": []string{}})
	}
}

func (v *Vault) create(w http.ResponseWriter, r *http.Request) {
	id := "database/creds/app/" + rand.Text()
	user, password := "v-app-"+strings.ToLower(rand.Text()[:12]), rand.Text()
	if err := v.o.Make(r.Context(), user, password); err != nil {
		vaultAnswer(w, http.StatusInternalServerError, map[string]any{"errors": []string{err.Error()}})
		return
	}
	v.mu.Lock()
	v.made = append(v.made, user)
	v.leases[id] = &vaultLease{user: user, born: time.Now(), ends: time.AfterFunc(v.o.TTL, func() { v.end(id) })}
	v.mu.Unlock()
	vaultAnswer(w, http.StatusOK, map[string]any{
		"lease_id": id, "lease_duration": int64(v.o.TTL / time.Second), "renewable": true,
		"data": map[string]any{"username": user, "password": password},
	})
}

// renew gives no more than is left of the longest life that a lease may have.
func (v *Vault) renew(w http.ResponseWriter, id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.leases[id]
	if l == nil {
		vaultAnswer(w, http.StatusBadRequest, map[string]any{"errors": []string{"lease not found"}})
		return
	}
	left := time.Until(l.born.Add(v.o.TTL))
	vaultAnswer(w, http.StatusOK, map[string]any{
		"lease_id": id, "lease_duration": int64(left / time.Second), "renewable": true,
		"warnings": []string{fmt.Sprintf("TTL of %q exceeded the effective max_ttl", v.o.TTL)},
	})
}

func vaultAnswer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
