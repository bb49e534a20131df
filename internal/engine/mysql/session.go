package mysql

import (
	"slices"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/engine/mysql/routines"
	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/wire/mysqlwire"
)

// maxInspected is the largest packet, in bytes, that is collected whole to be looked into. Larger statements stream
// through, and what they may leave is unknown: the session keeps its server connection.
const maxInspected = 1 << 20

// session is the protocol state of one client. It is kept small: there are tens of thousands. Owned by loop.
type session struct {
	l      *local
	srv    *server              // nil while no server connection is lent
	want   engine.Fit           // settings that the session has
	caps   mysqlwire.Capability // agreed on with the client
	status mysqlwire.Status     // as the client was told last
	refuse *mysqlwire.Error     // answer to the next command
	steps  []step               // commands of Forebay's own that are due
	cmd    *command             // the client's, under way; the server connection's
	pins   engine.Pins[pinReason]
	locks  int // named locks that the session is known to hold; unknownLocks

	// What the client is sending of a command that has begun to pass.
	skip      int              // bytes still to pass of the packet
	continued bool             // the next packet goes on with the command
	discard   bool             // and is dropped, not passed
	dropFile  bool             // so are the packets of a file, up to the empty one: the server has answered already
	late      *mysqlwire.Error // and then answered with this
	lastSeq   uint8            // number of its last packet
	gone      bool             // the client has left
	cleaning  bool             // and the server connection is being made clean
	killing   bool             // Killed is due
	declared  declared         // the transaction only reads, as the client has said
	guarded   bool             // and a reader serves it
	begun     bool             // the client has had its welcome
	ahead     int              // bytes that it has sent ahead of the answer under way

	id      engine.SessionID
	client  *login.Client // from log-in; nil once it has had its welcome
	origin  origin
	facts   *facts
	startup engine.Fit // settings that the session began with
	wish    *tracking  // what of its changes the client wants to hear

	stmts     map[uint32]*clientStmt
	stmtBytes int
	lastStmt  uint32 // the last id handed out
	recent    uint32 // that of the statement prepared last, as MariaDB's clients mean by -1; 0: it failed, or is closed
	cursors   int    // open ones, and statements with long data

	looks *routines.Look // at what the command that waits for it reaches; nil: none was needed yet: lookfirst.go

	insertID     uint64   // what LAST_INSERT_ID() is: insertid.go
	idTurn       uint32   // counts its values
	readsRows    bool     // it has asked for FOUND_ROWS()
	readsBoth    bool     // it has asked for LAST_INSERT_ID() and ROW_COUNT() in one text, in which that is not written: rowcount.go
	rowCount     int64    // what ROW_COUNT() is: rowcount.go
	diagTurn     uint32   // counts its statements: rowcount.go
	rowsTurn     uint32   // and those with rows
	learns       bool     // what stepCollation finds holds for every such SET NAMES
	temporary    []string // named objects of the session: see objects
	killed       uint32   // whom Killed is about
	killSequence uint8
}

// command is a command of the client's that the server is answering.
type command struct {
	kind       mysqlwire.Command
	seq        uint8 // of the next packet to the client, where Forebay answers
	active     bool
	eff        sqltext.Effects
	statements int
	runs       bool         // routines, triggers or views are among what it does
	mode       sqltext.Mode // how its text is read
	schema     string       // the default database that its text means
	opaque     bool         // the server has told of a change that cannot be carried
	blind      bool         // session tracking was changed unasked
	heard      bool         // variables were told
	asks       []string     // variables of which the server is to be asked
	restored   bool         // a change was taken for one that its routine undoes
	program    bool         // it makes or drops routines, triggers or views
	underway   bool         // and is counted among those that do now
	knew       uint64       // target.changes when it began
	failed     bool
	untold     bool        // the last packet of the answer could not tell of changed state
	state      bool        // the server has told that something changed that no variable is
	database   bool        // one of the variables that go with the default database was told
	lock       lockCall    // what it does with a named lock, where that is all
	locked     lockAnswer  // and what the answer to that is
	code       uint16      // of the error that it failed with
	syntax     bool        // the server could not read its text, or one that it has run
	dynamic    bool        // it may run texts that are read only then
	warnings   bool        // it has left warnings, an error or counts that may be asked for
	insertID   bool        // its OK packet has told LAST_INSERT_ID()
	rows       bool        // it has been answered with rows
	pinned     []pinReason // new with this command: gone again if it fails
	changes    []change
	stmt       *clientStmt // COM_STMT_EXECUTE, COM_STMT_PREPARE, ...
	server     *prepared
	captured   []byte // definitions of a prepared statement
	capturing  bool
	assigned   []setting // by the text; made when the server has said OK
	set        []string  // system variables, by the text: the server is to tell their values
	created    []string  // temporary tables
	dropped    []string
	digest     string
	excluded   bool // it is a SET, of which the proxy is told that none needs a pin
	setsNames  bool
	collation  string // SET NAMES ... COLLATE, as a literal
	role       bool
	wish       *tracking
}

