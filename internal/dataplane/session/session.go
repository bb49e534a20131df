package session

import (
	"bytes"
	"time"

	"forebay/internal/engine"
	"forebay/internal/evloop"
	"forebay/internal/pool"
)

// maxReads bounds the reads from one connection before others have their turn.
const maxReads = 16

// maxDepth bounds sessions served within one another's return of a server connection; deeper ones wait for the next turn.
const maxDepth = 8

// closeLinger is how long the last bytes for a client may take to leave.
const closeLinger = 5 * time.Second

// Limits are the proxy's limits on its clients. A new value is swapped in when the configuration changes.
type Limits struct {
	Idle     time.Duration // no request for so long: closed; 0 = never
	Lifetime time.Duration // connected for so long: closed when next idle; 0 = never
}

// Session is one client in the query phase. Owned by loop.
type Session struct {
	// What each transaction touches comes first, close together: with thousands of clients it is rarely in the processor's
	// cache.
	w        *Worker
	pool     *Pool
	client   *evloop.Conn // nil once gone
	eng      engine.Session
	server   *Server // borrowed
	in       []byte  // the start of a message of the client's, not yet consumed
	active   int64   // last byte of the client
	queued   int64   // when it began to wait for a server connection
	fed      bool    // the engine has seen in and wants more
	keeping  bool    // it has the server connection only for what its next request may ask
	inquired bool    // it has asked what it has to before it gives its server connection back
	starved  bool    // the engine, with a server connection at hand, has seen in and wants more
	used     bool    // the server connection has been sent something since it was borrowed
	waiting  bool
	started  bool
	killing  bool  // it has asked for another's end
	touched  bool  // it has had a server connection
	asking   bool  // it asks a pool for one: whoever does that goes on when it is refused
	reads    bool  // the transaction under way declares that it only reads
	strayed  bool  // and may have written all the same
	unfit    uint8 // new server connections that it did not take since it waits
	slot     uint32
	waiter   pool.Waiter
	waitsIn  *Pool // where it waits
	wanted   *Pool // whose session waits for the server connection that it has inquired to give up; nil: nobody's
	reader   *Pool // where a reader has last served it; nil: nowhere
	readAt   int64 // when that has ended
	wrote    int64 // when its last transaction that may have written has ended

	limits     *Limits
	closed     func()   // tells the plane that the client is gone
	prev, next *Session // in the worker's list
	checked    int64    // when last looked at for idleness
	began      int64
}

// SlotBits is how many bits a slot has. Far more slots than sessions: one is not used again soon, so that what names a
// session that has ended, in a log or in a cancel request, does not name another.
const SlotBits = 22

// Slot takes a place for a session, by which a cancel request finds it. It is that session's until that has ended, or
// nobody's again after Free. Owned by loop.
func (w *Worker) Slot() uint32 {
	for {
		w.lastSlot = (w.lastSlot + 1) & (1<<SlotBits - 1)
		if _, taken := w.sessions[w.lastSlot]; !taken && w.lastSlot != 0 {
			w.sessions[w.lastSlot] = nil
			return w.lastSlot
		}
	}
}

// Free gives back a slot that will have no session. Owned by loop.
func (w *Worker) Free(slot uint32) { delete(w.sessions, slot) }

// Slots is how many are taken. Owned by loop.
func (w *Worker) Slots() int { return len(w.sessions) }

// Begin makes a session of a client that has passed the connection phase, and starts it. slot is Slot's. seen is when, by the
// loop's clock, the client has last written or read in an earlier session over the same connection; 0: it has not. closed is
// called once, when the client is gone. Call it on the loop.
func (p *Pool) Begin(c *evloop.Conn, l *engine.Login, slot uint32, id engine.SessionID, seen int64, limits *Limits, closed func()) *Session {
	now := p.w.Loop.Nanos()
	s := &Session{
		w: p.w, pool: p, client: c, eng: l.NewSession(p.Local, id), limits: limits, closed: closed,
		slot: slot, checked: now, active: now, began: now, wrote: seen,
	}
	s.waiter.Owner = s
	if len(l.Buffered) > 0 {
		s.in = p.w.keep(nil, l.Buffered)
	}
	p.w.sessions[slot] = s
	p.w.link(s)
	p.count(l.TLS, 1)
	c.Start(l.Conn, s)
	if p.ended { // while the client logged in
		s.End(engine.ErrShutdown)
		return s
	}
	o := p.w.output()
	needs := s.eng.Start(o)
	s.sendClient(o)
	if needs && s.client != nil {
		s.borrow()
	}
	s.started = true
	if s.client != nil {
		s.Ready(c)
	}
	return s
}

