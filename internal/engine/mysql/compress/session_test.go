package compress

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/wire/mysqlwire"
)

var kinds = []struct {
	name string
	kind Kind
}{{"zlib", Zlib}, {"zstd", Zstd}}

var welcomeOK = message(2, []byte("\x00\x00\x00\x02\x00\x00\x00"))

// open starts a client that has been welcomed.
func open(t testing.TB, kind Kind, level int, seed uint64) (*world, *peer) {
	w := newWorld(t, New(&toy{welcome: welcomeOK, relogin: toyLogin, shy: seed%3 == 0}, kind, level), seed)
	if !bytes.Equal(w.client, welcomeOK) {
		t.Fatalf("the OK packet goes out as %q", w.client)
	}
	w.client = nil
	return w, &peer{t: t, codec: newCodec(kind, level)}
}

// idle checks that a session with nothing under way can give its server connection back and owns no memory.
func (w *world) idle() {
	w.t.Helper()
	s := w.s.(*session)
	if !s.Done() || len(w.in) > 0 || s.in.mem != nil || s.out.mem != nil || s.held != 0 {
		w.t.Fatalf("at rest: done %t, %d bytes kept, %+v", s.Done(), len(w.in), s)
	}
}

// TestTurns has clients that wait for each answer, cut their packets anywhere, and are strict about the numbers. What both
// sides get is what they would get in the plain protocol.
func TestTurns(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(60) {
				w, p := open(t, k.kind, int(seed%12), seed)
				r := w.r
				var client, server []byte
				for range 10 {
					p.seq = 0
					size := r.IntN(1 + r.IntN(1+r.IntN(20000)))
					switch c := "esnfmku"[r.IntN(7)]; c {
					case 'e', 'm':
						command := payload(r, c, size)
						w.send(p.pack(r, message(0, command)))
						client = append(client, message(1, command)...)
					case 'n':
						command := message(0, payload(r, c, size))
						w.send(p.pack(r, command))
						server = append(server, command...)
					case 's':
						command := message(0, payload(r, c, size))
						w.send(p.pack(r, command))
						server = append(server, command...)
						if w.s.Done() {
							t.Fatal("done, while the server is still to answer")
						}
						answer := reply(r)
						w.answer(answer)
						client = append(client, answer...)
					case 'f':
						w.send(p.pack(r, message(0, []byte("f"))))
						p.receive(w.client, true)
						w.client = nil
						file := message(2, payload(r, 'x', size))
						file = append(file, message(3, nil)...)
						w.send(p.pack(r, file))
						client = append(client, message(1, []byte("\xfbname"))...)
						client = append(client, message(4, []byte{byte(size + 1), byte((size + 1) >> 8), 0})...)
					case 'k':
						w.send(p.pack(r, message(0, []byte("k"))))
						client = append(client, message(1, []byte("killed"))...)
					case 'u':
						got := len(p.plain)
						w.asks = func() []byte {
							p.receive(w.client, true)
							w.client, w.asks = nil, nil
							return p.pack(r, message(2, []byte("me")))
						}
						w.send(p.pack(r, message(0, []byte("u"))))
						p.receive(w.client, true)
						w.client = nil
						client = append(client, p.plain[got:]...)
						if !bytes.HasSuffix(p.plain, message(3, []byte("\x00me"))) || w.asks != nil {
							t.Fatalf("seed %d: logged in again: %q", seed, p.plain[got:])
						}
					}
					p.receive(w.client, true)
					w.client = nil
					if !bytes.Equal(p.plain, client) || !bytes.Equal(w.server, server) {
						t.Fatalf("seed %d: the client got %d bytes, want %d; the server %d, want %d", seed, len(p.plain), len(client), len(w.server), len(server))
					}
					w.idle()
				}
			}
		})
	}
}

