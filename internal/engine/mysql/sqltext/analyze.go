package sqltext

// maxReadings bounds in how many ways a text is read. A text that has more is Unclear.
const maxReadings = 16

// Analyze reads a text and fills a with what running it may leave behind. It keeps neither text nor a, and does not
// allocate. text is that of COM_QUERY or COM_STMT_PREPARE; all its statements count, whether or not the server will
// accept more than one.
func Analyze(text []byte, mode Mode, a *Analysis) {
	a.reset()
	var s scan
	s.init(text, mode)
	s.a = a
	s.read()
	if s.higher != 0 && mode.Version == 0 || !mode.SQLModeKnown && (s.quotes || s.escapes) {
		readAll(text, mode, a)
	}
}

// read reads the text in one way.
func (s *scan) read() {
	a := s.a
	a.noEscape = s.noEscape
	for s.lexer.next(); s.kind != kEOF; s.lexer.next() {
		if s.is(';') {
			continue
		}
		if s.modeChanged && !s.modeChecked {
			s.readUnder()
		}
		a.Statements++
		s.statement()
	}
	a.Effects |= s.eff
	if s.unclear {
		a.Effects |= Unknown | Unclear
	}
	a.Tableless = s.tableless && a.Statements == 1 && !s.unclear
}

// readAll reads the text in every way that the mode leaves open and unites the answers.
func readAll(text []byte, mode Mode, a *Analysis) {
	a.reset()
	first, readings, modal := true, 0, false
	modes := [4][2]bool{{false, false}, {true, false}, {false, true}, {true, true}}
	ways := modes[:]
	if mode.SQLModeKnown {
		ways = ways[:1]
	}
	for _, w := range ways {
		start := newLexer(text, mode)
		if !mode.SQLModeKnown {
			start.ansi, start.noEscape = w[0], w[1]
		}
		for {
			if readings++; readings > maxReadings {
				a.Effects |= Unknown | Unclear
				return
			}
			s := scan{lexer: start, a: a}
			if first {
				s.read()
				first = false
			} else {
				var b Analysis
				s.a = &b
				s.read()
				a.unite(&b, text)
			}
			modal = modal || s.quotes || s.escapes
			if s.higher == 0 || mode.Version != 0 {
				break
			}
			start.version = s.higher
		}
		if !modal {
			return
		}
	}
}

// scan is one pass over a text.
type scan struct {
	lexer
	a   *Analysis
	eff Effects // of the statements so far

	modeChanged bool // a statement was there that may have changed how the next ones are read
	modeChecked bool // that does not matter for the rest of the text
	tableless   bool // the last statement was a SELECT without FROM

	// Of the current SET: the client's character set that it names, if it does, and whether it may change more of how the
	// next statements are read.
	charset     Charset
	named, more bool

	// Of the current statement.
	head    kwid
	hasFrom bool // it has FROM
	inner   bool // it is the inner one of SET STATEMENT
	depth   int  // of parentheses
	// The two tokens before the current one.
	prev, prev2     kind
	prevKw, prevKw2 *keyword
	// Where the lexer stood after the last punctuation other than a dot, or at the statement's beginning: see callee.
	mark     int
	markCode bool

	program *program // that the text is; nil outside of routines
}

// next goes on to the next token, but never out of the statement.
func (s *scan) next() {
	if s.kind != kPunct || s.b != ';' {
		s.lexer.next()
	}
}

// is reports whether the token is this byte.
func (s *scan) is(b byte) bool { return s.kind == kPunct && s.b == b }

// word reports whether the token is this keyword.
func (s *scan) word(id kwid) bool { return s.kind == kWord && s.kw.id == id && !s.qualified }

// wordIs reports whether the token is this word in lower case.
func (s *scan) wordIs(w string) bool { return s.isWord(w) }

// ends reports whether the statement ends here.
func (s *scan) ends() bool { return s.kind == kEOF || s.kind == kPunct && s.b == ';' }

// skip passes over the rest of the statement.
func (s *scan) skip() {
	for !s.ends() {
		s.next()
	}
}

// peek returns the lexer at the next token.
func (s *scan) peek() lexer {
	x := s.lexer
	x.next()
	return x
}

