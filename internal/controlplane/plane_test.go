package controlplane_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"forebay/internal/cluster"
	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
)

func open(t *testing.T, store cluster.Store) *controlplane.Plane {
	t.Helper()
	p, err := controlplane.Open(t.Context(), store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func update(t *testing.T, p *controlplane.Plane, fn func(tx *controlplane.Tx) error) *controlplane.State {
	t.Helper()
	s, err := p.Update(t.Context(), fn)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	store := memory.New()
	p := open(t, store)
	before := p.State()
	s := update(t, p, func(tx *controlplane.Tx) error {
		tx.Proxies.Put("prx-2", &controlplane.Proxy{Name: "two"})
		tx.Proxies.Put("prx-1", &controlplane.Proxy{Name: "one"})
		if got := tx.State().Proxies.Get("prx-1"); got == nil || tx.Proxies.Len() != 2 {
			t.Errorf("a transaction does not see what it has put: %v", got)
		}
		return nil
	})
	if before.Proxies.Len() != 0 || s.Proxies.Len() != 2 {
		t.Errorf("%d proxies before, %d after; want 0 and 2", before.Proxies.Len(), s.Proxies.Len())
	}
	broken := errors.New("no")
	if _, err := p.Update(t.Context(), func(tx *controlplane.Tx) error {
		tx.Proxies.Delete("prx-1")
		return broken
	}); !errors.Is(err, broken) || p.State().Proxies.Len() != 2 {
		t.Errorf("a function that fails: got %v, and %d proxies", err, p.State().Proxies.Len())
	}
	update(t, p, func(tx *controlplane.Tx) error {
		tx.Proxies.Delete("prx-1")
		tx.Proxies.Delete("prx-none")
		return nil
	})
	again := open(t, store).State()
	for key, row := range again.Proxies.All() {
		if key != "prx-2" || row.Name != "two" || again.Proxies.Len() != 1 {
			t.Errorf("another plane reads %d proxies, %s: %+v", again.Proxies.Len(), key, row)
		}
	}
}

// TestWriters has two planes on one store change one row at a time: no change is lost, and both end with the same.
func TestWriters(t *testing.T) {
	t.Parallel()
	const times = 50
	store := memory.New()
	planes := []*controlplane.Plane{open(t, store), open(t, store)}
	var wg sync.WaitGroup
	for _, p := range planes {
		for range 2 {
			wg.Go(func() {
				for range times {
					_, err := p.Update(t.Context(), func(tx *controlplane.Tx) error {
						row := controlplane.User{}
						if old := tx.Users.Get("u"); old != nil {
							row = *old
						}
						row.Keys = append(row.Keys[:len(row.Keys):len(row.Keys)], controlplane.AccessKey{ID: fmt.Sprint(len(row.Keys))})
						tx.Users.Put("u", &row)
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for i, p := range planes {
		for deadline := time.Now().Add(10 * time.Second); len(p.State().Users.Get("u").Keys) < 4*times && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		if n := len(p.State().Users.Get("u").Keys); n != 4*times {
			t.Errorf("plane %d has %d changes, want %d", i, n, 4*times)
		}
	}
}

// compacting is a store whose watches end, as those of etcd do when their revisions are gone.
type compacting struct {
	*memory.Store
	watches chan struct{}
}

func (s *compacting) Watch(ctx context.Context, prefix string, after int64) <-chan cluster.Batch {
	select {
	case <-s.watches:
		out := make(chan cluster.Batch, 1)
		out <- cluster.Batch{Err: cluster.ErrCompacted}
		close(out)
		return out
	default:
		return s.Store.Watch(ctx, prefix, after)
	}
}

func TestLoadedAgain(t *testing.T) {
	t.Parallel()
	store := &compacting{memory.New(), make(chan struct{}, 1)}
	store.watches <- struct{}{}
	p := open(t, store)
	s := update(t, p, func(tx *controlplane.Tx) error {
		tx.Roles.Put("r", &controlplane.Role{Name: "r"})
		return nil
	})
	if s.Roles.Get("r") == nil {
		t.Error("a change is lost after the watch had to begin again")
	}
}

// TestChangedFromOutside: what is written beside the planes, as a backup is restored, does not stop them from writing.
func TestChangedFromOutside(t *testing.T) {
	t.Parallel()
	store := memory.New()
	p := open(t, store)
	put := func(name string) func(tx *controlplane.Tx) error {
		return func(tx *controlplane.Tx) error {
			tx.Roles.Put(name, &controlplane.Role{Name: name})
			return nil
		}
	}
	update(t, p, put("a"))
	rev, err := store.Commit(t.Context(), cluster.Txn{Ops: []cluster.Op{{Key: controlplane.Prefix + "roles/b", Value: []byte(`{"Name":"b"}`)}}})
	if err != nil {
		t.Fatal(err)
	}
	for changed := p.Changed(); p.State().Revision < rev; changed = p.Changed() {
		if p.State().Revision < rev {
			<-changed
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := p.Update(ctx, put("c"))
	if err != nil || s.Roles.Len() != 3 {
		t.Errorf("got %v, and %d roles", err, s.Roles.Len())
	}
}

// TestCleared empties the store below a plane: what was known stays in force, nothing is written into the emptied store, and a backup
// that is restored counts at once.
func TestCleared(t *testing.T) {
	t.Parallel()
	store := memory.New()
	said := heard{text: "cannot be loaded", there: make(chan struct{})}
	p, err := controlplane.Open(t.Context(), store, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	update(t, p, func(tx *controlplane.Tx) error {
		tx.Accounts.Put("account", &controlplane.Account{ID: "123456789012"})
		tx.Proxies.Put("prx-1", &controlplane.Proxy{Name: "one"})
		return nil
	})
	entries, _, err := store.Load(t.Context(), controlplane.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	var gone, back []cluster.Op
	for _, e := range entries {
		gone = append(gone, cluster.Op{Key: e.Key, Delete: true})
		back = append(back, cluster.Op{Key: e.Key, Value: e.Value})
	}
	if _, err := store.Commit(t.Context(), cluster.Txn{Ops: gone}); err != nil {
		t.Fatal(err)
	}
	<-said.there // it has seen that, and looked once more
	if st := p.State(); st.Account() == nil || st.Proxies.Get("prx-1") == nil {
		t.Fatal("what was known is in force no longer")
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = p.Update(ctx, func(tx *controlplane.Tx) error {
		cancel() // else it would wait for a store that has a state again
		tx.Roles.Put("r", &controlplane.Role{Name: "r"})
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a change of the emptied store: %v", err)
	}
	if left, _, err := store.Load(t.Context(), controlplane.Prefix); err != nil || len(left) > 0 {
		t.Errorf("%d entries in the emptied store, %v", len(left), err)
	}
	if _, err := store.Commit(t.Context(), cluster.Txn{Ops: append(back, cluster.Op{Key: controlplane.Prefix + "roles/b", Value: []byte(`{"Name":"b"}`)})}); err != nil {
		t.Fatal(err)
	}
	for changed := p.Changed(); p.State().Roles.Get("b") == nil; changed = p.Changed() {
		if p.State().Roles.Get("b") == nil {
			<-changed
		}
	}
}

// heard is a log that tells when a text is in it.
type heard struct {
	text  string
	once  sync.Once
	there chan struct{}
}

func (h *heard) Write(line []byte) (int, error) {
	if strings.Contains(string(line), h.text) {
		h.once.Do(func() { close(h.there) })
	}
	return len(line), nil
}

// TestOldEventsAreForgotten little by little: a store may allow 128 changes in a transaction, and many may be too old at
// once.
func TestOldEventsAreForgotten(t *testing.T) {
	t.Parallel()
	store := &counting{Store: memory.New()}
	p := open(t, store)
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	proxy := &controlplane.Proxy{ID: "prx-1", Name: "one"}
	update(t, p, func(tx *controlplane.Tx) error {
		tx.Accounts.Put("account", &controlplane.Account{ID: "123456789012"})
		return nil
	})
	for range 3 {
		update(t, p, func(tx *controlplane.Tx) error {
			for range 100 {
				tx.AddEvent(now, controlplane.ProxyModified, proxy, "modified")
			}
			return nil
		})
	}
	store.most.Store(0)
	now = now.Add(controlplane.EventsKept + time.Hour)
	for range 150 {
		update(t, p, func(tx *controlplane.Tx) error {
			tx.AddEvent(now, controlplane.ProxyModified, proxy, "modified")
			return nil
		})
	}
	if n, most := p.State().Events.Len(), store.most.Load(); n != 150 || most > 10 {
		t.Errorf("%d events are left, want 150; %d changes in one transaction", n, most)
	}
}

// counting counts the changes of the largest transaction.
type counting struct {
	*memory.Store
	most atomic.Int64
}

func (s *counting) Commit(ctx context.Context, txn cluster.Txn) (int64, error) {
	s.most.Store(max(s.most.Load(), int64(len(txn.Ops))))
	return s.Store.Commit(ctx, txn)
}
