package postgres

import (
	"crypto/subtle"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/wire/pgwire"
)

// maxInspected is the largest message, in bytes, that is collected whole to be looked into: statement texts, mostly.
// Larger ones stream through, and the state that they may leave is unknown: the server connection is not used again.
const maxInspected = 1 << 20

// session is the protocol state of one client. It is kept small: there are tens of thousands. Owned by loop.
type session struct {
	// What each transaction touches comes first, close together: with thousands of clients it is rarely in the processor's
	// cache.
	l           *local
	srv         *server       // nil while no server connection is lent
	want        engine.Fit    // settings that the session has
	shown       reported      // ParameterStatus as the client knows it
	refuse      *pgwire.Error // answer to the next request
	unnamed     *stmt
	bound       *stmt  // what the unnamed portal was last bound to
	skip        int    // bytes still to pass of the message that the client is sending
	greeting    []byte // what the welcome begins with; nil once sent
	pins        engine.Pins[pinReason]
	mode        sqltext.Mode // how texts are to be read
	skipToSync  bool         // the server ignores everything up to Sync, and so do we
	waitApply   bool         // the client is not read until the server connection has taken the settings
	again       bool         // requests are being sent once more: see heal.go
	guarded     bool         // a reader serves the transaction
	stepwise    bool         // one cycle at a time is sent: see readonly.go
	ended       bool         // in this cycle, the transaction that only reads
	aborted     bool         // the server connection was lost in a transaction: the client must end it first
	gone        bool         // the client has left
	cleaning    bool         // and the server connection is being made clean
	refused     bool         // the client has been sent refuse, and is to send Sync
	discardEnds bool         // when discard is done the refusal is answered

	id         engine.SessionID
	startup    engine.Fit // settings that it asked for at the start: RESET goes back to them
	stmts      names
	dropped    names     // stmts before a DEALLOCATE ALL that has not succeeded yet
	dropIn     int       // answers that end with ReadyForQuery and are due before that of the DEALLOCATE ALL
	sql        []sqlStmt // SQL-level prepared statements
	sqlState   uint64    // counts what was taken out of sql
	custom     []string  // custom settings that the session has mentioned
	seqAt      *server   // where the session's statements last touched a sequence
	minor      int       // protocol 3.minor
	discard    int       // bytes still to drop of the message that the client is sending, where there is no server connection
	applyTries int       // to make a server connection take the settings, after the first, that have come to nothing
}

// sqlStmt is a prepared statement made with SQL's PREPARE.
type sqlStmt struct {
	name    string
	text    string // the PREPARE itself
	effects sqltext.Effects
}

// Start implements engine.Session.
func (s *session) Start(o *engine.Output) bool {
	s.beginWithInitial()
	if w, ok := s.l.db.welcomeFor(s.startup); ok {
		s.welcome(w, o)
		return false
	}
	return true
}

// beginWithInitial gives the session the settings that init_query makes, under those that the client asked for. It is called
// again when the session has its first server connection: only then they may be known.
func (s *session) beginWithInitial() {
	initial := s.l.db.initial.Load()
	if initial == nil {
		return
	}
	start := *initial
	for _, e := range settingsOf(s.startup) {
		start = start.with(e)
	}
	s.startup = start.fit()
	s.want = s.startup
}

// welcome ends the connection phase in the client's eyes.
func (s *session) welcome(w welcome, o *engine.Output) {
	dst := append(o.Client.Grow(), s.greeting...)
	s.greeting = nil
	s.shown, s.mode = w.shown, w.mode
	dst = append(dst, w.bytes...)
	secret := s.id.Secret[:4]
	if s.minor >= 2 {
		secret = s.id.Secret[:]
	}
	dst = pgwire.AppendBackendKeyData(dst, s.id.PID, secret)
	o.Client.Set(pgwire.AppendReadyForQuery(dst, pgwire.Idle))
}

// Fit implements engine.Session.
func (s *session) Fit() engine.Fit { return s.want }

// Takes implements engine.Session: any will do.
func (s *session) Takes(engine.Server) bool { return true }

// Keeps implements engine.Session: nothing that a client can ask for is told by the server connection alone.
func (s *session) Keeps() bool { return false }

// Killed implements engine.Session. There is no such request in this protocol.
func (s *session) Killed(bool, *engine.Output) {}

