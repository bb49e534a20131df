package sqltext

import "unicode/utf8"

// kind of a token.
type kind uint8

const (
	kEOF     kind = iota
	kWord         // identifier or keyword
	kQuoted       // `identifier`, or "identifier" under ANSI_QUOTES
	kString       // '...', "...", N'...'
	kHex          // X'..', 0x.., B'..', 0b..
	kNumber       // without sign
	kUserVar      // @name, @`name`, @'name'; the name may be empty
	kSysVar       // @@ alone; the name follows
	kAssign       // :=
	kParam        // ?
	kPunct        // one byte: an operator character, a bracket, a comma, ...
)

// classes of a token's first byte.
const (
	cOther = iota
	cSpace
	cIdent
	cDigit
	cQuote
	cDQuote
	cBack
	cAt
	cDash
	cSlash
	cStar
	cHash
	cDot
	cColon
	cParam
	cNul
)

// class gives the class of each byte ("Schema Object Names"). Bytes from 0x80 up are letters here; Mode.Charset decides
// whether that is certain.
var class = func() (t [256]uint8) {
	for _, c := range " \t\n\r\f\v" {
		t[c] = cSpace
	}
	for c := range t {
		if c >= 0x80 || c == '_' || c == '$' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			t[c] = cIdent
		}
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = cDigit
	}
	t['\''], t['"'], t['`'], t['@'], t['-'], t['/'] = cQuote, cDQuote, cBack, cAt, cDash, cSlash
	t['*'], t['#'], t['.'], t[':'], t['?'], t[0] = cStar, cHash, cDot, cColon, cParam, cNul
	return t
}()

// inWord tells which bytes continue an identifier.
var inWord = func() (t [256]bool) {
	for c := range t {
		t[c] = class[c] == cIdent || class[c] == cDigit
	}
	return t
}()

// lexer splits a text into tokens, skipping white space and comments. The fields after noEscape describe the token that
// next found.
type lexer struct {
	text []byte
	pos  int
	mode Mode

	// One way to read the text, where the mode leaves several.
	version  uint32 // of the server
	ansi     bool   // ANSI_QUOTES
	noEscape bool   // NO_BACKSLASH_ESCAPES

	kind       kind
	b          byte     // of a kPunct; of a kUserVar, kQuoted or kString its quote, or 0
	plain      bool     // of a kString or kQuoted: the content stands as it is between the quotes
	qualified  bool     // of a kWord: a dot stands directly before it, so it is no keyword
	kw         *keyword // of a kWord; never nil, &notKeyword for plain identifiers
	start, end int      // the whole token
	from, to   int      // the content, between the quotes

	params  int    // how many ? there were, the token included
	inCode  bool   // in an executable comment
	dotEnd  int    // where the last dot ended
	quotes  bool   // a double quote stands outside of strings: ANSI_QUOTES matters
	escapes bool   // a backslash stands in a string: NO_BACKSLASH_ESCAPES matters
	higher  uint32 // the lowest version above the assumed one in an executable comment; 0 for none
	unclear bool   // the server may have seen a token end elsewhere, or refuses the text
}

// init sets a zero lexer to the beginning of a text. It works in place, which takes half the time of returning one.
func (x *lexer) init(text []byte, mode Mode) {
	x.text, x.mode, x.dotEnd, x.kw = text, mode, -1, &notKeyword
	x.version, x.ansi, x.noEscape = mode.version(), mode.AnsiQuotes, mode.NoBackslashEscapes
}

func newLexer(text []byte, mode Mode) (x lexer) {
	x.init(text, mode)
	return x
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
			x.string(i+1, c)
			return
		case cDQuote:
			x.start, x.quotes = i, true
			if x.ansi {
				x.identifier(i+1, c)
			} else {
				x.string(i+1, c)
			}
			return
		case cBack:
			x.start = i
			x.identifier(i+1, c)
			return
		case cAt:
			x.variable(i)
			return
		case cHash:
			i = x.lineEnd(i + 1)
			continue
		case cDash:
			if i+1 < len(b) && b[i+1] == '-' && (i+2 == len(b) || b[i+2] <= ' ' || b[i+2] == 0x7f) {
				i = x.lineEnd(i + 2)
				continue
			}
		case cSlash:
			if i+1 < len(b) && b[i+1] == '*' {
				i = x.comment(i)
				continue
			}
		case cStar:
			if x.inCode && i+1 < len(b) && b[i+1] == '/' {
				x.inCode = false
				i += 2
				continue
			}
		case cDot:
			if i+1 < len(b) && class[b[i+1]] == cDigit && !(x.kind == kWord && x.end == i) {
				x.number(i)
				return
			}
			x.dotEnd = i + 1
		case cColon:
			if i+1 < len(b) && b[i+1] == '=' {
				x.kind, x.start, x.end, x.pos = kAssign, i, i+2, i+2
				return
			}
		case cParam:
			x.params++
			x.kind, x.start, x.end, x.pos = kParam, i, i+1, i+1
			return
		case cNul:
			x.unclear = true
		}
		x.kind, x.b, x.start, x.end, x.pos = kPunct, c, i, i+1, i+1
		return
	}
	if x.inCode {
		x.unclear = true
	}
	x.kind, x.b, x.start, x.end, x.pos = kEOF, 0, len(b), len(b), len(b)
}

