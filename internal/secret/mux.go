package secret

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Mux gives out the secrets of several stores, each secret by its own store. The zero Mux knows none. It is safe for
// concurrent use.
type Mux struct {
	stores atomic.Pointer[map[string]Store]
	limit  atomic.Pointer[time.Duration] // nil: none
}

// LimitPrevious says for how long clients may log in with a previous password (Previous.ClientsUntil), from the moment that
// another took its place.
func (m *Mux) LimitPrevious(to time.Duration) { m.limit.Store(&to) }

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
			got, err := s.Get(ctx, name)
			if limit := m.limit.Load(); err == nil && limit != nil && got.Previous != nil && !got.Previous.Since.IsZero() {
				p := *got.Previous
				p.ClientsUntil = p.Since.Add(*limit)
				got.Previous = &p
			}
			return got, err
		}
	}
	return Secret{}, fmt.Errorf("%w: %s", ErrNotFound, name)
}
