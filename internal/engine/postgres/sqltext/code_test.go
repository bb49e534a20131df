package sqltext_test

import (
	"slices"
	"testing"

	. "forebay/internal/engine/postgres/sqltext"
)

func TestReadBody(t *testing.T) {
	t.Parallel()
	const dyn = Look | SequenceWrite | SequenceRead
	tests := []struct {
		src      string
		want     Effects
		settings []string
	}{
		{"BEGIN RETURN NEW; END", 0, nil},
		{"BEGIN UPDATE t SET x = 1, y = 2 WHERE id = 3; END", 0, nil},
		{"BEGIN UPDATE t AS a SET x = 1; UPDATE s.\"T\" SET x = 1; END", 0, nil},
		{"INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET x = 1", SequenceWrite, nil},
		{"DECLARE temp int DEFAULT 1; BEGIN SELECT a INTO temp FROM t; load := 1; PERFORM listen; END", 0, nil},
		{"BEGIN IF a > b THEN SET x = 1; END IF; END", Look, nil},
		{"BEGIN LOOP SET LOCAL x = 1; END LOOP; END", 0, nil},
		{"<<label>> SET a.b = 1", Look, []string{"a.b"}},
		{"BEGIN RESET a.b; END", Look, []string{"a.b"}},
		{"BEGIN LISTEN x; END", Look, nil},
		{"BEGIN DISCARD TEMP; END", Look | SequenceWrite, nil},
		{"BEGIN LOAD 'x'; END", Load, nil},
		{"BEGIN CREATE TEMP TABLE x (a int); END", Look | DDL, nil},
		{"BEGIN CREATE TABLE x (a int); END", DDL, nil},
		{"BEGIN CREATE TABLE pg_temp.x (a int); END", Look | DDL, nil},
		{"SELECT 1 INTO TEMP x", Look, nil},
		{"BEGIN CREATE VIEW x AS SELECT 1; END", DDL | RoutineDDL | Look, nil},
		{"DECLARE c CURSOR WITH HOLD FOR SELECT 1", Look, nil},
		{"SELECT set_config('A.b', $1, false)", Look, []string{"a.b"}},
		{"SELECT set_config('a.b', $1, true)", 0, nil},
		{"SELECT set_config(n, $1, true)", Look | UnknownSetting, nil},
		{"BEGIN EXECUTE q; END", dyn | UnknownSetting, nil},
		{"BEGIN EXECUTE format('DROP TABLE %I', x); END", dyn | DDL, nil},
		{"BEGIN EXECUTE 'INSERT INTO t VALUES (''x'')'; END", dyn, nil},
		{"BEGIN EXECUTE 'SET a.b'\n'c = 1'; END", dyn | UnknownSetting, nil},
		{"BEGIN EXECUTE 'SET a.b = ' || quote_literal(x); END", dyn, []string{"a.b"}},
		{"BEGIN EXECUTE 'SELECT set_config(''a.b'', $1, false)' USING x; END", dyn | UnknownSetting, []string{"a.b"}},
		{"BEGIN EXECUTE 'CREATE TEMP TABLE x AS SELECT 1'; END", dyn | DDL, nil},
		{"BEGIN q := 'LOAD ''x'''; RETURN QUERY EXECUTE q; END", dyn | UnknownSetting | Load, nil},
		{"BEGIN q := 'SET a.c = 1'; EXECUTE q; END", dyn | UnknownSetting, []string{"a.c"}},
		{"BEGIN GRANT EXECUTE ON FUNCTION f() TO x; END", 0, nil},
		{"-- SET x = 1\n/* LOAD 'x' */ SELECT 'SET x = 1'", 0, nil},
	}
	for _, tt := range tests {
		b := ReadBody([]byte(tt.src))
		if b.Effects != tt.want || !slices.Equal(b.Settings, tt.settings) {
			t.Errorf("%s\n got %v %q\nwant %v %q", tt.src, b.Effects, b.Settings, tt.want, tt.settings)
		}
	}
	b := ReadBody([]byte("BEGIN PERFORM a.F(x), \"G\"(y), coalesce(z), (r).h; DELETE FROM t; END"))
	if want := []string{"f", "G"}; !slices.Equal(b.Calls, want) || !b.Writes || !slices.Contains(b.Fields, "h") {
		t.Errorf("calls %q, fields %q, writes %t; want calls %q, field h, writes", b.Calls, b.Fields, b.Writes, want)
	}
}