// lineEnd returns the index of the first line feed at or after i. A carriage return ends no comment; a NUL may.
func (x *lexer) lineEnd(i int) int {
	b := x.text
	for i < len(b) && b[i] != '\n' {
		if b[i] == 0 {
			x.unclear = true
		}
		i++
	}
	return i
}

// word reads an identifier, a keyword or a string with a letter before it.
func (x *lexer) word(i int) {
	b := x.text
	j := i
	high := byte(0)
	for j < len(b) && inWord[b[j]] {
		high |= b[j]
		j++
	}
	if j == i+1 && j < len(b) && b[j] == '\'' {
		switch b[i] | 0x20 {
		case 'n':
			x.start = i
			x.string(j+1, '\'')
			return
		case 'x', 'b':
			x.hex(i, j+1)
			return
		}
	}
	if high >= 0x80 {
		x.highWord(b[i:j])
	}
	if b[i] == '$' && !x.mode.MariaDB {
		x.dollar(b[i+1 : j])
	}
	x.kind, x.start, x.end, x.pos, x.from, x.to = kWord, i, j, j, i, j
	if j < len(b) && b[j] == ' ' {
		x.pos++ // as most words do
	}
	x.qualified = x.dotEnd == i
	x.kw = findKeyword(b, i, j-i)
}

// highWord decides whether bytes outside of ASCII may end a word, or hide a quote.
func (x *lexer) highWord(w []byte) {
	if x.mode.Charset != UTF8 || !utf8.Valid(w) {
		x.unclear = true
	}
}

// dollar looks for $tag$, which newer versions of MySQL take for the opening of a string ("CREATE FUNCTION Statement",
// routines in other languages). w is what follows the first dollar sign.
func (x *lexer) dollar(w []byte) {
	for _, c := range w {
		if c == '$' {
			x.unclear = true
		}
	}
}

// number reads a number, or an identifier that begins with a digit. i may be at a decimal point.
func (x *lexer) number(i int) {
	b := x.text
	j := digits(b, i)
	if j == i+1 && b[i] == '0' && j < len(b) && (b[j] == 'x' || b[j] == 'b') {
		k := j + 1
		for k < len(b) && isDigit(b[k], b[j]) {
			k++
		}
		if k > j+1 && (k == len(b) || !inWord[b[k]]) {
			x.kind, x.start, x.end, x.pos = kHex, i, k, k
			return
		}
	}
	if x.dotEnd == i || j < len(b) && inWord[b[j]] {
		if k := exponent(b, j); k > 0 && x.dotEnd != i {
			j = k
		} else {
			x.word(i)
			return
		}
	} else if j < len(b) && b[j] == '.' {
		j = digits(b, j+1)
		if k := exponent(b, j); k > 0 {
			j = k
		}
	}
	x.kind, x.start, x.end, x.pos = kNumber, i, j, j
}

// isDigit reports whether c is one of a number in base 'x' or 'b'.
func isDigit(c, base byte) bool {
	if base == 'b' {
		return c == '0' || c == '1'
	}
	return class[c] == cDigit || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// exponent returns the index after the exponent at i, or 0 if there is none.
func exponent(b []byte, i int) int {
	if i >= len(b) || b[i]|0x20 != 'e' {
		return 0
	}
	i++
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		i++
	}
	if i >= len(b) || class[b[i]] != cDigit {
		return 0
	}
	return digits(b, i)
}

// digits returns the index after the digits at i.
func digits(b []byte, i int) int {
	for i < len(b) && class[b[i]] == cDigit {
		i++
	}
	return i
}

// variable reads a user variable, or the @@ before a system variable's name. An account's @host looks like the former.
func (x *lexer) variable(i int) {
	b := x.text
	x.start = i
	j := i + 1
	if j < len(b) {
		switch b[j] {
		case '@':
			x.kind, x.end, x.pos = kSysVar, j+1, j+1
			return
		case '`':
			x.identifier(j+1, '`')
			x.kind = kUserVar
			return
		case '\'':
			x.string(j+1, '\'')
			x.kind = kUserVar
			return
		case '"':
			x.quotes = true
			if x.ansi {
				x.identifier(j+1, '"')
			} else {
				x.string(j+1, '"')
			}
			x.kind = kUserVar
			return
		}
	}
	for j < len(b) && (inWord[b[j]] && b[j] < 0x80 || b[j] == '.') {
		j++
	}
	if j < len(b) && b[j] >= 0x80 {
		x.unclear = true
	}
	x.kind, x.b, x.plain = kUserVar, 0, true
	x.from, x.to, x.end, x.pos = i+1, j, j, j
}
