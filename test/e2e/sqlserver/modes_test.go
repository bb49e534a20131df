package sqlserver

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"
)

// before has a Forebay with TLS and so many server connections before a server; ca is what its clients trust.
func before(t *testing.T, p place, pool int) place {
	t.Helper()
	shown := p.server
	if shown == nil {
		stand := direct(t, tdsserver.Options{}) // for its certificate
		shown, p.ca = stand.server, stand.ca
	}
	f := testkit.StartForebaySQLServer(t, p.host, p.port, testkit.ForebayOptions{
		Users: map[string]string{p.user: p.password}, TLS: shown.TLS(), Change: func(p *resource.Proxy) { p.Pool.MaxConnections = pool },
	})
	p.host, p.port, p.through = f.Host, f.Port, true
	return p
}

// slow is a text that takes until it is canceled, or so long that it surely is. Babelfish has no WAITFOR.
func slow(p place) string {
	if p.server == nil {
		return busy
	}
	return "WAITFOR DELAY '01:00:00'"
}

// servers runs a test with a Forebay before a scripted server, and before the real one.
func servers(t *testing.T, test func(t *testing.T, p place)) { t.Helper(); serversPool(t, 1, test) }

// serversPool is servers with so many server connections to the real one.
func serversPool(t *testing.T, pool int, test func(t *testing.T, p place)) {
	t.Helper()
	t.Run("scripted", func(t *testing.T) {
		t.Parallel()
		test(t, before(t, direct(t, tdsserver.Options{}), 1))
	})
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		test(t, before(t, realServer(t), pool))
	})
}

// TestGoModes does with go-mssqldb what applications do with it, in each of its encryption modes, with two clients on one server
// connection.
func TestGoModes(t *testing.T) {
	t.Parallel()
	for _, encrypt := range []string{"disable", "false", "true", "strict"} {
		t.Run(encrypt, func(t *testing.T) {
			t.Parallel()
			servers(t, func(t *testing.T, p place) {
				db := openGo(t, p, "encrypt="+encrypt)
				a, b := conn(t, db), conn(t, db)
				useAll(t, p, a, b)
				if encrypt == "strict" {
					return // go-mssqldb 1.11 takes TDS 8.0 for older than 7.2 in bulk loads: the server refuses them, directly, too
				}
				loadSome(t, a, b)
			})
		})
	}
}

// babelfishError is the number of errors of Babelfish's that are none of SQL Server's.
const babelfishError = 33557097

