package engine

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// A moment never goes back, whoever moves it, and is a time of the monotonic clock, as those are that it is compared with.
func TestMoment(t *testing.T) {
	t.Parallel()
	var m, none Moment
	if !m.Time().IsZero() || m.Advance(time.Time{}) || m.After(&none) {
		t.Error("it is somewhere before it was moved")
	}
	now := time.Now()
	if !m.Advance(now) || !m.Time().Equal(now) || !m.After(&none) {
		t.Errorf("it is at %v, not %v", m.Time(), now)
	}
	if !strings.Contains(m.Time().String(), " m=") {
		t.Error("it does not know the monotonic clock")
	}
	if m.Advance(now) || m.Advance(now.Add(-time.Second)) || !m.Time().Equal(now) {
		t.Error("it has gone back")
	}
	const last = 10_000
	var wg sync.WaitGroup
	for first := range 4 {
		wg.Go(func() {
			for i := first; i <= last; i += 4 {
				at := now.Add(time.Duration(i))
				m.Advance(at)
				if m.Time().Before(at) {
					t.Errorf("it is before %v, to which it was moved", at)
					return
				}
			}
		})
	}
	wg.Wait()
	if !m.Time().Equal(now.Add(last)) {
		t.Errorf("it is %v behind", now.Add(last).Sub(m.Time()))
	}
}
