package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"forebay/internal/app"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// TestPreviousPasswordLifetime: the setting counts for whatever secret the data plane asks for, and a reload changes it.
func TestPreviousPasswordLifetime(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version, password := 2, "two"
		if r.URL.Query().Get("version") == "1" {
			version, password = 1, "one"
		}
		fmt.Fprintf(w, `{"data": {"data": {"username": "app", "password": %q}, "metadata": {"version": %d, "created_time": %q}}}`,
			password, version, created.Format(time.RFC3339))
	}))
	t.Cleanup(store.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "forebay.yaml")
	write := func(setting string) {
		t.Helper()
		text := fmt.Sprintf(`%s
admin: {listen: ""}
secrets: [{name: app, vault: {address: %q, path: secret/data/app, token_file: token, previous_for: unlimited}}]
proxies: [{name: a, engine_family: POSTGRESQL, endpoints: [{listen: "127.0.0.1:6432"}], auth: [{secret: app}], target: {host: db.test}}]
`, setting, store.URL)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	var secrets secret.Store
	options := app.Options{ConfigPath: file, Log: &log{}, NewPlane: func(o app.PlaneOptions) (app.Plane, app.View, error) {
		secrets = o.Secrets
		return &anyPlane{applied: make(chan resource.Snapshot, 1)}, app.View{}, nil
	}}
	write("")
	a, err := app.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	check := func(until time.Time) {
		t.Helper()
		s, err := secrets.Get(t.Context(), "app")
		if err != nil || s.Previous == nil || s.Previous.Password.Reveal() != "one" || !s.Previous.ClientsUntil.Equal(until) {
			t.Errorf("got %+v, %v; want clients let in until %v", s.Previous, err, until)
		}
	}
	check(created.Add(24 * time.Hour))
	write("previous_password_lifetime: 90m")
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(created.Add(90 * time.Minute))
}
