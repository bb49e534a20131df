package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestTinyTimeout checks that settings are carried to and from a client whose own time limits leave no time for that: its
// statements may fail, but it keeps its connection, and others do not notice.
func TestTinyTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	big := strings.Repeat("x", 190<<10)
	tiny, other := w.open("options", "-c lock_timeout=1"), w.open("timezone", "Asia/Tokyo")
	tiny.must("SET app.big = '" + big + "'")
	tiny.must("SET statement_timeout = 1")
	other.must("SET app.big = 'small" + big + "'")
	for range 50 {
		if got, err := tiny.exec("SHOW statement_timeout"); err == nil {
			if text(got[0]) != "1ms" {
				t.Fatalf("statement_timeout is %s", text(got[0]))
			}
		} else {
			failsWith(t, "under a statement_timeout of 1 ms", err, "57014")
		}
		if got := other.must("SELECT left(current_setting('app.big'), 5), current_setting('timezone'), current_setting('statement_timeout'), current_setting('lock_timeout')"); got != "small,Asia/Tokyo,0,0" {
			t.Fatalf("the other client sees %s", got)
		}
	}
}

// TestLargeSettings checks that settings too large to be carried stay with the session, on a server connection of its own.
func TestLargeSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 3})
	other := w.open()
	const size = "SELECT length(current_setting('app.big')), current_setting('app.small'), current_setting('work_mem')"
	for how, set := range map[string]string{
		"set_config": "SELECT set_config('app.big', repeat('x', 3000000), false)",
		"SET":        "SET app.big = '" + strings.Repeat("x", 300_000) + "'",
		"a DO block": "DO $$BEGIN PERFORM set_config('app.big', repeat('x', 2000000), false); END$$",
	} {
		c := w.open("options", "-c app.big=start -c work_mem=5MB")
		c.must("SET app.small = 's'")
		c.must(set)
		if got := w.pins(c); !slices.Equal(got, []string{"settings_too_large"}) {
			t.Fatalf("%s: pins %v", how, got)
		}
		c.must("SET work_mem = '9MB'")
		want := map[string]string{"set_config": "3000000", "SET": "300000", "a DO block": "2000000"}[how] + ",s,9MB"
		for range 3 {
			if got := c.must(size); got != want {
				t.Fatalf("%s: %s, want %s", how, got, want)
			}
			if got := other.must("SELECT current_setting('app.big', true), current_setting('work_mem')"); strings.TrimPrefix(got, "NULL") != ",4MB" {
				t.Fatalf("%s: another client sees %s", how, short(got))
			}
		}
		c.must("RESET app.big")
		if got := w.pins(c); len(got) > 0 {
			t.Errorf("%s: pins %v after RESET", how, got)
		}
		if got := c.must(size); got != "5,s,9MB" {
			t.Errorf("%s: %s after RESET", how, got)
		}
		c.leave()
	}
	// Many of them.
	c := w.open()
	for i := range 10 {
		c.must(fmt.Sprintf("SET app.n%d = '%d%s'", i, i, strings.Repeat("x", 150_000)))
	}
	if got := w.pins(c); !slices.Equal(got, []string{"settings_too_large"}) {
		t.Fatalf("many: pins %v", got)
	}
	for i := range 10 {
		if got := c.must(fmt.Sprintf("SELECT left(current_setting('app.n%d'), 1)", i)); got != fmt.Sprint(i) {
			t.Errorf("app.n%d begins with %q", i, got)
		}
	}
	// They are lost with their server connection, and the client must know.
	w.super("SELECT pg_terminate_backend(" + c.backend() + ")")
	if _, err := c.exec("SELECT 1"); err == nil || !strings.Contains(err.Error(), "FATAL") {
		t.Errorf("after the server connection was lost: %v", err)
	}
}

// TestManySQLStatements checks that a client has all its SQL-level prepared statements, also those that are not carried.
func TestManySQLStatements(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	c, other := w.open(), w.open()
	for how, prepare := range map[string]func() (last string){
		"many": func() string {
			for i := range 1100 {
				c.must(fmt.Sprintf("PREPARE p%d AS SELECT %d", i, i))
			}
			return "p1099"
		},
		"large": func() string {
			c.must("PREPARE p1 AS SELECT 1")
			c.must("PREPARE p2 AS SELECT '" + strings.Repeat("x", 600_000) + "' = ''")
			c.must("PREPARE p1099 AS SELECT 1099")
			return "p1099"
		},
	} {
		last := prepare()
		if got := w.pins(c); !slices.Equal(got, []string{"sql_prepared_statement"}) {
			t.Fatalf("%s: pins %v", how, got)
		}
		other.fails("EXECUTE p1", "26000")
		for range 3 {
			if got := c.must("EXECUTE p1") + c.must("EXECUTE "+last); got != "11099" {
				t.Errorf("%s: %s", how, got)
			}
			c.fails("PREPARE p1 AS SELECT 2", "42P05")
		}
		c.must("DEALLOCATE " + last)
		c.fails("EXECUTE "+last, "26000")
		c.must("DEALLOCATE ALL")
		if got := w.pins(c); len(got) > 0 {
			t.Errorf("%s: pins %v after DEALLOCATE ALL", how, got)
		}
		c.fails("EXECUTE p1", "26000")
	}
}

// TestManyStatements checks that a client with too many prepared statements is told so, and goes on.
func TestManyStatements(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	c := w.wire()
	const most = 10_000
	for i := range most {
		c.send(parse(fmt.Sprint("n", i), "SELECT 1"))
		if i%1000 == 999 {
			c.send(syncNow)
			c.ready(1)
		}
	}
	c.log = nil
	c.send(parse("more", "SELECT 2"), bind("", "more"), execute("", 0), syncNow)
	c.ready(1)
	if len(c.log) != 2 || !strings.HasPrefix(c.log[0], "ERROR ERROR 54000: too many prepared statements") {
		t.Fatalf("told %v", c.log)
	}
	c.log = nil
	c.send(bind("", fmt.Sprint("n", most-1)), execute("", 0), closeS("n1"), syncNow)
	c.send(parse("more", "SELECT 2"), bind("", "more"), execute("", 0), syncNow)
	c.ready(2)
	var rows []string
	for _, m := range c.log {
		if strings.HasPrefix(m, "row ") || strings.HasPrefix(m, "ERROR") {
			rows = append(rows, m)
		}
	}
	if !slices.Equal(rows, []string{"row 1", "row 2"}) {
		t.Errorf("told %v", rows)
	}
}

// TestMuchBehindReset checks that a client is served whose requests stand for far more than they take themselves.
func TestMuchBehindReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	var params []string
	for i := range 500 {
		params = append(params, fmt.Sprint("a.b", i), "1")
	}
	c := w.wire(params...)
	c.send(query("BEGIN"))
	c.ready(1)
	c.send(parse("r", "RESET ALL"))
	for range 300 {
		c.send(bind("", "r"), execute("", 0))
	}
	c.send(syncNow, query("SELECT current_setting('a.b499')"), query("ROLLBACK"))
	c.ready(3)
	if got := c.log[len(c.log)-5:]; !slices.Contains(got, "row 1") {
		t.Errorf("told %v", got)
	}
}
