package session

import (
	"log/slog"
	"testing"

	"forebay/internal/evloop"
)

// A slot is nobody else's from the moment it is taken, however often the numbers go round.
func TestSlots(t *testing.T) {
	t.Parallel()
	l, err := evloop.New(0)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWorker(l, slog.Default())
	go l.Run()
	defer l.Stop()
	l.Call(func() { slots(t, w) })
}

func slots(t *testing.T, w *Worker) {
	const last = 1<<SlotBits - 1
	w.lastSlot = last - 2
	for _, want := range []uint32{last - 1, last, 1, 2} {
		if got := w.Slot(); got != want {
			t.Errorf("slot %d, want %d", got, want)
		}
	}
	w.Free(last)
	w.lastSlot = last - 2
	for _, want := range []uint32{last, 3} {
		if got := w.Slot(); got != want {
			t.Errorf("slot %d, want %d", got, want)
		}
	}
	if n := w.Slots(); n != 5 {
		t.Errorf("%d slots taken, want 5", n)
	}
	w.Sessions(func(*Session) { t.Error("a slot without a client has a session") })
}
