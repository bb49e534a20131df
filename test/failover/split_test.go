package failover_test

import (
	"database/sql"
	"fmt"
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
		seesOwnWrites(t, func(n int) error {
			_, err := c.Exec(ctx, "UPDATE mine SET n = $1", n)
			return err
		}, func() (n int, standby bool, err error) {
			tx, err := c.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
			if err != nil {
				return 0, false, err
			}
			defer func() { _ = tx.Rollback(ctx) }()
			err = tx.QueryRow(ctx, "SELECT n, pg_is_in_recovery() FROM mine").Scan(&n, &standby)
			return n, standby, err
		})
	})
}

// The same for MySQL and MariaDB, whose replica has read_only.
func TestMySQLSplitReads(t *testing.T) {
	t.Parallel()
	eachMySet(t, func(t *testing.T, s *mySet) {
		s.fb.Proxy.SplitReads = true
		s.fb.Apply(t)
		startWriting(t, 2, s.dial)
		db, err := sql.Open("mysql", s.dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		ctx := t.Context()
		c, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{"CREATE TABLE mine (n int)", "INSERT INTO mine VALUES (0)"} {
			if _, err := c.ExecContext(ctx, statement); err != nil {
				t.Fatal(err)
			}
		}
		seesOwnWrites(t, func(n int) error {
			_, err := c.ExecContext(ctx, fmt.Sprintf("UPDATE mine SET n = %d", n))
			return err
		}, func() (n int, replica bool, err error) {
			tx, err := c.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
			if err != nil {
				return 0, false, err
			}
			defer func() { _ = tx.Rollback() }()
			err = tx.QueryRowContext(ctx, "SELECT n, @@GLOBAL.read_only FROM mine").Scan(&n, &replica)
			return n, replica, err
		})
	})
}

// seesOwnWrites writes numbers, and reads after each until a replica has served that, three times: what is read is always what
// was written last.
func seesOwnWrites(t *testing.T, write func(n int) error, read func() (n int, replica bool, err error)) {
	t.Helper()
	served, end := 0, time.Now().Add(patience)
	for n := 1; served < 3; n++ {
		if time.Now().After(end) {
			t.Fatal("the replica serves nothing")
		}
		if err := write(n); err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			got, replica, err := read()
			if err != nil {
				t.Fatal(err)
			}
			if got != n {
				t.Fatalf("read %d after %d was written, at a replica: %t", got, n, replica)
			}
			if replica && i > 0 {
				served++
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}
