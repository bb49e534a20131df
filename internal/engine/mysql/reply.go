package mysql

import (
	"encoding/binary"
	"slices"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/wire/mysqlwire"
)

// FromServer implements engine.Session. Rows and definitions stream through; the packets that end something are read.
func (s *session) FromServer(b []byte, o *engine.Output) int {
	v := s.srv
	r := &v.r
	i, from := 0, 0 // b[from:i] is to pass as it is
	pass := func() {
		if v.step == 0 {
			o.Client.Pass(b[from:i])
		}
		from = i
	}
	if r.skip > 0 {
		i = min(r.skip, len(b))
		r.skip -= i
	}
	for r.skip == 0 && !o.CloseServer {
		if r.ending && !r.continued {
			r.ending = false
			pass()
			s.replied(o)
			continue
		}
		if len(b)-i < mysqlwire.HeaderLen {
			break
		}
		h, _ := mysqlwire.ParseHeader(b[i:])
		size := mysqlwire.HeaderLen + h.Length
		if r.continued || s.streams(b[i:], h) {
			if !r.continued && len(b)-i < mysqlwire.HeaderLen+1 && h.Length > 0 {
				break // what it is shows in its first byte
			}
			if s.cmd.lock != noLockCall && r.state == replyRows && !r.continued && size <= 64 && len(b)-i < size {
				break // it will be read
			}
			if !r.continued {
				s.passing(b[i:min(i+size, len(b))])
			}
			r.continued = h.Continues()
			r.seq = h.Sequence + 1
			n := min(size, len(b)-i)
			r.skip = size - n
			i += n
			continue
		}
		if len(b)-i < size {
			if size > maxInspected {
				o.CloseServer = true
			}
			break
		}
		payload := b[i+mysqlwire.HeaderLen : i+size]
		pass()
		i += size
		if r.state == replyNone {
			// Nothing was asked: its last words.
			if e, err := mysqlwire.ParseError(payload); err == nil {
				v.last = e
			}
			o.CloseServer = true
			from = i
			break
		}
		if h.Length == 0 {
			o.CloseServer = true
			from = i
			break
		}
		if s.packet(payload, h, o) { // replaced, or not the client's
			from = i
		}
		if o.CloseServer { // an error takes its place, and its number
			from = i
			break
		}
		r.seq = h.Sequence + 1
		r.ending = r.state == replyNone
	}
	pass()
	if s.gone {
		o.Client.Reset()
	}
	return i
}

// streams reports whether the packet at the start of b passes without being read: a row or a definition.
func (s *session) streams(b []byte, h mysqlwire.Header) bool {
	r := &s.srv.r
	switch r.state {
	case replyColumns, replyParams, replyPrepColumns:
		return r.definitions > 0 && (len(b) <= mysqlwire.HeaderLen || b[mysqlwire.HeaderLen] != mysqlwire.HeaderERR)
	case replyRows:
		if s.srv.step != 0 && len(s.srv.row) == 0 && !r.binary && (s.srv.step != stepRoutine || h.Length <= maxShown) {
			return false
		}
	case replyFields:
	default:
		return false
	}
	if len(b) <= mysqlwire.HeaderLen || h.Length == 0 {
		return true // the caller waits for more, if there is to be any
	}
	switch b[mysqlwire.HeaderLen] {
	case mysqlwire.HeaderERR:
		return false
	case mysqlwire.HeaderEOF:
		if s.srv.caps.Has(mysqlwire.ClientDeprecateEOF) {
			return h.Continues() // a row that begins so has a value of 16 MiB at least
		}
		return h.Length > 8
	}
	return true
}

// passing counts a packet that streams.
func (s *session) passing(pkt []byte) {
	v := s.srv
	r := &v.r
	switch r.state {
	case replyColumns, replyParams, replyPrepColumns:
		r.definitions--
		if s.cmd.capturing {
			s.capture(pkt)
		}
		if r.definitions == 0 && !r.defsEnd {
			s.definitionsEnd()
			r.ending = r.state == replyNone
		}
	case replyRows:
		if c := s.cmd; c.lock != noLockCall && v.step == 0 && r.columns == 1 {
			c.locked = noLockAnswer
			if h, _ := mysqlwire.ParseHeader(pkt); len(pkt) == mysqlwire.HeaderLen+h.Length {
				c.locked = lockAnswerOf(pkt[mysqlwire.HeaderLen:], r.binary)
			}
		}
	}
}

