package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/wire/pgwire"
)

// readies counts the ReadyForQuery in a stream.
func readies(b []byte) (n int) {
	for _, m := range messages(b) {
		if m[1] == pgwire.ReadyForQuery {
			n++
		}
	}
	return n
}

// The server connection is lost after each byte of each conversation, and the client goes on: each of its cycles is
// answered once, unless its connection is closed.
func TestServerLostAnywhere(t *testing.T) {
	t.Parallel()
	for name, b := range conversations {
		if bytes.Contains(b, []byte("STDIN")) || name == "copy in refused" {
			continue // there the number of cycles depends on whether the COPY was begun
		}
		want := readies(direct(b))
		for cut := range len(b) {
			w := newWorld(t, 2, 100)
			w.run(b[:cut])
			if w.on != nil {
				w.lose()
			}
			w.run(b[cut:])
			if got := readies(w.client); got != want && !w.closed {
				t.Errorf("%s, lost after %d of %d bytes: %d cycles answered, want %d\n%q", name, cut, len(b), got, want, messages(w.client))
				break
			}
		}
	}
}

// A client leaves after each byte of each conversation: a server connection that is kept ends up as new.
func TestClientGoneAnywhere(t *testing.T) {
	t.Parallel()
	for name, b := range conversations {
		for cut := range len(b) {
			w := newWorld(t, 1, 100)
			w.run(b[:cut])
			if w.on == nil {
				continue
			}
			var o engine.Output
			keep := w.s.ClientGone(&o)
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
			if !w.s.Done() || v.fit != noSettings || f.tx != pgwire.Idle || f.copying != 0 || f.skip {
				t.Fatalf("%s, left after %d bytes: kept, done %v, status %c", name, cut, w.s.Done(), f.tx)
			}
		}
	}
}

// No server connection can be had: the next request is answered with the error, and the ones behind it as ever.
func TestRefuse(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"simple":   send(&q{String: "SELECT 1"}),
		"extended": send(join(&prs{Name: "a", Query: "SELECT 1"}, call("a"), synced)...),
	} {
		for cut := range len(b) + 1 {
			w := newWorld(t, 1, 100)
			w.s.Refuse(engine.ErrBorrowTimeout, &w.o)
			var got []byte
			in := bytes.Clone(b[:cut])
			for _, more := range [][]byte{nil, b[cut:]} {
				in = append(in, more...)
				var o engine.Output
				in = in[w.s.FromClient(in, &o):]
				got = append(got, o.Client.Bytes()...)
			}
			m := messages(got)
			if len(m) != 2 || !bytes.Contains(got, []byte("Timed-out waiting to acquire database connection.")) || m[1][1] != pgwire.ReadyForQuery {
				t.Errorf("%s, cut at %d: %q", name, cut, m)
			}
			if w.s.Refusing() || len(in) > 0 {
				t.Errorf("%s, cut at %d: still refusing %v, %d bytes left", name, cut, w.s.Refusing(), len(in))
			}
		}
	}
}

func TestProtocolViolations(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"length too small": {'Q', 0, 0, 0, 3, 0}, "length too large": {'Q', 0xff, 0xff, 0xff, 0xff, 0}, "unknown type": {'!', 0, 0, 0, 4},
		"long name": append([]byte{'D', 0, 0xff, 0xff, 0xff, 'S'}, make([]byte, 100)...),
	} {
		w := newWorld(t, 1, 100)
		w.run(b)
		if !w.closed || !bytes.Contains(w.client, []byte("C08P01\x00")) {
			t.Errorf("%s: closed %v, told %q", name, w.closed, w.client)
		}
	}
}

func TestCancelSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	copy(w.s.id.Secret[:], "0123456789abcdefghijklmnopqrstuv")
	for _, tt := range []struct {
		minor  int
		pid    uint32
		secret string
		want   bool
	}{
		{0, 7, "0123", true},
		{0, 8, "0123", false},
		{0, 7, "0124", false},
		{0, 7, "", false},
		{0, 7, "012", false},
		{0, 7, "0123456789abcdefghijklmnopqrstuv", false},
		{2, 7, "0123456789abcdefghijklmnopqrstuv", true},
		{2, 7, "0123", false},
	} {
		w.s.minor = tt.minor
		if got := w.s.Matches(&engine.Cancel{PID: tt.pid, Secret: []byte(tt.secret)}); got != tt.want {
			t.Errorf("3.%d, pid %d, secret %q: %v, want %v", tt.minor, tt.pid, tt.secret, got, tt.want)
		}
	}
}

