package sqlserver

import (
	"log/slog"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/engine/sqlserver/sqltext"
	"forebay/internal/wire/tds"
)

// step is a request of Forebay's own: the client never sees its answer.
type step struct {
	kind  stepKind
	text  string // a batch
	reset bool   // it resets the session first
	keep  bool   // but not its transaction
	stmt  *stmt
	ids   restoredIDs // stepRestore
}

// restoredIDs says which identities of a session a step puts back.
type restoredIDs uint8

const (
	noIDs  restoredIDs = iota // it leaves them as they are
	oneID                     // one, and the other one takes that value, too
	allIDs                    // both are right
)

type stepKind uint8

const (
	stepSet      stepKind = iota + 1 // makes settings fit
	stepPrepare                      // prepares stmt
	stepProbe                        // asks whether a transaction is open
	stepClean                        // makes the connection clean: the client has left
	stepIdentity                     // asks what @@IDENTITY and SCOPE_IDENTITY() are
	stepInit                         // runs init_query again, which a reset has undone
	stepAsk                          // asks what the settings are
	stepRestore                      // puts back what the last request has left
	stepThere                        // goes to where a statement is to be prepared, and back
	stepReset                        // resets the session, and no more
)

// Probes of transactions. The first one shows, besides, whether the server tells of transactions that a text begins.
const (
	probeTells = "IF @@TRANCOUNT=0 BEGIN BEGIN TRAN;COMMIT TRAN END;SELECT @@TRANCOUNT"
	probePlain = "SELECT @@TRANCOUNT"
)

// probeEnds ends a transaction before a reset: Babelfish's ends that, too, but leaves @@TRANCOUNT, which no ROLLBACK brings down then.
const probeEnds = textNothing + ";" + probePlain

// textNothing does nothing: for a reset that goes on its own.
const textNothing = "IF @@TRANCOUNT>0 ROLLBACK TRAN"

// next sends the next step, if one is due.
func (s *session) next(o *engine.Output) {
	v := s.srv
	if len(s.steps) == 0 || v.step != 0 {
		return
	}
	st := s.steps[0]
	v.step, v.stepFail, v.row = st.kind, false, nil
	v.lastOwner = nil
	if st.kind == stepProbe {
		s.l.counters.Probes++
	}
	data := tds.AppendAllHeaders(nil, v.version, v.descriptor)
	kind := tds.PacketSQLBatch
	if st.kind == stepPrepare {
		kind = tds.PacketRPC
		data = st.stmt.appendPrepare(data, v)
	} else {
		if v.features.ColumnEncryption >= 2 {
			data = append(data, 0, 0)
		}
		data = tds.AppendText(data, st.text)
	}
	var status tds.PacketStatus
	if st.reset || v.resetDue {
		v.resetDue = false
		status = tds.StatusResetConnection
		if st.keep {
			status = tds.StatusResetConnectionSkip
		}
	}
	o.Server.Set(tds.AppendMessage(o.Server.Grow(), kind, status, v.packetSize, 0, data))
	s.expect(status != 0)
	if status != 0 {
		v.wasReset(st.keep)
	}
	v.scan.Capture = true
}

// expect says that a request is on its way to the server.
func (s *session) expect(reset bool) {
	v := s.srv
	v.due, v.begins, v.resets, v.reset, v.cut = true, true, reset, false, false
	v.since = *s.l.counters.Now
}

// stepped handles the end of a step.
func (s *session) stepped(o *engine.Output) {
	v := s.srv
	st := s.steps[0]
	if s.steps = s.steps[1:]; len(s.steps) == 0 {
		s.steps = nil
	}
	v.step, v.scan.Capture = 0, false
	if st.kind == stepPrepare && !v.stepFail {
		s.prepares = true
		if _, ok := v.prepared[st.stmt.key]; !ok { // it has told of no handle
			v.stepFail, v.stepErr = true, tds.Head{Number: numberLost, State: 1}
		}
	}
	if v.stepFail {
		s.stepFailed(st, o)
		return
	}
	switch st.kind {
	case stepSet:
		v.have, v.fit = s.want, s.fit
		v.ownedBy(s)
		s.l.counters.Replays++
	case stepInit:
		v.have = v.afterInit(v.have)
		v.fit = v.have.Fit()
		v.ownedBy(s)
		v.bare = false
	case stepProbe:
		s.probed(st, o)
		if s.askDue && !v.inTx && !o.CloseServer {
			s.steps = append(s.steps, step{kind: stepAsk, text: askSettings})
		}
	case stepAsk:
		s.told()
	case stepClean:
		if v.inTx {
			o.CloseServer = true
			return
		}
		s.cleaning = false
		v.owner = nil
		v.have.Isolation, v.have.Database = v.login.Isolation, v.login.Database
		v.fit = v.have.Fit()
	case stepReset:
		o.CloseServer = v.inTx && !st.keep
	case stepIdentity:
		if s.gone {
			s.cleanUp(o)
			return
		}
		s.identityRead(o)
	case stepRestore:
		s.restored = true
		switch st.ids {
		case oneID:
			v.idOwner, v.idNull, v.idValue = nobody, false, ""
		case allIDs:
			v.idOwner, v.idTurn, v.idNull, v.idValue = s, s.values.idTurn, false, ""
		}
	}
	if o.CloseServer {
		return
	}
	s.next(o)
	if len(s.steps) == 0 && v.cmd.active && !v.due {
		s.end()
	}
}

