package sqltext_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "forebay/internal/engine/mysql/sqltext"
)

func calls(a *Analysis) []string {
	var out []string
	for i := range a.CallLen() {
		schema, name := a.CallName(i)
		s := string(name) + "()"
		if len(schema) > 0 {
			s = string(schema) + "." + s
		}
		if a.CallKind(i) == CallsProcedure {
			s = "CALL " + s
		}
		out = append(out, s)
	}
	return out
}

func TestCalls(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sql  string
		want []string
		more bool
	}{
		{"select now(), count(*), `a` from t where b in (1)", nil, false},
		{"call p", []string{"CALL p()"}, false},
		{"call p()", []string{"CALL p()"}, false},
		{"CALL `D``b`.P (f(1), @a)", []string{"CALL D`b.P()", "f()"}, false},
		{"select f(1), F(2), db.f(3), `f` (4)", []string{"f()", "F()", "db.f()"}, false},
		{"select a, f(g(1), h.i()) from t, u as v", []string{"f()", "g()", "h.i()"}, false},
		{"do db . f ( 1 )", []string{"db.f()"}, false},
		{"select a.b + f(1) from c.d", []string{"f()"}, false},
		{"select 1.5*f(2), t.c-db.g(3)", []string{"f()", "db.g()"}, false},
		{"select x as y, db./* f( */f(1)", []string{"db.f()"}, false},
		{"select -- db.\n f(1)", []string{"f()"}, false},
		{"select db. -- g ,\n f(1)", []string{"db.f()"}, false},
		{"select /*!40000 db.*/ f(1)", []string{"db.f()"}, false},
		{"select 1, /*!40000 f*/(1)", []string{"f()"}, false},
		{"set @a = f(1), x = g(2)", []string{"f()", "g()"}, false},
		{"insert into t (a) values (f(1))", []string{"f()"}, false},
		{"select f(1); call p(); select g(2)", []string{"f()", "CALL p()", "g()"}, false},
		{"explain select f(1)", []string{"f()"}, false},
		{"select é(1)", []string{"é()"}, false},
		// Packages of MariaDB.
		{"select db.pkg.f(1)", nil, true},
		{"call db.pkg.p(1)", []string{"pkg.p()"}, true},
		{"call", nil, true},
	}
	for _, tt := range tests {
		var a Analysis
		Analyze([]byte(tt.sql), mysql8, &a)
		got := calls(&a)
		if tt.more {
			got, tt.want = nil, nil // what is listed does not matter
		}
		if d := cmp.Diff(tt.want, got); d != "" || a.MoreCalls != tt.more {
			t.Errorf("%s: more %t (-want +got)\n%s", tt.sql, a.MoreCalls, d)
		}
		if (len(got) > 0 || tt.more) != (a.Effects&Call != 0) {
			t.Errorf("%s: effects %v", tt.sql, a.Effects)
		}
	}
}

// What a server has not, or not any more, may be a stored function there.
func TestBuiltInSince(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sql   string
		mode  Mode
		calls bool
	}{
		{"select md5('x'), sha('x'), sha1('x')", Mode{Version: 90500, SQLModeKnown: true}, false},
		{"select md5('x')", Mode{Version: 90600, SQLModeKnown: true}, true},
		{"select Sha1('x')", Mode{Version: 90704, SQLModeKnown: true}, true},
		{"select md5('x')", Mode{SQLModeKnown: true}, true},
		{"select md5('x')", Mode{Version: 110809, MariaDB: true, SQLModeKnown: true}, false},
		{"select sha2('x', 256)", Mode{Version: 90704, SQLModeKnown: true}, false},
		{"select st_mpolyfromtext('x'), st_numinteriorring(p)", Mode{Version: 80011, SQLModeKnown: true}, false},
		{"select etag(a, b)", Mode{Version: 90600, SQLModeKnown: true}, true},
		{"select etag(a, b)", Mode{Version: 90704, SQLModeKnown: true}, false},
		{"select contains(a, b), within(a, b)", Mode{Version: 101119, MariaDB: true, SQLModeKnown: true}, false},
		{"select contains(a, b)", Mode{Version: 90704, SQLModeKnown: true}, true},
		{"select format_bytes(1)", Mode{Version: 101119, MariaDB: true, SQLModeKnown: true}, true},
		{"select format_bytes(1)", Mode{Version: 110809, MariaDB: true, SQLModeKnown: true}, false},
		{"select wsrep_last_written_gtid()", Mode{Version: 110809, MariaDB: true, SQLModeKnown: true}, true}, // the session's
	} {
		var a Analysis
		if Analyze([]byte(tt.sql), tt.mode, &a); a.Effects&Call != 0 != tt.calls {
			t.Errorf("%s, %+v: effects %v", tt.sql, tt.mode, a.Effects)
		}
	}
}

func TestCallBounds(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "do f%d(1);", i)
	}
	var a Analysis
	Analyze([]byte(many.String()), mysql8, &a)
	if a.CallLen() != 8 || !a.MoreCalls || a.MoreObjects || a.Effects != Call {
		t.Errorf("100 functions: %d listed, more %t, effects %v", a.CallLen(), a.MoreCalls, a.Effects)
	}
	Analyze([]byte(strings.Repeat("do f(1);", 100)), mysql8, &a)
	if a.CallLen() != 1 || a.MoreCalls {
		t.Errorf("one function 100 times: %d listed, more %t", a.CallLen(), a.MoreCalls)
	}
	Analyze([]byte("do "+strings.Repeat("n", 257)+"()"), mysql8, &a)
	if a.CallLen() != 0 || !a.MoreCalls {
		t.Errorf("long name: %d listed, more %t", a.CallLen(), a.MoreCalls)
	}
	// What one way to read the text does not show, another one does.
	Analyze([]byte("select \"f\"(1), g(2)"), Mode{}, &a)
	if d := cmp.Diff([]string{"g()", "f()"}, calls(&a)); d != "" {
		t.Errorf("two readings (-want +got)\n%s", d)
	}
}
