package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"forebay/internal/wire/mysqlwire"
)

// A routine that the catalogue does not have is shown before it is called, and pins for what it leaves.
func TestLooksFirst(t *testing.T) {
	t.Parallel()
	shows := map[string]string{
		"PROCEDURE `d`.`p`":     "CREATE PROCEDURE `p`()\nSELECT 1",
		"PROCEDURE `d`.`outer`": "CREATE PROCEDURE `outer`()\n    COMMENT 'calls'\nBEGIN CALL p(); CALL e.q(); CALL `outer`(); END",
		"PROCEDURE `e`.`q`":     "CREATE PROCEDURE `q`()\nDO f()",
		"FUNCTION `e`.`f`":      "CREATE FUNCTION `f`() RETURNS int\n    NO SQL\nRETURN GET_LOCK('a', 0)",
		"FUNCTION `d`.`f`":      "CREATE FUNCTION `f`() RETURNS int\n    NO SQL\nRETURN 1",
		"PROCEDURE `d`.`js`":    "CREATE PROCEDURE `js`()\n    LANGUAGE JAVASCRIPT\nAS $$ 1 $$",
		"PROCEDURE `d`.`é`":     "CREATE PROCEDURE `é`()\nSELECT 1",
		"PROCEDURE `d`.`moved`": "CREATE PROCEDURE `moved`()\nSELECT 'é'",
		"PROCEDURE `d`.`hides`": null,
		"PROCEDURE `d`.`lost`":  "CREATE PROCEDURE `lost`()\nDO ??()", // as latin1 shows other letters
		"PROCEDURE `d`.`masks`": "CREATE PROCEDURE `masks`()\nDO mask_inner('a', 1, 1)",
		"FUNCTION `d`.`k`":      "CREATE FUNCTION `k`() RETURNS int\nRETURN 1",
		"PROCEDURE `d`.`large`": "CREATE PROCEDURE `large`()\nSELECT '" + strings.Repeat("x", maxShown) + "'",
	}
	for i := range 20 {
		shows["PROCEDURE `d`.`n"+string('a'+rune(i))+"`"] = "CREATE PROCEDURE `n`()\nCALL n" + string('a'+rune(i+1)) + "()"
	}
	many := "CREATE PROCEDURE `many`()\nBEGIN"
	for i := range 4000 {
		many += fmt.Sprintf(" CALL a%x();", i)
	}
	shows["PROCEDURE `d`.`many`"] = many + " END"
	for _, tt := range []struct {
		sql, want string
		asked     int
	}{
		{"CALL p()", "", 1},
		{"CALL d.p", "", 1},
		{"CALL outer()", "named_lock", 4},
		{"SELECT f(), f()", "", 1},
		{"CALL js()", "routine", 1},
		{"CALL é()", "routine", 0},
		{"CALL moved()", "routine", 1},
		{"CALL hides()", "routine", 1},
		{"CALL large()", "routine", 1},
		{"CALL missing()", "routine", 1},
		{"CALL na()", "routine", 16},
		{"SELECT mask_inner('a', 1, 1)", "", 1},
		{"SELECT d.mask_inner('a', 1, 1)", "routine", 1},
		{"CALL p(); CALL js()", "routine", 2},
		{"CALL lost()", "routine", 1},
		{"CALL many()", "routine", 1},
		{"CALL masks()", "routine", 2}, // where there may be a stored one that this user does not see
		{"SELECT K(), k()", "", 1},
		{"SELECT k(), \u212a()", "routine", 1}, // a letter of its own
		{"SELECT FOUND_ROWS(), f()", "routine", 0},
		{"SELECT f(), @@warning_count", "routine", 0},
		{"SELECT 1", "", 0},
	} {
		for _, caps := range []mysqlwire.Capability{0, mysqlwire.ClientDeprecateEOF | mysqlwire.ClientQueryAttributes} {
			w := newStage(t, setup{servers: 1, prepared: 10, caps: caps})
			f := w.servers[0].f
			f.shows = shows
			w.run(say(caps, func(t *talk) { t.query("USE d") }))
			f.said, w.client = nil, nil
			w.run(say(caps, func(t *talk) { t.query(tt.sql) }))
			if w.closed || w.lost > 0 {
				t.Fatalf("%s: closed %t, server connections lost %d", tt.sql, w.closed, w.lost)
			}
			if strings.Contains(string(w.client), "CREATE") || strings.Contains(string(w.client), "does not exist") {
				t.Errorf("%s: the client has seen what was not for it: %.300q", tt.sql, w.client)
			}
			if got := w.s.Pinned(); got != tt.want {
				t.Errorf("%s: pinned for %q, want %q", tt.sql, got, tt.want)
			}
			asked := slices.DeleteFunc(slices.Clone(f.said), func(s string) bool { return !strings.HasPrefix(s, "SHOW CREATE") })
			if len(asked) != tt.asked || !slices.Contains(f.said, tt.sql) {
				t.Errorf("%s: %d routines shown, want %d: %.300q", tt.sql, len(asked), tt.asked, f.said)
			}
			if w.s.looks != nil {
				t.Errorf("%s: what was seen is kept", tt.sql)
			}
			// Pinned, nothing is to be won any more.
			if f.said = nil; tt.want == "routine" {
				if w.run(say(caps, func(t *talk) { t.query("CALL p()") })); strings.Contains(strings.Join(f.said, " "), "SHOW") {
					t.Errorf("%s, then CALL p(): %q", tt.sql, f.said)
				}
			}
		}
	}
}

