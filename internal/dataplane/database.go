package dataplane

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
	"forebay/internal/evloop"
	"forebay/internal/pool"
	"forebay/internal/resource"
)

// database is what the sessions of one key share, which is a user, a database and whether they read: for most engines.
type database struct {
	target  *target
	key     engine.Key
	db      engine.Database
	gone    chan struct{}     // closed when it is forgotten
	commons []*session.Common // by loop, each made and owned by it

	asked    time.Time           // guarded by target.mu; when a client last asked for it
	settled  time.Time           // guarded by target.mu; what it has been told that readers have: see settle.go
	branches map[*member]*branch // guarded by target.mu
}

func newDatabase(t *target, k engine.Key, db engine.Database) *database {
	return &database{
		target: t, key: k, db: db, gone: make(chan struct{}),
		commons: make([]*session.Common, len(t.px.plane.loops)), branches: make(map[*member]*branch),
	}
}

// common is what the pools of a loop have in common. Called on that loop.
func (d *database) common(loop int) *session.Common {
	if d.commons[loop] == nil {
		d.commons[loop] = session.NewCommon(d.target.px.plane.workers[loop], d.db)
	}
	return d.commons[loop]
}

// branch is the pools of a database at one member. It implements session.Host.
type branch struct {
	db     *database
	member *member
	pools  []*session.Pool // by loop, each made and owned by it
}

// at returns the pools at a member.
func (d *database) at(m *member) *branch {
	d.target.mu.Lock()
	defer d.target.mu.Unlock()
	b := d.branches[m]
	if b == nil {
		b = &branch{db: d, member: m, pools: make([]*session.Pool, len(d.commons))}
		d.branches[m] = b
	}
	return b
}

// pool is the pool of a loop. Called on that loop.
func (b *branch) pool(loop int) *session.Pool {
	if b.pools[loop] == nil {
		d, t := b.db, b.db.target
		t.mu.Lock()
		cfg, at := t.cfg, b.member.cfg
		t.mu.Unlock()
		key := pool.Key{Target: at.Address(), User: d.key.User, Database: d.key.Database, Protocol: d.key.Protocol, ReadOnly: d.key.ReadOnly}
		p := session.NewPool(t.px.plane.workers[loop], d.common(loop), b.member.budget, &b.member.clients, key, poolConfig(cfg, len(b.pools)), b)
		p.SetSplit(splits(cfg) && !d.key.ReadOnly)
		b.pools[loop] = p
	}
	return b.pools[loop]
}

// each calls f for each pool of the database, on their loops, soon.
func (d *database) each(f func(m *member, p *session.Pool)) {
	for i, l := range d.target.px.plane.loops {
		l.Post(func() {
			d.target.px.plane.workers[i].Pools(func(p *session.Pool) {
				if b, ok := p.Owner().(*branch); ok && b.db == d {
					f(b.member, p)
				}
			})
		})
	}
}

// close closes the database's pools. With a reason, sessions are ended with it.
func (d *database) close(reason error) {
	d.each(func(_ *member, p *session.Pool) { p.End(reason) })
}

// Open implements session.Host: it logs in to the member on a goroutine. Called on the pool's loop.
func (b *branch) Open(p *session.Pool, done func(session.Opened, error)) {
	t, loop := b.db.target, p.Loop()
	if b.member == t.nowhere {
		why := t.routes.Load().why(b.db.key.ReadOnly)
		loop.Post(func() { done(session.Opened{}, why) })
		return
	}
	started := t.run(func() {
		o, err := b.open(loop)
		if err != nil && t.ctx.Err() == nil {
			level := slog.LevelWarn
			if b.member.unwell() {
				level = slog.LevelDebug // it has been said
			}
			t.px.log.Log(t.ctx, level, "a server connection could not be opened", slog.String("target", b.member.address()),
				slog.String("user", b.db.key.User), slog.String("database", b.db.key.Database), slog.Any("error", err))
			b.member.look()
			t.doubt.Store(t.px.cfg.Load().EndToEndIAM)
		}
		finish := func() {
			// What comes when sessions have left, or the proxy is paused, is one of those that were retired then.
			if err == nil && !b.serves() {
				o.Dialed.Conn.Close()
				o, err = session.Opened{}, engine.ErrFailover
			}
			done(o, err)
		}
		if !loop.Post(finish) && err == nil {
			o.Dialed.Conn.Close()
		}
	})
	if !started {
		loop.Post(func() { done(session.Opened{}, errTargetClosed) })
	}
}

// serves reports whether sessions may still be at the member.
func (b *branch) serves() bool {
	return !b.db.target.routes.Load().paused && !b.Left()
}

// Left implements session.Host.
func (b *branch) Left() bool {
	r := b.db.target.routes.Load()
	reads := b.db.key.ReadOnly || splits(b.db.target.px.cfg.Load())
	return !slices.Contains(r.serve(b.db.key.ReadOnly), b.member) && !(reads && slices.Contains(r.readers, b.member))
}

