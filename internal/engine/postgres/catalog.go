package postgres

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"forebay/internal/engine"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/resource"
)

// schema is what those who use one database of a target, whoever they log in as, tell each other.
type schema struct {
	changes atomic.Uint64 // counts transactions that may have changed what the catalog of routines says
	at      engine.Moment // when the last of these was seen to end
}

// schemas are those of all databases that somebody has open: a client says what its database is called, and may name any.
type schemas struct {
	byName sync.Map      // target and database -> weak.Pointer[schema]
	last   engine.Moment // what has changed last, anywhere
}

// of is that of one database. One that is new begins with the last change of all: nobody knows any more of its own.
func (all *schemas) of(p *resource.Proxy, database string) *schema {
	name := p.Target.Identity() + "\x00" + database
	var made *schema
	for {
		old, there := all.byName.Load(name)
		if there {
			if s := old.(weak.Pointer[schema]).Value(); s != nil {
				return s
			}
		}
		if made == nil {
			made = new(schema)
			made.at.Advance(all.last.Time())
		}
		w := weak.Make(made)
		if there && all.byName.CompareAndSwap(name, old, w) || !there && all.put(name, w) {
			runtime.AddCleanup(made, func(w weak.Pointer[schema]) { all.byName.CompareAndDelete(name, w) }, w)
			return made
		}
	}
}

// put reports whether it is the first to put one there.
func (all *schemas) put(name string, w weak.Pointer[schema]) bool {
	_, there := all.byName.LoadOrStore(name, w)
	return !there
}

// known are the routines, nil where any may do anything: since one may be another now, or, where a reader is to run it, since it
// may be the one of before there.
func (d *database) known(reader bool) *sqltext.Routines {
	sc := d.schema.Load()
	if d.seen.Load() != sc.changes.Load() {
		d.forgetRoutines()
	}
	if (reader || d.key.ReadOnly) && sc.at.After(&d.settled) {
		return nil
	}
	return d.routines.Load()
}

// staleRoutines has the catalog read again soon, by all who use the database; until then every routine may do anything.
func (d *database) staleRoutines() {
	sc := d.schema.Load()
	now := time.Now()
	sc.at.Advance(now)
	d.eng.schemas.last.Advance(now)
	sc.changes.Add(1)
	d.forgetRoutines()
}

// forgetRoutines has the catalog read again soon.
func (d *database) forgetRoutines() {
	d.mu.Lock()
	d.seen.Store(d.schema.Load().changes.Load())
	d.changes.Add(1)
	d.routines.Store(nil)
	d.mu.Unlock()
	d.look()
}

// Changed implements engine.Follower.
func (d *database) Changed() time.Time { return d.schema.Load().at.Time() }

// Settled implements engine.Follower. What a reader's catalog has said before may be out of date.
func (d *database) Settled(at time.Time) {
	if d.settled.Advance(at) && d.key.ReadOnly {
		d.forgetRoutines()
	}
}
