package postgres

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/wire/pgwire"
)

// FromClient implements engine.Session. What needs no change passes as it is; names of prepared statements are replaced
// by those of the server connection; statement texts are looked at for what they may leave in the session.
func (s *session) FromClient(b []byte, o *engine.Output) int {
	if s.srv == nil {
		return s.withoutServer(b, o)
	}
	v := s.srv
	began := v.q.n == 0 && v.tx == pgwire.Idle && s.skip == 0 && s.discard == 0
	i, from := 0, 0 // b[from:i] is to pass as it is
	switch {
	case s.skip > 0:
		i = min(s.skip, len(b))
		s.skip -= i
	case s.discard > 0:
		i = min(s.discard, len(b))
		s.discard -= i
		from = i
	}
	for len(b)-i >= pgwire.HeaderLen && s.skip == 0 && s.discard == 0 && !s.waitApply && !o.CloseClient {
		if o.Server.Len() >= maxAhead && !s.again {
			o.More = true
			break
		}
		if s.stepwise && v.q.cycles() > 0 && !v.copyIn {
			break
		}
		size, err := pgwire.Size(b[i:])
		if err != nil {
			s.protocolViolation("invalid message length", o)
			o.CloseServer = v.q.n > 0
			break
		}
		typ := b[i]
		whole := len(b)-i >= size
		msg := b[i:min(i+size, len(b))]
		if s.skipToSync && typ != pgwire.Sync && typ != pgwire.Terminate {
			// The server ignores it, and so do we: names must keep the meaning that they had.
			i += len(msg)
			s.skip = size - len(msg)
			continue
		}
		if v.q.n == 0 {
			v.since = *s.l.counters.Now
		}
		switch typ {
		case pgwire.CopyData:

		case pgwire.Query:
			if !whole && size <= maxInspected {
				goto done
			}
			o.Server.Pass(b[from:i])
			from = i
			if s.query(msg, whole, o) { // rewritten
				i += size
				from = i
				continue
			}

		case pgwire.Sync:
			s.skipToSync = false
			v.namedBefore += v.named
			v.named = 0
			if !v.copyIn { // while it takes copy data the server ignores Sync
				v.q.push(expect{kind: expectSync})
			}

		case pgwire.Bind:
			if v.namedBefore > 0 {
				goto done // what the name means depends on answers still due
			}
			consumed, ok := s.bind(b, from, i, size, o)
			if !ok {
				goto done
			}
			if consumed > 0 {
				i += consumed
				from = i
				s.skip = size - consumed
				continue
			}

		case pgwire.Execute:
			var restores []string
			if s.bound != nil && s.bound.reset != nil && size == pgwire.HeaderLen+5 {
				if !whole {
					goto done
				}
				restores = s.restores(s.bound.reset)
			}
			e := expect{kind: expectExecute}
			if s.bound != nil && s.bound.set != nil && whole && len(msg) == pgwire.HeaderLen+5 {
				e.set = s.bound.set
			}
			v.q.push(e)
			s.l.counters.Queries++
			if len(restores) > 0 {
				i += size
				o.Server.Pass(b[from:i])
				from = i
				for _, sql := range restores {
					v.amid(sql, "", o)
				}
				continue
			}

		case pgwire.Parse:
			if v.namedBefore > 0 || !whole && size <= maxInspected {
				goto done
			}
			o.Server.Pass(b[from:i])
			from = i
			if s.parse(msg, size, o) { // answered or rewritten
				i += len(msg)
				from = i
				s.skip = size - len(msg)
				continue
			}

		case pgwire.Describe, pgwire.Close:
			if v.namedBefore > 0 {
				goto done
			}
			if !whole {
				if size > maxName {
					s.protocolViolation("message too long", o)
				}
				goto done
			}
			o.Server.Pass(b[from:i])
			from = i
			if s.describeOrClose(typ, msg, o) {
				i += size
				from = i
				continue
			}

		case pgwire.Flush:
			s.releaseLocal(o)

		case pgwire.CopyDone, pgwire.CopyFail:
			if v.copyIn {
				v.copyIn = false
			} else if v.q.n > 0 {
				v.q.push(expect{kind: expectCopyEnd})
			}

		case pgwire.FunctionCall:
			if !whole && len(msg) < pgwire.HeaderLen+4 {
				goto done
			}
			o.Server.Pass(b[from:i])
			from = i
			s.functionCall(msg, o)

		case pgwire.Terminate:
			o.Server.Pass(b[from:i])
			o.CloseClient = true
			return len(b)

		default:
			o.Server.Pass(b[from:i])
			s.protocolViolation("invalid frontend message type "+quoteByte(typ), o)
			return len(b)
		}
		i += len(msg)
		s.skip = size - len(msg)
	}
done:
	o.Server.Pass(b[from:i])
	v.remember(b[:i], began && s.skip == 0)
	return i
}