// stepFailed handles the failure of a step.
func (s *session) stepFailed(st step, o *engine.Output) {
	v := s.srv
	if st.kind == stepAsk { // a server that is only like SQL Server
		s.unknownSettings()
		s.next(o)
		if len(s.steps) == 0 {
			s.end()
		}
		return
	}
	if st.kind == stepRestore {
		s.cannotRestore()
		v.idOwner, v.idNull, v.idValue = nobody, false, "" // what it has left of them is not known
		if v.stepErr.Number == numberRaised {              // nothing is amiss but that
			s.l.forgets = true
			s.steps = nil
			s.pending = false
			return
		}
	}
	m := &tds.Message{Number: v.stepErr.Number, State: v.stepErr.State, Class: 16, Line: 1}
	switch st.kind {
	case stepSet:
		m.Text = "The session's settings could not be restored on another server connection of the proxy."
	case stepPrepare, stepThere:
		m.Text = "A prepared statement could not be prepared again on another server connection of the proxy."
	}
	if m.Text != "" && s.refuse == nil {
		s.refuse = m
	}
	if st.kind == stepPrepare { // nothing is amiss but the statement
		o.CloseServer = len(s.steps) > 0 // it is not back
		s.steps = nil
		s.pending = false
		return
	}
	s.l.db.log.Warn("a request of Forebay's own failed on a server connection, which is closed", slog.Int("error", int(v.stepErr.Number)), slog.Int("step", int(st.kind)))
	s.steps = nil
	o.CloseServer = true
}

// adapt has the server connection made ready for a request of the session. It reports false when steps go first.
func (s *session) adapt() bool {
	v := s.srv
	v.resetDue = false                                       // or of a request that was refused
	tooMany := v.handles > v.db.maxPrepared() && !s.prepares // or those of one request would be made again and again
	foreign := v.dirty && !v.isOf(s) || tooMany && len(s.pins) == 0
	if v.fit == s.fit && !foreign && !v.bare {
		return true
	}
	if v.bare && !foreign && !v.inTx && len(s.pins) == 0 { // that would go with the reset
		if v.bare = false; s.initAgain() {
			return false
		}
		if v.fit == s.fit {
			return true
		}
	}
	reset := foreign || !v.have.Reaches(s.want) || v.unsayable(s.want)
	if v.inTx { // it is the session's own
		reset = false
	}
	from := v.have
	if reset {
		if from = v.afterReset(); !v.startOf(from).Reaches(s.want) {
			s.moves = true
			return false
		}
		q := s.l.db.proxy.Load().Pool.InitQuery
		if (from != s.want || q != "") && v.isOf(s) && s.asksIdentity() {
			return false
		}
		if s.initAgain() {
			return false
		}
	}
	if from == s.want {
		v.resetDue = reset
		return true
	}
	s.steps = append(s.steps, step{kind: stepSet, text: string(from.Text(s.want)), reset: reset})
	return false
}

// initAgain has the proxy's init_query run again behind a reset, if there is one.
func (s *session) initAgain() bool {
	q := s.l.db.proxy.Load().Pool.InitQuery
	if q == "" {
		return false
	}
	s.steps = append(s.steps, step{kind: stepInit, text: s.srv.relogin() + q, reset: true})
	return true
}

// clientResets does what a client asks for with the reset bit of its request, or its sp_reset_connection, as far as the
// session is concerned.
func (s *session) clientResets() {
	if s.srv != nil && s.outlasts() {
		s.srv.retire = true // the session goes on with it; nobody else will
	}
	s.resets++
	s.setWant(s.startup)
	s.unpinAll()
	s.forgetState()
	s.stmts, s.stmtBytes = nil, 0
	s.values = lastValues{idTurn: s.values.idTurn + 1, countTurn: s.values.countTurn + 1}
	s.values.identityKnown, s.values.identity, s.values.scope = true, "NULL", "NULL"
}

