package mysql_test

import (
	"database/sql"
	"net/url"
	"strings"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// left are what a trigger may leave in a session without a word of the server's, and what another session sees of it then.
var left = []struct{ body, seen, none string }{
	{"SELECT NEW.id INTO @left", "SELECT @left", "NULL"},
	{"SET NEW.v = (@left := NEW.id)", "SELECT @left", "NULL"},
	{"SET NEW.v = GET_LOCK('left', 0)", "SELECT IFNULL(IS_USED_LOCK('left') = CONNECTION_ID(), 0)", "0"}, // whether it has the lock,
}

// few starts a Forebay with so many server connections for the users.
func (w *world) few(n int, users ...testkit.MySQLDB) {
	w.t.Helper()
	o := testkit.ForebayOptions{
		Users:  map[string]string{},
		Change: func(p *resource.Proxy) { p.Pool.MaxConnections = n },
	}
	for _, u := range users {
		o.Users[u.User] = u.Password
	}
	w.f = testkit.StartForebayMySQL(w.t, w.m, o)
}

func (w *world) super(sql string) {
	w.t.Helper()
	if err := w.m.Exec(w.t.Context(), sql); err != nil {
		w.t.Fatalf("root: %s: %v", sql, err)
	}
}

// What a trigger leaves that the user may not see is not seen by another client.
func TestUnseenTrigger(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		clerk := "clerk_" + w.db.User
		w.super("CREATE USER " + clerk + " IDENTIFIED BY 'x'")
		defer w.m.Exec(t.Context(), "DROP USER "+clerk)
		w.super("GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON `" + strings.ReplaceAll(w.db.Name, "_", "\\_") + "`.* TO " + clerk)
		w.super("CREATE TABLE `" + w.db.Name + "`.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
		w.super("CREATE PROCEDURE `" + w.db.Name + "`.p() INSERT INTO t (id) VALUES (NULL)")
		w.db.User, w.db.Password = clerk, "x"
		for _, tt := range left {
			w.super("DROP TRIGGER IF EXISTS `" + w.db.Name + "`.tr")
			w.super("CREATE TRIGGER `" + w.db.Name + "`.tr BEFORE INSERT ON `" + w.db.Name + "`.t FOR EACH ROW " + tt.body)
			w.few(1, w.db)
			a, b := w.connect(nil), w.connect(url.Values{"compress": {"true"}})
			w.want(b, tt.none, tt.seen)
			maria := w.m.Version().Product == localserver.ProductMariaDB // which shows that there is one: the session is pinned
			for _, write := range []func(c *sql.Conn){
				func(c *sql.Conn) { w.exec(c, "INSERT INTO t (v) VALUES (1)") },
				func(c *sql.Conn) { w.exec(c, "INSERT INTO t (v) VALUES (?)", 1) },
				func(c *sql.Conn) {
					w.exec(c, "BEGIN")
					w.exec(c, "INSERT INTO t (v) VALUES (1)")
					w.exec(c, "ROLLBACK")
				},
				func(c *sql.Conn) { w.exec(c, "CALL p()") },
			} {
				write(a)
				if maria || len(w.pins()) > 0 {
					a.Raw(func(driver any) error { return driver.(interface{ Close() error }).Close() })
					a = w.connect(nil)
				}
				w.want(b, tt.none, tt.seen)
				w.want(b, w.db.Name, "SELECT DATABASE()")
				w.want(a, "1", "SELECT 1")
			}
		}
	})
}

// What a trigger leaves that has just been made, or has come to a table with another, is not seen by another client either:
// neither of the same user, nor of another whose catalogue is to be read anew.
func TestNewTrigger(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		builder := w.db
		reader := testkit.MySQLDatabase(w.t, w.m)
		w.super("GRANT ALL ON `" + strings.ReplaceAll(w.db.Name, "_", "\\_") + "`.* TO " + reader.User)
		reader.Name = w.db.Name
		w.few(2, builder, reader)
		made := w.connect(nil)
		w.exec(made, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
		w.db = reader
		clients := make([]*sql.Conn, 6)
		for i := range clients {
			clients[i] = w.connect(nil)
			w.exec(clients[i], "SET @mine = 1")
		}
		leave := func() {
			clients[0].Raw(func(driver any) error { return driver.(interface{ Close() error }).Close() })
			clients[0] = w.connect(nil)
		}
		for i, tt := range left {
			insert := func(query string, args ...any) {
				before := len(w.pins())
				w.exec(clients[0], query, args...)
				if len(w.pins()) > before { // it was known already
					leave()
				}
				for _, c := range clients[1:] {
					w.want(c, tt.none, tt.seen)
				}
			}
			for range 3 {
				w.exec(made, "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW "+tt.body)
				insert("INSERT INTO t (v) VALUES (1)")
				time.Sleep(time.Duration(i) * 500 * time.Millisecond) // to become known
				w.exec(made, "RENAME TABLE t TO u")
				insert("INSERT INTO u (v) VALUES (?)", 1)
				leave()
				w.exec(made, "DROP TRIGGER tr")
				w.exec(made, "RENAME TABLE u TO t")
			}
		}
	})
}
