package sqlserver

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/engine/sqlserver/login"
	"forebay/internal/engine/sqlserver/routines"
	"forebay/internal/engine/sqlserver/routines/routinestest"
	"forebay/internal/engine/sqlserver/settings"
	"forebay/internal/resource"
	"forebay/internal/wire/tds"
)

// stage drives one session the way the data plane does, without sockets.
type stage struct {
	t       testing.TB
	s       *session
	servers *[]*link
	at      int   // which server is next
	on      *link // the one lent
	used    bool  // it has been given something of the client
	client  []byte
	in      []byte // of the client, not consumed
	closed  bool
	o       engine.Output
	split   func() int // how many bytes to hand over next
	lost    int        // server connections closed
	keeps   bool       // server connections are kept where the session says so
	setup   setup
}

// setup says what a stage is like.
type setup struct {
	servers    int
	clientSize int // of packets
	serverSize int
	silent     bool // servers do not tell of transactions that texts begin
	initQuery  string
	babelfish  bool // a reset leaves what Babelfish's does
	next       *int
}

type link struct {
	v  *server
	f  *fake
	in []byte // of the server, not consumed
}

func loginSettings() settings.Set {
	return settings.LogIn(settings.LoginOptions{ODBC: true, Database: "shop", Language: "us_english"})
}

