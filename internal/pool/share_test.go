package pool_test

import (
	"testing"

	"forebay/internal/pool"
)

func TestIdleConnectionOfSiblingMigrates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, pool.Limits{MaxOpen: 2, MaxIdle: 2})
	a, b := w.shard(0, "u", pool.DefaultConfig), w.shard(1, "u", pool.DefaultConfig)
	w.giveBackAll(w.fill(a, 2))
	got := w.fill(b, 2)
	if got[0].conn == nil || a.Stats().Migrated != 2 || b.Stats().Adopted != 2 || a.Stats().Open != 0 {
		t.Errorf("a %+v\nb %+v", a.Stats(), b.Stats())
	}
	if n := a.Stats().Opened + b.Stats().Opened; n != 2 {
		t.Errorf("%d opened, want 2", n)
	}
}

func TestOnlyColdConnectionsMigrateBelowTheLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, pool.Limits{MaxOpen: 10, MaxIdle: 10})
	a, b := w.shard(0, "u", pool.DefaultConfig), w.shard(1, "u", pool.DefaultConfig)
	w.giveBackAll(w.fill(a, 1))
	w.fill(b, 1)
	if b.Stats().Opened != 1 {
		t.Errorf("a warm connection was taken away: %+v", b.Stats())
	}
	w.pass(2 * sec)
	w.fill(b, 1)
	if b.Stats().Adopted != 1 {
		t.Errorf("opened although a cold connection is idle: %+v", b.Stats())
	}
}

func TestLeastRecentlyUsedIsEvicted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, pool.Limits{MaxOpen: 3, MaxIdle: 3})
	cfg := pool.DefaultConfig
	var conns []*conn
	for i, u := range []string{"x", "y", "z"} {
		cl := w.fill(w.shard(i%2, u, cfg), 1)[0]
		conns = append(conns, cl.conn)
		w.giveBack(cl)
		w.now += 60 * ms
	}
	w.borrow(w.shards[0], newClient(), "") // x, the oldest, is in use
	s := w.shard(1, "new", cfg)
	w.fill(s, 1)
	for i, want := range []bool{false, true, false} {
		if conns[i].closed != want || want && conns[i].why != pool.ReasonEvicted {
			t.Errorf("connection %d: closed %t (%v), want %t", i, conns[i].closed, conns[i].why, want)
		}
	}
}

// TestRestedConnectionsMakeRoom has one key hold all connections idle, and another served so quickly by the one connection
// it gets that it never starves: it must not be left with that one.
func TestRestedConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, pool.Limits{MaxOpen: 8, MaxIdle: 8})
	w.giveBackAll(w.fill(w.shard(0, "before", pool.DefaultConfig), 8))
	w.pass(2 * sec)
	s := w.shard(1, "now", pool.DefaultConfig)
	first := w.fill(s, 1)[0]
	var waiting []*client
	for range 6 {
		c := newClient()
		w.borrow(s, c, "")
		waiting = append(waiting, c)
	}
	w.pass(60 * ms) // not long enough to starve
	served := 0
	for _, c := range waiting {
		if c.conn != nil {
			served++
		}
	}
	if served == 0 || first.conn == nil {
		t.Errorf("no waiter was served by a connection of its own: %+v", s.Stats())
	}
}

func TestStarvingShardIsFavoured(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		user   string // of the starving shard; the other one's is u
		has    int    // connections the starving shard has, all pinned
		behind int64  // how much younger the returning shard's oldest waiter is
		want   bool
	}{
		{"same key, a little older", "u", 0, 99 * ms, false},
		{"same key, older", "u", 0, 101 * ms, true},
		{"same key, older, has one", "u", 1, 101 * ms, true},
		{"other key, older", "v", 0, 240 * ms, false},
		{"other key, much older", "v", 0, 251 * ms, true},
		{"other key, much older, has one", "v", 1, 900 * ms, false},
		{"other key, very much older, has one", "v", 1, 1001 * ms, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 2, pool.Limits{MaxOpen: 2})
			rich, poor := w.shard(0, "u", pool.DefaultConfig), w.shard(1, tt.user, pool.DefaultConfig)
			w.fill(poor, tt.has)
			has := w.fill(rich, 2-tt.has)[0]
			old, young := newClient(), newClient()
			w.borrow(poor, old, "")
			w.pass(tt.behind)
			w.borrow(rich, young, "")
			w.pass(150 * ms)
			w.giveBack(has)
			w.settle()
			if got := old.conn != nil; got != tt.want {
				t.Errorf("the starving shard got it: %t, want %t", got, tt.want)
			}
			if got := young.conn != nil; got == tt.want {
				t.Errorf("the returning shard kept it: %t, want %t", got, !tt.want)
			}
			w.check()
			w.checkLimit()
		})
	}
}

