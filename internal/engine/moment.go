package engine

import (
	"sync/atomic"
	"time"
)

// origin is where moments are counted from. Their times keep its reading of the monotonic clock: a clock that steps moves none of them.
var origin = time.Now().Add(-time.Second)

// Moment is a time that only moves on. It is safe for concurrent use; its zero value is before all times that are.
type Moment struct {
	nanos atomic.Int64 // since origin; 0: there was none
}

// Advance moves it on to a time. It reports whether it was before that.
func (m *Moment) Advance(to time.Time) bool {
	n := int64(to.Sub(origin))
	for {
		old := m.nanos.Load()
		if n <= old {
			return false
		}
		if m.nanos.CompareAndSwap(old, n) {
			return true
		}
	}
}

// Time is where it is; zero: nowhere yet.
func (m *Moment) Time() time.Time {
	if n := m.nanos.Load(); n != 0 {
		return origin.Add(time.Duration(n))
	}
	return time.Time{}
}

// After reports whether it is later than another one.
func (m *Moment) After(other *Moment) bool { return m.nanos.Load() > other.nanos.Load() }
