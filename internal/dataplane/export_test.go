package dataplane

import "time"

// Slots is how many places of sessions are taken, those of clients that are to log in included.
func (p *Plane) Slots() (n int) {
	for i, l := range p.loops {
		l.Call(func() { n += p.workers[i].Slots() })
	}
	return n
}

// KeepingAfter has kept server connections looked at as if d had passed.
func (p *Plane) KeepingAfter(d time.Duration) {
	for i, l := range p.loops {
		l.Call(func() { p.workers[i].TickKeeping(l.Nanos() + int64(d)) })
	}
}
