package mysql_test

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// pins are the reasons for which sessions are pinned now.
func (w *world) pins() []string {
	var all []string
	for _, s := range w.f.Plane.Pins().Pinned {
		for _, p := range s.Pins {
			all = append(all, p.Reason)
		}
	}
	slices.Sort(all)
	return all
}

// What only the server connection has keeps the session there, says why, and gives it back when it has ended. A statement
// that begins with "maria:" or "mysql:" is for that server alone.
func TestPins(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		c := w.connect(map[string][]string{"multiStatements": {"true"}})
		w.exec(c, "CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
		w.exec(c, "INSERT INTO t VALUES (1, 1)")
		for _, tt := range []struct{ made, reason, ended string }{
			{"SET time_zone = '+01:00', sql_mode = '', @a = 1", "", ""},
			{"SET NAMES latin1", "", ""},
			{"SET NAMES utf8mb4", "", ""},
			{"SET NAMES latin1; SELECT '\xe9\\n', \"é\"", "", ""},
			{"SELECT 1/(@@character_set_client = 'latin1'); SET CHARACTER SET utf8mb4; SET NAMES utf8mb4; SELECT 'é'", "", ""},
			{"SET SESSION sql_mode = 'ANSI_QUOTES'; SELECT 'a\\n'", "unknown_statement", "reset"},
			{"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "", ""},
			{"SET autocommit = 0", "", "SET autocommit = 1"},
			{"USE information_schema", "", "USE `" + w.db.Name + "`"},
			{"SELECT @a", "", ""},
			{"INSERT INTO t VALUES (2, 2)", "", "DELETE FROM t WHERE id = 2"},
			{"CREATE TABLE u (a INT); DROP TABLE u", "", ""},
			{"SELECT IS_FREE_LOCK('x'), CONNECTION_ID()", "", ""},
			{"SET session_track_schema = 1", "", ""},
			{"SET session_track_system_variables = 'autocommit,time_zone'", "", ""},
			{"LOCK TABLES t READ", "lock_tables", "UNLOCK TABLES"},
			{"LOCK TABLES t WRITE", "lock_tables", "START TRANSACTION; COMMIT"},
			{"SELECT GET_LOCK('a', 0)", "named_lock", "SELECT RELEASE_LOCK('a')"},
			{"SELECT GET_LOCK('a', 0)", "named_lock", "SELECT RELEASE_ALL_LOCKS()"},
			{"SELECT GET_LOCK('a', 0), GET_LOCK('b', 0)", "named_lock", "SELECT RELEASE_ALL_LOCKS()"},
			{"CREATE TEMPORARY TABLE x (a INT)", "temporary_table", "DROP TEMPORARY TABLE x"},
			{"CREATE TEMPORARY TABLE x SELECT 1 AS a", "temporary_table", "DROP TABLE x"},
			{"HANDLER t OPEN", "handler", "HANDLER t CLOSE"},
			{"HANDLER t OPEN AS h", "handler", "HANDLER h CLOSE"},
			{"PREPARE p FROM 'SELECT 1'", "sql_prepared_statement", "DEALLOCATE PREPARE p"},
			{"SET TRANSACTION READ ONLY", "next_transaction", "BEGIN; COMMIT"},
			{"CREATE PROCEDURE plain() SELECT 1", "", ""},
			{"CREATE FUNCTION clean(a INT) RETURNS INT DETERMINISTIC RETURN a + 1", "", ""},
			{"CREATE FUNCTION takes() RETURNS INT DETERMINISTIC RETURN GET_LOCK('f', 0)", "", ""},
			{"CREATE PROCEDURE sets() BEGIN SET SESSION lock_wait_timeout = 77; SELECT 1; END", "", ""},
			{"CREATE PROCEDURE remembers() SET @remembered = 1", "", ""},
			{"wait", "", ""},
			{"CALL plain()", "", ""},
			{"SELECT clean(1)", "", ""},
			{"CALL sets()", "", ""},
			{"SELECT takes()", "named_lock", "SELECT RELEASE_ALL_LOCKS()"},
			{"CALL remembers()", "user_variable", "reset"},
			{"SET @@lock_wait_timeout = 99", "", ""},
			{"SET @b = 1 + 1", "user_variable", "reset"},
			{"SELECT 1 INTO @b", "user_variable", "reset"},
			{"SELECT @b := 2", "user_variable", "reset"},
			{"SET insert_id = 5", "opaque_state", "reset"},
			{"XA START 'x'; UPDATE t SET v = 2; XA END 'x'; XA PREPARE 'x'", "xa_transaction", "XA COMMIT 'x'"},
			{"SELECT GET_LOCK('a', 0); SELECT broken", "", ""}, // see below
		} {
			if tt.made == "wait" { // for Forebay to have read the routines
				time.Sleep(1500 * time.Millisecond)
				continue
			}
			_, err := c.ExecContext(t.Context(), tt.made)
			if err != nil && !strings.Contains(tt.made, "broken") {
				w.t.Errorf("%s: %v", tt.made, err)
				continue
			}
			if strings.Contains(tt.made, "broken") {
				tt.reason, tt.ended = "named_lock", "SELECT RELEASE_ALL_LOCKS()" // half of it has run
			}
			if got := strings.Join(w.pins(), " "); got != tt.reason {
				w.t.Errorf("after %s: pinned for %q, want %q", tt.made, got, tt.reason)
			}
			switch tt.ended {
			case "":
			case "reset":
				_ = c.Raw(func(any) error { return driver.ErrBadConn }) // closes it
				c = w.connect(map[string][]string{"multiStatements": {"true"}})
				w.want(c, "1", "SELECT @b IS NULL")
			default:
				for ended := range strings.SplitSeq(tt.ended, "; ") { // in a text of its own: the end of a longer one is not looked at
					if _, err := c.ExecContext(t.Context(), ended); err != nil {
						w.t.Errorf("%s: %v", ended, err)
					}
				}
			}
			if got := w.pins(); len(got) > 0 {
				w.t.Errorf("after %s; %s: pinned for %q", tt.made, tt.ended, got)
			}
		}
	})
}