// count counts a client that has come, or with -1 one that has left.
func (p *Pool) count(tls bool, n int) {
	p.stats.ClientsIn += n
	if tls {
		p.stats.ClientsTLS += n
	}
	p.clients.Add(int64(n))
}

// SetLimits changes the limits. Owned by loop.
func (s *Session) SetLimits(l *Limits) { s.limits = l }

// Info describes the session for operators. Owned by loop.
func (s *Session) Info() engine.SessionInfo {
	i := s.eng.Describe()
	if s.waiting {
		i.State = "waiting"
	}
	return i
}

// Pinned reports whether the session keeps its server connection beyond the transaction. Owned by loop.
func (s *Session) Pinned() bool { return s.server != nil && s.eng.Pinned() != "" }

// Waiting reports whether the session waits for a server connection, and since when by the loop's clock. Owned by loop.
func (s *Session) Waiting() (since int64, ok bool) { return s.queued, s.waiting }

// Pool is the pool that the session borrows from.
func (s *Session) Pool() *Pool { return s.pool }

// output returns the worker's output, empty.
func (w *Worker) output() *engine.Output {
	w.out.Reset()
	return &w.out
}

// Ready implements evloop.Handler for the client's connection.
func (s *Session) Ready(c *evloop.Conn) {
	if c.WriteError() != nil {
		s.clientGone()
		return
	}
	if s.server != nil && c.Unsent() == 0 && s.server.conn.Readable() {
		s.server.pump() // it had to wait for this client
	}
	if s.client != nil {
		s.pump()
	}
}

// pump moves what the client has sent toward the server.
func (s *Session) pump() {
	c := s.client
	for range maxReads {
		if s.client == nil || s.killing {
			return
		}
		if s.server == nil {
			if s.waiting {
				if c.HungUp() {
					s.clientGone()
				} else {
					s.listen()
				}
				return
			}
			if (len(s.in) == 0 || s.starved) && !c.Readable() {
				return
			}
			// A client that has hung up, or whose request is to be refused, is read without a server connection; so is one
			// that would have to wait for one: its request may need none.
			if !s.eng.Refusing() && !(c.HungUp() && c.Readable()) && !s.mayLook() && !s.borrow() && !s.eng.Refusing() {
				return
			}
			if s.client == nil {
				return
			}
		}
		if !c.Readable() && (len(s.in) == 0 || s.fed) {
			s.giveBack()
			return
		}
		if s.server != nil && s.server.cancels > 0 && s.eng.Done() {
			// A late cancel request must not hit the next statement, and a client that cancels all the time must not
			// keep the server connection.
			return
		}
		if !s.eng.Open() || s.server != nil && s.server.conn.Unsent() > 0 || c.Unsent() > maxUnsent {
			return // until the server, or the client, takes more
		}
		var b []byte
		if len(s.in) > 0 && !s.fed {
			b = s.in
		} else {
			var err error
			if b, err = s.read(); err != nil {
				if err != evloop.ErrAgain {
					s.clientGone()
					return
				}
				s.giveBack()
				return
			}
		}
		s.active = s.w.Loop.Nanos()
		if s.keeping {
			s.unkeep()
			if sv := s.server; sv.rested(s.active) {
				s.in = s.w.keep(s.in, b) // alive reads into the loop's buffer, too
				if !sv.alive(s.active) {
					continue // with another
				}
				b = s.in
			}
		}
		if !s.feed(b) {
			return
		}
		if s.server != nil && s.eng.Done() && !c.Readable() {
			s.giveBack()
			if len(s.in) == 0 {
				return
			}
		}
		if s.server == nil && s.fed && !s.starved && len(s.in) > 0 && !s.eng.Refusing() {
			// What has been read without a server connection needs one. If it has hung up since, it is served all the same.
			if !s.borrow() && !s.eng.Refusing() {
				return
			}
		}
	}
	s.w.Loop.Again(c)
}

