package sqltext

// pgTemp8 is "pg_temp_", pgTemp7 "pg_temp" and pgSettings the beginning of "pg_settings" as foldedKeys gives them. An
// UPDATE of the view pg_settings is a SET.
var (
	pgTemp8, _ = foldedKeys([]byte("pg_temp_"), 0, 8)
	pgTemp7, _ = foldedKeys([]byte("pg_temp"), 0, 7)

	pgSettings, _ = foldedKeys([]byte("pg_settings"), 0, 11)
)

// body reads the rest of a statement, from the token on: calls of routines, and keywords that matter anywhere.
//
// A routine is called where a name stands before a parenthesis. Where a name of something else can stand there, the
// keyword before that name says so (pend).
func (s *scan) body() {
	var (
		prev      = kEOF   // kind of the token before
		prevB     byte     // its byte, if it is a kPunct
		prevKw    kwid     // its keyword, if it is an unqualified kWord
		notCalled bool     // the name before is no routine
		qualified bool     // it has a schema
		nameFrom  int      // its last part
		nameTo    int      //
		nameKw    *keyword // its keyword; nil if quoted
	)
	for ; s.kind != kEOF; s.next() {
		kw := wNone
		switch s.kind {
		case kWord, kQuoted:
			qualified = prev == kPunct && prevB == '.'
			nameFrom, nameTo, nameKw = s.from, s.to, nil
			if s.k1 == pgTemp8 || s.k1 == pgTemp7 {
				if s.kind == kWord {
					s.eff |= Look
				}
			}
			if s.kind == kWord {
				nameKw = s.kw
				if s.k1 == pgSettings && equalFold(s.text[s.from:s.to], "pg_settings") {
					s.eff |= Look
				}
			} else if string(s.text[s.from:s.to]) == "pg_settings" {
				s.eff |= Look
			} else if n := s.text[s.from:s.to]; len(n) >= 7 && string(n[:7]) == "pg_temp" {
				s.eff |= Look
			}
			if qualified {
				if len(s.r.attributes) > 0 {
					s.attribute()
				}
				break
			}
			notCalled, s.pend = s.pend, false
			if s.kind == kQuoted || nameKw == &notKeyword {
				if s.routine {
					s.language()
				}
				if s.classify {
					s.classified(wNone)
				}
				if c := s.cteAt(); c != nil && *c != cteNone && *c != cteDone {
					notCalled = notCalled || *c == cteName
					s.cteWord(c, wNone)
				}
				break
			}
			kw = s.keyword(prevKw, &notCalled)

		case kPunct:
			switch s.b {
			case '(':
				if prev == kWord || prev == kQuoted {
					if !notCalled && (qualified || nameKw == nil || !nameKw.hard) {
						soft := !qualified && nameKw != nil && nameKw.soft
						s.call(nameFrom, nameTo, nameKw == nil, soft)
					}
				}
				if c := s.cteAt(); c != nil && *c != cteNone {
					switch *c {
					case cteAs:
						*c = cteDone
					case cteCols:
					default:
						*c = cteNone
					}
				}
				s.depth++
				if c := s.cteAt(); c != nil {
					*c = cteNone
				}
			case ')':
				if s.depth > 0 {
					s.depth--
				}
			case ',':
				if c := s.cteAt(); c != nil && *c != cteNone {
					if *c == cteDone {
						*c = cteName
					} else {
						*c = cteNone
					}
				}
			case ';':
				return
			}
			if s.b != '.' {
				s.pend = false
			}

		case kString, kEString, kUString, kDollar:
			if s.routine {
				s.code()
			}
			s.pend = false
		case kUQuoted:
			// May name a routine, a temporary schema or anything else.
			s.eff |= Look | Unknown
		default:
			s.pend = false
		}
		prev, prevB, prevKw = s.kind, s.b, kw
	}
}

// cteAt returns the state of the WITH list at this depth; nil where it is too deep to follow, and names pass for
// calls.
func (s *scan) cteAt() *cteState {
	if s.depth >= len(s.cte) {
		return nil
	}
	return &s.cte[s.depth]
}

// cteWord moves the state of a WITH list over a word.
func (s *scan) cteWord(c *cteState, id kwid) {
	switch *c {
	case cteName:
		*c = cteCols
		if id == wOrdinality {
			*c = cteNone
		}
	case cteCols:
		*c = cteNone
		if id == wAs {
			*c = cteAs
		}
	case cteAs:
		if id != wNot && id != wMaterialized {
			*c = cteNone
		}
	case cteDone:
		switch id {
		case wSelect, wValues, wTable, wInsert, wUpdate, wDelete, wMerge, wWith:
			*c = cteNone
		}
	}
}

