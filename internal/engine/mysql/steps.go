package mysql

import (
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/routines"
	"forebay/internal/wire/mysqlwire"
)

// step is a command of Forebay's own: the client never sees its answer.
type step struct {
	kind    stepKind
	text    string
	name    string // stepVariable: which
	stmt    *clientStmt
	routine routines.Name // stepRoutine: which
}

type stepKind uint8

const (
	stepSchema    stepKind = iota + 1 // makes text the default database
	stepMulti                         // COM_SET_OPTION
	stepSet                           // makes settings fit
	stepAdapted                       // no command: the settings fit from here on
	stepContext                       // like stepSet, for the time of a COM_STMT_PREPARE
	stepPrepare                       // prepares stmt
	stepInsertID                      // makes LAST_INSERT_ID() the session's
	stepNeutral                       // leaves nothing of another session's last statement to be seen
	stepRows                          // leaves nothing of another session's last SELECT
	stepPing                          // has the server tell what it has not told yet
	stepCollation                     // asks what the connection's collation is
	stepRole                          // asks what the role is
	stepVariable                      // asks what a variable is
	stepReadID                        // asks what LAST_INSERT_ID() is
	stepTracking                      // has the server tell of changes again
	stepReset                         // COM_RESET_CONNECTION
	stepCleaned                       // ends clean
	stepFresh                         // ends startAgain
	stepCharsets                      // asks what the character sets and sql_mode are
	stepRoutine                       // asks what a routine does
)

