package sqlserver

import (
	"encoding/binary"
	"math/rand"
	"strings"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/wire/tds"
)

func TestBatchesShareAConnection(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	for range 3 {
		a.want(a.ask("SELECT 5"), "1 .")
		b.want(b.ask("SELECT 6"), "1 .")
	}
	if f := (*a.servers)[0].f; f.resets != 0 || len(f.said) != 6 {
		t.Errorf("%d resets, %q", f.resets, f.said)
	}
}

func TestSettingsGoWithTheSession(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.want(a.ask("SET LOCK_TIMEOUT 500"), ".")
	a.want(a.ask("USE other"), "env 1 .")
	b.want(b.ask("SELECT VAR LOCK_TIMEOUT"), "NULL .")
	b.want(b.ask("SELECT DB_NAME()"), "shop .")
	a.want(a.ask("SELECT DB_NAME()"), "other .")
	a.want(a.ask("SELECT VAR LOCK_TIMEOUT"), "500 .")
	if a.s.Pinned() != "" || a.s.l.counters.Replays == 0 {
		t.Errorf("pinned: %q, %d replays", a.s.Pinned(), a.s.l.counters.Replays)
	}
}

// A reset goes with the next request of another session, and its acknowledgement is not that client's.
func TestResetRides(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.want(a.ask("EXEC leaks"), ".")
	b.want(b.ask("SELECT VAR leak"), "NULL .")
	f := (*a.servers)[0].f
	if f.resets != 1 || strings.Join(f.said, "|") != "EXEC leaks|"+probeTells+"|SELECT VAR leak" && f.resets != 1 {
		t.Errorf("%d resets, %q", f.resets, f.said)
	}
	b.want(b.ask("SELECT 1"), "1 .")
	if f.resets != 1 {
		t.Errorf("%d resets", f.resets)
	}
}

// What a server tells behind its acknowledgement of a reset is kept from the client, too, in whole tokens.
func TestResetTellsBehind(t *testing.T) {
	t.Parallel()
	for n := 1; n < 300; n += 7 {
		a := newStage(t, setup{serverSize: 512})
		b := a.another()
		(*a.servers)[0].f.tellsBehind = n
		a.want(a.ask("EXEC leaks"), ".")
		got := b.ask("SELECT VAR leak")
		if !strings.HasSuffix(got, "NULL .") || n < 100 && got != "NULL ." || strings.Contains(got, "env 18") {
			t.Errorf("texts of %d: the client sees %q", n, got)
		}
	}
}

func TestResetMustBeAcknowledged(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("EXEC leaks")
	(*a.servers)[0].f.noReset = true
	b.want(b.ask("SELECT VAR leak"), "error 40197 .")
	if b.lost != 1 {
		t.Error("the connection lives on")
	}
}

func TestClientsOwnReset(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	a.ask("SET LOCK_TIMEOUT 500")
	a.want(a.ask("CREATE TABLE #t (a int)"), ".")
	if a.s.Pinned() != string(pinTemporary) {
		t.Fatalf("pinned: %q", a.s.Pinned())
	}
	a.want(a.exchange(a.batchOf("SELECT VAR LOCK_TIMEOUT", tds.StatusResetConnection)), "env 18 NULL .")
	if a.s.Pinned() != "" || a.s.want != a.s.startup {
		t.Errorf("pinned: %q", a.s.Pinned())
	}
	a.want(a.ask("SELECT VAR LOCK_TIMEOUT"), "NULL .")
	// One on which nothing is left need not be reset: only the client is to see it.
	n := (*a.servers)[0].f.resets
	a.want(a.exchange(a.batchOf("SELECT VAR LOCK_TIMEOUT", tds.StatusResetConnection)), "env 18 NULL .")
	if got := (*a.servers)[0].f.resets - n; got != 0 {
		t.Errorf("%d resets", got)
	}
	// On a connection that is not as its log-in: a batch of ours goes first, and the client sees an acknowledgement all the same.
	a.s.startup.LockTimeout = 7
	a.want(a.exchange(a.batchOf("SELECT VAR LOCK_TIMEOUT", tds.StatusResetConnection)), "env 18 7 .")
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		a := newStage(t, setup{silent: silent})
		begin, commit, end := "env 8 .", "env 9 .", "env 10 ."
		if silent {
			begin, commit, end = ".", ".", "."
		}
		check := func(holds bool, after string) {
			t.Helper()
			if (a.on != nil) != holds {
				t.Errorf("silent %v: after %s the session has a server connection: %v", silent, after, a.on != nil)
			}
		}
		a.want(a.ask("BEGIN TRAN"), begin)
		check(true, "BEGIN TRAN")
		a.want(a.ask("BEGIN TRAN"), ".")
		a.want(a.ask("SELECT 1"), "1 .")
		a.want(a.ask("COMMIT TRAN"), ".")
		check(true, "the inner COMMIT")
		a.want(a.ask("COMMIT TRAN"), commit)
		check(false, "COMMIT")
		a.want(a.ask("EXEC opens"), begin)
		check(true, "a procedure that begins one")
		a.want(a.ask("ROLLBACK TRAN"), end)
		check(false, "ROLLBACK")
		tm := func(data ...byte) string {
			return a.exchange(a.say(tds.PacketTransaction, 0, append(a.headers(), data...)))
		}
		a.want(tm(5, 0, 0, 0), "env 8 .")
		check(true, "a request to begin one")
		a.want(a.ask("SELECT 1"), "1 .")
		a.want(tm(8, 0, 0, 0), "env 10 .")
		check(false, "a request to roll back")
		if n := a.s.l.counters.InTransaction; n != 0 {
			t.Errorf("silent %v: %d server connections in a transaction", silent, n)
		}
		if want := tellsAll; !silent && a.s.l.tells != want {
			t.Errorf("what servers tell is not known: %v", a.s.l.tells)
		}
	}
}

