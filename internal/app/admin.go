package app

import (
	"log/slog"

	"forebay/internal/admin"
	"forebay/internal/config"
)

func (a *App) adminOptions(c config.Admin) admin.Options {
	return admin.Options{
		Log:         a.log,
		Listen:      c.Listen,
		AllowRemote: c.AllowRemote,
		Hosts:       c.Hosts,
		Gatherer:    a.registry,
		Readiness:   a.readiness,
		Pools:       orEmpty(a.view.Pools),
		Pins:        orEmpty(a.view.Pins),
		Config:      func() any { return shown(a.config.Load()) },
		Debug:       func() bool { return a.level.Level() <= slog.LevelDebug },
	}
}

// readiness is the data plane's, until draining begins: then whatever spreads the load should look elsewhere.
func (a *App) readiness() []admin.Readiness {
	var all []admin.Readiness
	if a.view.Readiness != nil {
		all = a.view.Readiness()
	}
	if !a.draining.Load() {
		return all
	}
	for i := range all {
		all[i].Ready, all[i].Reason = false, "draining"
	}
	return all
}

func orEmpty(f func() any) func() any {
	if f == nil {
		return func() any { return []any{} }
	}
	return f
}
