package dataplane

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
	"forebay/internal/evloop"
	"forebay/internal/pool"
	"forebay/internal/resource"
)

// proxy is one proxy at work.
type proxy struct {
	plane  *Plane
	log    *slog.Logger
	eng    engine.Engine
	greets engine.Greeter // eng, where clients wait for the server to speak first; else nil
	creds  *credentials
	target *target

	cfg    atomic.Pointer[resource.Proxy]
	tls    atomic.Pointer[tls.Config]
	limits atomic.Pointer[session.Limits]
	stats  clientStats

	mu        sync.Mutex
	listeners map[string]*evloop.Listener // guarded by mu; by listenKey
	closed    bool                        // guarded by mu
}

// clientStats counts clients before they have a session. Safe for concurrent use.
type clientStats struct {
	open, received, succeeded, failedAuth, failedOther, closed, refused, cancels atomic.Int64

	tokens        atomic.Int64 // clients let in by one
	tokensRefused [engine.NumTokenReasons]atomic.Int64
}

// change is a proxy's step from what it is to what is wanted: prepared first, then committed or undone.
type change struct {
	proxy  *proxy
	cfg    *resource.Proxy
	tls    *tls.Config
	bound  map[string]*evloop.Listener // new listeners
	fresh  bool                        // the proxy did not exist
	target *target                     // new target, nil to keep the present one
}

// prepare does what can fail.
func (p *Plane) prepare(ctx context.Context, cfg *resource.Proxy, eng engine.Engine) (*change, error) {
	if err := p.checkTokens(cfg); err != nil {
		return nil, err
	}
	c := &change{proxy: p.proxies[identity(cfg)], cfg: cfg, bound: make(map[string]*evloop.Listener)}
	if c.proxy == nil || c.proxy.eng != eng {
		c.fresh = true
		c.proxy = &proxy{
			plane: p, eng: eng, log: p.log.With(slog.String("proxy", cfg.Name)),
			creds: newCredentials(p.opts.Secrets, cfg.Auth), listeners: make(map[string]*evloop.Listener),
		}
		c.proxy.greets, _ = eng.(engine.Greeter)
		if p.opts.ServerTokens != nil {
			c.proxy.creds.tokens = p.opts.ServerTokens
		}
	}
	px := c.proxy
	if p.opts.Certificates != nil {
		t, err := p.opts.Certificates(cfg)
		if err != nil {
			return nil, err
		}
		c.tls = t
	}
	if c.fresh || px.cfg.Load().Target != cfg.Target {
		c.target = newTarget(px, cfg)
	}
	px.mu.Lock()
	defer px.mu.Unlock()
	for _, e := range cfg.Endpoints {
		if px.listeners[listenKey(e)] != nil {
			continue
		}
		l, err := evloop.Listen(ctx, p.loops, e.Listen, px.accept, px.acceptFailed)
		if err != nil {
			c.undo()
			return nil, err
		}
		c.bound[listenKey(e)] = l
	}
	return c, nil
}

// identity is what makes a proxy the same after a change, of its name too: its resource id, where it has one.
func identity(cfg *resource.Proxy) string {
	if cfg.ResourceID != "" {
		return cfg.ResourceID
	}
	return cfg.Name
}

// name is what the proxy is called now. It may be asked once the proxy has been applied.
func (px *proxy) name() string { return px.cfg.Load().Name }

// listenKey is what makes an endpoint's socket the same after a reload: its address, so that a renamed endpoint keeps it,
// but for those that take any free port.
func listenKey(e resource.Endpoint) string {
	if anyPort(e) {
		return e.Listen + " " + e.Name
	}
	return e.Listen
}

func anyPort(e resource.Endpoint) bool { return strings.HasSuffix(e.Listen, ":0") }

func (c *change) undo() {
	for _, l := range c.bound {
		l.Close()
	}
}

