package localserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// standbySignal is the file in the data directory of a standby that makes it one. A promotion removes it.
const standbySignal = "standby.signal"

// setSettings are for the members of a set: what is committed is sent, enough is kept for a standby that was away, and none
// waits for seconds before it tries again.
var setSettings = map[string]string{
	"synchronous_commit":           "on",
	"wal_keep_size":                "128MB",
	"wal_retrieve_retry_interval":  "100ms",
	"wal_receiver_status_interval": "1s",
}

// StartPostgresSet starts a primary and some standbys that stream from it: the primary comes first. Users, databases and
// certificate are the same on all. The caller must Stop each.
func StartPostgresSet(ctx context.Context, o PostgresOptions, standbys int) ([]*Postgres, error) {
	settings := maps.Clone(setSettings)
	maps.Copy(settings, o.Settings)
	o.Settings = settings
	primary, err := StartPostgres(ctx, o)
	if err != nil {
		return nil, err
	}
	o.Port = 0
	set := make([]*Postgres, 1+standbys)
	set[0] = primary
	errs := make([]error, len(set))
	var all sync.WaitGroup
	for i := range standbys {
		all.Go(func() { set[1+i], errs[1+i] = StartPostgresStandby(ctx, primary, o) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, p := range set {
			if p != nil {
				p.Stop()
			}
		}
		return nil, err
	}
	return set, nil
}

// StartPostgresStandby makes a copy of a running server that streams from it, and returns once it does. Files, HBA and TLS
// are those of the server copied, whatever the options say. The caller must Stop it.
func StartPostgresStandby(ctx context.Context, from *Postgres, o PostgresOptions) (*Postgres, error) {
	o.BinDir, o.Chroot, o.TLS = from.install.BinDir, from.install.Chroot, from.tls
	p := &Postgres{options: o, password: from.password}
	p.program = p
	if err := p.open(from.install, place{dir: o.Dir, port: o.Port, tls: o.TLS}); err != nil {
		return nil, fmt.Errorf("%s: standby: %w", from.install, err)
	}
	err := p.setSource(from)
	if err == nil {
		err = p.baseBackup(ctx, from)
	}
	if err == nil {
		err = p.startFirst(ctx)
	}
	if err == nil {
		err = p.awaitStreaming(ctx)
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: standby: %w", from.install, err)
	}
	return p, nil
}

// Promote makes a standby the primary of a new timeline, and returns when it takes writes.
func (p *Postgres) Promote(ctx context.Context) error {
	rows, err := p.Query(ctx, "postgres", "SELECT pg_promote(true, 60)")
	if err != nil {
		return fmt.Errorf("%s: promote: %w", p.install, err)
	}
	if len(rows) != 1 || rows[0][0] != "t" {
		return fmt.Errorf("%s: promote: not done within a minute: %s", p.install, p.Log())
	}
	return nil
}

// Follow makes the server a standby of another one of its set, and returns once it streams from there. A standby is told so
// and goes on; a server that was a primary, running or not, is copied anew from the other one: what it alone has is lost.
func (p *Postgres) Follow(ctx context.Context, primary *Postgres) error {
	if err := p.follow(ctx, primary); err != nil {
		return fmt.Errorf("%s: follow: %w", p.install, err)
	}
	return nil
}

func (p *Postgres) follow(ctx context.Context, primary *Postgres) error {
	if err := p.setSource(primary); err != nil {
		return err
	}
	if _, err := os.Stat(p.path("data", standbySignal)); err == nil && p.PID() != 0 {
		if err := p.writeSettings(); err != nil {
			return err
		}
		if err := p.account.own(p.path("data", settingsFile)); err != nil {
			return err
		}
		if err := p.Exec(ctx, "SELECT pg_reload_conf()"); err != nil {
			return err
		}
		return p.awaitStreaming(ctx)
	}
	p.mu.Lock()
	p.endLocked()
	err := os.RemoveAll(p.path("data"))
	p.mu.Unlock()
	if err != nil {
		return err
	}
	if err := p.baseBackup(ctx, primary); err != nil {
		return err
	}
	if err := p.writeSettings(); err != nil {
		return err
	}
	if err := p.account.own(p.base); err != nil {
		return err
	}
	if err := p.Restart(ctx); err != nil {
		return err
	}
	return p.awaitStreaming(ctx)
}

// CatchUp returns when a standby has replayed all that the primary has written so far.
func (p *Postgres) CatchUp(ctx context.Context, primary *Postgres) error {
	// The position of a record that is flushed with its commit, and so sent: where the next one would go may lie behind a page's
	// header, and is not reached before there is one.
	rows, err := primary.Query(ctx, "postgres",
		"SET synchronous_commit = local; SELECT pg_logical_emit_message(true, 'forebay', '')")
	if err != nil {
		return fmt.Errorf("%s: catch up: %w", p.install, err)
	}
	if err := p.await(ctx, "SELECT pg_last_wal_replay_lsn() >= "+quoteLiteral(rows[0][0])); err != nil {
		return fmt.Errorf("%s: catch up: %w", p.install, err)
	}
	return nil
}

// passFile holds the password of the superuser, by which a standby streams.
func (p *Postgres) passFile() string { return p.path("pgpass") }

// setSource notes from where the server streams once it is a standby. What names the port is written by writeSettings.
func (p *Postgres) setSource(primary *Postgres) error {
	if err := os.WriteFile(p.passFile(), []byte("*:*:*:postgres:"+primary.password+"\n"), 0o600); err != nil {
		return err
	}
	if err := p.account.own(p.passFile()); err != nil {
		return err
	}
	p.mu.Lock()
	p.source = conninfo("host", primary.Host(), "port", strconv.Itoa(primary.port), "user", "postgres",
		"passfile", p.inside(p.passFile()), "sslmode", "prefer", "application_name", filepath.Base(p.base))
	p.mu.Unlock()
	return nil
}

// baseBackup copies the primary's data directory. The server does not run, and has none.
func (p *Postgres) baseBackup(ctx context.Context, primary *Postgres) error {
	if _, err := os.Stat(filepath.Join(p.install.Chroot, p.install.BinDir, "pg_basebackup")); err != nil {
		return fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	p.mu.Lock()
	source := p.source
	p.mu.Unlock()
	err := p.runTool(ctx, filepath.Join(p.install.BinDir, "pg_basebackup"), "--dbname="+source,
		"--pgdata="+p.inside(p.path("data")), "--checkpoint=fast", "--wal-method=stream", "--no-sync", "--no-manifest", "--no-password")
	if err != nil {
		return fmt.Errorf("copy of %s: %w", primary.Addr(), err)
	}
	return os.WriteFile(p.path("data", standbySignal), nil, 0o600)
}

// awaitStreaming returns when the standby receives from its source, the one it has been told last.
func (p *Postgres) awaitStreaming(ctx context.Context) error {
	p.mu.Lock()
	source := p.source
	p.mu.Unlock()
	port := source[strings.Index(source, "port='")+len("port='"):]
	port = port[:strings.IndexByte(port, '\'')]
	return p.await(ctx, "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming' AND sender_port = "+port+")")
}

// await asks until the answer is yes.
func (p *Postgres) await(ctx context.Context, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		rows, err := p.Query(ctx, "postgres", sql)
		if err != nil {
			return fmt.Errorf("%w: %s", err, p.Log())
		}
		if len(rows) == 1 && rows[0][0] == "t" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s: %s", ctx.Err(), sql, p.Log())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// conninfo writes names and values as libpq reads them.
func conninfo(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "%s='%s' ", pairs[i], strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(pairs[i+1]))
	}
	return strings.TrimSpace(b.String())
}
