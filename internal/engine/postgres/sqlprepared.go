package postgres

import (
	"slices"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/wire/pgwire"
)

// Statements prepared with SQL's PREPARE keep their names on the server: a server connection holds those of one session
// at a time, and another session's are made there again from the text of the PREPARE when they are executed.

// carrySQL takes over the SQL-level prepared statements that the probe found; more says that there are others, which are
// too many or too large.
func (s *session) carrySQL(found []sqlStmt, more bool) {
	v := s.srv
	coming := v.sqlComing()
	here := slices.DeleteFunc(v.sqlNames, func(n string) bool { return slices.Contains(coming, n) })
	if v.sqlOwner != s {
		here = nil
	}
	// Of those that were there, what the probe has not found is gone, or no longer known. The others are still only carried.
	s.sql = slices.DeleteFunc(s.sql, func(st sqlStmt) bool {
		i := slices.IndexFunc(found, func(f sqlStmt) bool { return f.name == st.name })
		if i < 0 && slices.Contains(here, st.name) || i >= 0 && found[i].text != st.text {
			s.sqlState++ // other server connections may still have it
			return true
		}
		return i >= 0
	})
	v.sqlNames, v.sqlOwner, v.sqlState = coming, nil, s.sqlState
	if len(coming) > 0 {
		v.sqlOwner = s
	}
	cannot, bytes := more, 0
	for _, st := range s.sql {
		bytes += len(st.name) + len(st.text)
	}
	for _, st := range found {
		v.sqlOwner = s
		v.sqlNames = append(v.sqlNames, st.name)
		var a sqltext.Analysis
		sqltext.Analyze([]byte(st.text), s.mode, s.routines(), &a)
		bytes += len(st.name) + len(st.text)
		if a.Statements != 1 || len(s.sql) == maxSQLStatements || bytes > maxSQLBytes {
			cannot = true // its text is that of a whole query string, or it is one too many
			continue
		}
		st.effects = a.Effects
		s.sql = append(s.sql, st)
	}
	if cannot {
		s.pin(pinSQLStatement, string(v.digest))
	} else {
		s.unpin(pinSQLStatement)
	}
}

// sqlComing are the SQL-level prepared statements that are being made: behind a look that is under way, which does not find them.
func (v *server) sqlComing() (names []string) {
	for i := range v.q.n {
		if e := v.q.at(i); (e.kind == hiddenNamed || e.kind == hiddenAmid) && e.ref != nil {
			names = append(names, e.ref.name)
		}
	}
	return names
}

// namesTouched is called when a client names a prepared statement as Forebay names its own: what is there under these
// names is not known any more, nor fit for others.
func (v *server) namesTouched() {
	v.prepared.clear()
	v.hasProbe = false
	v.retire = true
}

// hasSQL reports whether the session is known to have a SQL-level prepared statement of that name.
func (s *session) hasSQL(name string) bool {
	return slices.ContainsFunc(s.sql, func(st sqlStmt) bool { return st.name == name })
}

// usePrepared prepares the server connection for a text that makes, executes or deallocates prepared statements.
func (s *session) usePrepared(a *sqltext.Analysis, o *engine.Output) {
	var made []*namedStmt
	for i := range a.PreparedLen() {
		op, b := a.Prepared(i)
		name := string(b)
		if strings.HasPrefix(name, namePrefix) {
			s.srv.namesTouched()
		}
		ref := s.stmts.byName[name]
		switch {
		case s.hasSQL(name):
			s.ensureSQL(name, o) // for PREPARE too: the name is taken, and the server is to say so
		case ref != nil:
			if !slices.Contains(made, ref) { // it is to be what the first that names it needs
				s.ensureNamed(ref, op, a, o)
				made = append(made, ref)
			}
		case op != sqltext.OpPrepare:
			s.srv.unknownSQL()
		}
		if op == sqltext.OpDeallocate {
			s.srv.effects |= sqltext.Look
			s.stmts.remove(name)
		}
	}
}

// beforeDescribe makes what a text executes present before it is prepared: how that is described depends on it.
func (s *session) beforeDescribe(st *stmt, o *engine.Output) {
	a := &s.l.analysis
	sqltext.Analyze(st.text, s.reading(), s.routines(), a)
	if a.PreparedLen() > 0 {
		if op, _ := a.Prepared(0); op == sqltext.OpExecute { // others drop or make one, when they run
			s.usePrepared(a, o)
		}
	}
}

// sqlName is the name under which a statement of Forebay's own is prepared for a moment.
const sqlName = namePrefix + "sql"

