package sqlserver

import (
	"log/slog"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/engine/sqlserver/sqltext"
	"forebay/internal/wire/tds"
)

// FromServer implements engine.Session. Packets pass whole; their tokens are looked through on the way.
func (s *session) FromServer(b []byte, o *engine.Output) int {
	i := 0
	for !o.CloseServer && !o.CloseClient && s.srv != nil {
		h, err := tds.ParseHeader(b[i:])
		if err == tds.ErrShort {
			break
		}
		if err != nil || h.Type != tds.PacketReply || !s.srv.due {
			o.CloseServer = true // its protocol is broken, or these are its last words
			break
		}
		if len(b)-i < h.Length {
			break
		}
		s.packet(b[i:i+h.Length], h, o)
		i += h.Length
	}
	if o.CloseServer {
		i = len(b)
	}
	if s.gone {
		o.Client.Reset()
	}
	return i
}

// packet handles a packet of the answer.
func (s *session) packet(pkt []byte, h tds.Header, o *engine.Output) {
	v := s.srv
	cut, prefix := 0, v.begins
	for i := tds.HeaderSize; i < len(pkt); {
		n, ev, err := v.scan.Scan(pkt[i:])
		if err != nil {
			v.garbled = true
			s.l.db.log.Warn("an answer of the database server's cannot be read: its connection is closed", slog.Any("error", err))
			o.CloseServer = true
			o.CloseClient = o.CloseClient || s.sentSome && v.step == 0 // who is somewhere in the middle of it
			return
		}
		i += n
		if ev == tds.EventNone {
			break
		}
		s.event(ev, o)
		// A token that goes on in the next packet stays, whole, and what is behind it.
		if prefix = prefix && s.announces(ev) && v.scan.Rest() <= uint64(len(pkt)-i); prefix {
			cut = i + int(v.scan.Rest()) - tds.HeaderSize
		}
	}
	last := h.Status&tds.StatusEOM != 0
	if last {
		if v.scan.End() != nil {
			o.CloseServer = true
			return
		}
		v.scan.Capture = v.step != 0
	}
	if v.begins && v.resets && !v.reset {
		o.CloseServer = true // who had it before may be seen yet
		return
	}
	if v.begins = false; v.step == 0 {
		if !v.cut || !v.reset {
			cut = 0
		}
		v.cut = false
		s.pass(pkt, h, cut, o)
	}
	if last {
		s.messageEnds(o)
	}
}

// announces reports whether the event belongs to what a reset has the server tell before it comes to the request.
func (s *session) announces(ev tds.Event) bool {
	sc := &s.srv.scan
	switch ev {
	case tds.EventEnvChange:
		switch tds.EnvType(sc.Env[0]) {
		case tds.EnvReset:
			return true
		case tds.EnvDatabase, tds.EnvLanguage, tds.EnvCollation:
			return true
		case tds.EnvRollback, tds.EnvTransactionEnded:
			return !s.srv.reset
		}
	case tds.EventInfo:
		return sc.Message.Number == infoDatabase || sc.Message.Number == infoLanguage
	case tds.EventDone: // Babelfish begins with one
		return !s.srv.reset && sc.Done.Status == tds.DoneMore && !sc.Done.Proc
	}
	return false
}

// Numbers of SQL Server's information that goes with a change of the database or the language.
const (
	infoDatabase = 5701
	infoLanguage = 5703
)

// pass sends the client a packet, without what stands in the first cut bytes of its data.
func (s *session) pass(pkt []byte, h tds.Header, cut int, o *engine.Output) {
	if s.gone {
		return
	}
	if token := s.untoldOf(nil); len(token) > 0 {
		p := tds.Header{Type: tds.PacketReply, Length: tds.HeaderSize + len(token), SPID: h.SPID, ID: 1}
		o.Client.Set(append(p.Append(o.Client.Grow()), token...))
	}
	last := h.Status&tds.StatusEOM != 0
	if cut > 0 {
		pkt = pkt[cut:]
		if h.Length -= cut; h.Length == tds.HeaderSize && !last {
			return
		}
		h.Append(pkt[:0])
	}
	s.sentSome = true
	if len(pkt) <= s.packetSize {
		o.Client.Pass(pkt)
		return
	}
	dst := o.Client.Grow()
	for data := pkt[tds.HeaderSize:]; len(data) > 0; {
		n := min(len(data), s.packetSize-tds.HeaderSize)
		p := h
		if p.Length = tds.HeaderSize + n; n < len(data) {
			p.Status &^= tds.StatusEOM
		}
		dst = append(p.Append(dst), data[:n]...)
		data = data[n:]
	}
	o.Client.Set(dst)
}

