package sqltext

// Analyze reads a text and fills a with what it may leave behind. It keeps neither text nor a, and does not allocate
// unless the text holds code in strings (DO, CREATE FUNCTION, query_to_xml).
//
// r describes the routines of the database that the text will run in. nil means that nothing is known, and then nearly
// all statements are Look.
func Analyze(text []byte, mode Mode, r *Routines, a *Analysis) {
	if r == nil {
		r = nothingKnown
	}
	a.reset()
	s := scan{lexer: lexer{text: text, mode: mode}, r: r, a: a}
	for s.next(); s.kind != kEOF; s.next() {
		if !s.is(';') {
			s.statement()
		}
	}
	a.Effects |= s.eff
	if s.broken {
		a.Effects |= Look
	}
	if s.unclear {
		a.Effects |= Anything | Unclear
	}
	if a.Statements != 1 || s.broken || s.unclear {
		a.Set, a.Reset = Set{}, Reset{}
	}
}

// scan is one pass over a text.
type scan struct {
	lexer
	r   *Routines
	a   *Analysis
	eff Effects // of the statements so far

	atomic bool // in BEGIN ATOMIC: semicolons do not end the statement for the server

	// Of the current statement.
	head       kwid
	calls      Effects // of the routines it calls
	create     bool    // starts with CREATE
	ddl        bool    // starts with CREATE or ALTER
	classify   bool    // the word that says what is created, altered or dropped is still to come
	routine    bool    // its strings are code
	createIdx  bool    // CREATE INDEX before its ON
	selectInto bool
	pend       bool // the next name is no routine, whatever follows it
	depth      int
	cte        [16]cteState // for each depth
}

// cteState follows a WITH list at one depth, so that "x (a, b) AS (...)" does not pass for a call.
type cteState uint8

const (
	cteNone cteState = iota
	cteName          // a name must come
	cteCols          // the name was there: columns or AS
	cteAs            // AS was there
	cteDone          // the query was there: a comma, or the main query
)

// is reports whether the token is this byte.
func (s *scan) is(b byte) bool { return s.kind == kPunct && s.b == b }

// word reports whether the token is this keyword.
func (s *scan) word(id kwid) bool { return s.kind == kWord && s.kw.id == id }

// ends reports whether the statement ends here.
func (s *scan) ends() bool { return s.kind == kEOF || s.is(';') }

// skip passes over the rest of the statement.
func (s *scan) skip() {
	for !s.ends() {
		s.next()
	}
}

// statement reads one statement up to its semicolon. The first token was read.
func (s *scan) statement() {
	s.head, s.calls = wNone, 0
	s.create, s.ddl, s.classify, s.routine, s.createIdx, s.selectInto, s.pend = false, false, false, false, false, false, false
	s.cte = [16]cteState{}
	s.depth = 0
	if !s.atomic {
		s.a.Statements++
	}
	s.statementHead()
	if s.ddl && s.routine {
		s.calls &^= Unknown // the new routine itself; RoutineDDL says to read the catalogue
	}
	s.eff |= s.calls
	if s.ddl && s.calls&^(SequenceWrite|UsesPrepared) != 0 {
		// A default, a check or an index that calls such a routine makes other statements reach it.
		s.eff |= RoutineDDL
	}
}

