package app

import "sync"

// ballast is memory that is never touched, so that it costs none, but counts as live. With a heap of a few megabytes the
// garbage collector would otherwise run after every few hundred log-ins, tens of times a second in a storm of clients. Up
// to as much garbage as ballast may lie around instead, until the data plane tidies up.
var ballast []byte

const ballastSize = 24 << 20 // bytes

// steadyHeap takes the ballast on, once for the process.
var steadyHeap = sync.OnceFunc(func() { ballast = make([]byte, ballastSize) })
