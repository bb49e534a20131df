package dataplane

import (
	"time"

	"golang.org/x/time/rate"
)

// Slots is how many places of sessions are taken, those of clients that are to log in included.
func (p *Plane) Slots() (n int) {
	for i, l := range p.loops {
		l.Call(func() { n += p.workers[i].Slots() })
	}
	return n
}

// LoopOf is where the session is that was greeted with that id.
func LoopOf(pid uint32) int { loop, _ := placeOf(pid); return loop }

// Meanwhile calls f while the first loop waits for it: what happens to its connections then, the loop hears of at once.
func (p *Plane) Meanwhile(f func()) { p.loops[0].Call(f) }

// KeepingAfter has kept server connections looked at as if d had passed.
func (p *Plane) KeepingAfter(d time.Duration) {
	for i, l := range p.loops {
		l.Call(func() { p.workers[i].TickKeeping(l.Nanos() + int64(d)) })
	}
}

// SessionsAfter has sessions looked at as if d had passed.
func (p *Plane) SessionsAfter(d time.Duration) {
	for i, l := range p.loops {
		l.Call(func() { p.workers[i].TickSessions(l.Nanos() + int64(d)) })
	}
}

// MovedFrom has all members' names looked up as if they had stood for that address until now.
func (p *Plane) MovedFrom(address string) {
	for _, t := range p.targets() {
		for _, m := range t.all() {
			t.mu.Lock()
			m.addresses = []string{address}
			t.mu.Unlock()
			m.resolve(t.ctx)
		}
	}
}

// Renamed has all members be elsewhere, as if their names stood for another address, with nobody having noticed.
func (p *Plane) Renamed(host string, port int) {
	for _, t := range p.targets() {
		for _, m := range t.all() {
			t.mu.Lock()
			m.cfg.Host, m.cfg.Port = host, port
			t.mu.Unlock()
		}
	}
}

// What ends only because it has gone on for so long does not end in any test, and few members are many.
func init() {
	maxFound, maxPeers = 4, 8
	drainLimit, promotedRate = time.Hour, rate.Every(time.Hour)
}
