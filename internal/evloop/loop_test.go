package evloop_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/evloop"
)

func TestPostFromManyGoroutines(t *testing.T) {
	t.Parallel()
	l, err := evloop.New(7)
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	var posted, ran, called atomic.Int64
	last := make([]int, 8) // owned by loop
	var posters sync.WaitGroup
	for g := range last {
		posters.Go(func() {
			for i := 1; ; i++ {
				if !l.Post(func() {
					ran.Add(1)
					if last[g] != i-1 {
						t.Errorf("goroutine %d: %d ran after %d", g, i, last[g])
					}
					last[g] = i
				}) {
					return
				}
				posted.Add(1)
				if i%100 == 0 {
					l.Call(func() { called.Add(1) })
				}
			}
		})
	}
	for called.Load() < 50 {
		l.Call(func() {})
	}
	l.Stop()
	posters.Wait()
	l.Stop() // once more is harmless
	l.Call(func() { t.Error("Call ran something after Stop") })
	if l.Post(func() {}) {
		t.Error("Post said true after Stop")
	}
	if posted.Load() != ran.Load() {
		t.Errorf("Post said true %d times, %d ran", posted.Load(), ran.Load())
	}
	if l.ID() != 7 {
		t.Errorf("ID is %d, want 7", l.ID())
	}
}

// An idle loop sleeps until something happens: it uses no processor time.
func TestIdleLoopSleeps(t *testing.T) {
	t.Parallel()
	loops := startLoops(t, 1)
	var phases sync.WaitGroup
	e := newEcho()
	n := 0
	phases.Add(2)
	first := make(chan int, 2)
	first <- 1
	first <- 2
	l := serve(t, loops, func(a evloop.Accepted) {
		defer phases.Done()
		switch <-first {
		case 1: // one in the query phase
			start(a, a.Net, e)
		case 2: // one whose client talks and is not read
			start(a, a.Net, handlerFunc(func(*evloop.Conn) { n++ }))
		}
	})
	a, b := connect(t, l), connect(t, l)
	for _, c := range []net.Conn{a, b} {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	phases.Wait()
	// Posts that race with the loop's own looks must leave nothing behind that keeps it awake.
	var posters sync.WaitGroup
	for range 4 {
		posters.Go(func() {
			for range 2000 {
				loops[0].Post(func() {})
			}
		})
	}
	posters.Wait()
	before := evloop.Turns(loops[0])
	time.Sleep(500 * time.Millisecond) // nothing is waited for: the longer, the more a loop that spins would turn
	// The cheap waits before it sleeps, the call itself, and some for interruptions.
	if turns := evloop.Turns(loops[0]) - before; turns > 12 {
		t.Errorf("an idle loop turned %d times", turns)
	}
}

func TestEvery(t *testing.T) {
	t.Parallel()
	l := startLoops(t, 1)[0]
	done := make(chan struct{})
	var needed atomic.Bool
	needed.Store(true)
	times := 0
	l.Call(func() {
		l.Every(time.Millisecond, needed.Load, func(now time.Time) {
			if now.IsZero() || now != l.Now() || l.Nanos() <= 0 || *l.Clock() != l.Nanos() {
				t.Errorf("now is %v, Now %v, Nanos %d", now, l.Now(), l.Nanos())
			}
			if times++; times == 10 {
				needed.Store(false)
				close(done)
			}
		})
	})
	wait(t, done, "ten ticks")
}

func TestListenerClose(t *testing.T) {
	t.Parallel()
	loops := startLoops(t, 2)
	l := serve(t, loops, func(a evloop.Accepted) { start(a, a.Net, newEcho()) })
	c := connect(t, l)
	if err := roundTrip(c, []byte("before")); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if late, err := net.Dial("tcp", l.Addr().String()); err == nil {
		late.Close()
		t.Error("the port is still open")
	}
	if err := roundTrip(c, []byte("after")); err != nil {
		t.Errorf("a connection accepted before: %v", err)
	}
}

// Whom a loop gives way to may take long: its clock tells.
func TestClockBehindOthers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // they and the loop have one processor
	l := startLoops(t, 1)[0]
	const rounds = 20
	late := 0
	for range rounds {
		var ended atomic.Int64
		inTime := make(chan bool, 1)
		var look func()
		look = func() {
			if e := ended.Load(); e > 0 {
				inTime <- l.Nanos() >= e
			} else {
				l.Post(look)
			}
		}
		l.Post(func() {
			go func() {
				for began := time.Now(); time.Since(began) < 5*time.Millisecond; {
				}
				ended.Store(evloop.NanosAt(time.Now()))
			}()
			look()
		})
		if !<-inTime {
			late++
		}
	}
	if late > rounds/2 { // some may have run where the runtime interrupts the loop
		t.Errorf("in %d of %d rounds the loop's clock was behind what had happened before its turn", late, rounds)
	}
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	l, err := evloop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	if _, err := evloop.Listen(t.Context(), []*evloop.Loop{l}, "127.0.0.1:none", false, nil, nil); err == nil {
		t.Error("no error for an impossible address")
	}
	first, err := evloop.Listen(t.Context(), []*evloop.Loop{l}, "127.0.0.1:0", false, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evloop.Listen(t.Context(), []*evloop.Loop{l}, first.Addr().String(), false, nil, nil); err == nil {
		t.Error("no error for a port in use")
	}
	l.Stop()
	if _, err := evloop.Listen(t.Context(), []*evloop.Loop{l}, "127.0.0.1:0", false, nil, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Listen on a loop that has stopped: %v, want %v", err, net.ErrClosed)
	}
}

// After a failed accept call, as without free descriptors, no event tells that the next may succeed.
func TestAcceptIsTriedAgain(t *testing.T) {
	t.Parallel()
	loops := startLoops(t, 1)
	l := serve(t, loops, func(a evloop.Accepted) { start(a, a.Net, newEcho()) })
	loops[0].Call(func() { evloop.AcceptFailed(l) })
	if err := roundTrip(connect(t, l), []byte("hello")); err != nil {
		t.Error(err)
	}
}

func TestDial(t *testing.T) {
	t.Parallel()
	loops := startLoops(t, 2)
	l := serve(t, loops[:1], func(a evloop.Accepted) { start(a, a.Net, newEcho()) })
	c, nc := dial(t, loops[1], l.Addr())
	if err := roundTrip(nc, pattern(1<<20)); err != nil { // in the phase
		t.Fatal(err)
	}
	if got, want := nc.RemoteAddr().String(), l.Addr().String(); got != want {
		t.Errorf("RemoteAddr is %s, want %s", got, want)
	}
	got := make(chan string, 1)
	loops[1].Call(func() { // on the loop
		h := handlerFunc(func(c *evloop.Conn) {
			b := make([]byte, 10)
			if n, err := c.Read(b); err == nil {
				got <- string(b[:n])
			}
		})
		c.Start(nc, h)
		h.Ready(c)
		if err := c.Write([]byte("ping")); err != nil {
			t.Error(err)
		}
	})
	if s := <-got; s != "ping" {
		t.Errorf("got %q", s)
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := evloop.Dial(gone, loops[1], "tcp", l.Addr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial with a canceled context: %v", err)
	}
	loops[1].Stop()
	if _, _, err := evloop.Dial(t.Context(), loops[1], "tcp", l.Addr().String()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Dial on a loop that has stopped: %v, want %v", err, net.ErrClosed)
	}
}

// Stop closes everything, also what arrives meanwhile, and ends the goroutines of connection phases.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	for range 10 {
		loops := startLoops(t, 2)
		l := serve(t, loops, func(a evloop.Accepted) {
			if _, err := a.Net.Read(make([]byte, 1)); err != nil {
				return
			}
			start(a, a.Net, newEcho())
		})
		var clients sync.WaitGroup
		some := make(chan struct{}, 100)
		for range 4 {
			clients.Go(func() {
				for {
					c, err := net.Dial("tcp", l.Addr().String())
					if err != nil {
						return
					}
					_ = c.SetDeadline(time.Now().Add(limit))
					_, _ = c.Write([]byte("xy"))
					_, err = c.Read(make([]byte, 1))
					c.Close()
					if err != nil {
						return
					}
					select {
					case some <- struct{}{}:
					default:
					}
				}
			})
		}
		for range 5 {
			<-some
		}
		loops[1].Stop()
		loops[0].Stop()
		clients.Wait()
	}
}

