package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"forebay/internal/config"
	"forebay/internal/dataplane"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// Reload reads the configuration again and applies it. On error nothing has changed, and the log says why.
func (a *App) Reload(ctx context.Context) error {
	a.reload.Lock()
	defer a.reload.Unlock()
	cfg, err := load(a.opts)
	if err == nil {
		before := a.config.Load()
		a.certs.Refresh()
		if err = a.applyLocked(ctx, cfg); err == nil {
			a.level.Set(cfg.Log.Level)
			a.warnOfRestart(before, cfg)
			a.log.Info("configuration reloaded", "file", cfg.Path, "endpoints", a.endpoints())
		}
	}
	a.reloads.Done(err)
	var broken config.Errors
	switch {
	case errors.As(err, &broken):
		for _, e := range broken {
			a.log.Error("configuration not reloaded: nothing has changed", "err", e)
		}
	case err != nil:
		a.log.Error("configuration not reloaded: nothing has changed", "err", err)
	}
	return err
}

// RefreshCertificates reads changed certificates again and hands them to the data plane.
func (a *App) RefreshCertificates(ctx context.Context) {
	a.reload.Lock()
	defer a.reload.Unlock()
	if !a.certs.Refresh() {
		return
	}
	if err := a.applyLocked(ctx, a.config.Load()); err != nil {
		a.log.Error("a changed certificate is not in use yet", "err", err)
	}
}

func (a *App) apply(ctx context.Context, cfg *config.Config) error {
	a.reload.Lock()
	defer a.reload.Unlock()
	err := a.applyLocked(ctx, cfg)
	a.reloads.Done(err)
	return err
}

// applyLocked puts cfg in force, or changes nothing. While the data plane goes over, the secrets of both
// configurations are known, so that no log-in fails on the way.
func (a *App) applyLocked(ctx context.Context, cfg *config.Config) error {
	next, sources := map[string]secret.Store{}, map[config.Secret]secret.Store{}
	for _, s := range cfg.Secrets {
		store := a.sources[s] // the same source keeps what it knows
		if store == nil {
			store = a.source(s)
		}
		next[s.Name], sources[s] = store, store
	}
	fresh := maps.Clone(sources)
	maps.DeleteFunc(fresh, func(s config.Secret, _ secret.Store) bool { return a.sources[s] != nil })
	snapshot, err := a.snapshotLocked(ctx, cfg, next)
	if err != nil {
		closeStores(fresh)
		return err
	}
	issuer, err := a.tokens.next(cfg.OIDC)
	if err != nil {
		closeStores(fresh)
		return err
	}
	a.secrets.LimitPrevious(cfg.PreviousPasswordLifetime)
	before := a.known
	both := maps.Clone(before)
	maps.Copy(both, next)
	a.secrets.Swap(both)
	issuerBefore := a.tokens.issuer.Swap(issuer)
	if snapshot, err = a.applyWhatCan(ctx, snapshot); err != nil {
		a.secrets.Swap(before)
		a.tokens.issuer.Store(issuerBefore)
		if was := a.config.Load(); was != nil {
			a.secrets.LimitPrevious(was.PreviousPasswordLifetime)
		}
		closeStores(fresh)
		a.keepLeases(fresh)
		return err
	}
	a.secrets.Swap(next)
	gone := a.sources
	maps.DeleteFunc(gone, func(s config.Secret, _ secret.Store) bool { return sources[s] != nil })
	a.known, a.sources = next, sources
	closeStores(gone)
	a.keepLeases(gone)
	a.forgetLeases(gone)
	used := snapshot
	if face := apiFace(cfg.API); a.control != nil && face != nil {
		used.Proxies = append(slices.Clip(used.Proxies), *face)
	}
	a.certs.Keep(used)
	a.config.Store(cfg)
	return nil
}

// applyWhatCan applies a snapshot. A proxy of the API that cannot be served as it should (its address is taken, say) holds
// up nobody else: it stays as it was, or is left out, until the next attempt. It returns what is in force.
func (a *App) applyWhatCan(ctx context.Context, wanted resource.Snapshot) (resource.Snapshot, error) {
	unserved := map[string]error{}
	for again := true; ; {
		snapshot := a.without(wanted, unserved)
		err := a.plane.Apply(ctx, snapshot)
		var of *dataplane.ProxyError
		switch {
		case err == nil && len(unserved) > 0 && again:
			// What stood in the way of one may be gone with another, now that the rest is in force.
			again = false
			clear(unserved)
			a.inForce = snapshot
			continue
		case err == nil:
			a.sayPaused(snapshot)
			a.inForce = snapshot
			a.sayUnserved(wanted, unserved)
			return snapshot, nil
		case !errors.As(err, &of) || of.ResourceID == "" || unserved[of.ResourceID] != nil:
			return resource.Snapshot{}, err
		}
		unserved[of.ResourceID] = of.Err
	}
}

// without is a snapshot in which the proxies of some ids are as they are now, if they are served at all.
func (a *App) without(s resource.Snapshot, ids map[string]error) resource.Snapshot {
	if len(ids) == 0 {
		return s
	}
	now := map[string]resource.Proxy{}
	for _, p := range a.inForce.Proxies {
		now[p.ResourceID] = p
	}
	var out resource.Snapshot
	for _, p := range s.Proxies {
		if p.ResourceID != "" && ids[p.ResourceID] != nil {
			former, ok := now[p.ResourceID]
			if !ok {
				continue
			}
			p = former
		}
		out.Proxies = append(out.Proxies, p)
	}
	return out
}

