package mysql_test

import (
	"database/sql"
	"strings"
	"testing"

	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// ROW_COUNT() is what it is straight from the server, though another client has the only server connection between any two
// statements; alone and beside LAST_INSERT_ID(), prepared or not.
func TestRowCountAsDirect(t *testing.T) {
	t.Parallel()
	const script = `SELECT ROW_COUNT()
		SELECT ROW_COUNT() AS n, 'x'
		CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT)
		SELECT ROW_COUNT()
		INSERT INTO a (v) VALUES (1), (2), (3)
		SELECT LAST_INSERT_ID(), ROW_COUNT()
		SELECT LAST_INSERT_ID(), ROW_COUNT()
		UPDATE a SET v = 9 WHERE id > 1
		SELECT ROW_COUNT(), LAST_INSERT_ID() AS id
		UPDATE a SET v = 9 WHERE id > 1
		SELECT ROW_COUNT()
		INSERT INTO a (id, v) VALUES (50, 5)
		SELECT ROW_COUNT() 'n';
		DELETE FROM a WHERE v = 9
		SELECT ROW_COUNT(), row_count(), 1 + 1
		DELETE FROM missing
		SELECT ROW_COUNT()
		SET @b = 1
		SELECT ROW_COUNT()
		DELETE FROM a; SELECT ROW_COUNT()
		INSERT INTO a (v) VALUES (6), (7); SELECT 1
		SELECT ROW_COUNT()
		CALL p()
		SELECT ROW_COUNT()
		CALL q()
		SELECT ROW_COUNT()
		DROP TABLE a`
	each(t, func(w *world) {
		t := w.t
		direct, err := sql.Open("mysql", w.db.DSN()+"&multiStatements=true")
		if err != nil {
			t.Fatal(err)
		}
		defer direct.Close()
		for _, sql := range []string{
			"CREATE PROCEDURE p() BEGIN INSERT INTO a (v) VALUES (1), (2), (3); END",
			"CREATE PROCEDURE q() BEGIN INSERT INTO a (v) VALUES (1), (2); SELECT 5; END",
		} {
			if _, err := direct.ExecContext(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		w.f = testkit.StartForebayMySQL(t, w.m, testkit.ForebayOptions{
			Users:  map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
		})
		want := run(w, direct, script)
		multi := map[string][]string{"multiStatements": {"true"}}
		c, other := w.connect(multi), w.connect(multi)
		for i, line := range strings.Split(script, "\n") {
			w.exec(other, disturb)
			line = strings.TrimSpace(line)
			if got := line + " => " + answer(w, c, line); got != want[i] {
				t.Errorf("\ngot  %.300s\nwant %.300s", got, want[i])
			}
		}
	})
}

// The same with prepared statements of the protocol.
func TestRowCountPrepared(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		w.f = testkit.StartForebayMySQL(w.t, w.m, testkit.ForebayOptions{
			Users:  map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
		})
		a, b := w.connect(nil), w.connect(nil)
		w.exec(a, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
		const both = "SELECT ROW_COUNT(), LAST_INSERT_ID()"
		ask, err := a.PrepareContext(w.t.Context(), both)
		if err != nil {
			w.t.Fatal(err)
		}
		for i := range 3 {
			w.exec(b, "INSERT INTO t (v) VALUES (1), (2), (3)")
			w.exec(a, "INSERT INTO t (v) VALUES (4), (5)")
			if i == 1 {
				w.exec(b, "INSERT INTO t (v) VALUES (6)")
			}
			var n, id int64
			if err := ask.QueryRowContext(w.t.Context()).Scan(&n, &id); err != nil || n != 2 || id != []int64{4, 9, 15}[i] {
				w.t.Errorf("%d: %d rows, id %d, %v", i, n, id, err)
			}
			w.exec(b, "SELECT 1")
			if err := ask.QueryRowContext(w.t.Context()).Scan(&n, &id); err != nil || n != -1 {
				w.t.Errorf("%d: %d rows behind rows, %v", i, n, err)
			}
		}
	})
}
