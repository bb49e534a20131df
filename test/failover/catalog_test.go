package failover_test

import (
	"net"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"

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
