package dataplane

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
	"forebay/internal/evloop"
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
	proxy *proxy
	cfg   *resource.Proxy
	tls   *tls.Config
	bound map[string]*evloop.Listener // new listeners
	fresh bool                        // the proxy did not exist
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
	if c.fresh {
		px.target = newTarget(px, cfg)
	}
	px.mu.Lock()
	defer px.mu.Unlock()
	for _, e := range cfg.Endpoints {
		if px.listeners[listenKey(e)] != nil {
			continue
		}
		l, err := px.bind(ctx, e.Listen, listenKey(e))
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
	if c.fresh {
		c.proxy.target.stop()
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
	px.mu.Unlock()
	px.target.apply(c.cfg)
	px.cfg.Store(c.cfg) // from here on a new proxy takes clients: see accept
	for _, l := range gone {
		l.Close()
	}
	if c.fresh {
		px.target.start()
	}
	px.sessions(func(s *session.Session) { s.SetLimits(limits) })
	return px
}

// sessions calls f for each session of the proxy, on its loop.
func (px *proxy) sessions(f func(*session.Session)) {
	for i, w := range px.plane.workers {
		px.plane.loops[i].Post(func() {
			w.Sessions(func(s *session.Session) {
				if px.has(s) {
					f(s)
				}
			})
		})
	}
}

// has reports whether a session is one of the proxy's. Called on the session's loop.
func (px *proxy) has(s *session.Session) bool { return targetOf(s.Pool()) == px.target }

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

// listen begins to listen at an address again, which is its listenKey.
func (px *proxy) listen(ctx context.Context, address string) error {
	l, err := px.bind(ctx, address, address)
	if err != nil {
		return err
	}
	px.mu.Lock()
	px.listeners[address] = l
	px.mu.Unlock()
	return nil
}

// bind begins to listen at an address, for the endpoint with that listenKey.
func (px *proxy) bind(ctx context.Context, address, key string) (*evloop.Listener, error) {
	return evloop.Listen(ctx, px.plane.loops, address, px.greets == nil, func(a evloop.Accepted) { px.accept(a, key) }, px.acceptFailed)
}

// readOnly reports whether the endpoint with that listenKey is for sessions that read.
func readOnly(cfg *resource.Proxy, key string) bool {
	for _, e := range cfg.Endpoints {
		if listenKey(e) == key {
			return e.Role == resource.ReadOnly
		}
	}
	return false // it is no more, and its clients are the default's
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
	px.mu.Unlock()
	px.target.close(engine.ErrShutdown)
}

// acceptFailed hears of connections that could not be accepted.
func (px *proxy) acceptFailed(err error) {
	px.stats.refused.Add(1)
	px.log.Error("a client could not be accepted", slog.Any("error", err))
}
