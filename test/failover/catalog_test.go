package failover_test

import (
	"database/sql"
	"net"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
)

const (
	harmless = "CREATE OR REPLACE FUNCTION tenant() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'"
	leaving  = "CREATE OR REPLACE FUNCTION tenant() RETURNS int LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('app.tenant', 'mine', false); RETURN 2; END$$"
	shows    = "SELECT coalesce(current_setting('app.tenant', true), '')"
)

func askPG[T any](t *testing.T, c *pgx.Conn, sql string) (v T) {
	t.Helper()
	if err := c.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// A function that one user replaces through Forebay is another one for all users of the database at once, also at a reader to which
// it has yet to come: what it leaves in a session is not left to the next client.
func TestPostgresReplacedFunction(t *testing.T) {
	t.Parallel()
	testkit.EachPostgresRelease(t, func(t *testing.T, o localserver.PostgresOptions) {
		s := &pgSet{set: testkit.PostgresSet(t, o, 1)}
		ctx := t.Context()
		if err := s.set[0].CreateUser(ctx, localserver.User{Name: "app", Password: "pw"}); err != nil {
			t.Fatal(err)
		}
		if err := s.set[0].Exec(ctx, harmless); err != nil {
			t.Fatal(err)
		}
		if err := s.set[1].CatchUp(ctx, s.set[0]); err != nil {
			t.Fatal(err)
		}
		s.fb = testkit.StartForebay(t, s.set[0], testkit.ForebayOptions{
			Users: map[string]string{"postgres": s.set[0].Password(), "app": "pw"},
			Change: func(p *resource.Proxy) {
				p.Target.Cluster = "set"
				m := p.Target.Members[0]
				m.Port = s.set[1].Port()
				p.Target.Members = append(p.Target.Members, m)
				p.Endpoints = append(p.Endpoints, resource.Endpoint{Name: "readers", Listen: "127.0.0.1:0", Role: resource.ReadOnly})
				p.Pool.MaxConnections, p.Pool.RoutineScanInterval = 3, time.Hour
			},
		})
		admin := connectPG(t, s.fb.DSN("postgres", "postgres", ""))
		for _, at := range []string{"default", "readers"} {
			host, port, err := net.SplitHostPort(s.fb.Plane.Addrs()["test"][at])
			if err != nil {
				t.Fatal(err)
			}
			dsn := "host=" + host + " port=" + port + " user=app password=pw dbname=postgres sslmode=disable"
			one, other := connectPG(t, dsn), connectPG(t, dsn)
			if got := askPG[int](t, one.Conn, "SELECT tenant()"); got != 1 {
				t.Fatal(got)
			}
			standby := connectPG(t, s.set[1].DSN("postgres", "postgres", s.set[1].Password()))
			if _, err := standby.Exec(ctx, "SELECT pg_wal_replay_pause()"); err != nil {
				t.Fatal(err)
			}
			if _, err := admin.Exec(ctx, leaving); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second) // the catalog is read anew meanwhile, at the standby too
			if _, err := standby.Exec(ctx, "SELECT pg_wal_replay_resume()"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is another function", func() error {
				for askPG[int](t, one.Conn, "SELECT tenant()") != 2 {
					time.Sleep(time.Millisecond)
				}
				return nil
			})
			if got := askPG[string](t, other.Conn, shows); got != "" {
				t.Errorf("%s: another client has %q", at, got)
			}
			if _, err := admin.Exec(ctx, harmless); err != nil {
				t.Fatal(err)
			}
			if err := s.set[1].CatchUp(ctx, s.set[0]); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The same for MySQL and MariaDB, at a reader: what a function sets there that has been replaced is not left to the next client, while
// the reader has yet to get it.
func TestMySQLReplacedFunction(t *testing.T) {
	t.Parallel()
	eachMySet(t, func(t *testing.T, s *mySet) {
		ctx := t.Context()
		replica := s.Replicas()[0]
		for _, m := range []*localserver.MySQL{s.Primary(), replica} {
			if err := m.Exec(ctx, "SET GLOBAL log_bin_trust_function_creators = 1"); err != nil {
				t.Fatal(err)
			}
		}
		stop, start := "STOP REPLICA SQL_THREAD", "START REPLICA SQL_THREAD"
		if replica.Version().Product == localserver.ProductMariaDB {
			stop, start = "STOP SLAVE SQL_THREAD", "START SLAVE SQL_THREAD"
		}
		s.fb.Proxy.Endpoints = append(s.fb.Proxy.Endpoints, resource.Endpoint{Name: "readers", Listen: "127.0.0.1:0", Role: resource.ReadOnly})
		s.fb.Proxy.Pool.MaxConnections, s.fb.Proxy.Pool.RoutineScanInterval = 3, time.Hour
		s.fb.Apply(t)
		cfg, err := mysql.ParseDSN(s.dsn)
		if err != nil {
			t.Fatal(err)
		}
		connect := func(address string) *sql.Conn {
			t.Helper()
			cfg := cfg.Clone()
			cfg.Addr = address
			db, err := sql.Open("mysql", cfg.FormatDSN())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			c, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		readers := s.fb.Plane.Addrs()["test"]["readers"]
		admin, one, other := connect(cfg.Addr), connect(readers), connect(readers)
		exec := func(statement string) {
			t.Helper()
			if _, err := admin.ExecContext(ctx, statement); err != nil {
				t.Fatal(err)
			}
		}
		exec("CREATE FUNCTION tenant() RETURNS INT NO SQL RETURN 1")
		calls := func() (n int, err error) {
			err = one.QueryRowContext(ctx, "SELECT tenant()").Scan(&n)
			return n, err
		}
		eventually(t, "the function has come", func() error {
			_, err := calls()
			return err
		})
		time.Sleep(2 * time.Second) // what it does is known at the replica
		if err := replica.Exec(ctx, stop); err != nil {
			t.Fatal(err)
		}
		exec("DROP FUNCTION tenant")
		exec("CREATE FUNCTION tenant() RETURNS INT NO SQL BEGIN SET @tenant = 'mine'; RETURN 2; END")
		if n, err := calls(); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		time.Sleep(2 * time.Second) // the routines are read anew meanwhile
		if err := replica.Exec(ctx, start); err != nil {
			t.Fatal(err)
		}
		for n := 1; n != 2; n, _ = calls() { // for a moment there is none
			time.Sleep(time.Millisecond)
		}
		var left string
		if err := other.QueryRowContext(ctx, "SELECT COALESCE(@tenant, '')").Scan(&left); err != nil || left != "" {
			t.Errorf("another client has %q, err %v", left, err)
		}
	})
}
