package sqltext

import "forebay/internal/engine/sqlserver/settings"

// Inspect reads a text, in UTF-16LE, and fills a with what running it may leave behind. It keeps neither text nor a.
func Inspect(text []byte, m Mode, a *Analysis) {
	a.reset()
	s := scan{a: a, within: m.Within, module: m.Module}
	s.init(text)
	s.double = m.QuotedIdentifier
	s.read()
	if s.fixed != 0 || s.fixedUnknown {
		a.Effects |= Fixed
	}
	switch {
	case s.fixed == fixFmtOnly && !s.fixedUnknown && !s.within && a.Statements == 1 && a.Effects&leaves == Fixed:
		a.Effects |= FormatOnly
	case s.formatEnds && a.Effects&leaves == FixedEnds:
		a.Effects |= FormatEnds
	}
	if a.Effects&(Fixed|FixedEnds) != 0 && a.Effects&Assigns != 0 {
		a.Effects |= SettingUnknown | SettingLost // it may not have run
	}
	if a.Effects&Unclear != 0 {
		a.Effects |= Unknown
	}
	if m.Module {
		a.balance()
	}
}

// scan is one pass over a text.
type scan struct {
	lexer
	a      *Analysis
	within bool // what the text sets ends with it
	module bool // it is a module's body
	texts  int  // within which this one is
	base   int  // where the text begins in the outermost one; below 0: it is not a piece of that
	depth  int  // of statements

	cond         int  // above 0: in a branch
	jumped       bool // a GOTO, RETURN or label was there: nothing from here on is certain
	did          bool // a statement that sets @@ROWCOUNT and @@ERROR has surely run
	made         bool // a temporary table that ends with the text was made
	inserted     bool // an INSERT ... VALUES has surely run
	fixed        fixed
	fixedUnknown bool
	formatEnds   bool // the last statement sets FMTONLY OFF

	region, regions int // of statements that run together; how many there are
	jumps           int
	tries           int

	// Of the statement: the token before, and its keyword.
	prev   kind
	prevC  uint16
	prevKw kwid
}

// read reads the whole text.
func (s *scan) read() {
	s.next()
	for first := true; s.kind != kEOF; first = false {
		if s.is(';') {
			s.next()
			continue
		}
		if s.texts == 0 {
			s.a.Statements++
		}
		s.statement(first)
	}
	if s.unclear {
		s.a.Effects |= Unclear
	}
}

func (s *scan) add(e Effects) { s.a.Effects |= e }

// next goes on to the next token.
func (s *scan) next() {
	s.prev, s.prevC, s.prevKw = s.kind, s.c, s.kw.id
	s.lexer.next()
}

// step is next, but never out of a statement.
func (s *scan) step() {
	if !s.is(';') && !s.kw.starts {
		s.next()
	}
}

// peek returns the lexer at the next token.
func (s *scan) peek() lexer {
	x := s.lexer
	x.next()
	return x
}

// certain reports whether the statement surely runs, if all before it do.
func (s *scan) certain() bool { return s.cond == 0 && !s.jumped }

// statement reads one statement. The first token was read, and at least one is passed. first says that the text begins
// here.
func (s *scan) statement(first bool) {
	s.formatEnds = false
	if s.depth >= maxDepth {
		s.unclear = true
		s.add(Unknown)
		for s.kind != kEOF {
			s.next()
		}
		return
	}
	s.depth++
	s.statementHead(first)
	s.depth--
}

