package localserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// instance is a private server of any engine: its folder, the program that runs in it, and the watchdog over both. Its
// methods may be called from several goroutines.
type instance struct {
	// Fixed once started.
	install  Install
	program  program
	base     string // all the instance's files, seen from outside a chroot
	port     int
	account  account
	tls      bool
	watchdog *watchdog

	mu      sync.Mutex // guards the fields below, and is held while the server starts or stops
	process *process   // nil: not running
	stopped bool       // Stop was called; nothing starts any more
	frozen  bool       // the process was stopped by Freeze
}

// program is what one engine does its own way.
type program interface {
	// command is the server, to run in the foreground.
	command() *exec.Cmd
	// writeSettings writes the server's configuration for the instance's port.
	writeSettings() error
	// ping logs in and out.
	ping(ctx context.Context) error
	// whyEnded reads the log of a server that ended at once: errPortTaken, errStillThere or, for all else, nil.
	whyEnded(log string) error
}

// habits is what is known of an engine's program before it runs.
type habits struct {
	folder  string           // begins the name of an instance's folder
	socket  string           // longest name of the socket in that folder
	pidFile string           // in that folder; the server removes it when it has ended in order
	users   []string         // accounts to run as, if we are root: the first that exists
	stop    []syscall.Signal // ask for an end in order, the politest first
	orphan  syscall.Signal   // for a server whose starter died: the fastest end that leaves no process behind
	server  syscall.Signal   // the same for the server of the pid file, where that is not the program but lives on without it; 0: it is
}

// place says where an instance goes.
type place struct {
	dir  string // folder in which it makes its own; "": the temporary folder
	port int    // 0: a free one
	tls  bool
}

// errPortTaken means that the server could not listen on its port.
var errPortTaken = errors.New("the port is taken")

// errStillThere means that a process of the server's last run is still there.
var errStillThere = errors.New("the last run has not ended")

// maxSocketPath is the longest path of a Unix socket in bytes, on the strictest system (macOS), without its final 0.
const maxSocketPath = 103

// open makes the instance's folder and starts the watchdog over it. From then on stop must be called.
func (i *instance) open(in Install, p place) error {
	a, err := serverAccount(in.Chroot, in.habits().users)
	if err != nil {
		return err
	}
	base, err := makeBase(in, p.dir, a)
	if err != nil {
		return err
	}
	h := in.habits()
	orphan, dies := h.orphan, diesWithParent
	if h.server != 0 {
		orphan, dies = h.server, false
	}
	w, err := startWatchdog(base, filepath.Join(base, h.pidFile), orphan, dies)
	if err != nil {
		os.RemoveAll(base)
		return err
	}
	i.install, i.base, i.account, i.tls, i.port, i.watchdog = in, base, a, p.tls, p.port, w
	return nil
}

