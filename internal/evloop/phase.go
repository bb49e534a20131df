package evloop

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// phase is the net.Conn of a connection in its connection phase: reads and writes block the calling goroutine, or the
// Task, woken by the loop's readiness events. One of them uses it at a time. The same value stays underneath a *tls.Conn
// in the query phase, where a read that would block returns errTLSAgain and a write only collects the record.
type phase struct {
	c     *Conn
	local net.Addr
	peer  net.Addr

	onLoop  atomic.Bool   // the query phase has begun
	ready   chan struct{} // one token: something changed since the last look
	gone    chan struct{} // closed with the connection
	hup     atomic.Bool   // the peer has closed its side: there is an end to be read
	emptied bool          // used by the goroutine of the connection phase alone
	want    atomic.Int32  // what the goroutine waits for; kept only for a poller that needs to know

	// task is what uses the connection instead of a goroutine. Owned by loop; the goroutine of Task.Block, which finds nil,
	// may read it too.
	task   *Task
	tasked bool // there was a task from the beginning; static

	mu       sync.Mutex
	deadline time.Time // guarded by mu
	shut     bool      // guarded by mu
}

// errTLSAgain ends a crypto/tls read that found the socket empty. crypto/tls treats a temporary net.Error as no error of
// the connection: the next read goes on where this one stopped.
var errTLSAgain net.Error = tlsAgain{}

type tlsAgain struct{}

func (tlsAgain) Error() string   { return "evloop: would block" }
func (tlsAgain) Timeout() bool   { return true }
func (tlsAgain) Temporary() bool { return true }

func newPhase(c *Conn, local, peer net.Addr) *phase {
	return &phase{c: c, local: local, peer: peer, ready: make(chan struct{}, 1), gone: make(chan struct{})}
}

// Ready wakes the goroutine or the task of the connection phase. Called on the loop.
func (p *phase) Ready(c *Conn) {
	p.want.Store(0)
	if c.hup {
		p.hup.Store(true)
	}
	p.signal()
	p.wakeTask()
}

// wakeTask has a task look again. Owned by loop.
func (p *phase) wakeTask() {
	if p.task != nil {
		p.task.resume()
	}
}

