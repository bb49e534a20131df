package mysql

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/sqltext"
	"forebay/internal/wire/mysqlwire"
)

// reads are the effects of texts that look at what another session's statement may have left on the server connection.
const reads = sqltext.LastInsertIDRead | sqltext.RowCountRead | sqltext.FoundRowsRead | sqltext.DiagnosticsRead

// settles makes the server connection ready for a command that reads what earlier ones have left. It reports false when
// that takes steps: the command is looked at again after them.
func (s *session) settles(eff sqltext.Effects, o *engine.Output) bool {
	v := s.srv
	if eff&sqltext.FoundRowsRead != 0 {
		s.readsRows = true
	}
	if eff&sqltext.UsesPrepared != 0 {
		eff |= reads
	}
	const both = sqltext.LastInsertIDRead | sqltext.RowCountRead
	s.readsBoth = s.readsBoth || eff&both == both
	// To make LAST_INSERT_ID() the session's behind an INSERT would cost its ROW_COUNT().
	ahead := s.readsBoth && eff&sqltext.LastInsertIDWrite != 0
	if eff&(reads|sqltext.Call) == 0 && !ahead { // Call: of a routine that may read anything
		return true
	}
	if (eff&(sqltext.LastInsertIDRead|sqltext.Call) != 0 || ahead) && !s.hasID() {
		s.steps = append(s.steps, step{kind: stepInsertID, text: "SET last_insert_id = " + strconv.FormatUint(s.insertID, 10)})
	}
	rows := eff&(sqltext.FoundRowsRead|sqltext.Call) != 0 && !s.hasRows()
	diagnostics := eff&(sqltext.RowCountRead|sqltext.DiagnosticsRead|sqltext.Call) != 0 && !s.hasDiagnostics()
	switch {
	case diagnostics && v.mariaDB:
		s.steps = append(s.steps, step{kind: stepNeutral, text: clearsWarnings})
	case rows:
		s.steps = append(s.steps, step{kind: stepRows, text: "SELECT 0 FROM DUAL WHERE 0"})
	}
	if diagnostics {
		s.steps = append(s.steps, step{kind: stepNeutral, text: "DO 0"})
	}
	if eff&sqltext.SequenceRead != 0 && v.sequenceOwner != s && v.sequenceOwner != nil {
		s.startAgain() // LASTVAL() is another's, and nothing but a reset takes it away
	}
	if len(s.steps) == 0 {
		return true
	}
	s.next(o)
	return false
}

// clearsWarnings leaves no warnings on MariaDB, where only a statement does that names a table.
const clearsWarnings = "SELECT 0 FROM information_schema.ENGINES WHERE 0"

// whole returns the effects of a text, a, with those of the routines, triggers and views that it reaches in place of the mark
// Call: that stays where nothing is known of a routine. runs reports whether it reaches any.
func (s *session) whole(a *sqltext.Analysis, text []byte) (eff sqltext.Effects, runs bool) {
	c := s.knownRoutines()
	eff = a.Effects
	schema := []byte(s.cmd.schema)
	if eff&sqltext.Call != 0 {
		eff = eff&^sqltext.Call | s.called(c, a, text, schema)
		runs = true
	}
	if s.l.reading.autoIsNull {
		eff |= sqltext.LastInsertIDRead // of a WHERE id IS NULL (sql_auto_is_null)
	}
	if c.Hidden() != 0 && eff&sqltext.Admin == 0 {
		if reached := c.Reached(text, s.cmd.mode, schema); reached != 0 {
			eff |= reached
			runs = runs || reached&^sqltext.Unseen != 0
		}
	}
	if eff&sqltext.UsesPrepared != 0 {
		eff |= c.Hidden() & sqltext.Unseen // that may be what it executes
	}
	return eff, runs
}

