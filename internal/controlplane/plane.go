package controlplane

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"forebay/internal/cluster"
)

// Plane holds the newest State. It is safe for concurrent use.
type Plane struct {
	// Static after Open.
	store cluster.Store
	log   *slog.Logger
	stop  context.CancelFunc
	done  chan struct{}

	state atomic.Pointer[State]

	mu      sync.Mutex
	head    int64         // guarded by mu; revision of headKey in state
	changed chan struct{} // guarded by mu; closed when state has been replaced
}

// Open loads the state and follows it from then on. Close ends that; the store stays open.
func Open(ctx context.Context, store cluster.Store, log *slog.Logger) (*Plane, error) {
	p := &Plane{store: store, log: log, done: make(chan struct{}), changed: make(chan struct{})}
	if err := p.load(ctx); err != nil {
		return nil, err
	}
	ctx, p.stop = context.WithCancel(context.Background())
	go p.follow(ctx)
	return p, nil
}

// ErrUnfinished means that a part of a backup is there, and not the rest.
var ErrUnfinished = errors.New("controlplane: a restore has not come to its end: clear the store and restore again")

// ErrCleared means that the store, which had a state, has none any more. What was known stays in force: no proxy ends because somebody
// has removed too much.
var ErrCleared = errors.New("controlplane: the store has been emptied: restore a backup into it, or start Forebay again for another account")

// Backup takes a backup of everything, which the function that it returns writes.
func (p *Plane) Backup(ctx context.Context) (func(io.Writer) error, error) {
	return cluster.BackupWriter(ctx, p.store, Prefix)
}

// Close stops following the store.
func (p *Plane) Close() {
	p.stop()
	<-p.done
}

// State is the newest state known here.
func (p *Plane) State() *State { return p.state.Load() }

// Changed returns a channel that closes when there is a newer state than State returns now: ask for it first.
func (p *Plane) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// Update changes the state by what fn puts and deletes. An error of fn is returned as it is, and nothing has changed. fn
// may run several times, so it has no other effect than on tx, and draws no conclusion before Update has returned. The
// State that is returned has the change.
func (p *Plane) Update(ctx context.Context, fn func(tx *Tx) error) (*State, error) {
	for {
		p.mu.Lock()
		state, head := p.state.Load(), p.head
		p.mu.Unlock()
		tx := newTx(state)
		if err := fn(tx); err != nil {
			return state, err
		}
		ops, err := tx.ops()
		if err != nil || len(ops) == 0 {
			return state, err
		}
		ops = append(ops, cluster.Op{Key: headKey, Value: []byte(time.Now().UTC().Format(time.RFC3339Nano))})
		rev, err := p.store.Commit(ctx, cluster.Txn{Key: headKey, Revision: head, Ops: ops})
		switch {
		case err == nil:
			return p.at(ctx, rev)
		case !errors.Is(err, cluster.ErrConflict):
			return state, err
		}
		if err := p.newer(ctx, head); err != nil {
			return state, err
		}
	}
}

// at waits until the state is at least of revision rev.
func (p *Plane) at(ctx context.Context, rev int64) (*State, error) {
	for {
		changed := p.Changed()
		if s := p.State(); s.Revision >= rev {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return p.State(), ctx.Err()
		}
	}
}

// newer waits until somebody else's change has come in.
func (p *Plane) newer(ctx context.Context, head int64) error {
	for {
		p.mu.Lock()
		changed, now := p.changed, p.head
		p.mu.Unlock()
		if now != head {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *Plane) load(ctx context.Context) error {
	entries, rev, err := p.store.Load(ctx, Prefix)
	if err != nil {
		return err
	}
	var head int64
	ops := make([]cluster.Op, 0, len(entries))
	for _, e := range entries {
		switch e.Key {
		case headKey:
			head = e.Revision
			continue
		case Prefix + cluster.Unfinished:
			return ErrUnfinished
		}
		ops = append(ops, cluster.Op{Key: e.Key, Value: e.Value})
	}
	s, err := (&State{}).after(rev, ops)
	switch {
	case err != nil:
		return err
	case p.cleared(s):
		return ErrCleared
	}
	p.replace(s, head)
	return nil
}

// cleared reports whether s is no state to go on with after the one that is known.
func (p *Plane) cleared(s *State) bool {
	known := p.state.Load()
	return known != nil && known.Account() != nil && s.Account() == nil
}

func (p *Plane) headNow() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.head
}

func (p *Plane) replace(s *State, head int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.head = head
	p.state.Store(s)
	close(p.changed)
	p.changed = make(chan struct{})
}

// follow keeps the state up to date until ctx ends. Where changes were missed, everything is loaded again.
func (p *Plane) follow(ctx context.Context) {
	defer close(p.done)
	for ctx.Err() == nil {
		err := p.watch(ctx)
		if ctx.Err() != nil {
			return
		}
		p.log.Warn("the control plane's state is loaded again", "err", err)
		said := ""
		for ctx.Err() == nil {
			if err := p.load(ctx); err == nil {
				break
			} else if ctx.Err() == nil && err.Error() != said {
				said = err.Error()
				p.log.Error("the control plane's state cannot be loaded: what was known stays in force", "err", err)
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
}

func (p *Plane) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for batch := range p.store.Watch(ctx, Prefix, p.State().Revision) {
		if batch.Err != nil {
			return batch.Err
		}
		s, err := p.State().after(batch.Revision, batch.Ops)
		switch {
		case err != nil:
			return err
		case p.cleared(s):
			return ErrCleared
		}
		head := p.headNow()
		// Every transaction of a Plane changes the head; what restores a backup does so once.
		if i := slices.IndexFunc(batch.Ops, func(op cluster.Op) bool { return op.Key == headKey }); i >= 0 {
			if head = batch.Revision; batch.Ops[i].Delete {
				head = 0
			}
		}
		p.replace(s, head)
	}
	return errors.New("the watch has ended")
}
