package sqltext

import "strings"

// procedure says what is known of a procedure of the server's own.
type procedure uint8

const (
	anyProcedure procedure = iota
	harmless               // leaves nothing
	executesText
	getsLock
	setsContext
	changes // the database's metadata
	renames // a module, maybe
	administers
	releases // what keeps a session pinned
	prepares
	parses
	binds
	impersonates
	reverts
	resets
)

// procedures are those of the server's own that are known. Without a schema, or with sys, a name means these even if the
// database has a procedure of the same name; with dbo, it means that one first. ("CREATE PROCEDURE")
var procedures = func() map[string]procedure {
	m := map[string]procedure{}
	for p, names := range map[procedure]string{
		harmless: `sp_assemblies_rowset sp_catalogs sp_columns sp_columns_100 sp_columns_managed sp_column_privileges
			sp_databases sp_datatype_info sp_datatype_info_90 sp_datatype_info_100 sp_depends sp_describe_first_result_set
			sp_describe_parameter_encryption sp_describe_undeclared_parameters sp_fkeys sp_help sp_helpconstraint sp_helpdb
			sp_helpfile sp_helpfilegroup sp_helpindex sp_helplanguage sp_helplogins sp_helprole sp_helprolemember
			sp_helprotect sp_helpserver sp_helpsort sp_helpsrvrolemember sp_helpstats sp_helptext sp_helptrigger sp_helpuser
			sp_linkedservers sp_lock sp_monitor sp_pkeys sp_primarykeys sp_server_info sp_spaceused sp_special_columns
			sp_special_columns_100 sp_sproc_columns sp_sproc_columns_100 sp_statistics sp_statistics_100
			sp_stored_procedures sp_table_privileges sp_tables sp_table_types sp_who sp_who2`,
		executesText: "sp_executesql",
		getsLock:     "sp_getapplock",
		setsContext:  "sp_set_session_context",
		changes: `sp_addextendedproperty sp_dropextendedproperty sp_updateextendedproperty sp_recompile sp_refreshview
			sp_refreshsqlmodule sp_updatestats`,
		renames:      "sp_rename sp_changeobjectowner sp_settriggerorder",
		administers:  "sp_addmessage sp_altermessage sp_dropmessage sp_configure sp_cycle_errorlog",
		releases:     "sp_releaseapplock sp_unprepare sp_cursorclose sp_cursorunprepare sp_xml_removedocument",
		prepares:     "sp_execute sp_prepare sp_prepexec sp_prepexecrpc sp_cursoropen sp_cursorprepare sp_cursorprepexec sp_cursorexecute",
		parses:       "sp_xml_preparedocument",
		binds:        "sp_bindsession sp_getbindtoken",
		impersonates: "sp_setapprole",
		reverts:      "sp_unsetapprole",
		resets:       "sp_reset_connection",
	} {
		for n := range strings.FieldsSeq(names) {
			m[n] = p
		}
	}
	return m
}()

// argument is one of a procedure's: the token of its value.
type argument struct {
	name   lexer // a variable, if it was named
	value  lexer
	named  bool
	sign   bool // a + or - was before the value
	output bool
}

// exec reads EXECUTE. ("EXECUTE")
func (s *scan) exec() {
	s.next()
	switch {
	case s.is('('):
		s.execText()
		return
	case s.word(wAs):
		if !s.module {
			s.add(Impersonates)
		}
		ends := true // not WITH NO REVERT, WITH COOKIE
		for no := false; s.kind != kEOF && !s.is(';') && (!s.kw.starts || no && s.word(wRevert)); s.next() {
			no = s.isWord("no")
			ends = ends && !no && !s.word(wWith)
		}
		s.takes(KeptLogin, ends)
		s.body(wExec)
		return
	case s.kind == kVar:
		if x := s.peek(); x.is('=') { // for the value of RETURN
			s.next()
			s.next()
			if s.kind != kVar {
				break
			}
		}
		s.add(Exec | Dynamic | WritesIdentity)
		s.next()
		s.body(wExec)
		return
	}
	s.call()
}

// execText reads EXECUTE ('text' + @text) [AS USER = 'x'] [AT server].
func (s *scan) execText() {
	x := s.peek()
	y := x
	y.next()
	inside := y.is(')')
	if inside {
		y.next()
	}
	at := y.isWord("at")
	switch {
	case inside && x.kind == kString && !y.is(',') && !y.word(wAs) && !at:
		s.text(x)
	case at:
		s.add(Remote | Exec)
	default:
		s.add(Exec | Dynamic | WritesIdentity)
	}
	s.body(wExec)
}

// word reports whether the token is this keyword.
func (x *lexer) word(id kwid) bool { return x.kind == kWord && x.kw.id == id }

