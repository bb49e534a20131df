package sqltext

import (
	"bytes"
	"encoding/binary"
)

// Mode says what is known about how the server reads text. The zero value assumes nothing.
type Mode uint8

// Standard says that standard_conforming_strings is on and that client_encoding is not one of those that only clients
// may use (SJIS, BIG5, GBK, GB18030, UHC, JOHAB, SHIFT_JIS_2004). Both are reported by the server (ParameterStatus).
// Do not claim it while a statement that may change one of them is on its way.
const Standard Mode = 1

// kind of a token.
type kind uint8

const (
	kEOF     kind = iota
	kWord         // identifier or keyword
	kQuoted       // "identifier"
	kUQuoted      // U&"identifier"
	kString       // '...' or N'...'
	kEString      // E'...'
	kUString      // U&'...'
	kBits         // B'...' or X'...'
	kDollar       // $tag$...$tag$
	kNumber
	kParam // $1
	kPunct // one byte: an operator character, a bracket, a comma, ...
)

// classes of a token's first byte.
const (
	cOther = iota
	cSpace
	cIdent
	cDigit
	cQuote
	cDQuote
	cDollar
	cDash
	cSlash
	cNul
)

// class gives the class of each byte, as in src/backend/parser/scan.l. A vertical tab is space since version 16 and an
// error before.
var class = func() (t [256]uint8) {
	for _, c := range " \t\n\r\f\v" {
		t[c] = cSpace
	}
	for c := range t {
		if c >= 0x80 || c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			t[c] = cIdent
		}
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = cDigit
	}
	t['\''], t['"'], t['$'], t['-'], t['/'], t[0] = cQuote, cDQuote, cDollar, cDash, cSlash, cNul
	return t
}()

// inWord tells which bytes continue an identifier.
var inWord = func() (t [256]bool) {
	for c := range t {
		t[c] = class[c] == cIdent || class[c] == cDigit || c == '$'
	}
	return t
}()

// lexer splits a text into tokens, skipping white space and comments. The fields after pos describe the token that
// next found.
type lexer struct {
	text []byte
	pos  int
	mode Mode

	kind       kind
	kw         *keyword // of a kWord; never nil, &notKeyword for plain identifiers
	b          byte     // of a kPunct
	start, end int      // the whole token
	from, to   int      // the content, between the quotes
	k1         uint64   // of a kWord: its first 8 bytes, folded by |0x20
	plain      bool     // of a string or quoted identifier: the content stands as it is between the quotes

	unclear bool // the server may have seen a token end elsewhere
	broken  bool // a string, comment or identifier does not end: the server refuses the text
}

// next finds the next token.
func (x *lexer) next() {
	b, i := x.text, x.pos
	for i < len(b) {
		c := b[i]
		switch class[c] {
		case cSpace:
			i++
			continue
		case cIdent:
			x.word(i)
			return
		case cDigit:
			x.number(i)
			return
		case cQuote:
			x.start = i
			x.quoted(kString, i+1)
			return
		case cDQuote:
			x.start = i
			x.identifier(kQuoted, i+1)
			return
		case cDollar:
			x.dollar(i)
			return
		case cDash:
			if i+1 < len(b) && b[i+1] == '-' {
				i = lineEnd(b, i+2)
				continue
			}
		case cSlash:
			if i+1 < len(b) && b[i+1] == '*' {
				i = x.comment(i + 2)
				continue
			}
		case cNul:
			// The protocol ends a text here. What follows is nobody's.
			x.unclear = true
			i = len(b)
			continue
		}
		x.kind, x.b, x.start, x.end, x.pos = kPunct, c, i, i+1, i+1
		return
	}
	x.kind, x.b, x.start, x.end, x.pos = kEOF, 0, len(b), len(b), len(b)
}

// lineEnd returns the index of the first line end at or after i.
func lineEnd(b []byte, i int) int {
	for i < len(b) && b[i] != '\n' && b[i] != '\r' {
		i++
	}
	return i
}

// comment skips a comment, which may hold others, and returns the index after it. i is after the opening.
func (x *lexer) comment(i int) int {
	b := x.text
	depth := 1
	for i+1 < len(b) {
		switch {
		case b[i] == '*' && b[i+1] == '/':
			i += 2
			if depth--; depth == 0 {
				return i
			}
		case b[i] == '/' && b[i+1] == '*':
			depth++
			i += 2
		default:
			i++
		}
	}
	x.broken = true
	return len(b)
}

