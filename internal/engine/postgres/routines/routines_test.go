package routines_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"forebay/internal/engine/postgres/routines"
	"forebay/internal/engine/postgres/sqltext"
	"forebay/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// conn is a connection that is a routines.Querier.
type conn struct{ *pgconn.PgConn }

func (c conn) Query(ctx context.Context, sql string) ([][]*string, error) {
	results, err := c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows [][]*string
	for _, r := range results {
		for _, fields := range r.Rows {
			row := make([]*string, len(fields))
			for i, f := range fields {
				if f != nil {
					s := string(f)
					row[i] = &s
				}
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// connect opens a connection of the superuser and closes it with the test.
func connect(t *testing.T, db testkit.DB) conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(db.Server.SuperDSN(db.Name))
	if err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["lock_timeout"] = "10s"
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return conn{c.PgConn()}
}

func (c conn) must(t *testing.T, sql string) {
	t.Helper()
	if _, err := c.Query(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func load(t *testing.T, c conn) *sqltext.Routines {
	t.Helper()
	r, err := routines.Load(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func effects(r *sqltext.Routines, sql string) sqltext.Effects {
	var a sqltext.Analysis
	sqltext.Analyze([]byte(sql), sqltext.Standard, r, &a)
	return a.Effects
}

// probe returns what a session has that a new one has not.
func probe(t *testing.T, c conn, settings []string) string {
	t.Helper()
	q := `SELECT 'setting ' || name FROM pg_catalog.pg_settings WHERE source = 'session' AND name <> 'transaction_isolation'
		AND name <> 'transaction_read_only' AND name <> 'transaction_deferrable'
		UNION ALL SELECT 'channel ' || pg_catalog.pg_listening_channels()
		UNION ALL SELECT 'temporary ' || relname FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema()
		UNION ALL SELECT 'cursor ' || name FROM pg_catalog.pg_cursors WHERE is_holdable
		UNION ALL SELECT 'prepared ' || name FROM pg_catalog.pg_prepared_statements
		UNION ALL SELECT 'lock ' || objid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()
		UNION ALL SELECT 'role' WHERE pg_catalog.current_setting('role') <> 'none'`
	for _, s := range settings {
		q += " UNION ALL SELECT 'custom " + s + "' WHERE pg_catalog.current_setting('" + s + "', true) <> ''"
	}
	rows, err := c.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rows {
		out = append(out, *r[0])
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

const fixture = `
CREATE TABLE t (id serial PRIMARY KEY, a text);
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION clean(int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE temp int DEFAULT 1; set_x int;
BEGIN
	UPDATE t SET a = 'set x' WHERE id = $1;
	SELECT count(*) INTO temp FROM t WHERE a IN ('a', 'b');
	-- SET x = 1;
	RETURN coalesce(temp, 0);
END $$;
CREATE FUNCTION set_plain() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '1MB'; END $$;
CREATE FUNCTION set_local() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET LOCAL work_mem = '1MB'; END $$;
CREATE FUNCTION set_custom() RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.tenant', 'x', false) $$;
CREATE FUNCTION set_atomic() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT set_config('app.atomic', 'x', false); END;
CREATE FUNCTION set_return() RETURNS text LANGUAGE sql RETURN set_config('app.ret', 'x', false);
CREATE FUNCTION set_default(x text DEFAULT set_config('app.def', 'x', false)) RETURNS text LANGUAGE sql RETURN x;
CREATE FUNCTION set_open(text) RETURNS text LANGUAGE sql AS $$ SELECT set_config($1, 'x', false) $$;
CREATE FUNCTION set_dynamic() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SET app.dynamic = ' || quote_literal('x'); END $$;
CREATE FUNCTION set_open_dynamic() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('SET %I.x = 1', 'app'); END $$;
CREATE FUNCTION alias_set(text, text, bool) RETURNS text LANGUAGE internal AS 'set_config_by_name';
CREATE FUNCTION caller() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.set_custom(); RETURN ''; END $$;
CREATE FUNCTION caller2() RETURNS text LANGUAGE sql AS $$ SELECT caller() $$;
CREATE FUNCTION of_row(pair) RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.row', 'x', false) $$;
CREATE FUNCTION temp_table() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE scratch (a int); END $$;
CREATE FUNCTION lock_it() RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_lock(1) $$;
CREATE FUNCTION lock_tx() RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(2) $$;
CREATE FUNCTION hear() RETURNS void LANGUAGE plpgsql AS $$ BEGIN LISTEN a; END $$;
CREATE FUNCTION seed() RETURNS void LANGUAGE sql AS $$ SELECT setseed(0.5) $$;
CREATE FUNCTION next() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('t_id_seq') $$;
CREATE FUNCTION last() RETURNS bigint LANGUAGE sql AS $$ SELECT currval('t_id_seq') $$;
CREATE FUNCTION last_dynamic() RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT lastval()' INTO n; RETURN n; END $$;
CREATE FUNCTION put_dynamic() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('INSERT INTO t (a) VALUES (%L)', 'x'); END $$;
CREATE PROCEDURE proc() LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '2MB'; END $$;
CREATE AGGREGATE set_all(text) (sfunc = agg_step, stype = text);`

func TestLoad(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	c := connect(t, db)
	c.must(t, `CREATE FUNCTION agg_step(text, text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.agg', 'x', false) $$`)
	c.must(t, fixture)
	r := load(t, c)

	const look = sqltext.Look
	tests := []struct {
		sql         string
		has, hasNot sqltext.Effects
		state       string // that the statement is known to leave
	}{
		{"SELECT clean(1)", 0, look | sqltext.Opaque | sqltext.Unknown, ""},
		{"SELECT now(), upper('a'), count(*) FROM t", 0, look | sqltext.SequenceWrite, ""},
		{"SELECT no_such_one()", look | sqltext.Unknown, 0, ""},
		{"SELECT set_plain()", look, sqltext.Opaque, "setting work_mem"},
		{"SELECT set_local()", 0, look, ""},
		{"SELECT set_custom()", look, sqltext.UnknownSetting, "custom app.tenant"},
		{"SELECT public.set_atomic()", look, sqltext.UnknownSetting, "custom app.atomic"},
		{"SELECT set_return()", look, sqltext.UnknownSetting, "custom app.ret"},
		{"SELECT set_default()", look, sqltext.UnknownSetting, "custom app.def"},
		{"SELECT set_open('a.b')", look | sqltext.UnknownSetting, 0, ""},
		{"SELECT set_dynamic()", look, 0, "custom app.dynamic"},
		{"SELECT set_open_dynamic()", look | sqltext.UnknownSetting, 0, ""},
		{"SELECT alias_set('work_mem', '1MB', false)", look | sqltext.UnknownSetting, 0, "setting work_mem"},
		{"SELECT caller()", look, 0, "custom app.tenant"},
		{"SELECT caller2()", look, 0, "custom app.tenant"},
		{"SELECT set_all(a) FROM (VALUES ('x')) AS v(a)", look, 0, "custom app.agg"},
		{"SELECT of_row(ROW(1, 2)::pair)", look, 0, "custom app.row"},
		{"SELECT (ROW(1, 2)::pair).of_row", look, 0, "custom app.row"},
		{"SELECT temp_table()", look | sqltext.DDL, 0, "temporary scratch"},
		{"SELECT lock_it()", look, 0, "lock 1"},
		{"SELECT lock_tx()", 0, look, ""},
		{"SELECT hear()", look, 0, "channel a"},
		{"SELECT seed()", sqltext.Opaque, 0, ""},
		{"SELECT next()", sqltext.SequenceWrite, look, ""},
		{"SELECT last()", sqltext.SequenceRead | sqltext.SequenceNamed, look, ""},
		{"SELECT last_dynamic()", sqltext.SequenceRead | sqltext.SequenceNamed, 0, ""},
		{"SELECT put_dynamic()", sqltext.SequenceWrite | sqltext.SequenceRead, sqltext.SequenceNamed, ""},
		{"CALL proc()", look, 0, "setting work_mem"},
		{"INSERT INTO t (a) VALUES ('x')", sqltext.SequenceWrite, look, ""},
	}
	for _, tt := range tests {
		got := effects(r, tt.sql)
		if got&tt.has != tt.has || got&tt.hasNot != 0 {
			t.Errorf("%s: effects %v; want %v, without %v", tt.sql, got, tt.has, tt.hasNot)
		}
		if tt.sql == "SELECT no_such_one()" || tt.has&sqltext.SequenceNamed != 0 {
			continue // fails in a new session
		}
		// The server is the judge: what it finds in the session, the text must have announced.
		s := connect(t, db)
		s.must(t, tt.sql)
		state := probe(t, s, r.Settings())
		if state != tt.state {
			t.Errorf("%s: left %q in the session, want %q", tt.sql, state, tt.state)
		}
		if state != "" && got&look == 0 {
			t.Errorf("%s: left %q, but effects are %v", tt.sql, state, got)
		}
	}
}

// Each of these makes statements reach set_custom that do not name it.
func TestLoadHiddenUses(t *testing.T) {
	t.Parallel()
	const setter = `CREATE FUNCTION setter() RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.x', 'x', false) $$;`
	const trigger = `CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET app.x = 'x'; RETURN NEW; END $$;`
	tests := []struct {
		name, create, reach string
		clean               string // does not reach it
	}{
		{
			"trigger", trigger + "CREATE TABLE u (a int); CREATE TRIGGER x BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION trg()",
			"INSERT INTO u VALUES (1)", "SELECT 1",
		},
		{
			"function that writes", trigger + "CREATE TABLE u (a int); CREATE TRIGGER x BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION trg(); CREATE FUNCTION w() RETURNS void LANGUAGE sql AS 'INSERT INTO u VALUES (1)'",
			"SELECT w()", "SELECT 1",
		},
		{"view", setter + "CREATE VIEW v AS SELECT setter()", "SELECT * FROM v", ""},
		{"view, built-in", "CREATE VIEW v AS SELECT set_config('app.x', 'x', false)", "SELECT * FROM v", ""},
		{"default", setter + "CREATE TABLE u (a int, b text DEFAULT setter())", "INSERT INTO u VALUES (1)", "SELECT 1"},
		{"default, built-in", "CREATE TABLE u (a int, b text DEFAULT set_config('app.x', 'x', false))", "INSERT INTO u VALUES (1)", "SELECT 1"},
		{"check", setter + "CREATE TABLE u (a int CHECK (setter() <> ''))", "INSERT INTO u VALUES (1)", ""},
		{"domain", setter + "CREATE DOMAIN d AS int CHECK (setter() <> '')", "SELECT 1::d", ""},
		{
			"operator", "CREATE FUNCTION op(int, int) RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.x', 'x', false) $$; CREATE OPERATOR @@@@ (FUNCTION = op, LEFTARG = int, RIGHTARG = int)",
			"SELECT 1 @@@@ 2", "",
		},
		{
			"cast", "CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION c(e) RETURNS int LANGUAGE sql AS $$ SELECT length(set_config('app.x', 'x', false)) $$; CREATE CAST (e AS int) WITH FUNCTION c(e)",
			"SELECT 'a'::e::int", "",
		},
		{
			"event trigger", "CREATE FUNCTION et() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN SET app.x = 'x'; END $$; CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION et()",
			"COMMENT ON SCHEMA public IS 'x'", "SELECT 1",
		},
		{
			"policy, built-in", "CREATE TABLE u (a int); INSERT INTO u VALUES (1); ALTER TABLE u ENABLE ROW LEVEL SECURITY; CREATE ROLE %[1]s_r; GRANT SELECT ON u TO %[1]s_r; CREATE POLICY p ON u USING (set_config('app.x', 'x', false) <> '')",
			"SELECT * FROM u", "",
		},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := testkit.Database(t, testkit.SharedPostgres(t))
			c := connect(t, db)
			role := fmt.Sprintf("hidden_%d", i)
			create := strings.ReplaceAll(tt.create, "%[1]s", role)
			before, err := routines.Fingerprint(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			c.must(t, create)
			after, err := routines.Fingerprint(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if before == after {
				t.Errorf("same fingerprint %s", after)
			}
			s := connect(t, db)
			r := load(t, s)
			if got := probe(t, s, r.Settings()); got != "" {
				t.Errorf("Load left %q in the session", got)
			}
			if strings.Contains(create, role) {
				s.must(t, "BEGIN; SET LOCAL ROLE "+role+"_r; "+tt.reach+"; COMMIT")
				t.Cleanup(func() {
					c := context.Background()
					_ = db.Server.ExecIn(c, db.Name, "DROP OWNED BY "+role+"_r")
					_ = db.Server.Exec(c, "DROP ROLE "+role+"_r")
				})
			} else {
				s.must(t, tt.reach)
			}
			if got := probe(t, s, r.Settings()); got != "custom app.x" {
				t.Errorf("%s left %q; settings known: %q", tt.reach, got, r.Settings())
			}
			if got := effects(r, tt.reach); got&sqltext.Look == 0 {
				t.Errorf("%s: effects %v", tt.reach, got)
			}
			if got := effects(r, tt.clean); got&sqltext.Look != 0 {
				t.Errorf("%s: effects %v", tt.clean, got)
			}
		})
	}
}

func TestLoadExtensions(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	c := connect(t, db)
	rows, err := c.Query(t.Context(), "SELECT name FROM pg_available_extensions")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, r := range rows {
		have[*r[0]] = true
	}
	tests := []struct {
		extension, sql string
		has, hasNot    sqltext.Effects
	}{
		{"pgcrypto", "SELECT digest('a', 'md5')", 0, sqltext.Look | sqltext.Opaque},
		{"hstore", "SELECT hstore('a', 'b') -> 'a'", 0, sqltext.Look | sqltext.Opaque},
		{"pg_trgm", "SELECT set_limit(0.1)", sqltext.Look, 0},
		{"dblink", "SELECT dblink_connect('a', 'b')", sqltext.Opaque, 0},
		{"tablefunc", "SELECT * FROM crosstab('SELECT setseed(1)') AS c(a int, b int)", sqltext.Opaque, 0},
		{"postgres_fdw", "SELECT 1", 0, sqltext.Look},
	}
	for _, tt := range tests {
		if !have[tt.extension] {
			t.Logf("extension %s is not installed on this machine", tt.extension)
			continue
		}
		c.must(t, "CREATE EXTENSION "+tt.extension)
	}
	r := load(t, c)
	for _, tt := range tests {
		if got := effects(r, tt.sql); have[tt.extension] && (got&tt.has != tt.has || got&tt.hasNot != 0) {
			t.Errorf("%s: effects %v; want %v, without %v", tt.sql, got, tt.has, tt.hasNot)
		}
	}
}
