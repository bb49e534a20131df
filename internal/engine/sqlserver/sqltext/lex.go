package sqltext

import "unicode"

// kind is what a token is.
type kind uint8

const (
	kEOF    kind = iota
	kWord        // a regular identifier or a keyword
	kName        // [x]
	kDouble      // "x": a name or a string, as QUOTED_IDENTIFIER says
	kString      // 'x' or N'x'
	kNumber      // with money
	kHex         // 0x..
	kVar         // @x
	kSysVar      // @@x
	kPunct
)

// wordLen bounds the words that are looked up.
const wordLen = 40

// lexer cuts a text in UTF-16LE into tokens. Positions count units.
type lexer struct {
	text []byte
	n    int // units

	pos        int
	kind       kind
	c          uint16 // of a kPunct
	start, end int
	kw         keyword
	national   bool // N'x'
	// folded is the word in lower case if it is short and ASCII alone.
	folded  [wordLen]byte
	nFolded int

	double  bool // "x" is a name
	unclear bool // the server may see other tokens
}

func (x *lexer) init(text []byte) {
	x.text, x.n, x.pos = text, len(text)/2, 0
	x.unclear = len(text)%2 != 0
}

// at returns the unit at i, or 0 behind the end.
func (x *lexer) at(i int) uint16 {
	if uint(i) >= uint(x.n) {
		return 0
	}
	return uint16(x.text[2*i]) | uint16(x.text[2*i+1])<<8
}

// Classes of ASCII.
const (
	cOther = iota
	cSpace
	cLetter // _ and # among them
	cDigit
	cOdd // control characters
)

var class = func() (t [128]uint8) {
	for c := range t {
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			t[c] = cSpace
		case c < ' ' || c == 0x7f:
			t[c] = cOdd
		case c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '#':
			t[c] = cLetter
		case c >= '0' && c <= '9':
			t[c] = cDigit
		}
	}
	return t
}()

// inWord reports whether c goes on a regular identifier. ("Database Identifiers")
func (x *lexer) inWord(c uint16) bool {
	if c < 128 {
		return class[c] == cLetter || class[c] == cDigit || c == '@' || c == '$'
	}
	if unicode.IsLetter(rune(c)) {
		return true
	}
	if unicode.IsSpace(rune(c)) || unicode.Is(unicode.Sc, rune(c)) || unicode.IsPunct(rune(c)) {
		return false
	}
	x.unclear = true
	return true
}

// next reads the next token.
func (x *lexer) next() {
	x.kw, x.nFolded = keyword{}, 0
	i := x.pos
	for i < x.n {
		c := x.at(i)
		if c >= 128 {
			if unicode.IsLetter(rune(c)) || !unicode.IsSpace(rune(c)) && x.inWord(c) {
				x.regular(i)
				return
			}
			// Some of these are spaces or money to the server and some are refused.
			x.unclear = x.unclear || !unicode.Is(unicode.Sc, rune(c))
			i++
			continue
		}
		switch class[c] {
		case cSpace:
			i++
			continue
		case cOdd:
			x.unclear = true
			i++
			continue
		case cLetter:
			if c|0x20 == 'n' && x.at(i+1) == '\'' {
				x.quoted(kString, i, i+1, '\'')
				x.national = true
				return
			}
			x.regular(i)
			return
		case cDigit:
			x.number(i)
			return
		}
		switch c {
		case '-':
			if x.at(i+1) == '-' {
				for i < x.n && x.at(i) != '\n' {
					// A lone carriage return ends no comment, but not every tool thinks so.
					if x.at(i) == '\r' && x.at(i+1) != '\n' {
						x.unclear = true
					}
					i++
				}
				continue
			}
		case '/':
			if x.at(i+1) == '*' {
				i = x.comment(i + 2)
				continue
			}
		case '\'':
			x.quoted(kString, i, i, '\'')
			return
		case '"':
			x.quoted(kDouble, i, i, '"')
			return
		case '[':
			x.quoted(kName, i, i, ']')
			return
		case '@':
			x.kind, x.start = kVar, i
			if i++; x.at(i) == '@' {
				x.kind = kSysVar
				i++
			}
			x.fold(i)
			return
		case '.':
			if d := x.at(i + 1); d < 128 && class[d] == cDigit && !(x.end == i && x.isName()) {
				x.number(i)
				return
			}
		case '$':
			if d := x.at(i + 1); d < 128 && class[d] == cLetter {
				x.regular(i) // $action, $identity
			} else {
				x.number(i)
			}
			return
		}
		x.kind, x.c, x.start, x.end, x.pos = kPunct, c, i, i+1, i+1
		return
	}
	x.kind, x.start, x.end, x.pos = kEOF, x.n, x.n, x.n
}

