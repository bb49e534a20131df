package mysql

import (
	"os"
	"strings"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/testkit"
	"forebay/internal/wire/mysqlwire"
)

// suspects are things that a session can leave behind in a way that is easily overlooked. Each is a line of what one session
// does, a statement after the other, and what another one on the same server connection asks then and must be answered. What
// begins with "exec:" goes by the binary protocol, what begins with "keep:" is prepared, and executed by "kept"; "maria:" or "mysql:" before all says for which server it is.
var suspects = []struct{ does, asks, want string }{
	{"exec:SELECT GET_LOCK('$1', 0)", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0), 1", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0) + 1", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT NOT GET_LOCK('$1', 0)", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0), RELEASE_ALL_LOCKS()|SELECT GET_LOCK('$1', 0)", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT RELEASE_ALL_LOCKS(), GET_LOCK('$1', 0)", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0) AS release_all_locks", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0)|SELECT RELEASE_ALL_LOCKS() FROM plain WHERE v = 'nothing'", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0)|SELECT IF(0, RELEASE_ALL_LOCKS(), 1)", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0)|SELECT NOT RELEASE_LOCK('$2')", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0)|SELECT RELEASE_LOCK('$2') OR 1", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0)|SELECT GET_LOCK('$1', 0)|SELECT RELEASE_LOCK('$1')", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0), (SELECT v FROM plain)", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT v FROM plain WHERE GET_LOCK('$1', 0) LIMIT 1", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"DO GET_LOCK('$1', 0)", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"INSERT INTO plain VALUES (GET_LOCK('$1', 0))", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SET @x = GET_LOCK('$1', 0)", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0) UNION ALL SELECT 0", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT GET_LOCK('$1', 0)|DO RELEASE_LOCK('$2')|SELECT RELEASE_LOCK('$2')", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"SELECT RELEASE_LOCK('$1')|SELECT GET_LOCK('$1', 0)", "SELECT RELEASE_ALL_LOCKS()", "0"},

	{"SELECT @a := 1, (SELECT v FROM plain)", "SELECT @a", "NULL"},
	{"SELECT @a := 1 FROM plain WHERE (SELECT v FROM plain)", "SELECT @a", "NULL"},
	{"SELECT v, 1 INTO @b, @a FROM plain", "SELECT @a", "NULL"},
	{"SET @a = 5, nothing_such = 1", "SELECT @a", "NULL"},
	{"SET @a = 5, insert_id = 'x'", "SELECT @a", "NULL"},
	{"SET @a = 5, @b = (SELECT v FROM plain)", "SELECT @a", "NULL"},
	{"SET @a = 5, PASSWORD FOR nobody = 'x'", "SELECT @a", "NULL"},
	{"UPDATE plain SET v = (@a := 5)", "SELECT @a", "NULL"},
	{"PREPARE p FROM 'SET @a = 5'|EXECUTE p|DEALLOCATE PREPARE p", "SELECT @a", "NULL"},
	{"PREPARE p FROM 'SELECT 1'|PREPARE q FROM 'SELECT 5 INTO @a'|EXECUTE q|DEALLOCATE PREPARE p|DEALLOCATE PREPARE q", "SELECT @a", "NULL"},
	{"PREPARE p FROM 'SELECT GET_LOCK(\"$1\", 0)'|EXECUTE p|DEALLOCATE PREPARE p", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"PREPARE p FROM 'CREATE TEMPORARY TABLE x SELECT 1'|EXECUTE p|DEALLOCATE PREPARE p", "SELECT * FROM x", "error 1146"},
	{"SET @q = 'CREATE TEMPORARY TABLE x (a INT)'|PREPARE p FROM @q|EXECUTE p|DEALLOCATE PREPARE p", "SELECT * FROM x", "error 1146"},
	{"maria:EXECUTE IMMEDIATE 'SET @a = 5'", "SELECT @a", "NULL"},
	{"maria:EXECUTE IMMEDIATE 'SELECT GET_LOCK(\"$1\", 0)'", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"PREPARE p FROM 'SELECT 1'|PREPARE p FROM 'SELECT broken'", "EXECUTE p", "error 1243"},
	{"PREPARE P FROM 'SELECT 1'|PREPARE q FROM 'SELECT 1'|DEALLOCATE PREPARE p", "EXECUTE q", "error 1243"},
	{"maria:SET @@lock_wait_timeout = 77", "SELECT @@lock_wait_timeout < 77 OR @@lock_wait_timeout > 77", "1"},
	{"maria:BEGIN NOT ATOMIC SET @a = 5; END", "SELECT @a", "NULL"},
	{"maria:SET STATEMENT lock_wait_timeout = 77 FOR SELECT @a := 5", "SELECT @a", "NULL"},
	{"maria:SET STATEMENT lock_wait_timeout = 77 FOR SET @a = 5", "SELECT @a, @@lock_wait_timeout = 77", "NULL,0"},
	{"maria:SET SESSION TRANSACTION READ ONLY", "INSERT INTO plain VALUES ('x')", ""},
	{"SET SESSION TRANSACTION READ ONLY", "INSERT INTO plain VALUES ('x')", ""},
	{"SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED, READ ONLY", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY|SET autocommit = 1", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY|SET @@autocommit = 1", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY|SET SESSION autocommit = ON, @x = 1", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY|RELEASE SAVEPOINT x", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY|SAVEPOINT x", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY|SAVEPOINT x|ROLLBACK TO x", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY|COMMIT", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY|ROLLBACK", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY|BEGIN|COMMIT AND CHAIN|COMMIT", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY; SELECT 1", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY; COMMIT; SET TRANSACTION READ ONLY", "INSERT INTO plain VALUES ('x')", ""},
	{"SET @@transaction_read_only = 1", "INSERT INTO plain VALUES ('x')", ""},
	{"maria:SET @@tx_read_only = 1", "INSERT INTO plain VALUES ('x')", ""},
	{"maria:SET tx_read_only = 1", "INSERT INTO plain VALUES ('x')", ""},
	{"maria:SET STATEMENT tx_read_only = 1 FOR SET @x = 1", "INSERT INTO plain VALUES ('x')", ""},
	{"START TRANSACTION READ ONLY|COMMIT AND CHAIN|ROLLBACK", "INSERT INTO plain VALUES ('x')", ""},
	{"SET completion_type = 'CHAIN'|BEGIN|COMMIT", "SELECT @@completion_type", "NO_CHAIN"},

	{"LOCK TABLES plain READ", "INSERT INTO plain VALUES ('x')", ""},
	{"SET autocommit = 0|LOCK TABLES plain READ|SELECT * FROM plain|SAVEPOINT a|COMMIT", "SELECT COUNT(*) FROM counted", "0"},
	{"SET autocommit = 0|LOCK TABLES plain WRITE|INSERT INTO plain VALUES ('y')|ROLLBACK", "SELECT COUNT(*) FROM counted", "0"},
	{"LOCK TABLES plain READ|START SLAVE", "SELECT COUNT(*) FROM counted", "0"},
	{"LOCK TABLES plain READ|SELECT 'UNLOCK TABLES'|UNLOCK TABLES nothing", "SELECT COUNT(*) FROM counted", "0"},
	{"UNLOCK TABLES; LOCK TABLES plain READ", "SELECT COUNT(*) FROM counted", "0"},
	{"LOCK TABLES plain READ|UNLOCK TABLES; LOCK TABLES plain READ", "SELECT COUNT(*) FROM counted", "0"},
	{"LOCK TABLES plain READ|UNLOCK TABLES; SELECT ';'; LOCK TABLES plain READ", "SELECT COUNT(*) FROM counted", "0"},
	{"LOCK TABLES plain READ|BEGIN; COMMIT; LOCK TABLES plain READ", "SELECT COUNT(*) FROM counted", "0"},
	{"LOCK TABLES plain READ|BEGIN; SELECT broken; ", "SELECT COUNT(*) FROM counted", "0"},
	{"LOCK TABLE plain READ", "SELECT COUNT(*) FROM counted", "0"},
	{"HANDLER plain OPEN", "HANDLER plain READ FIRST", "error 1109"},
	{"HANDLER plain OPEN AS h|HANDLER plain OPEN AS i|HANDLER h CLOSE", "HANDLER i READ FIRST", "error 1109"},
	{"HANDLER plain OPEN; HANDLER plain CLOSE; HANDLER plain OPEN", "HANDLER plain READ FIRST", "error 1109"},

	{"maria:SET STATEMENT sort_buffer_size = 300000 FOR CALL puts(77)", "SELECT @@lock_wait_timeout = 77", "0"},
	{"maria:CALL puts(77); SET STATEMENT sort_buffer_size = 300000 FOR SELECT 1", "SELECT @@lock_wait_timeout = 77", "0"},
	{"maria:SET STATEMENT lock_wait_timeout = 5 FOR SELECT 1; CALL puts(77)", "SELECT @@lock_wait_timeout = 77", "0"},
	{"maria:exec:SET STATEMENT lock_wait_timeout = 77 FOR SELECT 1|exec:SET STATEMENT lock_wait_timeout = 77 FOR CALL puts(5)", "SELECT @@lock_wait_timeout IN (77, 5)", "0"},
	{"CREATE TEMPORARY TABLE x (a INT); DROP TABLE x; CREATE TEMPORARY TABLE x (a INT)", "SELECT * FROM x", "error 1146"},
	{"CREATE TEMPORARY TABLE x (a INT)|ALTER TABLE x RENAME y|DROP TABLE IF EXISTS x", "SELECT * FROM y", "error 1146"},
	{"CREATE TEMPORARY TABLE x (a INT)|CREATE TABLE y (a INT)|DROP TABLE y", "SELECT * FROM x", "error 1146"},
	{"CREATE TEMPORARY TABLE x (a INT)|DROP TABLE IF EXISTS $other.x", "SELECT * FROM x", "error 1146"},
	{"CREATE TEMPORARY TABLE x (a INT)|USE $other|DROP TABLE IF EXISTS x|USE $db", "SELECT * FROM x", "error 1146"},
	{"CREATE TEMPORARY TABLE x (a INT)|USE $other; DROP TABLE IF EXISTS x; USE $db", "SELECT * FROM x", "error 1146"},
	{"CREATE TEMPORARY TABLE x (a INT)|USE $other|keep:DROP TABLE IF EXISTS x|USE $db|kept", "SELECT * FROM x", "error 1146"},
	{"USE $other|keep:CREATE TEMPORARY TABLE x (a INT)|USE $db|kept|DROP TABLE IF EXISTS x", "SELECT * FROM $other.x", "error 1146"},
	{"CREATE TEMPORARY TABLE X (a INT)|CREATE TEMPORARY TABLE x (a INT)|DROP TABLE X", "SELECT * FROM x", "error 1146"},
	{"CREATE TEMPORARY TABLE IF NOT EXISTS x SELECT 1 AS a|SELECT 1", "SELECT * FROM x", "error 1146"},
	{"CREATE TEMPORARY TABLE x LIKE plain", "SELECT * FROM x", "error 1146"},
	{"maria:CREATE OR REPLACE TEMPORARY TABLE x (a INT)|DROP VIEW IF EXISTS x", "SELECT * FROM x", "error 1146"},
	{"many temporary tables", "SELECT COUNT(*) FROM x256", "error 1146"},
	{"maria:CREATE TEMPORARY SEQUENCE s|DROP TABLE IF EXISTS s|CREATE TEMPORARY SEQUENCE s", "SELECT NEXTVAL(s)", "error 1146 or error 4091"},

	{"INSERT INTO counted VALUES ()|DELETE FROM counted", "SELECT LAST_INSERT_ID()", "0"},
	{"SELECT LAST_INSERT_ID(777)", "SELECT LAST_INSERT_ID()", "0"},
	{"SET @x = LAST_INSERT_ID(777)", "SELECT LAST_INSERT_ID()", "0"},
	{"DO LAST_INSERT_ID(777)", "SELECT LAST_INSERT_ID()", "0"},
	{"UPDATE plain SET v = LAST_INSERT_ID(777) WHERE 0", "SELECT LAST_INSERT_ID()", "0"},
	{"exec:SELECT LAST_INSERT_ID(777)", "SELECT LAST_INSERT_ID()", "0"},
	{"maria:INSERT INTO counted VALUES () RETURNING id|DELETE FROM counted", "SELECT LAST_INSERT_ID()", "0"},
	{"INSERT INTO counted VALUES ()|DELETE FROM counted", "SET @x = LAST_INSERT_ID(); SELECT @x", "0"},
	{"INSERT INTO counted VALUES ()|DELETE FROM counted", "SELECT @@last_insert_id, @@identity", "0,0"},
	{"INSERT INTO counted VALUES ()|DELETE FROM counted", "SELECT id FROM counted WHERE id IS NULL", ""},
	{"INSERT INTO counted VALUES (), (), ()|DELETE FROM counted", "SELECT ROW_COUNT()", "-1 or 0"},
	{"SELECT 1 UNION SELECT 2 UNION SELECT 3", "SELECT FOUND_ROWS()", "0 or 1"},
	{"SELECT SQL_CALC_FOUND_ROWS * FROM (SELECT 1 UNION SELECT 2 UNION SELECT 3) AS x LIMIT 1", "SELECT FOUND_ROWS()", "0 or 1"},
	{"SELECT CAST('leaked' AS SIGNED)", "SHOW WARNINGS", ""},
	{"SELECT CAST('leaked' AS SIGNED)", "SHOW COUNT(*) WARNINGS", "0"},
	{"SELECT CAST('leaked' AS SIGNED)", "SELECT @@warning_count", "0"},
	{"SELECT leaked", "SHOW ERRORS", ""},
	{"SELECT leaked", "GET DIAGNOSTICS @n = NUMBER; SELECT @n", "0"},
	{"SELECT leaked", "SELECT @@error_count", "0"},
	{"SET character_set_client = utf8, sql_mode = 'NO_ZERO_DATE'|SELECT 1", "SHOW WARNINGS", ""},
	{"SET timestamp = 1000", "SELECT UNIX_TIMESTAMP() > 100000", "1"},
	{"SET @@timestamp = 1000", "SELECT UNIX_TIMESTAMP() > 100000", "1"},
	{"SET @@session.timestamp = 1000", "SELECT UNIX_TIMESTAMP() > 100000", "1"},
	{"SET timestamp = 500 + 500", "SELECT UNIX_TIMESTAMP() > 100000", "1"},
	{"SET insert_id = 12345", "DELETE FROM counted; INSERT INTO counted VALUES (); SELECT MAX(id) > 10000 FROM counted", "0"},
	{"SET rand_seed1 = 5, rand_seed2 = 7", "SELECT RAND() = 0.0000001", "0"},
	{"SET collation_connection = latin1_bin", "SELECT @@collation_connection = 'latin1_bin', @@character_set_connection", "0,utf8mb4"},
	{"SET character_set_connection = latin1", "SELECT @@character_set_connection", "utf8mb4"},
	{"SET character_set_database = latin2", "SELECT @@character_set_database = 'latin2'", "0"},
	{"SET collation_database = latin2_bin", "SELECT @@collation_database = 'latin2_bin'", "0"},
	{"SET character_set_server = greek", "SELECT @@character_set_server = 'greek'", "0"},
	{"SET NAMES 'binary'", "SELECT @@character_set_client", "utf8mb4"},
	{"USE $other", "SELECT DATABASE() = '$other'", "0"},
	{"SET profiling = 1", "SELECT @@profiling", "0"},
	{"SET big_tables = 1, @y = 5, lc_time_names = 'de_DE', @z = 'x'", "SELECT @@big_tables, @@lc_time_names, @y, @z", "0,en_US,NULL,NULL"},
	{"mysql:SELECT /*+ SET_VAR(lock_wait_timeout = 77) */ @@lock_wait_timeout", "SELECT @@lock_wait_timeout = 77", "0"},
	{"mysql:SET PERSIST_ONLY nothing = 1", "SELECT 1", "1"},
	{"SET div_precision_increment = 9|exec:SELECT 1/3", "exec:SELECT 1/3", "0.3333"},
	{"SET default_week_format = 6|exec:SELECT WEEK('2020-01-01')", "exec:SELECT WEEK('2020-01-01')", "0"},
	{"SET group_concat_max_len = 4|exec:SELECT GROUP_CONCAT(v) FROM (SELECT 'abc' AS v UNION SELECT 'def') AS x", "exec:SELECT GROUP_CONCAT(v) FROM (SELECT 'abc' AS v UNION SELECT 'def') AS x", "abc,def"},
	{"SET lc_time_names = 'de_DE'|exec:SELECT MONTHNAME('2020-03-01')", "exec:SELECT MONTHNAME('2020-03-01')", "March"},
	{"SET time_zone = '+05:00'|exec:SELECT FROM_UNIXTIME(1000) = CONVERT_TZ('1970-01-01 00:16:40', '+00:00', @@time_zone)", "SET time_zone = '+00:00'|exec:SELECT FROM_UNIXTIME(1000) = CONVERT_TZ('1970-01-01 00:16:40', '+00:00', @@time_zone)", "1"},
	{"mysql:SET time_zone = '+05:00'|exec:SELECT UNIX_TIMESTAMP(TIMESTAMP'2020-01-01 00:00:00+00:00')", "SET time_zone = '+00:00'|exec:SELECT UNIX_TIMESTAMP(TIMESTAMP'2020-01-01 00:00:00+00:00')", "1577836800"},
	{"SET sql_select_limit = 1|exec:SELECT 1 UNION SELECT 2", "exec:SELECT 1 UNION SELECT 2", "1;2"},
	{"mysql:SET block_encryption_mode = 'aes-256-ecb'|exec:SELECT HEX(AES_ENCRYPT('a', 'b'))", "exec:SELECT HEX(AES_ENCRYPT('a', 'b')) = (SELECT HEX(AES_ENCRYPT('a', 'b')) FROM DUAL WHERE @@block_encryption_mode = 'aes-128-ecb')", "1"},
	{"SET sql_auto_is_null = 1|INSERT INTO counted VALUES ()|exec:SELECT COUNT(*) FROM counted WHERE id IS NULL", "INSERT INTO counted VALUES ()|exec:SELECT COUNT(*) FROM counted WHERE id IS NULL", "0"},
	{"SET lc_messages = 'de_DE'|fail:SELECT 'leaked' FROM missing", "fail:SELECT 'leaked' FROM missing", "error 1146"},
	{"maria:SET sql_if_exists = 1|exec:DROP TABLE nothing_such", "fail:DROP TABLE nothing_such", "error 1051"},
	{"maria:SET default_regex_flags = 'EXTENDED'|exec:SELECT 'a b' RLIKE 'a b'", "exec:SELECT 'a b' RLIKE 'a b'", "1"},
	{"maria:SET old_mode = ''|exec:SELECT CHARSET(CONVERT('a' USING utf8))", "exec:SELECT CHARSET(CONVERT('a' USING utf8))", "utf8mb3"},
	{"maria:SET character_set_collations = 'latin1=latin1_bin'|exec:SELECT COLLATION(_latin1'a')", "exec:SELECT COLLATION(_latin1'a')", "latin1_swedish_ci"},
	{"mysql:SET default_collation_for_utf8mb4 = utf8mb4_general_ci|exec:SELECT COLLATION(_utf8mb4'a')", "exec:SELECT COLLATION(_utf8mb4'a')", "utf8mb4_0900_ai_ci"},
	{"SET character_set_results = latin1|exec:SELECT CHARSET('a')", "exec:SELECT CHARSET('a')", "utf8mb4"},
	{"SET @a = 'text'|exec:SELECT @a", "SET @a = 5|exec:SELECT @a + 1, @a", "6,5"},
	{"SET @a = 'text'|exec:SELECT @a", "SET @a = 5|exec:SELECT @a", "5"},
	{"SET @a = 5|exec:SELECT @a", "SET @a = 'text'|exec:SELECT @a", "text"},
	{"SET @@timestamp = 500 + 500", "SELECT UNIX_TIMESTAMP() > 100000", "1"},
	{"SET @@lock_wait_timeout = 70 + 7", "SELECT @@lock_wait_timeout = 77", "0"},
	{"SET sql_mode = 'ANSI_QUOTES'|exec:SELECT \"v\" FROM plain LIMIT 1", "exec:SELECT \"v\" FROM plain LIMIT 1", "v"},
	{"USE $other|exec:SELECT DATABASE()", "exec:SELECT DATABASE()", "$db"},
	{"SET collation_connection = utf8mb4_bin|exec:SELECT 'a' = 'A'", "exec:SELECT 'a' = 'A'", "1"},
	{"SET timestamp = 1000|exec:SELECT UNIX_TIMESTAMP() > 100000", "exec:SELECT UNIX_TIMESTAMP() > 100000", "1"},
	{"CREATE TEMPORARY TABLE plain (v VARCHAR(100), w INT)|exec:SELECT * FROM plain WHERE v = 'nothing'", "SELECT 1|exec:SELECT COUNT(*) > 1 FROM plain", "1"},
	{"SET max_sort_length = 4|exec:SELECT 'abcdefgh' AS v UNION SELECT 'abcdefga' ORDER BY v", "exec:SELECT 'abcdefgh' AS v UNION SELECT 'abcdefga' ORDER BY v", "abcdefga;abcdefgh"},
	{"SET max_error_count = 0|exec:SELECT CAST('x' AS SIGNED)", "exec:SELECT CAST('x' AS SIGNED)|SELECT @@warning_count", "1"},
	{"mysql:SET internal_tmp_mem_storage_engine = MEMORY, windowing_use_high_precision = 0|exec:SELECT AVG(1.5) OVER () FROM plain LIMIT 1", "exec:SELECT @@windowing_use_high_precision", "1"},

	// A session that is pinned when it leaves has its server connection reset.
	{"SET ROLE $role|SELECT GET_LOCK('$1', 0)", "SELECT COALESCE(CURRENT_ROLE(), 'NONE')", "NONE"},
	{"INSERT INTO counted VALUES ()|SELECT GET_LOCK('$1', 0)", "SELECT LAST_INSERT_ID()", "0"},
	{"SET time_zone = '+05:00', timestamp = 1000|SELECT 5 INTO @a|SELECT GET_LOCK('$1', 0)", "SELECT @@time_zone, UNIX_TIMESTAMP() > 100000, @a", "SYSTEM,1,NULL"},
	{"SET NAMES latin1|SELECT GET_LOCK('$1', 0)", "SELECT @@character_set_client, @@character_set_results, @@collation_connection LIKE 'utf8mb4%'", "utf8mb4,utf8mb4,1"},
	{"USE $other|SELECT GET_LOCK('$1', 0)", "SELECT DATABASE()", "$db"},
	{"option:1|SELECT GET_LOCK('$1', 0)", "SELECT 1; SELECT 2", "2"},
	{"option:1|SELECT 1", "SELECT 1; SELECT 2", "2"},
	{"SELECT leaked|SELECT GET_LOCK('$1', 0)", "SHOW WARNINGS", ""},
	{"SET SESSION TRANSACTION READ ONLY|SELECT GET_LOCK('$1', 0)", "INSERT INTO plain VALUES ('x')", ""},
	{"SET TRANSACTION READ ONLY|SELECT GET_LOCK('$1', 0)", "INSERT INTO plain VALUES ('x')", ""},
	{"SET autocommit = 0|SELECT GET_LOCK('$1', 0)|INSERT INTO counted VALUES ()", "SELECT @@autocommit, (SELECT COUNT(*) FROM counted)", "1,0"},
	{"LOCK TABLES plain WRITE|SELECT GET_LOCK('$1', 0)", "SELECT COUNT(*) FROM counted", "0"},
	{"HANDLER plain OPEN|SELECT GET_LOCK('$1', 0)", "HANDLER plain READ FIRST", "error 1109"},
	{"mysql:SET profiling = 1|SELECT GET_LOCK('$1', 0)", "SHOW PROFILES", ""},
	{"CALL sets_a(5)", "SELECT @a", "NULL"},
	{"SELECT sets_b(5)", "SELECT @b", "NULL"},
	{"SELECT * FROM sees_b", "SELECT @b", "NULL"},
	{"INSERT INTO triggered VALUES ('x', 1)|DELETE FROM triggered", "SELECT @c", "NULL"},
	{"CALL locks('$1')", "SELECT RELEASE_ALL_LOCKS()", "0"},
	{"CALL sets_mode()", "SELECT @@sql_mode = 'ANSI_QUOTES', @@lock_wait_timeout = 78", "0,0"},
	{"CALL sets_and_fails()", "SELECT @@lock_wait_timeout = 79, @d", "0,NULL"},
	{"CALL begins()", "SELECT COUNT(*) FROM counted", "0"},
	{"CALL begins(); SELECT broken", "SELECT COUNT(*) FROM counted", "0"},
	{"CALL begins_and_fails()", "SELECT COUNT(*) FROM counted", "0"},
	{"CALL makes_temporary()", "SELECT * FROM x", "error 1146"},
	{"CALL sets_timestamp()", "SELECT UNIX_TIMESTAMP() > 100000", "1"},
	{"CALL sets_next()", "INSERT INTO plain VALUES ('x')", ""},
	{"CALL changes_names()", "SELECT @@character_set_results", "utf8mb4"},
	{"CALL gives(@a, @b)", "SELECT @a, @b", "NULL,NULL"},
	{"INSERT INTO counted VALUES ()|DELETE FROM counted", "SELECT reads_id()", "0"},
	{"INSERT INTO counted VALUES ()|DELETE FROM counted", "SELECT * FROM sees_id", "0"},
	{"INSERT INTO counted VALUES ()|DELETE FROM counted", "DELETE FROM triggered; INSERT INTO triggered VALUES ('y', 0); SELECT seen FROM triggered", "0"},
	{"INSERT INTO counted VALUES ()|DELETE FROM counted", "exec:INSERT INTO triggered VALUES ('y', 0)|SELECT MAX(seen) FROM triggered", "0"},
}