// Isolation levels of transaction manager requests stay the session's.
func TestIsolationOfRequests(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.exchange(a.say(tds.PacketTransaction, 0, append(a.headers(), 5, 0, 4, 0)))
	a.exchange(a.say(tds.PacketTransaction, 0, append(a.headers(), 7, 0, 0, 0)))
	b.want(b.ask("SELECT VAR ISOLATION"), "NULL .")
	a.want(a.ask("SELECT VAR ISOLATION"), "SERIALIZABLE .")
}

func TestPreparedStatements(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{servers: 2})
	b := a.another()
	exec := call{id: tds.ProcExecute, handle: 1}
	a.want(a.call(call{id: tds.ProcPrepExec, handle: -1, texts: []string{"", "SELECT 5"}}), "1 handle 1 .")
	a.want(a.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"@a int", "SELECT 6"}}), "handle 2 .")
	for range 4 { // on both servers
		a.want(a.call(exec), "1 .")
	}
	if n := a.s.l.counters.Reprepares; n != 1 {
		t.Errorf("%d prepared again, want 1: a server connection keeps what it has", n)
	}
	// A handle is its session's alone.
	b.want(b.call(exec), "error 8179 .")
	b.want(b.call(call{id: tds.ProcPrepExec, handle: -1, texts: []string{"", "SELECT 7"}}), "1 handle 1 .")
	b.want(b.call(exec), "1 .")
	a.want(a.call(exec), "1 .")
	// Several calls in a message, among them one that gives a handle up.
	a.want(a.call(exec, call{id: tds.ProcUnprepare, handle: 2}, call{id: tds.ProcPrepExec, handle: 1, texts: []string{"", "SELECT 8"}}, exec),
		"1 1 handle 3 error 8179 .")
	a.want(a.call(call{id: tds.ProcUnprepare, handle: 3}), ".")
	a.want(a.call(call{id: tds.ProcExecute, handle: 3}), "error 8179 .")
	if a.s.Pinned() != "" || len(a.s.stmts) != 0 || a.s.stmtBytes != 0 {
		t.Errorf("pinned: %q; %d statements of %d bytes left", a.s.Pinned(), len(a.s.stmts), a.s.stmtBytes)
	}
}

// A reset takes a server connection's handles away.
func TestPreparedAfterReset(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.want(a.call(call{id: tds.ProcPrepExec, handle: -1, texts: []string{"", "SELECT 5"}}), "1 handle 1 .")
	b.ask("EXEC leaks")
	a.want(a.call(call{id: tds.ProcExecute, handle: 1}), "1 .")
	a.want(a.call(call{id: tds.ProcExecute, handle: 1}), "1 .")
	if n := a.s.l.counters.Reprepares; n != 1 {
		t.Errorf("%d prepared again", n)
	}
}

// Handles of a server connection are as many as max_prepared_statements, and some: then it is reset.
func TestManyHandles(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	for range 20 {
		w.call(call{id: tds.ProcPrepExec, handle: -1, texts: []string{"", "SELECT 5"}})
	}
	f := (*w.servers)[0].f
	if len(f.handles) > 6 || f.resets == 0 {
		t.Errorf("%d handles after %d resets", len(f.handles), f.resets)
	}
	for h := range 20 {
		w.want(w.call(call{id: tds.ProcExecute, handle: h + 1}), "1 .")
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason   pinReason
		do, undo func(w *stage) string
	}{
		{pinTemporary, func(w *stage) string { return w.ask("CREATE TABLE #t (a int)") }, func(w *stage) string { return w.ask("DROP TABLE #t") }},
		{pinTemporary, func(w *stage) string { return w.ask("CREATE TABLE ##t (a int)") }, func(w *stage) string { return w.ask("DROP TABLE ##t") }},
		{pinCursor, func(w *stage) string { return w.ask("DECLARE c CURSOR FOR SELECT 1") }, nil},
		{
			pinCursor, func(w *stage) string {
				return w.call(call{id: tds.ProcCursorOpen, handle: -1, texts: []string{"SELECT 1"}})
			},
			func(w *stage) string { return w.call(call{id: tds.ProcCursorClose, handle: 180150003}) },
		},
		{pinAppLock, func(w *stage) string {
			return w.call(call{name: "sp_getapplock", texts: []string{"r", "Exclusive", "Session"}, named: "@LockOwner"})
		}, func(w *stage) string {
			return w.call(call{name: "sp_releaseapplock", texts: []string{"r", "Session"}, named: "@LockOwner"})
		}},
		{pinAppLock, func(w *stage) string { return w.ask("EXEC sp_getapplock 'r', 'Exclusive', 'Session'") }, nil},
		{pinSettings, func(w *stage) string { return w.ask("SET ROWCOUNT 5; SELECT 1/0") }, nil},
		{pinDistributed, func(w *stage) string {
			return w.exchange(w.say(tds.PacketTransaction, 0, append(w.headers(), 1, 0, 0, 0)))
		}, nil},
		{pinFixed, func(w *stage) string { return w.ask("SET FMTONLY ON") }, nil},
		{pinPrepared, func(w *stage) string { return w.call(call{id: tds.ProcPrepExecRPC, handle: -1, texts: []string{"x"}}) }, nil},
	} {
		w := newStage(t, setup{})
		c.do(w)
		if got := w.s.Pinned(); got != string(c.reason) || w.on == nil {
			t.Errorf("pinned: %q, want %q; has a server connection: %v", got, c.reason, w.on != nil)
			continue
		}
		p := w.s.Describe().Pins[0]
		if p.Fix == "" || p.Since == 0 || w.s.l.counters.Pins[p.Reason] != 1 || w.s.l.counters.Pinned != 1 {
			t.Errorf("%s: %+v, counted %d", c.reason, p, w.s.l.counters.Pins[p.Reason])
		}
		w.ask("SELECT 1")
		if w.on == nil {
			t.Errorf("%s: the server connection has gone", c.reason)
		}
		if c.undo != nil {
			c.undo(w)
			if w.s.Pinned() != "" || w.on != nil || w.s.l.counters.Pinned != 0 {
				t.Errorf("%s: pinned still: %q", c.reason, w.s.Pinned())
			}
		}
	}
}

