package mysql

import (
	"bytes"
	"io"
	"log/slog"
	"maps"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/engine/mysql/routines"
	"forebay/internal/resource"
	"forebay/internal/wire/mysqlwire"
)

// stage drives one session the way the data plane does, without sockets.
type stage struct {
	t       testing.TB
	s       *session
	servers []*link
	at      int   // which server is next
	on      *link // the one lent
	used    bool  // it has been given something of the client
	client  []byte
	in      []byte // of the client, not consumed
	closed  bool
	relogin bool
	o       engine.Output
	split   func() int // how many bytes to hand over next
	lost    int        // server connections closed
	setup   setup
	rows    *uint64
}

// setup says what a stage is like.
type setup struct {
	servers  int
	prepared int
	caps     mysqlwire.Capability // of the client
	mariaDB  bool
	foreign  bool // servers begin with another character set than the session
	looks    bool // the session is offered what comes before it has a server connection
}

// plainCaps are what every client of the tests has.
const plainCaps = mysqlwire.ClientProtocol41 | mysqlwire.ClientTransactions | mysqlwire.ClientMultiStatements | mysqlwire.ClientMultiResults |
	mysqlwire.ClientPSMultiResults | mysqlwire.ClientLocalFiles

type link struct {
	v  *server
	f  *fake
	in []byte // of the server, not consumed
}

func newStage(t testing.TB, u setup) *stage {
	e := New(slog.New(slog.NewTextHandler(io.Discard, nil)))
	p := &resource.Proxy{Name: "p"}
	p.Pool.MaxPreparedStatements = u.prepared
	u.caps |= plainCaps
	d := e.Open(p, engine.Key{User: "alice", Protocol: uint64(u.caps&shared) | client}, nil).(*database)
	now := int64(1)
	d.routines.Store(new(routines.Catalog))
	l := d.NewLocal(&engine.Counters{Now: &now}).(*local)
	f := &facts{
		version: "8.0.36", number: 80036, mariaDB: u.mariaDB, status: mysqlwire.StatusAutocommit,
		tracking:   "SET SESSION session_track_schema = 1, session_track_state_change = 1, session_track_system_variables = '*'",
		collations: map[uint16]collation{45: {charset: "utf8mb4", name: "utf8mb4_general_ci"}},
	}
	if u.mariaDB {
		f.version, f.number = "10.11.6-MariaDB", 101106
	}
	w := &stage{t: t, split: func() int { return 1 << 20 }, setup: u, rows: new(uint64)}
	w.begin(l, f, 7)
	for range u.servers {
		w.servers = append(w.servers, w.newLink())
	}
	return w
}

func (w *stage) begin(l *local, f *facts, pid uint32) {
	w.s = newSession(l, f, &login.Client{User: "alice", Capabilities: w.setup.caps, Charset: 45, Sequence: 2}, engine.SessionID{PID: pid | notAProcess})
	if w.s.Start(&w.o) {
		w.t.Fatal("the welcome needs a server connection")
	}
	w.o.Reset()
}

// another begins another session on the same server connections. Only one at a time can have one.
func (w *stage) another() *stage {
	x := &stage{t: w.t, split: w.split, setup: w.setup, rows: w.rows, servers: w.servers}
	x.begin(w.s.l, w.s.facts, w.s.id.PID+1)
	return x
}

// ask runs a query and returns its answer's first row of one column.
func (w *stage) ask(sql string) string {
	w.t.Helper()
	w.client = nil
	w.run(say(w.setup.caps, func(t *talk) { t.query(sql) }))
	for _, p := range packets(w.client) {
		switch b := p[mysqlwire.HeaderLen:]; {
		case b[0] == mysqlwire.HeaderERR:
			return string(b)
		case p[3] == 3 && w.setup.caps.Has(mysqlwire.ClientDeprecateEOF) || p[3] == 4:
			cols, ok := mysqlwire.TextRow(nil, b, 1)
			if !ok {
				w.t.Fatalf("%s: %q is no row of one column", sql, p)
			}
			return string(cols[0])
		}
	}
	return ""
}

