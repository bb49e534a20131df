package dataplane

import (
	"slices"
	"time"

	"forebay/internal/dataplane/session"
	"forebay/internal/engine"

	"golang.org/x/time/rate"
)

// routes say where sessions go. It is immutable.
type routes struct {
	nowhere *member
	writer  *member   // nil: there is none
	readers []*member // that a new session may have
	// moves are those of the readers that a session may move to from another member: they have come as far as that may have
	// been when it was left, so that nobody sees an older state than before (contract 7.3).
	moves       []*member
	hasReaders  bool // the target has readers, though they may not be usable now
	writerReads bool // resource.Target.WriterReads
	paused      bool
	unusable    error // why there is no writer; nil: not known
}

// why says why a session has to wait.
func (r *routes) why(readOnly bool) error {
	switch {
	case r.paused:
		return engine.ErrPaused
	case !readOnly && r.unusable != nil:
		return r.unusable
	case !readOnly:
		return engine.ErrNoWriter
	case !r.hasReaders:
		return noReaders{}
	default:
		return engine.ErrNoReader
	}
}

// noReaders is ErrNoReaders, for which nobody waits.
type noReaders struct{}

func (noReaders) Error() string   { return engine.ErrNoReaders.Error() }
func (noReaders) Unwrap() error   { return engine.ErrNoReaders }
func (noReaders) Permanent() bool { return true }

// place is where a new session of the database belongs, whose client was at a member before: nil for a new client.
func (d *database) place(from *member) *branch {
	return d.at(d.target.routes.Load().place(d.key.ReadOnly, from, from != nil))
}

// place is where a session belongs that is at a member now, and that has seen what some member had, or has not.
func (r *routes) place(readOnly bool, from *member, seen bool) *member {
	switch {
	case r.paused:
		return r.nowhere
	case !readOnly && r.writer != nil:
		return r.writer
	case !readOnly:
		return r.nowhere
	}
	writer := r.writerReads && r.writer != nil
	switch {
	case slices.Contains(r.readers, from) || writer && from == r.writer:
		return from
	case !seen && len(r.readers) > 0:
		return leastLoaded(r.readers)
	case seen && len(r.moves) > 0:
		return leastLoaded(r.moves)
	case writer:
		return r.writer
	default:
		return r.nowhere
	}
}

// leastLoaded is the member that has the fewest sessions, for the connections that it allows (contract 7.3).
func leastLoaded(members []*member) *member {
	var best *member
	var least float64
	for _, m := range members {
		load := float64(m.clients.Load()+1) / float64(max(1, m.budget.Stats().Limits.MaxOpen))
		if best == nil || load < least {
			best, least = m, load
		}
	}
	return best
}

// How fast connections are opened to a server that has just become the writer, and how many at once at first.
var (
	promotedRate  = rate.Limit(100) // a second
	promotedBurst = 20
	promotedFor   = 30 * time.Second
)

// follow makes r the routes, and has the sessions go where they say. was is what they were. promoted says that another member has
// become the writer, whether or not there was none in between.
func (t *target) follow(was, r *routes, promoted bool) {
	if promoted || was.writer != r.writer && was.writer != nil && r.writer != nil {
		pace := rate.NewLimiter(promotedRate, promotedBurst)
		r.writer.pace.Store(pace)
		time.AfterFunc(promotedFor, func() { r.writer.pace.CompareAndSwap(pace, nil) })
	}
	t.routes.Store(r) // behind the pace: sessions that are on their way elsewhere go by it from now on
	for i, l := range t.px.plane.loops {
		l.Post(func() {
			t.px.plane.workers[i].Move(func(s *session.Session) *session.Pool {
				b, ok := s.Pool().Owner().(*branch)
				if !ok || b.db.target != t {
					return nil
				}
				// As the routes are now: these may be newer than r.
				to := t.routes.Load().place(b.db.key.ReadOnly, b.member, s.Served())
				return b.db.at(to).pool(i)
			})
		})
	}
	if r.paused && !was.paused {
		for _, m := range t.all() {
			m.retire(func(engine.Key) bool { return true })
		}
	}
	// While it is paused, too: what is under way goes on, but not at a writer that is one no more.
	for _, role := range []bool{false, true} {
		for _, m := range was.serve(role) {
			if !slices.Contains(r.serve(role), m) {
				m.abandon(role, m != r.writer)
			}
		}
	}
}

// Reader implements session.Host. Called on the pool's loop.
func (b *branch) Reader(p, last *session.Pool, since int64) *session.Pool {
	r := b.db.target.routes.Load()
	if r.paused {
		return nil
	}
	var ready []*member
	for _, m := range r.readers {
		if m.caughtUp.Load() <= since {
			continue
		}
		if last != nil && last.Owner().(*branch).member == m {
			return last
		}
		ready = append(ready, m)
	}
	if len(ready) == 0 {
		return nil
	}
	return b.db.at(leastLoaded(ready)).pool(p.Loop().ID())
}

// serve are the members that sessions may be at which read, or which do not.
func (r *routes) serve(readOnly bool) []*member {
	switch {
	case !readOnly && r.writer == nil:
		return nil
	case !readOnly:
		return []*member{r.writer}
	case r.writerReads && r.writer != nil:
		return append(slices.Clone(r.readers), r.writer)
	default:
		return r.readers
	}
}

// abandon ends server connections of sessions that have moved away, by what they do: idle ones at once; a pinned session
// loses its own, and is told with its next statement; a transaction may end, unless there is no hope for it. reader says that
// the member is not the writer: what other sessions have at a reader that is lost are transactions that only read.
func (m *member) abandon(readOnly, reader bool) {
	of := func(k engine.Key) bool { return k.ReadOnly == readOnly || readOnly && reader }
	m.retire(of)
	m.t.mu.Lock()
	hopeless := m.health != nil || m.fenced
	m.t.mu.Unlock()
	m.cut(hopeless, of)
	if !hopeless {
		m.cutLater(readOnly, of)
	}
}
