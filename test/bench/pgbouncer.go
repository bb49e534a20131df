//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"forebay/test/program"
)

func (w *world) preparePgBouncer(p *peer) error {
	path, inside := "", p.dir
	if w.o.sidTree != "" && !w.o.oldBouncer {
		var err error
		if inside, err = w.enterTree(p); err != nil {
			return err
		}
		path = "/usr/sbin/pgbouncer"
	} else {
		var err error
		if path, err = program.Look("pgbouncer"); err != nil {
			return err
		}
	}
	var err error
	if p.as, err = program.Account(p.chroot, "postgres"); err != nil {
		return err
	}
	p.version = p.askVersion(path, "--version")
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
	for _, u := range []user{w.pg.scram, w.pg.md5} {
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
`, databaseName, w.db.port(), p.port, poolSize, prepared, inside, inside, inside, inside),
	})
}
