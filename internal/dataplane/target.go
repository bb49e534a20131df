package dataplane

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
	"forebay/internal/pool"
	"forebay/internal/resource"
)

// target is what a proxy stands in front of: the members of a replication set, of which one is the writer, or a single
// database server. It lives as long as its proxy; its members come and go.
type target struct {
	px    *proxy
	ctx   context.Context
	stop  context.CancelFunc
	tasks sync.WaitGroup

	// nowhere is where sessions wait that no member can have. Nothing is ever opened there.
	nowhere  *member
	routes   atomic.Pointer[routes]
	deciding sync.Mutex    // one decision at a time; taken before mu
	recheck  chan struct{} // has one value when there is a new writer to check

	mu          sync.Mutex
	cfg         *resource.Proxy          // guarded by mu
	members     map[string]*member       // guarded by mu; by address
	order       []*member                // guarded by mu; of the members: as declared, then as discovered
	writer      *member                  // guarded by mu; the last that there was
	newest      uint64                   // guarded by mu; the newest term of a writer
	floor       engine.Position          // guarded by mu; see routes.moves
	wanted      time.Time                // guarded by mu; the floor is to be the writer's position after that; zero: it is there
	dbs         map[engine.Key]*database // guarded by mu
	patroni     []resource.Member        // guarded by mu; those that Patroni names
	spared      []string                 // guarded by mu; addresses, host:port, of those that Patroni's tag noloadbalance keeps readers away from
	patroniAt   []string                 // guarded by mu; its URLs, as it is asked now
	patroniCA   string                   // guarded by mu; and what its certificates are checked against
	stopPatroni context.CancelFunc       // guarded by mu; nil while it is not asked
	crowded     bool                     // guarded by mu; more members are named than are taken
	saidCrowded bool                     // guarded by mu; and the log has it
	conflict    string                   // guarded by mu; what is wrong with several writers
	samples     []sample                 // guarded by mu; of the writer's position, oldest first
	settled     time.Time                // guarded by mu; the newest of its databases': see settle.go
	failovers   uint64                   // guarded by mu; times that another member has become the writer
	closed      bool                     // guarded by mu

	previous atomic.Int64 // server connections that needed a secret's previous password
	tokens   atomic.Int64 // server connections opened by a token of the proxy's role
	doubt    atomic.Bool  // a log-in by a token has failed: the target is to be looked at
	past     []PoolTotals // by loop, each owned by it: the counters of pools that are no more
}

func newTarget(px *proxy, cfg *resource.Proxy) *target {
	t := &target{
		px: px, cfg: cfg, dbs: make(map[engine.Key]*database), members: make(map[string]*member),
		past: make([]PoolTotals, len(px.plane.loops)), recheck: make(chan struct{}, 1),
	}
	t.ctx, t.stop = context.WithCancel(px.plane.ctx)
	t.nowhere = newMember(t, resource.Member{})
	t.routes.Store(&routes{nowhere: t.nowhere})
	return t
}

// start begins to watch the target.
func (t *target) start() { t.tasks.Go(t.watch) }

// run runs f on a goroutine that close waits for. It reports false, and runs nothing, once the target is closed.
func (t *target) run(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.tasks.Go(f)
	}
	return !t.closed
}

// apply takes over changed settings, and which members there are. Sessions go on: those of a member that is no more move to
// another one, with their next transaction.
func (t *target) apply(cfg *resource.Proxy) {
	t.mu.Lock()
	again := t.cfg.Pool.InitQuery != cfg.Pool.InitQuery // what it does is done to new server connections only
	t.cfg = cfg
	gone, anew := t.setMembersLocked()
	for _, m := range t.order {
		m.setLimitsLocked()
	}
	dbs := slices.Collect(maps.Values(t.dbs))
	t.mu.Unlock()
	for _, d := range dbs {
		d.db.Apply(cfg)
		split := splits(cfg) && !d.key.ReadOnly
		d.each(func(_ *member, p *session.Pool) {
			now := p.Loop().Nanos()
			p.SetSplit(split)
			p.Shard().Apply(poolConfig(cfg, len(t.px.plane.loops)), now)
			if again {
				p.Shard().Retire(now)
			}
		})
	}
	t.regroup(gone, anew)
}

