package sqlserver

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"forebay/internal/engine"
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
)

// fixes say how an application avoids the pin.
var fixes = map[pinReason]string{
	pinTemporary:    "DROP TABLE when done, or use a table variable or a common table expression",
	pinCursor:       "close and deallocate the cursor, declare it LOCAL, or read a default result set",
	pinAppLock:      "sp_releaseapplock when done, or let the transaction own the lock",
	pinDistributed:  "use a local transaction, or a connection straight to the database",
	pinBound:        "use one connection, straight to the database",
	pinImpersonates: "REVERT only ends it with the connection: log in as the user itself",
	pinKey:          "open and close the key within a procedure",
	pinTrace:        "set the trace flag for the server, or as a query hint",
	pinPrepared:     "unprepare statements that are not used any more",
	pinDocument:     "use nodes() of the xml type, or OPENJSON",
	pinFixed:        "ask for plans over a connection straight to the database",
	pinSettings:     "set options to literals, outside of IF and TRY",
	pinContext:      "set CONTEXT_INFO and session_context to literals, in a statement of their own",
	pinUnknown:      "report the statement, so that Forebay learns to read it",
	pinLarge:        "keep requests below 1 MiB",
}

// pinning are the effects that pin, or may end a pin.
const pinning = sqltext.SettingLost | sqltext.ContextUnknown | sqltext.Fixed | sqltext.Impersonates | sqltext.Distributed |
	sqltext.BoundSession | sqltext.TempTable | sqltext.TempProcedure | sqltext.Cursor | sqltext.AppLock | sqltext.Key | sqltext.Trace |
	sqltext.Prepared | sqltext.Document | sqltext.Unknown | sqltext.Unclear

// pinOf are the reasons of effects whose end cannot be seen.
var pinOf = [...]struct {
	eff    sqltext.Effects
	reason pinReason
}{
	{sqltext.SettingLost, pinSettings},
	{sqltext.ContextUnknown, pinContext},
	{sqltext.Fixed, pinFixed},
	{sqltext.Impersonates, pinImpersonates},
	{sqltext.Distributed, pinDistributed},
	{sqltext.BoundSession, pinBound},
	{sqltext.Key, pinKey},
	{sqltext.Trace, pinTrace},
	{sqltext.Prepared, pinPrepared},
	{sqltext.Document, pinDocument},
	{sqltext.Unknown | sqltext.Unclear, pinUnknown},
	{sqltext.TempTable | sqltext.TempProcedure, pinTemporary},
	{sqltext.Cursor, pinCursor},
	{sqltext.AppLock, pinAppLock},
}

// pinFor pins for what a text does.
func (s *session) pinFor(e sqltext.Effects, more bool) {
	digest := s.srv.cmd.digest
	for _, p := range pinOf {
		if e&p.eff != 0 {
			s.pin(p.reason, digest)
		}
	}
	if more {
		s.pin(pinUnknown, digest)
	}
	if e&(sqltext.SettingLost|sqltext.Unknown|sqltext.Unclear|sqltext.Fixed) != 0 {
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
	if s.pinnedFor(r) {
		return
	}
	if len(s.pins) == 0 {
		s.l.counters.Pinned++
	}
	s.pins = append(s.pins, engine.Pin{Reason: string(r), Digest: digest, Fix: fixes[r], Since: time.Now().UnixNano()})
	s.l.counters.Pins[string(r)]++
	s.l.db.log.Warn("session pinned to its server connection",
		slog.String("reason", string(r)), slog.String("digest", digest), slog.String("fix", fixes[r]),
		slog.Uint64("pid", uint64(s.id.PID)), slog.Uint64("server_pid", uint64(s.srv.spid)))
}

// unpin ends one reason.
func (s *session) unpin(r pinReason) {
	n := len(s.pins)
	s.pins = slices.DeleteFunc(s.pins, func(p engine.Pin) bool { return p.Reason == string(r) })
	if len(s.pins) < n {
		s.l.db.log.Info("session no longer pinned for this reason", slog.String("reason", string(r)), slog.Uint64("pid", uint64(s.id.PID)))
	}
	if n > 0 && len(s.pins) == 0 {
		s.unpinAll()
	}
}

// unpinAll ends all reasons: the state is gone, or the server connection will be made clean or closed.
func (s *session) unpinAll() {
	if s.pins != nil {
		s.pins = nil
		s.l.counters.Pinned--
	}
}

func (s *session) pinnedFor(r pinReason) bool {
	return slices.ContainsFunc(s.pins, func(p engine.Pin) bool { return p.Reason == string(r) })
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
			if !slices.Contains(s.temps, name) {
				s.temps = append(s.temps, name)
			}
		case sqltext.DropsTable, sqltext.DropsProcedure, sqltext.DeallocatesCursor:
			if !x.Conditional && !c.failed && (cursor || !s.srv.inTx && c.eff&sqltext.TxBegin == 0) { // a rollback would bring it back
				s.temps = slices.DeleteFunc(s.temps, func(n string) bool { return n == name })
			}
		}
	}
	if s.cursors += c.cursor; s.cursors < 0 {
		s.cursors = 0
	}
	if c.eff&sqltext.AppLock != 0 {
		switch status := s.srv.scan.Status; {
		case c.lock == 0:
			s.locks = unknownLocks // a text's
		case c.lock > 0 && (c.failed || status < 0): // it has not been granted
		case c.lock < 0 && (c.failed || status < 0):
		case s.locks != unknownLocks:
			s.locks = max(s.locks+c.lock, 0)
		}
	}
	if len(s.pins) == 0 {
		return
	}
	if s.locks == 0 {
		s.unpin(pinAppLock)
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

// unknownLocks says that the session may have any number of locks.
const unknownLocks = -1

// cursorMark begins the names of cursors among those of temporary objects: no name of a table begins so.
const cursorMark = "\x00"

// lockCall looks into a call of sp_getapplock or sp_releaseapplock, and reports whether it is one. What a transaction owns
// ends with it.
func (s *session) lockCall(r *tds.RPC) bool {
	gets := nameIs(r.Name, "sp_getapplock")
	if !gets && !nameIs(r.Name, "sp_releaseapplock") {
		return false
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
		if t, ok := p.Text(nil); ok && (p.Null || nameIs(t, "transaction")) {
			break
		}
		c := &s.srv.cmd
		c.eff |= sqltext.AppLock
		if c.lock = 1; !gets {
			c.lock = -1
			return true
		}
		s.pin(pinAppLock, "sp_getapplock")
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
