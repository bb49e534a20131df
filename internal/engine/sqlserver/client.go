package sqlserver

import (
	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/engine/sqlserver/sqltext"
	"forebay/internal/wire/tds"
)

// FromClient implements engine.Session. A request passes when the answer to the one before is complete; it is looked into
// whole, unless it is too large for that. An attention passes while its request runs.
func (s *session) FromClient(b []byte, o *engine.Output) int {
	i := 0
	for !o.CloseClient && !o.CloseServer {
		h, err := tds.ParseHeader(b[i:])
		if err == tds.ErrShort {
			break
		}
		if err != nil {
			s.fatal(errMalformed(), o)
			return len(b)
		}
		if s.streams {
			if len(b)-i < h.Length {
				break
			}
			switch {
			case h.Type == tds.PacketAttention:
				s.attentionWithin(o)
			case !s.discard && s.srv != nil && h.Type != s.srv.cmd.kind:
				s.fatal(errMalformed(), o) // the server would not take it for a part of the message
				return len(b)
			default:
				s.streamed(b[i:i+h.Length], h, o)
			}
			i += h.Length
			continue
		}
		if h.Type == tds.PacketAttention {
			if len(b)-i < h.Length {
				break
			}
			i += h.Length
			s.attention(o)
			continue
		}
		v := s.srv
		if v != nil && (v.cmd.active || v.step != 0 || len(s.steps) > 0) || s.late != nil {
			s.ahead = len(b) - i
			return i
		}
		if s.refuse != s.loss {
			s.loss = nil // it goes on behind that
		}
		switch h.Type {
		case tds.PacketSQLBatch, tds.PacketRPC, tds.PacketTransaction, tds.PacketBulkLoad:
		default:
			s.fatal(errMalformed(), o)
			return len(b)
		}
		n, last, err := messageLen(b[i:], h.Type)
		if err != nil {
			s.fatal(errMalformed(), o)
			return len(b)
		}
		whole := last&tds.StatusEOM != 0
		h.Status |= last & tds.StatusIgnore
		if s.refuse != nil && s.refuse == s.loss && h.Status&tds.StatusResetConnection != 0 {
			s.refuse, s.loss = nil, nil // the client does not ask for it any more
		}
		if s.refuse != nil {
			if n == 0 {
				break
			}
			s.refused(h, whole, o)
			i += n
			continue
		}
		if h.Type == tds.PacketBulkLoad && n > 0 {
			s.bulk(b[i:i+n], h, whole, o)
			i += n
			continue
		}
		if !whole && n <= maxInspected {
			break // collected by the caller
		}
		if whole {
			if k := s.withdrawn(b[i+n:]); k > 0 {
				s.resetUnsent(h, o)
				s.acknowledge(o)
				i += n + k
				continue
			}
		}
		if v == nil {
			if whole && s.answersAlone(b[i:i+n], h, o) {
				i += n
				continue
			}
			break
		}
		if !s.request(b[i:i+n], h, whole, o) {
			if s.moves { // the request comes again
				s.moves, o.CloseServer = false, true
				return i
			}
			if s.refuse != nil && len(s.steps) == 0 {
				continue // which answers it
			}
			break
		}
		i += n
	}
	if o.CloseClient || o.CloseServer {
		return len(b)
	}
	return i
}

// messageLen is how long the message at the beginning of b is, as far as whole packets of it are there, and the status of
// the last of them.
func messageLen(b []byte, t tds.PacketType) (n int, last tds.PacketStatus, err error) {
	for {
		h, err := tds.ParseHeader(b[n:])
		if err == tds.ErrShort || err == nil && len(b)-n < h.Length {
			return n, last, nil
		}
		if err != nil || h.Type != t {
			return n, last, &tds.MalformedError{Structure: "packet header", Field: "type"}
		}
		n += h.Length
		if last = h.Status; last&tds.StatusEOM != 0 {
			return n, last, nil
		}
	}
}