// readUnder decides whether a statement before this token may have changed how the rest is read, and flags the rest if
// it matters. The servers read each statement under the sql_mode and the character set of its time.
func (s *scan) readUnder() {
	for _, c := range s.text[s.start:] {
		if c == '"' || c == '\\' || c >= 0x80 {
			s.unclear = true
		}
	}
	s.modeChecked = true
}

// statement reads one statement up to its semicolon. The first token was read.
func (s *scan) statement() {
	before := s.eff
	s.eff = 0
	s.head, s.hasFrom, s.inner, s.depth = wNone, false, false, 0
	s.prev, s.prev2, s.prevKw, s.prevKw2 = kEOF, kEOF, &notKeyword, &notKeyword
	s.mark, s.markCode = s.start, s.inCode
	s.named, s.more = false, false
	isSelect := s.word(wSelect)
	s.statementHead()
	if !s.ends() {
		s.skip()
	}
	s.tableless = isSelect && !s.hasFrom
	switch {
	case s.named && !s.more && !s.inner && s.eff&(Call|Unknown|UsesPrepared|Look|Role) == 0:
		s.mode.Charset = s.charset // of the next statements; should it fail, they do not run
	case s.eff&(SetsMode|Call|Unknown|UsesPrepared) != 0:
		s.modeChanged = true
	}
	s.eff |= before
}

// ddl is what a statement does that changes metadata.
const ddl = DDL | ImplicitCommit

// statementHead acts on the first word and reads the rest accordingly.
func (s *scan) statementHead() {
	for s.is('(') {
		s.depth++
		s.next()
	}
	if s.kind != kWord {
		s.eff |= Unknown
		s.body()
		return
	}
	s.head = s.kw.id
	switch s.head {
	case wSelect, wWith, wValues, wTable, wDo, wSignal:
		s.body()
	case wUpdate, wDelete:
		s.eff |= s.writes()
		s.body()
	case wInsert, wReplace:
		s.eff |= LastInsertIDWrite | s.writes()
		s.insert()
	case wCall:
		s.eff |= Call | s.writes()
		s.call1()
	case wLoad:
		s.load()
	case wHandler:
		s.handler()

	case wBegin:
		if s.next(); s.word(wWork) {
			s.next()
		}
		s.eff |= TxControl
		if !s.ends() {
			s.eff |= Unknown // BEGIN NOT ATOMIC, or a block of sql_mode ORACLE
		}
	case wCommit, wRollback:
		s.eff |= TxControl
		s.release()
	case wSavepoint:
		s.eff |= TxControl
		s.skip()
	case wRelease:
		s.eff |= TxControl
		s.skip()
	case wStart:
		if s.next(); s.word(wTransaction) {
			s.eff |= TxControl
		} else {
			s.eff |= Admin | ImplicitCommit
		}
		s.skip()
	case wXA:
		s.xa()

	case wSet:
		s.set()
	case wUse:
		s.use()
	case wShow:
		s.show()
	case wExplain, wDesc, wAnalyze:
		s.explain()
	case wGet:
		s.eff |= DiagnosticsRead
		for s.next(); !s.ends(); s.next() {
			if s.kind == kUserVar {
				s.eff |= UserVariable
			}
		}
	case wKill:
		s.kill()
	case wHelp:
		s.skip()

	case wPrepare, wExecute, wDeallocate:
		s.prepared()

	case wLock, wUnlock, wBackup:
		s.lock()
	case wFlush:
		s.flush()

	case wCreate:
		s.create()
	case wAlter:
		s.alter()
	case wDrop:
		s.drop()
	case wRename:
		s.eff |= ddl | RenamesTable
		s.skip()
	case wTruncate, wOptimize, wRepair, wCheck, wChecksum:
		s.eff |= ddl
		s.skip()
	case wGrant, wRevoke, wInstall, wUninstall, wReset, wPurge, wChange, wStop, wClone, wCache, wImport:
		// "Statements That Cause an Implicit Commit" has most of these; saying so of the others does no harm.
		s.eff |= Admin | ImplicitCommit
		s.skip()
	case wShutdown, wRestart:
		s.eff |= Admin | Disconnects
		s.skip()

	default: // BINLOG among them, which executes events
		s.eff |= Unknown
		s.body()
	}
}