// change is a change of a setting that the server has told; an empty value removes it.
type change struct{ name, value string }

func newSession(l *local, f *facts, c *login.Client, id engine.SessionID) *session {
	s := &session{l: l, facts: f, client: c, caps: c.Capabilities, id: id, wish: &defaultTracking}
	s.begin()
	return s
}

// begin gives the session the settings that it starts with. It is called again when the session has its first server
// connection: only then those of init_query may be known.
func (s *session) begin() {
	var start settings
	if initial := s.l.db.initial.Load(); initial != nil {
		start = *initial
	}
	for _, e := range s.facts.names(s.client.Charset) {
		start = start.with(e.name, e.value)
	}
	if s.client.Database != "" {
		start = start.with(settingSchema, s.client.Database)
	}
	s.startup = start.fit()
	s.want = s.startup
	s.status = s.facts.status
	if v, ok := start.find("autocommit"); ok {
		s.status &^= mysqlwire.StatusAutocommit
		if v == "'ON'" || v == "1" {
			s.status |= mysqlwire.StatusAutocommit
		}
	}
}

// Start implements engine.Session.
func (s *session) Start(o *engine.Output) bool {
	if c := s.facts.collations[s.client.Charset]; unfit[c.charset] {
		s.fatal(mysqlwire.Error{Code: 1231, SQLState: "42000", Message: "Variable 'character_set_client' can't be set to the value of '" + c.charset + "'"}, o)
		return false
	}
	needs := s.client.Database != "" && !s.l.db.knows(s.client.Database)
	if s.l.db.proxy.Load().Pool.InitQuery != "" && s.l.db.initial.Load() == nil {
		needs = true
	}
	if !needs {
		s.welcome(o)
	}
	return needs
}

// welcome ends the connection phase in the client's eyes.
func (s *session) welcome(o *engine.Output) {
	s.begun = true
	o.Client.Set(append(o.Client.Grow(), s.client.Greeting...))
	s.ok(s.client.Sequence, o)
	c := s.client
	s.client = nil
	s.origin = origin{tls: c.TLS, charset: c.Charset, maxPacket: c.MaxPacket, zstdLevel: c.ZstdLevel, scramble: c.Scramble}
	for _, a := range c.Attributes {
		if a.Name == programName {
			s.origin.application = a.Value
		}
	}
}

// origin is what is kept of a log-in for one more: COM_CHANGE_USER.
type origin struct {
	application string // as it calls itself
	maxPacket   uint32
	charset     uint16
	zstdLevel   uint8
	tls         bool
	scramble    [mysqlwire.ScrambleLen]byte
}

// programName is the connection attribute by which clients say what they are.
const programName = "program_name"

// ok sends the client an OK packet of Forebay's own.
func (s *session) ok(seq uint8, o *engine.Output) {
	dst, at := mysqlwire.BeginPacket(o.Client.Grow())
	dst = mysqlwire.OK{Status: s.status}.Append(dst, s.caps)
	dst, _ = mysqlwire.EndPacket(dst, at, seq)
	o.Client.Set(dst)
}

