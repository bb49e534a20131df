package localserver_test

import (
	"context"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/testkit"
)

// wantRows fails the test unless the table has as many rows on that member.
func wantRows(t *testing.T, m *localserver.MySQL, want string) {
	t.Helper()
	if got, err := askMySQL(t, m.SuperDSN("app"), "SELECT COUNT(*) FROM t"); err != nil || got != want {
		t.Errorf("%s: %q rows, err %v; want %s", m.Addr(), got, err, want)
	}
}

// TestMySQLReplicas goes through what happens to a replication set: a switchover, the loss of the primary, its return with
// and without a write that nobody else has.
func TestMySQLReplicas(t *testing.T) {
	t.Parallel()
	eachMySQL(t, func(t *testing.T, in localserver.Install) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		set := testkit.MySQLReplicas(t, localserver.MySQLReplicasOptions{
			Server: localserver.MySQLOptions{BinDir: in.BinDir, Chroot: in.Chroot}, Replicas: 2, SemiSync: true,
		})
		first, second, third := set.Members[0], set.Members[1], set.Members[2]
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		everywhere := func(rows string) {
			t.Helper()
			for _, m := range set.Replicas() {
				must(set.CatchUp(ctx, m))
			}
			for _, m := range set.Members {
				wantRows(t, m, rows)
			}
		}
		must(first.CreateDatabase(ctx, "app"))
		must(first.CreateUser(ctx, localserver.MySQLUser{Name: "app", Password: "x", Database: "app"}))
		must(first.ExecIn(ctx, "app", "CREATE TABLE t (x int PRIMARY KEY) ENGINE=InnoDB; INSERT INTO t VALUES (1)"))
		everywhere("1")
		if _, err := askMySQL(t, second.DSN("app", "app", "x"), "INSERT INTO t VALUES (100)"); err == nil {
			t.Error("a replica takes a write")
		}

		must(set.Switchover(ctx, second))
		if _, err := askMySQL(t, second.DSN("app", "app", "x"), "INSERT INTO t VALUES (2)"); err != nil {
			t.Errorf("a write to the new primary: %v", err)
		}
		if _, err := askMySQL(t, first.DSN("app", "app", "x"), "INSERT INTO t VALUES (101)"); err == nil {
			t.Error("the old primary takes a write")
		}
		everywhere("2")

		// A replica that is behind is promoted: it has what the other one has received.
		must(first.Exec(ctx, stopIO(in)))
		must(second.ExecIn(ctx, "app", "INSERT INTO t VALUES (3)"))
		must(set.CatchUp(ctx, third))
		must(second.Freeze())
		must(set.Promote(ctx, first))
		wantRows(t, first, "3")
		second.Kill()
		must(second.Restart(ctx))
		if _, err := askMySQL(t, second.DSN("app", "app", "x"), "INSERT INTO t VALUES (102)"); err == nil {
			t.Error("a primary that has come back takes a write")
		}
		must(set.Rejoin(ctx, second))
		must(first.ExecIn(ctx, "app", "INSERT INTO t VALUES (4)"))
		everywhere("4")

		// The primary has a write that no replica has received: it is not acknowledged, and it is lost.
		must(second.Exec(ctx, stopIO(in)))
		must(third.Exec(ctx, stopIO(in)))
		written := make(chan error, 1)
		go func() { written <- first.ExecIn(ctx, "app", "INSERT INTO t VALUES (5)") }()
		waits := "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for semi-sync ACK%'"
		for {
			rows, err := first.Query(ctx, "", waits)
			must(err)
			if rows[0][0] == "1" {
				break
			}
		}
		first.Kill()
		if err := <-written; err == nil {
			t.Error("a write was acknowledged that no replica has")
		}
		must(set.Promote(ctx, third))
		must(first.Restart(ctx))
		must(third.ExecIn(ctx, "app", "INSERT INTO t VALUES (6)"))
		must(set.Rejoin(ctx, first))
		everywhere("5")
		if set.Primary() != third {
			t.Error("the primary is not the one that was promoted")
		}
	})
}

func stopIO(in localserver.Install) string {
	if in.Product == localserver.ProductMariaDB {
		return "STOP SLAVE IO_THREAD"
	}
	return "STOP REPLICA IO_THREAD"
}
