package dataplane_test

import (
	"strings"
	"testing"
	"time"

	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/testkit/testlog"
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

// A proxy without a target takes clients, which get the error of the borrow timeout. Nobody is said not to answer.
func TestNoTarget(t *testing.T) {
	t.Parallel()
	var said testlog.Buffer
	w := newToyWorld(t, toyOptions{log: &said, change: func(p *resource.Proxy) {
		p.Target, p.Pool.ConnectionBorrowTimeout = resource.Target{}, 50*time.Millisecond
	}})
	c := w.login("app toys 0")
	c.say("who")
	if line := c.line(); !strings.Contains(line, "imed") {
		t.Errorf("heard %q, want the borrow timeout's error", line)
	}
	w.eventually("it is said why", func() bool { return w.plane.Readiness()[0].Reason == dataplane.ErrNoTarget.Error() })
	if h := w.plane.TargetHealth(); len(h) != 0 {
		t.Errorf("health of members that do not exist: %+v", h)
	}
	w.plane.Close()
	if text := said.String(); strings.Contains(text, "does not answer") || strings.Contains(text, "could not be opened") {
		t.Errorf("the log blames a target that does not exist:\n%s", text)
	}
}

// A database that only a client has named, and that does not exist, does not make the target unavailable to others: not for a moment.
func TestRefusedDatabase(t *testing.T) {
	t.Parallel()
	var said testlog.Buffer
	w := newToyWorld(t, toyOptions{log: &said, change: func(p *resource.Proxy) { p.Pool.RoutineScanInterval = time.Millisecond }})
	w.eventually("the target is well", func() bool { return w.plane.TargetHealth()[0].Role == engine.Writer })
	w.login("app none 0")
	w.eventually("it is said", func() bool {
		return strings.Contains(said.String(), "does not let a user in\" proxy=toy user=app database=none")
	})
	for start := w.eng.looks.Load(); w.eng.looks.Load() < start+100; {
		if h := w.plane.TargetHealth()[0]; h.Err != nil || h.Refused != nil || h.Role != engine.Writer {
			t.Fatalf("after %d looks: %+v", w.eng.looks.Load()-start, h)
		}
	}
	if n := strings.Count(said.String(), "does not let a user in"); n != 1 {
		t.Errorf("said %d times", n)
	}
}
