package dataplane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// credentials knows the database users of one proxy: who they are is in the secrets, which may change at any time.
type credentials struct {
	store  secret.Store
	tokens engine.ServerTokens // for the users of resource.EndToEnd

	reading chan struct{} // has one value while the secrets are read; taken before mu

	mu     sync.Mutex
	auth   []resource.AuthEntry          // guarded by mu
	rest   bool                          // guarded by mu; resource.EndToEnd is for everybody else
	gen    int                           // guarded by mu; counts changes of auth
	byUser map[string]resource.AuthEntry // guarded by mu; replaced, never changed
	whose  map[string][]string           // guarded by mu; the users of each secret, when it could last be read; replaced, never changed
	read   time.Time                     // guarded by mu; when byUser was made
	failed error                         // guarded by mu; why byUser may be incomplete
	recent map[string]found              // guarded by mu; what Lookup has found of late, by user
	asked  map[string]*answer            // guarded by mu; what the store is being asked now, by secret
	wrong  map[string]time.Time          // guarded by mu; when a client's wrong password last was a reason to doubt, by secret
}

// answer is one of the store's.
type answer struct {
	there  chan struct{} // closed when the rest is
	secret secret.Secret
	err    error
}

// lookupLimit is how long a look for a user may take.
const lookupLimit = 10 * time.Second

// found is an answer of Lookup.
type found struct {
	secret secret.Secret
	entry  resource.AuthEntry
	at     time.Time
}

// recentFor is how long an answer of Lookup may be given again without looking: long enough for a storm of clients, and no
// longer than the change of a secret takes.
const recentFor = 100 * time.Millisecond

// rereadAfter is how long an unknown user waits at least for the secrets to be read again.
const rereadAfter = time.Second

func newCredentials(store secret.Store, auth []resource.AuthEntry) *credentials {
	return &credentials{store: store, tokens: engine.NoServerTokens{}, auth: auth, recent: make(map[string]found), reading: make(chan struct{}, 1), asked: make(map[string]*answer), wrong: make(map[string]time.Time)}
}

// apply replaces the entries. endToEnd says that whoever has none logs in by tokens alone.
func (c *credentials) apply(auth []resource.AuthEntry, endToEnd bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.auth, c.rest = auth, endToEnd
	c.gen++
	c.byUser = nil
	clear(c.recent)
	clear(c.wrong)
}

// Doubt implements secret.Doubter: the target has refused a secret.
func (c *credentials) Doubt(name, version string) {
	secret.Doubt(c.store, secret.Secret{Name: name, Version: version})
}

// wrongEvery is how often a secret is doubted at most because of its clients: anybody can send a wrong password.
const wrongEvery = 5 * time.Second

// wrongPassword says that a client did not prove that it knows the password of user. It may know a newer one.
func (c *credentials) wrongPassword(user string) {
	c.mu.Lock()
	f, ok := c.recent[user]
	if ok = ok && time.Since(c.wrong[f.secret.Name]) >= wrongEvery; ok {
		c.wrong[f.secret.Name] = time.Now()
	}
	c.mu.Unlock()
	if ok {
		secret.Doubt(c.store, f.secret)
	}
}

// Recent implements engine.Credentials.
func (c *credentials) Recent(user string) (s secret.Secret, e resource.AuthEntry, ok bool, err error) {
	c.mu.Lock()
	f, ok := c.recent[user]
	c.mu.Unlock()
	if ok && time.Since(f.at) < recentFor {
		return f.secret, f.entry, true, nil
	}
	// An unknown user is told so as quickly as a known one.
	of, err, known := c.known(user)
	if known && of.EndToEnd {
		return secret.Secret{Username: user}, of, true, nil
	}
	return s, e, known && err != nil, err
}

// Token implements engine.Credentials.
func (c *credentials) Token(ctx context.Context, p *resource.Proxy, m resource.Member, user string) (secret.Password, error) {
	return c.tokens.Token(ctx, p, m, user)
}

// Lookup implements engine.Credentials.
func (c *credentials) Lookup(ctx context.Context, user string) (secret.Secret, resource.AuthEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	for range 2 {
		e, err := c.entry(ctx, user)
		if err != nil {
			return secret.Secret{}, resource.AuthEntry{}, &CredentialsError{err}
		}
		if e.EndToEnd {
			return secret.Secret{Username: user}, e, nil
		}
		s, err := c.ask(ctx, e.Secret).wait(ctx)
		if err != nil {
			return secret.Secret{}, e, &CredentialsError{err}
		}
		own, ok := s.For(user)
		c.mu.Lock()
		if ok {
			if now, ok := c.byUser[user]; ok && now == e { // the entries may have been replaced meanwhile
				c.recent[user] = found{secret: own, entry: e, at: time.Now()}
			}
			c.mu.Unlock()
			return own, e, nil
		}
		c.byUser = nil // the secret has other users now
		delete(c.recent, user)
		c.mu.Unlock()
	}
	return secret.Secret{}, resource.AuthEntry{}, secret.ErrNotFound
}

// ask asks the store: one goroutine at a time for each secret, whose answer all take that ask meanwhile. Nobody but those
// waits for it: a store may hang, such as a file on a network, and what hangs in a system call cannot be ended.
func (c *credentials) ask(ctx context.Context, name string) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.asked[name]; a != nil {
		return a
	}
	a := &answer{there: make(chan struct{})}
	c.asked[name] = a
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupLimit)
	go func() {
		defer cancel()
		a.secret, a.err = c.store.Get(ctx, name)
		c.mu.Lock()
		delete(c.asked, name)
		c.mu.Unlock()
		close(a.there)
	}()
	return a
}

