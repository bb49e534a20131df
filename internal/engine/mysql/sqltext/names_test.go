package sqltext_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "forebay/internal/engine/mysql/sqltext"
)

// assignments renders what a text assigns, for a session of mode to.
func assignments(text string, a *Analysis, from, to Mode) []string {
	var out []string
	for i := range a.AssignmentLen() {
		b, ok := a.AppendAssignment([]byte("> "), []byte(text), from, i, to)
		if !ok {
			b = append(b, "cannot"...)
		}
		out = append(out, strings.TrimPrefix(string(b), "> "))
	}
	return out
}

func TestAssignments(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sql  string
		want []string
	}{
		{"select 1", nil},
		{"USE `a``b`", []string{"`a``b`"}},
		{"use Db;", []string{"`Db`"}},
		{"SET NAMES utf8mb4", []string{"NAMES utf8mb4"}},
		{"set names 'utf8mb4' collate \"utf8mb4_bin\"", []string{"NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'"}},
		{"set names default", []string{"NAMES default"}},
		{"set character set 'latin1'", []string{"CHARACTER SET 'latin1'"}},
		{
			"SET @@SESSION.Sql_Mode := 'a''b', local wait_timeout=-1, autocommit=DEFAULT, `time_zone` = \"+00:00\"",
			[]string{"@@SESSION.`sql_mode` = 'a''b'", "@@SESSION.`wait_timeout` = -1", "@@SESSION.`autocommit` = DEFAULT", "@@SESSION.`time_zone` = '+00:00'"},
		},
		{"set character_set_results = NULL, x = utf8", []string{"@@SESSION.`character_set_results` = NULL", "@@SESSION.`x` = utf8"}},
		{"set sql_mode = `ansi`", []string{"@@SESSION.`sql_mode` = 'ansi'"}},
		{"set session transaction isolation level read committed, read only", []string{"SESSION TRANSACTION isolation level read committed, read only"}},
		{"set session transaction /* x */ read only", []string{"SESSION TRANSACTION read only"}},
		{"set session transaction read /* x */ only", nil},
		{
			"set @A = 'it\\'s\\n\\\\', @`b c` = X'00', @'d' = 1.50, @e = true",
			[]string{"@`a` = 'it''s\n\\\\'", "@`b c` = X'00'", "@`d` = 1.50", "@`e` = true"},
		},
		{"set @a = 'é'", []string{"@`a` = 'é'"}},
		{"set @é = 1", nil},
		{"set @a = '\\0'", []string{"cannot"}},
		{"set @ = 1", nil},
		{"set @a = 1; set @a = 2", []string{"@`a` = 1", "@`a` = 2"}},
		{"set @a = 1 /*!40101 , @b = 2 */", []string{"@`a` = 1", "@`b` = 2"}},
		{"set @a = - 1", nil},
	}
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), mysql8, &a)
		if d := cmp.Diff(tt.want, assignments(tt.sql, &a, mysql8, mysql8)); d != "" {
			t.Errorf("%s (-want +got)\n%s", tt.sql, d)
		}
	}
}

// TestAssignmentModes has values that must be written otherwise for a session of another mode, or cannot be.
func TestAssignmentModes(t *testing.T) {
	t.Parallel()
	noEscape := mysql8
	noEscape.NoBackslashEscapes = true
	unknown := mysql8
	unknown.SQLModeKnown = false
	latin1 := mysql8
	latin1.Charset = SingleByte
	tests := []struct {
		sql      string
		from, to Mode
		want     string
	}{
		{`set @a = 'x\\y'`, mysql8, noEscape, "@`a` = 'x\\y'"},
		{`set @a = 'x\\y'`, noEscape, mysql8, "@`a` = 'x\\\\\\\\y'"},
		{`set @a = 'x\\y'`, mysql8, unknown, "cannot"},
		{`set @a = 'xy'`, unknown, unknown, "@`a` = 'xy'"},
		{"set @a = 'é'", mysql8, Mode{SQLModeKnown: true}, "cannot"},
		{"set @a = '\xe9'", latin1, latin1, "@`a` = '\xe9'"},
		{"set @a = '\xe9'", latin1, mysql8, "cannot"},
	}
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), tt.from, &a)
		if d := cmp.Diff([]string{tt.want}, assignments(tt.sql, &a, tt.from, tt.to)); d != "" {
			t.Errorf("%s (-want +got)\n%s", tt.sql, d)
		}
	}
}

