// Package engine is what the data plane needs from a database engine, as small interfaces. Each engine below it speaks
// one family's protocol; nothing above it does.
//
// A connection has two phases. In the connection phase an Engine works in plain blocking Go: Accept logs a client in,
// Database.Dial logs in to a server. In the query phase a Session is a state machine without I/O: bytes in, bytes out,
// called by the event loop, by tests and by fuzzers alike.
package engine

import (
	"context"
	"crypto/tls"
	"net"
	"time"
	"unique"

	"forebay/internal/resource"
	"forebay/internal/secret"
)

// Fit identifies a set of session settings: equal settings have equal values, compared by pointer. A server connection
// whose settings fit a session's needs no change before it serves it.
type Fit = unique.Handle[string]

// Engine is one engine family. It is safe for concurrent use.
type Engine interface {
	// Accept runs the connection phase with a client until it is authenticated. It does not close nc; on error it has
	// told the client why. What may block, other than nc, or takes long goes through o.Block.
	Accept(ctx context.Context, nc net.Conn, o AcceptOptions) (*Login, error)

	// Open makes what all sessions and server connections of one user and database share.
	Open(p *resource.Proxy, k Key, c Credentials) Database

	// NewMonitor makes what asks a member of a cluster for its role, as the user whose secret is given. It does nothing until
	// it is asked.
	NewMonitor(o MonitorOptions) Monitor

	// DefaultDatabase is the database through which the target is watched while no client has named another.
	DefaultDatabase() string
}

// Greeter is an Engine whose protocol has the server speak first.
type Greeter interface {
	// Greet makes what a client is sent before it has said anything, and what Accept is to be given as Greeting. It is
	// called on the client's loop and does not block: ok is false while too little is known of the target, and then
	// Accept greets, as soon as it can.
	Greet(o AcceptOptions) (first []byte, greeting any, ok bool)
}

// Knocker is an Engine that can tell without a log-in whether a database server answers.
type Knocker interface {
	// Knock asks a member of p's target for a sign of life, encrypted as that says. It blocks.
	Knock(ctx context.Context, p *resource.Proxy, m Member) error
}

// AcceptOptions is what the connection phase with a client needs to know.
type AcceptOptions struct {
	ID          SessionID // that the session will have
	Greeting    any       // from Greet; nil: the client has been sent nothing
	Early       []byte    // of a Relogin: what the client has sent already
	Proxy       *resource.Proxy
	TLS         *tls.Config
	Credentials Credentials
	// VerifyToken judges a token that a client has sent over TLS, as Tokens.Verify does. It may block: call it through Block.
	// nil: no token can be checked.
	VerifyToken func(ctx context.Context, user string, token secret.Password) error
	// TokenUser is whom a token says that it is for, as TokenUsers does: for protocols whose clients name no user beside a
	// token. It is to be verified for that user afterwards. nil: this cannot be told.
	TokenUser func(token secret.Password) (user string, ok bool)
	// Look looks at the target in the name of a user who has just proven who it is, as Database.Maintain does: for engines that
	// have to know more of a target than Knock can tell. It blocks: call it through Block. nil: there is nobody to do that.
	Look func(ctx context.Context, k Key) error
	// Block runs f beside the event loop that Accept runs on, and returns when it has ended.
	Block func(f func())
	// Full has the client told that there are as many as Proxy.MaxClients already. A cancel request passes all the same.
	Full bool
}

// Credentials knows the database users of one proxy. It is safe for concurrent use.
type Credentials interface {
	// Lookup returns the secret of a database user and how its clients prove that they know it. The secret's user is that
	// one, and so is Previous's. An unknown user is secret.ErrNotFound. With an entry that is EndToEnd, the secret has a user
	// and nothing else.
	Lookup(ctx context.Context, user string) (secret.Secret, resource.AuthEntry, error)
	// Recent is Lookup where that has given an answer just now. It neither blocks nor reads anything; ok is false where
	// only Lookup can tell.
	Recent(user string) (s secret.Secret, e resource.AuthEntry, ok bool, err error)
	// Token makes what logs a user in to p's target whose entry is EndToEnd, as ServerTokens.Token does.
	Token(ctx context.Context, p *resource.Proxy, m resource.Member, user string) (secret.Password, error)
}

// Key names a pool behind a proxy: server connections are shared between sessions of one user and one database.
type Key struct {
	User     string
	Database string
	Protocol uint64 // what else the engine's protocol fixes at log-in; 0 has to do for a look at the target
	ReadOnly bool   // for sessions of a READ_ONLY endpoint: they see the settings and the names of readers
}

