package localserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Child is a program of ours that runs beside a private server, such as `forebay serve` in the demo. It and its folder
// are gone after Stop, and also when the process that started it dies.
type Child struct {
	process  *process
	watchdog *watchdog
	dir      string
}

// StartChild starts cmd, which must not be started yet, and takes over dir, a folder with the program's files: Stop
// removes it. What the program prints goes to the file "log" in that folder. If StartChild fails, dir is removed.
func StartChild(cmd *exec.Cmd, dir string) (c *Child, err error) {
	pidFile := filepath.Join(dir, "pid")
	w, err := startWatchdog(dir, pidFile, syscall.SIGQUIT, diesWithParent)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
			w.dismiss()
		}
	}()
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr()
	p, err := startProcess(cmd)
	if err != nil {
		return nil, err
	}
	if !diesWithParent {
		if err := os.WriteFile(pidFile, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
			p.signal(syscall.SIGKILL)
			<-p.done
			return nil, err
		}
	}
	return &Child{process: p, watchdog: w, dir: dir}, nil
}

// Done is closed when the program has ended.
func (c *Child) Done() <-chan struct{} { return c.process.done }

// PID returns the program's process identifier.
func (c *Child) PID() int { return c.process.cmd.Process.Pid }

// Log returns the end of what the program printed.
func (c *Child) Log() string {
	b, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil {
		return ""
	}
	return tail(b)
}

// Stop asks the program to end, kills it if it has not after the grace time, and removes its folder. It returns an
// error if the program had to be killed. It must be called once.
func (c *Child) Stop(grace time.Duration) error {
	var err error
	c.process.signal(syscall.SIGTERM)
	select {
	case <-c.process.done:
	case <-time.After(grace):
		c.process.signal(syscall.SIGKILL)
		<-c.process.done
		err = fmt.Errorf("%s did not end within %v and was killed", filepath.Base(c.process.cmd.Path), grace)
	}
	os.RemoveAll(c.dir)
	c.watchdog.dismiss()
	return err
}
