package mysql

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/wire/mysqlwire"
)

// answers counts the commands that a stream answers: the first packet of each answer has number 1. No conversation has
// answers so long that the numbers begin anew.
func answers(b []byte) (n int) {
	for _, p := range packets(b) {
		if p[3] == 1 {
			n++
		}
	}
	return n
}

// troubled are the conversations whose commands can be counted: what a file is depends on whether it was asked for.
func troubled() []string {
	names := slices.Sorted(maps.Keys(conversations))
	return slices.DeleteFunc(names, func(n string) bool {
		return n == "file" || n == "empty file" || n == "quit" || n == "big results" || n == "big text"
	})
}

// The server connection is lost after each byte of each conversation, and the client goes on: each of its commands is
// answered once, unless its connection is closed.
func TestServerLostAnywhere(t *testing.T) {
	t.Parallel()
	for _, name := range troubled() {
		for cut := 0; ; cut++ {
			caps := capabilities[cut%len(capabilities)]
			b := say(caps, conversations[name])
			if cut >= len(b) {
				break
			}
			want := answers(direct(caps, b))
			for _, half := range []bool{false, true} {
				w := newStage(t, setup{servers: 2, prepared: 100, caps: caps})
				rest := b[cut:]
				if half { // the answer is not read to its end
					w.stopAfter(2 * cut)
					rest = w.run(b)
				} else {
					w.run(b[:cut])
				}
				if w.on != nil {
					w.lose()
				}
				w.split = func() int { return 1 << 20 }
				w.run(rest)
				if w.closed && !half {
					t.Fatalf("%s, capabilities %x, lost after %d of %d bytes: closed", name, uint64(caps), cut, len(b))
				}
				if got := answers(w.client); got != want && !w.closed {
					t.Fatalf("%s, capabilities %x, lost after %d of %d bytes, half %v: %d commands answered, want %d\n%q", name, uint64(caps), cut, len(b), half, got, want, inWords(w.client))
				}
			}
		}
	}
}

// stopAfter hands over a byte at a time, and nothing any more after some number of calls.
func (w *stage) stopAfter(calls int) {
	w.split = func() int {
		if calls--; calls < 0 {
			return 0
		}
		return 1
	}
}

// A client leaves after each byte of each conversation: a server connection that is kept ends up as new.
func TestClientGoneAnywhere(t *testing.T) {
	t.Parallel()
	for name, script := range conversations {
		if name == "big text" {
			continue
		}
		for _, caps := range []mysqlwire.Capability{capabilities[0], capabilities[len(capabilities)-1]} {
			b := say(caps, script)
			for cut := range len(b) {
				w := newStage(t, setup{servers: 1, prepared: 100, caps: caps, foreign: cut%2 == 0})
				w.run(b[:cut])
				if w.on == nil {
					continue
				}
				var o engine.Output
				keep := w.s.ClientGone(&o)
				if w.s.Pinned() != "" {
					t.Fatalf("%s, left after %d bytes: still pinned", name, cut)
				}
				f, v := w.on.f, w.on.v
				if !keep {
					w.s.Detach()
					continue
				}
				f.feed(o.Server.Bytes())
				for len(f.out) > 0 {
					answer := f.out
					f.out = nil
					o.Reset()
					if n := w.s.FromServer(answer, &o); n != len(answer) || o.Client.Len() > 0 || o.CloseServer {
						t.Fatalf("%s, left after %d bytes: %d of %d bytes taken, %d for the client, close %v", name, cut, n, len(answer), o.Client.Len(), o.CloseServer)
					}
					f.feed(o.Server.Bytes())
				}
				if !w.s.Done() {
					t.Fatalf("%s, left after %d bytes: kept, but not done", name, cut)
				}
				w.detach()
				checkFit(t, v, f)
			}
		}
	}
}

