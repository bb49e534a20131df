package sqltext_test

import (
	"strings"
	"testing"

	. "forebay/internal/engine/postgres/sqltext"
)

// known are the routines of the tests' database: some built-in ones, and some of its own.
var known = NewRoutines(Catalog{
	Names: names(`abs array_agg avg count current_setting date format generate_series
	jsonb_build_object left length lower max min now pg_advisory_xact_lock pg_notify pg_sleep random round row_number
	string_agg sum to_char unnest upper clean over_clean`),
	Attributes: map[string]Effects{"risky_row": Look},
})

func names(s string) map[string]Effects {
	m := map[string]Effects{"risky": Look, "opaque_one": Opaque | Look, "filter": Look, "risky_row": Look}
	for _, n := range strings.Fields(s) {
		m[n] = 0
	}
	return m
}

func TestAnalyzeEffects(t *testing.T) {
	t.Parallel()
	const fn = Look | SequenceWrite | SequenceRead | Unknown
	const newCode = DDL | RoutineDDL | Look | SequenceWrite | SequenceRead
	const text = Look | SequenceWrite | SequenceRead | UnknownSetting
	tests := []struct {
		sql  string
		want Effects
	}{
		// Everyday statements.
		{"", 0},
		{" ; ;; -- nothing\n", 0},
		{"SELECT 1", 0},
		{"SELECT abalance FROM pgbench_accounts WHERE aid = 12345;", 0},
		{"SELECT 1 AS set", 0},
		{"select set, reset, listen, load, temp, discard from t", 0},
		{"select 'set_config(', $$set_config('a.b','c',false)$$, \"set_config\" from t", 0},
		{"select /* set_config('a','b',false) /* nested */ setseed(1) */ 1 -- set_config()", 0},
		{"select $tag$ it's $$ set_config( $tag$", 0},
		{"select count(*), sum(x) over (partition by y), max(z) within group (order by z) from t", 0},
		{"select max(z) filter (where z in (1, 2)) from t", Look}, // a routine of that name exists,
		{"select sum(x) over w from t window w as (order by y)", 0},
		{"select coalesce(a, b), nullif(a, 1), greatest(1, 2), cast(a as numeric(10, 2)), a::varchar(3) from t", 0},
		{"select extract(year from d), current_timestamp(3), current_timestamp, localtime(0), interval '1' day", 0},
		{"select * from a join b using (id) left join c on (a.x = c.x) where not exists (select 1) and (a.y) > all (array[1])", 0},
		{"select * from unnest(array[1,2]) with ordinality as t(a, b)", 0},
		{"select * from (values (1, 2)) as t(a, b) where (a, b) in ((1, 2))", 0},
		{"select left('abc', 1), lower(x)", 0},
		{"select * from t for update", 0},
		{"select * from t fetch first (1) rows with ties", 0},
		{"(select 1) union all (select 2) order by 1 limit (3)", 0},
		{"with x as (select 1), y (a, b) as materialized (select 1, 2) select * from x, y", 0},
		{"with recursive x (n) as (values (1) union all select n + 1 from x) select * from x", 0},
		{"with recursive x (n) as (select 1) search depth first by n set o, y (m) as (select 2) select 1", 0},
		{"select * from (with x (a) as (select 1) select a from x) as q (b)", 0},
		{"values (1), (2)", 0},
		{"table t", 0},
		{"update t set x = 1, (a, b) = (1, 2) where id in (select id from u)", 0},
		{"update only public.t as x set y = lower(z) from u where u.id = x.id returning x.id", 0},
		{"delete from t using u where (t.id = u.id)", 0},
		{"truncate t restart identity", 0},
		{"lock table t in exclusive mode", 0},
		{"select pg_advisory_xact_lock(1), pg_notify('a', 'b')", 0},
		{"insert into t (a, b) values (1, default)", SequenceWrite},
		{"insert into s.t(a) select 1 on conflict (a) do update set a = excluded.a where (t.a > 1) returning (a)", SequenceWrite},
		{"insert into \"T\" as x (a) values (1)", SequenceWrite},
		{"with i as (insert into temp (a) values (1) returning a) select * from i", SequenceWrite},
		{"merge into t using u on t.id = u.id when not matched then insert (a) values (1)", SequenceWrite},
		{"update t set id = default", SequenceWrite},
		{"copy t (a, b) from stdin with (format csv)", SequenceWrite},
		{"copy s.t (a, b) to stdout", 0},
		{"copy (select a from t) to stdout (format binary)", 0},
		{"explain select 1", 0},
		{"explain (analyze, buffers) select count(*) from t", 0},
		{"explain analyze verbose select 1", 0},
		{"explain (select 1)", 0},
		{"show search_path", 0},
		{"fetch 10 from c", 0},
		{"move all in c", 0},
		{"notify a, 'b'", 0},
		{"vacuum (analyze, verbose) t (a, b)", 0},
		{"analyze t (a)", 0},
		{"reindex table t", 0},
		{"checkpoint", 0},
		{"grant select (a) on t to u", 0},
		{"comment on table t is 'x'", 0},
		{"declare c cursor for select 1", 0},
		{"declare c cursor without hold for select 1", 0},

		// Transactions.
		{"begin", TxControl},
		{"start transaction isolation level serializable", TxControl},
		{"commit", TxControl},
		{"end", TxControl},
		{"rollback to savepoint a", TxControl},
		{"abort", TxControl},
		{"savepoint a", TxControl},
		{"release a", TxControl},
		{"prepare transaction 'x'", TxControl},
		{"commit prepared 'x'", TxControl},
		{"begin; select 1; commit", TxControl},
		{"set transaction isolation level serializable", 0},
		{"set session transaction read only", 0},
		{"set constraints all deferred", 0},

		// Settings.
		{"set x = 1", Look},
		{"set session x to 'a', b, 1.5, -1", Look},
		{"set local x = 1", 0},
		{"SET LOCAL TIME ZONE 'UTC'", 0},
		{"set time zone interval '1' hour to minute", Look},
		{"set local.x = 1", Look},
		{"set local to 1", Look},
		{"set session.x = 1", Look},
		{"set transaction.x = 1", Look},
		{"set role a", Look},
		{"set local role a", 0},
		{"set role to a", Look},
		{"set session authorization a", Look},
		{"set session characteristics as transaction read only", Look},
		{"set names 'utf8'", Look},
		{"set xml option document", Look},
		{"set seed = 0.5", Look | Opaque},
		{"set local seed = 0.5", Look | Opaque},
		{"set local search_path = pg_temp, a", Look},
		{"set local search_path = 'PG_TEMP'", Look},
		{"set local search_path = U&\"pg\\005ftemp\"", Look},
		{"set local search_path = a", 0},
		{"set local standard_conforming_strings = off", Look},
		{"reset x", Look},
		{"reset all", Look},
		{"reset session authorization", Look},
		{"reset time zone", Look},
		{"discard all", Look | Ends | DropsPrepared | SequenceWrite},
		{"discard plans", Look | Ends | SequenceWrite},
		{"select set_config('a.b', 'c', false)", Look},
		{"select(set_config('a.b','c',false))", Look},
		{"select \"set_config\"('a','b',false)", Look},
		{"select pg_catalog.set_config('a','b',false)", Look},
		{"select pg_catalog . /* x */ \"set_config\" -- y\n ('a','b',false)", Look},
		{"SELECT SET_CONFIG ('a','b',false)", Look},
		{"select \"SET_CONFIG\"('a','b',false)", fn},
		{"select set_config('a.b', $1, true)", 0},
		{"select set_config('a.b'::text, 'c' || (1)::text, TRUE)", 0},
		{"select set_config('a.b', 'c', not true)", Look},
		{"select set_config('a.b', 'c', true and false)", Look},
		{"select set_config('search_path', 'pg_temp', true)", Look},
		{"select set_config('SEED', '0.1', true)", Look | Opaque},
		{"select set_config($1, $2, true)", Look | UnknownSetting},
		{"select set_config('a.' || x, 'c', false)", Look | UnknownSetting},
		{"select set_config(E'a.b', 'c', true)", Look | UnknownSetting},
		{"select set_config('a'\n'.b', 'c', true)", Look | UnknownSetting},
		{"update t set x = set_config('a', 'b', false)", Look},
		{"values (set_config('a', 'b', false))", Look},
		{"with x as (select 1), y as (select set_config('a','b',false)) select 1", Look},
		{"explain analyze select set_config('a','b',false)", Look},
		{"explain (analyze) (select set_config('a','b',false))", Look},
		{"declare c cursor for select set_config('a','b',false)", Look},
		{"copy (select set_config('a','b',false)) to stdout", Look},
		{"insert into t values (1), (set_config('a','b',false))", SequenceWrite | Look},
		{"insert into set_config (a) values (1)", SequenceWrite},
		{"select * from t join u on set_config('a','b',false) is null", Look},
		{"delete from t using set_config('a','b',false) x", Look},
		{"select 1 from t order by set_config('a','b',false)", Look},
		{"begin; select 1; select set_config('a','b',false); commit", Look | TxControl},

		// Strings that hide.
		{"select 'a''b', set_config('a','b',false)", Look},
		{"select E'a\\'', set_config('a','b',false), '", Look},
		{"select E'a'\n'\\'', set_config('a','b',false) --'", Look},
		{"select e'\\\\', set_config('a','b',false)", Look},
		{"select 'a' -- x'\n 'b', set_config('a','b',false)", Look},
		{"select $$ ' $$, set_config('a','b',false)", Look},
		{"select $a$ $b$ $a$, set_config('a','b',false), $b$ $b$", Look},
		{"select a$b$c, set_config('a','b',false), d$b$", Look},
		{"select b'01', x'0', n'a', u&'\\0041', set_config('a','b',false)", Look},
		{"select 1e'\\'', set_config('a','b',false) --'", Look},
		{"select \"a\"\"b(\", set_config('a','b',false)", Look},
		{"select 1--1\n, set_config('a','b',false)", Look},
		{"select 1/*/**/*/, set_config('a','b',false)", Look},
		{"select 1 /* unterminated", Look},
		{"select 'unterminated", Look},

		// Sequences.
		{"select nextval('s')", SequenceWrite},
		{"select setval('s', 1)", SequenceWrite},
		{"select currval('s'), lastval()", SequenceRead | SequenceNamed},

		// What only the server can list, or nobody.
		{"listen a", Look},
		{"unlisten *", Look | Ends},
		{"close all", Ends},
		{"load 'x'", Load},
		{"declare c cursor with hold for select 1", Look},
		{"select pg_advisory_lock(1)", Look},
		{"select pg_try_advisory_lock_shared(1)", Look},
		{"select pg_advisory_unlock_all()", Look | Ends},
		{"select setseed(0.5)", Opaque},
		{"select dblink_connect('a')", Opaque},
		{"select unknown_one(1)", fn},
		{"select s.unknown_one(1)", fn},
		{"select U&\"set\\005fconfig\"('a','b',false)", Look | Unknown},
		{"select caf\xc3\xa9(1)", fn},
		{"select risky()", Look},
		{"select \"Risky\"()", fn},
		{"select public.risky()", Look},
		{"select filter(1)", Look},
		{"select s.values(1)", fn},
		{"select t.risky_row from t", Look},
		{"select (t).\"risky_row\" from t", Look},
		{"select risky_row from t", 0},
		{"select * from rows from (risky(), clean())", Look},
		{"call clean()", Look | SequenceWrite},
		{"call opaque_one()", Look | SequenceWrite | Opaque},
		{"frobnicate the database", fn},
		{"select query_to_xml('select 1', true, false, '')", 0},
		{"select query_to_xml('select set_config(''a.b'', ''c'', false)', true, false, '')", Look},
		{"select query_to_xml($$select setseed(1)$$, true, false, '')", Opaque},
		{"select query_to_xml($1, true, false, '')", text},
		{"select query_to_xml('select ' || x, true, false, '')", text},

		// Prepared statements.
		{"prepare p as select 1", Look},
		{"prepare p (int, numeric(3)) as select setseed($1)", Look | Opaque},
		{"prepare transaction as select 1", Look},
		{"execute p(1, lower('A'))", UsesPrepared},
		{"explain analyze execute p(1)", UsesPrepared},
		{"execute p(risky())", UsesPrepared | Look},
		{"create table t as execute p(1)", UsesPrepared | DDL},
		{"create table t as execute p(setseed(1))", UsesPrepared | DDL | Opaque | RoutineDDL},
		{"deallocate p", Look | Ends | UsesPrepared},
		{"deallocate prepare all", Look | Ends | DropsPrepared},

		// DDL.
		{"create table if not exists s.t (id serial primary key, a varchar(3) check (a in ('x')), b int references u (id) on delete cascade, unique (a), c numeric(3, 1) default (1), d int generated always as (b + 1) stored, e int generated always as identity (start 1), like x including all)", DDL},
		{"create table t (a int) partition by range (a)", DDL},
		{"create table p partition of t (a) for values from (1) to (2) with (fillfactor = 50)", DDL},
		{"create unique index concurrently if not exists i on only s.t using btree (lower(a), b) include (c) where (d > 1)", DDL},
		{"create index on t using gin (a)", DDL},
		{"alter table t add column x int default clean()", DDL | SequenceWrite},
		{"alter table t add column x int default risky()", DDL | SequenceWrite | Look | RoutineDDL},
		{"create table t (x int default nextval('s'))", DDL | SequenceWrite},
		{"create schema s create table t (a int) create view v as select 1", newCode},
		{"drop table t", DDL | Ends},
		{"drop function f(int)", DDL | Ends | RoutineDDL},
		{"create view v (a) as select 1", newCode},
		{"create or replace function f() returns int language sql as 'select 1'", newCode},
		{"create function f() returns int language sql begin atomic select 1; select 2; end", newCode},
		{"create temp table t (a int)", DDL | Look},
		{"create local temporary table t as select 1", DDL | Look},
		{"create table pg_temp.t (a int)", DDL | Look},
		{"create table \"pg_temp_3\".t (a int)", DDL | Look},
		{"create temp sequence s", DDL | Look | SequenceWrite},
		{"explain analyze create temp table t as select 1", DDL | Look},
		{"select 1 into t", DDL},
		{"select a into temp t from u", DDL | Look},
		{"select a into local temporary t", DDL | Look},
		{"alter role u set x = 1", DDL},
		{"alter system set x = 1", DDL},
		{"create user u password 'x'", DDL},
		{"create trigger t before insert on x execute function clean()", newCode},

		// Code in strings.
		{"do $$ begin perform 1; end $$", Look | SequenceWrite},
		{"do $$ begin perform setseed(1); end $$", Look | SequenceWrite | Opaque},
		{"do 'begin load ''x''; end'", Look | SequenceWrite | Load},
		{"do language plperl $$ 1 $$", Look | SequenceWrite | SequenceRead | UnknownSetting},
		{"do $$ begin execute x; end $$", Look | SequenceWrite | SequenceRead | UnknownSetting},
	}
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), Standard, known, &a)
		if a.Effects != tt.want {
			t.Errorf("%s\n got %v\nwant %v", tt.sql, a.Effects, tt.want)
		}
	}
}

