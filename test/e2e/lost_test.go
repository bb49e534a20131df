package e2e

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"forebay/internal/testkit"
)

// kill ends a server process.
func (w *world) kill(pid string) {
	w.t.Helper()
	if got := w.super("SELECT pg_terminate_backend(" + pid + ", 10000)"); got != "t" {
		w.t.Fatalf("pg_terminate_backend(%s) = %s", pid, got)
	}
}

// lost reports whether a SQLSTATE tells of a lost server connection.
func lost(code string) bool { return strings.HasPrefix(code, "08") || code == "57P01" }

// failsLost checks that an error tells of a lost server connection, and leaves the client's own open.
func (c *client) failsLost(what string, err error) {
	c.t.Helper()
	if e, ok := pgError(err); !ok || !lost(e.Code) || e.Severity != "ERROR" {
		c.t.Fatalf("%s: %v, want an ERROR with SQLSTATE 57P01 or 08xxx", what, err)
	}
	if c.IsClosed() {
		c.t.Fatalf("%s: the client lost its connection", what)
	}
}

// TestServerLost checks what a client hears when its server connection dies, and that it keeps its own.
func TestServerLost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		run  func(t *testing.T, w *world, c *client)
	}{
		{"idle in the pool", func(t *testing.T, w *world, c *client) {
			for range 5 {
				w.kill(c.backend())
				c.must("SELECT 1")
			}
		}},
		{"in a transaction", func(t *testing.T, w *world, c *client) {
			c.must("SET work_mem = '5MB'")
			c.must("BEGIN")
			w.kill(c.backend())
			_, err := c.exec("SELECT 1")
			c.failsLost("SELECT", err)
			if c.TxStatus() != 'E' {
				t.Errorf("transaction status %c, want E", c.TxStatus())
			}
			c.fails("SELECT 1", "25P02")
			if r := c.params("SELECT 1"); codeOf(r.Err) != "25P02" {
				t.Errorf("extended: %v, want 25P02", r.Err)
			}
			if rs, err := c.exec("COMMIT"); err != nil || rs[0].CommandTag.String() != "ROLLBACK" {
				t.Errorf("COMMIT of a lost transaction: %v, want ROLLBACK", err)
			}
			if got := c.must("SHOW work_mem"); got != "5MB" {
				t.Errorf("work_mem is %s, want 5MB", got)
			}
		}},
		{"in a transaction, savepoints", func(t *testing.T, w *world, c *client) {
			c.must("BEGIN; SAVEPOINT a")
			w.kill(c.backend())
			_, err := c.exec("SELECT 1")
			c.failsLost("SELECT", err)
			if _, err := c.exec("ROLLBACK TO SAVEPOINT a"); err == nil {
				t.Error("the savepoint of a lost transaction is still there")
			}
			c.must("ROLLBACK")
			c.must("SELECT 1")
		}},
		{"in a statement", func(t *testing.T, w *world, c *client) {
			pid := c.must("BEGIN; SELECT pg_backend_pid()")
			c.must("COMMIT")
			done := make(chan error)
			go func() { _, err := c.exec("SELECT pg_sleep(600)"); done <- err }()
			testkit.Eventually(t, "it sleeps", func() bool {
				pid = w.super("SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active' AND datname = current_database()")
				return pid != "0"
			})
			w.kill(pid)
			c.failsLost("pg_sleep", <-done)
			c.must("SELECT 1")
		}},
		{"by itself", func(t *testing.T, w *world, c *client) {
			_, err := c.exec("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)")
			c.failsLost("suicide", err)
			c.must("SELECT 1")
			r := c.params("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)")
			c.failsLost("suicide, extended", r.Err)
			c.must("SELECT 1")
		}},
		{"while pinned", func(t *testing.T, w *world, c *client) {
			c.must("CREATE TEMP TABLE x (i int)")
			w.kill(c.backend())
			_, err := c.exec("SELECT * FROM x")
			if codeOf(err) != "42P01" { // it may be told of the loss first, or find its table gone
				c.failsLost("SELECT", err)
			}
			c.fails("SELECT * FROM x", "42P01")
			c.must("SELECT 1")
		}},
		{"prepared statements go on", func(t *testing.T, w *world, c *client) {
			if err := c.prepare("p", "SELECT pg_backend_pid()::text || $1"); err != nil {
				t.Fatal(err)
			}
			c.must("PREPARE q AS SELECT 'q'::text")
			for range 3 {
				if _, err := c.run("p", "x"); err != nil {
					t.Fatal(err)
				}
				w.kill(c.backend())
			}
			if got := c.must("EXECUTE q"); got != "q" {
				t.Errorf("EXECUTE q = %q", got)
			}
		}},
		{"prepared with SQL, elsewhere", func(t *testing.T, _ *world, _ *client) {
			w := newWorld(t, options{pool: 2, loops: 1})
			c := w.open()
			c.must("PREPARE q AS SELECT 'q'::text")
			other := w.open()
			other.must("BEGIN") // on the server connection that has it
			c.must("BEGIN")
			w.kill(c.backend())
			_, err := c.exec("SELECT 1")
			c.failsLost("SELECT", err)
			c.must("ROLLBACK")
			for range 2 {
				if got := c.must("EXECUTE q"); got != "q" {
					t.Errorf("EXECUTE q = %q", got)
				}
				other.must("COMMIT")
			}
		}},
		{"with requests behind", func(t *testing.T, w *world, c *client) {
			r := w.wire()
			suicide := "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)"
			r.send(parse("", suicide), bind("", ""), execute("", 0), syncNow,
				parse("a", "SELECT 1"), bind("", "a"), execute("", 0), syncNow, query("SELECT 2"))
			r.ready(3)
			errors := 0
			for _, l := range r.log {
				if strings.HasPrefix(l, "ERROR") {
					errors++
				}
			}
			if errors != 3 || r.log[len(r.log)-1] != "ready I" {
				t.Errorf("got %q, want three errors and three ReadyForQuery", r.log)
			}
			r.log = nil
			r.send(query("SELECT 3"))
			r.ready(1)
			if got := strings.Join(r.log, "; "); got != "columns ?column?:23; row 3; complete SELECT 1; ready I" {
				t.Errorf("afterwards: %s", got)
			}
		}},
		{"between messages of a request", func(t *testing.T, w *world, c *client) {
			r := w.wire()
			r.send(parse("", "SELECT pg_backend_pid()"), bind("", ""), execute("", 0), flushNow)
			r.until(1, &pgproto3.CommandComplete{})
			pid := strings.TrimPrefix(r.log[len(r.log)-2], "row ")
			r.log = nil
			w.kill(pid)
			r.send(parse("", "SELECT 1"), bind("", ""), execute("", 0), syncNow)
			r.ready(1)
			if !strings.HasPrefix(r.log[0], "ERROR ERROR 57P01") && !strings.HasPrefix(r.log[0], "ERROR ERROR 08") || len(r.log) != 2 {
				t.Errorf("got %q, want one error and ReadyForQuery", r.log)
			}
			r.log = nil
			r.send(query("SELECT 3"))
			r.ready(1)
			if got := strings.Join(r.log, "; "); got != "columns ?column?:23; row 3; complete SELECT 1; ready I" {
				t.Errorf("afterwards: %s", got)
			}
		}},
		{"in COPY", func(t *testing.T, w *world, c *client) {
			c.must("CREATE TABLE copied (i int)")
			r := w.wire()
			r.send(query("COPY copied FROM STDIN"))
			r.until(1, &pgproto3.CopyInResponse{})
			w.kill(w.super("SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY copied%' AND datname = current_database()"))
			r.send(copyData("1\n"), copyData("2\n"), copyDone)
			r.ready(1)
			if len(r.log) != 3 || !strings.HasPrefix(r.log[1], "ERROR ERROR") {
				t.Errorf("got %q, want one error and ReadyForQuery", r.log)
			}
			r.log = nil
			r.send(query("SELECT 3"))
			r.ready(1)
			if got := strings.Join(r.log, "; "); got != "columns ?column?:23; row 3; complete SELECT 1; ready I" {
				t.Errorf("afterwards: %s", got)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 2})
			tt.run(t, w, w.open())
		})
	}
}