// setting are the tables and routines that suspects use.
var setting = []string{
	"CREATE TABLE plain (v VARCHAR(100))", "INSERT INTO plain VALUES ('a'), ('b')",
	"CREATE TABLE counted (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB",
	"CREATE TABLE triggered (v VARCHAR(100), seen BIGINT)",
	"CREATE TRIGGER tr BEFORE INSERT ON triggered FOR EACH ROW BEGIN SET NEW.seen = LAST_INSERT_ID(); SET @c = 5; END",
	"CREATE PROCEDURE sets_a(v INT) SET @a = v",
	"CREATE PROCEDURE puts(v INT) SET SESSION lock_wait_timeout = v",
	"CREATE FUNCTION sets_b(v INT) RETURNS INT NO SQL BEGIN SET @b = v; RETURN v; END",
	"CREATE FUNCTION reads_id() RETURNS BIGINT NO SQL RETURN LAST_INSERT_ID()",
	"CREATE VIEW sees_b AS SELECT sets_b(5) AS b",
	"CREATE VIEW sees_id AS SELECT reads_id() AS i",
	"CREATE PROCEDURE locks(n VARCHAR(60)) DO GET_LOCK(n, 0)",
	"CREATE PROCEDURE sets_mode() BEGIN SET sql_mode = 'ANSI_QUOTES'; SET lock_wait_timeout = 78; END",
	"CREATE PROCEDURE sets_and_fails() BEGIN SET lock_wait_timeout = 79; SET @d = 1; SELECT * FROM missing; END",
	"CREATE PROCEDURE begins() BEGIN START TRANSACTION; INSERT INTO counted VALUES (); END",
	"CREATE PROCEDURE begins_and_fails() BEGIN START TRANSACTION; INSERT INTO counted VALUES (); SELECT * FROM missing; END",
	"CREATE PROCEDURE makes_temporary() CREATE TEMPORARY TABLE x SELECT 1 AS a",
	"CREATE PROCEDURE sets_timestamp() SET timestamp = 1000",
	"CREATE PROCEDURE sets_next() SET TRANSACTION READ ONLY",
	"CREATE PROCEDURE changes_names() SET NAMES latin1",
	"CREATE PROCEDURE gives(OUT a INT, INOUT b INT) BEGIN SET a = 1; SET b = 2; END",
}

