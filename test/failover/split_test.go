package failover_test

import (
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5"
)

// With split reads, a transaction that declares READ ONLY comes to the standby in the end, and always sees what its client has
// written before, while another client writes all the time.
func TestPostgresSplitReads(t *testing.T) {
	t.Parallel()
	testkit.EachPostgresRelease(t, func(t *testing.T, o localserver.PostgresOptions) {
		s := startPGSet(t, o, func(p *resource.Proxy) { p.SplitReads = true })
		startWriting(t, 2, s.dial)
		c := connectPG(t, s.dsn)
		ctx := t.Context()
		for _, sql := range []string{"CREATE TABLE mine (n int)", "INSERT INTO mine VALUES (0)"} {
			if _, err := c.Exec(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		read := func() (n int, standby bool) {
			t.Helper()
			tx, err := c.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(ctx) }()
			if err := tx.QueryRow(ctx, "SELECT n, pg_is_in_recovery() FROM mine").Scan(&n, &standby); err != nil {
				t.Fatal(err)
			}
			return n, standby
		}
		served, end := 0, time.Now().Add(30*time.Second)
		for n := 1; served < 3; n++ {
			if time.Now().After(end) {
				t.Fatal("the standby serves nothing")
			}
			if _, err := c.Exec(ctx, "UPDATE mine SET n = $1", n); err != nil {
				t.Fatal(err)
			}
			for i := range 40 {
				got, standby := read()
				if got != n {
					t.Fatalf("read %d after %d was written, at a standby: %t", got, n, standby)
				}
				if standby && i > 0 {
					served++
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
	})
}
