// Package remote holds a secret that is kept elsewhere, behind a network: it reads it in the background, gives out what it
// has read last, and keeps that while the other side is down. How it is read, it is told.
package remote

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
	DefaultRefresh = 30 * time.Second // Options.Refresh
	readLimit      = 8 * time.Second  // for one read: less than a log-in waits for a secret
	again          = time.Second      // between two reads at least, however often the content is doubted or missing
	doubtLimit     = 3 * time.Second  // how long a Get waits for a read that a doubt has asked for, where there is an answer already
	unused         = time.Hour        // after which a secret that nobody asks for is not read any more
)

// Options say what to hold.
type Options struct {
	Log     *slog.Logger
	Kind    string        // of the other side, such as AWS Secrets Manager
	Where   string        // what of it: an ARN, a path
	Refresh time.Duration // between reads; 0: DefaultRefresh
	// Read reads the secret, within the time that ctx has. The name of what it returns is of no matter. An error that matches
	// secret.ErrNotFound or secret.ErrDenied is an answer: it ends what was known. After any other that stays in use.
	Read func(ctx context.Context) (Answer, error)
	// Observe is told of each read. nil: nobody counts.
	Observe func(err error)
}

// Answer is what a read has found.
type Answer struct {
	Secret secret.Secret
	Next   time.Duration // when a change is due, if that is known and before Options.Refresh; 0: it is not
}

// Store is one secret. It is safe for concurrent use. Close ends it.
type Store struct {
	// Static after New.
	o      Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wake   chan struct{} // has one value when a read is asked for

	mu      sync.Mutex
	keeper  sync.WaitGroup // Add under mu, and not after Close
	running bool           // guarded by mu; the keeper is
	closed  bool           // guarded by mu
	content *secret.Secret // guarded by mu; nil: none
	err     error          // guarded by mu; why there is none
	pending chan struct{}  // guarded by mu; closed when the read that is asked for or under way has ended; nil: neither
	last    time.Time      // guarded by mu; end of the last read; zero: none
	asked   time.Time      // guarded by mu; last Get
	doubted bool           // guarded by mu; the content may be old: wait for pending
	failing bool           // guarded by mu; the last read has failed, and that was said
}

// New returns the store. It reads nothing before the first Get.
func New(o Options) *Store {
	if o.Refresh == 0 {
		o.Refresh = DefaultRefresh
	}
	if o.Observe == nil {
		o.Observe = func(error) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Store{o: o, ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1)}
}

// ErrClosed is what a closed Store answers.
var ErrClosed = errors.New("remote: the store of the secret is closed")

// Get implements secret.Store. It answers from memory, except for the first time, after a failure, and after a doubt.
func (s *Store) Get(ctx context.Context, name string) (secret.Secret, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return secret.Secret{}, fmt.Errorf("secret %s: %w", name, ErrClosed)
	}
	s.asked = time.Now()
	if s.content == nil && (s.last.IsZero() || time.Since(s.last) >= again) {
		s.readLocked()
	}
	s.runLocked()
	pending, doubted := s.pending, s.doubted && !s.failing // a side that is down holds up nobody
	if pending == nil || s.content != nil && !doubted {
		defer s.mu.Unlock()
		return s.answerLocked(name)
	}
	if s.content != nil {
		short, cancel := context.WithTimeout(ctx, doubtLimit)
		defer cancel()
		ctx = short
	}
	s.mu.Unlock()
	select {
	case <-pending:
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return secret.Secret{}, fmt.Errorf("secret %s: %w", name, ErrClosed)
	}
	if s.content == nil && s.err == nil {
		return secret.Secret{}, fmt.Errorf("secret %s: no answer of %s yet: %w", name, s.o.Kind, context.Cause(ctx))
	}
	return s.answerLocked(name)
}

func (s *Store) answerLocked(name string) (secret.Secret, error) {
	if s.content == nil {
		return secret.Secret{}, fmt.Errorf("secret %s: %w", name, s.err)
	}
	out := *s.content
	out.Name = name
	return out, nil
}

// Doubt implements secret.Doubter.
func (s *Store) Doubt(_, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.content == nil || time.Since(s.last) < again {
		return
	}
	if p := s.content.Previous; s.content.Version != version && (p == nil || p.Version != version) {
		return // there is a newer one already
	}
	s.doubted = true
	s.readLocked()
	s.runLocked()
}

// readLocked asks for a read, if none is asked for yet.
func (s *Store) readLocked() {
	if s.pending == nil {
		s.pending = make(chan struct{})
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// runLocked starts the keeper where there is none.
func (s *Store) runLocked() {
	if !s.running && !s.closed {
		s.running = true
		s.readLocked()
		s.keeper.Go(s.keep)
	}
}

// keep reads when asked to, and every once in a while, until the store is closed or nobody has asked for long.
func (s *Store) keep() {
	next := time.NewTimer(s.o.Refresh)
	defer next.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-next.C:
		}
		if s.rest() {
			return
		}
		next.Reset(s.read())
	}
}

// rest ends the keeper where nobody needs it: the next Get starts another, and reads first.
func (s *Store) rest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil || time.Since(s.asked) < unused {
		return false
	}
	s.running, s.content, s.err, s.last = false, nil, nil, time.Time{}
	return true
}

// read reads once, and returns when to do so again.
func (s *Store) read() time.Duration {
	s.mu.Lock()
	s.readLocked() // Doubt and Get wait for this one
	select {
	case <-s.wake:
	default:
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, readLimit)
	answer, err := s.o.Read(ctx)
	cancel()
	if s.ctx.Err() != nil {
		return s.o.Refresh // closed meanwhile
	}
	s.o.Observe(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.doubted = time.Now(), false
	close(s.pending)
	s.pending = nil
	if err != nil {
		s.failedLocked(err)
		return s.pause(0)
	}
	if s.failing {
		s.failing = false
		s.o.Log.Info("a secret can be read again", "secret", s.o.Where, "store", s.o.Kind)
	}
	if s.content != nil && s.content.Versions() != answer.Secret.Versions() {
		s.o.Log.Info("a secret has changed", "secret", s.o.Where, "store", s.o.Kind, "user", answer.Secret.Username)
	}
	s.content, s.err = &answer.Secret, nil
	return s.pause(answer.Next)
}

// failedLocked takes note of a read that has failed. The log says so when it begins.
func (s *Store) failedLocked(err error) {
	final := errors.Is(err, secret.ErrNotFound) || errors.Is(err, secret.ErrDenied)
	if !s.failing || final && s.content != nil {
		text := "a secret cannot be read"
		if s.content != nil && !final {
			text = "a secret cannot be read; what is known of it stays in use"
		}
		s.o.Log.Error(text, "secret", s.o.Where, "store", s.o.Kind, "err", err)
	}
	s.failing = true
	if s.content == nil || final {
		s.content, s.err = nil, err
	}
}

// pause is how long until the next read: due, or the usual time, a little less at random, so that a fleet does not ask in
// step.
func (s *Store) pause(due time.Duration) time.Duration {
	usual := s.o.Refresh - rand.N(s.o.Refresh/10+1)
	if due > 0 && due < usual {
		return max(due, again)
	}
	return usual
}

// Close ends the store, and what it has begun.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.keeper.Wait()
}
