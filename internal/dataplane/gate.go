package dataplane

import "sync"

// gate bounds the connection phases under way: a storm of new clients queues, it does not thrash.
type gate struct {
	mu      sync.Mutex
	free    int       // guarded by mu
	size    int       // static
	queue   []entrant // guarded by mu; oldest first
	closed  bool      // guarded by mu
	running sync.WaitGroup
}

// entrant is somebody who wants to enter.
type entrant interface{ entered() }

func newGate(n int) *gate { return &gate{free: n, size: n} }

// enter has e.entered called as soon as there is room: at once, or by whoever makes room. Then leave is due, once. After
// close it is never called, and enter reports false.
func (g *gate) enter(e entrant) bool {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return false
	}
	if g.free == 0 {
		g.queue = append(g.queue, e)
		g.mu.Unlock()
		return true
	}
	g.free--
	g.running.Add(1)
	g.mu.Unlock()
	e.entered()
	return true
}

// leave makes room for the one that has waited longest.
func (g *gate) leave() {
	defer g.running.Done()
	g.mu.Lock()
	if len(g.queue) == 0 {
		g.free++
		g.mu.Unlock()
		return
	}
	e := g.queue[0]
	g.queue[0] = nil
	g.queue = g.queue[1:]
	g.running.Add(1)
	g.mu.Unlock()
	e.entered()
}

// waiting is how many connection phases are under way, and how many wait.
func (g *gate) waiting() (running, queued int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size - g.free, len(g.queue)
}

func (g *gate) idle() bool {
	r, q := g.waiting()
	return r == 0 && q == 0
}

// shut lets nobody in any more and drops what waits.
func (g *gate) shut() {
	g.mu.Lock()
	g.closed = true
	g.queue = nil
	g.mu.Unlock()
}

// close shuts the gate and waits for what runs.
func (g *gate) close() {
	g.shut()
	g.running.Wait()
}
