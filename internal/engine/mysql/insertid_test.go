package mysql

import "testing"

// LAST_INSERT_ID() is the session's own, whatever the server connection has.
func TestInsertID(t *testing.T) {
	t.Parallel()
	for _, caps := range capabilities {
		a := newStage(t, setup{servers: 1, prepared: 10, caps: caps, mariaDB: true})
		b := a.another()
		is := func(w *stage, want string) {
			t.Helper()
			if got := w.ask("SELECT LAST_INSERT_ID()"); got != want {
				t.Errorf("capabilities %x: LAST_INSERT_ID() is %s, want %s", uint64(caps), got, want)
			}
		}
		is(a, "0")
		a.ask("INSERT INTO t")
		is(b, "0")
		is(a, "1")
		b.ask("INSERT INTO t EXPLICIT") // the OK packet says 7, LAST_INSERT_ID() is a's
		is(b, "7")
		is(a, "1")
		b.ask("INSERT INTO t RETURNING")
		is(a, "1")
		is(b, "2")
		a.ask("INSERT INTO t")
		a.ask("INSERT INTO t EXPLICIT")
		is(b, "2")
		a.client, a.in = nil, nil
		a.run(say(caps, func(t *talk) { t.command(0x1f) }))
		is(a, "0")
		is(b, "2")
	}
}
