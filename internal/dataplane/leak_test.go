package dataplane_test

import (
	"context"
	"os"
	"runtime"
	"testing"

	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// TestNothingLeftBehind runs a life of a data plane, with clients that leave in every way, a reload and a close, and then
// counts what is left: no goroutine, no descriptor. It does not run beside other tests, whose own would count.
func TestNothingLeftBehind(t *testing.T) {
	pg := testkit.SharedPostgres(t)
	db := testkit.Database(t, pg)
	before, ignore := descriptors(t), goleak.IgnoreCurrent()

	t.Run("life", func(t *testing.T) {
		ctx := context.Background()
		f := testkit.StartForebay(t, pg, testkit.ForebayOptions{Users: map[string]string{db.User: db.Password}, Loops: 2})
		open := func() *pgx.Conn {
			c, err := pgx.Connect(ctx, f.DSN(db.User, db.Name, ""))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for i := range 30 {
			c := open()
			if _, err := c.Exec(ctx, "SELECT $1::int", i); err != nil {
				t.Fatal(err)
			}
			switch i % 5 {
			case 0: // says good-bye
				c.Close(ctx)
			case 1: // vanishes
				c.PgConn().Conn().Close()
			case 2: // vanishes in a transaction
				if _, err := c.Exec(ctx, "BEGIN"); err != nil {
					t.Fatal(err)
				}
				c.PgConn().Conn().Close()
			case 3: // leaves state behind
				if _, err := c.Exec(ctx, "CREATE TEMP TABLE leaves (a int)"); err != nil {
					t.Fatal(err)
				}
				c.Close(ctx)
			case 4: // is there to the end
				defer c.PgConn().Conn().Close()
			}
		}
		if _, err := pgx.Connect(ctx, f.DSN("nobody", db.Name, "")); err == nil {
			t.Error("an unknown user was let in")
		}
		f.Proxy.Endpoints = append(f.Proxy.Endpoints, resource.Endpoint{Name: "second", Listen: "127.0.0.1:0"})
		f.Apply(t)
		f.Proxy.Endpoints = f.Proxy.Endpoints[:1]
		f.Apply(t)
	})

	goleak.VerifyNone(t, ignore)
	runtime.GC()
	if after := descriptors(t); before >= 0 && after > before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

// descriptors counts the process's open descriptors, -1 where the system does not tell.
func descriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(d)
}
