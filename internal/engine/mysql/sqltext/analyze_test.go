package sqltext_test

import (
	"testing"

	. "forebay/internal/engine/mysql/sqltext"
)

// Modes of the tests: what a session usually has.
var (
	mysql8  = Mode{Version: 80036, SQLModeKnown: true, Charset: UTF8}
	mysql57 = Mode{Version: 50744, SQLModeKnown: true, Charset: UTF8}
	maria   = Mode{Version: 101106, MariaDB: true, SQLModeKnown: true, Charset: UTF8}
)

type effectTest struct {
	sql  string
	want Effects
}

func checkEffects(t *testing.T, mode Mode, tests []effectTest) {
	t.Helper()
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), mode, &a)
		if a.Effects != tt.want {
			t.Errorf("%s\n got %v\nwant %v", tt.sql, a.Effects, tt.want)
		}
	}
}

const (
	changed   = DDL | ImplicitCommit
	admin     = Admin | ImplicitCommit
	ambiguous = Unknown | Unclear
)

// TestEffects has what both servers agree on.
func TestEffects(t *testing.T) {
	t.Parallel()
	const insert = LastInsertIDWrite
	tests := []effectTest{
		// Everyday statements.
		{"", 0},
		{" ; ;; -- nothing\n", 0},
		{"SELECT 1", 0},
		{"SELECT c FROM sbtest1 WHERE id=5047", 0},
		{"select * from t where a = ? and b in (?, ?, ?) limit 10", 0},
		{"SELECT SUM(k) FROM sbtest1 WHERE id BETWEEN 1 AND 100", 0},
		{"SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 1 AND 100 ORDER BY c", 0},
		{"UPDATE sbtest1 SET k=k+1 WHERE id=1", 0},
		{"DELETE FROM sbtest1 WHERE id=1", 0},
		{"INSERT INTO sbtest1 (id, k, c, pad) VALUES (1, 2, 'x', 'y')", insert},
		{"insert t (a) values (1) on duplicate key update a = values(a) + 1", insert},
		{"INSERT LOW_PRIORITY IGNORE INTO `db`.`t` (`a`) SELECT a FROM u", insert},
		{"insert into t values (1) as new(a) on duplicate key update b = new.a", insert},
		{"REPLACE INTO t(a) VALUES (now(6))", insert},
		{"select count(*), coalesce(sum(x), 0), left(y, 3), if(a, b, c), date_add(d, interval 1 day) from t", 0},
		{"select * from a join b using (id) left join c on (a.x = c.x) where not exists (select 1) and (a.y) > all (select 1)", 0},
		{"select * from (select 1 as a) as q (b), (select 2) r (c)", 0},
		{"with x (a) as (select 1), y (b, c) as (select 1, 2) select * from x, y", 0},
		{"with recursive x (n) as (select 1 union all select n + 1 from x) select * from x", 0},
		{"(select 1) union all (select 2) order by 1 limit 3", 0},
		{"select cast(a as decimal(10, 2)), convert(b, char(3)), match (a) against ('x' in boolean mode) from t", 0},
		{"select * from t use index (i) ignore index for join (j) where a in (1)", 0},
		{"select * from t partition (p0, p1) for update", 0},
		{"select row_number() over (partition by a order by b) from t", 0},
		{"select 'GET_LOCK(''a'')', \"set @a = 1\", `get_lock` from t", 0},
		{"select /* get_lock('a', 1) */ 1 -- @a := 1", 0},
		{"select 1 # @a := 1", 0},
		{"select 1--1", 0},
		{"select 1 --\tget_lock('a', 1)\n, 2", 0},
		{"select 1 /*+ SET_VAR(sort_buffer_size = 1M) */", 0},
		{"select /*+ MAX_EXECUTION_TIME(1000) */ * from t", 0},
		{"select X'41', 0x41, b'01', 1.5e3, .5, 1e5, _utf8mb4'x', N'y', date'2020-01-01'", 0},
		{"select a.into, t.get_lock from t", 0},
		{"select t.1a, 1e5 from t", 0},
		{"select * from t into outfile 'x'", 0},
		{"select 'a\\'b', 'c''d'", 0},
		{"select rand(), rand(3), uuid(), sleep(1), is_free_lock('a')", 0},
		{"do sleep(1)", 0},
		{"help 'select'", 0},
		{"explain select 1", 0},
		{"desc t", 0},
		{"describe t a", 0},
		{"explain format=json select count(*) from t", 0},
		{"show tables", 0},
		{"show variables like 'a%'", 0},
		{"show grants for current_user()", 0},
		{"signal sqlstate '45000' set message_text = 'x'", 0},
		{"select @@version, @@session.sql_mode, @@global.x, @@`time_zone`", 0},
		{"truncate t", changed},

		// Transactions.
		{"BEGIN", TxControl},
		{"begin work", TxControl},
		{"START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT", TxControl},
		{"COMMIT", TxControl},
		{"commit and chain no release", TxControl},
		{"rollback release", TxControl | Disconnects},
		{"ROLLBACK TO SAVEPOINT release1", TxControl},
		{"savepoint a", TxControl},
		{"release savepoint a", TxControl},
		{"set autocommit = 0", TxControl | Assigns},
		{"XA START 'x'", XA},
		{"xa end 'x'", XA},
		{"xa prepare 'x'", XA | Ends},
		{"xa recover", 0},
		{"set transaction isolation level read committed", NextTransaction},
		{"set session transaction isolation level read committed, read only", Assigns},
		{"set global transaction read only", 0},
		{"set @@transaction_isolation = 'serializable'", NextTransaction},
		{"set @@session.transaction_isolation = 'serializable'", Assigns},
		{"set transaction_isolation = 'serializable'", Assigns},

		// Settings.
		{"SET NAMES utf8mb4", Assigns | SetsMode},
		{"set names 'utf8mb4' collate 'utf8mb4_bin'", Assigns | SetsMode},
		{"set character set utf8", Assigns | SetsMode},
		{"set charset default", Assigns | SetsMode},
		{"set names utf8mb4, sql_mode = '', time_zone = '+00:00'", Assigns | SetsMode},
		{"SET sql_mode = 'ANSI'", Assigns | SetsMode},
		{"set sql_mode = concat(@@sql_mode, ',ANSI')", Look | SetsMode},
		{"set wait_timeout = 10, @@session.time_zone := 'UTC', local sort_buffer_size = default", Assigns},
		{"set wait_timeout = 10 * 2", Look},
		{"set wait_timeout = ?", Look},
		{"set global max_connections = 5", 0},
		{"set persist max_connections = 5", 0},
		{"set @@global.max_connections = 5, @@persist_only.x = 2", 0},
		{"set global max_connections = 5, wait_timeout = 2", Look},
		{"set global x = 5, session wait_timeout = 2, sql_notes = 1", Assigns},
		{"set new_plugin_variable = 1", Look | Assigns},
		{"set component.x = 1", Look},
		{"set insert_id = 5", Opaque},
		{"set rand_seed1 = 1, rand_seed2 = 2", Opaque},
		{"set timestamp = 1", Assigns},
		{"set profiling = 1", Opaque},
		{"set last_insert_id = 5", LastInsertIDWrite | Opaque},
		{"set pseudo_thread_id = 5", Opaque | ThreadID},
		{"set sql_log_bin = off", Assigns},
		{"set session_track_schema = on", Assigns},
		{"set role r", Role | Look},
		{"set role none", Role | Look},
		{"set default role r to u@h", admin},
		{"set password = 'x'", admin},
		{"set password for u@h = 'x'", admin},
		{"set resource group g", Opaque},
		{"set", Unknown | Look},
		{"set x", Unknown | Look},

		// User variables.
		{"set @a = 1", Assigns},
		{"set @a := 'x', @`b` = null, @'c' = -1.5, @d = X'00'", Assigns},
		{"set @a = @b", UserVariable | ReadsUserVariable},
		{"set @a = 1 + 1", UserVariable},
		{"set @a = (select 1)", UserVariable},
		{"set @a = 'a' 'b'", UserVariable},
		{"set @a = x", UserVariable},
		{"set @a = N'x'", UserVariable},
		{"set @a = ?", Assigns},
		{"set @a = ? + 1", UserVariable},
		{"set @a = -?", UserVariable},
		{"set @a = f(1)", UserVariable | Call},
		{"set @a = 1, @b = @a + 1", Assigns | UserVariable | ReadsUserVariable},
		{"select @a", ReadsUserVariable},
		{"select @a := @a + 1 from t", UserVariable | ReadsUserVariable},
		{"update t set x = (@a := x)", UserVariable | ReadsUserVariable},
		{"select 1 into @a", UserVariable | ReadsUserVariable},
		{"select 1.into @a", UserVariable | ReadsUserVariable},
		{"select .5into @a", UserVariable | ReadsUserVariable},
		{"select a, b into @a, @b from t", UserVariable | ReadsUserVariable},
		{"explain format=json into @a select 1", UserVariable},
		{"get diagnostics @n = number", DiagnosticsRead | UserVariable},
		{"call p(1)", Call},
		{"load data infile 'x' into table t (a, @b) set c = @b", LastInsertIDWrite | UserVariable | ReadsUserVariable},
		{"load data local infile 'x' into table t", LastInsertIDWrite | LocalInfile},
		{"load index into cache t", admin},

		// The default database.
		{"USE db", Schema | Assigns},
		{"use `a``b`", Schema | Assigns},
		{"drop database if exists db", changed | Schema},
		{"create database db", changed},

		// Locks.
		{"LOCK TABLES a READ, b WRITE", LockTables | ImplicitCommit},
		{"unlock tables", Ends | ImplicitCommit},
		{"FLUSH TABLES WITH READ LOCK", admin | GlobalLock},
		{"flush tables a for export", admin | GlobalLock},
		{"flush privileges", admin},
		{"lock instance for backup", GlobalLock},
		{"unlock instance", Ends},
		{"SELECT GET_LOCK('a', 10)", NamedLock},
		{"select get_lock ('a', 10)", NamedLock},
		{"select get_lock/**/('a', 10)", NamedLock},
		{"select release_lock('a')", Ends},
		{"select release_all_locks()", Ends},
		{"select is_used_lock('a')", ThreadID},
		{"select service_get_write_locks('ns', 'a', 1)", NamedLock | Call},

		// Temporary tables, prepared statements, handlers.
		{"CREATE TEMPORARY TABLE t (a int, key k (a))", DDL | TempTable},
		{"create temporary table if not exists d.t select f(1)", DDL | TempTable | Call},
		{"create table t (a int, index i (a), constraint c check (a > 0)) partition by range (a) (partition p values less than (3))", changed},
		{"create table t as select a from u", changed},
		{"DROP TABLE IF EXISTS a, b", changed | Ends | DropsTable},
		{"drop temporary table a", DDL | Ends | DropsTable},
		{"alter table a add column b int default 1", changed},
		{"alter table a rename to b", changed | RenamesTable},
		{"rename table a to b", changed | RenamesTable},
		{"handler t open as h", Handler},
		{"handler h read first", 0},
		{"handler h close", Ends},
		{"PREPARE s FROM 'select ?'", Prepared},
		{"prepare s from @q", Prepared | ReadsUserVariable},
		{"execute s using @a, @b", UsesPrepared | ReadsUserVariable},
		{"deallocate prepare s", Ends},
		{"drop prepare s", Ends},

		// Routines.
		{"select f(1)", Call},
		{"select f ( 1 )", Call},
		{"select db.f(1), `f`(2)", Call},
		{"select a, f(x, y) as z from t", Call},
		{"do f()", Call},
		{"create procedure p() set @a = 1", changed},
		{"create procedure p() begin set @a = 1; select get_lock('a', 1); end", changed},
		{"create procedure if not exists p() begin if a then set @a = 1; elseif b then select 1; else select case when a then b else c end; end if; end; select 1", changed},
		{"create procedure p() begin end; set @a = 1 + 1", changed | UserVariable},
		{"create procedure p() l: begin declare exit handler for not found begin end; l2: loop leave l2; end loop l2; end l; set @a = f()", changed | UserVariable | Call},
		{"create procedure p() begin while a do repeat set @b = repeat('x', 3); until c end repeat; end while; case x when 1 then select 1; end case; end; commit", changed | TxControl},
		{"create function f() returns char(3) character set utf8 return if(1, 2, 3); commit", changed | TxControl},
		{"create function f() returns set('a') deterministic return case 1 when 2 then 3 end; commit", changed | TxControl},
		{"create trigger t before insert on a for each row set new.x = 1; commit", changed | TxControl},
		{"create trigger t before insert on a for each row begin set @a = 1; end", changed},
		// Words that look like the beginning or the end of a block, where a statement after the body could hide.
		{"create trigger t before insert on a for each row do case when 1 then 2 end; set @a = f(); end", changed | UserVariable | Call | Unknown},
		{"create procedure p() do if(1, 2, 3); commit; set @a = f() + 1; end", changed | UserVariable | Call | TxControl | Unknown},
		{"create procedure p() begin declare begin int; select 1 begin; do case when 1 then 2 end; end; commit", changed | TxControl},
		{"create procedure p() begin declare exit handler for not found select 1 begin; end; commit", changed | TxControl},
		{"create procedure p() execute immediate case when 1 then 'a' end; commit", changed | TxControl | Unknown},
		{"create event e on schedule every 1 day do begin set @a = 1; end", changed},
		{"alter event e do set @a = 1", changed},
		{"create view v as select get_lock('a', 1)", changed},
		{"create procedure p() begin set @a = 1;", changed | ambiguous},
		{"create definer = 'u'@'h' procedure p() select 1", changed},
		{"create user u@h identified by 'x'", changed},

		// What the statement before left.
		{"select last_insert_id()", LastInsertIDRead},
		{"select last_insert_id(5)", LastInsertIDRead | LastInsertIDWrite},
		{"select @@last_insert_id, @@session.identity", LastInsertIDRead},
		{"select row_count()", RowCountRead},
		{"select sql_calc_found_rows * from t limit 1", FoundRowsWrite},
		{"select found_rows()", FoundRowsRead},
		{"show warnings", DiagnosticsRead},
		{"show count(*) errors", DiagnosticsRead},
		{"select @@warning_count", DiagnosticsRead},
		{"get current diagnostics condition 1 x = message_text", DiagnosticsRead},

		// Connections.
		{"select connection_id()", ThreadID},
		{"select @@pseudo_thread_id", ThreadID},
		{"KILL 5", Kill},
		{"kill query 5", Kill},
		{"kill connection_id()", Kill | ThreadID},
		{"show full processlist", Processlist},
		{"select * from information_schema.processlist", Processlist},
		{"explain for connection 5", ThreadID},

		// The server.
		{"shutdown", Admin | Disconnects},
		{"reset master", admin},
		{"change master to master_host = 'x'", admin},
		{"start slave", admin},
		{"grant select on t to u", admin},
		{"analyze table t", changed},
		{"optimize table t", changed},
		{"analyze table t persistent for columns (a) indexes (b)", changed},
		{"show profiles", 0},
		{"binlog 'x'", Unknown},
		{"frobnicate t", Unknown},
		{"begin not atomic set @a = 1; end", TxControl | Unknown},

		// Executable comments.
		{"/*!40101 SET NAMES utf8mb4 */", Assigns | SetsMode},
		{"select /*! get_lock('a', 1) */", NamedLock},
		{"select /*!50100 get_lock('a', */ 1)", NamedLock},
		{"/*!40014 set @a = 1, foreign_key_checks = 0 */;", Assigns},
		{"/*!40101 set @a = 1 */ + 1", UserVariable},
		{"select 1 /*!40101 into /* x */ @a */", UserVariable | ReadsUserVariable},
		{"/*!40101 select 1", ambiguous},

		// Several statements.
		{"select 1; set @a = 1; begin", Assigns | TxControl},
		{"set names latin1; select 1", Assigns | SetsMode},
		{"set names latin1; select 'a\\'", Assigns | SetsMode | ambiguous},
		{"set sql_mode = ''; select \"a\"", Assigns | SetsMode | ambiguous},

		// Refused, or read otherwise by some.
		{"select 'open", ambiguous},
		{"select `open", ambiguous},
		{"select /* open", ambiguous},
		{"select 1\x00", ambiguous},
		{"select é from t", 0},
		{"select `\xc3` from t", ambiguous},
		{"select a\xa0into\xa0@a", ambiguous | ReadsUserVariable},
		{"select /*+ x('*/') */ 1", ambiguous},
	}
	checkEffects(t, mysql8, tests)
	var same []effectTest
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), maria, &a)
		// Writing may draw from a sequence there.
		if a.Effects&SequenceWrite == 0 {
			same = append(same, tt)
		}
	}
	checkEffects(t, maria, same)
}

