package mysql

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"strconv"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/wire/mysqlwire"
)

// FromClient implements engine.Session. A command passes when the answer to the one before is complete; what of it has to
// be looked into is looked into whole.
func (s *session) FromClient(b []byte, o *engine.Output) int {
	if s.srv == nil {
		return s.withoutServer(b, o)
	}
	v := s.srv
	i := 0
	for !o.CloseClient {
		if s.skip > 0 {
			n := min(s.skip, len(b)-i)
			if !s.discard && !s.dropFile {
				o.Server.Pass(b[i : i+n])
			}
			s.skip -= n
			i += n
			if s.skip > 0 {
				return i
			}
			s.passed(o)
			continue
		}
		if len(b)-i < mysqlwire.HeaderLen {
			return i
		}
		h := s.header(b[i:])
		if s.continued || s.dropFile || v.r.state == replyInfile {
			// What the packet holds is no matter; an empty one ends a file.
			s.packetBegins(b[i:], h, o)
			i += mysqlwire.HeaderLen
			continue
		}
		if s.cmd.active || v.step != 0 || len(s.steps) > 0 || s.killing || s.refuse != nil && v.r.state != replyNone {
			s.ahead = len(b) - i
			return i
		}
		if h.Length == 0 {
			s.cmd.seq = h.Sequence + 1
			s.fail(h.Sequence+1, errMalformed, o)
			o.CloseClient = true
			return len(b)
		}
		size := mysqlwire.HeaderLen + h.Length
		whole := len(b)-i >= size && !h.Continues()
		if !whole && size <= maxInspected {
			return i // collected by the caller
		}
		if !whole && len(b)-i < maxPrefix {
			return i
		}
		n := s.command(b[i:min(i+size, len(b))], h, whole, o)
		i += n
		if n > 0 {
			s.looks = nil // whatever has become of it, they were for this command
		}
		if n == 0 || s.srv == nil || o.Relogin != nil || o.Kill != nil {
			return i
		}
	}
	return len(b)
}

// compressing are the capabilities of clients that use the compressed protocol.
const compressing = mysqlwire.ClientCompress | mysqlwire.ClientZstdCompression

// header reads the header of a client's packet. A client that compresses numbers the packets inside as it likes (MariaDB's
// connectors in C and Java do): it is given the number that the server, which is told nothing of compression, waits for. The
// bytes are then memory of the layer that has unpacked them.
func (s *session) header(b []byte) mysqlwire.Header {
	h, _ := mysqlwire.ParseHeader(b)
	if s.caps&compressing == 0 {
		return h
	}
	switch {
	case s.continued || s.dropFile:
		h.Sequence = s.lastSeq + 1
	case s.srv != nil && s.srv.r.state == replyInfile:
		h.Sequence = s.srv.r.seq
	default:
		h.Sequence = 0
	}
	h.Append(b[:0])
	return h
}

// maxPrefix is how much of a command that is too large to be collected is looked at, in bytes.
const maxPrefix = 256 << 10

// packetBegins takes the header of a packet that goes on with a command or a file.
func (s *session) packetBegins(b []byte, h mysqlwire.Header, o *engine.Output) {
	ends := h.Length == 0 && !s.continued // if this is a file
	s.comes(h, mysqlwire.HeaderLen)
	switch v := s.srv; {
	case s.dropFile:
		s.dropFile = !ends
	case s.discard:
	default:
		o.Server.Pass(b[:mysqlwire.HeaderLen])
		if v.r.state == replyFirst && v.r.results == 0 { // the answer goes on with the numbers of the command
			v.r.seq = h.Sequence + 1
		}
		if v.r.state != replyInfile {
			break
		}
		v.r.seq = h.Sequence + 1
		if ends {
			v.r.state = replyFirst
		}
	}
	if h.Length == 0 {
		s.passed(o)
	}
}

// comes notes what is still to come of a packet of the client's, of which n bytes are done with.
func (s *session) comes(h mysqlwire.Header, n int) {
	s.skip, s.continued, s.lastSeq = mysqlwire.HeaderLen+h.Length-n, h.Continues(), h.Sequence
}

// passed ends a packet of the client's that has passed, or was dropped.
func (s *session) passed(o *engine.Output) {
	if s.skip > 0 || s.continued {
		return
	}
	s.discard = false
	if e := s.late; e != nil {
		s.late = nil
		s.fail(s.lastSeq+1, *e, o)
	}
}