// before accounts for what a text may leave behind, as it is about to run: what keeps the server connection does so from
// now on, and is taken back if the command fails.
//
// eff are all of its effects, and runs says whether routines are among what it does.
func (s *session) before(a *sqltext.Analysis, eff sqltext.Effects, runs bool, text []byte) {
	c := s.cmd
	c.eff, c.statements, c.runs = eff, a.Statements, runs
	if eff&^quiet == 0 && len(s.pins) == 0 && !(eff&sqltext.Look != 0 && s.excludesSets()) {
		return
	}
	c.digest = string(sqltext.AppendDigest(nil, text, c.mode, maxDigest))
	for _, p := range pinning {
		if eff&p.eff != 0 {
			s.pinNow(p.reason)
		}
	}
	if eff&sqltext.GlobalLock != 0 && (runs || a.Statements > 1 || !strings.HasPrefix(c.digest, "flush")) {
		s.pinNow(pinBackupLock) // UNLOCK TABLES does not end it
	}
	c.dynamic = (runs || eff&sqltext.Unknown != 0) && containsAny(text, "execute", "prepare", "call")
	c.program = programs(eff, text) || eff&sqltext.RenamesTable != 0 // a trigger goes with its table
	if eff&(sqltext.Unknown|sqltext.Call) == sqltext.Unknown || a.Effects&sqltext.Unknown != 0 {
		s.pinNow(pinUnknown)
	}
	if runs && eff&^a.Effects&sqltext.TempTable != 0 {
		c.created = append(c.created, unnamed) // by a routine
	}
	if runs && eff&^a.Effects&sqltext.Prepared != 0 {
		c.statementsNamed(unnamed, true)
	}
	if runs && eff&^a.Effects&sqltext.Handler != 0 {
		c.named(markHandler+unnamed, true)
	}
	if eff&sqltext.Unclear != 0 {
		s.srv.retire = true
	}
	if eff&sqltext.UsesPrepared != 0 && eff&sqltext.Unknown == 0 && !s.preparedKnown(a) {
		s.pinNow(pinUnknown)
	}
	s.assignments(a, text)
	s.objects(a, text)
	if eff&(sqltext.NamedLock|sqltext.Ends) != 0 {
		c.lock = lockCallOf(a, c.digest)
	}
	if eff&sqltext.Role != 0 {
		c.role = true
	}
	if c.excluded = a.Statements == 1 && strings.HasPrefix(c.digest, "set ") && s.excludesSets(); c.excluded {
		for _, r := range []pinReason{pinUserVariable, pinNext, pinOpaque} {
			s.takeBack(r)
		}
	}
}

// programs reports whether a text makes or drops routines, triggers or views.
func programs(eff sqltext.Effects, text []byte) bool {
	return eff&sqltext.DDL != 0 && containsAny(text, "procedure", "function", "trigger", "view", "package")
}

// excludesSets reports whether the proxy is told that no SET needs a pin (EXCLUDE_VARIABLE_SETS, contract section 5.4).
func (s *session) excludesSets() bool { return s.l.db.proxy.Load().Pool.ExcludeVariableSets }

// maxDigest is how long the digest of a statement is in the log, in bytes.
const maxDigest = 512

// quiet are effects that need nothing done before the command.
const quiet = sqltext.TxControl | sqltext.ImplicitCommit | sqltext.LastInsertIDWrite | sqltext.ReadsUserVariable |
	sqltext.LocalInfile | sqltext.Admin | sqltext.SequenceWrite | sqltext.FoundRowsWrite | reads |
	sqltext.ThreadID | sqltext.Processlist | sqltext.Kill | sqltext.Schema | sqltext.Look | sqltext.Unseen

// pinning says which effects keep the server connection.
var pinning = []struct {
	eff    sqltext.Effects
	reason pinReason
}{
	{sqltext.LockTables, pinLockTables},
	{sqltext.GlobalLock, pinGlobalLock},
	{sqltext.NamedLock, pinNamedLock},
	{sqltext.TempTable, pinTemporary},
	{sqltext.Handler, pinHandler},
	{sqltext.XA, pinXA},
	{sqltext.NextTransaction, pinNext},
	{sqltext.Prepared, pinSQLStatement},
	{sqltext.UserVariable, pinUserVariable},
	{sqltext.Opaque, pinOpaque},
	{sqltext.Call, pinRoutine},
	{sqltext.SequenceRead, pinSequence},
}

// pinNow pins for the command that is about to run.
func (s *session) pinNow(r pinReason) {
	if s.pinnedFor(r) {
		return
	}
	s.pin(r, s.cmd.digest)
	s.cmd.pinned = append(s.cmd.pinned, r)
}

