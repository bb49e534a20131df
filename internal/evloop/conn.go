package evloop

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// Conn is one socket on a loop. In the connection phase it belongs to the goroutine or Task that talks through its
// net.Conn; from Start on, and until Restart, it and all its fields are owned by the loop.
type Conn struct {
	loop    *Loop
	handler Handler
	tls     *tls.Conn // nil when plain
	phase   *phase    // the net.Conn of the connection phase; under tls for good
	out     []byte    // bytes that the socket refused; records, when encrypted
	err     error     // first write error
	fd      int       // -1 once closed
	slot    uint32

	readable bool // an event said so, and no read has found the socket empty since
	writable bool
	hup      bool
	drained  bool // under tls: the last read of the socket came back short
	queued   bool // in loop.again
}

// Loop is the loop that the connection belongs to.
func (c *Conn) Loop() *Loop { return c.loop }

// Readable reports whether a read may find something.
func (c *Conn) Readable() bool { return c.readable }

// HungUp reports that the peer has closed its side; bytes that it sent before may still be read.
func (c *Conn) HungUp() bool { return c.hup }

// Unsent is how many bytes wait for the socket to take them.
func (c *Conn) Unsent() int { return len(c.out) }

// TLS is the encrypted connection, or nil.
func (c *Conn) TLS() *tls.Conn { return c.tls }

// Closed reports whether Close was called.
func (c *Conn) Closed() bool { return c.fd < 0 }

// SetHandler changes who is told of events. Owned by loop.
func (c *Conn) SetHandler(h Handler) { c.handler = h }

// Start ends the connection phase: from now on the loop owns the connection and tells h of its events. nc is what the
// connection phase ended with: the net.Conn that it began with, or a *tls.Conn over it. Bytes may have arrived already: the
// caller looks, by calling h.Ready, when it is ready itself. Call it on the loop, after the goroutine of the connection
// phase has let go.
func (c *Conn) Start(nc net.Conn, h Handler) {
	if t, ok := nc.(*tls.Conn); ok {
		c.tls = t
	}
	c.phase.end()
	c.readable, c.writable = true, true
	if c.tls == nil {
		c.readable = !c.phase.foundEmpty()
		c.phase = nil
	}
	c.handler = h
}

// Restart takes the connection back to the connection phase: it is the inverse of Start. f is called on the loop, with what a
// Task may use from then on, once all that was written has left; at once if nothing waits. Over TLS that is what lies
// under Conn.TLS, which goes on as it is. Until f is called nobody may use the connection, except to close it: then f is
// never called. Call it on the loop.
func (c *Conn) Restart(f func(nc net.Conn)) {
	c.handler = restarting(f)
	c.handler.Ready(c)
}

// restarting waits for the last bytes of the query phase to leave.
type restarting func(net.Conn)

func (f restarting) Ready(c *Conn) {
	if len(c.out) > 0 && c.err == nil {
		return
	}
	if c.phase == nil {
		local, peer := addrsOf(c.fd)
		c.phase = newPhase(c, local, peer)
	}
	c.drained = false
	c.phase.restart(c.hup)
	c.handler = c.phase
	f(c.phase)
}

// Read reads into b what the socket has. It returns ErrAgain when that is nothing, io.EOF when the peer has closed. A
// read that does not fill b has emptied the socket, so that no second call is needed to learn it.
func (c *Conn) Read(b []byte) (int, error) {
	if c.fd < 0 {
		return 0, net.ErrClosed
	}
	if c.tls != nil {
		return c.readTLS(b)
	}
	n, err := recv(c.fd, b)
	if err != nil {
		if err == ErrAgain {
			c.readable = false
		}
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	if n < len(b) && !c.hup {
		c.readable = false
	}
	return n, nil
}

// readTLS fills b with as many records as have arrived: crypto/tls gives out one at a time. It may have something to say
// itself: the answer to a key update, or an alert.
func (c *Conn) readTLS(b []byte) (int, error) {
	l := c.loop
	l.records = l.records[:0]
	n, err := c.readRecords(b)
	if len(l.records) > 0 && c.err == nil {
		_ = c.send(l.records) // kept for the next Write
	}
	return n, err
}

func (c *Conn) readRecords(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := c.tls.Read(b[n:])
		n += m
		if err != nil {
			if errors.Is(err, errTLSAgain) {
				c.readable = false
				err = ErrAgain
			}
			if n > 0 {
				return n, nil // a lasting error comes again with the next read
			}
			return 0, err
		}
	}
	return n, nil
}