// dropped ends a command that goes no further, of whose first packet pkt has come: the rest is dropped, and the error sent
// behind it, since the number of the answer follows from the last packet's. No error: it has no answer.
func (s *session) dropped(pkt []byte, h mysqlwire.Header, e *mysqlwire.Error, o *engine.Output) int {
	s.comes(h, len(pkt))
	s.discard, s.late = true, e
	s.passed(o)
	return len(pkt)
}

// command handles the packet that begins a command, whole or as far as it has come, and returns how many bytes are done
// with: 0 when steps of Forebay's own go first.
func (s *session) command(pkt []byte, h mysqlwire.Header, whole bool, o *engine.Output) int {
	v := s.srv
	body := pkt[mysqlwire.HeaderLen:]
	kind := mysqlwire.Command(body[0])
	if s.refuse != nil {
		return s.refuseCommand(pkt, h, kind, o)
	}
	*s.cmd = command{kind: kind, seq: h.Sequence + 1, pinned: s.cmd.pinned[:0], changes: s.cmd.changes[:0], captured: s.cmd.captured[:0], warnings: s.cmd.warnings, knew: s.l.db.target.changes.Load()}
	c := s.cmd
	switch streamed := kind == mysqlwire.ComStmtExecute || kind == mysqlwire.ComStmtSendLongData || kind == mysqlwire.ComStmtBulkExecute; {
	case whole || streamed:
	case kind == mysqlwire.ComQuery:
		if !s.settles(reads, o) { // it may read anything
			return 0
		}
		s.pin(pinLarge, "(too large to be kept)")
		v.retire = true
		c.eff = sqltext.Unknown | sqltext.LastInsertIDWrite
		o.Writes = s.declared != declaredNothing
		s.send(pkt, h, o)
		return len(pkt)
	case kind == mysqlwire.ComStmtPrepare:
		return s.dropped(pkt, h, &errTooLarge, o)
	case kind <= mysqlwire.ComResetConnection:
		return s.dropped(pkt, h, &errMalformed, o) // no command of these is so long
	default:
		return s.dropped(pkt, h, &errUnknownCommand, o)
	}
	switch kind {
	case mysqlwire.ComQuit:
		o.CloseClient = true
		return len(pkt)
	case mysqlwire.ComPing:
		s.ok(c.seq, o)
		return len(pkt)
	case mysqlwire.ComQuery:
		return s.query(pkt, body, h, o)
	case mysqlwire.ComInitDB:
		c.eff = sqltext.Schema
		s.send(pkt, h, o)
	case mysqlwire.ComStmtPrepare:
		return s.prepare(pkt, body, h, o)
	case mysqlwire.ComStmtExecute, mysqlwire.ComStmtBulkExecute, mysqlwire.ComStmtSendLongData, mysqlwire.ComStmtReset, mysqlwire.ComStmtFetch:
		return s.statement(pkt, body, h, whole, o)
	case mysqlwire.ComStmtClose:
		s.closeStatement(body, o)
	case mysqlwire.ComFieldList, mysqlwire.ComStatistics, mysqlwire.ComProcessInfo, mysqlwire.ComDebug, mysqlwire.ComRefresh, mysqlwire.ComShutdown:
		s.send(pkt, h, o)
	case mysqlwire.ComCreateDB, mysqlwire.ComDropDB:
		c.eff = sqltext.DDL | sqltext.Schema
		o.Writes = s.declared != declaredNothing
		s.send(pkt, h, o)
	case mysqlwire.ComSetOption:
		if len(body) >= 3 && body[2] == 0 && body[1] <= 1 {
			c.assigned = append(c.assigned, setting{settingMulti, string('1' - body[1])})
		}
		s.send(pkt, h, o)
	case mysqlwire.ComProcessKill:
		if len(body) >= 5 {
			if id := binary.LittleEndian.Uint32(body[1:]); ours(id) {
				s.kill(id, true, c.seq, o)
				return len(pkt)
			}
		}
		s.send(pkt, h, o)
	case mysqlwire.ComResetConnection:
		s.reset(o)
	case mysqlwire.ComChangeUser:
		return s.changeUser(pkt, body, h, o)
	case mysqlwire.ComBinlogDump, mysqlwire.ComBinlogDumpGTID, mysqlwire.ComRegisterSlave, mysqlwire.ComTableDump, mysqlwire.ComClone:
		s.fail(c.seq, errReplication, o)
	default:
		s.fail(c.seq, errUnknownCommand, o)
	}
	return len(pkt)
}

