package dataplane

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"syscall"
	"time"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
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
				asked = slices.Equal(seen, t.px.creds.versions(t.ctx))
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
	if d := t.cfg.Pool.RoutineScanInterval; d > 0 {
		return d
	}
	return watchInterval
}

// check looks at the target through each database that has been used, or through one of its own when none has.
func (t *target) check() bool {
	t.mu.Lock()
	cfg := t.cfg
	var dbs []*database
	for _, d := range t.dbs {
		dbs = append(dbs, d)
	}
	members := len(t.order)
	t.mu.Unlock()
	if members == 0 {
		return true // nothing is registered
	}
	ok := true
	for _, d := range dbs {
		ok = t.maintain(d.key.ReadOnly, d.db) && ok
	}
	if len(dbs) == 0 {
		user, err := t.px.creds.first(t.ctx)
		if err != nil {
			if !cfg.Target.IsCluster() {
				t.all()[0].report(err)
			}
			return false
		}
		ok = t.maintain(false, t.px.eng.Open(cfg, engine.Key{User: user, Database: t.px.eng.DefaultDatabase()}, t.px.creds))
	}
	t.forgetUnused()
	return ok
}

// maintain looks at the target through one database. Whether a member of a cluster answers is not decided here: its monitor
// does that.
func (t *target) maintain(readOnly bool, db engine.Database) bool {
	m := t.memberFor(readOnly)
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
	refused := errors.As(err, &answered)
	if refused {
		m.refuse(err)
		err = nil
	} else {
		m.refuse(nil)
	}
	if t.isCluster() {
		m.look()
	} else {
		m.report(err)
	}
	return err == nil
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
	if urls := t.cfg.Target.Patroni; !slices.Equal(urls, t.patroniAt) {
		if t.stopPatroni != nil {
			t.stopPatroni()
			t.stopPatroni = nil
		}
		t.patroniAt = urls
		if len(urls) > 0 {
			var ctx context.Context
			ctx, t.stopPatroni = context.WithCancel(t.ctx)
			t.tasks.Go(func() { t.askPatroni(ctx, urls) })
		} else {
			t.patroni = nil
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
		var refused *engine.AnswerError
		if errors.As(err, &refused) {
			m.refuse(err)
		} else if err == nil {
			m.refuse(nil)
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
