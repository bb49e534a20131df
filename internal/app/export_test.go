package app

import (
	"testing"

	"forebay/internal/controlplane"
)

// ChangeState changes the state of a's control plane, as an operation of the API does.
func ChangeState(t *testing.T, a *App, change func(tx *controlplane.Tx)) {
	t.Helper()
	if _, err := a.control.plane.Update(t.Context(), func(tx *controlplane.Tx) error { change(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}
