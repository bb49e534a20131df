package sqltext

import "bytes"

// BodyOf returns the body in what SHOW CREATE PROCEDURE, FUNCTION or TRIGGER shows on MySQL. The mode is the routine's.
func BodyOf(create []byte, mode Mode) (body []byte, ok bool) {
	x := newLexer(create, mode)
	for x.next(); x.kind != kEOF; x.next() {
		if x.kind != kWord || x.qualified {
			continue
		}
		switch x.kw.id {
		case wTrigger:
			ok = x.triggerBody()
			return create[x.start:], ok
		case wProcedure, wFunction:
			ok = x.routineBody()
			return create[x.start:], ok
		}
	}
	return nil, false
}

// triggerBody goes on from TRIGGER to the body: ... FOR EACH ROW [FOLLOWS | PRECEDES name] body.
func (x *lexer) triggerBody() bool {
	for x.next(); x.kind != kEOF && (x.kind != kWord || x.kw.id != wEach); x.next() {
	}
	x.next() // ROW
	x.next()
	if x.isWord("follows") || x.isWord("precedes") {
		y := *x
		if y.next(); y.kind == kWord || y.kind == kQuoted {
			*x = y
			x.next()
		}
	}
	return x.kind != kEOF
}

// routineBody goes on from PROCEDURE or FUNCTION to the body. The server puts a line feed behind the parameters or the
// type, and behind each characteristic.
func (x *lexer) routineBody() bool {
	x.next() // its name
	if x.next(); x.kind != kPunct || x.b != '(' {
		return false
	}
	x.nextLine()
	for x.isCharacteristic() {
		x.nextLine()
	}
	return x.kind != kEOF
}

// isCharacteristic reports whether the token begins a characteristic of a routine, and is no label.
func (x *lexer) isCharacteristic() bool {
	for _, w := range [...]string{"no", "reads", "modifies", "contains", "not", "deterministic", "sql", "comment", "language"} {
		if x.isWord(w) {
			y := *x
			y.next()
			return y.kind != kPunct || y.b != ':'
		}
	}
	return false
}

// nextLine goes on to the first token that is on another line than the one before, and in no parentheses.
func (x *lexer) nextLine() {
	depth := 0
	for x.kind != kEOF {
		if x.kind == kPunct && x.b == '(' {
			depth++
		} else if x.kind == kPunct && x.b == ')' {
			depth--
		}
		end := x.end
		x.next()
		if depth == 0 && bytes.IndexByte(x.text[end:x.start], '\n') >= 0 {
			return
		}
	}
}

// isWord reports whether the token is this word in lower case.
func (x *lexer) isWord(w string) bool {
	return x.kind == kWord && !x.qualified && equalFold(x.text[x.from:x.to], w)
}
