package routines_test

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"

	"forebay/internal/engine/mysql/routines"
	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// fake answers the queries of Load from lists of rows.
type fake struct {
	version            string
	routines, triggers [][]string
	views, grants      [][]string
	params, charset    string // of every routine, as SHOW CREATE tells
	err                error
	queries, failAt    int
}

func (f *fake) Query(_ context.Context, sql string) ([][]*string, error) {
	if f.queries++; f.queries == f.failAt {
		return nil, f.err
	}
	var rows [][]string
	switch {
	case strings.Contains(sql, "VERSION()"):
		rows = [][]string{{f.version}}
	case strings.HasPrefix(sql, "SHOW CREATE"):
		rows = f.create(strings.Fields(sql)[2], strings.Trim(sql[strings.Index(sql, ".")+1:], "`"))
	case strings.Contains(sql, "ROUTINES"):
		rows = f.routines
	case strings.Contains(sql, "TRIGGERS"):
		rows = f.triggers
	case strings.Contains(sql, "VIEWS"):
		rows = f.views
	case sql == "SHOW GRANTS":
		rows = f.grants
	}
	var out [][]*string
	for _, r := range rows {
		var row []*string
		for i := range r {
			p := &r[i]
			if *p == "NULL" {
				p = nil
			}
			row = append(row, p)
		}
		out = append(out, row)
	}
	return out, nil
}

// create answers SHOW CREATE.
func (f *fake) create(kind, name string) [][]string {
	for _, r := range f.triggers {
		if kind == "TRIGGER" && r[4] == name {
			return [][]string{{name, r[3], "CREATE TRIGGER " + name + " BEFORE INSERT ON " + r[1] + " FOR EACH ROW " + r[2], "utf8mb4"}}
		}
	}
	for _, r := range f.routines {
		if r[1] == name && r[2] == kind {
			return [][]string{{name, r[5], "CREATE " + kind + " `" + name + "`(" + f.params + ")\n    NO SQL\n" + r[4], cmp.Or(f.charset, "utf8mb4")}}
		}
	}
	return nil
}

func proc(name, body string) []string {
	return []string{"d", name, "PROCEDURE", "SQL", body, "STRICT_TRANS_TABLES"}
}

func fn(name, body string) []string {
	return []string{"d", name, "FUNCTION", "SQL", body, "STRICT_TRANS_TABLES"}
}

