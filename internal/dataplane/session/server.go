package session

import (
	"errors"
	"net"
	"time"

	"forebay/internal/engine"
	"forebay/internal/evloop"
	"forebay/internal/pool"
	"forebay/internal/secret"
)

// Server is one server connection in the query phase. Owned by loop.
type Server struct {
	w        *Worker
	pool     *Pool
	conn     *evloop.Conn
	addr     net.Addr
	eng      engine.Server
	slot     pool.Conn
	session  *Session // nil while idle
	in       []byte   // the start of a message of the server's
	tls      bool
	lease    *secret.Lease // of its user, which it holds; nil: that has no end, or it is closed
	returned int64         // when it was last given back
	asked    int64         // when its session asked it something before it gives it back; 0: it did not, or has had an answer
	cancels  int           // cancel requests under way: until they have arrived nobody else may have the connection
	relaying bool          // what it has read is being passed on: it cannot be given back yet
}

// Pool is the pool that the connection belongs to. Owned by loop.
func (sv *Server) Pool() *Pool { return sv.pool }

// Addr is the server's address, to which the connection is: its name may stand for others, too.
func (sv *Server) Addr() net.Addr { return sv.addr }

// Engine is the connection's protocol state.
func (sv *Server) Engine() engine.Server { return sv.eng }

// Ready implements evloop.Handler for the server's connection.
func (sv *Server) Ready(c *evloop.Conn) {
	if err := c.WriteError(); err != nil {
		sv.lost(err)
		return
	}
	if !sv.pump() {
		return
	}
	s := sv.session
	switch {
	case s == nil || c.Unsent() > 0:
	case s.client != nil && (len(s.in) > 0 || s.client.Readable()):
		s.pump() // it had to wait for this server connection
	default:
		s.giveBack() // what was on its way may have no answer
	}
}

// pump moves what the server has sent toward the client. It returns false when the connection is gone or was given back:
// then it may be another loop's already, and must not be touched.
func (sv *Server) pump() bool {
	for range maxReads {
		s := sv.session
		if !sv.conn.Readable() || s != nil && s.client != nil && s.client.Unsent() > maxUnsent {
			return true
		}
		b, err := sv.read()
		if err == evloop.ErrAgain {
			return true
		}
		if err != nil {
			sv.lost(err)
			return false
		}
		if s == nil {
			n, ok := sv.eng.Idle(b)
			if !ok {
				sv.lost(errIdleClosed)
				return false
			}
			sv.in = sv.w.keep(sv.in, b[n:])
			continue
		}
		o := sv.w.output()
		sv.relaying = true
		n := s.eng.FromServer(b, o)
		closeServer := o.CloseServer
		if o.ReadOnly {
			sv.pool.host.Doubt(sv.pool)
		}
		var werr error
		if o.Server.Len() > 0 {
			sv.pool.stats.ServerBytesOut += uint64(o.Server.Len())
			werr = sv.conn.Write(o.Server.Bytes())
		}
		s.fed = false
		if sv.asked != 0 && s.eng.Open() { // it has the answer, to the end
			sv.asked = 0
		}
		s.sendClient(o) // from here on o may be somebody else's
		if sv.conn.Closed() {
			return false
		}
		sv.in = sv.w.keep(sv.in, b[n:])
		sv.relaying = false
		if closeServer || werr != nil {
			if werr == nil {
				werr = engine.ErrUnsure
			}
			sv.lost(werr)
			return false
		}
		if !s.used && s.started && s.client != nil && (len(s.in) > 0 || s.client.Readable()) {
			// It has been made ready for a request that is still to be read. Given back now, it could go from one
			// waiter to the next without ever serving one.
			if s.pump(); s.server != sv {
				return false
			}
		}
		if s.giveBack(); s.server != sv {
			if s.client != nil && (len(s.in) > 0 || s.client.Readable()) {
				s.pump()
			}
			return false
		}
	}
	sv.w.Loop.Again(sv.conn)
	return true
}

var errIdleClosed = errors.New("the server closed it while idle")

// restAfter is how long a server connection may have been idle before it is looked at once more before use.
const restAfter = int64(100 * time.Millisecond)

