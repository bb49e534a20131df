package mysql

import (
	"bytes"
	"strings"
	"testing"

	"forebay/internal/wire/mysqlwire"
)

// large are conversations of packets of 16 MiB and more, which go on in further packets.
var large = map[string]func(t *talk){
	"text above a megabyte": func(t *talk) { t.query("DO '"+strings.Repeat("x", 2<<20)+"'", "SELECT 1") },
	"text of just one packet": func(t *talk) {
		t.query("DO '"+strings.Repeat("x", mysqlwire.MaxPayload-1-len("DO ''")-2)+"'", "SELECT 1")
	},
	"text of two packets": func(t *talk) {
		t.query("DO '"+strings.Repeat("x", mysqlwire.MaxPayload-1-len("DO ''"))+"'", "SELECT 1")
	},
	"text of two and a half": func(t *talk) { t.query("DO '"+strings.Repeat("x", 2*mysqlwire.MaxPayload+5)+"'", "SELECT 1") },
	"rows of two packets":    func(t *talk) { t.query("SELECT huge", "SELECT 1, huge, huge", "SELECT 2") },
	"a file of several": func(t *talk) {
		t.query("LOAD DATA LOCAL INFILE 'x'")
		t.file(strings.Repeat("x", mysqlwire.MaxPayload), "y")
		t.query("SELECT 1")
	},
	"parameter of two packets": func(t *talk) {
		t.prepare("SELECT ?, 1")
		t.execute(1, strings.Repeat("x", mysqlwire.MaxPayload))
		t.query("SELECT 1")
	},
	"parameters again": func(t *talk) {
		t.prepare("SELECT ?, ?")
		t.execute(1, "a", "b")
		t.again(1, strings.Repeat("x", 3<<20), "c")
		t.again(1, "d", "e")
		t.again(1, strings.Repeat("x", mysqlwire.MaxPayload-40), "f")
		t.again(1, strings.Repeat("x", mysqlwire.MaxPayload+7), "g")
		t.query("SELECT 1")
	},
	"long data of two packets": func(t *talk) {
		t.prepare("SELECT ?")
		t.long(1, 0, strings.Repeat("x", mysqlwire.MaxPayload))
		t.execute(1, longValue{})
		t.query("SELECT 1")
	},
	"unknown statement": func(t *talk) {
		t.execute(1, strings.Repeat("x", mysqlwire.MaxPayload))
		t.long(1, 0, strings.Repeat("x", mysqlwire.MaxPayload))
		t.query("SELECT 1")
	},
	"refused, large": func(t *talk) { t.command(0x21, bytes.Repeat([]byte{3}, 2<<20)...); t.query("SELECT 1") },
}

func TestLarge(t *testing.T) {
	t.Parallel()
	for name, script := range large {
		for i, caps := range []mysqlwire.Capability{0, mysqlwire.ClientDeprecateEOF | mysqlwire.ClientQueryAttributes} {
			b := say(caps, script)
			want := direct(caps, b)
			w := newStage(t, setup{servers: 2, prepared: 100, caps: caps})
			w.split = func() int { return 200_003 }
			w.run(b)
			if !bytes.Equal(w.client, want) {
				t.Errorf("%s, %d:\n%s\nwant\n%s", name, i, strings.Join(inWords(w.client), "\n"), strings.Join(inWords(want), "\n"))
			}
			if w.on != nil && w.s.Pinned() == "" || w.lost > 0 || w.closed || len(w.in) > 0 {
				t.Errorf("%s, %d: on %v, %d servers lost, closed %v, %d bytes left", name, i, w.on != nil, w.lost, w.closed, len(w.in))
			}
		}
	}
}

// A client that compresses numbers its packets as it likes: a server gets them with the numbers that it waits for, in
// commands of several packets and in files, too.
func TestNumbersOfCompressed(t *testing.T) {
	t.Parallel()
	for name, script := range large {
		b := say(mysqlwire.ClientCompress, script)
		want := direct(mysqlwire.ClientCompress, b)
		for _, p := range packets(b) {
			p[3] = 0xa5
		}
		w := newStage(t, setup{servers: 2, prepared: 100, caps: mysqlwire.ClientCompress})
		w.split = func() int { return 200_003 }
		w.run(b)
		if !bytes.Equal(w.client, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(inWords(w.client), "\n"), strings.Join(inWords(want), "\n"))
		}
	}
}

