package metrics_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/certs"
	"forebay/internal/dataplane"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5/pgconn"
)

// world is a Forebay with two server connections in front of a real server.
type world struct {
	*testkit.Forebay
	t  *testing.T
	db testkit.DB
}

func start(t *testing.T, change func(*resource.Proxy)) *world {
	t.Helper()
	pg := testkit.SharedPostgres(t)
	db := testkit.Database(t, pg)
	cfg, err := certs.New(slog.New(slog.DiscardHandler)).Config(&resource.Proxy{})
	if err != nil {
		t.Fatal(err)
	}
	f := testkit.StartForebay(t, pg, testkit.ForebayOptions{
		Users: map[string]string{db.User: db.Password}, TLS: cfg, Loops: 2, Log: slog.DiscardHandler,
		Change: func(p *resource.Proxy) {
			p.Pool.MaxConnections = 2
			if change != nil {
				change(p)
			}
		},
	})
	return &world{f, t, db}
}

func (w *world) connect(more string) *pgconn.PgConn {
	w.t.Helper()
	if more == "" {
		more = "sslmode=disable"
	}
	c, err := pgconn.Connect(w.t.Context(), w.DSN(w.db.User, w.db.Name, more))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Conn().Close() })
	return c
}

func (w *world) exec(c *pgconn.PgConn, sql string) {
	w.t.Helper()
	if _, err := c.Exec(w.t.Context(), sql).ReadAll(); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// figures returns the present figures of the one proxy.
func (w *world) figures() dataplane.ProxyFigures { return w.Plane.Collect().Proxies[0] }

// until waits until ok, for what happens on its own account after the client has its answer.
func (w *world) until(what string, ok func(f dataplane.ProxyFigures) bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		f := w.figures()
		if ok(f) {
			return
		}
		select {
		case <-tick.C:
		case <-w.t.Context().Done():
			w.t.Fatalf("%s: never; the figures are %+v", what, f)
		}
	}
}

func TestPinsAreCounted(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := w.connect("sslmode=disable application_name=worker")
	w.exec(c, "LISTEN jobs; SELECT 'not for the log', 42")
	w.until("pinned", func(f dataplane.ProxyFigures) bool {
		return f.Target.Engine.Pinned == 1 && f.Target.Engine.Pins["listen"] == 1 && f.Target.Pool.Borrowed == 1
	})
	v := w.Plane.Pins()
	if v.PinnedTotal != 1 || len(v.Pinned) != 1 || len(v.Pinned[0].Pins) != 1 {
		t.Fatalf("pins: %+v", v)
	}
	s, pin := v.Pinned[0], v.Pinned[0].Pins[0]
	if s.Proxy != "test" || s.User != w.db.User || s.Database != w.db.Name || s.Application != "worker" || s.PID != c.PID() {
		t.Errorf("session: %+v", s)
	}
	if pin.Reason != "listen" || pin.Digest != "listen jobs; select $1, $2" || pin.Fix == "" || time.Since(pin.Since) > time.Hour || s.Since != pin.Since {
		t.Errorf("pin: %+v", pin)
	}
	if p := w.Plane.Pools()[0].Pools[0]; p.Pinned != 1 || p.Clients != 1 || p.User != w.db.User || p.Database != w.db.Name {
		t.Errorf("pool: %+v", p)
	}
	if _, err := json.Marshal(v); err != nil {
		t.Error(err)
	}
	w.exec(c, "UNLISTEN *")
	w.until("no longer pinned", func(f dataplane.ProxyFigures) bool {
		return f.Target.Engine.Pinned == 0 && f.Target.Engine.Pins["listen"] == 1 && f.Target.Pool.Idle == 1
	})
	if v := w.Plane.Pins(); v.PinnedTotal != 0 || len(v.Pinned) != 0 {
		t.Errorf("pins at the end: %+v", v)
	}
}

