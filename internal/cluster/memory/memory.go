// Package memory keeps the desired state in this process alone: for tests, and for a Forebay that declares everything in
// its configuration file.
package memory

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"forebay/internal/cluster"
)

// Store implements cluster.Store.
type Store struct {
	mu      sync.Mutex
	rev     int64
	entries map[string]cluster.Entry
	log     []cluster.Batch // every transaction
	changed chan struct{}   // closed by each transaction and by Close
	closed  bool
}

// New returns an empty store.
func New() *Store {
	return &Store{entries: map[string]cluster.Entry{}, changed: make(chan struct{})}
}

// Load implements cluster.Store.
func (s *Store) Load(_ context.Context, prefix string) ([]cluster.Entry, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []cluster.Entry
	for _, key := range slices.Sorted(maps.Keys(s.entries)) {
		if strings.HasPrefix(key, prefix) {
			found = append(found, s.entries[key])
		}
	}
	return found, s.rev, nil
}

// Commit implements cluster.Store.
func (s *Store) Commit(_ context.Context, txn cluster.Txn) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if txn.Key != "" && s.entries[txn.Key].Revision != txn.Revision {
		return 0, cluster.ErrConflict
	}
	s.rev++
	for _, op := range txn.Ops {
		if op.Delete {
			delete(s.entries, op.Key)
		} else {
			s.entries[op.Key] = cluster.Entry{Key: op.Key, Value: slices.Clone(op.Value), Revision: s.rev}
		}
	}
	s.log = append(s.log, cluster.Batch{Revision: s.rev, Ops: slices.Clone(txn.Ops)})
	s.wake()
	return s.rev, nil
}

func (s *Store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Watch implements cluster.Store.
func (s *Store) Watch(ctx context.Context, prefix string, after int64) <-chan cluster.Batch {
	out := make(chan cluster.Batch)
	go func() {
		defer close(out)
		for next := after; ; {
			s.mu.Lock()
			batches, changed, closed := s.log[min(next, s.rev):], s.changed, s.closed
			s.mu.Unlock()
			for _, b := range batches {
				next = b.Revision
				if b.Ops = within(b.Ops, prefix); len(b.Ops) == 0 {
					continue
				}
				select {
				case out <- b:
				case <-ctx.Done():
					return
				}
			}
			if closed {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func within(ops []cluster.Op, prefix string) []cluster.Op {
	var found []cluster.Op
	for _, op := range ops {
		if strings.HasPrefix(op.Key, prefix) {
			found = append(found, op)
		}
	}
	return found
}

// Close implements cluster.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wake()
	return nil
}
