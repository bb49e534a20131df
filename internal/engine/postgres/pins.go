package postgres

// pinReason is why a session keeps its server connection beyond the transaction. docs/pinning.md has a paragraph on each:
// what the state is, how it is seen, when it ends.
type pinReason string

const (
	pinTemporary      pinReason = "temporary_object"
	pinListen         pinReason = "listen"
	pinCursor         pinReason = "holdable_cursor"
	pinAdvisory       pinReason = "session_advisory_lock"
	pinLibrary        pinReason = "loaded_library"
	pinOpaque         pinReason = "opaque_state"
	pinUnknownSetting pinReason = "unknown_setting"
	pinSequence       pinReason = "sequence_state"
	pinSQLStatement   pinReason = "sql_prepared_statement"
	pinLargeStatement pinReason = "statement_too_large"
	pinLargeSettings  pinReason = "settings_too_large"
	pinUnverified     pinReason = "unverified_state"
)

// fixes say how an application avoids the pin.
var fixes = map[pinReason]string{
	pinTemporary:      "create the temporary object ON COMMIT DROP, or drop it when done",
	pinListen:         "use a connection of its own for LISTEN, or UNLISTEN * when done",
	pinCursor:         "declare the cursor WITHOUT HOLD, or CLOSE it when done",
	pinAdvisory:       "use pg_advisory_xact_lock, or unlock when done",
	pinLibrary:        "have the server load the library: session_preload_libraries",
	pinOpaque:         "keep what the function sets up within one transaction",
	pinUnknownSetting: "name custom settings literally in set_config",
	pinSequence:       "use INSERT ... RETURNING instead of currval or lastval, or DISCARD SEQUENCES when done",
	pinSQLStatement:   "PREPARE in a query string of its own, or use the driver's prepared statements",
	pinLargeStatement: "prepare statements below 1 MiB",
	pinLargeSettings:  "keep values above 200 KiB in a table",
	pinUnverified:     "give the session a statement_timeout that leaves time for a look at its state",
}

// pin keeps the server connection for the session, for one more reason. It is logged and counted once.
func (s *session) pin(r pinReason, digest string) {
	if !s.pinnedFor(r) {
		s.pins.Add(r, digest, fixes[r], s.l.counters)
		s.pins.Tell(s.l.counters, s.l.db.log, s.id.PID, uint64(s.srv.pid))
	}
}

// pinWhile pins or unpins.
func (s *session) pinWhile(holds bool, r pinReason, digest string) {
	if holds {
		s.pin(r, digest)
	} else {
		s.unpin(r)
	}
}

// unpin ends one reason.
func (s *session) unpin(r pinReason) { s.pins.Remove(r, s.l.counters, s.l.db.log, s.id.PID) }

// unpinAll ends all reasons: the state is gone, or the server connection will be made clean or closed.
func (s *session) unpinAll() { s.pins.Clear(s.l.counters) }

func (s *session) pinnedFor(r pinReason) bool { return s.pins.For(r) }

// sticky reports whether something was done to the server connection that no reset undoes.
func (s *session) sticky() bool {
	return s.pinnedFor(pinLibrary) || s.pinnedFor(pinOpaque) || s.pinnedFor(pinUnverified)
}

// listens reports whether notifications are for the session: it is known to listen, or may just have begun to.
func (s *session) listens() bool {
	return len(s.pins) > 0 || s.srv.effects != 0 || s.srv.probing()
}
