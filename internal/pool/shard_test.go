package pool_test

import (
	"errors"
	"testing"
	"time"
	"unique"

	"forebay/internal/pool"
	"github.com/google/go-cmp/cmp"
)

// fill opens n connections in s and returns the clients that have them, oldest first.
func (w *world) fill(s *pool.Shard, n int) []*client {
	w.t.Helper()
	var cls []*client
	for range n {
		cl := newClient()
		w.borrow(s, cl, "")
		w.settle()
		if cl.conn == nil {
			w.t.Fatalf("no connection: %v, %+v", cl.err, s.Stats())
		}
		cls = append(cls, cl)
	}
	return cls
}

func (w *world) giveBackAll(cls []*client) {
	for _, cl := range cls {
		w.giveBack(cl)
	}
}

func TestLastInFirstOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 5, MaxIdle: 5})
	s := w.shard(0, "u", pool.DefaultConfig)
	cls := w.fill(s, 3)
	last := cls[1].conn
	for _, i := range []int{0, 2, 1} {
		w.giveBack(cls[i])
	}
	if w.borrow(s, cls[0], ""); cls[0].conn != last {
		t.Error("the connection returned last was not lent first")
	}
}

func TestFitIsPreferred(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 20, MaxIdle: 20})
	s := w.shard(0, "u", pool.DefaultConfig)
	cls := w.fill(s, 12)
	conns := make([]*conn, len(cls))
	for i, cl := range cls {
		conns[i] = cl.conn
		cl.conn.user, cl.conn = nil, nil
		conns[i].Fit = unique.Make(string(rune('a' + i)))
		s.Return(&conns[i].Conn, w.now)
	}
	tests := []struct {
		name, fit string
		want      int
	}{
		{"among the newest", "g", 6},
		{"newest taken by none", "z", 11},
		{"too deep to be looked for", "a", 10},
		{"now within reach", "b", 1},
	}
	for _, tt := range tests {
		cl := newClient()
		if w.borrow(s, cl, tt.fit); cl.conn != conns[tt.want] {
			t.Errorf("%s: fit %q got another connection than %d", tt.name, tt.fit, tt.want)
		}
	}
	if got := s.Stats().FitHits; got != 2 {
		t.Errorf("%d hits, want 2", got)
	}
}

func TestOldestWaiterFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 1})
	s := w.shard(0, "u", pool.DefaultConfig)
	has := w.fill(s, 1)[0]
	var cls []*client
	for range 4 {
		cl := newClient()
		w.borrow(s, cl, "")
		cls = append(cls, cl)
	}
	s.Cancel(&cls[1].Waiter, w.now)
	w.now += 7 * ms
	for _, i := range []int{0, 2, 3} {
		w.giveBack(has)
		if has = cls[i]; has.conn == nil {
			t.Fatalf("waiter %d was not served in turn", i)
		}
		w.check()
	}
	if s.Cancel(&cls[0].Waiter, w.now) {
		t.Error("one that was served could still cancel")
	}
	st := s.Stats()
	if st.Waits != 5 || st.WaitTime != 21*time.Millisecond {
		t.Errorf("waits %d, %v; want 5, 21ms", st.Waits, st.WaitTime)
	}
}

// A waiter that has no use for a connection is the first to be served the next, and its wait has one beginning and one end.
func TestReject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 1})
	s := w.shard(0, "u", pool.DefaultConfig)
	has := w.fill(s, 1)[0]
	first, second := newClient(), newClient()
	w.borrow(s, first, "")
	w.borrow(s, second, "")
	fuss := 2
	w.fussy = func() bool { fuss--; return fuss >= 0 }
	w.now += 7 * ms
	w.giveBack(has)
	w.check()
	if first.conn != nil || !first.Waiting() || len(w.loops[0].opens) != 1 {
		t.Errorf("waiting %t, %d opens under way; want another connection for it", first.Waiting(), len(w.loops[0].opens))
	}
	w.settle()
	if first.conn == nil || second.conn != nil || fuss >= 0 {
		t.Fatal("not served in turn")
	}
	st := s.Stats()
	if st.Removed != 2 || st.Opened != 3 || st.Borrows != 2 || st.Waits != 3 || st.WaitTime != 7*time.Millisecond {
		t.Errorf("stats %+v", st)
	}
	w.giveBack(first)
	if second.conn == nil {
		t.Error("the second waiter was not served")
	}
}

func TestOpensAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 10})
	cfg := pool.DefaultConfig
	cfg.MaxOpening = 4
	s := w.shard(0, "u", cfg)
	for i, want := range []int{1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4} {
		w.borrow(s, newClient(), "")
		if got := len(w.loops[0].opens); got != want {
			t.Errorf("after %d borrows %d opens under way, want %d", i+1, got, want)
		}
	}
	for range 7 {
		w.finishOpen(w.loops[0], nil)
	}
	if got := len(w.loops[0].opens); got != 3 {
		t.Errorf("%d opens under way, want 3: the limit is 10", got)
	}
	w.settle()
	if st := s.Stats(); st.Open != 10 || st.Waiting != 3 {
		t.Errorf("%+v; want 10 open, 3 waiting", st)
	}
}

func TestBorrowTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 1})
	cfg := pool.DefaultConfig
	cfg.BorrowTimeout = 2 * time.Second
	s := w.shard(0, "u", cfg)
	w.fill(s, 1)
	first, second := newClient(), newClient()
	w.borrow(s, first, "")
	w.pass(sec)
	w.borrow(s, second, "")
	w.pass(sec - 1)
	if !first.Waiting() {
		t.Fatal("the wait ended early")
	}
	w.pass(1)
	wantErr(t, first, pool.ErrBorrowTimeout)
	if !second.Waiting() {
		t.Error("the younger waiter was failed with the older")
	}
	cfg.BorrowTimeout = time.Second
	s.Apply(cfg, w.now)
	w.pass(0)
	wantErr(t, second, pool.ErrBorrowTimeout)
	if st := s.Stats(); st.Timeouts != 2 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

func TestBorrowTimeoutZero(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 5})
	cfg := pool.DefaultConfig
	cfg.BorrowTimeout = 0
	s := w.shard(0, "u", cfg)
	cl := newClient()
	w.borrow(s, cl, "")
	wantErr(t, cl, pool.ErrBorrowTimeout)
	if cl.Waiting() {
		t.Fatal("waits with timeout 0")
	}
	w.settle()
	if !w.borrow(s, cl, "") {
		t.Fatal("the failed borrow did not make the pool grow")
	}
	other := newClient()
	if w.borrow(s, other, ""); other.err == nil {
		t.Error("no error though the only connection is lent")
	}
}

func TestTemporaryFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 5})
	s := w.shard(0, "u", pool.DefaultConfig)
	l := w.loops[0]
	var cls []*client
	for range 3 {
		cl := newClient()
		w.borrow(s, cl, "")
		cls = append(cls, cl)
	}
	for range 3 {
		w.finishOpen(l, openError{})
	}
	if len(l.opens) != 0 {
		t.Fatal("tries again without a pause")
	}
	attempts := 0
	for start := w.now; w.now < start+10*sec; {
		w.now += ms
		for len(l.posts) > 0 {
			w.step(l)
		}
		s.Tick(w.now)
		if len(l.opens) > 1 {
			t.Fatal("tries more than one at a time")
		}
		if len(l.opens) == 1 {
			attempts++
			w.finishOpen(l, openError{})
		}
	}
	if attempts < 6 || attempts > 20 {
		t.Errorf("%d attempts in 10 s", attempts)
	}
	for _, cl := range cls {
		if !cl.Waiting() {
			t.Fatalf("a waiter noticed: %v", cl.err)
		}
	}
	w.pass(3 * sec) // the database is back
	for _, cl := range cls {
		if cl.conn == nil {
			t.Errorf("not served after the database came back: %v", cl.err)
		}
	}
}

func TestTimeoutTellsLastFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 1})
	s := w.shard(0, "u", pool.DefaultConfig)
	cl := newClient()
	w.borrow(s, cl, "")
	w.finishOpen(w.loops[0], openError{})
	w.now += 121 * sec
	s.Tick(w.now)
	wantErr(t, cl, pool.ErrBorrowTimeout)
	wantErr(t, cl, openError{})
}

func TestPermanentFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 5})
	s := w.shard(0, "u", pool.DefaultConfig)
	a, b := newClient(), newClient()
	w.borrow(s, a, "")
	w.borrow(s, b, "")
	w.finishOpen(w.loops[0], openError{permanent: true})
	wantErr(t, a, openError{permanent: true})
	wantErr(t, b, openError{permanent: true})
	w.finishOpen(w.loops[0], openError{permanent: true})
	w.check()

	w.borrow(s, a, "")
	w.settle()
	if a.conn == nil {
		t.Fatal("the next borrow does not try again")
	}
	w.borrow(s, b, "")
	w.finishOpen(w.loops[0], openError{permanent: true})
	if !b.Waiting() {
		t.Errorf("failed (%v) although a connection works", b.err)
	}
	w.giveBack(a)
	if b.conn == nil {
		t.Error("not served by the connection that works")
	}
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 10})
	s := w.shard(0, "u", pool.DefaultConfig)
	other := w.shard(0, "other", pool.DefaultConfig)
	cls := w.fill(s, 3)
	w.borrow(s, newClient(), "")
	w.finishOpen(w.loops[0], openError{tooMany: true})
	w.borrow(other, newClient(), "")
	if n := len(w.loops[0].opens); n != 0 {
		t.Fatalf("%d opens right after the server said there are too many", n)
	}
	w.giveBack(cls[0])
	w.giveBack(cls[1])
	w.pass(60 * ms)
	if st := other.Stats(); st.Open != 1 {
		t.Errorf("other user: %+v; want an idle connection closed for it", st)
	}
	w.pass(3 * sec)
	cl := newClient()
	w.borrow(s, cl, "")
	w.pass(100 * ms)
	if cl.conn == nil {
		t.Error("the server's refusal is not forgotten")
	}
}

func TestClosedByTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		cfg    pool.Config
		limits pool.Limits
		stay   int64 // the connection is still there then
		gone   int64
		want   pool.Reason
	}{
		{"idle", pool.Config{BorrowTimeout: time.Second, IdleTimeout: 8 * time.Second}, pool.Limits{MaxOpen: 1, MaxIdle: 1}, 8*sec - 1, 8 * sec, pool.ReasonIdle},
		{"idle, short", pool.Config{BorrowTimeout: time.Second, IdleTimeout: time.Second}, pool.Limits{MaxOpen: 1, MaxIdle: 1}, sec - 1, sec, pool.ReasonIdle},
		{"lifetime", pool.Config{BorrowTimeout: time.Second, Lifetime: 100 * time.Second}, pool.Limits{MaxOpen: 1, MaxIdle: 1}, 100*sec - 1, 110 * sec, pool.ReasonLifetime},
		{"surplus", pool.DefaultConfig, pool.Limits{MaxOpen: 1}, 5*sec - 1, 5 * sec, pool.ReasonSurplus},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 1, tt.limits)
			s := w.shard(0, "u", tt.cfg)
			cl := w.fill(s, 1)[0]
			c := cl.conn
			w.giveBack(cl)
			w.pass(tt.stay)
			if c.closed {
				t.Fatalf("closed early: %v", c.why)
			}
			w.pass(tt.gone - tt.stay)
			if !c.closed || c.why != tt.want {
				t.Errorf("closed %t, %v; want %v", c.closed, c.why, tt.want)
			}
			if got := s.Stats().Closed[tt.want]; got != 1 {
				t.Errorf("counted %d", got)
			}
			w.check()
		})
	}
}

