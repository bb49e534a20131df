package pool_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unique"

	"forebay/internal/pool"
	"go.uber.org/goleak"
)

// realLoop is an event loop as a goroutine: it runs functions in the order they were posted, and then the ticks due.
type realLoop struct {
	t     *testing.T
	start time.Time
	peers map[*pool.Shard]*realLoop // static once the loops run

	mu    sync.Mutex
	queue []func(now int64)
	wake  chan struct{} // holds a token when the queue is not empty

	// Owned by the loop.
	shards []*pool.Shard
	n      int // counts opens, to fail some
}

func (l *realLoop) Post(f func(now int64)) {
	l.mu.Lock()
	l.queue = append(l.queue, f)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *realLoop) now() int64 { return int64(time.Since(l.start)) + 1 }

func (l *realLoop) run(stop <-chan struct{}) {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-l.wake:
		case <-ticker.C:
		}
		l.mu.Lock()
		batch := l.queue
		l.queue = nil
		l.mu.Unlock()
		now := l.now()
		for _, f := range batch {
			f(now)
		}
		for _, s := range l.shards {
			s.Tick(now)
		}
	}
}

// realConn checks that no two borrow it.
type realConn struct {
	pool.Conn
	borrowed atomic.Bool
	closed   atomic.Bool
	uses     int // owned by whoever borrowed it: the race detector watches the hand-over
}

// realClient borrows, uses the connection for two turns of its loop, and returns it, left times.
type realClient struct {
	pool.Waiter
	l    *realLoop
	s    *pool.Shard
	left int
	done func()
}

func (c *realClient) next(now int64) {
	if c.left == 0 {
		c.done()
		return
	}
	c.left--
	if pc := c.s.Borrow(&c.Waiter, unique.Make(fmt.Sprint(c.left%3)), now); pc != nil {
		c.use(pc)
	}
}

func (c *realClient) use(pc *pool.Conn) {
	rc := pc.Owner.(*realConn)
	if rc.borrowed.Swap(true) || rc.closed.Load() {
		c.l.t.Error("lent while borrowed or closed")
	}
	rc.uses++
	c.l.Post(func(int64) {
		c.l.Post(func(now int64) {
			rc.uses++
			if !rc.borrowed.Swap(false) {
				c.l.t.Error("somebody else returned it")
			}
			rc.Fit = c.Fit()
			if rc.uses%97 == 0 {
				rc.closed.Store(true)
				c.s.Remove(pc, now)
			} else {
				c.s.Return(pc, now)
			}
			c.next(now)
		})
	})
}

func (l *realLoop) Open(s *pool.Shard) {
	l.n++
	n := l.n
	l.Post(func(now int64) {
		if n%13 == 0 {
			s.OpenFailed(openError{tooMany: n%2 == 0}, now)
			return
		}
		c := new(realConn)
		c.Owner = c
		s.Opened(&c.Conn, now)
	})
}

func (l *realLoop) Serve(w *pool.Waiter, c *pool.Conn) { w.Owner.(*realClient).use(c) }

func (l *realLoop) Fail(w *pool.Waiter, err error) {
	c := w.Owner.(*realClient)
	l.t.Errorf("a wait failed: %v", err)
	l.Post(c.next)
}

func (l *realLoop) Close(c *pool.Conn, _ pool.Reason) {
	rc := c.Owner.(*realConn)
	if rc.borrowed.Load() || rc.closed.Swap(true) {
		l.t.Error("closed while borrowed or closed")
	}
}

func (l *realLoop) Migrate(c *pool.Conn, to *pool.Shard) {
	l.peers[to].Post(func(now int64) { to.Adopted(c, now) })
}

// TestStress runs loops as goroutines, with more clients and keys than connections.
func TestStress(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const loops, users, clients, limit = 4, 3, 12, 6
	turns := 150
	if testing.Short() {
		turns = 30
	}
	b := pool.NewBudget(pool.Limits{MaxOpen: limit, MaxIdle: limit})
	start := time.Now()
	peers := make(map[*pool.Shard]*realLoop)
	var all []*realLoop
	for range loops {
		l := &realLoop{t: t, start: start, peers: peers, wake: make(chan struct{}, 1)}
		for u := range users {
			s := pool.NewShard(b, pool.Key{User: fmt.Sprint(u)}, pool.DefaultConfig, l)
			l.shards = append(l.shards, s)
			peers[s] = l
		}
		all = append(all, l)
	}
	stop := make(chan struct{})
	var running, sessions sync.WaitGroup
	for _, l := range all {
		for _, s := range l.shards {
			for range clients {
				sessions.Add(1)
				c := &realClient{l: l, s: s, left: turns, done: sessions.Done}
				c.Owner = c
				l.Post(c.next)
			}
		}
		running.Go(func() { l.run(stop) })
	}
	sessions.Wait()
	if st := b.Stats(); st.Used > limit {
		t.Errorf("%+v", st)
	}
	var closed sync.WaitGroup
	closed.Add(loops)
	for _, l := range all {
		l.Post(func(now int64) {
			for _, s := range l.shards {
				s.Close(now)
			}
			closed.Done()
		})
	}
	closed.Wait()
	// What was on its way between loops arrives, and is closed, within a few turns of all of them.
	for range 10 {
		var turn sync.WaitGroup
		turn.Add(loops)
		for _, l := range all {
			l.Post(func(int64) { turn.Done() })
		}
		turn.Wait()
	}
	close(stop)
	running.Wait()
	var sum pool.Stats
	for s := range peers {
		st := s.Stats()
		sum.Open += st.Open
		sum.Opening += st.Opening
		sum.Borrows += st.Borrows
		sum.Opened += st.Opened
		sum.Migrated += st.Migrated
		sum.Adopted += st.Adopted
	}
	t.Logf("%+v", sum)
	if sum.Open != 0 || sum.Opening != 0 || b.Stats().Used != 0 || sum.Migrated != sum.Adopted {
		t.Errorf("left over: %+v; %+v", sum, b.Stats())
	}
	if want := uint64(loops * users * clients * turns); sum.Borrows != want {
		t.Errorf("%d borrows, want %d", sum.Borrows, want)
	}
}
