package sqltext_test

import (
	"testing"

	. "forebay/internal/engine/sqlserver/sqltext"
)

// TestModule reads the definitions of modules: where the body begins, what of it outlives the module, and what only if it fails.
func TestModule(t *testing.T) {
	t.Parallel()
	var a Analysis
	for _, c := range []struct {
		sql           string
		left, failing Effects // of the effects that leave something
		calls         string
	}{
		{"CREATE PROCEDURE p AS SELECT 1", 0, 0, ""},
		{"CREATE OR ALTER PROC dbo.p @a AS int, @b varchar(9) = 'AS' OUTPUT WITH EXECUTE AS OWNER, RECOMPILE AS SET NOCOUNT ON", 0, 0, ""},
		{"CREATE PROC p (@a decimal(9, 2)) AS BEGIN EXEC q @a; EXEC dbo.r END", Exec, 0, "q dbo.r"},
		{"CREATE TRIGGER g ON t WITH EXECUTE AS SELF AFTER INSERT, UPDATE AS SET CONTEXT_INFO 0x01", Assigns, 0, ""},
		{"CREATE PROC p AS SET DATEFIRST 1; USE other; SET ROWCOUNT @n; EXECUTE AS USER = 'a'; SELECT 1; REVERT", 0, 0, ""},
		{"CREATE PROC p AS CREATE TABLE #t (a int); CREATE TABLE ##g (a int)", TempTable, 0, ""},
		{"CREATE PROC p AS SELECT 1 AS a INTO ##g; DROP TABLE ##g", 0, TempTable, ""},
		{"CREATE PROC p AS DECLARE c CURSOR FOR SELECT 1", Cursor, 0, ""},
		{"CREATE PROC p AS DECLARE c CURSOR LOCAL FOR SELECT 1", 0, 0, ""},
		{"CREATE PROC p AS IF 1 = 1 RETURN DECLARE c CURSOR FOR SELECT 1 OPEN c WHILE 1 = 1 BEGIN IF 1 = 2 BREAK FETCH c END CLOSE c DEALLOCATE c", 0, Cursor, ""},
		{"CREATE PROC p AS DECLARE c CURSOR FOR SELECT 1 WHILE 1 = 1 RETURN DEALLOCATE c", Cursor, 0, ""},
		{"CREATE PROC p AS DECLARE c CURSOR FOR SELECT 1 IF 1 = 1 DEALLOCATE c", Cursor, 0, ""},
		{"CREATE PROC p AS BEGIN TRY DECLARE c CURSOR FOR SELECT 1; DEALLOCATE c END TRY BEGIN CATCH PRINT '' END CATCH", Cursor, 0, ""},
		{"CREATE PROC p AS IF 1 = 1 BEGIN DECLARE c CURSOR FOR SELECT 1; DEALLOCATE c END ELSE PRINT ''", 0, Cursor, ""},
		{"CREATE PROC p AS DECLARE c CURSOR FOR SELECT 1; DEALLOCATE c; DECLARE d CURSOR FOR SELECT 1", Cursor, 0, ""},
		{"CREATE PROC p AS a: DECLARE c CURSOR FOR SELECT 1; IF 1 = 2 GOTO a; DEALLOCATE c", Cursor, 0, ""},
		{"CREATE PROC p AS OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c; CLOSE SYMMETRIC KEY k", 0, Key, ""},
		{"CREATE PROC p AS OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c; CLOSE ALL SYMMETRIC KEYS", 0, Key, ""},
		{"CREATE PROC p AS OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c; CLOSE SYMMETRIC KEY [l]", Key, 0, ""},
		{"CREATE PROC p AS EXEC sp_getapplock 'a', 'Exclusive', 'Session'; EXEC sp_releaseapplock 'a', 'Session'", 0, AppLock, ""},
		{"CREATE PROC p AS EXEC sp_getapplock 'a', 'Exclusive', 'Session'; EXEC sp_releaseapplock 'a'", AppLock, 0, ""},
		{"CREATE PROC p AS EXEC sp_getapplock @a, 'Exclusive', 'Session'; EXEC sp_releaseapplock @a, 'Session'", AppLock, 0, ""},
		{"CREATE PROC p AS EXEC (@sql)", Exec | Dynamic, 0, ""},
		{"CREATE PROC p AS EXEC sp_executesql N'EXEC dbo.q'", Exec, 0, "dbo.q"},
		{"CREATE PROC p AS DBCC TRACEON(1)", Trace, 0, ""},
		{"CREATE PROC p WITH NATIVE_COMPILATION, SCHEMABINDING AS BEGIN ATOMIC WITH (LANGUAGE = N'us_english', TRANSACTION ISOLATION LEVEL = SNAPSHOT) INSERT dbo.t VALUES (1) END", 0, 0, ""},
	} {
		body, ok := Body(wire(c.sql), true)
		if !ok {
			t.Errorf("%s: no body", c.sql)
			continue
		}
		Inspect(body, Mode{QuotedIdentifier: true, Within: true, Module: true}, &a)
		calls := ""
		for i := range a.CallLen() {
			if i > 0 {
				calls += " "
			}
			calls += a.CallName(body, i)
		}
		if got := left(a.Effects); got != c.left || a.Failing != c.failing || calls != c.calls || a.MoreCalls {
			t.Errorf("%s\n got %v, failing %v, calls %q, more %t\nwant %v, failing %v, calls %q", c.sql, got, a.Failing, calls, a.MoreCalls, c.left, c.failing, c.calls)
		}
	}
	for _, sql := range []string{"CREATE PROC p", "CREATE PROC p @a AS int", ""} {
		if _, ok := Body(wire(sql), true); ok {
			t.Errorf("%q has a body", sql)
		}
	}
}

// left are the effects of those that Clean does not let pass.
func left(e Effects) (out Effects) {
	for i := range 64 {
		if b := e & (1 << i); !b.Clean() {
			out |= b
		}
	}
	return out
}
