package pool_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
	"unique"

	"forebay/internal/pool"
)

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
)

// world simulates event loops on one goroutine, with a clock set by hand.
type world struct {
	t      testing.TB
	now    int64
	budget *pool.Budget
	loops  []*loop
	shards []*pool.Shard
	fussy  func() bool // whether a waiter has no use for the connection that it is served; nil: never
}

// loop is one simulated event loop: what its shards asked for stays here until the test lets it happen.
type loop struct {
	w     *world
	posts []func(int64)
	opens []*pool.Shard
	moves []move // to shards of this loop
	where map[*pool.Shard]*loop
}

type move struct {
	c  *pool.Conn
	to *pool.Shard
}

// conn is a simulated server connection.
type conn struct {
	pool.Conn
	user   *client // who borrowed it
	closed bool
	why    pool.Reason
}

// client is a simulated session.
type client struct {
	pool.Waiter
	conn *conn
	err  error
}

func newClient() *client {
	c := new(client)
	c.Owner = c
	return c
}

type openError struct{ permanent, tooMany bool }

func (e openError) Error() string            { return fmt.Sprintf("open failed %t %t", e.permanent, e.tooMany) }
func (e openError) Permanent() bool          { return e.permanent }
func (e openError) TooManyConnections() bool { return e.tooMany }

func newWorld(t testing.TB, loops int, l pool.Limits) *world {
	w := &world{t: t, now: sec, budget: pool.NewBudget(l)}
	where := make(map[*pool.Shard]*loop)
	for range loops {
		w.loops = append(w.loops, &loop{w: w, where: where})
	}
	return w
}

func (w *world) shard(loop int, user string, cfg pool.Config) *pool.Shard {
	l := w.loops[loop]
	s := pool.NewShard(w.budget, pool.Key{Target: "t", User: user}, cfg, l)
	l.where[s] = l
	w.shards = append(w.shards, s)
	return s
}

func (l *loop) Open(s *pool.Shard)     { l.opens = append(l.opens, s) }
func (l *loop) Post(f func(now int64)) { l.posts = append(l.posts, f) }

func (l *loop) Serve(pw *pool.Waiter, pc *pool.Conn) {
	if l.w.fussy != nil && l.w.fussy() {
		pc.Owner.(*conn).closed = true
		pc.Shard().Reject(pw, pc, l.w.now)
		return
	}
	l.w.lend(pw.Owner.(*client), pc.Owner.(*conn))
}

func (l *loop) Fail(pw *pool.Waiter, err error) {
	if pw.Waiting() {
		l.w.t.Fatal("failed while it still waits")
	}
	pw.Owner.(*client).err = err
}

func (l *loop) Close(pc *pool.Conn, why pool.Reason) {
	c := pc.Owner.(*conn)
	if c.user != nil || c.closed {
		l.w.t.Fatalf("closed (%v) while borrowed (%t) or closed (%t)", why, c.user != nil, c.closed)
	}
	c.closed, c.why = true, why
}

func (l *loop) Migrate(pc *pool.Conn, to *pool.Shard) {
	if c := pc.Owner.(*conn); c.user != nil || c.closed || pc.Shard() != nil {
		l.w.t.Fatal("migration of a connection in use")
	}
	dst := l.where[to]
	dst.moves = append(dst.moves, move{pc, to})
}

func (w *world) lend(cl *client, c *conn) {
	if c.user != nil || c.closed {
		w.t.Fatalf("lent while borrowed (%t) or closed (%t)", c.user != nil, c.closed)
	}
	if cl.conn != nil {
		w.t.Fatal("lent to a client that has one")
	}
	c.user, cl.conn = cl, c
}

// borrow reports whether cl has a connection at once.
func (w *world) borrow(s *pool.Shard, cl *client, fit string) bool {
	cl.err = nil
	pc := s.Borrow(&cl.Waiter, unique.Make(fit), w.now)
	if pc != nil {
		w.lend(cl, pc.Owner.(*conn))
	}
	return pc != nil
}

func (w *world) giveBack(cl *client) {
	c := cl.conn
	c.user, cl.conn = nil, nil
	c.Fit = cl.Fit()
	c.Shard().Return(&c.Conn, w.now)
}