// feed gives the engine what the client has sent, and does what follows. It reports false when there is nothing more to do
// for now.
func (s *Session) feed(b []byte) bool {
	if s.reads && s.used && !s.eng.Busy() {
		s.reads = false // it has kept its server connection beyond the transaction that only read: this may write
	}
	s.gaveUp() // in case: it goes on with what it was to give back
	o := s.w.output()
	queries := s.pool.Counters.Queries
	n := s.eng.FromClient(b, o)
	if s.client.TLS() != nil {
		s.pool.stats.QueriesTLS += s.pool.Counters.Queries - queries
	}
	kill, relogin := o.Kill, o.Relogin
	s.strayed = s.strayed || o.Writes
	s.fed = !o.More && kill == nil
	s.used = s.used || n > 0
	s.send(o)
	if s.client == nil {
		return false
	}
	s.in = s.w.keep(s.in, b[n:])
	if relogin != nil {
		s.relogin(relogin)
		return false
	}
	if kill != nil {
		s.kill(kill)
		s.giveBack()
		return false
	}
	return true
}

// mayLook reports whether the client is read before a server connection is borrowed: not where one is at hand, or will
// soon be, since a client that only waits for its turn had better not be read (it owns no buffer then).
func (s *Session) mayLook() bool {
	return (s.pool.splits || s.pool.shard.Stuck(s.w.Loop.Nanos())) && !(s.fed && len(s.in) > 0)
}

// lookAt looks what a session has waited for so long: its request may need no server connection. If it does, the session
// waits on in its place.
func lookAt(w *pool.Waiter) {
	s := w.Owner.(*Session)
	c := s.client
	if c == nil || !s.started || s.killing || c.Unsent() > maxUnsent || s.fed && len(s.in) > 0 {
		return
	}
	b := s.in
	if len(b) == 0 {
		if !c.Readable() {
			return
		}
		var err error
		if b, err = s.read(); err != nil {
			if err != evloop.ErrAgain {
				s.clientGone()
			}
			return
		}
		s.active = s.w.Loop.Nanos()
	}
	if !s.feed(b) {
		return
	}
	if len(s.in) == 0 {
		s.goOn()
	}
	s.shrink()
}

// maxListened is how much is read of what a client sends while it waits, in bytes.
const maxListened = 2 << 20

// listen reads what a client sends while it waits for a server connection, where it may withdraw its request that way.
func (s *Session) listen() {
	w, ok := s.eng.(engine.Withdrawer)
	if !ok || !s.started || !s.client.Readable() || len(s.in) > maxListened || s.client.Unsent() > maxUnsent {
		return
	}
	b, err := s.read()
	if err != nil {
		if err != evloop.ErrAgain {
			s.clientGone()
		}
		return
	}
	s.active = s.w.Loop.Nanos()
	s.in = s.w.keep(s.in, b)
	s.fed = false
	if !w.Withdraws(s.in) {
		return
	}
	if s.feed(s.in) && !(s.fed && len(s.in) > 0) {
		s.goOn()
	}
	s.shrink()
}

// goOn ends the wait of a session whose request needs no server connection. What its client has sent meanwhile has yet to be read: it
// was not while the session waited.
func (s *Session) goOn() {
	s.unwait()
	s.w.Loop.Again(s.client)
}

// unwait ends the wait for a server connection, if there is one.
func (s *Session) unwait() {
	if s.waiting {
		s.waiting = false
		s.waitsIn.shard.Cancel(&s.waiter, s.w.Loop.Nanos())
	}
}

// send sends what the engine wants sent, and closes what it wants closed. Afterwards o may be somebody else's.
func (s *Session) send(o *engine.Output) {
	sv, closeServer := s.server, o.CloseServer
	var err error
	if sv != nil && o.Server.Len() > 0 {
		sv.pool.stats.ServerBytesOut += uint64(o.Server.Len())
		err = sv.conn.Write(o.Server.Bytes())
	}
	s.sendClient(o)
	if sv != nil && s.server == sv && (err != nil || closeServer) {
		if err == nil {
			err = engine.ErrUnsure
		}
		sv.lost(err)
	}
}

