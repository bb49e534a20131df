package evloop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"forebay/internal/evloop"

	"go.uber.org/goleak"
)

// limit ends a test that hangs. Nothing is expected to take long.
const limit = 60 * time.Second

func TestMain(m *testing.M) {
	warmUp()
	before, counted := descriptors()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if after, _ := descriptors(); counted && after > before && code == 0 {
		fmt.Fprintf(os.Stderr, "descriptors open before the tests: %d, after: %d\n", before, after)
		code = 1
	}
	os.Exit(code)
}

// warmUp opens what the Go runtime keeps open for good once a socket was used.
func warmUp() {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
}

// descriptors counts the process's open files, where the system lists them.
func descriptors() (int, bool) {
	files, err := os.ReadDir("/proc/self/fd")
	return len(files), err == nil
}

// startLoops runs n loops until the test ends.
func startLoops(t *testing.T, n int) []*evloop.Loop {
	t.Helper()
	var loops []*evloop.Loop
	for i := range n {
		l, err := evloop.New(i)
		if err != nil {
			t.Fatal(err)
		}
		go l.Run()
		t.Cleanup(l.Stop)
		loops = append(loops, l)
	}
	return loops
}

// A runner runs a connection phase that has just begun; it is called on the loop, and calls ended in the end.
type runner func(a evloop.Accepted, phase func(evloop.Accepted), ended func())

// The ways in which a connection phase runs.
var (
	onGoroutine runner = func(a evloop.Accepted, phase func(evloop.Accepted), ended func()) {
		go func() {
			defer ended()
			phase(a)
		}()
	}
	asTask runner = func(a evloop.Accepted, phase func(evloop.Accepted), ended func()) {
		a.Conn.Begin(func(*evloop.Task) {
			defer ended()
			phase(a)
		})
	}
	besideTask runner = func(a evloop.Accepted, phase func(evloop.Accepted), ended func()) {
		a.Conn.Begin(func(t *evloop.Task) {
			defer ended()
			t.Block(func() { phase(a) })
		})
	}
	runners = map[string]runner{"goroutine": onGoroutine, "task": asTask, "beside a task": besideTask}
)

// serve listens and runs phase for each connection on a goroutine of its own.
func serve(t *testing.T, loops []*evloop.Loop, phase func(evloop.Accepted)) *evloop.Listener {
	t.Helper()
	return serveBy(t, onGoroutine, loops, phase)
}

// serveBy listens and has run run phase for each connection.
func serveBy(t *testing.T, run runner, loops []*evloop.Loop, phase func(evloop.Accepted)) *evloop.Listener {
	t.Helper()
	var running sync.WaitGroup
	l, err := evloop.Listen(t.Context(), loops, "127.0.0.1:0", false, func(a evloop.Accepted) {
		running.Add(1)
		run(a, phase, running.Done)
	}, func(err error) { t.Errorf("accept: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Wait)
	t.Cleanup(l.Close)
	return l
}

// eachRunner runs f for each way in which a connection phase runs.
func eachRunner(t *testing.T, f func(t *testing.T, run runner)) {
	for name, run := range runners {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, run)
		})
	}
}

// connect dials l as an ordinary client.
func connect(t *testing.T, l *evloop.Listener) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Timeout: limit}
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// start hands a connection over to its loop.
func start(a evloop.Accepted, nc net.Conn, h evloop.Handler) {
	a.Conn.Loop().Call(func() {
		a.Conn.Start(nc, h)
		h.Ready(a.Conn)
	})
}

// echo sends back what it reads, and does not read while much is unsent.
type echo struct {
	most  int   // the most bytes that were ever unsent
	calls int   // of Ready
	end   error // what ended it
	ended chan struct{}
}

func newEcho() *echo { return &echo{ended: make(chan struct{})} }

const maxUnsent = 64 << 10

func (e *echo) Ready(c *evloop.Conn) {
	e.calls++
	for range 4 {
		if err := c.WriteError(); err != nil {
			e.close(c, err)
			return
		}
		if c.Unsent() > maxUnsent || !c.Readable() {
			return
		}
		n, err := c.Read(c.Loop().Buffer())
		if err == evloop.ErrAgain {
			return
		}
		if err != nil {
			e.close(c, err)
			return
		}
		_ = c.Write(c.Loop().Buffer()[:n])
		e.most = max(e.most, c.Unsent())
	}
	c.Loop().Again(c)
}

func (e *echo) close(c *evloop.Conn, err error) {
	e.end = err
	c.CloseLater(limit)
	close(e.ended)
}

// handlerFunc makes a Handler of a function.
type handlerFunc func(*evloop.Conn)

func (f handlerFunc) Ready(c *evloop.Conn) { f(c) }

// wait waits for something that has to happen.
func wait(t *testing.T, what <-chan struct{}, name string) {
	t.Helper()
	select {
	case <-what:
	case <-time.After(limit):
		t.Fatalf("%s: did not happen", name)
	}
}

// roundTrip writes message and expects to read the same.
func roundTrip(c net.Conn, message []byte) error {
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(message)
		written <- err
	}()
	got := make([]byte, len(message))
	if _, err := io.ReadFull(c, got); err != nil {
		return errors.Join(err, <-written)
	}
	if err := <-written; err != nil {
		return err
	}
	if string(got) != string(message) {
		return fmt.Errorf("%d bytes came back changed", len(message))
	}
	return nil
}

// pattern makes n bytes that differ from place to place.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func dial(t *testing.T, loop *evloop.Loop, addr net.Addr) (*evloop.Conn, net.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, nc, err := evloop.Dial(ctx, loop, "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return c, nc
}
