package mysql_test

import (
	"database/sql"
	"strings"
	"testing"

	"forebay/internal/testkit"
)

// A statement behind which the server hangs up ends the client's connection, and nobody else's.
func TestRelease(t *testing.T) {
	t.Parallel()
	each(t, func(w *world) {
		t := w.t
		direct, err := sql.Open("mysql", w.db.DSN()+"&multiStatements=true")
		if err != nil {
			t.Fatal(err)
		}
		defer direct.Close()
		for _, sql := range []string{
			"CREATE PROCEDURE leave_if(a INT) BEGIN IF a THEN ROLLBACK RELEASE; END IF; END",
		} {
			if _, err := direct.ExecContext(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		w.f = testkit.StartForebayMySQL(t, w.m, testkit.ForebayOptions{Users: map[string]string{w.db.User: w.db.Password}})
		multi := map[string][]string{"multiStatements": {"true"}}
		other := w.connect(multi)
		w.exec(other, "SELECT 1")
		for _, script := range []string{
			"ROLLBACK RELEASE",
			"BEGIN|COMMIT RELEASE",
			"BEGIN|COMMIT NO RELEASE",
			"BEGIN|SAVEPOINT s|ROLLBACK TO s",
			"SET @a = 1 + 1|COMMIT AND NO CHAIN RELEASE",
			"SET SESSION completion_type = 2|BEGIN|SELECT 1|ROLLBACK",
			"SET SESSION completion_type = 'RELEASE'|BEGIN|COMMIT NO RELEASE|COMMIT",
			"COMMIT RELEASE; SELECT 5",
			"SELECT 5; COMMIT RELEASE",
			"CALL leave_if(0)",
			"CALL leave_if(1)",
			"COMMIT AND CHAIN RELEASE",
		} {
			want := lives(w, direct, script)
			c := w.connect(multi)
			got := ""
			for line := range strings.SplitSeq(script, "|") {
				got += tell(w, c, line)
			}
			if got += tell(w, c, "SELECT 'on'"); got != want {
				t.Errorf("%s:\ngot  %s\nwant %s", script, got, want)
			}
		}
		w.want(other, "2", "SELECT 2")
	})
}

// lives says a script to a connection of its own, and then asks something.
func lives(w *world, db *sql.DB, script string) (out string) {
	c, err := db.Conn(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	for line := range strings.SplitSeq(script, "|") {
		out += tell(w, c, line)
	}
	return out + tell(w, c, "SELECT 'on'")
}

// tell says one statement. Of a lost connection, how the system says so is no matter.
func tell(w *world, c *sql.Conn, line string) string {
	got := answer(w, c, line)
	for _, lost := range []string{"bad connection", "invalid connection", "EOF", "reset by peer", "broken pipe", "connection is already closed"} {
		if strings.Contains(got, lost) {
			got = "lost"
		}
	}
	return line + " => " + got + "\n"
}