// withdrawn returns the length of an attention at the beginning of b: what comes before it need not be run.
func (s *session) withdrawn(b []byte) int {
	h, err := tds.ParseHeader(b)
	if err != nil || h.Type != tds.PacketAttention || len(b) < h.Length {
		return 0
	}
	return h.Length
}

// Withdraws implements engine.Withdrawer: b is what the client has sent while it waits for a server connection.
func (s *session) Withdraws(b []byte) bool {
	h, err := tds.ParseHeader(b)
	if err != nil || s.streams || h.Type == tds.PacketAttention {
		return err == nil && h.Type == tds.PacketAttention && len(b) >= h.Length
	}
	n, last, err := messageLen(b, h.Type)
	return err == nil && last&tds.StatusEOM != 0 && s.withdrawn(b[n:]) > 0
}

// unpend forgets what was done for a request that will not be sent.
func (s *session) unpend() {
	s.pending, s.restored, s.prepares, s.insert, s.resetYet = false, false, false, false, false
}

// attention handles a client's wish to end its request: passed on while that runs, else answered at once.
func (s *session) attention(o *engine.Output) {
	v := s.srv
	switch {
	case v != nil && v.due && v.cmd.active && v.step == 0:
		if !v.attn {
			s.sendAttention(o)
		}
	case v != nil && v.bulk: // the rows are not to come
		v.bulk = false
		v.cmd = command{kind: tds.PacketAttention, active: true}
		s.sentSome = false
		s.expect(false)
		s.sendAttention(o)
	default:
		s.lossUnseen()
		s.acknowledge(o)
	}
}

// attentionWithin handles a client's wish to end its request where it has not sent all of that.
func (s *session) attentionWithin(o *engine.Output) {
	s.streams, s.carry = false, nil
	v := s.srv
	if s.discard || v == nil || !v.cmd.active {
		s.discard, s.late = false, nil
		s.lossUnseen()
		s.acknowledge(o)
		return
	}
	// The server is not to run what it has of it, whether or not it looks at an attention before the end.
	end := tds.Header{Type: v.cmd.kind, Status: tds.StatusEOM | tds.StatusIgnore, Length: tds.HeaderSize, ID: 1}
	o.Server.Set(end.Append(o.Server.Grow()))
	if !v.attn {
		s.sendAttention(o)
	}
}

// sendAttention asks the server to end the request.
func (s *session) sendAttention(o *engine.Output) {
	s.srv.attn = true
	o.Server.Set(tds.Header{Type: tds.PacketAttention, Status: tds.StatusEOM, Length: tds.HeaderSize, ID: 1}.Append(o.Server.Grow()))
}

// refused answers a request with the error that is due.
func (s *session) refused(h tds.Header, whole bool, o *engine.Output) {
	m := s.refuse
	s.refuse = nil
	s.resetUnsent(h, o)
	s.drop(m, whole, o)
}

// drop answers a request that is not sent: at its end, if that has not come.
func (s *session) drop(m *tds.Message, whole bool, o *engine.Output) {
	s.streams, s.discard, s.late = !whole, true, m
	s.dropped(o)
}

// dropped answers, at its end, a message that has been dropped.
func (s *session) dropped(o *engine.Output) {
	if s.streams {
		return
	}
	s.discard = false
	if m := s.late; m != nil {
		s.late = nil
		s.fail(m, o)
	}
}

// streamed passes a packet of a message that is not looked into.
func (s *session) streamed(pkt []byte, h tds.Header, o *engine.Output) {
	last := h.Status&tds.StatusEOM != 0
	if last {
		s.streams = false
	}
	if s.discard {
		s.dropped(o)
		return
	}
	v := s.srv
	if v == nil {
		return
	}
	if len(s.carry) == 0 && h.Length <= v.packetSize {
		o.Server.Pass(pkt)
		return
	}
	s.repack(pkt[tds.HeaderSize:], h, 0, last, o)
}

