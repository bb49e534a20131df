package routines_test

import (
	"context"
	"strings"
	"testing"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/engine/mysql/routines"
	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/testkit"
	"forebay/internal/wire/mysqlwire"
)

// dial logs in and closes the connection with the test.
func dial(t *testing.T, m *localserver.MySQL, user, password, database string, caps mysqlwire.Capability) *login.Server {
	t.Helper()
	s, err := login.Dial(t.Context(), nil, login.DialOptions{
		Address: m.Addr(), TLSMode: resource.TLSRequire, Database: database,
		Credentials:  login.NewCredentials(user, secret.Password(password)),
		Capabilities: mysqlwire.ClientMultiResults | caps,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Conn.Close() })
	return s
}

func connect(t *testing.T, db testkit.MySQLDB) *login.Server {
	t.Helper()
	return dial(t, db.Server, db.User, db.Password, db.Name, 0)
}

// must runs a statement and returns its rows as text.
func must(t *testing.T, s *login.Server, sql string) string {
	t.Helper()
	rows, err := s.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var out []string
	for _, r := range rows {
		for _, v := range r {
			if v == nil {
				out = append(out, "NULL")
			} else {
				out = append(out, *v)
			}
		}
	}
	return strings.Join(out, " ")
}

// can reports whether a statement goes well.
func can(s *login.Server, sql string) bool {
	_, err := s.Query(context.Background(), sql)
	return err == nil
}

// state lists what a session has that a new one has not, as effects.
func state(t *testing.T, s *login.Server) sqltext.Effects {
	t.Helper()
	var e sqltext.Effects
	for _, p := range []struct {
		sql string
		e   sqltext.Effects
	}{
		{"SELECT @a IS NOT NULL", sqltext.UserVariable},
		{"SELECT LAST_INSERT_ID() > 0", sqltext.LastInsertIDWrite},
		{"SELECT IFNULL(IS_USED_LOCK(DATABASE()) = CONNECTION_ID(), 0)", sqltext.NamedLock},
		{"SELECT @@sort_buffer_size = 300000", sqltext.Look},
	} {
		if must(t, s, p.sql) == "1" {
			e |= p.e
		}
	}
	if can(s, "SELECT * FROM temporary_one") {
		e |= sqltext.TempTable
	}
	if can(s, "EXECUTE prepared_one") {
		e |= sqltext.Prepared
	}
	return e
}

const fixture = `
CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, a int);
CREATE TABLE hot (a int);
CREATE TABLE calm (a int);
CREATE TABLE base (a int);
CREATE PROCEDURE p_clean() BEGIN DECLARE x int; SELECT 1 INTO x; SET x = x + 1; END;
CREATE PROCEDURE p_var() SELECT 1 INTO @a;
CREATE PROCEDURE p_setting() SET SESSION sort_buffer_size = 300000;
CREATE PROCEDURE p_settings() SET @@sort_buffer_size = 300000;
CREATE PROCEDURE p_lock() DO GET_LOCK(DATABASE(), 0);
CREATE PROCEDURE p_temp() CREATE TEMPORARY TABLE temporary_one AS SELECT 1;
CREATE PROCEDURE p_prepare() PREPARE prepared_one FROM 'SELECT 1';
CREATE PROCEDURE p_dynamic() BEGIN SET @q = 'SELECT 1 INTO @a'; PREPARE s FROM @q; EXECUTE s; END;
CREATE PROCEDURE p_insert() INSERT INTO t (a) VALUES (1);
CREATE PROCEDURE p_nested() BEGIN IF 1 = 1 THEN CALL p_lock(); ELSE CALL no_such_one(); END IF; END;
CREATE PROCEDURE p_trigger() INSERT INTO hot VALUES (1);
CREATE PROCEDURE p_recursive(n int) BEGIN SET max_sp_recursion_depth = 10; IF n > 0 THEN CALL p_recursive(n - 1); ELSE SELECT 1 INTO @a; END IF; END;
CREATE PROCEDURE p_quotes() BEGIN DECLARE x text; SET x = 'it''s'; DO GET_LOCK(DATABASE(), 0); SET x = 'it\'s'; END;
CREATE PROCEDURE p_backslash() COMMENT 'it''s' BEGIN DECLARE x text; SET x = 'a\\'; SELECT 1 INTO @a; SET x = '\\\''; END;
CREATE FUNCTION f_quotes(x int) RETURNS enum('it''s', 'b') READS SQL DATA DETERMINISTIC RETURN IF(GET_LOCK(DATABASE(), 0), 'it''s', 'b');
CREATE TABLE quoted (a text);
CREATE TRIGGER quoted_1 BEFORE INSERT ON quoted FOR EACH ROW BEGIN SET NEW.a = 'it''s'; SET NEW.a = f_quotes(1); SET NEW.a = 'it''s'; END;
SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES';
CREATE PROCEDURE p_ansi() BEGIN DECLARE "x""" text; SET "x""" = 'a\'; SELECT 1 INTO @a; SET "x""" = '\''\'; END;
SET sql_mode = DEFAULT;
CREATE FUNCTION f_clean(x int) RETURNS int DETERMINISTIC RETURN x + 1;
CREATE FUNCTION f_var() RETURNS int DETERMINISTIC BEGIN SELECT 1 INTO @a; RETURN 1; END;
CREATE FUNCTION f_lock() RETURNS int DETERMINISTIC RETURN GET_LOCK(DATABASE(), 0);
CREATE FUNCTION f_insert() RETURNS int DETERMINISTIC BEGIN INSERT INTO t (a) VALUES (1); RETURN 1; END;
CREATE FUNCTION f_nested() RETURNS int DETERMINISTIC RETURN f_clean(f_lock());
CREATE FUNCTION f_proc() RETURNS int DETERMINISTIC BEGIN CALL p_temp(); RETURN 1; END;
CREATE TRIGGER hot_1 BEFORE INSERT ON hot FOR EACH ROW SET NEW.a = f_var();
CREATE TRIGGER calm_1 BEFORE INSERT ON calm FOR EACH ROW BEGIN IF NEW.a IS NULL THEN SET NEW.a = 1; END IF; END;
CREATE VIEW v_lock AS SELECT GET_LOCK(DATABASE(), 0);
CREATE VIEW v_function AS SELECT f_nested();
CREATE VIEW v_hot AS SELECT a FROM hot;
CREATE VIEW v_of_view AS SELECT * FROM v_function;
CREATE VIEW v_id AS SELECT LAST_INSERT_ID(7);
CREATE VIEW v_clean AS SELECT a, f_clean(a) FROM base`

