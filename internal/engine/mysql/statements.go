package mysql

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/wire/mysqlwire"
)

// prepare handles COM_STMT_PREPARE. A server connection that has the statement need not be asked.
func (s *session) prepare(pkt, body []byte, h mysqlwire.Header, o *engine.Output) int {
	v, c, size := s.srv, s.cmd, len(pkt)
	text := body[1:]
	s.recent = 0 // what comes behind it is not for another statement, should this one fail
	if len(s.stmts) >= maxClientStmts || s.stmtBytes+len(text) > maxClientStmtBytes {
		s.fail(c.seq, errManyStatements, o)
		return size
	}
	mode := s.readMode()
	mode.SingleStatement = true
	if len(text) <= maxOwnID && containsFold(text, "connection_id()") {
		sqltext.Analyze(text, mode, &s.l.analysis)
		if own, ok := s.withOwnID(text, &s.l.analysis, mode); ok {
			pkt = withText(pkt[:mysqlwire.HeaderLen+1], own)
			h.Length, text = len(pkt)-mysqlwire.HeaderLen, pkt[mysqlwire.HeaderLen+1:]
		}
	}
	st := s.l.stmts.intern(text, s.stmtContext(), mode, func() sqltext.Effects {
		sqltext.Analyze(text, mode, &s.l.analysis)
		return s.l.analysis.Effects
	})
	if e := v.prepared.get(preparedKey{stmt: st}); e != nil {
		switch {
		case e.definitions != nil && e.generation == s.l.db.target.generation.Load() && *s.l.counters.Now-e.at < maxDefinitionsAge:
			cs := &clientStmt{stmt: st, params: e.params}
			s.remember(cs)
			dst, at := mysqlwire.BeginPacket(o.Client.Grow())
			ok := mysqlwire.PrepareOK{StatementID: cs.id, Columns: uint16(e.columns), Params: uint16(e.params), Warnings: e.warnings}
			dst, _ = mysqlwire.EndPacket(ok.Append(dst, v.caps), at, c.seq)
			o.Client.Set(append(dst, e.definitions...))
			s.l.counters.PreparedHits++
			return size
		case e.busy == nil:
			s.drop(e, o)
		}
	}
	c.stmt, c.capturing = &clientStmt{stmt: st, private: st.effects&ownTypes != 0}, h.Sequence == 0
	s.debug(text)
	s.send(pkt, h, o)
	return size
}

// ownTypes are effects of statements that no two sessions share: MySQL gives a user variable in them the type that it has when
// they are prepared.
const ownTypes = sqltext.ReadsUserVariable | sqltext.UserVariable | sqltext.Assigns

// remember gives a prepared statement its id.
func (s *session) remember(cs *clientStmt) {
	s.lastStmt++
	cs.id = s.lastStmt
	s.recent = cs.id
	if s.stmts == nil {
		s.stmts = make(map[uint32]*clientStmt)
	}
	s.stmts[cs.id] = cs
	s.stmtBytes += len(cs.stmt.text) + 200
}

// forget drops a prepared statement of the session's.
func (s *session) forget(id uint32) *clientStmt {
	cs := s.stmts[id]
	if cs == nil {
		return nil
	}
	delete(s.stmts, id)
	if s.recent == id {
		s.recent = 0
	}
	s.stmtBytes -= len(cs.stmt.text) + 200
	s.release(cs)
	return cs
}

// release says that a statement has neither cursor nor long data any more.
func (s *session) release(cs *clientStmt) {
	if cs.isLong {
		cs.isLong = false
		s.cursors--
	}
	if cs.cursor {
		cs.cursor = false
		s.cursors--
	}
	if s.cursors == 0 {
		s.unpin(pinCursor)
	}
}

// drop closes a statement on the server connection.
func (s *session) drop(e *prepared, o *engine.Output) {
	s.srv.prepared.remove(e)
	dst := append(o.Server.Grow(), 5, 0, 0, 0, byte(mysqlwire.ComStmtClose))
	o.Server.Set(binary.LittleEndian.AppendUint32(dst, e.id))
}

