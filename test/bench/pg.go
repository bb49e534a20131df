//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"forebay/internal/localserver"
	"forebay/internal/storm"
)

var postgresEngine = engine{
	name:      "postgresql",
	peers:     []string{direct, haproxy, pgbouncer, forebay},
	rivals:    []string{pgbouncer, haproxy},
	scenarios: pgScenarios,
	targets:   pgTargets,
	open:      startPostgres,
}

// postgres is the private PostgreSQL.
type postgres struct {
	*localserver.Postgres
	pgbench string // the program
	scale   int

	// libpq derives its keys anew for each SCRAM log-in, 12 ms of CPU time. Where log-ins are not what is measured, the
	// clients use a user with an MD5 password.
	scram, md5 user
}

func startPostgres(ctx context.Context, w *world) (database, error) {
	pg, err := localserver.StartPostgres(ctx, localserver.PostgresOptions{MaxConnections: maxConnections, TLS: true})
	if err != nil {
		return nil, err
	}
	p := &postgres{Postgres: pg, scale: w.o.scale}
	w.pg = p
	return p, p.fill(ctx)
}

// fill makes the accounts and pgbench's tables.
func (p *postgres) fill(ctx context.Context) error {
	for _, u := range []struct {
		to   *user
		name string
		md5  bool
	}{{&p.scram, "bench", false}, {&p.md5, "quick", true}} {
		*u.to = user{name: u.name, password: localserver.RandomWord(20)}
		if err := p.CreateUser(ctx, localserver.User{Name: u.name, Password: u.to.password, MD5: u.md5}); err != nil {
			return err
		}
		rows, err := p.Query(ctx, "postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = '"+u.name+"'")
		if err != nil || len(rows) != 1 {
			return fmt.Errorf("read the verifier of %s: %d rows, %w", u.name, len(rows), err)
		}
		u.to.stored = rows[0][0]
	}
	if err := p.CreateDatabase(ctx, databaseName, p.scram.name); err != nil {
		return err
	}
	p.pgbench = filepath.Join(p.Version().BinDir, "pgbench")
	if _, err := os.Stat(p.pgbench); err != nil {
		if p.pgbench, err = exec.LookPath("pgbench"); err != nil {
			return err
		}
	}
	fill := p.libpqCommand(ctx, p.scram, p.Port(), false, "-i", "-q", "-s", strconv.Itoa(p.scale))
	if out, err := fill.CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w: %s", err, out)
	}
	for _, sql := range []string{"GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + p.md5.name, "VACUUM ANALYZE", "CHECKPOINT"} {
		if err := p.ExecIn(ctx, databaseName, sql); err != nil {
			return err
		}
	}
	return nil
}

func (p *postgres) port() int        { return p.Port() }
func (p *postgres) product() string  { return p.Version().String() }
func (p *postgres) contents() string { return fmt.Sprintf("pgbench scale %d", p.scale) }
func (p *postgres) caFile() string   { return p.CAFile() }
func (p *postgres) family() string   { return "POSTGRESQL" }
func (p *postgres) stop()            { p.Stop() }

func (p *postgres) logins() []login {
	return []login{{p.scram, "POSTGRES_SCRAM_SHA_256"}, {p.md5, "POSTGRES_MD5"}}
}

// protocol implements database: a client that derives its SCRAM keys once for all connections.
func (p *postgres) protocol(port int, encrypted bool) (storm.Protocol, error) {
	t := storm.Target{Addr: fmt.Sprintf("127.0.0.1:%d", port), User: p.scram.name, Password: p.scram.password, Database: databaseName}
	if encrypted {
		t.TLS, t.TLSMust = clientTLS("postgresql"), true
	}
	return storm.NewPostgres(t)
}

// libpqCommand is a run of pgbench. The password is in the environment: arguments are for all to see. The TLS mode is
// always said, since libpq takes TLS where it can ("prefer").
func (p *postgres) libpqCommand(ctx context.Context, u user, port int, tls bool, args ...string) *exec.Cmd {
	mode := "disable"
	if tls {
		mode = "require"
	}
	cmd := exec.CommandContext(ctx, p.pgbench, append(args, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", u.name, databaseName)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+u.password, "PGSSLMODE="+mode, "PGGSSENCMODE=disable", "LC_ALL=C")
	return cmd
}
