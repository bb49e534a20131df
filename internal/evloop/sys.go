package evloop

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller tells which descriptors are ready. There is one for each platform behind this interface.
type poller interface {
	// add registers a descriptor for its whole life: readable, writable and hang-up, told once for each change.
	add(fd int, slot, gen uint32) error
	// remove forgets a descriptor that stays open.
	remove(fd int) error
	// poll waits for events for at most d (negative: for ever) and returns how many there are. With spin set it does
	// not tell the Go scheduler that it waits.
	poll(d time.Duration, spin bool) int
	// dispatch hands the n events of the last poll to l.event.
	dispatch(n int, l *Loop)
	// wake ends a poll from another goroutine; drainWake makes ready for the next.
	wake()
	drainWake()
	close()
}

// listenBacklog is how many connections the kernel keeps for us while we are busy; it lowers the number to its own limit
// (net.core.somaxconn).
const listenBacklog = 8192

// prepareListener deepens the backlog, and sets what accepted sockets inherit: small answers must not wait for an
// acknowledgement of the one before, and a peer that has vanished must be noticed one day.
func prepareListener(fd int, clientFirst bool) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1); err != nil {
		return err
	}
	if clientFirst {
		deferAccept(fd)
	}
	return unix.Listen(fd, listenBacklog)
}

// dupFD duplicates the descriptor of a socket of package net, non-blocking, so that the original can be closed and the Go
// runtime's own poller is rid of it.
func dupFD(s interface {
	SyscallConn() (syscall.RawConn, error)
},
) (int, error) {
	rc, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	if err := rc.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return -1, err
	}
	if dupErr != nil {
		return -1, dupErr
	}
	// The description is shared with the original, which is non-blocking already; say it again in case that changes.
	if err := unix.SetNonblock(fd, true); err != nil {
		closeFD(fd)
		return -1, err
	}
	return fd, nil
}

// addrsOf are the addresses of a connected socket; empty ones when it is not connected any more.
func addrsOf(fd int) (local, peer net.Addr) {
	l, err := unix.Getsockname(fd)
	local = tcpAddr(l, err)
	r, err := unix.Getpeername(fd)
	return local, tcpAddr(r, err)
}

func tcpAddr(sa unix.Sockaddr, err error) net.Addr {
	if err == nil {
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			return &net.TCPAddr{IP: net.IP(sa.Addr[:]), Port: sa.Port}
		case *unix.SockaddrInet6:
			return &net.TCPAddr{IP: net.IP(sa.Addr[:]), Port: sa.Port}
		}
	}
	return &net.TCPAddr{}
}
