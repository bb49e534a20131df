package sqltext

// create reads CREATE. Nothing of a view, a routine, a trigger or an event runs now; a table can be made from a query.
func (s *scan) create() {
	s.eff |= ddl
	temp := false
	for s.next(); !s.ends(); s.next() {
		if s.kind != kWord || s.qualified {
			continue
		}
		switch s.kw.id {
		case wTemporary:
			temp = true
		case wTable:
			s.createTable(temp)
			return
		case wSequence:
			s.next()
			if temp {
				s.tempName()
			}
			s.skip()
			return
		case wView, wIndex, wDatabase, wUser, wRole, wResource:
			s.skip()
			return
		case wProcedure, wFunction, wTrigger, wEvent:
			s.routine(s.kw.id)
			return
		case wPackage:
			s.eff |= Unknown // its body has semicolons, and runs when it is first used
			s.skip()
			return
		}
	}
}

// createTable reads CREATE TABLE from TABLE on.
func (s *scan) createTable(temp bool) {
	s.next()
	if temp {
		s.eff &^= ImplicitCommit
		s.tempName()
	}
	for !s.ends() {
		if s.word(wSelect) || s.word(wValues) {
			s.eff |= s.writes()
			s.body()
			return
		}
		s.next()
	}
}

// tempName notes the name of a temporary object, after [IF NOT EXISTS].
func (s *scan) tempName() {
	s.eff |= TempTable
	s.ifExists()
	s.listed(CreatesTemp)
}

// ifExists skips IF [NOT] EXISTS.
func (s *scan) ifExists() {
	if !s.word(wIf) {
		return
	}
	if s.next(); s.word(wNot) {
		s.next()
	}
	s.next()
}

// listed notes the table at the token.
func (s *scan) listed(op ObjectOp) {
	var schema, name [nameLen]byte
	ns, n, ok := s.tableName(&schema, &name)
	s.object(op, schema[:ns], name[:n], ok)
}

// alter reads ALTER.
func (s *scan) alter() {
	s.eff |= ddl
	for s.next(); !s.ends(); s.next() {
		switch {
		case s.word(wEvent):
			s.routine(wEvent)
			return
		case s.word(wRename):
			s.eff |= RenamesTable
		}
	}
}

// drop reads DROP.
func (s *scan) drop() {
	s.next()
	temp := s.word(wTemporary)
	if temp {
		s.next()
	}
	switch {
	case s.word(wPrepare):
		s.eff |= Ends
		s.next()
		var buf [nameLen]byte
		n, ok := s.name(&buf)
		s.object(Deallocates, nil, buf[:n], ok)
	case s.word(wTable), s.word(wTables), s.word(wSequence):
		s.eff |= DDL | Ends | DropsTable
		if !temp {
			s.eff |= ImplicitCommit
		}
		s.next()
		s.ifExists()
		for {
			s.listed(DropsObject)
			if !s.is(',') {
				break
			}
			s.next()
		}
	case s.word(wDatabase):
		// Temporary tables are not dropped with their database, but the default database goes.
		s.eff |= ddl | Schema
		s.next()
		s.ifExists()
		var buf [nameLen]byte
		n, ok := s.name(&buf)
		s.object(DropsSchema, nil, buf[:n], ok)
	default:
		s.eff |= ddl
	}
	s.skip()
}

