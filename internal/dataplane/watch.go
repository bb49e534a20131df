package dataplane

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// Bounds of the time between two looks at a target that answers, and at one that does not.
const (
	watchTimeout  = 20 * time.Second
	watchUnwell   = time.Second
	watchRefused  = 5 * time.Second // of one that does not let in whom a role would log in: nothing tells when it may
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
				asked = slices.Equal(seen, t.px.creds.versions(t.ctx)) && !t.doubt.Swap(false)
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
	d := t.cfg.Pool.RoutineScanInterval
	if d <= 0 {
		d = watchInterval
	}
	if t.refused != nil && t.cfg.EndToEndIAM {
		d = min(d, watchRefused)
	}
	return d
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
		if err != nil && cfg.EndToEndIAM {
			return t.look(cfg, err)
		}
		if err != nil {
			t.report(err)
			return false
		}
		dbs = append(dbs, t.px.eng.Open(cfg, engine.Key{User: user, Database: t.px.eng.DefaultDatabase()}, t.px.creds, t))
	}
	ok := true
	var letIn bool
	for _, db := range dbs {
		ok = t.maintain(db) && ok
		t.mu.Lock()
		letIn = letIn || t.refused == nil
		t.mu.Unlock()
	}
	if letIn { // it is some users' trouble, and not the target's
		t.mu.Lock()
		t.refused = nil
		t.mu.Unlock()
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
	var refused error
	switch {
	case errors.Is(err, engine.ErrNoToken): // the target has not been asked
		t.mu.Lock()
		cfg := t.cfg
		t.mu.Unlock()
		refused, err = err, t.knock(ctx, cfg)
	case errors.As(err, &answered):
		refused, err = err, nil
		t.px.log.Debug("the target answers, but not to this user", slog.Any("error", refused))
	}
	t.mu.Lock()
	t.refused, t.unseen = refused, false
	t.mu.Unlock()
	t.report(err)
	return err == nil
}

// look looks at a target that there is nobody to log in to as, since no user is known before one has come: only whether it
// answers, and whether tokens for it can be made. why says why there is nobody.
func (t *target) look(cfg *resource.Proxy, why error) bool {
	ctx, cancel := context.WithTimeout(t.ctx, watchTimeout)
	defer cancel()
	err := t.knock(ctx, cfg)
	refused := t.px.creds.tokens.Ready(ctx, cfg)
	if t.ctx.Err() != nil {
		return true
	}
	if refused == nil && !errors.Is(why, secret.ErrNotFound) {
		refused = why
	}
	t.mu.Lock()
	said := t.refused
	t.refused, t.unseen = refused, true
	t.mu.Unlock()
	if refused != nil && (said == nil || said.Error() != refused.Error()) {
		t.px.log.Warn("users of this proxy cannot be logged in to the target", slog.Any("error", refused))
	}
	t.report(err)
	return err == nil
}

// knock asks the target for a sign of life.
func (t *target) knock(ctx context.Context, cfg *resource.Proxy) error {
	if k, ok := t.px.eng.(engine.Knocker); ok {
		return k.Knock(ctx, cfg, t)
	}
	c, err := t.Dial(ctx)
	if err == nil {
		c.Close()
	}
	return err
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