func objects(text string, a *Analysis) []string {
	ops := [...]string{"temp", "drop", "prepare", "execute", "deallocate", "schema", "open", "close"}
	var out []string
	for i := range a.ObjectLen() {
		o := a.Object(i)
		schema, name := a.ObjectName(i)
		s := ops[o.Op] + " " + string(name)
		if len(schema) > 0 {
			s = ops[o.Op] + " " + string(schema) + "." + string(name)
		}
		if o.To != 0 {
			s += " " + text[o.From:o.To]
		}
		out = append(out, s)
	}
	return out
}

func TestObjects(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sql  string
		want []string
	}{
		{"create temporary table if not exists D.`t``x` (a int)", []string{"temp D.t`x"}},
		{"drop table if exists a, b.c; drop temporary table d", []string{"drop a", "drop b.c", "drop d"}},
		{"prepare S from 'select 1'; execute S; deallocate prepare S; drop prepare `s 2`", []string{"prepare S 'select 1'", "execute S", "deallocate S", "deallocate s 2"}},
		{"prepare s from @a", []string{"prepare s"}},
		{"prepare s from 'a' 'b'", []string{"prepare s"}},
		{"drop database if exists x", []string{"schema x"}},
		{"handler a.b open as c; handler c read next; handler c close", []string{"open c", "close c"}},
		{"handler a.b open", []string{"open a.b"}},
		{"create table t (a int)", nil},
	}
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), mysql8, &a)
		if d := cmp.Diff(tt.want, objects(tt.sql, &a)); d != "" || a.MoreObjects {
			t.Errorf("%s: more %t (-want +got)\n%s", tt.sql, a.MoreObjects, d)
		}
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]struct {
		kind KillKind
		soft bool
		id   string
	}{
		"select 1":             {},
		"KILL 12":              {KillConnection, false, "12"},
		"kill connection 12;":  {KillConnection, false, "12"},
		"kill hard query 12":   {KillQuery, false, "12"},
		"kill soft 12":         {KillConnection, true, "12"},
		"kill query id 12":     {KillOther, false, "12"},
		"kill user root":       {KillOther, false, ""},
		"kill 12 + 1":          {KillConnection, false, ""},
		"kill connection_id()": {KillConnection, false, ""},
	} {
		var a Analysis
		Analyze([]byte(sql), maria, &a)
		if k := a.Kill; k.Kind != want.kind || k.Soft != want.soft || sql[k.From:k.To] != want.id {
			t.Errorf("%s: got %+v, want %+v", sql, k, want)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	var sets, vars, execs strings.Builder
	for i := range 100 {
		fmt.Fprintf(&sets, "set sort_buffer_size = %d;", i)
		fmt.Fprintf(&vars, "set @a%d = %d;", i, i)
		fmt.Fprintf(&execs, "execute p%d;", i)
	}
	var a Analysis
	Analyze([]byte(sets.String()), mysql8, &a)
	if a.Effects != Assigns|Look || a.Statements != 100 || a.AssignmentLen() != 16 {
		t.Errorf("100 settings: effects %v, %d statements, %d assignments", a.Effects, a.Statements, a.AssignmentLen())
	}
	Analyze([]byte(vars.String()), mysql8, &a)
	if a.Effects != Assigns|UserVariable {
		t.Errorf("100 user variables: effects %v", a.Effects)
	}
	Analyze([]byte(execs.String()), mysql8, &a)
	if !a.MoreObjects || a.AssignmentLen() != 0 {
		t.Errorf("100 EXECUTE: MoreObjects %t", a.MoreObjects)
	}
	Analyze([]byte("execute "+strings.Repeat("n", 257)), mysql8, &a)
	if !a.MoreObjects {
		t.Error("a name that is too long is not reported")
	}
	Analyze([]byte("select"+" /*!90000 1 */ /*!90001 1 */ /*!90002 1 */ /*!90003 1 */ /*!90004 1 */"), Mode{}, &a)
	if a.Effects != 0 {
		t.Errorf("five versions: effects %v", a.Effects)
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]struct {
		n         int
		tableless bool
	}{
		"": {0, false}, ";": {0, false}, "-- x": {0, false}, "select 1": {1, true}, "select 1;": {1, true},
		"select ';'; select 2 ;;": {2, false}, "select 1 from t": {1, false}, "select `from`": {1, true},
		"explain select 1":                               {1, false},
		"select (select 1 from dual)":                    {1, false},
		"create procedure p() begin a; b; end; select 3": {2, false},
	} {
		var a Analysis
		Analyze([]byte(sql), mysql8, &a)
		if a.Statements != want.n || a.Tableless != want.tableless {
			t.Errorf("%s: %d statements, tableless %t; want %+v", sql, a.Statements, a.Tableless, want)
		}
	}
}

func TestClassOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]VariableClass{
		"sort_buffer_size": PlainVariable, "sql_mode": ModeVariable, "autocommit": TransactionVariable, "x": UnknownVariable,
		"session_track_schema": ProtocolVariable, "identity": IdentityVariable, "insert_id": OpaqueVariable,
		"warning_count": ReadOnlyVariable,
	} {
		if got := ClassOf([]byte(name)); got != want {
			t.Errorf("%s: class %d, want %d", name, got, want)
		}
	}
}

