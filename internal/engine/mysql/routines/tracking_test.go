package routines_test

import (
	"fmt"
	"strings"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/testkit"
	"forebay/internal/wire/mysqlwire"
)

// eof is what every server connection should agree on: see the package comment.
const eof = mysqlwire.ClientDeprecateEOF

// TestTracking measures what the package comment says of session tracking. A server that does better than it says is no
// problem for anybody, but should be in the comment.
func TestTracking(t *testing.T) {
	t.Parallel()
	const (
		no     = ""
		state  = "STATE"
		buffer = "STATE sort_buffer_size=300000"
		fails  = "error"
	)
	tests := []struct {
		before, body   string
		mariaDB, mySQL string
	}{
		{"", "SET sort_buffer_size = 300000", buffer, buffer},
		{"", "SET @@SESSION.sort_buffer_size = 300000", buffer, buffer},
		{"", "SET @@sort_buffer_size = 300000", no, buffer},
		{"", "SET timestamp = 1", "STATE timestamp=1.000000", "STATE timestamp=1.000000"},
		{"", "SET insert_id = 7", "STATE insert_id=7", "STATE insert_id=7"},
		{"", "SET last_insert_id = 7", "STATE last_insert_id=7", "STATE last_insert_id=7"},
		{"", "DO LAST_INSERT_ID(7)", no, no},
		{"", "INSERT INTO ids () VALUES ()", no, no},
		{"", "SET @a = 1", state, state},
		{"", "SELECT 1 INTO @a", no, no},
		{"", "DO @a := 1", no, no},
		{"", "GET DIAGNOSTICS @a = NUMBER", no, no},
		{"", "CREATE TEMPORARY TABLE temporary_one (a int)", state, state},
		{"", "CREATE TEMPORARY TABLE temporary_one AS SELECT 1", no, no},
		{"CREATE TEMPORARY TABLE temporary_one (a int)", "DROP TEMPORARY TABLE temporary_one", state, state},
		{"CREATE TEMPORARY TABLE temporary_one (a int)", "DROP TABLE temporary_one", no, no},
		{"CREATE TEMPORARY TABLE temporary_one (a int)", "ALTER TABLE temporary_one RENAME TO temporary_two", no, state},
		{"", "PREPARE s FROM 'SELECT 1'", state, state},
		{"PREPARE s FROM 'SET @a = 1'", "EXECUTE s", state, state},
		{"PREPARE s FROM 'SELECT 1 INTO @a'", "EXECUTE s", no, no},
		{"", "DO GET_LOCK('tracking', 0)", no, no},
		{"", "SET ROLE NONE", state, no},
		{"", "FLUSH TABLES ids WITH READ LOCK", no, no},
		{"", "SET STATEMENT sort_buffer_size = 300000 FOR DO 1", "STATE sort_buffer_size=2097152", fails},
		{"", "SET RESOURCE GROUP USR_default", fails, no},
		{"", "LOCK INSTANCE FOR BACKUP", fails, no},
		{"", "LOCK TABLES ids READ", fails, fails},
		{"", "HANDLER ids OPEN", fails, fails},
		{"", "USE mysql", fails, fails},
		{"", "BEGIN PREPARE s FROM 'LOCK TABLES ids READ'; EXECUTE s; END", state, fails},
		{"", "BEGIN PREPARE s FROM 'HANDLER ids OPEN'; EXECUTE s; END", state, fails},
		{"", "BEGIN PREPARE s FROM 'USE mysql'; EXECUTE s; END", "STATE schema=mysql", fails},
	}
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		db := testkit.MySQLDatabase(t, m)
		must(t, connect(t, db), "CREATE TABLE ids (id int AUTO_INCREMENT PRIMARY KEY)")
		for i, tt := range tests {
			c := track(t, m, db.Name, eof)
			got, want := fails, tt.mySQL
			if c.MariaDB {
				want = tt.mariaDB
			}
			if can(c.Server, fmt.Sprintf("CREATE PROCEDURE tracking_%d() %s", i, tt.body)) {
				if tt.before != "" {
					must(t, c.Server, tt.before)
				}
				got = c.report(mysqlwire.ComQuery, fmt.Sprintf("CALL tracking_%d()", i))
			}
			if got != want {
				t.Errorf("%s: reported %q, want %q", tt.body, got, want)
			}
			if got != fails {
				if later := c.report(mysqlwire.ComPing, ""); later != "" {
					t.Errorf("%s: reported %q later", tt.body, later)
				}
			}
			c.Conn.Close()
		}
	})
}