// ensureSQL makes the named SQL-level prepared statement of the session present on the server connection.
func (s *session) ensureSQL(name string, o *engine.Output) {
	v := s.srv
	i := slices.IndexFunc(s.sql, func(st sqlStmt) bool { return st.name == name })
	if i < 0 {
		v.unknownSQL()
		return
	}
	s.executes([]byte(s.sql[i].text), s.sql[i].effects)
	if slices.Contains(v.sqlNames, name) && v.sqlOwner == s || v.q.n > 0 && v.effects&sqltext.DropsPrepared != 0 {
		return // it is there, or will not be: behind a DEALLOCATE ALL under way it must not come back
	}
	if v.q.closed() {
		o.Server.Set(pgwire.AppendQuery(o.Server.Grow(), s.sql[i].text))
		v.q.push(expect{kind: hiddenNamed, ref: &namedStmt{name: name}})
		v.unnamed = nil
	} else {
		v.amid(s.sql[i].text, name, o)
	}
	v.sqlOwner, v.sqlState = s, s.sqlState
	v.sqlNames = append(v.sqlNames, name)
	s.l.counters.Reprepares++
}

// unknownSQL accounts for the use of a SQL-level prepared statement that is not known: made in this transaction, or by a function.
func (v *server) unknownSQL() { v.effects |= sqltext.Look | sqltext.SequenceWrite }

// executes accounts for what an EXECUTE may leave behind, of a statement with that text that was found to have eff.
func (s *session) executes(text []byte, eff sqltext.Effects) {
	v := s.srv
	if eff = s.readAgain(text, eff); eff&sqltext.Unclear != 0 {
		eff |= sqltext.Anything
		v.retire = true
	}
	if eff&sqltext.SequenceWrite != 0 {
		v.seqOwner, s.seqAt = s, v
	}
	v.effects |= eff
}

// amid runs a statement of Forebay's own amid messages of the extended protocol. What these answer is ignored up to the
// CloseComplete. name is of the SQL-level prepared statement that it makes, or empty.
func (v *server) amid(sql, name string, o *engine.Output) {
	dst := pgwire.AppendClose(o.Server.Grow(), 'S', sqlName) // of one that has failed before
	v.q.push(expect{kind: hiddenClose})
	dst = pgwire.AppendParse(dst, sqlName, sql, []byte{0, 0})
	dst = pgwire.AppendBindExecute(dst, sqlName)
	o.Server.Set(pgwire.AppendClose(dst, 'S', sqlName))
	e := expect{kind: hiddenAmid}
	if name != "" {
		e.ref = &namedStmt{name: name}
	}
	v.q.push(e)
}

// forgetSQL says that a SQL-level prepared statement has not been made here after all.
func (v *server) forgetSQL(ref *namedStmt) {
	if ref != nil {
		v.sqlNames = slices.DeleteFunc(v.sqlNames, func(n string) bool { return n == ref.name })
	}
}

// notRun is the text of a statement that is there to be dropped.
const notRun = "SELECT 1/0"

// ensureNamed lets SQL's EXECUTE and DEALLOCATE reach a statement that the client prepared at protocol level: it is made
// under the client's own name too, where the look that follows finds it: nobody else may meet it. For a PREPARE the name is
// taken. What does not run need not be made as it is: its tables may have gone.
func (s *session) ensureNamed(ref *namedStmt, op sqltext.PreparedOp, a *sqltext.Analysis, o *engine.Output) {
	v := s.srv
	s.executes(ref.stmt.text, ref.stmt.effects|sqltext.Look)
	text, types := string(ref.stmt.text), ref.stmt.types
	if op != sqltext.OpExecute {
		text, types = notRun, []byte{0, 0}
	}
	var drops *namedStmt
	for i := range a.PreparedLen() {
		if op, name := a.Prepared(i); op == sqltext.OpDeallocate && string(name) == ref.name {
			drops = ref
		}
	}
	dst := pgwire.AppendClose(o.Server.Grow(), 'S', ref.name) // of before, maybe with another text
	dst = pgwire.AppendParse(dst, ref.name, text, types)
	if v.q.closed() {
		dst = pgwire.AppendEmpty(dst, pgwire.Sync) // behind an error a simple query would be ignored
		v.q.push(expect{kind: hiddenNamed, drops: drops})
	} else {
		v.q.push(expect{kind: hiddenClose})
		v.q.push(expect{kind: hiddenParse, drops: drops})
	}
	o.Server.Set(dst)
	ref.bySQL = true
}

// dropSQLStatements removes the SQL-level prepared statements of another session.
func (v *server) dropSQLStatements(o *engine.Output) {
	var b strings.Builder
	for _, n := range v.sqlNames {
		b.WriteString(`DEALLOCATE "`)
		b.WriteString(strings.ReplaceAll(n, `"`, `""`))
		b.WriteString(`";`)
	}
	v.simple(b.String(), hiddenSet, o)
	v.sqlOwner, v.sqlNames = nil, nil
}

// forgetSequences makes currval and lastval answer as in a new session, before s uses the server connection: what they
// would tell is another session's.
func (v *server) forgetSequences(s *session, o *engine.Output) {
	if v.tx == pgwire.Failed {
		return
	}
	if v.q.closed() {
		v.simple("DISCARD SEQUENCES", hiddenSet, o)
	} else {
		v.amid("DISCARD SEQUENCES", "", o)
	}
	v.seqOwner = s
}
