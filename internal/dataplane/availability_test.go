package dataplane

import (
	"testing"
	"time"
)

func TestAvailability(t *testing.T) {
	t.Parallel()
	type look struct {
		after time.Duration
		up    bool
	}
	tests := []struct {
		name  string
		looks []look
		at    time.Duration
		want  float64
	}{
		{"never looked at", nil, time.Minute, 0},
		{"just found well", []look{{0, true}}, 0, 100},
		{"just found unwell", []look{{0, false}}, 0, 0},
		{"well since long", []look{{0, true}, {30 * time.Second, true}}, time.Hour, 100},
		{"down for a quarter", []look{{0, true}, {15 * time.Second, false}, {30 * time.Second, true}}, time.Minute, 75},
		{"what was before the window does not count", []look{{0, false}, {30 * time.Second, true}}, 90 * time.Second, 100},
		{"shorter observed than the window", []look{{0, true}, {5 * time.Second, false}}, 10 * time.Second, 50},
		{"down and long not looked at", []look{{0, true}, {time.Second, false}}, time.Hour, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var a availability
			begin := time.Unix(1e9, 0)
			for _, l := range tt.looks {
				a.record(begin.Add(l.after), l.up)
			}
			if got := a.percent(begin.Add(tt.at)); got != tt.want {
				t.Errorf("%v, seen at %v: got %v percent, want %v", tt.looks, tt.at, got, tt.want)
			}
		})
	}
}

// TestAvailabilityIsBounded has a target that comes and goes all the time.
func TestAvailabilityIsBounded(t *testing.T) {
	t.Parallel()
	var a availability
	now := time.Unix(1e9, 0)
	for i := range 10000 {
		now = now.Add(time.Second)
		a.record(now, i%2 == 0)
	}
	if n := len(a.changes); n > 62 {
		t.Errorf("%d changes kept of the last minute", n)
	}
	if got := a.percent(now); got != 50 {
		t.Errorf("got %v percent, want 50", got)
	}
}
