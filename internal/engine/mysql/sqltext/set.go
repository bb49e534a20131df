package sqltext

// scope of a system variable in SET.
type scope uint8

const (
	scopeNone    scope = iota // not given: the session's, or that of an earlier GLOBAL
	scopeNext                 // @@x: the session's, but for the next transaction's characteristics
	scopeSession              // SESSION x, LOCAL x, @@SESSION.x
	scopeGlobal               // GLOBAL x, PERSIST x, @@GLOBAL.x
)

// scopeOf returns the scope that a keyword names.
func scopeOf(id kwid) scope {
	switch id {
	case wSession, wLocal:
		return scopeSession
	case wGlobal, wPersist, wPersistOnly:
		return scopeGlobal
	}
	return scopeNone
}

// set reads SET up to its end. ("SET Syntax for Variable Assignment")
func (s *scan) set() {
	s.next()
	if s.word(wStatement) {
		if x := s.peek(); !(x.kind == kPunct && x.b == '=' || x.kind == kAssign) {
			s.setStatement()
			return
		}
	}
	global := false // GLOBAL stood before: it may hold for what follows
	for {
		if s.setItem(&global) {
			s.skip()
			return
		}
		if !s.is(',') {
			if !s.ends() {
				s.eff |= Unknown
			}
			return
		}
		s.next()
	}
}

// setStatement reads MariaDB's SET STATEMENT variable = value, ... FOR statement, which restores the variables.
func (s *scan) setStatement() {
	if !s.mode.MariaDB || s.inner {
		s.eff |= Unknown
		return
	}
	s.inner = true
	s.eff |= SetStatement
	for s.next(); !s.ends(); s.step() {
		if s.word(wFor) && s.depth == 0 {
			s.next()
			s.prev, s.prev2 = kEOF, kEOF
			s.statementHead()
			return
		}
		s.token()
	}
}

// setItem reads one assignment; the token after it is the current one then. It reports true if it read a form that
// takes the rest of the statement.
func (s *scan) setItem(global *bool) (rest bool) {
	switch s.kind {
	case kUserVar:
		s.setUser()
		return false
	case kSysVar:
		s.next()
		sc := scopeNext
		if s.kind == kWord && scopeOf(s.kw.id) != scopeNone {
			if x := s.peek(); x.kind == kPunct && x.b == '.' {
				sc = scopeOf(s.kw.id)
				s.next()
				s.next()
			}
		}
		s.setSystem(sc)
		return false
	case kWord, kQuoted:
	default:
		s.eff |= Unknown | Look
		return true
	}
	if s.program != nil && s.program.assignsLocal() {
		return false
	}
	sc := scopeNone
	if s.kind == kWord && scopeOf(s.kw.id) != scopeNone {
		if x := s.peek(); !assigns(&x) {
			sc = scopeOf(s.kw.id)
			*global = sc == scopeGlobal
			s.next()
			if s.word(wTransaction) {
				s.setTransaction(sc)
				return true
			}
		}
	}
	if s.kind == kWord && sc == scopeNone {
		if x := s.peek(); s.word(wPassword) || !assigns(&x) {
			return s.setSpecial()
		}
	}
	if sc == scopeNone && *global {
		// The manuals say that GLOBAL holds on. Whether it does is left to the server to tell.
		s.eff |= Look
		sc = scopeGlobal
	}
	s.setSystem(sc)
	return false
}

// assigns reports whether the token continues a variable's name, or follows it.
func assigns(x *lexer) bool {
	return x.kind == kAssign || x.kind == kPunct && (x.b == '=' || x.b == '.')
}

// setSpecial reads the forms of SET that have words of their own.
func (s *scan) setSpecial() (rest bool) {
	switch {
	case s.word(wNames):
		s.next()
		s.setNames(AssignNames)
		return false
	case s.word(wCharset):
		s.next()
		s.setNames(AssignCharacterSet)
		return false
	case s.word(wChar): // CHARACTER SET, CHAR SET
		if s.next(); !s.word(wSet) {
			s.eff |= Unknown
			return true
		}
		s.next()
		s.setNames(AssignCharacterSet)
		return false
	case s.word(wTransaction):
		s.setTransaction(scopeNext)
	case s.word(wRole):
		s.eff |= Role | Look
	case s.word(wDefault): // DEFAULT ROLE: of later log-ins
		s.eff |= Admin | ImplicitCommit
	case s.word(wPassword):
		s.eff |= Admin | ImplicitCommit
	case s.word(wResource): // RESOURCE GROUP
		s.eff |= Opaque
	default:
		s.eff |= Unknown | Look
	}
	return true
}

// setNames reads the value of NAMES and CHARACTER SET. ("SET NAMES Statement", "SET CHARACTER SET Statement")
func (s *scan) setNames(kind AssignKind) {
	s.eff |= SetsMode
	x := Assignment{Kind: kind, From: s.start, To: s.end, Value: s.nameValue()}
	ok := x.Value != ValueNone
	s.step()
	if s.word(wCollate) {
		s.step()
		ok = ok && kind == AssignNames && x.Value != ValueDefault && s.nameValue() != ValueNone
		x.CollationFrom, x.CollationTo = s.start, s.end
		s.step()
	}
	if !ok || !s.valueEnds() || !s.a.addAssignment(x, nil) {
		s.eff |= Look
		s.expression()
	}
}

// nameValue says how the token writes the name of a character set or a collation, if it does.
func (s *scan) nameValue() ValueKind {
	switch {
	case s.word(wDefault):
		return ValueDefault
	case s.kind == kWord:
		return ValueWord
	case s.kind == kString, s.kind == kQuoted:
		return ValueString
	}
	return ValueNone
}

