package mysql_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"forebay/internal/testkit"

	"github.com/go-sql-driver/mysql"
)

// A target that has let nobody in yet, since the secret's password is wrong, greets clients all the same: they hear what it says, at
// once, and are let in as soon as it takes the password.
func TestRefusedAtFirst(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		t := w.t
		const password = "put right later"
		w.f = testkit.StartForebayMySQL(t, w.m, testkit.ForebayOptions{Users: map[string]string{w.db.User: password}})
		db, err := sql.Open("mysql", w.f.MySQLDSN(w.db.User, w.db.Name, "timeout=5s&readTimeout=5s"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		began := time.Now()
		var told *mysql.MySQLError
		if err := db.PingContext(t.Context()); !errors.As(err, &told) || told.Number != 1045 {
			t.Fatalf("of a target that refuses the user: %v, want error 1045", err)
		}
		w.super("ALTER USER " + w.db.User + "@'%' IDENTIFIED BY '" + password + "'")
		if err := db.PingContext(t.Context()); err != nil {
			t.Fatalf("%v after the start, once the password is right: %v", time.Since(began), err)
		}
	})
}
