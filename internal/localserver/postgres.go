package localserver

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	instance
	options  PostgresOptions // fixed once started
	password string          // of the superuser postgres; fixed once started
	source   string          // guarded by mu: whom it streams from while it is a standby, as libpq reads it
}

// StartPostgres makes a new, empty server with the superuser postgres and returns once it answers. The caller must
// Stop it. With no PostgreSQL on the machine the error wraps ErrNotInstalled. The server lives on after ctx ends.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	in, err := postgresKind.choose(o.BinDir, o.Chroot)
	if err != nil {
		return nil, err
	}
	p := &Postgres{options: o}
	p.program = p
	if err := p.open(in, place{dir: o.Dir, port: o.Port, tls: o.TLS}); err != nil {
		return nil, fmt.Errorf("%s: %w", in, err)
	}
	if err := p.provision(ctx); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w", in, err)
	}
	return p, nil
}

// provision fills the instance's folder, starts the server and gives the superuser its own password.
func (p *Postgres) provision(ctx context.Context) error {
	initial, err := p.makeDataDir(func(password string) error { return p.initdb(ctx, password) })
	if err != nil {
		return err
	}
	p.password = initial
	if err := p.writeHBA(); err != nil {
		return err
	}
	for name, content := range p.options.Files {
		if err := os.WriteFile(p.path("data", name), content, 0o600); err != nil {
			return err
		}
	}
	if p.tls {
		if err := WriteCertificate(p.path("data")); err != nil {
			return err
		}
	}
	if err := p.startFirst(ctx); err != nil {
		return err
	}
	own := RandomWord(24)
	if err := p.Exec(ctx, "ALTER ROLE postgres PASSWORD "+quoteLiteral(own)); err != nil {
		return err
	}
	p.password = own
	return nil
}

// initdb makes the data directory.
func (p *Postgres) initdb(ctx context.Context, password string) error {
	pwfile := p.path("initdb.password")
	if err := os.WriteFile(pwfile, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(pwfile)
	if err := p.account.own(pwfile); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + p.inside(p.path("data")),
		"--username=postgres", "--pwfile=" + p.inside(pwfile), "--auth=scram-sha-256",
		"--encoding=UTF8", "--no-locale", "--no-sync",
	}
	if p.install.Major >= 11 {
		args = append(args, "--wal-segsize=1") // MiB; a copy is then 15 MiB smaller
	}
	return p.runTool(ctx, filepath.Join(p.install.BinDir, "initdb"), args...)
}

// command implements program.
func (p *Postgres) command() *exec.Cmd {
	return exec.Command(filepath.Join(p.install.BinDir, "postgres"), "-D", p.inside(p.path("data")))
}

// ping implements program.
func (p *Postgres) ping(ctx context.Context) error {
	conn, err := p.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// whyEnded implements program.
func (p *Postgres) whyEnded(log string) error {
	switch {
	case strings.Contains(log, "could not bind"):
		return errPortTaken
	case strings.Contains(log, "pre-existing shared memory block"):
		return errStillThere
	}
	return nil
}

// Password returns the password of the superuser postgres.
func (p *Postgres) Password() string { return p.password }

// SocketDir returns the folder of the server's Unix socket.
func (p *Postgres) SocketDir() string { return p.base }

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