// TestPipelined has clients that send all their commands at once, and log in again in between.
func TestPipelined(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(60) {
				w, p := open(t, k.kind, 0, seed)
				r := w.r
				var packed, commands, client, server []byte // commands: not packed yet
				answers := 0
				replies := rand.New(rand.NewPCG(seed, 6))
				for range 1 + r.IntN(30) {
					command := payload(r, "esnmku"[r.IntN(6)], r.IntN(1+r.IntN(1+r.IntN(20000))))
					m := message(0, command)
					commands = append(commands, m...)
					switch command[0] {
					case 's':
						answers++
						client = append(client, reply(replies)...)
						server = append(server, m...)
					case 'n':
						server = append(server, m...)
					case 'k':
						client = append(client, message(1, []byte("killed"))...)
					case 'u':
						if seed%2 == 0 {
							packed = append(packed, p.pack(r, commands)...)
							commands = nil
						}
						commands = append(commands, message(2, []byte("me"))...)
						client = append(client, toyAsks...)
						client = append(client, message(3, []byte("\x00me"))...)
					default:
						client = append(client, message(1, command)...)
					}
					if seed%2 == 0 && command[0] != 'u' {
						packed = append(packed, p.pack(r, commands)...)
						commands = nil
					}
				}
				w.send(append(packed, p.pack(r, commands)...))
				replies = rand.New(rand.NewPCG(seed, 6))
				for range answers {
					w.answer(reply(replies))
				}
				p.receive(w.client, false)
				if !bytes.Equal(p.plain, client) || !bytes.Equal(w.server, server) {
					t.Fatalf("seed %d: the client got %d bytes, want %d; the server %d, want %d", seed, len(p.plain), len(client), len(w.server), len(server))
				}
				w.idle()
			}
		})
	}
}

// TestHalf gives a client's bytes one by one: until the last one is here there is always something to come back for, and the
// server connection is not given back.
func TestHalf(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		w, p := open(t, k.kind, 0, 1)
		command := message(0, bytes.Repeat([]byte("e"), 500))
		half := p.codec.appendPacket(nil, 0, command[:200])
		packed := p.codec.appendPacket(half, 1, command[200:])
		for i, c := range packed {
			w.send([]byte{c})
			if i == len(packed)-1 {
				break
			}
			if w.s.Done() || len(w.in) == 0 {
				t.Fatalf("%s: byte %d of %d: done %t, %d bytes kept", k.name, i, len(packed), w.s.Done(), len(w.in))
			}
			if i == len(half)-1 && len(w.in) != 1 {
				t.Fatalf("%s: %d bytes kept for what was unpacked", k.name, len(w.in))
			}
		}
		p.seq = 2
		p.receive(w.client, true)
		if !bytes.Equal(p.plain, message(1, bytes.Repeat([]byte("e"), 500))) {
			t.Errorf("%s: got %q", k.name, p.plain)
		}
		w.idle()
	}
}

// TestWelcome sends in the plain form what ends the connection phase, however it comes, and nothing else.
func TestWelcome(t *testing.T) {
	t.Parallel()
	more := message(2, []byte("\x01\x03"))
	tests := []struct {
		name    string
		welcome []byte
		plain   int
	}{
		{"OK", welcomeOK, len(welcomeOK)},
		{"AuthMoreData and OK", append(bytes.Clone(more), welcomeOK...), len(more) + len(welcomeOK)},
		{"an error", message(2, []byte("\xff\x10\x04#08004Too many connections")), -1},
		{"OK and more", append(bytes.Clone(welcomeOK), more...), len(welcomeOK)},
	}
	for _, tt := range tests {
		if tt.plain < 0 {
			tt.plain = len(tt.welcome)
		}
		s := New(&toy{}, Zlib, 0)
		var sent []byte
		// The server's way: byte by byte.
		for i := range tt.welcome {
			var o engine.Output
			s.(*session).Session.(*toy).welcome = tt.welcome[i : i+1]
			s.Start(&o)
			sent = append(sent, o.Client.Bytes()...)
		}
		want := bytes.Clone(tt.welcome[:tt.plain])
		if rest := tt.welcome[tt.plain:]; len(rest) > 0 {
			want = append(mysqlwire.CompressedHeader{Length: len(rest)}.Append(want), rest...)
		}
		if !bytes.Equal(sent, want) {
			t.Errorf("%s: sent as %q, want %q", tt.name, sent, want)
		}
	}
}

// TestLongAnswer sends packets in one piece up to a limit, and longer ones as they come.
func TestLongAnswer(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		w, p := open(t, k.kind, 0, 1)
		w.send(p.pack(w.r, message(0, []byte("s"))))
		short := message(1, make([]byte, maxWait-mysqlwire.HeaderLen))
		long := message(2, make([]byte, maxWait-mysqlwire.HeaderLen+1))
		end := message(3, nil)
		var kept int
		for _, part := range [][]byte{short[:1000], short[1000:], long[:3], long[3:10], long[10:20], long[20:], end[:1], end[1:]} {
			w.rest = append(w.rest, part...)
			w.o.Reset()
			n := w.s.FromServer(w.rest, &w.o)
			w.rest = bytes.Clone(w.rest[n:])
			w.took()
			kept = max(kept, w.s.(*session).out.len())
		}
		p.receive(w.client, false)
		if !bytes.Equal(p.plain, bytes.Join([][]byte{short, long, end}, nil)) {
			t.Errorf("%s: got %d bytes", k.name, len(p.plain))
		}
		if p.sizes[0] != len(short) || kept > len(short) {
			t.Errorf("%s: packets of %v, kept up to %d", k.name, p.sizes, kept)
		}
		w.idle()
	}
}

