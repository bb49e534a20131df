// Package failover_test loses the primaries of real replication sets under clients that write.
package failover_test

import (
	"context"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/test/failover/workload"
)

// pgSet is a primary and a standby that it waits for, behind a Forebay.
type pgSet struct {
	set []*localserver.Postgres
	fb  *testkit.Forebay
	dsn string
}

func startPGSet(t *testing.T, o localserver.PostgresOptions, change func(*resource.Proxy)) *pgSet {
	t.Helper()
	s := &pgSet{set: testkit.PostgresSet(t, o, 1)}
	if err := s.set[0].Exec(t.Context(), workload.Table); err != nil {
		t.Fatal(err)
	}
	s.waitForStandby(t, 0)
	s.fb = testkit.StartForebay(t, s.set[0], testkit.ForebayOptions{Loops: 2, Change: func(p *resource.Proxy) {
		p.Target.Cluster = "set"
		first := p.Target.Members[0]
		p.Target.Members = nil
		for _, pg := range s.set {
			m := first
			m.Port = pg.Port()
			p.Target.Members = append(p.Target.Members, m)
		}
		p.Endpoints = append(p.Endpoints, resource.Endpoint{Name: "readers", Listen: "127.0.0.1:0", Role: resource.ReadOnly})
		p.Pool.MaxConnections = 10
		if change != nil {
			change(p)
		}
	}})
	s.dsn = s.fb.DSN("postgres", "postgres", "")
	return s
}

// dial logs a client in at Forebay.
func (s *pgSet) dial(ctx context.Context) (workload.Conn, error) {
	return workload.DialPostgres(ctx, s.dsn, 0)
}

// connect is dial for a client that ends with the test.
func (s *pgSet) connect(t *testing.T) workload.Postgres {
	t.Helper()
	return connectPG(t, s.dsn)
}

// direct is a connection straight to a member.
func (s *pgSet) direct(t *testing.T, i int) workload.Postgres {
	t.Helper()
	return connectPG(t, s.set[i].DSN("postgres", "postgres", s.set[i].Password()))
}

func connectPG(t *testing.T, dsn string) workload.Postgres {
	t.Helper()
	c, err := workload.DialPostgres(t.Context(), dsn, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// waitForStandby has a primary acknowledge nothing that its standby does not have.
func (s *pgSet) waitForStandby(t *testing.T, primary int) {
	t.Helper()
	s.alter(t, primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
}

func (s *pgSet) alter(t *testing.T, i int, statement string) {
	t.Helper()
	for _, sql := range []string{statement, "SELECT pg_reload_conf()"} {
		if err := s.set[i].Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *pgSet) promote(t *testing.T, i int) time.Time {
	t.Helper()
	s.alter(t, i, "ALTER SYSTEM SET synchronous_standby_names = ''")
	if err := s.set[i].Promote(context.Background()); err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

// The primary is killed under clients that write, and the standby promoted: no client loses its connection, no row that was
// acknowledged is missing, none is there twice, and a client that was idle notices nothing.
func TestPostgresPrimaryKilled(t *testing.T) {
	t.Parallel()
	testkit.EachPostgresRelease(t, func(t *testing.T, o localserver.PostgresOptions) {
		s := startPGSet(t, o, nil)
		idle := s.connect(t)
		if _, err := idle.Exec(t.Context(), "SET application_name = 'idle'"); err != nil {
			t.Fatal(err)
		}
		w := startWriting(t, 20, s.dial)
		w.goesOn(500)
		s.set[0].Kill()
		promoted := s.promote(t, 1)
		w.goesOn(500)
		t.Logf("%v from the promotion's end to 500 rows", time.Since(promoted).Round(time.Millisecond))
		var name string
		if err := idle.QueryRow(t.Context(), "SELECT current_setting('application_name') || pg_is_in_recovery()").Scan(&name); err != nil || name != "idlefalse" {
			t.Errorf("the idle client hears %q, %v", name, err)
		}
		w.end(s.direct(t, 1))
	})
}
