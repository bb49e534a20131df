// Package evloop runs the query phase: event loops that own sockets, tell a handler when one is ready, and read and
// write without ever blocking. It knows no database.
//
// A Loop is one goroutine. Everything that belongs to a loop (its connections, their handlers, what
// the handlers own) is touched by that goroutine alone, so none of it has a lock; other goroutines send work in with
// Loop.Post. A handler never blocks.
//
// A connection starts in the connection phase, where a goroutine or a Task uses it as a net.Conn that blocks, and is then
// handed to the loop (Conn.Start). Where a protocol has a client log in again, Conn.Restart takes it back. It is registered
// with the poller once, at birth.
//
// The measured reasons are in docs/architecture.md: two goroutines for a connection cost 1.3 to 2 times what PgBouncer
// costs, and an idle client 14 KB; here an idle client costs no goroutine and no buffer.
package evloop

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrAgain means that the socket has nothing to read now. The handler is called when it has.
var ErrAgain = errors.New("evloop: would block")

// Handler is the owner of a connection in the query phase. Both methods are called on the loop.
type Handler interface {
	// Ready says that the connection became readable or writable, or that its peer is gone; Conn.Readable,
	// Conn.Unsent and Conn.HungUp tell which. What was left unsent has been tried again before the call.
	Ready(c *Conn)
}

// bufferSize is the size of the loop's one read buffer, in bytes. A read that fills it is followed by another.
const bufferSize = 128 << 10

// busyTurns is how many turns without an event a loop waits in the cheap way before it blocks properly: see Loop.wait.
const busyTurns = 3

// Loop is one event loop. Make one with New, run it with Run.
type Loop struct {
	// Static after construction.
	poll poller
	id   int

	// Owned by loop.
	conns     []*Conn  // by slot; nil where free
	gens      []uint32 // generation of each slot: a stale event of an earlier owner is dropped
	free      []uint32 // free slots
	again     []*Conn  // connections whose handler gave way to others while still readable
	againNext []*Conn
	now       time.Time
	nanos     int64
	empty     int    // turns in a row without an event
	turns     uint64 // times that the poller returned
	yielded   int64  // when it last gave way to other goroutines, by its clock
	ticks     []*ticker
	open      int
	buf       []byte  // what a handler reads into
	records   []byte  // what a TLS write is made of, before it is sent
	tasks     []*Task // coroutines without work

	// Guarded by mu.
	mu      sync.Mutex
	posted  []func()
	stopped bool

	wakePending atomic.Bool  // something was posted since the loop last looked
	asleep      atomic.Bool  // the loop waits in the poller, or is about to
	wakeMu      sync.RWMutex // held to wake, and for writing to close the poller
	closed      bool         // guarded by wakeMu
	spare       []func()     // owned by loop; swapped with posted
	done        chan struct{}
}

type ticker struct {
	every time.Duration
	next  time.Time
	f     func(now time.Time)
	until func() bool // whether it is needed now; an idle loop sleeps for good when no ticker is
}

// New makes a loop with the given number, for logs and metrics. The caller starts Run on a goroutine of its own.
func New(id int) (*Loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("evloop: %w", err)
	}
	l := &Loop{id: id, poll: p, buf: make([]byte, bufferSize), done: make(chan struct{})}
	l.tell()
	return l, nil
}

// epoch is where the loops' clock starts, so that its readings are greater than zero.
var epoch = time.Now().Add(-time.Second)

// NanosAt is what the loops' clock says at a time.
func NanosAt(t time.Time) int64 { return int64(t.Sub(epoch)) }

// tell reads the clock.
func (l *Loop) tell() {
	l.now = time.Now()
	l.nanos = int64(l.now.Sub(epoch))
}

// Nanos is Now as nanoseconds on a monotonic clock that all loops share, greater than zero. Owned by loop.
func (l *Loop) Nanos() int64 { return l.nanos }

// Clock points at the loop's Nanos, for those who read it often. Owned by loop.
func (l *Loop) Clock() *int64 { return &l.nanos }

// ID is the loop's number.
func (l *Loop) ID() int { return l.id }

// Now is the time at which the current batch of events was taken: one clock reading serves them all. Owned by loop.
func (l *Loop) Now() time.Time { return l.now }

// Buffer is the loop's read buffer. Its content lasts until the next read on this loop. Owned by loop.
func (l *Loop) Buffer() []byte { return l.buf }

// Connections is how many connections the loop has, those in the connection phase included. Owned by loop.
func (l *Loop) Connections() int { return l.open }

// Post has f run on the loop, after the events of the current batch. It may be called from any goroutine. After the
// loop has stopped f is never run, and Post reports false.
func (l *Loop) Post(f func()) bool {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return false
	}
	l.posted = append(l.posted, f)
	l.mu.Unlock()
	l.nudge()
	return true
}

// nudge has the loop look at what was posted, and the poller at what the connections wait for.
func (l *Loop) nudge() {
	if !l.wakePending.CompareAndSwap(false, true) {
		return
	}
	// A loop that is at work looks before it sleeps. Either it sees wakePending then, or we see asleep now.
	if !l.asleep.Load() {
		return
	}
	// The loop may have ended since: its descriptors' numbers may belong to somebody else by now.
	l.wakeMu.RLock()
	defer l.wakeMu.RUnlock()
	if !l.closed {
		l.poll.wake()
	}
}

// Call runs f on the loop and waits until it has run, or the loop has stopped. Never call it from the loop.
func (l *Loop) Call(f func()) {
	ran := make(chan struct{})
	if !l.Post(func() { f(); close(ran) }) {
		return
	}
	select {
	case <-ran:
	case <-l.done:
	}
}

