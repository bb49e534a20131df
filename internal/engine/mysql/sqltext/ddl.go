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
	prev := wNone
	for ; !s.ends(); s.next() {
		if s.kind != kWord || s.qualified {
			if !s.is(':') {
				prev = wNone
			}
			continue
		}
		switch id := s.kw.id; id {
		case wIf:
			if x := s.peek(); x.kind == kWord && (x.kw.id == wNot || equalFold(x.text[x.from:x.to], "exists")) {
				break // IF NOT EXISTS
			}
			s.block()
			return
		case wBegin, wCase, wLoop, wRepeat, wWhile, wFor:
			s.block()
			return
		case wSet:
			if prev == wChar {
				break // RETURNS CHAR(3) CHARACTER SET x
			}
			if x := s.peek(); x.kind == kPunct && x.b == '(' {
				break // RETURNS SET('a')
			}
			s.skip()
			return
		case wSelect, wInsert, wUpdate, wDelete, wReplace, wReturn, wCall:
			s.skip()
			return
		}
		prev = s.kw.id
	}
}

// block skips a compound statement, whose opening word is the token, up to its END.
func (s *scan) block() {
	depth, cases := 0, 0       // open blocks; open CASE expressions in the current statement
	start, head := true, wNone // at the start of a statement; its first word
	for ; s.kind != kEOF; s.lexer.next() {
		if s.kind != kWord || s.qualified {
			switch {
			case s.is(';'):
				start, head, cases = true, wNone, 0
			case s.is(':'):
				start = true // after a label
			default:
				start = false
			}
			continue
		}
		id := s.kw.id
		was := start
		start = false
		if was {
			head = id
		}
		switch id {
		case wBegin:
			if was || head == wDeclare {
				depth++
				start = true
			}
		case wLoop, wRepeat:
			if was {
				depth++
			}
			if x := s.peek(); !(x.kind == kPunct && x.b == '(') {
				start = true
			}
		case wIf, wWhile, wFor:
			if was {
				depth++
			}
		case wCase:
			if was {
				depth++
			} else {
				cases++
			}
		case wThen, wElse, wDo:
			start = cases == 0
		case wEnd:
			if !was && cases > 0 {
				cases--
				break
			}
			if !was && head != wUntil {
				break
			}
			depth--
			if x := s.peek(); x.kind == kWord {
				switch x.kw.id {
				case wIf, wCase, wLoop, wRepeat, wWhile, wFor:
					s.next()
				}
			}
			if depth == 0 {
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
	}
	s.unclear = true // the body does not end
}
