package sqlserver

import (
	"encoding/binary"
	"slices"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/engine/sqlserver/sqltext"
	"forebay/internal/wire/tds"
)

// analysis is that of a text.
type analysis = sqltext.Analysis

// maxInspected is the largest request, in bytes, that is collected whole to be looked into. Larger ones stream through, and
// what they may leave is unknown: the session keeps its server connection.
const maxInspected = 1 << 20

// session is the protocol state of one client. It is kept small: there are tens of thousands. Owned by loop.
type session struct {
	l          *local
	srv        *server // nil while no server connection is lent
	want       settings.Set
	fit        engine.Fit
	version    tds.Version
	features   tds.Features
	packetSize int
	spid       uint16
	refuse     *tds.Message // answer to the next request
	loss       *tds.Message // what tells of state that is lost; nil once the client must have seen it
	lostTx     *[8]byte     // a transaction whose end the client has not been told
	steps      []step       // requests of Forebay's own that are due
	pins       engine.Pins[pinReason]

	streams bool         // the rest of a message of the client's passes, or is dropped
	discard bool         // it is dropped
	late    *tds.Message // and then answered with this
	carry   []byte       // what is to begin the next packet to the server
	ahead   int          // bytes that the client has sent ahead of the answer under way

	begun    bool // the client has had its welcome
	gone     bool // the client has left
	cleaning bool // and the server connection is being made clean
	pending  bool // a request waits for steps that go before it
	restored bool // what the request reads of the last one has been put back
	prepares bool // statements have been prepared for it
	sentSome bool // the client has had some of the answer's packets
	insert   bool // the answer is to begin with the acknowledgement of a reset
	askDue   bool // the server is to be asked for the session's settings, once no transaction is open
	resetYet bool // the request's own reset has been made
	moves    bool // the request needs another server connection: on this one its session cannot be as it is to be
	format   bool // the last request was SET FMTONLY ON, for which alone it is pinned as show_plan
	modules  bool // a request has changed procedures or the like, whose transaction may be open

	id          engine.SessionID
	client      *login.Client // from log-in; nil once it has had its welcome
	application string
	startup     settings.Set // what the session began with

	temps   []string             // temporary objects of the session
	drops   []string             // those that the transaction under way has dropped: a rollback brings them back
	cursors int                  // handles of open cursors
	kept    [sqltext.Kinds]int32 // how often that was taken, and not given up; or unknownKept

	columns map[int64]tds.Columns // of open cursors, by their handles

	stmts     map[int32]*stmt
	stmtBytes int
	lastStmt  int32
	resets    uint32 // counts those that the client has asked for

	values lastValues
}

// command is a request of the client's that the server is answering.
type command struct {
	kind     tds.PacketType
	active   bool
	failed   bool
	number   int32 // of the last error
	eff      sqltext.Effects
	assigns  bool // next holds the settings after it
	next     settings.Set
	objects  []sqltext.Object
	ops      []op        // its procedure calls, where they have to do with handles
	called   bool        // what is looked into is the name of a procedure, which is the only one
	calls    int         // how many there are of them all, as far as they are looked into
	inserted bool        // rows, by a statement of its own: the identities are of them
	fatal    bool        // an error has ended the server connection
	known    tds.Columns // of the cursor that it fetches from
	opens    int         // how many handles of cursors it is to return yet; the last one is the cursor's
	at       int         // of the one being answered
	ended    tds.EnvType // how the server has said that a transaction has ended, the last time; 0: none has
	undoes   bool        // it asks for a rollback, without a text
	began    bool        // the server has told of a transaction
	count    uint64
	counted  bool // the last statement has told its count
	bulk     bool // its text asks for rows in a message of their own
	cursor   int  // change of the number of open cursors
	single   bool // it is one procedure call, of which only the end is not looked into; so it seems
	batched  bool // the server says that there are several
	kept     [sqltext.Kinds]sqltext.Balance
	lock     int32 // the same of application locks, by a call
	digest   string
	lone     bool // it calls one procedure and does no more, of which nothing is known: for that alone it is pinned as procedure
	errors   int  // in the answer, and whether that has more than errors and ends of statements
	more     bool

	failing     sqltext.Effects  // what modules leave that it runs, if it fails
	failObjects []sqltext.Object // and the names of it
}

