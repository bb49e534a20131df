package dataplane

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/engine"
	"forebay/internal/pool"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// secrets is a store whose content the test changes.
type secrets map[string]secret.Secret

func (s secrets) Get(_ context.Context, name string) (secret.Secret, error) {
	v, ok := s[name]
	if !ok {
		return v, secret.ErrNotFound
	}
	return v, nil
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := secrets{"a": {Name: "a", Username: "alice"}, "b": {Name: "b", Username: "bob"}}
		c := newCredentials(store, []resource.AuthEntry{{Secret: "missing"}, {Secret: "a"}, {Secret: "b"}})
		look := func(user, want string) {
			t.Helper()
			s, e, err := c.Lookup(t.Context(), user)
			if want == "" && errors.Is(err, secret.ErrNotFound) {
				return
			}
			if err != nil || s.Name != want || e.Secret != want || s.Username != user {
				t.Errorf("user %s: secret %q, entry %q, %v; want %q", user, s.Name, e.Secret, err, want)
			}
		}
		look("alice", "a")
		look("bob", "b")
		look("carol", "")
		look("", "")

		// A secret that changes hands is followed at once.
		store["b"] = secret.Secret{Name: "b", Username: "carol"}
		look("bob", "")
		time.Sleep(rereadAfter)
		look("carol", "b")
		look("bob", "")

		c.apply([]resource.AuthEntry{{Secret: "b"}}, false)
		look("alice", "")
		look("carol", "b")
		if u, err := c.first(t.Context()); u != "carol" || err != nil {
			t.Errorf("first: %q, %v", u, err)
		}
		// Who writes another one's user into a secret of his own does not become that user.
		store["a"] = secret.Secret{Name: "a", Username: "carol"}
		c.apply([]resource.AuthEntry{{Secret: "b"}, {Secret: "a"}}, false)
		look("carol", "b")
		c.apply(nil, false)
		if _, err := c.first(t.Context()); !errors.Is(err, secret.ErrNotFound) {
			t.Errorf("first without entries: %v, want %v", err, secret.ErrNotFound)
		}
	})
}

// With end-to-end IAM a user with a secret of his own keeps it, and everybody else has the proxy's entry: a secret that cannot
// be read holds up those alone whose it was.
func TestEndToEndCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		store := doubtful{secrets: secrets{"a": {Name: "a", Username: "alice", Password: "x"}}, down: map[string]error{}}
		c := newCredentials(store, nil)
		c.apply([]resource.AuthEntry{{Secret: "a"}}, true)
		c.tokens = someTokens{}
		look := func(user string, want resource.AuthEntry, wantErr error) {
			t.Helper()
			s, e, err := c.Lookup(t.Context(), user)
			if e != want || !errors.Is(err, wantErr) || err == nil && (s.Username != user || e.EndToEnd != (s.Password == "")) {
				t.Errorf("user %s: %+v, entry %+v, %v", user, s, e, err)
			}
			if s, e, ok, err := c.Recent(user); wantErr == nil && (!ok || err != nil || e != want || s.Username != user) {
				t.Errorf("user %s, recently: %+v, %+v, %v, %v", user, s, e, ok, err)
			}
		}
		look("alice", resource.AuthEntry{Secret: "a"}, nil)
		look("bob", resource.EndToEnd, nil)
		store.down["a"] = down
		time.Sleep(rereadAfter)
		look("bob", resource.EndToEnd, nil)
		look("alice", resource.AuthEntry{Secret: "a"}, down)
		delete(store.down, "a")
		delete(store.secrets, "a")
		time.Sleep(rereadAfter)
		look("bob", resource.EndToEnd, nil)
		look("alice", resource.EndToEnd, nil)
		if token, err := c.Token(t.Context(), nil, resource.Member{}, "bob"); token != "token of bob" || err != nil {
			t.Errorf("token %q, %v", token.Reveal(), err)
		}
		c.apply(nil, false)
		look("bob", resource.AuthEntry{}, secret.ErrNotFound)
		if _, err := newCredentials(store, nil).Token(t.Context(), nil, resource.Member{}, "bob"); !errors.Is(err, engine.ErrNoToken) {
			t.Errorf("a token out of nothing: %v", err)
		}
	})
}

// doubtful is a store of which secrets cannot be read at times.
type doubtful struct {
	secrets
	down map[string]error
}

func (d doubtful) Get(ctx context.Context, name string) (secret.Secret, error) {
	if err := d.down[name]; err != nil {
		return secret.Secret{}, err
	}
	return d.secrets.Get(ctx, name)
}

