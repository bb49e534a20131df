package mysql

import (
	"strconv"

	"forebay/internal/engine/mysql/sqltext"
)

// What ROW_COUNT() is the server tells with every answer: the affected rows of an OK packet, -1 behind rows and errors. On
// another server connection, or behind a command of Forebay's own, nothing brings it back. So where it is a column of a SELECT
// without FROM, its value is written in its place.

// Warnings, counts and FOUND_ROWS() of the session's last statement are on the server connection that ran it. What is on
// another may be the session's, too, but an older statement's.

// leaves says that what is on the server connection is that of the session's last statement.
func (s *session) leaves() {
	s.diagTurn++
	s.srv.diagOwner, s.srv.diagTurn = s, s.diagTurn
}

// leavesRows says so of FOUND_ROWS().
func (s *session) leavesRows() {
	s.rowsTurn++
	s.srv.rowsOwner, s.srv.rowsTurn = s, s.rowsTurn
}

// hasDiagnostics reports whether warnings and counts are there, or nobody's are.
func (s *session) hasDiagnostics() bool {
	v := s.srv
	return v.diagOwner == nil || v.diagOwner == s && v.diagTurn == s.diagTurn
}

// hasRows reports whether FOUND_ROWS() is there, or nobody's is.
func (s *session) hasRows() bool {
	v := s.srv
	return v.rowsOwner == nil || v.rowsOwner == s && v.rowsTurn == s.rowsTurn
}

// countMoved reports whether a command with those effects reads ROW_COUNT(), and the server connection does not have it, or
// would lose it when LAST_INSERT_ID() is made the session's.
func (s *session) countMoved(eff sqltext.Effects) bool {
	return eff&sqltext.RowCountRead != 0 && (s.srv.countOwner != s || s.srv.diagTurn != s.diagTurn || eff&sqltext.LastInsertIDRead != 0 && !s.hasID())
}

// withCount returns a text with the value of ROW_COUNT() in its place, of the same type: BIGINT(21) NOT NULL.
func (s *session) withCount(text []byte, a *sqltext.Analysis, mode sqltext.Mode) ([]byte, bool) {
	return withValue(text, a, mode, "row_count", "CAST("+strconv.FormatInt(s.rowCount, 10)+" | 0 AS SIGNED)")
}

// countedStmt returns the prepared statement to execute in place of cs, with the value of ROW_COUNT() in its place; cs if that
// cannot be.
func (s *session) countedStmt(cs *clientStmt, body []byte) *clientStmt {
	if cs.params > 0 || cs.private || cs.isLong || cs.cursor || len(body) < 10 || body[5]&^parameterCount != 0 {
		return cs
	}
	mode := cs.stmt.mode
	sqltext.Analyze(cs.stmt.text, mode, &s.l.analysis)
	text, ok := s.withCount(cs.stmt.text, &s.l.analysis, mode)
	if !ok {
		return cs
	}
	st := s.l.stmts.intern(text, cs.stmt.context, mode, func() sqltext.Effects {
		sqltext.Analyze(text, mode, &s.l.analysis)
		return s.l.analysis.Effects
	})
	if e := s.srv.prepared.byStmt[preparedKey{stmt: st}]; e != nil && e.busy != nil {
		return cs // the client has prepared this text, too, and a cursor open
	}
	return &clientStmt{id: cs.id, stmt: st}
}
