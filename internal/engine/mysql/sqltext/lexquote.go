package sqltext

import "unicode/utf8"

// string reads a string. i is after the opening quote, q. ("String Literals")
func (x *lexer) string(i int, q byte) {
	b := x.text
	x.kind, x.b, x.from, x.plain = kString, q, i, true
	high := byte(0)
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == q:
			if i+1 < len(b) && b[i+1] == q {
				x.plain = false
				i++
				continue
			}
			if high >= 0x80 && !x.plain && x.mode.Charset == Unsafe {
				x.unclear = true // a backslash may be the second byte of a character
			}
			x.to, x.end, x.pos = i, i+1, i+1
			return
		case c == '\\':
			x.escapes = true
			x.plain = false
			if !x.noEscape {
				i++
			}
		default:
			high |= c
		}
	}
	x.unterminated()
}

// identifier reads a quoted identifier. i is after the opening quote, q.
func (x *lexer) identifier(i int, q byte) {
	b := x.text
	x.kind, x.b, x.from, x.plain = kQuoted, q, i, true
	high := byte(0)
	for ; i < len(b); i++ {
		c := b[i]
		high |= c
		if c == 0 {
			x.unclear = true
		}
		if c != q {
			continue
		}
		if i+1 < len(b) && b[i+1] == q {
			x.plain = false
			i++
			continue
		}
		x.to, x.end, x.pos = i, i+1, i+1
		if high >= 0x80 {
			x.highName(b[x.from:i])
		}
		return
	}
	x.unterminated()
}

// highName decides whether a quoted name may end elsewhere: the servers skip as many bytes as the first byte of a
// character announces, whatever they are.
func (x *lexer) highName(w []byte) {
	switch x.mode.Charset {
	case UTF8:
		if !utf8.Valid(w) {
			x.unclear = true
		}
	case Unsafe:
		x.unclear = true
	}
}

// hex reads X'..' or B'..': the token starts at i, and j is after the quote.
func (x *lexer) hex(i, j int) {
	b := x.text
	x.kind, x.start, x.from = kHex, i, j
	base := b[i] | 0x20
	for j < len(b) && isDigit(b[j], base) {
		j++
	}
	if j >= len(b) || b[j] != '\'' {
		x.unterminated()
		return
	}
	x.to, x.end, x.pos = j, j+1, j+1
}

// unterminated ends the text in the middle of a token: the server refuses it.
func (x *lexer) unterminated() {
	x.unclear, x.plain = true, false
	n := len(x.text)
	x.to, x.end, x.pos = n, n, n
	x.from = min(x.from, n)
}
