package app_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"forebay/internal/admin"
	"forebay/internal/app"
	"forebay/internal/config"
	"forebay/internal/resource"
	"forebay/internal/secret"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakePlane records what it is told.
type fakePlane struct {
	o app.PlaneOptions

	mu       sync.Mutex
	applied  []resource.Snapshot
	users    []string // of the secret app, at each Apply
	refuse   error
	finish   chan struct{} // Drain returns when it is closed
	drained  chan struct{} // closed when Drain begins
	closed   int
	tlsOfOne *tls.Config
}

func (f *fakePlane) Apply(ctx context.Context, s resource.Snapshot) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return f.refuse
	}
	one, err := f.o.Secrets.Get(ctx, s.Proxies[0].Auth[0].Secret)
	if err != nil {
		return err
	}
	if f.tlsOfOne, err = f.o.Certificates(&s.Proxies[0]); err != nil {
		return err
	}
	f.applied, f.users = append(f.applied, s), append(f.users, one.Username)
	return nil
}

func (f *fakePlane) Addrs() map[string]map[string]string {
	return map[string]map[string]string{"app": {"default": "127.0.0.1:4711"}}
}

func (f *fakePlane) Drain(ctx context.Context) error {
	close(f.drained)
	select {
	case <-f.finish:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakePlane) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
}

// log is a log that can be read while it is written, and waited on.
type log struct {
	mu   sync.Mutex
	text strings.Builder
	wait map[string]chan struct{}
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	for part, c := range l.wait {
		if strings.Contains(string(b), part) {
			close(c)
			delete(l.wait, part)
		}
	}
	return len(b), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// next returns a channel that is closed with the next line that holds part.
func (l *log) next(part string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wait == nil {
		l.wait = map[string]chan struct{}{}
	}
	l.wait[part] = make(chan struct{})
	return l.wait[part]
}

type fixture struct {
	dir     string
	plane   *fakePlane
	log     *log
	signals chan os.Signal
	options app.Options
}

const base = `
log: {level: info}
admin: {listen: "127.0.0.1:0"}
secrets: [{name: app, file: app.json}]
proxies:
  - name: app
    engine_family: POSTGRESQL
    endpoints: [{listen: "127.0.0.1:0"}]
    auth: [{secret: app}]
    target: {host: db.test}
`

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		dir:     t.TempDir(),
		plane:   &fakePlane{finish: make(chan struct{}), drained: make(chan struct{})},
		log:     &log{},
		signals: make(chan os.Signal, 4),
	}
	f.write(t, "app.json", `{"username":"one","password":"hunter2"}`)
	f.write(t, "forebay.yaml", base)
	f.options = app.Options{
		ConfigPath: filepath.Join(f.dir, "forebay.yaml"), Version: "v0-test", Log: f.log, Signals: f.signals,
		NewPlane: func(o app.PlaneOptions) (app.Plane, app.View, error) {
			f.plane.o = o
			return f.plane, app.View{
				Readiness: func() []admin.Readiness { return []admin.Readiness{{Proxy: "app", Ready: true}} },
				Pools:     func() any { return "the pools" },
			}, nil
		},
	}
	return f
}

func (f *fixture) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a, err := app.Open(t.Context(), f.options)
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + a.AdminAddr()
	for path, want := range map[string]string{
		"/metrics": "forebay_config_last_reload_successful 1",
		"/readyz":  `"ready": true`,
		"/pools":   "the pools",
		"/pins":    "[]",
		"/config":  `"IdleClientTimeout": "30m0s"`,
	} {
		if status, body := get(t, url+path); status != 200 || !strings.Contains(body, want) || strings.Contains(body, "hunter2") {
			t.Errorf("%s: got %d %s; want %q", path, status, body, want)
		}
	}
	if _, body := get(t, url+"/metrics"); !strings.Contains(body, `version="v0-test"`) {
		t.Error("no forebay_build_info with the version")
	}
	close(f.plane.finish)
	if err := a.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if status, body := get(t, url+"/readyz"); status != 503 || !strings.Contains(body, "draining") {
		t.Errorf("while draining: got %d %s", status, body)
	}
	if err := a.Close(); err != nil || f.plane.closed != 1 {
		t.Errorf("Close: %v, the plane was closed %d times", err, f.plane.closed)
	}
	if l := f.log.String(); !strings.Contains(l, "app/default=127.0.0.1:4711") || !strings.Contains(l, "self-signed") {
		t.Errorf("the log lacks the addresses or the word about the certificate:\n%s", l)
	}
}

