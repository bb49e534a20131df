package session

import (
	"cmp"
	"slices"

	"forebay/internal/engine"
)

// A session belongs to the pool of one member. When another member is to serve it, it moves there: at once if it has no
// server connection, else with its next borrow. Its client notices nothing.

// Move has sessions of the worker move to other pools: where says to which, the same for one that stays, nil for one that is
// not meant. Those that
// wait for a server connection keep the place in the queue that the time of their coming gives them. Owned by loop.
func (w *Worker) Move(where func(*Session) *Pool) {
	var waiting []*Session
	for _, s := range w.sessions {
		if s == nil || s.client == nil {
			continue
		}
		to := where(s)
		if to == nil {
			continue
		}
		if s.waiting && (to != s.pool || s.waitsIn != s.pool) {
			// One that waits for a reader, too: that may be one no more.
			s.waitsIn.shard.Cancel(&s.waiter, w.Loop.Nanos())
			waiting = append(waiting, s)
		}
		if to == s.pool {
			continue
		}
		tls := s.client.TLS() != nil
		s.pool.count(tls, -1)
		to.count(tls, 1)
		s.pool = to
		if s.keeping {
			s.giveUp()
		}
	}
	w.waitOn(waiting)
}

// sendHome has sessions that wait at a reader, which has no server connection and could not open one, wait for the writer.
func (w *Worker) sendHome(p *Pool) {
	if p.shard.Waiting() == 0 || p.shard.Stats().Open > 0 {
		return
	}
	var waiting []*Session
	for _, s := range w.sessions {
		if s != nil && s.waiting && s.waitsIn == p && s.pool != p {
			p.shard.Cancel(&s.waiter, w.Loop.Nanos())
			waiting = append(waiting, s)
		}
	}
	w.waitOn(waiting)
}

// waitOn has sessions that wait nowhere wait on in their present pools, in the order of their coming.
func (w *Worker) waitOn(waiting []*Session) {
	slices.SortFunc(waiting, func(a, b *Session) int { return cmp.Compare(a.queued, b.queued) })
	for _, s := range waiting {
		if s.client != nil && s.waiting {
			s.waitOn()
		}
	}
}

// Served reports whether the session has had a server connection yet. Owned by loop.
func (s *Session) Served() bool { return s.touched }

// waitOn goes on with a wait in the session's present pool.
func (s *Session) waitOn() {
	now := s.w.Loop.Nanos()
	s.waitsIn, s.reads = s.pool, false
	for {
		was := s.asking
		s.asking = true
		c := s.pool.shard.Resume(&s.waiter, s.eng.Fit(), s.queued, now)
		s.asking = was
		if c == nil {
			if !s.waiting && s.client != nil && s.started && !was { // it has been refused
				s.pump()
			}
			return
		}
		if sv := c.Owner.(*Server); sv.alive(now) {
			s.served(sv)
			return
		}
	}
}

// Cut ends the server connections that which chooses, of those that sessions of the worker have, as lost: of one in the
// middle of something only if busy is set. What the sessions lose with them, they are told as for any lost connection.
// Owned by loop.
func (w *Worker) Cut(busy bool, which func(*Pool) bool) {
	for _, s := range w.sessions {
		if s == nil {
			continue
		}
		sv := s.server
		if sv == nil || !which(sv.pool) || !busy && s.eng.Busy() {
			continue
		}
		sv.lost(engine.ErrFailover)
	}
}
