package sqltext

// body reads the rest of a statement that may hold expressions, from the current token.
func (s *scan) body() {
	for !s.ends() {
		if s.kind != kWord || s.kw.id != wNone {
			s.token()
		}
		s.step()
	}
}

// step goes on to the next token and remembers the last two.
func (s *scan) step() {
	s.prev2, s.prevKw2 = s.prev, s.prevKw
	s.prev, s.prevKw = s.kind, &notKeyword
	if s.kind == kWord && !s.qualified {
		s.prevKw = s.kw
	}
	s.next()
}

// token acts on one token of an expression.
func (s *scan) token() {
	switch s.kind {
	case kWord:
		if s.kw.id != wNone {
			s.bodyWord()
		}
	case kPunct:
		switch s.b {
		case '(':
			s.depth++
			if s.prev == kWord || s.prev == kQuoted {
				s.call()
			}
		case ')':
			s.depth--
		case '.':
			return
		}
		s.mark, s.markCode = s.pos, s.inCode
	case kUserVar:
		s.eff |= ReadsUserVariable
		if s.prev == kWord && s.prevKw.id == wInto || s.program != nil && s.program.into {
			s.eff |= UserVariable
		}
	case kAssign:
		s.eff |= UserVariable
	case kSysVar:
		s.systemVariable()
	}
}

// bodyWord acts on a keyword.
func (s *scan) bodyWord() {
	switch s.kw.id {
	case wProcesslist: // information_schema.processlist
		s.eff |= Processlist
	case wNextval, wCurrval: // s.nextval and s.currval, sql_mode ORACLE
		if s.qualified && s.mode.MariaDB {
			s.eff |= SequenceWrite | SequenceRead
		}
	case wFrom:
		s.hasFrom = s.hasFrom || !s.qualified
	case wInto:
		if s.program != nil { // other targets than user variables may come first
			s.program.into = true
		}
	case wSQLCalcFoundRows:
		if !s.qualified {
			s.eff |= FoundRowsWrite
		}
	case wValue:
		// NEXT VALUE FOR, PREVIOUS VALUE FOR
		if s.mode.MariaDB && s.prev == kWord {
			switch s.prevKw.id {
			case wNext:
				s.eff |= SequenceWrite
			case wPrevious:
				s.eff |= SequenceRead
			}
		}
	}
}

// call acts on the parenthesis, the token, after a name. ("Function Name Parsing and Resolution")
func (s *scan) call() {
	k := s.prevKw
	if k.eff != 0 {
		s.eff |= k.eff
		if k.id == wLastInsertID {
			if x := s.peek(); !(x.kind == kPunct && x.b == ')') {
				s.eff |= LastInsertIDWrite
			}
		}
	}
	if k.syntax || k.builtIn(s.mode) {
		return
	}
	switch {
	case s.prev2 == kWord && s.prevKw2.id == wAs: // AS alias (columns), CAST(x AS type(length))
	case s.prev2 == kPunct && s.closedBefore(): // (SELECT ...) alias (columns)
	case s.isCTE():
	default:
		s.eff |= Call
		s.callee()
	}
}

// closedBefore reports whether a closing parenthesis stands before the name that the token follows. It looks at the text
// itself, so a comment between the two makes it report false.
func (s *scan) closedBefore() bool {
	b := s.text
	i := s.start - 1
	for i >= 0 && class[b[i]] == cSpace {
		i--
	}
	if i < 0 {
		return false
	}
	if q := b[i]; q == '`' || q == '"' {
		for i--; i >= 0 && b[i] != q; i-- {
		}
		i--
	} else {
		for i >= 0 && inWord[b[i]] {
			i--
		}
	}
	for i >= 0 && class[b[i]] == cSpace {
		i--
	}
	return i >= 0 && b[i] == ')'
}

// isCTE looks ahead for name (columns) AS (, which only WITH has. The token is the first parenthesis.
func (s *scan) isCTE() bool {
	x := s.lexer
	for x.next(); x.kind == kWord || x.kind == kQuoted || x.kind == kPunct && x.b == ','; x.next() {
	}
	if x.kind != kPunct || x.b != ')' {
		return false
	}
	x.next()
	if x.kind != kWord || x.kw.id != wAs {
		return false
	}
	x.next()
	return x.kind == kPunct && x.b == '('
}

// systemVariable acts on the name after @@, the token. ("Using System Variables")
func (s *scan) systemVariable() {
	x := s.peek()
	if x.kind == kWord && (x.kw.id == wSession || x.kw.id == wLocal) {
		y := x
		y.next()
		if y.kind == kPunct && y.b == '.' {
			y.next()
			x = y
		}
	}
	var buf [nameLen]byte
	n := 0
	if x.kind == kWord || x.kind == kQuoted {
		for _, c := range x.text[x.from:min(x.to, x.from+nameLen)] {
			buf[n] = lower(c)
			n++
		}
	}
	switch string(buf[:n]) {
	case "last_insert_id", "identity":
		s.eff |= LastInsertIDRead
	case "warning_count", "error_count":
		s.eff |= DiagnosticsRead
	case "pseudo_thread_id":
		s.eff |= ThreadID
	}
}

// insert reads INSERT and REPLACE up to the columns, whose parenthesis is no call, and then the rest.
func (s *scan) insert() {
	s.next()
	for s.wordIs("low_priority") || s.wordIs("delayed") || s.wordIs("high_priority") || s.wordIs("ignore") ||
		s.word(wInto) {
		s.next()
	}
	for s.kind == kWord || s.kind == kQuoted {
		if s.next(); !s.is('.') {
			break
		}
		s.next()
	}
	s.body()
}

// call1 reads CALL name (arguments): parameters that are user variables may get values.
func (s *scan) call1() {
	s.next()
	var schema, name [nameLen]byte
	ns, n, ok := s.tableName(&schema, &name)
	if !ok || s.is('.') {
		s.a.MoreCalls = true
	} else {
		s.a.addCall(CallsProcedure, schema[:ns], name[:n])
	}
	for ; !s.ends(); s.step() {
		if s.kind == kUserVar {
			s.eff |= UserVariable
		}
		s.token()
	}
}

// load reads LOAD DATA and LOAD XML, whose columns may be user variables, and LOAD INDEX INTO CACHE.
func (s *scan) load() {
	if s.next(); s.word(wIndex) {
		s.eff |= Admin | ImplicitCommit
		s.skip()
		return
	}
	if !s.wordIs("data") && !s.wordIs("xml") {
		s.eff |= Unknown
	}
	s.eff |= LastInsertIDWrite | s.writes()
	for ; !s.ends(); s.step() {
		switch {
		case s.word(wLocal):
			s.eff |= LocalInfile
		case s.kind == kUserVar:
			s.eff |= UserVariable
		case s.is('(') && (s.prev == kWord || s.prev == kQuoted) && s.prevKw2.id == wTable:
			s.depth++ // INTO TABLE t (columns)
			continue
		}
		s.token()
	}
}
