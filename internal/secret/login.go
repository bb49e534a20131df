package secret

import (
	"sync/atomic"
	"time"
)

// Login is how Forebay logs in to the database for the clients of a secret, where that is not as they log in to Forebay: as
// a user that was made for it, and ends with a lease. It is never changed, only replaced.
type Login struct {
	Version  string // changes whenever user or password do
	Username string
	Password Password
	Lease    *Lease // nil: it has no end
	// Previous is what was used before, while it is still good; nil: none. It is tried where a database refuses this one,
	// such as a replica that does not have the new user yet. Its own Previous is nil.
	Previous *Login
}

// AtServer is how to log in to the database in the name of s: its Login or, where it has none, the secret itself. Previous is
// set for the same user alone, as passwords of one rotation are.
func (s Secret) AtServer() Login {
	if s.Login != nil {
		return *s.Login
	}
	l := Login{Version: s.Version, Username: s.Username, Password: s.Password}
	if p := s.Previous; p != nil {
		l.Previous = &Login{Version: p.Version, Username: p.Username, Password: p.Password}
	}
	return l
}

// Lease says for how long a database user exists. Server connections that were logged in as that user hold it. It is safe
// for concurrent use.
type Lease struct {
	terms atomic.Pointer[terms] // replaced, never changed
	held  atomic.Int64
}

type terms struct {
	until    time.Time
	margin   time.Duration // before until, to end what is there
	replaced time.Time     // zero: it is the one in use
}

// Times of a Lease.
const (
	maxMargin = 10 * time.Second // between the last use of a server connection and the end of its user
	spread    = time.Minute      // over which idle server connections are closed whose user has been replaced
)

// NewLease returns a lease from now until then.
func NewLease(now, until time.Time) *Lease {
	l := &Lease{}
	l.terms.Store(&terms{})
	l.Extend(now, until)
	return l
}

// Extend says that the lease, asked for at a time, ends at another: later than before, or earlier.
func (l *Lease) Extend(now, until time.Time) {
	l.change(func(t *terms) {
		t.until = until
		t.margin = max(min(until.Sub(now)/10, maxMargin), 0)
	})
}

// Replace says that there is another user to log in as.
func (l *Lease) Replace(now time.Time) {
	l.change(func(t *terms) {
		if t.replaced.IsZero() {
			t.replaced = now
		}
	})
}

func (l *Lease) change(f func(*terms)) {
	for {
		old := l.terms.Load()
		t := *old
		f(&t)
		if l.terms.CompareAndSwap(old, &t) {
			return
		}
	}
}

// Until is when the database user ends.
func (l *Lease) Until() time.Time { return l.terms.Load().until }

// Replaced is since when there is another user to log in as; zero: there is none.
func (l *Lease) Replaced() time.Time { return l.terms.Load().replaced }

// Retires is when a server connection is no longer lent. share, from 0 to 1, tells those apart that were opened together: a
// user that is replaced does not have them all opened anew at once.
func (l *Lease) Retires(share float64) time.Time {
	t := l.terms.Load()
	last := t.until.Add(-t.margin)
	if t.replaced.IsZero() {
		return last
	}
	over := max(min(last.Sub(t.replaced)/2, spread), 0)
	return t.replaced.Add(time.Duration(share * float64(over)))
}

// Ends is when a server connection is closed whatever it is in the middle of: shortly before its user ends.
func (l *Lease) Ends() time.Time {
	t := l.terms.Load()
	return t.until.Add(-t.margin / 2)
}

// Hold says that one more server connection is logged in as the user, Release that one has ended.
func (l *Lease) Hold() { l.held.Add(1) }

// Release undoes a Hold.
func (l *Lease) Release() { l.held.Add(-1) }

// Held is how many server connections are logged in as the user.
func (l *Lease) Held() int { return int(l.held.Load()) }