// send passes a command to the server as it is.
func (s *session) send(pkt []byte, h mysqlwire.Header, o *engine.Output) {
	o.Server.Pass(pkt)
	s.sent(len(pkt), h, o)
}

// sent says that a command is on its way to the server, of whose first packet n bytes have passed.
func (s *session) sent(n int, h mysqlwire.Header, _ *engine.Output) {
	v, c := s.srv, s.cmd
	s.comes(h, n)
	v.r.begin(c.kind)
	c.active = true
	if c.program {
		s.programBegins()
	}
	switch c.kind {
	case mysqlwire.ComQuery, mysqlwire.ComStmtExecute, mysqlwire.ComStmtBulkExecute:
		s.leaves() // others leave what was there
		v.countOwner = s
	case mysqlwire.ComStmtPrepare:
		if v.diagOwner != s || v.diagTurn != s.diagTurn {
			v.countOwner = nil // it is an older statement's
		}
		s.leaves()
	}
	c.warnings = false
	v.since = *s.l.counters.Now
	s.l.counters.Queries++
}

// query handles COM_QUERY.
func (s *session) query(pkt, body []byte, h mysqlwire.Header, o *engine.Output) int {
	text, ok := s.queryText(body)
	if !ok {
		s.fail(s.cmd.seq, errMalformed, o)
		return len(pkt)
	}
	a := &s.l.analysis
	s.cmd.mode = s.readMode()
	s.cmd.schema, _ = settingIn(s.want, settingSchema)
	sqltext.Analyze(text, s.cmd.mode, a)
	if s.kills(a, text, s.cmd.seq, o) {
		return len(pkt)
	}
	head, changed := pkt[:mysqlwire.HeaderLen+len(body)-len(text)], false
	if s.countMoved(a.Effects) {
		if text, changed = s.withCount(text, a, s.cmd.mode); changed {
			sqltext.Analyze(text, s.cmd.mode, a)
		}
	}
	if !s.looksFirst(a, text, o) {
		return 0
	}
	eff, runs := s.whole(a, text)
	if !s.settles(eff, o) {
		return 0
	}
	if e := s.within(a.Effects, a.Statements, text, s.cmd.mode, o); e != nil {
		return s.dropped(pkt, h, e, o)
	}
	s.debug(text)
	s.before(a, eff, runs, text)
	if a.Effects&sqltext.ThreadID != 0 {
		var own bool
		text, own = s.withOwnID(text, a, s.cmd.mode)
		changed = changed || own
	}
	if !changed {
		s.send(pkt, h, o)
		return len(pkt)
	}
	o.Server.Set(append(o.Server.Grow(), withText(head, text)...))
	s.sent(len(pkt), h, o)
	return len(pkt)
}

// queryText is the statement in a COM_QUERY, behind the query attributes.
func (s *session) queryText(body []byte) (text []byte, ok bool) {
	b := body[1:]
	if !s.caps.Has(mysqlwire.ClientQueryAttributes) {
		return b, true
	}
	n, b, ok1 := mysqlwire.LenEncInt(b)
	sets, b, ok2 := mysqlwire.LenEncInt(b)
	if !ok1 || !ok2 || sets != 1 || n > 0xffff {
		return nil, false
	}
	if n == 0 {
		return b, true
	}
	bitmap := (int(n) + 7) / 8
	if len(b) < bitmap+1 || b[bitmap] != 1 {
		return nil, false
	}
	nulls := b[:bitmap]
	types, b, ok := paramTypes(s.l.types[:0], b[bitmap+1:], int(n), true)
	s.l.types = types[:0]
	if !ok {
		return nil, false
	}
	for i := range int(n) {
		if nulls[i/8]&(1<<(i%8)) != 0 {
			continue
		}
		if b, ok = skipValue(b, mysqlwire.Type(types[2*i])); !ok {
			return nil, false
		}
	}
	return b, true
}

// paramTypes reads the types of n parameters, with their names where there are any, and appends the types to dst.
func paramTypes(dst, b []byte, n int, named bool) (types, rest []byte, ok bool) {
	for range n {
		if len(b) < 2 {
			return dst, nil, false
		}
		dst, b = append(dst, b[:2]...), b[2:]
		if named {
			if _, b, ok = mysqlwire.LenEncString(b); !ok {
				return dst, nil, false
			}
		}
	}
	return dst, b, true
}

