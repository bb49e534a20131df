package sqltext_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "forebay/internal/engine/postgres/sqltext"
)

func TestAnalyzeSet(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sql, name, value string
		kind             SetKind
	}{
		{"SET Search_Path TO a, \"B\", 'c'", "search_path", `a, "B", 'c'`, SetValue},
		{"set session x = -1.5;", "x", "-1.5", SetValue},
		{"/* c */ set App.Tenant = 'x' -- end", "app.tenant", "'x'", SetValue},
		{"set \"App\".\"te\"\"nant\" = on", `app.te"nant`, "on", SetValue},
		{"set time zone 'UTC'", "timezone", "'UTC'", SetValue},
		{"set time zone local", "timezone", "", SetDefault},
		{"set names latin1", "client_encoding", "latin1", SetValue},
		{"set names", "client_encoding", "", SetDefault},
		{"set schema 'a'", "search_path", "'a'", SetValue},
		{"set x to default", "x", "", SetDefault},
		{"reset a.b", "a.b", "", SetDefault},
		{"RESET TIME ZONE", "timezone", "", SetDefault},
		{"set local x = 1", "", "", NotSet},
		{"set x = 1; select 1", "", "", NotSet},
		{"set x = (1)", "", "", NotSet},
		{"set x from current", "", "", NotSet},
		{"set role a", "", "", NotSet},
		{"set role = a", "", "", NotSet},
		{"set session authorization a", "", "", NotSet},
		{"set session characteristics as transaction read only", "", "", NotSet},
		{"set transaction_isolation = serializable", "", "", NotSet},
		{"set seed = 1", "", "", NotSet},
		{"set time zone interval '1' hour", "", "", NotSet},
		{"reset all", "", "", NotSet},
		{"reset role", "", "", NotSet},
		{"select 1", "", "", NotSet},
		{"set x = 'open", "", "", NotSet},
	}
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), Standard, known, &a)
		name, value := string(a.SetName()), tt.sql[a.Set.From:a.Set.To]
		if a.Set.Kind != tt.kind || name != tt.name || value != tt.value {
			t.Errorf("%s: got kind %d %q = %q; want kind %d %q = %q", tt.sql, a.Set.Kind, name, value, tt.kind, tt.name, tt.value)
		}
	}
}

func TestAnalyzeReset(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"reset X": "x", "reset all": "ALL", "reset time zone": "timezone", "reset role": "role", "reset a.b -- c": "a.b",
		"set x to default": "x", "set role = default;": "role", "set session x = default": "x", "set time zone local": "timezone",
		"set session authorization default": "session_authorization", "reset session authorization": "session_authorization",
		"set local x to default": "local x", "set local session authorization default": "local session_authorization",
		"reset x; select 1": "", "set x = 1": "", "set x = 'default'": "", "set local x = 1": "", "set session authorization a": "",
		"select reset from t": "", "update t set x = default": "", "do $$begin reset x; end$$": "", "execute p": "",
		"reset x /* open": "", "reset \"open": "", "reset transaction isolation level": "",
	} {
		var a Analysis
		Analyze([]byte(sql), Standard, known, &a)
		got := string(a.ResetName())
		if a.Reset.Kind == ResetAll {
			got = "ALL"
		}
		if a.Reset.Local {
			got = "local " + got
		}
		if got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

func prepared(a *Analysis) []string {
	var out []string
	for i := range a.PreparedLen() {
		op, n := a.Prepared(i)
		out = append(out, [...]string{"prepare ", "execute ", "deallocate "}[op]+string(n))
	}
	return out
}

func settings(a *Analysis) []string {
	var out []string
	for i := range a.SettingsLen() {
		out = append(out, string(a.Setting(i)))
	}
	return out
}

func TestAnalyzeNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sql      string
		prepared []string
		settings []string
	}{
		{"select 1", nil, nil},
		{
			"prepare P1 as select 1; execute \"P\"\"2\"(1); deallocate prepare p3; deallocate all",
			[]string{"prepare p1", `execute P"2`, "deallocate p3"},
			nil,
		},
		{"deallocate prepare", []string{"deallocate prepare"}, nil},
		{"execute prepare", []string{"execute prepare"}, nil},
		{"prepare transaction as select 1", []string{"prepare transaction"}, nil},
		{"explain analyze execute p", []string{"execute p"}, nil},
		{"create table t as execute p", []string{"execute p"}, nil},
		{"create temp table t as execute \"P\"(1)", []string{"execute P"}, nil},
		{
			"set a.B = 1; set c = 1; reset d.e; select set_config('F.g', 'x', false), set_config('h', 'x', false), set_config('A.b', '', false)",
			nil,
			[]string{"a.b", "d.e", "f.g"},
		},
		{"set local a.b = 1; select set_config('c.d', '', true)", nil, nil},
		{
			"do $$ begin set a.b = 1; perform set_config('c.d', '', false); execute 'set e.f = 1'; end $$",
			nil,
			[]string{"a.b", "c.d", "e.f"},
		},
		{
			"create function f() returns void language plpgsql as 'begin perform set_config(''a.b'', ''1'', false); end'",
			nil,
			[]string{"a.b"},
		},
		{"select query_to_xml('select set_config(''a.b'', ''1'', false)', true, true, '')", nil, []string{"a.b"}},
	}
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), Standard, known, &a)
		if d := cmp.Diff(tt.prepared, prepared(&a)); d != "" {
			t.Errorf("%s: prepared (-want +got)\n%s", tt.sql, d)
		}
		if d := cmp.Diff(tt.settings, settings(&a)); d != "" {
			t.Errorf("%s: settings (-want +got)\n%s", tt.sql, d)
		}
	}
}