// A routine that was made a moment ago pins for what it leaves, and not for being new. %n is another number each time, so that none is
// known.
func TestNewRoutine(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		c := w.connect(nil)
		w.exec(c, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
		home := w.db.Name + "."
		if w.m.Version().Product == localserver.ProductMariaDB {
			home = "" // it may be a package's, as long as it is not known
		}
		for i, tt := range []struct{ made, sql, want string }{
			{`PROCEDURE p%n() SELECT 'it''s; it\'s'`, "CALL p%n()", ""},
			{`PROCEDURE p%n(IN a INT, OUT b INT) COMMENT 'x' BEGIN DECLARE c TEXT; SET c = "a\\"; INSERT INTO t (v) VALUES (a); SET b = 1; END`, "CALL p%n(1, @b)", "user_variable"},
			{"PROCEDURE p%n() INSERT INTO t (v) VALUES (1)", "CALL p%n()", ""},
			{"PROCEDURE p%n(a INT) SQL SECURITY INVOKER SELECT a", "CALL `p%n`(?)", ""},
			{"PROCEDURE p%n() SELECT 1", "CALL " + home + "P%n", ""},
			{"FUNCTION f%n(a INT) RETURNS INT DETERMINISTIC RETURN a + 1", "SELECT f%n(1)", ""},
			{"FUNCTION f%n(a INT) RETURNS INT DETERMINISTIC RETURN a + 1", "INSERT INTO t (v) VALUES (f%n(?))", ""},
			{"FUNCTION f%n() RETURNS INT NOT DETERMINISTIC NO SQL RETURN GET_LOCK('new', 0)", "SELECT f%n()", "named_lock"},
			{"PROCEDURE p%n() DO GET_LOCK('new', 0)", "CALL p%n()", "named_lock"},
			{"PROCEDURE p%n() DO GET_LOCK('new', 0)", "CALL q%n()", "named_lock"}, // by way of another
			{"PROCEDURE p%n() DO 1", "CALL q%n()", ""},
			{"PROCEDURE p%n() CALL q%n()", "CALL q%n()", ""}, // which end in an error
			{"PROCEDURE p%n() SET @a = 1", "CALL p%n()", "user_variable"},
			{"PROCEDURE p%n() SELECT 1 INTO @a", "CALL p%n()", "user_variable"},
			{"PROCEDURE p%n() CREATE TEMPORARY TABLE x SELECT 1 AS a", "CALL p%n()", "temporary_table"},
			{"PROCEDURE p%n() BEGIN SET @q = 'DO 1'; PREPARE s FROM @q; EXECUTE s; END", "CALL p%n()", "*"},
			{"PROCEDURE p%n() SELECT 1", "CALL missing%n()", "*"},
		} {
			n := fmt.Sprint(i)
			of := func(sql string) string { return strings.ReplaceAll(sql, "%n", n) }
			w.exec(c, of("CREATE "+tt.made))
			if strings.Contains(tt.sql, "q%n") {
				w.exec(c, of("CREATE PROCEDURE q%n() BEGIN IF 1 = 1 THEN CALL p%n(); END IF; END"))
			}
			var err error
			if strings.Contains(tt.sql, "?") {
				_, err = c.ExecContext(t.Context(), of(tt.sql), 1)
			} else {
				_, err = c.ExecContext(t.Context(), of(tt.sql))
			}
			if fails := strings.Contains(tt.sql, "missing") || strings.Contains(tt.made, "q%n"); (err != nil) != fails {
				w.t.Errorf("%s: %v", of(tt.sql), err)
			}
			if got := strings.Join(w.pins(), " "); got != tt.want && (tt.want != "*" || got == "") {
				w.t.Errorf("%s, %s: pinned for %q, want %q", tt.made, tt.sql, got, tt.want)
			}
			if tt.want != "" {
				_ = c.Raw(func(any) error { return driver.ErrBadConn }) // closes it
				c = w.connect(nil)
			}
			kind, _, _ := strings.Cut(tt.made, " ")
			w.exec(c, of("DROP "+kind+" "+strings.ToLower(kind[:1])+"%n"))
		}
	})
}