// TestClientKilled checks that what a client leaves that vanishes in a transaction is rolled back.
func TestClientKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	other := w.open()
	other.must("CREATE TABLE kept (i int)")
	for range 5 {
		c := w.open()
		c.must("BEGIN; INSERT INTO kept VALUES (1)")
		c.must("LOCK TABLE kept")
		c.drop()
		if got := other.must("SELECT count(*) FROM kept"); got != "0" {
			t.Fatalf("%s rows of clients that vanished", got)
		}
	}
	// In the middle of a statement, of a message and of an answer.
	for _, send := range []func(c *client){
		func(c *client) { c.Frontend().SendQuery(&pgproto3.Query{String: "SELECT pg_sleep(1)"}) },
		func(c *client) {
			c.Frontend().SendQuery(&pgproto3.Query{String: "SELECT repeat('x', 100000) FROM generate_series(1, 500)"})
		},
		func(c *client) { _, _ = c.Conn().Write([]byte{'Q', 0, 0, 1, 0, 'S', 'E'}) },
		func(c *client) { _, _ = c.Conn().Write([]byte{'Q', 0, 80, 0, 0, 'S', 'E'}) },
	} {
		c := w.open()
		c.must("SET work_mem = '9MB'")
		send(c)
		_ = c.Frontend().Flush()
		c.drop()
		if got := other.must("SHOW work_mem"); got != "4MB" {
			t.Fatalf("work_mem of another client: %s", got)
		}
	}
}

// TestLostBehindChange checks that a client does not go on without the settings of a transaction that has ended, where the
// server connection is lost in the next one before the session was looked at.
func TestLostBehindChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 1})
	c := w.wire()
	c.send(query("SELECT set_config('app.x', 'v', false)"), query("BEGIN"), query("SELECT pg_sleep(30)"))
	c.ready(2)
	w.super("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	c.ready(1)
	if last := c.log[len(c.log)-2:]; !strings.HasPrefix(last[0], "ERROR FATAL 57P01") || last[1] != "closed" {
		t.Errorf("told %v", last)
	}
}