// Whatever a client sends: no panic, nothing of Forebay's own conversation for it, and buffers stay bounded.
func FuzzClient(f *testing.F) {
	for _, b := range conversations {
		f.Add(b, uint8(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		w := newWorld(t, 2, 2)
		w.split = func() int { return int(size) + 1 }
		w.run(b)
		if bytes.Contains(w.client, []byte(marker)) && !bytes.Contains(b, []byte(marker)) {
			t.Errorf("the client sees what is not for it: %q", messages(w.client))
		}
	})
}

// Whatever a server sends: no panic, and a client gets no more than that and what Forebay may say itself.
func FuzzServer(f *testing.F) {
	for _, b := range conversations {
		f.Add(send(&q{String: "SELECT unknown()"}), direct(b), uint8(7))
	}
	f.Fuzz(func(t *testing.T, client, answer []byte, size uint8) {
		w := newWorld(t, 1, 2)
		var o engine.Output
		v := w.servers[0].v
		w.s.Attach(v, &o)
		o.Reset()
		w.s.FromClient(client, &o)
		var in []byte
		sent := 0
		for len(answer) > 0 {
			n := min(int(size)+1, len(answer))
			in, answer = append(in, answer[:n]...), answer[n:]
			o.Reset()
			in = in[w.s.FromServer(in, &o):]
			sent += o.Client.Len()
			if o.CloseServer {
				o.Reset()
				w.s.ServerLost(errors.New("closed"), &o)
				w.s.Detach()
				return
			}
			if o.CloseClient {
				return
			}
			if w.s.Done() && v.visible() {
				t.Fatal("done with something outstanding")
			}
		}
	})
}

// What the client was told has failed does not exist afterwards: a program that goes on all the same would run it elsewhere.
func TestServerLostTakesBackStatements(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"here":     send(join(&prs{Name: "new", Query: "SELECT 1"}, synced)...), // the server connection has it
		"prepared": send(join(&prs{Name: "new", Query: "COMMIT"}, &prs{Query: "COMMIT"}, synced)...),
		"replaced": send(join(&cls{ObjectType: 'S', Name: "old"}, &prs{Name: "old", Query: "COMMIT"}, synced)...),
		"dropped":  send(&q{String: "DEALLOCATE ALL"}),
	} {
		for answered := 0; ; answered++ {
			w := newWorld(t, 2, 100)
			w.run(send(join(&prs{Name: "old", Query: "SELECT 1"}, synced, &q{String: "BEGIN"})...))
			w.client = nil
			w.o.Reset()
			if n := w.s.FromClient(b, &w.o); n != len(b) {
				t.Fatalf("%s: %d of %d bytes taken", name, n, len(b))
			}
			w.took()
			answer := w.on.f.out
			if answered > 0 {
				w.o.Reset()
				w.s.FromServer(prefix(answer, answered), &w.o)
				w.took()
			}
			if readies(w.client) > 0 {
				break // the client was told that all is well
			}
			w.lose()
			w.run(send(&q{String: "ROLLBACK"}))
			for statement, want := range map[string]string{"new": "26000", "": "26000", "old": "SELECT 1"} {
				if answered > 0 && statement == "old" && name != "here" && name != "prepared" {
					want = "26000" // the client was told that it is closed or dropped
				}
				w.client = nil
				w.run(send(join(call(statement), synced)...))
				if !bytes.Contains(w.client, []byte(want)) {
					t.Errorf("%s, %d messages of the answer seen: statement %q: got %q, want %q in it", name, answered, statement, messages(w.client), want)
				}
			}
		}
	}
}

