package sqltext

import "bytes"

// DeclaresReadOnly reports whether a text is one statement that begins a transaction and says that it only reads: START
// TRANSACTION with READ ONLY among its characteristics, and nothing behind it.
func DeclaresReadOnly(text []byte, mode Mode) bool {
	x := newLexer(text, mode)
	if x.next(); !x.is("start") {
		return false
	}
	if x.next(); !x.is("transaction") {
		return false
	}
	readOnly := false
	for x.next(); x.kind == kWord || x.kind == kPunct && x.b == ','; x.next() {
		if !x.is("read") {
			continue
		}
		x.next()
		readOnly = x.is("only")
	}
	if x.kind == kPunct && x.b == ';' {
		x.next()
	}
	return readOnly && x.kind == kEOF && !x.unclear && !x.inCode
}

// is reports whether the token is that word, which is in small letters.
func (x *lexer) is(word string) bool {
	return x.kind == kWord && len(word) == x.end-x.start && bytes.EqualFold(x.text[x.start:x.end], []byte(word))
}

// EndsTransaction reports whether a text is one statement that ends a transaction, or marks a place in it, and begins none that could
// write: COMMIT, ROLLBACK, SAVEPOINT, RELEASE.
func EndsTransaction(text []byte, mode Mode) bool {
	x := newLexer(text, mode)
	if x.next(); !x.is("commit") && !x.is("rollback") && !x.is("savepoint") && !x.is("release") {
		return false
	}
	for x.next(); x.kind != kEOF; x.next() {
		if x.kind == kPunct && x.b == ';' {
			x.next()
			break
		}
	}
	return x.kind == kEOF && !x.unclear && !x.inCode
}

// Calls reports whether a text begins with CALL.
func Calls(text []byte, mode Mode) bool {
	x := newLexer(text, mode)
	x.next()
	return x.is("call")
}