// add keeps what the server has prepared.
func (s *session) add(e *prepared, o *engine.Output) {
	v := s.srv
	for v.prepared.len() >= s.l.db.maxPrepared() {
		old := v.prepared.oldest()
		if old == nil {
			break
		}
		s.drop(old, o)
	}
	e.at = *s.l.counters.Now
	e.generation = s.l.db.target.generation.Load()
	v.prepared.add(e)
}

// closeStatement handles COM_STMT_CLOSE, which has no answer. Server statements are kept for the next client that prepares
// the same.
func (s *session) closeStatement(body []byte, o *engine.Output) {
	if len(body) < 5 {
		return
	}
	id := s.stmtID(body)
	cs := s.stmts[id]
	if cs == nil {
		return
	}
	if e := s.srv.prepared.byStmt[cs.key()]; e != nil && (e.busy == cs || cs.private) {
		s.drop(e, o)
	}
	s.forget(id)
}

func (cs *clientStmt) key() preparedKey {
	if cs.private {
		return preparedKey{stmt: cs.stmt, of: cs}
	}
	return preparedKey{stmt: cs.stmt}
}

// stmtID is the id in a command; MariaDB's clients write -1 for the last statement prepared.
func (s *session) stmtID(body []byte) uint32 {
	id := le32(body[1:])
	if id == 1<<32-1 && s.facts.mariaDB {
		if s.recent == 0 {
			return id
		}
		return s.recent
	}
	return id
}

// statement handles the commands that name a prepared statement and have an answer, and COM_STMT_SEND_LONG_DATA.
func (s *session) statement(pkt, body []byte, h mysqlwire.Header, whole bool, o *engine.Output) int {
	v, c := s.srv, s.cmd
	if len(body) < 5 {
		s.fail(c.seq, errMalformed, o)
		return len(pkt)
	}
	id := s.stmtID(body)
	cs := s.stmts[id]
	long := c.kind == mysqlwire.ComStmtSendLongData
	if cs == nil {
		if !long {
			return s.dropped(pkt, h, &mysqlwire.Error{Code: 1243, SQLState: "HY000", Message: fmt.Sprintf("Unknown prepared statement handler (%d) given to %s", id, commandNames[c.kind])}, o)
		}
		return s.dropped(pkt, h, nil, o)
	}
	if c.kind == mysqlwire.ComStmtExecute && whole && s.countMoved(cs.stmt.effects) {
		cs = s.countedStmt(cs, body)
	}
	e := v.prepared.get(cs.key())
	if e != nil && e.busy != nil && e.busy != cs && !cs.private {
		cs.private = true // another of the same text needs it as it is
		e = v.prepared.get(cs.key())
	}
	switch {
	case c.kind == mysqlwire.ComStmtReset && (e == nil || e.busy != cs):
		s.ok(c.seq, o)
		return len(pkt)
	case c.kind == mysqlwire.ComStmtFetch && (e == nil || e.busy != cs || !cs.cursor):
		s.fail(c.seq, mysqlwire.Error{Code: 1421, SQLState: "HY000", Message: fmt.Sprintf("The statement (%d) has no open cursor.", id)}, o)
		return len(pkt)
	case e == nil:
		s.reprepare(cs, o)
		return 0
	}
	s.l.counters.PreparedHits++
	c.stmt, c.server = cs, e
	switch c.kind {
	case mysqlwire.ComStmtSendLongData:
		if !cs.isLong {
			cs.isLong, e.busy = true, cs
			s.cursors++
		}
		s.sendWithID(pkt, 0, nil, e.id, o)
		s.comes(h, len(pkt))
		return len(pkt)
	case mysqlwire.ComStmtReset, mysqlwire.ComStmtFetch:
		s.sendWithID(pkt, 0, nil, e.id, o)
	default:
		eff, runs := cs.stmt.effects, false
		// It means what it meant when it was prepared.
		c.mode = cs.stmt.mode
		c.schema, _ = settingIn(cs.stmt.context, settingSchema)
		if eff&^quiet != 0 || s.knownRoutines().Hidden() != 0 {
			sqltext.Analyze(cs.stmt.text, c.mode, &s.l.analysis)
			if !s.looksFirst(&s.l.analysis, cs.stmt.text, o) {
				return 0
			}
			eff, runs = s.whole(&s.l.analysis, cs.stmt.text)
		}
		if !s.settles(eff, o) {
			return 0
		}
		if e := s.within(cs.stmt.effects, 1, cs.stmt.text, c.mode, o); e != nil {
			return s.dropped(pkt, h, e, o)
		}
		at, types, ok := s.types(cs, e, body, h)
		if !ok {
			return s.dropped(pkt, h, &errArguments, o)
		}
		c.eff, c.statements = eff, 1
		if eff&^quiet != 0 || runs || len(s.pins) > 0 {
			sqltext.Analyze(cs.stmt.text, c.mode, &s.l.analysis)
			if whole {
				s.l.execute = body
			}
			s.before(&s.l.analysis, eff, runs, cs.stmt.text)
			s.l.execute = nil
		}
		s.debug(cs.stmt.text)
		s.sendWithID(pkt, at, types, e.id, o)
	}
	s.sent(len(pkt), h, o)
	if cs.cursor && c.kind == mysqlwire.ComStmtExecute { // it closes the one that is open
		cs.cursor = false
		s.cursors--
	}
	return len(pkt)
}

