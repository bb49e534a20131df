package sqltext

// CallKind says what kind of routine a text calls.
type CallKind uint8

const (
	CallsFunction  CallKind = iota // stored, loadable, or built in without this package knowing it
	CallsProcedure                 // CALL
)

// calls are the routines that a text names. They have a buffer of their own: two readings of a text may agree on all but
// these.
type calls struct {
	n, used int
	list    [maxCalls]struct {
		kind         CallKind
		schema, name nameRef
	}
	names [callBuf]byte
}

// CallLen returns how many routines are known by name; each is listed once.
func (a *Analysis) CallLen() int { return a.calls.n }

// CallKind returns the kind of the i-th routine.
func (a *Analysis) CallKind(i int) CallKind { return a.calls.list[i].kind }

// CallName returns the name of the i-th routine, as typed but without quotes, and of its database if one was given. Names
// of routines compare without case; those of databases as lower_case_table_names says.
func (a *Analysis) CallName(i int) (schema, name []byte) {
	c := &a.calls.list[i]
	return a.calls.bytes(c.schema), a.calls.bytes(c.name)
}

func (c *calls) bytes(r nameRef) []byte { return c.names[r.at : r.at+r.n : r.at+r.n] }

// addCall notes a routine.
func (a *Analysis) addCall(kind CallKind, schema, name []byte) {
	c := &a.calls
	for i := range c.n {
		x := &c.list[i]
		if x.kind == kind && string(c.bytes(x.schema)) == string(schema) && string(c.bytes(x.name)) == string(name) {
			return
		}
	}
	if len(name) == 0 || c.n == maxCalls || c.used+len(schema)+len(name) > callBuf {
		a.MoreCalls = true
		return
	}
	x := &c.list[c.n]
	x.kind, x.schema, x.name = kind, c.keep(schema), c.keep(name)
	c.n++
}

func (c *calls) keep(name []byte) nameRef {
	r := nameRef{uint16(c.used), uint16(len(name))}
	c.used += copy(c.names[c.used:], name)
	return r
}

// uniteCalls adds the routines of another reading of the text.
func (a *Analysis) uniteCalls(b *Analysis) {
	a.MoreCalls = a.MoreCalls || b.MoreCalls
	for i := range b.calls.n {
		schema, name := b.CallName(i)
		a.addCall(b.CallKind(i), schema, name)
	}
}

// part is an identifier of a dotted name.
type part struct {
	from, to int
	kind     kind
	quote    byte
}

// callee notes the function whose name stands before the parenthesis, the token. It reads the tokens before once more,
// from the last one that cannot belong to the name, so that texts without routines need not remember where names stood.
func (s *scan) callee() {
	x := s.lexer
	x.pos, x.inCode, x.kind, x.dotEnd = s.mark, s.markCode, kEOF, -1
	var parts [3]part
	n, dot := 0, false
	for x.next(); x.start < s.start; x.next() {
		switch {
		case x.kind == kWord || x.kind == kQuoted:
			if !dot {
				n = 0
			}
			if n < len(parts) {
				parts[n] = part{x.from, x.to, x.kind, x.b}
			}
			n++
			dot = false
		case x.kind == kPunct && x.b == '.' && !dot && n > 0:
			dot = true
		default:
			n, dot = len(parts), false // until the next name without a dot before it
		}
	}
	var schema, name [nameLen]byte
	ns, nn, ok := 0, 0, false
	switch n {
	case 1:
		nn, ok = s.partOf(&parts[0], &name)
	case 2:
		if ns, ok = s.partOf(&parts[0], &schema); ok {
			nn, ok = s.partOf(&parts[1], &name)
		}
	} // a package's function has three parts
	if !ok || dot {
		s.a.MoreCalls = true
		return
	}
	s.a.addCall(CallsFunction, schema[:ns], name[:nn])
}

// partOf copies an identifier into buf, without its quotes.
func (s *scan) partOf(p *part, buf *[nameLen]byte) (int, bool) {
	return unquote(s.text[p.from:p.to], p.kind, p.quote, buf)
}

// unquote copies the content of an identifier into buf and reports whether it fits.
func unquote(b []byte, k kind, quote byte, buf *[nameLen]byte) (int, bool) {
	n := 0
	for i := 0; i < len(b); i++ {
		if n == nameLen {
			return 0, false
		}
		buf[n] = b[i]
		n++
		if k == kQuoted && b[i] == quote {
			i++
		}
	}
	return n, true
}
