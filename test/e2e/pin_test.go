package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"forebay/internal/testkit"
)

// TestPin checks for each kind of state that only the server has: the session keeps its server connection while the state
// lives, says why, and gives it back when the state has ended.
func TestPin(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	tests := []struct {
		name, make, end, reason string
	}{
		{"temporary table", "CREATE TEMP TABLE x (i int)", "DROP TABLE x", "temporary_object"},
		{"temporary table as", "CREATE TEMP TABLE x AS SELECT 1", "DROP TABLE x", "temporary_object"},
		{"select into", "SELECT 1 AS a INTO TEMP x", "DROP TABLE x", "temporary_object"},
		{"temporary view", "CREATE TEMP VIEW x AS SELECT 1", "DROP VIEW x", "temporary_object"},
		{"temporary sequence", "CREATE TEMP SEQUENCE x", "DROP SEQUENCE x", "temporary_object"},
		{"temporary function", "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION pg_temp.f()", "temporary_object"},
		{"temporary type", "CREATE TYPE pg_temp.y AS (a int)", "DROP TYPE pg_temp.y", "temporary_object"},
		{"temporary table in DO", "DO $$BEGIN CREATE TEMP TABLE x (i int); END$$", "DO $$BEGIN DROP TABLE x; END$$", "temporary_object"},
		{"temporary table by search_path", "SET search_path = pg_temp; CREATE TABLE x (i int)", "DROP TABLE x", "temporary_object"},
		{"discard temp", "CREATE TEMP TABLE x (i int)", "DISCARD TEMP", "temporary_object"},
		{"discard all", "CREATE TEMP TABLE x (i int)", "DISCARD ALL", "temporary_object"},
		{"listen", "LISTEN c", "UNLISTEN c", "listen"},
		{"listen, unlisten all", "LISTEN c; LISTEN d", "UNLISTEN *", "listen"},
		{"listen in DO", "DO $$BEGIN LISTEN c; END$$", "DISCARD ALL", "listen"},
		{"cursor", "DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 9)", "CLOSE c", "holdable_cursor"},
		{"cursor, close all", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE ALL", "holdable_cursor"},
		{"lock", "SELECT pg_advisory_lock(77)", "SELECT pg_advisory_unlock(77)", "session_advisory_lock"},
		{"lock taken twice", "SELECT pg_advisory_lock(78), pg_advisory_lock(78)", "SELECT pg_advisory_unlock(78); SELECT pg_advisory_unlock(78)", "session_advisory_lock"},
		{"shared lock tried", "SELECT pg_try_advisory_lock_shared(79)", "SELECT pg_advisory_unlock_all()", "session_advisory_lock"},
		{"lock in DO", "DO $$BEGIN PERFORM pg_advisory_lock(80); END$$", "DISCARD ALL", "session_advisory_lock"},
		{"lock in a failed transaction", "BEGIN; SELECT pg_advisory_lock(81); ROLLBACK", "SELECT pg_advisory_unlock(81)", "session_advisory_lock"},
		{"several statements with PREPARE", "PREPARE p AS SELECT 1; SELECT 2", "DEALLOCATE p", "sql_prepared_statement"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 2, db: &db})
			c, other := w.open(), w.open()
			c.must(tt.make)
			if got := w.pins(c); !slices.Equal(got, []string{tt.reason}) {
				t.Fatalf("after %s: pinned for %q, want %q", tt.make, got, tt.reason)
			}
			mine := c.backend()
			for range 3 {
				if b := other.backend(); b == mine {
					t.Fatalf("another client was lent the pinned server connection %s", b)
				}
				if b := c.backend(); b != mine {
					t.Fatalf("the pinned session moved from %s to %s", mine, b)
				}
			}
			c.must(tt.end)
			if got := w.pins(c); len(got) != 0 {
				t.Fatalf("after %s: still pinned for %q", tt.end, got)
			}
			// Free for others again: with a transaction open on the other one, both clients still run.
			other.must("BEGIN")
			third := w.open()
			a := third.backend()
			if a == other.backend() {
				t.Fatal("two clients share a server connection")
			}
			other.must("ROLLBACK")
		})
	}
}

// TestNoPin checks that what is carried, or ends with its transaction, does not pin.
func TestNoPin(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	if err := db.Server.Exec(t.Context(), "GRANT pg_read_all_data TO "+db.User); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, sql string }{
		{"set", "SET work_mem = '5MB'"},
		{"reset all", "RESET ALL"},
		{"set local", "BEGIN; SET LOCAL work_mem = '5MB'; COMMIT"},
		{"set_config", "SELECT set_config('app.x', '1', false)"},
		{"set role", "SET ROLE pg_read_all_data"},
		{"prepare", "PREPARE p AS SELECT 1"},
		{"on commit drop", "BEGIN; CREATE TEMP TABLE x (i int) ON COMMIT DROP; COMMIT"},
		{"rolled back", "BEGIN; CREATE TEMP TABLE x (i int); ROLLBACK"},
		{"transaction lock", "BEGIN; SELECT pg_advisory_xact_lock(90); COMMIT"},
		{"cursor without hold", "BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH c; COMMIT"},
		{"notify", "NOTIFY c, 'x'"},
		{"listen rolled back", "BEGIN; LISTEN c; ROLLBACK"},
		{"insert", "CREATE TABLE y (i serial); INSERT INTO y DEFAULT VALUES"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 1, db: &db})
			c := w.open()
			c.must(tt.sql)
			if got := w.pins(c); len(got) != 0 {
				t.Fatalf("after %s: pinned for %q", tt.sql, got)
			}
			w.open().must("SELECT 1") // the only server connection is free
		})
	}
}

