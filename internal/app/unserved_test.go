package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"forebay/internal/dataplane"
	"forebay/internal/resource"
)

// sockets is a plane in which each address is one proxy's: a proxy cannot be applied while another has its address, be it
// one that the same snapshot removes.
type sockets struct {
	Plane
	taken map[string]string // address -> resource id, or who else has it
}

func (s *sockets) Apply(_ context.Context, snapshot resource.Snapshot) error {
	for _, p := range snapshot.Proxies {
		if by, ok := s.taken[p.Endpoints[0].Listen]; ok && by != p.ResourceID {
			return &dataplane.ProxyError{Proxy: p.Name, ResourceID: p.ResourceID, Err: errors.New("address in use")}
		}
	}
	for address, by := range s.taken {
		if strings.HasPrefix(by, "prx-") {
			delete(s.taken, address)
		}
	}
	for _, p := range snapshot.Proxies {
		s.taken[p.Endpoints[0].Listen] = p.ResourceID
	}
	return nil
}

func proxyAt(id, address string) resource.Proxy {
	return resource.Proxy{Name: strings.TrimPrefix(id, "prx-"), ResourceID: id, Endpoints: []resource.Endpoint{{Listen: address}}}
}

// TestApplyWhatCan: one proxy that cannot be served holds up nobody else.
func TestApplyWhatCan(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	plane := &sockets{taken: map[string]string{"host:9": "somebody"}}
	a := &App{plane: plane, log: slog.New(slog.NewTextHandler(&log, nil))}
	apply := func(proxies ...resource.Proxy) []string {
		t.Helper()
		got, err := a.applyWhatCan(t.Context(), resource.Snapshot{Proxies: proxies})
		if err != nil {
			t.Fatal(err)
		}
		var served []string
		for _, p := range got.Proxies {
			served = append(served, p.Name+"="+p.Endpoints[0].Listen)
		}
		return served
	}
	steps := []struct {
		name     string
		proxies  []resource.Proxy
		want     []string
		unserved string
	}{
		{"all", []resource.Proxy{proxyAt("prx-a", "host:1"), proxyAt("prx-b", "host:2")}, []string{"a=host:1", "b=host:2"}, ""},
		{"a new one at somebody's address", []resource.Proxy{proxyAt("prx-a", "host:1"), proxyAt("prx-c", "host:9"), proxyAt("prx-b", "host:3")}, []string{"a=host:1", "b=host:3"}, "prx-c"},
		{"a known one moves there", []resource.Proxy{proxyAt("prx-a", "host:9"), proxyAt("prx-b", "host:3")}, []string{"a=host:1", "b=host:3"}, "prx-a"},
		{"an address changes hands", []resource.Proxy{proxyAt("prx-d", "host:3"), proxyAt("prx-a", "host:1")}, []string{"d=host:3", "a=host:1"}, ""},
	}
	for _, s := range steps {
		if got := apply(s.proxies...); !slices.Equal(got, s.want) {
			t.Errorf("%s: served %v, want %v", s.name, got, s.want)
		}
		unserved := *a.unserved.Load()
		if len(unserved) > 1 || s.unserved != "" && unserved[s.unserved] == nil || s.unserved == "" && len(unserved) > 0 {
			t.Errorf("%s: not served %v, want %q", s.name, unserved, s.unserved)
		}
	}
	if n := strings.Count(log.String(), "is not served as it should be"); n != 2 {
		t.Errorf("%d lines about it in the log, want 2:\n%s", n, log.String())
	}
	file := proxyAt("", "host:9")
	if _, err := a.applyWhatCan(t.Context(), resource.Snapshot{Proxies: []resource.Proxy{file}}); err == nil {
		t.Error("a proxy of the configuration file that cannot be served is no error")
	}
}

// TestSayPaused: the log has a line when a proxy is paused, at the start too, and one when it is resumed.
func TestSayPaused(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	a := &App{plane: &sockets{taken: map[string]string{}}, log: slog.New(slog.NewTextHandler(&log, nil))}
	for _, step := range []struct {
		paused bool
		want   string
	}{
		{true, "a proxy is paused"}, {true, ""}, {false, "a proxy is resumed"}, {false, ""}, {true, "a proxy is paused"},
	} {
		log.Reset()
		p := proxyAt("prx-a", "host:1")
		p.Paused = step.paused
		if _, err := a.applyWhatCan(t.Context(), resource.Snapshot{Proxies: []resource.Proxy{p}}); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); !strings.Contains(got, step.want) || (step.want == "") != (got == "") {
			t.Errorf("paused %t: %q in the log, want %q", step.paused, got, step.want)
		}
	}
}
