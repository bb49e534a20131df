package pool_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"forebay/internal/pool"
)

// TestModel lets random things happen to several loops and keys, and checks the invariants after each: counts agree, the
// limit holds, nobody waits where something is idle, nobody is lent what another has, and, at rest, no wake-up was lost.
func TestModel(t *testing.T) {
	t.Parallel()
	runs := 300
	if testing.Short() {
		runs = 50
	}
	for seed := range runs {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runModel(t, uint64(seed)) })
	}
}

func runModel(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	limits := func() pool.Limits { return pool.Limits{MaxOpen: 1 + r.IntN(12), MaxIdle: r.IntN(8)} }
	w := newWorld(t, 1+r.IntN(4), limits())
	w.fussy = func() bool { return r.IntN(20) == 0 }
	cfg := func() pool.Config {
		c := pool.Config{BorrowTimeout: 30 * time.Second, IdleTimeout: 20 * time.Second, Lifetime: time.Minute, MaxOpening: 1 + r.IntN(4)}
		if r.IntN(10) == 0 {
			c.BorrowTimeout = 0
		}
		return c
	}
	for l := range w.loops {
		for u := range 1 + r.IntN(4) {
			w.shard(l, fmt.Sprint("u", u), cfg())
		}
	}
	type user struct {
		*client
		s *pool.Shard
	}
	var users []user
	var newest *conn
	lowered := false
	for range 3000 {
		l := w.loops[r.IntN(len(w.loops))]
		s := w.shards[r.IntN(len(w.shards))]
		switch r.IntN(20) {
		case 0, 1, 2, 3, 4:
			if len(users) > 40 {
				break
			}
			u := user{newClient(), s}
			w.borrow(s, u.client, fmt.Sprint(r.IntN(3)))
			users = append(users, u)
		case 5, 6, 7, 8, 9:
			if len(users) == 0 {
				break
			}
			i := r.IntN(len(users))
			switch u := users[i]; {
			case u.conn != nil && r.IntN(20) == 0:
				c := u.conn
				c.user, c.closed, u.conn = nil, true, nil
				c.Shard().Remove(&c.Conn, w.now)
			case u.conn != nil:
				w.giveBack(u.client)
			case u.Waiting():
				if r.IntN(4) > 0 {
					continue
				}
				if !u.s.Cancel(&u.Waiter, w.now) {
					t.Fatal("a waiter could not cancel")
				}
			case u.err == nil:
				t.Fatal("neither lent, nor waiting, nor failed")
			}
			users = remove(users, i)
		case 10, 11, 12:
			if len(l.posts) > 0 {
				w.step(l)
			}
		case 13, 14:
			if len(l.opens) > 0 {
				var err error
				switch r.IntN(12) {
				case 0:
					err = openError{}
				case 1:
					err = openError{permanent: true}
				case 2:
					err = openError{tooMany: true}
				}
				if c := w.finishOpen(l, err); c != nil {
					newest = c
				}
			}
		case 15, 16:
			if len(l.moves) > 0 {
				w.finishMove(l, r.IntN(10) > 0)
			}
		case 17:
			w.now += r.Int64N(1 << r.IntN(33))
			s.Tick(w.now)
		case 18:
			switch r.IntN(40) {
			case 0:
				w.budget.SetLimits(limits())
				lowered = true
			case 1:
				s.Retire(w.now)
			case 2:
				s.Apply(cfg(), w.now)
			case 3, 4, 5:
				if c := newest; c != nil && c.Idle() {
					c.closed = true
					c.Shard().Remove(&c.Conn, w.now)
				}
			case 6:
				if len(w.shards) > 3 {
					s.Close(w.now)
				}
			}
		case 19:
			if r.IntN(10) == 0 {
				w.settle()
				w.now += 3 * sec // past every pause after a failure
				w.pass(3 * sec)
				w.checkWaiters(false)
			}
		}
		w.check()
		if !lowered {
			w.checkLimit()
		}
	}
	// In the end, everybody who waits is served as the others return.
	w.fussy = nil
	w.settle()
	for range 100 {
		for _, u := range users {
			if u.conn != nil {
				w.giveBack(u.client)
				w.check()
			}
		}
		w.settle()
		w.checkLimit()
		w.pass(200 * ms) // the whole takes less than the borrow timeout
		w.checkLimit()
	}
	for _, u := range users {
		if u.Waiting() || u.conn != nil {
			t.Fatalf("still waiting %t", u.Waiting())
		}
	}
	w.pass(2 * 60 * sec)
	for _, s := range w.shards {
		if st := s.Stats(); st.Open != 0 {
			t.Errorf("%+v after idle time and lifetime", st)
		}
		if s.Due() != 0 {
			t.Errorf("an empty shard has a tick due")
		}
	}
	if b := w.budget.Stats(); b.Used != 0 || b.Starving != 0 {
		t.Errorf("budget at the end: %+v", b)
	}
}