// TestSuspects runs each suspect twice: the first session is still there when the second asks, or has left. Forebay knows
// what routines do for half of them; for all of them both ways with FOREBAY_LEAK_ROUNDS.
func TestSuspects(t *testing.T) {
	t.Parallel()
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		for _, known := range []bool{false, true} {
			w := newWorld(t, m, options{pool: 1})
			define := w.open(usual)
			for _, sql := range setting {
				if _, err := define.query(sql); err != nil {
					t.Fatalf("%s: %v", sql, err)
				}
			}
			define.leave()
			w.role = "role_" + w.db.User
			w.super("CREATE ROLE " + w.role)
			w.super("GRANT " + w.role + " TO `" + w.db.User + "`@'%'")
			defer w.super("DROP ROLE " + w.role)
			if known { // to Forebay, what routines do
				w.waitForRoutines()
			}
			for i, s := range suspects {
				if (i%2 == 0) == known || os.Getenv("FOREBAY_LEAK_ROUNDS") != "" {
					w.suspect(i, s.does, s.asks, s.want)
				}
			}
		}
	})
}

// forServer reports whether a line is for this server, and returns the rest of it.
func (w *world) forServer(line string) (string, bool) {
	if rest, ok := strings.CutPrefix(line, "maria:"); ok {
		return rest, w.maria
	}
	if rest, ok := strings.CutPrefix(line, "mysql:"); ok {
		return rest, !w.maria
	}
	return line, true
}

