package sqltext

import "bytes"

// DeclaresReadOnly reports whether a text is one statement that begins a transaction and says that it only reads: BEGIN or
// START TRANSACTION with READ ONLY among its modes, and nothing behind it. A SERIALIZABLE one, which it is by default where
// serializable is set, is left to the writer: a hot standby refuses it.
func DeclaresReadOnly(text []byte, mode Mode, serializable bool) bool {
	x := lexer{text: bytes.TrimRight(text, "\x00"), mode: mode}
	x.next()
	switch {
	case x.is("begin"):
		if x.next(); x.is("work") || x.is("transaction") {
			x.next()
		}
	case x.is("start"):
		if x.next(); !x.is("transaction") {
			return false
		}
		x.next()
	default:
		return false
	}
	readOnly := false
	for ; x.kind == kWord || x.kind == kPunct && x.b == ','; x.next() {
		switch {
		case x.is("isolation"): // the last one counts, as for the rest
			serializable = false
		case x.is("serializable"):
			serializable = true
		}
		if !x.is("read") {
			continue
		}
		if x.next(); x.is("only") || x.is("write") { // else it is an isolation level
			readOnly = x.is("only")
		}
	}
	if x.kind == kPunct && x.b == ';' {
		x.next()
	}
	return readOnly && !serializable && x.kind == kEOF && !x.unclear && !x.broken
}

// is reports whether the token is that word, which is in small letters.
func (x *lexer) is(word string) bool {
	return x.kind == kWord && len(word) == x.end-x.start && bytes.EqualFold(x.text[x.start:x.end], []byte(word))
}

// InReadOnly says what a text can do to the transaction that it runs in, which has been declared READ ONLY: end it, so that what
// runs behind the text is no part of it, or write, since it makes it READ WRITE or has a statement behind its end.
func InReadOnly(text []byte, mode Mode) (ends, writes bool) {
	x := lexer{text: bytes.TrimRight(text, "\x00"), mode: mode}
	first, sets, prepares := true, false, false
	for x.next(); x.kind != kEOF && !writes; x.next() {
		switch {
		case x.kind == kPunct && x.b == ';':
			first, sets, prepares = true, false, false
		case first:
			writes = ends
			first = false
			sets = x.is("begin") || x.is("start") || x.is("set") || x.is("reset")
			ends = x.is("commit") || x.is("end") || x.is("rollback") || x.is("abort")
			prepares = x.is("prepare")
		case sets:
			writes = x.is("write") || x.is("transaction_read_only") || x.is("default_transaction_read_only") || x.kind == kQuoted || x.kind == kUQuoted
		case prepares:
			ends, prepares = x.is("transaction"), false
		case ends && x.is("to"): // a savepoint
			ends = false
		}
	}
	return ends, writes || x.unclear || x.broken
}
