package sqltext_test

import (
	"bytes"
	"testing"

	. "forebay/internal/engine/mysql/sqltext"
)

var fuzzModes = []Mode{
	{}, mysql8, maria, {MariaDB: true}, {SQLModeKnown: true, AnsiQuotes: true, NoBackslashEscapes: true, Charset: SingleByte},
}

// FuzzAnalyze checks that no text panics, that the bounds given lie in the text, that what one statement does is not
// hidden by another one before or after it, and that knowing less never shows less.
func FuzzAnalyze(f *testing.F) {
	for _, sql := range everyday {
		f.Add([]byte(sql))
	}
	for _, sql := range []string{
		"select 'a\\'', get_lock('a', 1), '", "with x (a) as (select 1), y as (select f(1)) table x", "set @a := 1, @b = f(@c)",
		"create procedure p() begin if a then set @x = 1; end if; end; set @x = 1", "/*!50100 set */ /*!80000 @a = */ 1 /* */",
		"set names 'a' collate b, @@session.x = -1, global y = 2, z = 3", "prepare p from 'select 1'; execute p using @a",
		"create temporary table a.b (c int); drop table if exists a, b", "kill query 5; handler a open as b; use c; set session transaction read only",
		"select x'4', b'1', 0x4, 1e5.5, .5e, @`a`, @@`b`, `c``d`, \"e\"\"f\", n'g'; -- h\x00\n#i\n--", "/*M!100100 a */ /*!999999 b /* c */ */ d",
		"\xbf\\' `\xc3` @\xe9 \xa0into\xa0@a", "set statement a = 1 for select 1", "explain format = json into @a select 1",
		"call a.b(c.d(1)); select e . f (g/* h. */(2)), `i``j`.k.l()",
	} {
		f.Add([]byte(sql))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, mode := range fuzzModes {
			var a, b Analysis
			Analyze(text, mode, &a)
			within(t, text, &a, mode)
			if a.Effects&Unclear == 0 {
				Analyze(append(bytes.Clone(text), "\n;select get_lock('a', 1)"...), mode, &b)
				if lost := (a.Effects | NamedLock) &^ b.Effects; lost != 0 && b.Effects&Unclear == 0 && !mode.SingleStatement {
					t.Errorf("%q: %v lost with a statement after it", text, lost)
				}
			}
			Analyze(append([]byte("select get_lock('a', 1);"), text...), mode, &b)
			if lost := (a.Effects | NamedLock) &^ b.Effects; lost != 0 {
				t.Errorf("%q: %v lost with a statement before it", text, lost)
			}
			less := Mode{MariaDB: mode.MariaDB}
			Analyze(text, less, &b)
			if lost := a.Effects &^ b.Effects; lost&^Assigns != 0 && b.Effects&(Unknown|Call) == 0 && mode.Version == 0 {
				t.Errorf("%q: %v lost with less known", text, lost)
			}
		}
	})
}

// within checks that what a describes lies in the text.
func within(t *testing.T, text []byte, a *Analysis, mode Mode) {
	t.Helper()
	span := func(from, to int) {
		if from < 0 || from > to || to > len(text) {
			t.Fatalf("%q: from %d to %d", text, from, to)
		}
	}
	for i := range a.AssignmentLen() {
		x := a.Assignment(i)
		span(x.From, x.To)
		span(x.CollationFrom, x.CollationTo)
		a.AssignmentName(i)
		a.AppendAssignment(nil, text, mode, i, mode)
	}
	for i := range a.ObjectLen() {
		o := a.Object(i)
		span(o.From, o.To)
		a.ObjectName(i)
	}
	for i := range a.CallLen() {
		if _, name := a.CallName(i); len(name) == 0 {
			t.Errorf("%q: routine without a name", text)
		}
	}
	if (a.CallLen() > 0 || a.MoreCalls) != (a.Effects&Call != 0) {
		t.Errorf("%q: %d routines, more %t, effects %v", text, a.CallLen(), a.MoreCalls, a.Effects)
	}
	span(a.Kill.From, a.Kill.To)
}

// FuzzDigest checks that a digest is bounded, and that no string's content gets into it.
func FuzzDigest(f *testing.F) {
	f.Add([]byte("select a, "), []byte(" from b"))
	f.Add([]byte("set a = "), []byte(" /* x"))
	f.Add([]byte("/*!90000 x */ \\ n"), []byte("'"))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		if bytes.Contains(before, []byte("zqx")) || bytes.Contains(after, []byte("zqx")) {
			return
		}
		text := append(append(bytes.Clone(before), "'zqx'"...), after...)
		for _, mode := range fuzzModes {
			d := AppendDigest(nil, text, mode, 100)
			if len(d) > 100 {
				t.Errorf("%q: digest of %d bytes", text, len(d))
			}
			// The quote may close what the text before opened, or follow an @.
			if alone := AppendDigest(nil, before, mode, 1<<20); bytes.Contains(d, []byte("zqx")) && !bytes.ContainsAny(before, "'\"`@") {
				t.Errorf("%q: digest %q, of the beginning %q", text, d, alone)
			}
		}
	})
}

// FuzzQuote checks that what is quoted is read back as one literal.
func FuzzQuote(f *testing.F) {
	f.Add([]byte("it's"))
	f.Add([]byte("a\\\xbf\\`\"\x00é"))
	f.Fuzz(func(t *testing.T, s []byte) {
		for _, mode := range fuzzModes {
			if q, ok := AppendString(nil, s, mode); ok {
				if got, ok := AppendLiteral(nil, q, mode); !ok || !bytes.Equal(got, s) {
					t.Errorf("%q: string %q is read as %q, %t", s, q, got, ok)
				}
			}
			if q, ok := AppendIdentifier(nil, s, mode); ok {
				if got, ok := AppendLiteral(nil, q, mode); !ok || !bytes.Equal(got, s) {
					t.Errorf("%q: name %q is read as %q, %t", s, q, got, ok)
				}
			}
		}
	})
}