// TestReturnWithoutWaiters checks that a connection about to become idle goes to who starves: at once for the same key, for
// another key when it has been idle for a moment, or when the wait is long.
func TestReturnWithoutWaiters(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		user         string // of the starving shard; the other one's is u
		before       int64  // wait before the return
		early, after int64  // not served, and served, so long after the return
	}{
		{"same key", "u", 0, -1, 0},
		{"other key", "v", 0, 49 * ms, 120 * ms},
		{"other key, long wait", "v", 260 * ms, -1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 2, pool.Limits{MaxOpen: 1, MaxIdle: 1})
			rich, poor := w.shard(0, "u", pool.DefaultConfig), w.shard(1, tt.user, pool.DefaultConfig)
			has := w.fill(rich, 1)[0]
			cl := newClient()
			w.borrow(poor, cl, "")
			w.pass(tt.before)
			w.giveBack(has)
			if tt.early >= 0 {
				w.pass(tt.early)
				if cl.conn != nil {
					t.Fatal("served early")
				}
			}
			w.pass(tt.after - max(tt.early, 0))
			if cl.conn == nil {
				t.Error("not served")
			}
			if st := w.budget.Stats(); st.Starving != 0 || st.Used != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestRaisedLimitServesWaiters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 1})
	s := w.shard(0, "u", pool.DefaultConfig)
	w.fill(s, 1)
	cls := []*client{newClient(), newClient()}
	for _, cl := range cls {
		w.borrow(s, cl, "")
	}
	w.budget.SetLimits(pool.Limits{MaxOpen: 3})
	w.settle()
	if cls[0].conn == nil || cls[1].conn == nil {
		t.Error("not served")
	}
}

// TestNoStarvationNoThrashing keeps more users busy than there are connections, each connection being used for 1 ms at a
// time, and checks how long anybody waits and how often connections are opened again.
func TestNoStarvationNoThrashing(t *testing.T) {
	t.Parallel()
	const limit, users, loops, clients, seconds = 4, 6, 2, 10, 20
	w := newWorld(t, loops, pool.Limits{MaxOpen: limit, MaxIdle: limit})
	type session struct {
		*client
		s *pool.Shard
	}
	var all []session
	for l := range loops {
		for u := range users {
			s := w.shard(l, string(rune('a'+u)), pool.DefaultConfig)
			for range clients {
				all = append(all, session{newClient(), s})
			}
		}
	}
	worst := int64(0)
	for range seconds * 1000 {
		w.now += ms
		for _, s := range w.shards {
			s.Tick(w.now)
		}
		var done, free []session
		for _, c := range all {
			switch {
			case c.conn != nil:
				done = append(done, c)
			case !c.Waiting():
				free = append(free, c)
			}
		}
		for _, c := range done {
			worst = max(worst, w.now-c.Since()-ms)
			w.giveBack(c.client)
		}
		for _, c := range free {
			w.borrow(c.s, c.client, "")
		}
		w.settle()
		w.checkLimit()
	}
	opened, borrows := uint64(0), uint64(0)
	for _, s := range w.shards {
		opened += s.Stats().Opened
		borrows += s.Stats().Borrows
		if s.Stats().Borrows < seconds {
			t.Errorf("%v on its loop: only %d borrows", s.Key(), s.Stats().Borrows)
		}
	}
	for _, c := range all {
		if c.Waiting() {
			worst = max(worst, w.now-c.Since())
		}
	}
	t.Logf("longest wait %d ms, %d borrows, %d opened", worst/ms, borrows, opened)
	if worst > 5*sec {
		t.Errorf("somebody waited for %d ms", worst/ms)
	}
	if opened > loops*users*4*seconds {
		t.Errorf("%d connections opened in %d s", opened, seconds)
	}
}
