package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"
)

// narrow is a Forebay with one server connection before a server.
func narrow(t *testing.T, o tdsserver.Options) (place, *testkit.Forebay) {
	t.Helper()
	p := direct(t, o)
	f := testkit.StartForebaySQLServer(t, p.host, p.port, testkit.ForebayOptions{
		Users: map[string]string{p.user: p.password}, TLS: p.server.TLS(),
		Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
	})
	p.host, p.port = f.Host, f.Port
	return p, f
}

// likes are servers that differ from one another as SQL Server's versions and Babelfish do.
var likes = map[string]tdsserver.Options{
	"sqlserver": {},
	"babelfish": {NoTransactionEnv: true, KeepsIsolation: true, ResetAfterDone: true, SkipTransactionBad: true},
	"talkative": {InTransactionBit: true, AttentionInside: true},
	"keeping":   returning["babelfish"], // whose reset leaves what Babelfish's does
}

func conn(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // closed already, where the test has ended well
	return c
}

func do(t *testing.T, c *sql.Conn, text string, args ...any) {
	t.Helper()
	if _, err := c.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func ask(t *testing.T, c *sql.Conn, text string, args ...any) string {
	t.Helper()
	var s sql.NullString
	if err := c.QueryRowContext(t.Context(), text, args...).Scan(&s); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !s.Valid {
		return "NULL"
	}
	return s.String
}

// TestShared has two clients share one server connection, turn by turn: each sees its own session.
func TestShared(t *testing.T) {
	t.Parallel()
	for name, o := range likes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Databases = []string{"app", "other"}
			p, _ := narrow(t, o)
			db := openGo(t, p)
			a, b := conn(t, db), conn(t, db)
			check := func(c *sql.Conn, text, want string) {
				t.Helper()
				if got := ask(t, c, text); got != want {
					t.Errorf("%s: %s, want %s", text, got, want)
				}
			}
			const isolation = "SELECT CAST(transaction_isolation_level AS varchar(10)) FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
			do(t, a, "SET LOCK_TIMEOUT 1234")
			do(t, a, "USE other")
			do(t, a, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
			do(t, b, "SET DATEFIRST 3")
			for range 2 {
				check(b, "SELECT CAST(@@LOCK_TIMEOUT AS varchar(10))", "-1")
				check(b, "SELECT DB_NAME()", "app")
				check(b, isolation, "2")
				check(a, "SELECT CAST(@@LOCK_TIMEOUT AS varchar(10))", "1234")
				check(a, "SELECT DB_NAME()", "other")
				check(a, isolation, "4")
				check(a, "SELECT CAST(@@DATEFIRST AS varchar(10))", "7")
				check(b, "SELECT CAST(@@DATEFIRST AS varchar(10))", "3")
			}
			// Prepared statements of both.
			pa, err := a.PrepareContext(t.Context(), "SELECT @p1 + 1")
			if err != nil {
				t.Fatal(err)
			}
			defer pa.Close()
			pb, err := b.PrepareContext(t.Context(), "SELECT @p1 + 2")
			if err != nil {
				t.Fatal(err)
			}
			defer pb.Close()
			for i := range 3 {
				var na, nb int
				if err := pa.QueryRowContext(t.Context(), i).Scan(&na); err != nil || na != i+1 {
					t.Errorf("%d, %v", na, err)
				}
				if err := pb.QueryRowContext(t.Context(), i).Scan(&nb); err != nil || nb != i+2 {
					t.Errorf("%d, %v", nb, err)
				}
				do(t, b, "EXEC sp_who")
			}
			if n := len(p.server.Sessions()); n != 1 {
				t.Errorf("%d server connections, want 1", n)
			}
		})
	}
}

// TestSharedTransactions has clients take turns with transactions, begun in each way.
func TestSharedTransactions(t *testing.T) {
	t.Parallel()
	for name, o := range likes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := narrow(t, o)
			db := openGo(t, p)
			setup := conn(t, db)
			do(t, setup, "CREATE TABLE dbo.n (who int, what int)")
			const clients, rounds = 4, 6
			var wg sync.WaitGroup
			for who := range clients {
				wg.Add(1)
				go func() {
					defer wg.Done()
					c, err := db.Conn(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					exec := func(text string) {
						if _, err := c.ExecContext(t.Context(), text); err != nil {
							t.Errorf("%s: %v", text, err)
						}
					}
					for i := range rounds {
						switch i % 3 {
						case 0:
							exec("BEGIN TRAN")
							exec(fmt.Sprintf("INSERT INTO dbo.n VALUES (%d, %d)", who, i))
							exec("COMMIT TRAN")
						case 1:
							tx, err := c.BeginTx(t.Context(), nil)
							if err != nil {
								t.Error(err)
								return
							}
							if _, err := tx.Exec("INSERT INTO dbo.n VALUES (@p1, @p2)", who, i); err != nil {
								t.Error(err)
							}
							if err := tx.Commit(); err != nil {
								t.Error(err)
							}
						case 2:
							exec("BEGIN TRAN")
							exec("INSERT INTO dbo.n VALUES (-1, -1)")
							exec("ROLLBACK TRAN")
						}
					}
				}()
			}
			wg.Wait()
			if got, want := ask(t, setup, "SELECT COUNT(*) FROM dbo.n"), fmt.Sprint(clients*rounds*2/3); got != want {
				t.Errorf("%s rows, want %s", got, want)
			}
			if got := ask(t, setup, "SELECT @@TRANCOUNT"); got != "0" {
				t.Errorf("%s transactions are open", got)
			}
		})
	}
}

