//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"forebay/internal/localserver"
	"forebay/test/program"
)

// prepareProxySQL sets ProxySQL up, if somebody has installed it: distributions do not have it.
func (w *world) prepareProxySQL(p *peer) error {
	path, err := exec.LookPath("proxysql")
	if err != nil {
		return fmt.Errorf("%w: no proxysql in PATH, and no package of it", errAbsent)
	}
	admin, err := localserver.FreePort()
	if err != nil {
		return err
	}
	// "ProxySQL version 2.7.1-0-g..., codename ..": without the code name.
	p.version, _, _ = strings.Cut(program.FirstLine(exec.Command(path, "--version")), ",")
	conf := filepath.Join(p.dir, "proxysql.cnf")
	// As its own service file starts it, but in the foreground, and without asking the internet for a newer release.
	p.command = func() *exec.Cmd {
		return exec.Command(path, "-f", "--initial", "--idle-threads", "--no-version-check", "-c", conf, "-D", p.dir)
	}
	return p.writeFiles(map[string]string{
		"proxysql-ca.pem": w.cert, "proxysql-cert.pem": w.cert, "proxysql-key.pem": w.key,
		"proxysql.cnf": fmt.Sprintf(`datadir = "%[1]s"
admin_variables = {
  admin_credentials = "admin:%[2]s"
  mysql_ifaces = "127.0.0.1:%[3]d"
}
mysql_variables = {
  threads = 2
  interfaces = "127.0.0.1:%[4]d"
  max_connections = 12000
  monitor_enabled = false
  free_connections_pct = 100
  have_ssl = true
  default_schema = "%[5]s"
  server_version = "%[6]s"
}
mysql_servers = (
  { address = "127.0.0.1", port = %[7]d, hostgroup = 0, max_connections = %[8]d, use_ssl = 0 }
)
mysql_users = (
  { username = "%[9]s", password = "%[10]s", default_hostgroup = 0, max_connections = 12000, active = 1 }
)
`, p.dir, localserver.RandomWord(20), admin, p.port, databaseName, w.my.Version().Version, w.db.port(), poolSize,
			w.my.user.name, w.my.user.password),
	})
}
