package postgres

import (
	"bytes"
	"io"
	"log/slog"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/wire/pgwire"
)

// world drives one session the way the data plane does, without sockets.
type world struct {
	t       testing.TB
	s       *session
	servers []*link
	at      int   // which server is next
	on      *link // the one lent
	client  []byte
	in      []byte // of the client, not consumed
	closed  bool
	o       engine.Output
	split   func() int // how many bytes to hand over next
	lost    int        // server connections closed
	sent    io.Writer  // gets what servers are sent; may be nil
}

type link struct {
	v  *server
	f  *fake
	in []byte // of the server, not consumed
}

func newWorld(t testing.TB, servers int, prepared int) *world {
	e := New(slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
	p := &resource.Proxy{Name: "p"}
	p.Pool.MaxPreparedStatements = prepared
	d := e.Open(p, engine.Key{User: "alice", Database: "db"}, nil).(*database)
	now := int64(1)
	l := d.NewLocal(&engine.Counters{Now: &now}).(*local)
	w := &world{t: t, split: func() int { return 1 << 20 }}
	rep := settings{{name: "client_encoding", value: "UTF8"}, {name: "standard_conforming_strings", value: "on"}}.fit()
	w.s = &session{l: l, want: noSettings, startup: noSettings, id: engine.SessionID{PID: 7}}
	w.s.know(rep)
	for range servers {
		w.servers = append(w.servers, &link{v: &server{db: d, user: d.key.User, fit: noSettings, reported: rep, tx: pgwire.Idle, probeName: newProbeName()}, f: newFake()})
	}
	return w
}

// took takes over the output of a call.
func (w *world) took() {
	w.client = append(w.client, w.o.Client.Bytes()...)
	if w.on != nil {
		if w.sent != nil {
			_, _ = w.sent.Write(w.o.Server.Bytes())
		}
		w.on.f.feed(w.o.Server.Bytes())
	}
	if w.o.CloseClient {
		w.closed = true
	}
	if w.o.CloseServer && w.on != nil {
		w.lose()
	}
}

// lose closes the server connection.
func (w *world) lose() {
	w.lost++
	w.renew()
	w.o.Reset()
	w.s.ServerLost(io.EOF, &w.o)
	w.s.Detach()
	w.on = nil
	w.took()
}

// renew has a new server connection take the place of the one lent.
func (w *world) renew() {
	w.servers[w.at%len(w.servers)] = &link{v: &server{db: w.s.l.db, user: w.s.l.db.key.User, fit: noSettings, reported: w.on.v.reported, tx: pgwire.Idle, probeName: newProbeName()}, f: newFake()}
}

// run feeds what the client sends until nothing moves any more.
func (w *world) run(b []byte) {
	w.t.Helper()
	for moved := true; moved && !w.closed; {
		moved = false
		if w.on == nil && (len(w.in) >= pgwire.HeaderLen || len(b) > 0) && !w.s.Refusing() {
			w.on = w.servers[w.at%len(w.servers)]
			w.s.ReadsOnly(append(bytes.Clone(w.in), b...))
			w.o.Reset()
			w.s.Attach(w.on.v, &w.o)
			w.took()
		}
		if n := min(w.split(), len(b)); w.s.Open() && (n > 0 || len(w.in) > 0) && !w.closed {
			w.in = append(w.in, b[:n]...)
			b = b[n:]
			w.o.Reset()
			used := w.s.FromClient(bytes.Clone(w.in), &w.o)
			w.in = w.in[used:]
			moved = moved || n > 0 || used > 0
			w.took()
		}
		if w.on != nil && len(w.on.f.out) > 0 {
			l := w.on
			n := min(w.split(), len(l.f.out))
			l.in = append(l.in, l.f.out[:n]...)
			l.f.out = l.f.out[n:]
			w.o.Reset()
			used := w.s.FromServer(bytes.Clone(l.in), &w.o)
			l.in = l.in[used:]
			moved = true
			w.took()
		}
		if len(w.in) > maxInspected+1<<20 || w.on != nil && len(w.on.in) > maxInspected+1<<20 {
			w.t.Fatalf("buffers grow: %d bytes of the client, %d of the server", len(w.in), len(w.on.in))
		}
		if w.on != nil && w.on.f.dead && len(w.on.f.out) == 0 && !w.closed {
			w.lose()
			moved = true
		}
		if w.on != nil && w.s.Done() {
			if n := len(w.on.f.out) + len(w.on.in); n > 0 {
				w.t.Fatalf("done while %d bytes of the server's answer are to come", n)
			}
			if w.s.Retire() {
				w.renew()
			}
			w.s.Detach()
			w.on = nil
			w.at++
		}
	}
	bytes := 0
	for name, ref := range w.s.stmts.byName {
		if name != ref.name {
			w.t.Fatalf("statement %q is kept under the name %q", ref.name, name)
		}
		bytes += ref.size()
	}
	if bytes != w.s.stmts.bytes {
		w.t.Fatalf("named statements take %d bytes, counted are %d", bytes, w.s.stmts.bytes)
	}
}
