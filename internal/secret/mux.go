package secret

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Mux gives out the secrets of several stores, each secret by its own store. The zero Mux knows none. It is safe for
// concurrent use.
type Mux struct {
	stores atomic.Pointer[map[string]Store]
}

// Swap replaces what the Mux knows by stores, from the name of a secret to its store, and returns what it knew before.
// The caller no longer changes either map.
func (m *Mux) Swap(stores map[string]Store) map[string]Store {
	if old := m.stores.Swap(&stores); old != nil {
		return *old
	}
	return nil
}

// Get implements Store.
func (m *Mux) Get(ctx context.Context, name string) (Secret, error) {
	if stores := m.stores.Load(); stores != nil {
		if s, ok := (*stores)[name]; ok {
			return s.Get(ctx, name)
		}
	}
	return Secret{}, fmt.Errorf("%w: %s", ErrNotFound, name)
}