// maxUnsent is how many bytes may wait for a client before no more of its requests are read.
const maxUnsent = 64 << 10

// read reads from the client, behind what is there of an unfinished message; else into the loop's buffer.
func (s *Session) read() ([]byte, error) {
	if s.in != nil && len(s.in) == cap(s.in) {
		bigger := append(s.w.buffer(2*cap(s.in)), s.in...)
		s.w.release(s.in)
		s.in = bigger
	}
	b := s.in
	if b == nil {
		b = s.w.Loop.Buffer()[:0]
	}
	n, err := s.client.Read(b[len(b):cap(b)])
	s.starved = s.starved && n == 0
	s.pool.stats.ClientBytesIn += uint64(n)
	if b = b[:len(b)+n]; s.in != nil {
		s.in = b
	}
	return b, err
}

// sendClient sends the client its part of the output, and closes its connection if the engine says so.
func (s *Session) sendClient(o *engine.Output) {
	if s.client == nil {
		return
	}
	if n := o.Client.Len(); n > 0 {
		s.pool.stats.ClientBytesOut += uint64(n)
		if err := s.client.Write(o.Client.Bytes()); err != nil {
			s.clientGone()
			return
		}
	}
	if o.CloseClient {
		s.leave(true)
	}
}

// borrow gets the session a server connection, or has it wait for one; it reports whether one is there.
func (s *Session) borrow() bool {
	now := s.w.Loop.Nanos()
	s.waiting = true
	s.queued = now
	s.unfit = 0
	p := s.from()
	for {
		s.waitsIn = p
		was := s.asking
		s.asking = true
		c := p.shard.Borrow(&s.waiter, s.eng.Fit(), now)
		s.asking = was
		if c == nil {
			s.shrink()
			if p.shard.Short() > 0 { // no new one is on its way for it
				p.want()
			}
			return s.server != nil
		}
		sv := c.Owner.(*Server)
		if !sv.alive(now) {
			continue
		}
		if !s.eng.Takes(sv.eng) {
			sv.bye(EndUnfit)
			continue
		}
		s.waiting = false
		p.stats.waited(0)
		s.attach(sv)
		return s.server != nil
	}
}

// from is the pool to borrow from: the session's own, or that of a reader for a transaction that only reads. Such a reader has
// all that this session has written, and is not behind another one that it has read at.
func (s *Session) from() *Pool {
	s.reads, s.strayed = false, false
	if !s.pool.splits || !s.fed || len(s.in) == 0 || !s.eng.ReadsOnly(s.in) {
		return s.pool
	}
	s.reads = true
	p := s.pool.host.Reader(s.pool, s.reader, s.wrote)
	if p != nil && p != s.reader && s.reader != nil {
		p = s.pool.host.Reader(s.pool, nil, max(s.wrote, s.readAt))
	}
	if p == nil || p.shard.Resting(s.w.Loop.Nanos()) {
		return s.pool
	}
	return p
}

// attach links the server connection to the session.
func (s *Session) attach(sv *Server) {
	s.server, sv.session = sv, s
	s.fed, s.used, s.touched, s.inquired = false, false, true, false
	if s.reads && sv.pool != s.pool {
		if g, ok := s.eng.(engine.Guarded); ok {
			g.Guard()
		}
	}
	o := s.w.output()
	s.eng.Attach(sv.eng, o)
	if o.Server.Len() > 0 {
		sv.pool.stats.ServerBytesOut += uint64(o.Server.Len())
		if err := sv.conn.Write(o.Server.Bytes()); err != nil {
			s.sendClient(o)
			sv.lost(err)
			return
		}
	}
	s.sendClient(o)
}

// maxUnfit is how many new server connections a session may find unfit while it waits, before its request is refused: the next would
// hardly be better. Those that other sessions have had say nothing of it: these have made them what they are.
const maxUnfit = 3

// reject sends away a server connection that the session has waited for and does not take. It goes on waiting, for another.
func (s *Session) reject(sv *Server) {
	if sv.returned == 0 {
		s.unfit++
	}
	if s.unfit >= maxUnfit {
		sv.bye(EndUnfit)
		s.waiting = false
		s.refuse(engine.ErrUnfit)
		return
	}
	sv.end(EndUnfit)
	sv.pool.shard.Reject(&s.waiter, &sv.slot, s.w.Loop.Nanos())
}