var commandNames = map[mysqlwire.Command]string{
	mysqlwire.ComStmtExecute: "mysqld_stmt_execute", mysqlwire.ComStmtBulkExecute: "mysqld_stmt_bulk_execute",
	mysqlwire.ComStmtReset: "mysqld_stmt_reset", mysqlwire.ComStmtFetch: "mysqld_stmt_fetch",
}

// sendWithID passes a command with the statement's id on the server, and with types put into the body at the place given.
func (s *session) sendWithID(pkt []byte, at int, types []byte, id uint32, o *engine.Output) {
	h, _ := mysqlwire.ParseHeader(pkt)
	h.Length += len(types)
	dst := h.Append(o.Server.Grow())
	dst = append(dst, pkt[mysqlwire.HeaderLen])
	dst = binary.LittleEndian.AppendUint32(dst, id)
	body := pkt[mysqlwire.HeaderLen:]
	if types == nil {
		dst = append(dst, body[5:]...)
	} else {
		dst = append(append(append(dst, body[5:at-1]...), 1), types...)
		dst = append(dst, body[at:]...)
	}
	o.Server.Set(dst)
}

// parameterCount is the flag of COM_STMT_EXECUTE that says that the number of parameters is there.
const parameterCount = 0x08

// types looks at the types of the parameters in a COM_STMT_EXECUTE. Clients send them when they change; a server statement
// that was another's needs them again: they are to be put into the body at the place returned.
func (s *session) types(cs *clientStmt, e *prepared, body []byte, h mysqlwire.Header) (at int, types []byte, ok bool) {
	if s.cmd.kind == mysqlwire.ComStmtBulkExecute {
		const sendTypes = 128
		if len(body) < 7 || binary.LittleEndian.Uint16(body[5:])&sendTypes == 0 {
			return 0, nil, len(body) >= 7 && len(cs.types) > 0 && bytes.Equal(e.bound, cs.types) // clients send them always
		}
		e.bound = nil
		return 0, nil, true
	}
	if len(body) < 10 {
		return 0, nil, false
	}
	n, named := cs.params, false
	rest := body[10:]
	if s.caps.Has(mysqlwire.ClientQueryAttributes) {
		named = true
		if body[5]&parameterCount != 0 {
			count, r, ok := mysqlwire.LenEncInt(rest)
			if !ok || count > 0xffff {
				return 0, nil, false
			}
			n, rest = int(count), r
		}
	}
	if n == 0 {
		return 0, nil, true
	}
	bitmap := (n + 7) / 8
	if len(rest) < bitmap+1 {
		return 0, nil, false
	}
	at = len(body) - len(rest) + bitmap + 1
	if rest[bitmap] == 1 {
		got, _, ok := paramTypes(s.l.types[:0], rest[bitmap+1:], n, named)
		if !ok {
			return 0, nil, false
		}
		s.l.types = got[:0]
		if n == cs.params {
			if !bytes.Equal(got, cs.types) {
				cs.types = slices.Clone(got)
			}
			e.bound = cs.types
		} else {
			e.bound = nil
		}
		return 0, nil, true
	}
	if n != cs.params || len(cs.types) != 2*n {
		return 0, nil, false // the server would take another client's
	}
	if bytes.Equal(e.bound, cs.types) {
		return 0, nil, true
	}
	if h.Length+len(cs.types)+n >= mysqlwire.MaxPayload {
		return 0, nil, false // the rest would have to be put into other packets
	}
	e.bound = cs.types
	if !named {
		return at, cs.types, true
	}
	for i := range n {
		types = append(types, cs.types[2*i], cs.types[2*i+1], 0) // no name
	}
	return at, types, true
}

