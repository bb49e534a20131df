package postgres

import (
	"bytes"
	"encoding/binary"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/wire/pgwire"
)

// FromServer implements engine.Session. Rows and copy data stream through; of the other messages each ends the answer to
// something in the queue, tells of the session's state, or belongs to a request of Forebay's own.
func (s *session) FromServer(b []byte, o *engine.Output) int {
	v := s.srv
	i, from := 0, 0 // b[from:i] is to pass as it is
	if v.skip > 0 {
		i = min(v.skip, len(b))
		v.skip -= i
	}
	for len(b)-i >= pgwire.HeaderLen && v.skip == 0 && !o.CloseServer {
		size, err := pgwire.Size(b[i:])
		if err != nil {
			o.CloseServer = true
			break
		}
		typ := b[i]
		hiding := false
		if k := v.q.peek(); k >= localParse {
			if k < hiddenParse {
				o.Client.Pass(b[from:i])
				from = i
				s.releaseLocal(o)
			}
			hiding = v.hiding()
		}
		if len(b)-i < size {
			if !hiding && streams(typ, size) {
				v.skip = size - (len(b) - i)
				i = len(b)
			} else if size > maxInspected {
				o.CloseServer = true
			}
			break
		}
		body := b[i+pgwire.HeaderLen : i+size]
		if hiding && typ != pgwire.NotificationResponse {
			o.Client.Pass(b[from:i])
			i += size
			from = i
			s.hidden(typ, body, o)
			continue
		}
		if s.withheld(typ) {
			o.Client.Pass(b[from:i])
			i += size
			from = i
			continue
		}
		release := false // the answer at the head of the queue is complete
		switch typ {
		case pgwire.DataRow, pgwire.CopyData, pgwire.NoticeResponse:

		case pgwire.CommandComplete:
			switch k := v.q.peek(); k {
			case expectExecute:
				release = true
				s.completed(v.q.at(0).set, body)
			case expectQuery:
				s.completed(v.q.at(0).set, body)
			}

		case pgwire.ReadyForQuery:
			if v.healing {
				o.Client.Pass(b[from:i])
				i += size
				from = i
				s.healed(statusOf(body), o)
				continue
			}
			o.Client.Pass(b[from : i+size])
			i += size
			from = i
			s.ready(statusOf(body), o)
			continue

		case pgwire.ParseComplete:
			release = v.q.peek() == expectParse
		case pgwire.BindComplete:
			release = v.q.peek() == expectBind
		case pgwire.CloseComplete:
			release = v.q.peek() == expectClose
		case pgwire.RowDescription, pgwire.NoData:
			release = v.q.peek() == expectDescribe
		case pgwire.EmptyQueryResponse, pgwire.PortalSuspended:
			release = v.q.peek() == expectExecute

		case pgwire.CopyInResponse:
			s.copyIn()

		case pgwire.ErrorResponse:
			o.Client.Pass(b[from:i])
			from = i
			if s.failed(body, o) {
				i += size
				from = i
				continue
			}

		case pgwire.ParameterStatus:
			v.report(body)
			s.know(v.reported)

		case pgwire.NotificationResponse:
			if !s.listens() { // somebody else's, sent before the connection was made clean
				o.Client.Pass(b[from:i])
				i += size
				from = i
				continue
			}
			if len(body) >= 4 && binary.BigEndian.Uint32(body) == v.pid {
				// The session's own: it comes from the process id that the client was told at log-in.
				o.Client.Pass(b[from : i+pgwire.HeaderLen])
				o.Client.Set(binary.BigEndian.AppendUint32(o.Client.Grow(), s.id.PID))
				from = i + pgwire.HeaderLen + 4
			}
		}
		i += size
		if release {
			e := v.q.pop()
			if e.ref != nil {
				e.ref.proven = true
			}
			if e.kind == expectParse {
				v.parsed(e.ref)
			}
			if k := v.q.peek(); k == localParse || k == localClose || k == expectCopyEnd {
				o.Client.Pass(b[from:i])
				from = i
				s.releaseLocal(o)
			}
		}
	}
	v.answered = v.answered || o.Client.Len() > 0 || i > from
	if s.gone {
		o.Client.Reset()
	} else {
		o.Client.Pass(b[from:i])
	}
	return i
}

