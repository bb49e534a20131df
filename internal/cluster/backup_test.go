package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"forebay/internal/cluster"
	"forebay/internal/cluster/memory"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// failing commits so many times and no more.
type failing struct {
	cluster.Store
	after   int
	commits int
}

func (f *failing) Commit(ctx context.Context, txn cluster.Txn) (int64, error) {
	if f.after--; f.after < 0 {
		return 0, errors.New("the disk is full")
	}
	f.commits++
	return f.Store.Commit(ctx, txn)
}

// TestRestoreLarge checks that no transaction is larger than etcd takes.
func TestRestoreLarge(t *testing.T) {
	t.Parallel()
	from := memory.New()
	for i := range 9 {
		if _, err := from.Commit(t.Context(), cluster.Txn{Ops: []cluster.Op{{Key: fmt.Sprintf("/p/%d", i), Value: make([]byte, 200<<10)}}}); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := cluster.Backup(t.Context(), from, "/p/", &file); err != nil {
		t.Fatal(err)
	}
	to := &failing{Store: memory.New(), after: 100}
	if err := cluster.Restore(t.Context(), to, "/p/", &file); err != nil || to.commits != 5 {
		t.Errorf("9 entries of 200 KiB: %d transactions, want 5; %v", to.commits, err)
	}
	if got, _, _ := to.Load(t.Context(), "/p/"); len(got) != 9 {
		t.Errorf("restored %d entries, want 9", len(got))
	}
}

func TestBackup(t *testing.T) {
	t.Parallel()
	from := memory.New()
	for i := range 250 {
		if _, err := from.Commit(t.Context(), cluster.Txn{Ops: []cluster.Op{{Key: fmt.Sprintf("/p/%03d", i), Value: []byte{byte(i), 0, 255}}}}); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := cluster.Backup(t.Context(), from, "/p/", &file); err != nil {
		t.Fatal(err)
	}
	text := file.String()
	to := &failing{Store: memory.New(), after: 100}
	if err := cluster.Restore(t.Context(), to, "/p/", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	want, _, _ := from.Load(t.Context(), "/")
	got, _, _ := to.Load(t.Context(), "/")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(cluster.Entry{}, "Revision")); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
	if err := cluster.Restore(t.Context(), to, "/p/", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "empty store") {
		t.Errorf("into a store that is not empty: got %v", err)
	}
	if info, err := cluster.CheckBackup(strings.NewReader(text)); err != nil || info.Entries != 250 || info.Made.IsZero() {
		t.Errorf("checked: %+v, %v", info, err)
	}
	if n := to.commits; n != 3 {
		t.Errorf("250 small entries were restored in %d transactions, want 3", n)
	}
	half := &failing{Store: memory.New(), after: 2}
	if err := cluster.Restore(t.Context(), half, "/p/", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "clear the store") {
		t.Errorf("a store that fails on the way: got %v", err)
	}
	if left, _, _ := half.Load(t.Context(), "/p/"+cluster.Unfinished); len(left) != 1 {
		t.Error("nothing says that the restore has not come to its end")
	}
	for name, broken := range map[string]string{
		"nothing": "", "another file": "{\"Format\":\"x\"}\n", "torn": text[:len(text)-20],
		"torn between lines": text[:strings.LastIndex(strings.TrimSpace(text), "\n")+1],
	} {
		empty := memory.New()
		err := cluster.Restore(t.Context(), empty, "/p/", strings.NewReader(broken))
		if left, _, _ := empty.Load(t.Context(), "/"); err == nil || len(left) > 0 {
			t.Errorf("%s: got %v, and %d entries", name, err, len(left))
		}
	}
}
