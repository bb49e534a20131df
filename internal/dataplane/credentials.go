package dataplane

import (
	"context"
	"sync"
	"time"

	"forebay/internal/resource"
	"forebay/internal/secret"
)

// credentials knows the database users of one proxy: who they are is in the secrets, which may change at any time.
type credentials struct {
	store secret.Store

	mu     sync.Mutex
	auth   []resource.AuthEntry          // guarded by mu
	byUser map[string]resource.AuthEntry // guarded by mu
	read   time.Time                     // guarded by mu; when byUser was made
}

// rereadAfter is how long an unknown user waits at least for the secrets to be read again.
const rereadAfter = time.Second

func newCredentials(store secret.Store, auth []resource.AuthEntry) *credentials {
	return &credentials{store: store, auth: auth}
}

// apply replaces the entries.
func (c *credentials) apply(auth []resource.AuthEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.auth = auth
	c.byUser = nil
}

// Lookup implements engine.Credentials.
func (c *credentials) Lookup(ctx context.Context, user string) (secret.Secret, resource.AuthEntry, error) {
	for range 2 {
		e, ok := c.entry(ctx, user)
		if !ok {
			return secret.Secret{}, resource.AuthEntry{}, secret.ErrNotFound
		}
		s, err := c.store.Get(ctx, e.Secret)
		if err != nil {
			return secret.Secret{}, e, err
		}
		if s.Username == user {
			return s, e, nil
		}
		c.mu.Lock()
		c.byUser = nil // the secret has another user now
		c.mu.Unlock()
	}
	return secret.Secret{}, resource.AuthEntry{}, secret.ErrNotFound
}

// entry finds the auth entry of a user.
func (c *credentials) entry(ctx context.Context, user string) (resource.AuthEntry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byUser[user]
	if ok || c.byUser != nil && time.Since(c.read) < rereadAfter {
		return e, ok
	}
	c.byUser = make(map[string]resource.AuthEntry)
	c.read = time.Now()
	for _, a := range c.auth {
		if s, err := c.store.Get(ctx, a.Secret); err == nil {
			c.byUser[s.Username] = a
		}
	}
	e, ok = c.byUser[user]
	return e, ok
}

// first returns some user, for asking the target how it is.
func (c *credentials) first(ctx context.Context) (string, error) {
	c.mu.Lock()
	auth := c.auth
	c.mu.Unlock()
	err := error(secret.ErrNotFound)
	for _, a := range auth {
		s, e := c.store.Get(ctx, a.Secret)
		if e == nil {
			return s.Username, nil
		}
		err = e
	}
	return "", err
}
