package localserver

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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
func (p *process) killTree(syscall.Signal) { killTree(p.cmd.Process.Pid, p.signal) }

// killTree is that for a process which takes signals by send.
func killTree(pid int, send func(syscall.Signal) error) {
	send(syscall.SIGSTOP)
	for _, child := range childrenOf(pid) {
		syscall.Kill(child, syscall.SIGKILL)
	}
	send(syscall.SIGKILL)
}

// killDetached kills the server at once that runs in dir and is no child of ours, with its children. The pid file of one that
// was killed before may name another process by now.
func killDetached(pidFile, dir string) {
	pid, err := readPID(pidFile)
	if err != nil {
		return
	}
	runs := func() bool {
		at, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		return err == nil && at == dir // PostgreSQL works in its data directory
	}
	if !runs() {
		return
	}
	killTree(pid, func(s syscall.Signal) error { return syscall.Kill(pid, s) })
	for runs() {
		time.Sleep(5 * time.Millisecond)
	}
}

// readPID reads a process identifier, a file's first line.
func readPID(name string) (int, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strconv.Atoi(strings.TrimSpace(line))
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
