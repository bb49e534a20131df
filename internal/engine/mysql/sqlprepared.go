package mysql

import "forebay/internal/engine/mysql/sqltext"

// What an EXECUTE does is in the text of its PREPARE. As long as that leaves nothing in the session but the statement itself,
// DEALLOCATE PREPARE ends the pin; with any other text the session stays pinned.

// plainPrepared reports whether executing what an object of a text prepares leaves nothing that the server does not tell.
func (s *session) plainPrepared(x sqltext.Object, text []byte) bool {
	if x.To == 0 {
		return false // from a variable, or an expression
	}
	mode := s.readMode()
	inner, ok := sqltext.AppendLiteral(nil, text[x.From:x.To], mode)
	if !ok {
		return false
	}
	var a sqltext.Analysis
	mode.SingleStatement = true
	sqltext.Analyze(inner, mode, &a)
	eff, runs := s.whole(&a, inner)
	return eff&^plainInside == 0 && !runs
}

// plainInside are effects of which nothing is left behind EXECUTE. What it reads of earlier statements is made the session's
// own before: see settles.
const plainInside = sqltext.TxControl | sqltext.ImplicitCommit | sqltext.LastInsertIDWrite | sqltext.FoundRowsWrite |
	sqltext.SequenceWrite | sqltext.ReadsUserVariable | reads | sqltext.ThreadID | sqltext.Processlist
