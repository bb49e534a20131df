package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// realDSN names the environment variable with a real server, for which there is no package: the tests below make a database of
// their own there, and drop it.
const realDSN = "FOREBAY_TEST_SQLSERVER_DSN"

// realDatabases counts the databases of these tests: each has its own.
var realDatabases atomic.Int32

// realCatalog is held while a database is made or dropped: Babelfish cannot do two of these at once.
var realCatalog sync.Mutex

// realPlace is the server that the environment names.
func realPlace(t *testing.T) place {
	t.Helper()
	dsn := os.Getenv(realDSN)
	if dsn == "" {
		t.Skip(realDSN + " names no server (sqlserver://user:password@host:port?database=...)")
	}
	u, err := url.Parse(dsn)
	if err != nil || u.User == nil {
		t.Fatal(realDSN + " is no URL of the form sqlserver://user:password@host:port?database=...") // not err: it has the password
	}
	p := place{host: u.Hostname(), port: 1433, user: u.User.Username(), database: u.Query().Get("database")}
	p.password, _ = u.User.Password()
	if u.Port() != "" {
		if p.port, err = strconv.Atoi(u.Port()); err != nil {
			t.Fatal(realDSN + " names no port")
		}
	}
	if p.database == "" {
		p.database = "master"
	}
	return p
}