// TestPinEndsWithClient checks that a pinned client that leaves, in one way or the other, leaves nothing behind.
func TestPinEndsWithClient(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	dirty := "CREATE TEMP TABLE x (i int); LISTEN c; SELECT pg_advisory_lock(7); SET work_mem = '7MB'; " +
		"DECLARE h CURSOR WITH HOLD FOR SELECT 1; SELECT set_config('app.x', 'secret', false)"
	state := "SELECT to_regclass('pg_temp.x'), (SELECT count(*) FROM pg_listening_channels()), " +
		"(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), " +
		"(SELECT count(*) FROM pg_cursors WHERE is_holdable), current_setting('work_mem'), coalesce(current_setting('app.x', true), '')"
	for _, how := range []struct {
		name string
		end  func(c *client)
	}{
		{"good-bye", func(c *client) { c.leave() }},
		{"vanishes", func(c *client) { c.drop() }},
		{"good-bye in a transaction", func(c *client) { c.must("BEGIN; SET work_mem = '9MB'"); c.leave() }},
		{"vanishes in a transaction", func(c *client) { c.must("BEGIN; SET work_mem = '9MB'"); c.drop() }},
		{"vanishes in a failed transaction", func(c *client) { c.must("BEGIN"); c.fails("SELECT 1/0", "22012"); c.drop() }},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 1, db: &db})
			clean := w.open().must(state)
			for range 3 {
				c := w.open()
				c.must(dirty)
				how.end(c)
				if got := w.open().must(state); got != clean {
					t.Fatalf("the next client sees %s, want %s", got, clean)
				}
			}
		})
	}
}

// TestUnresettablePin checks that a server connection with state that no reset undoes is closed with its session.
func TestUnresettablePin(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	if err := db.Server.Exec(t.Context(), "ALTER ROLE "+db.User+" SUPERUSER"); err != nil { // for LOAD
		t.Fatal(err)
	}
	tests := []struct{ name, sql, reason string }{
		{"library", "LOAD 'plpgsql'", "loaded_library"},
		{"setseed", "SELECT setseed(0.5)", "opaque_state"},
		{"setseed in DO", "DO $$BEGIN PERFORM setseed(0.5); END$$", "opaque_state"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 1, db: &db})
			c := w.open()
			c.must(tt.sql)
			if got := w.pins(c); !slices.Equal(got, []string{tt.reason}) {
				t.Fatalf("pinned for %q, want %q", got, tt.reason)
			}
			mine := c.backend()
			c.must("DISCARD ALL")
			if got := w.pins(c); !slices.Equal(got, []string{tt.reason}) {
				t.Fatalf("after DISCARD ALL: pinned for %q, want %q", got, tt.reason)
			}
			c.leave()
			if b := w.open().backend(); b == mine {
				t.Fatalf("the server connection %s was lent again", b)
			}
		})
	}
}

// TestLargeStatementPins checks that a prepared statement too large to be kept works, and stays with its session.
func TestLargeStatementPins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	c, other := w.open(), w.open()
	if err := c.prepare("large", "SELECT length('"+strings.Repeat("x", 2<<20)+"'), pg_backend_pid()"); err != nil {
		t.Fatal(err)
	}
	if got := w.pins(c); !slices.Equal(got, []string{"statement_too_large"}) {
		t.Fatalf("pinned for %q", got)
	}
	mine := c.backend()
	for range 3 {
		if got, err := c.run("large"); err != nil || got != fmt.Sprintf("%d,%s", 2<<20, mine) {
			t.Fatalf("%s, %v", got, err)
		}
		if b := other.backend(); b == mine {
			t.Fatal("another client was lent the pinned server connection")
		}
	}
	c.leave()
	a, b := w.open(), w.open()
	a.must("BEGIN")
	b.must("BEGIN")
	if a.backend() == mine || b.backend() == mine {
		t.Error("the server connection was lent again")
	}
}

// Code that puts SQL together, as triggers for audits and partitions do, may read what was drawn from sequences. That makes nobody
// a reader: who inserts is pinned from the first call of currval or lastval on, and not before.
func TestSequencesPinWhereTheyAreRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	w.super("CREATE TABLE public.audit (id serial, t text); CREATE TABLE public.t (id serial, a text); GRANT ALL ON ALL TABLES IN SCHEMA public TO public; " +
		"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO public; " +
		"CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN EXECUTE format('INSERT INTO public.audit (t) VALUES (%L)', NEW.a); RETURN NEW; END$$; " +
		"CREATE TRIGGER audit AFTER INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.audit()")
	const insert = "INSERT INTO public.t (a) VALUES ('x')"
	c := w.open()
	for range 2 {
		c.must(insert)
		c.must("DO $$BEGIN EXECUTE 'INSERT INTO public.t (a) VALUES (''y'')'; END$$")
	}
	if got := w.pins(c); len(got) > 0 {
		t.Errorf("pinned for %q before anybody has read a sequence", got)
	}
	reader := w.open()
	reader.exec("SELECT lastval()")
	c.must(insert)
	if got := w.pins(c); !slices.Equal(got, []string{"sequence_state"}) {
		t.Errorf("pinned for %q once lastval is used, want sequence_state", got)
	}
	if got := w.log.digest(); !strings.HasPrefix(got, "insert into public.t") {
		t.Errorf("the pin is put down to %q, want the insert", got)
	}
	if got := c.must("SELECT lastval()"); got != "5" {
		t.Errorf("lastval() is %s, want 5: the value that the trigger's insert drew", got)
	}
}