// repack sends data in packets of the server's size, with what was left before; what does not fill one is left for the next
// time, unless it is the last.
func (s *session) repack(data []byte, h tds.Header, status tds.PacketStatus, last bool, o *engine.Output) {
	v := s.srv
	room := v.packetSize - tds.HeaderSize
	dst := o.Server.Grow()
	for {
		n := min(room-len(s.carry), len(data))
		full := len(s.carry)+n == room
		ends := last && n == len(data)
		if !full && !ends {
			s.carry = append(s.carry, data[:n]...)
			break
		}
		p := tds.Header{Type: h.Type, Status: status, Length: tds.HeaderSize + len(s.carry) + n, ID: h.ID}
		if ends {
			p.Status |= tds.StatusEOM | h.Status&tds.StatusIgnore
		}
		status = 0
		dst = append(append(p.Append(dst), s.carry...), data[:n]...)
		s.carry, data = s.carry[:0], data[n:]
		if ends {
			s.carry = nil
			break
		}
	}
	o.Server.Set(dst)
}

// answersAlone answers a request that needs no server connection.
func (s *session) answersAlone(msg []byte, h tds.Header, o *engine.Output) bool {
	if h.Type != tds.PacketRPC || h.Length != len(msg) || h.Status&(tds.StatusResetConnection|tds.StatusResetConnectionSkip) != 0 {
		return false
	}
	_, n, err := tds.ParseAllHeaders(msg[tds.HeaderSize:], s.version)
	if err != nil {
		return false
	}
	r := &s.l.rpc
	rest, err := r.Next(msg[tds.HeaderSize+n:], s.version, s.features)
	return err == nil && len(rest) == 0 && s.unprepares(r, o)
}

// bulk passes the rows of a bulk load. h is the header of their first packet.
func (s *session) bulk(msg []byte, h tds.Header, whole bool, o *engine.Output) {
	v := s.srv
	if v == nil || !v.bulk {
		s.resetUnsent(h, o)
		s.drop(errNoBulk(), whole, o)
		return
	}
	if h.Status&(tds.StatusResetConnection|tds.StatusResetConnectionSkip) != 0 {
		s.clientResets() // the server's session is, too, whatever becomes of the rows
		v.retire = v.retire || v.inTx && v.survivors.TranCount
	}
	v.bulk = false
	v.cmd = command{kind: h.Type, active: true, eff: sqltext.Writes | sqltext.WritesIdentity | sqltext.Triggers}
	s.forward(msg, nil, h, whole, o)
}

// request handles a request, whole or as much of it as is looked into. It reports false when steps go first: then the
// request comes again.
func (s *session) request(msg []byte, h tds.Header, whole bool, o *engine.Output) bool {
	v := s.srv
	skip := h.Status&tds.StatusResetConnectionSkip != 0
	resets := skip || h.Status&tds.StatusResetConnection != 0
	bit := false
	if resets {
		now, b := s.resetFor(skip)
		if !now {
			return s.wait(o)
		}
		bit = b
	}
	if !bit && !s.adapt() {
		return s.wait(o)
	}
	data := msg[tds.HeaderSize:]
	single := h.Length == len(msg)
	if !single {
		data = s.gather(msg)
	}
	headers, n, err := tds.ParseAllHeaders(data, v.version)
	if err != nil {
		s.fatal(errMalformed(), o)
		return true
	}
	body := data[n:]
	c := &v.cmd
	*c = command{kind: h.Type, ops: c.ops[:0], objects: c.objects[:0]}
	pinned := len(s.pins) > 0
	ok := true
	switch {
	case h.Status&tds.StatusIgnore != 0: // it is not to be run, but answered; a server that does not know of that runs it
		c.eff = sqltext.Unknown | sqltext.WritesIdentity
	case h.Type == tds.PacketSQLBatch:
		var text []byte
		if text, err = tds.SkipEnclave(body, v.features); err == nil {
			ok = s.batch(text, whole, o)
		}
	case h.Type == tds.PacketRPC:
		ok, err = s.calls(body, whole, o)
	case h.Type == tds.PacketTransaction:
		err = s.transactionManager(body)
	}
	if err != nil {
		s.fatal(errMalformed(), o)
		return true
	}
	if o.Client.Len() > 0 { // it has been answered
		s.unpend()
		return true
	}
	if ok && c.eff&sqltext.Prepared != 0 && len(c.ops) == 0 && v.handles > 0 && !v.inTx && !pinned && !bit {
		// A text names handles as the server does: it is not to meet those of others.
		v.dirty, v.owner = true, nil
		if s.adapt() {
			s.steps = append(s.steps, step{kind: stepSet, text: textNothing, reset: true})
		}
		ok = false
	}
	if ok && v.resetDue && v.isOf(s) && s.asksIdentity() {
		ok = false
	}
	if ok && v.resetDue && c.eff&(sqltext.Assigns|sqltext.SettingUnknown|sqltext.SettingLost|sqltext.Unknown|sqltext.Resets) != 0 {
		// It could not be told what of the answer is about the reset, and what about the request.
		s.steps = append(s.steps, step{kind: stepSet, text: textNothing, reset: true})
		ok = false
	}
	if !ok {
		if bit {
			s.stepsFirst(skip)
		}
		return s.wait(o)
	}
	s.rewrite()
	if headers.Transaction != nil {
		copy(headers.Transaction, v.descriptor[:])
	}
	if bit || v.resetDue {
		h.Status |= tds.StatusResetConnection
		if skip {
			h.Status = h.Status&^tds.StatusResetConnection | tds.StatusResetConnectionSkip
		}
	} else {
		h.Status &^= tds.StatusResetConnection | tds.StatusResetConnectionSkip
	}
	cut := !bit && v.resetDue
	v.resetDue = false
	c.active, v.bulk = true, false
	if !whole {
		s.tooLarge()
	}
	s.forward(msg, data, h, whole, o)
	v.cut = cut
	return true
}