// FMTONLY that is set ON by itself and OFF at the end of the next request, as drivers do before a bulk load, pins between the two. With
// anything else it pins for good.
func TestFormatOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		texts []string
		ends  bool
	}{
		{[]string{"SET FMTONLY ON", "SELECT 1 SET FMTONLY OFF"}, true},
		{[]string{"SET FMTONLY ON", "SET FMTONLY OFF"}, true},
		{[]string{"SET FMTONLY ON", "SET FMTONLY ON", "SET FMTONLY OFF"}, false},
		{[]string{"SET FMTONLY ON", "SELECT 1", "SET FMTONLY OFF"}, false},
		{[]string{"SET FMTONLY ON", "SET NOEXEC ON", "SET FMTONLY OFF"}, false},
		{[]string{"SET NOEXEC ON", "SET FMTONLY ON", "SET FMTONLY OFF"}, false},
		{[]string{"SET FMTONLY ON", "SELECT 1/0; SET FMTONLY OFF"}, false},
		{[]string{"SET FMTONLY ON", "SET FMTONLY OFF; SELECT 1"}, false},
		{[]string{"SELECT 1 SET FMTONLY ON", "SET FMTONLY OFF"}, false},
	} {
		w := newStage(t, setup{})
		f := (*w.servers)[0].f
		for _, text := range c.texts {
			if w.ask(text); w.on == nil && text != c.texts[len(c.texts)-1] {
				t.Errorf("%q: not pinned behind %s", c.texts, text)
			}
		}
		if ends := w.s.Pinned() == "" && w.on == nil; ends != c.ends {
			t.Errorf("%q: pinned: %q", c.texts, w.s.Pinned())
		}
		if kept := w.leave(); kept != c.ends || (*w.servers)[0].f == f != c.ends {
			t.Errorf("%q: the server connection goes on: %v", c.texts, kept)
		}
	}
}

// Settings that a text does not tell are asked for, behind the transaction.
func TestAskedSettings(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"DECLARE @n int = 5; SET LOCK_TIMEOUT @n", "SET LOCK_TIMEOUT 5; SELECT 1/0"} {
		for _, tx := range []bool{false, true} {
			w := newStage(t, setup{})
			if tx {
				w.ask("BEGIN TRAN")
			}
			w.ask(text)
			if tx {
				if w.s.want.LockTimeout == 5 {
					t.Error("it was asked in the transaction")
				}
				w.ask("COMMIT TRAN")
			}
			if w.s.Pinned() != "" || w.on != nil || w.s.want.LockTimeout != 5 {
				t.Errorf("%s: pinned: %q, LOCK_TIMEOUT %d", text, w.s.Pinned(), w.s.want.LockTimeout)
			}
		}
		w := newStage(t, setup{})
		(*w.servers)[0].f.mute = true
		w.ask(text)
		if w.s.Pinned() != string(pinSettings) {
			t.Errorf("%s: the server does not answer, pinned: %q", text, w.s.Pinned())
		}
	}
}

// A statement fails that says nothing of settings, and one within which SET means nothing: neither pins.
func TestNoPins(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.want(w.ask("SELECT 1/0"), "error 8134 .")
	w.want(w.call(call{id: tds.ProcExecuteSQL, texts: []string{"SET LOCK_TIMEOUT 5"}}), ".")
	w.want(w.call(call{name: "sp_getapplock", texts: []string{"r", "Exclusive", "Transaction"}, named: "@LockOwner"}), ".")
	if w.s.Pinned() != "" {
		t.Errorf("pinned: %q", w.s.Pinned())
	}
}

func TestAttention(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	// While nothing runs.
	w.want(w.exchange(w.attention()), "attention .")
	// While a statement runs.
	w.exchange(w.batchOf("WAITFOR DELAY '1:00'", 0))
	if !w.s.Busy() || w.on == nil {
		t.Fatal("it does not run")
	}
	w.want(w.exchange(w.attention()), "attention .")
	if w.on != nil {
		t.Error("the server connection is not given back")
	}
	w.want(w.ask("SELECT 1"), "1 .")
	// Together with its request, which need not run.
	said := len((*w.servers)[0].f.said)
	w.want(w.exchange(append(w.batchOf("SELECT 2", 0), w.attention()...)), "attention .")
	if f := (*w.servers)[0].f; len(f.said) != said {
		t.Errorf("the server was asked %q", f.said[said:])
	}
	// An answer that has been sent already is followed by the acknowledgement.
	w.exchange(w.batchOf("WAITFOR DELAY '1:00'", 0))
	w.on.f.running = false
	w.on.f.send(new(reply).done(0xFD, 0, 0))
	w.want(w.exchange(w.attention()), ". attention .")
	if w.on != nil {
		t.Error("the server connection is not given back")
	}
}