// askAll asks for the secrets of all entries at once, so that one that hangs hides no other.
func (c *credentials) askAll(ctx context.Context, auth []resource.AuthEntry) []*answer {
	all := make([]*answer, len(auth))
	for i, a := range auth {
		all[i] = c.ask(ctx, a.Secret)
	}
	return all
}

// wait returns the answer, or an error when ctx has ended before.
func (a *answer) wait(ctx context.Context) (secret.Secret, error) {
	select {
	case <-a.there:
		return a.secret, a.err
	default:
	}
	select {
	case <-a.there:
		return a.secret, a.err
	case <-ctx.Done():
		return secret.Secret{}, fmt.Errorf("secret: no answer: %w", ctx.Err())
	}
}

// entry finds the auth entry of a user. An unknown one has the secrets read again, at most once in a while; if one of
// them cannot be read, that is the error, since it may be the user's. Behind a proxy that has an entry for everybody, a
// secret that cannot be read holds up those alone whose it was: it says nothing against anybody else.
func (c *credentials) entry(ctx context.Context, user string) (resource.AuthEntry, error) {
	if e, err, known := c.known(user); known {
		return e, err
	}
	select {
	case c.reading <- struct{}{}:
		defer func() { <-c.reading }()
	case <-ctx.Done():
		return resource.AuthEntry{}, fmt.Errorf("secrets: no answer: %w", ctx.Err())
	}
	if e, err, known := c.known(user); known {
		return e, err // somebody else has read them meanwhile
	}
	// What comes of it is for others, too: they are not to suffer if this one leaves.
	all, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupLimit)
	defer cancel()
	for {
		c.mu.Lock()
		auth, gen, before := c.auth, c.gen, c.whose
		c.mu.Unlock()
		byUser := make(map[string]resource.AuthEntry)
		whose := make(map[string][]string)
		var failed error
		answers := c.askAll(all, auth)
		for i, a := range auth {
			s, err := answers[i].wait(all)
			users := []string{s.Username}
			switch {
			case errors.Is(err, secret.ErrNotFound):
				failed, users = err, nil
			case err != nil:
				failed, users = err, before[a.Secret]
			case s.Previous != nil && s.Previous.Username != s.Username: // a rotation that alternates between two users
				users = append(users, s.Previous.Username)
			}
			// Of two entries with one user the first counts, also while its secret cannot be read, and for the user of before a
			// rotation: who may write another entry's secret must not become that user by it.
			for _, user := range users {
				if _, has := byUser[user]; !has {
					byUser[user] = a
				}
			}
			if len(users) > 0 {
				whose[a.Secret] = users
			}
		}
		c.mu.Lock()
		replaced := c.gen != gen // meanwhile: what was read is of entries that are no more
		if !replaced {
			c.byUser, c.whose, c.failed, c.read = byUser, whose, failed, time.Now()
		}
		c.mu.Unlock()
		if !replaced {
			e, err, _ := c.known(user)
			return e, err
		}
	}
}

// known looks a user up among the secrets as last read. known is false when they have to be read first.
func (c *credentials) known(user string) (e resource.AuthEntry, err error, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byUser[user]
	switch {
	case ok:
		return e, nil, true
	case c.byUser == nil || time.Since(c.read) >= rereadAfter:
		return e, nil, false
	case c.rest:
		return resource.EndToEnd, nil, true
	case c.failed != nil:
		return e, c.failed, true
	}
	return e, secret.ErrNotFound, true
}

// first returns some user, for asking the target how it is.
func (c *credentials) first(ctx context.Context) (string, error) {
	s, err := c.monitor(ctx, "")
	return s.Username, err
}

// monitor returns the secret of the user that asks members how they are: the named one, or the first that can be had.
func (c *credentials) monitor(ctx context.Context, name string) (secret.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	var asked []*answer
	if name != "" {
		asked = append(asked, c.ask(ctx, name))
	} else {
		c.mu.Lock()
		auth := c.auth
		c.mu.Unlock()
		asked = c.askAll(ctx, auth)
	}
	err := error(secret.ErrNotFound)
	for _, a := range asked {
		s, e := a.wait(ctx)
		if e == nil {
			return s, nil
		}
		err = e
	}
	return secret.Secret{}, &CredentialsError{err}
}

// users returns all users whose secrets can be had, in the order of the entries.
func (c *credentials) users(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	c.mu.Lock()
	auth := c.auth
	c.mu.Unlock()
	var all []string
	for _, a := range c.askAll(ctx, auth) {
		if s, err := a.wait(ctx); err == nil {
			all = append(all, s.Username)
		}
	}
	return all
}

// versions says which version of each entry's secret there is, and of what logs its clients in to servers, in the order of
// the entries. Secrets that cannot be had are alike.
func (c *credentials) versions(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	c.mu.Lock()
	auth := c.auth
	c.mu.Unlock()
	all := make([]string, len(auth))
	for i, a := range c.askAll(ctx, auth) {
		if s, err := a.wait(ctx); err == nil {
			all[i] = "version " + s.Version + " " + s.AtServer().Version
		}
	}
	return all
}
