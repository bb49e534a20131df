package pool

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"
	"unique"
)

// Shard is one event loop's pool of the server connections for one key. All methods run on that loop.
type Shard struct {
	// Static after construction.
	b      *Budget
	key    Key
	hooks  Hooks
	family *family

	// Written by the loop, read by any under Budget.mu or, where the comment says so, without.
	coldest atomic.Int64 // idleSince of the coldest idle connection, 0 if none is idle; read without the lock
	oldest  atomic.Int64 // since of the oldest waiter, 0 if none waits; kept only while starving
	settled atomic.Int32 // idle connections that count towards the idle limit, as of the last Tick

	// Guarded by Budget.mu; starving changes on the loop alone, which reads it without the lock.
	starving bool // registered in Budget.starvers
	blocked  bool // backing off: no use for a slot
	empty    bool // had no connection when it last asked
	want     int  // connections it could use beyond those it is opening
	promised int  // slots and connections on their way to it, or asked for

	// Owned by the loop.
	cfg       Config
	idle      idleStack
	queue     waitQueue
	open      int
	opening   int
	due       int64 // time of the next Tick, or never
	nextShare int64 // when a return may next compare with starving shards
	nextAsk   int64 // when to ask other shards again
	retryAt   int64 // when to open again after a failure
	failures  int   // attempts that failed since the last success
	lastErr   error // of the last of them
	retired   int64 // connections opened until then are out of date
	looked    int64 // those who wait since then or longer have been Patient's
	closed    bool
	stats     Stats
}

// NewShard returns an empty shard that takes its connections from b.
func NewShard(b *Budget, key Key, cfg Config, h Hooks) *Shard {
	s := &Shard{b: b, key: key, hooks: h, cfg: cfg, due: never}
	b.join(s)
	return s
}

// Key returns the key given to NewShard.
func (s *Shard) Key() Key { return s.key }

// Borrow lends an idle connection at once, if possible one whose settings are fit. Otherwise it returns nil: then w
// waits, to be served by Hooks.Serve or failed by Hooks.Fail, unless Fail was called already because the borrow timeout
// is 0 or the shard is closed. It panics if w waits already.
func (s *Shard) Borrow(w *Waiter, fit unique.Handle[string], now int64) *Conn {
	w.fit = fit
	c, fits := s.idle.pick(fit)
	for c != nil && c.Due(now) { // since the last Tick
		s.closeIdle(c, ReasonRetired, now)
		c, fits = s.idle.pick(fit)
	}
	if c != nil {
		if fits {
			s.stats.FitHits++
		}
		s.unidle(c)
		s.lend(c)
		return c
	}
	if w.shard != nil {
		panic("pool: borrow by a waiter that waits")
	}
	w.since = now
	s.stats.Waits++
	switch {
	case s.closed:
		s.stats.Failed++
		s.hooks.Fail(w, ErrClosed)
	case s.cfg.MaxWaiting > 0 && s.queue.n >= s.cfg.MaxWaiting:
		s.stats.Failed++
		s.hooks.Fail(w, ErrTooManyWaiting)
	case s.cfg.BorrowTimeout <= 0:
		s.stats.Timeouts++
		s.growForNobody(now)
		s.hooks.Fail(w, s.timeoutError())
	default:
		w.shard = s
		s.queue.push(w)
		s.wakeAt(now + min(starveAfter, int64(s.cfg.BorrowTimeout)))
		s.grow(now)
	}
	return nil
}

// Resume is Borrow for one that has waited already, in another shard: its place is that of its first borrow.
func (s *Shard) Resume(w *Waiter, fit unique.Handle[string], since, now int64) *Conn {
	c := s.Borrow(w, fit, now)
	if c != nil {
		w.since = since
		s.stats.WaitTime += time.Duration(now - since)
		return c
	}
	if w.shard != s {
		return nil
	}
	w.since = since
	s.queue.remove(w)
	s.queue.insert(w)
	if s.starving {
		s.oldest.Store(s.queue.oldest.since)
	}
	s.wakeAt(min(s.due, max(now, since+int64(s.cfg.BorrowTimeout))))
	return nil
}

// Return takes back a borrowed connection that is ready to be lent again; c.Fit says which settings it has. It goes to
// the oldest waiter, here or in a starving shard, or becomes idle; or it is closed for age or limits. Return panics if
// c is not borrowed from s: going on would let two clients share one connection.
func (s *Shard) Return(c *Conn, now int64) {
	if c.shard != s || c.state != stateBorrowed {
		panic("pool: return of a connection that is not borrowed here")
	}
	switch {
	case s.closed:
		s.discard(c, ReasonClosed, now)
	case s.expired(c, now):
		s.discard(c, ReasonLifetime, now)
	case c.opened <= s.retired || c.Due(now):
		s.discard(c, ReasonRetired, now)
	default:
		s.settle(c, now)
	}
}