// In a character set that may show one character as another, nothing is to be seen.
func TestLooksNotInOddCharsets(t *testing.T) {
	t.Parallel()
	for _, charset := range []string{"swe7", "sjis", "ucs2"} {
		w := newStage(t, setup{servers: 1, prepared: 10})
		f := w.servers[0].f
		f.shows = map[string]string{"PROCEDURE `d`.`p`": "CREATE PROCEDURE `p`()\nSELECT 1"}
		w.run(say(0, func(t *talk) {
			t.query("USE d")
			t.query("SET character_set_results = '" + charset + "'")
			t.query("CALL p()")
		}))
		if got := w.s.Pinned(); got != "routine" || strings.Contains(strings.Join(f.said, " "), "SHOW CREATE") {
			t.Errorf("%s: pinned for %q, after %q", charset, got, f.said)
		}
	}
}

// The same of a prepared statement; and what it was prepared in is the database that it means.
func TestLooksFirstAtExecution(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{servers: 1, prepared: 10})
	f := w.servers[0].f
	f.shows = map[string]string{"PROCEDURE `d`.`p`": "CREATE PROCEDURE `p`()\nSELECT 1"}
	w.run(say(0, func(t *talk) {
		t.query("USE d")
		t.prepare("CALL p()")
		t.query("USE e")
		t.execute(1)
	}))
	if got := w.s.Pinned(); got != "" || !slices.Contains(f.said, "SHOW CREATE PROCEDURE `d`.`p`") {
		t.Errorf("pinned for %q, after %q", got, f.said)
	}
}

// What was seen for a command that was refused is not for the next one.
func TestLooksAnew(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{servers: 1, prepared: 10})
	f := w.servers[0].f
	f.shows = map[string]string{"PROCEDURE `d`.`p`": "CREATE PROCEDURE `p`()\nSELECT 1"}
	w.run(say(0, func(t *talk) { t.query("USE d"); t.query("BEGIN") }))
	w.in = say(0, func(t *talk) { t.query("CALL p()") })
	w.o.Reset()
	w.in = w.in[w.s.FromClient(w.in, &w.o):]
	w.took()
	w.upTo("SHOW CREATE")
	w.s.Interrupt()
	w.client = nil
	if w.run(nil); !strings.Contains(string(w.client), "interrupted") {
		t.Fatalf("killed while it is looked at: %q", inWords(w.client))
	}
	f.shows["PROCEDURE `d`.`p`"] = "CREATE PROCEDURE `p`()\nDO GET_LOCK('a', 0)"
	w.run(say(0, func(t *talk) { t.query("CALL p()") }))
	if got := w.s.Pinned(); got != "named_lock" {
		t.Errorf("pinned for %q, after %q", got, f.said)
	}
}
