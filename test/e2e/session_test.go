package e2e

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestFlushKeeps checks that a server connection stays with a client whose messages are all answered but not yet
// followed by a Sync: the transaction is open, although no ReadyForQuery says so.
func TestFlushKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	other := w.open()
	other.must("CREATE TABLE flushed (i int)")
	r := w.wire()
	r.send(parse("", "INSERT INTO flushed SELECT pg_backend_pid() RETURNING i"), bind("", ""), execute("", 0), flushNow)
	r.until(1, &pgproto3.CommandComplete{})
	mine := r.log[2]
	for range 5 {
		if b := other.backend(); "row "+b == mine {
			t.Fatal("another client was lent the server connection in the middle of a transaction")
		}
	}
	r.send(query("ROLLBACK"))
	r.ready(1)
	if got := other.must("SELECT count(*) FROM flushed"); got != "0" {
		t.Errorf("%s rows after ROLLBACK", got)
	}
}

// TestCopyKeeps is TestFlushKeeps for COPY: the server ignores the Sync that came before the data.
func TestCopyKeeps(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{false, true} { // the end of the data is sent before the server has asked for it
		t.Run(fmt.Sprint(early), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{pool: 1})
			other := w.open()
			other.must("CREATE TABLE copied (i int)")
			r := w.wire()
			r.send(parse("", "COPY copied FROM STDIN"), bind("", ""), execute("", 0), syncNow)
			if early {
				r.send(copyData("1\n"), copyDone, flushNow)
			} else {
				r.until(1, &pgproto3.CopyInResponse{})
				r.send(copyData("1\n"), copyDone, flushNow)
			}
			r.until(1, &pgproto3.CommandComplete{})
			done := make(chan string)
			go func() { done <- other.must("SELECT count(*) FROM copied") }()
			select {
			case got := <-done:
				t.Fatalf("another client was lent the server connection in the middle of a transaction, and saw %s rows", got)
			case <-time.After(30 * time.Millisecond): // no more than a chance to go wrong
			}
			r.send(syncNow)
			r.ready(1)
			if got := <-done; got != "1" {
				t.Errorf("%s rows after COPY", got)
			}
		})
	}
}

// TestStartupSettings checks that each client sees the settings it asked for at the start, and that RESET goes back there.
func TestStartupSettings(t *testing.T) {
	t.Parallel()
	both(t, options{pool: 1}, func(t *testing.T, w *world) {
		a := w.open("application_name", "a", "options", "-c work_mem=5MB -c app.x=ax", "timezone", "Asia/Tokyo")
		b := w.open("application_name", "b", "options", "-c work_mem=6MB -c app.x=bx", "datestyle", "German")
		state := "SELECT current_setting('application_name'), current_setting('work_mem'), current_setting('app.x'), current_setting('timezone'), current_setting('datestyle')"
		timezone := w.super("SHOW timezone")
		wantA, wantB := "a,5MB,ax,Asia/Tokyo,ISO, MDY", "b,6MB,bx,"+timezone+",German, DMY"
		for range 3 {
			for _, reset := range []string{"SELECT 1", "RESET ALL", "DISCARD ALL", "RESET work_mem", "SET work_mem TO DEFAULT", "RESET app.x"} {
				for c, want := range map[*client]string{a: wantA, b: wantB} {
					if reset != "SELECT 1" {
						c.must("SET work_mem = '9MB'")
						c.must("SET app.x = 'other'")
					}
					c.must(reset)
					if reset == "RESET app.x" {
						c.must("RESET work_mem")
					} else if strings.Contains(reset, "work_mem") {
						c.must("RESET app.x")
					}
					if got := c.must(state); got != want {
						t.Fatalf("after %s: %s, want %s", reset, got, want)
					}
					if got := c.ParameterStatus("application_name") + "," + c.ParameterStatus("TimeZone"); got != strings.Split(want, ",")[0]+","+strings.Split(want, ",")[3] {
						t.Errorf("ParameterStatus: %s, want as in %s", got, want)
					}
				}
			}
		}
	})
}