// A DEALLOCATE ALL that is lost with the server connection gives back what there was before its request, not what that has made.
func TestServerLostWithDeallocateAll(t *testing.T) {
	t.Parallel()
	for answered := range 4 { // the fourth is the CommandComplete of the DEALLOCATE ALL
		w := newWorld(t, 2, 100)
		w.run(send(join(&prs{Name: "old", Query: "SELECT 1"}, synced)...))
		w.run(send(&q{String: "BEGIN"}))
		w.o.Reset()
		w.s.FromClient(send(join(&prs{Name: "new", Query: "SELECT 2"}, &prs{Query: "DEALLOCATE ALL"}, call(""), synced)...), &w.o)
		w.took()
		w.o.Reset()
		w.s.FromServer(prefix(w.on.f.out, answered), &w.o)
		w.took()
		w.lose()
		w.run(send(&q{String: "ROLLBACK"}))
		for statement, want := range map[string]string{"new": "26000", "old": "SELECT 1"} {
			w.client = nil
			w.run(send(join(call(statement), synced)...))
			if !bytes.Contains(w.client, []byte(want)) {
				t.Errorf("%d messages of the answer seen: statement %q: got %q, want %q in it", answered, statement, messages(w.client), want)
			}
		}
	}
}

// What a lost transaction has done to SQL-level prepared statements is not known: none is left, on no server connection.
func TestServerLostWithPrepare(t *testing.T) {
	t.Parallel()
	for sql, gone := range map[string]bool{"SAVEPOINT a": false, "DEALLOCATE q": true} {
		w := newWorld(t, 2, 100)
		w.s.sql = []sqlStmt{{name: "q", text: "PREPARE q AS SELECT 1"}}
		for _, l := range w.servers {
			l.v.sqlOwner, l.v.sqlNames = w.s, []string{"q"}
			l.f.stmts["q"] = "SELECT 1"
		}
		w.run(send(&q{String: "BEGIN"}, &q{String: sql}))
		w.lose()
		w.at++
		w.run(send(&q{String: "SELECT 1"})) // which is refused
		w.run(send(&q{String: "ROLLBACK"}))
		if _, there := w.servers[1].f.stmts["q"]; there == gone || (len(w.s.sql) == 0) != gone {
			t.Errorf("%s: on the other server connection %v, known are %d", sql, there, len(w.s.sql))
		}
	}
}

// What another loop has counted says nothing of a server connection's cycle here.
func TestServerLostThatHasMoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 100)
	w.run(send(join(&prs{Query: "SELECT 1"}, synced)...))
	w.servers[0].v.unnamedIn = w.s.l.cycles + 1
	w.o.Reset()
	w.on = w.servers[0]
	w.s.Attach(w.on.v, &w.o)
	w.s.FromClient(send(&q{String: "BEGIN"}), &w.o)
	w.s.unnamed = w.s.l.intern([]byte("SELECT 1"), []byte{0, 0}, 0, w.s.routines())
	w.lose()
	if w.s.unnamed == nil {
		t.Error("the unnamed statement of an earlier request is gone")
	}
}

// Settings of a session whose look has failed are not known: they are not made up when the server connection is lost.
func TestUnverifiedLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 100)
	w.servers[0].f.busy = 1 + maxProbeTries
	w.run(send(&q{String: "SET search_path TO a, b; SELECT 1"}))
	if !w.s.pinnedFor(pinUnverified) {
		t.Fatal("the look has not failed")
	}
	w.lose()
	if !w.closed || !bytes.Contains(w.client, []byte("settings were lost")) {
		t.Errorf("closed %v: %q", w.closed, messages(w.client))
	}
}

// A look that has been cancelled is tried again when what the client has sent behind it is done: its Sync would end that.
func TestLookAgainAmid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 100)
	w.on = w.servers[0]
	w.on.f.busy = 1
	step := func(client []byte) {
		w.o.Reset()
		w.s.FromClient(client, &w.o)
		w.took()
		answer := w.on.f.out
		w.on.f.out = nil
		w.o.Reset()
		w.s.FromServer(answer, &w.o)
		w.took()
	}
	w.s.Attach(w.on.v, &w.o)
	step(send(&q{String: "LISTEN x"}))
	step(send(&prs{Query: "SELECT 1"}, &bnd{}))
	w.client = nil
	w.run(send(&exe{}, synced))
	if !bytes.Contains(w.client, []byte("SELECT 1")) || w.on != nil || len(w.s.pins) > 0 {
		t.Errorf("got %q, pinned %v", messages(w.client), w.s.pins)
	}
}

// prefix is the first n messages of a stream.
func prefix(b []byte, n int) []byte {
	size := 0
	for range n {
		if size == len(b) {
			break
		}
		size += 1 + int(binary.BigEndian.Uint32(b[size+1:]))
	}
	return b[:size]
}
