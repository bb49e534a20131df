package sqltext

// Body is what the source of a routine says, in SQL or PL/pgSQL.
type Body struct {
	Effects  Effects  // without those of the routines it calls
	Calls    []string // names before a parenthesis, as the server has them, each once; not all of them are routines
	Fields   []string // names after a dot, each once: row.routine calls a routine too
	Settings []string // custom settings that it may set for the session, folded
	Writes   bool     // has INSERT, UPDATE, DELETE, MERGE, COPY, TRUNCATE: triggers may run
}

// bodyScan reads code. It knows less of grammar than scan does, and therefore suspects more.
type bodyScan struct {
	lexer
	Body
	calls, fields, settings map[string]bool
	dynamic                 bool // runs SQL that it puts together
	nested                  int  // strings within strings
}

// maxNested bounds how deep strings of code in strings of code are followed.
const maxNested = 4

// ReadBody reads the source of a routine in SQL or PL/pgSQL, as the server stores it (pg_proc.prosrc or
// pg_get_functiondef), or SQL from a string. A string that the code hands to EXECUTE is read too. Standard-conforming
// strings are assumed; a backslash before a quote is Unclear.
func ReadBody(src []byte) Body {
	return readBody(src, 0)
}

func readBody(src []byte, nested int) Body {
	s := bodyScan{
		lexer:  lexer{text: src},
		nested: nested,
		calls:  map[string]bool{}, fields: map[string]bool{}, settings: map[string]bool{},
	}
	s.read()
	if s.dynamic {
		s.literals()
	}
	if s.unclear || s.broken && nested == 0 { // a piece of SQL may well end within a string
		s.Effects |= unknownSQL | Opaque
	}
	s.Effects &^= Unclear | internal
	return s.Body
}

// read passes over the code once.
func (s *bodyScan) read() {
	var (
		before   = kEOF // of the token before
		beforeB  byte
		beforeKw kwid
		name     string // of the identifier before
		hard     bool   // it cannot be a routine
	)
	for s.next(); s.kind != kEOF; s.next() {
		dotted := before == kPunct && beforeB == '.'
		kw := wNone
		switch s.kind {
		case kWord, kQuoted:
			var buf [nameLen]byte
			n, ok := 0, false
			if s.kind == kWord {
				n, ok = foldInto(&buf, s.text[s.from:s.to], true)
				hard = s.kw.hard && !dotted
			} else {
				n, ok = unquoteInto(&buf, s.text[s.from:s.to])
				hard = false
			}
			if !ok {
				name = ""
				if peek := s.lexer; nextIs(peek, '(') || dotted {
					s.Effects |= unknownRoutine
				}
				break
			}
			name = string(buf[:n])
			if len(name) >= 7 && name[:7] == "pg_temp" || name == "pg_settings" {
				s.Effects |= Look
			}
			if dotted {
				once(s.fields, &s.Fields, name)
				break
			}
			if s.kind == kWord {
				kw = s.kw.id
				s.word(kw, name, before, beforeB, beforeKw)
			}
		case kPunct:
			if s.b == '(' && (before == kWord || before == kQuoted) && !hard && name != "" {
				s.call(name)
			}
		case kUQuoted:
			s.Effects |= unknownRoutine
		}
		before, beforeB, beforeKw = s.kind, s.b, kw
	}
}

// nextIs reports whether the next token of x, a copy, is this byte.
func nextIs(x lexer, b byte) bool {
	x.next()
	return x.kind == kPunct && x.b == b
}

// once adds a name to a list that does not have it.
func once(seen map[string]bool, list *[]string, name string) {
	if !seen[name] {
		seen[name] = true
		*list = append(*list, name)
	}
}

// call notes a routine that is called.
func (s *bodyScan) call(name string) {
	once(s.calls, &s.Calls, name)
	switch e := builtinEffects[name]; {
	case e&isSetConfig != 0:
		setting, local, ok := readSetConfig(s.lexer)
		if !ok || s.nested > 0 && !s.plainSetting(setting) {
			s.Effects |= Look | UnknownSetting
			return
		}
		var buf [settingLen]byte
		n, effects := setConfigEffects(&buf, setting, local)
		s.Effects |= effects
		s.setting(buf[:n])
	case e&runsText != 0:
		s.Effects |= unknownSQL
		s.dynamic = true
	}
}