// TestPlanHealed checks that a statement prepared again after its table has changed works.
func TestPlanHealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	c, other := w.open(), w.open()
	c.must("CREATE TABLE healed (a int); INSERT INTO healed VALUES (1)")
	for i, ddl := range []string{"ALTER TABLE healed ADD b int DEFAULT 2", "ALTER TABLE healed ALTER a TYPE text", "ALTER TABLE healed DROP b"} {
		for _, x := range []*client{c, other} {
			name := fmt.Sprintf("before%d", i)
			if err := x.prepare(name, "SELECT * FROM healed"); err != nil {
				t.Fatal(err)
			}
			if _, err := x.run(name); err != nil {
				t.Fatal(err)
			}
		}
		other.must(ddl)
		want := c.must("SELECT * FROM healed")
		for _, x := range []*client{c, other} {
			name := fmt.Sprintf("after%d", i)
			if err := x.prepare(name, "SELECT * FROM healed"); err != nil {
				t.Fatal(err)
			}
			if got, err := x.run(name); err != nil || got != want {
				t.Errorf("after %s: %q, %v; want %q", ddl, got, err, want)
			}
		}
	}
}

// heap is how much memory the process has in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// zeros is a reader of n bytes, in lines.
type zeros struct{ n int }

func (z *zeros) Read(b []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(len(b), z.n)
	for i := range b[:n] {
		b[i] = '0'
		if (z.n-i)%1024 == 1 {
			b[i] = '\n'
		}
	}
	z.n -= n
	return n, nil
}

// TestHuge checks that messages of any size pass through without being kept. It runs alone: it looks at the heap.
func TestHuge(t *testing.T) {
	const size, most = 64 << 20, 16 << 20
	w := newWorld(t, options{pool: 1})
	c := w.open()
	c.must("CREATE TABLE huge (v text)")
	grown := func(what string, f func()) {
		t.Helper()
		before := heap()
		f()
		if after := heap(); after > before+most {
			t.Errorf("%s: the heap grew from %d to %d bytes", what, before, after)
		}
	}
	grown("COPY in", func() {
		ctx, cancel := context.WithTimeout(context.Background(), watchdog)
		defer cancel()
		if tag, err := c.CopyFrom(ctx, &zeros{size}, "COPY huge FROM STDIN"); err != nil || tag.RowsAffected() != size/1024 {
			t.Errorf("COPY: %v, %v", tag, err)
		}
	})
	grown("COPY out", func() {
		ctx, cancel := context.WithTimeout(context.Background(), watchdog)
		defer cancel()
		if tag, err := c.CopyTo(ctx, io.Discard, "COPY huge TO STDOUT"); err != nil || tag.RowsAffected() != size/1024 {
			t.Errorf("COPY: %v, %v", tag, err)
		}
	})
	grown("a huge row", func() {
		r := w.wire()
		r.send(query(fmt.Sprintf("SELECT repeat('x', %d)", size)))
		if n, err := io.CopyN(io.Discard, r.conn, size); err != nil {
			t.Errorf("row: %v after %d bytes", err, n)
		}
		r.close()
	})
	c.must("TRUNCATE huge")
	text := "SELECT length('" + strings.Repeat("y", 3<<20) + "')"
	if got := c.must(text); got != fmt.Sprint(3<<20) {
		t.Errorf("a statement of 3 MiB: %s", got)
	}
	if r := c.params(text); r.Err != nil || len(r.Rows) != 1 {
		t.Errorf("a statement of 3 MiB, extended: %v", r.Err)
	}
	if r := c.params("SELECT length($1::text)", strings.Repeat("z", 5<<20)); r.Err != nil || string(r.Rows[0][0]) != fmt.Sprint(5<<20) {
		t.Errorf("a parameter of 5 MiB: %v", r.Err)
	}
	c.leave()
	w.open().must("SELECT 1")
}

