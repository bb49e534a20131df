// Package session runs the query phase of clients on event loops: it borrows a server connection when a client sends
// something, relays between the two through the engine's state machine, and gives the connection back when the engine says
// that nothing is left behind. It knows no protocol.
package session

import (
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"forebay/internal/engine"
	"forebay/internal/evloop"
	"forebay/internal/pool"
)

// Worker is what the sessions of one loop share. Owned by loop, but for the fields set at construction.
type Worker struct {
	Loop *evloop.Loop
	Log  *slog.Logger

	out      engine.Output
	sessions map[uint32]*Session // by slot; nil for one whose client is still to log in
	lastSlot uint32              // the last one handed out
	oldest   *Session            // list by the time at which they were last looked at for idleness
	newest   *Session
	keeping  []*Session   // with a server connection that they need not have, longest first
	kept     atomic.Int32 // how many those are; read by other loops
	peers    []*Worker    // of all loops
	depth    int          // of sessions served within one another
	pools    []*Pool
	leases   bool     // there has been a server connection whose user ends
	spare    [][]byte // buffers for messages that came in pieces
}

// NewWorker makes the worker of a loop. Call it before the loop runs, or on it.
func NewWorker(l *evloop.Loop, log *slog.Logger) *Worker {
	w := &Worker{Loop: l, Log: log, sessions: make(map[uint32]*Session)}
	l.Every(tickFast, func() bool { return w.waiting() }, func(time.Time) { w.tickPools() })
	l.Every(tickSlow, func() bool { return w.oldest != nil || w.open() }, func(time.Time) {
		w.tickPools()
		w.TickSessions(l.Nanos())
		w.TickKeeping(l.Nanos())
		w.tickLeases(l.Now())
	})
	return w
}

// Meet tells the workers of each other. Call it once, when no client has come yet.
func Meet(all []*Worker) {
	for _, w := range all {
		w.Loop.Post(func() { w.peers = all })
	}
}

// waiting reports whether something is due soon.
func (w *Worker) waiting() bool {
	for _, p := range w.pools {
		if due := p.shard.Due(); due != 0 && due-w.Loop.Nanos() < int64(tickSlow) {
			return true
		}
	}
	return false
}

// open reports whether there is a pool that may have something to do in the long run.
func (w *Worker) open() bool {
	for _, p := range w.pools {
		if p.shard.Due() != 0 {
			return true
		}
	}
	return false
}

func (w *Worker) tickPools() {
	for i := range len(w.pools) { // what sessions do meanwhile may make pools
		p := w.pools[i]
		p.shard.Tick(w.Loop.Nanos())
		p.shard.Patient(w.Loop.Nanos(), lookAt)
		p.ask()
	}
	w.pools = slices.DeleteFunc(w.pools, func(p *Pool) bool {
		if !p.ended {
			return false
		}
		if st := p.shard.Stats(); st.Open+st.Opening > 0 {
			return false
		}
		p.host.Dropped(p)
		return true
	})
}

// Sessions calls f for each session. Owned by loop.
func (w *Worker) Sessions(f func(*Session)) {
	for _, s := range w.sessions {
		if s != nil {
			f(s)
		}
	}
}

// Pools calls f for each pool. Owned by loop.
func (w *Worker) Pools(f func(*Pool)) {
	for _, p := range w.pools {
		f(p)
	}
}

// Session returns the session in the given slot, or nil. Owned by loop.
func (w *Worker) Session(slot uint32) *Session { return w.sessions[slot] }

// buffer returns a buffer for the start of a message; release gives it back.
func (w *Worker) buffer(n int) []byte {
	if k := len(w.spare); k > 0 && n <= spareSize {
		b := w.spare[k-1]
		w.spare = w.spare[:k-1]
		return b[:0]
	}
	return make([]byte, 0, max(n, spareSize))
}

const (
	spareSize = 16 << 10
	maxSpare  = 64
)

func (w *Worker) release(b []byte) {
	if cap(b) == spareSize && len(w.spare) < maxSpare {
		w.spare = append(w.spare, b)
	}
}

// shrink keeps the start of a message in memory of its own size, if that is much less, where clients that wait for a server
// connection are too many for the spare buffers.
func (s *Session) shrink() {
	if s.in == nil || len(s.in) > spareSize/4 || s.pool.shard.Waiting() <= maxSpare {
		return
	}
	in := slices.Clone(s.in)
	s.w.release(s.in)
	s.in = in
}

// keep stores what an engine has not consumed: b is a tail of in, or fresh.
func (w *Worker) keep(in, rest []byte) []byte {
	if len(rest) == 0 {
		if in != nil {
			w.release(in)
		}
		return nil
	}
	if in == nil {
		in = w.buffer(len(rest))
	}
	if cap(in) < len(rest) {
		w.release(in)
		in = w.buffer(2 * len(rest))
	}
	return append(in[:0], rest...)
}

// Common is what the pools of one user and database have in common on one loop, whichever member they lead to: so a session
// can move from one to another. Owned by loop.
type Common struct {
	Local    engine.Local
	Counters engine.Counters
}

// NewCommon makes it for the pools of w. Call it on the loop.
func NewCommon(w *Worker, db engine.Database) *Common {
	c := new(Common)
	c.Counters.Now = w.Loop.Clock()
	c.Local = db.NewLocal(&c.Counters)
	return c
}