// ask is the query for the values of expressions. Neither the session's character_set_results nor its sql_select_limit
// matters to the answer.
func ask(expressions ...string) string {
	var b strings.Builder
	for i, e := range expressions {
		if i == 0 {
			b.WriteString("SELECT ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString("CAST(" + e + " AS BINARY)")
	}
	return b.String() + " LIMIT 1"
}

// askCharsets asks for the variables that say what the bytes of a session mean.
var askCharsets = ask("@@"+varClient, "@@"+varConnection, "@@"+varResults, "@@"+varCollation)

// next sends the next step, if one is due.
func (s *session) next(o *engine.Output) {
	v := s.srv
	for len(s.steps) > 0 && v.step == 0 {
		st := s.steps[0]
		if st.kind == stepAdapted {
			s.pop()
			v.fit = s.want
			if !s.begun && !s.gone {
				if schema, ok := settingIn(s.want, settingSchema); ok {
					s.l.db.remember(schema, true)
				}
				s.welcome(o)
			}
			continue
		}
		v.step, v.err, v.row = st.kind, nil, nil
		v.since = *s.l.counters.Now
		dst, at := mysqlwire.BeginPacket(o.Server.Grow())
		cmd := mysqlwire.ComQuery
		switch st.kind {
		case stepSchema:
			cmd = mysqlwire.ComInitDB
		case stepMulti:
			cmd = mysqlwire.ComSetOption
		case stepPing:
			cmd = mysqlwire.ComPing
		case stepReset:
			cmd = mysqlwire.ComResetConnection
		case stepPrepare:
			cmd = mysqlwire.ComStmtPrepare
		}
		dst = append(dst, byte(cmd))
		switch st.kind {
		case stepMulti: // MYSQL_OPTION_MULTI_STATEMENTS_ON, _OFF
			if st.text == "1" {
				dst = append(dst, 0, 0)
			} else {
				dst = append(dst, 1, 0)
			}
		case stepPrepare:
			dst = append(dst, st.stmt.stmt.text...)
		default:
			if cmd == mysqlwire.ComQuery && v.caps.Has(mysqlwire.ClientQueryAttributes) {
				dst = append(dst, 0, 1) // no attributes, in one set
			}
			dst = append(dst, st.text...)
		}
		dst, _ = mysqlwire.EndPacket(dst, at, 0)
		o.Server.Set(dst)
		v.r.begin(cmd)
		v.countOwner = nil
		if cmd != mysqlwire.ComPing && st.kind != stepRows {
			if v.diagOwner != s { // what is there may be somebody else's still
				v.diagOwner = nobody
			}
			if cmd == mysqlwire.ComQuery && (strings.HasPrefix(st.text, "SELECT") || st.kind == stepRoutine) {
				v.rowsOwner = nobody
			}
		}
	}
}

func (s *session) pop() step {
	st := s.steps[0]
	s.steps = s.steps[1:]
	if len(s.steps) == 0 {
		s.steps = nil
	}
	return st
}

// stepped handles the end of a step.
func (s *session) stepped(o *engine.Output) {
	v := s.srv
	v.step = 0
	if v.err != nil && v.err.Code == codeInterrupted && !v.again {
		// Somebody's KILL QUERY came too late for the client's statement, or has never known of it.
		v.again = true
		s.next(o)
		return
	}
	v.again = false
	st := s.pop()
	if v.err != nil {
		if !s.stepFailed(st, *v.err, o) {
			return
		}
	} else {
		s.stepDone(st, o)
	}
	if o.CloseServer || o.CloseClient {
		return
	}
	s.next(o)
	if len(s.steps) == 0 && s.cmd.active {
		s.end(o)
	}
}

// codeInterrupted is the error of a statement that KILL QUERY has ended (ER_QUERY_INTERRUPTED).
const codeInterrupted = 1317

// stepFailed handles the failure of a step. It reports whether the session can go on with the next one.
func (s *session) stepFailed(st step, e mysqlwire.Error, o *engine.Output) bool {
	switch st.kind {
	case stepSchema:
		// The database is gone, or the user may not have it any more: any statement in it would fail.
		s.l.db.remember(st.text, false)
		s.steps = nil
		s.want = settingsOf(s.want).without(settingSchema).fit() // as on a server, after DROP DATABASE
		if !s.begun {
			s.fatal(e, o)
			return false
		}
		s.refuse = &e
		return false
	case stepPrepare:
		for len(s.steps) > 0 && s.steps[0].kind != stepContext {
			s.pop()
		}
		s.refuse = &e
		return true
	case stepCleaned, stepReset, stepTracking:
		o.CloseServer = true
		return false
	case stepRoutine:
		if e.Code == 1305 { // there is none, or not for this user
			s.looked(st.routine, nil)
		} else {
			s.looked(st.routine, []string{})
		}
		if s.srv.mariaDB { // a CALL that names no table would leave that error where SHOW WARNINGS finds it
			s.steps = append(s.steps, step{kind: stepNeutral, text: clearsWarnings})
		}
		return true
	case stepVariable:
		if e.Code == 1193 || e.Code == 1238 { // there is none, or not in a session: why the text has failed
			return true
		}
	}
	// It is not in the state that we thought, or cannot be put into the one that the session needs.
	o.CloseServer = true
	s.steps = nil
	if s.cmd.active {
		return false
	}
	if e.Message = "the session's settings could not be restored: " + e.Message; !s.begun {
		s.fatal(e, o)
		return false
	}
	s.refuse = &e
	return false
}

// stepDone takes over the result of a step.
func (s *session) stepDone(st step, o *engine.Output) {
	v := s.srv
	cell := ""
	if len(v.row) > 0 {
		cell = v.row[0]
	}
	switch st.kind {
	case stepInsertID:
		s.ownID()
	case stepNeutral:
		s.leaves()
		if strings.HasPrefix(st.text, "SELECT") {
			s.leavesRows()
		}
	case stepRows:
		s.leavesRows()
	case stepCollation:
		if len(v.row) != 2 {
			o.CloseServer = true
			return
		}
		s.set(varConnection, literal(v.row[0]))
		s.set(varCollation, literal(v.row[1]))
		if s.learns {
			s.l.db.rememberCollation(s.collationKey(), literal(v.row[1]))
		}
	case stepRole:
		if role := roleLiteral(cell, v.mariaDB); role == v.role {
			s.unset(settingRole)
		} else {
			s.set(settingRole, role)
		}
	case stepVariable:
		if len(v.row) != 1 {
			o.CloseServer = true
			return
		}
		s.set(st.name, charsetLiteral(st.name, cell))
		if st.name == varConnection || st.name == varCollation {
			s.collationChanged([]change{{name: st.name}})
		}
	case stepReadID:
		s.readID(parseID(cell))
	case stepReset:
		v.prepared.clear()
		v.idOwner, v.sequenceOwner, v.unseen = nil, nil, nil
		s.unpinAll()
	case stepFresh:
		if s.fresh(o); !o.CloseServer {
			s.adapt(settingsOfUnlessEqual(v.fit, s.want))
			if !s.begun {
				s.steps = append(s.steps, step{kind: stepAdapted}) // which welcomes it
			}
		}
	case stepCharsets:
		if len(v.row) != 5 {
			o.CloseServer = true
			return
		}
		for i, name := range []string{varClient, varConnection, varResults, varCollation, "sql_mode"} {
			s.set(name, charsetLiteral(name, v.row[i]))
		}
	case stepCleaned:
		s.cleaned(o)
	case stepPing:
		s.told()
		s.unexplained()
		s.status = v.status & lasting
	case stepPrepare:
		s.preparedEnds(o)
	case stepRoutine:
		s.looked(st.routine, append([]string{}, v.row...)) // not nil
	}
}

// resetSteps make the server connection as new; last is the step that ends them.
func (s *session) resetSteps(last stepKind) {
	s.steps = append(s.steps, step{kind: stepReset})
	if role := s.srv.role; role != "" {
		s.steps = append(s.steps, step{kind: stepTracking, text: "SET ROLE " + role}) // COM_RESET_CONNECTION keeps the role
	}
	s.steps = append(s.steps, step{kind: stepTracking, text: s.facts.tracking}, step{kind: last, text: askCharsets})
}

// startAgain makes the server connection as new, and then as the session wants it.
func (s *session) startAgain() { s.resetSteps(stepFresh) }

// fresh takes over the settings that a server connection has after a reset.
func (s *session) fresh(o *engine.Output) {
	v := s.srv
	if len(v.row) != 4 {
		o.CloseServer = true
		return
	}
	fit := settings(nil)
	for i, name := range []string{varClient, varConnection, varResults, varCollation} {
		fit = fit.with(name, charsetLiteral(name, v.row[i]))
	}
	if schema, ok := settingIn(v.fit, settingSchema); ok {
		fit = fit.with(settingSchema, schema) // COM_RESET_CONNECTION keeps it
	}
	if multi, ok := settingIn(v.fit, settingMulti); ok {
		fit = fit.with(settingMulti, multi) // a capability, which it keeps too
	}
	v.fit = fit.fit()
}

// cleaned says that a connection has been made as new, for nobody or for the client that has asked for it.
func (s *session) cleaned(o *engine.Output) {
	v := s.srv
	if s.fresh(o); o.CloseServer {
		return
	}
	if s.cleaning {
		s.cleaning = false
		return
	}
	s.want = v.fit
	if !v.mariaDB {
		return
	}
	// MariaDB gives a session the character sets of its log-in again, which here were not the client's.
	want := settingsOf(v.fit)
	for _, name := range []string{varClient, varConnection, varResults, varCollation} {
		if value, ok := settingIn(s.startup, name); ok {
			want = want.with(name, value)
		}
	}
	s.want = want.fit()
	s.adapt(settingsOfUnlessEqual(v.fit, s.want))
}

// roleLiteral writes what CURRENT_ROLE() says for SET ROLE. MySQL quotes the names itself.
func roleLiteral(value string, mariaDB bool) string {
	switch {
	case value == "", strings.EqualFold(value, "NONE"):
		return "NONE"
	case mariaDB:
		return quoteName(value)
	}
	return value
}

func parseID(s string) uint64 {
	n := uint64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		n = n*10 + uint64(s[i]-'0')
	}
	return n
}