// maxAhead is how many bytes for the server are made before they are sent. A few bytes of the client's may stand for many:
// the statements behind a RESET, a prepared statement that is not there.
const maxAhead = 256 << 10

// maxName is the largest message, in bytes, that holds little but a name.
const maxName = 64 << 10

// query looks at a simple query before it passes. text may be cut short when it is too large to be collected. It reports
// whether the query was rewritten, rather than left to pass.
func (s *session) query(msg []byte, whole bool, o *engine.Output) (rewritten bool) {
	v := s.srv
	e := expect{kind: expectQuery}
	s.l.counters.Queries++
	s.unnamed, v.unnamed, s.bound = nil, nil, nil // a simple query destroys it
	if !whole {
		s.debug(nil)
		s.unreadable()
		o.Writes = s.stepwise
		v.q.push(e)
		return false
	}
	a := &s.l.analysis
	text := msg[pgwire.HeaderLen:]
	if n := len(text); n > 0 && text[n-1] == 0 {
		text = text[:n-1]
	}
	s.debug(text)
	s.within(text, false, o)
	sqltext.Analyze(text, s.reading(), s.routines(), a)
	if a.Effects != 0 || a.Reset.Kind != sqltext.NotReset {
		eff := a.Effects
		set, ok := plainSet(a, text)
		if ok && v.q.n == 0 && !v.inBlock() && s.asksFor(set.name) {
			e.set = set
			v.setsSent++
			eff &^= sqltext.Look
		}
		r := resetOf(a)
		s.before(eff, a, text, o)
		if sql := s.restores(r); len(sql) > 0 && bytes.IndexByte(text, 0) < 0 {
			v.passWith(text, sql, o)
			e.restores = true
		}
	}
	v.q.push(e)
	return e.restores
}

// functionCall looks at a call of a function by its object identifier before it passes. Those of large objects, which is
// what drivers use it for, leave nothing behind; any other may do anything.
func (s *session) functionCall(msg []byte, o *engine.Output) {
	v := s.srv
	s.debug([]byte("function call"))
	o.Writes = s.stepwise
	v.effects |= sqltext.Look | sqltext.SequenceWrite
	if len(msg) < pgwire.HeaderLen+4 || !largeObject[binary.BigEndian.Uint32(msg[pgwire.HeaderLen:])] {
		v.effects |= sqltext.Opaque | sqltext.UnknownSetting
		v.digest = append(v.digest[:0], "function call"...)
		if v.seqOwner != s || s.seqAt != v {
			v.forgetSequences(s, o)
		}
	}
	v.seqOwner, s.seqAt = s, v
	v.q.push(expect{kind: expectFunction})
	s.l.counters.Queries++
}

// largeObject are the object identifiers of the functions for large objects (lo_open, loread, ... in pg_proc.dat).
var largeObject = map[uint32]bool{
	715: true, 764: true, 765: true, 767: true, 952: true, 953: true, 954: true, 955: true, 956: true, 957: true,
	958: true, 964: true, 1004: true, 3170: true, 3171: true, 3172: true,
}

// reading says how the server will read a text that is sent now: as the client knows its settings, unless something is
// under way that may change them.
func (s *session) reading() sqltext.Mode {
	if s.srv.setsSent > 0 || s.srv.effects&sqltext.Look != 0 {
		return 0
	}
	return s.mode
}