type someTokens struct{ engine.NoServerTokens }

func (someTokens) Token(_ context.Context, _ *resource.Proxy, _ resource.Member, user string) (secret.Password, error) {
	return secret.Password("token of " + user), nil
}

// A rotation that alternates between two users leaves both of them, each with its own password.
func TestAlternatingUsers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := secrets{"s": {
			Name: "s", Version: "2", Username: "app_clone", Password: "two",
			Previous: &secret.Previous{Version: "1", Username: "app", Password: "one"},
		}}
		c := newCredentials(store, []resource.AuthEntry{{Secret: "s"}, {Secret: "other"}})
		look := func(user string, want secret.Password) {
			t.Helper()
			for range 2 { // the second time from memory
				s, _, ok, err := c.Recent(user)
				if !ok {
					s, _, err = c.Lookup(t.Context(), user)
				}
				if err != nil || s.Username != user || s.Password != want || s.Previous != nil {
					t.Errorf("user %s: %+v, %v", user, s, err)
				}
			}
		}
		look("app_clone", "two")
		look("app", "one")

		store["s"] = secret.Secret{
			Name: "s", Version: "3", Username: "app", Password: "three",
			Previous: &secret.Previous{Version: "2", Username: "app_clone", Password: "two"},
		}
		time.Sleep(recentFor)
		look("app", "three")
		look("app_clone", "two")

		// The first entry counts for either user.
		store["other"] = secret.Secret{Name: "other", Version: "1", Username: "app_clone", Password: "own"}
		time.Sleep(rereadAfter)
		c.apply([]resource.AuthEntry{{Secret: "s"}, {Secret: "other"}}, false)
		look("app_clone", "two")
		look("app", "three")
		c.apply([]resource.AuthEntry{{Secret: "other"}, {Secret: "s"}}, false)
		look("app_clone", "own")
		look("app", "three")

		// The overlap ends.
		delete(store, "other")
		store["s"] = secret.Secret{Name: "s", Version: "3", Username: "app", Password: "three"}
		c.apply([]resource.AuthEntry{{Secret: "s"}}, false)
		time.Sleep(recentFor)
		look("app", "three")
		if s, _, err := c.Lookup(t.Context(), "app_clone"); !errors.Is(err, secret.ErrNotFound) {
			t.Errorf("after the overlap: %+v, %v", s, err)
		}
	})
}

// Who may write the secret of a later entry becomes no user of an earlier one by it: not while that cannot be read, and not a user
// that it has had before a rotation.
func TestFirstEntryCounts(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	alternating := secret.Secret{Name: "a", Username: "alice_clone", Previous: &secret.Previous{Username: "alice"}}
	for _, tt := range []struct {
		name    string
		first   secret.Secret
		down    error
		claim   secret.Secret
		user    string
		want    string
		wantErr error
	}{
		{"cannot be read", secret.Secret{Name: "a", Username: "alice"}, down, secret.Secret{Name: "b", Username: "alice"}, "alice", "a", down},
		{"cannot be read, claimed as a former user", secret.Secret{Name: "a", Username: "alice"}, down, secret.Secret{Name: "b", Username: "bob", Previous: &secret.Previous{Username: "alice"}}, "alice", "a", down},
		{"former user, cannot be read", alternating, down, secret.Secret{Name: "b", Username: "alice"}, "alice", "a", down},
		{"former user", alternating, nil, secret.Secret{Name: "b", Username: "alice"}, "alice", "a", nil},
		{"former user, claimed as one", alternating, nil, secret.Secret{Name: "b", Username: "bob", Previous: &secret.Previous{Username: "alice"}}, "alice", "a", nil},
		{"a user of its own", secret.Secret{Name: "a", Username: "alice"}, down, secret.Secret{Name: "b", Username: "bob"}, "bob", "b", nil},
		{"nobody's any more", secret.Secret{Name: "a", Username: "alice"}, secret.ErrNotFound, secret.Secret{Name: "b", Username: "alice"}, "alice", "b", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := doubtful{secrets: secrets{"a": tt.first, "b": {Name: "b", Username: "carol"}}, down: map[string]error{}}
				c := newCredentials(store, []resource.AuthEntry{{Secret: "a"}, {Secret: "b"}})
				if _, _, err := c.Lookup(t.Context(), "alice"); err != nil {
					t.Fatal(err)
				}
				store.down["a"], store.secrets["b"] = tt.down, tt.claim
				for range 3 { // what was known of the first entry is not forgotten while it cannot be read
					time.Sleep(rereadAfter)
					c.apply([]resource.AuthEntry{{Secret: "a"}, {Secret: "b"}}, false)
					s, e, err := c.Lookup(t.Context(), tt.user)
					if e.Secret != tt.want || !errors.Is(err, tt.wantErr) || err == nil && s.Name != tt.want {
						t.Errorf("entry %q, secret %q, %v; want the entry %q, %v", e.Secret, s.Name, err, tt.want, tt.wantErr)
					}
				}
			})
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                                    string
		max, reserved, keep                     int // of the target; of it; for others
		percent, idlePercent, fixed, open, idle int
	}{
		{"all", 100, 3, 0, 100, 50, 0, 97, 48},
		{"some", 100, 3, 7, 50, 10, 0, 45, 9},
		{"fixed below", 100, 0, 0, 100, 50, 20, 20, 20},
		{"fixed above", 100, 0, 0, 50, 50, 80, 50, 50},
		{"never none", 10, 3, 20, 1, 0, 0, 1, 0},
		{"idle not above open", 100, 0, 0, 10, 100, 0, 10, 10},
	} {
		cfg := resource.ConnectionPoolConfig{
			MaxConnectionsPercent: tt.percent, MaxIdleConnectionsPercent: tt.idlePercent, MaxConnections: tt.fixed, ReservedConnections: tt.keep,
		}
		got := limitsOf(cfg, engine.Capacity{MaxConnections: tt.max, Reserved: tt.reserved})
		if want := (pool.Limits{MaxOpen: tt.open, MaxIdle: tt.idle}); got != want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
}