func TestReturnOfOldConnections(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		do   func(w *world, s *pool.Shard)
		want pool.Reason
	}{
		{"lifetime over", func(w *world, _ *pool.Shard) { w.now += 27 * 3600 * sec }, pool.ReasonLifetime},
		{"retired", func(w *world, s *pool.Shard) { s.Retire(w.now) }, pool.ReasonRetired},
		{"limit lowered", func(w *world, _ *pool.Shard) { w.budget.SetLimits(pool.Limits{MaxOpen: 1}); w.settle() }, pool.ReasonLimit},
		{"closed", func(w *world, s *pool.Shard) { s.Close(w.now) }, pool.ReasonClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 1, pool.Limits{MaxOpen: 3, MaxIdle: 3})
			s := w.shard(0, "u", pool.Config{BorrowTimeout: time.Second, Lifetime: 24 * time.Hour})
			cls := w.fill(s, 3)
			idle, lent := cls[0].conn, cls[1].conn
			w.giveBack(cls[0])
			tt.do(w, s)
			w.pass(0)
			if !idle.closed || idle.why != tt.want {
				t.Errorf("idle one: closed %t, %v", idle.closed, idle.why)
			}
			if lent.closed {
				t.Error("closed while borrowed")
			}
			w.giveBack(cls[1])
			if !lent.closed || lent.why != tt.want {
				t.Errorf("returned one: closed %t, %v", lent.closed, lent.why)
			}
			w.check()
		})
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 2})
	s := w.shard(0, "u", pool.DefaultConfig)
	w.fill(s, 1)
	waits := newClient()
	w.borrow(s, waits, "")
	s.Close(w.now)
	wantErr(t, waits, pool.ErrClosed)
	if c := w.finishOpen(w.loops[0], nil); !c.closed {
		t.Error("a connection that arrives late stays open")
	}
	late := newClient()
	w.borrow(s, late, "")
	wantErr(t, late, pool.ErrClosed)
	w.check()
	s.Close(w.now)
}

func TestSurplusIsCountedOverAllShards(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, pool.Limits{MaxOpen: 10, MaxIdle: 3})
	a, b := w.shard(0, "u", pool.DefaultConfig), w.shard(1, "v", pool.DefaultConfig)
	w.giveBackAll(w.fill(a, 4))
	w.giveBackAll(w.fill(b, 4))
	w.pass(4 * sec)
	if n := a.Stats().Idle + b.Stats().Idle; n != 8 {
		t.Errorf("%d idle after 4 s, want all 8: a burst may come back", n)
	}
	w.pass(2 * sec)
	if n := a.Stats().Idle + b.Stats().Idle; n != 3 {
		t.Errorf("%d idle, want 3", n)
	}
	if s := a.Due(); s != 0 && s < w.now+sec {
		t.Error("an idle pool wants a tick within a second")
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	panics := func(name string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s does not panic", name)
			}
		}()
		f()
	}
	w := newWorld(t, 1, pool.Limits{MaxOpen: 1})
	s := w.shard(0, "u", pool.DefaultConfig)
	cl := w.fill(s, 1)[0]
	c := cl.conn
	w.giveBack(cl)
	panics("returning twice", func() { s.Return(&c.Conn, w.now) })
	w.borrow(s, cl, "")
	waits := newClient()
	w.borrow(s, waits, "")
	panics("borrowing while waiting", func() { s.Borrow(&waits.Waiter, unique.Make(""), w.now) })
}

func TestStats(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 2, MaxIdle: 2})
	s := w.shard(0, "u", pool.DefaultConfig)
	cls := w.fill(s, 2)
	waits := newClient()
	w.borrow(s, waits, "")
	want := pool.Stats{Open: 2, Borrowed: 2, Waiting: 1, Borrows: 2, Waits: 3, Opened: 2}
	if d := cmp.Diff(want, s.Stats()); d != "" {
		t.Error(d)
	}
	w.giveBack(cls[0])
	w.giveBack(cls[1])
	c := waits.conn
	c.user, c.closed = nil, true
	s.Remove(&c.Conn, w.now)
	s.Remove(&c.Conn, w.now) // not part of the shard any more
	want = pool.Stats{Open: 1, Idle: 1, Borrows: 3, Waits: 3, Opened: 2, Removed: 1}
	if d := cmp.Diff(want, s.Stats()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(pool.BudgetStats{Limits: pool.Limits{MaxOpen: 2, MaxIdle: 2}, Used: 1}, w.budget.Stats()); d != "" {
		t.Error(d)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for r := range pool.NumReasons {
		if r.String() == "" || r.String() == "unknown" {
			t.Errorf("reason %d has no name", r)
		}
	}
	if got := pool.NumReasons.String(); got != "unknown" {
		t.Errorf("got %q", got)
	}
	err := error(&pool.TimeoutError{Last: openError{}})
	if !errors.Is(err, pool.ErrBorrowTimeout) || err.Error() == "" {
		t.Errorf("%v is not ErrBorrowTimeout", err)
	}
}