// Without the catalogue only what runs no routine is clean.
func TestAnalyzeNothingKnown(t *testing.T) {
	t.Parallel()
	for sql, clean := range map[string]bool{
		"begin": true, "commit": true, "show x": true, "set local x = 1": true, "lock t": true,
		"select 1": false, "update t set x = 1": false, "create table t ()": false, "execute p": false,
	} {
		var a Analysis
		Analyze([]byte(sql), Standard, nil, &a)
		if got := a.Effects&(Look|Opaque) == 0; got != clean {
			t.Errorf("%s: effects %v, want clean %t", sql, a.Effects, clean)
		}
	}
}

// Where the session's way to read strings is not known, only texts that depend on it are unclear.
func TestAnalyzeUnclear(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sql  string
		want bool
	}{
		{`select '\d+'`, false},
		{`select 'C:\dir'`, false},
		{`select 'C:\dir\'`, true},
		{`select 'a\\'`, false},
		{`select '\', set_config('a', 'b', false) --'`, true},
		{"select E'\x83\\'', set_config('a.b', 'c', false) --'", true},
		{"select E'a\\''", false},
		{"select $\x83|$ ' $\x83|$", true},
		{"select 1\x00; set x = 1", true},
	}
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), 0, known, &a)
		if got := a.Effects&Unclear != 0; got != tt.want {
			t.Errorf("%q: unclear %t, want %t", tt.sql, got, tt.want)
		}
		if tt.want && a.Effects&(Look|Opaque) != Look|Opaque {
			t.Errorf("%q: unclear, but effects %v", tt.sql, a.Effects)
		}
	}
}

func TestAnalyzeAmbient(t *testing.T) {
	t.Parallel()
	r := NewRoutines(Catalog{All: SequenceRead, DML: Opaque, DDL: Load, Names: map[string]Effects{"f": 0}})
	tests := []struct {
		sql  string
		want Effects
	}{
		{"begin", TxControl},
		{"select f()", SequenceRead},
		{"select * from t for no key update", SequenceRead},
		{"select * from t for update of t", SequenceRead},
		{"delete from t", SequenceRead | Opaque},
		{"with x as (update t set a = 1 returning a) select * from x", SequenceRead | Opaque},
		{"truncate t", SequenceRead | Opaque},
		{"copy t from stdin", SequenceRead | SequenceWrite | Opaque},
		{"copy t to stdout", SequenceRead},
		{"create table t ()", SequenceRead | Load | DDL},
		{"select 1 into t", SequenceRead | Load | DDL},
		{"grant select on t to u", SequenceRead | Load},
	}
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), Standard, r, &a)
		if a.Effects != tt.want {
			t.Errorf("%s\n got %v\nwant %v", tt.sql, a.Effects, tt.want)
		}
	}
}
