//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"forebay/internal/localserver"
)

// Names of the peers, in the order of the first round and of the columns.
const (
	direct    = "direct"
	haproxy   = "haproxy"
	pgbouncer = "pgbouncer"
	forebay   = "forebay"
)

var peerNames = []string{direct, haproxy, pgbouncer, forebay}

// peer is one way to reach the database.
type peer struct {
	name    string
	port    int
	version string
	proc    *process // nil for direct
	admin   string   // Forebay's admin address
	noNames bool     // prepared statements cannot be used: PgBouncer before 1.21

	command func() *exec.Cmd
	as      *syscall.Credential
	chroot  string
	dir     string // its files, seen from outside a chroot
}

// pools reports whether many clients share few server connections. The others are bounded by the database's limit.
func (p *peer) pools() bool { return p.name == pgbouncer || p.name == forebay }

func (w *world) newPeer(name string) (*peer, error) {
	if name == direct {
		return &peer{name: name, port: w.pg.Port(), version: "PostgreSQL " + w.pg.Version().Version}, nil
	}
	port, err := localserver.FreePort()
	if err != nil {
		return nil, err
	}
	p := &peer{name: name, port: port, dir: filepath.Join(w.dir, name)}
	switch name {
	case haproxy:
		err = w.prepareHAProxy(p)
	case pgbouncer:
		err = w.preparePgBouncer(p)
	case forebay:
		err = w.prepareForebay(p)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, p.start()
}

// start starts the proxy and waits until it listens.
func (p *peer) start() error {
	proc, err := startProcess(p.command(), filepath.Join(filepath.Dir(p.dir), p.name+".log"), p.as, p.chroot)
	if err != nil {
		return err
	}
	p.proc = proc
	for range 500 {
		if !proc.alive() {
			return fmt.Errorf("%s ended at once: %s", p.name, proc.tail())
		}
		if err = checkListeners(proc.pid(), p.port); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	proc.stop()
	return fmt.Errorf("%s: %w: %s", p.name, err, proc.tail())
}

// restart gives a process that nothing has happened to yet.
func (p *peer) restart() error {
	p.proc.stop()
	return p.start()
}

func (p *peer) stop() {
	if p.proc != nil {
		p.proc.stop()
	}
}

// check is made before each measurement.
func (p *peer) check() error {
	if p.proc == nil {
		return nil
	}
	if !p.proc.alive() {
		return fmt.Errorf("%s has ended (%v): %s", p.name, p.proc.cmd.ProcessState, p.proc.tail())
	}
	return checkListeners(p.proc.pid(), p.port)
}

// cpu is the CPU time the proxy has used so far; 0 where there is none.
func (p *peer) cpu() (time.Duration, error) {
	if p.proc == nil {
		return 0, nil
	}
	return cpuTime(p.proc.pid())
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

func lookProgram(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: run scripts/install-servers %s", name, name)
}

// firstLine runs a program for its version.
func firstLine(cmd *exec.Cmd) string {
	out, err := cmd.Output()
	if err != nil {
		return "version unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

func (w *world) prepareHAProxy(p *peer) error {
	path, err := lookProgram("haproxy")
	if err != nil {
		return err
	}
	// "HAProxy version 2.6.12-1+deb12u3 2025/..": up to the release.
	words := strings.Fields(firstLine(exec.Command(path, "-v")))
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
`, p.port, w.pg.Port())})
}

func (w *world) preparePgBouncer(p *peer) error {
	path, inside := "", p.dir
	if w.o.sidTree != "" {
		p.chroot = w.o.sidTree
		dir, err := os.MkdirTemp(filepath.Join(p.chroot, "tmp"), "forebay-bench-")
		if err != nil {
			return err
		}
		w.temporary = append(w.temporary, dir)
		if err := os.Chmod(dir, 0o711); err != nil {
			return err
		}
		p.dir = filepath.Join(dir, "pgbouncer")
		path, inside = "/usr/sbin/pgbouncer", strings.TrimPrefix(p.dir, filepath.Clean(p.chroot))
	} else {
		var err error
		if path, err = lookProgram("pgbouncer"); err != nil {
			return err
		}
	}
	var err error
	if p.as, err = account(p.chroot); err != nil {
		return err
	}
	version := exec.Command(path, "--version")
	version.SysProcAttr = &syscall.SysProcAttr{Chroot: p.chroot}
	p.version = firstLine(version)
	p.command = func() *exec.Cmd {
		cmd := exec.Command(path, filepath.Join(inside, "pgbouncer.ini"))
		cmd.Dir = inside
		return cmd
	}
	prepared := "max_prepared_statements = 200\n"
	var major, minor int
	if _, err := fmt.Sscanf(p.version, "PgBouncer %d.%d", &major, &minor); err == nil && major == 1 && minor < 21 {
		p.noNames, prepared = true, ""
	}
	// The verifiers as the database has them: from a plain password PgBouncer would derive one for each log-in.
	var users strings.Builder
	for _, u := range []user{w.scram, w.md5} {
		fmt.Fprintf(&users, "%q %q\n", u.name, u.stored)
	}
	return p.writeFiles(map[string]string{
		"users.txt": users.String(), "server.crt": w.cert, "server.key": w.key,
		"pgbouncer.ini": fmt.Sprintf(`[databases]
%s = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
listen_backlog = 4096
unix_socket_dir =
pool_mode = transaction
default_pool_size = %d
max_client_conn = 12000
%sauth_type = md5
auth_file = %s/users.txt
client_tls_sslmode = prefer
client_tls_cert_file = %s/server.crt
client_tls_key_file = %s/server.key
client_tls_ca_file = %s/server.crt
server_tls_sslmode = disable
log_connections = 0
log_disconnections = 0
`, database, w.pg.Port(), p.port, poolSize, prepared, inside, inside, inside, inside),
	})
}

func (w *world) prepareForebay(p *peer) error {
	if _, err := os.Stat(w.o.forebay); err != nil {
		return errors.New("no binary: run make build")
	}
	path, err := filepath.Abs(w.o.forebay)
	if err != nil {
		return err
	}
	p.version = firstLine(exec.Command(path, "version"))
	port, err := localserver.FreePort()
	if err != nil {
		return err
	}
	p.admin = fmt.Sprintf("127.0.0.1:%d", port)
	level := "warn"
	if w.o.pprof != "" {
		level = "debug" // serves profiles
	}
	files := map[string]string{"server.crt": w.cert, "server.key": w.key}
	for _, u := range []user{w.scram, w.md5} {
		b, err := json.Marshal(map[string]string{"username": u.name, "password": u.password})
		if err != nil {
			return err
		}
		files[u.name+".json"] = string(b)
	}
	files["forebay.yaml"] = fmt.Sprintf(`log: {level: %s}
admin: {listen: "%s"}
drain_timeout: 1s
secrets:
  - {name: scram, file: %s.json}
  - {name: md5, file: %s.json}
proxies:
  - name: bench
    engine_family: POSTGRESQL
    endpoints: [{listen: "127.0.0.1:%d"}]
    tls: {cert_file: server.crt, key_file: server.key}
    auth:
      - {secret: scram, client_password_auth_type: POSTGRES_SCRAM_SHA_256}
      - {secret: md5, client_password_auth_type: POSTGRES_MD5}
    target: {host: 127.0.0.1, port: %d, tls: {mode: disable}}
    connection_pool:
      max_connections: %d
      max_connections_percent: 100
      max_idle_connections_percent: 100
`, level, p.admin, w.scram.name, w.md5.name, p.port, w.pg.Port(), poolSize)
	conf := filepath.Join(p.dir, "forebay.yaml")
	p.command = func() *exec.Cmd { return exec.Command(path, "serve", "--config", conf) }
	return p.writeFiles(files)
}
