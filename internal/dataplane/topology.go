package dataplane

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"forebay/internal/engine"
	"forebay/internal/evloop"
)

// view is what is known of one member when it is decided who is what.
type view struct {
	member   *member
	answers  bool // its last look was answered, or too short a time ago to give it up
	checked  bool // it has been looked at
	status   engine.Status
	declared int      // its place among the members
	at       []string // addresses, host:port, by which others may know it
}

// verdict is who is what.
type verdict struct {
	writer  *member   // nil: none
	newest  uint64    // the newest term of a writer
	readers []*member // that can be used
	fenced  []*member // claim to be the writer, and are not to be
	// conflict says which members claim to be the writer at once, and what comes of it. Empty: no more than one does.
	conflict string
}

// judge decides who is what. was is the writer until now, newest the newest term that a writer has had.
//
// A member that says so is the writer. If several do, the newest term wins, then the one that it has been, then the one that
// has come further, then the one declared first; the others are fenced, unless the set has several writers by design. A
// member that has lost is not the writer either when it is alone later: its term is old. A writer that does not answer stays
// the writer until another one takes its place, or it says that it is none.
func judge(views []view, was *member, newest uint64, maxLag time.Duration) verdict {
	v := verdict{newest: newest}
	var claims []view
	var former *view
	for i := range views {
		w := &views[i]
		if w.member == was {
			former = w
		}
		if w.answers && w.checked && w.status.Role == engine.Writer && w.status.Unusable == "" {
			claims = append(claims, *w)
		}
	}
	slices.SortStableFunc(claims, func(a, b view) int {
		switch {
		case newer(a, b, was):
			return -1
		case newer(b, a, was):
			return 1
		default:
			return a.declared - b.declared
		}
	})
	if len(claims) > 0 && claims[0].status.Term >= newest {
		v.writer, v.newest = claims[0].member, claims[0].status.Term
	} else if former != nil && former.stays() {
		v.writer = was
	}
	var stale []string
	for _, c := range claims {
		if c.member == v.writer || c.status.MultiWriter {
			continue
		}
		v.fenced = append(v.fenced, c.member)
		stale = append(stale, fmt.Sprintf("%s (term %d)", c.member.cfg.String(), c.status.Term))
	}
	switch {
	case len(stale) == 0:
	case v.writer == nil:
		v.conflict = fmt.Sprintf("%s: a writer with the term %d has been seen before", strings.Join(stale, ", "), newest)
	default:
		v.conflict = fmt.Sprintf("%s claim to be the writer beside %s (term %d)", strings.Join(stale, ", "), v.writer.cfg.String(), v.newest)
	}
	if v.writer == nil || former != nil && v.writer == was && !former.answers {
		maxLag = 0 // without a writer every reader falls behind, as far as it can tell
	}
	strayed := strayed(views, v.fenced)
	for _, w := range views {
		reads := w.status.Role == engine.Reader || w.status.Role == engine.Writer && w.status.MultiWriter
		if !w.answers || !w.checked || !reads || w.status.Unusable != "" || w.member == v.writer || slices.Contains(strayed, w.member) {
			continue
		}
		if maxLag > 0 && (w.status.Lag < 0 || w.status.Lag > maxLag) {
			continue
		}
		v.readers = append(v.readers, w.member)
	}
	return v
}

// strayed are those that follow a fenced member, or one that does: what they have is not what the writer has, whatever their lag.
func strayed(views []view, fenced []*member) []*member {
	all := slices.Clone(fenced)
	for found := len(fenced) > 0; found; {
		found = false
		for _, w := range views {
			if w.status.Role != engine.Reader || w.status.Source == "" || slices.Contains(all, w.member) {
				continue
			}
			source := slices.IndexFunc(views, func(o view) bool { return slices.Contains(o.at, w.status.Source) })
			if source >= 0 && slices.Contains(all, views[source].member) {
				all = append(all, w.member)
				found = true
			}
		}
	}
	return all
}

// stays reports whether a member that has been the writer is it still, without saying so: it does not answer, and its last answer
// was no other.
func (w *view) stays() bool {
	return !w.checked || !w.answers && w.status.Role == engine.Writer && w.status.Unusable == ""
}

// newer reports whether a's claim to be the writer is better than b's.
func newer(a, b view, was *member) bool {
	if a.status.Term != b.status.Term {
		return a.status.Term > b.status.Term
	}
	if (a.member == was) != (b.member == was) {
		return a.member == was
	}
	p, q := a.status.Position, b.status.Position
	return p != nil && q != nil && p.Covers(q) && !q.Covers(p)
}

