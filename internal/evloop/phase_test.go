package evloop_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"forebay/internal/evloop"
)

func TestPhaseBlocks(t *testing.T) {
	t.Parallel()
	eachRunner(t, func(t *testing.T, run runner) {
		done := make(chan error, 1)
		l := serveBy(t, run, startLoops(t, 1), func(a evloop.Accepted) {
			defer a.Net.Close()
			_, err := io.CopyBuffer(struct{ io.Writer }{a.Net}, struct{ io.Reader }{a.Net}, make([]byte, 5000))
			done <- err
		})
		c := connect(t, l)
		// More than the sockets hold: both the phase's reads and its writes have to wait.
		for _, n := range []int{1, 5000, 4 << 20} {
			if err := roundTrip(c, pattern(n)); err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("the phase ended with %v, want the end of the stream", err)
		}
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after Close the peer read %d, %v; want %v", n, err, io.EOF)
		}
	})
}

func TestPhaseDeadlines(t *testing.T) {
	t.Parallel()
	eachRunner(t, func(t *testing.T, run runner) {
		type result struct{ passed, waited, full, later error }
		results := make(chan result, 1)
		l := serveBy(t, run, startLoops(t, 1), func(a evloop.Accepted) {
			defer a.Net.Close()
			var r result
			b := make([]byte, 1<<20)
			_ = a.Net.SetDeadline(time.Now().Add(-time.Second))
			_, r.passed = a.Net.Read(b)
			_ = a.Net.SetDeadline(time.Now().Add(time.Millisecond))
			_, r.waited = a.Net.Read(b)
			_ = a.Net.SetDeadline(time.Now().Add(10 * time.Millisecond))
			for r.full == nil { // nobody reads
				_, r.full = a.Net.Write(b)
			}
			_ = a.Net.SetDeadline(time.Time{})
			time.AfterFunc(time.Millisecond, func() { _ = a.Net.SetReadDeadline(time.Unix(1, 0)) })
			_, r.later = a.Net.Read(b)
			results <- r
		})
		connect(t, l)
		r := <-results
		for name, err := range map[string]error{
			"read past the deadline": r.passed, "read that waits": r.waited, "write that waits": r.full,
			"deadline set while a read waits": r.later,
		} {
			var ne net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
				t.Errorf("%s: got %v, want a deadline exceeded", name, err)
			}
		}
	})
}

func TestPhaseClosedMeanwhile(t *testing.T) {
	t.Parallel()
	eachRunner(t, func(t *testing.T, run runner) {
		for name, closing := range map[string]func(evloop.Accepted){
			"by the phase": func(a evloop.Accepted) { a.Net.Close() },
			"by the loop":  func(a evloop.Accepted) { a.Conn.Loop().Post(a.Conn.Close) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				got := make(chan error, 3)
				l := serveBy(t, run, startLoops(t, 1), func(a evloop.Accepted) {
					go closing(a)
					_, err := a.Net.Read(make([]byte, 10))
					got <- err
					_, err = a.Net.Write([]byte("x"))
					got <- err
					got <- a.Net.Close()
				})
				connect(t, l)
				if err := <-got; !errors.Is(err, net.ErrClosed) {
					t.Errorf("Read: got %v, want %v", err, net.ErrClosed)
				}
				if err := <-got; !errors.Is(err, net.ErrClosed) {
					t.Errorf("Write: got %v, want %v", err, net.ErrClosed)
				}
				if err := <-got; err != nil {
					t.Errorf("second Close: %v", err)
				}
			})
		}
	})
}

// What came before the hand-over, seen or not, is told right after it.
func TestStartWithBytesAlreadyThere(t *testing.T) {
	t.Parallel()
	eachRunner(t, func(t *testing.T, run runner) {
		for _, seen := range []int{0, 3, 9} {
			e := newEcho()
			started := make(chan struct{})
			l := serveBy(t, run, startLoops(t, 1), func(a evloop.Accepted) {
				b := make([]byte, seen)
				if _, err := io.ReadFull(a.Net, b); err != nil {
					t.Error(err)
				}
				a.Conn.Loop().Post(func() {
					a.Conn.Start(a.Net, e)
					e.Ready(a.Conn)
					close(started)
				})
			})
			c := connect(t, l)
			if _, err := c.Write([]byte("123456789")); err != nil {
				t.Fatal(err)
			}
			wait(t, started, "hand-over")
			rest := make([]byte, 9-seen)
			if _, err := io.ReadFull(c, rest); err != nil || string(rest) != "123456789"[seen:] {
				t.Errorf("after %d bytes in the phase: got %q, %v", seen, rest, err)
			}
			if err := roundTrip(c, []byte("more")); err != nil {
				t.Errorf("after %d bytes in the phase: %v", seen, err)
			}
			c.Close()
			wait(t, e.ended, "end")
		}
	})
}