// unreadable accounts for a statement too large to be looked at: afterwards the session's settings are asked for, and the
// server connection is used by nobody else. Whether it changes routines, which all users of the database hear of, its answer says.
func (s *session) unreadable() {
	v := s.srv
	v.effects |= sqltext.Look | sqltext.SequenceWrite | sqltext.DDL | sqltext.Ends
	v.unread = true
	v.seqOwner, s.seqAt = s, v
	v.retire = true
}

// before accounts for what a statement may leave behind, and prepares the server connection for what it relies on.
func (s *session) before(eff sqltext.Effects, a *sqltext.Analysis, text []byte, o *engine.Output) {
	v := s.srv
	if eff&sqltext.Unclear != 0 {
		eff |= sqltext.Anything
		v.retire = true
	}
	if eff&sqltext.SequenceRead != 0 {
		if eff&sqltext.SequenceNamed != 0 {
			s.l.db.sequences.Store(true)
		}
		if v.seqOwner != s || s.seqAt != v { // another session's values, or older ones of its own
			v.forgetSequences(s, o)
		}
	}
	if eff&(sqltext.UsesPrepared|sqltext.Look) != 0 {
		s.usePrepared(a, o)
		if a.MorePrepared {
			eff |= sqltext.Anything
		}
	}
	if eff&sqltext.DDL != 0 && eff&sqltext.Look == 0 && s.createsTemporary() {
		eff |= sqltext.Look
	}
	if eff&sqltext.DropsPrepared != 0 {
		// What is on the server connection will be gone. The client's own names go when the server has said so.
		v.prepared.clear()
		v.unnamed, v.hasProbe = nil, false
		if s.dropped.byName == nil {
			s.dropped, s.stmts = s.stmts, names{}
			s.dropIn = v.q.cycles()
		}
	}
	if eff&sqltext.SequenceWrite != 0 {
		v.seqOwner, s.seqAt = s, v
	}
	if eff&noteworthy != 0 || eff&sqltext.SequenceWrite != 0 && s.l.db.sequences.Load() {
		v.digest = sqltext.AppendDigest(v.digest[:0], text)
		for i := range a.SettingsLen() {
			if !s.mention(string(a.Setting(i))) {
				eff |= sqltext.UnknownSetting
			}
		}
	}
	v.effects |= eff
}

// createsTemporary reports whether an object created without a schema may be a temporary one.
func (s *session) createsTemporary() bool {
	path, ok := settingIn(s.want, "search_path")
	return strings.Contains(path, "pg_temp") || !ok && s.l.db.temporaryPath.Load() || s.srv.effects&sqltext.Look != 0 || s.srv.probing()
}

// noteworthy are the effects after which an operator may see the statement's digest.
const noteworthy = sqltext.Look | sqltext.Load | sqltext.Opaque | sqltext.UnknownSetting | sqltext.SequenceRead

// asksFor reports whether a look at the session will see the setting. The effect of a plain SET is known without a look, but
// one may follow for another reason, and what it does not see would be left behind.
func (s *session) asksFor(name string) bool {
	return !strings.Contains(name, ".") || s.mention(name)
}

// mention remembers a custom setting, since the server does not list those. It reports false when there are too many.
func (s *session) mention(name string) bool {
	if slices.Contains(s.custom, name) {
		return true
	}
	if len(s.custom) == maxCustom {
		return false
	}
	s.custom = append(s.custom, name)
	return true
}

// maxCustom bounds the custom settings that are asked for. A session with more is pinned.
const maxCustom = 256