// resetFor makes the reset that the client has asked for with its request. It reports whether the request can be sent now,
// and whether it is to carry the bit.
func (s *session) resetFor(skip bool) (now, bit bool) {
	v := s.srv
	if s.resetYet {
		return true, false
	}
	if v.inTx && !skip && s.endsFirst() {
		s.untold(skip)
		return false, false
	}
	s.clientResets()
	after := v.afterReset()
	if !after.Reaches(s.want) && !(skip && v.inTx) {
		s.moves = true // or it would see what another session has set, or itself before
		s.untold(skip)
		s.transaction(false) // the reset has ended that, and what rows were to come
		v.bulk = false
		return false, false
	}
	s.resetYet = true
	if !v.inTx && !v.dirty && v.have == s.want {
		s.insert = true // it is as a reset would leave it
		return true, false
	}
	if after == s.want && s.l.db.proxy.Load().Pool.InitQuery == "" {
		return true, true
	}
	s.untold(skip)
	s.insert = true
	if s.initAgain() { // the rest of the settings follows
		s.steps[len(s.steps)-1].keep = skip && v.inTx
		return false, false
	}
	if !after.Reaches(s.want) {
		v.retire = true
	}
	s.steps = append(s.steps, step{kind: stepSet, text: string(after.Text(s.want)), reset: true, keep: skip && v.inTx})
	return false, false
}

// endsFirst has a transaction that may be open end before a reset, where that leaves something of it. It reports whether it does.
func (s *session) endsFirst() bool {
	if !s.srv.survivors.TranCount {
		return false
	}
	s.steps = append(s.steps, step{kind: stepProbe, text: probeEnds})
	return true
}

// untold notes that a reset ends a transaction in the answer to a step, which the client does not see.
func (s *session) untold(skip bool) {
	if v := s.srv; v.inTx && !skip && !v.silent {
		d := v.descriptor
		s.lostTx = &d
	}
}

// stepsFirst has the reset of a client go with the step that has to go before its request.
func (s *session) stepsFirst(skip bool) {
	if len(s.steps) == 0 {
		return
	}
	s.untold(skip)
	s.insert = true
	s.steps[0].reset, s.steps[0].keep = true, skip && s.srv.inTx
}

// resetUnsent does the reset that a client has asked for with a request that will not be sent, if it has. What is sent to the client
// next tells it so.
func (s *session) resetUnsent(h tds.Header, o *engine.Output) {
	yet := s.resetYet
	s.unpend()
	if h.Status&(tds.StatusResetConnection|tds.StatusResetConnectionSkip) == 0 {
		return
	}
	s.insert = true
	skip := h.Status&tds.StatusResetConnectionSkip != 0
	if !yet {
		s.clientResets()
	}
	if v := s.srv; v != nil && (v.inTx || v.dirty) {
		s.untold(skip)
		s.steps = nil
		st := step{kind: stepReset, text: textNothing, reset: true, keep: skip && v.inTx}
		if skip {
			st.text = "SELECT 1"
		} else if v.inTx {
			s.endsFirst()
		}
		s.steps = append(s.steps, st)
		s.next(o)
	}
}

// doubts reports whether it has to be asked whether a transaction is open, behind a request with these effects.
func (s *session) doubts(c *command) bool {
	v := s.srv
	if s.l.tells == tellsAll || s.pinnedFor(pinFixed) {
		return false
	}
	if s.want.Options&settings.ImplicitTransactions != 0 {
		return true
	}
	return c.eff&(sqltext.TxBegin|sqltext.TxCommit|sqltext.TxRollback|sqltext.Exec|sqltext.Dynamic|sqltext.Unknown|sqltext.Unclear|sqltext.Resets) != 0 ||
		v.inTx && c.failed
}

func (s *session) probe() {
	text := probePlain
	if s.l.tells == tellsUnknown && !s.srv.inTx && s.want.Options&settings.ImplicitTransactions == 0 && !s.srv.unsure {
		text = probeTells
	}
	s.steps = append(s.steps, step{kind: stepProbe, text: text})
}

// probed takes over the answer to a probe.
func (s *session) probed(st step, o *engine.Output) {
	v := s.srv
	if len(v.row) != 1 || len(v.row[0]) != 4 {
		o.CloseServer = true
		return
	}
	if st.text == probeTells && s.l.tells == tellsUnknown {
		s.l.tells = tellsNothing
	}
	open := v.row[0][0]|v.row[0][1]|v.row[0][2]|v.row[0][3] != 0
	if open && st.text == probeEnds {
		o.CloseServer = true
		return
	}
	if open && !v.inTx {
		v.silent = true
	}
	s.transaction(open)
	if !open {
		v.descriptor = [8]byte{}
		v.silent = false
	}
}

// transaction says that a transaction is open, or none.
func (s *session) transaction(open bool) {
	v := s.srv
	switch {
	case open && !v.inTx:
		s.l.counters.InTransaction++
	case !open && v.inTx:
		s.l.counters.InTransaction--
	}
	v.inTx = open
}