// TestGaugesAfterLoss has clients and server connections go away in every state.
func TestGaugesAfterLoss(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, sql string }{
		{"in a transaction", "BEGIN"},
		{"in a failed transaction", "BEGIN; SELECT 1/0"},
		{"pinned", "LISTEN jobs"},
		{"pinned in a transaction", "LISTEN jobs; CREATE TEMP TABLE a (b int); BEGIN; SELECT 1"},
		{"pinned by what no reset undoes", "SELECT setseed(0.5)"},
	} {
		for _, how := range []string{"client leaves", "client dies", "server connection dies"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				t.Parallel()
				w := start(t, nil)
				c := w.connect("")
				_, _ = c.Exec(t.Context(), tt.sql).ReadAll() // one of them fails, as it should
				held := func(f dataplane.ProxyFigures) bool {
					return f.Target.Engine.InTransaction+f.Target.Engine.Pinned > 0
				}
				w.until("held", held)
				switch how {
				case "client leaves":
					if err := c.Close(t.Context()); err != nil {
						t.Error(err)
					}
				case "client dies":
					c.Conn().Close()
				default:
					sql := fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", w.db.Name)
					if err := w.db.Server.Exec(t.Context(), sql); err != nil {
						t.Fatal(err)
					}
				}
				w.until("let go", func(f dataplane.ProxyFigures) bool { return !held(f) && f.Target.Pool.Borrowed == 0 })
				e := w.figures().Target.Engine
				if e.InTransaction != 0 || e.Pinned != 0 {
					t.Errorf("in a transaction %d, pinned %d; want 0", e.InTransaction, e.Pinned)
				}
			})
		}
	}
}

func TestWaitersAndTransactions(t *testing.T) {
	t.Parallel()
	w := start(t, func(p *resource.Proxy) { p.Pool.MaxConnections = 1 })
	holder, waiter := w.connect(""), w.connect("")
	w.exec(holder, "BEGIN")
	w.until("in a transaction", func(f dataplane.ProxyFigures) bool {
		return f.Target.Engine.InTransaction == 1 && f.Target.Pool.Borrowed == 1 && f.Target.Limits.MaxOpen == 1
	})
	var done sync.WaitGroup
	done.Go(func() { _, _ = waiter.Exec(t.Context(), "SELECT 1").ReadAll() })
	w.until("waiting", func(f dataplane.ProxyFigures) bool { return f.Target.Pool.Waiting == 1 })
	v := w.Plane.Pins()
	if v.WaitingTotal != 1 || len(v.Waiting) != 1 || v.Waiting[0].State != "waiting" || v.Waiting[0].Since.After(time.Now()) {
		t.Errorf("waiting sessions: %+v", v)
	}
	before := w.figures().Target
	w.exec(holder, "COMMIT")
	done.Wait()
	w.until("served", func(f dataplane.ProxyFigures) bool {
		return f.Target.Pool.Waiting == 0 && f.Target.Engine.InTransaction == 0
	})
	after := w.figures().Target
	if got := after.Engine.Transactions - before.Engine.Transactions; got != 2 {
		t.Errorf("%d transactions, want 2", got)
	}
	if after.Session.RequestWait <= before.Session.RequestWait || after.Session.RequestWait > after.Session.WaitSum {
		t.Errorf("requests waited %d ns before, %d after, all %d", before.Session.RequestWait, after.Session.RequestWait, after.Session.WaitSum)
	}
	if after.Engine.QueryCycles <= before.Engine.QueryCycles || after.Engine.QueryNanos > uint64(time.Hour) {
		t.Errorf("latency: %d ns in %d cycles", after.Engine.QueryNanos, after.Engine.QueryCycles)
	}
}

