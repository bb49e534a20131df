package mysql

import (
	"testing"

	"forebay/internal/wire/mysqlwire"
)

// What comes from a SET NAMES is restored by one: only so are the definitions of results as they were.
func TestBetween(t *testing.T) {
	t.Parallel()
	charsets := func(client, connection, results, collation string) settings {
		return settings{{varClient, client}, {varConnection, connection}, {varResults, results}, {varCollation, collation}}
	}
	names := charsets("'latin1'", "'latin1'", "'latin1'", "'latin1_bin'")
	begun := charsets("'utf8mb4'", "'utf8mb4'", "'utf8mb4'", "'utf8mb4_unicode_ci'")
	mixed := charsets("'utf8mb4'", "'latin1'", "NULL", "'latin1_bin'")
	for _, tt := range []struct {
		have, want settings
		sql        string
	}{
		{begun, begun, ""},
		{begun, names, "SET NAMES 'latin1' COLLATE 'latin1_bin'"},
		{begun, names.with("sql_mode", "''").with("@a", "1"), "SET NAMES 'latin1' COLLATE 'latin1_bin', @@SESSION.`sql_mode` = '', @`a` = 1"},
		{begun, begun.with(varCollation, "'utf8mb4_bin'"), "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'"},
		{begun.with("sql_mode", "''"), begun, "SET @@SESSION.`sql_mode` = DEFAULT"},
		{begun.with("@a", "1"), begun.with("@b", "NULL"), "SET @`a` = _binary 0x20, @`a` = NULL, @`b` = _binary 0x20, @`b` = NULL"},
		{begun, mixed, "SET @@SESSION.`character_set_connection` = 'latin1', @@SESSION.`collation_connection` = 'latin1_bin', @@SESSION.`character_set_results` = NULL"},
		{mixed, begun, "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci'"},
	} {
		if sql := between(tt.have, tt.want); sql != tt.sql {
			t.Errorf("from %v to %v: got %s, want %s", tt.have, tt.want, sql, tt.sql)
		}
	}
}

// After COM_RESET_CONNECTION a session has the server's character sets, with MariaDB those of its log-in.
func TestCharsetsAfterReset(t *testing.T) {
	t.Parallel()
	for _, mariaDB := range []bool{false, true} {
		want := "latin1"
		if mariaDB {
			want = "utf8mb4"
		}
		w := newStage(t, setup{servers: 2, mariaDB: mariaDB, foreign: true})
		w.ask("SET NAMES utf16")
		w.run(say(0, func(t *talk) { t.command(mysqlwire.ComResetConnection) }))
		for range 3 {
			for _, name := range charsetNames[:3] {
				if got := w.ask("SELECT @@" + name); got != want {
					t.Errorf("MariaDB %v: %s is %s after the reset, want %s", mariaDB, name, got, want)
				}
			}
		}
	}
}

// Members of a cluster may have different versions, on which it depends which comments are executable: what is known of one is
// not taken for another.
func TestReadModeOfMember(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{servers: 1})
	for _, v := range []*server{{number: 80036}, {number: 80400}, {number: 80400, mariaDB: true}, {number: 80400, mariaDB: true, sqlMode: "ANSI_QUOTES"}} {
		w.s.srv = v
		if m := w.s.readMode(); m.Version != v.number || m.MariaDB != v.mariaDB || m.AnsiQuotes != (v.sqlMode != "") {
			t.Errorf("on %d, MariaDB %t, %q, texts are read as %+v", v.number, v.mariaDB, v.sqlMode, m)
		}
	}
}