// Member is a database server of a target, and reaches it.
type Member interface {
	// Config says where it is, and how connections to it are encrypted.
	Config() resource.Member
	// Dial opens a transport to it that no loop knows, for monitoring and for cancel requests.
	Dial(ctx context.Context) (net.Conn, error)
}

// Login is a client that has passed the connection phase, or a request to cancel another's statement.
type Login struct {
	Conn net.Conn // what to go on with: the connection given, or the encrypted one over it
	TLS  bool
	// Token is set where a token has let the client in.
	Token bool
	Key   Key
	// Buffered is what came before it was asked for; it belongs to the query phase.
	Buffered []byte

	// NewSession makes the session's query phase. It is called once, on the session's loop.
	NewSession func(l Local, id SessionID) Session

	// Cancel is set instead of the rest when this was a request to cancel what another session runs.
	Cancel *Cancel
}

// SessionID is what Forebay hands out so that a session's statement can be cancelled: a process or thread id that says
// where the session is, and a secret.
type SessionID struct {
	PID    uint32
	Secret [32]byte
}

// Cancel asks to cancel the running statement of the session with that identity.
type Cancel struct {
	PID    uint32
	Secret []byte
}

// Kill asks to end what another session of the same user runs, or that session itself.
type Kill struct {
	PID        uint32
	Connection bool // the session itself
}

// Database is what the sessions and server connections of one Key share, across loops. It is safe for concurrent use.
type Database interface {
	// Dial logs in to a member: the connection phase on the server's side. It may call transport more than once, after
	// closing what it got before.
	Dial(ctx context.Context, m resource.Member, transport func(context.Context) (net.Conn, error)) (Dialed, error)
	// NewLocal makes the part that belongs to one loop.
	NewLocal(c *Counters) Local
	// Apply takes over changed settings of the proxy.
	Apply(p *resource.Proxy)
	// Maintain does what has to be done from time to time, such as a look at the database's catalog, and returns the
	// member's limits. It uses a connection of its own. An *AnswerError means that the member answers, but would not
	// have us.
	Maintain(ctx context.Context, m Member) (Capacity, error)
	// Stale has one value when something makes Maintain worth calling before its time.
	Stale() <-chan struct{}
}

// Follower is a Database that has to know when readers have what a statement has changed at the writer: until then some of them may
// still have the routines of before.
type Follower interface {
	// Changed is when the last such statement was seen to end; zero: there was none.
	Changed() time.Time
	// Settled says that each reader has all that the writer had at that time.
	Settled(at time.Time)
}

// Capacity is how many connections a target allows, and how many of those ordinary users cannot have. The zero value means
// unknown.
type Capacity struct{ MaxConnections, Reserved int }

// AnswerError is a log-in that the target itself refused: it is there, but would not have us.
type AnswerError struct{ Err error }

func (e *AnswerError) Error() string { return e.Err.Error() }

// Unwrap gives the target's own error.
func (e *AnswerError) Unwrap() error { return e.Err }

// Dialed is a server connection that has passed the connection phase.
type Dialed struct {
	Conn   net.Conn // what to go on with
	TLS    bool
	Server Server
	Limits Capacity
	// ReadOnly is set where the server has said that it takes no writes: it is a replica, or is being made one.
	ReadOnly bool
	// Previous is set where the server has refused the secret's current password, and taken the previous one.
	Previous bool
	// Token is set where the log-in was by a token of the proxy's role.
	Token bool
	// Lease is how long the user exists that was logged in; nil: it has no end.
	Lease *secret.Lease
}

// Local is what the sessions and server connections of one Key share on one loop. Owned by loop.
type Local interface{}

// Server is the protocol state of one server connection. Owned by loop.
type Server interface {
	// Fit identifies the connection's session settings.
	Fit() Fit
	// Idle is given what arrives while no session has the connection. It returns the bytes consumed, and false when the
	// connection is to be closed.
	Idle(b []byte) (n int, ok bool)
	// Cancel asks the database, over a transport of its own, to cancel what the connection runs. It blocks and is called
	// from another goroutine; it uses only what never changes after log-in.
	Cancel(ctx context.Context, m Member) error
	// Bye is what to send before an orderly close.
	Bye() []byte
}