// streams reports whether a message may pass in pieces, without being looked into.
func streams(typ byte, size int) bool {
	switch typ {
	case pgwire.DataRow, pgwire.CopyData, pgwire.FunctionCallResponse:
		return true
	case pgwire.NoticeResponse, pgwire.RowDescription, pgwire.ParameterDescription:
		return size > maxInspected
	}
	return false
}

// completed looks at the tag of a command that has succeeded. set is the plain SET that ran, if one did.
func (s *session) completed(set *setting, body []byte) {
	v := s.srv
	if set != nil {
		if v.setBytes += len(set.name) + len(set.value) + 50; v.setBytes <= maxSettingsBytes {
			v.sets = append(v.sets, *set)
			v.setsSeen++
		} // else it is not seen, and the server will be asked
		return
	}
	if v.unread || s.atReader() {
		s.tagged(body)
	}
	if len(body) < 8 || body[0] != 'D' {
		return
	}
	switch tag := string(bytes.TrimRight(body, "\x00")); tag {
	case "DEALLOCATE ALL", "DISCARD ALL":
		// Also reached through functions and DO blocks, so not announced by the text.
		v.prepared.clear()
		v.unnamed, v.hasProbe = nil, false
		v.sqlOwner, v.sqlNames = nil, nil
		s.dropped, s.sql = names{}, nil
		s.sqlState++
		if tag == "DISCARD ALL" {
			v.effects |= sqltext.Look
			s.unnamed = nil
			s.unpin(pinSequence)
			s.forgetStatements()
		} else if s.dropped.byName == nil && v.effects&sqltext.DropsPrepared == 0 {
			s.forgetStatements()
		}
	case "DISCARD SEQUENCES":
		s.unpin(pinSequence)
		v.seqOwner = nil
	case "DISCARD PLANS", "DISCARD TEMP":
		v.effects |= sqltext.Look
	}
}

// forgetStatements drops the session's prepared statements that no message under way has made.
func (s *session) forgetStatements() {
	v := s.srv
	before := s.stmts
	s.stmts = names{}
	for i := range v.q.n {
		e := v.q.at(i)
		if e.ref != nil && before.byName[e.ref.name] == e.ref && (e.kind == expectParse || e.kind == localParse) {
			s.stmts.put(e.ref)
		}
	}
}

// copyIn notes that the server takes copy data. Of what was sent behind the COPY, up to the end of the data, it ignores
// every Sync: clients of the extended protocol send one at once and another after the data.
func (s *session) copyIn() {
	v := s.srv
	for i := 1; i < v.q.n; {
		switch v.q.at(i).kind {
		case expectCopyEnd:
			v.q.drop(i)
			if i == v.q.n {
				v.q.open = !v.q.at(i - 1).kind.endsCycle()
			}
			return
		case expectSync:
			v.q.drop(i)
			if i == v.q.n {
				v.q.open = !v.q.at(i - 1).kind.endsCycle()
			}
		default:
			i++
		}
	}
	v.copyIn = true
}