// served continues the session with the server connection that it waited for.
func (s *Session) served(sv *Server) {
	if !s.eng.Takes(sv.eng) {
		s.reject(sv)
		return
	}
	s.waiting = false
	wait := s.w.Loop.Nanos() - s.queued
	sv.pool.stats.waited(wait)
	if s.started {
		s.pool.stats.RequestWait += uint64(wait)
	}
	s.attach(sv)
	if s.server == nil || s.client == nil {
		return
	}
	if s.w.depth >= maxDepth {
		s.w.Loop.Again(s.client)
		return
	}
	s.w.depth++
	s.pump()
	if s.server != nil && s.client != nil {
		s.giveBack()
	}
	s.w.depth--
}

// giveBack returns the server connection if the engine is done with it. It may then be another loop's at once: whoever
// calls this looks at s.server, and leaves the connection alone when that has changed.
func (s *Session) giveBack() {
	sv := s.server
	if sv == nil || sv.conn.Unsent() > 0 || len(sv.in) > 0 || sv.cancels > 0 || sv.relaying {
		return
	}
	if !s.eng.Done() {
		// A transaction that could end where the session belongs no more has ended, and has left something that pins.
		if sv.pool != s.pool && s.client != nil && !s.killing && !s.eng.Busy() && sv.pool.host.Left() {
			sv.lost(engine.ErrFailover)
		}
		return
	}
	if !s.inquired && s.mayKeep() {
		s.keepServer()
		return
	}
	s.unkeep()
	if !s.inquire() {
		s.release()
	}
}

// release returns the server connection, which the engine is done with.
func (s *Session) release() {
	sv := s.server
	s.starved = s.fed // else its start of a message would borrow and give back forever
	retire := s.eng.Retire()
	s.eng.Detach()
	s.server, sv.session = nil, nil
	if s.ran(); s.reads && sv.pool != s.pool {
		s.reader, s.readAt = sv.pool, s.w.Loop.Nanos()
		s.pool.stats.SplitReads++
	}
	if retire {
		sv.bye(EndState)
		s.gaveUp()
		return
	}
	sv.slot.Fit = sv.eng.Fit()
	sv.returned = s.w.Loop.Nanos()
	if sv.conn.Readable() {
		s.w.Loop.Again(sv.conn) // before it may move, which takes it out of that queue
	}
	sv.pool.shard.Return(&sv.slot, s.w.Loop.Nanos())
	s.gaveUp()
}

// ran notes the end of what the session has had a server connection for, which may have written: a reader that is to serve it has
// to have that.
func (s *Session) ran() {
	switch {
	case s.reads && !s.strayed:
	case s.pool.splits:
		s.wrote = evloop.NanosAt(time.Now()) // the loop's own clock may be behind that of who has looked at the writer
	default:
		s.wrote = s.w.Loop.Nanos()
	}
}

// clientGone ends the session: the client has closed its connection, or cannot be reached.
func (s *Session) clientGone() { s.leave(false) }

// leave ends the session and closes the client's connection.
func (s *Session) leave(linger bool) {
	c := s.client
	if c == nil {
		return
	}
	s.client = nil
	if linger {
		drain(c)
		c.CloseLater(closeLinger)
	} else {
		c.Close()
	}
	delete(s.w.sessions, s.slot)
	s.part(c)
	if s.closed != nil {
		s.closed()
		s.closed = nil
	}
}

// relogin ends the session, but not the client's connection, which logs in once more.
func (s *Session) relogin(f engine.LoginFunc) {
	c, early := s.client, bytes.Clone(s.in)
	s.client = nil
	s.w.sessions[s.slot] = nil // the next session has the same place
	if s.server != nil {
		s.reads = false // whatever it has done there, it has done now
		s.ran()
	}
	s.part(c)
	s.pool.host.Relogin(s.pool, c, s.slot, early, max(s.wrote, s.readAt), f)
}

