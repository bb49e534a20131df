//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"forebay/internal/localserver"
	"forebay/test/failover/workload"
	"forebay/test/program"

	"github.com/jackc/pgx/v5/pgconn"
)

// Names of the peers, in the order of the columns.
const (
	direct    = "direct"
	haproxy   = "haproxy"
	pgbouncer = "pgbouncer"
	forebay   = "forebay"
)

var peerNames = []string{direct, haproxy, pgbouncer, forebay}

// peer is one way to reach the set.
type peer struct {
	name    string
	version string
	port    int
	proc    *program.Process // nil for direct
	connect func(ctx context.Context) (workload.Conn, error)
	// promoted is what the script that promotes does for the peer.
	promoted func(ctx context.Context) error

	dir     string
	as      *syscall.Credential
	command func() *exec.Cmd
}

func (w *world) newPeer(ctx context.Context, name string) (*peer, error) {
	p := &peer{name: name, promoted: func(context.Context) error { return nil }}
	if name == direct {
		p.connect = w.set.dialAny
		return p, nil
	}
	var err error
	if p.dir, err = os.MkdirTemp(w.dir, name+"-"); err != nil {
		return nil, err
	}
	if p.port, err = localserver.FreePort(); err != nil {
		return nil, err
	}
	p.connect = func(ctx context.Context) (workload.Conn, error) { return w.set.dial(ctx, p.port) }
	prepare := map[string]func(*peer) error{haproxy: w.prepareHAProxy, pgbouncer: w.preparePgBouncer, forebay: w.prepareForebay}[name]
	if err := prepare(p); err != nil {
		return nil, err
	}
	if p.proc, err = program.Start(p.command(), filepath.Join(w.dir, name+".log"), p.as, ""); err != nil {
		return nil, err
	}
	if err := w.awaitLogin(ctx, p); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// awaitLogin returns when clients can write through the peer. A few in a row: HAProxy takes each server for the primary
// until it has asked.
func (w *world) awaitLogin(ctx context.Context, p *peer) error {
	ctx, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	for good := 0; good < 4; {
		err := w.tryLogin(ctx, p)
		if err == nil {
			good++
			continue
		}
		if good = 0; !p.proc.Alive() || ctx.Err() != nil {
			return fmt.Errorf("%s lets nobody in: %w: %s", p.name, err, p.proc.Tail())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

func (w *world) tryLogin(ctx context.Context, p *peer) error {
	if err := program.CheckListeners(p.proc.PID(), p.port); err != nil {
		return err
	}
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if !w.set.takesWrites(ctx, c) {
		return errors.New("it leads to a server that takes no writes")
	}
	return nil
}

func (p *peer) stop() {
	if p.proc != nil {
		p.proc.Stop()
	}
}

func (p *peer) check() error {
	if p.proc != nil && !p.proc.Alive() {
		return fmt.Errorf("%s has ended (%v): %s", p.name, p.proc.State(), p.proc.Tail())
	}
	return nil
}

// write makes a file of the peer's, for its account alone.
func (p *peer) write(name, content string) error {
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	if p.as == nil {
		return nil
	}
	for _, own := range []string{p.dir, path} {
		if err := os.Chown(own, int(p.as.Uid), int(p.as.Gid)); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) prepareHAProxy(p *peer) error {
	path, err := program.Look("haproxy")
	if err != nil {
		return err
	}
	// "HAProxy version 2.6.12-1+deb12u3 2025/..": up to the release.
	words := strings.Fields(program.FirstLine(exec.Command(path, "-v")))
	p.version = strings.Join(words[:min(3, len(words))], " ")
	p.command = func() *exec.Cmd { return exec.Command(path, "-db", "-q", "-f", filepath.Join(p.dir, "haproxy.cfg")) }
	var servers strings.Builder
	for i, addr := range w.health.addrs {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		fmt.Fprintf(&servers, "  server db%d 127.0.0.1:%d check port %s\n", i, w.set.port(i), port)
	}
	return p.write("haproxy.cfg", fmt.Sprintf(`global
  nbthread 2
  maxconn 2000
defaults
  mode tcp
  timeout connect 5s
  timeout check 2s
  option redispatch 1
  timeout client 1h
  timeout server 1h
frontend in
  bind 127.0.0.1:%d backlog 4096
  default_backend database
backend database
  option httpchk GET /
  http-check expect status 200
  default-server inter 500ms fastinter 100ms downinter 100ms fall 2 rise 1 on-marked-down shutdown-sessions
%s`, p.port, servers.String()))
}

func (w *world) preparePgBouncer(p *peer) error {
	path, err := program.Look("pgbouncer")
	if err != nil {
		return err
	}
	if p.as, err = program.Account("/", "postgres"); err != nil {
		return err
	}
	p.version = program.FirstLine(exec.Command(path, "--version"))
	p.command = func() *exec.Cmd { return exec.Command(path, filepath.Join(p.dir, "pgbouncer.ini")) }
	p.promoted = func(ctx context.Context) error {
		if err := w.writePgBouncer(p); err != nil {
			return err
		}
		return w.tellPgBouncer(ctx, p, "RELOAD", "RECONNECT")
	}
	if err := p.write("users.txt", fmt.Sprintf("%q %q\n", userName, w.set.password())); err != nil {
		return err
	}
	return w.writePgBouncer(p)
}

// writePgBouncer has PgBouncer's configuration name the primary.
func (w *world) writePgBouncer(p *peer) error {
	return p.write("pgbouncer.ini", fmt.Sprintf(`[databases]
%s = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
listen_backlog = 4096
unix_socket_dir =
pool_mode = transaction
default_pool_size = %d
max_client_conn = 2000
auth_type = md5
auth_file = %s
admin_users = %s
server_login_retry = 0.2
log_connections = 0
log_disconnections = 0
`, databaseName, w.set.port(w.set.primary()), p.port, poolSize, filepath.Join(p.dir, "users.txt"), userName))
}

// tellPgBouncer runs commands in its console.
func (w *world) tellPgBouncer(ctx context.Context, p *peer, commands ...string) error {
	ctx, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	c, err := pgconn.Connect(ctx, fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=pgbouncer sslmode=disable", p.port, userName, w.set.password()))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, cmd := range commands {
		if _, err := c.Exec(ctx, cmd).ReadAll(); err != nil {
			return fmt.Errorf("%s: %w", cmd, err)
		}
	}
	return nil
}

func (w *world) prepareForebay(p *peer) error {
	path, err := filepath.Abs(w.o.forebay)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("no binary: run make build: %w", err)
	}
	p.version = program.FirstLine(exec.Command(path, "version"))
	admin, err := localserver.FreePort()
	if err != nil {
		return err
	}
	secret, err := json.Marshal(map[string]string{"username": userName, "password": w.set.password()})
	if err != nil {
		return err
	}
	family, auth := w.set.forebay()
	p.command = func() *exec.Cmd { return exec.Command(path, "serve", "--config", filepath.Join(p.dir, "forebay.yaml")) }
	if err := p.write("bench.json", string(secret)); err != nil {
		return err
	}
	return p.write("forebay.yaml", fmt.Sprintf(`log: {level: warn}
admin: {listen: "127.0.0.1:%d"}
drain_timeout: 1s
secrets:
  - {name: bench, file: bench.json}
proxies:
  - name: bench
    engine_family: %s
    endpoints: [{listen: "127.0.0.1:%d"}]
    auth: [{secret: bench, client_password_auth_type: %s}]
    target:
      cluster: bench
      tls: {mode: disable}
      members: [{host: 127.0.0.1, port: %d}, {host: 127.0.0.1, port: %d}]
    connection_pool:
      max_connections: %d
      max_connections_percent: 100
      max_idle_connections_percent: 100
`, admin, family, p.port, auth, w.set.port(0), w.set.port(1), poolSize))
}
