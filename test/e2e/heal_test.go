package e2e

import (
	"context"
	"testing"

	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5"
)

// TestStalePlanFromOutside changes a table behind Forebay's back: a client that prepares a statement after the change must
// not meet the copy that a server connection has from before, as it would not on a direct connection.
func TestStalePlanFromOutside(t *testing.T) {
	t.Parallel()
	db, f := oneConnection(t, nil)
	ctx := context.Background()
	direct := connect(t, db.DSN())
	exec(t, direct, "CREATE TABLE healed (a int); INSERT INTO healed VALUES (1)")
	const query = "SELECT * FROM healed"
	old := connect(t, f.DSN(db.User, db.Name, ""))
	if _, err := old.Prepare(ctx, "s", query); err != nil {
		t.Fatal(err)
	}
	exec(t, old, "s")

	exec(t, direct, "ALTER TABLE healed ALTER COLUMN a TYPE text, ADD COLUMN b int")

	fresh := connect(t, f.DSN(db.User, db.Name, ""))
	sd, err := fresh.Prepare(ctx, "s", query)
	if err != nil {
		t.Fatalf("a client that prepares after the change: %v", err)
	}
	if len(sd.Fields) != 2 {
		t.Errorf("result has %d columns, want 2", len(sd.Fields))
	}
	var a string
	var b *int
	if err := fresh.QueryRow(ctx, "s").Scan(&a, &b); err != nil || a != "1" {
		t.Errorf("a = %q, err %v", a, err)
	}
}

// oneConnection makes a database and a Forebay in front of it whose clients all share one server connection.
func oneConnection(t *testing.T, change func(*resource.Proxy)) (testkit.DB, *testkit.Forebay) {
	t.Helper()
	pg := testkit.SharedPostgres(t)
	db := testkit.Database(t, pg)
	f := testkit.StartForebay(t, pg, testkit.ForebayOptions{
		Users: map[string]string{db.User: db.Password},
		Change: func(p *resource.Proxy) {
			p.Pool.MaxConnections = 1
			if change != nil {
				change(p)
			}
		},
	})
	return db, f
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func exec(t *testing.T, c *pgx.Conn, sql string) {
	t.Helper()
	if _, err := c.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