// TestLongCommand is one of more than 16 MiB, which takes several packets of either kind.
func TestLongCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("takes memory")
	}
	for _, k := range kinds {
		w, p := open(t, k.kind, 0, 1)
		command := message(0, append([]byte("n"), make([]byte, mysqlwire.MaxPayload+5)...))
		rest := command
		for piece := mysqlwire.MaxPayload; len(rest) > 0; piece = 1 << 20 {
			n := min(piece, len(rest))
			w.socket = p.codec.appendPacket(w.socket, p.seq, rest[:n])
			rest = rest[n:]
			p.seq++
		}
		w.pump()
		if !bytes.Equal(w.server, command) {
			t.Errorf("%s: the server got %d bytes, want %d", k.name, len(w.server), len(command))
		}
		w.idle()
	}
}

// TestEnd tells a client why it ends, with a number that it takes.
func TestEnd(t *testing.T) {
	t.Parallel()
	w, p := open(t, Zlib, 0, 1)
	w.send(p.pack(rand.New(rand.NewPCG(1, 1)), message(0, []byte("e"))))
	p.receive(w.client, true)
	for _, tt := range []struct {
		name   string
		number uint8 // of the message as a plain packet
		before func(s *session)
		want   uint8
	}{
		{"an idle client, as servers do", 0, func(*session) {}, 0},
		{"an idle client, as the answer to its next command", 1, func(*session) {}, 1},
		{"a client that waits for its answer", 1, func(s *session) { s.seq, s.asked = 3, true }, 3},
		{"in the middle of an answer", 7, func(s *session) { s.seq, s.outPos.next = 4, 7 }, 4},
	} {
		s := *w.s.(*session)
		s.Session = &toy{number: tt.number}
		tt.before(&s)
		var o engine.Output
		s.End(errToy, &o)
		h, _, n := next(o.Client.Bytes())
		if n != o.Client.Len() || h.Sequence != tt.want || !o.CloseClient {
			t.Errorf("%s: %+v: %q; want number %d", tt.name, h, o.Client.Bytes(), tt.want)
		}
	}
}

// TestOthers has a session send in all other ways that there are, and a client that leaves.
func TestOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		call  func(s engine.Session, o *engine.Output)
		close bool
	}{
		{"Refuse", func(s engine.Session, o *engine.Output) { s.Refuse(errToy, o) }, false},
		{"ServerLost", func(s engine.Session, o *engine.Output) { s.ServerLost(errToy, o) }, false},
		{"Killed", func(s engine.Session, o *engine.Output) { s.Killed(true, o) }, false},
		{"End", func(s engine.Session, o *engine.Output) { s.End(errToy, o) }, true},
	} {
		w, p := open(t, Zstd, 0, 1)
		w.o.Reset()
		tt.call(w.s, &w.o)
		w.took()
		p.receive(w.client, true)
		if len(p.plain) == 0 || w.closed != tt.close {
			t.Errorf("%s: got %q, closed %t", tt.name, p.plain, w.closed)
		}
	}
	w, p := open(t, Zlib, 0, 1)
	w.send(p.pack(w.r, append(message(0, []byte("what?")), message(0, []byte("nobody reads it"))...)))
	if !w.closed {
		t.Error("goes on with a client that is not understood")
	}
	w.idle()
	w, p = open(t, Zlib, 0, 1)
	w.send(p.pack(w.r, message(0, []byte("e"+"half a command"))[:9]))
	w.client = nil
	w.o.Reset()
	if !w.s.ClientGone(&w.o) || w.o.Client.Len() > 0 || string(w.o.Server.Bytes()) != "reset" {
		t.Errorf("gone: %q for the client, %q for the server", w.o.Client.Bytes(), w.o.Server.Bytes())
	}
	w.in = nil
	w.answer(reply(w.r))
	if len(w.client) > 0 {
		t.Errorf("%d bytes for a client that has gone", len(w.client))
	}
	w.idle()
}