// writes is what a statement may do that writes rows: a default may draw from a sequence.
func (s *scan) writes() Effects {
	if s.mode.MariaDB {
		return SequenceWrite
	}
	return 0
}

// release reads the end of COMMIT and ROLLBACK: [NO] RELEASE disconnects, or not. ("START TRANSACTION, COMMIT, and
// ROLLBACK Statements")
func (s *scan) release() {
	no := false
	for s.next(); !s.ends(); s.next() {
		if s.word(wRelease) && !no {
			s.eff |= Disconnects
		}
		if s.word(wTo) { // a savepoint
			s.skip()
			return
		}
		no = s.word(wNo)
	}
}

// xa reads XA. ("XA Transaction SQL Statements")
func (s *scan) xa() {
	s.next()
	switch {
	case s.wordIs("recover"):
	case s.word(wPrepare), s.word(wCommit), s.word(wRollback):
		s.eff |= XA | Ends
	default:
		s.eff |= XA
	}
	s.skip()
}

// use reads USE name.
func (s *scan) use() {
	s.eff |= Schema
	s.next()
	var buf [nameLen]byte
	n, ok := s.name(&buf)
	if ok {
		s.next()
		ok = s.ends() && s.a.addAssignment(Assignment{Kind: AssignSchema}, buf[:n])
	}
	if !ok {
		s.eff |= Look
		s.skip()
	}
}

// show reads SHOW; its WHERE may hold any expression.
func (s *scan) show() {
	s.next()
	if s.word(wFull) {
		s.next()
	}
	switch {
	case s.word(wWarnings), s.word(wErrors), s.word(wCount):
		s.eff |= DiagnosticsRead
	case s.wordIs("explain"), s.word(wAnalyze): // FOR id, MariaDB
		s.eff |= ThreadID
	}
	s.body()
}

// explain reads EXPLAIN's options and goes on with the statement that it explains. Whether that will run (ANALYZE) does
// not matter: planning can run functions too. DESCRIBE of a table, and ANALYZE TABLE, have no statement.
func (s *scan) explain() {
	analyze := s.head == wAnalyze
	for s.next(); !s.ends(); s.next() {
		switch {
		case s.is('('), s.word(wSelect), s.word(wInsert), s.word(wReplace), s.word(wUpdate), s.word(wDelete),
			s.word(wWith), s.word(wValues):
			s.statementHead()
			return
		case s.word(wTable):
			if analyze {
				s.eff |= ddl
				s.skip()
				return
			}
		case s.kind == kUserVar: // EXPLAIN FORMAT=JSON INTO @a
			s.eff |= UserVariable
		case s.word(wConnection), s.word(wFor):
			s.eff |= ThreadID
		}
	}
}

// kill reads KILL. ("KILL Statement"; "KILL", MariaDB)
func (s *scan) kill() {
	s.eff |= Kill
	k := KillTarget{Kind: KillConnection}
	for s.next(); s.kind == kWord; s.next() {
		switch {
		case s.word(wConnection), s.wordIs("hard"):
		case s.wordIs("soft"):
			k.Soft = true
		case s.word(wQuery) && k.Kind == KillConnection:
			k.Kind = KillQuery
		case s.wordIs("id"), s.word(wUser):
			k.Kind = KillOther
		default:
			s.a.Kill = k
			s.body() // an expression, such as CONNECTION_ID()
			return
		}
	}
	if s.kind == kNumber {
		if x := s.peek(); x.kind == kEOF || x.kind == kPunct && x.b == ';' {
			k.From, k.To = s.start, s.end
		}
	}
	s.a.Kill = k
	s.body()
}