// makeBase makes an instance's folder in parent.
func makeBase(in Install, parent string, a account) (string, error) {
	switch {
	case parent != "":
	case in.Chroot != "":
		parent = filepath.Join(in.Chroot, "tmp")
	default:
		parent = os.TempDir()
		if !a.reaches(parent) {
			parent = "/tmp"
		}
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	base, err := os.MkdirTemp(parent, in.habits().folder)
	if err != nil {
		return "", fmt.Errorf("make its folder: %w", err)
	}
	if len(base)+1+len(in.habits().socket) > maxSocketPath {
		os.Remove(base)
		return "", fmt.Errorf("the path %s is too long to hold a Unix socket", base)
	}
	if err := a.own(base); err != nil {
		os.Remove(base)
		return "", err
	}
	return base, nil
}

// startFirst starts the server. If its port was to be free and somebody took it, it tries another one.
func (i *instance) startFirst(ctx context.Context) error {
	const tries = 10
	given := i.port != 0
	for try := 1; ; try++ {
		if !given {
			var err error
			if i.port, err = FreePort(); err != nil {
				return err
			}
		}
		if err := i.program.writeSettings(); err != nil {
			return err
		}
		if err := i.account.own(i.base); err != nil {
			return err
		}
		i.mu.Lock()
		err := i.startLocked(ctx)
		i.mu.Unlock()
		if err == nil || given || try == tries || !errors.Is(err, errPortTaken) {
			return err
		}
	}
}

// startLocked starts the server program and waits until it answers.
func (i *instance) startLocked(ctx context.Context) error {
	if i.stopped {
		return errors.New("the server was stopped for good")
	}
	logFile, err := os.OpenFile(i.path("log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	cmd := i.program.command()
	cmd.Env, cmd.Dir = serverEnv(), i.inside(i.base)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = serverAttr(i.account, i.install)
	proc, err := startProcess(cmd)
	if err != nil {
		return err
	}
	if err := i.awaitReady(ctx, proc); err != nil {
		i.kill(proc)
		return err
	}
	i.process, i.frozen = proc, false
	return nil
}

// awaitReady returns when the server has answered a log-in.
func (i *instance) awaitReady(ctx context.Context, proc *process) error {
	const limit = 60 * time.Second // crash recovery on a busy machine takes its time
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	wait := 5 * time.Millisecond
	for {
		err := i.program.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-proc.done:
			log := i.Log()
			if why := i.program.whyEnded(log); why != nil {
				return fmt.Errorf("%w: %s", why, log)
			}
			return fmt.Errorf("the server ended at once (%v): %s", proc.err, log)
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w (%w): %s", ctx.Err(), err, i.Log())
		case <-time.After(wait):
			wait = min(2*wait, 100*time.Millisecond)
		}
	}
}

// Restart stops the server, closing all its connections, and starts it again on the same port. It also starts one
// that was killed.
func (i *instance) Restart(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.endLocked()
	for try := 1; ; try++ {
		err := i.startLocked(ctx)
		// The children of a killed server take a moment to go.
		if errors.Is(err, errStillThere) && try < 100 && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: restart: %w", i.install, err)
		}
		return nil
	}
}

// Kill ends the server at once, as a crash would: clients see their connections break without a word. Restart brings
// the server back.
func (i *instance) Kill() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.process != nil {
		i.kill(i.process)
		i.process = nil
	}
}

// kill ends the program at once, and the server that would live on without it.
func (i *instance) kill(p *process) {
	h := i.install.habits()
	p.killTree(h.orphan)
	<-p.done
	if h.server != 0 {
		pidFile := i.path(h.pidFile)
		killDetached(pidFile, filepath.Dir(pidFile))
	}
}

// Shutdown ends the server in order: it tells its clients, and its replicas get all that it has. Restart brings it back.
func (i *instance) Shutdown() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.endLocked()
}

// Stop ends the server and removes its files. It may be called more than once.
func (i *instance) Stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return
	}
	i.stopped = true
	i.endLocked()
	// A child of a killed server may write its last file while we remove the folder.
	for range 50 {
		if os.RemoveAll(i.base) == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	i.watchdog.dismiss()
}

// endLocked shuts the server down: first with a word to its clients, then, if that takes too long, without.
func (i *instance) endLocked() {
	if i.process == nil {
		return
	}
	i.thawLocked()
	for _, s := range i.install.habits().stop {
		i.process.signal(s)
		select {
		case <-i.process.done:
			i.process = nil
			return
		case <-time.After(10 * time.Second):
		}
	}
	i.kill(i.process)
	i.process = nil
}

// Host returns the address of the server's TCP port, 127.0.0.1.
func (i *instance) Host() string { return "127.0.0.1" }

// Port returns the server's TCP port.
func (i *instance) Port() int { return i.port }

// Addr returns "host:port".
func (i *instance) Addr() string { return net.JoinHostPort(i.Host(), strconv.Itoa(i.port)) }

// CAFile returns the file with the certificate to trust, "" for a server without TLS.
func (i *instance) CAFile() string {
	if !i.tls {
		return ""
	}
	return i.path("data", "server.crt")
}

// Version returns what is running.
func (i *instance) Version() Install { return i.install }

// PID returns the process identifier of the server, 0 if it is not running.
func (i *instance) PID() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.process == nil {
		return 0
	}
	return i.process.cmd.Process.Pid
}

// Log returns the end of the server's log since its last start.
func (i *instance) Log() string {
	b, err := os.ReadFile(i.path("log"))
	if err != nil {
		return ""
	}
	return tail(b)
}

// path names a file of the instance, seen from outside the chroot.
func (i *instance) path(elem ...string) string {
	return filepath.Join(append([]string{i.base}, elem...)...)
}

// inside names a file as the server sees it.
func (i *instance) inside(path string) string { return strings.TrimPrefix(path, i.install.Chroot) }