// newLink is a server connection fresh from log-in.
func (w *stage) newLink() *link {
	d, base := w.s.l.db, utf8mb4()
	if w.setup.foreign {
		for _, n := range charsetNames {
			base[n] = "latin1"
		}
		base[varCollation] = "latin1_swedish_ci"
	}
	var fit settings
	for n, v := range base {
		fit = fit.with(n, literal(v))
	}
	f := newFake(d.caps|mysqlwire.ClientProtocol41|mysqlwire.ClientTransactions, base)
	f.set("session_track_schema = 1, session_track_state_change = 1, session_track_system_variables = '*'")
	f.changes, f.rows = nil, w.rows
	return &link{
		v: &server{db: d, caps: f.caps, mariaDB: w.setup.mariaDB, number: w.s.facts.number, fit: fit.fit(), status: mysqlwire.StatusAutocommit},
		f: f,
	}
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
	if w.o.Relogin != nil {
		w.closed, w.relogin = true, true
	}
	if w.o.CloseServer && w.on != nil {
		w.lose()
	}
}

// lose closes the server connection.
func (w *stage) lose() {
	w.lost++
	w.servers[w.at%len(w.servers)] = w.newLink()
	w.o.Reset()
	w.s.ServerLost(io.EOF, &w.o)
	w.s.Detach()
	w.on = nil
	w.took()
}

// run feeds what the client sends until nothing moves any more. It returns what was not handed over.
func (w *stage) run(b []byte) (rest []byte) {
	w.t.Helper()
	for moved := true; moved && !w.closed; {
		moved = false
		if w.on == nil && (len(w.in) > 0 || len(b) > 0) && !w.s.Refusing() {
			if n := min(w.split(), len(b)); w.setup.looks { // as where a server connection would have to be waited for
				w.in = append(w.in, b[:n]...)
				b = b[n:]
				w.o.Reset()
				used := w.s.FromClient(bytes.Clone(w.in), &w.o)
				w.in = w.in[used:]
				moved = n > 0 || used > 0
				w.took()
				if len(w.in) == 0 || w.closed {
					continue
				}
			}
			w.attach()
		}
		if n := min(w.split(), len(b)); w.s.Open() && (n > 0 || len(w.in) > 0) && !w.closed {
			w.in = append(w.in, b[:n]...)
			b = b[n:]
			w.o.Reset()
			used := w.s.FromClient(bytes.Clone(w.in), &w.o)
			w.in = w.in[used:]
			w.used = w.used || used > 0
			moved = moved || n > 0 || used > 0
			w.took()
		}
		if w.on != nil && len(w.on.f.out) > 0 {
			l := w.on
			n := min(w.split(), len(l.f.out))
			if n == 0 {
				return b
			}
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
		// As in dataplane/session: what has been made ready for a request is not given back before it has had that.
		if w.on != nil && w.s.Done() && (w.used || len(w.in) == 0 || !moved) {
			w.detach()
		}
	}
	return b
}

func (w *stage) attach() {
	l := w.servers[w.at%len(w.servers)]
	if !w.s.Takes(l.v) {
		l = w.newLink()
		w.servers[w.at%len(w.servers)] = l
	}
	w.on, w.used = l, false
	w.o.Reset()
	w.s.Attach(l.v, &w.o)
	w.took()
}

// detach gives the server connection back, of which the session says that it can go.
func (w *stage) detach() {
	w.t.Helper()
	if n := len(w.on.f.out) + len(w.on.in); n > 0 {
		w.t.Fatalf("done while %d bytes of the server's answer are to come", n)
	}
	left := *w.on.f
	left.user = maps.Clone(left.user)
	for _, e := range settingsOf(w.on.v.fit) { // what is carried is no leak
		if e.name[0] == '@' {
			delete(left.user, e.name[1:])
		}
	}
	if p := left.pristine(); p != "" {
		w.t.Fatalf("given back with %s", p)
	}
	retire := w.s.Retire()
	w.s.Detach()
	if retire {
		w.servers[w.at%len(w.servers)] = w.newLink()
	}
	w.on = nil
	w.at++
}
