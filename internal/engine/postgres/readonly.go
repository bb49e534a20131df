package postgres

import (
	"bytes"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/wire/pgwire"
)

// serializable is the isolation level that a standby does not have.
const serializable = "serializable"

// ReadsOnly implements engine.Session: the message that a transaction would begin with declares it READ ONLY. While such a
// transaction goes on, the session sends one cycle at a time: what its client sends behind the end may write, and is for the writer.
func (s *session) ReadsOnly(b []byte) bool {
	s.stepwise, s.ended, s.guarded = s.declaresReadOnly(b), false, false
	return s.stepwise
}

// Guard implements engine.Guarded.
func (s *session) Guard() { s.guarded = true }

// routines are those of the database, as far as they are known where the session runs something now.
func (s *session) routines() *sqltext.Routines { return s.l.db.known(s.guarded) }

// within looks at a text that is about to run in a transaction that has been declared READ ONLY: it may write all the same, as the
// writer lets it, and then a reader serves the session only when that has what is written. named says that the text has a
// portal of its own, which may run later.
func (s *session) within(text []byte, named bool, o *engine.Output) {
	if !s.stepwise || o.Writes {
		return
	}
	ends, writes := sqltext.InReadOnly(text, s.reading())
	o.Writes = writes || s.ended || ends && named
	s.ended = ends
}

func (s *session) declaresReadOnly(b []byte) bool {
	if s.greeting != nil || s.aborted || len(b) < pgwire.HeaderLen {
		return false
	}
	size, err := pgwire.Size(b)
	if err != nil || size > len(b) || size > maxInspected {
		return false
	}
	body := b[pgwire.HeaderLen:size]
	switch b[0] {
	case pgwire.Query:
	case pgwire.Parse:
		// The name of the statement stands before its text.
		end := bytes.IndexByte(body, 0)
		if end < 0 {
			return false
		}
		body = body[end+1:]
	default:
		return false
	}
	if end := bytes.IndexByte(body, 0); end >= 0 {
		body = body[:end]
	}
	return sqltext.DeclaresReadOnly(body, s.mode, s.serializable())
}

// serializable reports whether a transaction that names no isolation level may be that on some member.
func (s *session) serializable() bool {
	if v, ok := settingIn(s.want, "default_transaction_isolation"); ok {
		return strings.EqualFold(v, serializable)
	}
	d := s.l.db
	return d.serializable[0].Load() || d.serializable[1].Load()
}
