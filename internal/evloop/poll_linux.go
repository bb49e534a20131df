//go:build linux && forebay_poll

package evloop

import "golang.org/x/sys/unix"

// pollHangUp is the event that says that the peer has closed its side.
const pollHangUp = unix.POLLRDHUP
