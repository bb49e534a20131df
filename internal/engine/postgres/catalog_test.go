package postgres

import (
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/resource"
)

// After DDL that concerns routines, of whatever user, the catalog is another one for all users of the database; and one that was read at
// a reader, or is to hold for one, does not count before readers are known to have the change.
func TestRoutinesOfReaders(t *testing.T) {
	t.Parallel()
	e := New(slog.New(slog.DiscardHandler), nil)
	open := func(user, name string, readOnly bool) *database {
		return e.Open(&resource.Proxy{}, engine.Key{User: user, Database: name, ReadOnly: readOnly}, nil).(*database)
	}
	owner, app, readers, elsewhere := open("owner", "db", false), open("app", "db", false), open("app", "db", true), open("app", "other", false)
	all := []*database{owner, app, readers, elsewhere}
	r := sqltext.NewRoutines(sqltext.Catalog{})
	read := func() { // as Maintain does
		for _, d := range all {
			_ = d.known(false)
			d.routines.Store(r)
		}
	}
	read()
	for i, d := range all {
		if d.known(false) != r || d.known(true) != r {
			t.Errorf("%d: not known though nothing has changed", i)
		}
	}
	owner.staleRoutines()
	if owner.known(false) != nil || app.known(false) != nil || readers.known(false) != nil {
		t.Error("what was known before passes for known after a change")
	}
	if elsewhere.known(false) != r {
		t.Error("a change in another database counts")
	}
	read()
	if owner.known(false) != r || app.known(false) != r {
		t.Error("not known at the writer, though it was read again")
	}
	if readers.known(false) != nil || app.known(true) != nil {
		t.Error("known at a reader, which may not have the change")
	}
	for _, d := range all {
		d.Settled(d.Changed())
	}
	if app.known(true) != r {
		t.Error("not known at a reader that has the change")
	}
	if readers.known(false) != nil {
		t.Error("what a reader has said before passes for known when it is settled")
	}
	read()
	if readers.known(false) != r {
		t.Error("not known at readers, though it was read again")
	}
}

// Clients name databases as they like: what is kept of one ends with the last who has it open, and not before.
func TestSchemasEnd(t *testing.T) {
	t.Parallel()
	e := New(slog.New(slog.DiscardHandler), nil)
	open := func(user, name string) *database {
		return e.Open(&resource.Proxy{}, engine.Key{User: user, Database: name}, nil).(*database)
	}
	kept := open("app", "kept")
	kept.staleRoutines()
	for i := range 1000 {
		open("app", "none"+strconv.Itoa(i))
	}
	number := func() (n int) {
		e.schemas.byName.Range(func(any, any) bool { n++; return true })
		return n
	}
	for deadline := time.Now().Add(30 * time.Second); number() > 1; runtime.Gosched() {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatalf("%d are kept", number())
		}
	}
	if other := open("other", "kept"); other.schema.Load() != kept.schema.Load() {
		t.Error("users of one database do not hear of each other")
	}
	// Nobody knows when a database was changed last that nobody has had open: its readers may have yet to get that.
	if back := open("app", "none1"); !back.Changed().Equal(kept.Changed()) {
		t.Errorf("the last change is of %v, not %v", back.Changed(), kept.Changed())
	}
	runtime.KeepAlive(kept)
}

// When a change was is a time of the monotonic clock, as those are that it is compared with: a clock that steps makes none older.
func TestChangedIsMonotonic(t *testing.T) {
	t.Parallel()
	d := New(slog.New(slog.DiscardHandler), nil).Open(&resource.Proxy{}, engine.Key{Database: "db"}, nil).(*database)
	before := time.Now()
	d.staleRoutines()
	if at := d.Changed(); at.Before(before) || !strings.Contains(at.String(), " m=") {
		t.Errorf("changed at %v", at)
	}
	d.Settled(d.Changed())
	d.Settled(before)
	if d.schema.Load().at.After(&d.settled) {
		t.Error("what is settled is unsettled by one who comes late")
	}
}