// call reads the call of a procedure from its name on.
func (s *scan) call() {
	from := s.start
	first, parts := s.lexer, 1
	for y := s.peek(); y.is('.'); y = s.peek() {
		s.next()
		parts++
		if y = s.peek(); y.isName() {
			s.next()
			continue
		}
		if !y.is('.') {
			break
		}
	}
	if !s.isName() {
		s.unclear = true
		s.add(Exec)
		s.next()
		s.body(wExec)
		return
	}
	last, to := s.lexer, s.end
	sure := parts == 1 || inSys(&first, &last, parts)
	if parts > 3 {
		last = lexer{}
	}
	s.next()
	if s.is(';') { // the number of a procedure
		if y := s.peek(); y.kind == kNumber {
			s.next()
			s.next()
		}
	}
	var args [maxArgs]argument
	n, all := s.arguments(&args)
	p := anyProcedure
	if last.isName() {
		var buf [3 * maxName]byte
		if name, ok := appendName(buf[:0], &last); ok {
			p = procedures[string(name)]
		}
	}
	if !sure && p != anyProcedure {
		s.calls(from, to, parts)
	}
	switch p {
	case harmless:
		s.add(WritesIdentity) // it may have tables of its own
	case executesText:
		i, ok := find(args[:n], "stmt", "statement", 0)
		if v := args[max(i, 0)]; ok && i >= 0 && v.value.kind == kString {
			s.text(v.value)
		} else {
			s.add(Exec | Dynamic | WritesIdentity)
		}
	case getsLock:
		i, ok := find(args[:n], "lockowner", "", 2)
		if !ok || !all || i >= 0 && !args[i].value.textIs("transaction") {
			s.add(AppLock)
			s.takes(KeptLock, sure)
			s.lock(getsAppLock, args[:n])
		}
	case setsContext:
		s.setsContext(args[:n], all && sure)
	case changes:
		s.add(DDL | Triggers | WritesIdentity)
	case renames:
		s.add(DDL | Triggers | WritesIdentity | Modules)
	case administers:
		s.add(Admin)
	case releases:
		s.add(Ends)
		if last.textIs("sp_unprepare") {
			s.add(Prepared) // it may be another session's
		}
		if last.textIs("sp_releaseapplock") {
			s.lock(releasesAppLock, args[:n])
		}
		switch {
		case !sure:
		case last.textIs("sp_xml_removedocument"):
			s.gives(KeptDocument, false)
		case last.textIs("sp_releaseapplock"):
			if i, ok := find(args[:n], "lockowner", "", 1); ok && all && i >= 0 && args[i].value.textIs("session") {
				s.gives(KeptLock, false)
			}
		}
	case prepares:
		s.add(Prepared | Exec | Dynamic | WritesIdentity)
	case parses:
		s.add(Document)
		s.takes(KeptDocument, sure)
	case binds:
		s.add(BoundSession)
	case impersonates:
		s.add(Impersonates)
		s.takes(KeptLogin, false)
	case reverts:
		s.add(Reverts)
	case resets:
		s.add(Resets)
	default:
		s.calls(from, to, parts)
	}
	s.body(wExec)
}

// lock notes an application lock of a module, if it is named by a literal. What is owned by the transaction is released with
// LockOwner left out or 'Transaction': that is none of the session's.
func (s *scan) lock(op ObjectOp, args []argument) {
	if !s.module {
		return
	}
	if op == releasesAppLock {
		if i, ok := find(args, "lockowner", "", 1); !ok || i < 0 || !args[i].value.textIs("session") {
			return
		}
	}
	i, ok := find(args, "resource", "", 0)
	if !ok || i < 0 || args[i].value.kind != kString || !args[i].value.plain() {
		if op == getsAppLock {
			s.object(op, unnamed, true)
		}
		return
	}
	x := args[i].value
	s.object(op, valueOf(x.text, span{x.start, x.end}), true)
}

// unnamed is a name that nothing has: it is not taken away.
const unnamed = "\x00"

// calls notes the call of a procedure that is not known, or may be another than the server's own.
func (s *scan) calls(from, to, parts int) {
	s.add(Exec | WritesIdentity)
	if parts > 3 {
		s.add(Remote)
	}
	if s.base < 0 || s.a.nCalls == maxCalls {
		s.a.MoreCalls = true
		return
	}
	s.a.calls[s.a.nCalls] = span{s.base + from, s.base + to}
	s.a.nCalls++
}

