package sqlserver

import (
	"context"
	"fmt"
	"log/slog"

	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/engine/sqlserver/routines"
	"forebay/internal/engine/sqlserver/sqltext"
	"forebay/internal/wire/tds"
)

// What procedures and triggers leave in a session is known from their definitions, which are read when a pool begins, and
// again when they have changed. While a statement that changes some is under way, and until they have been read again, nothing
// is known of any.

// loadRoutines reads the modules that the user may see, unless they are as they were. A server that refuses to tell is no
// error: nothing is known, then. large is as routines.Load has it.
func (d *database) loadRoutines(ctx context.Context, q routines.Querier, large bool) (err error) {
	d.loadMu.Lock()
	defer d.loadMu.Unlock()
	defer func() {
		if routines.Locked(err) { // by a transaction under way: what is known of the modules stays as it is
			d.say("what procedures and triggers do cannot be read now, since a transaction that changes some is open: it is tried again")
			err = nil
		}
	}()
	before := d.target.changes.Load()
	print, err := routines.Fingerprint(ctx, q)
	if err != nil {
		return err
	}
	if print != "" && print == d.print && d.routines.Load() != nil {
		d.seen.Store(before)
		return nil
	}
	c, err := routines.Load(ctx, q, large)
	if routines.Refused(err) {
		d.routines.Store(nil)
		d.refused.Store(true)
		d.print = ""
		d.say("what procedures and triggers do could not be read: a call of one pins its session", slog.Any("error", err))
		return nil
	}
	if err != nil {
		return err
	}
	d.refused.Store(false)
	d.seen.Store(before)
	d.routines.Store(c)
	d.print = print
	all, unknown := c.Len()
	switch {
	case c.Blind():
		d.say("the user may not see all procedures and triggers of its database: calls of those that it does not see pin, and after a write a server connection is reset before another session has it; "+fixDefinition,
			slog.Int("procedures", all), slog.Int("unknown", unknown))
	case unknown > 0:
		d.say("of some procedures it is not known what they do: calls of them pin", slog.Int("procedures", all), slog.Int("unknown", unknown))
	}
	if d.target.changes.Load() != before {
		d.look() // what was read may be older than the change
	}
	return nil
}

// lockTimeout is how long reading the modules waits for a transaction that changes some, in milliseconds: new server connections,
// and the look at the target, wait with it.
const lockTimeout = 500

// readRoutines is loadRoutines over a server connection, which waits for no lock longer than lockTimeout.
func (d *database) readRoutines(ctx context.Context, s *login.Server) error {
	if err := s.Exec(ctx, fmt.Sprint("SET LOCK_TIMEOUT ", lockTimeout)); err != nil {
		return err
	}
	if err := d.loadRoutines(ctx, s, s.Version.AtLeast(tds.V72)); err != nil {
		return err
	}
	return s.Exec(ctx, fmt.Sprint("SET LOCK_TIMEOUT ", s.Settings.LockTimeout))
}

// say warns once of what is amiss with the modules.
func (d *database) say(what string, more ...any) {
	if line := fmt.Sprint(what, more); line != d.told {
		d.told = line
		d.log.Warn(what, append(more, slog.String("database", d.key.Database))...)
	}
}

// knownRoutines are what procedures and triggers do; nil: not known, or not any more.
func (d *database) knownRoutines() *routines.Catalog {
	if d.target.underway.Load() != 0 {
		return nil
	}
	if d.seen.Load() != d.target.changes.Load() {
		d.look()
		return nil
	}
	return d.routines.Load()
}

// modulesBegin says that a request is on its way that makes, changes or drops modules.
func (s *session) modulesBegin() {
	if !s.modules {
		s.modules = true
		s.l.db.target.underway.Add(1)
	}
}

// modulesEnd says that the transaction of such a request has ended.
func (s *session) modulesEnd() {
	if s.modules {
		s.modules = false
		t := s.l.db.target
		t.changes.Add(1)
		t.underway.Add(-1)
		s.l.db.look()
	}
}

// reached are the effects of a text, with what the procedures and triggers leave that it reaches in the place of the marks
// Exec and Triggers. It pins for what is not known. digest is the text's.
func (s *session) reached(text []byte, a *analysis, alone bool) (e sqltext.Effects, unknown bool) {
	e = a.Effects
	if e&(sqltext.Exec|sqltext.Triggers) == 0 {
		return e, false
	}
	c := &s.srv.cmd
	known := s.l.db.knownRoutines()
	database := s.want.Database
	if c.assigns {
		database = c.next.Database
	}
	if e&sqltext.Exec != 0 {
		x := known.Called(text, a, database, &s.l.calls)
		if e &^= sqltext.Exec; alone {
			e &^= sqltext.WritesIdentity // the call's own: it may write
		}
		e |= c.takes(x)
		unknown = x.Unknown
	}
	if a.Effects&sqltext.Triggers != 0 {
		x := known.Written(text, a, database)
		e = e&^sqltext.Triggers | c.takes(x)
		unknown = unknown || x.Unknown
	}
	return e, unknown
}

// takes takes over what a module leaves.
func (c *command) takes(x routines.Effect) sqltext.Effects {
	c.failing |= x.Failing
	for _, o := range x.Objects {
		if o.Conditional {
			c.failObjects = append(c.failObjects, o)
		} else {
			c.objects = append(c.objects, o)
		}
	}
	c.keeps(x.Effects)
	return x.Effects
}

// keeps notes what a module leaves of what is counted: how many of them, and which, is not known.
func (c *command) keeps(e sqltext.Effects) {
	for k, as := range keptAs {
		if e&as.eff != 0 {
			c.kept[k].Stays = true
		}
	}
}

// modulesFailed pins for what modules have not taken away, since the request has failed.
func (s *session) modulesFailed() {
	c := &s.srv.cmd
	c.objects = append(c.objects, c.failObjects...)
	c.eff |= c.failing
	c.keeps(c.failing)
	s.srv.dirty = true
	s.pinFor(c.failing, false)
}