// A server that will not have all of a command answers, and closes the connection, before it has come: what is still to
// come of it is nothing that another server should see.
func TestServerGoneInLargeCommand(t *testing.T) {
	t.Parallel()
	for _, half := range []int{300_000, 1<<20 + 3, mysqlwire.MaxPayload + 3, mysqlwire.MaxPayload + 1<<20} {
		for _, answered := range []bool{false, true} {
			b := say(0, func(t *talk) { t.query("DO '" + strings.Repeat("x", mysqlwire.MaxPayload+2<<20) + "'") })
			w := newStage(t, setup{servers: 2, prepared: 100})
			w.split = func() int { return 50_000 }
			w.run(b[:half])
			if w.on == nil {
				t.Fatal("no server connection")
			}
			if answered {
				w.on.f.seq = 1
				w.on.f.fail(1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes")
				w.on.f.dead = true
				w.run(nil)
			} else {
				w.lose()
			}
			w.run(b[half:])
			w.run(say(0, func(t *talk) { t.query("SELECT 1") }))
			if w.closed {
				continue
			}
			want := 1 // but for the error, which has a number behind that of the command's second packet
			if answered {
				want = 2
			}
			if p := packets(w.client); p[0][mysqlwire.HeaderLen] != mysqlwire.HeaderERR || int(p[0][3]) != 3-want || answers(w.client) != want || len(w.in) > 0 {
				t.Errorf("gone after %d bytes, answered %v: %d bytes left: %q", half, answered, len(w.in), inWords(w.client))
			}
			for _, l := range w.servers {
				if len(l.f.in) > 0 || l.f.large || len(l.f.payload) > 0 || l.f.dead {
					t.Errorf("gone after %d bytes, answered %v: another server has got the rest", half, answered)
				}
			}
		}
	}
}

// An error ends a file before the client has sent all of it: what is still to come is no command.
func TestErrorInFile(t *testing.T) {
	t.Parallel()
	b := say(0, func(t *talk) { t.query("LOAD DATA LOCAL INFILE 'x'") })
	file := (&talk{caps: plainCaps})
	file.file("abc", "\x03SELECT 666", strings.Repeat("x", 70_000), "def")
	for cut := 0; cut < len(file.b); cut += 1 + cut/8 {
		w := newStage(t, setup{servers: 2, prepared: 100})
		w.run(b)
		w.run(file.b[:cut])
		if w.on == nil {
			t.Fatal("no server connection")
		}
		f := w.on.f
		f.fail(1317, "70100", "Query execution was interrupted")
		f.file, f.next = -1, 0
		w.run(nil)
		w.run(file.b[cut:])
		w.client = nil
		w.run(say(0, func(t *talk) { t.query("SELECT 1") }))
		if w.closed || w.lost > 0 || answers(w.client) != 1 {
			t.Fatalf("error after %d bytes of the file: then %q", cut, inWords(w.client))
		}
	}
}

// An error in place of an answer has the number that the client waits for: behind the last packet of its command, and in the
// place of a packet that cannot be read.
func TestNumberOfError(t *testing.T) {
	t.Parallel()
	b := say(0, func(t *talk) { t.query("DO '" + strings.Repeat("x", mysqlwire.MaxPayload+5) + "'") })
	w := newStage(t, setup{servers: 2, prepared: 100})
	w.split = func() int { return 1 << 20 }
	w.run(b[:len(b)-1])
	w.o.Reset()
	w.on.f.dead = true // it takes the rest and says nothing
	if n := w.s.FromClient(append(w.in, b[len(b)-1:]...), &w.o); n == 0 {
		t.Fatal("the last byte was not taken")
	}
	w.lose()
	if p := packets(w.client); len(p) != 1 || p[0][3] != 2 || p[0][4] != mysqlwire.HeaderERR {
		t.Errorf("lost behind a command of two packets: %q", inWords(w.client))
	}
	for name, broken := range map[string][]byte{"empty": {}, "no OK packet": {0, 0xfc}} {
		w = newStage(t, setup{servers: 2, prepared: 100})
		w.run(nil)
		w.attach()
		w.o.Reset()
		w.s.FromClient(say(0, func(t *talk) { t.query("DO 1") }), &w.o)
		answer, _ := mysqlwire.AppendPacket(nil, 1, broken)
		w.o.Reset()
		w.s.FromServer(answer, &w.o)
		if !w.o.CloseServer {
			t.Errorf("%s: the server connection is not closed", name)
		}
		w.took()
		if p := packets(w.client); len(p) != 1 || p[0][3] != 1 || p[0][4] != mysqlwire.HeaderERR {
			t.Errorf("%s: %q", name, inWords(w.client))
		}
	}
}