// givenUp is how many looks in a row may fail before a member counts as gone, unless it refuses connections.
const givenUp = 2

// observe takes over what a look at a member has found that began then.
func (t *target) observe(m *member, began time.Time, st engine.Status, err error) {
	now := time.Now()
	var refused *engine.AnswerError
	before := t.lacksWriter()
	t.mu.Lock()
	var stranger string
	if err == nil && t.strangerLocked(m, st.System) {
		st.Unusable = errStranger
		if m.status.Unusable != st.Unusable {
			stranger = m.cfg.String()
		}
	}
	if m.blind = nil; errors.As(err, &refused) {
		m.blind = err
	}
	if err == nil {
		m.status, m.failures, m.answeredAt = st, 0, now
		if m == t.writer && st.Role == engine.Writer && !t.wanted.IsZero() && began.After(t.wanted) {
			t.floor, t.wanted = st.Position, time.Time{}
		}
		t.sampleLocked(m, began)
	} else {
		m.failures++
	}
	t.mu.Unlock()
	if err == nil {
		m.learn(st.Capacity)
		if st.Unusable == errStranger {
			st.Peers = nil // of another database system than ours, too
		}
		t.discover(m, st.Peers)
	}
	m.report(err)
	if stranger != "" {
		t.px.log.Error("a member that was discovered is of another database system: no session goes there", slog.String("member", stranger))
	}
	t.decide()
	t.settle()
	if !before && t.lacksWriter() {
		// One of the others may be the writer soon, and the next look at it may be far.
		for _, other := range t.all() {
			if other != m {
				other.look()
			}
		}
	}
}

// errStranger is why a member is not used that strangerLocked has found.
const errStranger = "it is of another database system than the members that are declared"

// strangerLocked reports whether a member that has been discovered, of that database system, is of another one than those that are
// declared: whoever names it has a wrong address of it, or only half of one (PostgreSQL's primaries know no ports). It may well say
// that it is a writer, with a newer term than ours. t.mu is held.
func (t *target) strangerLocked(m *member, system string) bool {
	if m.declared || system == "" {
		return false
	}
	known := false
	for _, o := range t.order {
		if o.declared && o.status.System != "" {
			if o.status.System == system {
				return false
			}
			known = true
		}
	}
	return known
}

// lacksWriter reports whether there is no writer, or it does not answer.
func (t *target) lacksWriter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.routes.Load().writer
	return w == nil || w.health != nil
}

// sample is where the writer was at a time, by the loops' clock, or later.
type sample struct {
	at       int64
	position engine.Position
}

// maxSamples is how many of them are kept: a reader that is further behind than they reach serves no session that writes.
const maxSamples = 64

// sampleLocked takes over a member's status of a look that began then: the writer's position, or how far a reader has caught up
// with that.
func (t *target) sampleLocked(m *member, began time.Time) {
	p := m.status.Position
	switch {
	case p == nil:
		m.caughtUp.Store(0)
	case m == t.writer && m.status.Role == engine.Writer:
		if len(t.samples) == maxSamples {
			t.samples = slices.Delete(t.samples, 0, 1)
		}
		t.samples = append(t.samples, sample{evloop.NanosAt(began), p})
	default:
		for i := len(t.samples) - 1; i >= 0; i-- {
			if p.Covers(t.samples[i].position) {
				m.caughtUp.Store(t.samples[i].at)
				break
			}
		}
	}
}

