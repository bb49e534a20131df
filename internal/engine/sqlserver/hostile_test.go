package sqlserver

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/wire/tds"
)

// A session of which only the counts have been put back has not got its identity: that of another is still there.
func TestIdentityOfAnother(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("INSERT t VALUES (1)")
	b.ask("INSERT t VALUES (1)")
	a.ask("UPDATE t SET a = 1")
	b.ask("INSERT t VALUES (1)")
	a.want(a.ask("SELECT @@ROWCOUNT"), "5 .")
	a.want(a.ask("SELECT @@IDENTITY"), "1 .")
	b.want(b.ask("SELECT @@IDENTITY"), "3 .")
}

// What a server tells as an identity becomes part of a text that another server may run: nothing but a number does.
func TestIdentityIsANumber(t *testing.T) {
	t.Parallel()
	for id, closes := range map[string]bool{
		"-" + strings.Repeat("9", 38): false, "NULL": false, "1;DROP TABLE t": true, "": true, "-": true, "1e5": true, strings.Repeat("9", 39): true,
	} {
		a := newStage(t, setup{servers: 2})
		a.keeps = true
		a.ask("INSERT t VALUES (1)")
		a.on.f.identity = id
		a.keeps = false
		a.ask("SELECT 1")
		if got := a.lost > 0; got != closes {
			t.Errorf("%q: the server connection is closed: %v, want %v", id, got, closes)
		}
	}
}

// Where the two identities differ, putting one back is not to pass for putting back both.
func TestOneIdentityOfTwo(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("INSERT t VALUES (1)")
	a.s.values.scope = "7" // as where a trigger has set another
	b.ask("INSERT t VALUES (1)")
	a.want(a.ask("SELECT SCOPE_IDENTITY()"), "7 .")
	a.want(a.ask("SELECT @@IDENTITY"), "1 .")
}

// What a session has left on one server connection is gone behind a reset that its client has asked for on another.
func TestOwnResetElsewhere(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{servers: 2})
	a.want(a.ask("EXEC leaks"), ".")
	a.want(a.exchange(a.batchOf("SELECT VAR leak", tds.StatusResetConnection)), "env 18 NULL .")
	a.want(a.ask("SELECT VAR leak"), "NULL .")
	a.want(a.ask("SELECT VAR leak"), "NULL .")
}

// The reset that comes with a request which is not run is made all the same.
func TestResetOfUnsentRequest(t *testing.T) {
	t.Parallel()
	for what, unsent := range map[string]func(w *stage) string{
		"withdrawn": func(w *stage) string {
			return w.exchange(append(w.batchOf("SELECT 2", tds.StatusResetConnection), w.attention()...))
		},
		"refused": func(w *stage) string {
			w.s.Refuse(engine.ErrBorrowTimeout, &w.o)
			return strings.Replace(w.exchange(w.batchOf("SELECT 2", tds.StatusResetConnection)), "error 49918", "attention", 1)
		},
	} {
		for _, c := range []struct{ before, look, want, told string }{
			{"SET LOCK_TIMEOUT 500", "SELECT VAR LOCK_TIMEOUT", "NULL .", "env 18 attention ."},
			{"EXEC leaks", "SELECT VAR leak", "NULL .", "env 18 attention ."},
			{"BEGIN TRAN", "SELECT 1", "1 .", "env 10 env 18 attention ."},
			{"CREATE TABLE #t (a int)", "SELECT 1", "1 .", "env 18 attention ."},
		} {
			w := newStage(t, setup{})
			w.ask(c.before)
			w.want(unsent(w), c.told)
			if w.s.Pinned() != "" || w.s.want != w.s.startup || w.on != nil {
				t.Errorf("%s, behind %s: pinned %q, has a server connection: %v", what, c.before, w.s.Pinned(), w.on != nil)
			}
			w.want(w.ask(c.look), c.want)
			if p := (*w.servers)[0].f.pristine(); p != "" {
				t.Errorf("%s, behind %s: left %s", what, c.before, p)
			}
		}
	}
}

// A reset is not lost where something of Forebay's own has to go before its request.
func TestResetBehindSteps(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.ask("INSERT t VALUES (1)")
	w.ask("CREATE TABLE #t (a int)")
	w.want(w.exchange(w.batchOf("SELECT @@IDENTITY", tds.StatusResetConnection)), "env 18 NULL .")
	if p := (*w.servers)[0].f.pristine(); p != "" || w.on != nil {
		t.Errorf("left %s; has a server connection: %v", p, w.on != nil)
	}
	w.ask("SET LOCK_TIMEOUT 5")
	w.ask("BEGIN TRAN")
	w.s.startup.DateFirst = 3
	w.want(w.exchange(w.batchOf("SELECT VAR LOCK_TIMEOUT", tds.StatusResetConnection)), "env 10 env 18 NULL .")
	if w.on != nil || w.s.l.counters.InTransaction != 0 {
		t.Error("the transaction is open")
	}
}

// RESETCONNECTIONSKIPTRAN leaves the transaction, whatever goes first.
func TestResetSkipsTransaction(t *testing.T) {
	t.Parallel()
	for _, look := range []string{"SELECT VAR LOCK_TIMEOUT", "SELECT @@IDENTITY"} {
		for _, first := range []uint8{7, 3} {
			w := newStage(t, setup{})
			w.s.startup.DateFirst = first
			w.ask("SET LOCK_TIMEOUT 5")
			w.ask("INSERT t VALUES (1)")
			w.want(w.ask("BEGIN TRAN"), "env 8 .")
			w.want(w.exchange(w.batchOf(look, tds.StatusResetConnectionSkip)), "env 18 NULL .")
			if w.on == nil || w.on.f.tran != 1 {
				t.Fatal("the transaction is gone")
			}
			w.want(w.ask("COMMIT TRAN"), "env 9 .")
		}
	}
}

