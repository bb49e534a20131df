package sqlserver

import (
	"log/slog"
	"sync/atomic"

	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/engine/sqlserver/settings"
)

// database is what the sessions and server connections of one key share.
type database struct {
	log   *slog.Logger
	odbc  bool
	facts atomic.Pointer[login.Server]
}

// known is what a log-in to the target has shown; nil: nothing yet.
func (d *database) known() *login.Server { return d.facts.Load() }

// loginSettings are the settings of a session that has just logged in.
func (d *database) loginSettings(s *login.Server) settings.Set {
	return settings.LogIn(settings.LoginOptions{ODBC: d.odbc, Database: s.Database, Language: s.Language})
}
