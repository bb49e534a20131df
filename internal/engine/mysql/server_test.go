package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/testkit"

	_ "github.com/go-sql-driver/mysql"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is a Forebay in front of a real server, with a database and its user.
type world struct {
	t  *testing.T
	m  *localserver.MySQL
	db testkit.MySQLDB
	f  *testkit.Forebay
}

// each runs f on every server that there is.
func each(t *testing.T, f func(w *world)) {
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		w := &world{t: t, m: m, db: testkit.MySQLDatabase(t, m)}
		w.f = testkit.StartForebayMySQL(t, m, testkit.ForebayOptions{Users: map[string]string{w.db.User: w.db.Password}})
		f(w)
	})
}

// connect returns one client's connection.
func (w *world) connect(params url.Values) *sql.Conn {
	w.t.Helper()
	db, err := sql.Open("mysql", w.f.MySQLDSN(w.db.User, w.db.Name, params.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	c, err := db.Conn(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close(); db.Close() })
	return c
}

func (w *world) exec(c *sql.Conn, query string, args ...any) sql.Result {
	w.t.Helper()
	r, err := c.ExecContext(w.t.Context(), query, args...)
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return r
}

// one returns the only value that a query gives, as text.
func (w *world) one(c *sql.Conn, query string, args ...any) string {
	w.t.Helper()
	var v sql.NullString
	if err := c.QueryRowContext(w.t.Context(), query, args...).Scan(&v); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	if !v.Valid {
		return "NULL"
	}
	return v.String
}

func (w *world) want(c *sql.Conn, want, query string, args ...any) {
	w.t.Helper()
	if got := w.one(c, query, args...); got != want {
		w.t.Errorf("%s: got %q, want %q", query, got, want)
	}
}

func TestFirst(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		c := w.connect(nil)
		w.want(c, "1", "SELECT 1")
		w.exec(c, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100))")
		r := w.exec(c, "INSERT INTO t (v) VALUES (?)", "a")
		if id, _ := r.LastInsertId(); id != 1 {
			t.Errorf("id %d", id)
		}
		w.want(c, "a", "SELECT v FROM t WHERE id = ?", 1)
		w.want(c, w.db.Name, "SELECT DATABASE()")
	})
}

// Many clients on few server connections, each with settings and statements of its own.
func TestManySessions(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		w.exec(w.connect(nil), "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
		var all sync.WaitGroup
		for i := range 30 {
			c := w.connect(nil)
			all.Go(func() {
				w.exec(c, fmt.Sprintf("SET time_zone = '+%02d:00', @mine = 'x%d'", i%12, i))
				w.exec(c, fmt.Sprintf("SET NAMES utf8mb4 COLLATE %s", []string{"utf8mb4_bin", "utf8mb4_general_ci"}[i%2]))
				stmt, err := c.PrepareContext(t.Context(), "SELECT ? + 1000")
				if err != nil {
					t.Error(err)
					return
				}
				for range 20 {
					w.want(c, fmt.Sprintf("+%02d:00", i%12), "SELECT @@time_zone")
					w.want(c, fmt.Sprintf("x%d", i), "SELECT @mine")
					w.want(c, []string{"utf8mb4_bin", "utf8mb4_general_ci"}[i%2], "SELECT @@collation_connection")
					var got int
					if err := stmt.QueryRowContext(t.Context(), i).Scan(&got); err != nil || got != 1000+i {
						t.Errorf("prepared: %d, %v", got, err)
					}
					r := w.exec(c, "INSERT INTO t (v) VALUES (?)", i)
					id, _ := r.LastInsertId()
					w.want(c, fmt.Sprint(id), "SELECT LAST_INSERT_ID()")
					tx, err := c.BeginTx(t.Context(), nil)
					if err != nil {
						t.Error(err)
						return
					}
					var n, m int
					tx.QueryRow("SELECT COUNT(*) FROM t").Scan(&n)
					tx.Exec("INSERT INTO t (v) VALUES (1)")
					tx.QueryRow("SELECT COUNT(*) FROM t").Scan(&m)
					if m != n+1 {
						t.Errorf("in a transaction: %d rows, then %d", n, m)
					}
					if err := tx.Rollback(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	})
}

// KILL with the id that Forebay has handed out reaches the session meant.
func TestKill(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		t := w.t
		a, b := w.connect(nil), w.connect(nil)
		id := w.one(a, "SELECT CONNECTION_ID()")
		done := make(chan error, 1)
		begun := time.Now()
		go func() {
			_, err := a.ExecContext(t.Context(), "DO SLEEP(20)")
			done <- err
		}()
		time.Sleep(300 * time.Millisecond)
		w.exec(b, "KILL QUERY "+id)
		if err := <-done; time.Since(begun) > 10*time.Second {
			t.Errorf("KILL QUERY did not end the statement: %v", err)
		}
		w.want(a, id, "SELECT CONNECTION_ID()") // it lives on
		if _, err := b.ExecContext(t.Context(), "KILL 1073741999"); err == nil || !strings.Contains(err.Error(), "1094") {
			t.Errorf("KILL of nobody: %v", err)
		}
		w.exec(b, "KILL "+id)
		for range 100 {
			if _, err := a.ExecContext(t.Context(), "DO 1"); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Error("KILL did not end the session")
	})
}

// A client that compresses sees what one that does not sees.
func TestCompressed(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		c := w.connect(url.Values{"compress": {"true"}})
		w.want(c, strings.Repeat("x", 300000), "SELECT REPEAT('x', 300000)")
		w.exec(c, "SET @a = ?", "set")
		w.want(c, "2", "SELECT 1 + ?", 1)
		w.want(c, "Compression", "SELECT ?", "Compression")
	})
}

// CONNECTION_ID() as a column of its own is the id that Forebay has handed out, under the name that it has; inside an
// expression it is the server's.
func TestConnectionID(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		c := w.connect(nil)
		id := w.one(c, "SELECT CONNECTION_ID()")
		for _, args := range [][]any{nil, {1}} {
			sql := "SELECT connection_id(), CONNECTION_ID() AS x, 5"
			if args != nil {
				sql = "SELECT connection_id(), CONNECTION_ID() AS x, ?" // prepared
			}
			rows, err := c.QueryContext(t.Context(), sql, args...)
			if err != nil {
				w.t.Fatal(err)
			}
			names, _ := rows.Columns()
			var a, b, n string
			for rows.Next() {
				if err := rows.Scan(&a, &b, &n); err != nil {
					w.t.Fatal(err)
				}
			}
			if rows.Close(); a != id || b != id || names[0] != "connection_id()" || names[1] != "x" {
				w.t.Errorf("%s: %s, %s as %q, want %s", sql, a, b, names, id)
			}
		}
		w.want(c, "1", "SELECT COUNT(*) FROM information_schema.processlist WHERE id = CONNECTION_ID()")
		w.want(c, "1", "SELECT GET_LOCK(CONCAT('l', CONNECTION_ID()), 0)")
		w.want(c, "1", "SELECT IS_USED_LOCK(CONCAT('l', CONNECTION_ID())) = CONNECTION_ID()")
		w.want(c, "1", "SELECT RELEASE_LOCK(CONCAT('l', CONNECTION_ID()))")
		w.exec(c, "KILL QUERY "+id)
		if _, err := c.ExecContext(t.Context(), "KILL CONNECTION_ID()"); err == nil {
			w.t.Error("KILL CONNECTION_ID(): no error")
		}
		_, _ = c.ExecContext(t.Context(), "DO 1") // may be told of it
		w.want(c, id, "SELECT CONNECTION_ID()")   // the client lives on
	})
}