// A client that waits for a server connection has its attention answered.
func TestAttentionWhileWaiting(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	both := append(w.batchOf("SELECT 2", 0), w.attention()...)
	if w.s.Withdraws(both[:len(both)-1]) || !w.s.Withdraws(both) {
		t.Error("it is not seen that the request is withdrawn")
	}
	w.o.Reset()
	if n := w.s.FromClient(both, &w.o); n != len(both) {
		t.Errorf("%d of %d bytes taken", n, len(both))
	}
	w.want(seen(t, w.o.Client.Bytes(), 4096), "attention .")
}

func TestPacketSizes(t *testing.T) {
	t.Parallel()
	long := "SELECT '" + strings.Repeat("y", 3000) + "'"
	for _, c := range []setup{{clientSize: 512, serverSize: 4096}, {clientSize: 32767, serverSize: 512}, {clientSize: 600, serverSize: 512}} {
		for _, n := range []int{1 << 20, 1, 700} {
			w := newStage(t, c)
			w.split = func() int { return n }
			w.want(w.ask(long), "1 .")
			if got := (*w.servers)[0].f.said[0]; got != long {
				t.Errorf("%+v: the server reads %.40q of %d bytes", c, got, len(got))
			}
			w.ask("SELECT many")
			w.exchange(w.batchOf("EXEC leaks", 0))
			x := w.another()
			x.want(x.ask("SELECT VAR leak"), "NULL .")
		}
	}
}

// Requests that are too large to be looked into stream through, and pin.
func TestLargeRequest(t *testing.T) {
	t.Parallel()
	for _, size := range []int{512, 8000} {
		w := newStage(t, setup{serverSize: size})
		text := "SELECT '" + strings.Repeat("z", maxInspected) + "'"
		w.split = func() int { return 64 << 10 }
		w.want(w.ask(text), "1 .")
		if got := (*w.servers)[0].f.said[0]; got != text {
			t.Errorf("the server reads %d bytes, want %d", len(got), len(text))
		}
		if w.s.Pinned() != string(pinLarge) {
			t.Errorf("pinned: %q", w.s.Pinned())
		}
	}
}

// A procedure call with large values is known by its text, and pins no longer than it is seen to be the only one.
func TestLargeCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		calls []call
		pin   pinReason
	}{
		{[]call{{id: tds.ProcExecuteSQL, texts: []string{"SELECT @a", "@a nvarchar(max)", "big"}}}, ""},
		{[]call{{id: tds.ProcExecuteSQL, texts: []string{"SELECT @a", "@a nvarchar(max)", "big"}}, {name: "leaks"}}, pinLarge},
	} {
		w := newStage(t, setup{})
		w.split = func() int { return 64 << 10 }
		w.want(w.call(c.calls...), strings.Repeat("1 ", 1)+".")
		if w.s.Pinned() != string(c.pin) {
			t.Errorf("%d calls: pinned: %q", len(c.calls), w.s.Pinned())
		}
		x := w.another()
		if w.on != nil {
			w.leave()
		}
		x.want(x.ask("SELECT VAR leak"), "NULL .")
	}
}

func TestBulkLoad(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.want(w.ask("INSERT BULK t (a int)"), ".")
	if w.on == nil {
		t.Fatal("the server connection is given back before the rows come")
	}
	w.split = func() int { return 5000 }
	w.want(w.exchange(w.say(tds.PacketBulkLoad, 0, make([]byte, 3*maxInspected))), ".")
	if w.on != nil || w.s.Pinned() != "" {
		t.Errorf("it keeps its server connection: %q", w.s.Pinned())
	}
	w.want(w.exchange(w.say(tds.PacketBulkLoad, 0, make([]byte, 9000))), "error 4022 .")
}

func TestLastValues(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("INSERT t VALUES (1)")
	b.ask("INSERT t VALUES (1)")
	b.want(b.ask("SELECT @@IDENTITY"), "2 .")
	a.want(a.ask("SELECT @@IDENTITY"), "1 .")
	b.want(b.ask("SELECT SCOPE_IDENTITY()"), "2 .")
	a.ask("UPDATE t SET a = 1")
	b.ask("SELECT 1")
	a.want(a.ask("SELECT @@ROWCOUNT"), "5 .")
	b.want(b.ask("SELECT @@ROWCOUNT"), "1 .")
	// In its own transaction and right behind, nothing is put back.
	n := len((*a.servers)[0].f.said)
	a.ask("SELECT 1")
	a.want(a.ask("SELECT @@ROWCOUNT"), "1 .")
	if got := len((*a.servers)[0].f.said) - n; got != 2 {
		t.Errorf("%d batches, want 2: %q", got, (*a.servers)[0].f.said[n:])
	}
	// A session that has inserted nothing has no identity, whoever else has.
	c := b.another()
	c.want(c.ask("SELECT @@IDENTITY"), "NULL .")
}