// That a routine is not there is an error of Forebay's question, which the client does not hear of.
func TestNewRoutineWarnings(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		c := w.connect(nil)
		w.exec(c, "CREATE PROCEDURE may() BEGIN IF 1 = 0 THEN CALL missing(); END IF; END")
		w.exec(c, "CALL may()")
		w.want(c, "0", "SELECT @@warning_count")
	})
}

// What a call of MariaDB's runs may not be what the procedure says: parameters can have values of their own, and what stands before the
// dot may be a package. Both are known neither when they are new nor later.
func TestMariaDBCalls(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		if w.m.Version().Product != localserver.ProductMariaDB || w.m.Version().Major < 11 {
			w.t.Skip("MariaDB 11.8 has them")
		}
		c := w.connect(nil)
		w.exec(c, "CREATE PROCEDURE gives(a INT DEFAULT GET_LOCK('mine', 0)) SELECT a")
		w.exec(c, "CREATE PROCEDURE p() SELECT 1")
		w.exec(c, "CREATE PACKAGE "+w.db.Name+" PROCEDURE p(); END")
		w.exec(c, "CREATE PACKAGE BODY "+w.db.Name+" PROCEDURE p() SELECT GET_LOCK('mine', 0); END")
		for _, wait := range []time.Duration{0, 1500 * time.Millisecond} { // for Forebay to have read them
			_ = c.Raw(func(any) error { return driver.ErrBadConn }) // closes it, which is pinned
			c = w.connect(nil)
			time.Sleep(wait)
			for _, sql := range []string{"CALL gives()", "CALL " + w.db.Name + ".p()"} {
				w.want(c, "1", sql)
				if got := strings.Join(w.pins(), " "); got == "" {
					w.t.Errorf("%s, after %v: not pinned", sql, wait)
				}
				w.exec(c, "DO RELEASE_ALL_LOCKS()")
				_ = c.Raw(func(any) error { return driver.ErrBadConn }) // closes it
				c = w.connect(nil)
			}
		}
	})
}

// What a text calls may be another routine than there was before it.
func TestReplacesRoutine(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		c := w.connect(map[string][]string{"multiStatements": {"true"}})
		w.exec(c, "CREATE PROCEDURE p() SELECT 1")
		w.exec(c, "DROP PROCEDURE p; CREATE PROCEDURE p() SELECT 7 INTO @kept; CALL p()")
		if got := w.pins(); !slices.Contains(got, "routine") {
			w.t.Errorf("pinned for %q", got)
		}
	})
}

