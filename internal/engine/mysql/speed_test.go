package mysql

import (
	"io"
	"log/slog"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/engine/mysql/login"
	"forebay/internal/engine/mysql/routines"
	"forebay/internal/resource"
	"forebay/internal/wire/mysqlwire"
)

// inPackets encodes payloads as packets numbered from seq.
func inPackets(seq uint8, payloads ...string) []byte {
	var b []byte
	for _, p := range payloads {
		b, seq = mysqlwire.AppendPacket(b, seq, []byte(p))
	}
	return b
}

const speedCaps = login.DefaultCapabilities

// speedSession is a session on its loop with a server connection that fits.
func speedSession() (*session, *server) {
	e := New(slog.New(slog.NewTextHandler(io.Discard, nil)))
	p := &resource.Proxy{Name: "p"}
	p.Pool.MaxPreparedStatements = 100
	d := e.Open(p, engine.Key{User: "alice", Protocol: uint64(speedCaps&shared) | client}, nil).(*database)
	d.routines.Store(new(routines.Catalog))
	now := int64(1)
	l := d.NewLocal(&engine.Counters{Now: &now}).(*local)
	f := &facts{number: 80036, collations: map[uint16]collation{45: {"utf8mb4", "utf8mb4_general_ci"}}, status: mysqlwire.StatusAutocommit}
	s := newSession(l, f, &login.Client{Capabilities: speedCaps, Charset: 45}, engine.SessionID{PID: notAProcess | 7})
	s.begun = true
	return s, &server{db: d, caps: speedCaps, number: f.number, fit: s.want, status: mysqlwire.StatusAutocommit}
}

// turn is one command with its answer, as the data plane drives it.
func turn(t testing.TB, s *session, v *server, o *engine.Output, ask, answer []byte) {
	o.Reset()
	s.Attach(v, o)
	if n := s.FromClient(ask, o); n != len(ask) || o.Server.Len() == 0 {
		t.Fatalf("%d of %d bytes taken, %d sent", n, len(ask), o.Server.Len())
	}
	o.Reset()
	if n := s.FromServer(answer, o); n != len(answer) || o.Client.Len() != len(answer) || !s.Done() {
		t.Fatalf("%d of %d bytes taken, %d sent, done %v", n, len(answer), o.Client.Len(), s.Done())
	}
	s.Detach()
}

var (
	speedColumn = "\x03def\x01d\x01t\x01t\x01c\x01c\x0c\x2d\x00\x80\x00\x00\x00\xfd\x00\x00\x00\x00\x00"
	speedRows   = inPackets(1, "\x01", speedColumn, "\x05hello", "\xfe\x00\x00\x02\x00\x00\x00")
	speedQuery  = inPackets(0, "\x03SELECT c FROM sbtest1 WHERE id=5021")
)

func TestPointSelectAllocatesNothing(t *testing.T) {
	s, v := speedSession()
	var o engine.Output
	turn(t, s, v, &o, speedQuery, speedRows)
	if n := testing.AllocsPerRun(100, func() { turn(t, s, v, &o, speedQuery, speedRows) }); n > 0 {
		t.Errorf("%v allocations for a point SELECT", n)
	}
}

func BenchmarkPointSelect(b *testing.B) {
	s, v := speedSession()
	var o engine.Output
	b.ReportAllocs()
	for b.Loop() {
		turn(b, s, v, &o, speedQuery, speedRows)
	}
}

// warmExecute is a session that has run a prepared statement on its server connection, and the command and answer of the
// next time. types: the client sends the types of its parameters each time, as most drivers do.
func warmExecute(t testing.TB, types bool) (run func()) {
	s, v := speedSession()
	var o engine.Output
	say := func(f func(k *talk)) []byte {
		k := &talk{caps: speedCaps}
		f(k)
		return k.b
	}
	prepared := inPackets(1, "\x00\x01\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00", speedColumn, speedColumn)
	s.Attach(v, &o)
	s.FromClient(say(func(k *talk) { k.prepare("SELECT c FROM sbtest1 WHERE id = ?") }), &o)
	o.Reset()
	if s.FromServer(prepared, &o); !s.Done() {
		t.Fatal("not prepared")
	}
	s.Detach()
	rows := inPackets(1, "\x01", speedColumn, "\x00\x00\x05hello", "\xfe\x00\x00\x02\x00\x00\x00")
	turn(t, s, v, &o, say(func(k *talk) { k.execute(1, uint64(5021)) }), rows)
	ask := say(func(k *talk) { k.executeAs(1, 0, types, uint64(5021)) })
	return func() { turn(t, s, v, &o, ask, rows) }
}

func TestExecuteAllocatesNothing(t *testing.T) {
	for _, types := range []bool{false, true} {
		run := warmExecute(t, types)
		if n := testing.AllocsPerRun(100, run); n > 0 {
			t.Errorf("types sent %v: %v allocations for COM_STMT_EXECUTE", types, n)
		}
	}
}

func BenchmarkExecute(b *testing.B) {
	run := warmExecute(b, true)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}
