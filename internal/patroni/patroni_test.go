package patroni

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Answers in the form of Patroni's versions.
const (
	version3 = `{"members": [
		{"name": "pg-a", "role": "leader", "state": "running", "api_url": "http://10.0.0.4:8008/patroni", "host": "10.0.0.4", "port": 5432,
			"timeline": 5, "tags": {"clonefrom": true}},
		{"name": "pg-b", "role": "sync_standby", "state": "streaming", "api_url": "http://10.0.0.5:8008/patroni", "host": "10.0.0.5",
			"port": 5433, "timeline": 5, "lag": 16},
		{"name": "pg-c", "role": "replica", "state": "in archive recovery", "api_url": "http://10.0.0.6:8008/patroni", "host": "10.0.0.6",
			"port": 5432, "timeline": 4, "lag": "unknown", "tags": {"noloadbalance": true}, "pending_restart": true},
		{"name": "pg-d", "role": "replica", "state": "creating replica", "api_url": "http://10.0.0.7:8008/patroni", "lag": "unknown"}
		], "scope": "shop", "pause": true, "scheduled_switchover": {"at": "2026-09-24T10:36:00+02:00", "from": "pg-a"}}`
	version4 = `{"members": [
		{"name": "pg-a", "role": "standby_leader", "state": "streaming", "host": "db-a", "port": 5432, "timeline": 2, "lag": 8,
			"replay_lag": 32, "receive_lag": 8, "lsn": "0/4000060", "replay_lsn": "0/4000040", "receive_lsn": "0/4000060"},
		{"name": "pg-b", "role": "quorum_standby", "state": "stopped", "host": "db-b", "timeline": 2, "lag": "unknown", "replay_lag": "unknown",
			"tags": {"noloadbalance": "yes"}}
		], "scope": "shop"}`
)

var cluster3 = Cluster{Scope: "shop", Paused: true, Members: []Member{
	{Name: "pg-a", Host: "10.0.0.4", Port: 5432, Role: Leader, State: "running", Timeline: 5},
	{Name: "pg-b", Host: "10.0.0.5", Port: 5433, Role: SyncStandby, State: "streaming", Timeline: 5, Lag: 16},
	{Name: "pg-c", Host: "10.0.0.6", Port: 5432, Role: Replica, State: "in archive recovery", Timeline: 4, Lag: -1, NoLoadBalance: true},
	{Name: "pg-d", Port: 5432, Role: Replica, State: "creating replica", Lag: -1},
}}

var cluster4 = Cluster{Scope: "shop", Members: []Member{
	{Name: "pg-a", Host: "db-a", Port: 5432, Role: StandbyLeader, State: "streaming", Timeline: 2, Lag: 32},
	{Name: "pg-b", Host: "db-b", Port: 5432, Role: QuorumStandby, State: "stopped", Timeline: 2, Lag: -1, NoLoadBalance: true},
}}

// serve answers every request for /cluster.
func serve(t *testing.T, status int, body string) (s *httptest.Server, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/cluster" && r.URL.Path != "/behind/a/path/cluster" || r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		w.WriteHeader(status)
		w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s, asked
}

func client(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCluster(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		want       Cluster
	}{{"3", version3, cluster3}, {"4", version4, cluster4}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, http.StatusOK, tt.body)
			for _, base := range []string{s.URL, s.URL + "/", s.URL + "/behind/a/path"} {
				got, err := client(t, Options{URLs: []string{base}}).Cluster(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", base, diff)
				}
			}
		})
	}
	running := []bool{true, true, true, false}
	for i, m := range cluster3.Members {
		if m.Running() != running[i] {
			t.Errorf("%s, %s: running is %t", m.Name, m.State, m.Running())
		}
	}
}

