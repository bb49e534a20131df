package sqltext

// Item is a place in a text where CONNECTION_ID() is all of what a column of the result is. From and To bound the call.
// Named says that an alias follows; otherwise the column's name is the call, as typed.
type Item struct {
	From, To int
	Named    bool
}

// ConnectionIDs finds such places in a text that is one SELECT without FROM (Analysis.Tableless), up to as many as dst holds,
// and returns how many there are. The mode is that of the analysis. In larger expressions there is none: a name of a lock
// must be the same in SELECT and in DO.
func ConnectionIDs(text []byte, mode Mode, dst []Item) int {
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
			if it, after, ok := connectionID(x); ok {
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

// connectionID reads CONNECTION_ID() and an alias, up to the comma or the end after it.
func connectionID(x lexer) (it Item, after lexer, ok bool) {
	const call = len("connection_id()")
	if x.kind != kWord || x.qualified || !equalFold(x.text[x.from:x.to], "connection_id") || x.inCode {
		return it, x, false
	}
	it.From = x.start
	for _, b := range []byte("()") {
		if x.next(); x.kind != kPunct || x.b != b {
			return it, x, false
		}
	}
	if it.To = x.end; it.To-it.From != call {
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