func newSession(l *local, c *login.Client, id engine.SessionID) engine.Session {
	s := &session{
		l: l, client: c, id: id, version: c.Version, features: c.Features, packetSize: c.PacketSize, spid: spid(id),
		application: c.Application,
	}
	s.begin()
	return s
}

// begin gives the session the settings that it starts with, once it is known what those are.
func (s *session) begin() {
	start, ok := s.l.db.begin()
	if !ok {
		return
	}
	if s.client.Language != "" {
		start.SetLanguage(s.client.Language)
	}
	s.startup = start
	s.setWant(start)
}

func (s *session) setWant(w settings.Set) {
	if w == s.want {
		return
	}
	s.want, s.fit = w, w.Fit()
}

// Start implements engine.Session.
func (s *session) Start(o *engine.Output) bool {
	f := s.l.db.welcome()
	if f == nil {
		return true
	}
	s.welcome(f, o)
	return false
}

// welcome ends the connection phase in the client's eyes.
func (s *session) welcome(f *login.Server, o *engine.Output) {
	s.begin()
	s.begun = true
	known := *f
	known.Language = s.startup.Language
	o.Client.Set(append(o.Client.Grow(), s.client.Welcome(&known, s.spid)...))
	s.features = s.client.Features.And(f.Features)
	if !f.Version.AtLeast(s.version) {
		s.version = f.Version
	}
	s.client = nil
}

// message sends the client a message of Forebay's own.
func (s *session) message(data []byte, o *engine.Output) {
	o.Client.Set(tds.AppendMessage(o.Client.Grow(), tds.PacketReply, 0, s.packetSize, s.spid, data))
}

// fail sends the client an error as the whole answer to a request.
func (s *session) fail(m *tds.Message, o *engine.Output) {
	s.message(tds.AppendDone(m.Append(s.untoldOf(nil), s.version), s.version, true), o)
}

// untoldOf appends what the client has not been told of: that a transaction has been rolled back, that a reset was made which it
// has asked for.
func (s *session) untoldOf(b []byte) []byte {
	b = s.rollback(b)
	if s.insert {
		s.insert = false
		b = tds.EnvChange{Type: tds.EnvReset}.Append(b)
	}
	return b
}

// rollback appends that a transaction has been rolled back which the client has not been told of.
func (s *session) rollback(b []byte) []byte {
	if s.lostTx == nil {
		return b
	}
	b = tds.EnvChange{Type: tds.EnvRollback, Old: s.lostTx[:]}.Append(b)
	s.lostTx = nil
	return b
}

// acknowledge answers an attention.
func (s *session) acknowledge(o *engine.Output) {
	s.message(appendDone(s.untoldOf(nil), s.version, doneToken, tds.DoneAttention), o)
}

// The tokens of answers of Forebay's own.
const (
	doneToken         = 0xFD
	doneProcToken     = 0xFE
	returnStatusToken = 0x79
)