// wait has the request wait for steps.
func (s *session) wait(o *engine.Output) bool {
	s.pending = true
	s.next(o)
	return false
}

// gather puts the data of a message's packets together.
func (s *session) gather(msg []byte) []byte {
	dst := s.l.scratch[:0]
	for len(msg) > 0 {
		h, _ := tds.ParseHeader(msg) // looked at by messageLen
		dst = append(dst, msg[tds.HeaderSize:h.Length]...)
		msg = msg[h.Length:]
	}
	if cap(dst) <= 2*maxInspected {
		s.l.scratch = dst[:0]
	}
	return dst
}

// forward sends a request, of which data is what its packets hold, put together where there are several of them.
func (s *session) forward(msg, data []byte, h tds.Header, whole bool, o *engine.Output) {
	v := s.srv
	reset := h.Status & (tds.StatusResetConnection | tds.StatusResetConnectionSkip)
	first, _ := tds.ParseHeader(msg)
	if first.Length == len(msg) && whole && len(msg) <= v.packetSize {
		msg[1] = byte(h.Status)
		o.Server.Pass(msg)
	} else {
		if data == nil || first.Length == len(msg) {
			data = s.gather(msg)
		}
		s.repack(data, h, reset, whole, o)
	}
	s.streams, s.discard = !whole, false
	s.expect(reset != 0)
	if reset != 0 {
		v.wasReset(reset&tds.StatusResetConnectionSkip != 0)
	}
	c := &v.cmd
	v.ownedBy(s)
	v.lastOwner, v.lastTurn = s, s.values.countTurn+1
	s.values.countTurn++
	s.values.told = false
	if c.eff&(sqltext.WritesIdentity|sqltext.WritesScopeIdentity|sqltext.Exec|sqltext.Dynamic|sqltext.Unknown|sqltext.Triggers) != 0 {
		s.values.writesIdentity(s)
	}
	if !c.eff.Clean() || c.eff&sqltext.Triggers != 0 {
		v.dirty = true
	}
	if c.eff&sqltext.Modules != 0 {
		s.modulesBegin()
	}
	s.unpendSent()
	s.sentSome = false
	s.ahead = 0
	v.scan.PatchNext = false
	s.arm()
	s.l.counters.Queries++
}

// unpendSent says that the request is on its way.
func (s *session) unpendSent() {
	s.pending, s.restored, s.prepares, s.resetYet = false, false, false, false
}