// open logs in to the member, for a loop.
func (b *branch) open(loop *evloop.Loop) (session.Opened, error) {
	t, m := b.db.target, b.member
	cfg := m.Config()
	ctx, cancel := context.WithTimeout(t.ctx, connectTimeout(cfg)+20*time.Second)
	defer cancel()
	if pace := m.pace.Load(); pace != nil {
		if err := pace.Wait(ctx); err != nil {
			return session.Opened{}, err
		}
	}
	var c *evloop.Conn
	var addr net.Addr
	dialed, err := b.db.db.Dial(ctx, cfg, func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout(cfg))
		defer cancel()
		conn, nc, err := evloop.Dial(ctx, loop, "tcp", cfg.Address())
		if err != nil {
			return nil, err
		}
		c, addr = conn, nc.RemoteAddr()
		return nc, nil
	})
	if err != nil {
		return session.Opened{}, err
	}
	m.learn(dialed.Limits)
	if dialed.Previous {
		t.previous.Add(1)
	}
	if dialed.Token {
		t.tokens.Add(1)
	}
	if dialed.ReadOnly && !b.db.key.ReadOnly && t.isCluster() && t.routes.Load().writer == m {
		// It has been the writer a moment ago. Whoever waits here waits for the next one.
		dialed.Conn.Close()
		return session.Opened{}, engine.ErrNoWriter
	}
	return session.Opened{Conn: c, Addr: addr, Dialed: dialed}, nil
}

// splits reports whether readers serve transactions of READ_WRITE sessions that only read.
func splits(cfg *resource.Proxy) bool { return cfg.SplitReads && cfg.Target.IsCluster() }

func (t *target) isCluster() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cfg.Target.IsCluster()
}

// Doubt implements session.Host.
func (b *branch) Doubt(*session.Pool) { b.member.look() }

// Dropped implements session.Host: what the pool counted stays part of its target's figures. Called on the pool's loop.
func (b *branch) Dropped(sp *session.Pool) {
	var last PoolTotals
	last.addPool(sp)
	last.settle()
	b.db.target.past[sp.Loop().ID()].merge(&last)
}

// refresh looks at the target when a database asks for it, and then until the target answers: the next look of watch may be
// far.
func (d *database) refresh() {
	again := time.NewTimer(watchUnwell)
	again.Stop()
	defer again.Stop()
	for {
		select {
		case <-d.target.ctx.Done():
			return
		case <-d.gone:
			return
		case <-d.db.Stale():
		case <-again.C:
		}
		if !d.target.maintain(d.key, d.db) {
			again.Reset(watchUnwell)
		}
	}
}

// unusedAfter is how long a key may go without a client before its pools are forgotten: log-in names are the clients' to
// choose.
const unusedAfter = 10 * time.Minute

// forgetUnused ends the pools that nobody has used for long.
func (t *target) forgetUnused() {
	t.mu.Lock()
	var old []*database
	for _, d := range t.dbs {
		if time.Since(d.asked) > unusedAfter {
			old = append(old, d)
		}
	}
	t.mu.Unlock()
	for _, d := range old {
		if d.used() {
			continue
		}
		t.mu.Lock()
		forget := time.Since(d.asked) > unusedAfter && !t.closed
		if forget {
			delete(t.dbs, d.key)
			close(d.gone)
		}
		t.mu.Unlock()
		if forget {
			d.close(engine.ErrShutdown)
			d.settle()
		}
	}
}

// used reports whether a session, or a server connection, is in any pool of the database.
func (d *database) used() bool {
	var mu sync.Mutex
	used := false
	for i, l := range d.target.px.plane.loops {
		l.Call(func() {
			d.target.px.plane.workers[i].Pools(func(p *session.Pool) {
				if b, ok := p.Owner().(*branch); ok && b.db == d {
					st := p.Shard().Stats()
					mu.Lock()
					used = used || p.PoolStats().ClientsIn > 0 || st.Open+st.Opening > 0
					mu.Unlock()
				}
			})
		})
	}
	return used
}

// settle keeps what the engine has counted, of a database that is forgotten.
func (d *database) settle() {
	for i, l := range d.target.px.plane.loops {
		l.Post(func() {
			if c := d.commons[i]; c != nil {
				var last PoolTotals
				last.addEngine(&c.Counters)
				last.settle()
				d.target.past[i].merge(&last)
			}
		})
	}
}

// memberFor is a member to look at for sessions that read, or that do not; nil where none is known to answer.
func (t *target) memberFor(readOnly bool) *member {
	r := t.routes.Load()
	if readOnly {
		for _, m := range r.readers {
			return m
		}
	}
	return r.writer
}