func (w *world) suspect(i int, does, asks, want string) {
	t := w.t
	line, ok := w.forServer(does)
	if only := os.Getenv("FOREBAY_SUSPECT"); !ok || !strings.Contains(does, only) { // one of them, while working on it
		return
	}
	names := strings.NewReplacer("$1", w.db.Name+"_1", "$2", w.db.Name+"_2", "$other", w.other, "$db", w.db.Name, "$role", w.role)
	for turn := range 2 {
		leaves, caps := turn == 0, (i+turn)%2
		{
			c := usual
			if caps == 1 {
				c &^= deprecateEOF
			}
			a := w.open(c)
			w.do(a, names.Replace(line))
			if _, err := a.simple(mysqlwire.ComPing); err != nil { // what the last command left is known then
				t.Errorf("suspect %d: ping: %v", i, err)
			}
			if !leaves && (w.pinned() || a.status.Has(mysqlwire.StatusInTrans)) {
				a.leave() // the other would wait for it
				continue
			}
			if leaves {
				a.leave()
			}
			b := w.open(c)
			before, last := "", names.Replace(asks)
			if i := strings.LastIndex(last, "|"); i >= 0 {
				before, last = last[:i], last[i+1:]
			}
			if before != "" {
				w.do(b, before)
			}
			got := ""
			if rest, ok := cutAny(last, "exec:", "fail:"); !ok {
				got = text(b.query(last))
			} else if st, err := b.prepare(rest); err != nil {
				got = text(nil, err)
			} else {
				got = text(b.execute(st, true))
			}
			good := false
			for alternative := range strings.SplitSeq(want, " or ") {
				good = good || got == names.Replace(alternative)
			}
			if !good {
				t.Errorf("suspect %d, session left %v, capabilities %d: after %s: %s = %q, want %q", i, leaves, caps, does, asks, got, want)
			}
			_, _ = b.query("DELETE FROM counted")
			b.leave()
			a.leave()
		}
	}
}