func (s *scan) statementHead(first bool) {
	switch s.kind {
	case kWord:
	case kName, kDouble:
		s.bare(first)
		return
	case kPunct:
		if s.c == '(' { // a query
			s.body(wSelect)
			return
		}
		fallthrough
	default:
		s.unclear = true
		s.next()
		s.body(wNone)
		return
	}
	switch id := s.kw.id; id {
	case wSelect:
		s.selects()
	case wWith:
		s.with()
	case wInsert:
		s.insert()
	case wUpdate, wDelete, wMerge:
		s.write(id)
	case wBulk:
		s.add(Writes | Triggers | WritesIdentity | WritesScopeIdentity)
		if s.next(); s.word(wInsert) {
			s.next()
		} else {
			s.unclear = true
		}
		s.body(id)
	case wWritetext, wUpdatetext:
		s.add(Writes)
		if x := s.peek(); x.kw.id == wBulk {
			s.add(BulkLoad)
		}
		s.next()
		if s.word(wBulk) {
			s.next()
		}
		s.body(id)

	case wSet:
		s.set()
	case wUse:
		s.use()
	case wDeclare:
		s.declare()

	case wIf, wWhile:
		s.branch(id)
	case wBegin:
		s.begin()
	case wReturn:
		s.next()
		s.body(id)
		s.jump()
	case wBreak, wContinue: // of a loop, which is a branch
		s.next()
		s.body(id)
	case wGoto:
		s.next()
		if s.isName() {
			s.next()
		}
		s.jump()
	case wEnd:
		s.next()
		if s.isWord("conversation") {
			s.add(Writes)
		} else {
			s.unclear = true
		}
		s.body(id)
	case wElse:
		s.unclear = true
		s.next()

	case wCommit:
		s.add(TxCommit)
		s.next()
		s.body(id)
	case wRollback:
		s.add(TxRollback)
		s.next()
		s.body(id)
	case wSave:
		s.add(TxSave)
		s.next()
		s.body(id)

	case wExec:
		s.exec()
	case wOpen:
		s.open()
	case wClose:
		s.close()
	case wFetch:
		s.add(UsesCursor)
		s.next()
		s.body(id)
	case wDeallocate:
		s.deallocate()

	case wCreate, wAlter:
		s.create(id)
	case wDrop:
		s.drop()
	case wTruncate:
		s.add(DDL)
		s.next()
		s.body(id)
	case wGrant, wDeny, wRevoke:
		s.grant()
	case wBackup, wRestore, wCheckpoint, wReconfigure, wShutdown:
		s.add(Admin)
		s.next()
		s.body(id)
	case wKill:
		s.add(Kill)
		s.next()
		s.body(id)
	case wDbcc:
		s.dbcc()

	case wRevert:
		if !s.module {
			s.add(Reverts)
		}
		if s.next(); !s.word(wWith) {
			s.gives(KeptLogin, false)
		}
		s.body(id)
	case wSetuser:
		s.next()
		if s.kind == kString || s.kind == kVar || s.kind == kDouble {
			s.add(Impersonates)
			s.takes(KeptLogin, false)
		} else {
			s.add(Reverts)
		}
		s.body(id)
	case wWaitfor:
		s.add(Waits)
		s.next()
		s.body(id)
	case wPrint, wRaiserror, wReadtext:
		s.next()
		s.body(id)
	default:
		s.bare(first)
	}
}

// bare reads a statement that begins with no reserved word: a label, one of the few with other words, or, where the text
// begins, the call of a procedure.
func (s *scan) bare(first bool) {
	x := s.peek()
	if s.kind == kWord && x.is(':') {
		y := x
		y.next()
		if !y.is(':') {
			s.jump()
			s.next()
			s.next()
			return
		}
	}
	if s.kind == kWord && !x.is('.') {
		switch string(s.folded[:s.nFolded]) {
		case "throw":
			s.next()
			s.body(wRaiserror)
			return
		case "send", "get", "move", "receive": // SEND ON CONVERSATION, GET CONVERSATION GROUP, RECEIVE
			if x.word(wOn) || x.isWord("conversation") || x.is('*') || x.isWord("top") || !first && s.isWord("receive") {
				s.add(Writes)
				s.next()
				s.body(wNone)
				return
			}
		case "enable", "disable":
			if x.isWord("trigger") {
				s.add(DDL | Triggers | Modules)
				s.next()
				s.body(wAlter)
				return
			}
		}
	}
	if !first || s.kw.id != wNone {
		s.unclear = true
		s.add(Unknown)
		s.next()
		s.body(wNone)
		return
	}
	s.call()
}

// branch reads IF and WHILE.
func (s *scan) branch(id kwid) {
	s.next()
	s.body(id)
	if !s.is(';') && s.kind != kEOF {
		s.branched()
	}
	if id != wIf {
		return
	}
	if s.is(';') {
		if x := s.peek(); x.kw.id == wElse {
			s.next()
		}
	}
	if s.word(wElse) {
		s.next()
		s.branched()
	}
}

// branched reads a statement that may not run.
func (s *scan) branched() {
	was, jumps := s.enter()
	s.cond++
	s.statement(false)
	s.cond--
	s.leave(was, jumps)
}

