// Package failover_test loses the primaries of real replication sets under clients that write.
package failover_test

import (
	"context"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
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
	if err := s.set[0].Exec(t.Context(), "CREATE TABLE ledger (id bigint NOT NULL)"); err != nil {
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
		idle := connectPG(t, s.dsn)
		defer idle.close()
		if _, err := idle.Exec(t.Context(), "SET application_name = 'idle'"); err != nil {
			t.Fatal(err)
		}
		w := startWorkload(t, 20, func() conn { return connectPG(t, s.dsn) })
		w.goesOn(500)
		s.set[0].Kill()
		promoted := s.promote(t, 1)
		w.goesOn(500)
		t.Logf("%v from the promotion's end to 500 rows", time.Since(promoted).Round(time.Millisecond))
		var name string
		if err := idle.QueryRow(t.Context(), "SELECT current_setting('application_name') || pg_is_in_recovery()").Scan(&name); err != nil || name != "idlefalse" {
			t.Errorf("the idle client hears %q, %v", name, err)
		}
		direct := connectPG(t, s.set[1].DSN("postgres", "postgres", s.set[1].Password()))
		defer direct.close()
		w.end(direct)
	})
}