// checkFit fails if a server connection's settings are not those that it is taken to have.
func checkFit(t *testing.T, v *server, f *fake) {
	t.Helper()
	have, schema := map[string]string{}, ""
	for _, e := range settingsOf(v.fit) {
		switch {
		case e.name == settingSchema:
			schema = e.value
		case e.name[0] != '#' && e.name[0] != '@':
			have[e.name] = literalValue(e.value)
		}
	}
	if schema != f.schema {
		t.Fatalf("default database %q, taken for %q", f.schema, schema)
	}
	for n, value := range f.vars {
		if n == trackVariables || n == trackSchema || n == trackState {
			continue
		}
		if _, set := f.base[n]; set && have[n] == "" {
			t.Fatalf("%s is %s, not known", n, value)
		}
		if have[n] != value {
			t.Fatalf("%s is %q, taken for %q", n, value, have[n])
		}
	}
	if f.vars[trackVariables] != "*" || f.vars[trackSchema] != "1" || f.vars[trackState] != "1" {
		t.Fatalf("tracking is %q, %q, %q", f.vars[trackVariables], f.vars[trackSchema], f.vars[trackState])
	}
	for n, value := range have {
		if f.vars[n] != value && value != "default of "+n {
			t.Fatalf("%s is %q, taken for %q", n, f.vars[n], value)
		}
	}
}

// No server connection can be had: the next command is answered with the error, and the ones behind it as ever.
func TestRefuse(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(t *talk){
		"query":     func(t *talk) { t.query("SELECT 1") },
		"execute":   func(t *talk) { t.execute(1, "a") },
		"long data": func(t *talk) { t.long(1, 0, "abc"); t.execute(1, "a") },
		"close":     func(t *talk) { t.close(1); t.prepare("SELECT 1") },
		"ping":      func(t *talk) { t.command(mysqlwire.ComPing) },
		"reset":     func(t *talk) { t.command(mysqlwire.ComResetConnection) },
	} {
		b := say(0, script)
		for cut := range len(b) + 1 {
			w := newStage(t, setup{servers: 1, prepared: 100})
			w.run(say(0, func(t *talk) { t.prepare("SELECT ?") }))
			w.client = nil
			w.s.Refuse(engine.ErrBorrowTimeout, &w.o)
			var got []byte
			in := bytes.Clone(b[:cut])
			for _, more := range [][]byte{nil, b[cut:]} {
				in = append(in, more...)
				var o engine.Output
				in = in[w.s.FromClient(in, &o):]
				got = append(got, o.Client.Bytes()...)
			}
			if p := packets(got); len(p) != 1 || !bytes.Contains(got, []byte("Timed-out waiting to acquire database connection")) {
				t.Errorf("%s, cut at %d: %q", name, cut, p)
			}
			if w.s.Refusing() || len(in) > 0 {
				t.Errorf("%s, cut at %d: still refusing %v, %d bytes left", name, cut, w.s.Refusing(), len(in))
			}
			if w.run(say(0, func(t *talk) { t.query("SELECT 1") })); answers(w.client) != 1 {
				t.Errorf("%s, cut at %d: afterwards %q", name, cut, packets(w.client))
			}
		}
	}
}

func TestProtocolViolations(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"empty packet": {0, 0, 0, 0}, "empty packet and more": {0, 0, 0, 0, 1, 0, 0, 0, 1},
		"change of user": {3, 0, 0, 0, 0x11, 'a', 'b'},
	} {
		w := newStage(t, setup{servers: 1, prepared: 100})
		w.run(b)
		if !w.closed || !bytes.Contains(w.client, []byte("Malformed communication packet.")) {
			t.Errorf("%s: closed %v, told %q", name, w.closed, w.client)
		}
	}
}

