package localserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// PostgresOptions say what StartPostgres starts. The zero value is a good server.
type PostgresOptions struct {
	BinDir         string            // folder with postgres and initdb; "": the newest that FindPostgres finds
	MaxConnections int               // the server's max_connections; 0: the server's default
	Settings       map[string]string // further lines of postgresql.conf; they win over ours
	Files          map[string][]byte // further files of the data directory, for settings that name a file
	HBA            []string          // lines of pg_hba.conf for TCP, tried before ours (SCRAM for all but users with an MD5 password)
	TLS            bool              // offer TLS with a self-signed certificate, see CAFile
	Port           int               // TCP port on 127.0.0.1; 0: a free one
	Dir            string            // folder in which the instance makes its own; "": the temporary folder
	Chroot         string            // root of another system's tree to run in (SidTree), BinDir being inside; needs root
}

// Postgres is a private PostgreSQL server. Its methods may be called from several goroutines.
type Postgres struct {
	// Fixed once started.
	install  Install
	base     string // all the instance's files, seen from outside a chroot
	chroot   string
	port     int
	password string // of the superuser postgres
	account  account
	tls      bool
	watchdog *watchdog

	mu      sync.Mutex // guards the fields below, and is held while the server starts or stops
	process *process   // nil: not running
	stopped bool       // Stop was called; nothing starts any more
}

// StartPostgres makes a new, empty server with the superuser postgres and returns once it answers. The caller must
// Stop it. With no PostgreSQL on the machine the error wraps ErrNotInstalled. The server lives on after ctx ends.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	in, err := chooseInstall(o)
	if err != nil {
		return nil, err
	}
	o.Chroot = in.Chroot
	a, err := serverAccount(o.Chroot)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	base, err := makeBase(o, a)
	if err != nil {
		return nil, err
	}
	p := &Postgres{install: in, base: base, chroot: o.Chroot, account: a, tls: o.TLS, port: o.Port}
	if p.watchdog, err = startWatchdog(base, p.path("data", "postmaster.pid")); err != nil {
		os.RemoveAll(base)
		return nil, err
	}
	if err := p.provision(ctx, o); err != nil {
		p.Stop()
		return nil, fmt.Errorf("PostgreSQL %s: %w", in.Version, err)
	}
	return p, nil
}

func chooseInstall(o PostgresOptions) (Install, error) {
	if o.Chroot != "" {
		var err error
		if o.Chroot, err = filepath.Abs(o.Chroot); err != nil {
			return Install{}, err
		}
	}
	if o.BinDir != "" {
		return probePostgres(o.BinDir, o.Chroot)
	}
	if o.Chroot != "" {
		all, err := treePostgres(o.Chroot)
		if err != nil {
			return Install{}, err
		}
		return all[0], nil
	}
	all, err := FindPostgres()
	if err != nil {
		return Install{}, err
	}
	return all[0], nil
}

// maxSocketPath is the longest path of a Unix socket in bytes, on the strictest system (macOS), without its final 0.
const maxSocketPath = 103