// TestInitQuery checks that it runs once on each new server connection.
func TestInitQuery(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	(&world{t: t, db: db}).open().must("CREATE TABLE started (pid int)")
	w := newWorld(t, options{pool: 1, db: &db, change: func(p *resource.Proxy) {
		p.Pool.InitQuery = "INSERT INTO started VALUES (pg_backend_pid())"
	}})
	for range 3 {
		c := w.open()
		if got := c.must("SELECT count(*), max(pid) = pg_backend_pid() FROM started"); got != "1,t" {
			t.Fatalf("count and pid: %s", got)
		}
	}
}

// TestTwoUsers checks that the pools of two users share the target's limit: one's idle connection makes room for the other.
func TestTwoUsers(t *testing.T) {
	t.Parallel()
	db, two := testkit.Database(t, testkit.SharedPostgres(t)), testkit.Database(t, testkit.SharedPostgres(t))
	w := newWorld(t, options{pool: 1, db: &db, users: map[string]string{two.User: two.Password}})
	a := w.open()
	w.db = two
	b := w.open()
	for range 5 {
		if got := a.must("SELECT current_user"); got != db.User {
			t.Fatalf("user %s, want %s", got, db.User)
		}
		if got := b.must("SELECT current_user"); got != two.User {
			t.Fatalf("user %s, want %s", got, two.User)
		}
	}
}

// TestPasswordRotation checks that clients log in with the secret of the day, and that those there are stay.
func TestPasswordRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	old := w.open()
	pid := old.backend()
	was := w.config()
	w.super("ALTER ROLE " + w.db.User + " PASSWORD 'next'")
	w.f.SetPassword(w.db.User, "next")
	w.kill(pid) // a new server connection is needed
	old.must("SELECT 1")
	w.open().must("SELECT 1")
	if _, err := w.dial(was); err == nil {
		t.Error("the old password still works")
	} else {
		failsWith(t, "old password", err, "28P01")
	}
}

// TestApplyKeeps checks that changed pool settings leave clients and server connections alone.
func TestApplyKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	c, other := w.open(), w.open()
	c.must("BEGIN")
	pid := c.backend()
	w.f.Proxy.Pool.MaxConnections = 1
	w.f.Proxy.Pool.ConnectionBorrowTimeout = 0
	w.f.Apply(t)
	if got := c.backend(); got != pid {
		t.Errorf("backend %s, was %s", got, pid)
	}
	testkit.Eventually(t, "the limit holds", func() bool {
		_, err := other.exec("SELECT 1")
		return codeOf(err) == "08000"
	})
	c.must("COMMIT")
	other.must("SELECT 1")
	w.f.Proxy.Pool.MaxConnections = 3
	w.f.Proxy.Pool.ConnectionBorrowTimeout = time.Minute
	w.f.Apply(t)
	c.must("BEGIN")
	testkit.Eventually(t, "there is room again", func() bool { _, err := other.exec("SELECT 1"); return err == nil })
	if a, b := c.backend(), other.backend(); a == b {
		t.Errorf("both on %s", a)
	}
}

// TestIdleClient checks that a client that does nothing is told and closed, and one in a transaction is not.
func TestIdleClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2, change: func(p *resource.Proxy) { p.IdleClientTimeout = time.Second }})
	busy := w.open()
	busy.must("BEGIN")
	r := w.wire()
	r.ready(1)
	if got := strings.Join(r.log, "; "); !strings.HasPrefix(got, "ERROR FATAL 57P05") {
		t.Errorf("got %q", got)
	}
	busy.must("COMMIT")
}

// TestClientLifetime checks that a client that has been connected for long is told and closed once it is idle.
func TestClientLifetime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2, change: func(p *resource.Proxy) { p.ClientLifetime = time.Second }})
	busy, idle := w.wire(), w.wire() // busy is the older one
	busy.send(query("BEGIN"))
	busy.ready(1)
	idle.ready(1)
	if got := strings.Join(idle.log, "; "); !strings.HasPrefix(got, "ERROR FATAL 57P01") || !strings.Contains(got, "maximum lifetime") {
		t.Errorf("idle: got %q", got)
	}
	busy.log = nil
	busy.send(query("COMMIT"))
	busy.ready(2)
	if len(busy.log) < 3 || busy.log[0] != "complete COMMIT" || !strings.HasPrefix(busy.log[2], "ERROR FATAL 57P01") {
		t.Errorf("in a transaction: got %q", busy.log)
	}
}

