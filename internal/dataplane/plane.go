// Package dataplane serves clients: it listens, runs the connection phase of clients as tasks of event loops, that of
// servers on goroutines, and the query phase on the event loops, and applies a resource.Snapshot by swapping. It knows
// engines only through their interface, and nothing of the control plane.
package dataplane

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
	"forebay/internal/evloop"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// Options say how a Plane works.
type Options struct {
	Log     *slog.Logger
	Secrets secret.Store
	Engines map[resource.EngineFamily]engine.Engine
	// Certificates returns how a proxy encrypts, and the same value until the proxy's Certificate changes. nil: clients
	// are not offered TLS.
	Certificates func(p *resource.Proxy) (*tls.Config, error)
	// Tokens judges tokens sent in place of a password. nil: an auth entry that takes them is an error of Apply.
	Tokens engine.Tokens
	// ServerTokens makes tokens for log-ins to databases. nil: a proxy with EndToEndIAM is an error of Apply.
	ServerTokens engine.ServerTokens

	Loops      int // event loops, at most MaxLoops; 0 = half the processors, at least one
	Handshakes int // connection phases under way at once; 0 = 512
	// ForgetPeers is for how long a discovered member stays one that no other member names any more; 0 = a minute.
	ForgetPeers time.Duration
}

// Plane is the data plane. Make one with New; Apply gives it work; Close ends it.
type Plane struct {
	opts    Options
	log     *slog.Logger
	loops   []*evloop.Loop
	workers []*session.Worker
	gate    *gate
	tidier  tidier
	arrived []*arrivals     // by loop
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup
	// forgetPeers is for how long a member stays one that nobody names any more.
	forgetPeers time.Duration

	mu      sync.Mutex
	proxies map[string]*proxy // guarded by mu; by identity
	closed  bool              // guarded by mu
}

// New starts the loops. Nothing listens until Apply.
func New(o Options) (*Plane, error) {
	if o.Loops <= 0 {
		o.Loops = max(1, runtime.NumCPU()/2)
	}
	o.Loops = min(o.Loops, MaxLoops)
	if o.Handshakes <= 0 {
		o.Handshakes = 512
	}
	if runtime.GOMAXPROCS(0) < o.Loops+1 {
		// A loop keeps its processor while it waits; handshakes, log-ins to servers and the garbage collector need another.
		runtime.GOMAXPROCS(o.Loops + 1)
	}
	p := &Plane{opts: o, log: o.Log, proxies: make(map[string]*proxy), gate: newGate(o.Handshakes), forgetPeers: cmp.Or(o.ForgetPeers, forgetPeers)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	for i := range o.Loops {
		l, err := evloop.New(i)
		if err != nil {
			p.Close()
			return nil, err
		}
		p.loops = append(p.loops, l)
		p.workers = append(p.workers, session.NewWorker(l, o.Log))
		p.arrived = append(p.arrived, newArrivals(l))
		p.running.Go(l.Run)
	}
	session.Meet(p.workers)
	return p, nil
}

// Apply makes the plane do what s says. Pools whose target did not change keep their connections. On error nothing has
// changed.
func (p *Plane) Apply(ctx context.Context, s resource.Snapshot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("dataplane: closed")
	}
	// First everything that can fail, then what cannot.
	var changes []*change
	takeBack := p.handOver(ctx, &s)
	undo := func() {
		for _, c := range changes {
			c.undo()
		}
		takeBack()
	}
	wanted := make(map[string]bool)
	for i := range s.Proxies {
		cfg := &s.Proxies[i]
		wanted[identity(cfg)] = true
		eng := p.opts.Engines[cfg.EngineFamily]
		if eng == nil {
			undo()
			return &ProxyError{cfg.Name, cfg.ResourceID, fmt.Errorf("engine family %s is not supported", cfg.EngineFamily)}
		}
		c, err := p.prepare(ctx, cfg, eng)
		if err != nil {
			undo()
			return &ProxyError{cfg.Name, cfg.ResourceID, err}
		}
		changes = append(changes, c)
	}
	for id, px := range p.proxies {
		if !wanted[id] {
			delete(p.proxies, id)
			px.close()
		}
	}
	for _, c := range changes {
		p.proxies[identity(c.cfg)] = c.commit()
	}
	return nil
}

// handOver stops listening at the addresses that s takes away from one proxy and gives to another: an address is bound once.
// What it returns undoes that.
func (p *Plane) handOver(ctx context.Context, s *resource.Snapshot) (takeBack func()) {
	keeps, wants := make(map[string]map[string]bool), make(map[string]bool)
	for i := range s.Proxies {
		own := make(map[string]bool)
		for _, e := range s.Proxies[i].Endpoints {
			own[listenKey(e)] = true
			if !anyPort(e) {
				wants[listenKey(e)] = true
			}
		}
		keeps[identity(&s.Proxies[i])] = own
	}
	type listening struct {
		px      *proxy
		address string
	}
	var given []listening
	for id, px := range p.proxies {
		for _, address := range px.stopListening(func(address string) bool { return wants[address] && !keeps[id][address] }) {
			given = append(given, listening{px, address})
		}
	}
	return func() {
		for _, g := range given {
			if err := g.px.listen(ctx, g.address); err != nil {
				g.px.log.Error("the proxy does not listen any more: its address could not be taken back", slog.String("address", g.address), slog.Any("error", err))
			}
		}
	}
}

// ProxyError says of which proxy a snapshot could not be applied.
type ProxyError struct {
	Proxy      string // name
	ResourceID string // empty for a proxy of the configuration file
	Err        error
}

func (e *ProxyError) Error() string { return "proxy " + e.Proxy + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

// Addrs returns the addresses that each proxy's endpoints listen on, by proxy and endpoint name.
func (p *Plane) Addrs() map[string]map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[string]map[string]string)
	for _, px := range p.proxies {
		all[px.name()] = px.addrs()
	}
	return all
}

// Drain takes no new clients and ends those that are idle; clients with a transaction under way may finish it until ctx
// ends. It returns ctx's error if some did not.
func (p *Plane) Drain(ctx context.Context) error {
	p.mu.Lock()
	for _, px := range p.proxies {
		px.closeListeners()
	}
	p.mu.Unlock()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left := 0
		for i, w := range p.workers {
			p.loops[i].Call(func() {
				w.Sessions(func(s *session.Session) {
					if s.Busy() {
						left++
						return
					}
					s.End(engine.ErrShutdown)
				})
			})
		}
		if left == 0 && p.gate.idle() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Close ends everything at once: clients are told, server connections said good-bye to.
func (p *Plane) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	for _, px := range p.proxies {
		px.close()
	}
	p.mu.Unlock()
	p.stop()
	p.gate.shut()
	for i, l := range p.loops {
		l.Post(p.arrived[i].turnAwayAll)
	}
	p.gate.close()
	for _, l := range p.loops {
		l.Stop()
	}
	p.running.Wait()
}
