package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// TestExecutePrepared checks that a client which prepares an EXECUTE is answered for its own SQL-level statement, not for
// another client's of the same name.
func TestExecutePrepared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	one, two, none := w.open(), w.open(), w.open()
	one.must("PREPARE q AS SELECT 1, 2")
	two.must("PREPARE q AS SELECT 'text'")
	for range 2 {
		for c, want := range map[*client]string{one: "1,2", two: "text"} {
			if err := c.prepare("x", "EXECUTE q"); err != nil {
				t.Fatal(err)
			}
			if got, err := c.run("x"); err != nil || got != want {
				t.Errorf("EXECUTE q: %q, %v; want %s", got, err, want)
			}
			if got := text(c.params("EXECUTE q")); got != want {
				t.Errorf("EXECUTE q, unnamed: %q, want %s", got, want)
			}
			if err := c.Deallocate(context.Background(), "x"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := none.prepare("x", "EXECUTE q"); err != nil {
		t.Errorf("a client without the statement: %v", err)
	}
	_, err := none.run("x")
	failsWith(t, "EXECUTE q", err, "26000")
}

// TestNamedBySQL has SQL name statements that the client has prepared at protocol level, also where they cannot be prepared any more.
func TestNamedBySQL(t *testing.T) {
	t.Parallel()
	both(t, options{pool: 2}, func(t *testing.T, w *world) {
		c := w.open()
		prepare := func(name, sql string) {
			t.Helper()
			if err := c.prepare(name, sql); err != nil {
				t.Fatal(err)
			}
		}
		fails := func(sql string, codes ...string) {
			t.Helper()
			if _, err := c.exec(sql); !slices.Contains(codes, codeOf(err)) {
				t.Errorf("%s: %v, want SQLSTATE %s", sql, err, codes)
			}
		}
		prepare("x", "SELECT 1")
		c.must("BEGIN")
		c.fails("SELECT 1/0", "22012")
		c.fails("EXECUTE x", "25P02")
		c.fails("DEALLOCATE x", "25P02")
		c.must("ROLLBACK")
		if got, err := c.run("x"); err != nil || got != "1" {
			t.Errorf("a statement whose DEALLOCATE has failed: %q, %v", got, err)
		}
		c.must("CREATE TABLE t (a int)")
		prepare("y", "SELECT * FROM t")
		prepare("z", "SELECT * FROM t")
		c.must("DROP TABLE t")
		fails("EXECUTE y", "42P01", "26000")
		c.must("BEGIN")
		c.must("DEALLOCATE y")
		fails("EXECUTE z", "42P01", "25P02")
		c.must("ROLLBACK")
		// Where the session stays on its server connection, and with another text.
		c.must("CREATE TEMP TABLE t (a int)")
		for range 2 {
			if got := c.must("EXECUTE x"); got != "1" {
				t.Errorf("EXECUTE x: %s", got)
			}
		}
		c.must("BEGIN; EXECUTE x")
		if err := c.Deallocate(context.Background(), "x"); err != nil {
			t.Fatal(err)
		}
		prepare("x", "SELECT 2")
		if got := c.must("EXECUTE x"); got != "2" {
			t.Errorf("EXECUTE x, prepared anew: %s", got)
		}
		c.must("COMMIT")
	})
}

// TestPrepareOfDropped has a client execute a statement whose table has gone on a server connection that does not have it: it fails, but
// nothing is lost, and it runs when the table is there again.
func TestPrepareOfDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2, loops: 1})
	c, other := w.open(), w.open()
	c.must("CREATE TABLE t (a int)")
	c.must("PREPARE q AS SELECT count(*) FROM t")
	other.must("BEGIN") // where that is
	other.must("DROP TABLE t")
	other.must("COMMIT; BEGIN")
	c.fails("EXECUTE q", "26000")
	c.must("BEGIN")
	c.fails("EXECUTE q", "25P02")
	c.must("ROLLBACK")
	other.must("COMMIT")
	c.must("CREATE TABLE t (a int)")
	if got := c.must("EXECUTE q"); got != "0" {
		t.Errorf("EXECUTE q: %s", got)
	}
}

// TestPrepareOfDroppedAmid is the same amid other messages of the extended protocol.
func TestPrepareOfDroppedAmid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2, loops: 1})
	r, other := w.wire(), w.open()
	other.must("CREATE TABLE t (a int)")
	r.send(query("PREPARE q AS SELECT count(*) FROM t"))
	r.ready(1)
	other.must("BEGIN") // where that is
	other.must("DROP TABLE t")
	other.must("COMMIT; BEGIN")
	for range 3 {
		r.log = nil
		r.send(parse("", "SELECT 1"), bind("", ""), execute("", 0), parse("", "EXECUTE q"), bind("", ""), execute("", 0), syncNow)
		r.ready(1)
		if last := r.log[len(r.log)-2]; !strings.HasPrefix(last, "ERROR ERROR 42P01") {
			t.Errorf("EXECUTE q: %s, want 42P01", last)
		}
	}
	other.must("COMMIT")
	other.must("CREATE TABLE t (a int)")
	r.log = nil
	r.send(query("EXECUTE q"))
	if r.ready(1); !slices.Contains(r.log, "row 0") {
		t.Errorf("EXECUTE q: %q", r.log)
	}
}