// Attach implements engine.Session.
func (s *session) Attach(sv engine.Server, o *engine.Output) {
	v := sv.(*server)
	s.srv = v
	v.begin(s.l)
	v.effects, v.unseen, v.routineDDL = 0, false, false
	v.since = *s.l.counters.Now // making it ready is part of the database's time
	if v.sqlOwner != nil && (v.sqlOwner != s || v.sqlState != s.sqlState) {
		v.dropSQLStatements(o)
	}
	if s.l.db.sequences.Load() && v.seqOwner != s && v.seqOwner != nil {
		v.forgetSequences(s, o)
	}
	if s.greeting != nil {
		s.beginWithInitial()
	}
	switch {
	case v.tainted != nil && v.tainted != s:
		v.resetAll(o)
		s.apply(o)
	case v.fit != s.want:
		s.apply(o)
	case s.greeting != nil:
		s.welcome(s.l.db.newWelcome(s.startup, v.reported), o)
	case v.reported != s.shown:
		s.show(v.reported, o)
	}
	if s.aborted {
		s.abort(o)
	}
}

// Detach implements engine.Session.
func (s *session) Detach() {
	if s.srv != nil && s.srv.tx != pgwire.Idle {
		s.l.counters.InTransaction-- // it is closed with its transaction open
	}
	if s.srv != nil && (s.changesRoutines() || s.awaitsUnread()) { // how it ends will not be known
		s.l.db.staleRoutines()
	}
	s.srv = nil
	s.bound = nil
	s.skipToSync = false
	s.waitApply = false
	s.stepwise, s.ended, s.guarded = false, false, false
}

// apply makes the server connection's settings those of the session.
func (s *session) apply(o *engine.Output) {
	v := s.srv
	have, want := settingsOf(v.fit), settingsOf(s.want)
	c := between(have, want, v.encoding)
	if !c.safe || s.greeting != nil || limited(have) || limited(want) || s.applyTries > 0 {
		s.waitApply = true
		c = between(v.liftLimits(have, o), want, v.encoding)
	}
	v.simple(c.sql, hiddenApply, o)
	v.applying = s.want
	s.l.counters.Replays++
}

// maxApplyTries is how often settings are applied again that something passing has kept from being applied. Past it the
// client's connection ends: its statements must not run with other settings.
const maxApplyTries = 10

// transient reports whether an error may be gone when the same is tried again: a cancel request or a time limit (57014), a
// lock (55P03, 40), a lack of resources (53).
func transient(code string) bool {
	return code == codeQueryCanceled || code == "55P03" || strings.HasPrefix(code, "40") || strings.HasPrefix(code, "53")
}

// applied ends apply.
func (s *session) applied(o *engine.Output) {
	v := s.srv
	waited := s.waitApply
	s.waitApply = false
	if e := v.hiddenErr; e != nil {
		v.hiddenErr = nil
		if transient(e.Code) && (waited || !v.visible() && !v.q.open) && s.applyTries < maxApplyTries {
			s.applyTries++
			s.apply(o) // all or none: nothing has changed
			return
		}
		if s.greeting != nil {
			// A startup parameter that the server does not take: it would have refused the client, so do we.
			s.greeting = nil
			s.fatal(&pgwire.Error{Code: e.Code, Message: e.Message, Detail: e.Detail, Hint: e.Hint}, o)
			return
		}
		if !waited {
			o.CloseServer = true // what the client sent behind has run with other settings
		}
		s.fatal(&pgwire.Error{Code: e.Code, Message: "the session's settings could not be restored: " + e.Message, Detail: e.Detail, Hint: e.Hint}, o)
		return
	}
	s.applyTries = 0
	v.fit = v.applying
	if s.greeting != nil {
		s.welcome(s.l.db.newWelcome(s.startup, v.reported), o)
		return
	}
	if v.reported != s.shown {
		s.show(v.reported, o)
	}
}

// show tells the client of reported settings that differ from what it knows.
func (s *session) show(now reported, o *engine.Output) {
	old, dst := settingsOf(s.shown), o.Client.Grow()
	for _, e := range settingsOf(now) {
		if v, ok := old.find(e.name); !ok || v != e.value {
			dst = pgwire.AppendParameterStatus(dst, e.name, e.value)
		}
	}
	o.Client.Set(dst)
	s.know(now)
}

