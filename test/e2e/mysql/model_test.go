package mysql

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// model is what one session should see, by the servers' own rules. Values hold the session's id, so that what belongs to
// another session is never mistaken for its own.
type model struct {
	id       int
	home     string            // default database after log-in
	baseline map[string]string // variables of a session that has set nothing

	vars      map[string]string // variables that it has set, as SHOW VARIABLES shows them
	user      map[string]uservar
	schema    string
	timestamp int64 // 0: not set

	autocommit bool
	inTx       bool // with autocommit
	rows       int  // of its own that it sees
	committed  int
	saves      []save
	next       bool // SET TRANSACTION READ ONLY is pending

	temp    map[string]string // temporary tables: what is in them
	locks   map[string]int
	locked  bool // LOCK TABLES
	handler bool
	sql     map[string]string // of SQL's PREPARE: what they return

	ids    []string // what LAST_INSERT_ID() may be
	unsure bool     // how many rows there are is to be read again
}

// uservar is a user variable. unknown: its server connection is gone, and it may have any of its earlier values.
type uservar struct {
	value   string
	carried bool // set to a literal
	unknown bool
}

type save struct {
	name string
	rows int
}

func newModel(id int, home string, baseline map[string]string) *model {
	m := &model{id: id, home: home, baseline: baseline, schema: home}
	m.reset()
	return m
}

// reset is COM_RESET_CONNECTION.
func (m *model) reset() {
	m.vars, m.user, m.timestamp = map[string]string{}, map[string]uservar{}, 0
	m.autocommit = true
	m.gone()
	m.ids = []string{"0"}
}

// gone forgets what is gone with a server connection.
func (m *model) gone() {
	m.inTx, m.next, m.rows, m.saves = false, false, m.committed, nil
	m.temp, m.locks, m.sql = map[string]string{}, map[string]int{}, map[string]string{}
	m.locked, m.handler = false, false
}

// lost is gone behind a command of which it is not known whether it was carried out.
func (m *model) lost() {
	m.gone()
	m.unsure = true
	for n, v := range m.user {
		if !v.carried {
			v.unknown = true
			m.user[n] = v
		}
	}
}

func (m *model) begin() { m.commit(); m.inTx = true }

func (m *model) commit() {
	m.committed, m.inTx, m.saves, m.next = m.rows, false, nil, false
}

func (m *model) rollback() {
	m.rows, m.inTx, m.saves, m.next = m.committed, false, nil, false
}

// insert is an INSERT of one row.
func (m *model) insert() {
	m.rows++
	if m.autocommit && !m.inTx {
		m.committed = m.rows
		m.next = false
	}
}

func (m *model) savepoint(name string) {
	m.saves = slices.DeleteFunc(m.saves, func(s save) bool { return s.name == name })
	m.saves = append(m.saves, save{name, m.rows})
}

func (m *model) rollbackTo(i int) {
	m.rows = m.saves[i].rows
	m.saves = m.saves[:i+1]
}

// set is SET of a variable, whose value is shown so.
func (m *model) set(name, shown string) { m.vars[name] = shown }

// alone are pairs of names of one variable.
var alone = map[string]string{
	"transaction_isolation": "tx_isolation", "transaction_read_only": "tx_read_only",
	"min_examined_row_limit": "log_slow_min_examined_row_limit", "long_query_time": "log_slow_query_time", "default_storage_engine": "storage_engine",
}

// variables is what SHOW SESSION VARIABLES should show.
func (m *model) variables() map[string]string {
	v := maps.Clone(m.baseline)
	for n, shown := range m.vars {
		for _, name := range []string{n, alone[n]} {
			if _, ok := v[name]; ok {
				v[name] = shown
			}
		}
	}
	v["autocommit"] = map[bool]string{true: "ON", false: "OFF"}[m.autocommit]
	for n := range v {
		if unlike(n) {
			delete(v, n)
		}
	}
	return v
}

// unlike reports whether a variable differs from session to session by itself, or is Forebay's.
func unlike(name string) bool {
	switch name {
	case "pseudo_thread_id", "timestamp", "rand_seed1", "rand_seed2", "statement_id", "error_count", "warning_count", "last_insert_id",
		"identity", "insert_id", "in_transaction", "last_gtid", "gtid_owned", "character_set_database", "collation_database",
		"proxy_user", "external_user", "ndb_transid_mysql_connection_map":
		return true
	}
	return strings.HasPrefix(name, "session_track_")
}

// seen is what SELECT of a user variable gives.
func (m *model) seen(name string) string {
	v, ok := m.user[name]
	switch {
	case !ok:
		return "NULL"
	case v.unknown:
		return "?"
	}
	return v.value
}

func (m *model) String() string {
	return fmt.Sprintf("vars %v, user %v, schema %s, autocommit %v, in transaction %v, rows %d of %d, temporary %v, locks %v, locked %v, sql %v, ids %v",
		m.vars, m.user, m.schema, m.autocommit, m.inTx, m.rows, m.committed, m.temp, m.locks, m.locked, m.sql, m.ids)
}
