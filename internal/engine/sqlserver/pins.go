package sqlserver

import (
	"slices"
	"strings"

	"forebay/internal/engine/sqlserver/sqltext"
	"forebay/internal/wire/tds"
)

// pinReason is why a session keeps its server connection beyond the transaction. docs/sqlserver.md says of each what the
// state is, how it is seen and when it ends.
type pinReason string

const (
	pinTemporary    pinReason = "temporary_table"
	pinCursor       pinReason = "open_cursor"
	pinAppLock      pinReason = "application_lock"
	pinDistributed  pinReason = "distributed_transaction"
	pinBound        pinReason = "bound_session"
	pinImpersonates pinReason = "execute_as"
	pinKey          pinReason = "open_key"
	pinTrace        pinReason = "trace_flag"
	pinPrepared     pinReason = "prepared_handle"
	pinDocument     pinReason = "xml_document"
	pinFixed        pinReason = "show_plan"
	pinSettings     pinReason = "unknown_settings"
	pinContext      pinReason = "session_context"
	pinUnknown      pinReason = "unknown_statement"
	pinLarge        pinReason = "statement_too_large"
	pinProcedure    pinReason = "procedure"
	pinDynamic      pinReason = "dynamic_sql"
)

// fixes say how an application avoids the pin.
var fixes = map[pinReason]string{
	pinTemporary:    "DROP TABLE when done, or use a table variable or a common table expression",
	pinCursor:       "close and deallocate the cursor, declare it LOCAL, or read a default result set",
	pinAppLock:      "sp_releaseapplock when done, or let the transaction own the lock",
	pinDistributed:  "use a local transaction, or a connection straight to the database",
	pinBound:        "use one connection, straight to the database",
	pinImpersonates: "REVERT when done, or log in as the user itself",
	pinKey:          "CLOSE the key when done, or open and close it within a procedure",
	pinTrace:        "set the trace flag for the server, or as a query hint",
	pinPrepared:     "unprepare statements that are not used any more",
	pinDocument:     "sp_xml_removedocument when done, or use nodes() of the xml type, or OPENJSON",
	pinFixed:        "ask for plans over a connection straight to the database",
	pinSettings:     "set options to literals, outside of IF and TRY",
	pinContext:      "set CONTEXT_INFO and session_context to literals, in a statement of their own",
	pinUnknown:      "report the statement, so that Forebay learns to read it",
	pinLarge:        "keep requests below 1 MiB",
	pinProcedure:    fixDefinition,
	pinDynamic:      "run a literal text, with parameters, in the place of one that is put together",
}

// fixDefinition is the way for procedures to be known.
const fixDefinition = "let the user see the definition (GRANT VIEW DEFINITION)"

// pinning are the effects that pin, or may end a pin.
const pinning = sqltext.SettingLost | sqltext.ContextUnknown | sqltext.Fixed | sqltext.Impersonates | sqltext.Distributed |
	sqltext.BoundSession | sqltext.TempTable | sqltext.TempProcedure | sqltext.Cursor | sqltext.AppLock | sqltext.Key | sqltext.Trace |
	sqltext.Prepared | sqltext.Document | sqltext.Unknown | sqltext.Unclear | sqltext.Dynamic

// pinOf are the reasons of effects whose end cannot be seen.
var pinOf = [...]struct {
	eff    sqltext.Effects
	reason pinReason
}{
	{sqltext.SettingLost, pinSettings},
	{sqltext.ContextUnknown, pinContext},
	{sqltext.Fixed, pinFixed},
	{sqltext.Distributed, pinDistributed},
	{sqltext.BoundSession, pinBound},
	{sqltext.Trace, pinTrace},
	{sqltext.Prepared, pinPrepared},
	{sqltext.Unknown | sqltext.Unclear, pinUnknown},
	{sqltext.TempTable | sqltext.TempProcedure, pinTemporary},
	{sqltext.Cursor, pinCursor},
	{sqltext.Dynamic, pinDynamic},
}

// pinFor pins for what a text does.
func (s *session) pinFor(e sqltext.Effects, more bool) {
	digest := s.srv.cmd.digest
	format := e&sqltext.FormatOnly != 0 && !s.pinnedFor(pinFixed)
	for _, p := range pinOf {
		if e&p.eff != 0 {
			s.pin(p.reason, digest)
		}
	}
	if more {
		s.pin(pinUnknown, digest)
	}
	if e&(sqltext.SettingLost|sqltext.Unknown|sqltext.Unclear) != 0 || e&sqltext.Fixed != 0 && !format {
		s.srv.unsure = true
	}
	if e&sqltext.Fixed != 0 {
		s.format = format
	}
}