// know takes over what the client knows of its settings.
func (s *session) know(now reported) {
	s.shown = now
	s.mode = modeOf(now)
}

// modeOf says how statement texts are to be read with these settings.
func modeOf(now reported) sqltext.Mode {
	conforming, _ := settingIn(now, "standard_conforming_strings")
	encoding, _ := settingIn(now, "client_encoding")
	if conforming == "on" && !unsafeEncodings[encoding] {
		return sqltext.Standard
	}
	return 0
}

// unsafeEncodings may have an ASCII byte, a backslash too, as the second byte of a character.
var unsafeEncodings = map[string]bool{
	"BIG5": true, "GB18030": true, "GBK": true, "JOHAB": true, "SHIFT_JIS_2004": true, "SJIS": true, "UHC": true,
}

// abort puts the server connection into a failed transaction: the client's own was lost with another connection, and
// everything but its end is to be refused, which the server itself does best.
func (s *session) abort(o *engine.Output) {
	s.aborted = false
	s.srv.simple(`BEGIN; ROLLBACK TO SAVEPOINT "forebay: this transaction was lost with its server connection"`, hiddenAbort, o)
}

// Open implements engine.Session.
func (s *session) Open() bool {
	// While requests are about to be sent once more, none may get ahead of them.
	return !s.waitApply && (s.srv == nil || s.srv.q.n < maxOutstanding && !s.srv.healing)
}

// Done implements engine.Session.
func (s *session) Done() bool {
	return s.srv != nil && s.srv.idle() && s.skip == 0 && !s.skipToSync && len(s.pins) == 0 && s.greeting == nil
}

// Busy implements engine.Session.
func (s *session) Busy() bool {
	return s.srv != nil && (s.srv.tx != pgwire.Idle || s.srv.q.n > 0 || s.srv.q.open || s.skip > 0)
}

// Pinned implements engine.Session.
func (s *session) Pinned() string {
	if len(s.pins) == 0 {
		return ""
	}
	return s.pins[0].Reason
}

// Retire implements engine.Session.
func (s *session) Retire() bool { return s.srv != nil && s.srv.retire }

// Matches implements engine.Session.
func (s *session) Matches(c *engine.Cancel) bool {
	secret := s.id.Secret[:4]
	if s.minor >= 2 {
		secret = s.id.Secret[:]
	}
	return c.PID == s.id.PID && subtle.ConstantTimeCompare(c.Secret, secret) == 1 && s.Interrupt()
}

// Interrupt implements engine.Session.
func (s *session) Interrupt() bool { return !s.applies() }

// applies reports whether the server connection's settings are being changed. A cancel request would hit that, and let
// what the client has sent behind run with another session's settings: it comes too early, as with any server.
func (s *session) applies() bool {
	if s.srv == nil {
		return false
	}
	for i := range s.srv.q.n {
		if s.srv.q.at(i).kind == hiddenApply {
			return true
		}
	}
	return false
}

// Describe implements engine.Session.
func (s *session) Describe() engine.SessionInfo {
	info := engine.SessionInfo{PID: s.id.PID, Pins: s.pins, State: "idle"}
	info.Application, _ = settingIn(s.shown, "application_name")
	if s.srv != nil {
		switch {
		case s.srv.q.n > 0:
			info.State = "active"
		case s.srv.tx == pgwire.InTransaction:
			info.State = "idle in transaction"
		case s.srv.tx == pgwire.Failed:
			info.State = "idle in failed transaction"
		}
	}
	return info
}

// Refuse implements engine.Session.
func (s *session) Refuse(err error, o *engine.Output) {
	e := errorOf(err)
	if s.greeting != nil {
		s.greeting = nil
		s.fatal(e, o)
		return
	}
	e.Severity = "ERROR"
	s.refuse = e
}

// Refusing implements engine.Session.
func (s *session) Refusing() bool { return s.refuse != nil }

// fatal ends the client's connection with an error.
func (s *session) fatal(e *pgwire.Error, o *engine.Output) {
	e.Severity = "FATAL"
	o.Client.Set(pgwire.AppendError(o.Client.Grow(), e))
	o.CloseClient = true
}

// End implements engine.Session.
func (s *session) End(err error, o *engine.Output) {
	s.fatal(errorOf(err), o)
}