// On Babelfish an identity cannot be put back. Then it is refused, and all goes on.
// While nobody else wants the server connection nothing is asked; when it is given up, once.
func TestIdentityIsAskedForLate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		texts []string
		asked int
		want  string // what @@IDENTITY is elsewhere
	}{
		{[]string{"INSERT t VALUES (1)", "INSERT t VALUES (1)", "SELECT 1"}, 1, "2 ."},
		{[]string{"INSERT t VALUES (1)", "UPDATE t SET a = 1"}, 1, "1 ."},
		{[]string{"INSERT t VALUES (1)", "SELECT SCOPE_IDENTITY()"}, 1, "1 ."},
		{[]string{"BEGIN TRAN", "INSERT t VALUES (1)", "COMMIT"}, 1, "1 ."},
		{[]string{"INSERT t VALUES (1); SELECT SCOPE_IDENTITY()"}, 0, "error 40197 ."}, // the client knows it
		{[]string{"INSERT t VALUES (1); SELECT SCOPE_IDENTITY()", "SELECT 1"}, 1, "1 ."},
		{[]string{"INSERT t VALUES (1); SELECT SCOPE_IDENTITY(); SELECT 1/0"}, 1, "1 ."},
		{[]string{"SELECT 1"}, 0, "NULL ."},
	} {
		a := newStage(t, setup{})
		a.keeps = true
		b := a.another()
		f := (*a.servers)[0].f
		count := func() (n int) {
			for _, text := range f.said {
				if text == askIdentity {
					n++
				}
			}
			return n
		}
		for _, text := range c.texts {
			a.ask(text)
		}
		if a.on == nil || count() > 0 {
			t.Errorf("%q: kept %v, asked %d times", c.texts, a.on != nil, count())
			continue
		}
		a.keeps = false
		a.run(nil)
		if a.on != nil || count() != c.asked {
			t.Errorf("%q: given back %v, asked %d times", c.texts, a.on == nil, count())
		}
		b.ask("INSERT t VALUES (1)")
		b.ask("EXEC leaks")
		a.want(a.ask("SELECT @@IDENTITY"), c.want)
	}
}

func TestLastValuesForgotten(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("INSERT t VALUES (1)")
	(*a.servers)[0].f.forgets = true
	b.ask("INSERT t VALUES (1)")
	a.want(a.ask("SELECT @@IDENTITY"), "error 40197 .")
	a.want(a.ask("SELECT 1"), "1 .")
	b.want(b.ask("SELECT SCOPE_IDENTITY()"), "error 40197 .")
	b.ask("INSERT t VALUES (1)")
	b.want(b.ask("SELECT @@IDENTITY"), "3 .")
	if a.lost+b.lost > 0 || len(*a.servers) != 1 {
		t.Error("the server connection is closed for it")
	}
}

// What is lost is not made up.
func TestLastValuesLost(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("SELECT 1/0")
	b.ask("SELECT 1")
	a.want(a.ask("SELECT @@ERROR"), "error 40197 .")
	a.want(a.ask("SELECT 1"), "1 .")
}

// A server connection that is lost while Forebay asks what a request has left, which has been answered, adds nothing to the answer.
func TestServerLostBehind(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.attach()
	w.o.Reset()
	w.s.FromClient(w.batchOf("INSERT t VALUES (1)", 0), &w.o)
	w.took()
	w.keeps = true
	w.client = nil
	w.run(nil)
	w.want(seen(t, w.client, 4096), ".")
	if !w.giveBack() {
		t.Fatal("nothing is asked")
	}
	w.client = nil
	w.lose()
	if len(w.client) > 0 {
		t.Errorf("besides: %s", seen(t, w.client, 4096))
	}
	w.want(w.ask("SELECT 1"), "1 .")
}

// What Forebay was about to ask for, of a server connection that is lost, may have been lost with it: the next request is refused.
func TestServerLostUnasked(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"EXEC opens", "SET LOCK_TIMEOUT @n"} {
		w := newStage(t, setup{silent: true})
		w.attach()
		w.o.Reset()
		w.s.FromClient(w.batchOf(text, 0), &w.o)
		w.took()
		out := w.on.f.out
		w.on.f.out = nil
		w.o.Reset()
		w.s.FromServer(out, &w.o)
		if w.o.Server.Len() == 0 {
			t.Fatalf("%s: nothing is asked", text)
		}
		w.took()
		w.lose()
		w.want(w.ask("SELECT 1"), "error 40197 .")
		w.want(w.ask("SELECT 1"), "1 .")
	}
}

// A transaction that is lost while its statement is cancelled is told by the next request: a driver says nothing but that it was cancelled.
func TestServerLostCancelled(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.ask("BEGIN TRAN")
	w.exchange(w.batchOf("WAITFOR DELAY '1:00'", 0))
	w.o.Reset()
	w.s.FromClient(w.attention(), &w.o)
	w.client = nil
	w.lose()
	w.want(seen(t, w.client, 4096), "env 10 error 40197 attention .")
	w.want(w.ask("SELECT 1"), "error 40197 .")
	w.want(w.ask("SELECT 1"), "1 .")
}

// A table that is dropped in a transaction may come back with that.
func TestDropInTransaction(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.ask("CREATE TABLE #t (a int)")
	w.ask("BEGIN TRAN")
	w.ask("DROP TABLE #t")
	w.ask("ROLLBACK TRAN")
	if w.s.Pinned() == "" {
		t.Error("the server connection that has #t is let go")
	}
}

