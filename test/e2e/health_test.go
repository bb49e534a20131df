package e2e

import (
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"
)

// gap is a way to a server that can be interrupted.
type gap struct {
	t      *testing.T
	server string
	addr   string

	mu    sync.Mutex
	l     net.Listener // guarded by mu
	conns []net.Conn   // guarded by mu
	tasks sync.WaitGroup
}

func newGap(t *testing.T, host string, port int) *gap {
	g := &gap{t: t, server: net.JoinHostPort(host, strconv.Itoa(port)), addr: "127.0.0.1:0"}
	g.open()
	t.Cleanup(g.close)
	return g
}

func (g *gap) port() int {
	_, port, _ := net.SplitHostPort(g.addr)
	n, _ := strconv.Atoi(port)
	return n
}

// open lets connections through, on the same port each time.
func (g *gap) open() {
	g.t.Helper()
	l, err := net.Listen("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.addr = l.Addr().String()
	g.mu.Lock()
	g.l = l
	g.mu.Unlock()
	g.tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.tasks.Go(func() { g.relay(c) })
		}
	})
}

func (g *gap) relay(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", g.server)
	if err != nil {
		return
	}
	defer s.Close()
	g.mu.Lock()
	g.conns = append(g.conns, c, s)
	if g.l == nil {
		_, _ = c.Close(), s.Close() // while it was interrupted
	}
	g.mu.Unlock()
	g.tasks.Go(func() { _, _ = io.Copy(s, c); s.Close() })
	_, _ = io.Copy(c, s)
}

// close refuses new connections and breaks those there are.
func (g *gap) close() {
	g.mu.Lock()
	if g.l != nil {
		g.l.Close()
	}
	g.l = nil
	for _, c := range g.conns {
		c.Close()
	}
	g.conns = nil
	g.mu.Unlock()
	g.tasks.Wait()
}

// TestTargetGone checks that a target that cannot be reached is noticed by who tries, not at the next look from time to
// time; that clients are told why they get no connection; and that its return is noticed too.
func TestTargetGone(t *testing.T) {
	t.Parallel()
	var g *gap
	w := newWorld(t, options{pool: 2, change: func(p *resource.Proxy) {
		g = newGap(t, p.Target.Members[0].Host, p.Target.Members[0].Port)
		p.Target.Members[0].Host, p.Target.Members[0].Port = "127.0.0.1", g.port()
		p.Pool.RoutineScanInterval = time.Hour
	}})
	ready := func() bool { return w.f.Plane.Readiness()[0].Ready }
	c := w.open()
	c.must("SELECT 1")
	testkit.Eventually(t, "the target is ready", ready)
	w.f.Proxy.Pool.ConnectionBorrowTimeout = 500 * time.Millisecond
	w.f.Apply(t)

	g.close()
	testkit.Eventually(t, "no server connection is to be had", func() bool {
		_, err := c.exec("SELECT 1")
		e, ok := pgError(err)
		return ok && e.Code == "08000" && strings.HasSuffix(e.Detail, ": server unreachable")
	})
	testkit.Eventually(t, "the target is not ready", func() bool { return !ready() })

	g.open()
	testkit.Eventually(t, "the target is ready again", ready)
	testkit.Eventually(t, "clients are served again", func() bool { _, err := c.exec("SELECT 1"); return err == nil })
}