// takeBack unpins what this command has pinned.
func (s *session) takeBack(r pinReason) {
	if i := slices.Index(s.cmd.pinned, r); i >= 0 {
		s.cmd.pinned = slices.Delete(s.cmd.pinned, i, i+1)
		s.unpin(r)
	}
}

// preparedKnown reports whether what an EXECUTE runs was prepared as far as this session knows, so that the pin of that
// covers it.
func (s *session) preparedKnown(*sqltext.Analysis) bool { return s.pinnedFor(pinSQLStatement) }

// assignments notes what a text sets, as far as the server does not tell.
func (s *session) assignments(a *sqltext.Analysis, text []byte) {
	c, v := s.cmd, s.srv
	// What has been set before, in the same text, may be what a string is read under; so is what was set when it was prepared.
	moved := a.Statements > 1 && a.Effects&(sqltext.Look|sqltext.Call|sqltext.Unknown|sqltext.UsesPrepared|sqltext.Schema) != 0 ||
		c.stmt != nil && c.stmt.stmt.context != s.stmtContext()
	for i := range a.AssignmentLen() {
		x, name := a.Assignment(i), string(a.AssignmentName(i))
		value := text[x.From:x.To]
		switch x.Kind {
		case sqltext.AssignNames, sqltext.AssignCharacterSet:
			switch {
			case c.setsNames || x.Kind == sqltext.AssignCharacterSet || x.Value == sqltext.ValueDefault:
				c.collation = askCollation
			case x.CollationTo > 0:
				c.collation = literal(strings.ToLower(strings.Trim(string(text[x.CollationFrom:x.CollationTo]), "'\"`")))
			default:
				c.collation = ""
			}
			c.setsNames, moved = true, true
		case sqltext.AssignUser:
			lit, ok := s.userLiteral(x, value)
			if !ok || moved && strings.Contains(lit, " COLLATE ") {
				s.pinNow(pinUserVariable)
				continue
			}
			c.assigned = append(c.assigned, setting{"@" + name, lit})
		case sqltext.AssignSystem:
			moved = moved || strings.HasPrefix(name, "character_set_") || strings.HasPrefix(name, "collation_") ||
				strings.HasPrefix(name, "default_collation_") || name == "sql_mode"
			switch name {
			case "timestamp":
				lit := string(value)
				if x.Value == sqltext.ValueDefault || lit == "0" {
					lit = ""
				} else if x.Value != sqltext.ValueNumber {
					s.pinNow(pinOpaque)
					continue
				}
				c.assigned = append(c.assigned, setting{name, lit})
			case "character_set_database", "collation_database":
				s.pinNow(pinOpaque) // the server changes them with the database
			case trackVariables, trackSchema, trackState:
				s.trackingSet(name, x, value)
			default:
				if carriedVariable(name) {
					c.set = append(c.set, s.facts.settingName(name))
				}
			}
		}
	}
	if c.eff&sqltext.Look != 0 && containsFold(text, "session_track_") && c.wish == nil {
		s.pinNow(pinOpaque) // in a way that was not understood
		v.retire = true
	}
}

// trackingSet notes that the client says what it wants to hear of its session's changes.
func (s *session) trackingSet(name string, x sqltext.Assignment, value []byte) {
	w := *s.wish
	if s.cmd.wish != nil {
		w = *s.cmd.wish
	}
	ok := true
	switch x.Value {
	case sqltext.ValueDefault:
		switch name {
		case trackVariables:
			w.all, w.variables = false, defaultTracking.variables
		case trackSchema:
			w.schema = defaultTracking.schema
		case trackState:
			w.state = defaultTracking.state
		}
	case sqltext.ValueString:
		var lit []byte
		if lit, ok = sqltext.AppendLiteral(nil, value, s.cmd.mode); ok {
			w, ok = w.with(name, string(lit))
		}
	default:
		w, ok = w.with(name, string(value))
	}
	if !ok {
		s.pinNow(pinOpaque)
	}
	s.cmd.wish = &w
}