// A peer whose one message the phase has read leaves nothing to look for right after the hand-over.
func TestStartWithNothingThere(t *testing.T) {
	t.Parallel()
	e, readable := newEcho(), make(chan bool, 1)
	l, err := evloop.Listen(t.Context(), startLoops(t, 1), "127.0.0.1:0", false, func(a evloop.Accepted) {
		a.Conn.WhenReadable(func() {
			a.Conn.Begin(func(*evloop.Task) {
				if _, err := a.Net.Read(make([]byte, 100)); err != nil {
					t.Error(err)
				}
				a.Conn.Loop().Post(func() {
					a.Conn.Start(a.Net, e)
					readable <- a.Conn.Readable()
				})
			})
		})
	}, func(err error) { t.Errorf("accept: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	c := connect(t, l)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if <-readable {
		t.Error("more is looked for")
	}
	if err := roundTrip(c, []byte("more")); err != nil {
		t.Error(err)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	addrs := make(chan [2]string, 1)
	l := serve(t, startLoops(t, 1), func(a evloop.Accepted) {
		addrs <- [2]string{a.Net.LocalAddr().String(), a.Net.RemoteAddr().String()}
		a.Net.Close()
	})
	c := connect(t, l)
	if got, want := <-addrs, [2]string{c.RemoteAddr().String(), c.LocalAddr().String()}; got != want {
		t.Errorf("addresses are %v, want %v", got, want)
	}
}

// A task in Block keeps nobody waiting, many of them take turns, and each finds its own connection.
func TestTasks(t *testing.T) {
	t.Parallel()
	const clients = 200 // more than coroutines are kept
	loops := startLoops(t, 1)
	release := make(chan struct{})
	l, err := evloop.Listen(t.Context(), loops, "127.0.0.1:0", false, func(a evloop.Accepted) {
		a.Conn.Begin(func(task *evloop.Task) {
			defer a.Net.Close()
			b := make([]byte, 1)
			for range 3 {
				if _, err := io.ReadFull(a.Net, b); err != nil {
					t.Error(err)
					return
				}
				if b[0]%2 == 0 {
					task.Block(func() { <-release })
				}
				if _, err := a.Net.Write(b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}, func(err error) { t.Errorf("accept: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	var conns []*net.TCPConn
	for i := range clients {
		c := connect(t, l)
		if _, err := c.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for i := 1; i < clients; i += 2 { // while the others are blocked
		for range 2 {
			if err := roundTrip(conns[i], []byte{byte(i)}); err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
		}
	}
	close(release)
	for i := 0; i < clients; i += 2 {
		for range 2 {
			if err := roundTrip(conns[i], []byte{byte(i)}); err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
		}
	}
	for i, c := range conns {
		b := make([]byte, 2)
		if n, err := io.ReadFull(c, b); n != 1 || b[0] != byte(i) || err != io.ErrUnexpectedEOF {
			t.Fatalf("client %d: the last answer is %v, %v", i, b[:n], err)
		}
	}
}

// A loop that stops ends what waits in a task.
func TestStopEndsTasks(t *testing.T) {
	t.Parallel()
	loop := startLoops(t, 1)[0]
	began, got := make(chan struct{}), make(chan error, 1)
	l, err := evloop.Listen(t.Context(), []*evloop.Loop{loop}, "127.0.0.1:0", false, func(a evloop.Accepted) {
		a.Conn.Begin(func(*evloop.Task) {
			close(began)
			_, err := a.Net.Read(make([]byte, 1))
			got <- err
		})
	}, func(err error) { t.Errorf("accept: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	connect(t, l)
	wait(t, began, "the task")
	loop.Stop()
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: got %v, want %v", err, net.ErrClosed)
	}
}

// A peer may be spoken to before it has said anything, and is then waited for as if nothing had been said.
func TestSendFirst(t *testing.T) {
	t.Parallel()
	l, err := evloop.Listen(t.Context(), startLoops(t, 1), "127.0.0.1:0", false, func(a evloop.Accepted) {
		if err := a.Conn.SendFirst([]byte("hello")); err != nil {
			t.Error(err)
		}
		a.Conn.WhenReadable(func() {
			a.Conn.Begin(func(*evloop.Task) {
				defer a.Net.Close()
				_, _ = io.Copy(a.Net, a.Net)
			})
		})
	}, func(err error) { t.Errorf("accept: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	c := connect(t, l)
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
		t.Errorf("heard %q, %v", got, err)
	}
	if err := roundTrip(c, []byte("back")); err != nil {
		t.Error(err)
	}
}

// A peer that hangs up right behind its first bytes is seen to have done both.
func TestHangUpBehindFirstBytes(t *testing.T) {
	t.Parallel()
	loop := startLoops(t, 1)[0]
	accepted, held, hold, got := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan error, 1)
	l, err := evloop.Listen(t.Context(), []*evloop.Loop{loop}, "127.0.0.1:0", false, func(a evloop.Accepted) {
		a.Conn.WhenReadable(func() {
			a.Conn.Begin(func(*evloop.Task) {
				defer a.Net.Close()
				_, err := io.ReadFull(a.Net, make([]byte, 10))
				got <- err
			})
		})
		close(accepted)
	}, func(err error) { t.Errorf("accept: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	c := connect(t, l)
	wait(t, accepted, "accept")
	loop.Post(func() { // so that one event tells of both
		close(held)
		<-hold
	})
	wait(t, held, "the loop")
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	close(hold)
	select {
	case err := <-got:
		if err != io.ErrUnexpectedEOF {
			t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
		}
	case <-time.After(limit):
		t.Error("nobody has seen it hang up")
	}
}