// rested reports whether a connection that was idle has been so for long.
func (sv *Server) rested(now int64) bool { return now-sv.returned >= restAfter }

// alive reports whether a connection that was idle may be lent: the server may have closed it in this very moment, and
// the client would hear of it. It is closed if not. It may read into the loop's buffer.
func (sv *Server) alive(now int64) bool {
	if !sv.rested(now) {
		return true
	}
	b, err := sv.read()
	if err == evloop.ErrAgain {
		return true
	}
	if err == nil {
		n, ok := sv.eng.Idle(b)
		if ok {
			sv.in = sv.w.keep(sv.in, b[n:])
			return true
		}
		err = errIdleClosed
	}
	sv.lost(err)
	return false
}

// read reads from the server, behind what is there of an unfinished message.
func (sv *Server) read() ([]byte, error) {
	if sv.in == nil {
		n, err := sv.conn.Read(sv.w.Loop.Buffer())
		sv.pool.stats.ServerBytesIn += uint64(n)
		return sv.w.Loop.Buffer()[:n], err
	}
	if cap(sv.in)-len(sv.in) < spareSize/2 {
		bigger := append(sv.w.buffer(2*cap(sv.in)), sv.in...)
		sv.w.release(sv.in)
		sv.in = bigger
	}
	n, err := sv.conn.Read(sv.in[len(sv.in):cap(sv.in)])
	sv.pool.stats.ServerBytesIn += uint64(n)
	sv.in = sv.in[:len(sv.in)+n]
	return sv.in, err
}

// lost ends a server connection that is gone or of no use. The session that had it goes on without.
func (sv *Server) lost(err error) {
	if sv.conn.Closed() {
		return
	}
	s := sv.session
	if s != nil {
		s.unkeep()
	}
	why := EndLost
	switch {
	case errors.Is(err, engine.ErrUnsure):
		why = EndUnsure
	case errors.Is(err, engine.ErrFailover):
		why = EndFailover
	case errors.Is(err, engine.ErrLease):
		why = EndLease
	}
	sv.drop(why)
	if why == EndLost {
		sv.pool.host.Doubt(sv.pool)
	}
	if s == nil {
		return
	}
	s.fed = false
	if s.client == nil {
		return
	}
	s.ran()
	o := sv.w.output()
	s.eng.ServerLost(err, o)
	s.eng.Detach()
	s.server = nil
	s.sendClient(o)
	if s.client != nil {
		sv.w.Loop.Again(s.client)
	}
}

// drop closes the connection at once and takes it out of the pool.
func (sv *Server) drop(why Ending) {
	if sv.conn.Closed() {
		return
	}
	if s := sv.session; s != nil {
		if s.client == nil {
			s.eng.Detach()
			s.server = nil
		}
		defer s.gaveUp()
	}
	sv.session = nil
	sv.conn.Close()
	sv.pool.stats.Ended[why]++
	sv.forget()
	sv.pool.shard.Remove(&sv.slot, sv.w.Loop.Nanos())
}

// bye closes the connection in good order and takes it out of the pool.
func (sv *Server) bye(why Ending) {
	sv.end(why)
	sv.pool.shard.Remove(&sv.slot, sv.w.Loop.Nanos())
}

// end closes the connection in good order; it is still to be taken out of the pool.
func (sv *Server) end(why Ending) {
	sv.pool.stats.Ended[why]++
	sv.close()
}

// close says good-bye and closes a connection that the pool has let go.
func (sv *Server) close() {
	if sv.conn.Closed() {
		return
	}
	_ = sv.conn.Write(sv.eng.Bye())
	sv.conn.CloseLater(closeLinger)
	sv.forget()
}

func (sv *Server) forget() {
	if sv.tls {
		sv.tls = false
		sv.pool.stats.ServersTLS--
	}
	sv.unhold()
	if sv.in != nil {
		sv.w.release(sv.in)
		sv.in = nil
	}
}

// limit closes the connection if it still has its present session, whose client has left, after d.
func (sv *Server) limit(d time.Duration) {
	s := sv.session
	time.AfterFunc(d, func() {
		s.w.Loop.Post(func() { // the session's loop: the connection may be another's by now
			if s.server == sv && s.client == nil {
				sv.drop(EndAbandoned)
			}
		})
	})
}

