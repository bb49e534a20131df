package engine

import (
	"context"
	"sync"
	"time"
)

// passwordGrace is how long a server may refuse a user that it has let in before, until that counts as more than a rotation
// under way: a password is changed in the database a moment before or after it is in the secret.
const passwordGrace = 15 * time.Second

// Rotation tells a rotation that is under way from credentials that are wrong. It belongs to one user of one target, and is
// safe for concurrent use.
type Rotation struct {
	mu      sync.Mutex
	good    bool                 // guarded by mu; a server has let the user in
	refused map[string]time.Time // guarded by mu; since when members have not any more, by address
	said    string               // guarded by mu; of which versions it was said that the previous one was needed
}

// maxRefusing is of how many members it is known since when they have refused a user: there are not that many.
const maxRefusing = 1024

// SucceededAt says that a member has let the user in.
func (r *Rotation) SucceededAt(member string) {
	r.mu.Lock()
	r.good = true
	delete(r.refused, member)
	r.mu.Unlock()
}

// RefusedAt says that a member refuses every password known. It reports whether that may pass in a moment: what the others do, one of
// which may refuse the user for good, is no matter.
func (r *Rotation) RefusedAt(member string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, ok := r.refused[member]
	if !ok {
		if r.refused == nil || len(r.refused) >= maxRefusing {
			r.refused = make(map[string]time.Time)
		}
		since = time.Now()
		r.refused[member] = since
	}
	return r.good && time.Since(since) < passwordGrace
}

// Say reports whether the log is to have that a secret's previous version was needed: once for each.
func (r *Rotation) Say(versions string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.said != versions
	r.said = versions
	return first
}

// DialEither logs in with a secret's current password or, where the server refuses that and there is a previous one, with
// that one. It reports whether it was the previous one that has let us in.
func DialEither[S any](ctx context.Context, previous bool, refused func(error) bool, dial func(previous bool) (S, error)) (s S, byPrevious bool, err error) {
	s, err = dial(false)
	if !previous || !refused(err) || ctx.Err() != nil {
		return s, false, err
	}
	second, secondErr := dial(true)
	if refused(secondErr) {
		return s, false, err // the refusal of the current one is what matters
	}
	return second, secondErr == nil, secondErr
}
