package admin_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"forebay/internal/admin"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixture struct {
	*admin.Server
	ready, debug atomic.Bool
	client       http.Client
}

func open(t *testing.T) *fixture {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "forebay_test"}))
	f := &fixture{client: http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	var err error
	f.Server, err = admin.Open(t.Context(), admin.Options{
		Log: slog.New(slog.DiscardHandler), Listen: "127.0.0.1:0", Hosts: []string{"Forebay.test"}, Gatherer: registry,
		Readiness: func() []admin.Readiness {
			return []admin.Readiness{{Proxy: "a", Ready: true}, {Proxy: "b", Ready: f.ready.Load(), Reason: "connection refused"}}
		},
		Pools:  func() any { return []string{"pool"} },
		Pins:   func() any { return []string{"pin"} },
		Config: func() any { return make(chan int) },
		Debug:  f.debug.Load,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func (f *fixture) do(t *testing.T, method, path, host string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+f.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := f.client.Do(req)
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

func TestPages(t *testing.T) {
	t.Parallel()
	f := open(t)
	tests := []struct {
		method, path, host string
		status             int
		part               string
	}{
		{"GET", "/metrics", "", 200, "forebay_test 0"},
		{"GET", "/livez", "", 200, "alive"},
		{"HEAD", "/livez", "", 200, ""},
		{"GET", "/readyz", "", 503, `"reason": "connection refused"`},
		{"GET", "/pools", "", 200, `"pool"`},
		{"GET", "/pins", "", 200, `"pin"`},
		{"GET", "/config", "", 500, "cannot be shown"},
		{"GET", "/debug/pprof/", "", 404, "log level debug"},
		{"GET", "/debug/pprof/goroutine", "", 404, "log level debug"},
		{"GET", "/", "", 404, ""},
		{"POST", "/pools", "", 405, ""},
		{"GET", "/livez", "localhost:9188", 200, ""},
		{"GET", "/livez", "LOCALHOST", 200, ""},
		{"GET", "/livez", "[::1]:9188", 200, ""},
		{"GET", "/livez", "forebay.test", 200, ""},
		{"GET", "/livez", "evil.example", 421, "admin.hosts"},
		{"GET", "/metrics", "127.0.0.1.evil.example:9188", 421, "admin.hosts"},
		{"GET", "/livez", "localhost.evil.example", 421, "admin.hosts"},
	}
	for _, tt := range tests {
		if status, body := f.do(t, tt.method, tt.path, tt.host); status != tt.status || !strings.Contains(body, tt.part) {
			t.Errorf("%s %s for %q: got %d %s; want %d with %q", tt.method, tt.path, tt.host, status, body, tt.status, tt.part)
		}
	}
	f.ready.Store(true)
	if status, body := f.do(t, "GET", "/readyz", ""); status != 200 || !strings.Contains(body, `"ready": true`) {
		t.Errorf("all proxies ready: got %d %s", status, body)
	}
	f.debug.Store(true)
	if status, _ := f.do(t, "GET", "/debug/pprof/goroutine", ""); status != 200 {
		t.Errorf("profiles at level debug: got %d", status)
	}
}

func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	o := admin.Options{Log: slog.New(slog.DiscardHandler), Listen: "0.0.0.0:0", Gatherer: prometheus.NewRegistry()}
	if _, err := admin.Open(t.Context(), o); !errors.Is(err, admin.ErrNotLoopback) {
		t.Errorf("got %v, want ErrNotLoopback", err)
	}
	o.AllowRemote = true
	s, err := admin.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	f := open(t)
	if _, err := admin.Open(t.Context(), admin.Options{Log: slog.New(slog.DiscardHandler), Listen: f.Addr()}); err == nil {
		t.Error("no error for an address that is in use")
	}
}
