package sqlserver

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forebay/internal/wire/tds"
)

// noColumns has a call's results come without their columns, which the client knows.
const noColumns = 2

func opens(text string) call { return call{id: tds.ProcCursorOpen, handle: -1, texts: []string{text}} }

// fetches fetches a row the way drivers do, and reports whether the client has had it as the server has sent it.
func (w *stage) fetches(handle int) bool {
	w.t.Helper()
	w.client = nil
	w.run(w.calls(0, call{id: tds.ProcCursorFetch, options: noColumns, handle: handle}))
	r := (&reply{}).u8(0x81).u16(0xFFFF).u8(0xD1).u32(7).u32(1).done(0xFF, tds.DoneMore|tds.DoneCount, 1).u8(0x79).u32(0).done(0xFE, 0, 0)
	return bytes.Equal(w.client, tds.AppendMessage(nil, tds.PacketReply, 0, 4096, 51, r.b))
}

// A driver that fetches from a cursor as it was described when it was opened gets its rows so, whatever the server would describe
// of a fetch.
func TestCursorFetch(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.want(w.call(opens("SELECT 1")), "handle 180150003 .")
	w.want(w.call(opens("SELECT 1")), "handle 180150005 .")
	for _, h := range []int{180150003, 180150005, 180150003} {
		if !w.fetches(h) {
			t.Errorf("a fetch from %d is answered %x", h, w.client)
		}
	}
	w.want(w.call(call{id: tds.ProcCursorClose, handle: 180150003}), ".")
	if !w.fetches(180150005) {
		t.Errorf("a fetch from the other one is answered %x", w.client)
	}
	// Of one that is not known the server is asked for its columns, which are wrong: the client is told, and lives.
	w.want(w.call(call{id: tds.ProcCursorFetch, options: noColumns, handle: 180150003}), "error 40197 .")
	if got := tds.DecodeText(w.client); !strings.Contains(got, "could not be read") && !strings.Contains(tds.DecodeText(w.client[1:]), "could not be read") {
		t.Errorf("the client is told %q", got)
	}
	if w.closed || w.lost != 1 {
		t.Errorf("closed %v, %d server connections lost", w.closed, w.lost)
	}
	w.want(w.ask("SELECT 1"), "1 .")
	if len(w.s.columns) > 0 {
		t.Error("cursors are known that went with their server connection")
	}
}

// What may have closed a cursor, or opened another one of the same handle, makes its columns unknown.
func TestCursorForgotten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		does func(w *stage)
	}{
		{"a text", func(w *stage) { w.ask("EXEC sp_cursoropen @c OUTPUT, N'SELECT 1'") }},
		{"a text that is not known", func(w *stage) { w.ask("EXEC (@a)") }},
		{"two calls", func(w *stage) { w.call(opens("SELECT 1"), opens("SELECT 1")) }},
		{"a handle that is not known", func(w *stage) { w.call(call{id: tds.ProcCursorClose, handle: 1}) }},
		{"a reset", func(w *stage) {
			w.exchange(w.say(tds.PacketSQLBatch, tds.StatusResetConnection, tds.AppendText(w.headers(), "SELECT 1")))
		}},
		{"a close", func(w *stage) { w.call(call{id: tds.ProcCursorClose, handle: 180150003}) }},
	} {
		w := newStage(t, setup{})
		w.call(opens("SELECT 1"))
		if len(w.s.columns) != 1 {
			t.Fatalf("%s: before it there are %d cursors", c.name, len(w.s.columns))
		}
		c.does(w)
		if w.s.columns[180150003] != nil {
			t.Errorf("%s: the cursor is known", c.name)
		}
	}
	w := newStage(t, setup{})
	for range maxCursors + 2 {
		w.call(opens("SELECT 1"))
	}
	if n := len(w.s.columns); n != maxCursors {
		t.Errorf("the columns of %d cursors are kept", n)
	}
}

// A session is pinned for as long as it has a cursor, or what one is made from.
func TestCursorPins(t *testing.T) {
	t.Parallel()
	closes := func(h int) call { return call{id: tds.ProcCursorClose, handle: h} }
	for _, c := range []struct {
		name  string
		calls []call
		want  string
	}{
		{"one of two", []call{opens("SELECT 1"), opens("SELECT 1"), closes(180150003)}, "open_cursor"},
		{"the same of two, twice", []call{opens("SELECT 1"), opens("SELECT 1"), closes(180150003), closes(180150003)}, "open_cursor"},
		{"both", []call{opens("SELECT 1"), opens("SELECT 1"), closes(180150003), closes(180150005)}, ""},
		{"none", []call{opens("SELECT 1/0")}, ""},
		{"one that is not made", []call{opens("SELECT nothing")}, ""},
		{"one that fails behind another", []call{opens("SELECT 1"), opens("SELECT 1/0"), closes(180150003)}, ""},
		{"the cursor of a statement", []call{{id: tds.ProcCursorPrepExec, handle: -1, texts: []string{"", "SELECT 1"}}, closes(180150003)}, "open_cursor"},
		{"and that", []call{{id: tds.ProcCursorPrepExec, handle: -1, texts: []string{"", "SELECT 1"}}, closes(180150003), {id: tds.ProcCursorUnprepare, handle: 1}}, ""},
	} {
		w := newStage(t, setup{})
		for _, x := range c.calls {
			w.call(x)
		}
		if d := cmp.Diff(c.want, w.s.Pinned()); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}
