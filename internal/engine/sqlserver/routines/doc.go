// Package routines asks a database of SQL Server which of its stored procedures and triggers leave something in the session
// that runs them, so that a text that reaches one can be judged by what it does instead of by what it might do.
//
// # What reaches a module
//
// A text that calls a procedure, which sqltext lists ([Catalog.Called]); and one that writes a table with a trigger
// ([Catalog.Written]), itself, by a view, an inline function or a synonym, or by a foreign key that cascades. Functions are
// not looked into: they may not write, and leave nothing. What a procedure or a trigger does also holds for those that call it.
//
// Nothing is known of modules whose definition is NULL (encrypted, of the CLR, or not for this user to see), of extended
// procedures, of other databases and servers, and of texts that a module puts together.
//
// # What a module leaves
//
// When a module ends the server takes back its SET options, its database and EXECUTE AS, and drops its temporary tables
// and local cursors. What stays: CONTEXT_INFO and session_context, ##t, global cursors, application locks of the session, open
// keys, trace flags, handles, an open transaction. ##t, cursors, keys and locks that the module takes away itself count only
// where it fails before ([Effect].Failing).
//
// # Tables that are written
//
// Which table a text writes is not worked out. Each word of a text that writes is looked up among the names, without their
// schemas, of what leads to a trigger that leaves something: too many texts may reach one, but none is missed. Where a name
// cannot be compared that way, or is of another database, the text has the mark Triggers: it may reach what is not known.
package routines