// A session's isolation level may survive a reset or not: it is set again.
func TestIsolationBehindReset(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
	b.ask("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
	a.ask("EXEC leaks")
	b.want(b.ask("SELECT VAR ISOLATION"), "SERIALIZABLE .")
	a.want(a.exchange(a.batchOf("SELECT VAR ISOLATION", tds.StatusResetConnection)), "env 18 NULL .")
}

// sp_reset_connection is a reset where it is all of a request, and has not failed; nothing that stands beside it is taken for
// gone, and the next request resets in any case.
func TestResetProcedure(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("CREATE TABLE #t (a int)")
	a.want(a.call(call{name: "sp_reset_connection"}), ".")
	if a.s.Pinned() != "" || a.on != nil {
		t.Errorf("pinned: %q", a.s.Pinned())
	}
	n := (*a.servers)[0].f.resets
	b.ask("SELECT 1")
	if got := (*a.servers)[0].f.resets - n; got != 1 {
		t.Errorf("%d resets", got)
	}
	for _, b := range [][]byte{
		a.batchOf("EXEC sp_reset_connection; CREATE TABLE #t (a int)", 0),
		a.calls(0, call{name: "leaks"}, call{name: "sp_reset_connection"}),
		a.calls(0, call{name: "sp_reset_connection"}, call{name: "leaks"}),
		a.calls(0, call{id: tds.ProcExecuteSQL, texts: []string{"EXEC sp_reset_connection"}}),
	} {
		w := newStage(t, setup{})
		w.exchange(b)
		if w.s.Pinned() != string(pinUnknown) && w.s.Pinned() != string(pinTemporary) || w.on == nil {
			t.Errorf("pinned: %q", w.s.Pinned())
		}
		if w.leave() {
			t.Error("the server connection is kept")
		}
	}
}

// What outlasts a reset is not for others, though a reset of the client's own has ended the pin.
func TestOwnResetBehindWhatLasts(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.ask("SET FMTONLY ON")
	l := (*w.servers)[0]
	w.want(w.exchange(w.batchOf("SELECT 1", tds.StatusResetConnection)), "env 18 1 .")
	if w.on != nil || (*w.servers)[0] == l {
		t.Error("the server connection goes on")
	}
}

// init_query is run again behind every reset, whoever has asked for it.
func TestInitQueryBehindResets(t *testing.T) {
	t.Parallel()
	for what, reset := range map[string]func(w *stage){
		"a client that has left": func(w *stage) {
			x := w.another()
			x.ask("BEGIN TRAN")
			x.leave()
		},
		"sp_reset_connection":    func(w *stage) { w.call(call{name: "sp_reset_connection"}) },
		"the client's own reset": func(w *stage) { w.ask("EXEC leaks"); w.exchange(w.batchOf("SELECT 1", tds.StatusResetConnection)) },
	} {
		w := newStage(t, setup{initQuery: "EXEC init"})
		reset(w)
		w.want(w.ask("SELECT VAR init"), "1 .")
		said := (*w.servers)[0].f.said
		if n := strings.Count(strings.Join(said, "|"), "EXEC init"); n != 1 {
			t.Errorf("behind %s init_query was run %d times: %q", what, n, said)
		}
	}
}

// A request that need not have set an identity leaves the session's as it was, on whatever server connection it ran.
func TestIdentityBehindOthers(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.ask("INSERT t VALUES (1)")
	b.ask("INSERT t VALUES (1)")
	a.want(a.ask("BEGIN TRAN"), "env 8 .")
	a.ask("UPDATE t SET a = 1")
	a.want(a.ask("SELECT @@IDENTITY"), "1 .")
	a.ask("COMMIT TRAN")
	a.want(a.ask("SELECT SCOPE_IDENTITY()"), "1 .")
	a.ask("INSERT plain VALUES (1)")
	a.want(a.ask("SELECT SCOPE_IDENTITY()"), "NULL .")
	c := a.another()
	c.ask("UPDATE t SET a = 1")
	c.want(c.ask("SELECT @@IDENTITY"), "NULL .")
	// Where a reset may leave another's identity, that is not taken for the session's.
	(*a.servers)[0].v.survivors.ContextInfo = true
	(*a.servers)[0].f.keepsIdentity = true
	b.ask("INSERT t VALUES (1)")
	c.ask("UPDATE t SET a = 1") // whose triggers are known to set none
	c.want(c.ask("SELECT @@IDENTITY"), "NULL .")
	c.ask("EXEC inserts")
	b.ask("SELECT 1")
	c.want(c.ask("SELECT @@IDENTITY"), "4 .")
}

// Handles belong to the calls that made them, whatever calls there are before in the same message.
func TestHandleBehindOtherCalls(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.want(w.call(call{name: "returns"}, call{id: tds.ProcPrepExec, handle: -1, texts: []string{"", "SELECT 5"}}), "handle 42 1 handle 1 .")
	w.want(w.call(call{id: tds.ProcExecute, handle: 1}), "1 .")
}

// A statement means what it did where it was prepared: the same text in another database is another one.
func TestPreparedInItsDatabase(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{servers: 2})
	b := a.another()
	prepare := call{id: tds.ProcPrepare, handle: -1, texts: []string{"", "SELECT PREPARED DB"}}
	exec := call{id: tds.ProcExecute, handle: 1}
	a.want(a.call(prepare), "handle 1 .")
	for range 2 {
		b.want(b.ask("USE other"), "env 1 .")
		b.want(b.call(prepare), "handle 1 .")
		b.want(b.call(exec), "other .")
		b.want(b.ask("USE shop"), "env 1 .")
		b.call(exec)
		b = a.another()
	}
	b = a.another()
	b.ask("USE other")
	b.call(prepare)
	b.ask("USE third")
	for range 4 {
		a.want(a.call(exec), "shop .")
		b.want(b.call(exec), "other .")
		b.want(b.ask("SELECT DB_NAME()"), "third .")
		b.at++
	}
}

