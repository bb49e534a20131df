package postgres

import (
	"sync/atomic"
	"time"

	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/resource"
)

// schema is what those who use one database of a target, whoever they log in as, tell each other.
type schema struct {
	changes atomic.Uint64 // counts transactions that may have changed what the catalog of routines says
	at      atomic.Int64  // when the last of these was seen to end, in Unix nanoseconds; 0: there was none
}

// schemaOf is that of one database.
func (e *Engine) schemaOf(p *resource.Proxy, database string) *schema {
	key := p.Target.Identity() + "\x00" + database
	if s, ok := e.schemas.Load(key); ok {
		return s.(*schema)
	}
	s, _ := e.schemas.LoadOrStore(key, new(schema))
	return s.(*schema)
}

// known are the routines, nil where any may do anything: since one may be another now, or, where a reader is to run it, since it
// may be the one of before there.
func (d *database) known(reader bool) *sqltext.Routines {
	sc := d.schema.Load()
	if d.seen.Load() != sc.changes.Load() {
		d.forgetRoutines()
	}
	if (reader || d.key.ReadOnly) && sc.at.Load() > d.settled.Load() {
		return nil
	}
	return d.routines.Load()
}

// staleRoutines has the catalog read again soon, by all who use the database; until then every routine may do anything.
func (d *database) staleRoutines() {
	sc := d.schema.Load()
	sc.at.Store(time.Now().UnixNano())
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
func (d *database) Changed() time.Time {
	if at := d.schema.Load().at.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Settled implements engine.Follower. What a reader's catalog has said before may be out of date.
func (d *database) Settled(at time.Time) {
	if at.UnixNano() <= d.settled.Load() {
		return
	}
	d.settled.Store(at.UnixNano())
	if d.key.ReadOnly {
		d.forgetRoutines()
	}
}
