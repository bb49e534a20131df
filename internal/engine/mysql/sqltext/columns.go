package sqltext

// Item is a place in a text where a function's call is all of what a column of the result is. From and To bound the call.
// Named says that an alias follows; otherwise the column's name is the call, as typed.
type Item struct {
	From, To int
	Named    bool
}

// Columns finds such places, of calls without arguments of the function with that name (in lower case), in a text that is one
// SELECT without FROM (Analysis.Tableless), up to as many as dst holds, and returns how many there are. The mode is that of the
// analysis. In larger expressions there is none: a name of a lock must be the same in SELECT and in DO.
func Columns(text []byte, mode Mode, name string, dst []Item) int {
	if !mode.SQLModeKnown || mode.Version == 0 {
		return 0
	}
	x := newLexer(text, mode)
	if x.next(); x.kind != kWord || x.kw.id != wSelect {
		return 0
	}
	n, depth, first := 0, 0, true // of an item, which begins behind SELECT or a comma
	for x.next(); x.kind != kEOF && !(x.kind == kPunct && x.b == ';'); {
		if first && depth == 0 && n < len(dst) {
			if it, after, ok := columnCall(x, name); ok {
				dst[n], n = it, n+1
				x = after
				continue
			}
		}
		first = false
		if x.kind == kPunct {
			switch x.b {
			case '(':
				depth++
			case ')':
				depth--
			case ',':
				first = true
			}
		}
		x.next()
	}
	if x.unclear {
		return 0
	}
	return n
}

// columnCall reads the call of a function and an alias, up to the comma or the end after it.
func columnCall(x lexer, name string) (it Item, after lexer, ok bool) {
	if x.kind != kWord || x.qualified || !equalFold(x.text[x.from:x.to], name) || x.inCode {
		return it, x, false
	}
	it.From = x.start
	for _, b := range []byte("()") {
		if x.next(); x.kind != kPunct || x.b != b {
			return it, x, false
		}
	}
	if it.To = x.end; it.To-it.From != len(name)+len("()") {
		return it, x, false // a name of a column with blanks or comments
	}
	x.next()
	if x.kind == kWord && x.kw.id == wAs {
		if x.next(); x.kind != kWord && x.kind != kQuoted && x.kind != kString {
			return it, x, false
		}
	}
	if x.kind == kWord || x.kind == kQuoted || x.kind == kString {
		it.Named = true
		x.next()
	}
	return it, x, x.kind == kEOF || x.kind == kPunct && (x.b == ',' || x.b == ';')
}
