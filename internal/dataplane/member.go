package dataplane

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
	"forebay/internal/pool"
	"forebay/internal/resource"

	"golang.org/x/time/rate"
)

// member is a database server of a target, with the limit that all its pools share.
type member struct {
	t       *target
	budget  *pool.Budget
	clients atomic.Int64 // sessions whose pool is here
	// pace bounds how fast connections are opened to a server that has just become the writer: those who waited all come at
	// once.
	pace atomic.Pointer[rate.Limiter]
	// caughtUp is a time by the loops' clock: the member has all that the writer had then. 0: not known.
	caughtUp atomic.Int64
	wake     chan struct{} // has one value when the member is to be looked at soon

	// Guarded by t.mu.
	cfg          resource.Member
	declared     bool     // else it has been discovered
	peers        []peer   // that it names as members of the replication set
	addresses    []string // that its host has resolved to, sorted
	capacity     engine.Capacity
	limits       pool.Limits // made of it, as the budget has them; zero: not known yet
	health       error       // nil: it answered
	users        userHealth  // whom it would have, of those whom it was asked as
	blind        error       // it answered its monitor, and would not have that
	unready      error       // no token can be made by which users without a secret would log in
	unseen       bool        // it answers, and nobody has logged in to it to find out more
	checked      time.Time   // when health was last found out, zero: not yet
	answeredAt   time.Time   // when it last answered a look
	failures     int         // looks that have failed since
	status       engine.Status
	fenced       bool      // it claims to be the writer, and is not to be
	owes         time.Time // it is not read at before it has what the writer had then; zero: nothing
	availability availability

	stopWatch context.CancelFunc // guarded by t.mu; nil while no monitor runs
	watchedAs resource.Monitor   // guarded by t.mu; how the monitor has been started
}

// unknownLimit is how many connections are opened before the member has said how many it allows.
const unknownLimit = 4

func newMember(t *target, cfg resource.Member) *member {
	return &member{
		t: t, cfg: cfg, wake: make(chan struct{}, 1),
		budget: pool.NewBudget(pool.Limits{MaxOpen: unknownLimit, MaxIdle: unknownLimit}),
		status: engine.Status{Lag: -1, LagBytes: -1}, users: make(userHealth), owes: t.settled,
	}
}

// Config implements engine.Member.
func (m *member) Config() resource.Member {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	return m.cfg
}

// Dial implements engine.Member.
func (m *member) Dial(ctx context.Context) (net.Conn, error) {
	cfg := m.Config()
	d := net.Dialer{Timeout: connectTimeout(cfg)}
	return d.DialContext(ctx, "tcp", cfg.Address())
}

func connectTimeout(m resource.Member) time.Duration {
	if m.ConnectTimeout > 0 {
		return m.ConnectTimeout
	}
	return 10 * time.Second
}

// look has the member looked at soon.
func (m *member) look() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// learn takes over how many connections the member allows.
func (m *member) learn(c engine.Capacity) {
	if c.MaxConnections == 0 {
		return
	}
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if m.capacity != c {
		m.capacity = c
		m.setLimitsLocked()
	}
}

// setLimitsLocked turns percentages into numbers (contract 3.3). t.mu is held.
func (m *member) setLimitsLocked() {
	if m.capacity.MaxConnections == 0 {
		return
	}
	l := limitsOf(m.t.cfg.Pool, m.capacity)
	if l == m.limits {
		return
	}
	m.limits = l
	m.budget.SetLimits(l)
	m.t.px.log.Info("limits of the target", slog.String("target", m.cfg.Address()), slog.Int("max_connections", m.capacity.MaxConnections),
		slog.Int("max_database_connections_allowed", l.MaxOpen), slog.Int("max_idle", l.MaxIdle))
}

// limitsOf turns percentages into numbers: of what the member allows, less what it reserves and what we leave free.
func limitsOf(c resource.ConnectionPoolConfig, k engine.Capacity) pool.Limits {
	usable := max(1, k.MaxConnections-k.Reserved-c.ReservedConnections)
	most := c.MaxOpen(usable)
	return pool.Limits{MaxOpen: most, MaxIdle: min(usable*c.MaxIdleConnectionsPercent/100, most)}
}