// reprepare has the server connection prepare a statement of the session's, under the settings of its time.
func (s *session) reprepare(cs *clientStmt, o *engine.Output) {
	s.l.counters.Reprepares++
	now := s.stmtContext()
	if now == cs.stmt.context {
		s.steps = append(s.steps, step{kind: stepPrepare, stmt: cs})
		s.next(o)
		return
	}
	have, want := settingsOf(now), settingsOf(cs.stmt.context)
	s.contextSteps(have, want)
	s.steps = append(s.steps, step{kind: stepPrepare, stmt: cs})
	s.contextSteps(want, have)
	s.next(o)
}

// contextSteps makes the steps from one context to another.
func (s *session) contextSteps(have, want settings) {
	if schema, ok := want.find(settingSchema); ok {
		if old, _ := have.find(settingSchema); old != schema {
			have = s.readUTF8(have, schema, stepContext)
			s.steps = append(s.steps, step{kind: stepContext, text: "USE " + quoteName(schema)})
		}
	}
	if sql := between(have, want); sql != "" {
		s.steps = append(s.steps, step{kind: stepContext, text: sql})
	}
}

// preparedPacket reads the first packet of the answer to COM_STMT_PREPARE.
func (s *session) preparedPacket(payload []byte, h mysqlwire.Header, o *engine.Output) (replaced bool) {
	v, c := s.srv, s.cmd
	r := &v.r
	p, err := mysqlwire.ParsePrepareOK(payload, v.caps)
	if err != nil {
		o.CloseServer = true
		return true
	}
	r.prepared = p
	cs := c.stmt
	if v.step == stepPrepare {
		cs = s.steps[0].stmt
		if int(p.Params) != cs.params {
			o.CloseServer = true // not what the client has prepared
			s.refuse = &mysqlwire.Error{Code: 1615, SQLState: "HY000", Message: "Prepared statement needs to be re-prepared"}
			return true
		}
	}
	if cs == nil {
		o.CloseServer = true
		return true
	}
	e := &prepared{key: cs.key(), id: p.StatementID, params: int(p.Params), columns: int(p.Columns), warnings: p.Warnings}
	if v.step == 0 && v.prepared.byStmt[e.key] != nil { // that one has a cursor open
		cs.private = true
		e.key = cs.key()
	}
	c.server = e
	c.captured = c.captured[:0]
	if v.step == stepPrepare {
		c.capturing = true
	}
	c.capturing = c.capturing && !p.NoMetadata
	deprecate := v.caps.Has(mysqlwire.ClientDeprecateEOF)
	switch {
	case p.Params == 0 && p.Columns == 0, p.NoMetadata && deprecate:
		r.state = replyNone
	case p.NoMetadata && p.Params > 0: // the packets that end definitions come all the same
		r.state, r.definitions, r.defsEnd = replyParams, 0, true
	case p.NoMetadata:
		r.state, r.definitions, r.defsEnd = replyPrepColumns, 0, true
	case p.Params > 0:
		r.state, r.definitions, r.defsEnd = replyParams, int(p.Params), !deprecate
	default:
		r.state, r.definitions, r.defsEnd = replyPrepColumns, int(p.Columns), !deprecate
	}
	if v.step != 0 {
		return true
	}
	cs.params = int(p.Params)
	s.remember(cs)
	p.StatementID = cs.id
	dst, at := mysqlwire.BeginPacket(o.Client.Grow())
	dst, _ = mysqlwire.EndPacket(p.Append(dst, v.caps), at, h.Sequence)
	o.Client.Set(dst)
	return true
}