// Remove forgets a connection that died or that its owner closed, borrowed or idle. For a connection that is not part of
// s it does nothing.
func (s *Shard) Remove(c *Conn, now int64) {
	if c.shard != s {
		return
	}
	if c.state == stateIdle {
		s.unidle(c)
	}
	s.stats.Removed++
	s.detach(c)
	s.b.release(1, now)
	s.grow(now)
}

// Reject undoes what Hooks.Serve has just done: w, which has no use for c, waits on, as long as before and ahead of all
// others, and c, which its owner has closed, is forgotten.
func (s *Shard) Reject(w *Waiter, c *Conn, now int64) {
	s.stats.Borrows--
	s.stats.WaitTime -= time.Duration(now - w.since)
	w.shard = s
	s.queue.pushOldest(w)
	if s.starving {
		s.oldest.Store(w.since)
	}
	s.wakeAt(now + recheckEvery)
	s.Remove(c, now)
}

// Cancel ends w's wait, because its client left. It reports whether w was waiting here.
func (s *Shard) Cancel(w *Waiter, now int64) bool {
	if w.shard != s {
		return false
	}
	s.dequeue(w, now)
	return true
}

// Opened answers Hooks.Open: c, a zero Conn but for its Owner and Fit, is logged in.
func (s *Shard) Opened(c *Conn, now int64) {
	s.opening--
	s.open++
	s.failures, s.retryAt, s.lastErr = 0, 0, nil
	s.stats.Opened++
	c.shard, c.state, c.opened, c.jitter = s, stateOut, now, uint8(rand.Uint32())
	if s.closed {
		s.discard(c, ReasonClosed, now)
		return
	}
	s.settle(c, now)
	s.grow(now)
}

// OpenFailed answers Hooks.Open. If err is permanent (see [PermanentError]) and the shard has no connection left, all
// waiters fail with it. Otherwise they go on waiting until their borrow timeout, served by what there is, while the shard
// tries again, one connection at a time with growing pauses.
func (s *Shard) OpenFailed(err error, now int64) {
	s.opening--
	s.stats.OpenFailed++
	s.lastErr = err
	if isPermanent(err) && s.open == 0 {
		s.failures = max(s.failures, 1)
		s.b.release(1, now)
		s.failAll(err, now)
		return
	}
	if now >= s.retryAt { // one step for all attempts that fail together
		s.failures++
		pause := min(backoffMin<<min(s.failures-1, 16), backoffMax)
		s.retryAt = now + pause/2 + rand.Int64N(pause/2+1)
		s.wakeAt(s.retryAt)
	}
	s.b.openFailed(s, isTooMany(err), now)
	s.grow(now)
}

// Apply changes the settings. Lifetimes of open connections follow; a wait under way ends by the new timeout.
func (s *Shard) Apply(cfg Config, now int64) {
	s.cfg = cfg
	s.wakeAt(now)
}

// Retire makes all connections opened until now out of date, because the credentials or the server changed: idle ones
// close at once, borrowed ones when they are returned.
func (s *Shard) Retire(now int64) {
	s.retired = now
	for s.idle.coldest != nil {
		s.closeIdle(s.idle.coldest, ReasonRetired, now)
	}
}

// Close ends the shard: waiters and later borrows fail with ErrClosed, idle connections close at once, borrowed ones when
// they are returned, and those being opened when they arrive.
func (s *Shard) Close(now int64) {
	if s.closed {
		return
	}
	s.closed = true
	s.due = never
	s.b.part(s, now)
	for s.idle.coldest != nil {
		s.closeIdle(s.idle.coldest, ReasonClosed, now)
	}
	s.failAll(ErrClosed, now)
}

// Wanted reports whether somebody waits for a connection: of this shard, or of another one long enough to press for it.
func (s *Shard) Wanted() bool { return s.queue.n > 0 || s.b.pressure.Load() != 0 }

// Waiting is how many wait.
func (s *Shard) Waiting() int { return s.queue.n }

// Short is how many more wait than connections are being opened; 0 or less: none.
func (s *Shard) Short() int { return s.queue.n - s.opening }

// Resting reports whether there is no connection, and none is being opened for now, since that has failed a moment ago.
func (s *Shard) Resting(now int64) bool { return s.open == 0 && now < s.retryAt }

// patience is how long waits of this shard are taken for those of a pool that is busy, rather than stuck, in nanoseconds.
const patience = int64(50 * time.Millisecond)

// Stuck reports whether a borrow would have to wait, and nothing says that it would be soon served: nobody waits, or
// somebody does for long.
func (s *Shard) Stuck(now int64) bool {
	if s.idle.n > 0 {
		return false
	}
	w := s.queue.oldest
	return w == nil || now-w.since >= patience
}

// Patient calls f for those who have waited for long, newest first, and whom it was not called for before. f may end the
// wait of its waiter.
func (s *Shard) Patient(now int64, f func(*Waiter)) {
	until := now - patience
	if w := s.queue.oldest; w == nil || w.since > until {
		return
	}
	for w := s.queue.newest; w != nil && w.since > s.looked; {
		older := w.older
		if w.since <= until {
			f(w)
		}
		w = older
	}
	s.looked = until
}

