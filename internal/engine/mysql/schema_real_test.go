package mysql_test

import (
	"database/sql"
	"net/url"
	"testing"

	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// A default database whose name has letters outside of ASCII is found again by clients of every character set, with statements
// prepared in another one.
func TestSchemaOutsideASCII(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		name := w.db.Name + "é"
		for _, q := range []string{"CREATE DATABASE `" + name + "`", "GRANT ALL ON `" + name + "`.* TO " + w.db.User + "@'%'"} {
			if err := w.m.Exec(t.Context(), q); err != nil {
				w.t.Fatal(err)
			}
		}
		w.t.Cleanup(func() { w.m.Exec(t.Context(), "DROP DATABASE `"+name+"`") })
		w.f = testkit.StartForebayMySQL(w.t, w.m, testkit.ForebayOptions{
			Users:  map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
		})
		a, b := w.connect(nil), w.connect(nil)
		w.exec(a, "USE `"+name+"`")
		w.exec(a, "SET NAMES latin1")
		w.exec(b, "SET NAMES latin1")
		const where = "SELECT HEX(CONVERT(DATABASE() USING utf8mb4))"
		is := w.one(a, where)
		stmt, err := a.PrepareContext(t.Context(), where)
		if err != nil {
			w.t.Fatal(err)
		}
		for range 2 {
			w.want(b, w.db.Name, "SELECT DATABASE()")
			w.want(a, is, where)
			w.want(a, "latin1 latin1", "SELECT CONCAT_WS(' ', @@character_set_client, @@character_set_connection)")
			w.exec(a, "USE `"+w.db.Name+"`")
			w.want(b, w.db.Name, "SELECT DATABASE()")
			var got string
			if err := stmt.QueryRowContext(t.Context()).Scan(&got); err != nil || got == "" {
				w.t.Errorf("prepared in it: %q, %v", got, err)
			}
			w.want(a, w.db.Name, "SELECT DATABASE()")
			w.exec(a, "USE `"+w.db.Name+"\xe9`") // as latin1
			w.want(a, is, where)
		}
		if pins := w.pins(); len(pins) > 0 {
			w.t.Errorf("pinned for %q", pins)
		}
	})
}

// A client that names no database begins in the one that init_query uses, on every server connection.
func TestInitQueryUses(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		w.f = testkit.StartForebayMySQL(w.t, w.m, testkit.ForebayOptions{
			Users: map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) {
				p.Pool.MaxConnections, p.Pool.InitQuery = 1, "USE information_schema"
			},
		})
		homeless := func() *sql.Conn {
			db, err := sql.Open("mysql", w.f.MySQLDSN(w.db.User, "", ""))
			if err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { db.Close() })
			c, err := db.Conn(t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			return c
		}
		a, b, c := homeless(), homeless(), w.connect(url.Values{})
		for range 2 {
			w.want(a, "information_schema", "SELECT DATABASE()")
			w.exec(b, "USE `"+w.db.Name+"`")
			w.want(a, "information_schema", "SELECT DATABASE()")
			w.want(b, w.db.Name, "SELECT DATABASE()")
			w.want(c, w.db.Name, "SELECT DATABASE()")
		}
	})
}
