package mysql_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/go-sql-driver/mysql"
)

// scripts are what one client says, a statement a line. Through Forebay it gets the answers that it gets straight from the
// server, whatever other clients do between any two of its statements.
var scripts = map[string]string{
	"insert id": `CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT)
		SELECT LAST_INSERT_ID()
		INSERT INTO a (v) VALUES (1), (2)
		SELECT LAST_INSERT_ID()
		INSERT INTO a (v) VALUES (3)
		SELECT LAST_INSERT_ID(), @@last_insert_id
		SELECT LAST_INSERT_ID(42)
		SELECT LAST_INSERT_ID()
		UPDATE a SET v = LAST_INSERT_ID(77) WHERE id = 1
		SELECT LAST_INSERT_ID()
		INSERT INTO a (id, v) VALUES (1, 1)
		INSERT INTO a (v) VALUES (4), (5), (6)
		SELECT LAST_INSERT_ID() > 3, ROW_COUNT()
		SET last_insert_id = 5
		SELECT LAST_INSERT_ID()`,
	"counts": `CREATE TABLE a (id INT PRIMARY KEY, v INT)
		INSERT INTO a VALUES (1,1),(2,2),(3,3)
		SELECT ROW_COUNT()
		UPDATE a SET v = 9
		SELECT ROW_COUNT()
		SELECT SQL_CALC_FOUND_ROWS id FROM a ORDER BY id LIMIT 1
		SELECT FOUND_ROWS()
		SELECT id FROM a ORDER BY id
		SELECT FOUND_ROWS()
		DELETE FROM a WHERE id = 1
		SELECT ROW_COUNT()`,
	"diagnostics": `CREATE TABLE a (v TINYINT)
		SHOW WARNINGS
		SET sql_mode = ''
		INSERT INTO a VALUES (1000)
		SHOW WARNINGS
		SELECT @@warning_count
		INSERT INTO missing VALUES (1)
		SHOW ERRORS
		SELECT 1
		SHOW WARNINGS
		INSERT INTO a VALUES (1000)
		SHOW COUNT(*) WARNINGS`,
	"settings": `SELECT @@time_zone, @@sql_mode, @@foreign_key_checks
		SET time_zone = '+03:00', foreign_key_checks = 0
		SELECT @@time_zone, @@foreign_key_checks
		SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'
		SELECT '\', @@sql_mode
		SET sql_mode = DEFAULT, time_zone = DEFAULT
		SELECT @@time_zone, @@sql_mode, @@foreign_key_checks
		SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
		SHOW VARIABLES LIKE '%_isolation'
		SET SESSION TRANSACTION READ ONLY
		SHOW VARIABLES LIKE '%_read_only'
		CREATE TABLE a (v INT)
		SET SESSION TRANSACTION READ WRITE
		SET SESSION wait_timeout = 1234, sql_select_limit = 7
		SELECT @@wait_timeout, @@sql_select_limit
		SET sql_select_limit = DEFAULT
		SELECT @@sql_select_limit
		SET timestamp = 1000
		SELECT NOW(), UNIX_TIMESTAMP()
		SET timestamp = DEFAULT
		SELECT UNIX_TIMESTAMP() > 1700000000
		SET optimizer_switch = 'index_merge=off'
		SELECT @@optimizer_switch LIKE '%index_merge=off%'
		SET lc_time_names = 'de_DE'
		SELECT MONTHNAME('2026-03-01')
		SET group_concat_max_len = 5
		SELECT GROUP_CONCAT(x) FROM (SELECT 'abc' AS x UNION SELECT 'def') AS t`,
	"character sets": `SELECT @@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection
		SET NAMES latin1
		SELECT @@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection, 'é'
		SET NAMES utf8mb4 COLLATE utf8mb4_bin
		SELECT @@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection, 'é'
		SELECT 'a' = 'A'
		SET CHARACTER SET latin1
		SELECT @@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection
		SET character_set_results = NULL
		SELECT @@character_set_results
		SET collation_connection = latin1_german1_ci
		SELECT @@character_set_connection, @@collation_connection
		SET character_set_connection = utf8mb4
		SELECT @@character_set_connection, @@collation_connection
		SET character_set_results = ucs2, sql_select_limit = 0
		SET collation_connection = latin1_swedish_ci
		SET character_set_results = utf8mb4, sql_select_limit = DEFAULT
		SELECT @@character_set_connection, @@collation_connection
		SET NAMES DEFAULT
		SELECT @@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection`,
	"user variables": `SELECT @a, @b
		SET @a = 1, @b = 'it''s é'
		SELECT @a, @b, COLLATION(@b), CHARSET(@b)
		SET @a = NULL
		SELECT @a
		SET @c = 1 + 1
		SELECT @c
		SET @d := X'4142', @e = 1.5, @f = ''
		SELECT @d, @e, @f
		SELECT 5 INTO @g
		SELECT @g`,
	"schema": `SELECT DATABASE()
		USE information_schema
		SELECT DATABASE()
		CREATE DATABASE IF NOT EXISTS nothing_here
		USE missing_schema
		SELECT DATABASE()`,
	"transactions": `CREATE TABLE a (v INT) ENGINE=InnoDB
		BEGIN
		INSERT INTO a VALUES (1)
		SAVEPOINT s
		INSERT INTO a VALUES (2)
		ROLLBACK TO s
		COMMIT
		SELECT * FROM a
		SET autocommit = 0
		INSERT INTO a VALUES (3)
		SELECT COUNT(*) FROM a
		ROLLBACK
		SELECT COUNT(*) FROM a
		SELECT @@autocommit
		SET autocommit = 1
		SELECT @@autocommit
		SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
		BEGIN
		SELECT COUNT(*) FROM a
		COMMIT
		START TRANSACTION READ ONLY
		INSERT INTO a VALUES (9)
		ROLLBACK`,
	"temporary tables": `CREATE TEMPORARY TABLE t (v INT)
		INSERT INTO t VALUES (1)
		SELECT * FROM t
		DROP TEMPORARY TABLE t
		SELECT * FROM t`,
	"locks": `SELECT GET_LOCK('forebay-test', 0)
		SELECT IS_FREE_LOCK('forebay-test')
		SELECT RELEASE_LOCK('forebay-test')
		CREATE TABLE a (v INT)
		LOCK TABLES a WRITE
		INSERT INTO a VALUES (1)
		SELECT * FROM information_schema.ENGINES WHERE 0
		UNLOCK TABLES
		SELECT * FROM a`,
	"sql prepared": `PREPARE p FROM 'SELECT ? + 1'
		SET @x = 4
		EXECUTE p USING @x
		DEALLOCATE PREPARE p
		EXECUTE p USING @x`,
	"several statements": `SET @a = 1; SELECT @a; SELECT @a + 1
		SELECT 1; SET @q = 5
		SELECT @q
		SET NAMES latin1; SELECT @@character_set_client`,
	"routines": `CREATE PROCEDURE p() BEGIN SET SESSION sql_mode = 'ANSI_QUOTES'; SELECT 1; SET SESSION lock_wait_timeout = 78; SELECT @@sql_mode; END
		CALL p()
		SELECT @@sql_mode, @@lock_wait_timeout
		CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v INT)
		CREATE PROCEDURE q() INSERT INTO a (v) VALUES (7)
		CALL q()
		CALL q()
		SELECT LAST_INSERT_ID()
		CREATE FUNCTION f() RETURNS INT DETERMINISTIC BEGIN SET @x = 12; RETURN 3; END
		SELECT f()
		SELECT @x
		SET @@lock_wait_timeout = 79
		SELECT @@lock_wait_timeout
		SET @@sql_mode = 'ANSI'
		SELECT "id" FROM a
		DROP FUNCTION f
		DROP PROCEDURE p
		DROP PROCEDURE q
		DROP TABLE a`,
	"odd": `SELECT
		SELECT 1 FROM DUAL WHERE 0
		DO 1
		SELECT REPEAT('x', 100000)
		SHOW DATABASES LIKE 'information_schema'
		EXPLAIN SELECT 1
		SELECT 1 UNION SELECT 2`,
}

