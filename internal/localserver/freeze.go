package localserver

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// errNotRunning means that there is no process to act on.
var errNotRunning = errors.New("the server is not running")

// Freeze stops the server's processes where they are, as a machine that hangs would: connections stay open and new ones
// are taken by the kernel, but nothing answers. It returns once all have stopped. Thaw lets them go on.
func (i *instance) Freeze() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.process == nil {
		return fmt.Errorf("%s: freeze: %w", i.install, errNotRunning)
	}
	i.frozen = true
	if err := i.process.freezeTree(); err != nil {
		i.thawLocked()
		return fmt.Errorf("%s: freeze: %w", i.install, err)
	}
	return nil
}

// Thaw lets a frozen server go on. On any other it does nothing.
func (i *instance) Thaw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.thawLocked()
}

func (i *instance) thawLocked() {
	if i.process == nil || !i.frozen {
		return
	}
	i.frozen = false
	pid := i.process.cmd.Process.Pid
	for _, child := range childrenOf(pid) {
		syscall.Kill(child, syscall.SIGCONT)
	}
	i.process.signal(syscall.SIGCONT)
}

// freezeTree stops the process, so that it starts no more children, and then those that it has.
func (p *process) freezeTree() error {
	pid := p.cmd.Process.Pid
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if err := awaitFrozen(pid); err != nil {
		return err
	}
	children := childrenOf(pid)
	for _, child := range children {
		syscall.Kill(child, syscall.SIGSTOP)
	}
	for _, child := range children {
		if err := awaitFrozen(child); err != nil {
			return err
		}
	}
	return nil
}

// awaitFrozen returns when the process does not run any more.
func awaitFrozen(pid int) error {
	const tries = 1000
	for range tries {
		if stopped(pid) {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("process %d does not stop", pid)
}
