package dataplane

import (
	"testing"
	"time"

	"forebay/internal/engine"
)

// decided is a database that sees whether something is decided meanwhile.
type decided struct {
	engine.Database
	t     *target
	free  bool
	asked int
}

// Changed implements engine.Follower.
func (d *decided) Changed() time.Time {
	d.asked++
	if d.t.deciding.TryLock() {
		d.free = true
		d.t.deciding.Unlock()
	}
	return time.Time{}
}

// Settled implements engine.Follower.
func (d *decided) Settled(time.Time) {}

// What all readers have is found out while nobody decides which those are: one that is about to be one would be missed.
func TestSettleWhileDeciding(t *testing.T) {
	t.Parallel()
	tg := &target{dbs: make(map[engine.Key]*database)}
	tg.routes.Store(new(routes))
	d := &decided{t: tg}
	tg.dbs[engine.Key{}] = &database{target: tg, db: d}
	tg.settle()
	if d.asked == 0 || d.free {
		t.Errorf("asked %d times, while others may decide: %t", d.asked, d.free)
	}
}