// keyword acts on an unqualified keyword in a statement. It returns its id.
func (s *scan) keyword(prev kwid, notCalled *bool) kwid {
	id := s.kw.id
	if s.classify {
		s.classified(id)
	}
	if c := s.cteAt(); c != nil && *c != cteNone {
		if *c == cteName {
			switch {
			case s.kw.hard:
				*c = cteNone
			case id == wOther && equalFold(s.text[s.from:s.to], "recursive"):
			default:
				*notCalled = true
				s.cteWord(c, id)
			}
		} else {
			s.cteWord(c, id)
		}
	}
	switch id {
	case wInsert, wMerge:
		s.eff |= SequenceWrite | s.r.dml
	case wDelete:
		s.eff |= s.r.dml
	case wUpdate:
		if prev != wFor && prev != wKey { // FOR UPDATE, FOR NO KEY UPDATE
			s.eff |= s.r.dml
		}
	case wFrom:
		if s.head == wCopy && s.depth == 0 {
			s.eff |= SequenceWrite | s.r.dml
		}
	case wDefault:
		if !s.ddl {
			s.eff |= SequenceWrite // UPDATE t SET id = DEFAULT
		}
	case wInto:
		s.pend = true
		if prev != wInsert && prev != wMerge {
			s.selectInto = true
			s.eff |= DDL | s.r.ddl
		}
	case wTemp:
		if s.create || s.selectInto {
			s.eff |= Look
		}
		s.pend = *notCalled
	case wAs:
		s.pend = true
	case wReferences:
		s.pend = true
	case wTable, wOf:
		s.pend = s.create
	case wOn:
		s.pend = s.createIdx
		s.createIdx = false
	case wIf, wNot, wExists, wOnly, wLocal, wGlobal, wUnlogged:
		s.pend = *notCalled // CREATE TABLE IF NOT EXISTS t (...)
	case wExecute:
		if prev == wAs && s.create {
			peek := s.lexer
			s.next()
			s.executed()
			s.lexer = peek
		}
	case wHold:
		if s.head == wDeclare && prev != wWithout {
			s.eff |= Look
		}
	case wAtomic:
		if s.create && prev == wBegin {
			s.atomic = true
		}
	case wCreate:
		s.classify = s.create // CREATE SCHEMA s CREATE TABLE t ...
	case wWith:
		if c := s.cteAt(); c != nil {
			*c = cteName
		}
	}
	return id
}

// classified looks for the word that says what a CREATE or ALTER is about.
func (s *scan) classified(id kwid) {
	switch id {
	case wOr, wReplace, wLocal, wGlobal, wTemp, wUnlogged, wUnique, wForeign:
		return
	case wIndex:
		s.createIdx = s.create
	case wTable:
		if s.head == wAlter {
			s.eff |= SequenceWrite // ADD COLUMN ... DEFAULT nextval runs at once
		}
	case wSequence:
		s.eff |= SequenceWrite // ALTER SEQUENCE drops what the session has cached
	case wSchema, wDatabase, wRole, wUser, wGroup, wTablespace, wPublication, wSubscription, wStatistics, wServer,
		wSystem, wDefault, wLarge:
	case wType:
		if s.head == wAlter {
			break
		}
		fallthrough
	default:
		// New code may run in this transaction already.
		s.eff |= RoutineDDL | Look | SequenceWrite | SequenceRead
		s.routine = true
	}
	s.classify = false
}

// call adds the effects of a routine. soft says that the name need not be one: then only a known routine counts.
func (s *scan) call(from, to int, quoted, soft bool) {
	var buf [nameLen]byte
	n, ok := foldInto(&buf, s.text[from:to], !quoted)
	if !ok {
		s.calls |= unknownRoutine
		return
	}
	e, ok := s.r.names[string(buf[:n])]
	if !ok {
		if !soft {
			s.calls |= unknownRoutine
		}
		return
	}
	if e&internal != 0 {
		e |= s.argumentEffects(e)
	}
	s.calls |= e &^ internal
}

// attribute adds the effects of a routine that row.name calls.
func (s *scan) attribute() {
	var buf [nameLen]byte
	n, ok := s.name(&buf)
	if !ok {
		s.calls |= unknownRoutine
		return
	}
	s.calls |= s.r.attributes[string(buf[:n])]
}
