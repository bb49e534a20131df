package dataplane

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

// tidier gives memory back after a storm of new clients has passed. Handshakes leave garbage, several times what the
// clients need once they are idle, and the Go runtime would keep it for a while: an idle TLS client costs 15 KiB of
// resident memory before, and 8 after.
type tidier struct {
	done  atomic.Int64 // connection phases ended since the last time
	armed atomic.Bool
}

const (
	tidyAfter = 500             // connection phases that make it worth while
	tidyQuiet = 2 * time.Second // without another one
)

// phaseEnded counts a connection phase. It costs one atomic addition, but for the one that arms the timer.
func (t *tidier) phaseEnded() {
	if n := t.done.Add(1); n >= tidyAfter && t.armed.CompareAndSwap(false, true) {
		t.wait(n)
	}
}

// wait tidies when no connection phase has ended for a while.
func (t *tidier) wait(seen int64) {
	time.AfterFunc(tidyQuiet, func() {
		if n := t.done.Load(); n != seen {
			t.wait(n)
			return
		}
		t.done.Store(0)
		t.armed.Store(false)
		debug.FreeOSMemory()
	})
}