// Every has f run about every d, while needed reports true; nil means always. An idle loop whose tickers are not
// needed sleeps without a limit. Call it on the loop, or before Run.
func (l *Loop) Every(d time.Duration, needed func() bool, f func(now time.Time)) {
	l.ticks = append(l.ticks, &ticker{every: d, next: l.now.Add(d), f: f, until: needed})
}

// Again has c's handler called once more, after other connections had their turn. Owned by loop.
func (l *Loop) Again(c *Conn) {
	if !c.queued {
		c.queued = true
		l.again = append(l.again, c)
	}
}

// unqueue takes back Again, before the connection is another loop's.
func (l *Loop) unqueue(c *Conn) {
	if !c.queued {
		return
	}
	c.queued = false
	l.again = slices.DeleteFunc(l.again, func(q *Conn) bool { return q == c })
	for i, q := range l.againNext { // Run may be going through it
		if q == c {
			l.againNext[i] = nil
		}
	}
}

// Run runs the loop until Stop. It returns after the poller is closed.
func (l *Loop) Run() {
	defer close(l.done)
	defer l.end()
	for {
		n := l.wait()
		l.turns++
		l.tell()
		if l.nanos-l.yielded >= int64(yieldEvery) {
			goyield()
			l.tell() // they may have taken long
			l.yielded = l.nanos
		}
		if n == 0 && len(l.again) == 0 {
			l.empty++
		} else {
			l.empty = 0
		}
		l.poll.dispatch(n, l)
		if len(l.again) > 0 {
			l.again, l.againNext = l.againNext[:0], l.again
			for i, c := range l.againNext {
				l.againNext[i] = nil
				if c == nil {
					continue // moved to another loop
				}
				c.queued = false
				if c.fd >= 0 {
					c.handler.Ready(c)
				}
			}
		}
		if l.wakePending.Load() && l.runPosted() {
			return
		}
		for _, t := range l.ticks {
			if !l.now.Before(t.next) {
				t.next = l.now.Add(t.every)
				t.f(l.now)
			}
		}
	}
}

// end closes what the loop still has.
func (l *Loop) end() {
	l.closeAll() // a connection may have come since Stop closed them
	for _, t := range l.tasks {
		t.stop()
	}
	l.wakeMu.Lock()
	defer l.wakeMu.Unlock()
	l.closed = true
	l.poll.close()
}

func (l *Loop) closeAll() {
	for _, c := range l.conns {
		if c != nil {
			c.Close()
		}
	}
}

// wait waits for events. While there is traffic it waits for a short time in a way that costs the Go scheduler nothing;
// after a few turns without an event it gives its processor back and sleeps until something happens.
func (l *Loop) wait() int {
	if len(l.again) > 0 {
		return l.poll.poll(0, true)
	}
	l.asleep.Store(true)
	defer l.asleep.Store(false)
	switch {
	case l.wakePending.Load():
		return l.poll.poll(0, true)
	case l.empty < busyTurns:
		return l.poll.poll(20*time.Millisecond, true)
	default:
		return l.poll.poll(l.untilTick(), false)
	}
}

// untilTick is the time until the next needed ticker, negative when none is needed.
func (l *Loop) untilTick() time.Duration {
	d := time.Duration(-1)
	for _, t := range l.ticks {
		if t.until != nil && !t.until() {
			continue
		}
		left := max(t.next.Sub(l.now), time.Millisecond)
		if d < 0 || left < d {
			d = left
		}
	}
	return d
}

// runPosted runs what was posted and reports whether the loop is to stop.
func (l *Loop) runPosted() bool {
	l.poll.drainWake()
	l.wakePending.Store(false)
	l.mu.Lock()
	work := l.posted
	l.posted = l.spare
	stop := l.stopped
	l.mu.Unlock()
	for i, f := range work {
		work[i] = nil
		f()
	}
	l.spare = work[:0]
	l.empty = 0
	return stop
}

// Stop ends Run after the work posted so far, and waits for it. Connections still open are closed.
func (l *Loop) Stop() {
	l.Post(func() {
		l.closeAll()
		l.mu.Lock()
		l.stopped = true
		l.mu.Unlock()
		l.wakePending.Store(true)
	})
	<-l.done
}

// event hands a poller's event to its connection, unless the slot has a new owner since.
func (l *Loop) event(slot, gen uint32, readable, writable, hup bool) {
	if int(slot) >= len(l.conns) || l.gens[slot] != gen {
		return
	}
	c := l.conns[slot]
	if c == nil {
		return
	}
	if hup {
		c.hup = true
		readable = true
	}
	if readable {
		c.readable = true
		c.drained = false
	}
	if writable && !c.writable {
		c.writable = true
		if len(c.out) > 0 && !c.phase.blocking() {
			c.flush()
		}
	}
	c.handler.Ready(c)
}

// add gives c a slot and registers it with the poller. Owned by loop.
func (l *Loop) add(c *Conn) error {
	var slot uint32
	if n := len(l.free); n > 0 {
		slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		slot = uint32(len(l.conns))
		l.conns = append(l.conns, nil)
		l.gens = append(l.gens, 0)
	}
	c.slot = slot
	l.conns[slot] = c
	if err := l.poll.add(c.fd, slot, l.gens[slot]); err != nil {
		l.conns[slot] = nil
		l.free = append(l.free, slot)
		return err
	}
	l.open++
	return nil
}

// remove gives the slot back. Events of this batch that still name it are stale from now on. Owned by loop.
func (l *Loop) remove(c *Conn) {
	l.conns[c.slot] = nil
	l.gens[c.slot]++
	l.free = append(l.free, c.slot)
	l.open--
}
