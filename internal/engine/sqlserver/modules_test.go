package sqlserver

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/engine/sqlserver/routines/routinestest"
	"forebay/internal/wire/tds"
)

// TestProcedures runs procedures in each way that there is: what they leave decides whether the session keeps its server
// connection, and whether the next one's request resets that.
func TestProcedures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		pin  pinReason
		next int // resets for another session behind it
	}{
		{"clean", "", 0},
		{"dbo.clean", "", 0},
		{"[shop]..[clean]", "", 0},
		{"inserts", "", 0},
		{"context", "", 1}, // asked for, and carried
		{"leaks", "", 1},   // the server's own
		{"global", pinTemporary, -1},
		{"hidden", pinProcedure, -1},
		{"nothing", pinProcedure, -1}, // not known: it might have been made a moment ago
		{"other.dbo.clean", pinProcedure, -1},
		{"puts", pinDynamic, -1},
	} {
		for how, run := range map[string]func(*stage) string{
			"a batch":       func(w *stage) string { return w.ask("EXEC " + c.name) },
			"by name":       func(w *stage) string { return w.call(call{name: c.name}) },
			"sp_executesql": func(w *stage) string { return w.call(call{id: tds.ProcExecuteSQL, texts: []string{"EXEC " + c.name}}) },
			"prepared": func(w *stage) string {
				return w.call(call{id: tds.ProcPrepExec, handle: -1, texts: []string{"", "EXEC " + c.name}})
			},
			"with a return code": func(w *stage) string { return w.ask("DECLARE @r int; EXEC @r = " + c.name) },
		} {
			if how == "with a return code" && c.name != "clean" {
				continue
			}
			a := newStage(t, setup{})
			run(a)
			if got := a.s.Pinned(); got != string(c.pin) {
				t.Errorf("%s, %s: pinned %q, want %q", c.name, how, got, c.pin)
			}
			if c.next < 0 || a.on != nil {
				continue
			}
			b := a.another()
			b.ask("SELECT 1")
			if n := (*a.servers)[0].f.resets; n != c.next {
				t.Errorf("%s, %s: %d resets, want %d", c.name, how, n, c.next)
			}
		}
	}
}

// TestProcedureFails has a procedure fail before it takes away what it makes.
func TestProcedureFails(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	a.ask("EXEC closes")
	if got := a.s.Pinned(); got != "" {
		t.Fatalf("pinned %q", got)
	}
	(*a.servers)[0].f.failing = true
	a.want(a.ask("EXEC closes"), "error 547 .")
	if got := a.s.Pinned(); got != string(pinCursor) || a.s.pins[0].Digest == "" {
		t.Fatalf("pinned %q", got)
	}
	a.ask("DEALLOCATE d")
	if got := a.s.Pinned(); got != string(pinCursor) {
		t.Errorf("another cursor: pinned %q", got)
	}
	a.ask("DEALLOCATE c")
	if got := a.s.Pinned(); got != "" {
		t.Errorf("pinned %q", got)
	}
}

// TestNoProcedure calls a procedure that there is not: nothing has run, unless another one has called it, or something else has.
func TestNoProcedure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text    string
		keeps   bool // a reset does not undo all
		pinned  bool
		byName  bool
		earlier string
	}{
		{text: "EXEC nowhere"},
		{text: "nowhere", byName: true},
		{text: "EXEC nowhere", keeps: true, pinned: true},
		{text: "EXEC hidden; EXEC nowhere", pinned: true},
		{text: "EXEC nowhere; EXEC nowhere", pinned: true},
		{text: "EXEC hidden.vain", pinned: true},
		{text: "hidden.vain", byName: true, pinned: true},
		{text: "EXEC nowhere", earlier: "EXEC hidden", pinned: true},
	} {
		a := newStage(t, setup{})
		a.ask("SELECT 1")
		(*a.servers)[0].v.survivors.ContextInfo = c.keeps
		if c.earlier != "" {
			a.ask(c.earlier)
		}
		if c.byName {
			a.call(call{name: c.text})
		} else {
			a.ask(c.text)
		}
		if got := a.s.Pinned() != ""; got != c.pinned {
			t.Errorf("%+v: pinned %v", c, got)
		}
	}
}

// TestPinOfProcedureEnds has what a procedure has made dropped by its name.
func TestPinOfProcedureEnds(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	a.ask("EXEC global")
	a.ask("DROP TABLE ##g")
	if got := a.s.Pinned(); got != "" {
		t.Errorf("pinned %q", got)
	}
}

func TestTriggers(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]struct {
		pin    pinReason
		resets int
	}{
		"INSERT t VALUES (1)":          {"", 0},
		"UPDATE t SET a = 1":           {"", 0},
		"UPDATE loud SET a = 1":        {pinContext, -1},
		"UPDATE other.dbo.t SET a = 1": {"", 1},
		"CREATE TABLE t (a int)":       {"", 1},
	} {
		a := newStage(t, setup{})
		a.ask(sql)
		if got := a.s.Pinned(); got != string(want.pin) {
			t.Errorf("%s: pinned %q, want %q", sql, got, want.pin)
		}
		if want.resets < 0 {
			continue
		}
		b := a.another()
		b.ask("SELECT 1")
		if n := (*a.servers)[0].f.resets; n != want.resets {
			t.Errorf("%s: %d resets, want %d", sql, n, want.resets)
		}
	}
}