// isName reports whether the token can be a part of a name.
func (x *lexer) isName() bool {
	return x.kind == kWord || x.kind == kName || x.kind == kDouble && x.double
}

// is reports whether the token is this character.
func (x *lexer) is(c uint16) bool { return x.kind == kPunct && x.c == c }

// comment returns the position behind a comment, which may hold others. i is behind its opening.
func (x *lexer) comment(i int) int {
	for depth := 1; i < x.n; i++ {
		switch c := x.at(i); {
		case c == '*' && x.at(i+1) == '/':
			i++
			if depth--; depth == 0 {
				return i + 1
			}
		case c == '/' && x.at(i+1) == '*':
			i++
			depth++
		}
	}
	x.unclear = true
	return x.n
}

// quoted reads what is quoted from open on; closing twice stands for itself.
func (x *lexer) quoted(k kind, start, open int, closing uint16) {
	x.kind, x.start, x.national = k, start, false
	i := open + 1
	for ; i < x.n; i++ {
		if x.at(i) == closing {
			if x.at(i+1) != closing || i+1 >= x.n {
				x.end, x.pos = i+1, i+1
				return
			}
			i++
		}
	}
	x.unclear = true
	x.end, x.pos = x.n, x.n
}

// regular reads a regular identifier.
func (x *lexer) regular(i int) {
	x.kind, x.start = kWord, i
	x.fold(i)
	if x.nFolded >= 2 {
		x.kw = keywords[string(x.folded[:x.nFolded])]
	}
}

// fold goes to the end of a word and keeps it in lower case.
func (x *lexer) fold(i int) {
	from, n := i, 0
	plain := true
	for i < x.n {
		c := x.at(i)
		if !x.inWord(c) && (i > from || c != '$') {
			break
		}
		if c >= 128 {
			plain = false
		} else if n < wordLen {
			b := byte(c)
			if b >= 'A' && b <= 'Z' {
				b += 'a' - 'A'
			}
			x.folded[n] = b
			n++
		}
		i++
	}
	if i-from > wordLen || !plain {
		n = 0
	}
	x.nFolded, x.end, x.pos = n, i, i
}

// isWord reports whether the token is this word, in lower case.
func (x *lexer) isWord(w string) bool { return x.kind == kWord && string(x.folded[:x.nFolded]) == w }

// number reads a number; it may begin with a point or a dollar sign.
func (x *lexer) number(i int) {
	x.kind, x.start = kNumber, i
	if x.at(i) == '0' && x.at(i+1)|0x20 == 'x' {
		x.kind = kHex
		for i += 2; isHex(x.at(i)); i++ {
		}
		if x.at(i) == '\\' {
			x.unclear = true // goes on in the next line
		}
		x.end, x.pos = i, i
		return
	}
	if x.at(i) == '$' {
		i++
	}
	i = x.digits(i)
	if x.at(i) == '.' {
		i = x.digits(i + 1)
	}
	if x.at(i)|0x20 == 'e' {
		j := i + 1
		if x.at(j) == '+' || x.at(j) == '-' {
			j++
		}
		if k := x.digits(j); k > j {
			i = k
		} else if c := x.at(i + 1); c >= 128 || !x.inWord(c) {
			i = j // 1e is a number, too
		}
	}
	x.end, x.pos = i, i
}

func (x *lexer) digits(i int) int {
	for c := x.at(i); c >= '0' && c <= '9'; c = x.at(i) {
		i++
	}
	return i
}

func isHex(c uint16) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' && c < 128 }
