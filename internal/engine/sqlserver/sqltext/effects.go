// Package sqltext reads T-SQL as SQL Server would and says what running it may leave behind in its session. It works on
// bytes alone, as they come over the wire (UTF-16LE): no I/O, no goroutine, no log, and no allocation for a text that sets
// nothing and runs no text within.
//
// # What the answer is for
//
// Server connections are shared between clients at transaction level. A text's [Effects] say what to carry to the next
// server connection, what to ask the server about, and what pins. A wrong mark costs a round trip or a pin; a mark that is
// missing lets one client see another's state. So an effect means "may": it counts whether or not its branch is taken. What
// is not recognised is [Unknown], and a text whose statements cannot be told apart is [Unclear].
//
// # How a text is read
//
// T-SQL has no separator between statements. What begins one is a reserved word where no statement in progress can have
// it, so a text is cut at these; a bare name at a text's beginning is a procedure. The bodies of CREATE PROCEDURE and the
// like are not run and are passed over. The literal text of sp_executesql and EXECUTE ('...') is read, too.
//
// # What cannot be seen in the text
//
// Procedures and triggers. When one returns, the server takes back its SET options, its database, and drops its temporary
// tables and local cursors; a transaction, global cursors, application locks, keys, CONTEXT_INFO and session_context stay.
// [Exec] and [Triggers] mark the texts that may run one. A function can leave nothing: it may not write.
//
// Section names in comments are those of the Transact-SQL reference.
package sqltext

import (
	"math/bits"
	"strings"
)

// Effects is a set of things that a text may do.
type Effects uint64

const (
	// Assigns means that Analysis.Apply tells settings that the text gives to the session, surely and as literals.
	Assigns Effects = 1 << iota
	// SettingUnknown means that settings may have other values that the text does not tell: from a variable, behind IF,
	// in a TRY. Ask for them, or pin: all of these are in @@OPTIONS, sys.dm_exec_sessions and DB_NAME().
	SettingUnknown
	// SettingLost is SettingUnknown for settings that no query tells: ROWCOUNT, IDENTITY_INSERT, FIPS_FLAGGER,
	// QUERY_GOVERNOR_COST_LIMIT, FORCEPLAN, REMOTE_PROC_TRANSACTIONS, STATISTICS. It pins.
	SettingLost
	// ContextUnknown means that CONTEXT_INFO or session_context may have values that the text does not tell. session_context
	// cannot be listed, so it pins.
	ContextUnknown
	// Fixed means a setting that is on afterwards, or may be, and that no statement before the next text takes back
	// safely: SHOWPLAN_*, PARSEONLY, NOEXEC, FMTONLY, OFFSETS.
	Fixed
	// FixedEnds means that one of these is set OFF.
	FixedEnds
	// FormatOnly means that SET FMTONLY ON is all of the text.
	FormatOnly
	// FormatEnds means that the text surely ends with SET FMTONLY OFF, and leaves nothing else.
	FormatEnds
	// Resets means sp_reset_connection.
	Resets
	// Impersonates means EXECUTE AS, SETUSER, sp_setapprole.
	Impersonates
	// Reverts means REVERT, SETUSER alone, sp_unsetapprole.
	Reverts

	// TxBegin means BEGIN TRANSACTION.
	TxBegin
	// TxCommit means COMMIT.
	TxCommit
	// TxRollback means ROLLBACK of the whole transaction, or of a name, which may be a savepoint.
	TxRollback
	// TxSave means SAVE TRANSACTION.
	TxSave
	// Distributed means BEGIN DISTRIBUTED TRANSACTION.
	Distributed
	// BoundSession means sp_bindsession or sp_getbindtoken: two sessions share a transaction.
	BoundSession

	// TempTable means that a temporary table is made: Analysis.Object names it. Those of a text within are gone at its end
	// and do not count, but for ##t.
	TempTable
	// TempProcedure means CREATE PROCEDURE #p.
	TempProcedure
	// Cursor means DECLARE of a cursor that may outlive the text: one of no variable that is not LOCAL. Whether GLOBAL is
	// the default is for the database to say. Analysis.Object names it.
	Cursor
	// UsesCursor means OPEN, FETCH, CLOSE, or WHERE CURRENT OF.
	UsesCursor
	// AppLock means sp_getapplock with an owner that may be the session.
	AppLock
	// Key means OPEN SYMMETRIC KEY or OPEN MASTER KEY.
	Key
	// Trace means DBCC TRACEON for the session.
	Trace
	// Prepared means sp_prepare, sp_execute, sp_unprepare, sp_cursoropen and the like, called in the text: handles of the server's.
	Prepared
	// Document means sp_xml_preparedocument.
	Document
	// Ends means that state which keeps a session pinned may end here: DROP of a temporary table or procedure,
	// DEALLOCATE, sp_releaseapplock, CLOSE of a key, TRACEOFF, sp_unprepare, sp_xml_removedocument.
	Ends

	// Exec means that a procedure runs that is not known to leave nothing: see Analysis.CallName.
	Exec
	// Dynamic means that a text runs which is not in this one: EXECUTE (@a), sp_executesql @a, EXECUTE @a.
	Dynamic
	// Remote means that another server is reached: a name of four parts, OPENQUERY, OPENROWSET, EXECUTE ... AT.
	Remote
	// Writes means INSERT, UPDATE, DELETE, MERGE and the like.
	Writes
	// DDL means CREATE, ALTER, DROP, TRUNCATE, GRANT and the like.
	DDL
	// Triggers means that a trigger may run: Writes and DDL of what is not a temporary table or a variable. It can leave
	// CONTEXT_INFO, session_context, global cursors, application locks and an open transaction.
	Triggers
	// BulkLoad means INSERT BULK: the rows come in a message of their own.
	BulkLoad
	// Admin means a statement about the server, accounts, backups: it leaves nothing in the session.
	Admin
	// Kill means KILL.
	Kill
	// Waits means WAITFOR.
	Waits

	// WritesIdentity means that @@IDENTITY may change: INSERT, MERGE, bulk load, a procedure. So may it with Triggers.
	WritesIdentity
	// WritesScopeIdentity means that SCOPE_IDENTITY() of the session may change. What runs within does not change it.
	WritesScopeIdentity
	// ReadsIdentity means that @@IDENTITY is read where no INSERT ... VALUES of the text has surely set it.
	ReadsIdentity
	// ReadsScopeIdentity is ReadsIdentity for SCOPE_IDENTITY().
	ReadsScopeIdentity
	// ReadsOwnIdentity means that one of the two is read behind an INSERT ... VALUES of the text: right, unless that INSERT
	// fails and the text goes on, or a trigger does it INSTEAD OF the server.
	ReadsOwnIdentity
	// ReadsRowCount means @@ROWCOUNT or ROWCOUNT_BIG() of a statement before the text.
	ReadsRowCount
	// ReadsError means @@ERROR of a statement before the text.
	ReadsError
	// ReadsFetch means @@FETCH_STATUS, @@CURSOR_ROWS or CURSOR_STATUS, wherever they stand.
	ReadsFetch
	// ReadsTransaction means @@TRANCOUNT, XACT_STATE or CURRENT_TRANSACTION_ID.
	ReadsTransaction
	// ReadsContext means CONTEXT_INFO() or SESSION_CONTEXT().
	ReadsContext
	// ReadsSPID means @@SPID, @@CONNECTIONS or sys.dm_exec_*: what tells of server connections.
	ReadsSPID
	// Modules means that procedures, functions, triggers, views or synonyms are made, changed or dropped, or what decides
	// which of them a write reaches: whoever knows what these do has to look again.
	Modules

	// Unknown means that a statement was not recognised, or is one that may do anything.
	Unknown
	// Unclear means that the server may cut the text otherwise, or refuses it. Unknown is set, too.
	Unclear
)

