package dataplane

import (
	"testing"

	"forebay/internal/dataplane/session"
)

func TestPIDSaysWhereTheSessionIs(t *testing.T) {
	t.Parallel()
	for _, loop := range []int{0, 1, MaxLoops - 1} {
		for _, slot := range []uint32{1, 77, 1<<session.SlotBits - 1} {
			pid := pidOf(loop, slot)
			if l, s := placeOf(pid); l != loop || s != slot {
				t.Errorf("loop %d, slot %d: process id %d is read as loop %d, slot %d", loop, slot, pid, l, s)
			}
			if int32(pid) <= 1<<22 {
				t.Errorf("loop %d, slot %d: process id %d could be a server process's", loop, slot, int32(pid))
			}
		}
	}
}
