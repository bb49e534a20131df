//go:build linux && !forebay_poll

package evloop

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollPoller is edge-triggered epoll. The slot is in the event's Fd field and the generation in Pad.
type epollPoller struct {
	fd     int
	wakeFD int
	events [512]unix.EpollEvent
}

// wakeSlot marks the event of wakeFD.
const wakeSlot = -1

// levelTriggered says that the poller must know what each connection waits for.
const levelTriggered = false

func newPoller() (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	p := &epollPoller{fd: fd, wakeFD: wake}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeSlot}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, wake, &ev); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *epollPoller) add(fd int, slot, gen uint32) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(slot), Pad: int32(gen)}
	if _, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0); e != 0 {
		return e
	}
	return nil
}

func (p *epollPoller) remove(fd int) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
}

func (p *epollPoller) poll(d time.Duration, spin bool) int {
	ms := -1
	if d >= 0 {
		ms = int((d + time.Millisecond - 1) / time.Millisecond)
	}
	call := unix.Syscall6
	if spin {
		call = unix.RawSyscall6
	}
	n, _, e := call(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(ms), 0, 0)
	if e != 0 {
		return 0 // EINTR: the runtime's preemption signal, mostly
	}
	return int(n)
}

// dispatch tells of closed peers first: a server connection that ends in this batch must not be lent in it.
func (p *epollPoller) dispatch(n int, l *Loop) {
	const hup = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	closed := 0
	for i := range n {
		if p.events[i].Events&hup != 0 {
			closed++
			p.tell(&p.events[i], true, l)
		}
	}
	if closed == n {
		return
	}
	for i := range n {
		if p.events[i].Events&hup == 0 {
			p.tell(&p.events[i], false, l)
		}
	}
}

func (p *epollPoller) tell(ev *unix.EpollEvent, hup bool, l *Loop) {
	if ev.Fd != wakeSlot {
		l.event(uint32(ev.Fd), uint32(ev.Pad), ev.Events&unix.EPOLLIN != 0, ev.Events&unix.EPOLLOUT != 0, hup)
	}
}

func (p *epollPoller) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(p.wakeFD, one[:])
}

// drainWake has nothing to do: edge-triggered, each write to an eventfd is an event, whether or not it was read before.
// The sum of 2^64 wakes, at which a write would fail, is far away.
func (p *epollPoller) drainWake() {}

func (p *epollPoller) close() {
	unix.Close(p.wakeFD)
	unix.Close(p.fd)
}