// plainSetting reports whether a name can be a setting's, and no pattern of format().
func (s *bodyScan) plainSetting(name []byte) bool {
	for _, c := range name {
		if !inWord[c] && c != '.' {
			return false
		}
	}
	return true
}

// setting notes a custom setting.
func (s *bodyScan) setting(name []byte) {
	for _, c := range name {
		if c == '.' {
			once(s.settings, &s.Settings, string(name))
			return
		}
	}
}

// atStart reports whether a statement can start after this token.
func atStart(before kind, b byte, kw kwid) bool {
	switch before {
	case kEOF:
		return true
	case kPunct:
		return b == ';' || b == '>' // the end of a label
	case kWord:
		switch kw {
		case wBegin, wThen, wElse, wLoop, wAtomic, wDo, wAs:
			return true
		}
	}
	return false
}

// word acts on an unqualified word.
func (s *bodyScan) word(id kwid, name string, before kind, beforeB byte, beforeKw kwid) {
	start := atStart(before, beforeB, beforeKw)
	switch id {
	case wSet:
		// After a table's name, an alias, UPDATE or a parenthesis it belongs to UPDATE, or to an option.
		if start {
			s.setStatement()
		}
	case wReset, wDiscard, wListen, wUnlisten, wPrepare, wDeallocate:
		if start {
			s.Effects |= Look
			if id == wDiscard {
				s.Effects |= SequenceWrite
			}
			if id == wReset {
				s.resetStatement()
			}
		}
	case wLoad:
		if peek := s.lexer; start {
			if peek.next(); peek.kind != kPunct && peek.kind != kWord {
				s.Effects |= Load
			}
		}
	case wExecute:
		if s.grantOrTrigger() {
			break
		}
		s.Effects |= Look | SequenceWrite | SequenceRead
		s.dynamic = true
		if !s.fixedSQL() {
			s.Effects |= UnknownSetting
		}
	case wDo:
		if start {
			s.Effects |= unknownSQL
			s.dynamic = true
		}
	case wCall:
		if start {
			s.Effects |= SequenceWrite
		}
	case wTemp:
		switch beforeKw {
		case wCreate, wReplace, wLocal, wGlobal:
			s.Effects |= Look
		case wInto: // a variable, unless a name follows
			peek := s.lexer
			peek.next()
			if peek.kind == kQuoted || peek.kind == kUQuoted || peek.kind == kWord && (!peek.kw.hard || peek.kw.id == wTable) {
				s.Effects |= Look
			}
		default: // a column or a variable, or the start of a piece of SQL
			if before == kEOF {
				s.Effects |= Look
			}
		}
	case wHold:
		if beforeKw != wWithout {
			s.Effects |= Look
		}
	case wInsert, wMerge, wCopy:
		s.Writes = true
		s.Effects |= SequenceWrite
	case wUpdate:
		s.Writes = s.Writes || beforeKw != wFor && beforeKw != wKey // FOR UPDATE
	case wDelete, wTruncate:
		s.Writes = true
	case wDefault:
		if before == kPunct { // = DEFAULT
			s.Effects |= SequenceWrite
		}
	case wCreate, wAlter, wDrop:
		s.Effects |= DDL
		s.routineDDL()
	}
	if name == "language" {
		peek := s.lexer
		peek.next()
		if l := peek.text[peek.from:peek.to]; peek.kind != kWord || !equalFold(l, "sql") && !equalFold(l, "plpgsql") {
			s.Effects |= unknownSQL
		}
	}
}

