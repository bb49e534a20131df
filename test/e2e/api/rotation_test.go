package api

import (
	"sync"
	"sync/atomic"
	"testing"

	"forebay/internal/testkit"
)

// TestRotation changes a password in the database and then in Secrets Manager, while clients are at work.
func TestRotation(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d database) {
		w := newWorld(t)
		secret := w.secret("app", d.user, d.password, nil)
		p := w.newProxy("shop", d, secret)
		p.becomes("AVAILABLE", "")
		d.soon(t, "clients are served", p.endpoint, d.user, d.password)

		var running sync.WaitGroup
		var stop atomic.Bool
		var done [4]atomic.Int64
		for i := range done {
			c, err := d.open(t.Context(), p.endpoint, d.user, d.password)
			if err != nil {
				t.Fatal(err)
			}
			running.Go(func() {
				defer c.close()
				for !stop.Load() {
					if got, err := c.one(t.Context(), "SELECT 42"); err != nil || got != "42" {
						t.Errorf("client %d: %q, %v", i, got, err)
						return
					}
					done[i].Add(1)
				}
			})
		}
		defer running.Wait()
		defer stop.Store(true)
		goOn := func(when string) {
			t.Helper()
			var before [len(done)]int64
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
		goOn("at first")
		previous := d.password
		for _, next := range []string{"second-password", "third-password"} {
			d.alter(t, next)
			w.put(secret, d.user, next)
			d.soon(t, "the new password lets in", p.endpoint, d.user, next)
			d.letIn(t, "the previous password, during the overlap", p.endpoint, d.user, previous)
			p.becomes("AVAILABLE", "")
			goOn("with " + next)
			previous = next
		}
		d.keptOut(t, "the password before the previous one", p.endpoint, d.user, d.password)
		w.silent(d.password, "second-password", "third-password")
	})
}
