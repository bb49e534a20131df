package e2e

import (
	"context"
	"testing"

	"forebay/internal/resource"
)

// TestInitQuerySurvives gives every session what init_query sets, also on a server connection that another client has reset, and
// RESET goes back to it.
func TestInitQuerySurvives(t *testing.T) {
	t.Parallel()
	db, f := oneConnection(t, func(p *resource.Proxy) {
		p.Pool.InitQuery = "SET work_mem = '7MB'; SET app.made = 'by init'"
	})
	sees := func(who string, sql, want string) {
		t.Helper()
		c := connect(t, f.DSN(db.User, db.Name, ""))
		if sql != "" {
			exec(t, c, sql)
		}
		var got string
		err := c.QueryRow(context.Background(), "SELECT current_setting('work_mem') || ' ' || current_setting('app.made', true)").Scan(&got)
		if err != nil || got != want {
			t.Errorf("%s: %q, err %v; want %q", who, got, err, want)
		}
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	sees("the first client", "", "7MB by init")
	sees("a client with settings of its own", "SET work_mem = '9MB'", "9MB by init")
	sees("the next client", "", "7MB by init")
	sees("a client that resets all", "RESET ALL", "7MB by init")
	sees("a client that discards all", "DISCARD ALL", "7MB by init")
	sees("a client that leaves state behind", "CREATE TEMP TABLE left_behind (a int)", "7MB by init")
	sees("the last client", "", "7MB by init")
}

// TestDeallocateInFunction has a client drop prepared statements where no text shows it: the next one must not notice.
func TestDeallocateInFunction(t *testing.T) {
	t.Parallel()
	db, f := oneConnection(t, nil)
	ctx := context.Background()
	one, two := connect(t, f.DSN(db.User, db.Name, "")), connect(t, f.DSN(db.User, db.Name, ""))
	var n int
	if err := two.QueryRow(ctx, "SELECT $1::int + 1", 1).Scan(&n); err != nil {
		t.Fatal(err)
	}
	exec(t, one, "DO $$ BEGIN DEALLOCATE ALL; END $$")
	if err := two.QueryRow(ctx, "SELECT $1::int + 1", 2).Scan(&n); err != nil || n != 3 {
		t.Errorf("n = %d, err %v", n, err)
	}
}
