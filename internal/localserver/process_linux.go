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
		if _, parent, ok := readStat(name); !ok || parent != pid {
			continue
		}
		if child, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			out = append(out, child)
		}
	}
	return out
}

// stopped reports whether a process has taken its SIGSTOP, or is no more.
func stopped(pid int) bool {
	state, _, ok := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	return !ok || state == "T" || state == "t" || state == "Z" || state == "X"
}

// readStat reads the state and the parent of a process from its stat file. ok is false where it has ended.
func readStat(name string) (state string, parent int, ok bool) {
	b, err := os.ReadFile(name)
	if err != nil {
		return "", 0, false
	}
	// "pid (name) state ppid ...": the name may hold spaces and brackets.
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return "", 0, false
	}
	_, err = fmt.Sscan(string(b[i+1:]), &state, &parent)
	return state, parent, err == nil
}
