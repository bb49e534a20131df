package sqltext_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "forebay/internal/engine/mysql/sqltext"
)

func callees(p Program) string {
	var out []string
	for _, c := range p.Calls {
		s := c.Name
		if c.Schema != "" {
			s = c.Schema + "." + s
		}
		if c.Kind == CallsProcedure {
			s = "CALL " + s
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

type programTest struct {
	body  string
	want  Effects
	calls string
}

func checkPrograms(t *testing.T, mode Mode, tests []programTest) {
	t.Helper()
	for _, tt := range tests {
		p := ReadProgram([]byte(tt.body), mode)
		if p.Effects != tt.want {
			t.Errorf("%s\n got %v\nwant %v", tt.body, p.Effects, tt.want)
		}
		if d := cmp.Diff(tt.calls, callees(p)); d != "" {
			t.Errorf("%s: calls (-want +got)\n%s", tt.body, d)
		}
	}
}

func TestReadProgram(t *testing.T) {
	t.Parallel()
	const insert = LastInsertIDWrite
	tests := []programTest{
		// Nothing that stays.
		{"BEGIN END", 0, ""},
		{"begin select 1; end", 0, ""},
		{"return 1 + a", 0, ""},
		{"select * from t", 0, ""},
		{"begin declare a, b int default 1; declare c decimal(10, 2); set a = b + 1, c = 2; return a; end", 0, ""},
		{"set new.a = old.a + 1", 0, ""},
		{"begin if new.a is null then set new.a = upper('x'); end if; end", 0, ""},
		{"begin declare done bool default false; declare c cursor for select a from t where b in (1, 2); declare continue handler for not found set done = true; open c; l: loop fetch c into x; if done then leave l; end if; iterate l; end loop l; close c; end", 0, ""},
		{"begin select a, b into x, y from t; update t set a = x where b = y; delete from t; end", 0, ""},
		{"begin declare exit handler for sqlstate '23000', sqlstate value '42S01', 1062, sqlwarning, sqlexception, not found begin resignal; end; begin end; end", 0, ""},
		{"begin case a when 1 then select 1; when 2 then begin end; else select case b when 1 then 2 else 3 end; end case; end", 0, ""},
		{"begin case when a then select 1; end case; end", 0, ""},
		{"begin while a < 10 do set a = a + 1; end while; repeat set a = repeat('x', 3); until a > case when b then 1 else 2 end end repeat; end", 0, ""},
		{"begin if a then select 1; elseif b then select 2; elseif c then select 3; else select 4; end if; end", 0, ""},
		{"outer_label: begin inner_label: begin leave outer_label; end inner_label; end outer_label", 0, ""},
		{"begin signal sqlstate '45000' set message_text = 'no'; end", 0, ""},
		// Local variables that hide system variables.
		{"begin declare insert_id, `Last_Insert_ID` int; set insert_id = 1, last_insert_id = 2; end", 0, ""},
		{"begin declare i int; set insert_id = 1; end", Opaque, ""},
		{"begin set names = 1, `role` := 2, transaction = 3; end", 0, ""},

		// Settings.
		{"set sort_buffer_size = 1", Look, ""},
		{"begin set session sort_buffer_size = a * 2; end", Look, ""},
		{"set @@session.sort_buffer_size = 1", Look, ""},
		{"set a = 1, sort_buffer_size = 2, @b = 3", Look | UserVariable, ""},
		{"set global max_connections = 5", 0, ""},
		{"set sql_mode = 'ANSI'", Look, ""},
		{"set names latin1", Look, ""},
		{"set session transaction read only", Look, ""},
		{"set transaction read only", NextTransaction, ""},
		{"set timestamp = 1, rand_seed1 = 2", Look | Opaque, ""},
		{"set role r", Role | Look, ""},
		{"set resource group g", Opaque, ""},

		// User variables.
		{"set @a = 1", UserVariable, ""},
		{"set @a = new.b", UserVariable, ""},
		{"set new.a = @user", ReadsUserVariable, ""},
		{"begin select 1, 2 into a, @b; end", UserVariable | ReadsUserVariable, ""},
		{"begin select 1 into a; select @b; end", ReadsUserVariable, ""},
		{"begin select @a := 1; end", UserVariable | ReadsUserVariable, ""},
		{"begin fetch c into @a; end", UserVariable, ""},
		{"begin get diagnostics @a = number; end", UserVariable | DiagnosticsRead, ""},
		{"return @a", ReadsUserVariable, ""},
		{"begin while @a do do 1; end while; end", ReadsUserVariable, ""},
		{"begin declare x int default @a; end", ReadsUserVariable, ""},
		{"begin declare exit handler for 1062 set @a = 1; end", UserVariable, ""},
		{"begin declare c cursor for select @a; end", ReadsUserVariable, ""},

		// The rest.
		{"do get_lock('a', 1)", NamedLock, ""},
		{"return get_lock('a', 1)", NamedLock, ""},
		{"if get_lock('a', 1) then do release_lock('a'); end if", NamedLock | Ends, ""},
		{"create temporary table t (a int)", DDL | TempTable, ""},
		{"begin drop temporary table if exists t; create temporary table t as select 1; end", DDL | TempTable | DropsTable | Ends, ""},
		{"prepare s from 'select 1'", Prepared, ""},
		{"execute s", UsesPrepared | Unknown, ""},
		{"begin start transaction; insert into t values (1); commit; end", TxControl | insert, ""},
		{"begin xa start 'x'; end", XA, ""},
		{"flush tables with read lock", Admin | ImplicitCommit | GlobalLock, ""},
		{"lock instance for backup", GlobalLock, ""},
		{"begin insert into t values (1); select last_insert_id(); end", insert | LastInsertIDRead, ""},
		{"do last_insert_id(5)", LastInsertIDWrite | LastInsertIDRead, ""},
		{"set new.by = connection_id()", ThreadID, ""},
		{"kill 5", Kill, ""},
		{"begin create table t (a int); end", changed, ""},

		// Calls.
		{"call p()", 0, "CALL p"},
		{"begin call d.p(@a); end", UserVariable | ReadsUserVariable, "CALL d.p"},
		{"return f(g(1)) + d.f(2)", 0, "f, g, d.f"},
		{"begin if f(1) then set a = g(2); end if; case h(3) when i(4) then do 1; end case; while j(5) do do k(6); end while; end", 0, "f, g, h, i, j, k"},
		{"begin declare a int default f(1); declare c cursor for select g(2); return f(3); end", 0, "f, g"},
		{"begin call p(); call p(); call p(1); end", 0, "CALL p"},

		// Not understood.
		{"", Unknown, ""},
		{"begin", Unknown, ""},
		{"begin set @a = 1;", UserVariable | Unknown, ""},
		{"begin end; select 1", Unknown, ""},
		{"begin frobnicate; end", Unknown, ""},
		{"begin if a then select 1; end while; end", Unknown, ""},
		{"begin select 'open; end", Unknown | Unclear, ""},
		{"begin select 1\x00; end", Unknown | Unclear, ""},
	}
	for i := range tests {
		tests[i].want &^= Unclear
	}
	checkPrograms(t, mysql8, tests)
	var same []programTest
	for _, tt := range tests {
		if p := ReadProgram([]byte(tt.body), maria); p.Effects&SequenceWrite == 0 { // writing may draw from a sequence
			same = append(same, tt)
		}
	}
	checkPrograms(t, maria, same)

	checkPrograms(t, maria, []programTest{
		{"set @@sort_buffer_size = 1", Look | Opaque, ""},
		{"set @@sql_mode = ''", Look, ""},
		{"set @@local.sort_buffer_size = 1", Look, ""},
		{"begin not atomic set @a = 1; end", UserVariable, ""},
		{"begin for i in 1..10 do set @a = i; end for; for r in (select f(1) from t) do select r.a; end for; end", UserVariable, "f"},
		{"begin declare c cursor(x int) for select f(x); open c(1); end", 0, "f"},
		{"execute immediate 'set @a = 1'", Unknown, ""},
		{"set statement max_statement_time = 1 for set @a = 1", UserVariable | SetStatement, ""},
		{"update t set a = 1", SequenceWrite, ""},
		{"begin do db.pkg.f(1); end", Unknown, ""},
	})
	ansi := mysql8
	ansi.AnsiQuotes = true
	checkPrograms(t, ansi, []programTest{{`begin select "f"(1); end`, 0, "f"}})
	checkPrograms(t, Mode{}, []programTest{{"begin end", Unknown, ""}})
}

func TestReadProgramNesting(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]Effects{50: UserVariable, 100_000: Unknown} {
		body := strings.Repeat("begin ", n) + "set @a = 1; " + strings.Repeat("end; ", n)
		if p := ReadProgram([]byte(body), mysql8); p.Effects != want {
			t.Errorf("%d blocks: %v", n, p.Effects)
		}
	}
	var many strings.Builder
	for i := range 9 {
		fmt.Fprintf(&many, "f%d() + ", i)
	}
	if p := ReadProgram([]byte("return "+many.String()+"1"), mysql8); p.Effects != Unknown {
		t.Errorf("nine functions in a statement: %v", p.Effects)
	}
}

// TestMariaDBUnscoped has what MariaDB's session tracking does not tell.
func TestMariaDBUnscoped(t *testing.T) {
	t.Parallel()
	checkEffects(t, maria, []effectTest{
		{"set @@wait_timeout = 5", Assigns},
		{"set @@wait_timeout = 5 + 5", Look | Assigns},
		{"set @@no_such_variable = 5 + 5", Look | Assigns},
		{"set @@a.b = 5 + 5", Look | Opaque},
		{"set @@session_track_schema = 5 + 5", Look | Opaque},
		{"set @@session.wait_timeout = 5 + 5", Look},
		{"set @@sql_mode = concat(@@sql_mode, ',ANSI')", Look | SetsMode},
	})
	checkEffects(t, mysql8, []effectTest{{"set @@wait_timeout = 5 + 5", Look}})
}

// FuzzReadProgram checks that no body panics, and that a statement is not hidden by those around it.
func FuzzReadProgram(f *testing.F) {
	for _, s := range []string{
		"begin if a then call p(); end if; end", "l: loop set @a = case b when 1 then 2 end; leave l; end loop",
		"begin declare exit handler for not found, sqlstate value 'x' begin end; case a when b then c; else d; end case; end",
		"begin for r in (select 1) do repeat fetch c into x, @y; until z end repeat; end for; end", "return f(g(1)) -- x",
		"begin declare c cursor(a int) for select 1; open c(1); while a do set new.b = 1, @@c = 2; end while; end",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, mode := range []Mode{mysql8, maria} {
			p := ReadProgram(body, mode)
			if p.Effects&Unknown != 0 {
				continue
			}
			around := append([]byte("begin do get_lock('a', 1); "), body...)
			q := ReadProgram(append(around, "\n; do last_insert_id(1); end"...), mode)
			if lost := (p.Effects | NamedLock | LastInsertIDWrite) &^ q.Effects; lost != 0 && q.Effects&Unknown == 0 {
				t.Errorf("%q: %v lost in a block", body, lost)
			}
		}
	})
}
