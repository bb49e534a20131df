package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Ways to leave state behind, or to meet another's, that are easily missed. The pool has one server connection: what one
// client leaves, the next meets.

func TestUpdateOfSettingsViewIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	w.super("CREATE VIEW public.v AS SELECT * FROM pg_settings; GRANT ALL ON public.v TO public")
	a, b := w.open(), w.open()
	for _, view := range []string{`"pg_settings"`, "Pg_Catalog.PG_SETTINGS", "public.v"} {
		a.must("UPDATE " + view + " SET setting = 'a' WHERE name = 'search_path'")
		if got := b.must("SHOW search_path"); got == "a" {
			t.Errorf("%s: the other client has the setting", view)
		}
		if got := a.must("SHOW search_path"); got != "a" {
			t.Errorf("%s: search_path is %q, want that of the session", view, got)
		}
		a.must("RESET search_path")
	}
}

// What would have destroyed the unnamed statement on the server is skipped after an error.
func TestUnnamedStatementThatWasNotDestroyed(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]pgproto3.FrontendMessage{"close": closeS(""), "bind": bind("", ""), "query": query("SELECT 1")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 1})
			a, b := w.open(), w.wire()
			if err := a.prepare("", "SELECT 'another''s'"); err != nil {
				t.Fatal(err)
			}
			b.send(parse("bad", "nonsense"), m, syncNow)
			b.ready(1)
			b.send(bind("", ""), execute("", 0), syncNow)
			b.ready(1)
			if got := strings.Join(b.log, "\n"); strings.Contains(got, "another") || !strings.Contains(got, "26000") {
				t.Errorf("running an unnamed statement that is not there gave:\n%s", got)
			}
		})
	}
}

// The first use of lastval in a database comes amid a pipeline, or as a function call.
func TestAnothersSequenceValue(t *testing.T) {
	t.Parallel()
	for name, ms := range map[string][]pgproto3.FrontendMessage{
		"pipeline": {parse("", "SELECT lastval()"), bind("", ""), execute("", 0), syncNow},
		"function": {&pgproto3.FunctionCall{Function: 2559}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 1})
			a, b := w.open(), w.wire()
			a.must("CREATE SEQUENCE s START 4711")
			a.must("SELECT nextval('s')")
			b.send(ms...)
			b.ready(1)
			if got := strings.Join(b.log, "\n"); !strings.Contains(got, "55000") {
				t.Errorf("lastval in a session without one gave:\n%s", got)
			}
		})
	}
}

// A seed cannot be taken back, not even by the end of the transaction that set it.
func TestSeedOfAClientThatLeftInATransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	a := w.open()
	a.must("SELECT setseed(0.25)")
	seeded := a.must("SELECT random()")
	a.leave()
	b := w.open()
	b.must("BEGIN")
	b.must("SELECT setseed(0.25)")
	b.drop()
	if got := w.open().must("SELECT random()"); got == seeded {
		t.Errorf("another client's seed decides: random() = %s", got)
	}
}

// Each of these leaves what must keep the server connection from others.
func TestPinnedThoughEasilyMissed(t *testing.T) {
	t.Parallel()
	custom := func(c *client) {
		for i := 0; i < 300; i += 50 {
			var b strings.Builder
			for j := i; j < i+50; j++ {
				fmt.Fprintf(&b, "SELECT set_config('app.n%d', 'v', false);", j)
			}
			c.must(b.String())
		}
		for i := range 300 {
			c.must(fmt.Sprintf("SELECT set_config('app.n%d', 'v', false)", i))
		}
	}
	for name, tc := range map[string]struct {
		setup string
		run   func(c *client)
		want  string
	}{
		"many custom settings": {run: custom, want: "unknown_setting"},
		"created before the look's answer": {run: func(c *client) {
			c.must("SELECT set_config('search_path', 'pg_temp', false)")
			c.must("CREATE TABLE t (i int)")
		}, want: "temporary_object"},
		"search_path in pieces": {run: func(c *client) {
			c.must("BEGIN; SET LOCAL search_path = 'pg_te'\n'mp'; CREATE TABLE t (i int); COMMIT")
		}, want: "temporary_object"},
		"function with a search_path": {
			setup: "CREATE FUNCTION public.f() RETURNS void LANGUAGE plpgsql SET search_path = pg_temp AS 'begin create table t (i int); end'",
			run:   func(c *client) { c.must("SELECT public.f()") }, want: "temporary_object",
		},
		"text that is read anew": {run: func(c *client) {
			if err := c.prepare("s", `SELECT '\'', pg_advisory_lock(1) -- '`); err != nil {
				c.t.Fatal(err)
			}
			c.must("SET standard_conforming_strings = off")
			for range 2 { // the server connection that has read it before is not used again
				if _, err := c.run("s"); err != nil {
					c.t.Fatal(err)
				}
				c.must("SELECT 1")
			}
		}, want: "opaque_state"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 2})
			if tc.setup != "" {
				w.super(tc.setup)
			}
			c := w.open()
			tc.run(c)
			if got := w.pins(c); !slices.Contains(got, tc.want) {
				t.Errorf("pinned for %v, want %s", got, tc.want)
			}
		})
	}
}