// statementHead acts on the first word and reads the rest accordingly.
func (s *scan) statementHead() {
	for s.is('(') {
		s.depth++
		s.next()
	}
	if s.kind != kWord {
		s.eff |= unknownRoutine
		s.body()
		return
	}
	s.head = s.kw.id
	switch s.head {
	case wSelect, wWith, wValues, wTable, wInsert, wUpdate, wDelete, wMerge:
		s.eff |= s.r.all
		s.body()

	case wBegin, wStart, wCommit, wEnd, wRollback, wAbort, wSavepoint, wRelease:
		if s.atomic && s.head == wEnd {
			s.atomic = false
		} else {
			s.eff |= TxControl
		}
		s.skip()

	case wSet:
		s.set()
	case wReset:
		s.resetSetting()
	case wShow, wNotify, wLock, wCheckpoint, wFetch, wMove:
		s.skip()

	case wExplain:
		s.explain()
	case wPrepare:
		s.prepare()
	case wExecute:
		s.eff |= s.r.all
		s.next()
		s.executed()
		s.body()
	case wDeallocate:
		s.deallocate()
	case wDiscard:
		s.next()
		if s.word(wAll) {
			s.eff |= DropsPrepared
		}
		s.eff |= Look | Ends | SequenceWrite
		s.skip()
	case wListen:
		s.eff |= Look
		s.skip()
	case wUnlisten:
		s.eff |= Look | Ends
		s.skip()
	case wClose:
		s.eff |= Ends
		s.skip()
	case wLoad:
		s.eff |= Load
		s.skip()

	case wDeclare:
		s.eff |= s.r.all
		s.body()
	case wCopy:
		s.eff |= s.r.all
		s.next()
		s.pend = true
		s.body()
	case wCall:
		s.eff |= Look | SequenceWrite | s.r.all | s.r.dml
		s.next()
		s.body()
	case wDo:
		s.eff |= Look | SequenceWrite | s.r.all
		s.routine = true
		s.next()
		s.body()

	case wCreate, wAlter:
		s.eff |= DDL | s.r.all | s.r.ddl
		s.create, s.ddl, s.classify = s.head == wCreate, true, true
		s.next()
		s.body()
	case wDrop:
		s.eff |= DDL | Ends | s.r.all | s.r.ddl
		s.next()
		s.dropped()
		s.skip()
	case wImport, wReassign:
		s.eff |= DDL | s.r.all | s.r.ddl
		s.skip()
	case wGrant, wRevoke, wComment, wSecurity, wVacuum, wAnalyze, wCluster, wReindex, wRefresh:
		s.eff |= s.r.all | s.r.ddl
		s.skip()
	case wTruncate:
		s.eff |= s.r.all | s.r.dml
		s.skip()

	default:
		s.eff |= unknownRoutine
		s.body()
	}
}

// explain reads EXPLAIN's options and goes on with the statement that it explains. Whether that will run (ANALYZE) does
// not matter: planning can run routines too.
func (s *scan) explain() {
	s.next()
	if s.is('(') {
		s.next()
		switch {
		case s.is('('), s.word(wSelect), s.word(wWith), s.word(wValues), s.word(wTable):
			s.depth++ // a query in parentheses, not options
		default:
			for depth := 1; !s.ends(); s.next() {
				if s.is('(') {
					depth++
				} else if s.is(')') {
					if depth--; depth == 0 {
						s.next()
						break
					}
				}
			}
		}
	}
	for s.word(wAnalyze) || s.word(wVerbose) {
		s.next()
	}
	if !s.ends() && !s.word(wExplain) {
		s.statementHead()
	}
}

// prepare reads PREPARE name (types) AS and goes on with the statement that is prepared; or PREPARE TRANSACTION.
func (s *scan) prepare() {
	s.next()
	if s.word(wTransaction) {
		peek := s.lexer
		if peek.next(); peek.kind != kWord && peek.kind != kPunct {
			s.eff |= TxControl
			s.skip()
			return
		}
	}
	s.eff |= Look
	s.prepared(OpPrepare)
	for !s.ends() && !s.word(wAs) {
		s.next()
	}
	if s.word(wAs) {
		s.next()
		s.statementHead()
	}
}

// executed notes the prepared statement that is executed. The token is its name.
func (s *scan) executed() {
	s.eff |= UsesPrepared
	s.prepared(OpExecute)
	s.pend = true
}

// deallocate reads DEALLOCATE [PREPARE] name | ALL.
func (s *scan) deallocate() {
	s.eff |= Look | Ends
	s.next()
	if s.word(wPrepare) {
		peek := s.lexer
		if peek.next(); peek.kind != kEOF && !(peek.kind == kPunct && peek.b == ';') {
			s.next()
		}
	}
	if s.word(wAll) {
		s.eff |= DropsPrepared
	} else {
		s.eff |= UsesPrepared
		s.prepared(OpDeallocate)
	}
	s.skip()
}

// prepared notes a prepared statement by its name, the token.
func (s *scan) prepared(op PreparedOp) {
	var buf [nameLen]byte
	n, ok := s.name(&buf)
	if !ok {
		s.a.MorePrepared = true
		return
	}
	s.a.addPrepared(op, buf[:n])
}

// name copies the identifier at the token into buf as the server would have it. It reports false if the token is none,
// or one that this package does not claim to know.
func (s *scan) name(buf *[nameLen]byte) (int, bool) {
	switch s.kind {
	case kWord:
		return foldInto(buf, s.text[s.from:s.to], true)
	case kQuoted:
		return unquoteInto(buf, s.text[s.from:s.to])
	}
	return 0, false
}

// dropped reads what DROP drops.
func (s *scan) dropped() {
	if s.kind != kWord {
		return
	}
	switch s.kw.id {
	case wTable, wIndex, wSequence, wSchema, wDatabase, wRole, wUser, wGroup, wTablespace, wPublication,
		wSubscription, wStatistics, wServer, wOwned, wType:
	default:
		s.eff |= RoutineDDL
	}
}
