package sqltext_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	. "forebay/internal/engine/sqlserver/sqltext"
)

// wire returns a text as it comes over the wire.
func wire(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

var batch, within = Mode{QuotedIdentifier: true}, Mode{QuotedIdentifier: true, Within: true}

const (
	insert    = Writes | Triggers | WritesIdentity | WritesScopeIdentity
	update    = Writes | Triggers
	procedure = Exec | WritesIdentity
	dynamic   = Exec | Dynamic | WritesIdentity
)

var effects = []struct {
	sql  string
	want Effects
}{
	// What leaves nothing.
	{"", 0},
	{" ; ;", 0},
	{"SELECT 1", 0},
	{"select 1 select 2", 0},
	{"SELECT * FROM t WHERE a = 'it''s' -- ; DROP TABLE #x", 0},
	{"SELECT [a]]b; SET NOCOUNT ON] FROM t", 0},
	{"SELECT /* a /* b */ EXEC c */ 1", 0},
	{"(SELECT 1) UNION ALL (SELECT 2)", 0},
	{"SELECT 1 UNION SELECT 2 EXCEPT SELECT 3 INTERSECT SELECT 4", 0},
	{"SELECT $1.5, 0x1F, 1e5, .5, 1., -1", 0},
	{"WITH x AS (SELECT 1 AS a), y(b) AS (SELECT a FROM x) SELECT * FROM y OPTION (MAXRECURSION 5)", 0},
	{"WITH XMLNAMESPACES ('u' AS p) SELECT 1", 0},
	{"SELECT CASE WHEN 1 = 1 THEN 2 ELSE 3 END", 0},
	{"SELECT a FROM t ORDER BY a OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY", 0},
	{"SELECT a FROM t INNER MERGE JOIN u ON t.a = u.a", 0},
	{"SELECT a FROM t WITH (NOLOCK) FOR XML PATH('a')", 0},
	{"DECLARE @a int = 1, @t TABLE (a int); SELECT @a = 2", 0},
	{"SET @a = 1", 0},
	{"SET @c = CURSOR LOCAL FOR SELECT 1", 0},
	{"PRINT 'a'", 0},
	{"RAISERROR('a', 16, 1)", 0},
	{"SELECT dbo.f(1), x.value('a', 'int') FROM t", 0},
	{"IF 1 = 1 SELECT 1 ELSE SELECT 2", 0},
	{"WHILE 1 = 0 BEGIN SELECT 1 BREAK END", 0},
	{"BEGIN TRY SELECT 1 END TRY BEGIN CATCH THROW END CATCH", 0},
	{"BEGIN TRY SELECT 1 END TRY BEGIN CATCH ; THROW; END CATCH;", 0},
	{"SELECT N'日本' AS [ü], \"b\" FROM Müller", 0},
	{"SELECT £5", 0},
	{"READTEXT t.a @p 0 5", 0},
	{"THROW 50000, 'a', 1", 0},
	{"a: SELECT 1 GOTO a", 0},
	{"RETURN", 0},
	{"SELECT output FROM t", 0},
	{"SELECT IIF(1=1, 2, 3)", 0},
	{"SELECT 1 OPTION (MERGE JOIN)", 0},
	{"SELECT {fn NOW()}, {d '2020-01-01'}", 0},
	{"SELECT NEXT VALUE FOR s", 0},
	{"SELECT 1 OPTION (USE HINT ('x'))", 0},
	{"IF 1=1 PRINT 'a'; ELSE PRINT 'b'; PRINT 'c'", 0},
	{"SET @x.modify('insert <b/> into (/a)[1]')", 0},

	// Transactions.
	{"BEGIN TRAN", TxBegin},
	{"BEGIN TRANSACTION a WITH MARK 'b' SELECT 1 COMMIT", TxBegin | TxCommit},
	{"COMMIT TRAN a", TxCommit},
	{"COMMIT WORK", TxCommit},
	{"ROLLBACK", TxRollback},
	{"ROLLBACK TRAN a", TxRollback},
	{"SAVE TRAN a", TxSave},
	{"BEGIN DISTRIBUTED TRAN", TxBegin | Distributed},
	{"IF @@TRANCOUNT > 0 COMMIT TRAN", TxCommit | ReadsTransaction},
	{"IF @@TRANCOUNT > 0 ROLLBACK ELSE COMMIT", TxCommit | TxRollback | ReadsTransaction},
	{"WAITFOR DELAY '0:0:1'", Waits},

	// Rows.
	{"INSERT INTO t VALUES (1)", insert},
	{"INSERT t (a) SELECT 1 UNION SELECT 2", insert},
	{"INSERT t DEFAULT VALUES", insert},
	{"INSERT INTO @t VALUES (1)", insert &^ Triggers},
	{"INSERT #t VALUES (1)", insert &^ Triggers},
	{"INSERT TOP (5) INTO #t SELECT 1", insert &^ Triggers},
	{"INSERT #t.x VALUES (1)", insert},
	{"UPDATE t SET a = 1", update},
	{"UPDATE t SET a = 1 FROM t JOIN u ON t.a = u.a", update},
	{"DELETE FROM t WHERE a = 1", update},
	{"DELETE t OUTPUT deleted.a INTO #x WHERE a = 1", update},
	{"DELETE t WHERE CURRENT OF c", update | UsesCursor},
	{"MERGE t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1 WHEN NOT MATCHED THEN INSERT VALUES (1) WHEN NOT MATCHED BY SOURCE THEN DELETE;", insert},
	{"WITH x AS (SELECT 1 AS a) INSERT t SELECT a FROM x", insert},
	{"WITH x AS (SELECT 1 AS a) DELETE x", update},
	{"INSERT t SELECT a FROM (DELETE u OUTPUT deleted.a) AS x", insert},
	{"TRUNCATE TABLE t", DDL},
	{"BULK INSERT t FROM 'f'", insert},
	{"INSERT BULK t (a int)", insert | BulkLoad},
	{"UPDATE STATISTICS t", Admin},
	{"INSERT t EXEC p", insert | procedure},
	{"INSERT t EXEC ('SELECT 1')", insert},
	{"WRITETEXT BULK t.a @p", Writes | BulkLoad},
	{"WRITETEXT t.a @p 'x'", Writes},

	// Values of the statement before.
	{"SELECT SCOPE_IDENTITY()", ReadsScopeIdentity},
	{"SELECT @@IDENTITY", ReadsIdentity},
	{"SELECT @@ROWCOUNT", ReadsRowCount},
	{"SELECT ROWCOUNT_BIG()", ReadsRowCount},
	{"SELECT @@ERROR", ReadsError},
	{"IF @@ERROR <> 0 SELECT 1", ReadsError},
	{"INSERT t VALUES (1) SELECT SCOPE_IDENTITY()", insert | ReadsOwnIdentity},
	{"INSERT t SELECT 1; SELECT SCOPE_IDENTITY()", insert | ReadsScopeIdentity},
	{"INSERT t (a) OUTPUT inserted.b VALUES (1); SELECT @@IDENTITY, @@ROWCOUNT", insert | ReadsOwnIdentity},
	{"IF 1 = 1 INSERT t VALUES (1); SELECT SCOPE_IDENTITY()", insert | ReadsScopeIdentity},
	{"UPDATE t SET a = 1; SELECT @@ROWCOUNT", update},
	{"SELECT 1 SELECT @@ROWCOUNT, @@ERROR", 0},
	{"SELECT 1, @@ROWCOUNT", ReadsRowCount},
	{"DECLARE @a int SELECT @a = @@ROWCOUNT", ReadsRowCount},
	{"SELECT @@FETCH_STATUS, @@CURSOR_ROWS, CURSOR_STATUS('local', 'c')", ReadsFetch},
	{"SELECT XACT_STATE()", ReadsTransaction},
	{"SELECT CONTEXT_INFO(), SESSION_CONTEXT(N'a')", ReadsContext},
	{"SELECT @@SPID", ReadsSPID},
	{"SELECT * FROM sys.dm_exec_sessions", ReadsSPID},
	{"SELECT IDENT_CURRENT('t'), @@VERSION, @@DATEFIRST", 0},

	// Settings.
	{"SET NOCOUNT ON", Assigns},
	{"SET ANSI_NULLS, QUOTED_IDENTIFIER ON", Assigns},
	{"SET STATISTICS IO, TIME ON", Assigns},
	{"SET DATEFIRST 1 SET DATEFORMAT dmy SET LANGUAGE us_english SET LOCK_TIMEOUT -1 SELECT 1", Assigns},
	{"USE a", Assigns},
	{"USE [a b] SELECT 1", Assigns},
	{"SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED SELECT 1", Assigns},
	{"SET DEADLOCK_PRIORITY LOW; SET CONTEXT_INFO 0x01", Assigns},
	{"SET IDENTITY_INSERT a.b ON INSERT a.b VALUES (1)", Assigns | insert},
	{"SET IDENTITY_INSERT #t ON", SettingLost},
	{"SET FIPS_FLAGGER 'full'", Assigns},
	{"SET DATEFIRST @a", SettingUnknown},
	{"SET LANGUAGE @a", SettingUnknown},
	{"SET CONTEXT_INFO @a", ContextUnknown},
	{"SET DATEFIRST 8", SettingUnknown},
	{"SET ROWCOUNT @a", SettingLost},
	{"IF 1 = 1 SET STATISTICS IO ON", SettingLost},
	{"SET DEADLOCK_PRIORITY @a", SettingUnknown},
	{"IF 1 = 1 SET NOCOUNT ON", SettingUnknown},
	{"IF 1 = 1 SET QUOTED_IDENTIFIER OFF", Assigns},
	{"IF 1 = 1 SELECT 1 SET NOCOUNT ON", Assigns},
	{"IF 1 = 1 BEGIN SELECT 1 END ELSE BEGIN SELECT 2 END SET NOCOUNT ON", Assigns},
	{"IF @@TRANCOUNT > 0 COMMIT TRAN set implicit_transactions off", TxCommit | ReadsTransaction | Assigns},
	{"RETURN SET NOCOUNT ON", SettingUnknown},
	{"BEGIN TRY SET NOCOUNT ON END TRY BEGIN CATCH SELECT 1 END CATCH", SettingUnknown},
	{"BEGIN SET NOCOUNT ON END", Assigns},
	{"a: SET NOCOUNT ON", SettingUnknown},
	{"UPDATE t SET a = 1 SET NOCOUNT ON", update | Assigns},
	{"INSERT t VALUES (1) SET NOCOUNT ON", insert | Assigns},
	{"ALTER DATABASE a SET RECOVERY SIMPLE WITH ROLLBACK IMMEDIATE", DDL | Triggers},
	{"ALTER DATABASE SCOPED CONFIGURATION SET MAXDOP = 1", DDL | Triggers},
	{"ALTER DATABASE SCOPED CONFIGURATION FOR SECONDARY SET MAXDOP = 1 SET NOCOUNT ON", DDL | Triggers | Assigns},
	{"ALTER TABLE t ADD a int SET NOCOUNT ON", DDL | Triggers | Modules | Assigns},
	{"ALTER TABLE t SET (LOCK_ESCALATION = AUTO)", DDL | Triggers | Modules},
	{"SET SHOWPLAN_ALL ON", Fixed},
	{"SET NOEXEC ON", Fixed},
	{"SET PARSEONLY ON", Fixed},
	{"SET FMTONLY ON SELECT 1 SET FMTONLY OFF", FixedEnds | FormatEnds},
	{"/* x */ SET FMTONLY ON;", Fixed | FormatOnly},
	{"SET FMTONLY ON SELECT 1", Fixed},
	{"SET FMTONLY, NOEXEC ON", Fixed},
	{"IF @@SPID > 0 SET FMTONLY ON", Fixed | ReadsSPID},
	{"SELECT a FROM t SET FMTONLY OFF", FixedEnds | FormatEnds},
	{"SET FMTONLY OFF SELECT 1", FixedEnds},
	{"IF 1 = 1 SET FMTONLY OFF", FixedEnds},
	{"SET FMTONLY, NOEXEC OFF", FixedEnds},
	{"EXEC sp_executesql N'SET FMTONLY OFF'", FixedEnds},
	{"SET NOCOUNT ON SET FMTONLY OFF", FixedEnds | Assigns | SettingUnknown | SettingLost},
	{"SET NOEXEC OFF", FixedEnds},
	{"SET FMTONLY ON SET NOCOUNT ON SET FMTONLY OFF", FixedEnds | Assigns | SettingUnknown | SettingLost},
	{"SET OFFSETS SELECT, FROM ON", Fixed},
	{"SET XYZ ON", Unknown},
	{"SET ERRLVL 1", Unknown},
	{"SET ANSI_NULLS @a", Unknown},

	// What a session holds.
	{"CREATE TABLE #t (a int REFERENCES u ON DELETE SET NULL ON UPDATE CASCADE)", DDL | TempTable},
	{"CREATE TABLE ##t (a int)", DDL | TempTable},
	{"CREATE TABLE tempdb..#t (a int)", DDL | TempTable},
	{"CREATE TABLE [#t] (a int)", DDL | TempTable},
	{"CREATE TABLE t (a int)", DDL | Triggers},
	{"SELECT a INTO #t FROM t", Writes | WritesIdentity | WritesScopeIdentity | TempTable},
	{"SELECT output INTO #t FROM t", Writes | WritesIdentity | WritesScopeIdentity | TempTable},
	{"SELECT a INTO t FROM u", Writes | WritesIdentity | WritesScopeIdentity | DDL | Triggers},
	{"INSERT t VALUES (1) SELECT 1 a INTO #t", insert | TempTable},
	{"SELECT a INTO dbo.#t FROM (SELECT 1 AS a) x", Writes | WritesIdentity | WritesScopeIdentity | TempTable},
	{"DROP TABLE #t", DDL | Ends},
	{"DROP TABLE IF EXISTS #t, tempdb..#u", DDL | Ends},
	{"DROP TABLE t", DDL | Triggers},
	{"IF OBJECT_ID('tempdb..#t') IS NOT NULL DROP TABLE #t", DDL | Ends},
	{"CREATE PROCEDURE #p AS SELECT 1", DDL | TempProcedure},
	{"DROP PROC #p", DDL | Ends},
	{"CREATE PROC p AS SET NOCOUNT ON CREATE TABLE #t (a int)", DDL | Triggers | Modules},
	{"CREATE OR ALTER PROCEDURE p AS EXEC q", DDL | Triggers | Modules},
	{"CREATE VIEW v AS SELECT 1", DDL | Triggers | Modules},
	{"CREATE INDEX i ON t (a) WITH (ONLINE = ON)", DDL | Triggers},
	{"ALTER TABLE t DROP COLUMN IF EXISTS a", DDL | Triggers | Modules},
	{"ALTER TABLE t ALTER COLUMN a int DROP TABLE #t", DDL | Triggers | Modules | Ends},
	{"CREATE FUNCTION f() RETURNS int AS BEGIN RETURN 1 END", DDL | Triggers | Modules},
	{"CREATE USER u WITHOUT LOGIN", DDL | Triggers | Modules},
	{"DROP VIEW IF EXISTS v", DDL | Triggers | Modules},
	{"DECLARE c CURSOR FOR SELECT 1", Cursor},
	{"DECLARE c CURSOR LOCAL FOR SELECT 1 OPEN c", UsesCursor},
	{"DECLARE c INSENSITIVE SCROLL CURSOR FOR SELECT 1 FOR UPDATE OF a", Cursor},
	{"DECLARE c CURSOR GLOBAL FOR WITH x AS (SELECT 1 a) SELECT a FROM x", Cursor},
	{"DECLARE @c CURSOR", 0},
	{"FETCH NEXT FROM c INTO @a", UsesCursor},
	{"CLOSE c DEALLOCATE c", UsesCursor | Ends},
	{"DEALLOCATE GLOBAL c", Ends},
	{"OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c", Key},
	{"OPEN MASTER KEY DECRYPTION BY PASSWORD = 'a'", Key},
	{"CLOSE ALL SYMMETRIC KEYS", Ends},
	{"DBCC TRACEON(1222)", Trace},
	{"DBCC TRACEOFF(1222)", Ends},
	{"DBCC CHECKIDENT('t')", Admin},
	{"DBCC SOMETHING", Unknown},
	{"EXECUTE AS USER = 'a'", Impersonates},
	{"EXEC AS LOGIN = 'a' WITH NO REVERT", Impersonates},
	{"REVERT", Reverts},
	{"SETUSER 'a'", Impersonates},
	{"SETUSER", Reverts},
	{"SETUSER SELECT 1", Reverts},

	// Procedures.
	{"sp_help t", WritesIdentity},
	{"sp_who2", WritesIdentity},
	{"EXEC sp_help", WritesIdentity},
	{"EXEC sys.sp_columns @table_name = N't'", WritesIdentity},
	{"EXEC sp_datatype_info_90 12, @ODBCVer = 3", WritesIdentity}, // which ODBC drivers call
	{"exec master..sp_help t", procedure},
	{"exec dbo.sp_help t", procedure},
	{"EXEC [sys].[sp_help]", WritesIdentity},
	{"EXEC master.sys.sp_help", WritesIdentity},
	{"EXEC dbo.sp_getapplock 'a', 'Shared', 'Session'", procedure | AppLock},
	{"EXEC master..sp_set_session_context N'a', 1", procedure | ContextUnknown},
	{"EXEC dbo.sp_executesql N'CREATE TABLE ##t (a int)'", procedure | DDL | TempTable},
	{"p", procedure},
	{"dbo.p 1, 2", procedure},
	{"[dbo].[p] @a = 1", procedure},
	{"EXEC p", procedure},
	{"EXEC @r = p 1, @b OUTPUT", procedure},
	{"EXEC x.sp_help", procedure},
	{"EXEC a.b.c.p", procedure | Remote},
	{"EXEC p SET NOCOUNT ON", procedure | Assigns},
	{"EXEC p 'a' WITH RECOMPILE SELECT 1", procedure},
	{"EXEC p;2 'a'", procedure},
	{"SELECT 1 p", 0},
	{"SELECT 1; p", Unknown | Unclear},
	{"EXEC @p", dynamic},
	{"EXEC (@a)", dynamic},
	{"EXEC ('SELECT ' + @a)", dynamic},
	{"EXEC ('SELECT 1')", 0},
	{"EXEC ('CREATE TABLE #t (a int)')", DDL},
	{"EXEC ('SELECT 1') AT s", Remote | Exec},
	{"EXEC ('SELECT 1') AS USER = 'a'", dynamic},
	{"EXEC sp_executesql N'SET NOCOUNT ON; USE a; SELECT SCOPE_IDENTITY()'", 0},
	{"EXEC sp_executesql N'BEGIN TRAN'", TxBegin},
	{"EXEC sp_executesql @a", dynamic},
	{"EXEC sp_executesql N'SET CONTEXT_INFO 0x01'", ContextUnknown},
	{"EXEC sp_executesql @stmt = N'EXEC (''DECLARE c CURSOR FOR SELECT ''''a'''''')'", Cursor},
	{"EXEC sp_executesql N'SELECT @a', N'@a int', @a = 1", 0},
	{"EXEC sp_executesql N'INSERT t VALUES (1)'", update | WritesIdentity},
	{"EXEC sp_executesql N'CREATE TABLE ##t (a int)'", DDL | TempTable},
	{"EXEC sp_executesql N'SET NOEXEC ON'", Fixed},
	{"EXEC sp_executesql N'it''s'", procedure | Unknown | Unclear},
	{"EXEC sp_getapplock 'a', 'Exclusive'", 0},
	{"EXEC sp_getapplock @Resource = 'a', @LockMode = 'Shared', @LockOwner = 'Session'", AppLock},
	{"EXEC sp_getapplock 'a', 'Shared', 'Transaction'", 0},
	{"EXEC sp_getapplock 'a', 'Shared', @o", AppLock},
	{"EXEC @r = sp_getapplock 'a', 'Shared', N'session'", AppLock},
	{"EXEC sp_releaseapplock 'a'", Ends},
	{"EXEC sp_set_session_context N'a', 1", Assigns},
	{"EXEC sp_set_session_context @key = N'a', @value = NULL", Assigns},
	{"EXEC sp_set_session_context N'a', @v", ContextUnknown},
	{"EXEC sp_set_session_context N'a', 1, 1", ContextUnknown},
	{"EXEC sp_set_session_context N'a', 1, @read_only = 0", Assigns},
	{"EXEC sp_set_session_context N'a', 'ü'", ContextUnknown},
	{"IF 1 = 1 EXEC sp_set_session_context N'a', 1", ContextUnknown},
	{"EXEC sp_bindsession 'a'", BoundSession},
	{"EXEC sp_setapprole 'a', 'b'", Impersonates},
	{"EXEC sp_unsetapprole @c", Reverts},
	{"sp_reset_connection", Resets},
	{"EXEC sp_prepare @h OUTPUT, N'', N'SELECT 1'", dynamic | Prepared},
	{"EXEC sp_unprepare 1", Prepared | Ends},
	{"EXEC sp_xml_preparedocument @h OUTPUT, @x", Document},
	{"EXEC sp_xml_removedocument @h", Ends},
	{"EXEC #p", procedure},
	{"EXEC p @@ROWCOUNT", procedure | ReadsRowCount},

	// The server's, and others'.
	{"GRANT SELECT, INSERT, EXECUTE ON t TO u SELECT 1", DDL | Triggers},
	{"DENY UPDATE ON t TO u", DDL | Triggers},
	{"REVOKE GRANT OPTION FOR SELECT ON t FROM u", DDL | Triggers},
	{"BACKUP DATABASE a TO DISK = 'b'", Admin},
	{"RESTORE DATABASE a FROM DISK = 'b'", Admin},
	{"CHECKPOINT", Admin},
	{"RECONFIGURE WITH OVERRIDE", Admin},
	{"KILL 55", Kill},
	{"SELECT * FROM s.d.dbo.t", Remote},
	{"SELECT * FROM s...t", Remote},
	{"SELECT * FROM d.dbo.t", 0},
	{"SELECT * FROM OPENQUERY(s, 'SELECT 1')", Remote},
	{"SEND ON CONVERSATION @h MESSAGE TYPE m", Writes},
	{"SELECT 1; RECEIVE TOP (1) a FROM q", Writes},
	{"END CONVERSATION @h", Writes},
	{"BEGIN DIALOG @h FROM SERVICE a TO SERVICE 'b'", Writes},
	{"BEGIN END CONVERSATION @h END", Writes},
	{"DISABLE TRIGGER a ON t", DDL | Triggers | Modules},
	{"ENABLE TRIGGER ALL ON DATABASE", DDL | Triggers | Modules},

	// What is not understood.
	{"1", Unknown | Unclear},
	{"SELECT 'a", Unknown | Unclear},
	{"SELECT /* a", Unknown | Unclear},
	{"SELECT (1", Unknown | Unclear},
	{"SELECT 1)", Unknown | Unclear},
	{"SELECT CASE 1", Unknown | Unclear},
	{"BEGIN SELECT 1", Unknown | Unclear},
	{"END", Unknown | Unclear},
	{"ELSE SELECT 1", Unknown | Unclear},
	{"SELECT\u00a01", Unknown | Unclear},
	{"SELECT 1 \x00", Unknown | Unclear},
	{"VALUES (1)", Unknown | Unclear},
	{"BEGIN ATOMIC SELECT 1 END", Unknown | Unclear},
}

func TestEffects(t *testing.T) {
	var a Analysis
	for _, c := range effects {
		Inspect(wire(c.sql), batch, &a)
		if a.Effects != c.want {
			t.Errorf("%s\n got %v\nwant %v", c.sql, a.Effects, c.want)
		}
	}
}

// TestSpelling checks that case, white space and comments do not matter.
func TestSpelling(t *testing.T) {
	var a Analysis
	for _, c := range effects {
		if strings.ContainsAny(c.sql, "'\"[/\x00\u00a0") || strings.Contains(c.sql, "--") {
			continue
		}
		for name, sql := range map[string]string{
			"upper case": strings.ToUpper(c.sql), "lower case": strings.ToLower(c.sql),
			"lines": strings.ReplaceAll(c.sql, " ", "\r\n\t"), "comments": strings.ReplaceAll(c.sql, " ", "/*'/*[*/ \"*/"),
			"line comments": strings.ReplaceAll(c.sql, " ", " -- ';\n"), "semicolons around": ";" + c.sql + ";",
		} {
			Inspect(wire(sql), batch, &a)
			if a.Effects != c.want && !(name == "semicolons around" && c.want&(Unknown|Exec|WritesIdentity|Resets) != 0) {
				t.Errorf("%s: %s\n got %v\nwant %v", name, sql, a.Effects, c.want)
			}
		}
	}
}

func TestWithin(t *testing.T) {
	var a Analysis
	for _, c := range []struct {
		sql  string
		want Effects
	}{
		{"SET NOCOUNT ON; SET DATEFIRST @a; USE a; SET IDENTITY_INSERT t ON", 0},
		{"SET CONTEXT_INFO 0x01", Assigns},
		{"EXEC sp_set_session_context N'a', 1", Assigns},
		{"CREATE TABLE #t (a int); SELECT 1 a INTO #u; DROP TABLE #t", DDL | Writes | WritesIdentity | Ends},
		{"CREATE TABLE ##t (a int)", DDL | TempTable},
		{"INSERT t VALUES (@a); SELECT SCOPE_IDENTITY()", update | WritesIdentity},
		{"SELECT SCOPE_IDENTITY()", 0},
		{"SELECT @@IDENTITY", ReadsIdentity},
		{"DECLARE c CURSOR FOR SELECT 1", Cursor},
		{"BEGIN TRAN", TxBegin},
	} {
		Inspect(wire(c.sql), within, &a)
		if a.Effects != c.want {
			t.Errorf("%s\n got %v\nwant %v", c.sql, a.Effects, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	var a Analysis
	for sql, want := range map[string]bool{
		"SELECT 1": true, "BEGIN TRAN; UPDATE t SET a = 1; COMMIT": true, "INSERT t VALUES (1); SELECT SCOPE_IDENTITY()": true,
		"EXEC p": false, "SELECT 1 a INTO #t": false, "SET NOCOUNT ON": false, "DECLARE c CURSOR FOR SELECT 1": false,
		"XYZ": false, "SELECT 1 xyz": true, "EXEC (@a)": false, "OPEN SYMMETRIC KEY a": false,
	} {
		Inspect(wire(sql), batch, &a)
		if a.Effects.Clean() != want {
			t.Errorf("%s: Clean is %v: %v", sql, !want, a.Effects)
		}
	}
}

func TestObjects(t *testing.T) {
	var a Analysis
	for sql, want := range map[string]string{
		"CREATE TABLE #T (a int) DROP TABLE #t":                           "0 #t, 1 #t",
		"SELECT 1 a INTO tempdb.dbo.[#a]]b]":                              "0 #a]b",
		"IF 1 = 1 CREATE TABLE ##t (a int)":                               "0? ##t",
		"DROP TABLE IF EXISTS #a, t, #b":                                  "1 #a, 1 #b",
		"CREATE PROC #p AS SELECT 1":                                      "2 #p",
		"DROP PROCEDURE #p":                                               "3 #p",
		"DECLARE C CURSOR FOR SELECT 1 DEALLOCATE c":                      "4 c, 5 c",
		"EXEC ('CREATE TABLE #t (a int) DROP TABLE #t')":                  "1? #t",
		"EXEC ('DROP TABLE #t')":                                          "1 #t",
		"DROP TABLE @x":                                                   "more",
		"SELECT 1 a INTO #a" + strings.Repeat(" DROP TABLE #a", 8):        "0 #a, 1 #a, 1 #a, 1 #a, 1 #a, 1 #a, 1 #a, 1 #a, more",
		"DROP TABLE #" + strings.Repeat("x", 128):                         "more",
		"BEGIN TRY CREATE TABLE #t (a int) END TRY BEGIN CATCH END CATCH": "0? #t",
	} {
		Inspect(wire(sql), batch, &a)
		var got []string
		for i := range a.ObjectLen() {
			o := a.Object(i)
			s := string('0' + rune(o.Op))
			if o.Conditional {
				s += "?"
			}
			got = append(got, s+" "+o.Name)
		}
		if a.MoreObjects {
			got = append(got, "more")
		}
		if g := strings.Join(got, ", "); g != want {
			t.Errorf("%s: %s, want %s", sql, g, want)
		}
	}
}

func TestCalls(t *testing.T) {
	var a Analysis
	for sql, want := range map[string]string{
		"p": "p", "EXEC a.[b c] 1 EXEC @r = d..e": "a.[b c] d..e", "sp_help": "", "EXEC a.b.c.d": "a.b.c.d",
		"SELECT 1 EXECUTE \"Ü\"": "\"Ü\"",
	} {
		text := wire(sql)
		Inspect(text, batch, &a)
		var got []string
		for i := range a.CallLen() {
			got = append(got, a.CallName(text, i))
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s: %q, want %q", sql, g, want)
		}
	}
	Inspect(wire(strings.Repeat("EXEC p ", 9)), batch, &a)
	if a.CallLen() != 8 || !a.MoreCalls {
		t.Errorf("%d calls, more: %v", a.CallLen(), a.MoreCalls)
	}
}

func TestDepth(t *testing.T) {
	var a Analysis
	Inspect(wire(strings.Repeat("IF 1 = 1 ", 100000)+"SELECT 1"), batch, &a)
	if a.Effects&Unclear == 0 {
		t.Error(a.Effects)
	}
}

func TestDigest(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"SELECT  a, N'x' /* c */ FROM [T] -- d\nWHERE b = 5 AND c = 0xFF AND d = $5", "select a, ? from [T] where b = ? and c = ? and d = ?"},
		{"EXEC sp_addlogin bob, secret, @a OUTPUT SELECT 1", "exec sp_addlogin ?, ?, @a output select ?"},
		{"dbo.p hush, N'x' SELECT b", "dbo.p ?, ? select b"},
		{"EXEC @r = p [secret], \"secret\"", "exec @r = p ?, ?"},
		{"CREATE LOGIN a WITH PASSWORD = 'secret'", "create login a with password = ?"},
		{"SELECT @@ROWCOUNT, @a", "select @@rowcount, @a"},
		{"EXECUTE AS USER = 'secret'", "execute as user = ?"},
		{"EXEC AS LOGIN = N'secret' WITH NO REVERT; EXEC p secret", "exec as login = ? with no revert; exec p ?"},
		{"SELECT 'a", "..."},
	} {
		got := string(AppendDigest(nil, wire(c.sql), true, 200))
		if strings.HasSuffix(c.want, "...") && strings.HasSuffix(got, "...") && !strings.Contains(got, "'") {
			continue
		}
		if !strings.EqualFold(got, c.want) {
			t.Errorf("%s\n got %s\nwant %s", c.sql, got, c.want)
		}
	}
	if got := string(AppendDigest(nil, wire("SELECT \"a\" FROM long_name"), false, 16)); got != "select ? from..." && len(got) > 16 {
		t.Errorf("%q", got)
	}
}
