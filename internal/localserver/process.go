package localserver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// process is a running server program. It is waited for from the moment it starts.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // of the wait; valid after done
}

// startProcess starts cmd, which dies with us where the system can arrange that.
//
// The system sends a parent's death signal when the starting thread ends, not the process. So the goroutine that
// starts the program keeps its thread and stays on it until the program ends.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// signal sends s unless the process has ended.
func (p *process) signal(s syscall.Signal) error {
	err := p.cmd.Process.Signal(s)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// watchdog is a small shell process that outlives us if we are killed, and then removes the server's files.
type watchdog struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// watchdogScript waits on its standard input. A word means that all is done; end of file means that the process
// holding the other end is gone. $1 is the instance's directory, $2 its pid file, which a killed server leaves behind, $3
// the number of the signal to end the server with, empty where the server gets it without the watchdog. A frozen server takes
// no signal before it is told to go on.
const watchdogScript = `trap '' HUP INT TERM
read -r word && exit 0
pid=$(head -n 1 "$2" 2>/dev/null)
[ -n "$3" ] && [ -n "$pid" ] && kill -"$3" "$pid"
[ -n "$pid" ] && kill -CONT "$pid"
n=0
while [ -e "$2" ] && kill -0 "$pid" 2>/dev/null && [ "$n" -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`

// startWatchdog starts the watchdog over dir. The server there is ended by the signal orphan, unless it dies with us by itself.
func startWatchdog(dir, pidFile string, orphan syscall.Signal, dies bool) (*watchdog, error) {
	number := strconv.Itoa(int(orphan))
	if dies {
		number = ""
	}
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "forebay-watchdog", dir, pidFile, number)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's Ctrl-C is for us alone
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, stdin: stdin}, nil
}

// dismiss ends the watchdog without any clean-up by it.
func (w *watchdog) dismiss() {
	io.WriteString(w.stdin, "done\n")
	w.stdin.Close()
	w.cmd.Wait()
}