// failed handles an ErrorResponse. It reports whether the message is withheld from the client, or was replaced.
func (s *session) failed(body []byte, o *engine.Output) (withheld bool) {
	v := s.srv
	e := pgwire.ParseError(body)
	if e.Severity == "FATAL" || e.Severity == "PANIC" {
		// The server closes next. The client will hear of it in words that leave its own connection open.
		v.fatal = e
		return true
	}
	v.copyIn = false
	o.ReadOnly = o.ReadOnly || e.Code == "25006" // or the transaction alone is
	if stalePlan(e) {
		// The table has changed since the statement was prepared: whoever prepares it from now on gets a new one.
		s.l.db.generation.Add(1)
		s.l.counters.StatementsHealed++
		if s.heals(e, o) {
			return true
		}
	}
	v.failed = true
	if v.unread && v.tx == pgwire.Idle && !s.atReader() {
		v.effects |= sqltext.RoutineDDL // a DO may have committed before
	}
	head := v.q.peek()
	if head == 0 || head.endsCycle() {
		return false
	}
	if ref := v.q.at(0).ref; ref != nil {
		// The server says the name that the statement has there.
		switch {
		case head == expectParse && ref.dup && e.Code == "42P05":
			o.Client.Set(pgwire.AppendError(o.Client.Grow(), &pgwire.Error{
				Severity: "ERROR", Code: e.Code, Message: `prepared statement "` + ref.name + `" already exists`,
			}))
			withheld = true
		case ref.full && e.Code == "42601":
			o.Client.Set(pgwire.AppendError(o.Client.Grow(), &fullError))
			withheld = true
		case head != expectParse && e.Code == "26000":
			v.prepared.clear() // a function may have dropped them all
			o.Client.Set(pgwire.AppendError(o.Client.Grow(), &pgwire.Error{
				Severity: "ERROR", Code: e.Code, Message: `prepared statement "` + ref.name + `" does not exist`,
			}))
			withheld = true
		}
	}
	if !v.undo(s) {
		s.skipToSync = true
	}
	return withheld
}

// ready handles a ReadyForQuery that the client has been passed.
func (s *session) ready(status byte, o *engine.Output) {
	v := s.srv
	for v.q.n > 0 {
		if v.q.pop().kind.endsCycle() {
			break
		}
	}
	v.begin(s.l)
	before := v.tx
	s.transact(status)
	v.copyIn = false
	if status == pgwire.Idle {
		s.l.counters.Transactions++
	}
	if len(v.sets) > 0 {
		s.settle(before, status)
	}
	v.setBytes = 0
	switch {
	case s.dropped.byName == nil:
	case s.dropIn > 0:
		s.dropIn-- // this was a cycle before
	case v.failed:
		s.restoreDropped()
	default:
		s.dropped = names{}
	}
	v.failed, s.ended = false, false
	if v.q.n > 0 {
		v.unseen = v.unseen || status == pgwire.Idle && v.effects&sqltext.Look != 0
		s.releaseLocal(o)
	}
	if v.q.n == 0 {
		if v.setsSent != v.setsSeen {
			v.effects |= sqltext.Look // one that failed, or ran in a way that was not seen
		}
		v.setsSent, v.setsSeen = 0, 0
		v.named, v.namedBefore = 0, 0
		c := s.l.counters
		c.QueryNanos += uint64(*c.Now - v.since)
		c.QueryCycles++
		if status == pgwire.Idle && v.effects != 0 {
			s.look(o)
		} else if status == pgwire.Idle && v.fit != s.want {
			s.apply(o) // requests were under way when a look found out
		}
	}
}

// transact takes over the transaction status that the server has reported.
func (s *session) transact(status byte) {
	v := s.srv
	if was, is := v.tx != pgwire.Idle, status != pgwire.Idle; was != is {
		if is {
			s.l.counters.InTransaction++
		} else {
			s.l.counters.InTransaction--
		}
	}
	v.tx = status
}

