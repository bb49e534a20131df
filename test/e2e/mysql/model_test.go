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
	user      map[string]string
	schema    string
	timestamp int64 // 0: not set

	autocommit bool
	inTx       bool // with autocommit
	rows       int  // of its own that it sees
	committed  int
	saves      []save

	temp    map[string]string // temporary tables: what is in them
	locks   map[string]int
	locked  bool // LOCK TABLES
	handler bool
	sql     map[string]string // of SQL's PREPARE: what they return

	insertID string // what LAST_INSERT_ID() is

	expressions bool  // a user variable was set from an expression, which pins
	vague       bool  // or that is how it may seem to Forebay
	perhaps     bool  // all user variables are gone, or none
	unsure      []int // how many rows may be committed, where that is to be read again
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
	m.vars, m.user, m.timestamp = map[string]string{}, map[string]string{}, 0
	m.autocommit = true
	m.gone()
	m.insertID, m.expressions, m.vague, m.perhaps = "0", false, false, false
}

// gone forgets what is gone with a server connection.
func (m *model) gone() {
	m.inTx, m.rows, m.saves = false, m.committed, nil
	m.temp, m.locks, m.sql = map[string]string{}, map[string]int{}, map[string]string{}
	m.locked, m.handler = false, false
}

// lost is what a lost server connection takes with it (docs/mysql.md, "When a server connection is lost"). All else is as
// before the command that was answered with the error, but for rows, which that may have committed.
func (m *model) lost(sql string) {
	m.unsure = []int{m.committed}
	inserts := strings.Count(sql, "INSERT INTO") + strings.Count(sql, ".adds(")
	if m.autocommit && !m.inTx {
		m.unsure = append(m.unsure, m.committed+inserts)
	}
	if commits(sql) {
		m.unsure = append(m.unsure, m.rows, m.rows+inserts)
	}
	m.gone()
	m.perhaps = m.perhaps || m.vague
	if m.expressions {
		m.user, m.perhaps = map[string]string{}, false
	}
	m.expressions, m.vague = false, false
}

// commits reports whether a statement of the hunt's may end a transaction other than by rolling it back.
func commits(sql string) bool {
	sql = strings.TrimPrefix(sql, "DO 0; ")
	for _, begin := range []string{"BEGIN", "START TRANSACTION", "COMMIT", "SET autocommit", "LOCK TABLES", "UNLOCK TABLES", "CREATE TABLE", "DROP TABLE"} {
		if strings.HasPrefix(sql, begin) {
			return true
		}
	}
	return false
}

func (m *model) begin() { m.commit(); m.inTx = true }

func (m *model) commit() {
	m.committed, m.inTx, m.saves = m.rows, false, nil
}

func (m *model) rollback() {
	m.rows, m.inTx, m.saves = m.committed, false, nil
}

// insert is an INSERT of one row.
func (m *model) insert() {
	m.rows++
	if m.autocommit && !m.inTx {
		m.committed = m.rows
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
	if v, ok := m.user[name]; ok {
		return v
	}
	return "NULL"
}

// assign is a user variable set from an expression.
func (m *model) assign(name, value string) {
	m.user[name] = value
	m.expressions = true
}

func (m *model) String() string {
	return fmt.Sprintf("vars %v, user %v, schema %s, autocommit %v, in transaction %v, rows %d of %d, temporary %v, locks %v, locked %v, sql %v, id %s",
		m.vars, m.user, m.schema, m.autocommit, m.inTx, m.rows, m.committed, m.temp, m.locks, m.locked, m.sql, m.insertID)
}