// commit does what cannot fail.
func (c *change) commit() *proxy {
	px := c.proxy
	px.tls.Store(c.tls)
	limits := &session.Limits{Idle: c.cfg.IdleClientTimeout, Lifetime: c.cfg.ClientLifetime}
	px.limits.Store(limits)
	px.creds.apply(c.cfg.Auth, c.cfg.EndToEndIAM)
	px.mu.Lock()
	wanted := make(map[string]bool)
	for _, e := range c.cfg.Endpoints {
		wanted[listenKey(e)] = true
		if l := c.bound[listenKey(e)]; l != nil {
			px.listeners[listenKey(e)] = l
		}
	}
	var gone []*evloop.Listener
	for addr, l := range px.listeners {
		if !wanted[addr] {
			delete(px.listeners, addr)
			gone = append(gone, l)
		}
	}
	old := px.target
	if c.target != nil {
		px.target = c.target
	}
	now := px.target
	px.mu.Unlock()
	px.cfg.Store(c.cfg) // from here on a new proxy takes clients: see accept
	for _, l := range gone {
		l.Close()
	}
	now.apply(c.cfg)
	if c.target != nil {
		now.start()
		if old != nil {
			old.close(engine.ErrShutdown)
		}
	}
	px.sessions(func(s *session.Session) { s.SetLimits(limits) })
	return px
}

// sessions calls f for each session of the proxy, on its loop.
func (px *proxy) sessions(f func(*session.Session)) {
	for i, w := range px.plane.workers {
		px.plane.loops[i].Post(func() {
			w.Sessions(func(s *session.Session) {
				if t, ok := s.Pool().Owner().(*database); ok && t.target.px == px {
					f(s)
				}
			})
		})
	}
}

func (px *proxy) addrs() map[string]string {
	px.mu.Lock()
	defer px.mu.Unlock()
	all := make(map[string]string)
	for _, e := range px.cfg.Load().Endpoints {
		if l := px.listeners[listenKey(e)]; l != nil {
			all[e.Name] = l.Addr().String()
		}
	}
	return all
}

// stopListening closes the listeners that which chooses by their listenKey, and returns those.
func (px *proxy) stopListening(which func(key string) bool) (keys []string) {
	var gone []*evloop.Listener
	px.mu.Lock()
	for key, l := range px.listeners {
		if which(key) {
			delete(px.listeners, key)
			keys, gone = append(keys, key), append(gone, l)
		}
	}
	px.mu.Unlock()
	for _, l := range gone {
		l.Close()
	}
	return keys
}

// listen begins to listen at an address again.
func (px *proxy) listen(ctx context.Context, address string) error {
	l, err := evloop.Listen(ctx, px.plane.loops, address, px.accept, px.acceptFailed)
	if err != nil {
		return err
	}
	px.mu.Lock()
	px.listeners[address] = l
	px.mu.Unlock()
	return nil
}

func (px *proxy) closeListeners() {
	px.mu.Lock()
	all := px.listeners
	px.listeners = make(map[string]*evloop.Listener)
	px.mu.Unlock()
	for _, l := range all {
		l.Close()
	}
}

// close ends the proxy: its clients are told.
func (px *proxy) close() {
	px.closeListeners()
	px.mu.Lock()
	px.closed = true
	t := px.target
	px.mu.Unlock()
	t.close(engine.ErrShutdown)
}

// acceptFailed hears of connections that could not be accepted.
func (px *proxy) acceptFailed(err error) {
	px.stats.refused.Add(1)
	px.log.Error("a client could not be accepted", slog.Any("error", err))
}

// target is the database that a proxy stands in front of, with the limit that all its pools share.
type target struct {
	px     *proxy
	budget *pool.Budget
	ctx    context.Context
	stop   context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	cfg      *resource.Proxy          // guarded by mu
	capacity engine.Capacity          // guarded by mu
	dbs      map[engine.Key]*database // guarded by mu
	health   error                    // guarded by mu; nil: it answered
	refused  error                    // guarded by mu; it answered, and would not have the user whom it was asked as
	unseen   bool                     // guarded by mu; nobody has logged in to it to find out more
	checked  time.Time                // guarded by mu; when health was last found out, zero: not yet
	closed   bool                     // guarded by mu

	availability availability // guarded by mu
	previous     atomic.Int64 // server connections that needed a secret's previous password
	doubt        atomic.Bool  // a log-in by a token has failed: the target is to be looked at
	tokens       atomic.Int64 // server connections opened by a token of the proxy's role
	past         []PoolTotals // by loop, each owned by it: the counters of pools that are no more
}

