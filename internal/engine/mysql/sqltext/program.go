package sqltext

// maxNesting bounds how deep the blocks of a program may nest. A deeper one is Unknown.
const maxNesting = 100

// Program is what the body of a routine or a trigger does, or the query of a view.
type Program struct {
	// Effects are those on the session that runs it: Analyze's, but for Assigns and Call. Values that it assigns count
	// as Look or UserVariable. sql_mode and the client's character set are restored at the end of every routine, so that
	// SetsMode is not among them.
	Effects Effects
	// Calls are the routines that it names, each once. If there are some that it does not name, Effects has Unknown.
	Calls []Callee
}

// Callee is a routine that a Program calls. Schema is empty if none was given: it is the program's own then.
type Callee struct {
	Kind         CallKind
	Schema, Name string
}

// ReadProgram reads a body as the server keeps it. The mode is that of the program, whose sql_mode must be known, and so
// must the version. It is not for the hot path.
func ReadProgram(text []byte, mode Mode) Program {
	var a Analysis
	p := &program{locals: map[string]bool{}, called: map[Callee]bool{}}
	p.init(text, mode)
	p.a, p.program = &a, p
	p.lexer.next()
	if !p.statement() || !p.ended() {
		p.out.Effects |= Unknown
	}
	p.settle()
	if p.unclear || p.higher != 0 && mode.Version == 0 || !mode.SQLModeKnown {
		p.out.Effects |= Unknown
	}
	return p.out
}

// program reads compound statements. Its methods report false for what they do not understand, where reading ends.
type program struct {
	scan
	out     Program
	nesting int             // of blocks
	locals  map[string]bool // names that DECLARE gave, in lower case; it does not matter in which block
	into    bool            // INTO was there in the current statement
	called  map[Callee]bool // those of out, of which there may be tens of thousands
}

// ended skips semicolons and reports whether the text ends there.
func (p *program) ended() bool {
	for p.is(';') {
		p.lexer.next()
	}
	return p.kind == kEOF
}

// begin prepares for a statement, or an expression on its own, that begins at the token.
func (p *program) begin() {
	p.head, p.hasFrom, p.inner, p.into, p.depth = wNone, false, false, false, 0
	p.prev, p.prev2, p.prevKw, p.prevKw2 = kEOF, kEOF, &notKeyword, &notKeyword
	p.mark, p.markCode = p.start, p.inCode
}

// settle adds what was read since the last call to the result.
func (p *program) settle() {
	e := p.eff
	for i := range p.a.AssignmentLen() {
		switch p.a.Assignment(i).Kind {
		case AssignUser:
			e |= UserVariable
		default:
			e |= Look
		}
	}
	if e&UsesPrepared != 0 || p.a.MoreCalls {
		e |= Unknown
	}
	for i := range p.a.CallLen() {
		schema, name := p.a.CallName(i)
		p.addCallee(Callee{p.a.CallKind(i), string(schema), string(name)})
	}
	p.out.Effects |= e &^ (Call | SetsMode)
	p.eff = 0
	p.a.reset()
}

func (p *program) addCallee(c Callee) {
	if !p.called[c] {
		p.called[c] = true
		p.out.Calls = append(p.out.Calls, c)
	}
}

// list reads statements up to a word that none begins with.
func (p *program) list() bool {
	for !p.ended() && !p.word(wEnd) && !p.word(wElse) && !p.word(wUntil) && !p.wordIs("elseif") && !p.wordIs("when") {
		if !p.statement() {
			return false
		}
	}
	return true
}

// statement reads a statement up to its semicolon, without it. ("Compound Statement Syntax")
func (p *program) statement() bool {
	if p.nesting++; p.nesting > maxNesting {
		return false
	}
	defer func() { p.nesting-- }()
	p.begin()
	if x := p.peek(); (p.kind == kWord || p.kind == kQuoted) && x.kind == kPunct && x.b == ':' { // a label
		p.next()
		p.next()
		p.begin()
	}
	if p.kind != kWord {
		return p.simple()
	}
	switch p.kw.id {
	case wBegin:
		if p.next(); p.word(wNot) { // ATOMIC, MariaDB
			p.next()
			p.next()
		}
		return p.list() && p.end("")
	case wIf:
		return p.ifs()
	case wCase:
		return p.cases()
	case wLoop:
		p.next()
		return p.list() && p.end("loop")
	case wRepeat:
		p.next()
		if !p.list() || !p.word(wUntil) {
			return false
		}
		p.next()
		return p.expr("end") && p.closes("repeat")
	case wWhile, wFor:
		w := "while"
		if p.kw.id == wFor {
			w = "for"
		}
		p.next()
		return p.expr("do") && p.list() && p.end(w)
	case wDeclare:
		return p.declare()
	}
	return p.simple()
}