// appendDone appends a DONE or DONEPROC.
func appendDone(b []byte, v tds.Version, token byte, status uint16) []byte {
	b = append(b, token)
	b = binary.LittleEndian.AppendUint16(b, status)
	b = append(b, 0, 0)
	if v.AtLeast(tds.V72) {
		return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	return append(b, 0, 0, 0, 0)
}

// fatal ends the client's connection with an error.
func (s *session) fatal(m *tds.Message, o *engine.Output) {
	o.CloseClient = true
	if s.srv != nil && s.srv.due && s.srv.cmd.active && s.sentSome {
		return // there is no place for it
	}
	s.fail(m, o)
}

// Fit implements engine.Session.
func (s *session) Fit() engine.Fit { return s.fit }

// Takes implements engine.Session.
func (s *session) Takes(sv engine.Server) bool {
	v := sv.(*server)
	if s.begun && (v.version != s.version && !(v.version.AtLeast(tds.V74) && s.version.AtLeast(tds.V74)) || v.features != s.features) {
		return false
	}
	if v.fit == s.fit || !s.begun {
		return true
	}
	return v.have.Reaches(s.want) || v.startOf(v.afterReset()).Reaches(s.want)
}

// Attach implements engine.Session.
func (s *session) Attach(sv engine.Server, o *engine.Output) {
	s.srv = sv.(*server)
	if s.begun {
		return
	}
	f := s.l.db.welcome()
	if f == nil {
		s.srv.retire = true
		s.fatal(errorOf(engine.ErrUnsure), o)
		return
	}
	s.welcome(f, o)
}

// Detach implements engine.Session.
func (s *session) Detach() {
	if v := s.srv; v != nil {
		if v.inTx {
			s.l.counters.InTransaction-- // it is closed with its transaction open
		}
		v.resetDue = false
	}
	s.modulesEnd()
	s.srv, s.steps, s.pending, s.restored, s.prepares = nil, nil, false, false, false
	s.ahead = 0
	s.carry = nil
}

// maxAhead is how much a client may send ahead of an answer before no more of it is read, in bytes.
const maxAhead = 64 << 10

// Open implements engine.Session. A client is read while its request runs: an attention may come.
func (s *session) Open() bool {
	return len(s.steps) == 0 && (s.srv == nil || s.srv.step == 0 && (!s.srv.cmd.active || s.ahead <= maxAhead))
}

// Done implements engine.Session.
func (s *session) Done() bool {
	v := s.srv
	return v != nil && v.idle() && len(s.steps) == 0 && !v.cmd.active && !s.streams && !s.pending && !v.attn &&
		len(s.pins) == 0 && (s.begun || s.gone)
}

// Keeps implements engine.Session: @@ROWCOUNT and the like are on the server connection that ran the last request, and so is
// what a procedure or a trigger may have left.
func (s *session) Keeps() bool {
	v := s.srv
	return v != nil && v.isOf(s) && (v.dirty || v.lastOwner == s)
}

// Busy implements engine.Session.
func (s *session) Busy() bool {
	return s.srv != nil && (s.srv.due || s.srv.inTx || s.srv.cmd.active || len(s.steps) > 0 || s.streams || s.srv.bulk)
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

// Matches implements engine.Session. This protocol has no cancel request of its own connection.
func (s *session) Matches(*engine.Cancel) bool { return false }

// Interrupt implements engine.Session: what runs is cancelled over the connection itself, by the client.
func (s *session) Interrupt() bool { return false }

// ReadsOnly implements engine.Session: no transaction of this protocol says of itself that it only reads.
func (s *session) ReadsOnly([]byte) bool { return false }

// Killed implements engine.Session: KILL names the server's sessions, and is not Forebay's business.
func (s *session) Killed(bool, *engine.Output) {}

// Describe implements engine.Session.
func (s *session) Describe() engine.SessionInfo {
	info := engine.SessionInfo{PID: s.id.PID, Application: s.application, Pins: s.pins, State: "idle"}
	if v := s.srv; v != nil {
		switch {
		case v.due:
			info.State = "active"
		case v.inTx:
			info.State = "idle in transaction"
		}
	}
	return info
}

// Refuse implements engine.Session.
func (s *session) Refuse(err error, o *engine.Output) {
	m := errorOf(err)
	if !s.begun {
		s.fatal(m, o)
		return
	}
	s.refuse = m
}

// Refusing implements engine.Session.
func (s *session) Refusing() bool { return s.refuse != nil || s.late != nil }

// End implements engine.Session.
func (s *session) End(err error, o *engine.Output) { s.fatal(errorOf(err), o) }

// ServerLost implements engine.Session. The client keeps its connection: the request under way is answered with an error,
// and so is the next one if a transaction or other state was lost with the server connection and the client may not have seen
// that. In the middle of a token there is no place for an error.
func (s *session) ServerLost(_ error, o *engine.Output) {
	v := s.srv
	if s.gone || v == nil {
		return
	}
	lostState := v.inTx || len(s.pins) > 0 || v.bulk
	rollback := v.inTx && !v.silent
	descriptor := v.descriptor
	s.unpinAll()
	s.forgetState()
	s.values.lose()
	s.carry = nil
	m := lostError(nil)
	if v.garbled {
		m.Text = textGarbled
	}
	if !s.begun {
		s.fatal(m, o)
		return
	}
	// What Forebay was about to ask of an answered request may have been lost with it, too: a transaction that a text has begun,
	// settings.
	answered := v.cmd.active && (!v.due || v.step != 0)
	asks := answered && slices.ContainsFunc(s.steps, func(st step) bool { return st.kind == stepProbe || st.kind == stepAsk })
	// What runs may have left some, too, when a client that breaks it off goes on.
	leaves := v.cmd.active && !answered && (!v.cmd.eff.Clean() || v.cmd.assigns || v.cmd.eff&sqltext.TxBegin != 0)
	if lostState || asks || leaves {
		s.loss = m
	}
	if rollback {
		s.lostTx = &descriptor
	}
	if !v.cmd.active && s.streams && !s.discard { // the client's request has not been sent
		s.discard, s.late = true, m
		return
	}
	if !v.cmd.active || answered {
		if s.loss != nil {
			s.refuse = s.loss
		}
		return
	}
	if s.sentSome && !v.scan.AtToken() {
		o.CloseClient = true
		return
	}
	if v.begins && v.resets && !v.cut {
		s.insert = true // the client's own reset: the session is as after it, and another server connection will be
	}
	if s.streams { // the rest of it goes nowhere
		s.discard = true
		if !s.sentSome {
			s.late = m
			return
		}
		o.CloseClient = true
		return
	}
	data := m.Append(s.untoldOf(nil), s.version)
	if v.attn {
		s.lossUnseen()
		data = appendDone(data, s.version, doneToken, tds.DoneError|tds.DoneAttention)
	} else {
		data = tds.AppendDone(data, s.version, true)
	}
	s.message(data, o)
}

// lossUnseen has the next request tell of state that is lost: a driver tells of nothing but the cancel, where it has sent an attention.
func (s *session) lossUnseen() {
	if s.loss != nil {
		s.refuse = s.loss
	}
}

// forgetState forgets what is gone with a server connection.
func (s *session) forgetState() {
	s.temps, s.drops, s.cursors, s.columns, s.kept, s.askDue = nil, nil, 0, nil, [sqltext.Kinds]int32{}, false
}

// ClientGone implements engine.Session. What runs is cancelled; the connection is made clean, and kept.
func (s *session) ClientGone(o *engine.Output) bool {
	s.gone = true
	v := s.srv
	if v == nil {
		return false
	}
	sticky := s.outlasts()
	pinned := len(s.pins) > 0 // with what others may wait for: locks, ##t
	s.unpinAll()
	asks := v.step == stepIdentity && !v.cmd.active // before another session has the connection, or for a request that is not sent
	if v.step != 0 && !asks || s.streams || v.retire || sticky || v.bulk {
		return false
	}
	if asks { // stepped goes on behind the answer
		s.cleaning = true
		s.steps = s.steps[:1]
		s.pending = false
		return true
	}
	s.steps = nil
	s.pending = false
	if v.cmd.active {
		s.cleaning = true
		if !v.attn {
			s.sendAttention(o)
		}
		return true
	}
	if v.idle() && !pinned && s.clean() {
		return true
	}
	s.cleanUp(o)
	return true
}

// clean reports whether nothing is left that another session would have to be kept from, other than by the reset that
// comes with its first request.
func (s *session) clean() bool {
	return len(s.temps) == 0 && s.cursors == 0 && s.kept[sqltext.KeptLock] == 0 && !s.srv.unsure
}

// cleanUp rolls back and resets the server's session: its client has left.
func (s *session) cleanUp(o *engine.Output) {
	s.forgetState()
	s.cleaning = true
	s.steps = nil
	s.endsFirst() // whatever the client has been told last of a transaction
	s.steps = append(s.steps, step{kind: stepClean, text: textNothing + ";" + s.srv.relogin(), reset: true})
	s.next(o)
}