func TestAppendDigest(t *testing.T) {
	t.Parallel()
	tests := []struct {
		mode     Mode
		in, want string
	}{
		{mysql8, "SELECT  c FROM `T`\n\tWHERE id=5 -- why", "select c from `T` where id=?"},
		{mysql8, "select 'a\\'b', \"x\", X'41', 0x41, N'y', _utf8'z', -1.5e3 # c", "select ?, ?, ?, ?, ?, _utf8?, -?"},
		{mysql8, "/*!40101 SET NAMES utf8 */ /* c */;", "set names utf8 ;"},
		{mysql8, "SET @a = s3cret, x = S3cret; select a = b", "set @a = ?, x = ?; select a = b"},
		{mysql8, "create user u@'h' identified by 'secret'", "create user u@'h' identified by ?"},
		{mysql8, "select 'open", "select..."},
		{Mode{}, "select \"a\", `b`", "select ?, `b`"},
		{Mode{}, "select 'a\\' secret '", "select..."},
		{Mode{}, "select /*!90000 it's */ 'secret'", "select..."},
		{mysql8, "select @@sql_mode, @a := 1", "select @@sql_mode, @a := ?"},
		{mysql8, "", ""},
	}
	for _, tt := range tests {
		if got := string(AppendDigest([]byte("> "), []byte(tt.in), tt.mode, 512)); got != "> "+tt.want {
			t.Errorf("%s: got %q, want %q", tt.in, got, tt.want)
		}
	}
	long := AppendDigest(nil, []byte("select "+strings.Repeat("column_name, ", 1000)), mysql8, 512)
	if len(long) > 512 || !strings.HasSuffix(string(long), "...") {
		t.Errorf("long text: digest of %d bytes, ends in %q", len(long), long[len(long)-8:])
	}
}

func TestAppendLiteral(t *testing.T) {
	t.Parallel()
	tests := []struct {
		mode     Mode
		in, want string
		ok       bool
	}{
		{mysql8, `'it''s \'x\'\t\%\q'`, "it's 'x'\t\\%q", true},
		{mysql8, "`a``b`", "a`b", true},
		{Mode{}, `'a'`, "a", true},
		{Mode{}, `'a\\'`, "", false},
		{mysql8, "1", "", false},
		{mysql8, "'a' 'b'", "", false},
		{mysql8, "'open", "", false},
	}
	for _, tt := range tests {
		got, ok := AppendLiteral(nil, []byte(tt.in), tt.mode)
		if string(got) != tt.want || ok != tt.ok {
			t.Errorf("%s: got %q, %t; want %q, %t", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}