// ServerLost implements engine.Session. The client keeps its connection: each request that was outstanding is answered
// with an error, and a transaction that was open is failed until the client ends it.
func (s *session) ServerLost(err error, o *engine.Output) {
	v := s.srv
	if s.gone || v == nil {
		return
	}
	e := lostError(v.fatal, err)
	if s.applies() {
		s.applyTries++ // a transaction_timeout among the settings may have ended it
	}
	if s.greeting != nil || s.applyTries > maxApplyTries {
		s.greeting = nil
		s.fatal(e, o)
		return
	}
	if v.skip > 0 {
		// The client has half a message: there is no way to go on.
		o.CloseClient = true
		return
	}
	open := v.tx != pgwire.Idle
	unknown := v.effects&sqltext.Look != 0 || v.probing()
	pinned, kept := len(s.pins) > 0, s.pinnedFor(pinLargeSettings) || s.pinnedFor(pinUnverified)
	if unknown || s.pinnedFor(pinSQLStatement) { // what it has left of them is not known
		s.sql = nil
		s.sqlState++ // other server connections may still have some
	}
	s.unpinAll()
	if unknown && !open || v.unseen || kept {
		// Statements that may have changed the session's settings succeeded, but what they are is lost; or nobody else has
		// them.
		e.Detail = "The session's settings were lost with its server connection."
		s.fatal(e, o)
		return
	}
	status := byte(pgwire.Idle)
	if open {
		status = pgwire.Failed
		s.aborted = true
	}
	for i := v.q.n - 1; i >= 0; i-- {
		s.takeBack(v.q.at(i)) // newest first: a name closed and made anew gets its old meaning back
	}
	s.takeBackCycle()
	if s.dropped.byName != nil {
		s.restoreDropped()
		s.dropIn = 0
	}
	answered, unsynced := false, v.failed || v.copyIn || v.q.open
	dst := o.Client.Grow()
	for v.q.n > 0 {
		k := v.q.pop().kind
		switch {
		case k.hidden():
		case k.endsCycle():
			dst = pgwire.AppendReadyForQuery(pgwire.AppendError(dst, e), status)
			answered, unsynced = true, v.q.open
		default:
			unsynced = true // only a Sync still to come will have it answered
		}
	}
	o.Client.Set(dst)
	// The rest of a message that the client is sending is dropped.
	s.discard, s.skip = s.skip, 0
	if unsynced && !v.failed && !s.skipToSync && s.discard == 0 {
		// It may wait for an answer that it has asked for with Flush: it is told now, and Sync ends it.
		o.Client.Set(pgwire.AppendError(o.Client.Grow(), e))
		s.refused = true
	}
	if unsynced || s.skipToSync || !answered && (open || pinned || s.discard > 0) {
		s.refuse = e // the client has yet to hear of it
	}
}

// ClientGone implements engine.Session.
func (s *session) ClientGone(o *engine.Output) bool {
	s.gone = true
	v := s.srv
	if v == nil {
		return false
	}
	if v.visible() || v.q.open || v.skip > 0 || s.skip > 0 || v.copyIn || v.retire || s.skipToSync || s.sticky() ||
		v.effects&(sqltext.Load|sqltext.Opaque) != 0 { // in a transaction still open; rolling back does not undo them
		s.unpinAll()
		return false
	}
	if v.tx == pgwire.Idle && len(s.pins) == 0 && v.effects&sqltext.Look == 0 {
		return true
	}
	s.clean(o)
	return true
}

// clean makes the server connection as new: the client has left state behind.
func (s *session) clean(o *engine.Output) {
	v := s.srv
	s.cleaning = true
	s.unpinAll()
	dst := o.Server.Grow()
	if v.tx != pgwire.Idle {
		dst = pgwire.AppendQuery(dst, "ROLLBACK")
		v.q.push(expect{kind: hiddenReset})
	}
	dst = pgwire.AppendQuery(dst, "DISCARD ALL")
	v.q.push(expect{kind: hiddenReset})
	o.Server.Set(dst)
	v.prepared.clear()
	v.unnamed, v.hasProbe = nil, false
	v.sqlOwner, v.sqlNames = nil, nil
	v.seqOwner = nil
	s.startProbe(o) // a reset is verified, not assumed
}

// protocolViolation ends a client's connection that sends what the protocol does not allow.
func (s *session) protocolViolation(message string, o *engine.Output) {
	s.fatal(&pgwire.Error{Code: "08P01", Message: message}, o)
}