// run says a script and returns what it was answered.
func run(w *world, db *sql.DB, script string) []string {
	w.t.Helper()
	c, err := db.Conn(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	var out []string
	for line := range strings.SplitSeq(script, "\n") {
		line = strings.TrimSpace(line)
		out = append(out, line+" => "+answer(w, c, line))
	}
	return out
}

func answer(w *world, c *sql.Conn, statement string) string {
	rows, err := c.QueryContext(w.t.Context(), statement)
	if err != nil {
		return errorText(err)
	}
	defer rows.Close()
	var out strings.Builder
	for {
		cols, _ := rows.Columns()
		fmt.Fprintf(&out, "%v", cols)
		values, ptrs := make([]sql.NullString, len(cols)), make([]any, len(cols))
		for i := range values {
			ptrs[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(ptrs...); err != nil {
				return err.Error()
			}
			fmt.Fprintf(&out, " %v", values)
		}
		if err := rows.Err(); err != nil {
			return out.String() + errorText(err)
		}
		if !rows.NextResultSet() {
			return out.String()
		}
		out.WriteString(" ; ")
	}
}

func errorText(err error) string {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return fmt.Sprintf("error %d %s %s", e.Number, e.SQLState, e.Message)
	}
	return err.Error()
}

// disturb does between the statements of a client what could be seen by it, if anything of a session got to another.
const disturb = "CREATE TABLE IF NOT EXISTS disturbance (id INT AUTO_INCREMENT PRIMARY KEY, v TINYINT); INSERT INTO disturbance (v) VALUES (1), (2), (3);" +
	" SET time_zone = '+11:00', @a = 'other', @b = 'other', @x = 'other', @c = 1, sql_mode = 'ANSI', foreign_key_checks = 1, wait_timeout = 99; SET SESSION TRANSACTION READ ONLY; SET SESSION TRANSACTION READ WRITE; SELECT 1/0; SELECT 'a' UNION SELECT 'b' UNION SELECT 'c' UNION SELECT 'd'"

func TestAsDirect(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		t := w.t
		w.f = testkit.StartForebayMySQL(t, w.m, testkit.ForebayOptions{
			Users:  map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 2 },
		})
		direct, err := sql.Open("mysql", w.db.DSN()+"&multiStatements=true")
		if err != nil {
			t.Fatal(err)
		}
		defer direct.Close()
		direct.SetMaxIdleConns(0)
		multi := url.Values{"multiStatements": {"true"}}
		other := w.connect(multi)
		for name, script := range scripts {
			want := run(w, direct, script)
			w.m.ExecIn(t.Context(), w.db.Name, "DROP TABLE IF EXISTS a")
			c := w.connect(multi)
			lines := strings.Split(script, "\n")
			for i, line := range lines {
				w.exec(other, disturb)
				line = strings.TrimSpace(line)
				if got := line + " => " + answer(w, c, line); got != want[i] {
					t.Errorf("%s:\ngot  %.300s\nwant %.300s", name, got, want[i])
				}
			}
			_ = c.Raw(func(any) error { return driver.ErrBadConn }) // closes it
			w.m.ExecIn(t.Context(), w.db.Name, "DROP TABLE IF EXISTS a")
		}
	})
}

// What a client without company can ask long after: what Forebay asks in between takes nothing of it away.
func TestAsDirectAlone(t *testing.T) {
	t.Parallel()
	const script = `SELECT * FROM missing
		CREATE PROCEDURE two(IN a INT, OUT b INT) BEGIN SELECT a; SET b = a + 2; END
		CALL two(5, @b)
		SHOW WARNINGS
		SELECT @b
		SHOW COUNT(*) WARNINGS
		SELECT CAST('1x' AS SIGNED)
		SHOW WARNINGS
		DROP PROCEDURE two`
	each(t, func(w *world) {
		var answers [2][]string
		for i, dsn := range []string{w.db.DSN(), w.f.MySQLDSN(w.db.User, w.db.Name, "")} {
			db, err := sql.Open("mysql", dsn)
			if err != nil {
				w.t.Fatal(err)
			}
			answers[i] = run(w, db, script)
			db.Close()
		}
		for i, want := range answers[0] {
			if got := answers[1][i]; got != want {
				w.t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	})
}