// end reads END, the word of the block that it ends, and a label.
func (p *program) end(word string) bool {
	if !p.word(wEnd) {
		return false
	}
	p.next()
	return p.closes(word)
}

// closes reads what follows END.
func (p *program) closes(word string) bool {
	if word != "" {
		if !p.wordIs(word) {
			return false
		}
		p.next()
	}
	if p.kind == kWord || p.kind == kQuoted {
		p.next()
	}
	return p.ends()
}

// expr reads an expression and the word after it.
func (p *program) expr(after string) bool {
	p.begin()
	for cases := 0; !p.ends(); p.step() {
		if p.kind == kWord {
			switch {
			case cases == 0 && p.depth == 0 && p.wordIs(after):
				p.settle()
				p.next()
				return true
			case p.word(wCase):
				cases++
			case p.word(wEnd):
				cases--
			}
		}
		p.token()
	}
	return false
}

// ifs reads IF.
func (p *program) ifs() bool {
	for {
		p.next()
		if !p.expr("then") || !p.list() {
			return false
		}
		if !p.wordIs("elseif") {
			break
		}
	}
	return p.orElse() && p.end("if")
}

func (p *program) orElse() bool {
	if !p.word(wElse) {
		return true
	}
	p.next()
	return p.list()
}

// cases reads CASE.
func (p *program) cases() bool {
	if p.next(); p.wordIs("when") {
		p.next()
	} else if !p.expr("when") {
		return false
	}
	for {
		if !p.expr("then") || !p.list() {
			return false
		}
		if !p.wordIs("when") {
			break
		}
		p.next()
	}
	return p.orElse() && p.end("case")
}

// declare reads DECLARE.
func (p *program) declare() bool {
	p.next()
	if p.wordIs("continue") || p.wordIs("exit") || p.wordIs("undo") {
		if x := p.peek(); x.kind == kWord && x.kw.id == wHandler {
			p.next()
			p.next()
			return p.handlerFor()
		}
	}
	for p.kind == kWord || p.kind == kQuoted {
		if p.wordIs("cursor") {
			break
		}
		var buf [nameLen]byte
		if n, ok := p.name(&buf); ok {
			p.locals[foldName(buf[:n])] = true
		}
		if p.next(); !p.is(',') {
			break
		}
		p.next()
	}
	if !p.wordIs("cursor") {
		p.begin()
		p.scan.body() // the type, and DEFAULT
		p.settle()
		return true
	}
	// The parameters of MariaDB's cursors are no arguments of a function.
	for p.next(); !p.ends() && !p.word(wFor); p.next() {
	}
	if p.next(); p.ends() {
		return false
	}
	p.begin()
	return p.simple()
}

// handlerFor reads FOR, the conditions of a handler, and its statement.
func (p *program) handlerFor() bool {
	if !p.word(wFor) {
		return false
	}
	for {
		p.next()
		switch {
		case p.wordIs("sqlstate"):
			if p.next(); p.word(wValue) {
				p.next()
			}
		case p.word(wNot):
			p.next()
		}
		if p.ends() {
			return false
		}
		if p.next(); !p.is(',') {
			return p.statement()
		}
	}
}

// simple reads a statement without parts.
func (p *program) simple() bool {
	switch {
	case p.word(wReturn):
		p.next()
		p.scan.body()
	case p.word(wOpen): // the arguments of MariaDB's cursors are no arguments of a function
		p.next()
		p.next()
		p.scan.body()
	case p.word(wClose), p.wordIs("leave"), p.wordIs("iterate"):
		p.skip()
	case p.wordIs("fetch"):
		for ; !p.ends(); p.next() {
			if p.kind == kUserVar {
				p.eff |= UserVariable
			}
		}
	default:
		p.statementHead()
		p.skip()
	}
	p.settle()
	return true
}

// assignsLocal reads name = value, in SET, if the name is that of a local variable, a parameter or a column: these hide
// system variables. Of parameters it does not know the names; they are taken for system variables where there are such.
func (p *program) assignsLocal() bool {
	x := p.peek()
	if !assigns(&x) {
		return false
	}
	var buf [nameLen]byte
	n, _ := p.name(&buf)
	local := foldName(buf[:n])
	if x.kind != kPunct || x.b != '.' { // not NEW.column
		if !p.locals[local] && ClassOf([]byte(local)) != UnknownVariable {
			return false
		}
	}
	for p.next(); p.is('.'); p.next() {
		p.next()
	}
	if !p.is('=') && p.kind != kAssign {
		p.eff |= Unknown
	}
	p.step()
	p.expression()
	return true
}

// foldName returns a name with its ASCII letters in lower case.
func foldName(name []byte) string {
	b := make([]byte, len(name))
	for i, c := range name {
		b[i] = lower(c)
	}
	return string(b)
}
