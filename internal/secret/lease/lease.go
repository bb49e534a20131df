// Package lease keeps a database user that a store of secrets makes for Forebay, and that ends with a lease: it renews the
// lease while it can, and has another user made before it ends. Clients go by another secret, which does not change with that.
package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"forebay/internal/secret"
)

// Times of a Store.
const (
	stepLimit   = 20 * time.Second // for what the other side does in one go: to make a user takes it some statements
	againFirst  = time.Second      // after a failure; doubled with each, up to
	againLast   = 30 * time.Second
	unused      = time.Hour   // after which a secret that nobody asks for has its user ended
	young       = time.Minute // a user that is not older may be refused by a replica that does not have it yet
	doubtLast   = time.Hour   // between two users that were made because of a refusal, at most; it begins with young
	lingers     = time.Minute // after a user was replaced until it may be ended before its time: log-ins may be under way
	revokeAgain = time.Minute // between two attempts at that
)

// Errors of a Source that are an answer. Others are no answer, and tried again.
var (
	// ErrNoLease means that a lease is no more, or cannot be renewed: it takes another one.
	ErrNoLease = errors.New("lease: it cannot be renewed")
	// ErrClosed is what a closed Store answers.
	ErrClosed = errors.New("lease: the store of the secret is closed")
)

// Source is where users and leases come from. A Store makes one call at a time.
type Source interface {
	// Session sees to that on which leases hang, such as a token of Forebay's: leases do not outlive it.
	Session(ctx context.Context) (Session, error)
	// Obtain has a user made, in the present session.
	Obtain(ctx context.Context) (Grant, error)
	// Renew asks for a lease to last for that long from now on. The other side may give less.
	Renew(ctx context.Context, id string, life time.Duration) (Grant, error)
	// Revoke ends a lease, and its user.
	Revoke(ctx context.Context, id string) error
	// End ends the session, if it is Forebay's own, with all leases that hang on it.
	End(ctx context.Context) error
}

// Session is what leases hang on.
type Session struct {
	ID   int       // another one when it is another one
	Ends time.Time // zero: never, as far as is known
	Next time.Time // when Session is to be called again; zero: whenever there is something else to do
}

// Grant is what the other side gives.
type Grant struct {
	ID        string
	Username  string          // of Obtain alone
	Password  secret.Password // the same
	Life      time.Duration   // of the lease, from the time when it was asked for
	Renewable bool
}

// Requests that a Watcher is told of.
const (
	Obtain = "obtain"
	Renew  = "renew"
	Revoke = "revoke"
)

// Watcher counts what becomes of leases. It is safe for concurrent use.
type Watcher interface {
	// Asked is told of each request to the other side, one of those above.
	Asked(request string, err error)
	// Stands says how many users there are, and when the one ends that is in use; zero: there is none.
	Stands(leases int, until time.Time)
}

// Options say what to keep. All are required.
type Options struct {
	Log    *slog.Logger
	Where  string // of what leases are, for logs
	Source Source
	// Clients is the secret by which clients log in.
	Clients func(ctx context.Context) (secret.Secret, error)
	// DoubtClients says that a version of that was refused.
	DoubtClients func(version string)
	Watch        Watcher
}

// Store is the secret of clients with a user of its own to log in to the database as. It is safe for concurrent use. Close
// ends it, and then Shutdown the users that it has had made.
type Store struct {
	// Static after New.
	o      Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wake   chan struct{} // has one value when a step is asked for

	mu      sync.Mutex
	keeper  sync.WaitGroup // Add under mu, and not after Close
	running bool           // guarded by mu; the keeper is
	closed  bool           // guarded by mu
	login   *secret.Login  // guarded by mu; nil: none
	err     error          // guarded by mu; why there is none
	pending chan struct{}  // guarded by mu; closed when the step that is asked for or under way has ended; nil: neither
	last    time.Time      // guarded by mu; end of the last step; zero: none
	asked   time.Time      // guarded by mu; last Get
	doubted bool           // guarded by mu; the database refuses the user: it takes another one

	// Owned by the keeper, and once it has ended by Shutdown.
	now       *held
	former    []*held // replaced; they are still there
	renew     time.Time
	failures  int
	said      string // of the failure that goes on, as the log has it; empty: none goes on
	doubtWait time.Duration
	doubtLast time.Time // when a user was made because of a refusal
}

