package testkit

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"forebay/internal/localserver"
)

// Postgres starts a PostgreSQL server for this test alone and stops it with the test. Prefer SharedPostgres, which is
// faster, unless the test restarts the server or needs options of its own.
//
// Without PostgreSQL on the machine the test is skipped, or fails if FOREBAY_REQUIRE_SERVERS is 1.
func Postgres(t testing.TB, o localserver.PostgresOptions) *localserver.Postgres {
	t.Helper()
	p, err := localserver.StartPostgres(t.Context(), o)
	if err != nil {
		noServer(t, err)
	}
	t.Cleanup(p.Stop)
	return p
}

// PostgresSet starts a primary and some standbys that stream from it, the primary first, for this test alone. They stop
// with the test. Without PostgreSQL on the machine it does as Postgres.
func PostgresSet(t testing.TB, o localserver.PostgresOptions, standbys int) []*localserver.Postgres {
	t.Helper()
	set, err := localserver.StartPostgresSet(t.Context(), o, standbys)
	if err != nil {
		noServer(t, err)
	}
	for _, p := range set {
		t.Cleanup(p.Stop)
	}
	return set
}

// Patroni starts a cluster of n PostgreSQL servers under Patroni for this test alone, which agree by an etcd at that address. It stops
// with the test. Without Patroni or PostgreSQL on the machine the test is skipped, like Postgres.
func Patroni(t testing.TB, etcd string, n int) *localserver.Patroni {
	t.Helper()
	p, err := localserver.StartPatroni(t.Context(), etcd, n)
	if err != nil {
		noServer(t, err)
	}
	t.Cleanup(p.Stop)
	t.Cleanup(func() {
		for _, n := range p.Nodes {
			if t.Failed() {
				t.Logf("%s: %s", n.Name, n.Log())
			}
		}
	})
	return p
}

// EachPostgresRelease runs a subtest, side by side with others, for each major version of PostgreSQL that is on the
// machine, with options to start servers of it. It skips as EachPostgres does.
func EachPostgresRelease(t *testing.T, test func(t *testing.T, o localserver.PostgresOptions)) {
	t.Helper()
	eachPostgres(t, func(t *testing.T, in localserver.Install) {
		test(t, localserver.PostgresOptions{BinDir: in.BinDir, Chroot: in.Chroot})
	})
}

// postgresServers suit most tests: TLS is offered, not demanded.
var postgresServers = shared[*localserver.Postgres]{
	find: localserver.FindPostgres,
	start: func(ctx context.Context, in localserver.Install) (*localserver.Postgres, error) {
		return localserver.StartPostgres(ctx, localserver.PostgresOptions{
			BinDir: in.BinDir, Chroot: in.Chroot, MaxConnections: 100, TLS: true,
		})
	},
}

// SharedPostgres returns the one server of this test binary, started by the first test that asks. It offers TLS, and
// has 100 connections. Tests run side by side on it: use Database, and leave the server's own settings alone.
func SharedPostgres(t testing.TB) *localserver.Postgres {
	t.Helper()
	return postgresServers.get(t, localserver.Install{})
}

// EachPostgres runs a subtest, side by side with others, for each major version of PostgreSQL that is on the machine,
// with a server like that of SharedPostgres. The newest, in the sid tree, is skipped with a word where there is no tree.
func EachPostgres(t *testing.T, test func(t *testing.T, p *localserver.Postgres)) {
	t.Helper()
	eachPostgres(t, func(t *testing.T, in localserver.Install) { test(t, postgresServers.get(t, in)) })
}

func eachPostgres(t *testing.T, test func(t *testing.T, in localserver.Install)) {
	t.Helper()
	all, err := localserver.PostgresReleases()
	if err != nil {
		noServer(t, err)
	}
	for _, in := range all {
		t.Run(fmt.Sprintf("postgres%d", in.Major), func(t *testing.T) {
			t.Parallel()
			test(t, in)
		})
	}
	if _, err := localserver.SidTree(); err != nil {
		t.Run("newest", func(t *testing.T) { t.Skipf("needs the newest PostgreSQL: %v", err) })
	}
}

var databases atomic.Int64

// DB is a database made for one test, with a user of its own.
type DB struct {
	Server   *localserver.Postgres
	Name     string
	User     string // owns the database; no superuser
	Password string
}

// DSN returns a connection URL straight to the server.
func (d DB) DSN() string { return d.Server.DSN(d.User, d.Name, d.Password) }

// Database makes a database and a user for this test, and removes both with the test.
func Database(t testing.TB, p *localserver.Postgres) DB {
	t.Helper()
	n := databases.Add(1)
	name := fmt.Sprintf("test_%d_%s", n, plainName(t.Name()))
	d := DB{Server: p, Name: name, User: fmt.Sprintf("user_%d", n), Password: "pw-" + name}
	if err := p.CreateUser(t.Context(), localserver.User{Name: d.User, Password: d.Password}); err != nil {
		t.Fatal(err)
	}
	if err := p.CreateDatabase(t.Context(), d.Name, d.User); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // the test's own has ended
		if p.PID() == 0 {
			return // the test killed the server
		}
		if err := p.DropDatabase(ctx, d.Name); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
		if err := p.Exec(ctx, "DROP ROLE "+d.User); err != nil {
			t.Errorf("drop the test's user: %v", err)
		}
	})
	return d
}
