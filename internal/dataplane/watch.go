package dataplane

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"forebay/internal/engine"
)

// Bounds of the time between two looks at a target that answers, and at one that does not.
const (
	watchTimeout  = 20 * time.Second
	watchUnwell   = time.Second
	watchInterval = 30 * time.Second
	watchSecrets  = time.Second // between two looks at whether its secrets have changed
)

// watch asks the target from time to time how it is, and keeps its databases' knowledge of it fresh. Secrets that have
// changed, or can or cannot be had any more, may make a target well or unwell, and so are a reason to ask at once.
func (t *target) watch() {
	secrets := time.NewTicker(watchSecrets)
	defer secrets.Stop()
	for {
		seen := t.px.creds.versions(t.ctx)
		next := watchUnwell
		if t.check() {
			next = t.interval()
		}
		wait := time.NewTimer(next)
		for asked := true; asked; {
			select {
			case <-t.ctx.Done():
				wait.Stop()
				return
			case <-wait.C:
				asked = false
			case <-secrets.C:
				asked = slices.Equal(seen, t.px.creds.versions(t.ctx))
			}
		}
		wait.Stop()
	}
}

// refresh looks at the target when a database asks for it, and then until the target answers: the next look of watch may be
// far.
func (d *database) refresh() {
	again := time.NewTimer(watchUnwell)
	again.Stop()
	defer again.Stop()
	for {
		select {
		case <-d.target.ctx.Done():
			return
		case <-d.gone:
			return
		case <-d.db.Stale():
		case <-again.C:
		}
		if !d.target.maintain(d.db) {
			again.Reset(watchUnwell)
		}
	}
}

func (t *target) interval() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.cfg.Pool.RoutineScanInterval; d > 0 {
		return d
	}
	return watchInterval
}

// check looks at the target through each database that has been used, or through one of its own when none has.
func (t *target) check() bool {
	t.mu.Lock()
	cfg := t.cfg
	var dbs []engine.Database
	for _, d := range t.dbs {
		dbs = append(dbs, d.db)
	}
	t.mu.Unlock()
	if len(dbs) == 0 {
		user, err := t.px.creds.first(t.ctx)
		if err != nil {
			t.report(err)
			return false
		}
		dbs = append(dbs, t.px.eng.Open(cfg, engine.Key{User: user, Database: t.px.eng.DefaultDatabase()}, t.px.creds))
	}
	ok := true
	for _, db := range dbs {
		ok = t.maintain(db) && ok
	}
	t.forgetUnused()
	return ok
}

// unusedAfter is how long a key may go without a client before its pools are forgotten: log-in names are the clients' to
// choose.
const unusedAfter = 10 * time.Minute

// forgetUnused ends the pools that nobody has used for long.
func (t *target) forgetUnused() {
	t.mu.Lock()
	var old []*database
	for _, d := range t.dbs {
		if time.Since(d.asked) > unusedAfter {
			old = append(old, d)
		}
	}
	t.mu.Unlock()
	for _, d := range old {
		used := false
		for i, l := range t.px.plane.loops {
			l.Call(func() {
				st := d.pools[i].Shard().Stats()
				used = used || d.pools[i].PoolStats().ClientsIn > 0 || st.Open+st.Opening > 0
			})
		}
		t.mu.Lock()
		if !used && time.Since(d.asked) > unusedAfter && !t.closed {
			delete(t.dbs, d.key)
			close(d.gone)
			d.close(engine.ErrShutdown)
		}
		t.mu.Unlock()
	}
}

// maintain looks at the target through one database.
func (t *target) maintain(db engine.Database) bool {
	ctx, cancel := context.WithTimeout(t.ctx, watchTimeout)
	defer cancel()
	c, err := db.Maintain(ctx, t)
	if t.ctx.Err() != nil {
		return true
	}
	t.learn(c)
	var answered *engine.AnswerError
	refused := errors.As(err, &answered)
	t.mu.Lock()
	t.refused = nil
	if refused {
		t.refused = err
	}
	t.mu.Unlock()
	if refused {
		t.px.log.Debug("the target answers, but not to this user", slog.Any("error", err))
		err = nil
	}
	t.report(err)
	return err == nil
}

// report takes over how the target is, and says so when that has changed.
func (t *target) report(err error) {
	t.mu.Lock()
	changed := t.checked.IsZero() || (t.health == nil) != (err == nil)
	t.health, t.checked = err, time.Now()
	t.availability.record(t.checked, err == nil)
	addr := addrOf(t.cfg)
	t.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		t.px.log.Error("the target does not answer", slog.String("target", addr), slog.Any("error", err))
	default:
		t.px.log.Info("the target answers", slog.String("target", addr))
	}
}
