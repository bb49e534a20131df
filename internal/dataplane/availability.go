package dataplane

import "time"

// availabilityWindow is the time over which availability is a share, as in the contract (8.1).
const availabilityWindow = time.Minute

// availability remembers when a target began and ceased to answer. The zero value knows nothing yet.
type availability struct {
	changes []healthChange // oldest first; at most one lies before the window
}

type healthChange struct {
	at time.Time
	up bool
}

// record takes over how the target is now.
func (a *availability) record(now time.Time, up bool) {
	if n := len(a.changes); n == 0 || a.changes[n-1].up != up {
		a.changes = append(a.changes, healthChange{now, up})
	}
	start := now.Add(-availabilityWindow)
	for len(a.changes) > 1 && !a.changes[1].at.After(start) {
		a.changes = a.changes[1:]
	}
}

// percent is the share of the window, as far as it has been observed, in which the target answered.
func (a *availability) percent(now time.Time) float64 {
	start := now.Add(-availabilityWindow)
	var up, seen time.Duration
	for i, c := range a.changes {
		from, to := c.at, now
		if from.Before(start) {
			from = start
		}
		if i+1 < len(a.changes) {
			to = a.changes[i+1].at
		}
		if d := to.Sub(from); d > 0 {
			seen += d
			if c.up {
				up += d
			}
		}
	}
	if seen > 0 {
		return 100 * float64(up) / float64(seen)
	}
	if n := len(a.changes); n > 0 && a.changes[n-1].up {
		return 100
	}
	return 0
}
