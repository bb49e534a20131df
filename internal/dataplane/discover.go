package dataplane

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"forebay/internal/engine"
	"forebay/internal/patroni"
	"forebay/internal/resource"
)

// discover takes over which other members a member names. It may look up names.
func (t *target) discover(by *member, peers []engine.Peer) {
	t.mu.Lock()
	asked, cfg := t.cfg.Target.Discover, by.cfg
	t.mu.Unlock()
	if !asked {
		return
	}
	now := time.Now()
	named := make([]peer, 0, len(peers))
	for _, p := range peers {
		m := cfg // reached in the same way
		m.Name, m.ResourceID, m.Host = p.Name, "", p.Host
		if p.Port != 0 {
			m.Port = p.Port
		}
		named = append(named, peer{m, now})
	}
	t.mu.Lock()
	before := by.peers
	for _, p := range before {
		// A primary that restarts does not see its replicas for a while.
		if now.Sub(p.at) < t.px.plane.forgetPeers && !slices.ContainsFunc(named, func(n peer) bool { return n.Address() == p.Address() }) {
			named = append(named, p)
		}
	}
	if len(named) > maxPeers {
		// Those that are known stay: a database may name others each time.
		slices.SortStableFunc(named, func(a, b peer) int { return rank(before, b) - rank(before, a) })
		named = named[:maxPeers]
	}
	by.peers = named
	t.mu.Unlock()
	if !slices.EqualFunc(before, named, func(a, b peer) bool { return a.Member == b.Member }) {
		t.rediscover()
	}
}

// maxFound is how many members there can be that databases have named: each is watched by a connection of its own, and what a
// database says is not to make Forebay open any number of them. Of what one names twice as many are kept, so that it shows in
// foundLocked when there are too many.
var maxFound, maxPeers = 256, 512

// rank is 1 if p is among those, else 0.
func rank(those []peer, p peer) int {
	if slices.ContainsFunc(those, func(o peer) bool { return o.Address() == p.Address() }) {
		return 1
	}
	return 0
}

// peer is a member that another one has named last at that time.
type peer struct {
	resource.Member
	at time.Time
}

// forgetPeers is for how long a member stays one that nobody names any more.
const forgetPeers = time.Minute

// rediscover makes the members those that are declared or named now.
func (t *target) rediscover() {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	before := t.order
	gone, anew := t.setMembersLocked()
	after := t.order
	crowded := t.crowded && !t.saidCrowded
	t.saidCrowded = t.crowded
	t.mu.Unlock()
	if crowded {
		t.px.log.Warn("the databases name more members than are taken: the others are not used", slog.Int("limit", maxFound))
	}
	if slices.Equal(before, after) {
		return
	}
	for _, m := range after {
		if !slices.Contains(before, m) {
			t.px.log.Info("a member has been discovered", slog.String("member", nameOf(m)))
		}
	}
	for _, m := range gone {
		t.px.log.Info("a member is named no more", slog.String("member", nameOf(m)))
	}
	t.regroup(gone, anew)
}

// foundLocked are the members that are not declared: those that declared ones name, or Patroni, those that these name, and so
// on. Whom only others name that nobody names is none: two that are gone would name one another forever. The writer stays one,
// whoever names it, unless the cluster is another one: an old writer that comes back names nobody. t.mu is held.
func (t *target) foundLocked(replaced bool) []resource.Member {
	roots := slices.Concat(t.cfg.Target.Members, t.patroni)
	finds := t.cfg.Target.Discover || len(t.cfg.Target.Patroni) > 0
	var writer []resource.Member
	if w := t.writer; finds && !replaced && w != nil && !w.declared && slices.Contains(t.order, w) {
		writer = append(writer, w.cfg)
		roots = append(roots, w.cfg)
	}
	var found []resource.Member
	t.crowded = false
	if t.cfg.Target.Discover {
		seen, named := make(map[string]bool), make(map[string]bool)
		for len(roots) > 0 {
			key := roots[0].Address()
			roots = roots[1:]
			m := t.members[key]
			if m == nil || seen[key] {
				continue
			}
			seen[key] = true
			for _, p := range m.peers {
				roots = append(roots, p.Member)
				switch key := p.Address(); {
				case named[key] || t.declaredLocked(&p.Member):
				case len(named) >= maxFound:
					t.crowded = true
				default:
					named[key] = true
					found = append(found, p.Member)
				}
			}
		}
	}
	found = append(append(found, t.patroni...), writer...)
	return slices.DeleteFunc(found, func(f resource.Member) bool { return t.declaredLocked(&f) })
}

