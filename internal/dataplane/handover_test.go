package dataplane_test

import (
	"net"
	"testing"

	"forebay/internal/resource"
)

// An address that one snapshot takes away from a proxy and gives to another changes hands; if the rest of the snapshot cannot
// be, it stays where it was.
func TestAddressChangesHands(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := l.Addr().String()
	defer l.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	w := newToyWorld(t, toyOptions{change: func(p *resource.Proxy) {
		p.ResourceID, p.Endpoints[0].Listen = "prx-1", address
	}})
	first := w.proxy
	next := w.proxy
	next.Name, next.ResourceID = "next", "prx-2"

	broken := next
	broken.Endpoints = append(broken.Endpoints[:1:1], resource.Endpoint{Name: "more", Listen: taken})
	if err := w.plane.Apply(t.Context(), resource.Snapshot{Proxies: []resource.Proxy{broken}}); err == nil {
		t.Fatal("an address that somebody else has was bound")
	}
	if at := w.plane.Addrs()["toy"]["default"]; at != address {
		t.Errorf("after an error the proxy listens at %q", at)
	}
	w.login("app toys 0").Close()

	w.proxy = next // the first one is gone
	w.apply()
	if at := w.plane.Addrs(); len(at) != 1 || at["next"]["default"] != address {
		t.Errorf("listening: %v", at)
	}
	w.login("app toys 0").Close()

	// From one endpoint to another proxy, both of which stay.
	moved := first
	moved.Endpoints = []resource.Endpoint{{Name: "default", Listen: "127.0.0.1:0"}}
	w.proxy.Endpoints = moved.Endpoints
	w.other = &first
	w.apply()
	if at := w.plane.Addrs(); at["toy"]["default"] != address || at["next"]["default"] == address {
		t.Errorf("listening: %v", at)
	}
	w.login("app toys 0").Close()
}