// fail sends the client an ERR packet of Forebay's own.
func (s *session) fail(seq uint8, e mysqlwire.Error, o *engine.Output) {
	dst, at := mysqlwire.BeginPacket(o.Client.Grow())
	dst, _ = mysqlwire.EndPacket(e.Append(dst), at, seq)
	o.Client.Set(dst)
}

// fatal ends the client's connection with an error.
func (s *session) fatal(e mysqlwire.Error, o *engine.Output) {
	seq := uint8(0)
	switch {
	case !s.begun:
		o.Client.Set(append(o.Client.Grow(), s.client.Greeting...))
		seq = s.client.Sequence
	case s.srv == nil || !s.cmd.active:
	case s.srv.step == 0:
		seq = s.srv.r.seq
	default:
		seq = s.cmd.seq
	}
	s.fail(seq, e, o)
	o.CloseClient = true
}

// Fit implements engine.Session.
func (s *session) Fit() engine.Fit { return s.want }

// Takes implements engine.Session: no command makes a connection forget its default database.
func (s *session) Takes(sv engine.Server) bool {
	v := sv.(*server)
	if !s.begun {
		s.begin() // what init_query sets may be known since
	}
	if v.unseen != nil && v.unseen != s && s.l.db.proxy.Load().Pool.InitQuery != "" {
		return false // only a new log-in brings back what that has done
	}
	if v.fit == s.want {
		return true
	}
	_, has := settingIn(v.fit, settingSchema)
	_, wants := settingIn(s.want, settingSchema)
	return wants || !has
}

// Attach implements engine.Session.
func (s *session) Attach(sv engine.Server, o *engine.Output) {
	v := sv.(*server)
	s.srv, s.cmd = v, &v.cmd
	v.since = *s.l.counters.Now // making it ready is part of the database's time
	if !s.begun {
		s.begin()
	}
	if v.unseen != nil && v.unseen != s {
		s.startAgain()
	} else {
		s.adapt(settingsOfUnlessEqual(v.fit, s.want))
	}
	if len(s.steps) > 0 {
		s.next(o)
		return
	}
	if !s.begun {
		s.welcome(o)
	}
}

// settingsOfUnlessEqual decodes both, or neither where they are the same.
func settingsOfUnlessEqual(have, want engine.Fit) (h, w settings) {
	if have == want {
		return nil, nil
	}
	return settingsOf(have), settingsOf(want)
}

// adapt makes the steps that turn a server connection's settings into those of the session.
func (s *session) adapt(have, want settings) {
	if have == nil && want == nil {
		return
	}
	s.l.counters.Replays++
	if schema, ok := want.find(settingSchema); ok {
		if old, _ := have.find(settingSchema); old != schema {
			have = s.readUTF8(have, schema, stepSet)
			s.steps = append(s.steps, step{kind: stepSchema, text: schema})
		}
	}
	if multi, old := s.multi(want), s.multi(have); multi != old {
		s.steps = append(s.steps, step{kind: stepMulti, text: multi})
	}
	if role, ok := want.find(settingRole); ok || hasRole(have) {
		if !ok {
			role = s.srv.role
		}
		if old, _ := have.find(settingRole); old != role {
			s.steps = append(s.steps, step{kind: stepSet, text: "SET ROLE " + role})
		}
	}
	if sql := between(have, want); sql != "" {
		s.steps = append(s.steps, step{kind: stepSet, text: sql})
	}
	s.steps = append(s.steps, step{kind: stepAdapted})
}

// readUTF8 has the server connection read a name, which settings have in UTF-8, as what it is; its settings are then those
// returned.
func (s *session) readUTF8(have settings, name string, kind stepKind) settings {
	const utf8mb4 = "'utf8mb4'"
	if charset, _ := have.find(varClient); ascii([]byte(name)) || charset == utf8mb4 {
		return have
	}
	s.steps = append(s.steps, step{kind: kind, text: "SET @@SESSION." + varClient + " = " + utf8mb4})
	return have.with(varClient, utf8mb4)
}

func hasRole(s settings) bool {
	_, ok := s.find(settingRole)
	return ok
}

