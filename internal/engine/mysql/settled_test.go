package mysql

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/routines"
	"forebay/internal/resource"
)

// After a change of routines, what a reader's catalog says of them does not count before readers are known to have the change: that
// catalog may have been read before it came, and the routine may be another one by now.
func TestRoutinesOfReaders(t *testing.T) {
	t.Parallel()
	e := New(slog.New(slog.DiscardHandler))
	writers := e.Open(&resource.Proxy{}, engine.Key{User: "u"}, nil).(*database)
	readers := e.Open(&resource.Proxy{}, engine.Key{User: "u", ReadOnly: true}, nil).(*database)
	at := func(d *database, guarded bool) *session { return &session{l: &local{db: d}, guarded: guarded} }
	read := func() *routines.Catalog { // as Maintain does
		c := new(routines.Catalog)
		for _, d := range []*database{writers, readers} {
			_ = d.knownRoutines()
			d.routines.Store(c)
		}
		return c
	}
	sessions := map[string]*session{"at the writer": at(writers, false), "at a reader": at(readers, false), "split off to one": at(writers, true)}
	c := read()
	for name, s := range sessions {
		if s.knownRoutines() != c {
			t.Errorf("%s: not known though nothing has changed", name)
		}
	}
	writers.schemaChanged(true)
	c = read()
	for name, s := range sessions {
		if got := s.knownRoutines() == c; got != (name == "at the writer") || s.unsettled() == got {
			t.Errorf("%s, after a change: known %t", name, got)
		}
	}
	s := sessions["at a reader"]
	if first := s.knownRoutines(); first != s.knownRoutines() {
		t.Error("what is left of the catalog is made anew each time")
	}
	for _, d := range []*database{writers, readers} {
		d.Settled(d.Changed())
	}
	if readers.routines.Load() == c {
		t.Error("what a reader has said before passes for known when it is settled")
	}
	c = read()
	for name, s := range sessions {
		if s.knownRoutines() != c {
			t.Errorf("%s: not known though it is settled", name)
		}
	}
}

// When a change was is a time of the monotonic clock, as those are that it is compared with: a clock that steps makes none older.
func TestChangedIsMonotonic(t *testing.T) {
	t.Parallel()
	d := New(slog.New(slog.DiscardHandler)).Open(&resource.Proxy{}, engine.Key{User: "u"}, nil).(*database)
	before := time.Now()
	d.schemaChanged(true)
	if at := d.Changed(); at.Before(before) || !strings.Contains(at.String(), " m=") {
		t.Errorf("changed at %v", at)
	}
	d.Settled(d.Changed())
	d.Settled(before)
	if d.target.at.After(&d.settled) {
		t.Error("what is settled is unsettled by one who comes late")
	}
}
