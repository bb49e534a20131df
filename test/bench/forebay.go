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

	"forebay/internal/localserver"
	"forebay/test/program"
)

func (w *world) prepareForebay(p *peer) error {
	if _, err := os.Stat(w.o.forebay); err != nil {
		return errors.New("no binary: run make build")
	}
	path, err := filepath.Abs(w.o.forebay)
	if err != nil {
		return err
	}
	p.version = program.FirstLine(exec.Command(path, "version"))
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
	var secrets, auth strings.Builder
	for _, u := range w.db.logins() {
		b, err := json.Marshal(map[string]string{"username": u.name, "password": u.password})
		if err != nil {
			return err
		}
		files[u.name+".json"] = string(b)
		fmt.Fprintf(&secrets, "  - {name: %s, file: %s.json}\n", u.name, u.name)
		fmt.Fprintf(&auth, "      - {secret: %s, client_password_auth_type: %s}\n", u.name, u.authType)
	}
	files["forebay.yaml"] = fmt.Sprintf(`log: {level: %s}
admin: {listen: "%s"}
drain_timeout: 1s
secrets:
%sproxies:
  - name: bench
    engine_family: %s
    endpoints: [{listen: "127.0.0.1:%d"}]
    tls: {cert_file: server.crt, key_file: server.key}
    auth:
%s    target: {host: 127.0.0.1, port: %d, tls: {mode: disable}}
    connection_pool:
      max_connections: %d
      max_connections_percent: 100
      max_idle_connections_percent: 100
`, level, p.admin, secrets.String(), w.db.family(), p.port, auth.String(), w.db.port(), poolSize)
	conf := filepath.Join(p.dir, "forebay.yaml")
	p.command = func() *exec.Cmd { return exec.Command(path, "serve", "--config", conf) }
	return p.writeFiles(files)
}
