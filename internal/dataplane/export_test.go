package dataplane

// Slots is how many places of sessions are taken, those of clients that are to log in included.
func (p *Plane) Slots() (n int) {
	for i, l := range p.loops {
		l.Call(func() { n += p.workers[i].Slots() })
	}
	return n
}
