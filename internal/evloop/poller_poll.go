//go:build !linux || forebay_poll

package evloop

import (
	"time"

	"golang.org/x/sys/unix"
)

// pollPoller is poll(2), for systems without epoll: it asks about every connection at every turn, which is slow with
// many. It makes edges of levels by asking for a direction only while the loop believes that it is not ready. The build
// tag forebay_poll uses it on Linux too, so that it is tested there.
type pollPoller struct {
	r, w int // a pipe that wakes the loop
	fds  []unix.PollFd
	who  []watched
	loop *Loop // set by the first dispatch
}

// levelTriggered says that the poller must know what each connection waits for.
const levelTriggered = true

type watched struct {
	fd        int
	slot, gen uint32
}

func newPoller() (poller, error) {
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		return nil, err
	}
	for _, fd := range p {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, err
		}
	}
	return &pollPoller{r: p[0], w: p[1]}, nil
}

func (p *pollPoller) add(fd int, slot, gen uint32) error {
	p.who = append(p.who, watched{fd, slot, gen})
	return nil
}

// remove does nothing: poll drops what the loop no longer has.
func (p *pollPoller) remove(int) error { return nil }

func (p *pollPoller) poll(d time.Duration, _ bool) int {
	ms := -1
	if d >= 0 {
		ms = int((d + time.Millisecond - 1) / time.Millisecond)
	}
	p.fds = append(p.fds[:0], unix.PollFd{Fd: int32(p.r), Events: unix.POLLIN})
	live := p.who[:0]
	for _, w := range p.who {
		if p.loop != nil {
			if p.loop.gens[w.slot] != w.gen || p.loop.conns[w.slot] == nil {
				continue // closed
			}
		}
		live = append(live, w)
		ev := int16(0)
		if p.loop == nil {
			ev = unix.POLLIN | unix.POLLOUT
		} else {
			c := p.loop.conns[w.slot]
			if c.phase.blocking() {
				// The goroutine's own calls find out what is ready; ask only for what it waits for.
				switch c.phase.want.Load() {
				case wantRead:
					ev = unix.POLLIN
				case wantWrite:
					ev = unix.POLLOUT
				}
			} else {
				if !c.readable || c.drained {
					ev |= unix.POLLIN
				}
				if !c.writable {
					ev |= unix.POLLOUT
				}
			}
			if c.hup {
				ev &^= unix.POLLIN // known, and told for ever; unsent bytes may still leave
			} else if !c.phase.blocking() {
				ev |= pollHangUp
			}
		}
		fd := int32(w.fd)
		if ev == 0 {
			fd = -1
		}
		p.fds = append(p.fds, unix.PollFd{Fd: fd, Events: ev})
	}
	p.who = live
	n, err := unix.Poll(p.fds, ms)
	if err != nil {
		return 0
	}
	return n
}

func (p *pollPoller) dispatch(n int, l *Loop) {
	p.loop = l
	if n <= 0 {
		return
	}
	if p.fds[0].Revents != 0 {
		// The byte may have come after the work that it announced was done: then nobody else would take it.
		p.drainWake()
	}
	// Closed peers first, as with epoll: a server connection that ends in this batch must not be lent in it.
	for _, closed := range []bool{true, false} {
		for i, f := range p.fds[1:] { // p.who has grown, at most, since it was asked about
			if f.Revents == 0 || f.Fd < 0 {
				continue
			}
			gone := f.Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
			if hup := gone || f.Revents&pollHangUp != 0; hup == closed {
				w := p.who[i]
				l.event(w.slot, w.gen, f.Revents&unix.POLLIN != 0, gone || f.Revents&unix.POLLOUT != 0, hup)
			}
		}
	}
}

func (p *pollPoller) wake() { _, _ = unix.Write(p.w, []byte{1}) }

func (p *pollPoller) drainWake() {
	var b [64]byte
	for {
		if n, err := unix.Read(p.r, b[:]); n < len(b) || err != nil {
			return
		}
	}
}

func (p *pollPoller) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}
