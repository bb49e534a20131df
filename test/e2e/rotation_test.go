package e2e

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"forebay/internal/dataplane"
	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// figures are those of the world's one proxy.
func (w *world) figures() dataplane.ProxyFigures { return w.f.Plane.Collect().Proxies[0] }

// retire has every server connection replaced by a new one, once nobody uses it.
func (w *world) retire() {
	w.t.Helper()
	w.f.Proxy.Pool.InitQuery += ";" // another one, which does nothing
	w.f.Apply(w.t)
}

// TestRotation changes a user's password, in the database and in the secret, one after the other, while clients are at
// work and need new server connections. None of them may notice.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 3, loops: 2, change: func(p *resource.Proxy) { p.Pool.InitQuery = "SELECT 1" }})
	const clients = 8
	var running sync.WaitGroup
	var stop atomic.Bool
	var done [clients]atomic.Int64
	for i := range clients {
		c := w.open()
		running.Go(func() {
			for !stop.Load() {
				if _, err := c.exec("SELECT 1"); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				done[i].Add(1)
			}
		})
	}
	defer running.Wait()
	defer stop.Store(true)
	progress := func(when string) {
		t.Helper()
		var before [clients]int64
		for i := range done {
			before[i] = done[i].Load()
		}
		testkit.Eventually(t, "every client goes on "+when, func() bool {
			for i := range done {
				if done[i].Load() < before[i]+3 {
					return false
				}
			}
			return true
		})
	}
	inDatabase := func(password string) {
		w.super(fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", w.db.User, password))
	}
	letIn := func(password string, want bool) {
		t.Helper()
		cfg := w.config()
		cfg.Password = password
		c, err := w.dial(cfg)
		if (err == nil) != want {
			t.Errorf("password %s: %v; want it to work: %t", password, err, want)
		}
		if err == nil {
			c.must("SELECT 1")
			c.leave()
		}
	}

	progress("at first")
	inDatabase("second") // the secret does not know it yet, so no server connection can be opened
	failed := w.figures().Target.Session.OpenFailures
	w.retire()
	testkit.Eventually(t, "the database refuses the old password", func() bool { return w.figures().Target.Session.OpenFailures > failed })
	w.f.Rotate(w.db.User, "second")
	progress("after the database and then the secret have changed")
	letIn("second", true)
	letIn(w.db.Password, true) // the overlap
	letIn("third", false)

	if n := w.figures().Target.Previous; n != 0 {
		t.Errorf("%d server connections by the previous password, which the database does not have", n)
	}
	w.f.Rotate(w.db.User, "third") // the database does not know it yet
	w.retire()
	testkit.Eventually(t, "the previous password is used", func() bool { return w.figures().Target.Previous > 0 })
	progress("after the secret has changed")
	inDatabase("third")
	w.retire()
	progress("after the secret and then the database have changed")
	letIn("third", true)
	letIn("second", true)
	letIn(w.db.Password, false)

	w.f.SetPassword(w.db.User, "third") // the overlap ends
	testkit.Eventually(t, "the previous password lets nobody in", func() bool {
		cfg := w.config()
		cfg.Password = "second"
		c, err := w.dial(cfg)
		if err == nil {
			c.leave()
		}
		return err != nil
	})
	letIn("third", true)
	progress("at last")
}