// parse handles a Parse message. It reports whether it was answered or rewritten, rather than left to pass.
func (s *session) parse(msg []byte, size int, o *engine.Output) bool {
	v := s.srv
	name, rest, ok := pgwire.CString(msg[pgwire.HeaderLen:])
	if !ok {
		v.q.push(expect{kind: expectParse})
		return false // the server will complain
	}
	if len(msg) < size {
		// Too large to be kept, so it cannot be prepared elsewhere: the session stays with this server connection.
		s.unreadable()
		o.Writes = s.stepwise
		s.pin(pinLargeStatement, "")
		if len(name) == 0 {
			s.unnamed, v.unnamed = nil, nil
		}
		v.q.push(expect{kind: expectParse})
		return false
	}
	text, tail, ok := pgwire.CString(rest)
	types, valid := typesOf(tail)
	if !ok || !valid {
		v.q.push(expect{kind: expectParse})
		return false
	}
	st := s.l.intern(text, types, s.reading(), s.routines())
	if st.prepared {
		s.beforeDescribe(st, o)
	}
	if len(name) == 0 {
		s.unnamed, v.unnamed = st, st
		v.q.push(expect{kind: expectParse})
		return false
	}
	if old := s.stmts.byName[string(name)]; old != nil && !s.again {
		// The name is taken. The server is made to say so, in its turn and with all that follows from an error.
		srvName := v.ensure(s.l, old.stmt, 0, o)
		o.Server.Set(pgwire.AppendParse(o.Server.Grow(), srvName, string(text), types))
		v.q.push(expect{kind: expectParse, ref: &namedStmt{name: string(name), stmt: st, dup: true}})
		return true
	}
	if s.hasSQL(string(name)) {
		s.ensureSQL(string(name), o) // taken as well: the server says so
		o.Server.Pass(msg)
		v.q.push(expect{kind: expectParse, ref: &namedStmt{name: string(name), stmt: st, dup: true}})
		return true
	}
	ref := &namedStmt{name: string(name), stmt: st, generation: s.l.db.generation.Load()}
	if s.full(ref.size()) && !s.again {
		// The server is made to refuse it, in its turn and with all that follows from an error.
		o.Server.Set(pgwire.AppendParse(o.Server.Grow(), namePrefix+"full", fullSQL, []byte{0, 0}))
		v.q.push(expect{kind: expectParse, ref: &namedStmt{dup: true, full: true}})
		return true
	}
	s.stmts.put(ref)
	v.named++
	if e := v.prepared.get(st); e != nil && e.generation >= max(ref.generation, v.oldest) && v.tx != pgwire.Failed { // there the server refuses it
		v.reused = true
		s.l.counters.PreparedHits++
		v.q.push(expect{kind: localParse, ref: ref})
		return true
	}
	dst := o.Server.Grow()
	if e := v.prepared.byStmt[st]; e != nil {
		dst = v.unprepare(dst, e)
	}
	dst, e := v.prepare(dst, s.l, st)
	o.Server.Set(pgwire.AppendParse(dst, e.name, string(text), types))
	v.q.push(expect{kind: expectParse, ref: ref})
	return true
}

// bind handles a Bind message that starts at b[i]. consumed is how much of it was rewritten, 0 when it passes as it is; ok
// is false when more bytes are needed.
func (s *session) bind(b []byte, from, i, size int, o *engine.Output) (consumed int, ok bool) {
	v := s.srv
	msg := b[i:min(i+size, len(b))]
	portal, rest, ok := pgwire.CString(msg[pgwire.HeaderLen:])
	var name []byte
	if ok {
		name, rest, ok = pgwire.CString(rest)
	}
	if !ok {
		if len(msg) < size && len(msg) < maxName {
			return 0, false
		}
		if len(msg) < size {
			s.protocolViolation("name too long", o)
			return 0, false
		}
		v.q.push(expect{kind: expectBind})
		return 0, true // malformed: the server will complain
	}
	var st *stmt
	var ref *namedStmt
	if len(name) == 0 {
		st = s.unnamed
	} else if ref = s.stmts.byName[string(name)]; ref != nil {
		st = ref.stmt
	}
	s.bound = nil
	if len(portal) == 0 {
		s.bound = st
	}
	if st == nil {
		if len(name) == 0 && v.unnamed != nil {
			// What is there belongs to somebody else.
			o.Server.Pass(b[from:i])
			o.Server.Set(pgwire.AppendClose(o.Server.Grow(), 'S', ""))
			v.q.push(expect{kind: hiddenClose})
			v.unnamed = nil
			o.Server.Pass(msg)
			v.q.push(expect{kind: expectBind})
			return len(msg), true
		}
		if len(name) > 0 {
			o.Server.Pass(b[from:i])
			s.ensureSQL(string(name), o)
			o.Server.Pass(msg)
			v.q.push(expect{kind: expectBind})
			return len(msg), true
		}
		v.q.push(expect{kind: expectBind})
		return 0, true
	}
	s.debug(st.text)
	s.within(st.text, len(portal) > 0, o)
	if st.catalog != s.routines() {
		s.l.analyze(st, s.reading(), s.routines())
	}
	eff := s.effectsNow(st)
	if len(name) == 0 && v.unnamed == st && eff == 0 {
		v.q.push(expect{kind: expectBind})
		return 0, true
	}
	o.Server.Pass(b[from:i])
	if eff != 0 {
		s.beforeStmt(st, eff, o)
	}
	if len(name) == 0 {
		if v.unnamed != st {
			o.Server.Set(pgwire.AppendParse(o.Server.Grow(), "", string(st.text), st.types))
			v.q.push(expect{kind: hiddenParse})
			v.unnamed = st
			s.l.counters.Reprepares++
		}
		o.Server.Pass(msg)
		v.q.push(expect{kind: expectBind})
		return len(msg), true
	}
	srvName := v.ensure(s.l, st, ref.generation, o)
	dst := append(o.Server.Grow(), pgwire.Bind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(size-1-len(name)+len(srvName)))
	dst = append(append(dst, portal...), 0)
	dst = append(append(dst, srvName...), 0)
	o.Server.Set(append(dst, rest...))
	v.q.push(expect{kind: expectBind, ref: ref})
	return len(msg), true
}