// held is a lease and its user.
type held struct {
	login   *secret.Login
	id      string
	session int
	life    time.Duration // that it was given at first
	ends    time.Time     // by its own terms
	made    time.Time
	renewed bool      // it may be renewed
	tried   time.Time // to revoke it
}

// New returns the store. It asks for nothing before the first Get.
func New(o Options) *Store {
	ctx, cancel := context.WithCancel(context.Background())
	return &Store{o: o, ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1), doubtWait: young}
}

// Get implements secret.Store. It answers from memory while there is a user.
func (s *Store) Get(ctx context.Context, name string) (secret.Secret, error) {
	out, err := s.o.Clients(ctx)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("secret %s: that of its clients: %w", name, err)
	}
	login, err := s.get(ctx)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("secret %s: %w", name, err)
	}
	out.Name, out.Login = name, login
	return out, nil
}

func (s *Store) get(ctx context.Context) (*secret.Login, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	s.asked = time.Now()
	if !s.running {
		s.running = true
		s.stepLocked()
		s.keeper.Go(s.keep)
	}
	if s.goodLocked() {
		return s.login, nil
	}
	if s.pending == nil && (s.last.IsZero() || time.Since(s.last) >= againFirst) {
		s.stepLocked()
	}
	if pending := s.pending; pending != nil {
		s.mu.Unlock()
		select {
		case <-pending:
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		s.mu.Lock()
	}
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.goodLocked():
		return s.login, nil
	case s.err != nil:
		return nil, s.err
	case ctx.Err() != nil:
		return nil, fmt.Errorf("no database user yet: %w", context.Cause(ctx))
	}
	return nil, errors.New("the lease of the database user has ended")
}

// goodLocked reports whether there is a user.
func (s *Store) goodLocked() bool {
	return s.login != nil && time.Now().Before(s.login.Lease.Until())
}

// Doubt implements secret.Doubter. A refusal may be a replica's that does not have the user yet, so that another one is made
// only where it is not young, and ever more rarely if that does not help.
func (s *Store) Doubt(_, version string) {
	s.mu.Lock()
	own := s.login != nil && s.login.Version == version
	if own && !s.closed && time.Since(s.last) >= againFirst {
		s.doubted = true
		s.stepLocked()
	}
	s.mu.Unlock()
	if !own {
		s.o.DoubtClients(version)
	}
}

// stepLocked asks for a step, if none is asked for yet.
func (s *Store) stepLocked() {
	if s.pending == nil {
		s.pending = make(chan struct{})
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// keep does what is due, until the store is closed or nobody has asked for long and no user is left.
func (s *Store) keep() {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-next.C:
		}
		wait, rest := s.step()
		if rest {
			return
		}
		next.Reset(wait)
	}
}