// enter begins a region.
func (s *scan) enter() (was, jumps int) {
	was = s.region
	s.regions++
	s.region = s.regions
	return was, s.jumps
}

// leave goes back to the region that was before, unless what has been left may have gone elsewhere.
func (s *scan) leave(was, jumps int) {
	if s.region = was; s.jumps != jumps {
		s.regions++
		s.region = s.regions
	}
}

// jump says that what follows may not run, or not behind what stands before it.
func (s *scan) jump() {
	s.jumped = true
	s.jumps++
	s.regions++
	s.region = s.regions
}

// begin reads BEGIN of a block, of TRY and CATCH, or of a transaction.
func (s *scan) begin() {
	s.next()
	cond, try := 0, 0
	if s.kind == kWord {
		switch string(s.folded[:s.nFolded]) {
		case "tran", "transaction":
			s.add(TxBegin)
			s.body(wBegin)
			return
		case "distributed":
			s.add(TxBegin | Distributed)
			s.body(wBegin)
			return
		case "dialog", "conversation":
			s.add(Writes)
			s.body(wBegin)
			return
		case "atomic":
			if s.next(); s.module && s.word(wWith) {
				s.next()
				s.top() // the options, in parentheses
			} else {
				s.unclear = true
			}
		case "try", "catch":
			// What an error skips in TRY is not seen in the answer.
			if cond = 1; s.isWord("try") {
				try, s.a.Tries = 1, true
			}
			s.next()
		}
	}
	was, jumps := s.region, s.jumps
	if cond > 0 {
		was, jumps = s.enter()
	}
	s.cond += cond
	s.tries += try
	for s.kind != kEOF {
		if s.is(';') {
			s.next()
			continue
		}
		if s.word(wEnd) {
			if x := s.peek(); !x.isWord("conversation") {
				break
			}
		}
		s.statement(false)
	}
	s.cond -= cond
	s.tries -= try
	if cond > 0 {
		s.leave(was, jumps)
	}
	if s.kind == kEOF {
		s.unclear = true
		return
	}
	s.next()
	if s.isWord("try") || s.isWord("catch") {
		s.next()
	}
}

// clause says which part of a statement INTO belongs to.
type clause uint8

const (
	inHead clause = iota
	inSelect
	inValues
	inOutput
)

// body passes over the rest of a statement, up to its semicolon or the next one, and marks what its expressions do. head
// is its first word.
func (s *scan) body(head kwid) {
	parens, cases, dots, c, set := 0, 0, 0, inHead, false
	if head == wSelect {
		c = inSelect
	}
	for ; s.kind != kEOF; s.next() {
		name := false
		switch s.kind {
		case kPunct:
			switch s.c {
			case '(':
				parens++
			case ')':
				if parens--; parens < 0 {
					s.unclear, parens = true, 0
				}
			case ';':
				if parens == 0 {
					return
				}
				s.unclear = true
			case '.':
				if dots++; dots == 3 {
					s.add(Remote)
				}
				continue
			}
		case kSysVar:
			s.sysVar()
		case kName, kDouble:
			name = true
		case kWord:
			k := s.kw
			if k.id == wNone {
				name = true
				if k.eff != 0 {
					s.reads(k.eff)
				} else if s.nFolded > 8 && string(s.folded[:8]) == "dm_exec_" {
					s.add(ReadsSPID)
				}
				break
			}
			if s.prev == kPunct && s.prevC == '.' {
				break // a part of a name
			}
			switch k.id {
			case wCase:
				cases++
			case wEnd:
				if cases == 0 {
					if parens == 0 {
						return
					}
					s.unclear = true
					break
				}
				cases--
			case wElse:
				if cases == 0 && parens == 0 {
					return
				}
			case wOutput:
				if c != inSelect { // of INSERT, UPDATE, DELETE and MERGE; elsewhere it is a name
					c = inOutput
				}
			case wValues:
				if parens == 0 && head == wInsert {
					c = inValues
				}
			case wInto:
				if c == inSelect {
					s.selectInto()
				}
			case wCurrent: // WHERE CURRENT OF
				if x := s.peek(); x.isWord("of") {
					s.add(UsesCursor)
				}
			}
			if !k.starts {
				break
			}
			if parens > 0 {
				s.inner(k.id)
				break
			}
			if !s.continues(head, c, &set) {
				return
			}
			switch k.id {
			case wSelect:
				c = inSelect
			case wUpdate, wDelete, wInsert:
				if head == wMerge {
					c = inHead
				}
			}
		}
		if !name || s.prev != kPunct || s.prevC != '.' {
			dots = 0
		}
	}
	if parens > 0 || cases > 0 {
		s.unclear = true
	}
}

