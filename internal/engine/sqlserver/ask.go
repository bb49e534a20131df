package sqlserver

import (
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/wire/tds"
)

// Settings that a text does not tell, or that a text has set which failed somewhere, are asked for when no transaction is open: a
// failing question must not end one.

// askSettings asks, unless that would begin a transaction.
const askSettings = "IF @@OPTIONS&2=0 " + settings.Ask

// asked reports whether askSettings tells in what two sets differ.
func asked(a, b settings.Set) bool {
	if a.WithOptions(0).Options != b.WithOptions(0).Options {
		return false
	}
	b.Options = a.Options
	b.Database, b.Language, b.DateFormat, b.DateFirst = a.Database, a.Language, a.DateFormat, a.DateFirst
	b.LockTimeout, b.TextSize, b.Isolation = a.LockTimeout, a.TextSize, a.Isolation
	b.DeadlockPriority, b.HasContextInfo, b.ContextInfo = a.DeadlockPriority, a.HasContextInfo, a.ContextInfo
	return a == b
}

// told takes over the answer to askSettings.
func (s *session) told() {
	v := s.srv
	s.askDue = false
	row := make([]*string, len(v.row))
	for i, c := range v.row {
		if c != nil {
			text := tds.DecodeText(c)
			row[i] = &text
		}
	}
	now, ok := s.want.Answer(row)
	if !ok {
		s.unknownSettings()
		return
	}
	s.setWant(now)
	v.have, v.fit = s.want, s.fit
}

// unknownSettings pins: nobody can tell what the session's settings are.
func (s *session) unknownSettings() {
	s.askDue = false
	s.pin(pinSettings, s.srv.cmd.digest)
	s.srv.unsure, s.srv.dirty = true, true
}
