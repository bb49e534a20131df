package evloop

import (
	"time"
	_ "unsafe" // for go:linkname
)

// yieldEvery is how often a loop that does not sleep gives way to other goroutines. To the Go scheduler a raw epoll_wait is
// work. Whom it sees at work for 10 ms its monitor interrupts by a signal, and then other threads are woken to look for
// work; 100 times a second, beside a log-in or two, that was an eighth of all CPU time. Who has given way of its own accord
// is left alone. This is why a loop is not locked to its thread, too: a locked goroutine that gives way wakes two threads.
const yieldEvery = 4 * time.Millisecond

// goyield lets the goroutines go first that wait for this one's processor. Unlike runtime.Gosched it stays with that
// processor and wakes no other thread, which would take the loop along. The runtime keeps it as it is for those who link to it
// (go.dev/issue/67401).
//
//go:linkname goyield runtime.goyield
func goyield()