// inner marks a statement within parentheses: writing ones can be a table of FROM ("FROM", nested DML).
func (s *scan) inner(id kwid) {
	switch id {
	case wInsert, wMerge:
		if x := s.peek(); x.word(wJoin) {
			return // a hint
		}
		s.add(Writes | Triggers | WritesIdentity | WritesScopeIdentity)
	case wUpdate, wDelete:
		if s.prevKw != wOn { // ON DELETE, of a foreign key
			s.add(Writes | Triggers)
		}
	case wExec:
		s.add(Unknown)
	}
}

// continues reports whether the token, which begins statements, goes on with the one in progress.
func (s *scan) continues(head kwid, c clause, set *bool) bool {
	prev := s.prevKw
	if s.prev != kWord {
		prev = wNone
	}
	if prev == wWith {
		return true // WITH ROLLBACK IMMEDIATE, WITH CHECK
	}
	switch s.kw.id {
	case wSelect:
		switch prev {
		case wUnion, wAll, wExcept, wIntersect:
			return true
		}
		switch head {
		case wInsert:
			return c == inHead || c == inOutput
		case wDeclare, wCursor:
			return prev == wFor || c == inHead && head == wCursor
		}
		return false
	case wUpdate:
		return prev == wFor || prev == wOn || prev == wThen
	case wDelete:
		return prev == wOn || prev == wThen
	case wInsert:
		return prev == wThen
	case wSet:
		if prev == wUpdate || prev == wDelete { // MERGE, and ON DELETE SET NULL
			return true
		}
		if head == wUpdate && !*set {
			*set = true
			return true
		}
		if head == wAlter { // ALTER TABLE ... SET (...)
			x := s.peek()
			return x.is('(')
		}
		return false
	case wFetch:
		return prev == wRow
	case wMerge:
		x := s.peek()
		return x.kw.id == wJoin
	case wIf:
		if head == wDrop || head == wAlter || head == wCreate {
			x := s.peek()
			if x.kw.id == wExists {
				x.next()
				return !x.is('(')
			}
		}
		return false
	case wDrop, wAlter, wCreate:
		if head == wAlter {
			x := s.peek()
			return x.kw.id != wTable && !x.isWord("procedure") && !x.isWord("proc")
		}
		return false
	case wExec:
		if head == wCreate || head == wAlter {
			x := s.peek()
			return x.kw.id == wAs
		}
		return false
	case wCheckpoint, wBulk, wOpen, wClose:
		return head == wAlter
	}
	return false
}

// sysVar marks what @@x reads.
func (s *scan) sysVar() {
	if e, ok := sysEffects[string(s.folded[:s.nFolded])]; ok {
		s.reads(e)
	}
}

// reads marks what is read, as far as it is not of the text's own making.
func (s *scan) reads(e Effects) {
	switch e {
	case ReadsIdentity, ReadsScopeIdentity:
		if e == ReadsScopeIdentity && s.within {
			return // the scope began with the text
		}
		if s.inserted {
			e = ReadsOwnIdentity
		}
	case ReadsRowCount, ReadsError:
		if s.did {
			return
		}
	}
	s.add(e)
}

// selects reads SELECT.
func (s *scan) selects() {
	s.next()
	s.body(wSelect)
	s.did = s.did || s.certain()
}

// with reads the common table expressions before a statement. ("WITH common_table_expression")
func (s *scan) with() {
	parens := 0
	for s.next(); s.kind != kEOF; s.next() {
		switch {
		case s.is('('):
			parens++
		case s.is(')') && parens > 0:
			parens--
		case s.is(')'), s.is(';'):
			s.unclear = true
			return
		case s.kind == kSysVar:
			s.sysVar()
		case s.kind == kWord && s.kw.starts && parens > 0:
			s.inner(s.kw.id)
		case s.kind == kWord && s.kw.starts:
			switch s.kw.id {
			case wSelect, wInsert, wUpdate, wDelete, wMerge:
				s.statement(false)
			default:
				s.unclear = true
			}
			return
		case s.kw.eff != 0:
			s.reads(s.kw.eff)
		}
	}
	s.unclear = true
}

