//go:build !linux

package evloop

import (
	"net"

	"golang.org/x/sys/unix"
)

// recv reads what the socket has. It returns ErrAgain when that is nothing, and 0 at the end of the stream.
func recv(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		switch err {
		case nil:
			return n, nil
		case unix.EAGAIN:
			return 0, ErrAgain
		case unix.EINTR:
			continue
		}
		return 0, err
	}
}

// send sends as much as the socket takes. With ErrAgain the count says how much that was.
func send(fd int, b []byte) (int, error) {
	sent := 0
	for sent < len(b) {
		n, err := unix.Write(fd, b[sent:])
		switch err {
		case nil:
			sent += n
		case unix.EAGAIN:
			return sent, ErrAgain
		case unix.EINTR:
		default:
			return sent, err
		}
	}
	return sent, nil
}

func acceptFD(fd int) (int, net.Addr, error) {
	nfd, sa, err := unix.Accept(fd)
	if err != nil {
		if err == unix.EAGAIN {
			return -1, nil, ErrAgain
		}
		return -1, nil, err
	}
	unix.CloseOnExec(nfd)
	if err := unix.SetNonblock(nfd, true); err != nil {
		unix.Close(nfd)
		return -1, nil, err
	}
	_ = unix.SetsockoptInt(nfd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(nfd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return nfd, &net.TCPAddr{IP: append(net.IP(nil), a.Addr[:]...), Port: a.Port}, nil
	case *unix.SockaddrInet6:
		return nfd, &net.TCPAddr{IP: append(net.IP(nil), a.Addr[:]...), Port: a.Port}, nil
	}
	return nfd, &net.TCPAddr{}, nil
}

func closeFD(fd int) { _ = unix.Close(fd) }

// deferAccept does nothing: there is no such thing here.
func deferAccept(int) {}