// TestModulesChange has a session change a procedure: until all have been read again nothing is known of any, for nobody.
func TestModulesChange(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{"CREATE PROC x AS SELECT 1", "ALTER TRIGGER x ON t AFTER INSERT AS SELECT 1", "DROP PROC x", "EXEC makes", "EXEC sp_rename 'a', 'b'"} {
		a := newStage(t, setup{})
		d := a.s.l.db
		knew := d.knownRoutines()
		a.ask("BEGIN TRAN")
		a.ask(sql)
		select {
		case <-d.Stale():
			t.Fatalf("%s: others look before it is committed", sql)
		default:
		}
		if d.target.underway.Load() != 1 || d.knownRoutines() != nil {
			t.Errorf("%s: it is not under way", sql)
		}
		a.ask("COMMIT TRAN")
		if d.target.underway.Load() != 0 || knew == nil {
			t.Errorf("%s: it is under way", sql)
		}
		select {
		case <-d.Stale():
		default:
			t.Errorf("%s: nobody looks", sql)
		}
		b := a.another()
		b.ask("EXEC clean")
		if got := b.s.Pinned(); got != string(pinProcedure) {
			t.Errorf("%s: another session is pinned %q", sql, got)
		}
	}
}

// TestModulesLost has the connection go while such a request is under way.
func TestModulesLost(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	a.ask("BEGIN TRAN")
	a.ask("DROP PROC x")
	a.lose()
	if n := a.s.l.db.target.underway.Load(); n != 0 {
		t.Errorf("%d are under way", n)
	}
}

// TestNoCatalogue has a server that does not tell: calls pin, writes are followed by a reset.
func TestNoCatalogue(t *testing.T) {
	t.Parallel()
	a := newStage(t, setup{})
	a.s.l.db.routines.Store(nil)
	a.ask("UPDATE t SET a = 1")
	if got := a.s.Pinned(); got != "" {
		t.Errorf("pinned %q", got)
	}
	b := a.another()
	b.ask("EXEC clean")
	if n := (*a.servers)[0].f.resets; n != 1 {
		t.Errorf("%d resets", n)
	}
	if got := b.s.Pinned(); got != string(pinProcedure) || b.s.pins[0].Fix != fixDefinition {
		t.Errorf("pinned %q", got)
	}
}

// TestNoIdentityAsked has a call of a procedure that writes nothing cost no question for identities.
func TestNoIdentityAsked(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"clean": 0, "inserts": 1} {
		a := newStage(t, setup{})
		a.call(call{name: name})
		n := 0
		for _, s := range (*a.servers)[0].f.said {
			if s == askIdentity {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: asked %d times", name, n)
		}
	}
}

// TestLoadRoutines has what procedures do read again when it has changed, and only then.
func TestLoadRoutines(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, setup{})
	var log bytes.Buffer
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	d.routines.Store(nil)
	q := &routinestest.Database{Procedures: map[string]string{"dbo.p": "SELECT 1"}}
	load := func() bool {
		t.Helper()
		was := d.routines.Load()
		if err := d.loadRoutines(t.Context(), q, true); err != nil {
			t.Fatal(err)
		}
		return d.routines.Load() != was
	}
	if !load() || log.Len() > 0 {
		t.Errorf("at first: %s", &log)
	}
	if load() {
		t.Error("read again, though nothing has changed")
	}
	d.target.changes.Add(1)
	if d.knownRoutines() != nil {
		t.Error("known, though a session has changed one")
	}
	if load() || d.knownRoutines() == nil {
		t.Error("not known, though the database is as it was")
	}
	q.Changed, q.Blind = "2", true
	if !load() || strings.Count(log.String(), "VIEW DEFINITION") != 1 {
		t.Errorf("changed: %s", &log)
	}
	q.Changed = "3"
	if load(); strings.Count(log.String(), "VIEW DEFINITION") != 1 {
		t.Errorf("said again: %s", &log)
	}
	q.Lacks = []string{"CHECKSUM_AGG"}
	for range 2 {
		if !load() {
			t.Error("not read, though the server does not say whether it is as it was")
		}
	}
	q.Lacks = []string{"sys.objects"}
	if load(); d.knownRoutines() != nil || !d.refused.Load() || !strings.Contains(log.String(), "could not be read") {
		t.Errorf("known, though the server does not tell: %s", &log)
	}
	q.Lacks = nil
	if !load() || d.refused.Load() {
		t.Error("not known again")
	}
	// A transaction that changes some locks them: what is known stays.
	locked := lost{&login.ServerError{Number: 1222}}
	was := d.routines.Load()
	if err := d.loadRoutines(t.Context(), locked, true); err != nil || d.routines.Load() != was || d.refused.Load() {
		t.Errorf("locked: %v", err)
	}
	d.print = ""
	if err := d.loadRoutines(t.Context(), lockedIn{q, "sys.objects"}, true); err != nil || d.routines.Load() != was || d.refused.Load() {
		t.Errorf("locked: %v", err)
	}
	if n := strings.Count(log.String(), "is open"); n != 1 {
		t.Errorf("said %d times", n)
	}
	// A connection that is lost says nothing of procedures.
	gone := errors.New("gone")
	if err := d.loadRoutines(t.Context(), lost{gone}, true); !errors.Is(err, gone) || d.knownRoutines() == nil {
		t.Errorf("lost: %v", err)
	}
}

// lockedIn is a server whose answers to queries of a table take too long.
type lockedIn struct {
	*routinestest.Database
	table string
}

func (l lockedIn) QueryLarge(ctx context.Context, text string) ([][]*string, error) {
	if strings.Contains(text, l.table) {
		return nil, &login.ServerError{Number: 1222}
	}
	return l.Database.QueryLarge(ctx, text)
}

// lost is a server connection that is.
type lost struct{ err error }

func (l lost) Query(context.Context, string) ([][]*string, error)      { return nil, l.err }
func (l lost) QueryLarge(context.Context, string) ([][]*string, error) { return nil, l.err }
