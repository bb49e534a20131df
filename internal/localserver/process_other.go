//go:build unix && !linux

package localserver

import "syscall"

// diesWithParent says that the system stops the server when we die. Here the watchdog does.
const diesWithParent = false

func serverAttr(a account, in Install) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: a.credential, Chroot: in.Chroot}
}

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func chrootAttr(chroot string) *syscall.SysProcAttr { return &syscall.SysProcAttr{Chroot: chroot} }

// killTree ends the process and its children at once: without a portable way to list them, by the signal that has the server
// itself do so.
func (p *process) killTree(end syscall.Signal) { p.signal(end) }
