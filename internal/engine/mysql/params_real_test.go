package mysql_test

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// A user variable set from a parameter, or from a literal, is on the next server connection what it was: its value, its type,
// its character set and its collation. Nobody else sees it.
func TestVariableFromParameter(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		w.f = testkit.StartForebayMySQL(w.t, w.m, testkit.ForebayOptions{
			Users:  map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
		})
		what := func(c *sql.Conn) string {
			w.t.Helper()
			rows, err := c.QueryContext(t.Context(), "SELECT @v, CONCAT_WS(' ', COALESCE(HEX(@v), 'NULL'), COLLATION(@v), COERCIBILITY(@v), CHARSET(@v))")
			if err != nil {
				w.t.Fatal(err)
			}
			defer rows.Close()
			types, _ := rows.ColumnTypes()
			var v any
			var text string
			for rows.Next() {
				if err := rows.Scan(&v, &text); err != nil {
					w.t.Fatal(err)
				}
			}
			return fmt.Sprintf("%s %s %s", types[0].DatabaseTypeName(), v, text)
		}
		ended := func(c *sql.Conn) { _ = c.Raw(func(any) error { return driver.ErrBadConn }) }
		for _, names := range []string{"utf8mb4 COLLATE utf8mb4_bin", "latin1"} {
			a, b := w.connect(url.Values{"multiStatements": {"true"}}), w.connect(nil)
			w.exec(a, "SET NAMES "+names)
			none := what(b)
			for _, v := range []any{
				int64(5), int64(-1 << 63), uint64(1<<64 - 1), uint64(7), 1.5, 0.1, 1e300, -2.5e-7, 3.0, "text", "", "é\\'\"", "\x00z", []byte("bytes"),
				true, nil, time.Unix(1e9, 0), strings.Repeat("x", 3000), "5",
			} {
				stmt, err := a.PrepareContext(t.Context(), "SET @u = 1, @v = ?, @w = ?")
				if err != nil {
					w.t.Fatal(err)
				}
				w.exec(b, "DO 1") // the statement has to be prepared again
				if _, err := stmt.ExecContext(t.Context(), v, "w"); err != nil {
					w.t.Fatalf("%v: %v", v, err)
				}
				pins := w.pins()
				direct := what(a) // it is still there
				if len(pins) > 0 {
					if s, _ := v.(string); names != "latin1" || !strings.Contains(s, "é") {
						w.t.Errorf("%s, %T %v: pinned for %q", names, v, v, pins)
					}
					ended(a)
					a = w.connect(url.Values{"multiStatements": {"true"}})
					w.exec(a, "SET NAMES "+names)
				}
				if got := what(b); got != none {
					w.t.Errorf("%s, %T %v: another has %q", names, v, v, got)
				}
				if got := what(a); len(pins) == 0 && got != direct && v != nil { // NULL has no type of its own
					w.t.Errorf("%s, %T %v: %q, was %q", names, v, v, got, direct)
				}
				stmt.Close()
			}
			for _, v := range []string{"'x'", "''", "5", "NULL", "1.5", "TRUE"} { // as literals
				w.exec(a, "SET @v = "+v)
				direct := what(a)
				what(b)
				if got := what(a); got != direct && v != "NULL" || len(w.pins()) > 0 {
					w.t.Errorf("%s, literal %s: %q, was %q, pins %q", names, v, got, direct, w.pins())
				}
			}
			w.exec(a, "SET NAMES latin1 COLLATE latin1_bin, @v = 'x'") // what the collation of this string is depends on its place
			if got := w.pins(); len(got) == 0 {
				w.t.Error("SET NAMES and a string in one text: not pinned")
			}
			ended(a)
			ended(b)
		}
	})
}
