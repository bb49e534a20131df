package sqltext_test

import (
	"bytes"
	"testing"

	. "forebay/internal/engine/postgres/sqltext"
)

// FuzzAnalyze checks that no text panics, that the bounds given lie in the text, and that what one statement does is not
// hidden by another one before or after it.
func FuzzAnalyze(f *testing.F) {
	for _, sql := range everyday {
		f.Add([]byte(sql))
	}
	for _, sql := range []string{
		"select E'a\\'', set_config('a','b',false), '", "with x (a) as (select 1), y as (select setseed(1)) table x",
		"create function f() returns int begin atomic select 1; end; set x = 1", "$a$ $b$ $a$ \"a\"\"b\" U&\"x\" b'1' x'2'",
		"do $$ begin execute 'set a.b = ' || x; end $$", "set time zone interval '1' hour", "reset session.x",
		"prepare p (int) as execute q (set_config($1,$2,true))", "declare c cursor with hold for select 1", "explain (a (b)) select 1",
		"select query_to_xml('select ''''', a)", "set \"a\".\"b\" = c, 'd'; /* /* */", "select 'x\x00", "\xff$\xff$'\\",
	} {
		f.Add([]byte(sql))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, mode := range []Mode{0, Standard} {
			var a, b Analysis
			Analyze(text, mode, known, &a)
			if a.Set.From < 0 || a.Set.From > a.Set.To || a.Set.To > len(text) {
				t.Fatalf("%q: value from %d to %d", text, a.Set.From, a.Set.To)
			}
			prepared(&a)
			settings(&a)
			a.SetName()

			Analyze(append(bytes.Clone(text), ";select 1"...), mode, known, &b)
			if lost := a.Effects &^ b.Effects; lost != 0 {
				t.Errorf("%q: %v lost with a statement after it", text, lost)
			}
			Analyze(append([]byte("select 1;"), text...), mode, known, &b)
			if lost := a.Effects &^ b.Effects; lost != 0 {
				t.Errorf("%q: %v lost with a statement before it", text, lost)
			}
			Analyze(text, mode, nil, &b)
			if lost := a.Effects & (Look | Opaque | Load) &^ b.Effects; lost&Load != 0 || lost&Look != 0 {
				t.Errorf("%q: %v lost with nothing known", text, lost)
			}
		}
		ReadBody(text)
		if d := AppendDigest(nil, text); len(d) > 512+8 {
			t.Errorf("digest of %d bytes", len(d))
		}
	})
}
