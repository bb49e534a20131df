package app

import "sync"

// ballastSize is in bytes.
const ballastSize = 24 << 20

// steadyHeap holds memory that is never touched, so that it costs none, but counts as live. With a heap of a few megabytes
// the garbage collector would otherwise run after every few hundred log-ins, tens of times a second in a storm of clients.
// Up to as much garbage may lie around instead, until the data plane tidies up.
var steadyHeap = sync.OnceValue(func() []byte { return make([]byte, ballastSize) })
