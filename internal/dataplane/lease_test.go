package dataplane_test

import (
	"testing"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/pool"
	"forebay/internal/secret"
)

// TestLease: server connections whose user has been replaced are closed when nobody has them, and not in a transaction; when
// the lease ends, those in one are closed, too.
func TestLease(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 3})
	figures := func() (retired, ended uint64) {
		f := w.plane.Collect().Proxies[0].Target
		return f.Pool.Closed[pool.ReasonRetired], f.Session.Ended[session.EndLease]
	}
	now := time.Now()
	first, second := secret.NewLease(now, now.Add(time.Hour)), secret.NewLease(now, now.Add(time.Hour))
	w.eng.lease.Store(first)
	busy, idle, kept := w.login("app toys 0"), w.login("app toys 0"), w.login("app toys 0 0 true")
	busy.ask("begin")
	kept.ask("who")
	if n := idle.ask("who"); n != "3" {
		t.Fatalf("server connection %s", n)
	}
	if first.Held() != 3 {
		t.Fatalf("%d server connections hold the lease, want 3", first.Held())
	}
	w.eng.lease.Store(second)
	first.Replace(now.Add(-time.Hour)) // all of what they are spread over has passed
	w.eventually("what nobody is in the middle of is closed", func() bool { return first.Held() == 1 })
	if retired, ended := figures(); retired != 2 || ended != 0 {
		t.Errorf("%d retired, %d cut short; want 2, 0", retired, ended)
	}
	for range 3 {
		if n := busy.ask("who"); n != "1" {
			t.Errorf("the transaction goes on at server connection %s", n)
		}
	}
	if n := idle.ask("who"); n != "4" {
		t.Errorf("a new request is served by connection %s", n)
	}
	busy.ask("commit")
	w.eventually("the last one is closed after its transaction", func() bool { return first.Held() == 0 })

	busy.ask("begin")
	held := second.Held()
	second.Extend(now, now.Add(time.Second))
	w.eventually("the lease has ended", func() bool { return second.Held() == 0 })
	if _, ended := figures(); ended != 1 {
		t.Errorf("%d of %d server connections were cut short, want 1", ended, held)
	}
	w.eng.lease.Store(nil)
	busy.ask("who")
}
