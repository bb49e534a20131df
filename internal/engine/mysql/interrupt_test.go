package mysql

import (
	"strings"
	"testing"

	"forebay/internal/wire/mysqlwire"
)

// upTo hands the server connection's answers over one by one while the client's command waits, until a text was sent.
func (w *stage) upTo(text string) {
	w.t.Helper()
	for range 20 {
		if said := w.on.f.said; len(said) > 0 && strings.Contains(said[len(said)-1], text) {
			return
		}
		l := w.on
		l.in = append(l.in, l.f.out...)
		l.f.out = nil
		w.o.Reset()
		l.in = l.in[w.s.FromServer(l.in, &w.o):]
		w.took()
		w.o.Reset()
		w.in = w.in[w.s.FromClient(w.in, &w.o):]
		w.took()
	}
	w.t.Fatalf("%q was not sent", text)
}

// The database is asked to end the client's own statement alone: while Forebay makes the server connection ready, the
// statement that waits is refused, and what Forebay does behind a statement is not disturbed.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{servers: 2, prepared: 10, mariaDB: true})
	if w.s.Interrupt() {
		t.Error("without a server connection")
	}
	w.ask("SET time_zone = '+01:00'")
	begin := func(sql string) {
		w.client = nil
		w.in = say(0, func(t *talk) { t.query(sql) })
		w.attach()
	}
	begin("SELECT 1")
	w.upTo("time_zone")
	if w.s.Interrupt() {
		t.Error("while the settings are made to fit")
	}
	w.run(nil)
	if p := packets(w.client); len(p) != 1 || !strings.Contains(string(p[0]), "interrupted") {
		t.Errorf("the statement that was to come: %q", inWords(w.client))
	}
	if got := w.ask("SELECT @@time_zone"); got != "+01:00" {
		t.Errorf("time_zone is %s", got)
	}

	begin("SELECT 1")
	w.upTo("SELECT 1")
	if !w.s.Interrupt() {
		t.Error("while the client's statement runs")
	}
	w.run(nil)

	begin("INSERT INTO t RETURNING")
	w.upTo("LAST_INSERT_ID()")
	if w.s.Interrupt() {
		t.Error("while LAST_INSERT_ID() is asked for")
	}
	w.run(nil)
	w.ask("BEGIN")
	if w.on == nil || w.s.Interrupt() {
		t.Error("while nothing runs")
	}
}

// A step that a late KILL QUERY has hit is made once more; a second time is no accident.
func TestInterruptedStep(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, 2} {
		w := newStage(t, setup{servers: 2, prepared: 10})
		w.ask("SET time_zone = '+01:00'")
		w.client = nil
		w.in = say(0, func(t *talk) { t.query("SELECT @@time_zone") })
		w.attach()
		for range times {
			w.upTo("time_zone")
			w.on.f.out, w.on.f.seq, w.on.f.said = nil, 1, nil
			w.on.f.fail(1317, "70100", "Query execution was interrupted")
		}
		w.run(nil)
		if lost := times > 1; lost != (w.lost > 0) {
			t.Errorf("interrupted %d times: %d server connections lost", times, w.lost)
		}
		if times == 1 {
			if p := packets(w.client); len(p) < 3 || !strings.Contains(string(w.client), "+01:00") || p[0][4] == mysqlwire.HeaderERR {
				t.Errorf("answered %q", inWords(w.client))
			}
		}
	}
}