// multi says whether several statements in a text are allowed, "1" or "0".
func (s *session) multi(set settings) string {
	if v, ok := set.find(settingMulti); ok {
		return v
	}
	if s.l.db.caps.Has(mysqlwire.ClientMultiStatements) {
		return "1"
	}
	return "0"
}

// Detach implements engine.Session.
func (s *session) Detach() {
	if s.srv != nil && s.cmd.underway { // how it ends will not be known
		s.l.db.schemaChanged(true)
		s.programEnds()
	}
	if s.srv != nil && s.srv.inTransaction() {
		s.l.counters.InTransaction-- // it is closed with its transaction open
	}
	s.srv, s.cmd, s.steps, s.looks = nil, nil, nil, nil
	s.ahead = 0
	s.declared, s.guarded = declaredNothing, false
}

// maxAhead is how much a client may send ahead of an answer before no more of it is read, in bytes.
const maxAhead = 64 << 10

// Open implements engine.Session.
func (s *session) Open() bool {
	return len(s.steps) == 0 && (s.srv == nil || s.srv.step == 0 && (!s.cmd.active || s.ahead <= maxAhead || s.srv.r.state == replyInfile)) && !s.killing
}

// Done implements engine.Session.
func (s *session) Done() bool {
	v := s.srv
	return v != nil && v.idle() && v.step == 0 && len(s.steps) == 0 && !s.cmd.active && s.skip == 0 && !s.continued && !s.dropFile &&
		len(s.pins) == 0 && s.cursors == 0 && (s.begun || s.gone) && !s.killing
}

// Keeps implements engine.Session: counts and warnings of the last statement are on the server connection that ran it.
func (s *session) Keeps() bool {
	return s.srv != nil && s.srv.diagOwner == s && (s.cmd.warnings || s.readsRows)
}

