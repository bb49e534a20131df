package failover_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/test/failover/workload"
)

// Clients of a READ_ONLY endpoint follow a counter. One of the two readers that they are spread over is killed while the other
// one is behind: its clients move there, and nobody ever sees the counter go back.
func TestPostgresReadersNeverGoBack(t *testing.T) {
	t.Parallel()
	const readers = 10
	set := testkit.PostgresSet(t, localserver.PostgresOptions{}, 2)
	if err := set[0].Exec(t.Context(), "CREATE TABLE counter AS SELECT 0::bigint AS n"); err != nil {
		t.Fatal(err)
	}
	for _, p := range set[1:] {
		if err := p.CatchUp(t.Context(), set[0]); err != nil {
			t.Fatal(err)
		}
	}
	fb := testkit.StartForebay(t, set[0], testkit.ForebayOptions{Loops: 2, Change: func(p *resource.Proxy) {
		first := p.Target.Members[0]
		p.Target = resource.Target{Cluster: "set"}
		for _, pg := range set {
			first.Port = pg.Port()
			p.Target.Members = append(p.Target.Members, first)
		}
		p.Endpoints = append(p.Endpoints, resource.Endpoint{Name: "readers", Listen: "127.0.0.1:0", Role: resource.ReadOnly})
		p.Pool.MaxConnections = 20
	}})
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()

	count := connectPG(t, fb.DSN("postgres", "postgres", ""))
	all.Go(func() {
		for ctx.Err() == nil {
			if _, err := count.Exec(context.Background(), "UPDATE counter SET n = n + 1"); err != nil {
				t.Errorf("the one who counts: %v", err)
				return
			}
		}
	})
	host, port, err := net.SplitHostPort(fb.Plane.Addrs()["test"]["readers"])
	if err != nil {
		t.Fatal(err)
	}
	at := *fb
	at.Host = host
	if at.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	var seen [readers]struct{ n, reads atomic.Int64 }
	for i := range readers {
		c := connectPG(t, at.DSN("postgres", "postgres", ""))
		all.Go(func() { follow(ctx, t, c, &seen[i].n, &seen[i].reads) })
	}
	// allRead waits until each reader has read some more.
	allRead := func(what string) {
		t.Helper()
		var from [readers]int64
		for i := range seen {
			from[i] = seen[i].reads.Load()
		}
		eventually(t, what, func() error {
			for i := range seen {
				if n := seen[i].reads.Load() - from[i]; n < 10 {
					return fmt.Errorf("reader %d has read %d times", i, n)
				}
			}
			return nil
		})
	}
	allRead("all read")
	clients := func(i int) (n int64) {
		for _, m := range fb.Plane.Collect().Proxies[0].Members {
			if m.Address == set[i].Addr() {
				n = m.Clients
			}
		}
		return n
	}
	if a, b := clients(1), clients(2); a == 0 || b == 0 {
		t.Fatalf("%d and %d clients at the readers", a, b)
	}
	if err := set[2].Exec(t.Context(), "SELECT pg_wal_replay_pause()"); err != nil {
		t.Fatal(err)
	}
	allRead("those of the reader that goes on see more")
	moved := clients(1)
	set[1].Kill()
	eventually(t, "the reader's clients wait for the other one to have seen what they have", func() error {
		lost, left, n := clients(1), clients(2), int64(fb.Plane.Collect().Proxies[0].Target.Pool.Waiting)
		if !t.Failed() && (lost > 0 || left > readers-moved || n < moved) {
			return fmt.Errorf("%d clients are at the reader that is lost, %d at the other one, %d wait; %d were to wait", lost, left, n, moved)
		}
		return nil
	})
	if err := set[2].Exec(t.Context(), "SELECT pg_wal_replay_resume()"); err != nil {
		t.Fatal(err)
	}
	allRead("all read again")
	if n := clients(2); n != readers {
		t.Errorf("%d clients at the reader that is left, want %d", n, readers)
	}
}

// follow reads the counter, again and again. What it has seen last, it may not see less of.
func follow(ctx context.Context, t *testing.T, c workload.Postgres, last, reads *atomic.Int64) {
	failed := 0
	for ctx.Err() == nil {
		var n int64
		if err := c.QueryRow(context.Background(), "SELECT n FROM counter").Scan(&n); err != nil {
			if failed++; failed > 1 || c.Closed() { // the statement that was under way when the reader died
				t.Errorf("a reader: %v", err)
				return
			}
			continue
		}
		if n < last.Load() {
			t.Errorf("a reader has seen %d, and then %d", last.Load(), n)
			return
		}
		last.Store(n)
		reads.Add(1)
	}
}
