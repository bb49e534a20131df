package dataplane

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"syscall"
	"time"

	"forebay/internal/engine"
	"forebay/internal/patroni"
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
	names := time.NewTicker(resolveEvery)
	defer names.Stop()
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
			case <-t.recheck:
				asked = false
			case <-secrets.C:
				asked = slices.Equal(seen, t.px.creds.versions(t.ctx)) && !t.doubt.Swap(false)
			case <-names.C:
				for _, m := range t.all() {
					m.resolve(t.ctx)
				}
			}
		}
		wait.Stop()
	}
}

func (t *target) interval() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.cfg.Pool.RoutineScanInterval
	if d <= 0 {
		d = watchInterval
	}
	if w := t.routes.Load().writer; w != nil && t.cfg.EndToEndIAM && w.refusedLocked() != nil {
		d = min(d, watchRefused)
	}
	return d
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
	members := slices.Clone(t.order)
	t.mu.Unlock()
	if len(members) == 0 {
		return true // there is nobody to ask
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
		if err != nil && cfg.EndToEndIAM {
			return t.lookAtNobody(cfg, err)
		}
		if err != nil {
			if !cfg.Target.IsCluster() {
				members[0].report(err)
			}
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
	for _, m := range members {
		m.users.keep(dbs)
	}
	t.mu.Unlock()
	t.forgetUnused()
	return ok
}

// refused is why the writer lets none of some users in, nil while it lets somebody in. What it said to others, who were asked as
// before, is left aside.
func (t *target) refused(keys map[engine.Key]engine.Database) error {
	m := t.memberFor(false)
	if m == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	some := maps.Clone(m.users)
	some.keep(keys)
	return some.refused()
}

// maintain looks at the target through one database. Whether a member of a cluster answers is not decided here: its monitor
// does that.
func (t *target) maintain(k engine.Key, db engine.Database) bool {
	m := t.memberFor(k.ReadOnly)
	if m == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(t.ctx, watchTimeout)
	defer cancel()
	c, err := db.Maintain(ctx, m)
	if t.ctx.Err() != nil {
		return true
	}
	m.learn(c)
	var answered *engine.AnswerError
	var why error
	switch {
	case errors.Is(err, engine.ErrNoToken): // the member has not been asked
		why, err = err, m.knock(ctx)
	case errors.As(err, &answered):
		why, err = err, nil
	}
	if err == nil {
		m.tookUser(k, why)
	}
	if t.isCluster() {
		m.look()
	} else {
		m.report(err)
	}
	return err == nil
}

// lookAtNobody looks at a target that there is nobody to log in to as, since no user is known before one has come: only whether
// it answers, and whether tokens for it can be made. why says why there is nobody.
func (t *target) lookAtNobody(cfg *resource.Proxy, why error) bool {
	m := t.memberFor(false)
	if m == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(t.ctx, watchTimeout)
	defer cancel()
	err := m.knock(ctx)
	unready := t.px.creds.tokens.Ready(ctx, cfg)
	if t.ctx.Err() != nil {
		return true
	}
	if unready == nil && !errors.Is(why, secret.ErrNotFound) {
		unready = why
	}
	t.mu.Lock()
	said := m.unready
	m.unready, m.unseen = unready, true
	t.mu.Unlock()
	if unready != nil && (said == nil || said.Error() != unready.Error()) {
		t.px.log.Warn("users of this proxy cannot be logged in to the target", slog.Any("error", unready))
	}
	if !t.isCluster() {
		m.report(err)
	}
	return err == nil
}

// knock asks the member for a sign of life.
func (m *member) knock(ctx context.Context) error {
	if k, ok := m.t.px.eng.(engine.Knocker); ok {
		return k.Knock(ctx, m.t.px.cfg.Load(), m)
	}
	c, err := m.Dial(ctx)
	if err == nil {
		c.Close()
	}
	return err
}

// Times between two looks at a member of a cluster: while all is well, and while it is not; and how long one may take.
const (
	monitorInterval = 500 * time.Millisecond
	monitorUnwell   = 100 * time.Millisecond
	monitorTimeout  = time.Second
	monitorLogin    = 3 * time.Second // for one that has to log in first
)

// monitorAll has each member of a cluster watched by a monitor of its own, and those of a single server by none; and has
// Patroni asked, where there is one.
func (t *target) monitorAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	urls, ca := t.cfg.Target.Patroni, t.cfg.Target.PatroniCAFile
	if !slices.Equal(urls, t.patroniAt) || ca != t.patroniCA {
		if t.stopPatroni != nil {
			t.stopPatroni()
			t.stopPatroni = nil
		}
		t.patroniAt, t.patroniCA = urls, ca
		if len(urls) > 0 {
			var ctx context.Context
			ctx, t.stopPatroni = context.WithCancel(t.ctx)
			t.tasks.Go(func() { t.askPatroni(ctx, patroni.Options{URLs: urls, CAFile: ca}) })
		} else {
			t.patroni, t.spared = nil, nil
		}
	}
	cluster, as := t.cfg.Target.IsCluster(), t.cfg.Target.Monitor
	for _, m := range t.order {
		if m.stopWatch != nil && (!cluster || m.watchedAs != as) {
			m.stopWatch()
			m.stopWatch = nil
		}
		if cluster && m.stopWatch == nil {
			var ctx context.Context
			ctx, m.stopWatch = context.WithCancel(t.ctx)
			m.watchedAs = as
			t.tasks.Go(func() { m.watch(ctx, as) })
		}
	}
}

// watch looks at the member until ctx ends.
func (m *member) watch(ctx context.Context, as resource.Monitor) {
	t := m.t
	mon := t.px.eng.NewMonitor(engine.MonitorOptions{
		Member: m, Database: as.Database, Log: t.px.log.With(slog.String("member", nameOf(m))),
		Secret: func(ctx context.Context) (secret.Secret, error) { return t.px.creds.monitor(ctx, as.Secret) },
		// Nobody else may use that secret, and so notice that it is another one now.
		Refused: func(s secret.Secret) { t.px.creds.Doubt(s.Name, s.Version) },
	})
	defer mon.Close()
	m.resolve(ctx)
	limit := monitorLogin
	for {
		began := time.Now()
		look, cancel := context.WithTimeout(ctx, limit)
		st, err := mon.Look(look)
		cancel()
		if ctx.Err() != nil {
			return
		}
		limit = monitorTimeout
		if err != nil {
			limit = monitorLogin
		}
		t.observe(m, began, st, err)
		wait := time.NewTimer(t.lookAgain(m, err))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		case <-m.wake:
			wait.Stop()
		}
		// However often it is asked for: a member is not asked all the time.
		if pause := monitorUnwell/2 - time.Since(began); pause > 0 {
			time.Sleep(pause)
		}
	}
}

// lookAgain is how long the next look can wait: not long where a member has trouble, or there is no writer.
func (t *target) lookAgain(m *member, err error) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	every := t.cfg.Target.Monitor.Interval
	if every <= 0 {
		every = monitorInterval
	}
	w := t.routes.Load().writer
	if w == nil || w.health != nil || m.failures > 0 && m.failures < givenUp || !t.wanted.IsZero() {
		return min(every, monitorUnwell)
	}
	return every
}

// unreachable reports whether nobody is there: a connection was refused, rather than not answered.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && errors.Is(err, syscall.ECONNREFUSED)
}
