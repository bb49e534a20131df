package dataplane

import (
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
	"forebay/internal/pool"
)

// Figures are what a Plane has counted, and how it is now. internal/metrics gives them names and units.
type Figures struct {
	HandshakesRunning int // connection phases under way
	HandshakesQueued  int // clients whose connection phase waits for another's end
	HandshakesLimit   int
	LoopConnections   []int // sockets by loop, clients and server connections
	Proxies           []ProxyFigures
}

// ProxyFigures are one proxy's. The counts begin when the proxy was made.
type ProxyFigures struct {
	Proxy               string
	Clients             ClientFigures
	CertificateNotAfter time.Time // zero: no TLS
	Target              TargetFigures
	Members             []MemberFigures // of the target: as declared, then as discovered
}

// MemberFigures are those of one database server of a proxy's target.
type MemberFigures struct {
	Name         string
	Address      string // host:port
	Role         engine.Role
	Checked      bool // whether it has been asked yet how it is
	Available    bool
	Availability float64         // percent of the last minute in which it answered
	Lag          time.Duration   // behind the writer; negative: not known
	LagBytes     int64           // the same in bytes of the log; negative: not known
	Capacity     engine.Capacity // zero: not known yet
	Limits       pool.Limits     // in force
	Clients      int64           // sessions that it serves
	Pool         pool.Stats
}

// ClientFigures count a proxy's clients, those still in the connection phase included.
type ClientFigures struct {
	Open int64

	Received    int64 // connections accepted, cancel requests included
	Succeeded   int64 // logged in
	FailedAuth  int64 // not let in: authentication, or TLS
	FailedOther int64 // left, or broke the protocol, before they had logged in
	Refused     int64 // over the limit of clients or of open files
	Cancels     int64 // cancel requests
	Closed      int64

	Tokens        int64                         // let in by a token
	TokensRefused [engine.NumTokenReasons]int64 // of FailedAuth, those whose token was no good
}

// TargetFigures are those of a proxy's target: sums over its pools, those that were forgotten included. Of a cluster, what a
// single server would say of itself is the writer's, and limits are sums.
type TargetFigures struct {
	Address      string // host:port, or the cluster's identifier
	Checked      bool   // whether it has been asked yet how it is
	Available    bool
	Availability float64         // percent of the last minute in which it answered
	Capacity     engine.Capacity // zero: not known yet
	Limits       pool.Limits     // in force
	Previous     int64           // server connections that needed a secret's previous password
	Failovers    uint64          // times that another member has become the writer
	Tokens       int64           // server connections opened by a token of the proxy's role
	PoolTotals
}

// PoolTotals are sums over pools.
type PoolTotals struct {
	Pool    pool.Stats
	Session session.PoolStats
	Engine  engine.Counters // Now is nil
}

// addPool adds the figures of p, on whose loop it is called, but for what the engine has counted, which is of all pools of
// that loop.
func (t *PoolTotals) addPool(p *session.Pool) {
	addPool(&t.Pool, p.Shard().Stats())
	addSession(&t.Session, p.PoolStats())
}

// merge adds other totals.
func (t *PoolTotals) merge(o *PoolTotals) {
	addPool(&t.Pool, o.Pool)
	addSession(&t.Session, o.Session)
	t.addEngine(&o.Engine)
}

// settle takes the gauges out: what remains are the counters of a pool that is no more.
func (t *PoolTotals) settle() {
	t.Pool.Open, t.Pool.Idle, t.Pool.Borrowed, t.Pool.Opening, t.Pool.Waiting = 0, 0, 0, 0, 0
	t.Session.ClientsIn, t.Session.ClientsTLS, t.Session.ServersTLS = 0, 0, 0
	t.Engine.InTransaction, t.Engine.Pinned = 0, 0
}

func addPool(t *pool.Stats, s pool.Stats) {
	t.Open += s.Open
	t.Idle += s.Idle
	t.Borrowed += s.Borrowed
	t.Opening += s.Opening
	t.Waiting += s.Waiting
	t.Borrows += s.Borrows
	t.Waits += s.Waits
	t.WaitTime += s.WaitTime
	t.Timeouts += s.Timeouts
	t.Failed += s.Failed
	t.Opened += s.Opened
	t.OpenFailed += s.OpenFailed
	t.Removed += s.Removed
	t.Adopted += s.Adopted
	t.Migrated += s.Migrated
	t.FitHits += s.FitHits
	for i, n := range s.Closed {
		t.Closed[i] += n
	}
}

func addSession(t *session.PoolStats, s session.PoolStats) {
	t.ClientsIn += s.ClientsIn
	t.ClientsTLS += s.ClientsTLS
	t.ServersTLS += s.ServersTLS
	for i, n := range s.WaitNanos {
		t.WaitNanos[i] += n
	}
	t.WaitSum += s.WaitSum
	t.RequestWait += s.RequestWait
	t.OpenAttempts += s.OpenAttempts
	t.OpenFailures += s.OpenFailures
	t.TLSOpened += s.TLSOpened
	t.QueriesTLS += s.QueriesTLS
	t.SplitReads += s.SplitReads
	for i, n := range s.Ended {
		t.Ended[i] += n
	}
	t.ClientBytesIn += s.ClientBytesIn
	t.ClientBytesOut += s.ClientBytesOut
	t.ServerBytesIn += s.ServerBytesIn
	t.ServerBytesOut += s.ServerBytesOut
}

func (t *PoolTotals) addEngine(c *engine.Counters) {
	e := &t.Engine
	e.Queries += c.Queries
	e.Transactions += c.Transactions
	e.QueryNanos += c.QueryNanos
	e.QueryCycles += c.QueryCycles
	e.InTransaction += c.InTransaction
	e.Pinned += c.Pinned
	e.Probes += c.Probes
	e.Replays += c.Replays
	e.Reprepares += c.Reprepares
	e.PreparedHits += c.PreparedHits
	e.StatementsHealed += c.StatementsHealed
	for reason, n := range c.Pins {
		if e.Pins == nil {
			e.Pins = make(map[string]uint64, len(c.Pins))
		}
		e.Pins[reason] += n
	}
}