func cutAny(s string, prefixes ...string) (rest string, ok bool) {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return rest, true
		}
	}
	return s, false
}

// do does what a line says.
func (w *world) do(c *client, line string) {
	if line == "many temporary tables" {
		for i := range 257 {
			w.do(c, "CREATE TEMPORARY TABLE x"+itoa(i)+" (a INT)")
		}
		for i := range 256 {
			w.do(c, "DROP TEMPORARY TABLE x"+itoa(i))
		}
		return
	}
	var kept *statement
	for sql := range strings.SplitSeq(line, "|") {
		if rest, ok := strings.CutPrefix(sql, "keep:"); ok {
			var err error
			if kept, err = c.prepare(rest); err != nil {
				w.t.Fatalf("%s: %v", rest, err)
			}
			continue
		}
		if sql == "kept" {
			_, _ = c.execute(kept, true)
			continue
		}
		if rest, ok := strings.CutPrefix(sql, "option:"); ok {
			if _, err := c.simple(mysqlwire.ComSetOption, rest[0]-'0', 0); err != nil {
				w.t.Fatalf("COM_SET_OPTION: %v", err)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(sql, "fail:"); ok {
			if st, err := c.prepare(rest); err == nil {
				_, _ = c.execute(st, true)
				_ = c.close(st)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(sql, "exec:"); ok {
			st, err := c.prepare(rest)
			if err != nil {
				w.t.Fatalf("%s: %v", rest, err)
			}
			if _, err := c.execute(st, true); err != nil {
				w.t.Fatalf("%s: %v", rest, err)
			}
			if err := c.close(st); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		_, _ = c.query(sql) // it may be wrong
	}
}

// pinned reports whether a session keeps its server connection.
func (w *world) pinned() bool { return w.f != nil && len(w.f.Plane.Pins().Pinned) > 0 }