// TestLeaver has clients leave in the middle of things: the next one finds nothing of theirs.
func TestLeaver(t *testing.T) {
	t.Parallel()
	for name, o := range likes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := narrow(t, o)
			stays := conn(t, openGo(t, p))
			do(t, stays, "CREATE TABLE dbo.n (a int)")
			for _, text := range []string{"BEGIN TRAN; INSERT INTO dbo.n VALUES (1)", "CREATE TABLE #t (a int)", "SET LOCK_TIMEOUT 77", "SET XACT_ABORT ON"} {
				db := openGo(t, p)
				c := conn(t, db)
				do(t, c, text)
				if err := c.Raw(func(any) error { return errors.New("away with it") }); err == nil {
					t.Fatal("it stays")
				}
				_ = c.Close() // it may be closed by that
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				if got := ask(t, stays, "SELECT COUNT(*) FROM dbo.n"); got != "0" {
					t.Errorf("after %s: %s rows", text, got)
				}
				if got := ask(t, stays, "SELECT CAST(@@LOCK_TIMEOUT AS varchar(10))"); got != "-1" {
					t.Errorf("after %s: LOCK_TIMEOUT is %s", text, got)
				}
				if got := ask(t, stays, "SELECT OBJECT_ID('tempdb..#t')"); got != "NULL" {
					t.Errorf("after %s: #t is there", text)
				}
				if got := ask(t, stays, "SELECT @@TRANCOUNT"); got != "0" {
					t.Errorf("after %s: a transaction is open", text)
				}
			}
		})
	}
}

// TestCancelWhileWaiting has a client withdraw a request that waits for a server connection.
func TestCancelWhileWaiting(t *testing.T) {
	t.Parallel()
	p, _ := narrow(t, tdsserver.Options{})
	db := openGo(t, p)
	holder, waiter := conn(t, db), conn(t, db)
	do(t, holder, "BEGIN TRAN")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
	if _, err := waiter.ExecContext(ctx, "SELECT 1"); err == nil {
		t.Fatal("the request has been served")
	}
	// Its connection has survived that, if the acknowledgement has come.
	do(t, holder, "COMMIT TRAN")
	if got := ask(t, waiter, "SELECT @@TRANCOUNT"); got != "0" {
		t.Errorf("the client sees %s", got)
	}
}

// TestLostServer ends the server connection under clients.
func TestLostServer(t *testing.T) {
	t.Parallel()
	p, _ := narrow(t, tdsserver.Options{})
	c := conn(t, openGo(t, p))
	do(t, c, "SELECT 1")
	p.server.KillAll()
	p.server.Wait(t, "no session", func(s []tdsserver.Session) bool { return len(s) == 0 })
	do(t, c, "SELECT 1") // over a new one
	do(t, c, "BEGIN TRAN")
	p.server.KillAll()
	if _, err := c.ExecContext(t.Context(), "SELECT 1"); errNumber(err) != 40197 {
		t.Errorf("the lost transaction is told by %v", err)
	}
	do(t, c, "SELECT 1")
	if got := ask(t, c, "SELECT @@TRANCOUNT"); got != "0" {
		t.Errorf("%s transactions", got)
	}
}

// TestPreparedByName has clients that share a server connection use handles that the driver sends as bigint.
func TestPreparedByName(t *testing.T) {
	t.Parallel()
	p, f := narrow(t, tdsserver.Options{})
	db := openGo(t, p)
	a, b := conn(t, db), conn(t, db)
	prepare := func(c *sql.Conn, text string) (h int64) {
		t.Helper()
		do(t, c, "sp_prepare", sql.Named("handle", sql.Out{Dest: &h}), "@a int", text, 1)
		return h
	}
	ha, hb := prepare(a, "SELECT @a + 100"), prepare(b, "SELECT @a + 200")
	for i := range 3 {
		if got := ask(t, a, "sp_execute", ha, i); got != fmt.Sprint(100+i) {
			t.Errorf("a executes %s", got)
		}
		do(t, b, "EXEC sp_who")
		if got := ask(t, b, "sp_execute", hb, i); got != fmt.Sprint(200+i) {
			t.Errorf("b executes %s", got)
		}
	}
	do(t, a, "sp_unprepare", ha)
	if _, err := a.ExecContext(t.Context(), "sp_execute", ha, 1); errNumber(err) != 8179 {
		t.Errorf("what is unprepared: %v", err)
	}
	if _, err := a.ExecContext(t.Context(), "sp_execute", hb+1<<32, 1); errNumber(err) != 8179 {
		t.Errorf("a handle that is too large: %v", err)
	}
	if pins := f.Plane.Pins(); pins.PinnedTotal > 0 {
		t.Errorf("pinned: %+v", pins)
	}
}