// fold has the bit that makes an ASCII letter lower-case, in each byte. It also turns '_' into 0x7f, which no
// identifier has.
const fold = 0x2020202020202020

// word reads an identifier, a keyword or a string with a letter before it.
func (x *lexer) word(i int) {
	b := x.text
	j := i + 1
	for j < len(b) && inWord[b[j]] {
		j++
	}
	n := j - i
	x.start = i
	if n == 1 && j < len(b) {
		switch c := b[i] | 0x20; b[j] {
		case '\'':
			switch c {
			case 'e':
				x.escaped(j + 1)
				return
			case 'n':
				x.quoted(kString, j+1)
				return
			case 'b', 'x':
				x.bits(j + 1)
				return
			}
		case '&':
			if c == 'u' && j+1 < len(b) {
				switch b[j+1] {
				case '\'':
					x.quoted(kUString, j+2)
					return
				case '"':
					x.identifier(kUQuoted, j+2)
					return
				}
			}
		}
	}
	x.kind, x.end, x.pos, x.from, x.to, x.plain = kWord, j, j, i, j, true
	k1, k2 := foldedKeys(b, i, n)
	x.k1 = k1
	x.kw = findKeyword(k1, k2, n)
}

// foldedKeys returns the first and second 8 bytes of the n-byte word at i, with 0 after its end.
func foldedKeys(b []byte, i, n int) (k1, k2 uint64) {
	if i+16 <= len(b) {
		k1 = binary.LittleEndian.Uint64(b[i:]) | fold
		if n < 8 {
			return k1 & (1<<(8*uint(n)) - 1), 0
		}
		if n > 8 {
			k2 = binary.LittleEndian.Uint64(b[i+8:]) | fold
			if n < 16 {
				k2 &= 1<<(8*uint(n-8)) - 1
			}
		}
		return k1, k2
	}
	for j := 0; j < n && j < 8; j++ {
		k1 |= uint64(b[i+j]|0x20) << (8 * uint(j))
	}
	for j := 8; j < n && j < 16; j++ {
		k2 |= uint64(b[i+j]|0x20) << (8 * uint(j-8))
	}
	return k1, k2
}

// number reads digits with a fraction and an exponent. What else clings to a number is a token of its own, as it was
// to servers before version 15 (later ones refuse it): "1E'x'" has an escape string.
func (x *lexer) number(i int) {
	b := x.text
	j := digits(b, i)
	if j+1 < len(b) && b[j] == '.' && class[b[j+1]] == cDigit {
		j = digits(b, j+1)
	}
	if j+1 < len(b) && b[j]|0x20 == 'e' {
		k := j + 1
		if b[k] == '+' || b[k] == '-' {
			k++
		}
		if k < len(b) && class[b[k]] == cDigit {
			j = digits(b, k)
		}
	}
	x.kind, x.start, x.end, x.pos = kNumber, i, j, j
}

// digits returns the index after the digits at i.
func digits(b []byte, i int) int {
	for i < len(b) && class[b[i]] == cDigit {
		i++
	}
	return i
}

// dollar reads a parameter or a dollar-quoted string.
func (x *lexer) dollar(i int) {
	b := x.text
	j := i + 1
	x.start = i
	if j < len(b) && class[b[j]] == cDigit {
		j = digits(b, j)
		x.kind, x.end, x.pos = kParam, j, j
		return
	}
	if j < len(b) && class[b[j]] == cIdent {
		for j < len(b) && (class[b[j]] == cIdent || class[b[j]] == cDigit) {
			if b[j] >= 0x80 && x.mode != Standard {
				x.unclear = true // the tag may go on where ASCII bytes seem to end it
			}
			j++
		}
	}
	if j >= len(b) || b[j] != '$' {
		x.kind, x.b, x.end, x.pos = kPunct, '$', i+1, i+1
		return
	}
	j++
	tag := b[i:j]
	x.kind, x.from, x.plain = kDollar, j, true
	n := bytes.Index(b[j:], tag)
	if n < 0 {
		x.broken = true
		x.to, x.end, x.pos = len(b), len(b), len(b)
		return
	}
	x.to, x.end, x.pos = j+n, j+n+len(tag), j+n+len(tag)
}
