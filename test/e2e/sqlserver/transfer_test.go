package sqlserver

import (
	"bytes"
	"database/sql"
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
	// mostInFlight is how many of them may be on their way through Forebay: what the kernel's buffers of two connections hold, and
	// little more. A relay that puts off what it cannot write would have them all.
	mostInFlight = 24 << 20
	// mostHeap is what the process may have more of than before, once in the middle and once at the end.
	mostHeap = 16 << 20
	// pace is after how many bytes a slow reader rests.
	pace = 256 << 10
)

// wire is a stretch of network on which bytes are counted, and slowed down.
type wire struct {
	up, down         atomic.Int64 // bytes that have passed, toward the server and the client
	slowUp, slowDown atomic.Bool
	seen             func() // called with each piece
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
		for since := 0; ; {
			k, err := src.Read(b)
			if k > 0 {
				n.Add(int64(k))
				w.seen()
				if since += k; since >= pace {
					since = 0
					if slow.Load() {
						time.Sleep(2 * time.Millisecond)
					}
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
	up, down  atomic.Int64 // the most bytes that were on their way through Forebay
}

func newPassage(t *testing.T, p place) *passage {
	t.Helper()
	g := &passage{p: p}
	note := func(most *atomic.Int64, n int64) {
		for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
	}
	look := func() {
		// What has gone in is read first: the two move on meanwhile, and too few are on their way rather than too many.
		in, from := g.near.up.Load(), g.far.down.Load()
		note(&g.up, in-g.far.up.Load())
		note(&g.down, from-g.near.down.Load())
	}
	g.near.seen, g.far.seen = look, look
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
	read := func() (middle int64) {
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
			if n, size = n+1, size+len(s); n == transferred/4096/2 {
				middle = heap()
			}
		}
		if err := rows.Err(); err != nil || size != transferred {
			t.Fatalf("%d bytes in %d rows, %v", size, n, err)
		}
		return middle
	}
	fill(t, c)
	before := heap()
	g.near.slowDown.Store(true)
	middle := read()
	g.near.slowDown.Store(false)
	if n := g.down.Load(); n > mostInFlight {
		t.Errorf("%d bytes of a result were on their way through Forebay at a time", n)
	}
	if n := middle - before; n > mostHeap {
		t.Errorf("%d bytes more are in memory in the middle of a result", n)
	}
	if n := heap() - before; n > mostHeap {
		t.Errorf("%d bytes more are in memory after a result", n)
	}
	func() { // so that nothing of it is left
		large := bytes.Repeat([]byte("forebay."), transferred/8)
		if encrypt == "disable" { // once is enough
			var got []byte
			if err := c.QueryRowContext(t.Context(), "SELECT @p1", large).Scan(&got); err != nil || !bytes.Equal(got, large) {
				t.Errorf("%d bytes have come back, %v", len(got), err)
			}
		}
		g.far.slowUp.Store(true)
		var n int
		if err := c.QueryRowContext(t.Context(), "SELECT DATALENGTH(@p1)", large).Scan(&n); err != nil || n != transferred {
			t.Errorf("the server has %d bytes, %v", n, err)
		}
	}()
	if n := g.up.Load(); n > mostInFlight {
		t.Errorf("%d bytes of a parameter were on their way through Forebay at a time", n)
	}
	if n := heap() - before; n > mostHeap {
		t.Errorf("%d bytes more are in memory after a parameter", n)
	}
	if p.server != nil {
		if pins := g.f.Plane.Pins(); pins.PinnedTotal > 0 {
			t.Errorf("pinned: %+v", pins)
		}
	}
	t.Logf("on their way at most: %d of a result, %d of a parameter; in memory: %d before, %d in the middle, %d at the end", g.down.Load(), g.up.Load(), before, middle, heap())
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
	eventually(t, "all are idle", func() bool { return f.Plane.Collect().Proxies[0].Target.Pool.Waiting == 0 })
	each := (heap() - before) / clients
	t.Logf("%d bytes for an idle client", each)
	if each > 7<<10 {
		t.Errorf("an idle client holds %d bytes", each)
	}
	for _, r := range all {
		use(r)
	}
}