// finishOpen answers the oldest open of l.
func (w *world) finishOpen(l *loop, err error) *conn {
	s := l.opens[0]
	l.opens = l.opens[1:]
	if err != nil {
		s.OpenFailed(err, w.now)
		return nil
	}
	c := new(conn)
	c.Owner = c
	s.Opened(&c.Conn, w.now)
	return c
}

func (w *world) finishMove(l *loop, ok bool) {
	m := l.moves[0]
	l.moves = l.moves[1:]
	if ok {
		m.to.Adopted(m.c, w.now)
	} else {
		m.c.Owner.(*conn).closed = true
		m.to.AdoptFailed(m.c, w.now)
	}
}

// step lets one thing happen that is under way on l; it reports whether there was any.
func (w *world) step(l *loop) bool {
	switch {
	case len(l.posts) > 0:
		f := l.posts[0]
		l.posts = l.posts[1:]
		f(w.now)
	case len(l.moves) > 0:
		w.finishMove(l, true)
	case len(l.opens) > 0:
		w.finishOpen(l, nil)
	default:
		return false
	}
	return true
}

// settle lets everything under way happen, without time passing.
func (w *world) settle() {
	w.t.Helper()
	for range 100_000 {
		busy := false
		for _, l := range w.loops {
			for w.step(l) {
				busy = true
				w.check()
			}
		}
		if !busy {
			return
		}
	}
	w.t.Fatal("the loops do not come to rest")
}

// pass lets time pass, with the ticks that are due.
func (w *world) pass(d int64) {
	w.t.Helper()
	end := w.now + d
	for range 1_000_000 {
		next := end
		for _, s := range w.shards {
			if due := s.Due(); due != 0 {
				next = min(next, due)
			}
		}
		w.now = max(w.now, next)
		for _, s := range w.shards {
			if due := s.Due(); due != 0 && due <= w.now {
				if got := s.Tick(w.now); got != 0 && got <= w.now {
					w.t.Fatalf("tick at %d is due again at %d", w.now, got)
				}
			}
		}
		w.settle()
		if w.now >= end {
			return
		}
	}
	w.t.Fatal("time does not pass")
}

// check checks the counting invariants.
func (w *world) check() {
	w.t.Helper()
	sum := w.budget.Granted()
	for _, l := range w.loops {
		sum += len(l.moves)
	}
	for _, s := range w.shards {
		st := s.Stats()
		sum += st.Open + st.Opening
		if st.Open != st.Idle+st.Borrowed || st.Open < 0 || st.Idle < 0 || st.Borrowed < 0 || st.Opening < 0 || st.Waiting < 0 {
			w.t.Fatalf("%v: %+v", s.Key(), st)
		}
		if st.Idle > 0 && st.Waiting > 0 {
			w.t.Fatalf("%v: %d idle, and %d wait", s.Key(), st.Idle, st.Waiting)
		}
	}
	if b := w.budget.Stats(); b.Used != sum || w.budget.Granted() < 0 {
		w.t.Fatalf("budget: used %d, shards have %d (granted %d)", b.Used, sum, w.budget.Granted())
	}
}

func (w *world) checkLimit() {
	w.t.Helper()
	if b := w.budget.Stats(); b.Used > b.Limits.MaxOpen {
		w.t.Fatalf("used %d of %d", b.Used, b.Limits.MaxOpen)
	}
}

// checkWaiters checks, at rest, that nobody waits although something could be had.
func (w *world) checkWaiters(starvingOnly bool) {
	w.t.Helper()
	b := w.budget.Stats()
	idle := 0
	for _, s := range w.shards {
		idle += s.Stats().Idle
	}
	for _, s := range w.shards {
		st := s.Stats()
		if st.Waiting == 0 || starvingOnly && st.Open > 0 {
			continue
		}
		if idle > 0 || b.Used < b.Limits.MaxOpen {
			w.t.Fatalf("%v: %d wait (open %d), although %d are idle and %d of %d slots used; starving %d",
				s.Key(), st.Waiting, st.Open, idle, b.Used, b.Limits.MaxOpen, b.Starving)
		}
	}
}

func wantErr(t *testing.T, cl *client, want error) {
	t.Helper()
	if !errors.Is(cl.err, want) {
		t.Errorf("error %v, want %v", cl.err, want)
	}
}

func remove[T any](l []T, i int) []T { return slices.Delete(l, i, i+1) }