// routine reads CREATE PROCEDURE, FUNCTION, TRIGGER and EVENT, and ALTER EVENT, from that word on. The body has
// semicolons of its own; it ends where its outermost block does. ("Compound Statement Syntax")
func (s *scan) routine(what kwid) {
	if s.mode.SingleStatement {
		for s.kind != kEOF {
			s.lexer.next()
		}
		return
	}
	s.next()
	switch what {
	case wTrigger: // ... FOR EACH ROW body
		for !s.ends() && !s.word(wEach) {
			s.next()
		}
		s.next()
		s.next()
	case wEvent: // ... DO body
		for !s.ends() && !s.word(wDo) {
			s.next()
		}
		s.next()
	}
	// A block opens only where the body may begin: after the parameters, a characteristic, a label.
	begins := what == wTrigger || what == wEvent
	char := false // the token before is CHARACTER
	for ; !s.ends(); s.next() {
		if s.kind != kWord || s.qualified {
			begins, char = s.kind == kString || s.is(')') || s.is(':'), false
			continue
		}
		switch s.kw.id {
		case wIf:
			if x := s.peek(); x.kind == kWord && (x.kw.id == wNot || equalFold(x.text[x.from:x.to], "exists")) {
				break // IF NOT EXISTS
			}
			s.block(begins)
			return
		case wBegin:
			s.block(begins || what == wFunction) // whose body must return: it is no other statement
			return
		case wCase, wLoop, wRepeat, wWhile, wFor:
			s.block(begins)
			return
		case wSet:
			if char {
				break // RETURNS CHAR(3) CHARACTER SET x
			}
			if x := s.peek(); x.kind == kPunct && x.b == '(' {
				break // RETURNS SET('a')
			}
			s.skip()
			return
		case wSelect, wInsert, wUpdate, wDelete, wReplace, wReturn, wCall, wDo:
			s.skip()
			return
		}
		begins = s.kw.syntax && what == wFunction || s.wordIs("sql") || s.wordIs("data") ||
			s.wordIs("deterministic") || s.wordIs("definer") || s.wordIs("invoker")
		char = s.kw.id == wChar
	}
}

// block skips a compound statement, whose opening word is the token, up to its END. Rather than beyond it, it ends too
// early where it is not certain: then the rest of the body counts as executed.
func (s *scan) block(certain bool) {
	if !certain {
		s.eff |= Unknown
		s.skip()
		return
	}
	b := body{start: true}
	for ; s.kind != kEOF; s.lexer.next() {
		if s.kind != kWord || s.qualified {
			b.other(s)
			continue
		}
		if !b.word(s) {
			continue
		}
		if x := s.peek(); x.kind == kWord {
			switch x.kw.id {
			case wIf, wCase, wLoop, wRepeat, wWhile, wFor:
				s.next()
			}
		}
		if b.depth == 0 {
			s.next()
			if s.kind == kWord || s.kind == kQuoted { // its label
				s.next()
			}
			if !s.ends() {
				s.eff |= Unknown
			}
			return
		}
	}
	s.unclear = true // the body does not end
}

// body follows a compound statement.
type body struct {
	depth   int  // open blocks
	cases   int  // open CASE expressions in the current statement
	start   bool // at the start of a statement
	head    kwid // its first word
	handler bool // in the conditions of DECLARE ... HANDLER FOR
}

// other takes a token that is no keyword.
func (b *body) other(s *scan) {
	switch {
	case s.is(';'):
		*b = body{depth: b.depth, start: true}
		return
	case s.is(':'): // after a label
		b.start = true
		return
	case s.kind != kString && s.kind != kNumber && s.kind != kQuoted && s.kind != kWord && !s.is(','):
		b.handler = false
	}
	b.start = false
}

// word takes a word and reports whether it is an END that closed a block.
func (b *body) word(s *scan) (end bool) {
	id, first := s.kw.id, b.start
	b.start = false
	if first {
		b.head = id
	}
	handler := b.handler
	switch id {
	case wHandler:
		b.handler = b.head == wDeclare
	case wNone, wNot, wValue, wFor:
	default:
		b.handler = false
	}
	switch id {
	case wBegin:
		if first || handler {
			b.depth++
			b.start = true
		}
	case wLoop, wRepeat:
		if first {
			b.depth++
		}
		x := s.peek()
		b.start = !(x.kind == kPunct && x.b == '(')
	case wIf, wWhile, wFor:
		if first {
			b.depth++
		}
	case wCase:
		if first {
			b.depth++
		} else {
			b.cases++
		}
	case wThen, wElse:
		b.start = b.cases == 0
	case wDo:
		b.start = b.cases == 0 && (b.head == wWhile || b.head == wFor)
	case wEnd:
		if !first && b.cases > 0 {
			b.cases--
			return false
		}
		if !first && b.head != wUntil {
			return false
		}
		b.depth--
		return true
	}
	return false
}