// definitionsEnd goes on behind definitions: their number, and the packet that ends them where there is one, has come.
func (s *session) definitionsEnd() {
	v := s.srv
	r := &v.r
	switch r.state {
	case replyColumns:
		r.state = replyRows
	case replyParams:
		if r.prepared.Columns > 0 {
			r.state, r.definitions, r.defsEnd = replyPrepColumns, int(r.prepared.Columns), !v.caps.Has(mysqlwire.ClientDeprecateEOF)
			if r.prepared.NoMetadata {
				r.definitions = 0
			}
			return
		}
		r.state = replyNone
	case replyPrepColumns:
		r.state = replyNone
	}
}

// packet reads one packet that does not stream. It reports whether the client is not to have it as it is.
func (s *session) packet(payload []byte, h mysqlwire.Header, o *engine.Output) (replaced bool) {
	v := s.srv
	r := &v.r
	if mysqlwire.IsProgress(payload) && v.caps.Has(mysqlwire.MariaDBClientProgress) {
		return v.step != 0
	}
	if mysqlwire.IsERR(payload) {
		return s.failed(payload, o)
	}
	deprecate := v.caps.Has(mysqlwire.ClientDeprecateEOF)
	switch r.state {
	case replyText:
		r.state = replyNone
	case replyFirst:
		switch {
		case payload[0] == mysqlwire.HeaderOK:
			return s.okPacket(payload, h, o)
		case payload[0] == mysqlwire.HeaderEOF && (deprecate || len(payload) <= 8): // COM_SET_OPTION, COM_DEBUG
			if deprecate && len(payload) >= 7 {
				return s.okPacket(payload, h, o)
			}
			s.eofPacket(payload)
		case payload[0] == mysqlwire.HeaderLocalInfile && (s.cmd.kind == mysqlwire.ComQuery && v.step == 0):
			r.state = replyInfile
		default:
			n, definitions, ok := mysqlwire.ColumnCount(payload, v.caps)
			if !ok {
				o.CloseServer = true
				return true
			}
			r.results++
			r.columns = n
			s.cmd.rows = s.cmd.rows || v.step == 0
			r.state, r.definitions, r.defsEnd = replyColumns, n, !deprecate
			if !definitions {
				r.definitions, r.state = 0, replyRows
				if r.defsEnd {
					r.state = replyColumns
				}
			}
		}
	case replyColumns, replyParams, replyPrepColumns: // the EOF packet behind definitions
		if !mysqlwire.IsEOF(payload) {
			o.CloseServer = true
			return true
		}
		if e, err := mysqlwire.ParseEOF(payload); err == nil && r.state == replyColumns {
			s.cursorOpened(e.Status)
			if r.state != replyColumns {
				return v.step != 0
			}
		}
		if s.cmd.capturing {
			s.capturePacket(payload, h)
		}
		s.definitionsEnd()
	case replyRows:
		if v.step != 0 && payload[0] != mysqlwire.HeaderEOF {
			v.row = textRow(payload, r.columns)
			return true
		}
		if deprecate {
			return s.okPacket(payload, h, o)
		}
		s.eofPacket(payload)
	case replyFields:
		if deprecate {
			return s.okPacket(payload, h, o)
		}
		s.eofPacket(payload)
	case replyPrepared:
		return s.preparedPacket(payload, h, o)
	default:
		o.CloseServer = true
	}
	return v.step != 0
}

func textRow(payload []byte, n int) []string {
	cols, ok := mysqlwire.TextRow(nil, payload, n)
	if !ok {
		return nil
	}
	row := make([]string, n)
	for i, c := range cols {
		row[i] = string(c)
	}
	return row
}

// failed reads an ERR packet, which ends the answer.
func (s *session) failed(payload []byte, o *engine.Output) (replaced bool) {
	v := s.srv
	s.dropFile = v.r.state == replyInfile
	v.r.state = replyNone
	e, err := mysqlwire.ParseError(payload)
	if err != nil {
		e = &errDropped
	}
	if v.step != 0 {
		v.err = e
		return true
	}
	if fatalCode(e.Code) {
		v.last = e
	}
	o.ReadOnly = e.Code == 1836 || e.Code == 1290 && strings.Contains(e.Message, "read-only")
	s.rowCount = -1
	s.cmd.failed, s.cmd.untold, s.cmd.warnings, s.cmd.code = true, true, true, e.Code
	s.cmd.syntax = e.Code == 1064 && strings.HasPrefix(e.Message, syntaxError)
	return false
}

// syntaxError begins the message of a text that the server cannot read, unless lc_messages has it in another language. The
// parser of full-text searches (InnoDB) fails with the same code while a statement runs.
const syntaxError = "You have an error in your SQL syntax"

