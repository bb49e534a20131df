package sqlserver

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"
	"forebay/internal/wire/tds"
)

const (
	transferred = 50 << 20 // bytes of a large result, or parameter
	// mostHeap is what the process may have more of than before, while the reader rests and at the end. A relay that puts off what it
	// cannot write would have nearly all.
	mostHeap = 16 << 20
	// rest is after how many bytes a slow reader rests, until the other side cannot go on.
	rest = 4 << 20
)

// wire is a stretch of network on which bytes are counted, and slowed down.
type wire struct {
	up, down         atomic.Int64 // bytes that have passed, toward the server and the client
	slowUp, slowDown atomic.Bool
	rests            func() // called where a slow reader rests, once
}

// lay has a wire stand before an address.
func (w *wire) lay(t *testing.T, to string) (host string, port int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn // guarded by mu
	pass := func(dst, src net.Conn, n *atomic.Int64, slow *atomic.Bool) {
		defer dst.Close()
		b := make([]byte, 64<<10)
		for {
			k, err := src.Read(b)
			if k > 0 {
				n.Add(int64(k))
				if n.Load() > rest && slow.CompareAndSwap(true, false) {
					w.rests()
				}
				if _, err := dst.Write(b[:k]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, c, s)
			mu.Unlock()
			for _, x := range []net.Conn{c, s} { // so that little is on its way outside of Forebay
				_ = x.(*net.TCPConn).SetReadBuffer(128 << 10)
				_ = x.(*net.TCPConn).SetWriteBuffer(128 << 10)
			}
			all.Go(func() { pass(s, c, &w.up, &w.slowUp) })
			all.Go(func() { pass(c, s, &w.down, &w.slowDown) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	a := ln.Addr().(*net.TCPAddr)
	return "127.0.0.1", a.Port
}

// passage is a Forebay with one server connection and a wire on either side.
type passage struct {
	p         place
	f         *testkit.Forebay
	near, far wire
	heap      atomic.Int64 // what was in memory while a reader rested
}

func newPassage(t *testing.T, p place) *passage {
	t.Helper()
	g := &passage{p: p}
	// A reader who rests does so until nothing has moved for a while. What moves later all the same is not seen: no test fails for it.
	still := func() {
		for was, same := int64(-1), 0; same < 20; time.Sleep(10 * time.Millisecond) {
			now := g.near.up.Load() + g.far.down.Load()
			if same++; now != was {
				was, same = now, 0
			}
		}
		g.heap.Store(heap())
	}
	g.near.rests, g.far.rests = still, still
	host, port := g.far.lay(t, p.addr())
	o := testkit.ForebayOptions{Users: map[string]string{p.user: p.password}, Change: func(p *resource.Proxy) { p.Pool.MaxConnections = 1 }}
	if p.server != nil {
		o.TLS = p.server.TLS()
	}
	g.f = testkit.StartForebaySQLServer(t, host, port, o)
	g.p.host, g.p.port = g.near.lay(t, net.JoinHostPort(g.f.Host, fmt.Sprint(g.f.Port)))
	return g
}

// heap is how many bytes are in use. What is allocated while that is found out counts, too: the least of some looks is nearest.
func heap() int64 {
	least := int64(math.MaxInt64)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for range 4 {
		runtime.GC()
		metrics.Read(live)
		least = min(least, int64(live[0].Value.Uint64()))
	}
	return least
}

// TestTransfer has 50 MB pass in either direction, to a reader who is slow, and to one who is not: few of them are in Forebay at a
// time. It is not parallel: it looks at the memory of the whole process.
func TestTransfer(t *testing.T) {
	for name, encrypt := range map[string]string{"plain": "disable", "tls": "true"} {
		t.Run(name, func(t *testing.T) {
			p := direct(t, tdsserver.Options{})
			transfer(t, p, encrypt, fmt.Sprintf("SELECT n, REPLICATE('x', 4096) AS s FROM dbo.numbers(%d)", transferred/4096))
		})
	}
	t.Run("server", func(t *testing.T) {
		p := realServer(t)
		c := conn(t, openGo(t, p, "encrypt=disable"))
		do(t, c, "CREATE TABLE dbo.n (n int NOT NULL)")
		do(t, c, "INSERT INTO dbo.n VALUES (0)"+strings.Repeat(",(0)", 127))
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		transfer(t, p, "disable", fmt.Sprintf("SELECT TOP %d a.n, REPLICATE('x', 4096) AS s FROM dbo.n a CROSS JOIN dbo.n b", transferred/4096))
	})
}

// filling has the scripted server send more than it keeps of what it has sent.
var filling = fmt.Sprintf("SELECT REPLICATE(CAST('x' AS varchar(max)), %d)", 20<<20)

func fill(t *testing.T, c *sql.Conn) {
	t.Helper()
	var all []byte
	if err := c.QueryRowContext(t.Context(), filling).Scan(&all); err != nil || len(all) < 20<<20 {
		t.Fatalf("%d bytes, %v", len(all), err)
	}
}

func transfer(t *testing.T, p place, encrypt, query string) {
	g := newPassage(t, p)
	db := openGo(t, g.p, "encrypt="+encrypt)
	c := conn(t, db)
	read := func() {
		t.Helper()
		rows, err := c.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n, size := 0, 0
		for rows.Next() {
			var i int
			var s []byte
			if err := rows.Scan(&i, &s); err != nil {
				t.Fatal(err)
			}
			n, size = n+1, size+len(s)
		}
		if err := rows.Err(); err != nil || size != transferred {
			t.Fatalf("%d bytes in %d rows, %v", size, n, err)
		}
	}
	fill(t, c)
	before := heap()
	g.near.slowDown.Store(true)
	read()
	middle := g.heap.Load()
	if n := middle - before; n > mostHeap {
		t.Errorf("%d bytes more are in memory while the reader of a result rests", n)
	}
	if n := heap() - before; n > mostHeap {
		t.Errorf("%d bytes more are in memory after a result", n)
	}
	g.far.slowUp.Store(true)
	r := dialRaw(t, g.p, tds.V74)
	r.upload()
	if err := r.conn.Close(); err != nil { // on Babelfish a large request pins
		t.Error(err)
	}
	if n := g.heap.Load() - before; n > mostHeap {
		t.Errorf("%d bytes more are in memory while the reader of a parameter rests", n)
	}
	if encrypt == "disable" { // the driver's own way; once is enough
		large := bytes.Repeat([]byte("forebay."), transferred/8)
		var got []byte
		if err := c.QueryRowContext(t.Context(), "SELECT @p1", large).Scan(&got); err != nil || !bytes.Equal(got, large) {
			t.Errorf("%d bytes have come back, %v", len(got), err)
		}
	}
	if n := heap() - before; n > mostHeap {
		t.Errorf("%d bytes more are in memory after a parameter", n)
	}
	if p.server != nil {
		if pins := g.f.Plane.Pins(); pins.PinnedTotal > 0 {
			t.Errorf("pinned: %+v", pins)
		}
	}
	t.Logf("in memory: %d before, %d in the middle of a result, %d of a parameter, %d at the end", before, middle, g.heap.Load(), heap())
}

// TestIdle has many clients who have sent and got much, and do nothing any more: they hold no buffers. It is not parallel, as
// TestTransfer.
func TestIdle(t *testing.T) {
	const clients = 300
	p, f := narrow(t, tdsserver.Options{})
	ask := "SELECT '" + strings.Repeat("x", 20_000) + "'"
	use := func(r *raw) {
		t.Helper()
		if a := r.do(ask); len(a.rows) != 1 {
			t.Fatalf("%d rows", len(a.rows))
		}
	}
	first := dialRaw(t, p, tds.V74)
	first.do(filling)
	before := heap()
	all := make([]*raw, clients)
	for i := range all {
		all[i] = dialRaw(t, p, tds.V74)
		use(all[i])
	}
	testkit.Eventually(t, "all are idle", func() bool { return f.Plane.Collect().Proxies[0].Target.Pool.Waiting == 0 })
	each := (heap() - before) / clients
	t.Logf("%d bytes for an idle client", each)
	if each > 7<<10 {
		t.Errorf("an idle client holds %d bytes", each)
	}
	for _, r := range all {
		use(r)
	}
}

// upload sends a parameter of so many bytes, of which it has only a piece at a time, and has the server count them.
func (r *raw) upload() {
	r.t.Helper()
	b := append(tds.AppendAllHeaders(nil, r.version, r.tran), 0xFF, 0xFF, 10, 0, 0, 0) // sp_executesql
	b = append(append(b, textParam("SELECT DATALENGTH(@p)")...), textParam("@p varbinary(max)")...)
	b = append(append(b, 2), tds.AppendText(nil, "@p")...)
	b = append(b, 0, byte(tds.TypeVarBinary), 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF) // of no length that is told before
	id := byte(0)
	packet := func(data []byte, status tds.PacketStatus) {
		r.t.Helper()
		id++
		h := tds.Header{Type: tds.PacketRPC, Status: status, Length: tds.HeaderSize + len(data), ID: id}
		if _, err := r.conn.Write(append(h.Append(nil), data...)); err != nil {
			r.t.Fatal(err)
		}
	}
	packet(b, 0)
	const piece = 2048
	chunk := append(binary.LittleEndian.AppendUint32(nil, piece), make([]byte, piece)...)
	for range transferred / piece {
		packet(chunk, 0)
	}
	packet(make([]byte, 4), tds.StatusEOM)
	data := r.message()
	sc := &tds.Scanner{Version: r.version, Capture: true}
	for len(data) > 0 {
		n, ev, err := sc.Scan(data)
		if err != nil {
			r.t.Fatal(err)
		}
		if data = data[n:]; ev == tds.EventRow {
			var got [8]byte
			copy(got[:], sc.Cells[0])
			if n := binary.LittleEndian.Uint64(got[:]); n != transferred {
				r.t.Errorf("the server has %d bytes", n)
			}
			return
		}
	}
	r.t.Error("no row")
}

func textParam(s string) []byte {
	b := append([]byte{0, 0, byte(tds.TypeNVarChar)}, 0x40, 0x1F, 9, 4, 0xD0, 0, 0x34)
	text := tds.AppendText(nil, s)
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(text))), text...)
}