// TestSessionAuthorization checks that SET SESSION AUTHORIZATION is carried, and undone with its transaction.
func TestSessionAuthorization(t *testing.T) {
	t.Parallel()
	both(t, options{pool: 1}, func(t *testing.T, w *world) {
		w.super("ALTER ROLE " + w.db.User + " SUPERUSER")
		a, b := w.open(), w.open()
		const other = "pg_read_all_data"
		is := func(c *client, who string) {
			t.Helper()
			c.must("SELECT 1") // what is reported comes with an answer
			if got := c.must("SELECT current_user, session_user"); got != who+","+who || c.ParameterStatus("session_authorization") != who {
				t.Errorf("is %s, told %s, want %s", got, c.ParameterStatus("session_authorization"), who)
			}
		}
		a.must("SET SESSION AUTHORIZATION " + other)
		for range 2 {
			is(a, other)
			is(b, w.db.User)
		}
		a.must("BEGIN; RESET SESSION AUTHORIZATION")
		is(a, w.db.User)
		a.must("ROLLBACK")
		is(b, w.db.User)
		is(a, other)
		a.must("SET SESSION AUTHORIZATION DEFAULT")
		is(b, w.db.User)
		is(a, w.db.User)
	})
}

// TestDebugLogging checks that each statement is logged by its digest while debug_logging is on, and only then.
func TestDebugLogging(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	c := w.open()
	c.must("SELECT 'before'")
	w.f.Proxy.DebugLogging = true
	w.f.Apply(t)
	c.must("SELECT 'secret'; SELECT 2")
	if err := c.prepare("p", "SELECT 'secret', $1::text"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.run("p", "secret"); err != nil {
			t.Fatal(err)
		}
	}
	r := w.wire()
	r.send(&pgproto3.FunctionCall{Function: 1})
	r.ready(1)
	w.f.Proxy.DebugLogging = false
	w.f.Apply(t)
	c.must("SELECT 'after'")
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	if want := []string{"select $1; select $2", "select $1, $2::text", "select $1, $2::text", "function call"}; !slices.Equal(w.log.runs, want) {
		t.Errorf("logged %q, want %q", w.log.runs, want)
	}
}

// TestPercentage checks the limit that is a share of what the server allows.
func TestPercentage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{change: func(p *resource.Proxy) {
		p.Pool.MaxConnections, p.Pool.MaxConnectionsPercent, p.Pool.MaxIdleConnectionsPercent = 0, 3, 1
		p.Pool.ConnectionBorrowTimeout = 2 * time.Second
	}})
	w.open().must("SELECT 1")
	// 97 of 100 connections are not reserved for superusers; 3 percent of them are 2.
	a, b, c := w.open(), w.open(), w.open()
	a.must("BEGIN")
	b.must("BEGIN")
	c.fails("SELECT 1", "08000")
	a.must("COMMIT")
	c.must("SELECT 1")
}

// TestDrain checks that a drain ends idle clients, lets transactions finish, and takes nobody new.
func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{pool: 2})
	idle, busy := w.wire(), w.open()
	busy.must("CREATE TABLE drained (i int)")
	busy.must("BEGIN; INSERT INTO drained VALUES (1)")
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), watchdog)
		defer cancel()
		done <- w.f.Plane.Drain(ctx)
	}()
	idle.ready(1)
	if got := strings.Join(idle.log, "; "); !strings.HasPrefix(got, "ERROR FATAL 57P01") {
		t.Errorf("the idle client got %q", got)
	}
	if _, err := w.dial(w.config()); err == nil {
		t.Error("a new client was let in")
	}
	busy.must("INSERT INTO drained VALUES (2)")
	busy.must("COMMIT")
	if err := <-done; err != nil {
		t.Errorf("drain: %v", err)
	}
	if got := w.super("SELECT count(*) FROM drained"); got != "2" {
		t.Errorf("%s rows, want 2", got)
	}
}