// fatalCode reports whether the server closes the connection after an error.
func fatalCode(code uint16) bool {
	switch code {
	case 1053, 1080, 1152, 1317 + 0xf000, 1927, 4031:
		return true
	}
	return false
}

// okPacket reads an OK packet, or what stands for one at the end of rows.
func (s *session) okPacket(payload []byte, h mysqlwire.Header, o *engine.Output) (replaced bool) {
	v, c := s.srv, s.cmd
	p, err := mysqlwire.ParseOK(payload, v.caps)
	if err != nil {
		o.CloseServer = true
		return true
	}
	s.statusNow(p.Status, o)
	if v.step != 0 {
		s.changes(p.SessionState, true)
		s.replyEnds(p.Status)
		return true
	}
	if p.LastInsertID != 0 {
		s.newID(p.LastInsertID)
		c.insertID = true
	}
	if s.rowCount = -1; v.r.state == replyFirst {
		s.rowCount = int64(p.AffectedRows)
	}
	if p.Warnings > 0 || p.AffectedRows > 0 || c.eff&sqltext.FoundRowsWrite != 0 {
		c.warnings = true
	}
	if v.r.state == replyRows || v.r.state == replyFirst {
		s.cursorOpened(p.Status)
	}
	more := p.Status.Has(mysqlwire.StatusMoreResultsExist)
	c.untold = false
	rewrite := false
	if p.Status.Has(mysqlwire.StatusSessionStateChanged) {
		s.changes(p.SessionState, !more || !c.runs)
		rewrite = true
	}
	s.replyEnds(p.Status)
	if !rewrite {
		return false
	}
	q := p
	q.SessionState = nil
	if s.caps.Has(mysqlwire.ClientSessionTrack) {
		q.SessionState = s.wish.appendWanted(s.l.scratch[:0], p.SessionState)
		s.l.scratch = q.SessionState[:0]
	}
	if len(q.SessionState) == len(p.SessionState) && s.caps.Has(mysqlwire.ClientSessionTrack) {
		return false
	}
	if len(q.SessionState) == 0 {
		q.Status &^= mysqlwire.StatusSessionStateChanged
	}
	dst, at := mysqlwire.BeginPacket(o.Client.Grow())
	dst, _ = mysqlwire.EndPacket(q.Append(dst, s.caps|mysqlwire.ClientProtocol41), at, h.Sequence)
	o.Client.Set(dst)
	return true
}

// eofPacket reads an EOF packet at the end of an answer or of rows.
func (s *session) eofPacket(payload []byte) {
	e, err := mysqlwire.ParseEOF(payload)
	if err != nil {
		return
	}
	s.statusNow(e.Status, nil)
	if s.srv.step == 0 {
		s.cmd.untold = true
		s.rowCount = -1
		if e.Warnings > 0 {
			s.cmd.warnings = true
		}
	}
	s.replyEnds(e.Status)
}

// replyEnds says that a result is complete, and with it the answer unless another follows.
func (s *session) replyEnds(st mysqlwire.Status) {
	r := &s.srv.r
	if st.Has(mysqlwire.StatusMoreResultsExist) {
		r.state = replyFirst
		return
	}
	r.state = replyNone
	if st.Has(mysqlwire.StatusLastRowSent) || s.cmd.kind == mysqlwire.ComStmtFetch {
		s.cursorRead(st)
	}
}

// statusNow takes over the status that the server has told.
func (s *session) statusNow(st mysqlwire.Status, _ *engine.Output) {
	v := s.srv
	if was, is := v.inTransaction(), st.Has(mysqlwire.StatusInTrans); was != is {
		if is {
			s.l.counters.InTransaction++
		} else {
			s.l.counters.InTransaction--
		}
	}
	v.status = st
}

// lasting are the status flags that say how a session is, not how a statement went.
const lasting = mysqlwire.StatusInTrans | mysqlwire.StatusAutocommit | mysqlwire.StatusNoBackslashEscapes |
	mysqlwire.StatusInTransReadOnly | mysqlwire.StatusANSIQuotes | mysqlwire.StatusDBDropped