// unknownLimit is how many connections are opened before the target has said how many it allows.
const unknownLimit = 4

func newTarget(px *proxy, cfg *resource.Proxy) *target {
	t := &target{
		px: px, cfg: cfg, dbs: make(map[engine.Key]*database), past: make([]PoolTotals, len(px.plane.loops)),
		budget: pool.NewBudget(pool.Limits{MaxOpen: unknownLimit, MaxIdle: unknownLimit}),
	}
	t.ctx, t.stop = context.WithCancel(px.plane.ctx)
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

// Dial implements engine.Target.
func (t *target) Dial(ctx context.Context) (net.Conn, error) {
	t.mu.Lock()
	cfg := t.cfg
	t.mu.Unlock()
	d := net.Dialer{Timeout: connectTimeout(cfg)}
	return d.DialContext(ctx, "tcp", addrOf(cfg))
}

func connectTimeout(cfg *resource.Proxy) time.Duration {
	if cfg.Target.ConnectTimeout > 0 {
		return cfg.Target.ConnectTimeout
	}
	return 10 * time.Second
}

func addrOf(cfg *resource.Proxy) string {
	return net.JoinHostPort(cfg.Target.Host, strconv.Itoa(cfg.Target.Port))
}

// database is the pools of one key, which is a user and a database for most engines: one for each loop.
type database struct {
	target *target
	key    engine.Key
	db     engine.Database
	asked  time.Time       // guarded by target.mu; when a client last asked for it
	gone   chan struct{}   // closed when it is forgotten
	pools  []*session.Pool // by loop; each made on its loop, before the database is handed out
}

func (d *database) pool(loop int) *session.Pool { return d.pools[loop] }

var errTargetClosed = errors.New("dataplane: the target was removed")

// known returns the pools of a user and database, or nil where they have to be made.
func (t *target) known(k engine.Key) *database {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.dbs[k]
	if d != nil {
		d.asked = time.Now()
	}
	return d
}

// database returns the pools of a user and database, made when first asked for. Never call it on a loop.
func (t *target) database(k engine.Key) (*database, error) {
	if d := t.known(k); d != nil {
		return d, nil
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, errTargetClosed
	}
	cfg := t.cfg
	t.mu.Unlock()

	d := &database{target: t, key: k, db: t.px.eng.Open(cfg, k, t.px.creds, t), gone: make(chan struct{}), pools: make([]*session.Pool, len(t.px.plane.loops))}
	var ready sync.WaitGroup
	for i, l := range t.px.plane.loops {
		ready.Add(1)
		if !l.Post(func() {
			defer ready.Done()
			key := pool.Key{Target: addrOf(cfg), User: k.User, Database: k.Database, Protocol: k.Protocol}
			d.pools[i] = session.NewPool(t.px.plane.workers[i], t.budget, key, poolConfig(cfg), d.db, d)
		}) {
			return nil, errTargetClosed
		}
	}
	ready.Wait()

	t.mu.Lock()
	defer t.mu.Unlock()
	if other := t.dbs[k]; other != nil {
		d.close(nil) // another client was quicker
		return other, nil
	}
	if t.closed {
		d.close(nil)
		return nil, errTargetClosed
	}
	d.asked = time.Now()
	t.dbs[k] = d
	t.tasks.Go(d.refresh)
	return d, nil
}

func poolConfig(cfg *resource.Proxy) pool.Config {
	c := pool.DefaultConfig
	c.BorrowTimeout = cfg.Pool.ConnectionBorrowTimeout
	c.IdleTimeout = cfg.Pool.IdleTimeout
	c.Lifetime = cfg.Pool.Lifetime
	return c
}

// Open implements session.Host: it logs in to the target on a goroutine. Called on the pool's loop.
func (d *database) Open(p *session.Pool, done func(session.Opened, error)) {
	t := d.target
	loop := p.Loop()
	t.mu.Lock()
	cfg, closed := t.cfg, t.closed
	t.mu.Unlock()
	if closed {
		loop.Post(func() { done(session.Opened{}, errTargetClosed) })
		return
	}
	t.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(t.ctx, connectTimeout(cfg)+20*time.Second)
		defer cancel()
		o, err := d.dial(ctx, cfg, loop)
		if err != nil {
			t.doubt.Store(cfg.EndToEndIAM)
			t.px.log.Warn("a server connection could not be opened", slog.String("target", addrOf(cfg)), slog.String("user", d.key.User), slog.String("database", d.key.Database), slog.Any("error", err))
		}
		t.learn(o.Dialed.Limits)
		if o.Dialed.Previous {
			t.previous.Add(1)
		}
		if o.Dialed.Token {
			t.tokens.Add(1)
		}
		if !loop.Post(func() { done(o, err) }) && err == nil {
			o.Dialed.Conn.Close()
		}
	})
}

