//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"forebay/internal/localserver"
)

const (
	database       = "bench"
	poolSize       = 20
	maxConnections = 400 // of the database
)

// user is an account of the database.
type user struct {
	name, password string
	stored         string // the password as the database keeps it
}

// world is the database and all proxies in front of it.
type world struct {
	o         options
	dir       string
	temporary []string // further folders to remove
	pg        *localserver.Postgres
	pgbench   string
	cert, key string // PEM, the same for all

	// libpq derives its keys anew for each SCRAM log-in, 12 ms of CPU time. Where log-ins are not what is measured, the
	// clients use a user with an MD5 password.
	scram, md5 user

	peers []*peer // as asked for
}

// newWorld starts everything. On an error what was started is stopped.
func newWorld(ctx context.Context, o options) (*world, error) {
	w := &world{o: o}
	if err := w.open(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) open(ctx context.Context) (err error) {
	if err := raiseDescriptorLimit(); err != nil {
		return err
	}
	if w.dir, err = os.MkdirTemp("", "forebay-bench-"); err != nil {
		return err
	}
	if err := os.Chmod(w.dir, 0o711); err != nil { // for the accounts of servers
		return err
	}
	if err := w.startPostgres(ctx); err != nil {
		return err
	}
	for _, name := range w.o.peers {
		p, err := w.newPeer(name)
		if p != nil {
			w.peers = append(w.peers, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// close stops and removes everything. The proxies first, so that the database has no clients left.
func (w *world) close() {
	for _, p := range w.peers {
		p.stop()
	}
	if w.pg != nil {
		w.pg.Stop()
	}
	for _, dir := range append(w.temporary, w.dir) {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
}

// raiseDescriptorLimit is for us and the proxies: 10,000 clients need as many descriptors on either side.
func raiseDescriptorLimit() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}

func (w *world) startPostgres(ctx context.Context) error {
	pg, err := localserver.StartPostgres(ctx, localserver.PostgresOptions{MaxConnections: maxConnections, TLS: true})
	if err != nil {
		return err
	}
	w.pg = pg
	cert, err := os.ReadFile(pg.CAFile())
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(filepath.Dir(pg.CAFile()), "server.key"))
	if err != nil {
		return err
	}
	w.cert, w.key = string(cert), string(key)
	for _, u := range []struct {
		to   *user
		name string
		md5  bool
	}{{&w.scram, "bench", false}, {&w.md5, "quick", true}} {
		*u.to = user{name: u.name, password: localserver.RandomWord(20)}
		if err := pg.CreateUser(ctx, localserver.User{Name: u.name, Password: u.to.password, MD5: u.md5}); err != nil {
			return err
		}
		rows, err := pg.Query(ctx, "postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = '"+u.name+"'")
		if err != nil || len(rows) != 1 {
			return fmt.Errorf("read the verifier of %s: %d rows, %w", u.name, len(rows), err)
		}
		u.to.stored = rows[0][0]
	}
	if err := pg.CreateDatabase(ctx, database, w.scram.name); err != nil {
		return err
	}
	w.pgbench = filepath.Join(pg.Version().BinDir, "pgbench")
	if _, err := os.Stat(w.pgbench); err != nil {
		if w.pgbench, err = exec.LookPath("pgbench"); err != nil {
			return err
		}
	}
	fill := w.libpqCommand(ctx, w.scram, pg.Port(), false, "-i", "-q", "-s", strconv.Itoa(w.o.scale))
	if out, err := fill.CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w: %s", err, out)
	}
	for _, sql := range []string{"GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + w.md5.name, "VACUUM ANALYZE", "CHECKPOINT"} {
		if err := pg.ExecIn(ctx, database, sql); err != nil {
			return err
		}
	}
	return nil
}

// libpqCommand is a run of pgbench. The password is in the environment: arguments are for all to see. The TLS mode is
// always said, since libpq takes TLS where it can ("prefer").
func (w *world) libpqCommand(ctx context.Context, u user, port int, tls bool, args ...string) *exec.Cmd {
	mode := "disable"
	if tls {
		mode = "require"
	}
	cmd := exec.CommandContext(ctx, w.pgbench, append(args, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", u.name, database)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+u.password, "PGSSLMODE="+mode, "PGGSSENCMODE=disable", "LC_ALL=C")
	return cmd
}