// A new routine is read as it was made, whatever the session's sql_mode is when it is called.
func TestNewRoutineModes(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		c := w.connect(nil)
		modes := []string{"", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"}
		for i, made := range modes {
			for j, called := range modes {
				w.exec(c, "SET sql_mode = '"+made+"'")
				var body string
				if strings.Contains(made, "NO_BACKSLASH") {
					body = `SET a = 'x\'; DO GET_LOCK('new', 0); SET a = '\';`
				} else {
					body = `SET a = 'x\''; SET a = 'y'; DO GET_LOCK('new', 0); SET a = '\'';`
				}
				if strings.Contains(made, "ANSI_QUOTES") {
					body = `SET "a" = '"'; ` + body
				} else {
					body = `SET a = "'"; ` + body
				}
				p := fmt.Sprintf("p%d%d", i, j)
				w.exec(c, "CREATE PROCEDURE "+p+"() BEGIN DECLARE a TEXT; "+body+" END")
				w.exec(c, "SET sql_mode = '"+called+"'")
				w.exec(c, "CALL "+p+"()")
				if got := strings.Join(w.pins(), " "); got != "named_lock" {
					w.t.Errorf("made in %q, called in %q: pinned for %q", made, called, got)
				}
				w.exec(c, "SELECT RELEASE_ALL_LOCKS()")
			}
		}
	})
}

// A routine whose body the user may not see pins, new or not.
func TestNewRoutineHidden(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		clerk := "clerk_" + w.db.User
		w.super("CREATE USER " + clerk + " IDENTIFIED BY 'x'")
		defer w.m.Exec(t.Context(), "DROP USER "+clerk)
		w.super("GRANT SELECT, EXECUTE ON `" + strings.ReplaceAll(w.db.Name, "_", "\\_") + "`.* TO " + clerk)
		w.db.User, w.db.Password = clerk, "x"
		w.few(2, w.db)
		c := w.connect(nil)
		w.want(c, "1", "SELECT 1")
		w.super("CREATE PROCEDURE `" + w.db.Name + "`.hidden() DO GET_LOCK('hidden', 0)") // past Forebay
		w.exec(c, "CALL hidden()")
		if got := strings.Join(w.pins(), " "); got != "routine" {
			w.t.Errorf("pinned for %q", got)
		}
	})
}

// A function of a component that has nothing to do with the session does not pin.
func TestComponentFunctionPinsNot(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		if w.m.Version().Product == localserver.ProductMariaDB {
			w.t.Skip("MySQL has components")
		}
		for _, component := range []string{"query_attributes", "classic_hashing"} {
			w.super("INSTALL COMPONENT 'file://component_" + component + "'")
			defer w.m.Exec(t.Context(), "UNINSTALL COMPONENT 'file://component_"+component+"'")
		}
		c := w.connect(nil)
		w.want(c, "NULL", "SELECT mysql_query_attribute_string('a')")
		w.want(c, "900150983cd24fb0d6963f7d28e17f72", "SELECT MD5('abc')")
		w.want(c, "NULL", "SELECT mysql_query_attribute_string(?)", "a")
		if got := w.pins(); len(got) > 0 {
			w.t.Errorf("pinned for %q", got)
		}
	})
}

// A role travels with the session.
func TestRole(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		role := "role_" + w.db.User
		for _, sql := range []string{"CREATE ROLE " + role, "GRANT " + role + " TO " + w.db.User + "@'%'"} {
			if err := w.m.Exec(w.t.Context(), sql); err != nil {
				w.t.Fatal(err)
			}
		}
		w.t.Cleanup(func() { w.m.Exec(t.Context(), "DROP ROLE "+role) })
		f := testkit.StartForebayMySQL(w.t, w.m, testkit.ForebayOptions{
			Users:  map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
		})
		db, err := sql.Open("mysql", f.MySQLDSN(w.db.User, w.db.Name, ""))
		if err != nil {
			w.t.Fatal(err)
		}
		defer db.Close()
		a, _ := db.Conn(w.t.Context())
		b, _ := db.Conn(w.t.Context())
		defer a.Close()
		defer b.Close()
		none := w.one(b, "SELECT CURRENT_ROLE()")
		w.exec(a, "SET ROLE "+role)
		for range 2 {
			if got := w.one(a, "SELECT CURRENT_ROLE()"); !strings.Contains(got, role) {
				w.t.Errorf("role %q, want %q", got, role)
			}
			w.want(b, none, "SELECT CURRENT_ROLE()")
		}
		w.exec(a, "SET ROLE NONE")
		w.want(a, none, "SELECT CURRENT_ROLE()")
	})
}