// insert reads INSERT.
func (s *scan) insert() {
	s.add(Writes | WritesIdentity)
	if !s.within {
		s.add(WritesScopeIdentity)
	}
	s.next()
	if s.word(wBulk) {
		s.add(BulkLoad | Triggers)
		s.next()
		s.body(wBulk)
		return
	}
	if s.isWord("top") {
		s.next()
		s.top()
		if s.isWord("percent") {
			s.next()
		}
	}
	if s.word(wInto) {
		s.next()
	}
	if !s.temporary() {
		s.add(Triggers)
	}
	values := false
	// The rows come from VALUES, DEFAULT VALUES, a query or a procedure.
	from := s.lexer
	for parens := 0; from.kind != kEOF; from.next() {
		if from.is('(') {
			parens++
		} else if from.is(')') {
			parens--
		}
		if parens != 0 || from.kind != kWord {
			continue
		}
		if from.kw.id == wValues {
			values = true
			break
		}
		if from.kw.starts {
			break
		}
	}
	s.body(wInsert)
	if s.word(wExec) && !values {
		s.exec()
	}
	if s.certain() {
		s.did = true
		s.inserted = s.inserted || values
	}
}

// top passes over the number of TOP. ("TOP")
func (s *scan) top() {
	if !s.is('(') {
		s.step()
		return
	}
	for parens := 0; s.kind != kEOF; {
		switch {
		case s.is('('):
			parens++
		case s.is(')'):
			parens--
		case s.kind == kSysVar:
			s.sysVar()
		case s.kw.eff != 0:
			s.reads(s.kw.eff)
		}
		if s.next(); parens == 0 {
			return
		}
	}
	s.unclear = true
}

// temporary reports whether the token is a table variable or the name of a temporary table, alone.
func (s *scan) temporary() bool {
	if s.kind == kVar {
		return true
	}
	c := s.at(s.start)
	if s.kind == kName {
		c = s.at(s.start + 1)
	}
	x := s.peek()
	return s.isName() && c == '#' && !x.is('.')
}

// write reads UPDATE, DELETE and MERGE; UPDATE STATISTICS, too.
func (s *scan) write(id kwid) {
	s.next()
	if id == wUpdate && s.isWord("statistics") {
		s.add(Admin)
		s.body(wNone)
		return
	}
	s.add(Writes | Triggers)
	if id == wMerge {
		s.add(WritesIdentity)
		if !s.within {
			s.add(WritesScopeIdentity)
		}
	}
	s.body(id)
	s.did = s.did || s.certain()
}

// selectInto reads the name behind SELECT ... INTO; the last token of the name is the current one then.
func (s *scan) selectInto() {
	s.add(WritesIdentity | Writes)
	if !s.within {
		s.add(WritesScopeIdentity)
	}
	s.next()
	last, ok := s.nameEnd()
	if !s.makes(CreatesTable, last, ok) {
		s.add(DDL | Triggers)
	}
}

// nameEnd passes over a name of up to four parts and returns its last one. The last token of the name is the current one
// then.
func (s *scan) nameEnd() (last lexer, ok bool) {
	for {
		switch {
		case s.is('.'):
		case s.isName():
			last, ok = s.lexer, true
		default:
			return last, false
		}
		x := s.peek()
		if s.is('.') && (x.is('.') || x.isName()) || !s.is('.') && x.is('.') {
			s.next()
			continue
		}
		return last, ok && !s.is('.')
	}
}

// makes notes a temporary object by the last part of its name. It reports false if it is not temporary.
func (s *scan) makes(op ObjectOp, last lexer, ok bool) bool {
	if !ok {
		s.a.MoreObjects = true
		s.object(op, "", false)
		return true
	}
	var buf [3 * maxName]byte
	name, ok := appendName(buf[:0], &last)
	if ok && (len(name) == 0 || name[0] != '#') {
		return false
	}
	if op == CreatesTable && s.within && (len(name) < 2 || name[1] != '#') {
		s.made = true
		return true // it ends with the text
	}
	s.object(op, string(name), ok)
	return true
}