// settle takes over the plain SETs that succeeded in the cycle just ended: at once where the cycle was a transaction of
// its own, else the server is asked when the transaction has ended.
func (s *session) settle(before, status byte) {
	v := s.srv
	if before == pgwire.Idle && status == pgwire.Idle && !v.failed && v.effects&(sqltext.TxControl|sqltext.Look) == 0 {
		start := settingsOf(s.startup)
		have, want := settingsOf(v.fit), settingsOf(s.want)
		known := true
		for _, c := range v.sets {
			switch c.name {
			case settingDateStyle:
				_, twice := have.find(c.name)
				known = known && (!twice || c.reset)
			case "client_encoding":
				known = known && have.ascii() && want.ascii() // the others are as typed
			}
			have, want = have.with(c), want.with(c)
			if c.reset {
				if value, ok := start.find(c.name); ok {
					want = want.with(setting{name: c.name, value: value})
				}
			}
		}
		if known && want.carried() && !s.pinnedFor(pinLargeSettings) {
			v.fit, s.want = have.fit(), want.fit()
		} else {
			v.effects |= sqltext.Look // the server is asked
		}
	} else {
		v.effects |= sqltext.Look
	}
	clear(v.sets)
	v.sets = v.sets[:0]
}

// restoreDropped gives the session the names back that a DEALLOCATE ALL would have taken, had it succeeded.
func (s *session) restoreDropped() {
	for name, ref := range s.dropped.byName {
		if s.stmts.byName[name] == nil {
			s.stmts.put(ref)
		}
	}
	s.dropped = names{}
}

// hidden handles the answer to a request of Forebay's own.
func (s *session) hidden(typ byte, body []byte, o *engine.Output) {
	v := s.srv
	kind := v.q.peek()
	switch typ {
	case pgwire.ParameterStatus:
		v.report(body)
		if kind == hiddenAmid { // what is behind a RESET: servers before PostgreSQL 14 report at once
			s.show(v.reported, o)
		}
		return
	case pgwire.NoticeResponse:
		return
	case pgwire.ErrorResponse:
		e := pgwire.ParseError(body)
		if e.Code == "42P05" {
			v.effects |= sqltext.Look // a function has made a statement of that name: it is the session's
		}
		switch {
		case e.Severity == "FATAL" || e.Severity == "PANIC":
			v.fatal = e
		case !kind.endsCycle():
			// Made for a message of the client's behind it, whose error this is therefore.
			if v.skipsQuery() {
				o.CloseServer = true
				return
			}
			v.failed = true
			dst := append(o.Client.Grow(), pgwire.ErrorResponse)
			dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(body)))
			o.Client.Set(append(dst, body...))
			if !v.undo(s) {
				s.skipToSync = true
			}
		default:
			v.hiddenErr = e
		}
		return
	case pgwire.DataRow:
		if kind == hiddenProbe {
			v.probe.row(body)
		}
		return
	case pgwire.ParseComplete:
		if kind == hiddenParse {
			v.q.pop()
			s.releaseLocal(o)
		}
		return
	case pgwire.CloseComplete:
		if kind == hiddenClose || kind == hiddenAmid {
			v.q.pop()
			s.releaseLocal(o)
		}
		return
	case pgwire.ReadyForQuery:
	default:
		return
	}
	s.transact(statusOf(body))
	if !kind.endsCycle() {
		o.CloseServer = true // an answer that was not asked for
		return
	}
	e := v.q.pop()
	if s.dropped.byName != nil && s.dropIn > 0 {
		s.dropIn--
	}
	switch kind {
	case hiddenApply:
		s.applied(o)
	case hiddenSet:
		if v.hiddenErr != nil {
			o.CloseServer = true // it is not in the state that we thought
		}
	case hiddenNamed:
		if v.hiddenErr != nil { // the server says to what names the statement that there is none
			v.hiddenErr = nil
			v.forgetSQL(e.ref)
			s.takeBack(&e)
		}
	case hiddenAbort:
		v.hiddenErr = nil
		if v.tx != pgwire.Failed {
			o.CloseServer = true
		}
	case hiddenReset:
		if v.hiddenErr != nil || v.tx != pgwire.Idle {
			o.CloseServer = true
			return
		}
		v.fit = noSettings
	case hiddenProbe:
		s.looked(o)
	}
	if v.q.n > 0 {
		s.releaseLocal(o)
	} else if v.tx == pgwire.Idle && v.effects != 0 && !o.CloseServer {
		s.look(o)
	}
}