// report takes over how the member is, and says so when that has changed.
func (m *member) report(err error) {
	t := m.t
	t.mu.Lock()
	changed := m.checked.IsZero() || (m.health == nil) != (err == nil)
	m.health, m.checked = err, time.Now()
	m.availability.record(m.checked, err == nil)
	addr := m.cfg.Address()
	t.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		t.px.log.Error("the target does not answer", slog.String("target", addr), slog.Any("error", err))
	default:
		t.px.log.Info("the target answers", slog.String("target", addr))
	}
}

// unwell reports whether the member did not answer when it was last asked.
func (m *member) unwell() bool {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	return m.health != nil
}

// tookUser takes over whether the member lets a user in, and says so when that has changed.
func (m *member) tookUser(k engine.Key, why error) {
	t := m.t
	t.mu.Lock()
	before := m.users[k]
	m.users[k], m.unseen = why, false
	t.mu.Unlock()
	user, database := slog.String("user", k.User), slog.String("database", k.Database)
	switch {
	case why != nil && before == nil:
		t.px.log.Warn("the target answers, but does not let a user in", user, database, slog.Any("error", why))
	case why == nil && before != nil:
		t.px.log.Info("the target lets a user in again", user, database)
	}
}

// refusedLocked is why the member, which answers, lets nobody in, or not its monitor. t.mu is held.
func (m *member) refusedLocked() error {
	switch {
	case m.blind != nil:
		return m.blind
	case m.unready != nil && len(m.users) == 0:
		return m.unready
	default:
		return m.users.refused()
	}
}

// each calls f for each of the member's pools, on their loops, soon.
func (m *member) each(f func(p *session.Pool)) {
	for i, l := range m.t.px.plane.loops {
		l.Post(func() {
			m.t.px.plane.workers[i].Pools(func(p *session.Pool) {
				if b, ok := p.Owner().(*branch); ok && b.member == m {
					f(p)
				}
			})
		})
	}
}

// retire has the server connections of keys that are meant closed that there are now: idle ones at once, others when they are
// given back.
func (m *member) retire(meant func(engine.Key) bool) {
	m.each(func(p *session.Pool) {
		if meant(p.Owner().(*branch).db.key) {
			p.Shard().Retire(p.Loop().Nanos())
		}
	})
}

// cut ends server connections that sessions still have, of keys that are meant: those in the middle of something only if busy
// is set.
func (m *member) cut(busy bool, meant func(engine.Key) bool) {
	for i, l := range m.t.px.plane.loops {
		l.Post(func() {
			m.t.px.plane.workers[i].Cut(busy, func(p *session.Pool) bool {
				b, ok := p.Owner().(*branch)
				return ok && b.member == m && meant(b.db.key)
			})
		})
	}
}

// drainLimit is how long transactions may go on at a member that is no longer theirs.
var drainLimit = 30 * time.Second

// cutLater cuts what still is at a member after the time that transactions have to end. What has moved back meanwhile stays:
// where it is a reader that was lost, also transactions of other sessions that only read.
func (m *member) cutLater(readOnly bool, meant func(engine.Key) bool) {
	t := m.t
	t.run(func() {
		wait := time.NewTimer(drainLimit)
		defer wait.Stop()
		select {
		case <-wait.C:
			r := t.routes.Load()
			m.cut(true, func(k engine.Key) bool {
				split := readOnly && slices.Contains(r.readers, m)
				return meant(k) && !split && !slices.Contains(r.serve(k.ReadOnly), m)
			})
		case <-t.ctx.Done():
		}
	})
}

// leave ends a member that is no more. Its sessions have moved away.
func (m *member) leave() {
	t := m.t
	t.mu.Lock()
	stop := m.stopWatch
	m.stopWatch = nil
	for _, d := range t.dbs {
		delete(d.branches, m)
	}
	t.mu.Unlock()
	if stop != nil {
		stop()
	}
	every := func(engine.Key) bool { return true }
	m.each(func(p *session.Pool) { p.End(nil) })
	m.cut(false, every)
	m.cutLater(false, every)
}