// TestOpenFails checks that nothing stays behind, whichever step fails.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { busy.Close() }) // after the parallel subtests, as defer would not be
	tests := []struct {
		name    string
		prepare func(t *testing.T, f *fixture)
		invalid bool
		closed  int
	}{
		{"configuration", func(t *testing.T, f *fixture) { f.write(t, "forebay.yaml", "log: 1") }, true, 0},
		{"data plane", func(_ *testing.T, f *fixture) {
			f.options.NewPlane = func(app.PlaneOptions) (app.Plane, app.View, error) {
				return nil, app.View{}, errors.New("no loop")
			}
		}, false, 0},
		{"apply", func(_ *testing.T, f *fixture) { f.plane.refuse = errors.New("address in use") }, false, 1},
		{"admin", func(t *testing.T, f *fixture) {
			f.write(t, "forebay.yaml", strings.Replace(base, "127.0.0.1:0", busy.Addr().String(), 1))
		}, false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			tt.prepare(t, f)
			_, err := app.Open(t.Context(), f.options)
			if err == nil || errors.Is(err, config.ErrInvalid) != tt.invalid || f.plane.closed != tt.closed {
				t.Errorf("got error %v, plane closed %d times; want invalid = %t, closed %d times", err, f.plane.closed, tt.invalid, tt.closed)
			}
		})
	}
}

// TestReload goes from one configuration to the next: good, broken, refused by the data plane.
func TestReload(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a, err := app.Open(t.Context(), f.options)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	user := func(name string) string {
		s, err := f.plane.o.Secrets.Get(t.Context(), name)
		if err != nil {
			return err.Error()
		}
		return s.Username
	}

	f.write(t, "two.json", `{"username":"two","password":"hunter2"}`)
	changed := strings.NewReplacer("name: app, file: app.json", "name: next, file: two.json", "secret: app", "secret: next",
		"level: info", "level: debug").Replace(base) + "loops: 3\n"
	f.write(t, "forebay.yaml", changed)
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if user("next") != "two" || !strings.Contains(user("app"), secret.ErrNotFound.Error()) {
		t.Errorf("secrets after the reload: next is %s, app is %s", user("next"), user("app"))
	}
	if l := f.log.String(); !strings.Contains(l, "next start only") || !strings.Contains(l, "keys=[loops]") {
		t.Errorf("the log does not say that loops need a restart:\n%s", l)
	}
	if status, _ := get(t, "http://"+a.AdminAddr()+"/debug/pprof/"); status != 200 {
		t.Errorf("profiles after a reload to level debug: %d", status)
	}

	f.write(t, "forebay.yaml", "log: {level: loud}\nloops: many\n")
	if err := a.Reload(t.Context()); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("broken file: got %v", err)
	}
	if n := strings.Count(f.log.String(), "nothing has changed"); n != 3 {
		t.Errorf("three errors were reported in %d lines", n)
	}
	if _, body := get(t, "http://"+a.AdminAddr()+"/metrics"); !strings.Contains(body, "forebay_config_last_reload_successful 0") {
		t.Error("the metric does not say that the last reload failed")
	}

	f.write(t, "forebay.yaml", base)
	f.plane.refuse = errors.New("address in use")
	if err := a.Reload(t.Context()); err == nil || user("next") != "two" || user("app") == "one" {
		t.Errorf("refused by the data plane: error %v, next is %s, app is %s", err, user("next"), user("app"))
	}
	f.plane.refuse = nil
	if err := a.Reload(t.Context()); err != nil || user("app") != "one" {
		t.Errorf("accepted at last: error %v, app is %s", err, user("app"))
	}
	if len(f.plane.applied) != 3 {
		t.Errorf("%d snapshots applied, want 3", len(f.plane.applied))
	}
}

