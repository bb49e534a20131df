//go:build unix && !linux

package localserver

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// diesWithParent says that the system stops the server when we die. Here the watchdog does.
const diesWithParent = false

func serverAttr(a account, in Install) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: a.credential, Chroot: in.Chroot}
}

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func chrootAttr(chroot string) *syscall.SysProcAttr { return &syscall.SysProcAttr{Chroot: chroot} }

// killTree ends the process and its children at once, by the signal that has the server itself do so: listing them takes a
// program of its own here.
func (p *process) killTree(end syscall.Signal) {
	p.signal(end)
	p.signal(syscall.SIGCONT) // it may be frozen
}

// killDetached is for Patroni, which is not started here.
func killDetached(string, string) {}

// childrenOf lists the direct children of a process.
func childrenOf(pid int) []int {
	all, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
	if err != nil {
		return nil
	}
	var out []int
	for sc := bufio.NewScanner(bytes.NewReader(all)); sc.Scan(); {
		var child, parent int
		if _, err := fmt.Sscan(sc.Text(), &child, &parent); err == nil && parent == pid {
			out = append(out, child)
		}
	}
	return out
}

// stopped reports whether a process has taken its SIGSTOP, or is no more.
func stopped(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err != nil || strings.HasPrefix(strings.TrimSpace(string(state)), "T")
}
