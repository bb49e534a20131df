package sqlserver

import (
	"strings"
	"testing"

	"forebay/internal/wire/tds"
)

// A driver that sends an attention behind the error of a loss, before it has seen that, tells of nothing but the cancel: the next request
// is refused, too.
func TestLossUnseen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ before, told string }{
		{"CREATE TABLE #t (a int)", "error 40197 ."},
		{"BEGIN TRAN", "env 10 error 40197 ."},
	} {
		w := newStage(t, setup{})
		w.ask(c.before)
		w.exchange(w.batchOf("WAITFOR DELAY '1:00'", 0))
		w.client = nil
		w.lose()
		w.want(seen(t, w.client, 4096), c.told)
		w.want(w.exchange(w.attention()), "attention .")
		// So it is where the refusal itself is not seen.
		w.want(w.exchange(append(w.batchOf("SELECT 1", 0), w.attention()...)), "error 40197 . attention .")
		w.want(w.ask("SELECT 1"), "error 40197 .")
		w.want(w.ask("SELECT 1"), "1 .")
		// An attention behind other requests, with nothing running, is none of that.
		w.want(w.exchange(w.attention()), "attention .")
		w.want(w.ask("SELECT 1"), "1 .")
	}
}

// Nothing is told again where nothing was lost but the answer.
func TestNothingLostUnseen(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{})
	w.exchange(w.batchOf("WAITFOR DELAY '1:00'", 0))
	w.client = nil
	w.lose()
	w.want(w.exchange(w.attention()), "attention .")
	w.want(w.ask("SELECT 1"), "1 .")
}

// What a request may have set that is broken off, and lost with its server connection, is a loss, too.
func TestLossOfWhatRan(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"SET LOCK_TIMEOUT 5; WAITFOR DELAY '1:00'", "SET LOCK_TIMEOUT @n; WAITFOR DELAY '1:00'", "BEGIN TRAN; WAITFOR DELAY '1:00'"} {
		for _, early := range []bool{false, true} {
			w := newStage(t, setup{silent: true})
			w.exchange(w.batchOf(text, 0))
			w.on.f.deaf = true
			if early {
				w.want(w.exchange(w.attention()), "")
				w.client = nil
			}
			w.lose()
			if !early {
				w.exchange(w.attention())
			}
			if got := seen(t, w.client, 4096); !strings.HasSuffix(got, "attention .") {
				t.Errorf("%s: the client sees %q", text, got)
			}
			w.want(w.ask("SELECT 1"), "error 40197 .")
			w.want(w.ask("SELECT 1"), "1 .")
		}
	}
}

// An attention within a large request whose server connection is lost calls off the error that is due at its end.
func TestLossWithinRequest(t *testing.T) {
	t.Parallel()
	for _, breaksOff := range []bool{false, true} {
		w := newStage(t, setup{})
		w.ask("BEGIN TRAN")
		whole := w.batchOf("SELECT '"+strings.Repeat("z", 2*maxInspected)+"'", 0)
		n := len(whole) / 8192 * 4096
		w.exchange(whole[:n])
		w.client = nil
		w.lose()
		if len(w.client) > 0 {
			t.Errorf("in the middle of its request the client is told %q", seen(t, w.client, 4096))
		}
		if breaksOff {
			w.want(w.exchange(w.attention()), "env 10 attention .")
			w.want(w.ask("SELECT 1"), "error 40197 .")
		} else {
			w.want(w.exchange(whole[n:]), "env 10 error 40197 .")
		}
		w.want(w.ask("SELECT 1"), "1 .")
	}
}

// A loss comes before what else the next request would be refused for.
func TestLossBehindRefusal(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{initQuery: "EXEC init"})
	w.ask("CREATE TABLE #t (a int)")
	w.s.refuse = errNoBulk()
	w.lose()
	w.want(w.ask("SELECT 1"), "error 40197 .")
	w.want(w.ask("SELECT 1"), "1 .")
}

// A client that asks for a reset does not miss what is lost, as long as the reset would have ended it.
func TestLossBehindOwnReset(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ before, told string }{
		{"CREATE TABLE #t (a int)", "env 18 1 ."},
		{"BEGIN TRAN", "env 10 env 18 1 ."},
	} {
		for _, dirty := range []bool{false, true} { // the next server connection, which has the reset to do
			w := newStage(t, setup{})
			w.ask(c.before)
			w.lose()
			if dirty {
				x := w.another()
				x.ask("EXEC leaks")
			}
			w.want(w.exchange(w.batchOf("SELECT 1", tds.StatusResetConnection)), c.told)
			w.want(w.ask("SELECT 1"), "1 .")
		}
	}
	w := newStage(t, setup{})
	w.ask("BEGIN TRAN")
	w.lose()
	w.want(w.exchange(w.batchOf("SELECT 1", tds.StatusResetConnectionSkip)), "env 10 env 18 error 40197 .")
	w.want(w.ask("SELECT 1"), "1 .")
}
