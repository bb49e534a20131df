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
	sqlMode string     // and, of the server connection, the sql_mode,
	number  uint32     // the version,
	mariaDB bool       // and whose it is: members of a cluster may differ in all of it
	mode    sqltext.Mode

	autoIsNull bool // sql_auto_is_null: IS NULL finds the row that the session inserted last

	contextOf engine.Fit // the settings
	context   engine.Fit
}

// readMode says how a text is to be read now.
func (s *session) readMode() sqltext.Mode {
	v, r := s.srv, &s.l.reading
	if r.want == s.want && r.sqlMode == v.sqlMode && r.number == v.number && r.mariaDB == v.mariaDB {
		return r.mode
	}
	known := true
	mode := v.sqlMode
	if m, ok := settingIn(s.want, "sql_mode"); ok {
		mode, known = strings.Trim(m, "'"), m[0] == '\''
	}
	charset, _ := settingIn(s.want, varClient)
	modes := strings.Split(mode, ",")
	r.want, r.sqlMode, r.number, r.mariaDB = s.want, v.sqlMode, v.number, v.mariaDB
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

// atExecution are settings that a prepared statement is subject to when it is executed, and not before. All others may be
// built into it when it is prepared, as the servers do with time_zone, lc_time_names, div_precision_increment and more: what
// one session has prepared is another's only under the same.
var atExecution = map[string]bool{
	settingMulti: true, settingRole: true, varResults: true, "timestamp": true, "autocommit": true, "completion_type": true,
	"transaction_isolation": true, "transaction_read_only": true, "tx_isolation": true, "tx_read_only": true,
	"wait_timeout": true, "interactive_timeout": true, "lock_wait_timeout": true, "innodb_lock_wait_timeout": true,
	"net_read_timeout": true, "net_write_timeout": true, "max_execution_time": true, "max_statement_time": true,
	"idle_transaction_timeout": true, "foreign_key_checks": true, "unique_checks": true, "sql_select_limit": true,
	"sql_safe_updates": true, "long_query_time": true, "sql_log_bin": true,
}

// stmtContext is the part of the session's settings that a statement is prepared under.
func (s *session) stmtContext() engine.Fit {
	r := &s.l.reading
	if r.contextOf == s.want {
		return r.context
	}
	var c settings
	for _, e := range settingsOf(s.want) {
		if e.name[0] != '@' && !atExecution[e.name] {
			c = append(c, e)
		}
	}
	r.context, r.contextOf = c.fit(), s.want
	return r.context
}