// TestSecretRotation checks that a changed file is seen without a reload.
func TestSecretRotation(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a, err := app.Open(t.Context(), f.options)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	before, err := f.plane.o.Secrets.Get(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "app.json", `{"username":"one","password":"hunter3"}`)
	after, err := f.plane.o.Secrets.Get(t.Context(), "app")
	if err != nil || after.Password.Reveal() != "hunter3" || after.Version == before.Version {
		t.Errorf("after the rotation: %v, version %s then %s", err, before.Version, after.Version)
	}
}

// TestRun checks the signals.
func TestRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ready, done := f.log.next("msg=ready"), make(chan error, 1)
	go func() { done <- app.Run(t.Context(), f.options) }()
	<-ready
	reloaded := f.log.next("configuration reloaded")
	f.signals <- syscall.SIGHUP
	<-reloaded
	f.write(t, "forebay.yaml", "proxies: 1")
	refused := f.log.next("nothing has changed")
	f.signals <- syscall.SIGHUP
	<-refused
	f.signals <- syscall.SIGTERM
	<-f.plane.drained
	f.signals <- syscall.SIGHUP // means nothing any more
	close(f.plane.finish)
	if err := <-done; err != nil || f.plane.closed != 1 || len(f.plane.applied) != 2 {
		t.Errorf("Run returned %v; the plane was closed %d times and applied %d snapshots", err, f.plane.closed, len(f.plane.applied))
	}
}

func TestRunSecondSignal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	done := make(chan error, 1)
	go func() { done <- app.Run(t.Context(), f.options) }()
	f.signals <- syscall.SIGINT
	<-f.plane.drained
	f.signals <- syscall.SIGTERM
	if err := <-done; !errors.Is(err, app.ErrForced) || f.plane.closed != 1 {
		t.Errorf("Run returned %v; the plane was closed %d times", err, f.plane.closed)
	}
}

func TestRunContext(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.write(t, "forebay.yaml", base+"drain_timeout: 1ms\n")
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := f.log.next("msg=ready"), make(chan error, 1)
	go func() { done <- app.Run(ctx, f.options) }()
	<-ready
	cancel()
	if err := <-done; err != nil || !strings.Contains(f.log.String(), "has not ended") {
		t.Errorf("Run returned %v, want nil and a word about the transactions that were cut off:\n%s", err, f.log)
	}
}

// TestCertificates checks that a changed pair of files reaches the data plane.
func TestCertificates(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	pair := func(kind string) {
		for _, ext := range []string{"crt", "key"} {
			data, err := os.ReadFile("../config/testdata/" + kind + "/files/server." + ext)
			if err != nil {
				t.Fatal(err)
			}
			f.write(t, "server."+ext, string(data))
		}
	}
	pair("valid")
	f.write(t, "forebay.yaml", base+"    tls: {cert_file: server.crt, key_file: server.key}\n")
	a, err := app.Open(t.Context(), f.options)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	first := f.plane.tlsOfOne
	a.RefreshCertificates(t.Context())
	if f.plane.tlsOfOne != first || len(f.plane.applied) != 1 {
		t.Error("an unchanged certificate was applied again")
	}
	pair("broken") // a good pair, of the broken samples
	a.RefreshCertificates(t.Context())
	if f.plane.tlsOfOne == first || f.plane.tlsOfOne.Certificates[0].Leaf.Subject.CommonName != "broken.test" {
		t.Error("the changed certificate did not reach the data plane")
	}
	if got := a.Addrs(); len(got) != 1 {
		t.Errorf("Addrs = %v", got)
	}
}