// TestServers lets the server be the judge: what it finds in the session after a statement, the catalogue, loaded by an
// ordinary user, must have announced.
func TestServers(t *testing.T) {
	t.Parallel()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		db := testkit.MySQLDatabase(t, m)
		s := connect(t, db)
		fingerprint := func() string {
			f, err := routines.Fingerprint(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		before := fingerprint()
		for sql := range strings.SplitSeq(fixture, ";\n") {
			must(t, s, sql)
			if now := fingerprint(); now == before && strings.HasPrefix(sql, "CREATE") && !strings.Contains(sql, "TABLE") {
				t.Errorf("same fingerprint after %s", sql)
			} else {
				before = now
			}
		}
		c := load(t, s)
		if !c.SeesTriggers() {
			t.Error("does not see triggers")
		}
		mode := sqltext.Mode{MariaDB: s.MariaDB, SQLModeKnown: true, Charset: sqltext.UTF8}
		// Not more than this is announced, but for effects that only read.
		const seen = sqltext.UserVariable | sqltext.LastInsertIDWrite | sqltext.NamedLock | sqltext.TempTable |
			sqltext.Prepared | sqltext.Unknown | sqltext.Look | sqltext.Opaque
		tests := []struct {
			sql       string
			announced sqltext.Effects
			left      sqltext.Effects
		}{
			{"CALL p_clean()", 0, 0},
			{"CALL p_var", sqltext.UserVariable, sqltext.UserVariable},
			{"CALL p_setting()", sqltext.Look, sqltext.Look},
			{"CALL p_settings()", sqltext.Look, sqltext.Look},
			{"CALL p_lock()", sqltext.NamedLock, sqltext.NamedLock},
			{"CALL P_TEMP()", sqltext.TempTable, sqltext.TempTable},
			{"CALL p_prepare()", sqltext.Prepared, sqltext.Prepared},
			{"CALL p_dynamic()", sqltext.Unknown | sqltext.Prepared | sqltext.UserVariable, sqltext.UserVariable},
			{"CALL p_insert()", sqltext.LastInsertIDWrite, sqltext.LastInsertIDWrite},
			{"CALL " + db.Name + ".p_nested()", sqltext.Unknown | sqltext.NamedLock, sqltext.NamedLock},
			{"CALL p_trigger()", sqltext.LastInsertIDWrite | sqltext.UserVariable, sqltext.UserVariable},
			{"CALL p_recursive(3)", sqltext.Look | sqltext.UserVariable, sqltext.UserVariable},
			{"CALL p_quotes()", sqltext.NamedLock, sqltext.NamedLock},
			{"CALL p_backslash()", sqltext.UserVariable, sqltext.UserVariable},
			{"CALL p_ansi()", sqltext.UserVariable, sqltext.UserVariable},
			{"SELECT f_quotes(1)", sqltext.NamedLock, sqltext.NamedLock},
			{"INSERT INTO quoted VALUES ('x')", sqltext.NamedLock, sqltext.NamedLock},
			{"SELECT f_clean(1)", 0, 0},
			{"DO f_var()", sqltext.UserVariable, sqltext.UserVariable},
			{"SELECT `f_lock` ( )", sqltext.NamedLock, sqltext.NamedLock},
			{"SELECT f_insert()", 0, 0},
			{"SELECT f_nested()", sqltext.NamedLock, sqltext.NamedLock},
			{"SELECT f_proc()", sqltext.TempTable, sqltext.TempTable},
			{"INSERT INTO hot VALUES (1)", sqltext.UserVariable, sqltext.UserVariable},
			{"INSERT INTO calm VALUES (1)", 0, 0},
			{"DELETE FROM hot WHERE a = 5", sqltext.UserVariable, 0},
			{"SELECT * FROM hot", 0, 0},
			{"SELECT * FROM v_lock", sqltext.NamedLock, sqltext.NamedLock},
			{"SELECT * FROM v_function", sqltext.NamedLock, sqltext.NamedLock},
			{"SELECT * FROM v_of_view", sqltext.NamedLock, sqltext.NamedLock},
			{"SELECT * FROM v_clean", 0, 0},
			{"SELECT * FROM v_id", sqltext.LastInsertIDWrite, sqltext.LastInsertIDWrite},
			{"INSERT INTO v_hot VALUES (2)", sqltext.UserVariable, sqltext.UserVariable},
		}
		for _, tt := range tests {
			var a sqltext.Analysis
			sqltext.Analyze([]byte(tt.sql), mode, &a)
			got := c.Called(&a, []byte(db.Name)) | c.Reached([]byte(tt.sql), mode, []byte(db.Name))
			want := tt.announced
			if tt.sql == "CALL p_settings()" && s.MariaDB {
				want |= sqltext.Opaque // MariaDB does not report it
			}
			if got&seen != want {
				t.Errorf("%s: announced %v, want %v", tt.sql, got&seen, want)
			}
			u := connect(t, db)
			must(t, u, tt.sql)
			if left := state(t, u); left != tt.left {
				t.Errorf("%s: left %v, want %v", tt.sql, left, tt.left)
			}
			must(t, u, "DO RELEASE_ALL_LOCKS()") // the server may see only later that the connection is closed
			u.Conn.Close()
		}
		if left := state(t, s); left != 0 {
			t.Errorf("Load left %v", left)
		}
	})
}

