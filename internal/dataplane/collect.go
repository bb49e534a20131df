package dataplane

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"slices"
	"time"

	"forebay/internal/dataplane/session"
)

// Collect gathers the figures. It asks each loop for the sums over its pools, whatever the number of clients. Call it
// from any goroutine but a loop's.
func (p *Plane) Collect() Figures {
	f := Figures{HandshakesLimit: p.gate.size}
	f.HandshakesRunning, f.HandshakesQueued = p.gate.waiting()
	targets := p.targets()
	sums := make(map[*target]*PoolTotals, len(targets))
	for _, t := range targets {
		sums[t] = new(PoolTotals)
	}
	for i, l := range p.loops {
		connections := 0
		l.Call(func() {
			connections = l.Connections()
			for t, sum := range sums {
				sum.merge(&t.past[i])
			}
			p.workers[i].Pools(func(sp *session.Pool) {
				if sum := sums[targetOf(sp)]; sum != nil {
					sum.add(sp)
				}
			})
		})
		f.LoopConnections = append(f.LoopConnections, connections)
	}
	now := time.Now()
	for _, t := range targets {
		pf := t.px.figures()
		pf.Target = t.figures(now)
		pf.Target.PoolTotals = *sums[t]
		f.Proxies = append(f.Proxies, pf)
	}
	return f
}

// targets are the present targets, ordered by their proxy's name.
func (p *Plane) targets() []*target {
	p.mu.Lock()
	proxies := slices.Collect(maps.Values(p.proxies))
	p.mu.Unlock()
	slices.SortFunc(proxies, func(a, b *proxy) int { return cmp.Compare(a.name(), b.name()) })
	all := make([]*target, 0, len(proxies))
	for _, px := range proxies {
		px.mu.Lock()
		all = append(all, px.target)
		px.mu.Unlock()
	}
	return all
}

// targetOf is the target that a pool's server connections lead to, nil for a pool of somebody else's.
func targetOf(sp *session.Pool) *target {
	if d, ok := sp.Owner().(*database); ok {
		return d.target
	}
	return nil
}

// Dropped implements session.Host: what the pool counted stays part of its target's figures. Called on the pool's loop.
func (d *database) Dropped(sp *session.Pool) {
	var last PoolTotals
	last.add(sp)
	last.settle()
	d.target.past[sp.Loop().ID()].merge(&last)
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

// figures are the target's own, without its pools'.
func (t *target) figures(now time.Time) TargetFigures {
	limits := t.budget.Stats().Limits
	t.mu.Lock()
	defer t.mu.Unlock()
	return TargetFigures{
		Address: addrOf(t.cfg), Checked: !t.checked.IsZero(), Available: !t.checked.IsZero() && t.health == nil,
		Availability: t.availability.percent(now), Capacity: t.capacity, Limits: limits,
		Previous: t.previous.Load(), Tokens: t.tokens.Load(),
	}
}