// makeBase makes the instance's folder.
func makeBase(o PostgresOptions, a account) (string, error) {
	parent := o.Dir
	switch {
	case parent != "":
	case o.Chroot != "":
		parent = filepath.Join(o.Chroot, "tmp")
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
	base, err := os.MkdirTemp(parent, "forebay-pg-")
	if err != nil {
		return "", fmt.Errorf("PostgreSQL: make its folder: %w", err)
	}
	if len(base)+len("/.s.PGSQL.65535") > maxSocketPath {
		os.Remove(base)
		return "", fmt.Errorf("PostgreSQL: the path %s is too long to hold a Unix socket", base)
	}
	if err := a.own(base); err != nil {
		os.Remove(base)
		return "", err
	}
	return base, nil
}

// provision fills the instance's folder, starts the server and gives the superuser its own password.
func (p *Postgres) provision(ctx context.Context, o PostgresOptions) error {
	initial, err := makeDataDir(ctx, p.install, p.account, p.chroot, p.base)
	if err != nil {
		return err
	}
	p.password = initial
	if err := p.writeHBA(o); err != nil {
		return err
	}
	for name, content := range o.Files {
		if err := os.WriteFile(p.path("data", name), content, 0o600); err != nil {
			return err
		}
	}
	if o.TLS {
		if err := writeCertificate(p.path("data")); err != nil {
			return err
		}
	}
	if err := p.startOnPort(ctx, o); err != nil {
		return err
	}
	own := RandomWord(24)
	if err := p.Exec(ctx, "ALTER ROLE postgres PASSWORD "+quoteLiteral(own)); err != nil {
		return err
	}
	p.password = own
	return nil
}

// startOnPort starts the server. If the port was to be free and somebody took it, it tries another one.
func (p *Postgres) startOnPort(ctx context.Context, o PostgresOptions) error {
	const tries = 10
	for try := 1; ; try++ {
		if o.Port == 0 {
			var err error
			if p.port, err = FreePort(); err != nil {
				return err
			}
		}
		if err := p.writeSettings(o); err != nil {
			return err
		}
		if err := p.account.own(p.base); err != nil {
			return err
		}
		p.mu.Lock()
		err := p.startLocked(ctx)
		p.mu.Unlock()
		if err == nil || o.Port != 0 || try == tries || !errors.Is(err, errPortTaken) {
			return err
		}
	}
}

// errPortTaken means that the server could not listen on its port.
var errPortTaken = errors.New("the port is taken")

// errStillThere means that a process of the server's last run is still there.
var errStillThere = errors.New("the last run has not ended")

// startLocked starts the server program and waits until it answers.
func (p *Postgres) startLocked(ctx context.Context) error {
	if p.stopped {
		return errors.New("the server was stopped for good")
	}
	logFile, err := os.OpenFile(p.path("log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	cmd := exec.Command(filepath.Join(p.install.BinDir, "postgres"), "-D", p.inside(p.path("data")))
	cmd.Env, cmd.Dir = serverEnv(), p.inside(p.base)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = serverAttr(p.account, p.chroot)
	proc, err := startProcess(cmd)
	if err != nil {
		return err
	}
	if err := p.awaitReady(ctx, proc); err != nil {
		proc.killTree()
		<-proc.done
		return err
	}
	p.process = proc
	return nil
}

// awaitReady returns when the server has answered a log-in.
func (p *Postgres) awaitReady(ctx context.Context, proc *process) error {
	const limit = 60 * time.Second // crash recovery on a busy machine takes its time
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	wait := 5 * time.Millisecond
	for {
		conn, err := p.connect(ctx, "postgres")
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-proc.done:
			log := p.Log()
			if strings.Contains(log, "could not bind") {
				return fmt.Errorf("%w: %s", errPortTaken, log)
			}
			if strings.Contains(log, "pre-existing shared memory block") {
				return fmt.Errorf("%w: %s", errStillThere, log)
			}
			return fmt.Errorf("the server ended at once (%v): %s", proc.err, log)
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w (%w): %s", ctx.Err(), err, p.Log())
		case <-time.After(wait):
			wait = min(2*wait, 100*time.Millisecond)
		}
	}
}

// Restart stops the server, closing all its connections, and starts it again on the same port. It also starts one
// that was killed.
func (p *Postgres) Restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked()
	for try := 1; ; try++ {
		err := p.startLocked(ctx)
		// The children of a killed server take a moment to go.
		if errors.Is(err, errStillThere) && try < 100 && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if err != nil {
			return fmt.Errorf("PostgreSQL %s: restart: %w", p.install.Version, err)
		}
		return nil
	}
}

// Kill ends the server at once, as a crash would: clients see their connections break without a word. Restart brings
// the server back.
func (p *Postgres) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != nil {
		p.process.killTree()
		<-p.process.done
		p.process = nil
	}
}

// Stop ends the server and removes its files. It may be called more than once.
func (p *Postgres) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.stopped = true
	p.endLocked()
	// A child of a killed server may write its last file while we remove the folder.
	for range 50 {
		if os.RemoveAll(p.base) == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.watchdog.dismiss()
}

// endLocked shuts the server down: first with a word to its clients, then, if that takes too long, without.
func (p *Postgres) endLocked() {
	if p.process == nil {
		return
	}
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		p.process.signal(s)
		select {
		case <-p.process.done:
			p.process = nil
			return
		case <-time.After(10 * time.Second):
		}
	}
	p.process.killTree()
	<-p.process.done
	p.process = nil
}

// Host returns the address of the server's TCP port, 127.0.0.1.
func (p *Postgres) Host() string { return "127.0.0.1" }

// Port returns the server's TCP port.
func (p *Postgres) Port() int { return p.port }

// Addr returns "host:port".
func (p *Postgres) Addr() string { return net.JoinHostPort(p.Host(), strconv.Itoa(p.port)) }

// Password returns the password of the superuser postgres.
func (p *Postgres) Password() string { return p.password }

// SocketDir returns the folder of the server's Unix socket.
func (p *Postgres) SocketDir() string { return p.base }

// CAFile returns the file with the certificate to trust, "" for a server without TLS.
func (p *Postgres) CAFile() string {
	if !p.tls {
		return ""
	}
	return p.path("data", "server.crt")
}

// Version returns what is running.
func (p *Postgres) Version() Install { return p.install }

// PID returns the process identifier of the server, 0 if it is not running.
func (p *Postgres) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return 0
	}
	return p.process.cmd.Process.Pid
}

// DSN returns a connection URL over TCP. Without TLS it says sslmode=disable, with TLS sslmode=require.
func (p *Postgres) DSN(user, database, password string) string {
	mode := "disable"
	if p.tls {
		mode = "require"
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: p.Addr(), Path: "/" + database,
		RawQuery: "sslmode=" + mode,
	}
	return u.String()
}

// SuperDSN returns a connection URL for the superuser postgres.
func (p *Postgres) SuperDSN(database string) string { return p.DSN("postgres", database, p.password) }

// Log returns the end of the server's log since its last start.
func (p *Postgres) Log() string {
	b, err := os.ReadFile(p.path("log"))
	if err != nil {
		return ""
	}
	return tail(b)
}

// path names a file of the instance, seen from outside the chroot.
func (p *Postgres) path(elem ...string) string {
	return filepath.Join(append([]string{p.base}, elem...)...)
}

// inside names a file as the server sees it.
func (p *Postgres) inside(path string) string {
	if p.chroot == "" {
		return path
	}
	return strings.TrimPrefix(path, p.chroot)
}