// A client that takes names of Forebay's own harms nobody else.
func TestNamesOfForebaysOwn(t *testing.T) {
	t.Parallel()
	t.Run("dropped", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, options{pool: 1})
		a, b := w.open(), w.open()
		if err := b.prepare("x", "SELECT 1"); err != nil {
			t.Fatal(err)
		}
		a.must("DEALLOCATE " + a.must("SELECT name FROM pg_prepared_statements"))
		if got, err := b.run("x"); err != nil || got != "1" {
			t.Errorf("another's prepared statement: got %q, err %v", got, err)
		}
	})
	t.Run("probe", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, options{pool: 1})
		a, b := w.open(), w.open()
		a.must("SELECT set_config('work_mem', '2MB', false)") // the probe is there
		a.must("SELECT 1")
		probe := a.must("SELECT name FROM pg_prepared_statements WHERE name LIKE 'forebay_probe%'")
		a.must("DEALLOCATE " + quoted(probe) + "; PREPARE " + quoted(probe) + " (text[]) AS SELECT 's', 'a.b', '' WHERE false; SELECT set_config('search_path', 'a', false)")
		if got := b.must("SHOW search_path"); got == "a" {
			t.Error("the other client has the setting")
		}
	})
}

func quoted(name string) string { return `"` + name + `"` }

// A time limit of the session before must not keep the settings of the next from being made, while its statement goes on.
func TestSettingsThatTakeTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	w.super("CREATE SCHEMA a; GRANT ALL ON SCHEMA a TO public; CREATE TABLE a.t (i int); CREATE TABLE public.t (i int); GRANT ALL ON a.t, public.t TO public")
	a := w.open()
	a.must("SET search_path = a")
	a.must("SET statement_timeout = '1ms'")
	path := "SET search_path = public" + strings.Repeat(", x234567890", 20000)
	for range 5 {
		b := w.open()
		b.must(path)
		_, _ = a.exec("SELECT 1")
		_, _ = b.exec("INSERT INTO t VALUES (1)")
		b.leave()
	}
	if n := w.super("SELECT count(*) FROM a.t"); n != "0" {
		t.Errorf("%s rows went to the other client's schema", n)
	}
}

// A client that waits for an answer with Flush, not Sync, hears of a lost server connection too.
func TestFlushAfterServerWasLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	c := w.wire()
	c.send(query("BEGIN"))
	c.ready(1)
	w.super("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	c.log = nil
	c.send(parse("", "SELECT 1"), flushNow)
	c.until(1, &pgproto3.ErrorResponse{})
	c.send(query("SELECT 2"), syncNow, query("ROLLBACK"), query("SELECT 3"))
	c.ready(3)
	var kinds []string
	for _, l := range c.log {
		kinds = append(kinds, strings.Fields(l)[0])
	}
	want := []string{"ERROR", "ready", "complete", "ready", "columns", "row", "complete", "ready"}
	if !slices.Equal(kinds, want) {
		t.Errorf("got %q, want %q", c.log, want)
	}
}