// leaves is what may outlive the text in its session, other than by triggers or an open transaction.
const leaves = Assigns | SettingUnknown | SettingLost | ContextUnknown | Fixed | FixedEnds | Resets | Impersonates | Reverts |
	Distributed | BoundSession | TempTable | TempProcedure | Cursor | AppLock | Key | Trace | Prepared | Document | Exec |
	Dynamic | Unknown | Unclear

// Clean reports whether the text provably leaves nothing in the session but an open transaction and what every statement
// leaves: @@ROWCOUNT, @@ERROR, identities. Triggers are not in this: a text that is Clean and has [Triggers] leaves what
// its triggers leave.
func (e Effects) Clean() bool { return e&leaves == 0 }

// effectNames are the names of the bits, in their order.
var effectNames = strings.Fields(`Assigns SettingUnknown SettingLost ContextUnknown Fixed FixedEnds FormatOnly FormatEnds Resets Impersonates Reverts TxBegin
	TxCommit TxRollback TxSave Distributed BoundSession TempTable TempProcedure Cursor UsesCursor AppLock Key Trace Prepared
	Document Ends Exec Dynamic Remote Writes DDL Triggers BulkLoad Admin Kill Waits WritesIdentity WritesScopeIdentity
	ReadsIdentity ReadsScopeIdentity ReadsOwnIdentity ReadsRowCount ReadsError ReadsFetch ReadsTransaction ReadsContext
	ReadsSPID Modules Unknown Unclear`)

// String names the effects.
func (e Effects) String() string {
	if e == 0 {
		return "none"
	}
	var names []string
	for ; e != 0; e &= e - 1 {
		names = append(names, effectNames[bits.TrailingZeros64(uint64(e))])
	}
	return strings.Join(names, "|")
}
