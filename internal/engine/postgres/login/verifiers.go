package login

import (
	"context"
	"sync"
	"sync/atomic"

	"forebay/internal/resource"
	"forebay/internal/secret"
)

// Verifiers derives verifiers from a secret store and keeps the newest of each secret: a storm of clients derives once,
// and a new version of a secret replaces the old verifier. It is safe for concurrent use.
type Verifiers struct {
	store secret.Store

	mu      sync.Mutex
	entries map[verifierKey]*verifierEntry // guarded by mu
}

type verifierKey struct {
	name     string
	user     string // a rotation may alternate between two
	authType resource.ClientPasswordAuthType
}

// maxVerifiers bounds what is kept: when it is reached, all is derived anew. A store may invent users as it goes.
const maxVerifiers = 4096

type verifierEntry struct {
	versions string
	derive   func() (*Verifier, error) // sync.OnceValues: the first caller derives, the others wait
	derived  atomic.Pointer[Verifier]  // what derive has given
}

// NewVerifiers returns an empty cache in front of store.
func NewVerifiers(store secret.Store) *Verifiers {
	return &Verifiers{store: store, entries: make(map[verifierKey]*verifierEntry)}
}

// Get returns the verifier of the current version of a secret. Only the first call for a version derives; call Get when
// the configuration is applied, so that no client waits and none can tell a known user by its first, slower login.
// The error is the store's.
func (vs *Verifiers) Get(
	ctx context.Context, name string, authType resource.ClientPasswordAuthType,
) (*Verifier, error) {
	s, err := vs.store.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return vs.entry(s, authType).derive()
}

// Of returns the verifier of a version of a secret that the caller has already.
func (vs *Verifiers) Of(s secret.Secret, authType resource.ClientPasswordAuthType) (*Verifier, error) {
	return vs.entry(s, authType).derive()
}

// Derived is Of where that costs nothing; nil where the verifier is still to be derived.
func (vs *Verifiers) Derived(s secret.Secret, authType resource.ClientPasswordAuthType) *Verifier {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if e := vs.entries[verifierKey{s.Name, s.Username, authType}]; e != nil && e.versions == s.Versions() {
		return e.derived.Load()
	}
	return nil
}

func (vs *Verifiers) entry(s secret.Secret, authType resource.ClientPasswordAuthType) *verifierEntry {
	key := verifierKey{s.Name, s.Username, authType}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if e := vs.entries[key]; e != nil && e.versions == s.Versions() {
		return e
	}
	if len(vs.entries) >= maxVerifiers {
		clear(vs.entries)
	}
	e := &verifierEntry{versions: s.Versions()}
	e.derive = sync.OnceValues(func() (*Verifier, error) {
		v, err := NewVerifierOf(s, authType)
		if err == nil {
			e.derived.Store(v)
		}
		return v, err
	})
	vs.entries[key] = e
	return e
}

// Retain forgets every secret for which keep returns false: those that no proxy names any more.
func (vs *Verifiers) Retain(keep func(secretName string) bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for key := range vs.entries {
		if !keep(key.name) {
			delete(vs.entries, key)
		}
	}
}
