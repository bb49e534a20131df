package mysql_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// While the only server connection is another's, a client can ping, close and reset statements, kill and leave.
func TestNeedsNoServer(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		t := w.t
		w.f = testkit.StartForebayMySQL(t, w.m, testkit.ForebayOptions{
			Users: map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) {
				p.Pool.MaxConnections = 1
				p.Pool.ConnectionBorrowTimeout = time.Minute
			},
		})
		clients := func() int64 { return w.f.Plane.Pools()[0].Clients }
		holder, waiter := w.connect(nil), w.connect(nil)
		id, idOfWaiter := w.one(holder, "SELECT CONNECTION_ID()"), w.one(waiter, "SELECT CONNECTION_ID()")
		for _, more := range []url.Values{nil, {"compress": {"true"}}} {
			c := w.connect(more)
			st, err := c.PrepareContext(t.Context(), "SELECT ?")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 2)
			w.exec(holder, "BEGIN")
			go func() {
				_, err := holder.ExecContext(t.Context(), "DO SLEEP(60)")
				ended <- err
			}()
			for w.f.Plane.Collect().Proxies[0].Target.Pool.Borrowed == 0 {
				time.Sleep(time.Millisecond)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := c.PingContext(ctx); err != nil {
				t.Errorf("ping: %v", err)
			}
			go func() {
				_, err := waiter.ExecContext(t.Context(), "DO 1")
				ended <- err
			}()
			for w.f.Plane.Collect().Proxies[0].Target.Pool.Waiting == 0 {
				time.Sleep(time.Millisecond)
			}
			if err := c.PingContext(ctx); err != nil {
				t.Errorf("ping behind one that waits: %v", err)
			}
			st.Close()
			if _, err := c.ExecContext(ctx, "/* of */ KILL QUERY "+idOfWaiter); err != nil {
				t.Errorf("KILL of one that waits: %v", err)
			}
			if err := <-ended; err == nil {
				t.Error("nobody has been killed")
			}
			before := clients()
			c.Raw(func(driver any) error { return driver.(interface{ Close() error }).Close() })
			for end := time.Now().Add(20 * time.Second); clients() != before-1; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("one that has left is counted")
				}
			}
			c = w.connect(more)
			for done := false; !done; { // the statement may not have begun
				if _, err := c.ExecContext(ctx, "KILL QUERY "+id); err != nil {
					t.Fatalf("KILL: %v", err)
				}
				select {
				case <-ended:
					done = true
				case <-time.After(10 * time.Millisecond):
				}
			}
			w.exec(holder, "ROLLBACK")
			w.want(c, "1", "SELECT 1")
		}
	})
}
