//go:build !linux

package evloop

// pollHangUp is the event that says that the peer has closed its side. Systems other than Linux have none that is told
// before what the peer had sent was read: there a client that leaves while it waits is noticed when it is read next.
const pollHangUp = 0