// A request that the client breaks off in the middle is not run.
func TestAttentionWithinRequest(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	half := w.batchOf("SELECT '"+strings.Repeat("z", 2*maxInspected)+"'", 0)
	half = half[:len(half)/8192*4096]
	w.want(w.exchange(half), "")
	if !w.s.streams {
		t.Fatal("it does not stream")
	}
	w.want(w.exchange(w.attention()), ". attention .")
	if f := (*w.servers)[0].f; strings.Contains(strings.Join(f.said, ""), "zz") || w.s.streams {
		t.Errorf("the server was asked %.40q", f.said)
	}
	w.want(w.ask("SELECT 1"), "1 .")
	// One that is being dropped.
	w = newStage(t, setup{})
	w.s.Refuse(engine.ErrBorrowTimeout, &w.o)
	w.exchange(half)
	w.want(w.exchange(w.attention()), "attention .")
	w.want(w.ask("SELECT 1"), "1 .")
	// One whose last packet says so itself.
	w = newStage(t, setup{})
	w.exchange(half)
	w.want(w.exchange(w.say(tds.PacketSQLBatch, tds.StatusIgnore, nil)), ".")
	w.want(w.exchange(w.batchOf("CREATE TABLE u (a int)", tds.StatusIgnore)), ".")
	if f := (*w.servers)[0].f; strings.Contains(strings.Join(f.said, ""), "zz") || len(f.temp) > 0 {
		t.Errorf("the server has run %.40q", f.said)
	}
	// Packets of another message within it end the connection.
	w = newStage(t, setup{})
	w.exchange(half)
	w.exchange(w.say(tds.PacketRPC, 0, nil))
	if !w.closed {
		t.Error("the client goes on")
	}
}

// A server that answers before it has had all of a request is not given the rest, nor anything else.
func TestAnswerBeforeTheEnd(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	whole := w.batchOf("SELECT '"+strings.Repeat("z", 2*maxInspected)+"'", 0)
	n := len(whole) / 8192 * 4096
	w.exchange(whole[:n])
	w.on.f.send(new(reply).err(100).done(0xFD, tds.DoneError, 0))
	w.want(w.exchange(nil), "error 100 .")
	if w.lost != 1 {
		t.Error("the server connection goes on")
	}
	w.want(w.exchange(whole[n:]), "")
	w.want(w.ask("SELECT 1"), "error 40197 .") // its pin is lost
	w.want(w.ask("SELECT 1"), "1 .")
}

// A bulk load that is called off before its rows come is called off on the server.
func TestBulkLoadCalledOff(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.want(w.ask("INSERT BULK t (a int)"), ".")
	w.want(w.exchange(w.attention()), "attention .")
	if w.on != nil || (*w.servers)[0].f.bulk {
		t.Error("the server waits for rows")
	}
}

// The acknowledgement of an attention that comes in a message of its own is waited for, and a client is read meanwhile.
func TestAttentionAcknowledgedLater(t *testing.T) {
	t.Parallel()
	for _, leaves := range []bool{false, true} {
		w := newStage(t, setup{})
		w.exchange(w.batchOf("WAITFOR DELAY '1:00'", 0))
		f := w.on.f
		f.deaf = true
		w.want(w.exchange(append(w.attention(), w.batchOf("SELECT 7", 0)...)), "")
		f.running = false
		f.send(new(reply).done(0xFD, 0, 0))
		w.want(w.exchange(nil), ".")
		if w.on == nil || w.s.Done() {
			t.Fatal("the server connection is given back before the acknowledgement")
		}
		if leaves {
			w.o.Reset()
			if !w.s.ClientGone(&w.o) || w.o.Server.Len() > 0 {
				t.Fatal("the server connection is not kept, or is sent something")
			}
			f.deaf, w.in = false, nil
			f.send(new(reply).done(0xFD, tds.DoneAttention, 0))
			w.run(nil)
			if w.on != nil || f.resets != 1 {
				t.Errorf("not given back; %d resets", f.resets)
			}
			continue
		}
		f.deaf = false
		f.send(new(reply).done(0xFD, tds.DoneAttention, 0))
		w.want(w.exchange(nil), "attention . 1 .")
	}
}

// An answer that is broken within a token is not gone on with.
func TestBrokenAnswer(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.exchange(w.batchOf("WAITFOR DELAY '1:00'", 0))
	r := new(reply).texts("hello")
	half := r.b[:len(r.b)-2]
	p := tds.Header{Type: tds.PacketReply, Length: tds.HeaderSize + len(half)}
	w.on.f.out = append(p.Append(nil), half...)
	w.run(nil)
	w.on.f.out = append(tds.Header{Type: tds.PacketReply, Status: tds.StatusEOM, Length: tds.HeaderSize + 3}.Append(nil), 'l', 'o', 0x01)
	w.run(nil)
	if !w.closed {
		t.Error("the client goes on")
	}
}