// TestTrackingArrives measures with which packet a change is reported.
func TestTrackingArrives(t *testing.T) {
	t.Parallel()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		db := testkit.MySQLDatabase(t, m)
		s := connect(t, db)
		for _, sql := range []string{
			"CREATE FUNCTION f() RETURNS int DETERMINISTIC BEGIN SET @a = 1; RETURN 1; END",
			"CREATE PROCEDURE fails() BEGIN SET @a = 1; SIGNAL SQLSTATE '45000'; END",
			"CREATE PROCEDURE rows_() BEGIN SET @a = 1; SELECT 1; SET sort_buffer_size = 300000; END",
			"CREATE PROCEDURE mode() BEGIN SET sql_mode = 'ANSI_QUOTES'; SET NAMES latin1; SELECT 1; END",
			"CREATE PROCEDURE mode2() BEGIN SET sql_mode = 'ANSI_QUOTES'; SET NAMES latin1; END",
			"CREATE PROCEDURE elsewhere() SELECT 1",
		} {
			must(t, s, sql)
		}
		sqlMode := must(t, s, "SELECT @@sql_mode")
		restored := "STATE character_set_client=utf8mb4 character_set_connection=utf8mb4 character_set_results=latin1 sql_mode=" + sqlMode
		inner := "STATE character_set_client=latin1 character_set_connection=latin1 character_set_results=latin1 sql_mode=ANSI_QUOTES"
		tests := []struct {
			caps                mysqlwire.Capability
			sql                 string
			now                 string
			laterMaria, laterMy string
		}{
			{eof, "SELECT f()", "STATE", "", ""},
			{0, "SELECT f()", "", "", "STATE"},
			{0, "DO f()", "STATE", "", ""},
			{eof, "CALL fails()", "error", "", "STATE"},
			{0, "CALL fails()", "error", "", "STATE"},
			{eof, "CALL rows_()", "STATE sort_buffer_size=300000", "", ""},
			{0, "CALL rows_()", "STATE sort_buffer_size=300000", "", ""},
			// Restored when the procedure ends, which only the last OK packet knows.
			{eof, "CALL mode2()", restored, "", ""},
			{0, "CALL mode()", restored, "", ""},
			{eof, "CALL mode()", inner, "", ""},
			{eof, "CALL " + db.Name + ".elsewhere()", "STATE schema=mysql schema=" + db.Name, "", ""},
		}
		for _, tt := range tests {
			name := db.Name
			if strings.Contains(tt.sql, "elsewhere") {
				name = "mysql"
			}
			c := track(t, m, name, tt.caps)
			want := tt.laterMy
			if c.MariaDB {
				want = tt.laterMaria
			}
			if got := c.report(mysqlwire.ComQuery, tt.sql); got != tt.now {
				t.Errorf("%s, capabilities %#x: reported %q, want %q", tt.sql, tt.caps, got, tt.now)
			}
			if got := c.report(mysqlwire.ComPing, ""); got != want {
				t.Errorf("%s, capabilities %#x: reported %q later, want %q", tt.sql, tt.caps, got, want)
			}
			if strings.Contains(tt.sql, "mode") {
				if got := must(t, c.Server, "SELECT @@sql_mode"); got != sqlMode {
					t.Errorf("%s: sql_mode is %q", tt.sql, got)
				}
			}
			c.Conn.Close()
		}
	})
}

// What the servers refuse need not be looked for in the catalogue.
func TestRefused(t *testing.T) {
	t.Parallel()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		db := testkit.MySQLDatabase(t, m)
		s := connect(t, db)
		must(t, s, "CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1")
		for _, sql := range []string{
			"CREATE TABLE x (a int DEFAULT (f()))",
			"CREATE TABLE x (a int DEFAULT (GET_LOCK('a', 0)))",
			"CREATE TABLE x (a int DEFAULT (LAST_INSERT_ID(5)))",
			"CREATE TABLE x (a int, b int AS (f()))",
			"CREATE TABLE x (a int, b int AS (GET_LOCK('a', 0)))",
			"CREATE TABLE x (a int, CHECK (f() = 1))",
			"CREATE TABLE x (a int, CHECK (GET_LOCK('a', 0) = 1))",
			"CREATE VIEW x AS SELECT @a := 1",
		} {
			if can(s, sql) {
				t.Errorf("%s goes well", sql)
				must(t, s, "DROP TABLE IF EXISTS x")
			}
		}
		// MariaDB alone.
		if sql := "CREATE TABLE x (a int, b int DEFAULT (@a := 1))"; can(s, sql) != s.MariaDB {
			t.Errorf("%s: %t", sql, !s.MariaDB)
		}
		for _, sql := range []string{
			"CREATE TABLE parent (id int PRIMARY KEY)",
			"CREATE TABLE child (id int, FOREIGN KEY (id) REFERENCES parent (id) ON DELETE CASCADE)",
			"CREATE TRIGGER tr BEFORE DELETE ON child FOR EACH ROW SET @fired = 1",
			"INSERT INTO parent VALUES (1)", "INSERT INTO child VALUES (1)", "DELETE FROM parent",
		} {
			must(t, s, sql)
		}
		if got := must(t, s, "SELECT @fired, COUNT(*) FROM child"); got != "NULL 0" {
			t.Errorf("a cascade ran a trigger: %s", got)
		}
	})
}
