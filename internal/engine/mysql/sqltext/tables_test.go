package sqltext_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "forebay/internal/engine/mysql/sqltext"
)

func TestNames(t *testing.T) {
	t.Parallel()
	unknown := mysql8
	unknown.SQLModeKnown = false
	ansi := mysql8
	ansi.AnsiQuotes = true
	tests := []struct {
		mode          Mode
		sql, want     string
		writes, moves bool
		sure          bool
	}{
		{mysql8, "select A.b from C", "select a a.b from c", false, false, true},
		{mysql8, "select `D.e` . `f``G`.h, 'i', @j, @@k, 5", "select d.e d.e.f`g f`g.h k", false, false, true},
		{mysql8, "INSERT INTO t values (1)", "insert into t values", true, false, true},
		{mysql8, "update a.b set c = 1", "update a a.b set c", true, false, true},
		{mysql8, "select a.insert, `update`, 'delete'", "select a a.insert update", false, false, true},
		{mysql8, "use x; load data infile 'a' into table t", "use x load data infile into table t", true, true, true},
		{mysql8, "select a.* from b where (c).d", "select a from b where c d", false, false, true},
		{mysql8, "select a /* . */ . /* x */ b", "select a a.b", false, false, true},
		{mysql8, "select \"a\"", "select", false, false, true},
		{ansi, "select \"A\".b", "select a a.b", false, false, true},
		{unknown, "select \"a\"", "select", false, false, false},
		{unknown, "select 'a'", "select", false, false, true},
		{unknown, "select 'a\\n'", "select", false, false, false},
		{mysql8, "select 'a", "select", false, false, false},
		{mysql8, "select " + strings.Repeat("n", 300) + ".a", "select  a", false, false, true},
	}
	for _, tt := range tests {
		var got []string
		var n Names
		for n.Init([]byte(tt.sql), tt.mode); n.Next(); {
			s := string(n.Name())
			if len(n.Schema()) > 0 {
				s = string(n.Schema()) + "." + s
			}
			got = append(got, s)
		}
		if d := cmp.Diff(tt.want, strings.Join(got, " ")); d != "" || n.Writes != tt.writes || n.Moves != tt.moves || n.Sure() != tt.sure {
			t.Errorf("%s: writes %t, moves %t, sure %t (-want +got)\n%s", tt.sql, n.Writes, n.Moves, n.Sure(), d)
		}
	}
	var n Names
	other := ""
	for n.Init([]byte("select é, a.b, é.c, d"), mysql8); n.Next(); {
		if n.Other {
			other += string(n.Schema()) + "." + string(n.Name()) + " "
		}
	}
	if other != ".é .é é.c " {
		t.Errorf("other than ASCII: %q", other)
	}
}