func load(t *testing.T, q routines.Querier) *routines.Catalog {
	t.Helper()
	c, err := routines.Load(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var mode = sqltext.Mode{Version: 80036, SQLModeKnown: true, Charset: sqltext.UTF8}

// effects returns what the catalogue adds to a text in the database d.
func effects(c *routines.Catalog, sql string) sqltext.Effects {
	var a sqltext.Analysis
	sqltext.Analyze([]byte(sql), mode, &a)
	return c.Called(&a, []byte("d")) | c.Reached([]byte(sql), mode, []byte("d"))
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	c := load(t, &fake{
		version: "8.0.36",
		routines: [][]string{
			proc("clean", "begin declare a int; select 1 into a; end"),
			proc("setter", "set sort_buffer_size = 1"),
			proc("var", "select 1 into @a"),
			proc("locker", "do get_lock('a', 1)"),
			proc("outer", "begin call clean(); call other.p(); end"),
			proc("outer2", "begin call Outer(); call d.var(); end"),
			proc("cycle1", "begin call cycle2(); do get_lock('a', 1); end"),
			proc("cycle2", "begin call cycle1(); create temporary table t (a int); end"),
			proc("dynamic", "begin prepare s from @a; execute s; deallocate prepare s; end"),
			proc("secret", "NULL"),
			proc("missing", "call no_such()"),
			proc("insert_it", "insert into t values (1)"),
			proc("insert_hot", "insert into hot values (1)"),
			proc("select_hot", "select * from hot"),
			proc("both", "select 1"),
			fn("both", "return get_lock('a', 1)"),
			fn("id", "begin do last_insert_id(5); return 1; end"),
			fn("reader", "return @tenant"),
			fn("outer_f", "return reader() + other.f()"),
			fn("from_view", "begin declare a int; select x into a from v; return a; end"),
			{"other", "p", "PROCEDURE", "SQL", "set @b = 1", ""},
			{"other", "f", "FUNCTION", "SQL", `return "get_lock"("a", 1)`, "ANSI_QUOTES"},
			{"d", "js", "FUNCTION", "EXTERNAL", "return 1", ""},
			{"d", "pkg", "PACKAGE BODY", "SQL", "as begin end", "ORACLE"},
			{"Up", "f", "FUNCTION", "SQL", "return 1", ""},
			{"uP", "f", "FUNCTION", "SQL", "return @a", ""},
		},
		triggers: [][]string{
			{"d", "hot", "set @audit = new.id", "", "tr"},
			{"d", "hot", "do get_lock('a', 1)", "", "tr2"},
			{"d", "audited", "insert into log values (new.id, last_insert_id())", "", "tr"},
			{"d", "calm", "set new.a = 1", "", "tr"},
			{"d", "log", "begin insert into log2 values (connection_id()); end", "", "tr"},
			{"other", "hot2", "call d.setter()", "", "tr"},
		},
		views: [][]string{
			{"d", "v", "select `f`() AS `x`,`d`.`t`.`a` AS `a` from `d`.`t`"},
			{"d", "plain_v", "select `d`.`t`.`a` AS `a` from `d`.`t`"},
			{"d", "hot_v", "select `d`.`hot`.`id` AS `id` from `d`.`hot`"},
			{"d", "vv", "select `id`() AS `i`,last_insert_id(3) AS `l` from `d`.`hot_v`"},
			{"d", "secret_v", ""},
			{"sys", "session", "select `sys`.`no_such`() AS `x`"},
		},
		grants: [][]string{{"GRANT ALL PRIVILEGES ON *.* TO `u`@`%`"}},
	})
	const (
		unknown = routines.Anything
		user    = sqltext.UserVariable | sqltext.ReadsUserVariable
	)
	tests := []struct {
		sql  string
		want sqltext.Effects
	}{
		{"select 1", 0},
		{"call clean()", 0},
		{"call D.CLEAN()", 0},
		{"call setter()", sqltext.Look},
		{"call var", user},
		{"call outer1()", unknown},
		{"call outer()", sqltext.UserVariable},
		{"call outer2()", user},
		{"call cycle1()", sqltext.NamedLock | sqltext.TempTable | sqltext.DDL},
		{"call cycle2()", sqltext.NamedLock | sqltext.TempTable | sqltext.DDL},
		{"call dynamic()", unknown&^sqltext.Call | sqltext.Prepared | sqltext.UsesPrepared | sqltext.ReadsUserVariable | sqltext.Ends},
		{"call secret()", unknown},
		{"call missing()", unknown},
		{"call both()", 0},
		{"select both()", sqltext.NamedLock},
		{"select id()", sqltext.LastInsertIDRead},
		{"select reader()", sqltext.ReadsUserVariable},
		{"select outer_f()", unknown | sqltext.ReadsUserVariable}, // get_lock in quotes is no keyword
		{"select clean()", unknown},
		{"select js()", unknown},
		{"select pkg()", unknown},
		{"select d.pkg.f()", unknown},
		{"select up.f()", sqltext.ReadsUserVariable},
		{"call insert_it()", sqltext.LastInsertIDWrite},
		{"call insert_hot()", sqltext.LastInsertIDWrite | sqltext.UserVariable | sqltext.NamedLock},
		{"call select_hot()", 0},
		{"call clean(); call setter()", sqltext.Look},

		// Triggers.
		{"select * from hot", 0},
		{"insert into hot values (1)", sqltext.UserVariable | sqltext.NamedLock},
		{"INSERT INTO `d`.`HOT` values (1)", sqltext.UserVariable | sqltext.NamedLock},
		{"insert into other.hot values (1)", 0},
		{"delete from other.hot2", sqltext.Look},
		{"delete from hot2", 0},
		{"use other; delete from hot2", sqltext.Look},
		{"insert into calm values (1)", 0},
		{"insert into audited values (1)", sqltext.LastInsertIDRead | sqltext.ThreadID},
		{"load data infile 'x' into table hot", sqltext.UserVariable | sqltext.NamedLock},
		{"insert into tést values (1)", 0},
		{"select é", 0},

		// Views.
		{"select * from plain_v", 0},
		{"select * from v", unknown},
		{"select from_view()", unknown},
		{"select * from hot_v", 0},
		{"update hot_v set id = 1", sqltext.UserVariable | sqltext.NamedLock},
		{"select * from vv", sqltext.LastInsertIDRead | sqltext.LastInsertIDWrite},
		{"select * from secret_v", unknown},
		{"select * from sys.session", unknown},
		{"set session x = 1", 0},
	}
	for _, tt := range tests {
		got := effects(c, tt.sql)
		if strings.ContainsAny(tt.sql, "é") {
			// Whether such a name is that of a trigger's table is not known.
			got &^= unknown | user | sqltext.NamedLock | sqltext.Look | sqltext.LastInsertIDRead | sqltext.LastInsertIDWrite | sqltext.ThreadID
		}
		if got != tt.want {
			t.Errorf("%s:\n got %v\nwant %v", tt.sql, got, tt.want)
		}
	}
	if got, want := c.Hidden(), unknown|sqltext.UserVariable|sqltext.NamedLock|sqltext.Look|sqltext.LastInsertIDRead|
		sqltext.LastInsertIDWrite|sqltext.ThreadID; got != want {
		t.Errorf("hidden: got %v, want %v", got, want)
	}
	if got := c.Reached([]byte("insert into `hot"), mode, []byte("x")); got&unknown != unknown {
		t.Errorf("a text that is not understood: %v", got)
	}
	if e, known := c.Effects([]byte("d"), []byte("no_such"), sqltext.CallsFunction); e != unknown || known {
		t.Errorf("a function that does not exist: %v, %t", e, known)
	}
	if e, known := c.Effects(nil, []byte("both"), sqltext.CallsFunction); e != unknown || known {
		t.Errorf("a function without a database: %v, %t", e, known)
	}
	if e, known := c.Effects([]byte("d"), []byte(strings.Repeat("n", 1000)), sqltext.CallsFunction); e != unknown || known {
		t.Errorf("a function with a long name: %v, %t", e, known)
	}
}

func TestNoCatalog(t *testing.T) {
	t.Parallel()
	var c *routines.Catalog
	if got := effects(c, "select f()"); got != routines.Anything || c.Hidden() != got || c.SeesTriggers() {
		t.Errorf("without a catalogue: %v, hidden %v, sees triggers %t", got, c.Hidden(), c.SeesTriggers())
	}
	for i := range 5 {
		failed := errors.New("failed")
		if c, err := routines.Load(t.Context(), &fake{version: "8.0.36", err: failed, failAt: i + 1}); c != nil || !errors.Is(err, failed) {
			t.Errorf("query %d fails: %v", i+1, err)
		}
	}
	for _, f := range []*fake{
		{routines: [][]string{{"d"}}}, {triggers: [][]string{{"d"}}}, {views: [][]string{{"d"}}}, {grants: [][]string{{"a", "b"}}},
	} {
		if _, err := routines.Load(t.Context(), f); err == nil {
			t.Errorf("%+v: no error", f)
		}
	}
}

// In a server without hidden effects, texts are not read again.
func TestNothingHidden(t *testing.T) {
	t.Parallel()
	c := load(t, &fake{
		version:  "11.8.9-MariaDB-4 from Debian",
		triggers: [][]string{{"d", "t", "insert into log values (new.id)", "", "tr"}},
		views:    [][]string{{"d", "v", "select 1 AS `1`"}},
		routines: [][]string{{"d", "o", "PROCEDURE", "SQL", "begin null; end", "PIPES_AS_CONCAT,ORACLE"}},
	})
	if c.Hidden() != 0 || !c.SeesTriggers() {
		t.Errorf("hidden %v, sees triggers %t", c.Hidden(), c.SeesTriggers())
	}
	if got := c.Reached([]byte("insert into `t"), mode, nil); got != 0 {
		t.Errorf("reached: %v", got)
	}
	if got := effects(c, "call o()"); got != routines.Anything {
		t.Errorf("PL/SQL: %v", got)
	}
}

// A loadable function of MySQL's that has nothing to do with the session is known, as long as no stored one has its name.
func TestLoadable(t *testing.T) {
	t.Parallel()
	c := load(t, &fake{version: "9.7.4", routines: [][]string{fn("gen_range", "return get_lock('a', 1)"), fn("mask_inner", "NULL")}})
	for _, tt := range []struct {
		c    *routines.Catalog
		sql  string
		want sqltext.Effects
	}{
		{c, "select Mysql_Query_Attribute_String('x')", 0},
		{c, "select gen_range(1, 2)", sqltext.NamedLock},
		{c, "select mask_inner('x', 1, 1)", routines.Anything},
		{c, "select d.mask_outer('x', 1, 1)", routines.Anything}, // a stored one
		{c, "call mask_outer('x', 1, 1)", routines.Anything},
		{c, "select audit_log_read()", routines.Anything},
		{c.WithoutRoutines(), "select mask_outer('x', 1, 1)", routines.Anything},
		{nil, "select mask_outer('x', 1, 1)", routines.Anything},
		{new(routines.Catalog), "select mask_outer('x', 1, 1)", routines.Anything},
	} {
		if got := effects(tt.c, tt.sql) &^ sqltext.Unseen; got != tt.want {
			t.Errorf("%s: %v, want %v", tt.sql, got, tt.want)
		}
	}
}

// Where triggers may be that are not known, what may reach one says so.
func TestUnseen(t *testing.T) {
	t.Parallel()
	const unseen = sqltext.Unseen
	blind := load(t, &fake{
		version:  "8.0.36",
		grants:   [][]string{{"GRANT SELECT, INSERT, EXECUTE ON `d`.* TO `u`@`%`"}},
		routines: [][]string{fn("reads", "return (select count(*) from t)"), fn("writes", "begin insert into t values (1); return 1; end")},
	})
	sees := load(t, &fake{version: "8.0.36"})
	for _, tt := range []struct {
		c    *routines.Catalog
		sql  string
		want sqltext.Effects
	}{
		{blind, "insert into t values (1)", unseen},
		{blind, "delete from t", unseen},
		{blind, "select * from t", 0},
		{blind, "select reads()", 0},
		{blind, "select writes()", unseen},
		{sees, "insert into t values (1)", 0},
		{sees.WithoutRoutines(), "insert into t values (1)", unseen},
		{sees.WithoutRoutines(), "select * from t", unseen},
	} {
		if got := effects(tt.c, tt.sql) & unseen; got != tt.want {
			t.Errorf("%s: %v, want %v", tt.sql, got, tt.want)
		}
	}
	if blind.Hidden() != unseen || sees.Hidden() != 0 || sees.WithoutRoutines().Hidden() != unseen {
		t.Errorf("hidden: %v, %v, %v", blind.Hidden(), sees.Hidden(), sees.WithoutRoutines().Hidden())
	}
}

func TestGrants(t *testing.T) {
	t.Parallel()
	const usage = "GRANT USAGE ON *.* TO `u`@`%`"
	tests := []struct {
		lines []string
		sees  bool
	}{
		{[]string{usage}, true},
		{[]string{usage, "GRANT ALL PRIVILEGES ON `d`.* TO `u`@`%` WITH GRANT OPTION"}, true},
		{[]string{usage, "GRANT SELECT, INSERT, UPDATE, DELETE ON `d`.* TO `u`@`%`"}, false},
		{[]string{usage, "GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON `d`.* TO `u`@`%`"}, true},
		{[]string{usage, "GRANT SELECT, CREATE TEMPORARY TABLES ON `d`.* TO `u`@`%`"}, true},
		{[]string{"GRANT SELECT, TRIGGER ON *.* TO `u`@`%`", "GRANT INSERT ON `d`.* TO `u`@`%`"}, true},
		{[]string{"GRANT SELECT, INSERT ON *.* TO `u`@`%`", "GRANT TRIGGER ON `d`.* TO `u`@`%`"}, false},
		{[]string{usage, "GRANT INSERT ON `d`.`t` TO `u`@`%`"}, false},
		{[]string{usage, "GRANT INSERT, UPDATE (`TRIGGER, x`, `a ON b`), TRIGGER ON `d`.`t` TO `u`@`%`"}, true},
		{[]string{usage, "GRANT INSERT, UPDATE (`TRIGGER`) ON `d`.`t` TO `u`@`%`"}, false},
		{[]string{usage, "GRANT TRIGGER ON `d.x`.* TO `u`@`%`", "GRANT INSERT ON `d.x`.`t` TO `u`@`%`"}, true},
		{[]string{usage, "GRANT TRIGGER ON `d`.`t` TO `u`@`%`", "GRANT INSERT ON `d`.`u` TO `u`@`%`"}, false},
		{[]string{"GRANT SELECT, INSERT, TRIGGER ON *.* TO `u`@`%`", "REVOKE TRIGGER ON `d`.* FROM `u`@`%`"}, false},
		{[]string{"GRANT SELECT, INSERT, TRIGGER ON *.* TO `u`@`%`", "REVOKE SELECT ON `d`.* FROM `u`@`%`"}, true},
		{[]string{usage, "GRANT EXECUTE ON PROCEDURE `d`.`p` TO `u`@`%`", "GRANT `r`@`%` TO `u`@`%`", "GRANT PROXY ON ``@`` TO `u`@`%`"}, true},
	}
	for _, tt := range tests {
		f := &fake{version: "8.0.36"}
		for _, l := range tt.lines {
			f.grants = append(f.grants, []string{l})
		}
		if got := load(t, f).SeesTriggers(); got != tt.sees {
			t.Errorf("%q: sees triggers %t", tt.lines, got)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	c := load(t, &fake{
		version:  "8.0.36",
		routines: [][]string{fn("f", "return @a")},
		triggers: [][]string{{"d", "t", "set @a = 1", "", "tr"}},
	})
	text, schema := []byte("INSERT INTO t SELECT f(1), d.f(2), g(3) FROM u"), []byte("d")
	var a sqltext.Analysis
	sqltext.Analyze(text, mode, &a)
	if n := testing.AllocsPerRun(100, func() { c.Called(&a, schema); c.Reached(text, mode, schema) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What the server shows of a routine is believed where it shows what runs.
func TestLook(t *testing.T) {
	t.Parallel()
	c := load(t, &fake{version: "8.0.36", routines: [][]string{proc("known", "do get_lock('a', 1)")}})
	const create = "CREATE PROCEDURE `p`()\n"
	for _, tt := range []struct {
		row  []string
		want sqltext.Effects
	}{
		{[]string{"p", "", create + "SELECT 1", "utf8mb4"}, 0},
		{[]string{"p", "", create + "SELECT 1", "latin1", "latin1_swedish_ci", "utf8mb4_bin"}, 0},
		{[]string{"p", "", create + "CALL known()", "utf8mb4"}, sqltext.NamedLock},
		{[]string{"p", "", create + "SELECT 1", "armscii8"}, routines.Anything}, // where a byte above ASCII is a quote
		{[]string{"p", "", create + "SELECT 1", "swe7"}, routines.Anything},     // and @ a letter
		{[]string{"p", "", create + "SELECT '?'", "utf8mb4"}, routines.Anything},
		{[]string{"p", "", create + "SELECT 'é'", "utf8mb4"}, routines.Anything},
		{[]string{"p", "ORACLE", create + "SELECT 1", "utf8mb4"}, routines.Anything},
		{[]string{"p", "", "", "utf8mb4"}, routines.Anything},
		{[]string{"p"}, routines.Anything},
		{nil, routines.Anything},
	} {
		var a sqltext.Analysis
		sqltext.Analyze([]byte("call p()"), mode, &a)
		l := routines.Look{Version: 80036}
		_, next, needs := l.Called(c, &a, []byte("d"))
		if got := next.Ask(); !needs || got != "SHOW CREATE PROCEDURE `d`.`p`" {
			t.Fatalf("asks %q, needs %v", got, needs)
		}
		l.Take(c, next, tt.row)
		if got, _, needs := l.Called(c, &a, []byte("d")); got != tt.want || needs {
			t.Errorf("%q: %v, needs %v, want %v", tt.row, got, needs, tt.want)
		}
	}
}

// On MariaDB, what stands before the dot may be a package.
func TestLookPackage(t *testing.T) {
	t.Parallel()
	c := load(t, &fake{version: "11.8.9-MariaDB"})
	for sql, want := range map[string]bool{"call p()": true, "call d.p()": false, "select d.f()": false} {
		var a sqltext.Analysis
		sqltext.Analyze([]byte(sql), mode, &a)
		l := routines.Look{Version: 110809, MariaDB: true}
		if e, _, needs := l.Called(c, &a, []byte("d")); needs != want || !needs && e != routines.Anything {
			t.Errorf("%s: asks %v, else %v", sql, needs, e)
		}
	}
}

// A call may run more than a body, or another one: parameters of MariaDB's can have values of their own, and what stands before the
// dot may be a package.
func TestMariaDBCalls(t *testing.T) {
	t.Parallel()
	both := [][]string{proc("p", "select 'a'"), proc("calls", "call d.p()")}
	body := func(schema, kind string) []string {
		return []string{schema, "D", kind, "SQL", "procedure p() do get_lock('a', 1); end", ""}
	}
	for _, tt := range []struct {
		f    fake
		sql  string
		want sqltext.Effects
	}{
		{fake{version: "11.8.9-MariaDB", routines: both, params: "a int"}, "call p(1)", 0},
		{fake{version: "11.8.9-MariaDB", routines: both, params: "a int default get_lock('a', 1)"}, "call p()", routines.Anything},
		{fake{version: "11.8.9-MariaDB", routines: both, params: "a int default get_lock('a', 1)"}, "call calls()", routines.Anything},
		{fake{version: "10.11.19-MariaDB", routines: both, params: "never asked for, default"}, "call calls()", 0},
		{fake{version: "10.11.19-MariaDB", routines: append(both, body("other", "PACKAGE"))}, "call d.p()", routines.Anything},
		{fake{version: "11.8.9-MariaDB", routines: append(both, body("d", "PACKAGE BODY"))}, "call calls()", routines.Anything},
	} {
		if got := effects(load(t, &tt.f), tt.sql) &^ sqltext.SequenceWrite; got != tt.want {
			t.Errorf("%s, %q, of %d routines: %v, want %v", tt.f.version, tt.f.params, len(tt.f.routines), got, tt.want)
		}
	}
}

// Some character sets have a quote or a backslash beside that of ASCII, so that nothing is sure of what is shown.
func TestQuotesElsewhere(t *testing.T) {
	t.Parallel()
	for charset, want := range map[string]sqltext.Effects{"utf8mb4": 0, "gbk": 0, "armscii8": routines.Anything, "sjis": routines.Anything} {
		c := load(t, &fake{version: "9.7.4", routines: [][]string{proc("p", "select 'a'")}, charset: charset})
		if got := effects(c, "call p()"); got != want {
			t.Errorf("%s: %v, want %v", charset, got, want)
		}
	}
}
