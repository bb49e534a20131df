package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/secret"
	"forebay/internal/secret/remote"
)

// source is the other side.
type source struct {
	mu       sync.Mutex // of all
	password string
	err      error
	next     time.Duration
	hang     bool
	reads    int
	observed []error
	log      bytes.Buffer
}

func (s *source) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *source) open(t *testing.T, refresh time.Duration) *remote.Store {
	store := remote.New(remote.Options{
		Log: slog.New(slog.NewTextHandler(&s.log, nil)), Kind: "the other side", Where: "there", Refresh: refresh,
		Read: func(ctx context.Context) (remote.Answer, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.reads++
			if s.hang {
				s.mu.Unlock()
				<-ctx.Done()
				s.mu.Lock()
				return remote.Answer{}, ctx.Err()
			}
			return remote.Answer{Secret: secret.Secret{Version: s.password, Username: "app", Password: secret.Password(s.password)}, Next: s.next}, s.err
		},
		Observe: func(err error) { s.set(func() { s.observed = append(s.observed, err) }) },
	})
	t.Cleanup(store.Close)
	return store
}

func expect(t *testing.T, store *remote.Store, want string) {
	t.Helper()
	if s, err := store.Get(t.Context(), "x"); err != nil || s.Password.Reveal() != want || s.Name != "x" {
		t.Fatalf("got %q, %v, want %q", s.Password.Reveal(), err, want)
	}
}

func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{password: "one"}
		store := s.open(t, 0)
		expect(t, store, "one")
		s.set(func() { s.password = "two" })
		expect(t, store, "one") // from memory
		wait(remote.DefaultRefresh)
		expect(t, store, "two")
		if s.reads != 2 || len(s.observed) != 2 || s.observed[1] != nil {
			t.Errorf("%d reads, observed %v", s.reads, s.observed)
		}
		s.set(func() { s.next = 5 * time.Second }) // a change is due
		wait(remote.DefaultRefresh)
		s.set(func() { s.password = "three" })
		wait(5 * time.Second)
		expect(t, store, "three")
	})
}

func TestDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{err: errors.New("no route")}
		store := s.open(t, 0)
		for range 5 { // a storm is one read
			if _, err := store.Get(t.Context(), "x"); err == nil || err.Error() != "secret x: no route" {
				t.Fatal(err)
			}
		}
		if s.reads != 1 {
			t.Errorf("%d reads", s.reads)
		}
		s.set(func() { s.err, s.password = nil, "one" })
		wait(time.Second)
		expect(t, store, "one") // not after 30 s only
		s.set(func() { s.err = errors.New("no route") })
		wait(10 * remote.DefaultRefresh)
		expect(t, store, "one")
		s.set(func() { s.err = fmt.Errorf("%w: by policy", secret.ErrDenied) })
		wait(remote.DefaultRefresh)
		if _, err := store.Get(t.Context(), "x"); !errors.Is(err, secret.ErrDenied) {
			t.Errorf("denied: got %v", err)
		}
		s.set(func() { s.err = nil })
		wait(time.Second)
		expect(t, store, "one")
		for part, n := range map[string]int{"a secret cannot be read": 3, "stays in use": 1, "by policy": 1, "can be read again": 2, `"one"`: 0} {
			if got := strings.Count(s.log.String(), part); got != n {
				t.Errorf("the log has %q %d times, want %d:\n%s", part, got, n, &s.log)
			}
		}
	})
}

func TestDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{password: "one"}
		store := s.open(t, 0)
		expect(t, store, "one")
		wait(2 * time.Second)
		s.set(func() { s.password = "two" })
		store.Doubt("x", "another") // one that has been replaced
		expect(t, store, "one")
		store.Doubt("x", "one")
		expect(t, store, "two")
		s.set(func() { s.password = "three" })
		store.Doubt("x", "two")
		expect(t, store, "two") // looked at within this second
		wait(time.Second)
		store.Doubt("x", "two")
		expect(t, store, "three")
		wait(time.Second)
		s.set(func() { s.hang = true })
		store.Doubt("x", "three")
		begin := time.Now()
		expect(t, store, "three")
		if d := time.Since(begin); d != 3*time.Second {
			t.Errorf("waited %s for a side that hangs", d)
		}
	})
}

func TestHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{hang: true}
		store := s.open(t, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := store.Get(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, err := store.Get(t.Context(), "x"); !errors.Is(err, context.DeadlineExceeded) { // the read's own limit
			t.Errorf("got %v", err)
		}
		wait(time.Second)
		got := make(chan error)
		go func() {
			_, err := store.Get(context.Background(), "x")
			got <- err
		}()
		synctest.Wait()
		store.Close()
		if err := <-got; !errors.Is(err, remote.ErrClosed) {
			t.Errorf("closed: got %v", err)
		}
		if _, err := store.Get(t.Context(), "x"); !errors.Is(err, remote.ErrClosed) {
			t.Errorf("closed: got %v", err)
		}
	})
}

// TestRest: what nobody asks for is not read, and is read before it is given out again.
func TestRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{password: "one"}
		store := s.open(t, 0)
		expect(t, store, "one")
		wait(2 * time.Hour)
		reads := s.reads
		wait(24 * time.Hour)
		if s.reads != reads {
			t.Errorf("%d reads of what nobody asks for", s.reads-reads)
		}
		s.set(func() { s.password = "two" })
		expect(t, store, "two")
	})
}