// object notes an object.
func (s *scan) object(op ObjectOp, name string, ok bool) {
	switch op {
	case CreatesTable:
		s.add(TempTable)
	case CreatesProcedure:
		s.add(TempProcedure)
	case opensKey, getsAppLock: // marked
	case DeclaresCursor:
		s.add(Cursor)
	default:
		s.add(Ends)
	}
	if !ok || s.a.nObjects == maxObjects {
		s.a.MoreObjects = true
		return
	}
	// What a text within drops may be a table of its own that has the name of the session's.
	cond := !s.certain() || op == DropsTable && s.made
	s.a.objects[s.a.nObjects] = Object{Op: op, Conditional: cond, Name: name, region: s.region, tried: s.tries > 0}
	s.a.nObjects++
}

// declare reads DECLARE of variables or of a cursor.
func (s *scan) declare() {
	s.next()
	if !s.isName() {
		s.body(wDeclare)
		return
	}
	var buf [3 * maxName]byte
	name, ok := appendName(buf[:0], &s.lexer)
	local, found := false, false
	for s.next(); s.kind != kEOF && !s.is(';') && !s.word(wFor); s.next() {
		found = found || s.word(wCursor)
		local = local || s.isWord("local")
		if s.kind == kWord && s.kw.starts {
			break
		}
	}
	if !found {
		s.unclear = true
	}
	if !local {
		s.object(DeclaresCursor, string(name), ok)
	}
	if s.word(wFor) {
		s.next()
		s.body(wCursor)
	}
}

// open reads OPEN of a cursor or a key.
func (s *scan) open() {
	s.next()
	if x := s.peek(); s.isWord("symmetric") || s.isWord("master") && x.isWord("key") {
		s.add(Key)
		s.takes(KeptKey, s.isWord("symmetric")) // CLOSE ALL does not close a master key
		s.key(opensKey)
	} else {
		s.add(UsesCursor)
	}
	s.body(wOpen)
}

// close reads CLOSE of a cursor or of keys.
func (s *scan) close() {
	s.next()
	x := s.peek()
	if s.isWord("symmetric") || s.isWord("master") && x.isWord("key") || s.word(wAll) {
		s.add(Ends)
		s.gives(KeptKey, s.word(wAll))
		s.key(closesKey)
	} else {
		s.add(UsesCursor)
	}
	s.body(wClose)
}

// key notes a key of a module, from SYMMETRIC, MASTER or ALL on. The last token of its name is the current one then.
func (s *scan) key(op ObjectOp) {
	if !s.module {
		return
	}
	name := "master"
	switch {
	case s.word(wAll):
		name = "all"
	case s.isWord("symmetric"):
		s.next()
		s.next()
		var buf [3 * maxName]byte
		name = unnamed
		if b, ok := appendName(append(buf[:0], '#'), &s.lexer); ok && s.isName() {
			name = string(b)
		}
	}
	s.object(op, name, true)
}

// deallocate reads DEALLOCATE.
func (s *scan) deallocate() {
	s.next()
	if x := s.peek(); s.isWord("global") && x.isName() && !x.kw.starts {
		s.next()
	}
	if s.isName() {
		var buf [3 * maxName]byte
		name, ok := appendName(buf[:0], &s.lexer)
		s.object(DeallocatesCursor, string(name), ok)
		s.next()
	}
	s.body(wDeallocate)
}

// create reads CREATE and ALTER.
func (s *scan) create(id kwid) {
	s.add(DDL)
	s.next()
	if s.isWord("or") {
		if s.next(); s.word(wAlter) {
			s.next()
		} else {
			s.unclear = true
		}
	}
	switch {
	case s.word(wTable):
		s.next()
		last, ok := s.nameEnd()
		if id == wCreate && !s.makes(CreatesTable, last, ok) || id == wAlter {
			s.add(Triggers)
		}
		if id == wAlter { // triggers that are enabled, foreign keys
			s.add(Modules)
		}
		s.body(id)
	case s.isWord("procedure"), s.isWord("proc"):
		s.next()
		last, ok := s.nameEnd()
		if id == wAlter || !s.makes(CreatesProcedure, last, ok) {
			s.add(Triggers | Modules)
		}
		s.rest()
	case s.isWord("function"), s.isWord("trigger"), s.isWord("view"), s.isWord("default"), s.isWord("rule"):
		s.add(Triggers | Modules)
		s.rest()
	default:
		s.add(Triggers)
		s.changesModules()
		if id == wAlter && (s.isWord("database") || s.isWord("server")) {
			// ALTER DATABASE x SET, DATABASE SCOPED CONFIGURATION [CLEAR x | FOR SECONDARY] SET, SERVER CONFIGURATION SET
			for i := 0; i < 6 && s.kind != kEOF && !s.is(';'); i++ {
				if s.next(); s.word(wSet) {
					s.next()
					break
				}
				if s.kind == kWord && s.kw.starts || s.kind == kWord && i > 0 && !s.isWord("configuration") &&
					!s.word(wFor) && !s.isWord("secondary") {
					break
				}
			}
		}
		s.body(id)
	}
}