// captured keeps definitions for the next client that prepares the same.
func (s *session) capture(pkt []byte) {
	c := s.cmd
	h, err := mysqlwire.ParseHeader(pkt)
	if err != nil || len(pkt) != mysqlwire.HeaderLen+h.Length || len(c.captured)+len(pkt) > maxDefinitions {
		c.capturing = false
	}
	if c.capturing {
		c.captured = append(c.captured, pkt...)
	}
}

func (s *session) capturePacket(payload []byte, h mysqlwire.Header) {
	c := s.cmd
	if len(c.captured)+len(payload) > maxDefinitions {
		c.capturing = false
	}
	if c.capturing {
		c.captured = append(h.Append(c.captured), payload...)
	}
}

// preparedEnds takes over what the server has prepared, when its answer is complete.
func (s *session) preparedEnds(o *engine.Output) {
	c := s.cmd
	e := c.server
	if e == nil {
		return
	}
	c.server = nil
	if c.capturing {
		e.definitions = slices.Clone(c.captured)
		if e.definitions == nil {
			e.definitions = []byte{}
		}
	}
	c.capturing = false
	if cap(c.captured) > maxDefinitions/2 {
		c.captured = nil
	}
	s.add(e, o)
}

// statementEnded follows up a command about a prepared statement.
func (s *session) statementEnded(o *engine.Output) {
	c := s.cmd
	cs := c.stmt
	switch c.kind {
	case mysqlwire.ComStmtPrepare:
		if !c.failed {
			s.preparedEnds(o)
		}
		return
	case mysqlwire.ComStmtFetch:
		if c.failed {
			break
		}
		return // see cursorRead
	case mysqlwire.ComStmtReset:
		if c.failed {
			return
		}
	}
	if cs.isLong {
		cs.isLong = false
		s.cursors--
	}
	if cs.cursor && c.kind != mysqlwire.ComStmtExecute {
		cs.cursor = false
		s.cursors--
	}
	if c.server != nil && !cs.cursor {
		c.server.busy = nil
	}
	if s.cursors == 0 {
		s.unpin(pinCursor)
	}
}

// cursorOpened looks whether a COM_STMT_EXECUTE has opened a cursor: then rows come when they are fetched, and its answer ends
// with the definitions.
func (s *session) cursorOpened(st mysqlwire.Status) {
	v, c := s.srv, s.cmd
	if v.step != 0 || c.kind != mysqlwire.ComStmtExecute || c.stmt == nil || !st.Has(mysqlwire.StatusCursorExists) {
		return
	}
	if !c.stmt.cursor {
		c.stmt.cursor = true
		s.cursors++
	}
	c.server.busy = c.stmt
	s.pin(pinCursor, "")
	s.statusNow(st, nil)
	if v.r.state == replyColumns {
		v.r.state = replyNone
	}
}

// cursorRead looks whether the last row of a cursor has been fetched.
func (s *session) cursorRead(st mysqlwire.Status) {
	c := s.cmd
	if c.stmt == nil || !c.stmt.cursor || !st.Has(mysqlwire.StatusLastRowSent) {
		return
	}
	c.stmt.cursor = false
	s.cursors--
	if c.server != nil {
		c.server.busy = nil
	}
	if s.cursors == 0 {
		s.unpin(pinCursor)
	}
}