// formatEnds ends the pin of a SET FMTONLY ON if the next request sets it OFF and leaves nothing else, as drivers do before a bulk
// load. Any other one may have done what it says, or not.
func (s *session) formatEnds() {
	c := &s.srv.cmd
	if !s.format || c.eff&sqltext.FormatOnly != 0 {
		return
	}
	s.format = false
	if c.eff&sqltext.FormatEnds != 0 && c.kind == tds.PacketSQLBatch && !c.failed {
		s.unpin(pinFixed)
	} else {
		s.srv.unsure = true
	}
}

// tooLarge pins for a request that is not looked into. That of a call whose text is known may end with the answer: singleEnds.
func (s *session) tooLarge() {
	s.pin(pinLarge, "(too large to be kept)")
	s.srv.dirty = true
	if !s.srv.cmd.single {
		s.srv.unsure = true
	}
}

// singleEnds ends the pin of a request of one call, which the answer has shown to be the only one. Another one behind it has
// not been looked into.
func (s *session) singleEnds() {
	v := s.srv
	if v.cmd.batched || v.survivors.ContextInfo { // Babelfish does not say so
		v.unsure = true
		return
	}
	if !v.unsure {
		s.unpin(pinLarge)
	}
}

// pin keeps the server connection for the session, for one more reason. It is logged and counted once.
func (s *session) pin(r pinReason, digest string) {
	if !s.pinnedFor(r) {
		s.pins.Add(r, digest, fixes[r], s.l.counters)
		s.pins.Tell(s.l.counters, s.l.db.log, s.id.PID, uint64(s.srv.spid))
	}
}

// unpin ends one reason.
func (s *session) unpin(r pinReason) { s.pins.Remove(r, s.l.counters, s.l.db.log, s.id.PID) }

// unpinAll ends all reasons: the state is gone, or the server connection will be made clean or closed.
func (s *session) unpinAll() {
	s.pins.Clear(s.l.counters)
	s.format = false
}

func (s *session) pinnedFor(r pinReason) bool { return s.pins.For(r) }

// outlasts reports whether the session may have left something on its server connection that outlasts a reset.
func (s *session) outlasts() bool {
	v := s.srv
	c := &v.cmd
	if s.sticky() || c.active && c.eff&sqltext.Impersonates != 0 {
		return true
	}
	if !v.survivors.ContextInfo {
		return false
	}
	// What a request under way may have set, or is yet to be asked for, nobody will know.
	return v.unsure || s.pinnedFor(pinContext) || s.pinnedFor(pinProcedure) || s.pinnedFor(pinDynamic) ||
		s.askDue || c.active && c.eff&(sqltext.Assigns|sqltext.SettingUnknown) != 0
}

// sticky reports whether something was done to the server connection that a reset may not undo.
func (s *session) sticky() bool {
	for _, r := range [...]pinReason{pinDistributed, pinBound, pinImpersonates, pinFixed, pinTrace, pinUnknown, pinLarge} {
		if s.pinnedFor(r) {
			return true
		}
	}
	return false
}

// maxTemps bounds the temporary objects and cursors of a session that are known by name. With more of them it is pinned for good.
const maxTemps = 1024

// objectsEnd takes over what a request has done with temporary objects and cursors.
func (s *session) objectsEnd() {
	c := &s.srv.cmd
	for _, x := range c.objects {
		name := x.Name
		cursor := x.Op == sqltext.DeclaresCursor || x.Op == sqltext.DeallocatesCursor
		if cursor {
			name = cursorMark + name
		}
		switch x.Op {
		case sqltext.CreatesTable, sqltext.CreatesProcedure, sqltext.DeclaresCursor:
			switch {
			case slices.Contains(s.temps, name):
			case len(s.temps) >= maxTemps:
				s.srv.unsure = true
				s.pin(pinUnknown, c.digest)
			default:
				s.temps = append(s.temps, name)
			}
			s.drops = nil // one of them may be this
		case sqltext.DropsTable, sqltext.DropsProcedure, sqltext.DeallocatesCursor:
			switch {
			case x.Conditional || c.failed || c.eff&sqltext.TxRollback != 0:
			case s.srv.inTx && !cursor:
				if slices.Contains(s.temps, name) && !slices.Contains(s.drops, name) {
					s.drops = append(s.drops, name)
				}
			default:
				s.forgetTemp(name)
			}
		}
	}
	switch {
	case len(s.drops) == 0:
	case c.failed || c.undoes || c.eff&(sqltext.TxRollback|sqltext.Exec|sqltext.Dynamic|sqltext.Unknown) != 0:
		s.drops = nil // a part of the transaction may have been rolled back, or all
	case !s.srv.inTx:
		if c.ended == tds.EnvCommit {
			for _, n := range s.drops {
				s.forgetTemp(n)
			}
		}
		s.drops = nil
	}
	s.cursorsEnd()
	if len(s.pins) == 0 {
		return
	}
	tables, declared := false, false
	for _, n := range s.temps {
		if strings.HasPrefix(n, cursorMark) {
			declared = true
		} else {
			tables = true
		}
	}
	if !tables {
		s.unpin(pinTemporary)
	}
	if !declared && s.cursors == 0 {
		s.unpin(pinCursor)
	}
}

