package dataplane

import "sync"

// gate bounds the connection phases under way: a storm of new clients queues, it does not thrash.
type gate struct {
	mu      sync.Mutex
	free    int      // guarded by mu
	size    int      // static
	queue   []func() // guarded by mu; oldest first
	closed  bool     // guarded by mu
	running sync.WaitGroup
}

func newGate(n int) *gate { return &gate{free: n, size: n} }

// enter has f run on a goroutine of its own, now or when an earlier one has ended. It does not block. After close f is
// never run, and enter reports false.
func (g *gate) enter(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	if g.free == 0 {
		g.queue = append(g.queue, f)
		return true
	}
	g.free--
	g.running.Add(1)
	go g.run(f)
	return true
}

func (g *gate) run(f func()) {
	defer g.running.Done()
	for f != nil {
		f()
		g.mu.Lock()
		f = nil
		if len(g.queue) > 0 && !g.closed {
			f = g.queue[0]
			g.queue[0] = nil
			g.queue = g.queue[1:]
		} else {
			g.free++
		}
		g.mu.Unlock()
	}
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

// close drops what waits and waits for what runs.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.queue = nil
	g.mu.Unlock()
	g.running.Wait()
}
