package sqltext

// Names lists the names in a text that may be those of tables or views. It does not know which are: an alias, a column or
// a keyword is listed too. For a text with several readings it lists the names of all that it can; see Sure.
//
//	var n Names
//	for n.Init(text, mode); n.Next(); {
//		use(n.Schema(), n.Name())
//	}
type Names struct {
	// Other says that there are bytes outside of ASCII in the name: how their case compares is the server's matter.
	Other bool
	// Writes says that the text so far may insert, update or delete rows.
	Writes bool
	// Moves says that it may change the default database.
	Moves bool

	lexer
	dot    bool // a dot stands before the next token, and a name before that
	named  bool // the last token was a name
	ns, nn int
	buf    [2][nameLen]byte // the schema and the name
}

// Init begins a text.
func (n *Names) Init(text []byte, mode Mode) {
	n.Other, n.Writes, n.Moves, n.dot, n.named = false, false, false, false, false
	n.lexer = newLexer(text, mode)
}

// Name returns the name without quotes and with ASCII letters in lower case. It is valid until Next.
func (n *Names) Name() []byte { return n.buf[1][:n.nn] }

// Schema returns what stands before the name with a dot between, in the same way; it is empty if nothing does.
func (n *Names) Schema() []byte { return n.buf[0][:n.ns] }

// Sure reports, at the end, whether the server can have seen no other names than those listed.
func (n *Names) Sure() bool {
	return !n.unclear && (n.higher == 0 || n.mode.Version != 0) && (n.mode.SQLModeKnown || !n.quotes && !n.escapes)
}

// Next goes on to the next name and reports whether there is one.
func (n *Names) Next() bool {
	for n.lexer.next(); n.kind != kEOF; n.lexer.next() {
		if n.kind == kWord || n.kind == kQuoted {
			n.take()
			return true
		}
		n.dot = n.kind == kPunct && n.b == '.' && n.named
		n.named = false
	}
	return false
}

// take makes the token the current name.
func (n *Names) take() {
	n.ns = 0
	if n.dot {
		n.buf[0], n.ns = n.buf[1], n.nn
	} else {
		n.Other = false
	}
	n.dot, n.named = false, true
	var ok bool
	if n.nn, ok = unquote(n.text[n.from:n.to], n.kind, n.b, &n.buf[1]); !ok {
		n.nn = 0 // no table has such a name
	}
	for i, c := range n.buf[1][:n.nn] {
		n.buf[1][i] = lower(c)
		n.Other = n.Other || c >= 0x80
	}
	if n.kind == kWord && !n.qualified {
		switch n.kw.id {
		case wInsert, wReplace, wUpdate, wDelete, wLoad:
			n.Writes = true
		case wUse:
			n.Moves = true
		}
	}
}