func TestTLSAndClients(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	plain, encrypted := w.connect(""), w.connect("sslmode=require")
	w.exec(plain, "SELECT 1")
	w.exec(encrypted, "SELECT 1; SELECT 2")
	if _, err := pgconn.Connect(t.Context(), strings.Replace(w.DSN(w.db.User, w.db.Name, ""), "password=", "password=x", 1)); err == nil {
		t.Fatal("a wrong password was let in")
	}
	if c, err := (&tls.Dialer{Config: &tls.Config{ServerName: "elsewhere"}}).DialContext(t.Context(), "tcp", fmt.Sprintf("%s:%d", w.Host, w.Port)); err == nil {
		c.Close()
		t.Fatal("a TLS client that trusts nobody connected")
	}
	w.until("counted", func(f dataplane.ProxyFigures) bool { return f.Clients.FailedAuth == 2 && f.Clients.Open == 2 })
	f := w.figures()
	if f.Target.Session.ClientsIn != 2 || f.Target.Session.ClientsTLS != 1 {
		t.Errorf("%d clients, %d with TLS; want 2, 1", f.Target.Session.ClientsIn, f.Target.Session.ClientsTLS)
	}
	if f.Target.Engine.Queries != 2 || f.Target.Session.QueriesTLS != 1 {
		t.Errorf("%d queries, %d with TLS; want 2, 1", f.Target.Engine.Queries, f.Target.Session.QueriesTLS)
	}
	if f.Clients.Received != 4 || f.Clients.Succeeded != 2 || f.Clients.FailedAuth != 2 {
		t.Errorf("clients: %+v", f.Clients)
	}
	if f.CertificateNotAfter.Before(time.Now()) {
		t.Errorf("certificate expires %v", f.CertificateNotAfter)
	}
	if s := f.Target.Session; s.ClientBytesIn == 0 || s.ClientBytesOut == 0 || s.ServerBytesIn == 0 || s.ServerBytesOut == 0 {
		t.Errorf("bytes: %+v", s)
	}
	w.exec(plain, "SELECT pg_sleep(0)")
	if err := plain.Close(t.Context()); err != nil {
		t.Error(err)
	}
	w.until("closed", func(f dataplane.ProxyFigures) bool { return f.Clients.Closed == 3 && f.Target.Session.ClientsIn == 1 })
}

func TestHealth(t *testing.T) {
	t.Parallel()
	pg := testkit.Postgres(t, localserver.PostgresOptions{})
	f := testkit.StartForebay(t, pg, testkit.ForebayOptions{Log: slog.DiscardHandler, Change: func(p *resource.Proxy) {
		p.Pool.RoutineScanInterval = 10 * time.Millisecond
	}})
	w := &world{Forebay: f, t: t}
	w.until("available", func(f dataplane.ProxyFigures) bool { return f.Target.Available && f.Target.Capacity.MaxConnections > 0 })
	if r := f.Plane.Readiness(); len(r) != 1 || !r[0].Ready || r[0].Proxy != "test" || r[0].Reason != "" {
		t.Errorf("readiness: %+v", r)
	}
	pg.Stop()
	w.until("unavailable", func(f dataplane.ProxyFigures) bool { return !f.Target.Available })
	if r := f.Plane.Readiness(); r[0].Ready || r[0].Reason == "" {
		t.Errorf("readiness without the target: %+v", r)
	}
	if v := f.Plane.Pools()[0]; v.Target.Available || v.Target.Reason == "" || v.Target.MaxConnections == 0 {
		t.Errorf("pools without the target: %+v", v)
	}
	f.Plane.Close()
	if got := f.Plane.Collect(); len(got.Proxies) != 1 {
		t.Errorf("after Close: %+v", got)
	}
}

// TestTotalsOutlivePools changes the target, so that the pools are made anew. The sessions go on, and so do the counts.
func TestTotalsOutlivePools(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := w.connect("")
	w.exec(c, "SELECT 1")
	before := w.figures().Target
	w.Proxy.Pool.MaxConnections = 3
	w.Apply(t) // the same target
	if after := w.figures().Target; after.Engine.Queries != before.Engine.Queries || after.Limits.MaxOpen != 3 {
		t.Errorf("after a change of the pool's size: %+v", after)
	}
	w.Proxy.Target.Members = slices.Clone(w.Proxy.Target.Members) // the plane has the others
	w.Proxy.Target.Members[0].Host = "localhost"                  // the same server by another name, for all that Forebay knows
	w.Apply(t)
	queries := before.Engine.Queries
	w.until("the session has moved", func(dataplane.ProxyFigures) bool {
		w.exec(c, "SELECT 1")
		queries++
		return w.figures().Target.Pool.Opened > before.Pool.Opened
	})
	if after := w.figures().Target; after.Engine.Queries != queries || after.Session.ClientsIn != 1 {
		t.Errorf("after a change of the target: %+v", after)
	}
}