// decide finds out who is what, and has sessions go where that says.
func (t *target) decide() {
	t.deciding.Lock()
	defer t.deciding.Unlock()
	t.mu.Lock()
	cfg := t.cfg
	if t.closed {
		t.mu.Unlock()
		return
	}
	was := t.routes.Load()
	r := &routes{nowhere: t.nowhere, writerReads: cfg.Target.WriterReads, paused: cfg.Paused}
	var v verdict
	promoted := false
	var fenced []*member // that were not before
	if len(t.order) == 0 {
		r.unusable = ErrNoTarget
	}
	if !cfg.Target.IsCluster() {
		if len(t.order) > 0 {
			r.writer = t.order[0]
		}
		t.writer, t.newest = r.writer, 0
	} else {
		views := make([]view, len(t.order))
		for i, m := range t.order {
			// One look may fail that is not the member's fault. A server that is not there at all refuses at once.
			patient := m.failures < givenUp && !unreachable(m.health) && !m.answeredAt.IsZero()
			views[i] = view{member: m, answers: m.health == nil || patient, checked: !m.answeredAt.IsZero(), status: m.status, declared: i, at: m.addressesLocked()}
		}
		v = judge(views, t.writer, t.newest, cfg.Target.MaxReplicaLag)
		v.readers = slices.DeleteFunc(v.readers, func(m *member) bool { return m.owesLocked() || m.sparedLocked() })
		for _, m := range t.order {
			was := m.fenced
			if m.fenced = slices.Contains(v.fenced, m); m.fenced && !was {
				fenced = append(fenced, m)
			}
		}
		r.writer, r.readers, r.hasReaders = v.writer, v.readers, len(t.order) > 1 || t.mayFindLocked()
		if v.writer == nil && len(v.fenced) > 0 {
			r.unusable = fmt.Errorf("%w: %s", engine.ErrNoWriter, v.conflict)
		}
		if v.writer != nil {
			if t.writer != nil && t.writer != v.writer {
				t.failovers++
				promoted = true
				t.samples = nil
				for _, m := range t.order {
					m.caughtUp.Store(0)
				}
			}
			t.writer = v.writer
		}
		t.newest = v.newest
		r.moves = t.movesLocked(was, r, promoted)
	}
	said := t.conflict
	t.conflict = v.conflict
	t.mu.Unlock()

	if v.conflict != "" && v.conflict != said {
		t.px.log.Error("a member that claims to be the writer is fenced: no session goes there", slog.String("members", v.conflict))
	}
	if was.writer != r.writer && cfg.Target.IsCluster() {
		t.px.log.Warn("the writer has changed", slog.String("from", nameOf(was.writer)), slog.String("to", nameOf(r.writer)), slog.Uint64("term", v.newest))
	}
	if !was.equal(r) {
		t.follow(was, r, promoted)
	}
	for _, m := range fenced {
		m.cut(true, func(engine.Key) bool { return true }) // there may be what has been let go on when it was one no more
	}
	if was.writer != r.writer && r.writer != nil {
		select {
		case t.recheck <- struct{}{}:
		default:
		}
	}
}

// mayFindLocked reports whether other members are to be discovered, and nobody has been asked for them yet. t.mu is held.
func (t *target) mayFindLocked() bool {
	finds := t.cfg.Target.Discover || len(t.cfg.Target.Patroni) > 0
	return finds && !slices.ContainsFunc(t.order, func(m *member) bool { return !m.answeredAt.IsZero() })
}

// movesLocked are the readers that sessions of other members may move to. When a member is lost that sessions read at, they may
// have seen there what has not come to the others yet: so it takes a reader that has come as far as the writer is after that. When
// another member has been promoted it is asked anew: what the last writer had, and it alone, is lost, and no reader will have it.
func (t *target) movesLocked(was, r *routes, promoted bool) []*member {
	lost := promoted || slices.ContainsFunc(was.serve(true), func(m *member) bool { return !slices.Contains(r.serve(true), m) })
	asks := r.writer != nil && r.writer.health == nil
	if lost {
		t.floor, t.wanted = nil, time.Now()
		if asks {
			r.writer.look()
		}
	}
	if !t.wanted.IsZero() && !asks { // what is known has to do
		served := was.serve(true)
		for _, m := range append(slices.Clone(t.order), was.readers...) {
			// Where no session has read, which no other member may ever cover.
			if m.fenced || m.status.Unusable == errStranger || m.status.Unusable != "" && !slices.Contains(served, m) {
				continue
			}
			if p := m.status.Position; p != nil && (t.floor == nil || p.Covers(t.floor)) {
				t.floor = p
			}
		}
		t.wanted = time.Time{}
	}
	if !t.wanted.IsZero() {
		return nil
	}
	var moves []*member
	for _, m := range r.readers {
		if p := m.status.Position; t.floor == nil || p == nil || p.Covers(t.floor) {
			moves = append(moves, m)
		}
	}
	return moves
}

func nameOf(m *member) string {
	if m == nil {
		return "none"
	}
	cfg := m.Config()
	return cfg.String()
}

// equal reports whether sessions go where r has them go, too.
func (r *routes) equal(o *routes) bool {
	why := func(r *routes) string {
		if r.unusable != nil {
			return r.unusable.Error()
		}
		return ""
	}
	return r.writer == o.writer && slices.Equal(r.readers, o.readers) && slices.Equal(r.moves, o.moves) && r.hasReaders == o.hasReaders &&
		r.writerReads == o.writerReads && r.paused == o.paused && why(r) == why(o)
}