// setTransaction reads TRANSACTION and its characteristics. ("SET TRANSACTION Statement")
func (s *scan) setTransaction(sc scope) {
	s.next()
	from, to, plain := s.start, s.start, true
	for ; !s.ends(); s.next() {
		plain = plain && (s.kind == kWord || s.is(','))
		to = s.end
	}
	switch sc {
	case scopeGlobal:
	case scopeSession:
		// A comment may hide in the value; then it is not carried.
		for _, c := range s.text[from:to] {
			plain = plain && (c == ' ' || c == ',' || c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z')
		}
		x := Assignment{Kind: AssignTransaction, Value: ValuePhrase, From: from, To: to}
		if !plain || !s.a.addAssignment(x, nil) {
			s.eff |= Look
		}
	default:
		s.eff |= NextTransaction
	}
}

// setUser reads @name = value. ("User-Defined Variables")
func (s *scan) setUser() {
	var buf [nameLen]byte
	name := s.text[s.from:s.to]
	known := s.plain && len(name) > 0 && len(name) <= nameLen
	for i, c := range name {
		if !known || c >= 0x80 || c == 0 {
			known = false
			break
		}
		buf[i] = lower(c)
	}
	if s.next(); !s.is('=') && s.kind != kAssign {
		s.eff |= Unknown
		return
	}
	s.step()
	x, ok := s.value()
	if x.Value == ValueString && inWord[s.text[x.From]] {
		ok = false // N'...' has a character set of its own
	}
	// A word in an expression is a column, but for these.
	if x.Value == ValueDefault || x.Value == ValueWord && !s.constant(x) {
		ok = false
	}
	x.Kind = AssignUser
	if !known || !ok || !s.a.addAssignment(x, buf[:len(name)]) {
		s.eff |= UserVariable
	}
}

// constant reports whether a value is a word that names a constant.
func (s *scan) constant(x Assignment) bool {
	w := s.text[x.From:x.To]
	return equalFold(w, "null") || equalFold(w, "true") || equalFold(w, "false")
}

// setSystem reads name = value of a system variable, from its name on.
func (s *scan) setSystem(sc scope) {
	var buf [nameLen]byte
	n, known := s.name(&buf)
	for i, c := range buf[:n] {
		buf[i] = lower(c)
		known = known && c < 0x80 && inWord[c]
	}
	for s.next(); s.is('.'); s.next() { // component.variable, cache.key_buffer_size
		known = false
		s.next()
	}
	if !s.is('=') && s.kind != kAssign {
		s.eff |= Unknown | Look
		return
	}
	s.step()
	x, ok := s.value()
	if sc == scopeGlobal {
		return
	}
	x.Kind = AssignSystem
	class := UnknownVariable
	if known {
		class = ClassOf(buf[:n])
	}
	switch class {
	case UnknownVariable:
		s.eff |= Look
	case ModeVariable:
		s.eff |= SetsMode
	case TransactionVariable:
		switch {
		case string(buf[:n]) == "autocommit":
			s.eff |= TxControl
		case sc == scopeNext:
			s.eff |= NextTransaction
			return
		}
	case IdentityVariable:
		s.eff |= LastInsertIDWrite | Opaque
		return
	case OpaqueVariable:
		s.eff |= Opaque
		if string(buf[:n]) == "pseudo_thread_id" {
			s.eff |= ThreadID
		}
		return
	case ReadOnlyVariable:
		return
	}
	carried := known && ok && s.a.addAssignment(x, buf[:n])
	if !carried {
		s.eff |= Look
	}
	// MariaDB's session tracking is silent about SET @@x = 1, though not about SET @@SESSION.x = 1: then it can be asked, if
	// the name is known.
	if s.mode.MariaDB && sc == scopeNext && class != ModeVariable && (!carried || s.program != nil) {
		x = Assignment{Kind: AssignSystem, Value: ValueExpression}
		if !known || class == ProtocolVariable || s.program != nil || !s.a.addAssignment(x, buf[:n]) {
			s.eff |= Opaque
		}
	}
}

// valueEnds reports whether the value of an assignment ends here.
func (s *scan) valueEnds() bool { return s.ends() || s.is(',') && s.depth == 0 }

// value reads a value up to the comma or the end after it, and reports whether it is a literal.
func (s *scan) value() (Assignment, bool) {
	x := Assignment{From: s.start}
	s.depth = 0
	y := s.lexer
	if y.kind == kPunct && (y.b == '-' || y.b == '+') {
		if y.next(); y.kind == kNumber && y.start == x.From+1 {
			x.Value = ValueNumber
		}
	} else {
		switch y.kind {
		case kNumber:
			x.Value = ValueNumber
		case kString, kQuoted:
			x.Value = ValueString
		case kHex:
			x.Value = ValueHex
		case kWord:
			x.Value = ValueWord
			if y.kw.id == wDefault {
				x.Value = ValueDefault
			}
			for _, c := range y.text[y.from:y.to] {
				if c >= 0x80 {
					x.Value = ValueNone
				}
			}
		}
	}
	x.To = y.end
	if x.Value != ValueNone {
		y.next()
		if y.kind == kEOF || y.kind == kPunct && (y.b == ';' || y.b == ',') {
			s.lexer = y
			return x, true
		}
	}
	s.expression()
	return Assignment{}, false
}

// expression reads an expression up to the comma or the end after it.
func (s *scan) expression() {
	for ; !s.valueEnds(); s.step() {
		s.token()
	}
}