// MariaDB's clients send -1 for the statement that they have just prepared, ahead of its answer: if that fails, it is no
// other one.
func TestStatementJustPrepared(t *testing.T) {
	t.Parallel()
	const just = 1<<32 - 1
	w := newStage(t, setup{servers: 2, prepared: 100, mariaDB: true})
	for i, tt := range []struct {
		say  func(t *talk)
		want string // in the answer
	}{
		{func(t *talk) { t.execute(just) }, "(4294967295)"},
		{func(t *talk) { t.prepare("SELECT first"); t.execute(just) }, "\x05first"},
		{func(t *talk) { t.execute(just) }, "\x05first"},
		{func(t *talk) { t.prepare("BROKEN"); t.execute(just) }, "(4294967295)"},
		{func(t *talk) { t.prepare("SELECT second"); t.execute(just); t.close(just); t.execute(just) }, "(4294967295)"},
		{func(t *talk) { t.execute(1) }, "\x05first"},
		{func(t *talk) { t.prepare("SELECT third"); t.close(1); t.execute(just) }, "\x05third"},
	} {
		w.client = nil
		w.run(say(0, tt.say))
		if p := packets(w.client); !bytes.Contains(w.client, []byte(tt.want)) {
			t.Errorf("%d: %q in %q?", i, tt.want, p)
		}
	}
	w.s.Refuse(engine.ErrBorrowTimeout, &w.o)
	w.client = nil
	if w.run(say(0, func(t *talk) { t.prepare("SELECT fourth"); t.execute(just) })); bytes.Contains(w.client, []byte("third")) {
		t.Errorf("behind a PREPARE that was refused: %q", packets(w.client))
	}
}

// A client that sends ahead of its answers is read no further than a bound, and goes on when the answer has come.
func TestSendsAhead(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{servers: 1, prepared: 100})
	b := say(0, func(t *talk) {
		t.query("SELECT 1")
		for range 20_000 {
			t.command(mysqlwire.ComPing)
		}
	})
	w.attach()
	for n := 0; w.s.Open() && n < len(b); n += 4096 {
		w.in = append(w.in, b[n:min(len(b), n+4096)]...)
		w.o.Reset()
		w.in = w.in[w.s.FromClient(w.in, &w.o):]
		w.took()
	}
	if len(w.in) > maxAhead+2*4096 {
		t.Errorf("%d bytes are held for the client", len(w.in))
	}
	w.run(nil)
	if got := answers(w.client); got < maxAhead/5 || len(w.in) >= 5 {
		t.Errorf("%d commands answered, %d bytes left", got, len(w.in))
	}
}

// With a server connection that may have had user variables for itself, those that are carried are forgotten: they may be older
// values of the same names.
func TestServerLostForgetsVariables(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		say  func(t *talk)
		want string
	}{
		{func(t *talk) {}, "5"},
		{func(t *talk) { t.query("CREATE TEMPORARY TABLE x") }, "5"},
		{func(t *talk) { t.query("SELECT @b := 6") }, ""},
		{func(t *talk) { t.query("SELECT @b := 6"); t.query("SET @b = 7") }, ""},
	} {
		w := newStage(t, setup{servers: 1, prepared: 100})
		w.run(say(0, func(t *talk) { t.query("SET @a = 5"); tt.say(t) }))
		pins := w.s.Pinned()
		if w.on != nil {
			w.lose()
		}
		if got, _ := settingIn(w.s.want, "@a"); got != tt.want {
			t.Errorf("pinned by %q: @a is %q, want %q", pins, got, tt.want)
		}
	}
}

// Settings that are too large to be carried are the server connection's alone: the client must not go on with older ones.
func TestServerLostWithLargeSettings(t *testing.T) {
	t.Parallel()
	w := newStage(t, setup{servers: 1, prepared: 100})
	w.run(say(0, func(t *talk) { t.query("SET x_y = '" + strings.Repeat("a", maxCarried+1) + "'") }))
	if got := w.s.Pinned(); got != string(pinSettings) {
		t.Fatalf("pinned by %q", got)
	}
	w.lose()
	if !w.closed || !bytes.Contains(w.client, []byte("Lost connection")) {
		t.Errorf("closed %v, told %q", w.closed, inWords(w.client))
	}
}