// routineDDL looks at what is created, altered or dropped; the lexer stays where it is.
func (s *bodyScan) routineDDL() {
	x := s.lexer
	for {
		x.next()
		if x.kind != kWord {
			return
		}
		switch x.kw.id {
		case wOr, wReplace, wLocal, wGlobal, wTemp, wUnlogged, wUnique, wForeign:
			continue
		case wTable, wIndex, wSequence, wSchema, wDatabase, wRole, wUser, wGroup, wTablespace, wPublication,
			wSubscription, wStatistics, wServer, wSystem, wDefault, wLarge, wType, wOwned:
			return
		}
		s.Effects |= RoutineDDL | Look
		return
	}
}

// setStatement reads SET in code; the lexer stays at it.
func (s *bodyScan) setStatement() {
	var a Analysis
	inner := scan{lexer: s.lexer, r: nothingKnown, a: &a}
	inner.set()
	s.took(&inner)
}

// resetStatement reads RESET in code; the lexer stays at it.
func (s *bodyScan) resetStatement() {
	var a Analysis
	inner := scan{lexer: s.lexer, r: nothingKnown, a: &a}
	inner.resetSetting()
	s.took(&inner)
}

// took adds what a SET or RESET does. In a string, "SET %I" and "SET app." || name leave the name open.
func (s *bodyScan) took(inner *scan) {
	s.Effects |= inner.eff | inner.a.Effects
	for i := range inner.a.SettingsLen() {
		s.setting(inner.a.Setting(i))
	}
}

// grantOrTrigger reports whether the EXECUTE at the token runs nothing: GRANT EXECUTE ON, EXECUTE FUNCTION trigger().
func (s *bodyScan) grantOrTrigger() bool {
	x := s.lexer
	x.next()
	if x.kind != kWord {
		return false
	}
	w := x.text[x.from:x.to]
	return equalFold(w, "on") || equalFold(w, "function") || equalFold(w, "procedure")
}

// fixedSQL reports whether the EXECUTE at the token is for SQL that starts with a literal, whose first word tells that
// it sets nothing by a name put together elsewhere. EXECUTE FUNCTION belongs to a trigger.
func (s *bodyScan) fixedSQL() bool {
	x := s.lexer
	x.next()
	if x.kind == kWord && equalFold(x.text[x.from:x.to], "format") {
		if x.next(); x.kind != kPunct || x.b != '(' {
			return false
		}
		x.next()
	}
	if x.kind != kString && x.kind != kDollar {
		return false
	}
	in := lexer{text: x.text[x.from:x.to]} // doubled quotes come behind the first word
	if in.next(); in.kind != kWord {
		return false
	}
	switch in.kw.id {
	case wCreate, wAlter, wDrop, wInsert, wUpdate, wDelete, wMerge, wTruncate, wAnalyze, wVacuum, wRefresh, wReindex,
		wGrant, wRevoke, wComment, wLock, wNotify, wCluster, wCopy:
		return true
	case wSet, wReset:
		if !x.plain {
			return false
		}
		// The literal has the whole name: SET app.tenant = ...
		var a Analysis
		inner := scan{lexer: in, r: nothingKnown, a: &a}
		if in.kw.id == wSet {
			inner.set()
		} else {
			inner.resetSetting()
		}
		return (inner.eff|a.Effects)&UnknownSetting == 0
	}
	return false
}

// literals reads the strings of code that puts SQL together.
func (s *bodyScan) literals() {
	if s.nested == maxNested {
		s.Effects |= unknownSQL | Opaque
		return
	}
	x := lexer{text: s.text}
	for x.next(); x.kind != kEOF; x.next() {
		switch x.kind {
		case kString, kDollar, kEString:
		default:
			continue
		}
		b := x.text[x.from:x.to]
		if x.kind != kDollar && !x.plain {
			b = unquoteString(b)
		}
		in := readBody(b, s.nested+1)
		// A piece may start or end within a token: that makes it no worse than it is.
		s.Effects |= in.Effects &^ RoutineDDL
		s.Writes = s.Writes || in.Writes
		for _, n := range in.Calls {
			once(s.calls, &s.Calls, n)
		}
		for _, n := range in.Fields {
			once(s.fields, &s.Fields, n)
		}
		for _, n := range in.Settings {
			once(s.settings, &s.Settings, n)
		}
	}
}
