package sqltext

import (
	"unicode/utf16"
	"unicode/utf8"
)

// appendUnits appends units of a text in UTF-8, in lower case if they are ASCII and lower is set. Where closing, which is
// not 0, stands twice, it is one.
func appendUnits(dst []byte, x *lexer, from, to int, closing uint16, lower bool) []byte {
	for i := from; i < to; i++ {
		c := x.at(i)
		if c < 0x80 {
			if lower && c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, byte(c))
			if closing != 0 && c == closing {
				i++
			}
			continue
		}
		r := rune(c)
		if utf16.IsSurrogate(r) {
			if r = utf16.DecodeRune(r, rune(x.at(i+1))); r != utf8.RuneError {
				i++
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// content bounds what is within a token's quotes, and tells the closing one, or 0 if it has none.
func (x *lexer) content() (from, to int, closing uint16) {
	switch x.kind {
	case kName:
		return x.start + 1, x.end - 1, ']'
	case kDouble:
		return x.start + 1, x.end - 1, '"'
	case kString:
		from = x.start + 1
		if x.national {
			from++
		}
		return from, x.end - 1, '\''
	}
	return x.start, x.end, 0
}

// appendName appends the name that the token is, in lower case as far as it is ASCII. It reports false if it is too long.
func appendName(dst []byte, x *lexer) ([]byte, bool) {
	from, to, closing := x.content()
	if to-from > maxName || to < from {
		return dst, false
	}
	return appendUnits(dst, x, from, to, closing, true), true
}

// textIs reports whether the token is this word, in lower case, in or without quotes.
func (x *lexer) textIs(w string) bool {
	from, to, _ := x.content()
	if to-from != len(w) {
		return false
	}
	for i := range len(w) {
		c := x.at(from + i)
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != uint16(w[i]) {
			return false
		}
	}
	return true
}

// plain reports whether a string's value is its units: a backslash before a line's end is none of them. ("Backslash
// (Line Continuation)")
func (x *lexer) plain() bool {
	for i := x.start; i < x.end; i++ {
		if x.at(i) == '\\' && (x.at(i+1) == '\n' || x.at(i+1) == '\r') {
			return false
		}
	}
	return true
}

// ascii reports whether the token has no other characters.
func (x *lexer) ascii() bool {
	for i := x.start; i < x.end; i++ {
		if x.at(i) >= 0x80 {
			return false
		}
	}
	return true
}
