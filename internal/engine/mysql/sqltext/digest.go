package sqltext

// AppendDigest appends a text with its literals replaced by ? to dst, at most max bytes of it: words in lower case,
// comments dropped, white space made one space. No literal's content gets into it, so it is fit for logs. Quoted names
// and the names of user variables stay. Where it is not certain what is a literal, the digest ends in "...".
func AppendDigest(dst, text []byte, mode Mode, max int) []byte {
	x := newLexer(text, mode)
	begin, end := len(dst), 0
	prev := kEOF // of the token before
	var set setValue
	for x.next(); x.kind != kEOF; x.next() {
		mark := len(dst)
		if x.start > end && mark > begin {
			dst = append(dst, ' ')
		}
		if x.unclear || x.higher != 0 && mode.Version == 0 || x.escapes && !mode.SQLModeKnown ||
			len(dst)-begin > max {
			return cut(dst[:mark], begin, max)
		}
		end = x.end
		switch x.kind {
		case kWord:
			if set.isValue(&x) {
				dst = append(dst, '?')
				break
			}
			for _, c := range text[x.start:min(x.end, x.start+max)] {
				dst = append(dst, lower(c))
			}
		case kQuoted:
			if set.isValue(&x) {
				dst = append(dst, '?')
				break
			}
			fallthrough
		case kUserVar:
			// "x" may be a string; @'x' stands in accounts and is a name. A password never follows an @.
			if x.b == '"' && !mode.SQLModeKnown {
				dst = append(dst, '?')
				break
			}
			dst = append(dst, text[x.start:min(x.end, x.start+max)]...)
		case kSysVar, kAssign:
			dst = append(dst, text[x.start:x.end]...)
		case kPunct:
			dst = append(dst, x.b)
		default:
			if prev == kNumber && x.kind == kNumber {
				dst = append(dst, ' ')
			}
			dst = append(dst, '?')
		}
		set.next(&x)
		prev = x.kind
		if len(dst)-begin > max {
			return cut(dst[:mark], begin, max)
		}
	}
	if x.unclear {
		return cut(dst, begin, max)
	}
	return dst
}

// cut ends a digest that begins at begin, and makes room for the mark if there is none.
func cut(dst []byte, begin, max int) []byte {
	if max < len("...") {
		return dst[:begin]
	}
	if len(dst) > begin+max-len("...") {
		dst = dst[:begin+max-len("...")]
	}
	return append(dst, "..."...)
}

// setValue follows a text to the values of SET, which may be literals without quotes.
type setValue struct {
	begun, set bool // the statement's first word was seen, and it was SET
	equals     bool // the token before was = or :=
}

// next takes a token.
func (s *setValue) next(x *lexer) {
	switch {
	case x.kind == kPunct && x.b == ';':
		*s = setValue{}
	case !s.begun:
		s.begun = true
		s.set = x.kind == kWord && x.kw.id == wSet
	default:
		s.equals = x.kind == kAssign || x.kind == kPunct && x.b == '='
	}
}

// isValue reports whether the token is a word that is all of an assigned value.
func (s *setValue) isValue(x *lexer) bool {
	if !s.set || !s.equals {
		return false
	}
	y := *x
	y.next()
	return y.kind == kEOF || y.kind == kPunct && (y.b == ',' || y.b == ';')
}
