package compress

import (
	"bytes"
	"compress/zlib"
	"runtime"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/wire/mysqlwire"

	"github.com/klauspost/compress/zstd"
)

// squeeze compresses as well as can be, with libraries' defaults.
func squeeze(t testing.TB, k Kind, plain []byte) []byte {
	if k == Zstd {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		return e.EncodeAll(plain, nil)
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write(plain)
	_ = z.Close()
	return b.Bytes()
}

func packet(uncompressed int, payload []byte) []byte {
	return append(mysqlwire.CompressedHeader{Length: len(payload), Uncompressed: uncompressed}.Append(nil), payload...)
}

// TestBroken ends clients whose packets are not what they say, and tells them why.
func TestBroken(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		command := message(0, bytes.Repeat([]byte("e"), 1000))
		good := squeeze(t, k.kind, command)
		changed := bytes.Clone(good)
		changed[len(changed)-1] ^= 1
		two := append(bytes.Clone(good), good...)
		bomb := squeeze(t, k.kind, make([]byte, 17<<20))
		if k.kind == Zlib {
			bomb = bomb[:len(bomb)-1] // it does not even end
		}
		tests := []struct {
			name string
			in   []byte
		}{
			{"more than announced", packet(len(command)-1, good)},
			{"less than announced", packet(len(command)+1, good)},
			{"no end", packet(len(command), good[:len(good)-1])},
			{"not compressed", packet(len(command), command)},
			{"nothing", packet(1, nil)},
			{"one byte", packet(1, []byte("e"))},
			{"changed", packet(len(command), changed)},
			{"a bomb", packet(mysqlwire.MaxPayload, bomb)},
			{"a bomb that says little", packet(50, bomb)},
			{"more than it can be", packet(mysqlwire.MaxPayload, good)},
		}
		if k.kind == Zstd {
			tests = append(tests, struct {
				name string
				in   []byte
			}{"more frames", packet(len(command), two)})
		}
		for _, tt := range tests {
			if tt.name == "changed" && k.kind == Zstd {
				continue // what it stands for has no checksum
			}
			w, p := open(t, k.kind, 0, 1)
			w.send(tt.in)
			p.seq = 1
			p.receive(w.client, true)
			if !w.closed || len(w.in) > 0 {
				t.Errorf("%s: %s: closed %t, %d bytes kept", k.name, tt.name, w.closed, len(w.in))
			}
			h, err := mysqlwire.ParseHeader(p.plain)
			if err != nil || h.Sequence != 1 {
				t.Fatalf("%s: %s: told %q", k.name, tt.name, p.plain)
			}
			e, err := mysqlwire.ParseError(p.plain[mysqlwire.HeaderLen:])
			if err != nil || e.Code != 1157 {
				t.Errorf("%s: %s: told %v, %v", k.name, tt.name, e, err)
			}
			w.idle()
		}
	}
}

// TestBrokenAnswer says nothing to a client that is in the middle of a packet, and does not send the rest of it.
func TestBrokenAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		size int
		told bool
	}{{"a packet that waits", maxWait - mysqlwire.HeaderLen, true}, {"a packet that was begun", maxWait, false}} {
		w, p := open(t, Zlib, 0, 1)
		w.send(p.pack(w.r, message(0, []byte("s"))))
		w.answer(message(1, make([]byte, tt.size))[:1000])
		before := len(w.client)
		w.send(packet(1, []byte("x")))
		if told := len(w.client) > before; told != tt.told || !w.closed {
			t.Errorf("%s: told %q, closed %t", tt.name, w.client[before:], w.closed)
		}
	}
}

// TestBombs takes no more memory for a client than its packets may hold.
func TestBombs(t *testing.T) {
	for _, k := range kinds {
		bomb := squeeze(t, k.kind, bytes.Repeat([]byte("\x0b\x00\x00\x00ePipelined."), 1<<16))
		if len(bomb) > 100<<10 {
			t.Fatalf("%s: no bomb: %d bytes", k.name, len(bomb))
		}
		var in []byte
		for range 4 {
			in = append(in, packet(15<<16, bomb)...)
		}
		s := New(&toy{welcome: welcomeOK}, k.kind, 0)
		var o engine.Output
		s.Start(&o)
		var before, after runtime.MemStats
		most, rounds := 0, 0
		runtime.ReadMemStats(&before)
		for len(in) > 0 {
			o.Reset()
			n := s.FromClient(in, &o)
			if o.CloseClient {
				t.Fatalf("%s: closed", k.name)
			}
			in = in[n:]
			most = max(most, o.Client.Len(), o.Server.Len())
			if rounds++; !o.More && n == 0 {
				t.Fatalf("%s: stands still with %d bytes left", k.name, len(in))
			}
		}
		runtime.ReadMemStats(&after)
		if s.(*session).in.len() > 0 || most > 1<<20 {
			t.Errorf("%s: up to %d bytes in one call", k.name, most)
		}
		if total := after.TotalAlloc - before.TotalAlloc; total > 20<<20 && !raceDetector() {
			t.Errorf("%s: %d MB were allocated in %d rounds for 4 MB", k.name, total>>20, rounds)
		}
	}
}

