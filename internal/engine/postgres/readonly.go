package postgres

import (
	"bytes"

	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/wire/pgwire"
)

// ReadsOnly implements engine.Session: the message that a transaction would begin with declares it READ ONLY.
func (s *session) ReadsOnly(b []byte) bool {
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
	return sqltext.DeclaresReadOnly(body, s.mode)
}
