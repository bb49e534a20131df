package evloop_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"forebay/internal/evloop"
)

// restarter echoes in the query phase, up to and with the first '!'. Then it is the connection phase's turn again.
type restarter struct {
	phase func(nc net.Conn, task *evloop.Task) // with what lies on top of it: the TLS connection
	reply []byte                               // written before the phase begins
	rest  []byte                               // what the last read has found behind the '!'
}

func (r *restarter) Ready(c *evloop.Conn) {
	for c.Readable() {
		n, err := c.Read(c.Loop().Buffer())
		if err != nil {
			if err != evloop.ErrAgain {
				c.Close()
			}
			return
		}
		b := c.Loop().Buffer()[:n]
		i := bytes.IndexByte(b, '!')
		if i < 0 {
			_ = c.Write(b)
			continue
		}
		r.rest = bytes.Clone(b[i+1:])
		_ = c.Write(b[:i+1])
		_ = c.Write(r.reply)
		c.Restart(func(under net.Conn) {
			if enc := c.TLS(); enc != nil {
				under = enc
			}
			c.Begin(func(task *evloop.Task) { r.phase(under, task) })
		})
		return
	}
}

// eachTransport runs f with a plain and with an encrypted connection, whose handler is a restarter.
func eachTransport(t *testing.T, f func(t *testing.T, begin func(r *restarter) (net.Conn, evloop.Accepted))) {
	cert := &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	for name, encrypted := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loops := startLoops(t, 1)
			f(t, func(r *restarter) (net.Conn, evloop.Accepted) {
				got := make(chan evloop.Accepted, 1)
				l := serveBy(t, asTask, loops, func(a evloop.Accepted) {
					nc := a.Net
					if encrypted {
						s := tls.Server(nc, cert)
						if err := s.Handshake(); err != nil {
							t.Errorf("handshake: %v", err)
						}
						nc = s
					}
					got <- a
					a.Conn.Loop().Post(func() {
						a.Conn.Start(nc, r)
						r.Ready(a.Conn)
					})
				})
				c := net.Conn(connect(t, l))
				if encrypted {
					enc := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
					if err := enc.Handshake(); err != nil {
						t.Fatal(err)
					}
					c = enc
				}
				return c, <-got
			})
		})
	}
}

// The phases alternate, and each finds what the peer has sent meanwhile.
func TestRestart(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, begin func(r *restarter) (net.Conn, evloop.Accepted)) {
		r := &restarter{}
		var a evloop.Accepted
		held := make(chan struct{}, 3) // one for each time in the phase
		r.phase = func(nc net.Conn, task *evloop.Task) {
			b := make([]byte, 5)
			_, err := io.ReadFull(io.MultiReader(bytes.NewReader(r.rest), nc), b)
			if err == nil {
				task.Block(func() {
					<-held
					_, err = nc.Write(bytes.ToUpper(b))
				})
			}
			if err != nil {
				t.Errorf("in the phase: %v", err)
			}
			a.Conn.Loop().Post(func() {
				a.Conn.Start(nc, r)
				r.Ready(a.Conn)
			})
		}
		c, accepted := begin(r)
		a.Conn, a.Net = accepted.Conn, accepted.Net
		ask := func(say string, want string) {
			t.Helper()
			if _, err := io.WriteString(c, say); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
				t.Fatalf("%q: heard %q, %v; want %q", say, got, err, want)
			}
		}
		held <- struct{}{}
		held <- struct{}{}
		ask("one", "one")
		ask("!", "!")
		ask("hello", "HELLO")
		ask("two", "two")
		ask("three!hello", "three!HELLO")
		ask("four", "four")
		ask("five!hello", "five!")
		if _, err := io.WriteString(c, "early"); err != nil { // for the query phase, before that has begun
			t.Fatal(err)
		}
		held <- struct{}{}
		ask("", "HELLOearly")
		ask("six", "six")
		c.Close()
	})
}

// What the query phase has written leaves first, however long its peer takes to read it.
func TestRestartWithMuchUnsent(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, begin func(r *restarter) (net.Conn, evloop.Accepted)) {
		r := &restarter{reply: pattern(8 << 20)}
		r.phase = func(nc net.Conn, _ *evloop.Task) {
			if _, err := io.WriteString(nc, "phase"); err != nil {
				t.Error(err)
			}
			nc.Close()
		}
		c, _ := begin(r)
		if _, err := io.WriteString(c, "!"); err != nil {
			t.Fatal(err)
		}
		want := append(append([]byte("!"), r.reply...), "phase"...)
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d bytes, %v; want %d", len(got), err, len(want))
		}
	})
}

// A connection that is closed before its bytes have left never comes to a phase; one that hangs up is seen to in it; and
// deadlines of the first phase mean nothing in the second.
func TestRestartEnds(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, begin func(r *restarter) (net.Conn, evloop.Accepted)) {
		r := &restarter{reply: pattern(8 << 20)}
		r.phase = func(net.Conn, *evloop.Task) { t.Error("a phase of a closed connection") }
		c, a := begin(r)
		if _, err := io.WriteString(c, "!"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		a.Conn.Loop().Call(a.Conn.Close)
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}

		type result struct{ first, second error }
		got := make(chan result, 1)
		r = &restarter{}
		r.phase = func(nc net.Conn, _ *evloop.Task) {
			defer nc.Close()
			_, first := nc.Read(make([]byte, 1))
			_ = nc.SetDeadline(time.Unix(1, 0))
			_, second := nc.Read(make([]byte, 1))
			got <- result{first, second}
		}
		c, a = begin(r)
		a.Conn.Loop().Call(func() { _ = a.Net.SetDeadline(time.Unix(1, 0)) })
		if _, err := io.WriteString(c, "!"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if g := <-got; g.first != io.EOF || g.second == nil {
			t.Errorf("read: %v, then %v; want the end", g.first, g.second)
		}
	})
}

// The phase knows who the peer is.
func TestRestartAddresses(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, begin func(r *restarter) (net.Conn, evloop.Accepted)) {
		got := make(chan [2]string, 1)
		r := &restarter{}
		r.phase = func(nc net.Conn, _ *evloop.Task) {
			got <- [2]string{nc.LocalAddr().String(), nc.RemoteAddr().String()}
			nc.Close()
		}
		c, _ := begin(r)
		if _, err := io.WriteString(c, "!"); err != nil {
			t.Fatal(err)
		}
		if got, want := <-got, [2]string{c.RemoteAddr().String(), c.LocalAddr().String()}; got != want {
			t.Errorf("addresses are %v, want %v", got, want)
		}
	})
}
