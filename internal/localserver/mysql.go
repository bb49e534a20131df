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
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// MySQLOptions say what StartMySQL starts. The zero value is a good server.
type MySQLOptions struct {
	BinDir         string            // folder with mariadbd or mysqld; "": the newest that FindMySQL finds
	MaxConnections int               // the server's max_connections; 0: the server's default
	Settings       map[string]string // further options of the server; they win over ours, under the same name
	TLS            bool              // offer TLS with a self-signed certificate, see CAFile; without it none is offered
	Port           int               // TCP port on 127.0.0.1; 0: a free one
	Dir            string            // folder in which the instance makes its own; "": the temporary folder
	Chroot         string            // root of another system's tree to run in (SidTree), BinDir being inside; needs root
}

// MySQL is a private server, MariaDB's or MySQL's: Version says which. Its methods may be called from several goroutines.
type MySQL struct {
	instance
	options  MySQLOptions // fixed once started
	password string       // of root; fixed before the first start
	// Of a member of a replication set; all but renewals fixed before the first start.
	member     bool                              // others log in to it as replicationUser, with root's password
	adjust     func() (map[string]string, error) // settings that depend on its port, under those of the options; nil: none
	statements []string                          // come before all others at the first start
	renewals   int                               // how often its data directory was made anew; changed by renew alone
}

// The names of files in an instance's folder.
const (
	mysqlSocket   = "mysql.sock"
	mysqlPIDFile  = "pid"
	mysqlConfig   = "my.cnf"
	mysqlInitFile = "init.sql"
)

// StartMySQL makes a new, empty server with the superuser root and returns once it answers. The caller must Stop it.
// With neither MariaDB nor MySQL on the machine the error wraps ErrNotInstalled. The server lives on after ctx ends.
func StartMySQL(ctx context.Context, o MySQLOptions) (*MySQL, error) {
	in, err := mysqlKind.choose(o.BinDir, o.Chroot)
	if err != nil {
		return nil, err
	}
	m := &MySQL{options: o, password: RandomWord(24)}
	if err := m.start(ctx, in); err != nil {
		return nil, err
	}
	return m, nil
}

// start makes the instance's folder, fills it and starts the server. After an error nothing is left of it.
func (m *MySQL) start(ctx context.Context, in Install) error {
	m.program = m
	if err := m.open(in, place{dir: m.options.Dir, port: m.options.Port, tls: m.options.TLS}); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if err := os.Mkdir(m.path("tmp"), 0o700); err != nil {
		m.Stop()
		return err
	}
	if err := m.provision(ctx); err != nil {
		m.Stop()
		return fmt.Errorf("%s: %w", in, err)
	}
	return nil
}

// renew starts the server again with a new data directory, on the same port. It is not for two callers at once.
func (m *MySQL) renew(ctx context.Context) error {
	m.Kill()
	if err := os.RemoveAll(m.path("data")); err != nil {
		return err
	}
	m.renewals++
	return m.provision(ctx)
}

// provision makes the data directory and starts the server.
func (m *MySQL) provision(ctx context.Context) error {
	// In a new data directory root has no password: the server sets it before it lets anybody in.
	if _, err := m.makeDataDir(func(string) error { return m.initialise(ctx) }); err != nil {
		return err
	}
	if m.tls {
		if err := WriteCertificate(m.path("data")); err != nil {
			return err
		}
	}
	if err := os.WriteFile(m.path(mysqlInitFile), []byte(m.firstStatements()), 0o600); err != nil {
		return err
	}
	if err := m.startFirst(ctx); err != nil {
		return err
	}
	return os.Remove(m.path(mysqlInitFile)) // a Restart does without
}

// firstStatements are run by the server before it answers, one on each line. They may run twice.
func (m *MySQL) firstStatements() string {
	password, accounts := quoteMySQL(m.password), "mysql.user"
	if m.install.Product == ProductMariaDB && m.install.AtLeast(10, 4) {
		accounts = "mysql.global_priv"
	}
	statements := append(slices.Clone(m.statements),
		"SET SESSION sql_log_bin = 0", // each server's own
		// MariaDB's accounts for this host's name and without a password, for anybody without a name, and for everybody in
		// databases that are called test-something.
		"DELETE FROM "+accounts+" WHERE User = '' OR User = 'root' AND Host NOT IN ('localhost', '127.0.0.1')",
		"DELETE FROM mysql.db WHERE Db LIKE 'test%'",
		"FLUSH PRIVILEGES",
		"DROP DATABASE IF EXISTS test",
		"ALTER USER 'root'@'localhost' IDENTIFIED BY "+password,
		"CREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY "+password,
		"ALTER USER 'root'@'127.0.0.1' IDENTIFIED BY "+password,
		"GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION",
	)
	if m.member {
		user := quoteMySQL(replicationUser) + "@'127.0.0.1'"
		statements = append(
			statements,
			"CREATE USER IF NOT EXISTS "+user+" IDENTIFIED BY "+password,
			"GRANT REPLICATION SLAVE ON *.* TO "+user,
		)
	}
	return strings.Join(statements, ";\n") + ";\n"
}