// Stats returns the present figures.
func (s *Shard) Stats() Stats {
	st := s.stats
	st.Open, st.Idle, st.Borrowed = s.open, s.idle.n, s.open-s.idle.n
	st.Opening, st.Waiting = s.opening, s.queue.n
	return st
}

// settle decides what becomes of c, which is part of s and in nobody's use.
func (s *Shard) settle(c *Conn, now int64) {
	if w := s.queue.oldest; w != nil {
		if s.b.pressure.Load() != 0 && now >= s.nextShare {
			s.nextShare = now + shareEvery
			if s.concede(c, w.since, now) {
				return
			}
		}
		s.serve(w, c, now)
		return
	}
	c.state, c.idleSince = stateIdle, now
	s.idle.push(c)
	if s.idle.n == 1 {
		s.coldest.Store(now)
	}
	s.wakeAt(now + s.idleCheck(c))
	// Only after c can be seen as idle: a shard that begins to starve now either sees it, or is seen here.
	if s.b.pressure.Load() != 0 {
		s.concede(c, never, now)
	}
}

// concede gives c away if another shard needs it more, or the limit does not admit it any longer.
func (s *Shard) concede(c *Conn, oldest, now int64) bool {
	v, to := s.b.share(s, oldest, now)
	if v == keep {
		return false
	}
	if c.state == stateIdle {
		s.unidle(c)
	}
	s.detach(c)
	switch v {
	case giveAway:
		s.migrate(c, to)
	case closeFor:
		s.shut(c, ReasonEvicted)
		to.hooks.Post(func(now int64) { to.arrived(1, 0, now) })
	default:
		s.shut(c, ReasonLimit)
	}
	s.grow(now)
	return true
}

// serve ends the wait of w, the oldest waiter, with c.
func (s *Shard) serve(w *Waiter, c *Conn, now int64) {
	s.dequeue(w, now)
	s.stats.WaitTime += time.Duration(now - w.since)
	s.lend(c)
	if s.queue.n > s.opening && s.b.room.Load() {
		s.grow(now)
	}
	s.hooks.Serve(w, c)
}

func (s *Shard) lend(c *Conn) {
	s.stats.Borrows++
	c.state = stateBorrowed
}

// dequeue takes w, which waits here, off the queue.
func (s *Shard) dequeue(w *Waiter, now int64) {
	s.queue.remove(w)
	w.shard = nil
	if !s.starving {
		return
	}
	if s.queue.oldest == nil {
		s.oldest.Store(0)
		s.b.calm(s, now)
	} else {
		s.oldest.Store(s.queue.oldest.since)
	}
}

// failAll fails those who wait now, not those whom the hook makes wait again.
func (s *Shard) failAll(err error, now int64) {
	for n := s.queue.n; n > 0 && s.queue.oldest != nil; n-- {
		s.fail(s.queue.oldest, err, now)
	}
}

func (s *Shard) fail(w *Waiter, err error, now int64) {
	s.dequeue(w, now)
	if errors.Is(err, ErrBorrowTimeout) {
		s.stats.Timeouts++
	} else {
		s.stats.Failed++
	}
	s.hooks.Fail(w, err)
}

func (s *Shard) timeoutError() error {
	if s.lastErr != nil {
		return &TimeoutError{Last: s.lastErr}
	}
	return ErrBorrowTimeout
}

// unidle takes c off the idle stack.
func (s *Shard) unidle(c *Conn) {
	s.idle.remove(c)
	c.state = stateOut
	if s.idle.coldest == nil {
		s.coldest.Store(0)
	} else if s.idle.coldest.idleSince != s.coldest.Load() {
		s.coldest.Store(s.idle.coldest.idleSince)
	}
	if n := int32(s.idle.n); n < s.settled.Load() {
		s.settled.Store(n)
	}
}

// detach ends c's being part of s. Its slot is the caller's to release or to pass on.
func (s *Shard) detach(c *Conn) {
	s.open--
	c.shard, c.state = nil, stateOut
}

func (s *Shard) shut(c *Conn, why Reason) {
	s.stats.Closed[why]++
	s.hooks.Close(c, why)
}

// discard closes c, which is part of s but not idle.
func (s *Shard) discard(c *Conn, why Reason, now int64) {
	s.detach(c)
	s.shut(c, why)
	s.b.release(1, now)
	s.grow(now)
}

// closeIdle closes c, which is idle here.
func (s *Shard) closeIdle(c *Conn, why Reason, now int64) {
	s.unidle(c)
	s.detach(c)
	s.shut(c, why)
	s.b.release(1, now)
}

// expired reports whether c is past its lifetime, to which up to a tenth is added so that connections opened together do
// not close together.
func (s *Shard) expired(c *Conn, now int64) bool {
	return s.cfg.Lifetime > 0 && now >= s.expiry(c)
}

func (s *Shard) expiry(c *Conn) int64 {
	life := int64(s.cfg.Lifetime)
	return c.opened + life + life/2560*int64(c.jitter)
}