// TestGreedy has an inner session that stops for nothing: what one call sends has a limit all the same.
func TestGreedy(t *testing.T) {
	t.Parallel()
	commands := bytes.Repeat(message(0, []byte("n"+"nobody answers")), 2000)
	var in []byte
	for range 50 {
		in = append(in, packet(len(commands), squeeze(t, Zlib, commands))...)
	}
	s := New(&toy{greedy: true}, Zlib, 0)
	var o engine.Output
	sent := 0
	for more := true; more; more = o.More {
		o.Reset()
		in = in[s.FromClient(in, &o):]
		sent += o.Server.Len()
		if o.Server.Len() > maxAhead+len(commands) {
			t.Fatalf("%d bytes in one call", o.Server.Len())
		}
	}
	if sent != 50*len(commands) {
		t.Errorf("%d bytes, want %d", sent, 50*len(commands))
	}
}

// TestAhead unpacks for a session that waits for its server no more than it could do with.
func TestAhead(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		w, p := open(t, k.kind, 0, 1)
		w.send(p.pack(w.r, message(0, []byte("s"))))
		commands := bytes.Repeat(message(0, []byte("n"+"nobody answers")), 2000)
		for range 50 {
			w.send(packet(len(commands), squeeze(t, k.kind, commands)))
		}
		if n := w.s.(*session).in.len(); n != len(commands) {
			t.Errorf("%s: %d bytes are unpacked, of packets of %d", k.name, n, len(commands))
		}
		w.answer(reply(w.r))
		if want := 50*len(commands) + len(message(0, []byte("s"))); len(w.server) != want {
			t.Errorf("%s: the server got %d bytes, want %d", k.name, len(w.server), want)
		}
		w.idle()
	}
}

// TestNothingForNothing allocates next to nothing for packets that announce what they cannot hold.
func TestNothingForNothing(t *testing.T) {
	for _, k := range kinds {
		in := packet(mysqlwire.MaxPayload, squeeze(t, k.kind, []byte("a few bytes")))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			var o engine.Output
			New(&toy{}, k.kind, 0).FromClient(in, &o)
			if !o.CloseClient {
				t.Fatalf("%s: taken", k.name)
			}
		}
		runtime.ReadMemStats(&after)
		if total := after.TotalAlloc - before.TotalAlloc; total > 8<<20 {
			t.Errorf("%s: %d KB for each", k.name, total>>10/100)
		}
	}
}

// FuzzFromClient gives a session anything, in any pieces, and is strict about what the caller relies on.
func FuzzFromClient(f *testing.F) {
	for _, k := range kinds {
		command := message(0, bytes.Repeat([]byte("e"), 100))
		f.Add(packet(len(command), squeeze(f, k.kind, command)), uint8(k.kind), uint8(3), []byte("\x02\x00\x00\x01ok\x00\x00\x00\x02"))
		f.Add(packet(0, message(0, []byte("select"))), uint8(k.kind), uint8(1), []byte("\x02\x00\x00\x01"))
		f.Add(packet(0, append(message(0, []byte("u")), message(2, []byte("me"))...)), uint8(k.kind), uint8(0), []byte{})
		f.Add(packet(0, append(message(0, []byte("f")), message(2, []byte("me"))...)), uint8(k.kind), uint8(0), []byte{})
		f.Add(packet(0, message(0, []byte("k"))), uint8(k.kind), uint8(9), []byte{})
	}
	f.Fuzz(func(t *testing.T, in []byte, kind, piece uint8, answer []byte) {
		if kind &= 1; len(in) > 1<<20 {
			return
		}
		w := newWorld(t, New(&toy{welcome: welcomeOK}, Kind(kind), int(piece)), uint64(piece))
		w.client, w.rough = nil, true
		for step := 1 + int(piece); len(in) > 0 && !w.closed; {
			n := min(step, len(in))
			w.send(in[:n])
			in = in[n:]
			if len(answer) > 0 && w.s.(*session).Session.(*toy).waits {
				w.answer(answer[:1])
				answer = answer[1:]
			}
			s := w.s.(*session)
			if waits := s.in.len(); waits > 0 && len(w.in) == 0 && !w.closed {
				t.Fatalf("%d bytes wait, and nobody will come for them", waits)
			}
			if s.in.mem != nil && cap(s.in.mem.b) > 3*mysqlwire.MaxPayload {
				t.Fatalf("%d bytes of memory", cap(s.in.mem.b))
			}
			if s.out.len() > maxWait {
				t.Fatalf("%d bytes wait for the client", s.out.len())
			}
		}
		p := &peer{t: t, codec: newCodec(Kind(kind), 0)}
		p.receive(w.client, false)
		if len(p.rest) > 0 {
			t.Fatalf("the client gets half a packet: %q", p.rest)
		}
	})
}
