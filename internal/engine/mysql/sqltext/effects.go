// Package sqltext reads SQL text as a MySQL (5.7 to 9) or MariaDB (10.3 to 11.8) server would and says what running it
// may leave behind in its session. It works on bytes alone: no I/O, no goroutine, no log, and no allocation.
//
// # What the answer is for
//
// Server connections are shared between clients at transaction level. A text's [Effects] say what to carry to the next
// server connection, what to ask the server about, and what pins. A wrong mark costs a round trip or a pin; a mark that
// is missing lets one client see another's state. So a text is read in every way in which the server may read it (see
// [Mode]) and the effects are united; what is not recognised is [Unknown], and a text whose tokens are not certain is
// [Unclear].
//
// # What cannot be seen in the text
//
// Triggers, views and routines reach stored functions that the text does not name. A routine can change system variables,
// set user variables, make temporary tables, take named locks, prepare statements. The server's session tracking reports a
// part of that: package routines says which, and knows what each routine does. [Call] marks the texts that name one, and
// Analysis.CallName tells its name.
//
// # Sources
//
// The lexical rules are those of the manuals' chapters "Language Structure" and of what the servers do where these are
// silent. Section names in comments are those of the MySQL 8.4 Reference Manual, or of the MariaDB documentation where
// that is said.
package sqltext

import "math/bits"

// Effects is a set of things that a text may do.
type Effects uint64