// forgetTemp forgets a temporary object or cursor that is gone.
func (s *session) forgetTemp(name string) {
	s.temps = slices.DeleteFunc(s.temps, func(n string) bool { return n == name })
}

// keeping are the effects of texts that take what a session keeps, or give it up.
const keeping = sqltext.Impersonates | sqltext.Reverts | sqltext.Key | sqltext.Document | sqltext.AppLock | sqltext.Ends

// keptAs are the pins of what a session keeps, and the effects of texts that take it.
var keptAs = [sqltext.Kinds]struct {
	eff    sqltext.Effects
	reason pinReason
}{
	sqltext.KeptLogin:    {sqltext.Impersonates, pinImpersonates},
	sqltext.KeptKey:      {sqltext.Key, pinKey},
	sqltext.KeptDocument: {sqltext.Document, pinDocument},
	sqltext.KeptLock:     {sqltext.AppLock, pinAppLock},
}

// unknownKept says that the session may have kept any number of them.
const unknownKept = -1

// keptEnds takes over, at the end of a request, what it has taken that the session keeps, and what it has given up. A request
// that has failed, or may not have run, may have done any of the one and none of the other.
func (s *session) keptEnds() {
	v := s.srv
	c := &v.cmd
	sure := !c.failed && c.eff&(sqltext.Fixed|sqltext.FixedEnds|sqltext.Unknown|sqltext.Unclear) == 0 && !s.pinnedFor(pinFixed)
	for k := range s.kept {
		n, b, as := &s.kept[k], c.kept[k], keptAs[k]
		switch {
		case b.Stays || !sure && c.eff&as.eff != 0 && c.lock == 0:
			*n = unknownKept
		case k == int(sqltext.KeptLock) && c.kind == tds.PacketRPC && c.eff&sqltext.AppLock != 0:
			if c.lock > 0 && c.calls > 1 { // which of them has been granted, and how many?
				*n = unknownKept
			}
			if c.calls > 1 {
				break
			}
			if status := v.scan.Status; !c.failed && status >= 0 && *n != unknownKept {
				*n = max(*n+c.lock, 0)
			}
		case !sure || *n == unknownKept:
		case b.All:
			*n = b.Taken
		default:
			*n = max(*n-b.Given, 0) + b.Taken
		}
		if *n == 0 {
			s.unpin(as.reason)
		} else {
			s.pin(as.reason, c.digest)
		}
	}
}

// cursorMark begins the names of cursors among those of temporary objects: no name of a table begins so.
const cursorMark = "\x00"

// lockCall looks into a call of sp_getapplock or sp_releaseapplock, and reports whether it is one. What a transaction owns
// ends with it.
func (s *session) lockCall(r *tds.RPC) bool {
	gets := tds.IsSystem(r.Name, "sp_getapplock")
	if !gets && !tds.IsSystem(r.Name, "sp_releaseapplock") {
		return false // or, of another schema, perhaps the database's own
	}
	owner := 1 // of sp_releaseapplock's parameters
	if gets {
		owner = 2
	}
	for i := range min(r.Params, tds.MaxParams) {
		p := r.Param(i)
		if !nameIs(p.Name, "@lockowner") && (len(p.Name) > 0 || i != owner) {
			continue
		}
		t, ok := p.Text(nil)
		if ok && (p.Null || nameIs(t, "transaction")) {
			break
		}
		c := &s.srv.cmd
		c.eff |= sqltext.AppLock
		switch {
		case gets:
			c.lock, c.digest = 1, "sp_getapplock"
		case c.lock == 0 && ok && nameIs(t, "session"):
			c.lock = -1
		}
		break
	}
	return true
}

// nameIs reports whether a name in UTF-16LE, without its schema and quotes, is that one, which is in lower case.
func nameIs(name []byte, want string) bool {
	n := len(want) - 1
	for i := len(name) - 2; i >= 0; i -= 2 {
		c := name[i]
		if name[i+1] != 0 {
			return false
		}
		if c == '[' || c == ']' || c == '"' {
			continue
		}
		if n < 0 {
			return c == '.'
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != want[n] {
			return false
		}
		n--
	}
	return n < 0
}