// changesModules marks what CREATE, ALTER or DROP of something else than a table or a procedure does to modules. The token is
// what it is of.
func (s *scan) changesModules() {
	for _, w := range [...]string{"function", "trigger", "view", "synonym", "schema", "user", "assembly"} {
		if s.isWord(w) {
			s.add(Modules)
			return
		}
	}
}

// rest passes over the rest of the text, which is a module's and does not run.
func (s *scan) rest() {
	for s.kind != kEOF {
		s.next()
	}
}

// drop reads DROP.
func (s *scan) drop() {
	s.add(DDL)
	s.next()
	op := DropsTable
	switch {
	case s.word(wTable):
	case s.isWord("procedure"), s.isWord("proc"):
		op = DropsProcedure
	default:
		s.add(Triggers)
		s.changesModules()
		s.body(wDrop)
		return
	}
	s.next()
	if s.word(wIf) {
		if s.next(); s.word(wExists) {
			s.next()
		} else {
			s.unclear = true
		}
	}
	for {
		last, ok := s.nameEnd()
		if !s.makes(op, last, ok) {
			s.add(Triggers)
			if op == DropsProcedure {
				s.add(Modules)
			}
		}
		if !ok {
			break
		}
		if s.next(); !s.is(',') {
			break
		}
		s.next()
	}
	s.body(wDrop)
}

// grant reads GRANT, DENY and REVOKE, which list permissions by the names of statements.
func (s *scan) grant() {
	s.add(DDL | Triggers)
	for s.next(); s.kind != kEOF && !s.is(';') && !s.word(wTo) && !s.word(wFrom); s.next() {
	}
	s.body(wGrant)
}

// dbccHarmless leave nothing in the session.
var dbccHarmless = map[string]bool{
	"checkalloc": true, "checkcatalog": true, "checkconstraints": true, "checkdb": true, "checkfilegroup": true,
	"checkident": true, "checktable": true, "cleantable": true, "dbreindex": true, "dropcleanbuffers": true, "freeproccache": true,
	"freesessioncache": true, "freesystemcache": true, "help": true, "indexdefrag": true, "inputbuffer": true,
	"opentran": true, "outputbuffer": true, "proccache": true, "show_statistics": true, "showcontig": true,
	"shrinkdatabase": true, "shrinkfile": true, "sqlperf": true, "tracestatus": true, "updateusage": true,
	"useroptions": true,
}

// dbcc reads DBCC. ("DBCC")
func (s *scan) dbcc() {
	s.next()
	switch {
	case s.isWord("traceon"):
		s.add(Trace)
	case s.isWord("traceoff"):
		s.add(Ends)
	case s.kind == kWord && dbccHarmless[string(s.folded[:s.nFolded])]:
		s.add(Admin)
	default:
		s.add(Unknown)
	}
	s.next()
	s.body(wDbcc)
}

// use reads USE.
func (s *scan) use() {
	s.next()
	if !s.isName() {
		s.unclear = true
		s.body(wUse)
		return
	}
	s.assign(assignment{kind: setDatabase, a: span{s.start, s.end}})
	s.next()
	s.body(wUse)
}

// assign notes what a setting is set to.
func (s *scan) assign(x assignment) {
	s.a.Uses = s.a.Uses || x.kind == setDatabase
	if s.within && x.kind != setContextInfo && x.kind != setContext {
		return // it ends with the text
	}
	// QUOTED_IDENTIFIER is set when the text is parsed, whether or not the statement runs. ("SET QUOTED_IDENTIFIER")
	parsed := x.kind == setOption && x.option == settings.QuotedIdentifier
	if !s.certain() && !parsed || s.texts > 0 || s.a.nAssignments == maxAssignments {
		s.unknown(x)
		return
	}
	s.a.assignments[s.a.nAssignments] = x
	s.a.nAssignments++
	s.add(Assigns)
}