// step does what is due. It returns when to do so again, and whether there is nothing more to do.
func (s *Store) step() (wait time.Duration, rest bool) {
	s.mu.Lock()
	s.stepLocked() // Get waits for this one
	select {
	case <-s.wake:
	default:
	}
	idle := time.Since(s.asked) >= unused
	doubted := s.doubted
	s.doubted = false
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(s.ctx, stepLimit)
	defer cancel()
	var err error
	next := time.Now().Add(unused)
	if idle {
		s.replace(nil)
	} else {
		next, err = s.see(ctx, doubted)
	}
	s.reap(ctx)
	if len(s.former) > 0 {
		next = earlier(next, time.Now().Add(lingers/4))
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil {
		if !idle {
			s.tell(err)
		}
		s.publishLocked(err)
	}
	s.last = time.Now()
	close(s.pending)
	s.pending = nil
	if idle && s.now == nil && len(s.former) == 0 && time.Since(s.asked) >= unused {
		s.running, s.login, s.err, s.last = false, nil, nil, time.Time{}
		return 0, true
	}
	if s.ctx.Err() != nil {
		return 0, true // what has come of it is of no matter
	}
	if err != nil {
		pause := min(againFirst<<min(s.failures-1, 10), againLast)
		return pause - rand.N(pause/4+1), false
	}
	return max(time.Until(next), againFirst), false
}

// see has the user last, or another one made. It returns when to look again.
func (s *Store) see(ctx context.Context, doubted bool) (next time.Time, err error) {
	session, err := s.o.Source.Session(ctx)
	if err != nil {
		return next, err
	}
	now := time.Now()
	if h := s.now; h != nil && h.session == session.ID {
		s.bound(h, session) // what they hang on may last longer by now
	}
	switch h := s.now; {
	case h == nil, !now.Before(h.login.Lease.Until()), h.session != session.ID, doubted && s.believes(now):
		err = s.obtain(ctx, session)
	case !now.Before(s.renew):
		err = s.extend(ctx, session)
	}
	if err != nil {
		return next, err
	}
	return earlier(s.renew, session.Next), nil
}

// believes reports whether a refusal is a reason to have another user made.
func (s *Store) believes(now time.Time) bool {
	if now.Sub(s.now.made) < young || !s.doubtLast.IsZero() && now.Sub(s.doubtLast) < s.doubtWait {
		return false
	}
	if s.doubtLast.IsZero() || now.Sub(s.doubtLast) > 2*s.doubtWait {
		s.doubtWait = young
	} else {
		s.doubtWait = min(2*s.doubtWait, doubtLast)
	}
	s.doubtLast = now
	s.o.Log.Warn("the database refuses a user that was made for Forebay: another one is asked for", "secret", s.o.Where, "user", s.now.login.Username)
	return true
}

// obtain has a user made, in place of the present one.
func (s *Store) obtain(ctx context.Context, session Session) error {
	asked := time.Now()
	g, err := s.o.Source.Obtain(ctx)
	s.o.Watch.Asked(Obtain, err)
	if err != nil {
		return err
	}
	h := &held{
		login: &secret.Login{Version: secret.Version(g.Username, g.Password), Username: g.Username, Password: g.Password, Lease: secret.NewLease(asked, asked.Add(g.Life))},
		id:    g.ID, session: session.ID, life: g.Life, ends: asked.Add(g.Life), made: asked, renewed: g.Renewable,
	}
	s.replace(h)
	s.plan(asked, g.Life)
	s.bound(h, session)
	s.o.Log.Info("a database user has been made for Forebay", "secret", s.o.Where, "user", g.Username, "until", h.login.Lease.Until())
	return nil
}

// extend renews the lease of the present user. Where that does not help for long, as near the longest that the other side
// allows, another user is made.
func (s *Store) extend(ctx context.Context, session Session) error {
	h := s.now
	if !h.renewed {
		return s.obtain(ctx, session)
	}
	asked := time.Now()
	g, err := s.o.Source.Renew(ctx, h.id, h.life)
	s.o.Watch.Asked(Renew, err)
	switch {
	case errors.Is(err, ErrNoLease), errors.Is(err, secret.ErrNotFound), errors.Is(err, secret.ErrDenied):
		s.o.Log.Warn("a lease cannot be renewed: another database user is asked for", "secret", s.o.Where, "user", h.login.Username, "err", err)
		return s.obtain(ctx, session)
	case err != nil:
		return err
	}
	h.ends, h.renewed = asked.Add(g.Life), g.Renewable
	h.login.Lease.Extend(asked, h.ends)
	s.bound(h, session)
	s.plan(asked, g.Life)
	if g.Life < h.life-h.life/10 || !g.Renewable {
		return s.obtain(ctx, session)
	}
	return nil
}

// bound has a lease end with its session, if that is before its own end.
func (s *Store) bound(h *held, session Session) {
	ends := h.ends
	if !session.Ends.IsZero() {
		ends = earlier(ends, session.Ends)
	}
	if !ends.Equal(h.login.Lease.Until()) {
		h.login.Lease.Extend(time.Now(), ends)
	}
}

// plan says when to renew: after two thirds of the lease, a little earlier at random, so that a fleet does not ask in step.
func (s *Store) plan(asked time.Time, life time.Duration) {
	s.renew = asked.Add(life*2/3 - rand.N(life/20+1))
}

// replace takes another user, or none, in place of the present one, which ends when no server connection has it any more.
func (s *Store) replace(by *held) {
	if s.now != nil {
		s.now.login.Lease.Replace(time.Now())
		s.former = append(s.former, s.now)
	}
	s.now = by
}

// reap ends users that nobody needs any more, and forgets those that have ended.
func (s *Store) reap(ctx context.Context) {
	var left []*held
	for _, h := range s.former {
		l, now := h.login.Lease, time.Now()
		switch {
		case !now.Before(l.Until()):
			continue
		case now.Sub(l.Replaced()) < lingers || l.Held() > 0 || now.Sub(h.tried) < revokeAgain:
		default:
			h.tried = now
			err := s.o.Source.Revoke(ctx, h.id)
			s.o.Watch.Asked(Revoke, err)
			if err == nil {
				continue
			}
			s.o.Log.Debug("a database user cannot be ended before its time", "secret", s.o.Where, "user", h.login.Username, "err", err)
		}
		left = append(left, h)
	}
	s.former = left
}

// tell notes a failure, or that there is none. The log says so when it begins, and when it ends.
func (s *Store) tell(err error) {
	if err == nil {
		if s.said != "" {
			s.o.Log.Info("leases can be had again", "secret", s.o.Where)
		}
		s.failures, s.said = 0, ""
		return
	}
	s.failures++
	text := "no database user can be had"
	if s.now != nil && time.Now().Before(s.now.login.Lease.Until()) {
		text = "a lease cannot be renewed or replaced; its database user stays in use until it ends"
	}
	if s.said == text {
		return
	}
	s.said = text
	s.o.Log.Error(text, "secret", s.o.Where, "err", err)
}

// publishLocked hands out what there is.
func (s *Store) publishLocked(err error) {
	s.login, s.err = nil, err
	leases, until := len(s.former), time.Time{}
	if s.now != nil && time.Now().Before(s.now.login.Lease.Until()) {
		l := *s.now.login
		if n := len(s.former); n > 0 {
			l.Previous = s.former[n-1].login
		}
		s.login, s.err = &l, nil
		leases, until = leases+1, l.Lease.Until()
	}
	s.o.Watch.Stands(leases, until)
}

// Close ends the store, and what it has begun. The users that there are stay until Shutdown, or until they end.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.keeper.Wait()
	s.replace(nil)
}

// Shutdown ends the users of a closed store, as far as that can be done while ctx lasts: they end by themselves else. No
// server connection is to be there any more.
func (s *Store) Shutdown(ctx context.Context) {
	var failed error
	for _, h := range s.former {
		if !time.Now().Before(h.login.Lease.Until()) {
			continue
		}
		err := s.o.Source.Revoke(ctx, h.id)
		s.o.Watch.Asked(Revoke, err)
		if err != nil {
			failed = err
		}
	}
	s.former = nil
	if err := s.o.Source.End(ctx); err != nil && failed == nil {
		failed = err
	}
	if failed != nil {
		s.o.Log.Warn("database users that were made for Forebay could not all be ended: they end with their leases", "secret", s.o.Where, "err", failed)
	}
}

// Lives reports, of a closed store, whether it has users that have not ended.
func (s *Store) Lives() bool {
	for _, h := range s.former {
		if time.Now().Before(h.login.Lease.Until()) {
			return true
		}
	}
	return false
}

// earlier is the earlier of two times, of which the second may be zero.
func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