// What a session takes and gives up again pins for as long as it has it, and no longer.
func TestKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason pinReason
		texts  []string // the first pins, the last ends that
	}{
		{pinImpersonates, []string{"EXECUTE AS USER = 'a'", "SELECT 1", "REVERT"}},
		{pinImpersonates, []string{"EXECUTE AS USER = 'a'", "EXECUTE AS USER = 'b'", "REVERT", "IF 1 = 1 REVERT", "REVERT"}},
		{pinImpersonates, []string{"EXECUTE AS USER = 'a'", "REVERT SELECT 1/0", "REVERT"}},
		{pinKey, []string{"OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c", "CLOSE SYMMETRIC KEY k"}},
		{pinKey, []string{"OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c", "OPEN SYMMETRIC KEY l DECRYPTION BY CERTIFICATE c", "CLOSE SYMMETRIC KEY k", "CLOSE ALL SYMMETRIC KEYS"}},
		{pinDocument, []string{"EXEC sp_xml_preparedocument @h OUTPUT, N'<a/>'", "EXEC sp_xml_removedocument @h"}},
		{pinAppLock, []string{"EXEC sp_getapplock 'r', 'Exclusive', 'Session'", "EXEC sp_releaseapplock 'r'", "EXEC sp_releaseapplock 'r', 'Session'"}},
	} {
		w := newStage(t, setup{})
		for i, text := range c.texts {
			if w.ask(text); i == len(c.texts)-1 {
				break
			}
			if got := w.s.Pinned(); got != string(c.reason) || w.on == nil {
				t.Fatalf("behind %s: pinned %q, want %q", text, got, c.reason)
			}
		}
		if w.s.Pinned() != "" || w.on != nil || w.s.l.counters.Pinned != 0 {
			t.Errorf("behind %q: pinned %q", c.texts, w.s.Pinned())
		}
		n := (*w.servers)[0].f.resets
		x := w.another()
		x.ask("SELECT 1")
		if (*w.servers)[0].f.resets != n+1 {
			t.Errorf("behind %q: another has had no reset", c.texts)
		}
	}
	// All in one text: not even that.
	w := newStage(t, setup{})
	w.ask("OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c; SELECT 1; CLOSE SYMMETRIC KEY k")
	if w.s.Pinned() != "" || len(w.s.l.counters.Pins) != 0 {
		t.Errorf("pinned: %v", w.s.l.counters.Pins)
	}
	// What need not have ended has not.
	for _, text := range []string{
		"OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c; SELECT 1/0; CLOSE SYMMETRIC KEY k",
		"OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c; IF 1 = 1 CLOSE SYMMETRIC KEY k",
		"OPEN MASTER KEY DECRYPTION BY PASSWORD = 'a'; CLOSE ALL SYMMETRIC KEYS",
		"EXECUTE AS USER = 'a' WITH NO REVERT; REVERT",
		"EXECUTE AS USER = 'a'; SELECT 1/0; REVERT",
		"SETUSER 'a'; REVERT",
		"EXEC sp_setapprole 'a', 'b'; REVERT",
		"EXECUTE AS USER = 'a'; EXEC ('REVERT')",
	} {
		w := newStage(t, setup{})
		w.ask(text)
		w.ask("SELECT 1")
		if w.s.Pinned() == "" {
			t.Errorf("not pinned behind %s", text)
		}
	}
	// A client that leaves while it may be somebody else's leaves no server connection.
	w = newStage(t, setup{})
	w.exchange(w.batchOf("EXECUTE AS USER = 'a'; WAITFOR DELAY '1:00'", 0))
	if w.leave() {
		t.Error("the server connection is kept")
	}
}

// Locks by calls, of which several stand in one request, or whose owner is not told, do not end too early.
func TestLocksOfCalls(t *testing.T) {
	t.Parallel()
	get := call{name: "sp_getapplock", texts: []string{"r", "Exclusive", "Session"}, named: "@LockOwner"}
	release := func(owner string) call {
		return call{name: "sp_releaseapplock", texts: []string{"r", owner}, named: "@LockOwner"}
	}
	for _, c := range [][][]call{{{get, get}, {release("Session")}}, {{get}, {release("other")}}, {{get}, {get}, {release("Session")}}} {
		w := newStage(t, setup{})
		for _, calls := range c {
			w.call(calls...)
		}
		if w.s.Pinned() != string(pinAppLock) || w.on == nil {
			t.Errorf("pinned: %q", w.s.Pinned())
		}
	}
}

// Each of the other pins: its reason, and whether the server connection goes on when the client leaves.
func TestOtherPins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason pinReason
		text   string
		kept   bool
	}{
		{pinBound, "EXEC sp_bindsession @t", false},
		{pinImpersonates, "EXECUTE AS USER = 'a'", false},
		{pinKey, "OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c", true},
		{pinTrace, "DBCC TRACEON(1222)", false},
		{pinDocument, "EXEC sp_xml_preparedocument @h OUTPUT, N'<a/>'", true},
		{pinContext, "SET CONTEXT_INFO @a", true},
		{pinUnknown, "DBCC SOMETHING", false},
		{pinPrepared, "EXEC sp_prepare @h OUTPUT, N'', N'SELECT 1'", true},
		{pinDistributed, "BEGIN DISTRIBUTED TRAN", false},
	} {
		w := newStage(t, setup{})
		w.ask(c.text)
		w.ask("SELECT 1")
		if w.s.Pinned() != string(c.reason) || w.on == nil {
			t.Errorf("%s: pinned %q", c.text, w.s.Pinned())
			continue
		}
		if p := w.s.Describe().Pins[0]; p.Fix == "" || p.Digest == "" {
			t.Errorf("%s: %+v", c.text, p)
		}
		if kept := w.leave(); kept != c.kept {
			t.Errorf("%s: kept %v", c.text, kept)
		}
	}
}

// A client that would do without the columns of its results gets them, or what is in rows would pass for what a server says.
func TestColumnsAreAskedFor(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	b := w.calls(0, call{name: "options"})
	at := tds.HeaderSize + len(w.headers()) + 2 + 2*len("options")
	b[at] = 3
	w.want(w.exchange(b), "handle 1 .")
	// A server that does not tell them is not listened to.
	w.exchange(w.batchOf("WAITFOR DELAY '1:00'", 0))
	w.on.f.out = answerOf((&reply{}).u8(0x81).u16(0xFFFF).u8(0xD1).env(tds.EnvCommit, nil, make([]byte, 8)).done(0xFD, 0, 0))
	w.run(nil)
	if w.lost != 1 {
		t.Error("the server connection goes on")
	}
}