// batch looks into an SQL batch. It reports false when steps go first.
func (s *session) batch(text []byte, whole bool, o *engine.Output) bool {
	if !whole {
		s.srv.cmd.eff = sqltext.Unknown | sqltext.WritesIdentity
		return true
	}
	a := &s.l.analysis
	sqltext.Inspect(text, sqltext.Mode{QuotedIdentifier: s.want.Options&settings.QuotedIdentifier != 0}, a)
	if !s.readsLast(a.Effects, o) {
		return false
	}
	s.ran(text, a, false)
	return true
}

// ran takes over what a text does that the request runs.
// alone says that it is the call of a procedure and no more.
func (s *session) ran(text []byte, a *analysis, alone bool) {
	c := &s.srv.cmd
	e, unknown := s.reached(text, a, alone)
	if e&sqltext.Resets != 0 && !c.called { // a reset among other things: what has gone before it, and what behind?
		e |= sqltext.Unknown
	}
	c.eff |= e
	if e&opensCursors != 0 {
		s.columns = nil
	}
	if e&sqltext.Assigns != 0 {
		from := s.want
		if c.assigns {
			from = c.next
		}
		next, ok := a.Apply(text, from)
		if !ok {
			c.eff |= sqltext.SettingLost
			e |= sqltext.SettingLost
		} else {
			c.assigns, c.next = true, next
		}
	}
	for i := range a.ObjectLen() {
		c.objects = append(c.objects, a.Object(i))
	}
	if e&sqltext.BulkLoad != 0 {
		c.bulk = true
	}
	if e&keeping != 0 {
		for k := range c.kept {
			c.kept[k].Then(a.Kept[k])
		}
	}
	if e&(pinning|sqltext.SettingUnknown) != 0 || a.MoreObjects || unknown || c.failing != 0 {
		c.digest = string(sqltext.AppendDigest(nil, text, s.want.Options&settings.QuotedIdentifier != 0, maxDigest))
		s.pinFor(e, a.MoreObjects)
		if unknown {
			c.lone = (c.kind == tds.PacketSQLBatch || c.called) && a.Statements == 1 && a.CallLen() == 1 && !a.MoreCalls &&
				e&^(sqltext.Exec|sqltext.WritesIdentity) == 0 && !s.pinnedFor(pinProcedure)
			s.pin(pinProcedure, c.digest)
		}
	}
}

// maxDigest is how long a digest may be, in bytes.
const maxDigest = 1024

// transactionManager looks into a transaction manager request.
func (s *session) transactionManager(body []byte) error {
	t, err := tds.ParseTransactionManager(body)
	if err != nil {
		return err
	}
	c := &s.srv.cmd
	switch t.Type {
	case tds.TransactionGetDTCAddress:
	case tds.TransactionRollback:
		c.undoes = true
	case tds.TransactionPropagate, tds.TransactionPromote:
		c.digest = "transaction manager request"
		c.eff |= sqltext.Distributed
		s.pin(pinDistributed, c.digest)
	}
	// The level that a transaction begins with stays the session's.
	if levels := [...]settings.Isolation{0, settings.ReadUncommitted, settings.ReadCommitted, settings.RepeatableRead, settings.Serializable, settings.Snapshot}; t.Isolation > 0 {
		if int(t.Isolation) >= len(levels) {
			return &tds.MalformedError{Structure: "transaction manager request", Field: "isolation level"}
		}
		c.assigns, c.next = true, s.want
		c.next.Isolation = levels[t.Isolation]
	}
	return nil
}

