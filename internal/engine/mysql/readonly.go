package mysql

import (
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/wire/mysqlwire"
)

// declared says where a session is in a transaction that it has declared READ ONLY.
type declared uint8

const (
	declaredNothing declared = iota
	declaring                // the command that does it is the next one
	declaredReadOnly
)

// ReadsOnly implements engine.Session: the command that a transaction would begin with declares it READ ONLY.
func (s *session) ReadsOnly(b []byte) bool {
	s.declared, s.guarded = declaredNothing, false
	if !s.declaresReadOnly(b) {
		return false
	}
	s.declared = declaring
	return true
}

// Guard implements engine.Guarded.
func (s *session) Guard() { s.guarded = s.declared != declaredNothing }

// errReadOnly is what a command gets that would write, or could, in a transaction that has been declared READ ONLY.
var errReadOnly = mysqlwire.Error{Code: 1792, SQLState: "25006", Message: "Cannot execute statement in a READ ONLY transaction."}

// errAtReader is what a command gets that would begin a transaction that may write, or end one, where the session is kept at a reader
// beyond the one that has been declared READ ONLY. It has the code of a server that is read_only.
var errAtReader = mysqlwire.Error{Code: 1290, SQLState: "HY000", Message: "This session is kept at a reader by what it holds there: until that is given up only START TRANSACTION READ ONLY begins a transaction."}

// within looks at a text that is about to run in a transaction that has been declared READ ONLY. What ends that and begins another,
// or has a statement behind its end, may write all the same. At a reader it is refused: that may take writes, by mistake or since
// the user may write there whatever read_only says. What a procedure or a prepared text does is not known here.
func (s *session) within(eff sqltext.Effects, statements int, text []byte, mode sqltext.Mode, o *engine.Output) (refused *mysqlwire.Error) {
	const ends = sqltext.TxControl | sqltext.ImplicitCommit | sqltext.XA
	const mayEnd = ends | sqltext.UsesPrepared | sqltext.Unknown | sqltext.Unclear | sqltext.SetStatement
	switch s.declared {
	case declaredNothing:
		return nil
	case declaring:
		s.declared = declaredReadOnly
		return nil
	}
	calls := eff&sqltext.Call != 0 && (statements > 1 || sqltext.Calls(text, mode))
	if eff&mayEnd == 0 && !calls || sqltext.EndsTransaction(text, mode) {
		return nil
	}
	if s.guarded && eff&ends != 0 {
		switch {
		case s.srv.inTransaction():
			return &errReadOnly
		case sqltext.DeclaresReadOnly(text, mode):
			return nil
		}
		return &errAtReader
	}
	o.Writes = true
	return nil
}

func (s *session) declaresReadOnly(b []byte) bool {
	if !s.begun || s.refuse != nil || s.skip > 0 || s.continued || s.dropFile || len(b) <= mysqlwire.HeaderLen {
		return false
	}
	h, _ := mysqlwire.ParseHeader(b)
	size := mysqlwire.HeaderLen + h.Length
	if h.Length == 0 || h.Length > maxLocal || len(b) < size || mysqlwire.Command(b[mysqlwire.HeaderLen]) != mysqlwire.ComQuery {
		return false
	}
	text, ok := s.queryText(b[mysqlwire.HeaderLen:size])
	if !ok {
		return false
	}
	// No quotes matter to it.
	charset, _ := settingIn(s.want, varClient)
	return sqltext.DeclaresReadOnly(text, sqltext.Mode{
		Version: s.facts.number, MariaDB: s.facts.mariaDB, Charset: sqltext.CharsetOf(strings.Trim(charset, "'")),
	})
}