// HoldForCancel keeps the connection from other sessions until the returned function has been called, on any goroutine:
// a cancel request that arrives late must not hit the statement of another client. Owned by loop.
func (sv *Server) HoldForCancel() (release func()) {
	sv.cancels++
	return func() {
		sv.w.Loop.Post(func() {
			sv.cancels--
			if s := sv.session; s != nil && !sv.conn.Closed() {
				s.giveBack()
				if s.client != nil && (len(s.in) > 0 || s.client.Readable()) {
					s.pump() // it had to wait for this
				}
			}
		})
	}
}

// Open implements pool.Hooks.
func (p *Pool) Open(*pool.Shard) {
	p.stats.OpenAttempts++
	p.host.Open(p, func(o Opened, err error) {
		now := p.w.Loop.Nanos()
		if err != nil {
			p.stats.OpenFailures++
			p.shard.OpenFailed(err, now)
			p.w.sendHome(p)
			return
		}
		sv := &Server{w: p.w, pool: p, conn: o.Conn, addr: o.Addr, eng: o.Dialed.Server, tls: o.Dialed.TLS}
		if sv.tls {
			p.stats.TLSOpened++
			p.stats.ServersTLS++
		}
		sv.slot.Owner = sv
		sv.slot.Fit = sv.eng.Fit()
		if sv.lease = o.Dialed.Lease; sv.lease != nil {
			sv.hold(sv.lease)
		}
		o.Conn.Start(o.Dialed.Conn, sv)
		p.w.Loop.Again(o.Conn) // rather than Ready afterwards, when it may have moved to another loop
		p.shard.Opened(&sv.slot, now)
	})
}

// Serve implements pool.Hooks.
func (p *Pool) Serve(w *pool.Waiter, c *pool.Conn) {
	w.Owner.(*Session).served(c.Owner.(*Server))
}

// Fail implements pool.Hooks.
func (p *Pool) Fail(w *pool.Waiter, err error) {
	s := w.Owner.(*Session)
	if s.waitsIn != s.pool && s.client != nil { // the writer serves it as well as a reader
		s.waitOn()
		return
	}
	s.waiting = false
	if errors.Is(err, pool.ErrBorrowTimeout) {
		var t *pool.TimeoutError
		if errors.As(err, &t) && t.Last != nil {
			err = &engine.BorrowError{Cause: t.Last}
		} else {
			err = engine.ErrBorrowTimeout
		}
	} else if errors.Is(err, pool.ErrTooManyWaiting) {
		err = engine.ErrTooManyWaiting
	} else if errors.Is(err, pool.ErrClosed) {
		err = engine.ErrShutdown
	}
	s.refuse(err)
}

// Close implements pool.Hooks.
func (p *Pool) Close(c *pool.Conn, _ pool.Reason) { c.Owner.(*Server).close() }

// Migrate implements pool.Hooks.
func (p *Pool) Migrate(c *pool.Conn, to *pool.Shard) {
	sv := c.Owner.(*Server)
	dest := shardPool(to)
	if sv.tls {
		p.stats.ServersTLS--
	}
	sv.conn.Move(dest.w.Loop, func(err error) {
		sv.w, sv.pool = dest.w, dest
		if err != nil {
			sv.unhold()
			to.AdoptFailed(c, dest.w.Loop.Nanos())
			return
		}
		if sv.tls {
			dest.stats.ServersTLS++
		}
		dest.w.leases = dest.w.leases || sv.lease != nil
		to.Adopted(c, dest.w.Loop.Nanos())
	})
}

// Post implements pool.Hooks.
func (p *Pool) Post(f func(now int64)) {
	p.w.Loop.Post(func() { f(p.w.Loop.Nanos()) })
}

// shardPool is the pool that a shard belongs to: its hooks.
func shardPool(s *pool.Shard) *Pool { return s.Hooks().(*Pool) }

// waited counts a borrow that took so long, in nanoseconds.
func (t *PoolStats) waited(nanos int64) {
	i := 0
	for i < len(WaitBuckets) && nanos > WaitBuckets[i] {
		i++
	}
	t.WaitNanos[i]++
	t.WaitSum += uint64(nanos)
}