// userLiteral writes the value of a user variable so that it is the same whatever the session's settings are.
func (s *session) userLiteral(x sqltext.Assignment, value []byte) (string, bool) {
	switch {
	case len(value) > maxCarried:
		return "", false
	case x.Value == sqltext.ValueParam:
		c := s.cmd
		if c.kind != mysqlwire.ComStmtExecute || c.stmt == nil || s.l.execute == nil {
			return "", false
		}
		p, ok := param(c.stmt, s.l.execute, s.caps, x.Param)
		if !ok {
			return "", false
		}
		return s.paramLiteral(p)
	case x.Value != sqltext.ValueString:
		return string(value), true
	}
	text, ok := sqltext.AppendLiteral(nil, value, s.cmd.mode)
	if !ok {
		return "", false
	}
	return s.stringLiteral(text)
}

// stringLiteral writes a string with the character set and the collation that the session gives it now.
func (s *session) stringLiteral(text []byte) (string, bool) {
	charset, ok1 := settingIn(s.want, varConnection)
	client, ok2 := settingIn(s.want, varClient)
	coll, ok3 := settingIn(s.want, varCollation)
	if !ok1 || !ok2 || !ok3 || charset != client && !ascii(text) {
		return "", false // the server has converted it
	}
	if name := strings.Trim(charset, "'"); !ascii(text) && !(strings.HasPrefix(name, "utf8") && utf8.Valid(text)) {
		return "", false // it may be none of this character set, which only _binary takes
	}
	digits := " 0x" + hexOf(text)
	if len(text) == 0 {
		digits = " ''"
	}
	return "_" + strings.Trim(charset, "'") + digits + " COLLATE " + strings.Trim(coll, "'"), true
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

// objects notes what a text does with named objects of the session.
func (s *session) objects(a *sqltext.Analysis, text []byte) {
	c := s.cmd
	moves := a.Statements > 1 && a.Effects&sqltext.Schema != 0
	for i := range a.ObjectLen() {
		schema, name := a.ObjectName(i)
		if op := a.Object(i).Op; len(schema) == 0 && moves && (op == sqltext.CreatesTemp || op == sqltext.DropsObject) {
			if op == sqltext.CreatesTemp {
				c.created = append(c.created, unnamed)
			}
			continue
		}
		if len(schema) == 0 {
			schema = []byte(c.schema)
		}
		full := string(schema) + "." + string(name) // where case does not matter, one of another case ends no pin
		switch a.Object(i).Op {
		case sqltext.CreatesTemp:
			c.created = append(c.created, full)
		case sqltext.DropsObject:
			c.dropped = append(c.dropped, full)
		case sqltext.OpensHandler:
			c.handlers(full, true)
		case sqltext.ClosesHandler:
			c.handlers(full, false)
		case sqltext.Prepares:
			c.statementsNamed(string(bytes.ToLower(name)), true)
			if !s.plainPrepared(a.Object(i), text) {
				c.statementsNamed(unnamed, true) // which no DEALLOCATE ends
			}
		case sqltext.Deallocates:
			c.statementsNamed(string(bytes.ToLower(name)), false)
		}
	}
	if a.MoreObjects || c.eff&sqltext.RenamesTable != 0 && len(s.temporary) > 0 {
		c.created = append(c.created, unnamed)
	}
}

// unnamed stands for an object whose name is not known, so that none but the end of the session ends it.
const unnamed = "\x00"

// The names of handlers and SQL-level prepared statements are kept with those of temporary tables, each under its mark.
const (
	markHandler   = "\x01"
	markStatement = "\x02"
)

func (c *command) handlers(name string, open bool) {
	// A handler is closed by its alias alone.
	_, alias, _ := strings.Cut(name, ".")
	c.named(markHandler+alias, open)
}

func (c *command) statementsNamed(name string, prepared bool) { c.named(markStatement+name, prepared) }

func (c *command) named(name string, made bool) {
	if made {
		c.created = append(c.created, name)
	} else {
		c.dropped = append(c.dropped, name)
	}
}

// objectsChanged takes over what a command has made and dropped.
func (s *session) objectsChanged() {
	c := s.cmd
	if len(c.created) == 0 && len(c.dropped) == 0 {
		return
	}
	if !c.failed {
		s.temporary = slices.DeleteFunc(s.temporary, func(n string) bool { return slices.Contains(c.dropped, n) })
	}
	for _, n := range c.created {
		if len(s.temporary) >= maxObjects {
			n = kindOf(n) + unnamed
		}
		if !slices.Contains(s.temporary, n) {
			s.temporary = append(s.temporary, n)
		}
	}
	tables, handlers, statements := false, false, false
	for _, n := range s.temporary {
		switch {
		case n == unnamed:
			tables, handlers, statements = true, true, true
		case strings.HasPrefix(n, markHandler):
			handlers = true
		case strings.HasPrefix(n, markStatement):
			statements = true
		default:
			tables = true
		}
	}
	if !tables {
		s.unpin(pinTemporary)
	}
	if !handlers {
		s.unpin(pinHandler)
	}
	if !statements {
		s.unpin(pinSQLStatement)
	}
}

// kindOf is the mark of a name.
func kindOf(name string) string {
	if strings.HasPrefix(name, markHandler) || strings.HasPrefix(name, markStatement) {
		return name[:1]
	}
	return ""
}

// maxObjects is how many named objects of a session are known; with more the session stays pinned.
const maxObjects = 256

// ended takes over what the command has left behind, when the server has answered.
func (s *session) ended(o *engine.Output) {
	c, v := s.cmd, s.srv
	eff := c.eff
	if c.unparsed() {
		for _, r := range slices.Clone(c.pinned) {
			s.takeBack(r)
		}
		c.assigned, c.created, c.wish, c.setsNames, c.set = nil, nil, nil, false, nil
		c.eff, c.runs, c.role, eff = 0, false, false, 0
	} else if c.failed && c.statements <= 1 && !c.runs && eff&sqltext.Unknown == 0 {
		for _, r := range slices.Clone(c.pinned) {
			if !half[r] || c.neverRan() {
				s.takeBack(r)
			}
		}
		c.assigned, c.created, c.wish, c.setsNames, c.set = nil, nil, nil, false, nil
	} else if c.failed && (len(c.assigned) > 0 || len(c.set) > 0 || c.wish != nil) {
		s.pin(pinUnknownState, c.digest) // which of its statements have run is not known
	}
	if !c.failed {
		for _, e := range c.assigned {
			if e.value == "" {
				s.unset(e.name)
			} else {
				s.set(e.name, e.value)
			}
		}
	}
	for _, name := range c.set {
		// MariaDB tells of SET x and SET @@SESSION.x, but not of SET @@x.
		if !slices.ContainsFunc(c.changes, func(e change) bool { return e.name == name }) {
			s.steps = append(s.steps, step{kind: stepVariable, text: ask("@@SESSION." + quoteName(name)), name: name})
		}
	}
	for _, name := range c.asks {
		s.steps = append(s.steps, step{kind: stepVariable, text: ask("@@SESSION." + quoteName(name)), name: name})
	}
	c.set, c.asks = nil, nil
	if c.database && !slices.ContainsFunc(c.changes, func(e change) bool { return e.name == settingSchema }) {
		c.opaque = true
	}
	s.told()
	s.objectsChanged()
	s.locksCalled(eff)
	if eff&sqltext.DDL != 0 {
		s.l.db.schemaChanged(c.program)
	}
	s.programEnds()
	if c.opaque && !c.excluded {
		s.pin(pinOpaque, c.digest)
	}
	if c.blind || c.wish != nil && c.statements > 1 || c.runs && c.state && !c.heard && eff&(sqltext.Look|sqltext.Assigns) != 0 {
		s.pin(pinOpaque, c.digest) // what it has done since is not told
		v.retire = true
	}
	if c.restored && c.statements > 1 {
		s.steps = append(s.steps, step{kind: stepCharsets, text: ask("@@"+varClient, "@@"+varConnection, "@@"+varResults, "@@"+varCollation, "@@sql_mode")})
	}
	if eff&sqltext.SequenceWrite != 0 && v.mariaDB {
		v.sequenceOwner = s
	}
	s.endings()
	s.unexplained()
	switch {
	case c.wish != nil:
		s.wish = c.wish
		s.steps = append(s.steps, step{kind: stepTracking, text: s.facts.tracking})
	case c.untold && eff&tellable != 0:
		s.steps = append(s.steps, step{kind: stepPing})
		if v.mariaDB && c.runs {
			s.pin(pinUnknownState, c.digest) // this server forgets what it has not told at once
		}
	case c.failed && (eff&sqltext.TxControl != 0 || c.statements > 1 || !v.status.Has(mysqlwire.StatusAutocommit)):
		s.steps = append(s.steps, step{kind: stepPing}) // an ERR packet does not tell whether a transaction is open
	case s.disconnects():
		s.steps = append(s.steps, step{kind: stepPing}) // which shows whether the server has hung up
	}
	if c.failed && eff&(sqltext.LastInsertIDWrite|sqltext.Unknown) != 0 {
		s.maybeID()
	}
	if c.role {
		s.steps = append(s.steps, step{kind: stepRole, text: ask("CURRENT_ROLE()")})
	}
	if c.runs && eff&(sqltext.LastInsertIDWrite|sqltext.Unknown) != 0 || eff&sqltext.UsesPrepared != 0 || c.untoldID() {
		v.idOwner = nobody
		s.steps = append(s.steps, step{kind: stepReadID, text: ask("LAST_INSERT_ID()")})
	}
	s.next(o)
}

// half are the reasons of pins for what a statement does while it runs, so that it is done even where the statement fails.
var half = map[pinReason]bool{pinUserVariable: true, pinNamedLock: true, pinOpaque: true}

// neverRan reports whether the statement has failed before it did anything. Its effects are its own, not those of routines.
func (c *command) neverRan() bool {
	if !c.failed || c.statements > 1 || c.runs {
		return false
	}
	switch c.code {
	case 1044, 1046, 1049, 1054, 1142, 1143, 1146, 1149, 1193, 1305: // its names, its words, or the user's rights are wrong
		return true
	}
	return c.syntax
}

// unparsed reports whether the server could not read the text at all, so that nothing of it has run. The first of several
// statements runs before the second is read; and what EXECUTE IMMEDIATE or a procedure runs is read while it runs.
func (c *command) unparsed() bool {
	return c.syntax && c.kind == mysqlwire.ComQuery && c.statements == 1 && !c.dynamic && c.eff&(sqltext.Unclear|sqltext.UsesPrepared) == 0
}

// unexplained pins for changed state that is no variable's, and that the text does not account for.
func (s *session) unexplained() {
	if c := s.cmd; c.state && c.eff&explained == 0 && !s.visits() {
		s.pin(pinUnknownState, c.digest)
	}
}

// visits reports whether the server goes to another default database for the command and back, which it tells of: it does so
// for a statement that was prepared there.
func (s *session) visits() bool {
	c := s.cmd
	if c.kind != mysqlwire.ComStmtExecute || c.stmt == nil || c.runs || !s.knownRoutines().SeesTriggers() {
		return false
	}
	now, _ := settingIn(s.want, settingSchema)
	return now != c.schema
}

// untoldID reports whether a text may have set LAST_INSERT_ID() without a word in an OK packet: by the function or the
// variable, or by an INSERT ... RETURNING (MariaDB), which ends in rows.
func (c *command) untoldID() bool {
	return c.eff&sqltext.LastInsertIDWrite != 0 && (c.rows || c.eff&(sqltext.LastInsertIDRead|sqltext.Opaque) != 0 && !c.insertID)
}

// explained are effects that account for a change of state that is no variable's.
const explained = sqltext.Assigns | sqltext.UserVariable | sqltext.TempTable | sqltext.DropsTable | sqltext.RenamesTable |
	sqltext.Prepared | sqltext.UsesPrepared | sqltext.Ends | sqltext.Schema | sqltext.SetsMode | sqltext.Look | sqltext.Role |
	sqltext.NextTransaction | sqltext.Opaque | sqltext.DDL | sqltext.SetStatement | sqltext.Unknown

// tellable are effects that the server tells of.
const tellable = sqltext.Call | sqltext.Unknown | sqltext.Look | sqltext.Assigns | sqltext.SetsMode | sqltext.Schema | sqltext.UsesPrepared

// endings unpins what has come to its end.
func (s *session) endings() {
	c, v := s.cmd, s.srv
	if len(s.pins) == 0 || c.failed {
		return
	}
	if c.statements != 1 {
		return // the digest may lack what comes last
	}
	words := append(strings.Fields(c.digest), "", "")
	first, second := words[0], words[1]
	switch {
	case first == "unlock" && strings.HasPrefix(second, "table"):
		s.unpin(pinLockTables)
		s.unpin(pinGlobalLock)
	case first == "begin", first == "start" && strings.HasPrefix(second, "transaction"):
		s.unpin(pinLockTables) // the start of a transaction unlocks
	case first == "xa" && (second == "commit" || second == "rollback") && !v.inTransaction():
		s.unpin(pinXA)
	case first == "commit", first == "rollback" && !slices.Contains(words, "to"): // no other end of a transaction is certain
		if c.eff&sqltext.NextTransaction == 0 && !v.inTransaction() {
			s.unpin(pinNext)
		}
	}
}

// set changes a setting of the session, and of its server connection, which has it already.
func (s *session) set(name, value string) { s.change(settingsOf(s.want).with(name, value)) }

func (s *session) unset(name string) { s.change(settingsOf(s.want).without(name)) }

func (s *session) change(now settings) {
	if !now.carried() {
		s.pin(pinSettings, s.cmd.digest)
		return
	}
	s.want = now.fit()
	s.srv.fit = s.want
}

// told takes over the changes that the server has told.
func (s *session) told() {
	c := s.cmd
	if len(c.changes) == 0 && !c.setsNames {
		return
	}
	changes := c.changes
	c.changes = nil
	c.heard = c.heard || len(changes) > 0
	now := settingsOf(s.want)
	names := c.setsNames
	for _, e := range changes {
		if e.name == varConnection || e.name == varCollation {
			names = true // setting either changes the other
		}
		if e.value == "" {
			now = now.without(e.name)
		} else {
			now = now.with(e.name, e.value)
		}
	}
	s.change(now)
	if names {
		s.collationChanged(changes)
	}
}

// askCollation, as the collation of a command, means that only the server knows.
const askCollation = "?"

// collationChanged finds out the collation of the connection: nobody tells of the one that comes with a character set.
func (s *session) collationChanged(changes []change) {
	c := s.cmd
	named := c.setsNames
	c.setsNames = false
	if named && c.failed && len(changes) == 0 {
		return
	}
	if named && c.collation != askCollation {
		known := c.collation
		if known == "" {
			known, _ = s.l.db.collationOf(s.collationKey())
		}
		if known != "" {
			s.set(varCollation, known)
			return
		}
	}
	st := step{kind: stepCollation, text: ask("@@"+varConnection, "@@"+varCollation)}
	s.learns = named && c.collation == ""
	s.steps = append(s.steps, st)
}

// collationKey is what the collation of a connection follows from, unless it was named.
func (s *session) collationKey() string {
	charset, _ := settingIn(s.want, varConnection)
	own, _ := settingIn(s.want, "character_set_collations")
	utf8, _ := settingIn(s.want, "default_collation_for_utf8mb4")
	return charset + " " + own + " " + utf8
}

// carriedVariable reports whether a system variable that the server has told of is carried.
func carriedVariable(name string) bool {
	switch name {
	case "timestamp", "character_set_database", "collation_database", trackVariables, trackSchema, trackState:
		return false
	}
	switch sqltext.ClassOf([]byte(name)) {
	case sqltext.OpaqueVariable, sqltext.IdentityVariable, sqltext.ReadOnlyVariable:
		return false
	}
	return true
}

func containsAny(text []byte, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return containsFold(text, w) })
}

func containsFold(b []byte, lower string) bool { return countFold(b, lower) > 0 }

// countFold counts a word in lower case in a text, whatever its case there.
func countFold(b []byte, lower string) int {
	n := 0
	for i := 0; i+len(lower) <= len(b); i++ {
		if b[i]|0x20 == lower[0] && strings.EqualFold(string(b[i:i+len(lower)]), lower) {
			n++
		}
	}
	return n
}

func unknownThread(id uint32) mysqlwire.Error {
	e := errUnknownThread
	e.Message += strconv.FormatUint(uint64(id), 10)
	return e
}
