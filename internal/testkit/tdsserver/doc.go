// Package tdsserver is a TDS server for tests: where no SQL Server can be installed, real drivers talk to it as they talk to
// SQL Server ([MS-TDS]), and tests see from outside what it sees. It shares no code with what it tests: internal/wire/tds is
// not imported, so that one mistake cannot cancel out another.
//
// # The protocol
//
// PRELOGIN with every kind of encryption, TLS inside of PRELOGIN packets (at most TLS 1.2) and TDS 8.0 (TLS first), LOGIN7 with
// SQL log-ins and with tokens, TDS 7.1 to 7.4, packets of 512 to 32767 bytes; batches, RPC requests, transaction manager
// requests, bulk loads, attentions, both bits of RESETCONNECTION. There is no MARS, no Windows log-in, no distributed
// transaction. A request whose transaction descriptor is not the session's is refused with error 3989.
//
// # Toy T-SQL
//
// Tables are in memory and shared by all sessions. There are no locks but application locks: what one session has not
// committed, others see. Rolling back undoes. The server knows:
//
//   - SELECT [TOP n] of expressions, with FROM one source, WHERE, ORDER BY, OFFSET and FETCH, INTO, UNION ALL, aggregates without
//     GROUP BY; no joins but CROSS JOIN. Sources are tables, numbers(n), sys.dm_exec_sessions, sys.databases, sys.tables, sys.objects,
//     sys.sql_modules, sys.system_objects, sysobjects, and
//     table-valued parameters
//   - INSERT (VALUES, SELECT, DEFAULT VALUES, OUTPUT, BULK), UPDATE, DELETE, TRUNCATE TABLE; CREATE and DROP of tables, #tables,
//     ##tables, procedures; identity columns, primary keys, UNIQUE, DEFAULT
//   - DECLARE, also of table variables, SET @v, IF, WHILE, BEGIN and END, TRY and CATCH, RETURN, PRINT, RAISERROR, THROW, WAITFOR DELAY, USE, KILL, EXEC of
//     procedures and of texts, cursors
//   - transactions with savepoints, IMPLICIT_TRANSACTIONS, XACT_ABORT; all SET options are kept, and @@OPTIONS, DBCC USEROPTIONS,
//     SESSIONPROPERTY and sys.dm_exec_sessions show them; NOEXEC, PARSEONLY, FMTONLY, SHOWPLAN_*, NOCOUNT, ROWCOUNT,
//     QUOTED_IDENTIFIER, CONCAT_NULL_YIELDS_NULL do what they say, the others nothing
//   - the procedures of builtin; toy_echo answers with a row of its parameters, toy_outputs doubles its output parameters
//
// Each database has dbo.alltypes: a row of values of every type, a row of NULLs, and a row with some of either. What is not
// known is a syntax error (102) and never passed over.
package tdsserver