// replacing is a store under whose reader the entries are replaced, once.
type replacing struct {
	secrets
	c *credentials
}

func (r *replacing) Get(ctx context.Context, name string) (secret.Secret, error) {
	if c := r.c; c != nil {
		r.c = nil
		c.apply([]resource.AuthEntry{{Secret: "b"}}, false)
	}
	return r.secrets.Get(ctx, name)
}

// A user whose entry is removed while the secrets are read is not let in for good.
func TestEntriesReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	store := &replacing{secrets: secrets{"a": {Name: "a", Username: "alice"}, "b": {Name: "b", Username: "bob"}}}
	c := newCredentials(store, []resource.AuthEntry{{Secret: "a"}})
	store.c = c
	_, _, _ = c.Lookup(t.Context(), "alice") // may go either way
	if _, _, err := c.Lookup(t.Context(), "alice"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("a user without an entry: %v", err)
	}
	if _, _, ok, err := c.Recent("alice"); ok && err == nil {
		t.Error("a user without an entry is remembered")
	}
	if s, _, err := c.Lookup(t.Context(), "bob"); s.Name != "b" || err != nil {
		t.Errorf("bob: %q, %v", s.Name, err)
	}
}

// hanging is a store in which one secret hangs, whatever the caller says.
type hanging struct {
	secrets
	name  string
	until chan struct{}
	asked atomic.Int64
}

func (h *hanging) Get(ctx context.Context, name string) (secret.Secret, error) {
	if name == h.name {
		h.asked.Add(1)
		<-h.until
	}
	return h.secrets.Get(ctx, name)
}

// A secret that hangs holds up no log-in for longer than its limit, and no other user's at all once that is known.
func TestSecretHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &hanging{
			secrets: secrets{"a": {Name: "a", Username: "alice"}, "b": {Name: "b", Username: "bob"}},
			name:    "a", until: make(chan struct{}),
		}
		c := newCredentials(store, []resource.AuthEntry{{Secret: "a"}, {Secret: "b"}})
		look := func(user string, limit time.Duration) error {
			begun := time.Now() // of a clock that stands still but for waits
			_, _, err := c.Lookup(t.Context(), user)
			if d := time.Since(begun); d > limit {
				t.Errorf("%s: %v took %v", user, err, d)
			}
			return err
		}
		for range 2 {
			if err := look("alice", lookupLimit); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("alice: %v, want %v", err, context.DeadlineExceeded)
			}
			if err := look("bob", 0); err != nil {
				t.Errorf("bob: %v", err)
			}
			time.Sleep(rereadAfter)
		}
		if u, err := c.first(t.Context()); u != "bob" || err != nil {
			t.Errorf("first: %q, %v", u, err)
		}
		if n := store.asked.Load(); n != 1 {
			t.Errorf("asked %d times at once", n)
		}
		close(store.until)
		synctest.Wait()
		time.Sleep(rereadAfter)
		if err := look("alice", 0); err != nil {
			t.Errorf("alice, afterwards: %v", err)
		}
	})
}