// addressesLocked are those, host:port, by which other members may know it. t.mu is held.
func (m *member) addressesLocked() []string {
	at := []string{m.cfg.Address()}
	for _, a := range m.addresses {
		at = append(at, net.JoinHostPort(a, strconv.Itoa(m.cfg.Port)))
	}
	return at
}

// declaredLocked reports whether a declared member is the one that is named: by its name there, or by an address that that
// stands for.
func (t *target) declaredLocked(f *resource.Member) bool {
	for _, cfg := range t.cfg.Target.Members {
		if cfg.Address() == f.Address() {
			return true
		}
		m := t.members[cfg.Address()]
		if m != nil && cfg.Port == f.Port && slices.Contains(m.addresses, f.Host) {
			return true
		}
	}
	return false
}

// patroniEvery is the time between two questions to Patroni.
const patroniEvery = time.Second

// askPatroni takes over whom Patroni names, until ctx ends. What they are they are asked themselves.
func (t *target) askPatroni(ctx context.Context, o patroni.Options) {
	c, err := patroni.New(o)
	if err != nil {
		t.px.log.Error("Patroni cannot be asked", slog.Any("error", err))
		return
	}
	defer c.Close()
	every := time.NewTicker(patroniEvery)
	defer every.Stop()
	well := true
	for {
		cluster, err := c.Cluster(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && well:
			t.px.log.Warn("Patroni does not answer: the members are those that are known", slog.Any("error", err))
		case err == nil && !well:
			t.px.log.Info("Patroni answers again")
		}
		if well = err == nil; well {
			t.setPatroni(cluster)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// setPatroni takes over the members that Patroni names.
func (t *target) setPatroni(cluster patroni.Cluster) {
	t.mu.Lock()
	like := resource.Member{TLSMode: resource.TLSPrefer}
	if all := t.cfg.Target.Members; len(all) > 0 {
		like = all[0] // reached in the same way
	}
	var found []resource.Member
	var spared []string
	for _, p := range cluster.Members {
		if p.Host == "" {
			continue
		}
		m := like
		m.Name, m.ResourceID, m.Host, m.Port = p.Name, "", p.Host, p.Port
		found = append(found, m)
		if p.NoLoadBalance {
			spared = append(spared, m.Address())
		}
	}
	same, still := slices.Equal(found, t.patroni), slices.Equal(spared, t.spared)
	t.patroni, t.spared = found, spared
	t.mu.Unlock()
	if !same {
		t.rediscover()
	}
	if !still {
		t.decide()
	}
}

// sparedLocked reports whether Patroni says that the member is not to be read at. t.mu is held.
func (m *member) sparedLocked() bool {
	return slices.ContainsFunc(m.addressesLocked(), func(a string) bool { return slices.Contains(m.t.spared, a) })
}

// resolveEvery is the time between two looks at what a member's name stands for.
const resolveEvery = 5 * time.Second

// resolve finds out what a member's host stands for. When that is another server than before, server connections to the old
// one are closed, as soon as they are given back: the name has moved.
func (m *member) resolve(ctx context.Context) {
	cfg := m.Config()
	now := []string{cfg.Host}
	if _, err := netip.ParseAddr(cfg.Host); err != nil {
		ctx, cancel := context.WithTimeout(ctx, resolveEvery)
		defer cancel()
		found, err := net.DefaultResolver.LookupHost(ctx, cfg.Host)
		if err != nil || len(found) == 0 {
			return // what there was may still do
		}
		slices.Sort(found)
		now = found
	}
	m.t.mu.Lock()
	was := m.addresses
	m.addresses = now
	m.t.mu.Unlock()
	if slices.Equal(was, now) {
		return
	}
	if moved := len(was) > 0 && !slices.ContainsFunc(was, func(a string) bool { return slices.Contains(now, a) }); moved {
		m.t.px.log.Warn("the target's name stands for another address: server connections to the old one are replaced",
			slog.String("target", cfg.Address()), slog.Any("from", was), slog.Any("to", now))
		every := func(engine.Key) bool { return true }
		m.retire(every)
		m.cut(false, every) // what a pinned session would go on with is the old one, too
		// Its monitor keeps a connection, which is to the old one.
		m.t.mu.Lock()
		stop := m.stopWatch
		m.stopWatch = nil
		if len(m.t.cfg.Target.Members) == 1 && m.declared {
			m.t.newest = 0 // it may be another cluster, whose terms have nothing to do with those of the old one
		}
		m.t.mu.Unlock()
		if stop != nil {
			stop()
		}
		m.t.monitorAll()
	}
	m.t.rediscover()
}
