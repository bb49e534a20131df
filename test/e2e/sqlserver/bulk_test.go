package sqlserver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"
)

// bulkRows are as many as a bulk load has, but before the scripted servers that differ in other things alone.
func bulkRows(like string) int {
	if like == "sqlserver" || like == "server" {
		return 100_000
	}
	return 3_000
}

// sharing runs a test with two clients of a Forebay with one server connection, before scripted servers and before the real one.
func sharing(t *testing.T, test func(t *testing.T, like string, r pair)) {
	for name, o := range likes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, f := narrow(t, o)
			db := openGo(t, p, "encrypt=disable")
			test(t, name, pair{conn(t, db), conn(t, db), db, p, f})
		})
	}
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		test(t, "server", newPair(t, realServer(t)))
	})
}

// copyIn prepares a bulk load of a table of two columns on a connection.
func copyIn(t *testing.T, c *sql.Conn, table string) *sql.Stmt {
	t.Helper()
	st, err := c.PrepareContext(t.Context(), mssql.CopyIn(table, mssql.BulkOptions{}, "id", "s"))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestBulk loads many rows with go-mssqldb, while another client waits for the server connection.
func TestBulk(t *testing.T) {
	t.Parallel()
	sharing(t, func(t *testing.T, like string, r pair) {
		n := bulkRows(like)
		do(t, r.a, "CREATE TABLE dbo.loaded (id int NOT NULL, s varchar(20) NULL)")
		st := copyIn(t, r.a, "dbo.loaded")
		for i := range n {
			if _, err := st.ExecContext(t.Context(), i, fmt.Sprint("row ", i)); err != nil {
				t.Fatal(err)
			}
		}
		res, err := st.ExecContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := res.RowsAffected(); err != nil || got != int64(n) {
			t.Errorf("%d rows affected, %v", got, err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		whole(t, r.b, "dbo.loaded", n)
		clean(t, r)
	})
}

// whole checks that all rows of a bulk load are in a table.
func whole(t *testing.T, c *sql.Conn, table string, n int) {
	t.Helper()
	expect(t, c, "SELECT CAST(COUNT(*) AS varchar(10)) + ' ' + CAST(MAX(id) AS varchar(10)) FROM "+table, fmt.Sprintf("%d %d", n, n-1))
	expect(t, c, "SELECT CAST(SUM(CAST(id AS bigint)) AS varchar(20)) FROM "+table, strconv.Itoa(n*(n-1)/2))
	expect(t, c, "SELECT s FROM "+table+" WHERE id = 1234", "row 1234")
}

// clean checks that nothing of a bulk load is left in the session of any client, and that nobody is pinned.
func clean(t *testing.T, r pair) {
	t.Helper()
	for _, c := range []*sql.Conn{r.a, r.b} {
		expect(t, c, tranCount, "0")
		expect(t, c, "SELECT 'as ever'", "as ever")
	}
	if pins := r.f.Plane.Pins(); pins.PinnedTotal > 0 {
		t.Errorf("pinned: %+v", pins)
	}
}

// TestBulkFails has a bulk load break a constraint in the middle: it is told so, and nothing of it is left.
func TestBulkFails(t *testing.T) {
	t.Parallel()
	sharing(t, func(t *testing.T, _ string, r pair) {
		do(t, r.a, "CREATE TABLE dbo.broken (id int NOT NULL PRIMARY KEY, s varchar(20) NULL)")
		do(t, r.a, "CREATE TABLE dbo.sound (id int NOT NULL PRIMARY KEY, s varchar(20) NULL)")
		for _, transaction := range []bool{false, true} {
			if transaction {
				do(t, r.a, "BEGIN TRAN")
				do(t, r.a, "INSERT INTO dbo.sound VALUES (1, 'x')")
			}
			st := copyIn(t, r.a, "dbo.broken")
			for i := range 2_000 {
				id := i
				if i == 1_000 {
					id = 1 // once more
				}
				if _, err := st.ExecContext(t.Context(), id, "x"); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := st.ExecContext(t.Context()); errNumber(err) != 2627 {
				t.Errorf("a key twice: %v", err)
			}
			_ = st.Close() // it has failed
			if transaction {
				do(t, r.a, "IF @@TRANCOUNT > 0 ROLLBACK TRAN")
			}
			discard(t, r.a)
			r.a = conn(t, r.db)
			expect(t, r.b, "SELECT CAST(COUNT(*) AS varchar(10)) FROM dbo.broken", "0")
			expect(t, r.b, "SELECT CAST(COUNT(*) AS varchar(10)) FROM dbo.sound", "0")
			clean(t, r)
		}
		// The session goes on.
		st := copyIn(t, r.a, "dbo.broken")
		if _, err := st.ExecContext(t.Context(), 7, "seven"); err != nil {
			t.Fatal(err)
		}
		if _, err := st.ExecContext(t.Context()); err != nil {
			t.Error(err)
		}
		discard(t, r.a)
		expect(t, r.b, "SELECT s FROM dbo.broken", "seven")
	})
}

// discard has a driver's pool close a connection.
func discard(t *testing.T, c *sql.Conn) {
	t.Helper()
	if err := c.Raw(func(any) error { return driver.ErrBadConn }); !errors.Is(err, driver.ErrBadConn) {
		t.Fatal(err)
	}
	_ = c.Close() // it may be closed by that
}

// leaving is a client whose connection a test can cut.
type leaving struct {
	db   *sql.DB
	conn net.Conn
}

// DialContext implements mssql.Dialer.
func (l *leaving) DialContext(ctx context.Context, network, addr string) (c net.Conn, err error) {
	l.conn, err = new(net.Dialer).DialContext(ctx, network, addr)
	return l.conn, err
}

func openLeaving(t *testing.T, p place) *leaving {
	t.Helper()
	l := new(leaving)
	connector, err := mssql.NewConnector(goURL(p, "encrypt=disable"))
	if err != nil {
		t.Fatal(err)
	}
	connector.Dialer = l
	l.db = sql.OpenDB(connector)
	t.Cleanup(func() { _ = l.db.Close() }) // its connection has been cut
	return l
}

// TestBulkLeaver has a client leave in the middle of a bulk load, within a transaction or not: the next one finds nothing of it, and
// the server connection goes on or is closed.
func TestBulkLeaver(t *testing.T) {
	t.Parallel()
	sharing(t, func(t *testing.T, like string, r pair) {
		do(t, r.b, "CREATE TABLE dbo.half (id int NOT NULL, s varchar(20) NULL)")
		for _, begin := range []string{"", "BEGIN TRAN"} {
			for _, rows := range []int{0, 1, 3_000} {
				l := openLeaving(t, r.p)
				c, err := l.db.Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if begin != "" {
					do(t, c, begin)
				}
				st := copyIn(t, c, "dbo.half")
				for i := range rows {
					if _, err := st.ExecContext(t.Context(), i, "x"); err != nil {
						t.Fatal(err)
					}
				}
				if err := l.conn.Close(); err != nil {
					t.Fatal(err)
				}
				_ = st.Close() // over what is closed
				_ = c.Close()
				if begin == "" && like == "server" { // Babelfish keeps what has come of a load outside of a transaction
					do(t, r.b, "DELETE FROM dbo.half")
				}
				expect(t, r.b, "SELECT CAST(COUNT(*) AS varchar(10)) FROM dbo.half", "0")
				expect(t, r.b, lockTimeout, "-1")
				clean(t, r)
			}
		}
	})
}

// TestFreebcp loads many rows with FreeTDS's freebcp, and has it take them out again. Babelfish 4.3 refuses its rows, directly, too.
func TestFreebcp(t *testing.T) {
	t.Parallel()
	freebcp, err := exec.LookPath("freebcp")
	if err != nil {
		t.Skip("needs FreeTDS's freebcp: scripts/install-servers freetds")
	}
	sharing(t, func(t *testing.T, like string, r pair) {
		dir := t.TempDir()
		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		for version, n := range map[string]int{"7.2": 3_000, "7.4": bulkRows(like)} {
			var text strings.Builder
			for i := range n {
				fmt.Fprintf(&text, "%d\trow %d\n", i, i)
			}
			if err := os.WriteFile(in, []byte(text.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			table := "dbo.bcp" + strings.ReplaceAll(version, ".", "")
			do(t, r.a, "CREATE TABLE "+table+" (id int NOT NULL, s varchar(20) NULL)")
			run := func(p place, args ...string) (out string, ok bool) {
				args = append(args, "-c", "-S", "forebay", "-D", p.database, "-U", p.user, "-P", p.password)
				return tryProgram(t, p, freeTDS(t, p, version, "off"), "", freebcp, args...)
			}
			if like == "server" {
				behind := realPlace(t)
				behind.database = r.p.database
				if out, ok := run(behind, table, "in", in); !ok {
					if _, ok := run(r.p, table, "in", in); ok {
						t.Errorf("%s: it succeeds through Forebay, and directly it does not:\n%s", version, out)
					}
					do(t, r.b, "DELETE FROM "+table)
					clean(t, r)
					continue
				}
				do(t, r.a, "DELETE FROM "+table)
			}
			if out, ok := run(r.p, table, "in", in); !ok || !strings.Contains(out, fmt.Sprintf("%d rows copied", n)) {
				t.Errorf("%s: printed\n%s", version, out)
			}
			whole(t, r.b, table, n)
			if out, ok := run(r.p, table, "out", out); !ok {
				t.Errorf("%s: printed\n%s", version, out)
			}
			got, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if lines := strings.Count(string(got), "\n"); lines != n {
				t.Errorf("%s: %d rows are taken out", version, lines)
			}
		}
		clean(t, r)
	})
}
