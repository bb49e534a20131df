package dataplane_test

import (
	"strings"
	"testing"
	"time"

	"forebay/internal/resource"
)

// A proxy that is renamed keeps its listeners and its clients: its resource id makes it the same.
func TestRename(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{change: func(p *resource.Proxy) { p.ResourceID = "prx-1" }})
	c := w.login("app toys 0")
	c.ask("who")
	w.proxy.Name = "other"
	w.apply()
	if n := c.ask("who"); n != "1" {
		t.Errorf("server connection %s after the change of the name", n)
	}
	if addrs := w.plane.Addrs(); addrs["toy"] != nil || addrs["other"]["default"] != w.addr {
		t.Errorf("addresses %v", addrs)
	}
	w.login("app toys 0")
}

// A proxy without a target takes clients, which get the error of the borrow timeout.
func TestNoTarget(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{change: func(p *resource.Proxy) {
		p.Target, p.Pool.ConnectionBorrowTimeout = resource.Target{}, 50*time.Millisecond
	}})
	c := w.login("app toys 0")
	c.say("who")
	if line := c.line(); !strings.Contains(line, "imed") {
		t.Errorf("heard %q, want the borrow timeout's error", line)
	}
}