func newDatabase(t testing.TB, u setup) *database {
	e := New(slog.New(slog.NewTextHandler(io.Discard, nil)))
	p := &resource.Proxy{Name: "p"}
	p.Pool.InitQuery = u.initQuery
	p.Pool.MaxPreparedStatements = 5
	d := e.Open(p, engine.Key{User: "alice", Database: "shop", Protocol: keyClient}, nil).(*database)
	initial := loginSettings()
	d.initial.Store(&initial)
	d.last.Store(&login.Server{
		Version: tds.V74, PacketSize: 4096, Database: "shop", Language: "us_english", ProgName: "Microsoft SQL Server", ProgVersion: 0x10000FA0,
		Settings: initial,
	})
	c, err := routines.Load(t.Context(), &routinestest.Database{
		Procedures: map[string]string{
			"dbo.opens": "BEGIN TRAN", "dbo.clean": "SELECT 1", "dbo.global": "SELECT 1 AS a INTO ##g", "dbo.hidden": "",
			"dbo.context": "SET CONTEXT_INFO 0x01", "dbo.closes": "DECLARE c CURSOR FOR SELECT 1; DEALLOCATE c", "dbo.puts": "EXEC (@a)",
			"dbo.inserts": "INSERT u VALUES (1)", "dbo.makes": "EXEC ('CREATE PROC x AS SELECT 1')",
		},
		Triggers: map[string]string{"dbo.loud": "SET CONTEXT_INFO @a"},
		System:   []string{"leaks"}, // which Forebay does not know
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	d.routines.Store(c)
	return d
}

func newStage(t testing.TB, u setup) *stage {
	if u.clientSize == 0 {
		u.clientSize = 4096
	}
	if u.serverSize == 0 {
		u.serverSize = 4096
	}
	u.next = new(int)
	d := newDatabase(t, u)
	now := int64(1)
	l := d.NewLocal(&engine.Counters{Now: &now}).(*local)
	w := &stage{t: t, split: func() int { return 1 << 20 }, setup: u, servers: new([]*link)}
	for range max(1, u.servers) {
		*w.servers = append(*w.servers, w.newLink(d))
	}
	w.begin(l, 7)
	return w
}

func (w *stage) begin(l *local, pid uint32) {
	c := &login.Client{Version: tds.V74, PacketSize: w.setup.clientSize, User: "alice", Database: "shop", ODBC: true}
	w.s = newSession(l, c, engine.SessionID{PID: pid}).(*session)
	if w.s.Start(&w.o) {
		w.t.Fatal("the welcome needs a server connection")
	}
	w.o.Reset()
}

// another begins another session on the same server connections. Only one at a time can have one.
func (w *stage) another() *stage {
	x := &stage{t: w.t, split: w.split, setup: w.setup, servers: w.servers}
	x.begin(w.s.l, w.s.id.PID+1)
	return x
}

func (w *stage) newLink(d *database) *link {
	f := newFake(w.setup.serverSize, w.setup.next)
	f.tells = !w.setup.silent
	s := *d.last.Load()
	s.PacketSize, s.SPID = w.setup.serverSize, 51
	l := &link{v: newServer(d, &s).(*server), f: f}
	if w.setup.babelfish {
		f.keepsContext = true
		l.v.survivors = settings.Survivors{ContextInfo: true, Database: true, Isolation: true, SessionContext: true, TranCount: true}
	}
	return l
}

// took takes over the output of a call.
func (w *stage) took() {
	w.client = append(w.client, w.o.Client.Bytes()...)
	if w.on != nil {
		w.on.f.feed(w.o.Server.Bytes())
	}
	if w.o.CloseClient {
		w.closed = true
	}
	if w.o.CloseServer && w.on != nil {
		w.lose()
	}
}

func (w *stage) index() int { return w.at % len(*w.servers) }

// lose closes the server connection.
func (w *stage) lose() {
	w.lost++
	(*w.servers)[w.index()] = w.newLink(w.s.l.db)
	w.o.Reset()
	w.s.ServerLost(io.EOF, &w.o)
	w.s.Detach()
	w.on = nil
	w.took()
}

// run feeds what the client sends until nothing moves any more.
func (w *stage) run(b []byte) {
	w.t.Helper()
	for moved := true; moved && !w.closed; {
		moved = false
		if w.on == nil && (len(w.in) > 0 || len(b) > 0) && !w.s.Refusing() {
			w.attach()
		}
		if n := min(w.split(), len(b)); w.s.Open() && (n > 0 || len(w.in) > 0) && !w.closed {
			w.in = append(w.in, b[:n]...)
			b = b[n:]
			w.o.Reset()
			in := bytes.Clone(w.in)
			used := w.s.FromClient(in, &w.o)
			w.in = append(w.in[:0], in[used:]...)
			w.used = w.used || used > 0
			lost := w.lost
			w.took()
			moved = moved || n > 0 || used > 0 || w.lost > lost
		}
		if w.on != nil && len(w.on.f.out) > 0 {
			l := w.on
			n := min(w.split(), len(l.f.out))
			l.in = append(l.in, l.f.out[:n]...)
			l.f.out = l.f.out[n:]
			w.o.Reset()
			in := bytes.Clone(l.in)
			used := w.s.FromServer(in, &w.o)
			l.in = append(l.in[:0], in[used:]...)
			moved = true
			w.took()
		}
		// As in dataplane/session: what has been made ready for a request is not given back before it has had that.
		if w.on != nil && w.s.Done() && (w.used || len(w.in) == 0 || !moved) && !(w.keeps && w.s.Keeps() && !w.s.Retire()) {
			moved = w.giveBack() || moved
		}
	}
}

func (w *stage) attach() {
	l := (*w.servers)[w.index()]
	if !w.s.Takes(l.v) {
		l = w.newLink(w.s.l.db)
		(*w.servers)[w.index()] = l
	}
	w.on, w.used = l, false
	w.o.Reset()
	w.s.Attach(l.v, &w.o)
	w.took()
}

// giveBack gives the server connection back, or has the session ask what it has to, before; then it reports true.
func (w *stage) giveBack() bool {
	w.t.Helper()
	if w.o.Reset(); !w.s.Retire() && w.s.Inquire(&w.o) {
		w.took()
		return true
	}
	w.detach()
	return false
}

// detach gives the server connection back, of which the session says that it can go.
func (w *stage) detach() {
	w.t.Helper()
	if n := len(w.on.f.out) + len(w.on.in); n > 0 {
		w.t.Fatalf("done while %d bytes of the server's answer are to come", n)
	}
	if p := w.on.f.pristine(); p != "" {
		w.t.Fatalf("given back with %s", p)
	}
	retire := w.s.Retire()
	w.s.Detach()
	if retire {
		(*w.servers)[w.index()] = w.newLink(w.s.l.db)
	}
	w.on = nil
	w.at++
}

// leave has the client leave, and whatever follows happen.
func (w *stage) leave() (kept bool) {
	w.t.Helper()
	if w.on == nil {
		return true
	}
	w.o.Reset()
	if !w.s.ClientGone(&w.o) {
		w.s.Detach()
		w.on = nil
		(*w.servers)[w.index()] = w.newLink(w.s.l.db)
		return false
	}
	w.on.f.feed(w.o.Server.Bytes())
	for len(w.on.f.out) > 0 {
		l := w.on
		l.in = append(l.in, l.f.out...)
		l.f.out = nil
		w.o.Reset()
		used := w.s.FromServer(l.in, &w.o)
		l.in = l.in[used:]
		if w.o.CloseServer {
			w.t.Fatal("the server connection is closed")
		}
		l.f.feed(w.o.Server.Bytes())
		if w.o.Client.Len() > 0 {
			w.t.Fatal("bytes for a client that has left")
		}
	}
	if !w.s.Done() {
		w.t.Fatal("not done after the client has left")
	}
	w.detach()
	return true
}

// say is a message of the client's.
func (w *stage) say(t tds.PacketType, status tds.PacketStatus, data []byte) []byte {
	return tds.AppendMessage(nil, t, status, w.setup.clientSize, 0, data)
}

func (w *stage) headers() []byte {
	var d [8]byte
	if w.on != nil && w.on.f.desc != 0 {
		d[0] = 99 // whatever the client thinks that it is
	}
	return tds.AppendAllHeaders(nil, tds.V74, d)
}

func (w *stage) batchOf(text string, status tds.PacketStatus) []byte {
	return w.say(tds.PacketSQLBatch, status, tds.AppendText(w.headers(), text))
}

// ask runs a batch and returns what the client sees of the answer.
func (w *stage) ask(text string) string { return w.exchange(w.batchOf(text, 0)) }

func (w *stage) exchange(b []byte) string {
	w.t.Helper()
	w.client = nil
	w.run(b)
	return seen(w.t, w.client, w.setup.clientSize)
}

// seen is what a client sees of answers.
func seen(t testing.TB, b []byte, size int) string {
	t.Helper()
	var out []string
	sc := &tds.Scanner{Version: tds.V74, Capture: true}
	for len(b) > 0 {
		h, err := tds.ParseHeader(b)
		if err != nil || len(b) < h.Length || h.Length > size {
			t.Fatalf("a packet of %d bytes of %d, %v", h.Length, len(b), err)
		}
		for p := b[tds.HeaderSize:h.Length]; len(p) > 0; {
			n, ev, err := sc.Scan(p)
			if err != nil {
				t.Fatal(err)
			}
			p = p[n:]
			switch ev {
			case tds.EventRow:
				for _, c := range sc.Cells {
					switch {
					case c == nil:
						out = append(out, "NULL")
					case len(c) == 4 && c[3] == 0:
						out = append(out, fmt.Sprint(c[0]))
					default:
						out = append(out, string(c))
					}
				}
			case tds.EventError:
				out = append(out, fmt.Sprintf("error %d", sc.Message.Number))
			case tds.EventEnvChange:
				out = append(out, fmt.Sprintf("env %d", sc.Env[0]))
			case tds.EventReturnValue:
				out = append(out, fmt.Sprintf("handle %d", sc.Return.Value))
			case tds.EventDone:
				if sc.Done.Status&tds.DoneAttention != 0 {
					out = append(out, "attention")
				}
			}
		}
		if h.Status&tds.StatusEOM != 0 {
			if err := sc.End(); err != nil {
				t.Fatal(err)
			}
			out = append(out, ".")
		}
		b = b[h.Length:]
	}
	return strings.Join(out, " ")
}

// call is an RPC message of calls: each a number or a name, and its parameters.
type call struct {
	id      tds.ProcID
	name    string
	options int
	handle  int // of the first parameter; -1: NULL and output; 0: there is none
	texts   []string
	named   string // the name of the last text
}

func (w *stage) calls(status tds.PacketStatus, calls ...call) []byte {
	b := &reply{w.headers()}
	for i, c := range calls {
		if i > 0 {
			b.u8(0xFF)
		}
		if c.name != "" {
			b.u16(len(c.name))
			b.b = tds.AppendText(b.b, c.name)
		} else {
			b.u16(0xFFFF).u16(int(c.id))
		}
		b.u16(c.options)
		switch {
		case c.handle < 0:
			b.name("").u8(1, 0x26, 4, 0)
		case c.handle > 0:
			b.name("").u8(0, 0x26, 4, 4).u32(c.handle)
		}
		for j, t := range c.texts {
			n := ""
			if j == len(c.texts)-1 {
				n = c.named
			}
			if t == "big" {
				b.name(n).u8(0, 0xE7).u16(0xFFFF).u8(0, 0, 0, 0, 0).u32(-2).u32(-1).u32(2 * maxInspected)
				b.b = append(b.b, make([]byte, 2*maxInspected)...)
				b.u32(0)
				continue
			}
			b.name(n).u8(0, 0xE7).u16(8000).u8(0, 0, 0, 0, 0).u16(2 * len(t))
			b.b = tds.AppendText(b.b, t)
		}
	}
	return w.say(tds.PacketRPC, status, b.b)
}

func (w *stage) call(c ...call) string { w.t.Helper(); return w.exchange(w.calls(0, c...)) }

func (w *stage) attention() []byte { return w.say(tds.PacketAttention, 0, nil) }

// want checks what a client sees.
func (w *stage) want(got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("the client sees %q, want %q", got, want)
	}
}