const (
	// Look means that system variables, the role or the like may have changed in a way that the assignments do not
	// tell, but session tracking does. ("Server Tracking of Client Session State")
	Look Effects = 1 << iota
	// Assigns means that Analysis.Assignment lists values of the session that can be carried.
	Assigns
	// SetsMode means that texts after this one may be read otherwise: sql_mode or the client's character set may
	// have changed. Ask for the new Mode first. ("Server SQL Modes", "Connection Character Sets and Collations")
	SetsMode
	// UserVariable means that a user variable got a value that is not in the assignments: an expression, SELECT ...
	// INTO @a, @a := x, GET DIAGNOSTICS, LOAD DATA, arguments of CALL. ("User-Defined Variables")
	UserVariable
	// ReadsUserVariable means that the result may depend on a user variable. Routines read them too: see Call.
	ReadsUserVariable
	// Schema means that the default database may be another afterwards: USE, or DROP DATABASE of the current one.
	Schema
	// Role means SET ROLE, which MySQL's session tracking does not report, and MariaDB's only as a change of something.
	// Ask for CURRENT_ROLE().
	Role
	// Opaque means state of the session that no tracking reports and no SELECT lists: resource groups, seeds of
	// RAND(), profiling, one-shot variables such as insert_id and gtid_next; on MariaDB also what SET @@x sets, if it is
	// not in the assignments. Reset clears it.
	Opaque

	// TxControl means that the text starts, ends or marks a transaction, or sets autocommit.
	TxControl
	// ImplicitCommit means that an open transaction is committed first. ("Statements That Cause an Implicit Commit")
	ImplicitCommit
	// NextTransaction means characteristics for the next transaction only: SET TRANSACTION without SESSION, and the
	// unscoped SET @@transaction_isolation. They are lost if that transaction runs elsewhere. ("SET TRANSACTION
	// Statement")
	NextTransaction
	// XA means a distributed transaction, which is tied to its connection until XA PREPARE or its end. ("XA
	// Transactions")
	XA
	// Disconnects means that the server closes the connection afterwards: COMMIT RELEASE, SHUTDOWN, RESTART.
	Disconnects

	// LockTables means LOCK TABLES, which lasts to UNLOCK TABLES, or to the start of a transaction.
	LockTables
	// GlobalLock means a lock on the whole server or for backups: FLUSH TABLES WITH READ LOCK or FOR EXPORT, LOCK
	// INSTANCE FOR BACKUP, BACKUP STAGE, BACKUP LOCK.
	GlobalLock
	// NamedLock means GET_LOCK and the functions of the locking service. ("Locking Functions", "The Locking Service")
	NamedLock
	// TempTable means CREATE TEMPORARY TABLE (or SEQUENCE): Analysis.Object names it.
	TempTable
	// DropsTable means that a temporary table may be gone: Analysis.Object names what is dropped.
	DropsTable
	// RenamesTable means that a temporary table may have another name now, so that a DROP of the old one ends nothing.
	RenamesTable
	// Handler means HANDLER OPEN; the cursor lasts to HANDLER CLOSE or the end of the session.
	Handler
	// Prepared means PREPARE: the session holds a statement of SQL level. Analysis.Object names it.
	Prepared
	// UsesPrepared means EXECUTE. What the executed statement does is not in the effects: add those of its text.
	UsesPrepared
	// Ends means that state which keeps a session pinned may end here: UNLOCK TABLES, RELEASE_LOCK, DROP TABLE,
	// HANDLER CLOSE, DEALLOCATE PREPARE, XA COMMIT. Look while the session is pinned.
	Ends

	// Call means that a routine runs, by CALL or by a function that is not built in, and may do anything a routine can:
	// see Analysis.CallName.
	Call
	// DDL means that the metadata of prepared statements may change.
	DDL
	// LocalInfile means LOAD DATA LOCAL: the server will ask the client for a file.
	LocalInfile
	// Admin means a statement about the server, accounts or replication, which leaves nothing in the session.
	Admin

	// LastInsertIDWrite means that the value of LAST_INSERT_ID() may change: INSERT, REPLACE, LOAD DATA, an assignment
	// to last_insert_id, LAST_INSERT_ID(x). An OK packet carries it for the first three. ("Information Functions")
	LastInsertIDWrite
	// LastInsertIDRead means that LAST_INSERT_ID(), @@last_insert_id or @@identity is read.
	LastInsertIDRead
	// RowCountRead means ROW_COUNT(), of the statement before.
	RowCountRead
	// FoundRowsWrite means SQL_CALC_FOUND_ROWS. (FOUND_ROWS() counts the rows of any other SELECT too.)
	FoundRowsWrite
	// FoundRowsRead means FOUND_ROWS(), of the last SELECT.
	FoundRowsRead
	// DiagnosticsRead means that the conditions of the statement before are read, and kept: SHOW WARNINGS, SHOW
	// ERRORS, their COUNT(*), GET DIAGNOSTICS, @@warning_count, @@error_count. ("MySQL Diagnostics Area")
	DiagnosticsRead
	// ThreadID means that the text shows or takes the server's id of a connection: CONNECTION_ID(),
	// @@pseudo_thread_id, IS_USED_LOCK(), EXPLAIN FOR CONNECTION.
	ThreadID
	// Processlist means that ids of connections are listed: SHOW PROCESSLIST, information_schema.processlist.
	Processlist
	// Kill means KILL: see Analysis.Kill.
	Kill
	// SequenceWrite means that LASTVAL may change (MariaDB): NEXTVAL, NEXT VALUE FOR, and writes, since a default
	// can draw from a sequence. ("SEQUENCE Functions", MariaDB)
	SequenceWrite
	// SequenceRead means LASTVAL or PREVIOUS VALUE FOR: what this session last drew from a sequence.
	SequenceRead
	// SetStatement means SET STATEMENT ... FOR (MariaDB): what session tracking tells of its variables is not what they
	// are afterwards.
	SetStatement

	// Unknown means that a statement was not recognised, or is one that may do anything.
	Unknown
	// Unclear means that the server may see other tokens than this package did, or refuses the text. Unknown is set
	// too.
	Unclear
	// Unseen means that a trigger or a view may run of which nothing is known. No text has it: see the catalogue of routines.
	Unseen

	numEffects = iota
)

// effectNames are in the order of the bits.
var effectNames = [numEffects]string{
	"Look", "Assigns", "SetsMode", "UserVariable", "ReadsUserVariable", "Schema", "Role", "Opaque",
	"TxControl", "ImplicitCommit", "NextTransaction", "XA", "Disconnects",
	"LockTables", "GlobalLock", "NamedLock", "TempTable", "DropsTable", "RenamesTable", "Handler", "Prepared",
	"UsesPrepared", "Ends",
	"Call", "DDL", "LocalInfile", "Admin",
	"LastInsertIDWrite", "LastInsertIDRead", "RowCountRead", "FoundRowsWrite", "FoundRowsRead", "DiagnosticsRead",
	"ThreadID", "Processlist", "Kill", "SequenceWrite", "SequenceRead", "SetStatement", "Unknown", "Unclear", "Unseen",
}

// String lists the names of the effects, joined by "|"; "0" for none.
func (e Effects) String() string {
	if e == 0 {
		return "0"
	}
	var s string
	for ; e != 0; e &= e - 1 {
		if s != "" {
			s += "|"
		}
		s += effectNames[bits.TrailingZeros64(uint64(e))]
	}
	return s
}