// calls looks into the procedure calls of an RPC request. It reports false when steps go first.
func (s *session) calls(body []byte, whole bool, o *engine.Output) (ok bool, err error) {
	v := s.srv
	c := &v.cmd
	r := &s.l.rpc
	for first := true; first || len(body) > 0; first = false {
		rest, err := r.Next(body, v.version, v.features)
		if err != nil || !first || len(rest) > 0 || !s.knowsColumns(r) {
			r.AskForColumns()
		}
		if err == tds.ErrShort && !whole {
			if c.single = first && r.Params >= textParams(r.ID); !c.single {
				c.eff |= sqltext.Unknown | sqltext.WritesIdentity
				return true, nil
			}
			return s.call(r, true, false, o), nil
		}
		if err != nil {
			return false, err
		}
		if first && len(rest) == 0 && s.unprepares(r, o) {
			return true, nil
		}
		if !s.call(r, first, first && len(rest) == 0, o) || o.Client.Len() > 0 {
			return o.Client.Len() > 0, nil
		}
		body = rest
	}
	return true, nil
}

// textParams is how many parameters of a call say what it does; the others may be as long as they like.
func textParams(id tds.ProcID) int {
	switch id {
	case tds.ProcExecuteSQL, tds.ProcExecute:
		return 1
	case tds.ProcPrepExec:
		return 3
	}
	return tds.MaxParams + 1
}

// call looks into one procedure call.
func (s *session) call(r *tds.RPC, first, only bool, o *engine.Output) bool {
	c := &s.srv.cmd
	o0 := op{}
	ok := true
	switch r.ID {
	case tds.ProcExecuteSQL:
		if t, text := r.Param(0).Text(s.l.text[:0]); text {
			ok = s.within(t, first, o)
		} else {
			c.eff |= sqltext.Unknown
			s.pin(pinUnknown, "sp_executesql")
		}
	case tds.ProcPrepare, tds.ProcPrepExec, tds.ProcPrepExecRPC, tds.ProcExecute, tds.ProcUnprepare:
		o0, ok = s.handleCall(r, first, o)
	case tds.ProcCursorOpen, tds.ProcCursorPrepExec, tds.ProcCursorExecute:
		c.eff |= sqltext.Cursor | sqltext.Exec
		s.pin(pinCursor, "sp_cursoropen")
		n := 1
		if r.ID == tds.ProcCursorPrepExec {
			n = 2 // a handle of the statement, too, which comes first
		}
		c.cursor += n
		if only {
			c.opens = n
		} else {
			s.columns = nil
		}
	case tds.ProcCursorPrepare:
		c.eff |= sqltext.Prepared
		s.pin(pinCursor, "sp_cursorprepare")
		c.cursor++
	case tds.ProcCursorClose, tds.ProcCursorUnprepare:
		c.eff |= sqltext.UsesCursor | sqltext.Ends
		c.cursor--
		if r.ID == tds.ProcCursorClose {
			s.cursorCloses(r)
		}
	case tds.ProcCursor, tds.ProcCursorFetch, tds.ProcCursorOption:
		c.eff |= sqltext.UsesCursor | sqltext.Writes | sqltext.Triggers
	default:
		c.called = only
		s.procedure(r)
		c.called = false
	}
	if len(c.ops) > 0 || o0.kind != opOther || o0.at != nil {
		for len(c.ops) < c.calls { // of those before there is nothing to say
			c.ops = append(c.ops, op{})
		}
		c.ops = append(c.ops, o0)
	}
	c.calls++
	return ok
}

// within looks into a text that runs within the request: what it sets ends with it.
func (s *session) within(text []byte, first bool, o *engine.Output) bool {
	a := &s.l.analysis
	sqltext.Inspect(text, sqltext.Mode{QuotedIdentifier: s.want.Options&settings.QuotedIdentifier != 0, Within: true}, a)
	if first && !s.readsLast(a.Effects, o) {
		return false
	}
	s.ran(text, a, false)
	return true
}

// procedure looks into the call of a procedure by its name: as a text would call it, without its parameters.
func (s *session) procedure(r *tds.RPC) {
	if s.lockCall(r) {
		return
	}
	text := append(s.l.text[:0], "E\x00X\x00E\x00C\x00 \x00"...)
	text = append(text, r.Name...)
	s.l.text = text[:0]
	a := &s.l.analysis
	sqltext.Inspect(text, sqltext.Mode{QuotedIdentifier: true}, a)
	s.ran(text, a, true)
}