// Pool is one loop's share of the pool of one user and database at one member behind a proxy.
type Pool struct {
	*Common
	w       *Worker
	shard   *pool.Shard
	budget  *pool.Budget
	clients *atomic.Int64 // of all pools at the member
	host    Host
	asking  bool // another loop has been asked to give a server connection up
	coming  int  // server connections that are given up for it as soon as their sessions have asked them something
	ended   bool // dropped once it has no server connection left
	splits  bool // transactions that only read may go to readers
	stats   PoolStats
}

// PoolStats is what a pool counts beside the shard's own figures. Owned by loop.
type PoolStats struct {
	ClientsIn    int // sessions
	ClientsTLS   int
	ServersTLS   int
	WaitNanos    [len(WaitBuckets) + 1]uint64 // borrows by how long they waited, not cumulative
	WaitSum      uint64                       // nanoseconds
	RequestWait  uint64                       // the part of WaitSum that requests waited; the rest was log-ins
	OpenAttempts uint64
	OpenFailures uint64
	TLSOpened    uint64
	QueriesTLS   uint64
	SplitReads   uint64             // transactions of READ_WRITE sessions that a reader has served
	Ended        [NumEndings]uint64 // server connections that ended in other ways than by the pool's choice

	ClientBytesIn, ClientBytesOut uint64 // from and to clients, inside TLS
	ServerBytesIn, ServerBytesOut uint64 // from and to server connections, inside TLS
}

// Ending says why a server connection ended that the pool would have kept.
type Ending uint8

const (
	EndLost      Ending = iota // the server or the network ended it
	EndUnsure                  // its state was unsure, or its protocol broken
	EndAbandoned               // its client left in the middle of something
	EndState                   // it held state that no reset undoes
	EndUnfit                   // a session that it was to be lent to could not work on it
	EndFailover                // its member is no longer one to work with
	EndLease                   // the lease of its user has ended
	NumEndings                 // how many there are
)

var endingNames = [NumEndings]string{"lost", "unsure", "abandoned", "state", "unfit", "failover", "lease"}

// String returns one lower-case word, for metrics.
func (e Ending) String() string {
	if e < NumEndings {
		return endingNames[e]
	}
	return "unknown"
}

// WaitBuckets are the upper bounds of the wait histogram, in nanoseconds.
var WaitBuckets = [...]int64{100e3, 1e6, 5e6, 10e6, 50e6, 100e6, 500e6, 1e9, 5e9, 30e9, 120e9}

// Host does for a pool and its sessions what takes more than their loop. Its methods are called on the loop.
type Host interface {
	// Open starts to log in to the target; the answer is posted to the loop.
	Open(p *Pool, done func(o Opened, err error))
	// Reader is the pool of a reader that may serve a transaction of a session that only reads, on the same loop: it has all
	// that the writer had at that time, by the loops' clock. last is where the session's last such transaction was, or nil:
	// it had better be that. nil: there is none.
	Reader(p, last *Pool, since int64) *Pool
	// Left says that no session of the pool's may be at its member any more.
	Left() bool
	// Kill ends what another session runs, or that session. done is called on the loop, not at once: found says whether there
	// is such a session that s may end.
	Kill(s *Session, k engine.Kill, done func(found bool))
	// Relogin has a client log in once more by f, whose session of p, in that slot, has ended. early is what it has sent
	// already, seen is for Begin.
	Relogin(p *Pool, c *evloop.Conn, slot uint32, early []byte, seen int64, f engine.LoginFunc)
	// Doubt says that something may have happened to the member of p: a server connection has been lost, or a write refused.
	Doubt(p *Pool)
	// Dropped says that p, which has ended, is no more: its figures are final.
	Dropped(p *Pool)
}

// Opened is a server connection fresh from the connection phase.
type Opened struct {
	Conn   *evloop.Conn
	Addr   net.Addr // of the server
	Dialed engine.Dialed
}

// NewPool makes a pool on w, which counts its sessions in clients. Call it on the loop.
func NewPool(w *Worker, c *Common, b *pool.Budget, clients *atomic.Int64, key pool.Key, cfg pool.Config, h Host) *Pool {
	p := &Pool{Common: c, w: w, host: h, budget: b, clients: clients}
	p.shard = pool.NewShard(b, key, cfg, p)
	w.pools = append(w.pools, p)
	return p
}

// SetSplit changes whether transactions that only read may go to readers. Owned by loop.
func (p *Pool) SetSplit(on bool) { p.splits = on }

// Loop is the loop that the pool belongs to.
func (p *Pool) Loop() *evloop.Loop { return p.w.Loop }

// Owner is the pool's host.
func (p *Pool) Owner() Host { return p.host }

// End ends the pool: its sessions, with the given reason, and its server connections. Owned by loop.
func (p *Pool) End(reason error) {
	p.ended = true
	if reason != nil {
		for _, s := range p.w.sessions {
			if s != nil && s.pool == p {
				s.End(reason)
			}
		}
	}
	p.shard.Close(p.w.Loop.Nanos())
}

// Shard is the pool's shard. Owned by loop.
func (p *Pool) Shard() *pool.Shard { return p.shard }

// PoolStats returns the figures of the pool. Owned by loop.
func (p *Pool) PoolStats() PoolStats { return p.stats }