// A text that the server cannot read has changed nothing, and no operator hears of a pin. One whose first part has run, or whose error is that of a text
// which it has run, may have.
func TestSyntaxErrorPinsNot(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		c := w.connect(map[string][]string{"multiStatements": {"true"}})
		w.exec(c, "CREATE PROCEDURE dynamic() BEGIN SET @a = 1 + 1; SET @q = 'SELEC 1'; PREPARE p FROM @q; END")
		w.exec(c, "CREATE TABLE words (w VARCHAR(99), FULLTEXT (w)) ENGINE=InnoDB")
		for _, tt := range []struct{ sql, want string }{
			{"SELEC 1", ""},
			{"SELEC 1;", ""},
			{"SELEC GET_LOCK('a', 0)", ""},
			{"SELECT GET_LOCK('a', 0) FROM", ""},
			{"SET @a = 1 + ", ""},
			{"CREATE TEMPORARY TABEL x (a INT)", ""},
			{"LOCK TABEL t READ", ""},
			{"SELECT @a := 1, MATCH (w) AGAINST ('+-+' IN BOOLEAN MODE) FROM words", "user_variable"},
			{"SET @a = 1 + 1; SELEC 1", "unknown_statement user_variable"},
			{"SELEC 1; SET @a = 1 + 1", "unknown_statement user_variable"},
			{"CALL dynamic()", "*"},
		} {
			if _, err := c.ExecContext(t.Context(), tt.sql); err == nil || !strings.Contains(err.Error(), "1064") {
				w.t.Errorf("%s: %v", tt.sql, err)
			}
			told := 0 // in the log and by the metrics
			for _, n := range w.f.Plane.Collect().Proxies[0].Target.Engine.Pins {
				told += int(n)
			}
			if tt.want == "" && told > 0 {
				w.t.Errorf("after %s: %d pins are counted, of texts of which nothing has run", tt.sql, told)
			}
			switch got := strings.Join(w.pins(), " "); {
			case tt.want == "*" && got == "", tt.want != "*" && got != tt.want:
				w.t.Errorf("after %s: pinned for %q, want %q", tt.sql, got, tt.want)
			case got != "":
				_ = c.Raw(func(any) error { return driver.ErrBadConn }) // closes it
				c = w.connect(map[string][]string{"multiStatements": {"true"}})
				w.want(c, "1", "SELECT @a IS NULL")
			}
		}
	})
}

// With EXCLUDE_VARIABLE_SETS no SET pins, and all else does as before.
func TestExcludeVariableSets(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		for _, excludes := range []bool{false, true} {
			w.f = testkit.StartForebayMySQL(w.t, w.m, testkit.ForebayOptions{
				Users:  map[string]string{w.db.User: w.db.Password},
				Change: func(p *resource.Proxy) { p.Pool.ExcludeVariableSets = excludes },
			})
			for _, tt := range []struct {
				sql  string
				pins bool // with the filter
			}{
				{"SET @a = 1 + 1", false},
				{"SET insert_id = 5", false},
				{"SET TRANSACTION READ ONLY", false},
				{"SET timestamp = 1 + 1", false},
				{"SET character_set_database = latin1", false},
				{"SELECT 1 INTO @a", true},
				{"SELECT @a := 1", true},
				{"SET @a = GET_LOCK('a', 0)", true},
				{"SET @a = 1; SELECT 1 INTO @a", true},
			} {
				c := w.connect(map[string][]string{"multiStatements": {"true"}})
				_, err := c.ExecContext(t.Context(), tt.sql)
				if err != nil && !strings.Contains(err.Error(), "1227") { // MySQL lets few set it
					w.t.Fatalf("%s: %v", tt.sql, err)
				}
				if got := w.pins(); err == nil && len(got) > 0 != (tt.pins || !excludes) {
					w.t.Errorf("excluded %v: %s: pinned for %q", excludes, tt.sql, got)
				}
				_ = c.Raw(func(any) error { return driver.ErrBadConn }) // closes it
				for i := 0; len(w.pins()) > 0 && i < 1000; i++ {
					time.Sleep(time.Millisecond)
				}
			}
		}
	})
}