// Write sends b; what the socket refuses is copied and sent when it can take it. An error is final: close.
func (c *Conn) Write(b []byte) error {
	if c.err != nil {
		return c.err
	}
	if c.fd < 0 {
		return net.ErrClosed
	}
	if len(b) == 0 {
		return nil
	}
	if c.tls != nil {
		// The records of one write leave in one system call.
		l := c.loop
		l.records = l.records[:0]
		_, err := c.tls.Write(b)
		if err == nil {
			err = c.send(l.records)
		}
		if err != nil && c.err == nil {
			c.err = err
		}
		return c.err
	}
	return c.send(b)
}

// SendFirst sends the first bytes of a connection without waiting: a socket without any takes some kilobytes. An error is
// final: close. Call it on the loop, at the beginning of the connection phase.
func (c *Conn) SendFirst(b []byte) error {
	_, err := send(c.fd, b)
	return err
}

// send writes raw bytes to the socket, in order after those that wait.
func (c *Conn) send(b []byte) error {
	if len(c.out) == 0 {
		n, err := send(c.fd, b)
		if err != nil && err != ErrAgain {
			c.err = err
			return err
		}
		b = b[n:]
		if len(b) == 0 {
			return nil
		}
		c.writable = false
	}
	c.out = append(c.out, b...)
	return nil
}

// flush tries to send what waits. An error is kept for the next Write.
func (c *Conn) flush() {
	n, err := send(c.fd, c.out)
	if err != nil && err != ErrAgain {
		c.err = err
		c.out = nil
		return
	}
	if n < len(c.out) {
		c.writable = false
		c.out = c.out[:copy(c.out, c.out[n:])]
		return
	}
	c.out = nil // an idle connection owns no buffer
}

// WriteError is the first error that a write met, also one met after Write had returned.
func (c *Conn) WriteError() error { return c.err }

// Close closes the socket. Bytes not yet sent are lost; over TLS, a closing alert is tried. It may be called twice.
func (c *Conn) Close() {
	if c.fd < 0 {
		return
	}
	if c.tls != nil && c.err == nil && len(c.out) == 0 && !c.phase.blocking() {
		c.loop.records = c.loop.records[:0]
		if c.tls.CloseWrite() == nil {
			_ = c.send(c.loop.records)
		}
	}
	c.loop.remove(c)
	fd := c.fd
	if c.phase != nil {
		c.phase.shutOff(func() { c.fd = -1 })
		if c.phase.task != nil {
			c.loop.Post(c.phase.wakeTask) // it may be the task that closes
		}
	}
	c.fd = -1
	closeFD(fd)
	c.out = nil
	c.readable, c.writable = false, false
}

// CloseLater closes the socket once the bytes that wait have been sent, or after the time limit.
func (c *Conn) CloseLater(limit time.Duration) {
	if c.fd < 0 {
		return
	}
	if len(c.out) == 0 {
		c.Close()
		return
	}
	deadline := c.loop.now.Add(limit)
	c.handler = closing{}
	slot, gen, l := c.slot, c.loop.gens[c.slot], c.loop
	time.AfterFunc(time.Until(deadline), func() {
		l.Post(func() {
			if l.conns[slot] == c && l.gens[slot] == gen {
				c.Close()
			}
		})
	})
}

// closing waits for the last bytes to leave.
type closing struct{}

func (closing) Ready(c *Conn) {
	if len(c.out) == 0 || c.err != nil {
		c.Close()
	}
}

// Move hands the connection to another loop. then is called there: with nil, and the connection is that loop's from now
// on; or with an error, and it is closed. Call it on the connection's present loop, with nothing unsent.
func (c *Conn) Move(to *Loop, then func(error)) {
	from := c.loop
	if err := from.poll.remove(c.fd); err != nil {
		c.Close()
		to.Post(func() { then(err) })
		return
	}
	from.remove(c)
	from.unqueue(c)
	c.readable, c.drained = true, false // events between the two loops are not seen
	posted := to.Post(func() {
		c.loop = to
		if err := to.add(c); err != nil {
			closeFD(c.fd)
			c.fd = -1
			then(err)
			return
		}
		to.Again(c) // rather than Ready after then, which may have moved it on
		then(nil)
	})
	if !posted {
		closeFD(c.fd)
		c.fd = -1
	}
}
