package postgres

import (
	"strings"
	"testing"

	"forebay/internal/engine/postgres/sqltext"
)

// Texts that are too large to be read have the routines of all users of a database read again if their answers say that they may have
// changed them; and nothing does at a standby, unless it is none any more.
func TestUnreadDDL(t *testing.T) {
	t.Parallel()
	large := " '" + strings.Repeat("x", maxInspected) + "'"
	simple := func(sql string) []byte { return send(&q{String: sql}) }
	extended := func(sql string) []byte { return send(join(&prs{Query: sql}, call(""), synced)...) }
	for name, c := range map[string]struct {
		b               []byte
		writer, standby bool // whether routines may have been changed
	}{
		"insert":                     {simple("INSERT" + large), false, false},
		"insert, extended":           {extended("INSERT" + large), false, false},
		"select":                     {simple("SELECT" + large), false, false},
		"insert in a transaction":    {append(append(simple("BEGIN"), simple("INSERT"+large)...), simple("COMMIT")...), false, false},
		"one that fails there":       {append(append(simple("BEGIN"), simple("FAIL"+large)...), simple("ROLLBACK")...), false, false},
		"one that may have got away": {simple("FAIL" + large), true, false},
		"create":                     {simple("CREATE FUNCTION" + large), true, true},
		"create, extended":           {extended("CREATE FUNCTION" + large), true, true},
		"create behind an insert":    {simple("INSERT" + large + "; CREATE FUNCTION f"), true, true},
		"drop in a transaction":      {append(append(simple("BEGIN"), simple("DROP FUNCTION"+large)...), simple("COMMIT")...), true, true},
		"do":                         {simple("DO" + large), true, false},
		"read, unknown":              {simple("SELECT 1; EXECUTE nothing"), false, false},
		"read, do":                   {simple("DO 'BEGIN CREATE VIEW v AS SELECT 1; END'"), true, false},
		"read, create":               {simple("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"), true, true},
	} {
		for _, at := range []string{"writer", "standby"} {
			for _, size := range []int{100_000, 1 << 20} {
				w := newWorld(t, 1, 100)
				d := w.s.l.db
				r := sqltext.NewRoutines(sqltext.Catalog{})
				d.routines.Store(r)
				w.servers[0].v.standby = at == "standby"
				w.split = func() int { return size }
				want := c.writer
				if at == "standby" {
					want = c.standby
				}
				w.run(c.b)
				if v := w.s.srv; v != nil && v.q.n > 0 { // else it is pinned at most
					t.Fatalf("%s at the %s: it goes on", name, at)
				}
				if got := d.routines.Load() == nil; got != want {
					t.Errorf("%s at the %s, %d bytes at a time: routines may have been changed: %t", name, at, size, got)
				}
			}
		}
	}
}

// What becomes of a text that was not read, where the server connection is lost, nobody knows.
func TestUnreadLost(t *testing.T) {
	t.Parallel()
	for _, standby := range []bool{false, true} {
		w := newWorld(t, 1, 100)
		d := w.s.l.db
		d.routines.Store(sqltext.NewRoutines(sqltext.Catalog{}))
		v := w.servers[0].v
		v.standby = standby
		w.s.Attach(v, &w.o)
		w.s.FromClient(send(&q{String: "CREATE '" + strings.Repeat("x", maxInspected) + "'"})[:maxInspected], &w.o)
		if v.q.n != 1 {
			t.Fatal("nothing is under way")
		}
		w.s.Detach()
		if got := d.routines.Load() == nil; got == standby {
			t.Errorf("at a standby: %t: routines may have been changed: %t", standby, got)
		}
	}
}