// effectsNow is what a prepared statement may leave behind when it runs now.
func (s *session) effectsNow(st *stmt) sqltext.Effects { return s.readAgain(st.text, st.effects) }

// readAgain returns the effects of a text that was found to have eff. The server connection may have to read it anew, with
// settings that make another thing of backslashes than when the client prepared it.
func (s *session) readAgain(text []byte, eff sqltext.Effects) sqltext.Effects {
	mode := s.reading()
	if mode == sqltext.Standard || bytes.IndexByte(text, '\\') < 0 {
		return eff
	}
	var a sqltext.Analysis // the session's own may be in use
	sqltext.Analyze(text, mode, s.routines(), &a)
	return eff | a.Effects
}

// beforeStmt is before for a prepared statement about to run, with these effects.
func (s *session) beforeStmt(st *stmt, eff sqltext.Effects, o *engine.Output) {
	if st.set != nil && !s.srv.inBlock() && s.asksFor(st.set.name) {
		eff &^= sqltext.Look // the success of its Execute tells; without one, see ready
		s.srv.setsSent++
	}
	a := &s.l.analysis
	if eff&(sqltext.UsesPrepared|noteworthy) != 0 {
		sqltext.Analyze(st.text, s.reading(), s.routines(), a)
	}
	s.before(eff, a, st.text, o)
}

// describeOrClose handles Describe and Close. It reports whether the message was answered or rewritten.
func (s *session) describeOrClose(typ byte, msg []byte, o *engine.Output) bool {
	v := s.srv
	kind := expectDescribe
	if typ == pgwire.Close {
		kind = expectClose
	}
	body := msg[pgwire.HeaderLen:]
	if len(body) < 2 || body[0] != 'S' {
		if kind == expectClose {
			v.effects |= sqltext.Ends
		}
		v.q.push(expect{kind: kind})
		return false
	}
	name, _, ok := pgwire.CString(body[1:])
	if !ok {
		v.q.push(expect{kind: kind})
		return false
	}
	if len(name) == 0 {
		if kind == expectClose {
			s.unnamed, v.unnamed = nil, nil
		} else if s.unnamed != nil && v.unnamed != s.unnamed {
			o.Server.Set(pgwire.AppendParse(o.Server.Grow(), "", string(s.unnamed.text), s.unnamed.types))
			v.q.push(expect{kind: hiddenParse})
			v.unnamed = s.unnamed
		} else if s.unnamed == nil && v.unnamed != nil {
			o.Server.Set(pgwire.AppendClose(o.Server.Grow(), 'S', ""))
			v.q.push(expect{kind: hiddenClose})
			v.unnamed = nil
		}
		v.q.push(expect{kind: kind})
		return false
	}
	ref := s.stmts.byName[string(name)]
	if ref == nil {
		s.ensureSQL(string(name), o)
		if kind == expectClose {
			v.effects |= sqltext.Look // it may be one made with PREPARE
		}
		v.q.push(expect{kind: kind})
		return false
	}
	if kind == expectClose {
		if ref.bySQL { // it is there under that name, too
			o.Server.Set(pgwire.AppendClose(o.Server.Grow(), 'S', ref.name))
			v.q.push(expect{kind: hiddenClose})
		}
		s.stmts.remove(ref.name)
		v.named++
		v.q.push(expect{kind: localClose, drops: ref})
		return true
	}
	if ref.stmt.prepared {
		s.beforeDescribe(ref.stmt, o)
	}
	srvName := v.ensure(s.l, ref.stmt, ref.generation, o)
	dst := append(o.Server.Grow(), pgwire.Describe)
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+1+len(srvName)+1))
	dst = append(dst, 'S')
	dst = append(append(dst, srvName...), 0)
	o.Server.Set(dst)
	v.q.push(expect{kind: kind, ref: ref})
	return true
}