// skipValue passes over a value in the binary protocol ("Binary Protocol Value").
func skipValue(b []byte, t mysqlwire.Type) (rest []byte, ok bool) {
	n := 0
	switch t {
	case mysqlwire.TypeNull:
	case mysqlwire.TypeTiny:
		n = 1
	case mysqlwire.TypeShort, mysqlwire.TypeYear:
		n = 2
	case mysqlwire.TypeLong, mysqlwire.TypeInt24, mysqlwire.TypeFloat:
		n = 4
	case mysqlwire.TypeLongLong, mysqlwire.TypeDouble:
		n = 8
	case mysqlwire.TypeDate, mysqlwire.TypeDatetime, mysqlwire.TypeTimestamp, mysqlwire.TypeTime:
		if len(b) == 0 {
			return nil, false
		}
		n = 1 + int(b[0])
	default:
		_, rest, ok = mysqlwire.LenEncString(b)
		return rest, ok
	}
	if len(b) < n {
		return nil, false
	}
	return b[n:], true
}

// notAProcess is set in the ids of Forebay's own sessions, and in no server's.
const notAProcess = 1 << 30

// ours reports whether a thread id is that of a session of Forebay's.
func ours(id uint32) bool { return id&notAProcess != 0 }

// kills asks for another session's end if that is all that a text does.
func (s *session) kills(a *sqltext.Analysis, text []byte, seq uint8, o *engine.Output) bool {
	if a.Effects&sqltext.Kill == 0 || a.Statements != 1 || a.Kill.To == 0 || a.Kill.Kind != sqltext.KillConnection && a.Kill.Kind != sqltext.KillQuery {
		return false
	}
	id, err := strconv.ParseUint(string(text[a.Kill.From:a.Kill.To]), 10, 32)
	if err != nil || !ours(uint32(id)) {
		return false
	}
	s.kill(uint32(id), a.Kill.Kind == sqltext.KillConnection, seq, o)
	return true
}

// kill asks for another session's end. seq numbers the answer.
func (s *session) kill(id uint32, connection bool, seq uint8, o *engine.Output) {
	s.killing, s.killed, s.killSequence = true, id, seq
	o.Kill = &engine.Kill{PID: id, Connection: connection}
}

// reset handles COM_RESET_CONNECTION: the server connection is reset, and so is the session.
func (s *session) reset(o *engine.Output) {
	v, c := s.srv, s.cmd
	c.active = true
	c.kind = mysqlwire.ComResetConnection
	s.stmts, s.stmtBytes = nil, 0
	s.forgetState()
	s.insertID, s.rowCount, s.wish = 0, 0, &defaultTracking
	s.idTurn++
	v.retire = v.retire || s.sticky()
	s.resetSteps(stepCleaned)
	if q := s.l.db.proxy.Load().Pool.InitQuery; q != "" {
		v.retire = true // only a new log-in brings back what that has done
	}
	v.retire = v.retire || s.sticky()
	s.next(o)
}

// changeUser handles COM_CHANGE_USER: the client logs in once more.
func (s *session) changeUser(pkt, body []byte, h mysqlwire.Header, o *engine.Output) int {
	request, err := mysqlwire.ParseChangeUser(slices.Clone(body), s.caps)
	if err != nil {
		s.fail(h.Sequence+1, errMalformed, o)
		o.CloseClient = true
		return len(pkt)
	}
	from := &login.Client{
		User: s.l.db.key.User, TLS: s.origin.tls, Capabilities: s.caps, Charset: s.origin.charset, MaxPacket: s.origin.maxPacket,
		ZstdLevel: s.origin.zstdLevel, Scramble: s.origin.scramble,
	}
	if s.origin.application != "" {
		from.Attributes = []mysqlwire.Attribute{{Name: programName, Value: s.origin.application}}
	}
	facts, eng := s.facts, s.l.db.eng
	o.Relogin = func(ctx context.Context, nc net.Conn, ao engine.AcceptOptions) (*engine.Login, error) {
		var token engine.TokenCheck
		c, err := login.ChangeUser(ctx, login.Change{From: from, Conn: nc, Request: request, Sequence: h.Sequence + 1, Early: ao.Early}, eng.acceptOptions(ao, &token))
		if err != nil {
			return nil, err
		}
		l := eng.login(facts, c)
		l.Token = token.ByToken
		return l, nil
	}
	return len(pkt)
}

