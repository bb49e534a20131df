package dataplane

import (
	"context"
	"errors"
	"log/slog"
	"maps"
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
		if !d.target.maintain(d.key, d.db) {
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

// askAs is as how many users, one after the other, a target is asked that lets none of them in.
const askAs = 4

// check looks at the target through each database that has been used, and through those of its own users, until one gets in,
// when none has, or when all of them are refused: what a client asks for may be wrong, one secret may be, and the target well.
func (t *target) check() bool {
	t.mu.Lock()
	cfg := t.cfg
	dbs := make(map[engine.Key]engine.Database)
	for k, d := range t.dbs {
		dbs[k] = d.db
	}
	t.mu.Unlock()
	if len(cfg.Target.Members) == 0 {
		t.report(ErrNoTarget)
		return false
	}
	ok := true
	for k, db := range dbs {
		ok = t.maintain(k, db) && ok
	}
	as := func(user string) {
		k := engine.Key{User: user, Database: t.px.eng.DefaultDatabase()}
		if dbs[k] == nil {
			dbs[k] = t.px.eng.Open(cfg, k, t.px.creds)
			ok = t.maintain(k, dbs[k])
		}
	}
	if len(dbs) == 0 {
		user, err := t.px.creds.first(t.ctx)
		if err != nil {
			t.report(&CredentialsError{err})
			return false
		}
		as(user)
	}
	if ok && t.refused(dbs) != nil {
		users := t.px.creds.users(t.ctx)
		for _, user := range users[:min(len(users), askAs)] {
			if as(user); !ok || t.refused(dbs) == nil {
				break
			}
		}
	}
	t.mu.Lock()
	t.users.keep(dbs)
	t.mu.Unlock()
	t.forgetUnused()
	return ok
}

// refused is why the target lets none of some users in, nil while it lets somebody in. What it said to others, who were asked as
// before, is left aside.
func (t *target) refused(keys map[engine.Key]engine.Database) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	some := maps.Clone(t.users)
	some.keep(keys)
	return some.refused()
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
func (t *target) maintain(k engine.Key, db engine.Database) bool {
	ctx, cancel := context.WithTimeout(t.ctx, watchTimeout)
	defer cancel()
	c, err := db.Maintain(ctx, t)
	if t.ctx.Err() != nil {
		return true
	}
	t.learn(c)
	var answered *engine.AnswerError
	var why error
	if errors.As(err, &answered) {
		why, err = err, nil
	}
	if err == nil {
		t.tookUser(k, why)
	}
	t.report(err)
	return err == nil
}

// tookUser takes over whether the target lets a user in, and says so when that has changed.
func (t *target) tookUser(k engine.Key, why error) {
	t.mu.Lock()
	before := t.users[k]
	t.users[k] = why
	t.mu.Unlock()
	user, database := slog.String("user", k.User), slog.String("database", k.Database)
	switch {
	case why != nil && before == nil:
		t.px.log.Warn("the target answers, but does not let a user in", user, database, slog.Any("error", why))
	case why == nil && before != nil:
		t.px.log.Info("the target lets a user in again", user, database)
	}
}

// report takes over how the target is, and says so when that has changed. That nothing is registered has been said by whoever
// knows the proxy's state.
func (t *target) report(err error) {
	t.mu.Lock()
	changed := t.checked.IsZero() || (t.health == nil) != (err == nil)
	t.health, t.checked = err, time.Now()
	t.availability.record(t.checked, err == nil)
	addr := addrOf(t.cfg)
	t.mu.Unlock()
	switch {
	case !changed || errors.Is(err, ErrNoTarget):
	case err != nil:
		t.px.log.Error("the target does not answer", slog.String("target", addr), slog.Any("error", err))
	default:
		t.px.log.Info("the target answers", slog.String("target", addr))
	}
}