// A rollback brings back a temporary table that its transaction has dropped.
func TestDroppedInTransaction(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		texts  []string
		pinned bool
	}{
		{[]string{"BEGIN TRAN", "DROP TABLE #t", "COMMIT TRAN"}, false},
		{[]string{"BEGIN TRAN", "DROP TABLE #t", "ROLLBACK TRAN"}, true},
		{[]string{"BEGIN TRAN; DROP TABLE #t; ROLLBACK TRAN"}, true},
		{[]string{"BEGIN TRAN", "SAVE TRAN a", "DROP TABLE #t", "ROLLBACK TRAN a", "COMMIT TRAN"}, true},
		{[]string{"BEGIN TRAN", "DROP TABLE #t", "SELECT 1/0", "COMMIT TRAN"}, true},
		{[]string{"BEGIN TRAN", "DROP TABLE #t", "CREATE TABLE #t (a int)", "COMMIT TRAN"}, true},
	} {
		w := newStage(t, setup{})
		w.ask("CREATE TABLE #t (a int)")
		for _, text := range c.texts {
			w.ask(text)
		}
		if got := w.s.Pinned() != ""; got != c.pinned {
			t.Errorf("behind %q: pinned %q", c.texts, w.s.Pinned())
		}
	}
}

// A transaction that an error has ended is over, whether or not the server says so.
func TestTransactionEndedByError(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		w := newStage(t, setup{silent: silent})
		w.ask("SET XACT_ABORT ON")
		w.exchange(w.say(tds.PacketTransaction, 0, append(w.headers(), 5, 0, 0, 0)))
		if w.on == nil {
			t.Fatal("no transaction")
		}
		w.ask("SELECT 1/0")
		if w.on != nil || w.s.l.counters.InTransaction != 0 {
			t.Errorf("silent %v: the transaction is taken to be open", silent)
		}
		w.want(w.ask("SELECT 1"), "1 .")
	}
}

func TestSavepoints(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		w := newStage(t, setup{silent: silent})
		for _, text := range []string{"BEGIN TRAN", "SAVE TRAN a", "ROLLBACK TRAN a"} {
			if w.ask(text); w.on == nil {
				t.Fatalf("silent %v: %s has ended the transaction", silent, text)
			}
		}
		if w.ask("COMMIT TRAN"); w.on != nil {
			t.Errorf("silent %v: the transaction is taken to be open", silent)
		}
	}
}

// With IMPLICIT_TRANSACTIONS a statement begins a transaction, but none of Forebay's own.
func TestImplicitTransactions(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		a := newStage(t, setup{silent: silent})
		b := a.another()
		a.ask("SET IMPLICIT_TRANSACTIONS ON")
		a.ask("INSERT t VALUES (1)")
		if a.on == nil {
			t.Fatalf("silent %v: the transaction is not seen", silent)
		}
		a.ask("COMMIT TRAN")
		b.want(b.ask("SELECT 1"), "1 .")
		b.ask("INSERT t VALUES (1)")
		if b.on != nil {
			t.Fatalf("silent %v: the setting is another session's", silent)
		}
		a.want(a.ask("SELECT @@IDENTITY"), "1 .")
		if a.on != nil {
			t.Errorf("silent %v: putting the identity back has begun a transaction", silent)
		}
	}
}

// A client's own reset is acknowledged, once, where the server connection is lost before it has said so.
func TestOwnResetLost(t *testing.T) {
	t.Parallel()
	for _, first := range []uint8{7, 3} { // with the request, and with a step before it
		w := newStage(t, setup{})
		w.s.startup.DateFirst = first
		w.ask("SET LOCK_TIMEOUT 5")
		w.ask("BEGIN TRAN")
		w.exchange(w.batchOf("WAITFOR DELAY '1:00'", tds.StatusResetConnection))
		w.lose()
		w.want(seen(t, w.client, 4096), "env 10 env 18 error 40197 .")
		w.want(w.ask("SELECT VAR LOCK_TIMEOUT"), "NULL .")
	}
}

// Where a reset leaves session_context, as Babelfish's does, no other session sees it, nor does its own behind a reset of its client's.
func TestSessionContextBehindReset(t *testing.T) {
	t.Parallel()
	for _, keeps := range []bool{true, false} {
		a := newStage(t, setup{})
		b, c := a.another(), a.another()
		l := (*a.servers)[0]
		l.f.keepsContext, l.v.survivors = keeps, settings.Survivors{ContextInfo: true, Database: true, Isolation: true, SessionContext: true}
		a.want(a.ask("EXEC sp_set_session_context N'k', N'a'"), ".")
		b.want(b.ask("SELECT VAR context:k"), "NULL .")
		a.want(a.ask("SELECT VAR context:k"), "a .")
		b.want(b.ask("EXEC sp_set_session_context N'k', N'b'"), ".")
		c.want(c.ask("SELECT VAR context:k"), "NULL .")
		a.want(a.ask("SELECT VAR context:k"), "a .")
		a.want(a.exchange(a.batchOf("SELECT VAR context:k", tds.StatusResetConnection)), "env 18 NULL .")
		b.want(b.ask("SELECT VAR context:k"), "b .")
		b.leave()
		c.want(c.ask("SELECT VAR context:k"), "NULL .")
		if a.lost+b.lost+c.lost > 0 || (*a.servers)[0] != l {
			t.Error("the server connection is closed")
		}
	}
}

