package mysql

// pinReason is why a session keeps its server connection beyond the transaction. docs/mysql.md says of each what the state
// is, how it is seen and when it ends.
type pinReason string

const (
	pinLockTables   pinReason = "lock_tables"
	pinGlobalLock   pinReason = "global_lock"
	pinBackupLock   pinReason = "backup_lock"
	pinNamedLock    pinReason = "named_lock"
	pinTemporary    pinReason = "temporary_table"
	pinHandler      pinReason = "handler"
	pinXA           pinReason = "xa_transaction"
	pinNext         pinReason = "next_transaction"
	pinCursor       pinReason = "open_cursor"
	pinSQLStatement pinReason = "sql_prepared_statement"
	pinUserVariable pinReason = "user_variable"
	pinOpaque       pinReason = "opaque_state"
	pinRoutine      pinReason = "routine"
	pinUnknown      pinReason = "unknown_statement"
	pinUnknownState pinReason = "unknown_state"
	pinLarge        pinReason = "statement_too_large"
	pinSettings     pinReason = "settings_too_large"
	pinSequence     pinReason = "sequence_state"
)

// fixes say how an application avoids the pin.
var fixes = map[pinReason]string{
	pinLockTables:   "use a transaction with SELECT ... FOR UPDATE, or UNLOCK TABLES when done",
	pinGlobalLock:   "run backups over a connection of their own, straight to the database",
	pinBackupLock:   "run backups over a connection of their own, straight to the database",
	pinNamedLock:    "RELEASE_LOCK or RELEASE_ALL_LOCKS when done, or lock a row",
	pinTemporary:    "DROP TEMPORARY TABLE when done, or use a derived table or a common table expression",
	pinHandler:      "HANDLER ... CLOSE when done, or use SELECT",
	pinXA:           "end the distributed transaction with XA COMMIT or XA ROLLBACK",
	pinNext:         "use SET SESSION TRANSACTION, or START TRANSACTION with the characteristic",
	pinCursor:       "read the cursor to its end, or close the statement",
	pinSQLStatement: "use the driver's prepared statements, or DEALLOCATE PREPARE when done",
	pinUserVariable: "set user variables to literals, or keep the value in the application",
	pinOpaque:       "keep what cannot be read back within one transaction and a connection of its own",
	pinRoutine:      "let the user see the routine's body, and keep named locks out of it",
	pinUnknown:      "report the statement, so that Forebay learns to read it",
	pinUnknownState: "keep what a routine sets up within the routine",
	pinLarge:        "keep statements below 1 MiB",
	pinSettings:     "keep values above 64 KiB in a table",
	pinSequence:     "use RETURNING, or NEXT VALUE FOR in a SELECT, instead of LASTVAL",
}

// pin keeps the server connection for the session, for one more reason. It is logged and counted once, when the command has
// ended: one that fails may leave nothing.
func (s *session) pin(r pinReason, digest string) {
	if !s.pinnedFor(r) {
		s.pins.Add(r, digest, fixes[r], s.l.counters)
	}
}

// tellPins logs and counts the reasons that the command has left.
func (s *session) tellPins() {
	s.pins.Tell(s.l.counters, s.l.db.log, s.id.PID, uint64(s.srv.thread))
}

// unpin ends one reason.
func (s *session) unpin(r pinReason) { s.pins.Remove(r, s.l.counters, s.l.db.log, s.id.PID) }

// unpinAll ends all reasons: the state is gone, or the server connection will be made clean or closed.
func (s *session) unpinAll() { s.pins.Clear(s.l.counters) }

func (s *session) pinnedFor(r pinReason) bool { return s.pins.For(r) }

// sticky reports whether something was done to the server connection that COM_RESET_CONNECTION may not undo.
func (s *session) sticky() bool {
	return s.pinnedFor(pinOpaque) || s.pinnedFor(pinXA) || s.pinnedFor(pinUnknown) || s.pinnedFor(pinGlobalLock) || s.pinnedFor(pinBackupLock)
}