// A procedure that is known to write nothing leaves the identities as they are, wherever it runs.
func TestIdentityBehindProcedure(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("INSERT t VALUES (1)")
	b.ask("EXEC leaks")
	b.ask("SELECT 1")
	a.ask("EXEC leaks")
	a.want(a.ask("SELECT @@IDENTITY"), "1 .")
	a.ask("INSERT t VALUES (1)")
	a.want(a.ask("SELECT @@IDENTITY"), "2 .")
}

// NOCOUNT keeps the counts back that a server connection would have to be given.
func TestLastCountNotTold(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("SET NOCOUNT ON")
	a.ask("UPDATE t SET a = 1")
	b.ask("SELECT 1")
	a.want(a.ask("SELECT @@ROWCOUNT"), "error 40197 .")
	a.ask("SET NOCOUNT OFF")
	a.ask("UPDATE t SET a = 1")
	b.ask("SELECT 1")
	a.want(a.ask("SELECT @@ROWCOUNT"), "5 .")
}

func TestServerLost(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	// While a statement runs.
	w.exchange(w.batchOf("WAITFOR DELAY '1:00'", 0))
	w.client = nil
	w.lose()
	w.want(seen(t, w.client, 4096), "error 40197 .")
	w.want(w.ask("SELECT 1"), "1 .")
	// Between statements of a transaction: its end is told.
	w.ask("BEGIN TRAN")
	w.client = nil
	w.lose()
	w.want(w.ask("SELECT 1"), "env 10 error 40197 .")
	w.want(w.ask("SELECT 1"), "1 .")
	// In the middle of an answer, behind a token and within one.
	for _, cut := range []bool{false, true} {
		w := newStage(t, setup{})
		w.exchange(w.batchOf("WAITFOR DELAY '1:00'", 0))
		r := new(reply).texts("hello")
		if cut {
			r.b = r.b[:len(r.b)-2]
		}
		w.client = nil
		p := tds.Header{Type: tds.PacketReply, Length: tds.HeaderSize + len(r.b)}.Append(nil)
		w.on.f.out = append(p, r.b...)
		w.run(nil)
		w.lose()
		if w.closed != cut {
			t.Errorf("cut %v: the client is closed: %v", cut, w.closed)
		}
		if !cut {
			w.want(seen(t, w.client, 4096), "hello error 40197 .")
		}
	}
}

func TestClientGone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		keep bool
	}{
		{"SELECT 1", true},
		{"BEGIN TRAN", true},
		{"CREATE TABLE #t (a int)", true},
		{"WAITFOR DELAY '1:00'", true},
		{"SET LOCK_TIMEOUT 5; SELECT 1/0", true},
		{"SET FMTONLY ON", false},
		{"INSERT BULK t (a int)", false},
	} {
		w := newStage(t, setup{})
		w.ask(c.text)
		f := (*w.servers)[0].f
		if kept := w.leave(); kept != c.keep {
			t.Errorf("%s: kept %v", c.text, kept)
		}
		x := w.another()
		x.want(x.ask("SELECT VAR LOCK_TIMEOUT"), "NULL .")
		if p := f.pristine(); c.keep && p != "" {
			t.Errorf("%s: left %s", c.text, p)
		}
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.s.Refuse(engine.ErrBorrowTimeout, &w.o)
	if !w.s.Refusing() {
		t.Fatal("nothing is due")
	}
	w.want(w.ask("SELECT 1"), "error 49918 .")
	w.want(w.ask("SELECT 1"), "1 .")
	// A large request is dropped to its end.
	w.s.Refuse(engine.ErrTooManyWaiting, &w.o)
	w.split = func() int { return 9000 }
	w.want(w.ask("SELECT '"+strings.Repeat("z", 100<<10)+"'"), "error 10928 .")
	w.want(w.ask("SELECT 1"), "1 .")
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{
		{99, 1, 0, 8, 0, 0, 0, 0},
		{1, 1, 0, 3, 0, 0, 0, 0},
		{1, 1, 0, 12, 0, 0, 0, 0, 255, 255, 255, 255},
		{3, 1, 0, 30, 0, 0, 0, 0, 22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0},
		{14, 1, 0, 32, 0, 0, 0, 0, 22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 99, 0},
		{1, 0, 0, 9, 0, 0, 0, 0, 1, 3, 1, 0, 9, 0, 0, 0, 0, 1},
	} {
		w := newStage(t, setup{})
		w.want(w.exchange(b), "error 4002 .")
		if !w.closed {
			t.Errorf("%v: the client is not closed", b)
		}
	}
}

func TestInitQuery(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{initQuery: "SET LOCK_TIMEOUT 9"})
	b := a.another()
	(*a.servers)[0].f.vars["LOCK_TIMEOUT"] = "9"
	a.ask("EXEC leaks")
	b.want(b.ask("SELECT VAR LOCK_TIMEOUT"), "9 .")
	b.want(b.ask("SELECT VAR leak"), "NULL .")
}

func speedStage(t testing.TB) (w *stage, turn func(ask, answer []byte)) {
	w = newStage(t, setup{})
	v := (*w.servers)[0].v
	return w, func(ask, answer []byte) {
		o := &w.o
		o.Reset()
		w.s.Attach(v, o)
		if n := w.s.FromClient(ask, o); n != len(ask) || o.Server.Len() == 0 {
			t.Fatalf("%d of %d bytes taken, %d sent", n, len(ask), o.Server.Len())
		}
		o.Reset()
		if n := w.s.FromServer(answer, o); n != len(answer) || o.Client.Len() != len(answer) || !w.s.Done() {
			t.Fatalf("%d of %d bytes taken, %d sent, done %v", n, len(answer), o.Client.Len(), w.s.Done())
		}
		w.s.Detach()
	}
}

