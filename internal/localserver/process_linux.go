package localserver

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// diesWithParent says that the system stops the server when we die.
const diesWithParent = true

// serverAttr makes a server process: a session of its own, so that a terminal's Ctrl-C does not reach it, the given
// account, and an immediate end when we die.
func serverAttr(a account, in Install) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: a.credential, Chroot: in.Chroot, Pdeathsig: in.habits().orphan}
}

// childAttr makes a Child: a session of its own, killed when we die.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

func chrootAttr(chroot string) *syscall.SysProcAttr { return &syscall.SysProcAttr{Chroot: chroot} }

// killTree kills the process and its children at once. The parent is stopped first, so that it starts no more. (The signal
// is for systems where the children cannot be listed.)
func (p *process) killTree(syscall.Signal) {
	pid := p.cmd.Process.Pid
	p.signal(syscall.SIGSTOP)
	for _, child := range childrenOf(pid) {
		syscall.Kill(child, syscall.SIGKILL)
	}
	p.signal(syscall.SIGKILL)
}

// childrenOf lists the direct children of a process.
func childrenOf(pid int) []int {
	var out []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		// "pid (name) state ppid ...": the name may hold spaces and brackets.
		i := bytes.LastIndexByte(b, ')')
		if i < 0 {
			continue
		}
		var state string
		var parent int
		if _, err := fmt.Sscan(string(b[i+1:]), &state, &parent); err != nil || parent != pid {
			continue
		}
		if child, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			out = append(out, child)
		}
	}
	return out
}
