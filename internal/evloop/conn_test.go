package evloop_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"forebay/internal/evloop"
)

func TestEcho(t *testing.T) {
	t.Parallel()
	l := serve(t, startLoops(t, 2), func(a evloop.Accepted) { start(a, a.Net, newEcho()) })
	var clients sync.WaitGroup
	for range 20 {
		c := connect(t, l)
		clients.Go(func() {
			for _, n := range []int{1, 100, 1 << 17, 1<<17 + 1, 300_000} {
				if err := roundTrip(c, pattern(n)); err != nil {
					t.Errorf("%d bytes: %v", n, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// A peer that does not read: what is unsent stays bounded if the handler minds Unsent, and leaves when the peer reads.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	e := newEcho()
	l := serve(t, startLoops(t, 1), func(a evloop.Accepted) { start(a, a.Net, e) })
	c := connect(t, l)
	if err := roundTrip(c, pattern(16<<20)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	wait(t, e.ended, "end")
	if most := maxUnsent + 128<<10; e.most > most {
		t.Errorf("%d bytes were unsent, want at most %d", e.most, most)
	}
}

func TestWriteLargeThenCloseLater(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	done := make(chan struct{})
	l := serve(t, startLoops(t, 1), func(a evloop.Accepted) {
		start(a, a.Net, handlerFunc(func(c *evloop.Conn) {
			if c.Closed() || c.Unsent() > 0 {
				return
			}
			_ = c.Write(pattern(size / 2))
			_ = c.Write(pattern(size / 2))
			if c.Unsent() == 0 {
				t.Errorf("a socket took %d bytes at once", size)
			}
			c.CloseLater(limit)
			close(done)
		}))
	})
	c := connect(t, l)
	wait(t, done, "write")
	got, err := io.ReadAll(c)
	if want := string(pattern(size/2)) + string(pattern(size/2)); err != nil || string(got) != want {
		t.Errorf("read %d bytes, %v; want %d as they were written", len(got), err, len(want))
	}
}

// A peer that never reads does not keep the connection past the limit.
func TestCloseLaterHasALimit(t *testing.T) {
	t.Parallel()
	loops := startLoops(t, 1)
	l := serve(t, loops, func(a evloop.Accepted) {
		start(a, a.Net, handlerFunc(func(c *evloop.Conn) {
			if c.Unsent() > 0 || c.Closed() {
				return
			}
			_ = c.Write(pattern(16 << 20))
			c.CloseLater(1)
		}))
	})
	c := connect(t, l)
	if n, err := io.Copy(io.Discard, onlyAfterClose{c, loops[0], t}); err == nil && n == 16<<20 {
		t.Error("everything arrived although the limit had passed")
	}
}

// onlyAfterClose reads once the loop has no connection but the listener.
type onlyAfterClose struct {
	net.Conn
	loop *evloop.Loop
	t    *testing.T
}

func (r onlyAfterClose) Read(b []byte) (int, error) {
	for open := 2; open > 1; {
		r.loop.Call(func() { open = r.loop.Connections() })
		if r.t.Context().Err() != nil {
			return 0, r.t.Context().Err()
		}
	}
	return r.Conn.Read(b)
}

// A peer that closes its side still gets an answer to what it sent before.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	e := newEcho()
	l := serve(t, startLoops(t, 1), func(a evloop.Accepted) { start(a, a.Net, e) })
	c := connect(t, l)
	want := pattern(3 << 20)
	go func() {
		_, _ = c.Write(want)
		_ = c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != string(want) {
		t.Errorf("got %d bytes back, %v; want %d", len(got), err, len(want))
	}
	wait(t, e.ended, "end")
	if e.end != io.EOF {
		t.Errorf("the handler saw %v, want %v", e.end, io.EOF)
	}
}

// A connection that nobody reads, since its owner waits for something else, still tells that its peer has left.
func TestHangUpOfAnUnreadClient(t *testing.T) {
	t.Parallel()
	if !hearsHangUp {
		t.Skip("this system tells of a hang-up only when what came before was read")
	}
	told := make(chan string, 1)
	l := serve(t, startLoops(t, 1), func(a evloop.Accepted) {
		start(a, a.Net, handlerFunc(func(c *evloop.Conn) {
			if !c.HungUp() || c.Closed() {
				return
			}
			b := make([]byte, 100)
			n, err := c.Read(b)
			if err == nil {
				_, err = c.Read(b[n:])
			}
			if !errors.Is(err, io.EOF) {
				t.Errorf("after the last bytes: %v, want %v", err, io.EOF)
			}
			c.Close()
			told <- string(b[:n])
		}))
	})
	c := connect(t, l)
	if _, err := c.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := <-told; got != "last words" {
		t.Errorf("read %q after the hang-up", got)
	}
}

// Of what happened meanwhile the loop tells of closed peers first: a server connection that has ended must not be lent to the
// client whose request came with it.
func TestHangUpsComeFirst(t *testing.T) {
	t.Parallel()
	if !hearsHangUp {
		t.Skip("this system tells of a hang-up only when what came before was read")
	}
	loops := startLoops(t, 1)
	arrived := make(chan evloop.Accepted, 2)
	l := serve(t, loops, func(a evloop.Accepted) { arrived <- a })
	told := make(chan string, 2)
	begin := func(name string) net.Conn {
		peer := connect(t, l)
		a := <-arrived
		start(a, a.Net, handlerFunc(func(c *evloop.Conn) {
			if c.HungUp() && !c.Closed() {
				c.Close()
				told <- name + " hung up"
			} else if n, err := c.Read(make([]byte, 100)); err == nil && n > 0 {
				told <- name + " spoke"
			}
		}))
		return peer
	}
	speaks, leaves := begin("the first"), begin("the second")
	loops[0].Call(func() { // both happen while the loop is busy
		if _, err := speaks.Write([]byte("a request")); err != nil {
			t.Error(err)
		}
		leaves.Close()
	})
	if got := <-told; got != "the second hung up" {
		t.Errorf("at first: %s", got)
	}
	if got := <-told; got != "the first spoke" {
		t.Errorf("then: %s", got)
	}
}

func TestPeerResets(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	l := serve(t, startLoops(t, 1), func(a evloop.Accepted) {
		start(a, a.Net, handlerFunc(func(c *evloop.Conn) {
			if c.Closed() {
				return
			}
			if err := c.WriteError(); err != nil {
				c.Close()
				ended <- err
				return
			}
			if c.Unsent() == 0 {
				_ = c.Write(pattern(8 << 20))
			}
		}))
	})
	c := connect(t, l)
	if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := <-ended; err == nil {
		t.Error("no error for a write to a connection that was reset")
	}
}

func TestClosedConn(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	l := serve(t, startLoops(t, 1), func(a evloop.Accepted) {
		start(a, a.Net, handlerFunc(func(c *evloop.Conn) {
			defer close(done)
			c.Close()
			c.Close()
			c.CloseLater(limit)
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Read: %v, want %v", err, net.ErrClosed)
			}
			if err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write: %v, want %v", err, net.ErrClosed)
			}
			if !c.Closed() || c.Readable() || c.Unsent() != 0 {
				t.Errorf("Closed %v, Readable %v, Unsent %d", c.Closed(), c.Readable(), c.Unsent())
			}
		}))
	})
	connect(t, l)
	wait(t, done, "start")
}

// Clients that always have something to say get their turns alike.
func TestAgainIsFair(t *testing.T) {
	t.Parallel()
	loops := startLoops(t, 1)
	arrived := make(chan evloop.Accepted, 2)
	l := serve(t, loops, func(a evloop.Accepted) { arrived <- a })
	var order []int
	done := make(chan struct{})
	connect(t, l)
	connect(t, l)
	both := []evloop.Accepted{<-arrived, <-arrived}
	loops[0].Call(func() {
		for i, a := range both {
			turns := 0
			h := handlerFunc(func(c *evloop.Conn) {
				if turns++; turns > 100 {
					return
				}
				order = append(order, i)
				c.Loop().Again(c)
				c.Loop().Again(c) // once is enough
				if len(order) == 200 {
					close(done)
				}
			})
			a.Conn.Start(a.Net, h)
			h.Ready(a.Conn)
		}
	})
	wait(t, done, "all turns")
	turns := map[int]int{}
	for i, who := range order {
		turns[who]++
		if d := turns[0] - turns[1]; d < -3 || d > 3 { // an event of the socket is a turn too
			t.Fatalf("after %d turns the clients had %v", i+1, turns)
		}
	}
}

// An event of a connection closed in the same batch must not reach the one that has its slot now.
func TestStaleEvent(t *testing.T) {
	t.Parallel()
	loops := startLoops(t, 1)
	arrived := make(chan evloop.Accepted, 2)
	l := serve(t, loops, func(a evloop.Accepted) { arrived <- a })
	connect(t, l)
	first := <-arrived
	var stale func()
	var slot uint32
	loops[0].Call(func() {
		slot, stale = evloop.Slot(first.Conn), evloop.Deliver(loops[0], first.Conn)
		first.Conn.Close()
	})
	connect(t, l)
	second := <-arrived
	calls := 0
	loops[0].Call(func() {
		h := handlerFunc(func(*evloop.Conn) { calls++ })
		second.Conn.Start(second.Net, h)
		h.Ready(second.Conn)
		fresh := evloop.Deliver(loops[0], second.Conn)
		if evloop.Slot(second.Conn) != slot {
			t.Errorf("slot %d was not used again: the second connection has %d", slot, evloop.Slot(second.Conn))
		}
		before := calls
		stale()
		if calls != before || second.Conn.HungUp() {
			t.Error("the event of an earlier owner of the slot was delivered")
		}
		fresh()
		if calls != before+1 {
			t.Error("the slot's own event was not delivered")
		}
	})
}