// withoutServer takes the client's bytes while no server connection is there: only a farewell, a command that Forebay answers
// itself, or one that is to be refused, can be consumed.
func (s *session) withoutServer(b []byte, o *engine.Output) int {
	i := 0
	for !o.CloseClient {
		if s.skip > 0 {
			n := min(s.skip, len(b)-i)
			s.skip -= n
			i += n
			if s.skip > 0 {
				return i
			}
			s.passed(o)
		}
		if len(b)-i < mysqlwire.HeaderLen {
			return i
		}
		h := s.header(b[i:])
		if s.continued || s.dropFile {
			s.dropFile = s.dropFile && (h.Length > 0 || s.continued)
			s.comes(h, 0)
			continue
		}
		if len(b)-i < mysqlwire.HeaderLen+1 {
			return i
		}
		if h.Length == 0 {
			s.fail(h.Sequence+1, errMalformed, o)
			o.CloseClient = true
			return len(b)
		}
		kind := mysqlwire.Command(b[i+mysqlwire.HeaderLen])
		if kind == mysqlwire.ComQuit {
			o.CloseClient = true
			return len(b)
		}
		if s.refuse == nil {
			size := mysqlwire.HeaderLen + h.Length
			if !s.begun || h.Length > maxLocal || len(b)-i < size || !s.local(b[i:i+size], h, kind, o) {
				return i
			}
			if i += size; o.Kill != nil || o.Relogin != nil {
				return i
			}
			continue
		}
		i += s.refuseCommand(b[i:min(len(b), i+mysqlwire.HeaderLen+h.Length)], h, kind, o)
	}
	return len(b)
}

// maxLocal is the largest command, in bytes, that is looked at without a server connection.
const maxLocal = 4 << 10

// local answers a command of the client's that needs no server connection; it reports false for all others. (They may need
// none either: that is seen when there is one.)
func (s *session) local(pkt []byte, h mysqlwire.Header, kind mysqlwire.Command, o *engine.Output) bool {
	body := pkt[mysqlwire.HeaderLen:]
	seq := h.Sequence + 1
	switch kind {
	case mysqlwire.ComPing:
		s.ok(seq, o)
		return true
	case mysqlwire.ComStmtClose: // no answer
		if len(body) >= 5 {
			s.forget(s.stmtID(body))
		}
		return true
	case mysqlwire.ComStmtReset: // there is neither cursor nor long data
		if len(body) < 5 || s.stmts[s.stmtID(body)] == nil {
			return false
		}
		s.ok(seq, o)
		return true
	case mysqlwire.ComProcessKill:
		if len(body) < 5 || !ours(binary.LittleEndian.Uint32(body[1:])) {
			return false
		}
		s.kill(binary.LittleEndian.Uint32(body[1:]), true, seq, o)
		return true
	case mysqlwire.ComChangeUser:
		s.changeUser(pkt, body, h, o)
		return true
	case mysqlwire.ComQuery:
		text, ok := s.queryText(body)
		if !ok || !containsFold(text, "kill") {
			return false
		}
		// No quotes matter to a KILL.
		charset, _ := settingIn(s.want, varClient)
		mode := sqltext.Mode{Version: s.facts.number, MariaDB: s.facts.mariaDB, Charset: sqltext.CharsetOf(strings.Trim(charset, "'"))}
		sqltext.Analyze(text, mode, &s.l.analysis)
		return s.kills(&s.l.analysis, text, seq, o)
	}
	return false
}

// refuseCommand answers a command with the error that is due, and drops it.
func (s *session) refuseCommand(pkt []byte, h mysqlwire.Header, kind mysqlwire.Command, o *engine.Output) int {
	switch kind {
	case mysqlwire.ComStmtPrepare:
		s.recent = 0
	case mysqlwire.ComQuit:
		o.CloseClient = true
		return len(pkt)
	case mysqlwire.ComStmtClose, mysqlwire.ComStmtSendLongData: // no answer
		if kind == mysqlwire.ComStmtClose && len(pkt) >= mysqlwire.HeaderLen+5 {
			s.forget(s.stmtID(pkt[mysqlwire.HeaderLen:]))
		}
		return s.dropped(pkt, h, nil, o)
	}
	e := s.refuse
	s.refuse = nil
	return s.dropped(pkt, h, e, o)
}
