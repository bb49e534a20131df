package mysql

// What LAST_INSERT_ID() is belongs to the session, and is on a server connection as what the last INSERT there has left. An
// OK packet tells the session's new value, but not that the server connection has it: of an INSERT that gives a value of its
// own to an AUTO_INCREMENT column it carries that value, while LAST_INSERT_ID() stays what it was, which may be another
// session's.

// nobody is whose LAST_INSERT_ID() is on a server connection where it is not known.
var nobody = new(session)

// hasID reports whether LAST_INSERT_ID() on the server connection is the session's.
func (s *session) hasID() bool {
	v := s.srv
	if v.idOwner == nil { // nobody has used it
		return s.insertID == 0
	}
	return v.idOwner == s && v.idTurn == s.idTurn
}

// ownID says that it is.
func (s *session) ownID() { s.srv.idOwner, s.srv.idTurn = s, s.idTurn }

// newID takes over a value that an OK packet has told. The server connection has the session's if it had it before.
func (s *session) newID(id uint64) {
	has := s.hasID()
	s.insertID = id
	s.idTurn++
	if has {
		s.ownID()
	} else {
		s.srv.idOwner = nobody
	}
}

// maybeID says that a statement which has failed may have changed the value. Where the session had its own, it has what the
// server alone would give it: to make it the one before would cost what ROW_COUNT() and SHOW WARNINGS have to say.
func (s *session) maybeID() {
	if s.hasID() {
		s.ownID()
	} else {
		s.srv.idOwner = nobody
	}
}

// readID takes over a value that the server connection was asked for.
func (s *session) readID(id uint64) {
	s.insertID = id
	s.idTurn++
	s.ownID()
}