// Where a reset leaves CONTEXT_INFO, which no statement takes away, a client's own reset has its request run on another server connection:
// on the one that it has it would see what another session has set, or itself before.
func TestContextInfoBehindOwnReset(t *testing.T) {
	t.Parallel()
	for _, u := range []setup{{babelfish: true}, {babelfish: true, initQuery: "EXEC init"}} {
		a := newStage(t, u)
		b := a.another()
		a.want(a.ask("SET CONTEXT_INFO 0x0A"), ".")
		b.want(b.ask("SET CONTEXT_INFO 0x0B"), ".")
		a.want(a.exchange(a.batchOf("SELECT VAR CONTEXT_INFO", tds.StatusResetConnection)), "env 18 NULL .")
		if a.lost+b.lost != 1 {
			t.Errorf("init_query %q: %d server connections are lost, want one", u.initQuery, a.lost+b.lost)
		}
		a.want(a.ask("SELECT 1"), "1 .") // and nothing is refused
	}
	// Its own, within a transaction, which that ends.
	a := newStage(t, setup{babelfish: true})
	a.ask("SET CONTEXT_INFO 0x0A")
	a.ask("BEGIN TRAN")
	a.want(a.exchange(a.batchOf("SELECT VAR CONTEXT_INFO", tds.StatusResetConnection)), "env 10 env 18 NULL .")
	// By the procedure: what comes with it in one piece is run behind it.
	a = newStage(t, setup{babelfish: true})
	a.ask("SET CONTEXT_INFO 0x0A")
	a.exchange(append(a.calls(0, call{name: "sp_reset_connection"}), a.batchOf("SELECT VAR CONTEXT_INFO", 0)...))
	a.want(seen(t, a.client, 4096), ". NULL .")
}

// Where a reset leaves CONTEXT_INFO and session_context, a server connection is closed whose client leaves before it is known what it
// has set.
func TestContextOfLeaver(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"SET CONTEXT_INFO 0x0A", "EXEC sp_set_session_context N'k', N'a'"} {
		a := newStage(t, setup{babelfish: true})
		a.run(a.batchOf(text+"; WAITFOR DELAY '1:00'", 0))
		if a.leave() {
			t.Errorf("%s: the server connection goes on", text)
		}
	}
	a := newStage(t, setup{babelfish: true})
	a.ask("BEGIN TRAN")
	a.ask("EXEC context") // which is asked for behind the transaction
	if a.leave() {
		t.Error("the server connection of which something is to be asked goes on")
	}
	a = newStage(t, setup{babelfish: true})
	a.run(a.batchOf("SELECT 1; WAITFOR DELAY '1:00'", 0))
	if !a.leave() {
		t.Error("the server connection of a client that has set nothing is closed")
	}
}

// Where a reset leaves @@TRANCOUNT as it is, a transaction is ended before it, be it for a client's own reset or where a client leaves:
// no other session finds a count of its transactions, and the server connection goes on.
func TestTranCountBehindReset(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		told := "env 10 "
		if silent {
			told = ""
		}
		a := newStage(t, setup{babelfish: true, silent: silent})
		b := a.another()
		a.ask("BEGIN TRAN")
		a.want(a.exchange(a.batchOf("SELECT @@TRANCOUNT", tds.StatusResetConnection)), told+"env 18 0 .")
		b.want(b.ask("SELECT @@TRANCOUNT"), "0 .")
		a.ask("BEGIN TRAN")
		if !a.leave() {
			t.Errorf("silent %v: the server connection is closed", silent)
		}
		b.want(b.ask("SELECT @@TRANCOUNT"), "0 .")
		b.ask("BEGIN TRAN")
		b.run(b.batchOf("WAITFOR DELAY '1:00'", 0))
		if !b.leave() {
			t.Errorf("silent %v: the server connection is closed behind an attention", silent)
		}
		if a.lost+b.lost > 0 {
			t.Errorf("silent %v: %d server connections are lost", silent, a.lost+b.lost)
		}
		// With a request that is refused.
		c := a.another()
		c.ask("BEGIN TRAN")
		c.s.Refuse(engine.ErrBorrowTimeout, &c.o)
		c.want(c.exchange(c.batchOf("SELECT 1", tds.StatusResetConnection)), told+"env 18 error 49918 .")
		if c.lost > 0 {
			t.Errorf("silent %v: the server connection is closed with a refused request", silent)
		}
	}
}

// init_query is run again behind a reset, which leaves what other sessions have set.
func TestInitQueryBehindReset(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{babelfish: true, initQuery: "EXEC init"})
	b := a.another()
	a.ask("EXEC sp_set_session_context N'k', N'a'")
	a.ask("SELECT f()")
	a.ask("INSERT t VALUES (1)")
	b.want(b.ask("SELECT VAR context:k"), "NULL .")
	a.want(a.ask("SELECT VAR context:k"), "a .")
	if a.lost+b.lost > 0 {
		t.Error("the server connection is closed")
	}
}

// What no statement sets on Babelfish a reset does.
func TestTextSizeWithoutLimit(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{babelfish: true})
	b := a.another()
	a.ask("SET TEXTSIZE 4096")
	b.want(b.ask("SELECT VAR TEXTSIZE"), "NULL .")
	if f := (*a.servers)[0].f; a.lost+b.lost > 0 || f.resets != 1 {
		t.Errorf("%d resets, %d server connections are lost", f.resets, a.lost+b.lost)
	}
}

// What init_query sets after each reset is not taken away by one more: where a statement can set it, that does, and where none can, another
// server connection is asked for.
func TestAgainstInitQuery(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{initQuery: "SET TEXTSIZE 64000"})
	initial := loginSettings()
	initial.SetTextSize(64000)
	a.s.l.db.initial.Store(&initial)
	(*a.servers)[0] = a.newLink(a.s.l.db)
	(*a.servers)[0].v.survivors.ContextInfo = true // it is perhaps Babelfish
	a, b := a.another(), a.another()
	a.want(a.ask("SET TEXTSIZE -1"), ".")
	b.want(b.ask("SELECT VAR TEXTSIZE"), "64000 .")
	a.want(a.ask("SELECT VAR TEXTSIZE"), "-1 .")
	if a.lost+b.lost > 0 {
		t.Error("the server connection is closed")
	}
	// init_query is another than when the session began.
	a = newStage(t, setup{initQuery: "SET CONTEXT_INFO 0x01"})
	initial = loginSettings()
	initial.SetContextInfo([]byte{1})
	a.s.l.db.initial.Store(&initial)
	if a.s.Takes(a.newLink(a.s.l.db).v) {
		t.Error("a server connection is taken on which CONTEXT_INFO is set again and again")
	}
	(*a.servers)[0].v.dirty = true // one of before is as new ones are, once it has been reset
	a.attach()
	if n := a.s.FromClient(a.batchOf("SELECT 1", 0), &a.o); n > 0 || !a.o.CloseServer {
		t.Errorf("the request goes on with it (%d bytes)", n)
	}
}

