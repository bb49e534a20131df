// Package cluster keeps the desired state: small values under keys, changed by transactions, watched by every Forebay of
// a fleet. Store is the interface, modelled on etcd's client API; the packages below it implement it, and storetest
// tests every implementation.
package cluster

import (
	"context"
	"errors"
)

// ErrConflict means that a condition of a transaction does not hold: nothing was changed.
var ErrConflict = errors.New("cluster: somebody else has changed the state")

// ErrCompacted means that the changes to be watched are no longer known: load everything again.
var ErrCompacted = errors.New("cluster: these revisions are no longer kept")

// UnavailableError means that the store does not answer, or takes no changes at the moment. Whether a transaction was done is not
// known.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return e.Err.Error() }
func (e *UnavailableError) Unwrap() error { return e.Err }

// Unavailable tells those who know errors by what they can do.
func (e *UnavailableError) Unavailable() bool { return true }

// Entry is a value under its key.
type Entry struct {
	Key      string
	Value    []byte // not to be changed
	Revision int64  // of the last change of this key
}

// Op sets a key, or removes it when Delete says so. Removing what is not there is no error.
type Op struct {
	Key    string
	Value  []byte
	Delete bool
}

// Txn is done as a whole, or not at all.
type Txn struct {
	// Key must have been changed last at Revision; 0: it must not exist. An empty Key is no condition.
	Key      string
	Revision int64
	Ops      []Op
}

// Batch is what one transaction has changed, or why no more changes come.
type Batch struct {
	Revision int64
	Ops      []Op
	Err      error // the last Batch's; ErrCompacted: load again
}

// Store is the desired state. It is safe for concurrent use. Revisions count the transactions of the whole store.
type Store interface {
	// Load returns all entries whose key begins with prefix, sorted by key, and the revision at which that was so.
	Load(ctx context.Context, prefix string) ([]Entry, int64, error)
	// Commit does txn and returns its revision, or ErrConflict. After another error, such as an *UnavailableError, it is not known
	// whether it was done.
	Commit(ctx context.Context, txn Txn) (int64, error)
	// Watch sends every change of keys that begin with prefix, in order, one Batch for each transaction, beginning after
	// revision after. The channel closes when ctx ends or after a Batch with an error.
	Watch(ctx context.Context, prefix string, after int64) <-chan Batch
	// Close ends all watches and whatever the store has started.
	Close() error
}