// A user who sees less learns less, and is told so.
func TestServersHide(t *testing.T) {
	t.Parallel()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		db := testkit.MySQLDatabase(t, m)
		s := connect(t, db)
		for sql := range strings.SplitSeq(fixture, ";\n") {
			must(t, s, sql)
		}
		user := db.User + "_less"
		if err := m.CreateUser(t.Context(), localserver.MySQLUser{Name: user, Password: "pw"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.DropUser(context.Background(), user); err != nil {
				t.Error(err)
			}
		})
		if err := m.Exec(t.Context(), "GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON `"+db.Name+"`.* TO "+user); err != nil {
			t.Fatal(err)
		}
		c := load(t, dial(t, m, user, "pw", db.Name, 0))
		if got, want := c.SeesTriggers(), s.MariaDB; got != want {
			t.Errorf("sees triggers: %t, want %t", got, want)
		}
		schema := []byte(db.Name)
		if e, known := c.Effects(schema, []byte("p_clean"), sqltext.CallsProcedure); !known || e != routines.Anything {
			t.Errorf("a procedure whose body is not shown: %v, known %t", e, known)
		}
		if e := c.Reached([]byte("SELECT * FROM v_clean"), mode, schema); e != routines.Anything {
			t.Errorf("a view whose query is not shown: %v", e)
		}
		if e := c.Reached([]byte("INSERT INTO calm VALUES (1)"), mode, schema); s.MariaDB && e != routines.Anything {
			t.Errorf("a trigger whose body is not shown: %v", e)
		}
	})
}
