// Package routines asks a server which of its stored procedures and functions, triggers and views leave something in the
// session that runs them, or depend on it, so that a text that reaches one can be judged by what it does instead of by
// what it might do. It reads information_schema with a few queries and leaves nothing in the session.
//
// # What reaches a routine
//
// A text that calls it, which sqltext lists ([Catalog.Called]); and one that writes a table with a trigger, or names a
// view ([Catalog.Reached]). Defaults, generated columns, checks and indexes do not: both servers refuse stored functions,
// GET_LOCK and LAST_INSERT_ID in them. (MariaDB takes a user variable in DEFAULT (@a := 1). That is not looked for.) A
// foreign key's cascade runs no triggers. On MariaDB, CALL d.p() where the default database has a package d means that package's,
// even where the database d has a procedure p: in every sql_mode since 11.8 at the latest, in ORACLE before. Events run in sessions of their own.
//
// Bodies are read by sqltext.ReadProgram, and what a routine does also holds for those that call it. Nothing is known
// ([Anything]) of routines whose body the user may not see, of those in other languages than SQL (MariaDB's sql_mode ORACLE
// and its packages among them), of those in a database that has the name of a package, of those that have parameters with
// values of their own (MariaDB 11.8), of dynamic SQL, and of loadable functions, but for those that sqltext.Loadable lists,
// where a text calls them. MySQL's information_schema shows literals without their escapes (it\'s as it's), so that bodies with
// quotes are asked for one by one, and MariaDB's since 11.8 shows no values of parameters, so that all are; those in the
// database sys are not.
//
// # What the user sees
//
// The body of another definer's routine is shown to those with SHOW_ROUTINE or SELECT on everything (MySQL), SHOW CREATE
// ROUTINE (MariaDB 11.8; part of ALL ON db.*), or SELECT on mysql.proc (MariaDB). The query of a view takes SHOW VIEW. A
// trigger's body takes TRIGGER: without it MariaDB still shows that there is a trigger, and MySQL does not
// ([Catalog.SeesTriggers]). Then what writes has the effect Unseen.
//
// # What session tracking reports
//
// Measured on MariaDB 10.11 and 11.8 and MySQL 9.7, with session_track_state_change = ON, session_track_schema = ON and
// session_track_system_variables = '*'; the tests repeat it. Plain statements and routines are alike, text and binary
// protocol too. "yes" is a variable with its value or the schema with its name, "state" no more than that something changed
// (SESSION_TRACK_STATE_CHANGE), "-" what the server has not or refuses in routines.
//
//	Effect                                                MariaDB  MySQL  sqltext
//	SET x, SET SESSION x, SET @@SESSION.x                 yes      yes    Look
//	SET @@x                                               no       yes    Look, MariaDB: Opaque too
//	insert_id, rand_seed1, pseudo_thread_id, gtid_next    yes (1)  yes(1) Opaque
//	SET TRANSACTION                                       no (2)   no (2) NextTransaction
//	SET last_insert_id                                    yes      yes    LastInsertIDWrite
//	LAST_INSERT_ID(x), INSERT inside a procedure          no (3)   no (3) LastInsertIDWrite
//	SET @a                                                state    state  UserVariable
//	INTO @a, @a := x, GET DIAGNOSTICS @a, OUT parameters  no       no     UserVariable
//	CREATE TEMPORARY TABLE                                state    state  TempTable
//	CREATE TEMPORARY TABLE ... SELECT                     no       no     TempTable
//	DROP TEMPORARY TABLE                                  state    state  DropsTable
//	DROP TABLE, of a temporary one                        no       no     DropsTable
//	ALTER TABLE ... RENAME, of a temporary one            no       state  RenamesTable
//	RENAME TABLE, of a temporary one                      no       -      RenamesTable
//	PREPARE, DEALLOCATE PREPARE                           state    state  Prepared, Ends
//	EXECUTE, EXECUTE IMMEDIATE                            as the text    UsesPrepared, Unknown
//	GET_LOCK, RELEASE_LOCK                                no       no     NamedLock, Ends
//	NEXTVAL                                               no       -      SequenceWrite
//	SET ROLE                                              state    no     Role
//	SET RESOURCE GROUP                                    -        no     Opaque
//	FLUSH TABLES ... WITH READ LOCK, FOR EXPORT           no (2)   no (2) GlobalLock
//	LOCK INSTANCE FOR BACKUP                              -        no     GlobalLock
//	LOCK TABLES, in dynamic SQL                           no (2)   -      Unknown
//	HANDLER ... OPEN, BACKUP LOCK, in dynamic SQL         no       -      Unknown
//	USE, in dynamic SQL                                   yes      -      Unknown
//	DROP DATABASE, of the default one                     yes      yes    Schema
//	START TRANSACTION, XA START, autocommit               status   status TxControl, XA
//	variables of packages                                 no       -      Unknown
//
// (1) The values of rand_seed1 and rand_seed2 are not the ones set. MySQL also reports statement_id, with every statement.
// (2) session_track_transaction_info tells.
// (3) The OK packet of CALL has 0 for it. Functions and triggers put back LAST_INSERT_ID() when they end.
//
// At the end of a routine the server puts back sql_mode, character_set_client, character_set_connection,
// collation_connection and the default database, but not character_set_results, which SET NAMES sets too.
//
// # When it reports
//
//   - What a statement with a result set changed is in the OK packet that ends the rows, if CLIENT_DEPRECATE_EOF is agreed
//     on. Otherwise MySQL reports it with the next OK packet, such as that of COM_PING, and MariaDB never. CALL always
//     ends in an OK packet.
//   - An ERR packet reports nothing. What the statement changed before it failed, MySQL reports with the next OK packet,
//     and MariaDB never. (A SET that fails has set nothing, unless it fails late: PASSWORD, gtid_next.)
//   - The OK packets that end result sets within a CALL have the values of that moment. What the server puts back at the
//     end is not reported then: ignore sql_mode, the character sets and the collation there. The default database is
//     reported again.
//   - MariaDB's SET STATEMENT x = 1 FOR, outside of routines, reports the value that it puts back afterwards.
package routines
