//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"forebay/internal/localserver"
	"forebay/test/program"
)

// Names of the peers, in the order of the first round and of the columns.
const (
	direct    = "direct"
	haproxy   = "haproxy"
	pgbouncer = "pgbouncer"
	router    = "router"
	proxysql  = "proxysql"
	forebay   = "forebay"
)

// prepare is how each proxy is made ready to start: its configuration and its command.
var prepare = map[string]func(*world, *peer) error{
	haproxy:   (*world).prepareHAProxy,
	pgbouncer: (*world).preparePgBouncer,
	router:    (*world).prepareRouter,
	proxysql:  (*world).prepareProxySQL,
	forebay:   (*world).prepareForebay,
}

// errAbsent means that a proxy cannot be had on this machine.
var errAbsent = errors.New("not there")

// peer is one way to reach the database.
type peer struct {
	name          string
	port          int
	tlsPort       int              // for clients with TLS, if that is another one
	version       string           // "" for direct
	proc          *program.Process // nil for direct
	admin         string           // Forebay's admin address
	noNames       bool             // prepared statements cannot be used: PgBouncer before 1.21
	keepsPrepared bool             // a client that prepares has a server connection to itself

	command func() *exec.Cmd
	as      *syscall.Credential
	chroot  string
	dir     string // its files, seen from outside a chroot
}

// pools reports whether many clients share few server connections. The others are bounded by the database's limit.
func (p *peer) pools() bool { return p.name != direct && p.name != haproxy }

// portFor is where clients go who want TLS, or do not.
func (p *peer) portFor(tls bool) int {
	if tls && p.tlsPort != 0 {
		return p.tlsPort
	}
	return p.port
}

func (w *world) newPeer(name string) (*peer, error) {
	if name == direct {
		return &peer{name: name, port: w.db.port()}, nil
	}
	port, err := localserver.FreePort()
	if err != nil {
		return nil, err
	}
	p := &peer{name: name, port: port, dir: filepath.Join(w.dir, name)}
	if err := prepare[name](w, p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, p.start()
}

// start starts the proxy and waits until it listens.
func (p *peer) start() error {
	proc, err := program.Start(p.command(), filepath.Join(filepath.Dir(p.dir), p.name+".log"), p.as, p.chroot)
	if err != nil {
		return err
	}
	p.proc = proc
	for range 500 {
		if !proc.Alive() {
			return fmt.Errorf("%s ended at once: %s", p.name, proc.Tail())
		}
		if err = program.CheckListeners(proc.PID(), p.port); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	proc.Stop()
	return fmt.Errorf("%s: %w: %s", p.name, err, proc.Tail())
}

// restart gives a process that nothing has happened to yet.
func (p *peer) restart() error {
	p.proc.Stop()
	return p.start()
}

func (p *peer) stop() {
	if p.proc != nil {
		p.proc.Stop()
	}
}

// check is made before each measurement.
func (p *peer) check() error {
	if p.proc == nil {
		return nil
	}
	if !p.proc.Alive() {
		return fmt.Errorf("%s has ended (%v): %s", p.name, p.proc.State(), p.proc.Tail())
	}
	return program.CheckListeners(p.proc.PID(), p.port)
}

// cpu is the CPU time the proxy has used so far; 0 where there is none.
func (p *peer) cpu() (time.Duration, error) {
	if p.proc == nil {
		return 0, nil
	}
	return program.CPUTime(p.proc.PID())
}

// writeFiles fills the peer's folder, for its account alone.
func (p *peer) writeFiles(files map[string]string) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	if p.as == nil {
		return nil
	}
	return filepath.WalkDir(p.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(p.as.Uid), int(p.as.Gid))
	})
}

// enterTree moves the peer's files into the sid tree, where its program is, and returns their folder as the program sees it.
func (w *world) enterTree(p *peer) (inside string, err error) {
	p.chroot = w.o.sidTree
	dir, err := os.MkdirTemp(filepath.Join(p.chroot, "tmp"), "forebay-bench-")
	if err != nil {
		return "", err
	}
	w.temporary = append(w.temporary, dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", err
	}
	p.dir = filepath.Join(dir, p.name)
	return strings.TrimPrefix(p.dir, filepath.Clean(p.chroot)), nil
}

// askVersion runs the peer's program for its version.
func (p *peer) askVersion(path string, args ...string) string {
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.chroot}
	cmd.Dir = "/"
	return program.FirstLine(cmd)
}

func (w *world) prepareHAProxy(p *peer) error {
	path, err := program.Look("haproxy")
	if err != nil {
		return err
	}
	// "HAProxy version 2.6.12-1+deb12u3 2025/..": up to the release.
	words := strings.Fields(program.FirstLine(exec.Command(path, "-v")))
	p.version = strings.Join(words[:min(3, len(words))], " ")
	conf := filepath.Join(p.dir, "haproxy.cfg")
	p.command = func() *exec.Cmd { return exec.Command(path, "-db", "-q", "-f", conf) }
	return p.writeFiles(map[string]string{"haproxy.cfg": fmt.Sprintf(`global
  nbthread 2
  maxconn 9000
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend in
  bind 127.0.0.1:%d backlog 4096
  default_backend database
backend database
  server database 127.0.0.1:%d
`, p.port, w.db.port())})
}
