package localserver_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/testkit"
)

// expect asks a server as its superuser.
func expect(t *testing.T, p *localserver.Postgres, sql, want string) {
	t.Helper()
	if got, err := ask(t, p.SuperDSN("postgres"), sql); err != nil || got != want {
		t.Errorf("%s: %s: got %q, err %v; want %q", p.Addr(), sql, got, err, want)
	}
}

func TestPostgresSet(t *testing.T) {
	t.Parallel()
	testkit.EachPostgresRelease(t, func(t *testing.T, o localserver.PostgresOptions) {
		o.TLS = true
		set := testkit.PostgresSet(t, o, 2)
		first, second, third := set[0], set[1], set[2]
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		const recovers = "SELECT pg_is_in_recovery()"
		expect(t, first, recovers, "f")
		expect(t, second, recovers, "t")
		expect(t, third, recovers, "t")
		must(first.Exec(t.Context(), "CREATE TABLE t AS SELECT 1 AS x"))
		must(third.CatchUp(t.Context(), first))
		expect(t, third, "SELECT count(*) FROM t", "1")

		// The primary crashes, a standby takes over, and the others follow it.
		must(second.CatchUp(t.Context(), first))
		first.Kill()
		must(second.Promote(t.Context()))
		expect(t, second, recovers, "f")
		must(third.Follow(t.Context(), second))
		must(second.Exec(t.Context(), "INSERT INTO t VALUES (2)"))
		must(third.CatchUp(t.Context(), second))
		expect(t, third, "SELECT count(*) FROM t", "2")

		// The old primary comes back with a row that nobody else has, and loses it.
		must(first.Restart(t.Context()))
		expect(t, first, recovers, "f")
		must(first.Exec(t.Context(), "INSERT INTO t VALUES (3), (4)"))
		must(first.Follow(t.Context(), second))
		must(first.CatchUp(t.Context(), second))
		expect(t, first, recovers, "t")
		expect(t, first, "SELECT count(*) FROM t", "2")

		// A standby is one again after a restart.
		must(third.Restart(t.Context()))
		expect(t, third, recovers, "t")
	})
}

func TestFreeze(t *testing.T) {
	t.Parallel()
	p := testkit.Postgres(t, localserver.PostgresOptions{})
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatalf("a frozen server's port: %v", err)
	}
	defer nc.Close()
	// SSLRequest: a server that runs answers by one byte.
	if _, err := nc.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1)
	nc.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := nc.Read(answer); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a frozen server: read gives %q, %v", answer, err)
	}
	p.Thaw()
	nc.SetReadDeadline(time.Time{})
	if _, err := nc.Read(answer); err != nil || answer[0] != 'N' {
		t.Errorf("after Thaw: read gives %q, %v", answer, err)
	}

	// A frozen server can be killed, restarted and stopped.
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if err := p.Freeze(); err == nil {
		t.Error("a server that does not run was frozen")
	}
	if err := p.Restart(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	expect(t, p, "SELECT 1", "1")
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	p.Stop()
}
