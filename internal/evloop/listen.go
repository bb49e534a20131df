package evloop

import (
	"context"
	"net"
	"syscall"
	"time"
)

// Accepted is a new client connection in its connection phase. Its goroutine or task talks through Net and then either closes
// that or hands Conn to its loop with Conn.Start.
type Accepted struct {
	Conn *Conn
	Net  net.Conn
}

// Listener accepts connections for a set of loops. The listening socket is on the first; connections go round the loops.
type Listener struct {
	loops  []*Loop
	conn   *Conn // the listening socket, owned by loops[0]
	addr   net.Addr
	next   int  // owned by loops[0]
	paused bool // owned by loops[0]: accepting has just failed
	accept func(Accepted)
	failed func(error)
}

// Listen binds addr ("host:port") and calls accept for each connection, on the loop that the connection belongs to:
// accept must not block. failed hears of errors of the accept call itself, such as too many open files; the listener
// goes on. clientFirst says that it is the client who speaks first: where the kernel can, it then keeps a connection to
// itself until there is something to read, or the client has been silent for a second.
func Listen(ctx context.Context, loops []*Loop, addr string, clientFirst bool, accept func(Accepted), failed func(error)) (*Listener, error) {
	var lc net.ListenConfig
	nl, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer nl.Close()
	fd, err := dupFD(nl.(*net.TCPListener))
	if err != nil {
		return nil, err
	}
	if err := prepareListener(fd, clientFirst); err != nil {
		closeFD(fd)
		return nil, err
	}
	l := &Listener{loops: loops, addr: nl.Addr(), accept: accept, failed: failed}
	l.conn = &Conn{loop: loops[0], fd: fd, handler: l}
	err = net.ErrClosed // when the loop has stopped
	loops[0].Call(func() { err = loops[0].add(l.conn) })
	if err != nil {
		closeFD(fd)
		return nil, err
	}
	return l, nil
}

// Addr is the address bound.
func (l *Listener) Addr() net.Addr { return l.addr }

// Close stops listening and returns when the socket is closed. Connections accepted before live on.
func (l *Listener) Close() {
	l.loops[0].Call(func() { l.conn.Close() })
}

// maxAccepts bounds the connections accepted in one turn, so that a storm of new clients does not starve the others.
const maxAccepts = 64

// retryAccept is how long a listener waits after accepting has failed. No event tells when descriptors are free again.
const retryAccept = 100 * time.Millisecond

// pause has what waits accepted a little later.
func (l *Listener) pause() {
	l.paused = true
	time.AfterFunc(retryAccept, func() {
		l.loops[0].Post(func() {
			l.paused = false
			if !l.conn.Closed() {
				l.Ready(l.conn)
			}
		})
	})
}

// Ready accepts what waits. Called on the first loop.
func (l *Listener) Ready(c *Conn) {
	if l.paused {
		return
	}
	for range maxAccepts {
		fd, sa, err := acceptFD(c.fd)
		if err != nil {
			if err == ErrAgain {
				c.readable = false
				return
			}
			if err != syscall.ECONNABORTED && err != syscall.EINTR {
				// Out of descriptors: the connection stays in the backlog. Try again later, not in a spin.
				l.failed(err)
				l.pause()
				return
			}
			continue
		}
		loop := l.loops[l.next]
		l.next = (l.next + 1) % len(l.loops)
		if loop == l.loops[0] {
			l.welcome(loop, fd, sa)
		} else if !loop.Post(func() { l.welcome(loop, fd, sa) }) {
			closeFD(fd)
		}
	}
	c.loop.Again(c)
}

func (l *Listener) welcome(loop *Loop, fd int, peer net.Addr) {
	c := &Conn{loop: loop, fd: fd}
	p := newPhase(c, l.addr, peer)
	c.phase, c.handler = p, p
	if err := loop.add(c); err != nil {
		closeFD(fd)
		l.failed(err)
		return
	}
	l.accept(Accepted{Conn: c, Net: p})
}

// Dial connects to addr and registers the connection with loop, in its connection phase. Never call it on a loop.
func Dial(ctx context.Context, loop *Loop, network, addr string) (*Conn, net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, nil, err
	}
	defer nc.Close()
	fd, err := dupFD(nc.(interface {
		SyscallConn() (syscall.RawConn, error)
	}))
	if err != nil {
		return nil, nil, err
	}
	c := &Conn{loop: loop, fd: fd}
	p := newPhase(c, nc.LocalAddr(), nc.RemoteAddr())
	c.phase, c.handler = p, p
	err = net.ErrClosed // when the loop has stopped
	loop.Call(func() { err = loop.add(c) })
	if err != nil {
		closeFD(fd)
		return nil, nil, err
	}
	return c, p, nil
}
