package mysql

import (
	"bytes"
	"testing"

	"forebay/internal/wire/mysqlwire"
)

// What is sent in a transaction that has been declared READ ONLY, and may write all the same, is told. At a reader it is refused
// where it would end the transaction and go on.
func TestWritesInReadOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ writes, refused bool }{
		"SELECT 1":                          {},
		"SELECT f(1)":                       {},
		"COMMIT":                            {},
		"ROLLBACK TO SAVEPOINT a":           {},
		"COMMIT; INSERT INTO t VALUES (1)":  {true, true},
		"BEGIN":                             {true, true},
		"START TRANSACTION":                 {true, true},
		"START TRANSACTION READ ONLY":       {true, true},
		"SET autocommit = 1":                {true, true},
		"LOCK TABLES t WRITE":               {true, true},
		"TRUNCATE t":                        {true, true},
		"CALL p()":                          {true, false},
		"SELECT 1; CALL p()":                {true, false},
		"EXECUTE a":                         {true, false},
		"BEGIN NOT ATOMIC INSERT x; END":    {true, true},
		"SELECT 1; SELECT 2":                {},
		"SET TRANSACTION READ WRITE":        {},
		"START TRANSACTION READ ONLY -- no": {true, true},
	} {
		for _, guarded := range []bool{false, true} {
			w := newStage(t, setup{servers: 1, prepared: 10, mariaDB: true})
			if !w.s.ReadsOnly(say(w.setup.caps, func(t *talk) { t.query("START TRANSACTION READ ONLY") })) {
				t.Fatal("it is not declared")
			}
			if guarded {
				w.s.Guard()
			}
			w.attach()
			w.o.Reset()
			w.s.FromClient(say(w.setup.caps, func(t *talk) { t.query("START TRANSACTION READ ONLY") }), &w.o)
			if w.o.Writes || w.o.Server.Len() == 0 {
				t.Fatal("the declaration itself does not pass as one")
			}
			w.s.cmd.active = false // as if it was answered
			w.s.srv.r.state = replyNone
			w.s.srv.status |= mysqlwire.StatusInTrans
			w.o.Reset()
			w.s.FromClient(say(w.setup.caps, func(t *talk) { t.query(text) }), &w.o)
			refused := bytes.Contains(w.o.Client.Bytes(), []byte(errReadOnly.Message))
			if refused != (guarded && want.refused) || refused == (w.o.Server.Len() > 0) || w.o.Writes != (want.writes && !refused) {
				t.Errorf("%s, at a reader: %t: writes %t, refused %t", text, guarded, w.o.Writes, refused)
			}
		}
	}
}

// A session that is kept at a reader beyond its transaction is told why it can begin no other one there, but for one that only reads.
func TestBehindReadOnlyAtReader(t *testing.T) {
	t.Parallel()
	for text, refused := range map[string]bool{
		"BEGIN": true, "SET autocommit = 0": true, "START TRANSACTION": true, "TRUNCATE t": true,
		"START TRANSACTION READ ONLY": false, "SELECT 1": false, "COMMIT": false,
	} {
		w := newStage(t, setup{servers: 1, prepared: 10, mariaDB: true})
		w.attach()
		w.s.declared, w.s.guarded = declaredReadOnly, true
		w.o.Reset()
		w.s.FromClient(say(w.setup.caps, func(t *talk) { t.query(text) }), &w.o)
		got := bytes.Contains(w.o.Client.Bytes(), []byte(errAtReader.Message))
		if got != refused || got == (w.o.Server.Len() > 0) || bytes.Contains(w.o.Client.Bytes(), []byte(errReadOnly.Message)) {
			t.Errorf("%s: the client is told %q", text, w.o.Client.Bytes())
		}
	}
}