// withoutServer takes the client's bytes while no server connection is there: only a farewell, an empty request, or one that
// is to be refused, can be consumed.
func (s *session) withoutServer(b []byte, o *engine.Output) int {
	i := 0
	for !o.CloseClient {
		if s.discard > 0 {
			n := min(s.discard, len(b)-i)
			s.discard -= n
			i += n
			if s.discard > 0 {
				return i
			}
			if s.discardEnds {
				s.discardEnds = false
				s.answerRefusal(o)
			}
		}
		if len(b)-i < pgwire.HeaderLen {
			return i
		}
		size, err := pgwire.Size(b[i:])
		if err != nil {
			s.protocolViolation("invalid message length", o)
			return len(b)
		}
		if b[i] == pgwire.Terminate {
			o.CloseClient = true
			return len(b)
		}
		if s.refuse == nil {
			if size != pgwire.HeaderLen || s.greeting != nil || s.aborted {
				return i
			}
			switch b[i] { // nothing is under way, for which it would be
			case pgwire.Sync:
				o.Client.Set(pgwire.AppendReadyForQuery(o.Client.Grow(), pgwire.Idle))
			case pgwire.Flush:
			default:
				return i
			}
			i += size
			continue
		}
		switch b[i] {
		case pgwire.Query, pgwire.FunctionCall:
			s.discardEnds = !s.refused
		case pgwire.Sync:
			s.discardEnds = true
		case pgwire.Flush: // the client waits for an answer now; what is behind up to Sync is ignored
			if !s.refused {
				s.refused = true
				o.Client.Set(pgwire.AppendError(o.Client.Grow(), s.refuse))
			}
		}
		s.discard = size
	}
	return i
}

// answerRefusal answers the request just dropped.
func (s *session) answerRefusal(o *engine.Output) {
	status := byte(pgwire.Idle)
	if s.aborted {
		status = pgwire.Failed
	}
	dst := o.Client.Grow()
	if !s.refused {
		dst = pgwire.AppendError(dst, s.refuse)
	}
	o.Client.Set(pgwire.AppendReadyForQuery(dst, status))
	s.refuse, s.refused = nil, false
}

// releaseLocal gives the client the answers that are Forebay's to give, as far as it is their turn.
func (s *session) releaseLocal(o *engine.Output) {
	v := s.srv
	for v.q.n > 0 {
		switch v.q.peek() {
		case localParse:
			v.parsed(v.q.at(0).ref)
			o.Client.Set(pgwire.AppendEmpty(o.Client.Grow(), pgwire.ParseComplete))
		case localClose:
			o.Client.Set(pgwire.AppendEmpty(o.Client.Grow(), pgwire.CloseComplete))
		case expectCopyEnd:
		default:
			return
		}
		v.q.pop()
	}
}

func quoteByte(c byte) string {
	const digits = "0123456789abcdef"
	return "0x" + string([]byte{digits[c>>4], digits[c&15]})
}
