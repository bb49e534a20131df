package session

import "time"

const (
	tickFast = 50 * time.Millisecond // while somebody waits
	tickSlow = 2 * time.Second
)

// idleChecks bounds the sessions looked at in one tick.
const idleChecks = 4096

// TickSessions closes clients that have been idle, or connected, for too long, now, and server connections that owe an answer to what
// their sessions have asked them before they give them back: sooner or later nobody may be there to wait for it. Sessions are in a list by when they were
// last looked at; one that was active since goes to its end, so that activity itself costs nothing.
func (w *Worker) TickSessions(now int64) {
	for range idleChecks {
		s := w.oldest
		if s == nil || now-s.checked < int64(tickSlow) {
			return
		}
		w.unlink(s)
		s.checked = now
		w.link(s)
		s.checkAge(now)
	}
}

func (w *Worker) link(s *Session) {
	s.prev, s.next = w.newest, nil
	if w.newest != nil {
		w.newest.next = s
	} else {
		w.oldest = s
	}
	w.newest = s
}

func (w *Worker) unlink(s *Session) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		w.oldest = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		w.newest = s.prev
	}
	s.prev, s.next = nil, nil
}
