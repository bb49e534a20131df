package dataplane

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"slices"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
)

// Collect gathers the figures. It asks each loop for the sums over its pools, whatever the number of clients. Call it
// from any goroutine but a loop's.
func (p *Plane) Collect() Figures {
	f := Figures{HandshakesLimit: p.gate.size}
	f.HandshakesRunning, f.HandshakesQueued = p.gate.waiting()
	targets := p.targets()
	sums := make(map[*target]*PoolTotals, len(targets))
	members := make(map[*member]*PoolTotals)
	databases := make(map[*target][]*database, len(targets))
	for _, t := range targets {
		sums[t] = new(PoolTotals)
		databases[t] = t.databases()
	}
	for i, l := range p.loops {
		connections := 0
		l.Call(func() {
			connections = l.Connections()
			for t, sum := range sums {
				sum.merge(&t.past[i])
				for _, d := range databases[t] {
					if c := d.commons[i]; c != nil {
						sum.addEngine(&c.Counters)
					}
				}
			}
			p.workers[i].Pools(func(sp *session.Pool) {
				b, ok := sp.Owner().(*branch)
				if !ok || sums[b.db.target] == nil {
					return
				}
				sums[b.db.target].addPool(sp)
				if members[b.member] == nil {
					members[b.member] = new(PoolTotals)
				}
				members[b.member].addPool(sp)
			})
		})
		f.LoopConnections = append(f.LoopConnections, connections)
	}
	now := time.Now()
	for _, t := range targets {
		pf := t.px.figures()
		pf.Target, pf.Members = t.figures(now)
		pf.Target.PoolTotals = *sums[t]
		for i, m := range t.all() {
			if sum := members[m]; sum != nil && i < len(pf.Members) && pf.Members[i].Address == m.address() {
				pf.Members[i].Pool = sum.Pool
			}
		}
		f.Proxies = append(f.Proxies, pf)
	}
	return f
}

// databases are the present ones.
func (t *target) databases() []*database {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.dbs))
}

// targets are the present targets, ordered by their proxy's name.
func (p *Plane) targets() []*target {
	p.mu.Lock()
	proxies := slices.Collect(maps.Values(p.proxies))
	p.mu.Unlock()
	slices.SortFunc(proxies, func(a, b *proxy) int { return cmp.Compare(a.name(), b.name()) })
	all := make([]*target, len(proxies))
	for i, px := range proxies {
		all[i] = px.target
	}
	return all
}

// targetOf is the target that a pool's server connections lead to, nil for a pool of somebody else's.
func targetOf(sp *session.Pool) *target {
	if b, ok := sp.Owner().(*branch); ok {
		return b.db.target
	}
	return nil
}

func (px *proxy) figures() ProxyFigures {
	s := &px.stats
	f := ProxyFigures{
		Proxy: px.name(),
		Clients: ClientFigures{
			Open: s.open.Load(), Received: s.received.Load(), Succeeded: s.succeeded.Load(), FailedAuth: s.failedAuth.Load(),
			FailedOther: s.failedOther.Load(), Refused: s.refused.Load(), Cancels: s.cancels.Load(), Closed: s.closed.Load(),
			Tokens: s.tokens.Load(),
		},
		CertificateNotAfter: notAfter(px.tls.Load()),
	}
	for i := range s.tokensRefused {
		f.Clients.TokensRefused[i] = s.tokensRefused[i].Load()
	}
	return f
}

// notAfter is when the certificate that clients are shown expires.
func notAfter(c *tls.Config) time.Time {
	if c == nil || len(c.Certificates) == 0 {
		return time.Time{}
	}
	cert := &c.Certificates[0]
	leaf := cert.Leaf
	if leaf == nil && len(cert.Certificate) > 0 {
		leaf, _ = x509.ParseCertificate(cert.Certificate[0]) // no figure for one that cannot be read
	}
	if leaf == nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// figures are the target's own and its members', without their pools'.
func (t *target) figures(now time.Time) (f TargetFigures, members []MemberFigures) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f = TargetFigures{Address: t.cfg.Target.Identity(), Previous: t.previous.Load(), Tokens: t.tokens.Load(), Failovers: t.failovers}
	w := t.writer
	if w == nil && len(t.order) > 0 {
		w = t.order[0]
	}
	if w != nil {
		f.Checked, f.Available = !w.checked.IsZero(), w.availableLocked()
		f.Availability, f.Capacity = w.availability.percent(now), w.capacity
	}
	for _, m := range t.order {
		limits := m.budget.Stats().Limits
		f.Limits.MaxOpen += limits.MaxOpen
		f.Limits.MaxIdle += limits.MaxIdle
		members = append(members, MemberFigures{
			Name: m.cfg.Name, Address: m.cfg.Address(), Role: t.roleLocked(m), Checked: !m.checked.IsZero(), Available: m.availableLocked(),
			Availability: m.availability.percent(now), Lag: m.status.Lag, LagBytes: m.status.LagBytes, Capacity: m.capacity,
			Limits: limits, Clients: m.clients.Load(),
		})
	}
	if len(t.order) == 0 {
		f.Limits = t.nowhere.budget.Stats().Limits
	}
	return f, members
}

// availableLocked reports whether the member answered when it was last asked. t.mu is held.
func (m *member) availableLocked() bool { return !m.checked.IsZero() && m.health == nil }

// roleLocked is what a member is for the sessions of the proxy: a single server is the writer, once it has answered.
func (t *target) roleLocked(m *member) engine.Role {
	switch {
	case !m.availableLocked():
		return engine.RoleUnknown
	case !t.cfg.Target.IsCluster() || m == t.routes.Load().writer:
		return engine.Writer
	case m.status.Role == engine.Reader || m.status.MultiWriter:
		return engine.Reader
	default:
		return engine.RoleUnknown
	}
}

// address is host:port.
func (m *member) address() string {
	cfg := m.Config()
	return cfg.Address()
}
