package compress

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/wire/mysqlwire"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

// world calls one session the way the data plane does, without sockets. The server connection is always the same.
type world struct {
	t      testing.TB
	s      engine.Session
	r      *rand.Rand
	socket []byte // from the client, not read
	in     []byte // read, not consumed
	fed    bool   // the session has seen in and wants more
	toCome []byte // from the server, not read
	rest   []byte // read, not consumed
	client []byte // sent to the client
	asked  []byte // sent to the server, since its last answer
	server []byte // all that was sent to the server
	closed bool
	rough  bool // the client may leave while it logs in again
	o      engine.Output
	asks   func() []byte // what the client sends while it logs in again, if it has sent nothing before
}

func newWorld(t testing.TB, s engine.Session, seed uint64) *world {
	w := &world{t: t, s: s, r: rand.New(rand.NewPCG(seed, 5))}
	w.start()
	return w
}

func (w *world) start() {
	w.o.Reset()
	w.s.Start(&w.o)
	w.took()
}

// some returns how many of n to take, at least one.
func (w *world) some(n int) int {
	if w.r.IntN(3) == 0 {
		return n
	}
	return 1 + w.r.IntN(min(n, 1+w.r.IntN(n)))
}

// send has the client send something.
func (w *world) send(b []byte) {
	w.socket = append(w.socket, b...)
	w.pump()
}

// pump is what session.pump does.
func (w *world) pump() {
	for !w.closed {
		if len(w.socket) == 0 && (len(w.in) == 0 || w.fed) || !w.s.Open() {
			return
		}
		b := bytes.Clone(w.in)
		if len(w.in) == 0 || w.fed {
			n := w.some(len(w.socket))
			b = append(b, w.socket[:n]...)
			w.socket = w.socket[n:]
		}
		w.o.Reset()
		n := w.s.FromClient(b, &w.o)
		if n < 0 || n > len(b) {
			w.t.Fatalf("consumed %d of %d bytes", n, len(b))
		}
		w.fed = !w.o.More
		w.in = bytes.Clone(b[n:])
		relogin := w.o.Relogin
		kill := w.o.Kill
		w.took()
		scribble(b)
		if relogin != nil {
			w.again(relogin)
			return
		}
		if kill != nil {
			w.o.Reset()
			w.s.Killed(true, &w.o)
			w.fed = false
			w.took()
		}
		if w.s.Done() && len(w.in) > 0 {
			w.t.Fatalf("done, with %d bytes left", len(w.in))
		}
	}
}

// took takes over the output of a call, whose memory is somebody else's afterwards.
func (w *world) took() {
	w.client = append(w.client, w.o.Client.Bytes()...)
	w.asked = append(w.asked, w.o.Server.Bytes()...)
	w.server = append(w.server, w.o.Server.Bytes()...)
	w.closed = w.closed || w.o.CloseClient
	w.o.Reset()
	m := memories.Get().(*memory)
	scribble(m.b[:cap(m.b)])
	memories.Put(m)
}

func scribble(b []byte) {
	for i := range b {
		b[i] = 0xee
	}
}

// answer has the server send something, in pieces.
func (w *world) answer(b []byte) {
	w.toCome = append(w.toCome, b...)
	for len(w.toCome) > 0 && !w.closed {
		n := w.some(len(w.toCome))
		b := append(bytes.Clone(w.rest), w.toCome[:n]...)
		w.toCome = w.toCome[n:]
		w.o.Reset()
		n = w.s.FromServer(b, &w.o)
		w.rest = bytes.Clone(b[n:])
		w.fed = false
		w.took()
		scribble(b)
		w.pump()
	}
}

// again is the connection phase once more, with a client that has sent its part already.
func (w *world) again(f reloginFunc) {
	nc := &scriptConn{w: w}
	early := w.in
	w.in = nil
	l, err := f(context.Background(), nc, engine.AcceptOptions{Early: early})
	if err != nil {
		if !w.rough {
			w.t.Fatalf("log in again: %v", err)
		}
		w.closed = true
		return
	}
	if l.Conn != net.Conn(nc) {
		w.t.Fatalf("goes on with %T", l.Conn)
	}
	w.s, w.in, w.fed = l.NewSession(nil, engine.SessionID{PID: w.r.Uint32()}), bytes.Clone(l.Buffered), false
	w.start()
	w.pump()
}

// scriptConn reads what the client has sent.
type scriptConn struct {
	net.Conn
	w *world
}

func (c *scriptConn) Read(b []byte) (int, error) {
	if len(c.w.socket) == 0 && c.w.asks != nil {
		c.w.socket = c.w.asks()
	}
	if len(c.w.socket) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.w.socket[:c.w.some(len(c.w.socket))])
	c.w.socket = c.w.socket[n:]
	return n, nil
}

func (c *scriptConn) Write(b []byte) (int, error) {
	c.w.client = append(c.w.client, b...)
	return len(b), nil
}

// peer is a client that packs and unpacks.
type peer struct {
	t     testing.TB
	codec codec
	seq   uint8
	plain []byte // received
	sizes []int  // of the packets received, before compression
	rest  []byte // not whole
}

// pack puts plain into packets of sizes by r, the first with number p.seq.
func (p *peer) pack(r *rand.Rand, plain []byte) (packed []byte) {
	for len(plain) > 0 {
		if r.IntN(20) == 0 {
			packed = mysqlwire.CompressedHeader{Sequence: p.seq}.Append(packed)
			p.seq++
		}
		n := len(plain)
		if r.IntN(2) == 0 {
			n = 1 + r.IntN(n)
		}
		packed = p.codec.appendPacket(packed, p.seq, plain[:n])
		plain = plain[n:]
		p.seq++
	}
	return packed
}

// receive unpacks what it is sent. strict: each packet has the number that is due.
func (p *peer) receive(b []byte, strict bool) {
	p.t.Helper()
	p.rest = append(p.rest, b...)
	for {
		h, payload, n := next(p.rest)
		if n == 0 {
			return
		}
		if strict && h.Sequence != p.seq {
			p.t.Fatalf("packet number %d where %d is due", h.Sequence, p.seq)
		}
		p.seq = h.Sequence + 1
		before := len(p.plain)
		var err error
		if p.plain, err = p.codec.unpack(p.plain, h, payload); err != nil {
			p.t.Fatal(err)
		}
		p.sizes = append(p.sizes, len(p.plain)-before)
		if h.Uncompressed > 0 && (h.Length >= h.Uncompressed || h.Uncompressed < mysqlwire.MinCompressed) {
			p.t.Fatalf("compressed for nothing: %+v", h)
		}
		p.rest = p.rest[n:]
	}
}

// message is a command's packets.
func message(seq uint8, payload []byte) []byte {
	b, _ := mysqlwire.AppendPacket(nil, seq, payload)
	return b
}

// payload is a command that does what c says, with n bytes behind it that can be compressed more or less.
func payload(r *rand.Rand, c byte, n int) []byte {
	b := make([]byte, 1+n)
	b[0] = c
	kinds := 1 + r.IntN(256)
	for i := range n {
		b[1+i] = byte(r.IntN(kinds))
	}
	return b
}

// reply is how the server answers: an OK, a row, and an end.
func reply(r *rand.Rand) []byte {
	b := message(1, []byte("ok"))
	for i := range r.IntN(10) {
		b = append(b, message(uint8(2+i), payload(r, 'r', 1+r.IntN(1+r.IntN(5000))))...)
	}
	return append(b, message(12, nil)...)
}