func TestEffectsMySQL(t *testing.T) {
	t.Parallel()
	checkEffects(t, mysql8, []effectTest{
		{"select bin_to_uuid(a), json_value(b, '$'), regexp_replace(c, 'a', 'b') from t", 0},
		{"select nvl(a, b), to_char(c), password('x'), encode(a, b) from t", Call},
		{"select nextval(s)", Call | SequenceWrite},
		{"select lastval(s)", Call | SequenceRead},
		{"select /*!80000 get_lock('a', 1) */ 1", NamedLock},
		{"select /*!80100 get_lock('a', 1) */ 1", 0},
		{"select /*!80100 a /* b */ get_lock('a', 1) */ 1", 0},
		{"select /*M! get_lock('a', 1) */ 1", 0},
		{"select /*!100100 get_lock('a', 1) */ 1", ambiguous},
		{"set statement a = 1 for select 1", Unknown},
		{"create function f() returns int language javascript as $$ x; $$", changed | ambiguous},
		{"select $a from t", 0},
	})
	checkEffects(t, mysql57, []effectTest{
		{"select bin_to_uuid(a) from t", Call},
		{"select /*!80000 get_lock('a', 1) */ 1", 0},
		{"select /*!50705 get_lock('a', 1) */ 1", NamedLock},
	})
	unknown := mysql8
	unknown.Version = 0
	checkEffects(t, unknown, []effectTest{
		{"select bin_to_uuid(a) from t", Call},
		{"select /*!80000 get_lock('a', 1), */ /*!90000 connection_id(), */ 1", NamedLock | ThreadID},
		{"set /*!80000 @a = 1, */ @b = 2", Assigns | Unknown},
		{"set /*!50100 @a = 1, */ @b = 2", Assigns},
		{"select 1 /*!80000 ; set @a = 1 + 1 */", UserVariable},
	})
}