// initialise makes the data directory.
func (m *MySQL) initialise(ctx context.Context) error {
	args := []string{"--no-defaults"}
	for name, value := range m.fileSettings() {
		args = append(args, "--"+strings.ReplaceAll(name, "_", "-")+"="+value)
	}
	if m.install.Product == ProductMariaDB {
		script, err := m.installScript()
		if err != nil {
			return err
		}
		if m.install.AtLeast(10, 4) {
			args = append(args, "--auth-root-authentication-method=normal") // the only one there is before
		}
		if err := m.runTool(ctx, script, args...); err != nil {
			return err
		}
		// MySQL makes the keys for caching_sha2_password without TLS; MariaDB, which has the plugin since 11.8, looks for them.
		return writeRSAKeys(m.path("data"))
	}
	program, err := mysqlProgram(m.install.BinDir, m.install.Chroot)
	if err != nil {
		return err
	}
	if err := m.runTool(ctx, program, append(args, "--initialize-insecure")...); err != nil {
		return err
	}
	// The server's identity, which is not for copies.
	if err := os.Remove(m.path("data", "auto.cnf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// installScript finds MariaDB's program that makes data directories.
func (m *MySQL) installScript() (string, error) {
	for _, dir := range []string{"bin", "scripts", "sbin"} {
		for _, name := range []string{"mariadb-install-db", "mysql_install_db"} {
			path := filepath.Join(filepath.Dir(m.install.BinDir), dir, name)
			if _, err := os.Stat(filepath.Join(m.install.Chroot, path)); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%w: no mariadb-install-db near %s", ErrNotInstalled, m.install.BinDir)
}

// command implements program.
func (m *MySQL) command() *exec.Cmd {
	program, err := mysqlProgram(m.install.BinDir, m.install.Chroot)
	if err != nil {
		program = filepath.Join(m.install.BinDir, "mysqld") // gone since we found it: starting it will say so
	}
	args := []string{"--defaults-file=" + m.inside(m.path(mysqlConfig))}
	if _, err := os.Stat(m.path(mysqlInitFile)); err == nil {
		args = append(args, "--init-file="+m.inside(m.path(mysqlInitFile)))
	}
	return exec.Command(program, args...)
}

// ping implements program.
func (m *MySQL) ping(ctx context.Context) error {
	c, err := m.connector("")
	if err != nil {
		return err
	}
	conn, err := c.Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// whyEnded implements program.
func (m *MySQL) whyEnded(log string) error {
	if strings.Contains(log, "Bind on TCP/IP port") || strings.Contains(log, "Address already in use") {
		return errPortTaken
	}
	return nil
}

// Password returns the password of the superuser root, who may log in over the socket and from 127.0.0.1.
func (m *MySQL) Password() string { return m.password }

// Socket returns the path of the server's Unix socket.
func (m *MySQL) Socket() string { return m.path(mysqlSocket) }

// DSN returns a data source name over TCP for github.com/go-sql-driver/mysql. With TLS the certificate is not verified.
func (m *MySQL) DSN(user, database, password string) string {
	c := mysql.NewConfig()
	c.Net, c.Addr = "tcp", m.Addr()
	c.User, c.Passwd, c.DBName = user, password, database
	if m.tls {
		c.TLSConfig = "skip-verify"
	}
	return c.FormatDSN()
}

// URL returns a connection URL over TCP, with ssl-mode=REQUIRED or DISABLED like the DSN.
func (m *MySQL) URL(user, database, password string) string {
	mode := "DISABLED"
	if m.tls {
		mode = "REQUIRED"
	}
	u := url.URL{
		Scheme: "mysql", User: url.UserPassword(user, password), Host: net.JoinHostPort(m.Host(), fmt.Sprint(m.port)),
		Path: "/" + database, RawQuery: "ssl-mode=" + mode,
	}
	return u.String()
}

// SuperDSN returns a data source name for the superuser root.
func (m *MySQL) SuperDSN(database string) string { return m.DSN("root", database, m.password) }
