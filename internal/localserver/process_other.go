//go:build unix && !linux

package localserver

import "syscall"

// diesWithParent says that the system stops the server when we die. Here the watchdog does.
const diesWithParent = false

func serverAttr(a account, chroot string) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: a.credential, Chroot: chroot}
}

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func chrootAttr(chroot string) *syscall.SysProcAttr { return &syscall.SysProcAttr{Chroot: chroot} }

// killTree ends the process and its children: without a portable way to list them, by an immediate shutdown.
func (p *process) killTree() { p.signal(syscall.SIGQUIT) }
