// Package storetest tests what every implementation of cluster.Store promises.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"forebay/internal/cluster"

	"github.com/google/go-cmp/cmp"
)

// Run tests the stores that open makes; each is new and empty.
func Run(t *testing.T, open func(t *testing.T) cluster.Store) {
	tests := map[string]func(*testing.T, cluster.Store){
		"load": testLoad, "conflict": testConflict, "all or nothing": testWhole, "watch": testWatch,
		"watch ends": testWatchEnds, "writers": testWriters, "large": testLarge,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			test(t, s)
		})
	}
}

func commit(t *testing.T, s cluster.Store, txn cluster.Txn) int64 {
	t.Helper()
	rev, err := s.Commit(t.Context(), txn)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return rev
}

func put(key, value string) cluster.Op { return cluster.Op{Key: key, Value: []byte(value)} }

func load(t *testing.T, s cluster.Store, prefix string) ([]cluster.Entry, int64) {
	t.Helper()
	entries, rev, err := s.Load(t.Context(), prefix)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return entries, rev
}

func testLoad(t *testing.T, s cluster.Store) {
	if entries, _ := load(t, s, "/"); len(entries) != 0 {
		t.Fatalf("a new store has %v", entries)
	}
	one := commit(t, s, cluster.Txn{Ops: []cluster.Op{put("/a/2", "two"), put("/a/1", "one"), put("/b/1", "other")}})
	two := commit(t, s, cluster.Txn{Ops: []cluster.Op{put("/a/2", "zwei"), {Key: "/a/none", Delete: true}}})
	got, rev := load(t, s, "/a/")
	want := []cluster.Entry{{Key: "/a/1", Value: []byte("one"), Revision: one}, {Key: "/a/2", Value: []byte("zwei"), Revision: two}}
	if diff := cmp.Diff(want, got); diff != "" || rev < two || two <= one {
		t.Errorf("revision %d, want at least %d (after %d); entries (-want +got):\n%s", rev, two, one, diff)
	}
}

func testConflict(t *testing.T, s cluster.Store) {
	rev := commit(t, s, cluster.Txn{Key: "/k", Ops: []cluster.Op{put("/k", "1")}})
	for _, old := range []int64{0, rev - 1, rev + 1} {
		if _, err := s.Commit(t.Context(), cluster.Txn{Key: "/k", Revision: old, Ops: []cluster.Op{put("/k", "2")}}); !errors.Is(err, cluster.ErrConflict) {
			t.Errorf("on condition of revision %d, while it is %d: got %v, want ErrConflict", old, rev, err)
		}
	}
	commit(t, s, cluster.Txn{Key: "/k", Revision: rev, Ops: []cluster.Op{put("/k", "3")}})
	commit(t, s, cluster.Txn{Ops: []cluster.Op{{Key: "/k", Delete: true}}})
	commit(t, s, cluster.Txn{Key: "/k", Ops: []cluster.Op{put("/k", "4")}})
}

func testWhole(t *testing.T, s cluster.Store) {
	commit(t, s, cluster.Txn{Ops: []cluster.Op{put("/k", "1")}})
	_, err := s.Commit(t.Context(), cluster.Txn{Key: "/k", Ops: []cluster.Op{put("/k", "2"), put("/l", "2"), {Key: "/k", Delete: true}}[:2]})
	if entries, _ := load(t, s, "/"); !errors.Is(err, cluster.ErrConflict) || len(entries) != 1 || string(entries[0].Value) != "1" {
		t.Errorf("after a conflict (%v) the store has %v", err, entries)
	}
}

func next(t *testing.T, w <-chan cluster.Batch) cluster.Batch {
	t.Helper()
	select {
	case b, ok := <-w:
		if !ok {
			t.Fatal("the watch has ended")
		}
		return b
	case <-time.After(10 * time.Second):
		t.Fatal("no change within ten seconds")
	}
	panic("unreachable")
}

func testWatch(t *testing.T, s cluster.Store) {
	first := commit(t, s, cluster.Txn{Ops: []cluster.Op{put("/a/1", "before")}})
	second := commit(t, s, cluster.Txn{Ops: []cluster.Op{put("/a/1", "one"), put("/a/2", "two"), put("/b/1", "other")}})
	commit(t, s, cluster.Txn{Ops: []cluster.Op{put("/b/1", "unseen")}})
	w := s.Watch(t.Context(), "/a/", first)
	third := commit(t, s, cluster.Txn{Ops: []cluster.Op{{Key: "/a/1", Delete: true}}})
	b := next(t, w)
	if diff := cmp.Diff(cluster.Batch{Revision: second, Ops: []cluster.Op{put("/a/1", "one"), put("/a/2", "two")}}, b); diff != "" {
		t.Errorf("first change (-want +got):\n%s", diff)
	}
	b = next(t, w)
	if b.Revision != third || len(b.Ops) != 1 || b.Ops[0].Key != "/a/1" || !b.Ops[0].Delete {
		t.Errorf("second change: %+v, want the removal of /a/1 at %d", b, third)
	}
}

func testWatchEnds(t *testing.T, s cluster.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	own, closing := s.Watch(ctx, "/", 0), s.Watch(t.Context(), "/", 0)
	cancel()
	ended(t, own)
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	ended(t, closing)
}

func ended(t *testing.T, w <-chan cluster.Batch) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case _, ok := <-w:
			if !ok {
				return
			}
		case <-deadline:
			t.Fatal("the watch has not ended within ten seconds")
		}
	}
}

// testWriters has several writers count up one value: none may be lost, and a watch sees each.
func testWriters(t *testing.T, s cluster.Store) {
	const writers, times = 4, 10
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := s.Watch(ctx, "/n", 0)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range times {
				if err := count(ctx, s); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := 1; i <= writers*times; i++ {
		if b := next(t, w); len(b.Ops) != 1 || string(b.Ops[0].Value) != fmt.Sprint(i) {
			t.Fatalf("change %d: %+v", i, b)
		}
	}
	wg.Wait()
}

func count(ctx context.Context, s cluster.Store) error {
	for {
		entries, _, err := s.Load(ctx, "/n")
		if err != nil {
			return err
		}
		var n int
		txn := cluster.Txn{Key: "/n"}
		if len(entries) == 1 {
			txn.Revision = entries[0].Revision
			fmt.Sscan(string(entries[0].Value), &n)
		}
		txn.Ops = []cluster.Op{put("/n", fmt.Sprint(n+1))}
		if _, err := s.Commit(ctx, txn); !errors.Is(err, cluster.ErrConflict) {
			return err
		}
	}
}

// testLarge: a secret of 64 KiB, sealed and in base64, in a few versions; and a state of many rows.
func testLarge(t *testing.T, s cluster.Store) {
	value := make([]byte, 512<<10)
	commit(t, s, cluster.Txn{Ops: []cluster.Op{{Key: "/large", Value: value}}})
	for i := range 100 {
		ops := make([]cluster.Op, 100)
		for j := range ops {
			ops[j] = cluster.Op{Key: fmt.Sprintf("/rows/%03d/%03d", i, j), Value: value[:1000]}
		}
		commit(t, s, cluster.Txn{Ops: ops})
	}
	if entries, _ := load(t, s, "/"); len(entries) != 10001 || len(entries[0].Value) != len(value) {
		t.Errorf("%d entries came back, want 10001", len(entries))
	}
}
