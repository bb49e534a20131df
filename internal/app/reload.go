package app

import (
	"context"
	"errors"
	"maps"

	"forebay/internal/config"
	"forebay/internal/secret"
	"forebay/internal/secret/env"
	"forebay/internal/secret/file"
)

// Reload reads the configuration again and applies it. On error nothing has changed, and the log says why.
func (a *App) Reload(ctx context.Context) error {
	a.reload.Lock()
	defer a.reload.Unlock()
	cfg, err := config.LoadEnv(a.opts.ConfigPath, a.opts.LookupEnv)
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
	before := a.known
	both := maps.Clone(before)
	maps.Copy(both, next)
	a.secrets.Swap(both)
	if err := a.plane.Apply(ctx, cfg.Snapshot); err != nil {
		a.secrets.Swap(before)
		return err
	}
	a.secrets.Swap(next)
	a.known, a.sources = next, sources
	a.certs.Keep(cfg.Snapshot)
	a.config.Store(cfg)
	return nil
}

func (a *App) source(s config.Secret) secret.Store {
	if s.File != "" {
		return file.New(s.File, a.log)
	}
	return env.New(s.Env, a.opts.LookupEnv)
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
	} {
		if k.changed {
			keys = append(keys, k.name)
		}
	}
	if len(keys) > 0 {
		a.log.Warn("some changes take effect at the next start only", "keys", keys)
	}
}
