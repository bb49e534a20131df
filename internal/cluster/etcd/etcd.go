// Package etcd keeps the desired state in etcd: in a member that runs inside this process (Embed), or in a cluster that
// is there already (Dial). Both are used through etcd's client API.
package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"forebay/internal/cluster"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Store implements cluster.Store.
type Store struct {
	client *clientv3.Client
	stop   func() error // what was started beside the client
	end    *fatal       // of an embedded member; nil: it is none

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	watch  sync.WaitGroup
	once   sync.Once
	closed error // what Close returns, once it has run
}

func newStore(client *clientv3.Client, stop func() error) *Store {
	s := &Store{client: client, stop: stop}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// while is a context that ends with ctx, or when an embedded member comes to an end. It is an error where it has already.
func (s *Store) while(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := s.end.failed(); err != nil {
		return ctx, nil, &cluster.UnavailableError{Err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	if s.end == nil {
		return ctx, cancel, nil
	}
	stop := context.AfterFunc(s.end.ctx, cancel)
	return ctx, func() { stop(); cancel() }, nil
}

// call makes a call of etcd. What an embedded member that has come to an end had locked stays so: nobody waits for that.
func call[R any](s *Store, do func() (R, error)) (R, error) {
	if s.end == nil {
		return do()
	}
	type answer struct {
		r   R
		err error
	}
	done := make(chan answer, 1)
	go func() {
		r, err := do()
		done <- answer{r, err}
	}()
	select {
	case a := <-done:
		return a.r, a.err
	case <-s.end.ctx.Done():
		var none R
		return none, s.end.failed()
	}
}

// ours are the refusals of etcd that another attempt gets as well: something is wrong with what was asked, or with the settings.
var ours = []error{
	rpctypes.ErrRequestTooLarge, rpctypes.ErrTooManyOps, rpctypes.ErrDuplicateKey, rpctypes.ErrEmptyKey, rpctypes.ErrPermissionDenied,
	rpctypes.ErrUserEmpty, rpctypes.ErrAuthFailed,
}

// cause is why a call has failed.
func (s *Store) cause(err error) error {
	if end := s.end.failed(); end != nil {
		err = end
	}
	// What is far too large gets gRPC's own refusal, which has no other mark than its text.
	if err == nil || slices.ContainsFunc(ours, func(is error) bool { return errors.Is(err, is) }) || strings.Contains(err.Error(), "message larger than max") {
		return err
	}
	return &cluster.UnavailableError{Err: err}
}

// Load implements cluster.Store. It asks for all entries in one answer: the state is small, and an answer is of one
// revision.
func (s *Store) Load(ctx context.Context, prefix string) ([]cluster.Entry, int64, error) {
	ctx, cancel, err := s.while(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("etcd: load: %w", err)
	}
	defer cancel()
	r, err := call(s, func() (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
	})
	if err != nil {
		return nil, 0, fmt.Errorf("etcd: load: %w", s.cause(err))
	}
	entries := make([]cluster.Entry, len(r.Kvs))
	for i, kv := range r.Kvs {
		entries[i] = cluster.Entry{Key: string(kv.Key), Value: kv.Value, Revision: kv.ModRevision}
	}
	return entries, r.Header.Revision, nil
}

// Commit implements cluster.Store.
func (s *Store) Commit(ctx context.Context, txn cluster.Txn) (int64, error) {
	ctx, cancel, err := s.while(ctx)
	if err != nil {
		return 0, fmt.Errorf("etcd: commit: %w", err)
	}
	defer cancel()
	t := s.client.Txn(ctx)
	if txn.Key != "" {
		t = t.If(clientv3.Compare(clientv3.ModRevision(txn.Key), "=", txn.Revision))
	}
	ops := make([]clientv3.Op, len(txn.Ops))
	for i, op := range txn.Ops {
		if op.Delete {
			ops[i] = clientv3.OpDelete(op.Key)
		} else {
			ops[i] = clientv3.OpPut(op.Key, string(op.Value))
		}
	}
	r, err := call(s, t.Then(ops...).Commit)
	switch {
	case err != nil:
		return 0, fmt.Errorf("etcd: commit: %w", s.cause(err))
	case !r.Succeeded:
		return 0, cluster.ErrConflict
	}
	return r.Header.Revision, nil
}

// Writable is nil if the store takes changes as far as its members tell, else why not: an embedded member that has come to an end, no
// leader, a database that is full (etcd's alarm NOSPACE), no answer. It changes nothing, and blocks no longer than ctx lasts.
func (s *Store) Writable(ctx context.Context) error {
	ctx, cancel, err := s.while(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	members := s.client.Endpoints()
	if len(members) == 0 { // an embedded one
		members = []string{""}
	}
	type told struct {
		answer *clientv3.StatusResponse
		err    error
	}
	all := make(chan told, len(members))
	for _, m := range members { // at once: one that is lost takes all the time there is
		go func() {
			answer, err := s.client.Status(ctx, m)
			all <- told{answer, err}
		}()
	}
	for range members {
		t := <-all
		if err = s.cause(t.err); err != nil {
			continue
		}
		if len(t.answer.Errors) == 0 {
			return nil
		}
		return fmt.Errorf("etcd: %s", strings.Join(t.answer.Errors, ", ")) // alarms are the whole cluster's
	}
	return fmt.Errorf("etcd: status: %w", err)
}

// Watch implements cluster.Store.
func (s *Store) Watch(ctx context.Context, prefix string, after int64) <-chan cluster.Batch {
	out := make(chan cluster.Batch)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	// Without a leader there are no changes to miss; with one lost for long, the watch ends and everything is loaded again.
	w := s.client.Watch(clientv3.WithRequireLeader(ctx), prefix, clientv3.WithPrefix(), clientv3.WithRev(after+1), clientv3.WithFragment())
	s.watch.Go(func() {
		defer close(out)
		defer cancel()
		defer stop()
		forward(ctx, w, out)
	})
	return out
}

// forward sends one Batch for each transaction. etcd may send several transactions in one answer, or one in several
// answers (fragments): what has one revision belongs together.
func forward(ctx context.Context, w clientv3.WatchChan, out chan<- cluster.Batch) {
	send := func(b cluster.Batch) bool {
		select {
		case out <- b:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for r := range w {
		if err := r.Err(); err != nil {
			if errors.Is(err, rpctypes.ErrCompacted) || r.CompactRevision != 0 {
				err = cluster.ErrCompacted
			}
			send(cluster.Batch{Err: err})
			return
		}
		var b cluster.Batch
		for _, e := range r.Events {
			if e.Kv.ModRevision != b.Revision && b.Ops != nil {
				if !send(b) {
					return
				}
				b = cluster.Batch{}
			}
			b.Revision = e.Kv.ModRevision
			b.Ops = append(b.Ops, cluster.Op{Key: string(e.Kv.Key), Value: bytes.Clone(e.Kv.Value), Delete: e.Type == mvccpb.Event_DELETE})
		}
		if b.Ops != nil && !send(b) {
			return
		}
	}
}

// Close implements cluster.Store. A second call does nothing.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.cancel()
		err, _ := call(s, func() (error, error) {
			s.watch.Wait()
			return s.client.Close(), nil
		})
		if !errors.Is(err, context.Canceled) {
			s.closed = err
		}
		if s.stop != nil {
			s.closed = errors.Join(s.closed, s.stop())
		}
	})
	return s.closed
}
