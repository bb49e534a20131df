package dataplane

import (
	"slices"
	"time"

	"forebay/internal/engine"
	"forebay/internal/evloop"
)

// What a statement has changed at the writer (a function, say) is at readers some time later. An engine that has to know whether
// it is there already (engine.Follower) is told when it is at all that are used; one that is not used at that time is not before it has
// it, too.

// blindSettle is how long it takes until readers count as having something where nothing is known of how far they are.
const blindSettle = time.Minute

// settle tells the databases what all readers have.
func (t *target) settle() {
	type settled struct {
		f  engine.Follower
		at time.Time
	}
	var due []settled
	t.deciding.Lock() // or a reader that decide has found, and that is not among the routes yet, would be missed
	t.mu.Lock()
	readers := t.routes.Load().readers
	for _, d := range t.dbs {
		f, ok := d.db.(engine.Follower)
		if !ok {
			continue
		}
		at := f.Changed()
		if !at.After(d.settled) || slices.ContainsFunc(readers, func(m *member) bool { return !m.hasLocked(at) }) {
			continue
		}
		d.settled = at
		if at.After(t.settled) {
			t.settled = at
			for _, m := range t.order {
				if m != t.writer && !m.hasLocked(at) {
					m.owes = at
				}
			}
		}
		due = append(due, settled{f, at})
	}
	t.mu.Unlock()
	t.deciding.Unlock()
	for _, d := range due {
		d.f.Settled(d.at)
	}
}

// hasLocked reports whether a reader has what the writer had then. t.mu is held.
func (m *member) hasLocked(at time.Time) bool {
	switch {
	case m.status.Position != nil:
		return m.caughtUp.Load() > evloop.NanosAt(at)
	case m.status.Lag >= 0:
		return m.answeredAt.Add(-m.status.Lag - time.Second).After(at)
	default:
		return time.Since(at) > blindSettle
	}
}

// owesLocked reports whether a reader still does not have what the engine relies on that all of them have. t.mu is held.
func (m *member) owesLocked() bool {
	if !m.owes.IsZero() && m.hasLocked(m.owes) {
		m.owes = time.Time{}
	}
	return !m.owes.IsZero()
}