// TestNextURL checks that each kind of trouble leads to the next URL, and that the one that answers is asked first from then on.
func TestNextURL(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	hang := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(hang) })
	elsewhere, followed := serve(t, http.StatusOK, version4)
	redirects := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/cluster", http.StatusFound))
	t.Cleanup(redirects.Close)
	url := func(status int, body string) string {
		s, _ := serve(t, status, body)
		return s.URL
	}
	for name, bad := range map[string]string{
		"gone":              gone.URL,
		"hangs":             hangs.URL,
		"redirects":         redirects.URL,
		"error":             url(http.StatusServiceUnavailable, version3),
		"another program":   url(http.StatusOK, "<html>"),
		"nobody":            url(http.StatusOK, `{"members": []}`),
		"two leaders":       url(http.StatusOK, `{"members": [{"name": "a", "role": "leader"}, {"name": "b", "role": "standby_leader"}]}`),
		"member of no name": url(http.StatusOK, `{"members": [{"host": "a"}]}`),
		"odd port":          url(http.StatusOK, `{"members": [{"name": "a", "port": 65536}]}`),
		"odd lag":           url(http.StatusOK, `{"members": [{"name": "a", "lag": {}}]}`),
		"too long":          url(http.StatusOK, version3+strings.Repeat(" ", maxAnswer)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good, asked := serve(t, http.StatusOK, version3)
			o := Options{URLs: []string{bad, good.URL}}
			if name == "hangs" {
				o.Timeout = 100 * time.Millisecond
			}
			if _, err := client(t, Options{URLs: o.URLs[:1], Timeout: o.Timeout}).Cluster(t.Context()); err == nil || !strings.Contains(err.Error(), bad) {
				t.Errorf("alone: %v", err)
			}
			c := client(t, o)
			for range 2 {
				got, err := c.Cluster(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(cluster3, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			if c.first != 1 || asked.Load() != 2 {
				t.Errorf("asked %d times; first is now URL %d", asked.Load(), c.first)
			}
		})
	}
	t.Cleanup(func() {
		if followed.Load() != 0 {
			t.Error("a redirect was followed")
		}
	})
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	t.Cleanup(hangs.Close)
	good, count := serve(t, http.StatusOK, version3)
	go func() {
		<-asked
		cancel()
	}()
	_, err := client(t, Options{URLs: []string{hangs.URL, good.URL}}).Cluster(ctx)
	if !errors.Is(err, context.Canceled) || count.Load() != 0 {
		t.Errorf("%v; the next URL was asked %d times", err, count.Load())
	}
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(version3)) }))
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		o    Options
		ok   bool
	}{
		{"its CA", Options{CAFile: ca}, true},
		{"insecure", Options{Insecure: true}, true},
		{"the system's CAs", Options{}, false},
	} {
		tt.o.URLs = []string{s.URL}
		if _, err := client(t, tt.o).Cluster(t.Context()); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{
		{},
		{URLs: []string{"10.0.0.4:8008"}},
		{URLs: []string{"ftp://10.0.0.4"}},
		{URLs: []string{"http://"}},
		{URLs: []string{"http://a:8008", "http://b:80 08"}},
		{URLs: []string{"http://user:secret-pw@a:8008"}},
		{URLs: []string{"http://a:8008?key=secret-pw"}},
		{URLs: []string{"http://a:8008/#secret-pw"}},
		{URLs: []string{"http://a:8008"}, CAFile: empty},
		{URLs: []string{"http://a:8008"}, CAFile: empty + ".none"},
	} {
		_, err := New(o)
		if err == nil || strings.Contains(err.Error(), "secret-pw") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestTooManyMembers checks that an answer does not have any number of members watched.
func TestTooManyMembers(t *testing.T) {
	t.Parallel()
	naming := func(n int) []byte {
		one := `{"name": "m", "host": "db", "port": 5432, "role": "replica"}`
		return []byte(`{"members": [` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `]}`)
	}
	if c, err := parse(naming(maxMembers)); err != nil || len(c.Members) != maxMembers {
		t.Errorf("%d members: %v", maxMembers, err)
	}
	if _, err := parse(naming(maxMembers + 1)); err == nil {
		t.Error("one more: no error")
	}
}