func (d *database) dial(ctx context.Context, cfg *resource.Proxy, loop *evloop.Loop) (session.Opened, error) {
	var c *evloop.Conn
	dialed, err := d.db.Dial(ctx, func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout(cfg))
		defer cancel()
		conn, nc, err := evloop.Dial(ctx, loop, "tcp", addrOf(cfg))
		c = conn
		return nc, err
	})
	if err != nil {
		return session.Opened{}, err
	}
	return session.Opened{Conn: c, Dialed: dialed}, nil
}

// close closes the database's pools. With a reason, sessions are ended with it.
func (d *database) close(reason error) {
	for i, l := range d.target.px.plane.loops {
		l.Post(func() { d.pools[i].End(reason) })
	}
}

// learn takes over how many connections the target allows.
func (t *target) learn(c engine.Capacity) {
	if c.MaxConnections == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.capacity != c {
		t.capacity = c
		t.setLimitsLocked()
	}
}

// setLimitsLocked turns percentages into numbers (contract 3.3). t.mu is held.
func (t *target) setLimitsLocked() {
	if t.capacity.MaxConnections == 0 {
		return
	}
	l := limitsOf(t.cfg.Pool, t.capacity)
	t.budget.SetLimits(l)
	t.px.log.Info("limits of the target", slog.String("target", addrOf(t.cfg)), slog.Int("max_connections", t.capacity.MaxConnections),
		slog.Int("max_database_connections_allowed", l.MaxOpen), slog.Int("max_idle", l.MaxIdle))
}

// limitsOf turns percentages into numbers: of what the target allows, less what it reserves and what we leave free.
func limitsOf(c resource.ConnectionPoolConfig, k engine.Capacity) pool.Limits {
	usable := max(1, k.MaxConnections-k.Reserved-c.ReservedConnections)
	l := pool.Limits{
		MaxOpen: max(1, usable*c.MaxConnectionsPercent/100),
		MaxIdle: usable * c.MaxIdleConnectionsPercent / 100,
	}
	if c.MaxConnections > 0 {
		l.MaxOpen = min(l.MaxOpen, c.MaxConnections)
	}
	l.MaxIdle = min(l.MaxIdle, l.MaxOpen)
	return l
}

// apply takes over changed settings.
func (t *target) apply(cfg *resource.Proxy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	again := t.cfg.Pool.InitQuery != cfg.Pool.InitQuery // what it does is done to new server connections only
	t.cfg = cfg
	t.setLimitsLocked()
	for _, d := range t.dbs {
		d.db.Apply(cfg)
		for i, l := range t.px.plane.loops {
			l.Post(func() {
				d.pools[i].Shard().Apply(poolConfig(cfg), l.Nanos())
				if again {
					d.pools[i].Shard().Retire(l.Nanos())
				}
			})
		}
	}
}

// close ends the target's pools and their sessions, and waits for what is under way.
func (t *target) close(reason error) {
	t.mu.Lock()
	t.closed = true
	for _, d := range t.dbs {
		d.close(reason)
	}
	t.mu.Unlock()
	t.stop()
	t.tasks.Wait()
}