// event takes notice of a token.
func (s *session) event(ev tds.Event, o *engine.Output) {
	v := s.srv
	c := &v.cmd
	switch ev {
	case tds.EventDone:
		s.done(v.scan.Done)
	case tds.EventEnvChange:
		s.environment(v.scan.Env, o)
	case tds.EventError:
		m := v.scan.Message
		if v.step != 0 {
			if !v.stepFail {
				v.stepFail, v.stepErr = true, m
			}
			return
		}
		c.failed, c.number = true, m.Number
		c.errors++
		c.more = c.more || m.Procedure
		if m.Number == errorReadOnly || m.Number == errorSecondary {
			o.ReadOnly = true
		}
		if m.Class >= classFatal {
			v.retire, c.fatal = true, true
		}
	case tds.EventReturnStatus, tds.EventColumns:
		c.more = true
	case tds.EventReturnValue:
		c.more = true
		s.returned()
	case tds.EventRow:
		if v.row == nil {
			v.row = append([][]byte(nil), v.scan.Cells...)
		}
	}
}

// Errors of SQL Server that say that it takes no writes.
const (
	errorReadOnly  = 3906 // the database is read-only
	errorSecondary = 976  // it takes part in an availability group, and is not the primary
)

// errorNoProcedure says that there is no procedure of a name that is called. A procedure that calls one in vain is named by the error.
const errorNoProcedure = 2812

// done takes notice of the end of a statement, a procedure or all.
func (s *session) done(d tds.Done) {
	v := s.srv
	if d.Status&tds.DoneInXact != 0 && !v.inTx {
		v.silent = true
		s.transaction(true)
	}
	if d.Status&tds.DoneAttention != 0 {
		v.attn = false
		v.cmd.failed = true
		return
	}
	if v.step != 0 {
		return
	}
	c := &v.cmd
	if d.Command == doneInsert && !d.Proc && !d.InProc && d.Status&(tds.DoneCount|tds.DoneError) == tds.DoneCount && d.Count > 0 {
		c.inserted = true
	}
	if d.Status&tds.DoneCount != 0 {
		c.count, c.counted = d.Count, true
	} else if !d.Proc {
		c.count, c.counted = 0, false
	}
	if d.Proc && d.Status&tds.DoneRPCBatch != 0 {
		c.batched = true
		s.callEnds()
	}
}

// doneInsert is what a DONE says to be the end of, where that is an INSERT.
const doneInsert = 0xC3

// environment takes notice of an ENVCHANGE.
func (s *session) environment(env []byte, o *engine.Output) {
	v := s.srv
	c := &v.cmd
	switch tds.EnvType(env[0]) {
	case tds.EnvBegin:
		if n := len(env); n >= 10 && env[1] == 8 {
			copy(v.descriptor[:], env[2:10])
		}
		c.began = true
		v.silent = false
		s.transaction(true)
		if v.step == stepProbe {
			s.l.tells = tellsAll
		}
	case tds.EnvCommit, tds.EnvRollback, tds.EnvTransactionEnded, tds.EnvDefect:
		v.descriptor = [8]byte{}
		v.silent = false
		s.transaction(false)
		if c.ended != tds.EnvRollback {
			c.ended = tds.EnvType(env[0])
		}
	case tds.EnvEnlist:
		if n := len(env); n >= 10 && env[1] == 8 {
			copy(v.descriptor[:], env[2:10])
		}
		s.transaction(true)
		if v.step == 0 {
			s.pin(pinDistributed, "enlisted in a distributed transaction")
		}
	case tds.EnvPromote, tds.EnvTransactionManager:
		if v.step == 0 {
			s.pin(pinDistributed, "distributed transaction")
		}
	case tds.EnvReset:
		v.reset = true
		if v.keepsTx {
			return
		}
		v.descriptor = [8]byte{}
		v.silent = false
		s.transaction(false)
	case tds.EnvDatabase:
		if v.step == 0 && !(v.begins && v.resets) {
			s.named(env, func(name string) {
				c.assign(s)
				c.next.Database = name
			})
		}
	case tds.EnvLanguage:
		if v.step == 0 && !(v.begins && v.resets) {
			s.named(env, func(name string) {
				if c.eff&sqltext.Assigns == 0 { // a text that has been read tells more
					c.assign(s)
					c.next.SetLanguage(name)
				}
			})
		}
	case tds.EnvRouting:
		o.CloseServer = true
	}
}