// Busy implements engine.Session.
func (s *session) Busy() bool {
	return s.srv != nil && (s.srv.r.state != replyNone || s.srv.inTransaction() || len(s.steps) > 0 || s.skip > 0 || s.continued)
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

// Matches implements engine.Session. This protocol has no cancel request beside KILL, which names the session alone.
func (s *session) Matches(c *engine.Cancel) bool { return c.PID == s.id.PID }

// Interrupt implements engine.Session. A command that waits for steps of Forebay's own to go before it is refused; the steps
// are not disturbed.
func (s *session) Interrupt() bool {
	v := s.srv
	if v == nil {
		return false
	}
	if v.step == 0 && len(s.steps) == 0 {
		return v.r.state != replyNone || s.cmd.active
	}
	if s.begun && !s.cmd.active && s.refuse == nil {
		e := errorOf(engine.ErrCanceled)
		s.refuse = &e
	}
	return false
}

// Describe implements engine.Session.
func (s *session) Describe() engine.SessionInfo {
	info := engine.SessionInfo{PID: s.id.PID, Application: s.origin.application, Pins: s.pins, State: "idle"}
	if s.srv != nil {
		switch {
		case s.srv.r.state != replyNone:
			info.State = "active"
		case s.srv.inTransaction():
			info.State = "idle in transaction"
		}
	}
	return info
}

// Refuse implements engine.Session.
func (s *session) Refuse(err error, o *engine.Output) {
	e := errorOf(err)
	if !s.begun {
		s.fatal(e, o)
		return
	}
	s.refuse = &e
}

// Refusing implements engine.Session.
func (s *session) Refusing() bool { return s.refuse != nil || s.late != nil }

// End implements engine.Session.
func (s *session) End(err error, o *engine.Output) { s.fatal(errorOf(err), o) }

// ServerLost implements engine.Session. The client keeps its connection: the command under way is answered with an error,
// and so is the next one if a transaction or other state was lost with the server connection.
func (s *session) ServerLost(_ error, o *engine.Output) {
	v := s.srv
	if s.gone || v == nil {
		return
	}
	e := lostError(v.last)
	open, pinned, large := v.inTransaction(), len(s.pins) > 0 || s.cursors > 0, s.pinnedFor(pinSettings)
	comes := s.skip > 0 || s.continued
	s.discard = comes // no other server connection must see the rest of a command
	s.forgetVariables()
	s.unpinAll()
	s.forgetState()
	if !s.begun || large { // nobody else has the settings of its session
		s.fatal(e, o)
		return
	}
	if s.disconnects() {
		o.CloseClient = true // as the server does it
		return
	}
	if v.step != 0 || len(s.steps) > 0 || !s.cmd.active {
		// The client's command has not been sent, or there is none.
		if s.cmd.active { // it has been answered, and Forebay was looking at what it left
			s.fatal(e, o)
			return
		}
		if s.refuse == nil && (open || pinned) {
			s.refuse = &e
		}
		return
	}
	r := &v.r
	if r.skip > 0 || r.continued || r.state != replyFirst && r.state != replyRows && r.state != replyPrepared && r.state != replyText {
		o.CloseClient = true // there is no place for an error in what it has been sent
		return
	}
	if comes && r.results == 0 {
		s.late = &e
		return
	}
	s.fail(r.seq, e, o)
}

// disconnects reports whether the server may hang up because the command under way says so: COMMIT RELEASE and the like. A
// routine need not come to it, and where it does MySQL and MariaDB answer with an error.
func (s *session) disconnects() bool {
	c := s.cmd
	if !c.active {
		return false
	}
	if c.eff&sqltext.TxControl != 0 {
		if v, ok := settingIn(s.want, "completion_type"); ok && (v == "2" || v == "'RELEASE'") {
			return true
		}
	}
	return c.eff&sqltext.Disconnects != 0
}

// forgetVariables forgets all user variables if the lost server connection may have had some for itself: those that are
// carried may be older values of the same names.
func (s *session) forgetVariables() {
	unsure := slices.Contains(s.temporary, markStatement+unnamed) // of SQL's PREPARE, which may have set any
	for _, p := range s.pins {
		r := pinReason(p.Reason)
		// Where the command under way has pinned, it has failed, and with it what would have set them.
		unsure = unsure || variablePins[r] && !(s.cmd.active && slices.Contains(s.cmd.pinned, r))
	}
	if !unsure {
		return
	}
	s.want = slices.DeleteFunc(settingsOf(s.want), func(e setting) bool { return e.name[0] == '@' }).fit()
}

// variablePins are the reasons of pins behind which user variables may be set.
var variablePins = map[pinReason]bool{
	pinUserVariable: true, pinRoutine: true, pinUnknown: true, pinUnknownState: true, pinLarge: true,
}

// forgetState forgets what is gone with a server connection.
func (s *session) forgetState() {
	s.temporary, s.locks = nil, 0
	for _, c := range s.stmts {
		c.cursor, c.isLong = false, false
	}
	s.cursors = 0
}

// ClientGone implements engine.Session.
func (s *session) ClientGone(o *engine.Output) bool {
	s.gone, s.killing = true, false
	v := s.srv
	if v == nil {
		return false
	}
	if s.cmd.active || v.step != 0 || s.skip > 0 || s.continued || v.retire || v.r.state != replyNone || s.sticky() {
		s.unpinAll()
		return false
	}
	s.steps = nil
	if v.idle() && len(s.pins) == 0 && s.cursors == 0 && v.unseen != s {
		return true
	}
	if s.l.db.proxy.Load().Pool.InitQuery != "" {
		s.unpinAll()
		return false // only a new log-in brings back what that has done
	}
	s.unpinAll()
	s.clean(o)
	return true
}

// clean makes the server connection as new: the client has left state behind.
func (s *session) clean(o *engine.Output) {
	s.cleaning = true
	s.forgetState()
	s.srv.prepared.clear()
	s.resetSteps(stepCleaned)
	s.next(o)
}

// Killed implements engine.Session.
func (s *session) Killed(found bool, o *engine.Output) {
	s.killing = false
	if found {
		s.ok(s.killSequence, o)
		return
	}
	s.fail(s.killSequence, unknownThread(s.killed), o)
}