// realServer is that server, with an empty database.
func realServer(t *testing.T) place {
	t.Helper()
	p := realPlace(t)
	p.database = fmt.Sprintf("forebay_e2e_%d", realDatabases.Add(1))
	db, err := sql.Open("sqlserver", os.Getenv(realDSN))
	if err != nil {
		t.Fatal(realDSN + " is no URL for go-mssqldb") // not err: it could quote the password
	}
	exec := func(ctx context.Context, text string) {
		if _, err := db.ExecContext(ctx, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	t.Cleanup(func() {
		realCatalog.Lock()
		defer realCatalog.Unlock()
		// Server connections that Forebay has just closed may still be on their way out.
		for range 100 {
			if _, err = db.Exec("DROP DATABASE IF EXISTS " + p.database); err == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Error(err)
		}
	})
	realCatalog.Lock()
	defer realCatalog.Unlock()
	exec(t.Context(), "DROP DATABASE IF EXISTS "+p.database)
	exec(t.Context(), "CREATE DATABASE "+p.database)
	if t.Failed() {
		t.FailNow()
	}
	return p
}

// pair are two clients of a Forebay with one server connection before a real server.
type pair struct {
	a, b *sql.Conn
	db   *sql.DB
	p    place
	f    *testkit.Forebay
}

func newPair(t *testing.T, p place) pair {
	t.Helper()
	f := testkit.StartForebaySQLServer(t, p.host, p.port, testkit.ForebayOptions{
		Users: map[string]string{p.user: p.password}, Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
	})
	p.host, p.port = f.Host, f.Port
	db := openGo(t, p, "encrypt=disable")
	return pair{conn(t, db), conn(t, db), db, p, f}
}

// waiting waits until so many clients wait for the server connection.
func (r pair) waiting(t *testing.T, n int) {
	t.Helper()
	for r.f.Plane.Collect().Proxies[0].Target.Pool.Waiting != n {
		if t.Context().Err() != nil {
			t.Fatal("nobody waits")
		}
		time.Sleep(time.Millisecond)
	}
}

// expect wants a value; of what is filled up with zeros, without them.
func expect(t *testing.T, c *sql.Conn, text, want string) {
	t.Helper()
	if got := strings.TrimRight(ask(t, c, text), "\x00"); got != want {
		t.Errorf("%s: %s, want %s", text, got, want)
	}
}

// busy keeps the server for a while: a second or so.
const busy = "DECLARE @i int = 0; WHILE @i < 30000 SET @i = @i + 1; SELECT @i"

const (
	tranCount   = "SELECT CAST(@@TRANCOUNT AS varchar(10))"
	lockTimeout = "SELECT CAST(@@LOCK_TIMEOUT AS varchar(10))"
	sessionID   = "SELECT CAST(@@SPID AS varchar(10))"
	contextInfo = "SELECT CONTEXT_INFO()"
)

// TestRealServer has two clients share one connection of a real server, by what is seen to differ from one server to another.
func TestRealServer(t *testing.T) {
	t.Parallel()
	server := realServer(t)
	for name, test := range map[string]func(t *testing.T, r pair){
		"transactions": realTransactions, "reset": realReset, "prepared": realPrepared, "context_info": realContextInfo,
		"identity": realIdentity, "temporary table": realTemporaryTable, "attention": realAttention, "leaver": realLeaver,
	} {
		t.Run(name, func(t *testing.T) { test(t, newPair(t, server)) }) // one after the other: the server may be small
	}
}

// realTransactions has transactions that texts begin, of which Babelfish does not tell, and some that requests begin.
func realTransactions(t *testing.T, r pair) {
	do(t, r.a, "CREATE TABLE dbo.tx (a int)")
	ways := map[string]func() (end func(commit bool)){
		"text": func() func(bool) {
			do(t, r.a, "BEGIN TRAN")
			return func(commit bool) {
				if commit {
					do(t, r.a, "COMMIT TRAN")
				} else {
					do(t, r.a, "ROLLBACK TRAN")
				}
			}
		},
		"dynamic text": func() func(bool) {
			// It ends with the error that there are more transactions than before.
			if _, err := r.a.ExecContext(t.Context(), "DECLARE @t varchar(20) = 'BEGIN TRAN'; EXEC (@t)"); err != nil && errNumber(err) != 266 {
				t.Fatal(err)
			}
			return func(commit bool) {
				if commit {
					do(t, r.a, "IF @@TRANCOUNT > 0 COMMIT TRAN")
				} else {
					do(t, r.a, "IF @@TRANCOUNT > 0 ROLLBACK TRAN")
				}
				// A text that cannot be read pins until the client asks for a reset.
				if err := r.a.Close(); err != nil {
					t.Fatal(err)
				}
				r.a = conn(t, r.db)
				do(t, r.a, "SELECT 1")
			}
		},
		"implicit": func() func(bool) {
			do(t, r.a, "SET IMPLICIT_TRANSACTIONS ON")
			return func(commit bool) {
				if commit {
					do(t, r.a, "COMMIT TRAN")
				} else {
					do(t, r.a, "ROLLBACK TRAN")
				}
				do(t, r.a, "SET IMPLICIT_TRANSACTIONS OFF")
			}
		},
		"request": func() func(bool) {
			tx, err := r.a.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return func(commit bool) {
				end := tx.Rollback
				if commit {
					end = tx.Commit
				}
				if err := end(); err != nil {
					t.Error(err)
				}
			}
		},
	}
	rows := 0
	for name, begin := range ways {
		for _, commit := range []bool{true, false} {
			end := begin()
			do(t, r.a, "INSERT INTO dbo.tx VALUES (1)")
			var wg sync.WaitGroup
			var got string
			var err error
			wg.Go(func() {
				err = r.b.QueryRowContext(t.Context(), "SELECT CAST(COUNT(*) AS varchar(10)) + '/' + CAST(@@TRANCOUNT AS varchar(10)) FROM dbo.tx").Scan(&got)
			})
			r.waiting(t, 1) // the server connection is not shared
			expect(t, r.a, tranCount, "1")
			end(commit)
			if commit {
				rows++
			}
			wg.Wait()
			if want := fmt.Sprintf("%d/0", rows); err != nil || got != want {
				t.Errorf("%s, commit %v: the other client sees %s, %v; want %s", name, commit, got, err, want)
			}
			expect(t, r.a, tranCount, "0")
		}
	}
	// An error within, which ends the transaction.
	do(t, r.a, "SET XACT_ABORT ON")
	do(t, r.a, "BEGIN TRAN")
	do(t, r.a, "INSERT INTO dbo.tx VALUES (2)")
	if _, err := r.a.ExecContext(t.Context(), "INSERT INTO dbo.tx VALUES (1/0)"); err == nil {
		t.Error("1/0 is no error")
	}
	expect(t, r.b, "SELECT CAST(COUNT(*) AS varchar(10)) FROM dbo.tx WHERE a = 2", "0")
	expect(t, r.b, tranCount, "0")
	expect(t, r.a, tranCount, "0")
}

// realReset has settings of each, over one server connection: Babelfish acknowledges a reset behind a first DONE, and keeps the
// isolation level.
func realReset(t *testing.T, r pair) {
	const isolation = "SELECT CAST(transaction_isolation_level AS varchar(10)) FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
	expect(t, r.a, sessionID, ask(t, r.b, sessionID))
	other, own := ask(t, r.b, isolation), ""
	do(t, r.a, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
	if own = ask(t, r.a, isolation); own == other {
		t.Fatalf("the isolation level stays %s", own)
	}
	do(t, r.a, "SET LOCK_TIMEOUT 1234")
	do(t, r.a, "USE master")
	do(t, r.b, "SET DATEFIRST 3")
	for range 3 {
		expect(t, r.b, lockTimeout, "-1")
		expect(t, r.b, "SELECT DB_NAME()", r.p.database)
		expect(t, r.b, isolation, other)
		expect(t, r.b, "SELECT CAST(@@DATEFIRST AS varchar(10))", "3")
		expect(t, r.a, lockTimeout, "1234")
		expect(t, r.a, "SELECT DB_NAME()", "master")
		expect(t, r.a, isolation, own)
		expect(t, r.a, "SELECT CAST(@@DATEFIRST AS varchar(10))", "7")
	}
	// The driver's own reset, with which a connection comes out of its pool again.
	db := openGo(t, r.p, "encrypt=disable")
	db.SetMaxOpenConns(1)
	for range 3 {
		c := conn(t, db)
		expect(t, c, lockTimeout, "-1")
		do(t, c, "SET LOCK_TIMEOUT 77")
		expect(t, r.a, lockTimeout, "1234")
		expect(t, c, lockTimeout, "77")
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// realPrepared has statements of each, turn by turn, with a reset in between.
func realPrepared(t *testing.T, r pair) {
	prepare := func(c *sql.Conn, text string) *sql.Stmt {
		s, err := c.PrepareContext(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() }) // after its connection, maybe
		return s
	}
	pa, pb := prepare(r.a, "SELECT @p1 + 1"), prepare(r.b, "SELECT @p1 + 2")
	for i := range 4 {
		var na, nb int
		if err := pa.QueryRowContext(t.Context(), i).Scan(&na); err != nil || na != i+1 {
			t.Errorf("%d, %v; want %d", na, err, i+1)
		}
		do(t, r.a, "SET LOCK_TIMEOUT "+strconv.Itoa(i)) // so that there is something to reset
		if err := pb.QueryRowContext(t.Context(), i).Scan(&nb); err != nil || nb != i+2 {
			t.Errorf("%d, %v; want %d", nb, err, i+2)
		}
	}
}

// realContextInfo has a client set what Babelfish's reset leaves.
func realContextInfo(t *testing.T, r pair) {
	for i := range 2 {
		do(t, r.a, "SET CONTEXT_INFO 0x0102")
		if i == 0 {
			expect(t, r.b, contextInfo, "NULL")
		}
		expect(t, r.a, contextInfo, "\x01\x02")
		do(t, r.b, "SET CONTEXT_INFO 0x0304")
		expect(t, r.a, contextInfo, "\x01\x02")
		expect(t, r.b, contextInfo, "\x03\x04")
	}
	db := openGo(t, r.p, "encrypt=disable")
	expect(t, conn(t, db), contextInfo, "NULL")
}

// realIdentity reads an identity in a later request than the one that made it, when another client has had the connection.
func realIdentity(t *testing.T, r pair) {
	do(t, r.a, "CREATE TABLE dbo.ids (id int IDENTITY(10, 10) PRIMARY KEY, a int)")
	for i := range 3 {
		do(t, r.a, "INSERT INTO dbo.ids (a) VALUES (1)")
		do(t, r.b, "INSERT INTO dbo.ids (a) VALUES (2), (2)")
		a, b := strconv.Itoa(10+30*i), strconv.Itoa(30+30*i)
		for _, x := range []struct {
			c    *sql.Conn
			want string
		}{{r.a, a}, {r.b, b}, {r.a, a}} {
			// Right, or not known any more (on Babelfish, where none can be put back): never another one.
			var got sql.NullString
			err := x.c.QueryRowContext(t.Context(), "SELECT CAST(@@IDENTITY AS varchar(10))").Scan(&got)
			if err != nil && errNumber(err) != 40197 || err == nil && got.String != x.want {
				t.Errorf("@@IDENTITY is %q, %v; want %s", got.String, err, x.want)
			}
		}
	}
}

// realTemporaryTable has a table keep its client's server connection until it is dropped.
func realTemporaryTable(t *testing.T, r pair) {
	do(t, r.a, "CREATE TABLE #t (a int)")
	do(t, r.a, "INSERT INTO #t VALUES (1), (2)")
	var wg sync.WaitGroup
	var got sql.NullString
	var err error
	wg.Go(func() { err = r.b.QueryRowContext(t.Context(), "SELECT OBJECT_ID('tempdb..#t')").Scan(&got) })
	r.waiting(t, 1)
	expect(t, r.a, "SELECT CAST(COUNT(*) AS varchar(10)) FROM #t", "2")
	do(t, r.a, "DROP TABLE #t")
	wg.Wait()
	if err != nil || got.Valid {
		t.Errorf("the other client finds %s, %v", got.String, err)
	}
}

// realAttention has a client cancel what runs. Babelfish looks at an attention only when the statement has ended.
func realAttention(t *testing.T, r pair) {
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		stop := time.AfterFunc(50*time.Millisecond, cancel)
		var s string
		if err := r.a.QueryRowContext(ctx, busy).Scan(&s); err == nil && s != "30000" {
			t.Errorf("not canceled: %s", s)
		}
		stop.Stop()
		cancel()
		expect(t, r.b, "SELECT 'b'", "b")
		expect(t, r.a, "SELECT 'a'", "a") // and its connection has lived on
	}
}

// realLeaver has clients leave in the middle of things.
func realLeaver(t *testing.T, r pair) {
	do(t, r.b, "CREATE TABLE dbo.left_behind (a int)")
	for _, text := range []string{
		"BEGIN TRAN; INSERT INTO dbo.left_behind VALUES (1)", "CREATE TABLE #t (a int)", "SET LOCK_TIMEOUT 77", "SET CONTEXT_INFO 0x0102",
	} {
		db := openGo(t, r.p, "encrypt=disable")
		c := conn(t, db)
		do(t, c, text)
		if err := c.Raw(func(any) error { return errors.New("away with it") }); err == nil {
			t.Fatal("it stays")
		}
		_ = c.Close() // it may be closed by that
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		expect(t, r.b, "SELECT CAST(COUNT(*) AS varchar(10)) FROM dbo.left_behind", "0")
		expect(t, r.b, tranCount, "0")
		expect(t, r.b, lockTimeout, "-1")
		expect(t, r.b, contextInfo, "NULL")
		expect(t, r.b, "SELECT OBJECT_ID('tempdb..#t')", "NULL")
	}
}