// lock reads LOCK, UNLOCK and BACKUP.
func (s *scan) lock() {
	head := s.head
	s.next()
	switch {
	case head == wLock && (s.word(wTables) || s.word(wTable)):
		s.eff |= LockTables | ImplicitCommit
	case head == wUnlock && (s.word(wTables) || s.word(wTable)):
		s.eff |= Ends | ImplicitCommit
	case head == wBackup && s.word(wStage):
		s.eff |= GlobalLock | Ends
	case head == wBackup && s.word(wUnlock):
		s.eff |= Ends
	case head == wBackup && s.word(wLock):
		s.eff |= GlobalLock
	case head == wLock && s.word(wInstance):
		s.eff |= GlobalLock
	case head == wUnlock && s.word(wInstance):
		s.eff |= Ends
	default:
		s.eff |= Unknown
	}
	s.skip()
}

// flush reads FLUSH. FLUSH TABLES ... WITH READ LOCK and FOR EXPORT keep locks until UNLOCK TABLES.
func (s *scan) flush() {
	s.eff |= Admin | ImplicitCommit
	for s.next(); !s.ends(); s.next() {
		if s.word(wLock) || s.word(wExport) {
			s.eff |= GlobalLock
		}
	}
}

// handler reads HANDLER. ("HANDLER Statement")
func (s *scan) handler() {
	s.next()
	var schema, name [nameLen]byte
	ns, n, ok := s.tableName(&schema, &name)
	op := OpensHandler
	switch {
	case s.word(wOpen):
		s.eff |= Handler
		if s.next(); !s.ends() { // [AS] alias, by which it is closed
			if s.word(wAs) {
				s.next()
			}
			ns = 0
			n, ok = s.name(&name)
		}
	case s.word(wClose):
		s.eff |= Ends
		op = ClosesHandler
	default:
		s.body()
		return
	}
	s.object(op, schema[:ns], name[:n], ok)
	s.skip()
}

// prepared reads PREPARE, EXECUTE and DEALLOCATE PREPARE. ("Prepared Statements")
func (s *scan) prepared() {
	head := s.head
	s.next()
	var buf [nameLen]byte
	switch head {
	case wDeallocate:
		s.eff |= Ends
		s.next()
		n, ok := s.name(&buf)
		s.object(Deallocates, nil, buf[:n], ok)
		s.skip()
	case wExecute:
		n, ok := s.name(&buf)
		if s.wordIs("immediate") {
			if x := s.peek(); x.kind != kEOF && !(x.kind == kPunct && x.b == ';') &&
				!(x.kind == kWord && equalFold(x.text[x.from:x.to], "using")) {
				s.eff |= Unknown // the text may be any
				s.body()
				return
			}
		}
		s.eff |= UsesPrepared
		s.object(Executes, nil, buf[:n], ok)
		s.next()
		s.body()
	case wPrepare:
		s.eff |= Prepared
		n, ok := s.name(&buf)
		s.next()
		s.next() // FROM
		o := Object{Op: Prepares}
		if s.kind == kString {
			if x := s.peek(); x.kind == kEOF || x.kind == kPunct && x.b == ';' {
				o.From, o.To = s.start, s.end
			}
		}
		s.objectOf(o, nil, buf[:n], ok)
		s.body()
	}
}

// object notes an object by its name, if that was understood.
func (s *scan) object(op ObjectOp, schema, name []byte, ok bool) {
	s.objectOf(Object{Op: op}, schema, name, ok)
}

func (s *scan) objectOf(o Object, schema, name []byte, ok bool) {
	if !ok {
		s.a.MoreObjects = true
		return
	}
	s.a.addObject(o, schema, name)
}

// name copies the identifier at the token into buf, without its quotes. It reports false if the token is none, or too
// long.
func (s *scan) name(buf *[nameLen]byte) (int, bool) {
	if s.kind != kWord && s.kind != kQuoted {
		return 0, false
	}
	return unquote(s.text[s.from:s.to], s.kind, s.b, buf)
}

// tableName reads [schema.]name; the token after it is the current one then.
func (s *scan) tableName(schema, name *[nameLen]byte) (ns, n int, ok bool) {
	n, ok = s.name(name)
	if !ok {
		return 0, 0, false
	}
	if s.next(); !s.is('.') {
		return 0, n, true
	}
	*schema, ns = *name, n
	s.next()
	n, ok = s.name(name)
	s.next()
	return ns, n, ok
}