// part ends the session without a word to its client, whose connection was c. The server connection is made clean and given
// back, or closed.
func (s *Session) part(c *evloop.Conn) {
	s.unkeep()
	s.w.unlink(s)
	if s.in != nil {
		s.w.release(s.in)
		s.in = nil
	}
	s.unwait()
	s.pool.count(c.TLS() != nil, -1)
	sv := s.server
	if sv == nil {
		return
	}
	var o engine.Output
	if !s.eng.ClientGone(&o) {
		sv.drop(EndAbandoned)
		return
	}
	if o.Server.Len() > 0 {
		if err := sv.conn.Write(o.Server.Bytes()); err != nil {
			sv.drop(EndLost)
			return
		}
	}
	if s.giveBack(); s.server == sv { // something is to be answered yet, be it of before
		sv.limit(cleanLimit)
	}
}

// cleanLimit is how long making a server connection clean may take, after its client left, and what a session has to ask before it
// gives one back.
const cleanLimit = 10 * time.Second

// End closes the client's connection with an error in its own protocol. Owned by loop.
func (s *Session) End(err error) {
	if s.client == nil {
		return
	}
	var o engine.Output
	s.eng.End(err, &o)
	s.sendClient(&o)
	s.leave(true)
}

// Busy reports whether the session has something under way. Owned by loop.
func (s *Session) Busy() bool { return s.eng.Busy() || s.waiting || s.killing || len(s.in) > 0 }

// checkAge closes the client if it has been idle, or connected, for too long, and its server connection if that does not answer what
// has to be asked before it is given back. Meanwhile the client is not read: it may have hung up. So it may where its request waits for
// what goes before that, or for a server that takes no more: it is gone, then, if that takes too long.
func (s *Session) checkAge(now int64) {
	if sv := s.server; sv != nil && sv.asked != 0 && now-sv.asked >= int64(cleanLimit) {
		sv.lost(engine.ErrUnsure)
		return
	}
	if s.Busy() {
		switch {
		case s.server == nil || !s.client.HungUp() || s.client.Unsent() > maxUnsent:
			s.active = max(s.active, now) // it is the database that takes its time
		case now-s.active >= int64(cleanLimit): // nobody waits for it
			s.clientGone()
		}
		return
	}
	switch l := s.limits; {
	case l.Idle > 0 && now-s.active >= int64(l.Idle):
		s.End(engine.ErrIdle)
	case l.Lifetime > 0 && now-s.began >= int64(l.Lifetime):
		s.End(engine.ErrLifetime)
	}
}

// Matches reports whether a cancel request is for this session, and may be. Owned by loop.
func (s *Session) Matches(c *engine.Cancel) bool { return s.eng.Matches(c) }

// Interrupt ends what the session runs. What waits for a server connection is refused; run is called, at once, with the
// server connection where the statement runs. Owned by loop.
func (s *Session) Interrupt(run func(*Server)) {
	switch {
	case s.waiting && s.started:
		s.unwait()
		s.refuse(engine.ErrCanceled)
	case s.server != nil && s.eng.Busy() && s.eng.Interrupt():
		run(s.server)
	}
}

// kill has another session ended, or what that runs. Until it is known what became of it the client is not read.
func (s *Session) kill(k *engine.Kill) {
	s.killing = true
	s.unwait()
	s.pool.host.Kill(s, *k, func(found bool) {
		s.killing = false
		if s.client == nil {
			return
		}
		o := s.w.output()
		s.eng.Killed(found, o)
		s.send(o)
		if s.client != nil {
			s.pump()
		}
	})
}

// refuse answers the client's next request, which is why it waited, with an error.
func (s *Session) refuse(err error) {
	o := s.w.output()
	s.fed = false // what it has read without a server connection is to be looked at again
	s.eng.Refuse(err, o)
	s.sendClient(o)
	if s.client != nil && s.started && !s.asking {
		s.pump()
	}
}

// drain reads what a client has sent that nobody will answer. A socket closed with unread bytes resets the connection, and
// the client may lose the last words that it was told.
func drain(c *evloop.Conn) {
	var b [4 << 10]byte // the loop's own buffer may be in use
	for range maxReads {
		if !c.Readable() {
			return
		}
		if _, err := c.Read(b[:]); err != nil {
			return
		}
	}
}
