package sqltext

// AppendDigest appends a text, in UTF-16LE, with its literals replaced by ? to dst in UTF-8, at most max bytes of it: words
// in lower case, comments dropped, white space made one space. No literal's content gets into it, so it is fit for logs.
// Names stay; what stands in double quotes is a literal unless quotedIdentifier is set. Where it is not certain what is a
// literal, the digest ends in "...".
func AppendDigest(dst, text []byte, quotedIdentifier bool, max int) []byte {
	var x lexer
	x.init(text)
	begin, end := len(dst), 0
	var call callArguments
	for x.next(); x.kind != kEOF; x.next() {
		mark := len(dst)
		if x.start > end && mark > begin {
			dst = append(dst, ' ')
		}
		if x.unclear {
			return cut(dst[:mark], begin, max)
		}
		end = x.end
		literal := call.next(&x)
		switch {
		case literal:
			dst = append(dst, '?')
		case x.kind == kWord, x.kind == kVar, x.kind == kSysVar, x.kind == kName, x.kind == kDouble && quotedIdentifier:
			dst = appendUnits(dst, &x, x.start, min(x.end, x.start+max), 0, x.kind == kWord)
		case x.kind == kPunct:
			dst = appendUnits(dst, &x, x.start, x.end, 0, false)
		default:
			dst = append(dst, '?')
		}
		if len(dst)-begin > max {
			return cut(dst[:mark], begin, max)
		}
	}
	if x.unclear {
		return cut(dst, begin, max)
	}
	return dst
}

// callArguments follows a text to the arguments of procedures, which may be strings without quotes, or with those of names.
type callArguments struct {
	begun bool // the text has
	where int8 // 0: not in a call, 1: before a part of the name, 2: behind one, 3: in the arguments
}

// next takes a token and reports whether it is, or may be, such a string.
func (c *callArguments) next(x *lexer) bool {
	first := !c.begun
	c.begun = true
	word := x.kind == kWord
	switch {
	case word && (x.kw.id == wExec || x.kw.id == wSetuser):
		c.where = 1
		if x.kw.id == wSetuser {
			c.where = 3
		}
		return false
	case word && x.kw.id == wAs && c.where == 1: // EXECUTE AS USER = 'a' calls nothing
		c.where = 0
		return false
	case x.is(';'), word && (x.kw.starts || x.kw.id == wWith || x.kw.id == wEnd || x.kw.id == wElse):
		c.where = 0
		return false
	case first && x.kind != kPunct && !word || first && word && x.kw.id == wNone:
		c.where = 2
		return false
	}
	switch c.where {
	case 1:
		switch {
		case x.kind == kVar, x.is('='), x.is('.'): // EXEC @r = p
		case x.is('('):
			c.where = 3
		default:
			c.where = 2
		}
	case 2:
		if x.is('.') {
			c.where = 1
			return false
		}
		c.where = 3
		fallthrough
	case 3:
		if word {
			return !x.isWord("output") && !x.isWord("out") && !x.isWord("null") && !x.word(wDefault)
		}
		return x.kind == kName || x.kind == kDouble
	}
	return false
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