// changes notes what the server has told of the session's state. settled: what it tells holds on, and is not restored by
// the routine that is running.
func (s *session) changes(state []byte, settled bool) {
	v, c := s.srv, s.cmd
	for len(state) > 0 {
		e, rest, err := mysqlwire.NextStateChange(state)
		if err != nil {
			return
		}
		state = rest
		switch e.Type {
		case mysqlwire.TrackSystemVariables:
			name := s.facts.settingName(string(e.Name))
			if v.step != 0 && v.step != stepPing || name == "" || strings.IndexByte(name, 0) >= 0 {
				continue
			}
			c.heard = true
			if !carriedVariable(name) {
				s.notCarried(name)
				continue
			}
			if s.restores(name, settled) {
				c.restored = c.restored || !settled
				continue
			}
			c.noteChange(change{name, charsetLiteral(name, string(e.Value))})
		case mysqlwire.TrackSchema:
			if v.step == 0 || v.step == stepPing {
				c.noteChange(change{settingSchema, string(e.Value)})
			}
		case mysqlwire.TrackStateChange:
			if v.step == 0 || v.step == stepPing {
				c.state = true
			}
		}
	}
}

// noteChange keeps the last of the changes of one name.
func (c *command) noteChange(x change) {
	for i := range c.changes {
		if c.changes[i].name == x.name {
			c.changes[i] = x
			return
		}
	}
	c.changes = append(c.changes, x)
}

// notCarried takes notice of a change of a variable that is not carried, unless its text has accounted for it.
func (s *session) notCarried(name string) {
	c := s.cmd
	switch {
	case name == trackVariables, name == trackSchema, name == trackState:
		c.blind = c.blind || c.wish == nil
	case slices.ContainsFunc(c.assigned, func(e setting) bool { return e.name == name }):
	case sqltext.ClassOf([]byte(name)) == sqltext.IdentityVariable, sqltext.ClassOf([]byte(name)) == sqltext.ReadOnlyVariable:
	case name == "character_set_database", name == "collation_database":
		c.database = true // they change with the default database
	default:
		c.opaque = true
	}
}

// restores reports whether a change of a variable is undone by the statement that made it: a routine's own, and those of
// SET STATEMENT. Where other statements may have made it, too, the server is asked.
func (s *session) restores(name string, settled bool) bool {
	if !settled {
		switch name {
		case "sql_mode", varClient, varConnection, varCollation:
			return true
		}
	}
	c := s.cmd
	if c.eff&sqltext.SetStatement == 0 {
		return false
	}
	if c.statements > 1 || !c.setsForStatement(name) {
		c.asks = append(c.asks, name)
	}
	return true
}

// setsForStatement reports whether the command is a SET STATEMENT that names a variable.
func (c *command) setsForStatement(name string) bool {
	list, _, ok := strings.Cut(c.digest, " for ")
	if !ok {
		return false
	}
	list = strings.TrimPrefix(list, "set statement")
	for item := range strings.SplitSeq(list, ",") {
		n, _, _ := strings.Cut(item, "=")
		n = strings.Trim(strings.ReplaceAll(n, ":", ""), " `")
		if n == name {
			return true
		}
	}
	return false
}

// replied handles the end of an answer.
func (s *session) replied(o *engine.Output) {
	v := s.srv
	if v.step != 0 {
		s.stepped(o)
		return
	}
	c, counters := s.cmd, s.l.counters
	s.status = v.status & lasting
	counters.QueryNanos += uint64(*counters.Now - v.since)
	counters.QueryCycles++
	if !v.inTransaction() {
		counters.Transactions++
	}
	if c.stmt != nil {
		s.statementEnded(o)
	}
	if c.rows {
		s.leavesRows()
	}
	if c.eff&sqltext.Unseen != 0 || s.l.db.target.changed(c.knew) || s.unsettled() {
		v.unseen = s
	}
	if c.failed || c.state || c.runs || c.opaque || c.blind || c.untold || len(c.changes) > 0 || len(s.pins) > 0 || c.eff&^nothing != 0 || c.untoldID() || len(c.assigned) > 0 {
		s.ended(o)
		if len(s.steps) > 0 {
			return
		}
	}
	s.end(o)
}

// nothing are effects of which nothing is left when the server has answered.
const nothing = sqltext.ImplicitCommit | sqltext.LastInsertIDWrite | sqltext.FoundRowsWrite | sqltext.ReadsUserVariable | sqltext.LocalInfile |
	reads | sqltext.ThreadID | sqltext.Processlist

// end says that nothing more is to be done for the client's command.
func (s *session) end(o *engine.Output) {
	s.tellPins()
	c := s.cmd
	c.active = false
	s.ahead = 0
	s.status = s.srv.status & lasting // a step may have told more
	if c.kind == mysqlwire.ComResetConnection {
		s.ok(c.seq, o)
	}
}

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