// hasEvent takes the token, if there is one.
func (p *phase) hasEvent() bool {
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// foundEmpty reports that the last read emptied the socket and that no event has come since. Owned by loop, once the
// goroutine of the connection phase has let go.
func (p *phase) foundEmpty() bool { return p.emptied && !p.hup.Load() && !p.hasEvent() }

func (p *phase) signal() {
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// WhenReadable has f called once, on the loop, when the peer has sent something or hung up. Until then nobody may use the
// connection. Call it on the loop, at the beginning of the connection phase.
func (c *Conn) WhenReadable(f func()) {
	c.handler = firstBytes(f)
	c.phase.want.Store(wantRead)
}

// firstBytes waits for a peer to say something.
type firstBytes func()

func (f firstBytes) Ready(c *Conn) {
	if c.readable || c.hup {
		c.handler = c.phase
		c.phase.Ready(c) // it may have hung up as well, which no further event will say
		f()
	}
}

// blocking reports whether the connection phase is still under way; false for nil.
func (p *phase) blocking() bool { return p != nil && !p.onLoop.Load() }

func (p *phase) end() { p.onLoop.Store(true) }

// restart is the inverse of end. What is known of the socket is from before, so the next read asks it. Owned by loop.
func (p *phase) restart(hup bool) {
	p.mu.Lock()
	p.deadline = time.Time{}
	p.mu.Unlock()
	p.emptied = false
	p.hup.Store(hup)
	p.want.Store(0)
	p.onLoop.Store(false)
}

func (p *phase) Read(b []byte) (int, error) {
	if p.onLoop.Load() {
		return p.readOnLoop(b)
	}
	if len(b) == 0 {
		return 0, nil
	}
	for {
		// A socket that the last read emptied is not asked again before an event says that there is more. The token of what
		// this read will find is taken before it: left there, it would have the query phase look in vain.
		if event := p.hasEvent(); event || !p.emptied || p.hup.Load() {
			n, err := p.try(recv, b)
			if err == nil && n == 0 {
				return 0, io.EOF
			}
			p.emptied = err == nil && n < len(b) && !p.hup.Load()
			if err != ErrAgain {
				return n, err
			}
		}
		if err := p.wait(wantRead); err != nil {
			return 0, err
		}
	}
}

// try makes one system call, unless the connection is closed or its deadline has passed. It holds the lock meanwhile, so
// that the descriptor cannot be closed, and its number reused, under the call; the call does not block.
func (p *phase) try(call func(int, []byte) (int, error), b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return 0, net.ErrClosed
	}
	if !p.deadline.IsZero() && !time.Now().Before(p.deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	return call(p.c.fd, b)
}

func (p *phase) readOnLoop(b []byte) (int, error) {
	c := p.c
	if c.fd < 0 {
		return 0, net.ErrClosed
	}
	if c.drained {
		return 0, errTLSAgain
	}
	n, err := recv(c.fd, b)
	if err != nil {
		if err == ErrAgain {
			return 0, errTLSAgain
		}
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	c.drained = n < len(b) && !c.hup
	return n, nil
}

func (p *phase) Write(b []byte) (int, error) {
	if p.onLoop.Load() {
		p.c.loop.records = append(p.c.loop.records, b...)
		return len(b), nil
	}
	sent := 0
	for {
		n, err := p.try(send, b[sent:])
		sent += n
		if err != ErrAgain {
			return sent, err
		}
		if err := p.wait(wantWrite); err != nil {
			return sent, err
		}
	}
}

// What a goroutine of the connection phase waits for.
const (
	wantRead  = 1
	wantWrite = 2
)

// wait blocks until the socket may be ready, the deadline has passed or was changed, or the connection is closed.
func (p *phase) wait(want int32) error {
	if levelTriggered {
		p.want.Store(want)
		p.c.loop.nudge()
	}
	p.mu.Lock()
	deadline := p.deadline
	p.mu.Unlock()
	if p.task != nil {
		if !deadline.IsZero() {
			t := time.AfterFunc(time.Until(deadline), func() { p.c.loop.Post(p.wakeTask) })
			defer t.Stop()
		}
		p.task.wait()
		p.hasEvent()
		p.emptied = false
		return nil // the next try tells what has happened
	}
	var expired <-chan time.Time
	if !deadline.IsZero() {
		left := time.Until(deadline)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		t := time.NewTimer(left)
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-p.ready:
		p.emptied = false
		return nil
	case <-p.gone:
		return net.ErrClosed
	case <-expired:
		return os.ErrDeadlineExceeded
	}
}

// Close ends the connection phase for good: the loop closes the socket. It may be called more than once.
func (p *phase) Close() error {
	if p.shutOff(nil) {
		p.c.loop.Post(p.c.Close)
	}
	return nil
}

// shutOff ends all use of the descriptor by this phase and then runs then, under the lock. It reports whether this was the
// first call.
func (p *phase) shutOff(then func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.shut
	if first {
		p.shut = true
		close(p.gone)
	}
	if then != nil {
		then()
	}
	return first
}

func (p *phase) LocalAddr() net.Addr  { return p.local }
func (p *phase) RemoteAddr() net.Addr { return p.peer }

func (p *phase) SetDeadline(t time.Time) error {
	p.mu.Lock()
	p.deadline = t
	p.mu.Unlock()
	p.signal()
	if p.tasked {
		p.c.loop.Post(p.wakeTask)
	}
	return nil
}

func (p *phase) SetReadDeadline(t time.Time) error  { return p.SetDeadline(t) }
func (p *phase) SetWriteDeadline(t time.Time) error { return p.SetDeadline(t) }
