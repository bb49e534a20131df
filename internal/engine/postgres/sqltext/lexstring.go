package sqltext

// identifier reads a quoted identifier. i is after the opening quote.
func (x *lexer) identifier(k kind, i int) {
	b := x.text
	x.kind, x.from, x.plain = k, i, true
	for ; i < len(b); i++ {
		if b[i] == 0 {
			x.unclear = true
		}
		if b[i] != '"' {
			continue
		}
		if i+1 < len(b) && b[i+1] == '"' {
			x.plain = false
			i++
			continue
		}
		x.to, x.end, x.pos = i, i+1, i+1
		return
	}
	x.unterminated()
}

// bits reads a bit string: no escapes, no doubled quotes. i is after the opening quote.
func (x *lexer) bits(i int) {
	b := x.text
	x.kind, x.from, x.plain = kBits, i, true
	for i < len(b) && b[i] != '\'' {
		i++
	}
	if i >= len(b) {
		x.unterminated()
		return
	}
	x.to, x.end, x.pos = i, i+1, i+1
}

// quoted reads a string without backslash escapes. i is after the opening quote.
//
// With standard_conforming_strings off, backslashes in '...' do escape. If that is possible and would end the string
// elsewhere, the text is unclear.
func (x *lexer) quoted(k kind, i int) {
	b := x.text
	x.kind, x.from, x.plain = k, i, true
	backslash := false
	open := i
	for ; i < len(b); i++ {
		switch c := b[i]; c {
		case '\'':
			if i+1 < len(b) && b[i+1] == '\'' {
				x.plain = false
				i++
				continue
			}
			if backslash && x.mode != Standard && k == kString {
				x.plain = false
				if escapedEnd(b, open) != i {
					x.unclear = true
				}
			}
			if next := continued(b, i+1); next > 0 {
				x.plain, backslash = false, false
				i, open = next-1, next
				continue
			}
			x.to, x.end, x.pos = i, i+1, i+1
			return
		case '\\':
			backslash = true
		case 0:
			x.unclear = true
		}
	}
	if backslash && x.mode != Standard {
		x.unclear = true
	}
	x.unterminated()
}

// escaped reads an E'...' string. i is after the opening quote.
func (x *lexer) escaped(i int) {
	b := x.text
	x.kind, x.from, x.plain = kEString, i, true
	for ; i < len(b); i++ {
		switch b[i] {
		case '\\':
			x.plain = false
			if b[i-1] >= 0x80 && x.mode != Standard {
				x.unclear = true // may be the second byte of a character
			}
			i++
		case '\'':
			if i+1 < len(b) && b[i+1] == '\'' {
				x.plain = false
				i++
				continue
			}
			if next := continued(b, i+1); next > 0 {
				x.plain = false
				i = next - 1
				continue
			}
			x.to, x.end, x.pos = i, i+1, i+1
			return
		case 0:
			x.unclear = true
		}
	}
	x.unterminated()
}

// escapedEnd returns where a string that has its first byte at i would end if backslashes escaped, or -1.
func escapedEnd(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '\'':
			if i+1 < len(b) && b[i+1] == '\'' {
				i++
				continue
			}
			return i
		}
	}
	return -1
}

// continued returns the index after the quote that continues a string whose closing quote is before i, or 0: white
// space and -- comments with a line end among them join two strings into one, in the first one's kind.
func continued(b []byte, i int) int {
	line := false
	for i < len(b) {
		switch c := b[i]; {
		case c == '\n' || c == '\r':
			line = true
			i++
		case class[c] == cSpace:
			i++
		case c == '-' && i+1 < len(b) && b[i+1] == '-':
			i = lineEnd(b, i+2)
		case c == '\'' && line:
			return i + 1
		default:
			return 0
		}
	}
	return 0
}

// unterminated ends the text in the middle of a token: the server refuses it.
func (x *lexer) unterminated() {
	x.broken, x.plain = true, false
	n := len(x.text)
	x.to, x.end, x.pos = n, n, n
	x.from = min(x.from, n)
}
