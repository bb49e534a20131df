// Package loopback opens listeners that only this machine reaches: what is served without a login, or without TLS, stays
// there unless an operator has said otherwise.
package loopback

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// ErrNotLoopback means that an address is reachable from other machines.
var ErrNotLoopback = errors.New("the address is not a loopback address, and remote access was not allowed")

// Listen listens on address, a host:port of TCP. Unless remote is true it refuses, with ErrNotLoopback, an address that
// other machines reach.
func Listen(ctx context.Context, address string, remote bool) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	// The real address is judged, not the text: a name may stand for anything.
	if addr, ok := l.Addr().(*net.TCPAddr); !remote && (!ok || !addr.IP.IsLoopback()) {
		l.Close()
		return nil, fmt.Errorf("%w: %s", ErrNotLoopback, address)
	}
	return l, nil
}