func TestEffectsMariaDB(t *testing.T) {
	t.Parallel()
	const insert = LastInsertIDWrite | SequenceWrite
	checkEffects(t, maria, []effectTest{
		{"select nvl(a, b), to_char(c), chr(5) from t", 0},
		{"select bin_to_uuid(a) from t", Call},
		{"insert into t (a) values (1) returning a", insert},
		{"update t set a = 1", SequenceWrite},
		{"select nextval(s), next value for s", SequenceWrite},
		{"select lastval(s)", SequenceRead},
		{"select previous value for s", SequenceRead},
		{"select s.nextval", SequenceWrite | SequenceRead},
		{"select setval(s, 5)", 0},
		{"create temporary sequence s", changed | TempTable},
		{"create or replace temporary table t (a int)", DDL | TempTable},
		{"set statement max_statement_time = 1 for select get_lock('a', 1)", NamedLock | SetStatement},
		{"set statement a = 1, b = f(2) for set @a = 1", Assigns | Call | SetStatement},
		{"set statement a = 1 for set statement b = 2 for select 1", SetStatement | Unknown},
		{"backup stage start", GlobalLock | Ends},
		{"backup lock t", GlobalLock},
		{"backup unlock", Ends},
		{"select /*M! get_lock('a', 1) */ 1", NamedLock},
		{"select /*M!100100 get_lock('a', 1) */ 1", NamedLock},
		{"select /*!100100 get_lock('a', 1) */ 1", NamedLock},
		{"select /*!50701 get_lock('a', 1) */ 1", 0},
		{"select /*M!50701 get_lock('a', 1) */ 1", NamedLock},
		{"select /*!110000 get_lock('a', 1) */ 1", 0},
		{"execute immediate 'set @a = 1'", Unknown},
		{"kill user root", Kill},
		{"analyze select f(1)", Call},
		{"analyze format=json update t set a = 1", SequenceWrite},
		{"show explain for 5", ThreadID},
		{"create package p as procedure a(); end", changed | Unknown},
	})
}

