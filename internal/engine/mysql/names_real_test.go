package mysql_test

import (
	"net/url"
	"testing"

	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// What SET NAMES means travels with the session, also where the first that a server connection was told of its character
// sets was a collation: from then on MariaDB 11 tells of both by the name that it has heard first.
func TestNames(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		w.f = testkit.StartForebayMySQL(w.t, w.m, testkit.ForebayOptions{
			Users:  map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
		})
		a := w.connect(url.Values{"collation": {"utf8mb4_unicode_ci"}})
		b := w.connect(nil)
		const names = "SELECT CONCAT_WS(' ', @@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection)"
		w.exec(a, "SET NAMES utf8mb4")
		plain := w.one(a, names)
		for range 2 {
			for _, tt := range []struct{ sql, want string }{
				{"SET NAMES latin1", "latin1 latin1 latin1 latin1_swedish_ci"},
				{"SET NAMES utf8mb4", plain},
				{"SET NAMES utf8mb4 COLLATE utf8mb4_bin", "utf8mb4 utf8mb4 utf8mb4 utf8mb4_bin"},
				{"SET collation_connection = latin1_bin", "utf8mb4 latin1 utf8mb4 latin1_bin"},
				{"SET character_set_connection = latin1", "utf8mb4 latin1 utf8mb4 latin1_swedish_ci"},
			} {
				w.exec(a, tt.sql)
				w.want(a, tt.want, names)
				was := w.one(b, names)
				w.want(a, tt.want, names)
				w.want(b, was, names)
			}
		}
	})
}

// Of a user variable of another session not even its type is to be seen.
func TestUserVariableLeavesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		w.f = testkit.StartForebayMySQL(w.t, w.m, testkit.ForebayOptions{
			Users:  map[string]string{w.db.User: w.db.Password},
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 },
		})
		a, b := w.connect(nil), w.connect(nil)
		const what = "SELECT CONCAT_WS(' ', @v IS NULL, COLLATION(@v), COERCIBILITY(@v), CHARSET(@v))"
		none := w.one(b, what)
		w.exec(a, "SET NAMES latin1 COLLATE latin1_bin")
		for _, value := range []string{"'x'", "5", "1.5", "1e3", "NULL"} {
			w.exec(a, "SET @v = "+value)
			w.want(b, none, what)
		}
	})
}
