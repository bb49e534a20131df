package session

import (
	"slices"
	"time"

	"forebay/internal/engine"
)

// A session that is done with its server connection may keep it, while nobody else wants one: its next request may ask for
// what only that connection knows of the last one (engine.Session.Keeps).

// keepLimit is how long a server connection is kept for a client that sends nothing: then the pool's own rules for idle ones
// apply.
const keepLimit = time.Minute

// mayKeep reports whether the session keeps its server connection, rather than give it back.
func (s *Session) mayKeep() bool {
	return s.client != nil && s.server.pool == s.pool && !s.pool.ended && s.eng.Keeps() && !s.eng.Retire() && !s.server.retires() && !s.pool.shard.Wanted()
}

// keepServer keeps the server connection.
func (s *Session) keepServer() {
	if s.keeping {
		return
	}
	s.keeping = true
	s.server.returned = s.w.Loop.Nanos()
	s.w.keeping = append(s.w.keeping, s)
	s.w.kept.Store(int32(len(s.w.keeping)))
}

// unkeep ends that: the session has a request, or no server connection any more.
func (s *Session) unkeep() {
	if !s.keeping {
		return
	}
	s.keeping = false
	i := slices.Index(s.w.keeping, s)
	s.w.keeping = slices.Delete(s.w.keeping, i, i+1)
	s.w.kept.Store(int32(len(s.w.keeping)))
}

// giveUp gives a kept server connection back, at once or as soon as the session has asked it what it has to.
func (s *Session) giveUp() {
	s.unkeep()
	if !s.inquire() {
		s.release()
	}
}

// inquire has the session ask what only its server connection knows, before another session has that. It reports whether an answer is
// to come, with which giveBack is called again. What is asked of a connection that is to go anyway might never be answered.
func (s *Session) inquire() bool {
	e, ok := s.eng.(engine.Inquirer)
	sv := s.server
	if !ok || s.client == nil || sv.pool != s.pool || s.pool.ended || s.eng.Retire() || sv.retires() {
		return false
	}
	o := s.w.output()
	if !e.Inquire(o) {
		return false
	}
	s.inquired = true
	sv.asked = s.w.Loop.Nanos()
	sv.pool.stats.ServerBytesOut += uint64(o.Server.Len())
	if err := sv.conn.Write(o.Server.Bytes()); err != nil {
		sv.lost(err)
	}
	return true
}

// giveUpFor has the session give its kept connection up that has kept one longest, of those behind the same limit as a
// session of p that has to wait. It reports whether there is one, and whether that has something to ask first: then p is told when the
// connection has been given back, or lost.
func (w *Worker) giveUpFor(p *Pool) (found, later bool) {
	for _, s := range w.keeping {
		if sv := s.server; sv != nil && sv.pool.budget == p.budget {
			s.giveUp()
			if later = s.server == sv && s.inquired; later {
				s.wanted = p
			}
			return true, later
		}
	}
	return false, false
}

// want has a kept server connection given up, on this loop or another one, where a session of p waits that no new one is on its way
// for.
func (p *Pool) want() {
	found, later := p.w.giveUpFor(p)
	if later {
		p.coming++
	}
	if !found {
		p.ask()
	}
}

// ask has a kept server connection given up on another loop, where a session of p waits that none is on its way for: no new one, and
// none that is given up as soon as its session has asked it something. One is asked for at a time; whether more is needed is seen when
// it has come.
func (p *Pool) ask() {
	if p.asking || p.shard.Short() <= p.coming {
		return
	}
	p.asking = true
	p.askFrom(0)
}

// askFrom asks the loops from the i-th on, one after the other. It may be called on any loop.
func (p *Pool) askFrom(i int) {
	peers := p.w.peers
	for ; i < len(peers); i++ {
		peer := peers[i]
		if peer == p.w || peer.kept.Load() == 0 {
			continue
		}
		if peer.Loop.Post(func() {
			switch found, later := peer.giveUpFor(p); {
			case !found:
				p.askFrom(i + 1)
			case later:
				p.w.Loop.Post(func() {
					p.asking = false
					p.coming++
					p.ask()
				})
			default:
				p.came(peer, func() { p.asking = false })
			}
		}) {
			return
		}
	}
	p.w.Loop.Post(func() { p.asking = false })
}

// came has p look for what has been given up on another loop, or the same, after it has called noted. Called on that loop.
func (p *Pool) came(from *Worker, noted func()) {
	at := from.Loop.Nanos()
	p.w.Loop.Post(func() {
		noted()
		p.shard.LookAround(max(at, p.w.Loop.Nanos())) // or it would find the connection too fresh
		p.ask()
	})
}

// gaveUp tells the pool that has wanted the session's server connection, if there is one, that it has been given back, or is no more.
func (s *Session) gaveUp() {
	if p := s.wanted; p != nil {
		s.wanted = nil
		p.came(s.w, func() { p.coming-- })
	}
}

// TickKeeping gives back what has been kept for long, now, or is wanted by sessions of another loop. Owned by loop.
func (w *Worker) TickKeeping(now int64) {
	for _, s := range slices.Clone(w.keeping) {
		if s.keeping && s.server != nil && (now-s.server.returned > int64(keepLimit) || s.server.retires() || s.server.pool.shard.Wanted()) {
			s.giveUp()
		}
	}
}