// inSys reports whether the schema of a name of two or three parts is sys. first is the name's first part.
func inSys(first, last *lexer, parts int) bool {
	x, schema := *first, *first
	for x.start < last.start {
		if x.isName() {
			schema = x
		} else if y := x; y.is('.') {
			if y.next(); y.is('.') {
				return false // the schema was left out
			}
		}
		x.next()
	}
	return parts <= 3 && schema.textIs("sys")
}

// arguments reads those of a procedure. all says that there was room for all, and that each was understood.
func (s *scan) arguments(args *[maxArgs]argument) (n int, all bool) {
	for n = 0; ; n++ {
		if n == maxArgs {
			return n, false
		}
		a := argument{}
		if s.kind == kVar {
			if x := s.peek(); x.is('=') {
				a.name, a.named = s.lexer, true
				s.next()
				s.next()
			}
		}
		for s.is('-') || s.is('+') {
			a.sign = true
			s.next()
		}
		switch s.kind {
		case kEOF, kPunct:
			return n, n == 0 && !a.named && !a.sign
		case kSysVar:
			s.sysVar()
		case kWord:
			if s.kw.starts || s.kw.id == wWith || s.kw.id == wEnd || s.kw.id == wElse {
				return n, n == 0 && !a.named && !a.sign
			}
		}
		a.value = s.lexer
		s.next()
		if s.isWord("output") || s.isWord("out") || s.isWord("readonly") {
			a.output = true
			s.next()
		}
		args[n] = a
		if !s.is(',') {
			return n + 1, s.kind == kEOF || s.is(';') || s.kind == kWord
		}
		s.next()
	}
}

// find returns the argument with one of the names, or else at a place; -1 if there is none. It reports false if an
// argument has no name behind one that has, which the server refuses.
func find(args []argument, name, other string, place int) (int, bool) {
	named := false
	for i := range args {
		a := &args[i]
		if a.named {
			named = true
			w := string(a.name.folded[:a.name.nFolded])
			if w == name || other != "" && w == other {
				return i, true
			}
			continue
		}
		if named {
			return -1, false
		}
		if i == place {
			return i, true
		}
	}
	return -1, true
}

// setsContext reads sp_set_session_context. ("sp_set_session_context")
func (s *scan) setsContext(args []argument, all bool) {
	k, ok1 := find(args, "key", "", 0)
	v, ok2 := find(args, "value", "", 1)
	r, ok3 := find(args, "read_only", "", 2)
	ok := all && ok1 && ok2 && ok3 && k >= 0 && v >= 0
	if ok && r >= 0 {
		ok = args[r].value.kind == kNumber && args[r].value.textIs("0") && !args[r].sign
	}
	if ok {
		key, value := args[k].value, args[v].value
		ok = key.kind == kString && key.plain() && (key.national || key.ascii()) && !args[k].sign && !args[v].output
		switch value.kind {
		case kString:
			// What is not ASCII in a string that is not national depends on the database.
			ok = ok && value.plain() && (value.national || value.ascii())
		case kNumber, kHex:
		case kWord:
			ok = ok && value.isWord("null")
		default:
			ok = false
		}
		if ok && !args[v].sign {
			s.assign(assignment{kind: setContext, a: span{key.start, key.end}, b: span{value.start, value.end}})
			return
		}
	}
	s.add(ContextUnknown)
}

// text reads the literal of a text that runs within this one.
func (s *scan) text(x lexer) {
	if s.texts >= maxTexts || !x.plain() {
		s.add(Exec | Dynamic | Unknown)
		return
	}
	from, to, closing := x.content()
	text, base := x.text[2*from:2*max(to, from)], s.base+from
	if s.base < 0 {
		base = -1
	}
	for i := from; i < to; i++ {
		if x.at(i) == closing { // twice
			text, base = unquote(text), -1
			break
		}
	}
	in := scan{
		a: s.a, within: true, texts: s.texts + 1, depth: s.depth, cond: s.cond, jumped: s.jumped, did: s.did, inserted: s.inserted,
		module: s.module, base: base, region: s.region, regions: s.regions, tries: s.tries,
	}
	in.init(text)
	in.double = s.double
	in.read()
	s.regions = in.regions
	if in.jumps > 0 {
		s.jumps++
		s.regions++
		s.region = s.regions
	}
	s.fixed |= in.fixed
	s.fixedUnknown = s.fixedUnknown || in.fixedUnknown
	s.unclear = s.unclear || in.unclear
}

// unquote returns a copy of what stood in quotes with each two of them made one.
func unquote(text []byte) []byte {
	b := make([]byte, 0, len(text))
	for i := 0; i+1 < len(text); i += 2 {
		b = append(b, text[i], text[i+1])
		if text[i] == '\'' && text[i+1] == 0 {
			i += 2
		}
	}
	return b
}
