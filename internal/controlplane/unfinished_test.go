package controlplane_test

import (
	"errors"
	"log/slog"
	"testing"

	"forebay/internal/cluster"
	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
)

// TestUnfinished checks that a part of a backup is not taken for the state.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	store := memory.New()
	if _, err := store.Commit(t.Context(), cluster.Txn{Ops: []cluster.Op{{Key: controlplane.Prefix + cluster.Unfinished, Value: []byte("true")}}}); err != nil {
		t.Fatal(err)
	}
	if p, err := controlplane.Open(t.Context(), store, slog.New(slog.DiscardHandler)); !errors.Is(err, controlplane.ErrUnfinished) {
		if err == nil {
			p.Close()
		}
		t.Errorf("got %v", err)
	}
}