func answerOf(r *reply) []byte { return tds.AppendMessage(nil, tds.PacketReply, 0, 4096, 51, r.b) }

func TestHotPathAllocatesNothing(t *testing.T) {
	w, turn := speedStage(t)
	rows := answerOf(new(reply).texts("hello", "world").done(0xFD, tds.DoneCount, 1))
	batch := w.batchOf("SELECT c FROM sbtest1 WHERE id = 5021", 0)
	exec := w.calls(0, call{id: tds.ProcExecuteSQL, texts: []string{"SELECT c FROM sbtest1 WHERE id = @P1", "@P1 int"}})
	execRows := answerOf(new(reply).texts("hello", "world").done(0xFF, tds.DoneCount|tds.DoneMore, 1).u8(0x79).u32(0).done(0xFE, 0, 0))
	for what, run := range map[string]func(){"a batch": func() { turn(batch, rows) }, "sp_executesql": func() { turn(exec, execRows) }} {
		run()
		if n := testing.AllocsPerRun(100, run); n > 0 {
			t.Errorf("%v allocations for %s", n, what)
		}
	}
	// sp_execute of a statement that the server connection has.
	turn(w.calls(0, call{id: tds.ProcPrepExec, handle: -1, texts: []string{"@P1 int", "SELECT c FROM sbtest1 WHERE id = @P1"}}),
		answerOf(new(reply).texts("a").done(0xFF, tds.DoneMore, 1).u8(0xAC).u16(0).name("").u8(1).u32(0).u16(0).u8(0x26, 4, 4).u32(500).done(0xFE, 0, 0)))
	ask := w.calls(0, call{id: tds.ProcExecute, handle: 1})
	at := len(ask) - 4
	run := func() {
		binary.LittleEndian.PutUint32(ask[at:], 1)
		turn(ask, execRows)
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 0 {
		t.Errorf("%v allocations for sp_execute", n)
	}
}

// Nor does a reset that rides on a request.
func TestResetAllocatesNothing(t *testing.T) {
	w := newStage(t, setup{})
	v := (*w.servers)[0].v
	answer := answerOf(new(reply).env(tds.EnvReset, nil, nil).texts("hello").done(0xFD, tds.DoneCount, 1))
	batch := w.batchOf("SELECT c FROM sbtest1 WHERE id = 5021", 0)
	ask, said := make([]byte, len(batch)), make([]byte, len(answer))
	run := func() {
		copy(ask, batch)
		copy(said, answer)
		v.dirty, v.owner = true, nobody
		w.o.Reset()
		w.s.Attach(v, &w.o)
		if n := w.s.FromClient(ask, &w.o); n != len(ask) || w.o.Server.Bytes()[1]&byte(tds.StatusResetConnection) == 0 {
			t.Fatal("no reset")
		}
		w.o.Reset()
		if w.s.FromServer(said, &w.o); !w.s.Done() {
			t.Fatal("not done")
		}
		w.s.Detach()
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBatch(b *testing.B) {
	w, turn := speedStage(b)
	rows := answerOf(new(reply).texts("hello", "world").done(0xFD, tds.DoneCount, 1))
	batch := w.batchOf("SELECT c FROM sbtest1 WHERE id = 5021", 0)
	b.ReportAllocs()
	for b.Loop() {
		turn(batch, rows)
	}
}

// FuzzSession gives a session any bytes from either side, in any pieces: it must not panic, and not take what is not there.
func FuzzSession(f *testing.F) {
	w := newStage(f, setup{})
	f.Add(w.batchOf("SELECT 1", 0), answerOf(new(reply).texts("a").done(0xFD, 0, 0)), int64(1))
	f.Add(w.calls(0, call{id: tds.ProcPrepExec, handle: -1, texts: []string{"", "SELECT 1"}}), answerOf(new(reply).done(0xFE, 0, 0)), int64(2))
	f.Add(w.batchOf("CREATE TABLE #t (a int)", tds.StatusResetConnection), answerOf(new(reply).env(tds.EnvReset, nil, nil).done(0xFD, 0, 0)), int64(3))
	f.Add(append(w.batchOf("BEGIN TRAN", 0), w.attention()...), answerOf(new(reply).env(tds.EnvBegin, make([]byte, 8), nil).done(0xFD, tds.DoneAttention, 0)), int64(4))
	f.Fuzz(func(t *testing.T, client, srv []byte, seed int64) {
		w := newStage(t, setup{})
		v := (*w.servers)[0].v
		r := rand.New(rand.NewSource(seed))
		attached := false
		var in, out []byte
		for range 64 {
			w.o.Reset()
			if !attached && !w.s.Refusing() {
				w.s.Attach(v, &w.o)
				attached = true
			}
			if r.Intn(2) == 0 && w.s.Open() {
				n := r.Intn(len(client) + 1)
				in, client = append(in, client[:n]...), client[n:]
				used := w.s.FromClient(in, &w.o)
				in = in[used:]
			} else if attached {
				n := r.Intn(len(srv) + 1)
				out, srv = append(out, srv[:n]...), srv[n:]
				used := w.s.FromServer(out, &w.o)
				out = out[used:]
			}
			if w.o.CloseClient {
				break
			}
			if w.o.CloseServer && attached {
				w.o.Reset()
				w.s.ServerLost(nil, &w.o)
				w.s.Detach()
				attached = false
				v = w.newLink(w.s.l.db).v
				if w.o.CloseClient {
					break
				}
			}
			if attached && w.s.Done() && r.Intn(3) == 0 {
				w.s.Detach()
				attached = false
			}
		}
		if attached {
			w.s.ClientGone(&w.o)
			w.s.Detach()
		}
	})
}

// A reset that is due for a server connection's many handles alone takes away nothing of what its session asks for.
func TestLastValuesBehindManyHandles(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"SELECT 1", "SET LOCK_TIMEOUT 500"} { // the latter goes with the reset, in a step
		for _, c := range []struct{ last, read, want string }{
			{"INSERT t VALUES (1)", "SELECT @@IDENTITY", "2 ."},
			{"INSERT t VALUES (1)", "SELECT SCOPE_IDENTITY()", "2 ."},
			{"UPDATE t SET a = 1", "SELECT @@IDENTITY", "1 ."}, // which a trigger may have set
			{"UPDATE t SET a = 1", "SELECT @@ROWCOUNT", "5 ."},
		} {
			w := newStage(t, setup{})
			w.keeps = true
			w.ask(set)
			w.ask("INSERT t VALUES (1)")
			w.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", c.read}})
			for range 4 {
				w.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", "SELECT 5"}})
			}
			f := (*w.servers)[0].f
			if w.on == nil || f.resets > 0 {
				t.Fatalf("kept: %v, %d resets", w.on != nil, f.resets)
			}
			w.call(call{id: tds.ProcPrepExec, handle: -1, texts: []string{"", c.last}})
			w.want(w.ask(c.read), c.want)
			w.want(w.ask(strings.Replace(c.read, "@@ROWCOUNT", "5 ", 1)), strings.Replace(c.want, "5", "1", 1))
			w.call(call{id: tds.ProcPrepExec, handle: -1, texts: []string{"", c.last}})
			w.want(w.call(call{id: tds.ProcExecute, handle: 1}), strings.Replace(c.want, "2", "3", 1))
			w.ask("SELECT 1")
			w.ask("SELECT 1")
			if f.resets == 0 || w.lost > 0 {
				t.Errorf("%d resets, %d server connections lost", f.resets, w.lost)
			}
		}
	}
}

// What a session has left is not there any more behind a reset that goes along for what another one has done since.
func TestLastValuesBehindAnothersReset(t *testing.T) {
	t.Parallel()
	for read, want := range map[string]string{"SELECT @@IDENTITY": "1 .", "SELECT SCOPE_IDENTITY()": "1 .", "SELECT @@ROWCOUNT": "1 ."} {
		a := newStage(t, setup{})
		b := a.another()
		a.ask("INSERT t VALUES (1)")
		b.ask("SET DATEFORMAT @a") // which cannot be undone, and sets no identity
		v := (*a.servers)[0].v
		if !v.dirty || v.idOwner != a.s {
			t.Fatalf("dirty %v, the session's identity %v", v.dirty, v.idOwner == a.s)
		}
		a.want(a.ask(read), want)
		if f := (*a.servers)[0].f; f.resets != 1 {
			t.Errorf("%d resets", f.resets)
		}
	}
}

// A request that is refused takes its reset with it: what is asked for behind it is there yet.
func TestInquiryBehindRefusal(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.keeps = true
	b := w.another()
	for range 5 {
		w.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", "SELECT 5"}})
	}
	w.call(call{id: tds.ProcPrepExec, handle: -1, texts: []string{"", "INSERT t VALUES (1)"}})
	w.s.stmtBytes = refusedStmtBytes
	w.want(w.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", "SELECT 5"}}), "error 701 .")
	w.keeps = false
	w.run(nil)
	if w.on != nil {
		t.Fatal("it keeps its server connection")
	}
	b.ask("INSERT t VALUES (1)")
	w.want(w.ask("SELECT @@IDENTITY"), "1 .")
}

// A client that leaves while it is asked for its identities leaves its server connection to who waits for that, made clean.
func TestClientGoneWithinInquiry(t *testing.T) {
	t.Parallel()
	for what, asks := range map[string]func(w *stage){
		"for another session": func(w *stage) {
			w.ask("INSERT t VALUES (1)")
			if w.o.Reset(); !w.s.Inquire(&w.o) {
				t.Fatal("nothing is asked for")
			}
			w.took()
		},
		"for its own request": func(w *stage) {
			w.ask("BEGIN TRAN")
			w.ask("EXEC inserts")
			w.o.Reset()
			w.s.FromClient(w.batchOf("SELECT @@IDENTITY", 0), &w.o)
			w.took()
		},
	} {
		w := newStage(t, setup{})
		w.keeps = true
		b := w.another()
		f := (*w.servers)[0].f
		asks(w)
		if got := f.said[len(f.said)-1]; got != askIdentity || w.s.srv.step != stepIdentity {
			t.Fatalf("%s: the server is asked %q", what, got)
		}
		if !w.leave() {
			t.Errorf("%s: the server connection is closed", what)
			continue
		}
		if p := f.pristine(); p != "" || f.resets != 1 || w.s.l.counters.InTransaction != 0 {
			t.Errorf("%s: left %q, %d resets", what, p, f.resets)
		}
		b.want(b.ask("SELECT @@IDENTITY"), "NULL .")
	}
}