func useAll(t *testing.T, p place, a, b *sql.Conn) {
	do(t, a, "CREATE TABLE dbo.used (id int NOT NULL PRIMARY KEY, s varchar(max) NULL)")
	count := func(want string) {
		t.Helper()
		for _, c := range []*sql.Conn{a, b} {
			expect(t, c, "SELECT CAST(COUNT(*) AS varchar(10)) FROM dbo.used", want)
		}
	}
	// Queries, with values that need several packets.
	long := strings.Repeat("forebay ", 20_000)
	for _, c := range []*sql.Conn{a, b, a} {
		var got string
		if err := c.QueryRowContext(t.Context(), "SELECT @p1", long).Scan(&got); err != nil || got != long {
			t.Errorf("%d bytes of %d, %v", len(got), len(long), err)
		}
	}
	// Prepared statements of both.
	for i := range 3 {
		for n, c := range []*sql.Conn{a, b} {
			var got int
			if err := c.QueryRowContext(t.Context(), fmt.Sprintf("SELECT @p1 + %d", n), i).Scan(&got); err != nil || got != i+n {
				t.Errorf("%d + %d is %d, %v", i, n, got, err)
			}
		}
	}
	// Transactions of each kind.
	tx, err := a.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "INSERT INTO dbo.used VALUES (@p1, @p2)", 1, "x"); err != nil {
		t.Error(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	count("0")
	do(t, b, "BEGIN TRAN")
	do(t, b, "INSERT INTO dbo.used VALUES (1, 'x')")
	do(t, b, "COMMIT TRAN")
	count("1")
	// Errors, within a transaction, too.
	if _, err := a.ExecContext(t.Context(), "INSERT INTO dbo.used VALUES (1, 'y')"); errNumber(err) != 2627 {
		t.Errorf("a key twice: %v", err)
	}
	do(t, a, "BEGIN TRAN")
	if _, err := a.ExecContext(t.Context(), "SELECT 1/0"); errNumber(err) != 8134 {
		t.Errorf("1/0: %v", err)
	}
	do(t, a, "IF @@TRANCOUNT > 0 ROLLBACK TRAN")
	if _, err := b.ExecContext(t.Context(), "SELECT * FROM dbo.nowhere"); errNumber(err) != 208 && (p.server != nil || errNumber(err) != babelfishError) {
		t.Errorf("a table that is not there: %v", err)
	}
	// A cancel: the server may be done before it comes.
	ctx, cancel := context.WithCancel(t.Context())
	stop := time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := a.ExecContext(ctx, slow(p)); err == nil && p.server != nil {
		t.Error("an hour has passed")
	}
	stop.Stop()
	cancel()
	expect(t, a, "SELECT 'a'", "a")
	expect(t, b, "SELECT 'b'", "b")
}

// loadSome loads some rows, before which the driver sets FMTONLY.
func loadSome(t *testing.T, a, b *sql.Conn) {
	st := copyIn(t, a, "dbo.used")
	for i := range 500 {
		if _, err := st.ExecContext(t.Context(), 100+i, "loaded"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.ExecContext(t.Context()); err != nil {
		t.Error(err)
	}
	expect(t, b, "SELECT CAST(COUNT(*) AS varchar(10)) FROM dbo.used WHERE s = 'loaded'", "500")
	expect(t, b, tranCount, "0")
}

// TestProgramsShare has two connections of other drivers share one server connection, in their encryption modes.
func TestProgramsShare(t *testing.T) {
	t.Parallel()
	t.Run("tedious", func(t *testing.T) {
		t.Parallel()
		node, modules := tedious(t)
		for _, encrypt := range []string{"false", "true", "strict"} {
			t.Run(encrypt, func(t *testing.T) {
				t.Parallel()
				servers(t, func(t *testing.T, p place) {
					said(t, program(t, p, nil, "", node, "testdata/share.js", modules, p.host, strconv.Itoa(p.port), p.user, p.database, p.ca, encrypt, slow(p)))
				})
			})
		}
	})
	share := func(module, driver string, versions, encryptions []string) {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			python, pool := pythonWith(t, module), 1
			if driver != "" {
				driver = odbc(t)
				pool = 4 // Babelfish has not all procedures that this driver calls, and one that is not known pins
			}
			for _, version := range versions {
				for _, encryption := range encryptions {
					t.Run(version+"/"+encryption, func(t *testing.T) {
						t.Parallel()
						serversPool(t, pool, func(t *testing.T, p place) {
							said(t, program(t, p, nil, "", python, "testdata/share.py", module, p.host, strconv.Itoa(p.port), p.user, p.database, version, encryption, driver, slow(p)))
						})
					})
				}
			}
		})
	}
	share("pymssql", "", []string{"7.2", "7.3"}, []string{"request"})
	share("pyodbc", "FreeTDS", []string{"7.2", "7.4"}, []string{"off", "request", "require"})
	t.Run("tsql", func(t *testing.T) {
		t.Parallel()
		tsql, err := exec.LookPath("tsql")
		if err != nil {
			t.Skip("needs FreeTDS's tsql: scripts/install-servers freetds")
		}
		for _, encryption := range []string{"off", "request", "require"} {
			t.Run(encryption, func(t *testing.T) {
				t.Parallel()
				servers(t, func(t *testing.T, p place) {
					text := "CREATE TABLE dbo.shared (id int NOT NULL PRIMARY KEY, s varchar(50) NULL)\ngo\nBEGIN TRAN\ngo\nINSERT INTO dbo.shared VALUES (1, 'x')\ngo\n" +
						"ROLLBACK\ngo\nINSERT INTO dbo.shared VALUES (2, 'y')\ngo\nINSERT INTO dbo.shared VALUES (2, 'z')\ngo\nSELECT 40 + COUNT(*) FROM dbo.shared\ngo\n" +
						"PRINT 'hello'\ngo\nUSE master\ngo\nSELECT DB_NAME()\ngo\nexit\n"
					for range 2 { // the second one finds the table, and the database of its log-in
						out := program(t, p, freeTDS(t, p, "7.4", encryption), text, tsql, "-S", "forebay", "-U", p.user, "-P", p.password, "-D", p.database, "-o", "q")
						lines := strings.Split(out, "\n")
						for _, want := range []string{"41", "hello", "master"} {
							if !slices.Contains(lines, want) {
								t.Errorf("no line %q in\n%s", want, out)
							}
						}
						if !strings.Contains(out, "Msg 2627 (severity 14") {
							t.Errorf("no error 2627 in\n%s", out)
						}
					}
				})
			})
		}
	})
}