func TestAnalyzeBounds(t *testing.T) {
	t.Parallel()
	var sets, execs strings.Builder
	for i := range 100 {
		fmt.Fprintf(&sets, "set a.b%d = 1;", i)
		fmt.Fprintf(&execs, "execute p%d;", i)
	}
	var a Analysis
	Analyze([]byte(sets.String()), Standard, known, &a)
	if a.Effects&UnknownSetting == 0 || a.Statements != 100 || a.SettingsLen() == 0 {
		t.Errorf("100 settings: effects %v, %d statements, %d names", a.Effects, a.Statements, a.SettingsLen())
	}
	Analyze([]byte(execs.String()), Standard, known, &a)
	if !a.MorePrepared || a.SettingsLen() != 0 {
		t.Errorf("100 EXECUTE: MorePrepared %t, %d settings", a.MorePrepared, a.SettingsLen())
	}
	long := strings.Repeat("n", 64)
	Analyze([]byte("execute "+long), Standard, known, &a)
	if !a.MorePrepared {
		t.Error("a name that the server cuts is not reported as unknown")
	}
	Analyze([]byte("set a."+long+" = 1"), Standard, known, &a)
	if a.Effects&UnknownSetting == 0 {
		t.Error("a setting with a name that the server cuts is not reported as unknown")
	}
}

func TestAnalyzeStatements(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]int{
		"": 0, ";": 0, "-- x": 0, "select 1": 1, "select 1;": 1, "select ';'; select 2 ;;": 2,
		"create function f() returns int begin atomic select 1; select 2; end; select 3": 2,
	} {
		var a Analysis
		Analyze([]byte(sql), Standard, known, &a)
		if a.Statements != want || a.Effects&TxControl != 0 {
			t.Errorf("%s: %d statements, effects %v; want %d", sql, a.Statements, a.Effects, want)
		}
	}
}

func TestAppendDigest(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"SELECT  set_config('a.b',\n\t'secret', FALSE) -- why", "select set_config($1, $2, false)"},
		{"SET app.tenant = 'x'", "set app.tenant = $1"},
		{"SET LOCAL app.token TO s3cret, \"S3cret\"; SELECT a = b FROM t", "set local app.token to $1, $2; select a = b from t"},
		{"alter role joe set app.token = secret", "alter role joe set app.token = $1"},
		{"UPDATE t SET a = b WHERE c = 5", "update t set a = b where c = $1"},
		{"set role joe", "set role joe"},
		{"select E'a\\'b', $$x$$, $1, 1.5e3, \"Quoted  Name\" /* c */ from T", `select $1, $2, $3, $4, "Quoted  Name" from t`},
		{"create role a password 'open", "create role a password $1"},
		{"", ""},
		{"select 'a\\' 'secret\\'", "select $1 ..."},
	}
	for _, tt := range tests {
		if got := string(AppendDigest([]byte("> "), []byte(tt.in))); got != "> "+tt.want {
			t.Errorf("%s: got %q, want %q", tt.in, got, tt.want)
		}
	}
	long := AppendDigest(nil, []byte("select "+strings.Repeat("column_name, ", 1000)))
	if len(long) > 512 || !strings.HasSuffix(string(long), "...") {
		t.Errorf("long text: digest of %d bytes, ends in %q", len(long), long[len(long)-8:])
	}
}
