package evloop

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below go to the kernel without telling the Go scheduler: on a non-blocking descriptor they cannot block, and
// the scheduler's bookkeeping around an ordinary system call costs 5 to 15 % of a transaction.

// recv reads what the socket has. It returns ErrAgain when that is nothing, and 0 at the end of the stream.
func recv(fd int, b []byte) (int, error) {
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
		switch e {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return 0, ErrAgain
		case unix.EINTR:
			continue
		}
		return 0, e
	}
}

// send sends as much as the socket takes. With ErrAgain the count says how much that was.
func send(fd int, b []byte) (int, error) {
	sent := 0
	for sent < len(b) {
		n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[sent])), uintptr(len(b)-sent), unix.MSG_NOSIGNAL, 0, 0)
		switch e {
		case 0:
			sent += int(n)
		case unix.EAGAIN:
			return sent, ErrAgain
		case unix.EINTR:
		default:
			return sent, e
		}
	}
	return sent, nil
}

func acceptFD(fd int) (int, net.Addr, error) {
	var sa unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	n, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	switch e {
	case 0:
	case unix.EAGAIN:
		return -1, nil, ErrAgain
	default:
		return -1, nil, syscall.Errno(e)
	}
	nfd := int(n)
	return nfd, rawAddr(&sa), nil
}

func rawAddr(sa *unix.RawSockaddrAny) net.Addr {
	switch sa.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return &net.TCPAddr{IP: net.IP(append([]byte(nil), a.Addr[:]...)), Port: int(a.Port<<8 | a.Port>>8)}
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return &net.TCPAddr{IP: net.IP(append([]byte(nil), a.Addr[:]...)), Port: int(a.Port<<8 | a.Port>>8)}
	}
	return &net.TCPAddr{}
}

func closeFD(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// deferAccept has the kernel wake the listener when a client has sent something, and not before: one waking less for each
// log-in. A client that says nothing is told of when it has acknowledged the handshake a second time, after a second.
func deferAccept(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1) // where it does not know that, it wakes once more
}