// TestUnknownMode has texts whose meaning depends on what is not known.
func TestUnknownMode(t *testing.T) {
	t.Parallel()
	var none Mode
	checkEffects(t, none, []effectTest{
		{"select 'a'", 0},
		{"select \"a\" from t", 0},
		{"select 'a\\', get_lock('b', 1) -- '", NamedLock | ambiguous},
		{"select \"a\\\", get_lock('b', 1) -- \"", NamedLock},
		{"select \"f\"(1)", Call},
		{"set @a = 'x\\ny'", Assigns | Unknown},
		{"set @a = \"x\"", Assigns},
		{"select 'é'", 0},
		{"select 'é\\'x'", ambiguous},
		{"select é", ambiguous},
	})
	ansi := mysql8
	ansi.AnsiQuotes = true
	noEscape := mysql8
	noEscape.NoBackslashEscapes = true
	checkEffects(t, ansi, []effectTest{{"select \"f\"(1), 'a\\'', get_lock('b', 1) -- '", Call | NamedLock}})
	checkEffects(t, noEscape, []effectTest{{"select 'a\\', get_lock('b', 1) -- '", NamedLock}})
	latin1 := mysql8
	latin1.Charset = SingleByte
	checkEffects(t, latin1, []effectTest{
		{"select 'a\xe9\\'b', `\xc3`", 0},
		{"select a\xa0into @a", ambiguous | ReadsUserVariable},
	})
	// Behind SET NAMES, a text is read under the character set named.
	const names = SetsMode | Assigns
	checkEffects(t, mysql8, []effectTest{
		{"set names latin1; select 'é', \"a\\n\"", names},
		{"SET CHARACTER SET 'latin1'; select 'é'", names},
		{"set names latin1; set names utf8mb4; select é", names},
		{"set names latin1; select é", names | ambiguous},
		{"set names latin1; set @a = 'é'", names},
		{"set names gbk; select '\xbf\\' or 1 -- '", names | ambiguous},
		{"set names gbk; select 'a', \"b\"", names},
		{"set names default; select 'é'", names | ambiguous},
		{"set names latin1, sql_mode = ''; select \"a\"", names | ambiguous},
		{"set sql_mode = '', names latin1; select \"a\"", names | ambiguous},
		{"set names latin1; call p(); select \"a\"", names | Call | ambiguous},
	})
	gbk := mysql8
	gbk.Charset = Unsafe
	checkEffects(t, gbk, []effectTest{
		{"select '\xbf\\' or 1 -- '", ambiguous},
		{"select '\xbf\x5f'", 0},
		{"select `\xbf`", ambiguous},
	})
	single := mysql8
	single.SingleStatement = true
	checkEffects(t, single, []effectTest{{"create procedure p() begin set @a = 1; end; set @b = 1 + 1", changed}})
}