// An init_query that there is all at once is not run behind a reset that a session makes for it, which would take away what pins it.
func TestInitQueryOfPinned(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	a.ask("SET LOCK_TIMEOUT 5")
	a.exchange(a.batchOf("CREATE TABLE #t (a int)", tds.StatusResetConnection))
	p := *a.s.l.db.proxy.Load()
	p.Pool.InitQuery = "EXEC init"
	a.s.l.db.Apply(&p)
	a.want(a.ask("SELECT 1"), "1 .")
	if !a.on.f.temp["#t"] {
		t.Error("the session's temporary table has gone")
	}
}

// A request that executes more statements than a server connection is to have has them all there; the next
// session's request finds none too many.
func TestManyHandlesAtOnce(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	var calls []call
	var want strings.Builder
	for i := range 8 { // the limit is 5
		a.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", fmt.Sprint("SELECT PREPARED ", i)}})
		calls = append(calls, call{id: tds.ProcExecute, handle: i + 1})
		fmt.Fprint(&want, i, " ")
	}
	f := (*a.servers)[0].f
	for range 2 {
		b.want(b.ask("SELECT 1"), "1 .")
		resets := f.resets
		if a.want(a.call(calls...), want.String()+"."); f.resets > resets+1 {
			t.Errorf("%d resets for a request", f.resets-resets)
		}
	}
	b.ask("SELECT 1")
	if n := len(f.handles); n > 5 {
		t.Errorf("the server keeps %d handles", n)
	}
}

// A handle that a request gives up more than once is counted once: the server connection is still reset when it has too many.
func TestHandleGivenUpTwice(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	v := (*a.servers)[0].v
	for i := range 4 {
		a.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", fmt.Sprint("SELECT PREPARED ", i)}})
		give := call{id: tds.ProcUnprepare, handle: i + 1}
		a.call(give, give, give)
		if n := len((*a.servers)[0].f.handles); v.handles != n {
			t.Fatalf("%d handles are counted, the server has %d", v.handles, n)
		}
	}
	// Prepared again in between, it is another of the server's.
	for i := range 4 {
		a.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", fmt.Sprint("SELECT PREPARED ", i)}})
		give := call{id: tds.ProcUnprepare, handle: 5 + 2*i}
		a.call(give, call{id: tds.ProcPrepare, handle: -1, texts: []string{"", fmt.Sprint("SELECT PREPARED ", i)}}, give)
		if n := len((*a.servers)[0].f.handles); v.handles != n {
			t.Fatalf("%d handles are counted, the server has %d", v.handles, n)
		}
	}
}

// A server that does not tell the handle of what it has prepared is not asked again and again.
func TestPreparedWithoutHandle(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	a.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", "SELECT PREPARED a"}})
	(*a.servers)[0] = a.newLink(a.s.l.db)
	(*a.servers)[0].f.noHandle = true
	a.want(a.call(call{id: tds.ProcExecute, handle: 1}), "error 40197 .")
}

// The reset that comes with a request which is too large to be kept, and is refused, is acknowledged with the error.
func TestResetOfLargeUnsentRequest(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.ask("SET LOCK_TIMEOUT 5")
	w.s.Refuse(engine.ErrBorrowTimeout, &w.o)
	w.want(w.exchange(w.batchOf("SELECT 1"+strings.Repeat(" ", maxInspected), tds.StatusResetConnection)), "env 18 error 49918 .")
	w.want(w.ask("SELECT VAR LOCK_TIMEOUT"), "NULL .")
}

// What is not known of may be a lock that others wait for: it is given up as soon as the client has left.
func TestClientGonePinned(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.ask("EXEC dbo.hidden")
	if w.s.Pinned() != string(pinProcedure) {
		t.Fatalf("pinned: %q", w.s.Pinned())
	}
	f := w.on.f
	f.locks = 1 // as such a procedure may do
	if !w.leave() {
		t.Error("the server connection is closed")
	}
	if p := f.pristine(); p != "" {
		t.Errorf("left %s", p)
	}
}

// A server that does not know of requests that are not to be run runs them: nobody else meets what they have left.
func TestIgnoredRequest(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	b := a.another()
	a.exchange(a.batchOf("SET LOCK_TIMEOUT 5", tds.StatusIgnore))
	b.ask("SELECT 1")
	if f := (*a.servers)[0].f; f.resets != 1 {
		t.Errorf("%d resets", f.resets)
	}
}

// The memory for a session's prepared statements has a bound.
func TestTooManyStatements(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	prepare := call{id: tds.ProcPrepare, handle: -1, texts: []string{"", "SELECT 5"}}
	w.want(w.call(prepare), "handle 1 .")
	w.s.stmtBytes = maxStmtBytes
	w.want(w.call(prepare), "handle 2 .")
	if w.s.Pinned() != string(pinPrepared) {
		t.Errorf("pinned: %q", w.s.Pinned())
	}
	w.s.stmtBytes = refusedStmtBytes
	w.want(w.call(prepare), "error 701 .")
	w.want(w.call(call{id: tds.ProcExecute, handle: 1}), "1 .")
	// So it is with texts that make it up.
	w = newStage(t, setup{})
	n, got := 0, ""
	for ; n < 1000 && !strings.Contains(got, "error"); n++ {
		got = w.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", fmt.Sprintf("SELECT %30000d", n)}})
	}
	if most := refusedStmtBytes/60000 + 1; n > most || n < most-2 || got != "error 701 ." {
		t.Errorf("after %d of 60,000 bytes: %s", n, got)
	}
}