// A connection goes to and fro between loops while its client talks.
func TestMoveUnderTraffic(t *testing.T) {
	t.Parallel()
	loops := startLoops(t, 2)
	e := &mover{echo: newEcho(), loops: loops}
	l := serve(t, loops[:1], func(a evloop.Accepted) { start(a, a.Net, e) })
	c := connect(t, l)
	for i := range 100 {
		if err := roundTrip(c, pattern(1+i)); err != nil {
			t.Fatal(err)
		}
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range 2000 {
			if _, err := c.Write(pattern(1 + i%3000)); err != nil {
				t.Error(err)
				return
			}
		}
		_ = c.CloseWrite()
	}()
	want := 0
	for i := range 2000 {
		want += 1 + i%3000
	}
	got, err := io.ReadAll(c)
	if err != nil || len(got) != want {
		t.Errorf("got %d bytes back, %v; want %d", len(got), err, want)
	}
	<-sent
	wait(t, e.echo.ended, "end")
	if e.moves < 10 {
		t.Errorf("the connection moved %d times", e.moves)
	}
}

// mover is an echo that leaves for the other loop after each turn.
type mover struct {
	*echo
	loops []*evloop.Loop
	moves int
}

func (m *mover) Ready(c *evloop.Conn) {
	here := m.loops[m.moves%2]
	if c.Loop() != here {
		panic("called on the wrong loop")
	}
	m.echo.Ready(c)
	if c.Closed() || c.Unsent() > 0 || c.HungUp() {
		return
	}
	here.Again(c) // a turn still due here must not be taken there
	m.moves++
	c.Move(m.loops[m.moves%2], func(err error) {
		if err != nil {
			panic(err)
		}
	})
}
