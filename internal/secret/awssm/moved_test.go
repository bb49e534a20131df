package awssm

import (
	"testing"
	"time"

	"forebay/internal/secret"
)

// TestMoved: the overlap begins when a version is seen to be another one, or was made before this process was there.
func TestMoved(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	var m moved
	for _, tt := range []struct {
		version   string
		made, now int
		since     int
	}{
		{"2", -600, 0, -600}, // at the start
		{"2", -600, 1, -600},
		{"3", -60, 2, 2}, // made an hour ago as AWSPENDING, and current now
		{"3", -60, 3, 2},
		{"2", -600, 4, 4}, // taken back
		{"2", -600, 5, 4},
	} {
		s := secret.Secret{Version: tt.version, Previous: &secret.Previous{}}
		m.note(&s, at(tt.made), at(tt.now))
		if s.Previous.Since != at(tt.since) {
			t.Errorf("version %s at %v: since %v, want %v", tt.version, at(tt.now), s.Previous.Since, at(tt.since))
		}
	}
	alone := secret.Secret{Version: "4"}
	if m.note(&alone, at(6), at(6)); alone.Previous != nil {
		t.Errorf("a previous version of nowhere: %+v", alone.Previous)
	}
}
