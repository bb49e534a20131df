package e2e

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5/pgconn"
)

// cancelUntil cancels what c runs until done is closed: the statement may not have begun.
func cancelUntil(c *client, done <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	for {
		select {
		case <-done:
			return
		case <-time.After(2 * time.Millisecond):
		}
		if err := c.CancelRequest(ctx); err != nil {
			c.t.Errorf("cancel: %v", err)
			return
		}
	}
}

// TestCancel checks that a cancel request ends the statement meant, and that its client goes on.
func TestCancel(t *testing.T) {
	t.Parallel()
	both(t, options{pool: 2, loops: 2}, func(t *testing.T, w *world) {
		for _, begin := range []string{"", "BEGIN", "CREATE TEMP TABLE x (i int)"} {
			c := w.open()
			if begin != "" {
				c.must(begin)
			}
			done := make(chan struct{})
			var all sync.WaitGroup
			all.Go(func() { cancelUntil(c, done) })
			e := c.fails("SELECT pg_sleep(600)", "57014")
			close(done)
			all.Wait()
			if e.Message != "canceling statement due to user request" {
				t.Errorf("message %q", e.Message)
			}
			if begin == "BEGIN" {
				c.fails("SELECT 1", "25P02")
				c.must("ROLLBACK")
			}
			c.must("SELECT 1")
		}
	})
}

// TestCancelWaiting checks that a client that waits for a server connection can cancel too.
func TestCancelWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	c, holder := w.open(), w.open()
	holder.must("BEGIN")
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { cancelUntil(c, done) })
	c.fails("SELECT 1", "57014")
	close(done)
	all.Wait()
	holder.must("SELECT 1")
	holder.must("COMMIT")
	c.must("SELECT 1")
}

// TestCancelNeverOthers has many clients cancel at random while others run and must never hear of it.
func TestCancelNeverOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 3, loops: 3})
	var cancelled atomic.Int64
	var running, cancelling sync.WaitGroup
	stop := make(chan struct{})
	for range 6 {
		c := w.open()
		cancelling.Go(func() {
			var requests sync.WaitGroup
			for {
				select {
				case <-stop:
					requests.Wait()
					return
				default:
				}
				requests.Go(func() { // late ones hit nothing, or the statement behind
					ctx, cancel := context.WithTimeout(context.Background(), watchdog)
					defer cancel()
					_ = c.CancelRequest(ctx)
				})
				if _, err := c.exec("SELECT pg_sleep(0.002)"); err != nil {
					if codeOf(err) != "57014" {
						t.Errorf("the cancelling client: %v", err)
						return
					}
					cancelled.Add(1)
				}
			}
		})
	}
	for range 6 {
		c := w.open()
		running.Go(func() {
			for range 50 {
				if _, err := c.exec("SELECT pg_sleep(0.001)"); err != nil {
					t.Errorf("a client that nobody cancelled: %v", err)
					return
				}
			}
		})
	}
	running.Wait()
	close(stop)
	cancelling.Wait()
	if cancelled.Load() == 0 {
		t.Error("nothing was ever cancelled")
	}
	t.Logf("%d statements cancelled", cancelled.Load())
}

// TestCancelWrongSecret checks that a cancel request without the secret does nothing.
func TestCancelWrongSecret(t *testing.T) {
	t.Parallel()
	both(t, options{pool: 2}, func(t *testing.T, w *world) {
		c := w.open()
		h, err := c.Hijack()
		if err != nil {
			t.Fatal(err)
		}
		h.SecretKey[0] ^= 1
		wrong := &client{t: t, w: w}
		if wrong.PgConn, err = pgconn.Construct(h); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { _, err := wrong.exec("SELECT pg_sleep(0.3)"); done <- err }()
		for range 5 {
			if err := wrong.CancelRequest(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; err != nil {
			t.Errorf("cancelled with the wrong secret: %v", err)
		}
	})
}

// TestBorrowTimeout checks what a client hears that waits too long, and that it goes on afterwards.
func TestBorrowTimeout(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, 300 * time.Millisecond} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 1, change: func(p *resource.Proxy) {
				if d == 0 { // the other comes once the clients are there: their log-in waits for a connection too
					p.Pool.ConnectionBorrowTimeout = d
				}
			}})
			if d == 0 {
				// At once, unless there is an idle connection: the first client opens it.
				testkit.Eventually(t, "a server connection is there", func() bool {
					c, err := w.dial(w.config())
					if err != nil {
						failsWith(t, "connect", err, "08000")
						return false
					}
					_, err = c.exec("SELECT 1")
					return err == nil
				})
			}
			holder, c := w.open(), w.open()
			holder.must("BEGIN")
			w.f.Proxy.Pool.ConnectionBorrowTimeout = d
			w.f.Apply(t)
			e := c.fails("SELECT 1", "08000")
			if want := "Timed-out waiting to acquire database connection."; e.Message != want || e.Severity != "ERROR" {
				t.Errorf("%s %q, want ERROR %q", e.Severity, e.Message, want)
			}
			if r := c.params("SELECT 1"); codeOf(r.Err) != "08000" {
				t.Errorf("extended: %v", r.Err)
			}
			failsWith(t, "prepare", c.prepare("a", "SELECT 1"), "08000")
			failsWith(t, "pipeline", func() error {
				p := c.StartPipeline(t.Context())
				p.SendQueryParams("SELECT 1", nil, nil, nil, nil)
				p.SendQueryParams("SELECT 2", nil, nil, nil, nil)
				_ = p.Sync()
				_, err := p.GetResults()
				if err == nil {
					_, err = p.GetResults()
				}
				_ = p.Close()
				return err
			}(), "08000")
			holder.must("COMMIT")
			c.must("SELECT 1")
		})
	}
}
