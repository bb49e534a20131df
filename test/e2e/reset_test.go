package e2e

import (
	"context"
	"strings"
	"testing"
)

// TestResetInTransaction checks that RESET in a transaction goes back to what the client gave at start-up, at once, and
// that it ends with the transaction.
func TestResetInTransaction(t *testing.T) {
	t.Parallel()
	both(t, options{pool: 1}, func(t *testing.T, w *world) {
		extended := func(c *client, sql string) {
			t.Helper()
			if r := c.params(sql); r.Err != nil {
				t.Fatalf("%s: %v", sql, r.Err)
			}
		}
		for how, run := range map[string]func(*client, string){
			"simple":   func(c *client, sql string) { t.Helper(); c.must(sql + " -- a comment") },
			"extended": extended,
			"prepared": func(c *client, sql string) {
				t.Helper()
				if err := c.prepare(sql, sql); err != nil {
					t.Fatal(err)
				}
				if _, err := c.run(sql); err != nil {
					t.Fatal(err)
				}
				if err := c.Deallocate(context.Background(), sql); err != nil {
					t.Fatal(err)
				}
			},
		} {
			c := w.open("application_name", "a", "options", `-c search_path=s2,\ public -c app.x=ax -c work_mem=5MB`)
			other := w.open("application_name", "other", "options", "-c app.x=bx")
			sees := func(when, want string) {
				t.Helper()
				got := c.must("SELECT current_setting('application_name'), current_setting('search_path'), current_setting('app.x'), current_setting('work_mem'), current_setting('jit')") +
					"," + c.ParameterStatus("application_name")
				if got != want {
					t.Fatalf("%s, %s: %s, want %s", how, when, got, want)
				}
			}
			const set = "SET application_name = 'n'; SET search_path = s; SET app.x = 'nx'; SET work_mem = '9MB'; SET jit = off"
			const changed, start = "n,s,nx,9MB,off,n", `a,s2, public,ax,5MB,on,a`
			c.must(set)

			c.must("BEGIN")
			run(c, "RESET search_path")
			sees("after RESET search_path", `n,s2, public,nx,9MB,off,n`)
			c.must("SAVEPOINT one")
			run(c, "SET application_name TO DEFAULT")
			run(c, "RESET app.x")
			sees("in a savepoint", `a,s2, public,ax,9MB,off,a`)
			c.must("ROLLBACK TO one")
			sees("after ROLLBACK TO", `n,s2, public,nx,9MB,off,n`)
			run(c, "RESET ALL")
			sees("after RESET ALL", start)
			c.must("ROLLBACK")
			sees("after ROLLBACK", changed)

			c.must("BEGIN")
			run(c, "SET LOCAL work_mem TO DEFAULT")
			sees("after SET LOCAL TO DEFAULT", `n,s,nx,5MB,off,n`)
			c.must("COMMIT")
			sees("after SET LOCAL and COMMIT", changed)

			c.must("BEGIN")
			c.fails("RESET nothing", "42704")
			c.fails("RESET search_path", "25P02")
			c.must("ROLLBACK")
			sees("after a failed transaction", changed)

			c.must("BEGIN; SELECT 1; RESET search_path; COMMIT")
			sees("after RESET in a query string with others", `n,s2, public,nx,9MB,off,n`)
			c.must("SET search_path = s; BEGIN; SAVEPOINT one; SET search_path = again; SAVEPOINT two")
			c.must("RESET search_path; ROLLBACK TO two")
			sees("after one that takes RESET back", `n,again,nx,9MB,off,n`)
			c.must("ROLLBACK TO one")
			run(c, "RESET search_path")
			c.must("COMMIT")
			sees("after COMMIT", `n,s2, public,nx,9MB,off,n`)

			c.must("BEGIN")
			run(c, "RESET ALL")
			c.must("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
			c.must("ROLLBACK")

			c.must("BEGIN")
			run(c, "RESET ALL")
			c.must("COMMIT")
			sees("after RESET ALL and COMMIT", start)
			if got := other.must("SELECT current_setting('application_name'), current_setting('app.x')"); got != "other,bx" {
				t.Errorf("%s: another client sees %s", how, got)
			}
			sees("after another client", start)
			c.leave()
			other.leave()
		}
	})
}

// TestResetRole is TestResetInTransaction for a role.
func TestResetRole(t *testing.T) {
	t.Parallel()
	both(t, options{pool: 1}, func(t *testing.T, w *world) {
		role := w.db.User + "_given"
		w.super("CREATE ROLE " + role + "; GRANT " + role + " TO " + w.db.User)
		t.Cleanup(func() { w.super("DROP ROLE " + role) })
		c := w.open("options", "-c role="+role)
		for _, sql := range []string{"RESET ROLE", "SET role TO DEFAULT", "SET LOCAL role TO DEFAULT"} {
			c.must("BEGIN; SET ROLE " + w.db.User)
			c.must(sql)
			if got := c.must("SELECT current_user"); got != role {
				t.Errorf("after %s: %s, want %s", sql, got, role)
			}
			c.must("ROLLBACK")
			if got := c.must("SELECT current_user"); got != role {
				t.Errorf("after ROLLBACK: %s, want %s", got, role)
			}
		}
		c.leave()
	})
}

// TestResetInPipeline checks that the statement behind a RESET sees the start-up value in the same pipeline.
func TestResetInPipeline(t *testing.T) {
	t.Parallel()
	both(t, options{pool: 1}, func(t *testing.T, w *world) {
		r := w.wire("options", "-c work_mem=5MB")
		r.send(query("SET work_mem = '9MB'"))
		r.ready(1)
		for _, sql := range []string{"BEGIN", "RESET work_mem", "SHOW work_mem", "SAVEPOINT a", "SET work_mem = '7MB'", "RESET ALL", "SHOW work_mem", "ROLLBACK", "SHOW work_mem"} {
			r.send(parse("", sql), bind("", ""), execute("", 0))
		}
		r.send(syncNow)
		r.ready(1)
		var rows []string
		for _, m := range r.log {
			if strings.HasPrefix(m, "row ") {
				rows = append(rows, m)
			}
		}
		if got := strings.Join(rows, ", "); got != "row 5MB, row 5MB, row 9MB" {
			t.Errorf("%s\n%s", got, strings.Join(r.log, "\n"))
		}
	})
}

// resetsInTransaction is a check for each version of the server.
func resetsInTransaction(t *testing.T, w *world) {
	c := w.open("application_name", "a", "options", "-c search_path=s2,\\ public -c app.x=ax")
	const state = "SELECT current_setting('application_name'), current_setting('search_path'), current_setting('app.x')"
	for _, run := range []func(string){func(sql string) { c.must(sql) }, func(sql string) { c.params(sql) }} {
		c.must("SET application_name = 'n'; SET search_path = s; SET app.x = 'nx'")
		c.must("BEGIN")
		run("RESET search_path")
		run("SET app.x TO DEFAULT")
		if got := c.must(state); got != "n,s2, public,ax" {
			t.Errorf("in the transaction: %s", got)
		}
		run("RESET ALL")
		if got := c.must(state) + "," + c.ParameterStatus("application_name"); got != "a,s2, public,ax,a" {
			t.Errorf("after RESET ALL: %s", got)
		}
		c.must("ROLLBACK")
		if got := c.must(state) + "," + c.ParameterStatus("application_name"); got != "n,s,nx,n" {
			t.Errorf("after ROLLBACK: %s", got)
		}
	}
}
