package mysql

import (
	"slices"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/sqltext"
)

// reading remembers what follows from settings, for as long as sessions have the same. Owned by loop.
type reading struct {
	want    engine.Fit // the settings,
	sqlMode string     // and the sql_mode of the server connection,
	mode    sqltext.Mode

	autoIsNull bool // sql_auto_is_null: IS NULL finds the row that the session inserted last

	contextOf engine.Fit // the settings
	context   engine.Fit
}

// readMode says how a text is to be read now.
func (s *session) readMode() sqltext.Mode {
	v, r := s.srv, &s.l.reading
	if r.want == s.want && r.sqlMode == v.sqlMode {
		return r.mode
	}
	known := true
	mode := v.sqlMode
	if m, ok := settingIn(s.want, "sql_mode"); ok {
		mode, known = strings.Trim(m, "'"), m[0] == '\''
	}
	charset, _ := settingIn(s.want, varClient)
	modes := strings.Split(mode, ",")
	r.want, r.sqlMode = s.want, v.sqlMode
	r.mode = sqltext.Mode{
		Version: v.number, MariaDB: v.mariaDB, SQLModeKnown: known,
		AnsiQuotes:         slices.Contains(modes, "ANSI_QUOTES"),
		NoBackslashEscapes: slices.Contains(modes, "NO_BACKSLASH_ESCAPES"),
		Charset:            sqltext.CharsetOf(strings.Trim(charset, "'")),
		SingleStatement:    s.multi(settingsOf(s.want)) == "0",
	}
	autoIsNull, ok := settingIn(s.want, "sql_auto_is_null")
	r.autoIsNull = ok && autoIsNull != "0" && autoIsNull != "'OFF'"
	return r.mode
}

// contextNames are the settings that decide what the text of a prepared statement means, when it is prepared.
var contextNames = []string{
	settingSchema, varClient, varConnection, varCollation, varResults, "sql_mode", "character_set_collations", "default_collation_for_utf8mb4",
	"div_precision_increment", "group_concat_max_len", "lc_time_names", "old_mode", "sql_auto_is_null", "time_zone",
}

// stmtContext is the part of the session's settings that a statement is prepared under.
func (s *session) stmtContext() engine.Fit {
	r := &s.l.reading
	if r.contextOf == s.want {
		return r.context
	}
	var c settings
	for _, name := range contextNames {
		if v, ok := settingIn(s.want, name); ok {
			c = c.with(name, v)
		}
	}
	r.context, r.contextOf = c.fit(), s.want
	return r.context
}
