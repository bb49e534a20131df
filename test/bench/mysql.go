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
	"forebay/test/program"
)

// mariadbEngine is the system's MariaDB. Whoever logs in does so with mysql_native_password, MariaDB's own choice.
var mariadbEngine = engine{
	name:      "mariadb",
	peers:     []string{direct, haproxy, proxysql, forebay},
	optional:  []string{proxysql},
	rivals:    []string{proxysql, haproxy},
	scenarios: func() []scenario { return mysqlScenarios("mariadb") },
	targets:   mysqlTargets(proxysql, haproxy),
	open: func(ctx context.Context, w *world) (database, error) {
		return startMySQL(ctx, w, localserver.MySQLOptions{}, "mysql_native_password", "MYSQL_NATIVE_PASSWORD")
	},
}

// mysql9Engine is the sid tree's MySQL, the only one that MySQL Router shares connections of: it needs the server's session
// tracking, which MariaDB has not all of. Log-ins are by caching_sha2_password, since MySQL 9 has no other.
var mysql9Engine = engine{
	name:      "mysql9",
	peers:     []string{direct, haproxy, router, proxysql, forebay},
	optional:  []string{proxysql},
	rivals:    []string{router, proxysql, haproxy},
	scenarios: func() []scenario { return mysqlScenarios("mysql9") },
	targets:   mysqlTargets(router, proxysql, haproxy),
	open: func(ctx context.Context, w *world) (database, error) {
		if w.o.sidTree == "" {
			return nil, fmt.Errorf("%w: it is in the Debian sid tree, which scripts/sid-tree makes as root", errNoServer)
		}
		o := localserver.MySQLOptions{Chroot: w.o.sidTree, BinDir: "/opt/mysql/usr/sbin"}
		return startMySQL(ctx, w, o, "caching_sha2_password", "MYSQL_CACHING_SHA2_PASSWORD")
	},
}

// sysbench's tables.
const (
	tables    = 4
	tableRows = 10_000
)

// mysql is the private MariaDB or MySQL.
type mysql struct {
	*localserver.MySQL
	sysbench string // the program
	dir      string // sysbench's files
	user     login
}

func startMySQL(ctx context.Context, w *world, o localserver.MySQLOptions, plugin, authType string) (database, error) {
	o.MaxConnections, o.TLS = maxConnections, true
	m, err := localserver.StartMySQL(ctx, o)
	if err != nil {
		return nil, err
	}
	db := &mysql{
		MySQL: m, dir: filepath.Join(w.dir, "sysbench"),
		user: login{user{name: "bench", password: localserver.RandomWord(20)}, authType},
	}
	w.my = db
	return db, db.fill(ctx, plugin)
}

// fill makes the account and sysbench's tables.
func (m *mysql) fill(ctx context.Context, plugin string) (err error) {
	if m.sysbench, err = program.Look("sysbench"); err != nil {
		return err
	}
	if err := m.writeFiles(); err != nil {
		return err
	}
	if err := m.CreateDatabase(ctx, databaseName); err != nil {
		return err
	}
	u := localserver.MySQLUser{Name: m.user.name, Password: m.user.password, Plugin: plugin, Database: databaseName}
	if err := m.CreateUser(ctx, u); err != nil {
		return err
	}
	if out, err := m.sysbenchCommand(ctx, m.Port(), "oltp_point_select", "--threads=2", "prepare").CombinedOutput(); err != nil {
		return fmt.Errorf("sysbench prepare: %w: %s", err, out)
	}
	for i := range tables {
		if err := m.ExecIn(ctx, databaseName, fmt.Sprintf("ANALYZE TABLE sbtest%d", i+1)); err != nil {
			return err
		}
	}
	return nil
}

// sysbenchConfig holds the password: arguments are for all to see.
const sysbenchConfig = "sysbench.cfg"

// writeFiles makes the folder in which sysbench runs: for TLS it insists on a certificate of its own, under fixed names.
func (m *mysql) writeFiles() error {
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		return err
	}
	server := filepath.Dir(m.CAFile())
	for _, name := range []string{"cacert.pem", "client-cert.pem"} {
		if err := os.Symlink(m.CAFile(), filepath.Join(m.dir, name)); err != nil {
			return err
		}
	}
	if err := os.Symlink(filepath.Join(server, "server.key"), filepath.Join(m.dir, "client-key.pem")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(m.dir, sysbenchConfig), []byte("mysql-password="+m.user.password+"\n"), 0o600)
}

// sysbenchCommand is a run of sysbench, without TLS unless the arguments ask for it.
func (m *mysql) sysbenchCommand(ctx context.Context, port int, args ...string) *exec.Cmd {
	all := []string{
		"--config-file=" + sysbenchConfig, "--mysql-host=127.0.0.1", "--mysql-port=" + strconv.Itoa(port),
		"--mysql-user=" + m.user.name, "--mysql-db=" + databaseName,
		fmt.Sprintf("--tables=%d", tables), fmt.Sprintf("--table-size=%d", tableRows),
	}
	cmd := exec.CommandContext(ctx, m.sysbench, append(all, args...)...)
	cmd.Dir = m.dir
	return cmd
}

func (m *mysql) port() int       { return m.Port() }
func (m *mysql) product() string { return m.Version().String() }
func (m *mysql) caFile() string  { return m.CAFile() }
func (m *mysql) family() string  { return "MYSQL" }
func (m *mysql) stop()           { m.Stop() }
func (m *mysql) logins() []login { return []login{m.user} }

func (m *mysql) contents() string {
	return fmt.Sprintf("%d sysbench tables of %d rows", tables, tableRows)
}

// protocol implements database.
func (m *mysql) protocol(port int, encrypted bool) (storm.Protocol, error) {
	t := storm.Target{
		Engine: storm.EngineMySQL, Addr: fmt.Sprintf("127.0.0.1:%d", port),
		User: m.user.name, Password: m.user.password, Database: databaseName,
	}
	if encrypted {
		t.TLS, t.TLSMust = clientTLS(), true
	}
	return storm.NewProtocol(t)
}