// Session is the protocol state of one client in the query phase. Owned by loop.
//
// A session has a server connection only from Attach to Detach. What it wants sent it puts into the Output, which the
// caller sends after each call.
type Session interface {
	// Start begins the query phase. It reports whether the welcome needs a server connection first.
	Start(o *Output) (needsServer bool)
	// Fit identifies the settings that the session wants on its server connection.
	Fit() Fit
	// Takes reports whether the session can work on that server connection. One that it cannot is closed, for a new one.
	Takes(s Server) bool
	// Attach lends a server connection to the session.
	Attach(s Server, o *Output)
	// Detach takes it back. Only when Done, or when the server connection is lost or to be closed.
	Detach()

	// FromClient takes bytes that the client sent and returns how many it has consumed; the rest comes again, with more
	// behind it. Without a server connection it consumes only what needs none: what it answers itself, where that is cheap
	// to see, and a farewell.
	FromClient(b []byte, o *Output) int
	// FromServer does the same for what the server connection sent.
	FromServer(b []byte, o *Output) int

	// ReadsOnly reports whether the request at the beginning of b, which the session has no server connection for, begins a
	// transaction that declares that it only reads: a reader may serve it. Output.Writes takes that back.
	ReadsOnly(b []byte) bool
	// Open reports whether bytes of the client may be given to FromClient now: not while the server connection is being
	// made ready in a way that could fail.
	Open() bool
	// Done reports that the server connection can go back: nothing is outstanding, both sides are at a message boundary,
	// no state is left behind.
	Done() bool
	// Keeps reports, of a session that is Done, that its next request may ask for what only this server connection knows
	// of the last one. It keeps the connection while nobody else wants it.
	Keeps() bool
	// Busy reports that the session waits for the server, or has something open there.
	Busy() bool
	// Pinned reports why the session keeps its server connection beyond the transaction; empty when it does not.
	Pinned() string

	// Refuse says that no server connection could be had for the client's next request: FromClient will answer that with
	// err and consume it.
	Refuse(err error, o *Output)
	// Refusing reports whether such an answer is still due.
	Refusing() bool
	// ServerLost says that the server connection is gone; the caller detaches afterwards.
	ServerLost(err error, o *Output)
	// ClientGone says that the client has left. It reports whether the server connection is worth keeping: then the
	// caller goes on with FromServer until Done; else it closes the connection.
	ClientGone(o *Output) (keep bool)
	// Killed ends what Output.Kill has begun. found: there was such a session, and it is this user's.
	Killed(found bool, o *Output)
	// End tells the client why its connection ends, such as an idle timeout.
	End(err error, o *Output)
	// Retire reports that the server connection must be closed once it is given back.
	Retire() bool
	// Interrupt is told that what a Busy session runs is to end. It reports whether the database is to be asked for that: not
	// while a request of Forebay's own runs there, nor when nothing does.
	Interrupt() bool
	// Matches reports whether a cancel request carries this session's secret.
	Matches(c *Cancel) bool
	// Describe is a line about the session for operators, without statement text.
	Describe() SessionInfo
}

// Guarded is a Session that has to know where it is.
type Guarded interface {
	// Guard says, between ReadsOnly and Attach, that it is a reader that serves the transaction, until Detach. Where readers may take
	// writes, what could end the transaction and write behind its end is refused; and see Follower.
	Guard()
}

// Inquirer is a Session that may have to ask its server connection something before another session has it.
type Inquirer interface {
	// Inquire is called where the session is Done and its server connection is to be given back. It reports whether something is
	// asked first: then the session is not Done until that has been answered, and Inquire is called again.
	Inquire(o *Output) bool
}

// Withdrawer is a Session of a protocol in which a client withdraws its request over its own connection.
type Withdrawer interface {
	// Withdraws reports, of a session that waits for a server connection, whether the client has sent, in b, a request and
	// that it is not to be run any more: then FromClient answers and consumes both.
	Withdraws(b []byte) bool
}

// SessionInfo is what an operator sees of a session.
type SessionInfo struct {
	PID         uint32 // as the client knows it
	Application string
	Pins        []Pin
	State       string // idle, active, idle in transaction, ...
}

// Pin is why a session keeps its server connection.
type Pin struct {
	Reason string
	Digest string // of the statement that led to it, without literals
	Fix    string // how an application avoids it
	Since  int64  // Unix nanoseconds
	told   bool   // counted and logged
}

// Counters is what an engine counts on one loop. Owned by loop.
type Counters struct {
	Now *int64 // the loop's clock, in nanoseconds

	Queries          uint64 // requests of clients: simple queries and executions
	Transactions     uint64
	QueryNanos       uint64 // database time, summed over request cycles
	QueryCycles      uint64
	InTransaction    int    // server connections with a transaction open now
	Pinned           int    // sessions pinned now
	Probes           uint64 // looks at a server connection's session state
	Replays          uint64 // server connections whose settings were changed to fit a session
	Pins             map[string]uint64
	Reprepares       uint64
	PreparedHits     uint64
	StatementsHealed uint64 // prepared statements found out of date, and made anew from then on
}
