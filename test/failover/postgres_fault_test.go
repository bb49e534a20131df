package failover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"forebay/internal/dataplane"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/test/failover/workload"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// throughLink has Forebay reach a member of the set through a link.
func (s *pgSet) throughLink(t *testing.T, i int) *link {
	t.Helper()
	l := startLink(t, s.set[i].Addr())
	s.fb.Proxy.Target.Members = slices.Clone(s.fb.Proxy.Target.Members)
	s.fb.Proxy.Target.Members[i].Port = l.port()
	s.fb.Apply(t)
	return l
}

// health is what Forebay knows of a member.
func health(fb *testkit.Forebay, i int) dataplane.TargetHealth {
	port := fb.Proxy.Target.Members[i].Port
	for _, h := range fb.Plane.TargetHealth() {
		if h.Member.Port == port {
			return h
		}
	}
	return dataplane.TargetHealth{}
}

func fenced(t *testing.T, fb *testkit.Forebay, i int) {
	t.Helper()
	eventually(t, "the old primary is fenced", func() error {
		if h := health(fb, i); h.Err == nil || !strings.Contains(h.Err.Error(), "claims to be the writer beside") {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
}

// keptOut has clients write while an old primary is there again, which takes itself for the primary: Forebay has to fence it,
// and no row that is written from then on may be found there.
func keptOut(t *testing.T, w *writing, fb *testkit.Forebay, old int, direct workload.Conn) {
	t.Helper()
	fenced(t, fb, old)
	after := w.Sent()
	w.all()
	w.goesOn(200)
	ids, err := direct.IDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids = slices.DeleteFunc(ids, func(id int64) bool { return id <= after })
	if len(ids) > 0 {
		t.Errorf("the old primary has been written to: rows %v, of those sent after %d", ids, after)
	}
}

// The primary's machine hangs: connections stay open, and nothing answers. What is under way there ends with an error once the
// standby is promoted, everybody goes on, and the old primary, which comes back and knows of nothing, is fenced.
func TestPostgresPrimaryFrozen(t *testing.T) {
	t.Parallel()
	s := startPGSet(t, localserver.PostgresOptions{}, nil)
	old := s.direct(t, 0)
	w := startWriting(t, 20, s.dial)
	w.goesOn(200)
	if err := s.set[0].Freeze(); err != nil {
		t.Fatal(err)
	}
	s.promote(t, 1)
	w.all()
	for class := range w.Errors() {
		if !strings.HasPrefix(class, "08006 ") {
			t.Errorf("a client hears %q", class)
		}
	}
	s.set[0].Thaw()
	// It waits no more for a standby that has left it: a write that came there would be kept.
	s.alter(t, 0, "ALTER SYSTEM SET synchronous_standby_names = ''")
	keptOut(t, w, s.fb, 0, old)
	w.end(s.direct(t, 1))
}

// Forebay alone is cut off from the primary. The standby is promoted; then the link is good again, and there are two writers:
// the newer timeline wins.
func TestPostgresLinkCut(t *testing.T) {
	t.Parallel()
	s := startPGSet(t, localserver.PostgresOptions{}, nil)
	l := s.throughLink(t, 0)
	w := startWriting(t, 20, s.dial)
	w.goesOn(200)
	l.cut()
	s.promote(t, 1)
	w.all()
	s.alter(t, 0, "ALTER SYSTEM SET synchronous_standby_names = ''")
	l.restore()
	keptOut(t, w, s.fb, 0, s.direct(t, 0))
	w.end(s.direct(t, 1))
}

// A slow link is no reason to give a primary up: nobody hears an error.
func TestPostgresLinkSlow(t *testing.T) {
	t.Parallel()
	s := startPGSet(t, localserver.PostgresOptions{}, nil)
	l := s.throughLink(t, 0)
	w := startWriting(t, 20, s.dial)
	w.goesOn(100)
	l.slow()
	w.all()
	w.goesOn(100)
	if truth := w.end(s.direct(t, 0)); len(truth.Errors) > 0 {
		t.Errorf("errors %v", truth.Errors)
	}
	if n := s.fb.Plane.Collect().Proxies[0].Target.Failovers; n != 0 {
		t.Errorf("%d failovers", n)
	}
}

// The primary is shut down in order, then the standby is promoted: no more than the statements under way fail.
func TestPostgresSwitchover(t *testing.T) {
	t.Parallel()
	s := startPGSet(t, localserver.PostgresOptions{}, nil)
	idle := s.connect(t)
	w := startWriting(t, 20, s.dial)
	w.goesOn(200)
	s.set[0].Shutdown()
	s.promote(t, 1)
	w.all()
	if err := idle.Ping(t.Context()); err != nil {
		t.Errorf("an idle client: %v", err)
	}
	truth := w.end(s.direct(t, 1))
	atMost(t, truth.Errors, s.fb.Proxy.Pool.MaxConnections)
}

// atMost fails the test if clients have heard more errors than that.
func atMost(t *testing.T, errs map[string]int, limit int) {
	t.Helper()
	n := 0
	for _, k := range errs {
		n += k
	}
	if n > limit {
		t.Errorf("%d errors, want at most %d, one for each server connection: %v", n, limit, errs)
	}
}

// A single server restarts: clients wait, and only statements that were under way fail.
func TestPostgresRestart(t *testing.T) {
	t.Parallel()
	pg := testkit.Postgres(t, localserver.PostgresOptions{})
	if err := pg.Exec(t.Context(), workload.Table); err != nil {
		t.Fatal(err)
	}
	fb := testkit.StartForebay(t, pg, testkit.ForebayOptions{Loops: 2})
	dsn := fb.DSN("postgres", "postgres", "")
	w := startWriting(t, 20, func(ctx context.Context) (workload.Conn, error) { return workload.DialPostgres(ctx, dsn, 0) })
	w.goesOn(200)
	if err := pg.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.all()
	truth := w.end(connectPG(t, pg.DSN("postgres", "postgres", pg.Password())))
	atMost(t, truth.Errors, testkit.PoolSize)
}

// A session with state that only its server had, or in a transaction, is told so with its next statement, once, and can then go on.
func TestPostgresPinned(t *testing.T) {
	t.Parallel()
	s := startPGSet(t, localserver.PostgresOptions{}, nil)
	pins := map[string]string{
		"temporary table": "CREATE TEMP TABLE mine (x int)",
		"channel":         "LISTEN news",
		"lock":            "SELECT pg_advisory_lock(1)",
		"transaction":     "BEGIN",
	}
	clients := map[string]workload.Postgres{}
	for name, sql := range pins {
		clients[name] = s.connect(t)
		if _, err := clients[name].Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "Forebay has seen what they have", func() error { // a client hears of its statement before that
		if n := s.fb.Plane.Collect().Proxies[0].Target.Engine.Pinned; n != 3 {
			return fmt.Errorf("%d sessions are pinned", n)
		}
		return nil
	})
	s.set[0].Kill()
	s.promote(t, 1)
	for name, c := range clients {
		var pg *pgconn.PgError
		err := c.Ping(t.Context())
		if !errors.As(err, &pg) || !strings.HasPrefix(pg.Code, "08") {
			t.Errorf("%s: the next statement hears %v, want an error of class 08", name, err)
		}
		t.Logf("%s: %v", name, err)
		if name == "transaction" { // it is over, and its client has to know before it goes on
			if err := c.Ping(t.Context()); !errors.As(err, &pg) || pg.Code != "25P02" {
				t.Errorf("%s: before its end the client hears %v, want 25P02", name, err)
			}
			if _, err := c.Exec(t.Context(), "ROLLBACK"); err != nil {
				t.Errorf("%s: its end: %v", name, err)
			}
		}
		if _, err := c.Exec(t.Context(), pins[name]); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
}

// nothingOpen waits until Forebay has no server connection.
func nothingOpen(t *testing.T, fb *testkit.Forebay) {
	t.Helper()
	eventually(t, "no server connection is open", func() error {
		if p := fb.Plane.Collect().Proxies[0].Target.Pool; p.Open+p.Opening > 0 {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
}

// A database is restarted while its proxy is paused: nobody notices but for the wait.
func TestPostgresPaused(t *testing.T) {
	t.Parallel()
	pg := testkit.Postgres(t, localserver.PostgresOptions{})
	if err := pg.Exec(t.Context(), workload.Table); err != nil {
		t.Fatal(err)
	}
	fb := testkit.StartForebay(t, pg, testkit.ForebayOptions{Loops: 2})
	dsn := fb.DSN("postgres", "postgres", "")
	w := startWriting(t, 20, func(ctx context.Context) (workload.Conn, error) { return workload.DialPostgres(ctx, dsn, 0) })
	w.goesOn(200)
	fb.Proxy.Paused = true
	fb.Apply(t)
	nothingOpen(t, fb)
	if err := pg.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	fb.Proxy.Paused = false
	fb.Apply(t)
	w.all()
	if truth := w.end(connectPG(t, pg.DSN("postgres", "postgres", pg.Password()))); len(truth.Errors) > 0 {
		t.Errorf("errors %v", truth.Errors)
	}
}

// Clients that come while there is no writer wait, and are served in the order of their coming.
func TestPostgresOutage(t *testing.T) {
	t.Parallel()
	const clients = 20
	s := startPGSet(t, localserver.PostgresOptions{}, func(p *resource.Proxy) { p.Pool.MaxConnections = 1 })
	if err := s.set[0].Exec(t.Context(), "CREATE TABLE arrivals (place bigserial, client int)"); err != nil {
		t.Fatal(err)
	}
	if err := s.set[1].CatchUp(t.Context(), s.set[0]); err != nil {
		t.Fatal(err)
	}
	var all []workload.Postgres
	for range clients {
		all = append(all, s.connect(t))
	}
	s.set[0].Kill()
	killed := time.Now()
	nothingOpen(t, s.fb) // else a statement could still be sent to the one that has just died
	answers := make(chan error, clients)
	for i, c := range all {
		go func() {
			// In one round trip: a client that prepares first waits twice, and the second time as soon as it gets to it.
			_, err := c.Exec(context.Background(), "INSERT INTO arrivals (client) VALUES ($1)", pgx.QueryExecModeSimpleProtocol, i)
			answers <- err
		}()
		eventually(t, "it waits", func() error {
			if len(answers) > 0 {
				t.Fatal(<-answers)
			}
			if p := s.fb.Plane.Collect().Proxies[0].Target.Pool; p.Waiting != i+1 {
				return fmt.Errorf("%d wait, want %d", p.Waiting, i+1)
			}
			return nil
		})
	}
	// Long enough for attempts to connect to become rare.
	<-time.After(time.Until(killed.Add(3 * time.Second)))
	s.promote(t, 1)
	for range clients {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	rows, err := s.set[1].Query(t.Context(), "postgres", "SELECT client FROM arrivals ORDER BY place")
	if err != nil {
		t.Fatal(err)
	}
	// There are two loops with a queue each, so that two neighbours may change places, and who is a loop's first may come late.
	for place, row := range rows {
		var client int
		fmt.Sscan(row[0], &client)
		if d := client - place; d < -clients/2 || d > clients/2 {
			t.Errorf("client %d is served at place %d: %v", client, place, rows)
		}
	}
	if len(rows) != clients {
		t.Errorf("%d rows, want %d", len(rows), clients)
	}
}
