package sqltext_test

import (
	"bytes"
	"testing"

	. "forebay/internal/engine/sqlserver/sqltext"
)

// FuzzInspect checks that no text panics or runs on, that what is told lies in the text, that white space and comments do
// not matter, and that what one statement does is not hidden by another one before or after it.
func FuzzInspect(f *testing.F) {
	for _, c := range effects {
		f.Add(wire(c.sql))
	}
	f.Add([]byte{'a'})
	f.Add([]byte{0, 0xd8, '[', 0})
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4096 {
			return
		}
		for _, m := range []Mode{{}, batch, within} {
			var a, b Analysis
			Inspect(text, m, &a)
			a.Apply(text, random(fixedRand()))
			for i := range a.CallLen() {
				a.CallName(text, i)
			}
			for _, max := range []int{0, 5, 500} {
				if n := len(AppendDigest(nil, text, m.QuotedIdentifier, max)); n > max {
					t.Fatalf("%q: a digest of %d bytes, at most %d", text, n, max)
				}
			}
			if a.Effects&Unclear != 0 {
				continue
			}
			spaced := append(wire(" /* a */\r\n"), text...)
			Inspect(append(spaced, wire("\n-- b")...), m, &b)
			if a.Effects != b.Effects {
				t.Fatalf("%q: %v, with space around it %v", text, a.Effects, b.Effects)
			}
			Inspect(append(bytes.Clone(text), wire("\n;OPEN SYMMETRIC KEY k")...), m, &b)
			if lost := a.Effects &^ (b.Effects | FormatOnly | FormatEnds); lost != 0 {
				t.Fatalf("%q: %v lost with a statement behind it", text, lost)
			}
			if b.Effects&(FormatOnly|FormatEnds) != 0 {
				t.Fatalf("%q: %v with a statement behind it", text, b.Effects)
			}
			if b.Effects&Key == 0 && !module(&a) {
				t.Fatalf("%q: hides the statement behind it", text)
			}
			// A statement before it turns the call of a procedure into something unknown, and sets @@ROWCOUNT.
			Inspect(append(wire("DECLARE @a int;"), text...), m, &b)
			if lost := a.Effects &^ (b.Effects | FormatOnly); lost != 0 && b.Effects&Unknown == 0 {
				t.Fatalf("%q: %v lost with a statement before it", text, lost)
			}
		}
	})
}

// module reports whether a text may be the definition of a module, which takes all that follows.
func module(a *Analysis) bool { return a.Effects&DDL != 0 }
