package postgres

import (
	"bytes"

	"forebay/internal/engine/postgres/sqltext"
)

// What a session changes of routines has the catalog read again for all users of the database, and until then every routine may do
// anything. So it is not to be said of what cannot change any: a large INSERT, what runs at a standby.

// atReader reports whether a standby serves the session, which can change nothing.
func (s *session) atReader() bool { return s.guarded || s.srv.standby }

// changesRoutines reports whether what ran since the last look may have changed what the catalog says of routines.
func (s *session) changesRoutines() bool {
	return s.srv.routineDDL || s.srv.effects&sqltext.RoutineDDL != 0 && !s.atReader()
}

// awaitsUnread reports whether a text that was not read may be under way, and may change routines.
func (s *session) awaitsUnread() bool {
	return s.srv.unread && s.srv.q.n > 0 && !s.atReader()
}

// tagged looks at the tag of a command that has succeeded, of which the text is not known, or was taken to change nothing where it ran.
// What a function does is not known here either, as it is not of those in texts that are read.
func (s *session) tagged(body []byte) {
	v := s.srv
	word, _, _ := bytes.Cut(bytes.TrimRight(body, "\x00"), []byte{' '})
	switch string(word) {
	case "CREATE", "ALTER", "DROP", "REASSIGN", "IMPORT", "SECURITY":
		v.routineDDL = true // and if it ran at a standby, that is none any more
	case "DO": // whatever is in it
		v.routineDDL = v.routineDDL || v.unread && !s.atReader()
	default:
		return
	}
	v.effects |= sqltext.DDL // there is something to account for
}