// assign has next hold the settings after the request.
func (c *command) assign(s *session) {
	if !c.assigns {
		c.assigns, c.next = true, s.want
	}
}

// named gives the new value of an ENVCHANGE that is a name.
func (s *session) named(env []byte, use func(string)) {
	if len(env) < 2 || len(env) < 2+2*int(env[1]) {
		return
	}
	use(tds.DecodeText(env[2 : 2+2*int(env[1])]))
}

// messageEnds handles the end of a message of the server's.
func (s *session) messageEnds(o *engine.Output) {
	v := s.srv
	if v.attn { // the answer to that is still to come
		return
	}
	v.due = false
	if v.step != 0 {
		s.stepped(o)
		return
	}
	if s.streams && !s.discard { // the server has not waited for all of the request: what will it take the rest for?
		s.discard, s.carry = true, nil
		s.end()
		o.CloseServer = true
		return
	}
	s.replied(o)
}

// replied handles the end of an answer.
func (s *session) replied(o *engine.Output) {
	v := s.srv
	c, counters := &v.cmd, s.l.counters
	counters.QueryNanos += uint64(*counters.Now - v.since)
	counters.QueryCycles++
	if !v.inTx {
		counters.Transactions++
	}
	if c.failed && c.failing != 0 && !s.gone {
		s.modulesFailed()
	}
	if c.lone && c.number == errorNoProcedure && c.errors == 1 && !c.more && !v.survivors.ContextInfo {
		s.unpin(pinProcedure) // nothing has run; where a reset does not undo all that is not taken for sure
	}
	s.opEnds()
	s.values.count, s.values.number, s.values.lost = c.count, 0, false
	s.values.silent = !c.counted && s.mayHideCounts(c)
	if c.failed {
		s.values.number, s.values.told = c.number, false
	}
	if s.gone {
		c.active = false
		s.steps = nil
		s.cleanUp(o)
		return
	}
	if c.inserted && c.eff&sqltext.WritesScopeIdentity != 0 {
		s.values.base = baseOwn
	}
	if c.eff&sqltext.TxBegin != 0 && c.began {
		s.l.tells = tellsAll
	}
	v.bulk = c.bulk && !c.failed
	if c.assigns || c.failed && c.eff&sqltext.Assigns != 0 {
		s.assigned()
	}
	if c.eff&sqltext.SettingUnknown != 0 {
		s.askDue = true
	}
	if c.eff&sqltext.Resets != 0 && c.eff&sqltext.Unknown == 0 && !c.failed {
		s.clientResets()
		v.dirty = true // whether it has done all that a reset does is not known: the next request carries one
	}
	if len(c.objects) > 0 || c.cursor != 0 || c.eff&sqltext.Cursor != 0 || len(s.temps) > 0 {
		s.objectsEnd()
	}
	if c.eff&keeping != 0 {
		s.keptEnds()
	}
	s.formatEnds()
	if c.single {
		s.singleEnds()
	}
	if c.fatal { // the server closes it
		s.end()
		return
	}
	if s.doubts(c) {
		s.probe()
	}
	if s.askDue && !v.inTx && !v.bulk && len(s.steps) == 0 {
		s.steps = append(s.steps, step{kind: stepAsk, text: askSettings})
	}
	if len(s.steps) > 0 {
		s.next(o)
		return
	}
	s.end()
}

// mayHideCounts reports whether NOCOUNT may have been on while the request ran: then its counts are not told.
func (s *session) mayHideCounts(c *command) bool {
	return (s.want.Options|c.next.Options)&settings.NoCount != 0 || c.kind == tds.PacketRPC ||
		c.eff&(sqltext.Exec|sqltext.Dynamic|sqltext.SettingUnknown|sqltext.Unknown) != 0
}

// end says that nothing more is to be done for the client's request.
func (s *session) end() {
	s.srv.cmd.active = false
	s.ahead = 0
	if s.modules && !s.srv.inTx {
		s.modulesEnd()
	}
}

// assigned takes over the settings that the request has left.
func (s *session) assigned() {
	v := s.srv
	c := &v.cmd
	switch {
	case c.failed && c.eff&sqltext.Assigns != 0:
		// How far it has come is not known.
		if c.assigns && asked(s.want, c.next) {
			s.askDue = true
			return
		}
		s.unknownSettings()
	case c.assigns:
		s.setWant(c.next)
		v.have, v.fit = s.want, s.fit
	}
}
