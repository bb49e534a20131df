package postgres

import (
	"slices"
	"strings"

	"forebay/internal/engine"
	"forebay/internal/wire/pgwire"
)

// A prepared statement that a server connection holds since before a change of its tables fails with "cached plan must not
// change result type". A client that prepared it before the change would get that error from PostgreSQL too, and must:
// it may rely on the old result type. But one that has only just prepared it must not, and would not directly: what is out
// of date then is Forebay's copy. Its requests are sent once more, with the statement prepared anew; nothing of them has
// run, since the failed ones were the first of their transaction.

// maxReplay is the largest run of requests, in bytes, that is kept for sending once more.
const maxReplay = 8 << 10

// stalePlan reports whether the error is of that kind.
func stalePlan(e *pgwire.Error) bool {
	return e.Code == "0A000" && strings.HasPrefix(e.Message, "cached plan must not change result type")
}

// remember keeps the client's bytes of a cycle that has just begun, if it uses a statement that was prepared before.
func (v *server) remember(b []byte, began bool) {
	switch {
	case !began:
		v.replay = v.replay[:0] // it goes on: what is kept would not be all of it
	case v.reused && len(b) <= maxReplay:
		v.replay = append(v.replay[:0], b...)
	default:
		v.replay = v.replay[:0]
	}
	v.reused = false
	v.answered = v.answered && !began
}

// heals begins to send a cycle's requests once more, if that is right after this error.
func (s *session) heals(e *pgwire.Error, o *engine.Output) bool {
	v := s.srv
	if !stalePlan(e) || len(v.replay) == 0 || v.answered || v.tx != pgwire.Idle || v.q.n == 0 || s.skip > 0 {
		return false
	}
	if ref := v.q.at(0).ref; ref == nil || ref.proven || v.q.at(0).kind == expectParse {
		return false
	}
	synced := false
	for i := range v.q.n {
		if v.q.at(i).kind == expectSync {
			synced = i == v.q.n-1
			break
		}
	}
	if !synced || !repeatable(o.Client.Bytes()) {
		return false
	}
	o.Client.Reset()
	v.undo(s)
	v.oldest = s.l.db.generation.Load()
	v.healing = true
	return true
}

// repeatable reports whether b is nothing but answers that come again: to Parse, Close and the first half of Describe.
func repeatable(b []byte) bool {
	for len(b) >= pgwire.HeaderLen {
		size, err := pgwire.Size(b)
		if err != nil || size > len(b) {
			return false
		}
		switch b[0] {
		case pgwire.ParseComplete, pgwire.CloseComplete, pgwire.ParameterDescription:
		default:
			return false
		}
		b = b[size:]
	}
	return len(b) == 0
}

// healed sends the requests once more: the server has come to the end of the failed cycle.
func (s *session) healed(status byte, o *engine.Output) {
	v := s.srv
	v.q.pop()
	v.healing, v.failed = false, false
	v.named, v.namedBefore = 0, 0
	s.transact(status)
	if status != pgwire.Idle {
		o.CloseServer = true // it was said to be the first of its transaction
		return
	}
	again := slices.Clone(v.replay)
	v.replay = v.replay[:0]
	s.again = true
	if s.FromClient(again, o) != len(again) {
		// They were taken whole the first time, so this cannot be; but a client must never be left without an answer.
		o.CloseServer = true
		s.fatal(&pgwire.Error{Code: "08006", Message: "requests could not be sent once more"}, o)
	}
	s.again = false
	v.replay = v.replay[:0] // once only
}