// sayUnserved says what has changed of the proxies that are not served as they should be, and keeps it for their health.
func (a *App) sayUnserved(s resource.Snapshot, unserved map[string]error) {
	before := map[string]error{}
	if b := a.unserved.Load(); b != nil {
		before = *b
	}
	for _, p := range s.Proxies {
		now, was := unserved[p.ResourceID], before[p.ResourceID]
		switch {
		case p.ResourceID == "":
		case now != nil && (was == nil || was.Error() != now.Error()):
			a.log.Error("a proxy is not served as it should be; it is tried again", "proxy", p.Name, "err", now)
		case now == nil && was != nil:
			a.log.Info("a proxy is served as it should be again", "proxy", p.Name)
		}
	}
	a.unserved.Store(&unserved)
}

// sayPaused says which proxies have been paused or resumed since a.paused was made.
func (a *App) sayPaused(s resource.Snapshot) {
	paused := map[string]bool{}
	for _, p := range s.Proxies {
		key := p.ResourceID + "/" + p.Name
		switch {
		case p.Paused && !a.paused[key]:
			a.log.Warn("a proxy is paused: its sessions wait at their next transaction", "proxy", p.Name)
		case !p.Paused && a.paused[key]:
			a.log.Info("a proxy is resumed", "proxy", p.Name)
		}
		if p.Paused {
			paused[key] = true
		}
	}
	a.paused = paused
}

// snapshotLocked is what the file and the state of the control plane want together. The secrets of the state are added to
// stores.
func (a *App) snapshotLocked(ctx context.Context, cfg *config.Config, stores map[string]secret.Store) (resource.Snapshot, error) {
	if a.control == nil {
		return cfg.Snapshot, nil
	}
	if err := a.control.declare(ctx, cfg.Databases); err != nil {
		return resource.Snapshot{}, err
	}
	snapshot := resource.Snapshot{Proxies: slices.Clone(cfg.Snapshot.Proxies)}
	for _, p := range a.control.snapshot().Proxies {
		if slices.ContainsFunc(cfg.Snapshot.Proxies, func(of resource.Proxy) bool { return of.Name == p.Name }) {
			a.log.Error("a proxy of the API is not served: one of the configuration file has its name", "proxy", p.Name)
			continue
		}
		for _, e := range p.Auth {
			stores[e.Secret] = a.control.secrets
		}
		if name := p.Target.Monitor.Secret; name != "" {
			stores[name] = a.control.secrets
		}
		snapshot.Proxies = append(snapshot.Proxies, p)
	}
	return snapshot, nil
}

// settle is how long a change of the state is waited with, since another one often follows at once; it may be put off
// by no more than settleMost.
const (
	settle     = 20 * time.Millisecond
	settleMost = 200 * time.Millisecond
	retryApply = 2 * time.Second
)

// followState has the data plane do what the state says, whenever that changes, until ctx ends. What cannot be applied is
// tried again: an address may be free later.
func (a *App) followState(ctx context.Context) {
	hourly := time.NewTicker(time.Hour)
	defer hourly.Stop()
	applied := int64(-1)
	for ctx.Err() == nil {
		changed := a.control.plane.Changed()
		var again <-chan time.Time
		if revision := a.control.plane.State().Revision; revision != applied {
			if err := a.applyState(ctx); err != nil && ctx.Err() == nil {
				a.log.Error("a change of the control plane's state is not in force yet", "err", err)
				again = time.After(retryApply)
			} else if len(*a.unserved.Load()) > 0 {
				again = time.After(retryApply)
			} else {
				applied = revision
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-hourly.C:
			if err := a.control.expire(ctx); err != nil && ctx.Err() == nil {
				a.log.Error("secrets whose time has come are not deleted yet", "err", err)
			}
			a.reload.Lock()
			err := a.control.declareAgain(ctx)
			a.reload.Unlock()
			if err != nil && ctx.Err() == nil {
				a.log.Error("the databases of the configuration file are not declared again yet", "err", err)
			}
		case <-changed:
			a.letSettle(ctx)
		}
	}
}

func (a *App) letSettle(ctx context.Context) {
	most := time.After(settleMost)
	for {
		select {
		case <-a.control.plane.Changed():
		case <-time.After(settle):
			return
		case <-most:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (a *App) applyState(ctx context.Context) error {
	a.reload.Lock()
	defer a.reload.Unlock()
	return a.applyLocked(ctx, a.config.Load())
}

// warnOfRestart names the changed keys that are read at start only.
func (a *App) warnOfRestart(before, after *config.Config) {
	var keys []string
	for _, k := range []struct {
		name    string
		changed bool
	}{
		{"loops", before.Loops != after.Loops},
		{"handshakes", before.Handshakes != after.Handshakes},
		{"log.format", before.Log.Format != after.Log.Format},
		{"admin", !before.Admin.Equal(after.Admin)},
		{"api", !before.API.Equal(after.API)},
	} {
		if k.changed {
			keys = append(keys, k.name)
		}
	}
	if len(keys) > 0 {
		a.log.Warn("some changes take effect at the next start only", "keys", keys)
	}
}