// A server connection notes what statements it has, not their texts. (Not in parallel: it measures the heap.)
func TestStatementsOfServers(t *testing.T) {
	w := newStage(t, setup{})
	w.s.l.db.proxy.Load().Pool.MaxPreparedStatements = 1000
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := int64(0)
	for i := range 300 {
		w.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", fmt.Sprintf("SELECT %30000d", i)}})
		w.call(call{id: tds.ProcUnprepare, handle: i + 1})
		clear((*w.servers)[0].f.handles)
		if i == 0 {
			before = heap()
		}
	}
	if n := len((*w.servers)[0].v.prepared); n != 300 {
		t.Fatalf("%d statements are there", n)
	}
	more := heap() - before
	runtime.KeepAlive(w)
	if more > 4<<20 {
		t.Errorf("%d bytes for what 300 statements were", more)
	}
}

// A reset that comes with the rows of a bulk load is one of the session, too; so it is where the rows are refused.
func TestResetWithBulkLoad(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"INSERT BULK t (a int)": "env 18 .", "SELECT 1": "env 18 error 4022 ."} {
		w := newStage(t, setup{})
		w.ask("SET LOCK_TIMEOUT 5")
		w.ask("CREATE TABLE #t (a int)")
		w.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", "SELECT 5"}})
		w.ask(text)
		got := w.exchange(w.say(tds.PacketBulkLoad, tds.StatusResetConnection, make([]byte, 9000)))
		if got != want {
			t.Errorf("%s: the client sees %q, want %q", text, got, want)
		}
		if w.s.Pinned() != "" || len(w.s.stmts) > 0 || w.lost > 0 {
			t.Errorf("%s: pinned %q, %d statements, %d server connections lost", text, w.s.Pinned(), len(w.s.stmts), w.lost)
		}
		w.want(w.ask("SELECT VAR LOCK_TIMEOUT"), "NULL .")
	}
}

// A transaction that is lost is told together with a reset that comes with a large request, which is refused.
func TestLossBehindLargeReset(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.ask("BEGIN TRAN")
	w.lose()
	w.want(w.exchange(w.batchOf("SELECT 1"+strings.Repeat(" ", maxInspected), tds.StatusResetConnectionSkip)), "env 10 env 18 error 40197 .")
	w.want(w.ask("SELECT 1"), "1 .")
}

// The server connection of a pinned session is never reset: what its client gives up is given up there.
func TestUnpreparePinned(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.ask("CREATE TABLE #t (a int)")
	for i := range 20 {
		w.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", "SELECT 5" + strings.Repeat(" ", i)}})
		w.want(w.call(call{id: tds.ProcUnprepare, handle: i + 1}), ".")
	}
	if n := len(w.on.f.handles); n > 6 || len(w.on.v.prepared) != n {
		t.Errorf("%d handles, %d known", n, len(w.on.v.prepared))
	}
}

// A procedure of another schema than sys may be the database's own, whatever its name.
func TestProceduresOfOthers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dbo.sp_getapplock", "[my.sp_getapplock]", "dbo.sp_executesql"} {
		w := newStage(t, setup{})
		w.call(call{name: name, texts: []string{"r", "Exclusive", "Transaction"}, named: "@LockOwner"})
		if w.s.Pinned() == "" {
			t.Errorf("%s: not pinned", name)
		}
	}
}

// What is kept of a session's temporary objects has a bound.
func TestManyTemporaryTables(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.ask("CREATE TABLE #t (a int)")
	w.ask("BEGIN TRAN")
	for range 3 {
		w.ask("DROP TABLE #t")
		w.ask("DROP TABLE #other")
	}
	if n := len(w.s.drops); n != 1 {
		t.Errorf("%d dropped", n)
	}
	w.ask("COMMIT TRAN")
	if w.s.Pinned() != "" {
		t.Errorf("pinned for %q", w.s.Pinned())
	}
	for i := range maxTemps + 5 {
		w.ask(fmt.Sprintf("CREATE TABLE #t%d (a int)", i))
	}
	if len(w.s.temps) != maxTemps || !w.s.pinnedFor(pinUnknown) {
		t.Errorf("%d are known, pinned for %v", len(w.s.temps), w.s.pins)
	}
	w = newStage(t, setup{})
	for range maxTemps + 5 {
		w.ask("CREATE TABLE #t (a int)")
		w.ask("DROP TABLE #t")
	}
	if w.s.Pinned() != "" {
		t.Errorf("pinned for %q", w.s.Pinned())
	}
}

// A text that names a prepared statement's handle does not meet those that other sessions have on the server connection.
func TestHandlesInTexts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"EXEC sp_execute 100", "EXEC sp_unprepare 100"} {
		for _, first := range []string{"SELECT 1", "SET LOCK_TIMEOUT 5"} {
			a := newStage(t, setup{})
			b := a.another()
			a.want(a.call(call{id: tds.ProcPrepare, handle: -1, texts: []string{"", "SELECT 5"}}), "handle 1 .")
			f := (*a.servers)[0].f
			b.ask(first)
			if len(f.handles) != 1 {
				t.Fatalf("%d handles", len(f.handles))
			}
			b.ask(text)
			if len(f.handles) != 0 || b.s.Pinned() != string(pinPrepared) {
				t.Errorf("%s: %d handles, pinned for %q", text, len(f.handles), b.s.Pinned())
			}
			if first != "SELECT 1" {
				b.want(b.ask("SELECT VAR LOCK_TIMEOUT"), "5 .")
			}
			b.leave()
			a.want(a.call(call{id: tds.ProcExecute, handle: 1}), "1 .")
		}
	}
}
