package sqlserver

import (
	"context"
	"errors"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/engine/sqlserver/routines"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/wire/tds"
)

// server is the protocol state of one server connection. Owned by loop, but for the fields that log-in set.
type server struct {
	// Static after log-in.
	db         *database
	version    tds.Version
	features   tds.Features
	packetSize int
	spid       uint16
	collation  [5]byte
	login      settings.Set       // what its session has after log-in
	survivors  settings.Survivors // of a reset

	// What the connection's session has now.
	have       settings.Set
	fit        engine.Fit
	dirty      bool     // something has run since the last reset that may have left what is not known
	unsure     bool     // settings among it
	owner      *session // whose requests ran last; nil: nobody's
	ownerReset uint32   // how often that had been reset by its client: what is from before is as another's
	bare       bool     // a reset has undone what init_query did
	lastOwner  *session // whose request was the last, with nothing of Forebay's since: lastvalues.go
	lastTurn   uint32
	idOwner    *session // whose @@IDENTITY this is: lastvalues.go; nil: nobody's, and it is NULL
	idTurn     uint32
	idNull     bool   // the identities are NULL, whoever's
	idValue    string // else @@IDENTITY as it was told last; "": not known
	retire     bool   // it must not be used again
	inTx       bool
	silent     bool    // its transaction was begun without a word
	descriptor [8]byte // of the transaction
	prepared   map[stmtKey]int32
	handles    int // made since the last reset

	// What is under way.
	scan     tds.Scanner
	cmd      command
	due      bool // an answer is to come
	begins   bool // its next packet is the first one
	resets   bool // it has to acknowledge a reset
	reset    bool // which it has
	keepsTx  bool // which leaves the transaction
	cut      bool // and which is not for the client
	resetDue bool // the next message is to reset the session
	bulk     bool // rows are to come, in a message of their own
	garbled  bool // what has come of it cannot be read
	attn     bool // an attention was sent, and is not acknowledged
	step     stepKind
	stepErr  tds.Head // the error of the step
	stepFail bool
	row      [][]byte // the first row of its answer
	since    int64    // when the request was sent, by the loop's clock
}

// notBabelfishMajor is the first major version of SQL Server that Babelfish does not take itself for, where a reset leaves
// CONTEXT_INFO, session_context, the database and @@TRANCOUNT as they are. The isolation level may survive everywhere, as it did before SQL Server 2014.
const notBabelfishMajor = 13

func newServer(db *database, s *login.Server) engine.Server {
	v := &server{
		db: db, version: s.Version, features: s.Features, packetSize: s.PacketSize, spid: s.SPID, collation: s.Collation,
		login: s.Settings, idNull: true,
	}
	perhaps := s.ProgVersion>>24 < notBabelfishMajor
	v.survivors = settings.Survivors{Isolation: true, ContextInfo: perhaps, Database: perhaps, SessionContext: perhaps, TranCount: perhaps}
	v.have = v.login
	if initial, ok := db.begin(); ok {
		v.have = initial // init_query has run
	}
	v.fit = v.have.Fit()
	v.scan.Version, v.scan.Features = s.Version, s.Features
	return v
}

// Fit implements engine.Server.
func (v *server) Fit() engine.Fit { return v.fit }

// Idle implements engine.Server: nothing was asked, so only last words may come.
func (v *server) Idle(b []byte) (int, bool) { return 0, len(b) == 0 }

// Bye implements engine.Server: the protocol has no farewell.
func (v *server) Bye() []byte { return nil }

var errNoCancel = errors.New("sqlserver: a client's attention is all that cancels")

// Cancel implements engine.Server. This protocol cancels over the connection itself.
func (v *server) Cancel(context.Context, engine.Member) error { return errNoCancel }

// ownedBy says that a request of s is the last to have run.
func (v *server) ownedBy(s *session) { v.owner, v.ownerReset = s, s.resets }

// isOf reports whether what the connection's session has is the present session's of that client, or nobody's.
func (v *server) isOf(s *session) bool { return v.owner == s && v.ownerReset == s.resets }

// idle reports that nothing is under way and no transaction is open.
func (v *server) idle() bool { return !v.due && v.step == 0 && !v.inTx && !v.bulk }

// relogin is a text that gives the session, behind a reset, what that may have left of it and a statement can set: the
// isolation level of its log-in, the database, and session_context.
func (v *server) relogin() string {
	after := v.afterReset()
	after.Isolation = 0 // not known
	return string(after.Text(v.login))
}

// afterReset is what a reset makes of the connection's session.
func (v *server) afterReset() settings.Set { return v.have.Reset(v.login, v.survivors) }

// startOf is how requests find a session that a reset has left like that: behind init_query, where there is one.
func (v *server) startOf(after settings.Set) settings.Set {
	if v.db.proxy.Load().Pool.InitQuery == "" {
		return after
	}
	return v.afterInit(after)
}

// afterInit is what init_query makes of a session that a reset has left like that.
func (v *server) afterInit(after settings.Set) settings.Set {
	initial, ok := v.db.begin()
	if !ok {
		return after
	}
	if after.HasContextInfo && !initial.HasContextInfo { // of before the reset, which nothing has taken away
		initial.HasContextInfo, initial.ContextInfo = true, after.ContextInfo
	}
	return initial
}

// unsayable reports whether a reset alone gives the connection's session a setting of these: Babelfish knows no SET TEXTSIZE -1.
func (v *server) unsayable(want settings.Set) bool {
	return v.survivors.ContextInfo && want.TextSize == settings.TextSizeInfinite && v.have.TextSize != settings.TextSizeInfinite &&
		v.startOf(v.afterReset()).TextSize == settings.TextSizeInfinite
}

// nobody is who has set an identity that is nobody's any more.
var nobody = new(session)

// wasReset says that the server's session is being reset, with the request on its way. keep: but for its transaction.
func (v *server) wasReset(keep bool) {
	v.keepsTx = keep
	if v.idOwner != nil {
		v.idOwner = nobody
	}
	v.idNull = v.idNull || !v.survivors.ContextInfo // of Babelfish it is not known
	if after := v.afterReset(); after != v.have {
		v.have, v.fit = after, after.Fit()
	}
	v.dirty, v.unsure, v.lastOwner, v.bare = false, false, nil, true
	clear(v.prepared)
	v.handles = 0
}

// local is the part of a database that belongs to one loop.
type local struct {
	db       *database
	counters *engine.Counters
	analysis analysis
	calls    routines.Cache
	rpc      tds.RPC
	scratch  []byte // a message's data, put together
	text     []byte // a parameter's text, put together
	more     []byte // another's
	tells    telling
	forgets  bool // its servers forget an identity that is put back
}

func newLocal(db *database, c *engine.Counters) *local {
	return &local{db: db, counters: c}
}

// telling says whether the servers tell of transactions that a text begins and ends: SQL Server does, Babelfish does not.
type telling uint8

const (
	tellsUnknown telling = iota
	tellsAll
	tellsNothing
)
