package mysql_test

import (
	"testing"

	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// A session that asks for LAST_INSERT_ID() and ROW_COUNT() at once, within a larger expression, has both, from the second time
// on, also where another client had the server connection before the INSERT; and never another's.
func TestInsertIDWithRowCount(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		w.f = testkit.StartForebayMySQL(w.t, w.m, testkit.ForebayOptions{
			Users:  map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
		})
		a, b := w.connect(nil), w.connect(nil)
		w.exec(a, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
		const both = "SELECT CONCAT_WS(' ', LAST_INSERT_ID(), ROW_COUNT())"
		w.exec(b, "INSERT INTO t (v) VALUES (1), (2), (3)")
		w.want(a, "0 0", both)
		w.want(b, "1 0", both)
		w.exec(a, "INSERT INTO t (v) VALUES (4), (5)")
		w.want(a, "4 2", both)
		w.exec(b, "INSERT INTO t (v) VALUES (6)")
		w.want(b, "6 1", both)
		w.want(a, "4 0", both)
	})
}

// FOUND_ROWS() is not that of an older query of the session's, which is still on the server connection that ran it.
func TestFoundRowsOfAnOlderQuery(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		w.f = testkit.StartForebayMySQL(w.t, w.m, testkit.ForebayOptions{
			Users:  map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 2 },
		})
		a, b, c := w.connect(nil), w.connect(nil), w.connect(nil)
		w.exec(c, "BEGIN") // it has the one,
		w.exec(a, "SELECT 1 UNION SELECT 2 UNION SELECT 3")
		w.exec(b, "BEGIN") // and this the other
		w.exec(c, "COMMIT")
		w.exec(a, "SELECT 1")
		w.exec(c, "BEGIN")
		w.exec(b, "COMMIT")
		if got := answer(w, a, "SELECT FOUND_ROWS()"); got != "[FOUND_ROWS()] [{0 true}]" && got != "[FOUND_ROWS()] [{1 true}]" {
			w.t.Errorf("behind one row: %s", got)
		}
		w.exec(c, "COMMIT")
	})
}
