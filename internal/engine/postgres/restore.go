package postgres

import (
	"bytes"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/wire/pgwire"
)

// RESET goes to what the server has as a default. To the client's eyes a setting given at start-up has another one: its
// start-up value. Between transactions that is put right when the session's settings are known again. Within one, a
// statement of Forebay's own follows in the same request, as part of the same transaction, so that it ends with it and is
// rolled back with it. It asks the server which of the settings are at its default now, rather than trust in what the
// text may have done: behind "RESET a; ROLLBACK TO b" there is nothing to do.

// inBlock reports whether what is sent now may run in a transaction block.
func (v *server) inBlock() bool {
	return v.tx != pgwire.Idle || v.effects&sqltext.TxControl != 0
}

// restores reports whether a text which puts settings back concerns one that was given at start-up. set is the plain SET
// that it is, if it is one.
func (s *session) restores(r sqltext.Resets, set *setting) bool {
	if r == 0 || s.startup == noSettings {
		return false
	}
	if set != nil {
		_, ok := settingsOf(s.startup).find(set.name)
		return ok
	}
	return true
}

// restoreSQL gives the settings that were given at start-up, and that are at the server's default, their values. The one
// row that it returns has a column with a name that only Forebay knows. It must not fail: that would end the client's
// transaction. So what the user may have lost the right to set is left for the end of the transaction.
func (s *session) restoreSQL(r sqltext.Resets) string {
	scope := "false"
	if r&sqltext.ResetLocal != 0 {
		scope = "true" // the end of the transaction puts right what was for the session
	}
	var b strings.Builder
	b.WriteString(`SELECT pg_catalog.count(pg_catalog.set_config(w.name, w.value, ` + scope + `)) AS "` + s.srv.probeName + `" FROM (VALUES `)
	for i, e := range settingsOf(s.startup) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		writeLiteral(&b, e.name)
		b.WriteByte(',')
		writeLiteral(&b, e.value)
		b.WriteByte(',')
		switch { // pg_settings does not have all of these: how they look at their default
		case e.name == settingRole:
			b.WriteString("'none'")
		case e.name == settingSession:
			writeLiteral(&b, s.l.db.key.User)
		case strings.Contains(e.name, "."):
			b.WriteString("''")
		default:
			b.WriteString("NULL")
		}
		b.WriteByte(')')
	}
	b.WriteString(`) AS w(name, value, bare) LEFT JOIN pg_catalog.pg_settings AS s ON pg_catalog.lower(s.name COLLATE pg_catalog."C") OPERATOR(pg_catalog.=) w.name` +
		` WHERE CASE WHEN w.name OPERATOR(pg_catalog.=) ANY ('{transaction_isolation,transaction_read_only,transaction_deferrable}'::pg_catalog.text[]) THEN false` +
		` WHEN s.name IS NOT NULL THEN s.source OPERATOR(pg_catalog.<>) 'session' AND (s.context OPERATOR(pg_catalog.=) 'user' OR pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on')` +
		` WHEN w.bare IS NOT NULL THEN COALESCE(pg_catalog.current_setting(w.name, true), '') OPERATOR(pg_catalog.=) w.bare` +
		` ELSE false END`)
	return b.String()
}

// restoreBehind passes a simple query with restoreSQL behind it. It reports false if the text does not allow that.
func (s *session) restoreBehind(text []byte, r sqltext.Resets, o *engine.Output) bool {
	if bytes.IndexByte(text, 0) >= 0 {
		return false
	}
	// The text may end in a comment.
	o.Server.Set(pgwire.AppendQuery(o.Server.Grow(), string(text)+"\n;"+s.restoreSQL(r)))
	s.srv.unnamed = nil
	return true
}

// withheld reports whether a message is the result of a restoreSQL that came behind the client's text, so not for the
// client. An error is: its statement and this one are one request.
func (s *session) withheld(typ byte, body []byte) bool {
	v := s.srv
	if v.q.peek() != expectQuery || !v.q.at(0).restores {
		return false
	}
	switch typ {
	case pgwire.RowDescription:
		if name, _, ok := pgwire.CString(body[min(2, len(body)):]); ok && string(name) == v.probeName {
			v.restoring = true
		}
	case pgwire.ReadyForQuery:
		v.restoring = false
	}
	return v.restoring && (typ == pgwire.RowDescription || typ == pgwire.DataRow || typ == pgwire.CommandComplete)
}
