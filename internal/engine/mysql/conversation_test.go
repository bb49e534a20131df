package mysql

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"forebay/internal/wire/mysqlwire"

	"github.com/google/go-cmp/cmp"
)

// conversations are what clients say. What they are answered through Forebay must be what the server alone would answer.
var conversations = map[string]func(t *talk){
	"simple": func(t *talk) {
		t.query("SELECT 1", "SELECT 1, 2", "SELECT nothing", "SELECT many", "SELECT NULL", "DO 1", "")
	},
	"transaction":        func(t *talk) { t.query("BEGIN", "SELECT 1", "INSERT INTO t", "COMMIT", "SELECT 2") },
	"failed transaction": func(t *talk) { t.query("BEGIN", "SELECT broken", "SELECT 1", "ROLLBACK", "SELECT 2") },
	"no autocommit": func(t *talk) {
		t.query("SET autocommit = 0", "SELECT a FROM t", "SELECT 1", "COMMIT", "SELECT @@autocommit", "INSERT INTO t", "ROLLBACK", "SET autocommit = 1", "SELECT 1")
	},
	"several in one": func(t *talk) {
		t.query("SELECT 1; SELECT 2; SELECT 3", "SELECT 1; SELECT broken; SELECT 3", "DO 1; SELECT 2; DO 3", "SELECT 4")
	},
	"late errors": func(t *talk) { t.query("SELECT late", "SELECT 1; SELECT late; SELECT 2", "SELECT 3") },
	"call":        func(t *talk) { t.query("CALL p", "SELECT 1") },
	"set": func(t *talk) {
		t.query("SET time_zone = '+01:00'", "SELECT @@time_zone", "SET x_y = 5", "SELECT @@x_y", "SET time_zone = DEFAULT", "SELECT 1")
	},
	"set wrongly": func(t *talk) {
		t.query("SET unknown_thing = 1", "SELECT 1", "SET @a = 1, unknown_thing = 1", "SELECT 1")
	},
	"names": func(t *talk) {
		t.query("SET NAMES latin1", "SELECT @@character_set_client", "SELECT @@collation_connection", "SELECT 1")
	},
	"user variables": func(t *talk) {
		t.query("SET @a = 1, @b = 'x'", "SELECT @a, @b", "SET @a = NULL", "SELECT @a, @b", "SELECT @c")
	},
	"schema": func(t *talk) {
		t.query("USE one", "SELECT DATABASE()", "USE missing", "SELECT DATABASE()")
		t.command(mysqlwire.ComInitDB, []byte("two")...)
		t.query("SELECT DATABASE()")
		t.command(mysqlwire.ComInitDB, []byte("missing")...)
		t.query("SELECT DATABASE()")
	},
	"tracking": func(t *talk) {
		t.query("SET session_track_schema = 0", "USE one", "SET session_track_state_change = 1", "SET @a = 1", "SET session_track_system_variables = 'x_y'",
			"SET x_y = 1", "SET time_zone = '+01:00'", "SET session_track_system_variables = 'x_z'", "SET x_z = 1", "USE two", "SELECT 1")
	},
	"insert id": func(t *talk) {
		t.query("INSERT INTO t", "SELECT LAST_INSERT_ID()", "SELECT 1", "SELECT LAST_INSERT_ID()")
	},
	"temporary": func(t *talk) {
		t.query("CREATE TEMPORARY TABLE x", "SELECT 1", "DROP TEMPORARY TABLE x", "DROP TEMPORARY TABLE x", "SELECT 1")
	},
	"function":       func(t *talk) { t.query("SELECT f()", "SELECT @@time_zone", "SELECT 1") },
	"other commands": otherCommands,
	"unknown command": func(t *talk) {
		t.command(0x21)
		t.command(0x0b, 1, 2, 3)
		t.query("SELECT 1")
		t.command(0xff)
		t.query("SELECT 2")
	},
	"quit": func(t *talk) { t.query("SELECT 1"); t.command(mysqlwire.ComQuit) },
	"reset": func(t *talk) {
		t.query("SET time_zone = '+01:00', @a = 1", "USE one", "CREATE TEMPORARY TABLE x", "INSERT INTO t", "BEGIN")
		t.prepare("SELECT ?")
		t.command(mysqlwire.ComResetConnection)
		t.query("SELECT @@time_zone, @a, LAST_INSERT_ID(), DATABASE()", "DROP TEMPORARY TABLE x")
		t.execute(1, "a")
		t.query("SELECT 1")
	},
	"file": func(t *talk) {
		t.query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t")
		t.file("abc", "defg")
		t.query("SELECT 1")
	},
	"empty file":  func(t *talk) { t.query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t"); t.file(); t.query("SELECT 1") },
	"big results": func(t *talk) { t.query("SELECT big", "SELECT big, big, big", "SELECT 1") },
	"big text":    func(t *talk) { t.query("SELECT '"+strings.Repeat("x", 50_000)+"'", "SELECT 1") },

	"prepared": func(t *talk) {
		t.prepare("SELECT ?, ?")
		t.execute(1, "a", uint64(5))
		t.again(1, "b", uint64(6))
		t.again(1, nil, uint64(7))
		t.execute(1, uint64(8), "c")
		t.again(1, uint64(9), "d")
		t.close(1)
		t.execute(1, "e", "f")
	},
	"prepared, no parameters": func(t *talk) {
		t.prepare("SELECT 1")
		t.prepare("DO 1")
		t.execute(1)
		t.execute(2)
		t.execute(1)
		t.close(2)
		t.execute(2)
	},
	"prepared, many": func(t *talk) {
		for _, s := range []string{"SELECT 1, ?", "SELECT 2, ?", "SELECT 3, ?"} {
			t.prepare(s)
		}
		for range 2 {
			t.execute(1, "a")
			t.execute(2, uint64(1))
			t.execute(3, "c")
			t.again(3, "d")
			t.again(2, uint64(2))
			t.again(1, "f")
		}
	},
	"prepared, same text twice": func(t *talk) {
		t.prepare("SELECT ?")
		t.prepare("SELECT ?")
		t.execute(1, "a")
		t.execute(2, uint64(2))
		t.again(1, "b")
		t.again(2, uint64(3))
		t.close(1)
		t.again(2, uint64(4))
	},
	"prepared, types never sent": func(t *talk) {
		t.prepare("SELECT ?")
		t.prepare("SELECT ?")
		t.execute(1, "a")
		t.again(2, "b")
		t.again(1, "c")
	},
	"prepared, broken": func(t *talk) {
		t.prepare("BROKEN")
		t.execute(1)
		t.prepare("SELECT 1")
		t.execute(1)
		t.query("SELECT 2")
	},
	"prepared, failing": func(t *talk) {
		t.prepare("SELECT broken")
		t.execute(1)
		t.execute(1)
		t.prepare("SELECT late")
		t.execute(2)
		t.query("SELECT 2")
	},
	"prepared in a schema": func(t *talk) {
		t.query("USE one")
		t.prepare("SELECT ?")
		t.query("USE two")
		t.execute(1, "a")
		t.query("SELECT DATABASE()")
	},
	"prepared insert": func(t *talk) {
		t.prepare("INSERT INTO t")
		t.execute(1)
		t.execute(1)
		t.query("SELECT LAST_INSERT_ID()")
	},
	"prepared call": func(t *talk) { t.prepare("CALL p"); t.execute(1); t.query("SELECT 1"); t.execute(1) },
	"prepared in a transaction": func(t *talk) {
		t.prepare("BEGIN")
		t.prepare("SELECT ?")
		t.execute(1)
		t.execute(2, "a")
		t.query("COMMIT")
		t.again(2, "b")
	},
	"long data": func(t *talk) {
		t.prepare("SELECT ?, ?")
		t.long(1, 0, "abc")
		t.long(1, 0, "defg")
		t.execute(1, longValue{}, "x")
		t.execute(1, "y", "z")
		t.long(1, 1, "abc")
		t.stmt(mysqlwire.ComStmtReset, 1)
		t.execute(1, "y", "z")
		t.long(1, 0, "abc")
		t.close(1)
		t.long(1, 0, "abc")
		t.query("SELECT 1")
	},
	"long data of two": func(t *talk) {
		t.prepare("SELECT ?")
		t.prepare("SELECT ?")
		t.long(1, 0, "abc")
		t.long(2, 0, "defgh")
		t.execute(2, longValue{})
		t.execute(1, longValue{})
		t.query("SELECT 1")
	},
	"cursor": func(t *talk) {
		t.prepare("SELECT many")
		t.fetch(1, 1)
		t.executeAs(1, 1, true)
		t.fetch(1, 2)
		t.query("SELECT 1")
		t.fetch(1, 2)
		t.fetch(1, 2)
		t.executeAs(1, 1, true)
		t.executeAs(1, 1, true)
		t.fetch(1, 1)
		t.stmt(mysqlwire.ComStmtReset, 1)
		t.fetch(1, 1)
		t.executeAs(1, 1, true)
		t.execute(1)
		t.fetch(1, 1)
		t.executeAs(1, 1, true)
		t.close(1)
		t.fetch(1, 1)
		t.query("SELECT 1")
	},
	"cursors of two": func(t *talk) {
		t.prepare("SELECT many")
		t.prepare("SELECT many")
		t.executeAs(1, 1, true)
		t.executeAs(2, 1, true)
		t.fetch(1, 2)
		t.fetch(2, 1)
		t.fetch(1, 2)
		t.fetch(2, 9)
		t.query("SELECT 1")
	},
	"statements unknown": func(t *talk) {
		t.execute(9)
		t.stmt(mysqlwire.ComStmtReset, 9)
		t.fetch(9, 1)
		t.long(9, 0, "abc")
		t.close(9)
		t.query("SELECT 1")
	},
}

func otherCommands(t *talk) {
	t.command(mysqlwire.ComPing)
	t.command(mysqlwire.ComFieldList, []byte("t\x00")...)
	t.command(mysqlwire.ComStatistics)
	t.command(mysqlwire.ComProcessInfo)
	t.command(mysqlwire.ComDebug)
	t.command(mysqlwire.ComRefresh, 0)
	t.command(mysqlwire.ComSetOption, 1, 0)
	t.query("SELECT 1; SELECT 2", "SELECT 3")
	t.command(mysqlwire.ComSetOption, 0, 0)
	t.query("SELECT 1; SELECT 2", "SELECT 3")
	t.command(mysqlwire.ComSetOption, 7, 7)
	t.command(mysqlwire.ComPing)
}

// capabilities are the sets that conversations are held under.
var capabilities = []mysqlwire.Capability{
	0,
	mysqlwire.ClientDeprecateEOF,
	mysqlwire.ClientSessionTrack,
	mysqlwire.ClientDeprecateEOF | mysqlwire.ClientSessionTrack,
	mysqlwire.ClientDeprecateEOF | mysqlwire.ClientSessionTrack | mysqlwire.ClientQueryAttributes,
}

// direct is what a server alone answers.
func direct(caps mysqlwire.Capability, b []byte) []byte { return directly(caps, b).out }

func directly(caps mysqlwire.Capability, b []byte) *fake {
	f := newFake(caps|plainCaps, utf8mb4())
	f.feed(b)
	return f
}

// inWords makes packets readable, and puts away what is too long for that.
func inWords(b []byte) (lines []string) {
	for _, p := range packets(b) {
		if len(p) > 1000 {
			lines = append(lines, fmt.Sprintf("%q... %d bytes", p[:20], len(p)))
		} else {
			lines = append(lines, fmt.Sprintf("%q", p))
		}
	}
	return lines
}

func TestConversations(t *testing.T) {
	t.Parallel()
	for name, script := range conversations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, caps := range capabilities {
				b := say(caps, script)
				want := direct(caps, b)
				for i, u := range []setup{{servers: 1, prepared: 1}, {servers: 2, prepared: 2, looks: true}, {servers: 2, prepared: 100, foreign: true}, {servers: 3, prepared: 100, mariaDB: true, looks: true}} {
					u.caps = caps
					check := func(how string, split func() int) {
						t.Helper()
						w := newStage(t, u)
						w.split = split
						w.run(b)
						if !bytes.Equal(w.client, want) {
							t.Fatalf("capabilities %x, setup %d, %s (-want +got):\n%s", uint64(caps), i, how, cmp.Diff(inWords(want), inWords(w.client)))
						}
						quit := name == "quit"
						if pinned := w.s.Pinned(); w.on != nil && pinned == "" || w.lost > 0 || w.closed != quit || len(w.in) > 0 && !quit {
							t.Fatalf("capabilities %x, setup %d, %s: on %v, pinned %q, %d servers lost, closed %v, %d bytes left", uint64(caps), i, how, w.on != nil, pinned, w.lost, w.closed, len(w.in))
						}
					}
					check("whole", func() int { return 1 << 20 })
					if len(b) > 10_000 || len(want) > 10_000 {
						check("4095 bytes each", func() int { return 4095 })
						continue
					}
					check("byte by byte", func() int { return 1 })
					for n := 2; n < min(len(b), 40); n += 1 + n/4 {
						check(fmt.Sprintf("%d bytes each", n), func() int { return n })
					}
					for seed := range uint64(5) {
						r := rand.New(rand.NewPCG(seed, 1))
						check(fmt.Sprintf("random %d", seed), func() int { return r.IntN(1+r.IntN(40)) + 1 })
					}
				}
			}
		})
	}
}