// regroup follows setMembersLocked.
func (t *target) regroup(gone, anew []*member) {
	for _, m := range anew {
		m.retire(func(engine.Key) bool { return true })
	}
	t.decide()
	for _, m := range gone {
		m.leave()
	}
	t.monitorAll()
}

// all are the members.
func (t *target) all() []*member {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.order)
}

// setMembersLocked makes the members those that are declared, and those that have been discovered. It returns those that are
// no more, and those that are to be reached in another way than before.
func (t *target) setMembersLocked() (gone, anew []*member) {
	// Where all that are declared are others than before, as for a blue/green deployment, it is another cluster: whom the old one
	// has found, and the terms of its writers, mean nothing to it.
	replaced := len(t.order) > 0 && len(t.cfg.Target.Members) > 0 &&
		!slices.ContainsFunc(t.cfg.Target.Members, func(cfg resource.Member) bool { return t.members[cfg.Address()] != nil })
	if replaced {
		t.newest = 0
	}
	found := t.foundLocked(replaced)
	wanted := make(map[string]bool)
	var order []*member
	for i, cfg := range slices.Concat(t.cfg.Target.Members, found) {
		key := cfg.Address()
		if wanted[key] {
			continue
		}
		wanted[key] = true
		m := t.members[key]
		switch {
		case m == nil:
			m = newMember(t, cfg)
			t.members[key] = m
		case m.cfg.TLSMode != cfg.TLSMode || m.cfg.CAFile != cfg.CAFile:
			anew = append(anew, m)
		}
		m.cfg, m.declared = cfg, i < len(t.cfg.Target.Members)
		order = append(order, m)
	}
	for _, m := range t.order {
		if key := m.cfg.Address(); !wanted[key] {
			delete(t.members, key)
			gone = append(gone, m)
		}
	}
	t.order = order
	return gone, anew
}

// close ends the target's pools and their sessions, and waits for what is under way.
func (t *target) close(reason error) {
	t.mu.Lock()
	t.closed = true
	dbs := slices.Collect(maps.Values(t.dbs))
	t.mu.Unlock()
	for _, d := range dbs {
		d.close(reason)
	}
	t.stop()
	t.tasks.Wait()
}

var errTargetClosed = errors.New("dataplane: the target was removed")

// database returns what sessions of a user and database share, made when first asked for. Of a closed target it is for
// nobody but the one who asks.
func (t *target) database(k engine.Key) *database {
	t.mu.Lock()
	d, cfg := t.dbs[k], t.cfg
	if d != nil {
		d.asked = time.Now()
	}
	t.mu.Unlock()
	if d != nil {
		return d
	}
	made := newDatabase(t, k, t.px.eng.Open(cfg, k, t.px.creds))
	t.mu.Lock()
	defer t.mu.Unlock()
	if d = t.dbs[k]; d == nil { // else another client was quicker
		d = made
		if !t.closed {
			t.dbs[k] = d
			t.tasks.Go(d.refresh)
		}
	}
	if t.cfg != cfg {
		d.db.Apply(t.cfg)
	}
	d.asked = time.Now()
	return d
}

// isClosed reports whether the target is no more.
func (t *target) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

func poolConfig(cfg *resource.Proxy, loops int) pool.Config {
	c := pool.DefaultConfig
	c.BorrowTimeout = cfg.Pool.ConnectionBorrowTimeout
	c.MaxWaiting = (cfg.Pool.MaxWaiting + loops - 1) / loops // loops have about as many sessions each
	c.IdleTimeout = cfg.Pool.IdleTimeout
	c.Lifetime = cfg.Pool.Lifetime
	return c
}
