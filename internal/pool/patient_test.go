package pool_test

import (
	"slices"
	"testing"

	"forebay/internal/pool"
)

func TestStuckAndPatient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 1, MaxIdle: 1})
	s := w.shard(0, "u", pool.DefaultConfig)
	holder := w.fill(s, 1)[0]
	var waiters []*client
	seen := func(cancel bool) (got []int) {
		s.Patient(w.now, func(x *pool.Waiter) {
			got = append(got, slices.IndexFunc(waiters, func(c *client) bool { return &c.Waiter == x }))
			if cancel {
				s.Cancel(x, w.now)
			}
		})
		return got
	}
	wait := func() {
		waiters = append(waiters, newClient())
		w.borrow(s, waiters[len(waiters)-1], "")
		w.now += 10 * ms
	}
	if !s.Stuck(w.now) {
		t.Error("nothing is idle and nobody waits: not stuck")
	}
	for range 3 {
		wait()
	}
	if got := seen(false); s.Stuck(w.now) || got != nil {
		t.Errorf("after 30 ms: stuck %t, patient %v", s.Stuck(w.now), got)
	}
	w.now += 30 * ms // 60, 50 and 40
	if got := seen(false); !s.Stuck(w.now) || !slices.Equal(got, []int{1, 0}) {
		t.Errorf("after 60 ms: stuck %t, patient %v", s.Stuck(w.now), got)
	}
	wait()
	w.now += 50 * ms
	if got := seen(true); !slices.Equal(got, []int{3, 2}) {
		t.Errorf("then: patient %v, want the others", got)
	}
	if got := seen(false); got != nil {
		t.Errorf("once more: patient %v", got)
	}
	w.giveBack(holder)
	if waiters[0].conn == nil || s.Stuck(w.now) && s.Stats().Idle > 0 {
		t.Error("the oldest waits still")
	}
	w.giveBack(waiters[0])
	w.giveBack(waiters[1])
	if s.Stuck(w.now) {
		t.Error("stuck with an idle connection")
	}
}
