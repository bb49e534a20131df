package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/storm"
)

// poolSize is how many server connections Forebay may open in the demo.
const poolSize = 20

// forebay is a running `forebay serve`.
type forebay struct {
	child *localserver.Child
	addr  string // clients come here
	admin string // metrics and state
}

// configText is the file that Forebay is started with: two listen addresses, then the port of the database.
const configText = `# Forebay in front of the demo's PostgreSQL.
admin:
  listen: %[2]s
secrets:
  - name: app
    file: app.json
proxies:
  - name: demo
    engine_family: POSTGRESQL
    endpoints:
      - listen: %[1]s
    auth:
      - secret: app
    target:
      host: 127.0.0.1
      port: %[3]d
      tls:
        mode: disable # it is on this machine, without a certificate
    connection_pool:
      max_connections: %[4]d
`

// startForebay starts Forebay in front of pg and returns once a client gets through to the database.
func startForebay(ctx context.Context, pg *localserver.Postgres, password, executable string) (*forebay, error) {
	// The ports are looked for and used a moment later. Should somebody take one in between, once more.
	for try := 1; ; try++ {
		fb, err := startForebayOnce(ctx, pg, password, executable)
		if err == nil || try == 3 || !errors.Is(err, errEnded) || ctx.Err() != nil {
			return fb, err
		}
	}
}

// errEnded means that Forebay ended while it was expected to start.
var errEnded = errors.New("it ended at once")

func startForebayOnce(ctx context.Context, pg *localserver.Postgres, password, executable string) (*forebay, error) {
	addrs := make([]string, 2)
	for i := range addrs {
		port, err := localserver.FreePort()
		if err != nil {
			return nil, err
		}
		addrs[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	fb := &forebay{addr: addrs[0], admin: addrs[1]}
	dir, err := os.MkdirTemp("", "forebay-demo-")
	if err != nil {
		return nil, err
	}
	config, err := fb.writeFiles(dir, pg.Port(), password)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if fb.child, err = localserver.StartChild(exec.Command(executable, "serve", "--config", config), dir); err != nil {
		return nil, err
	}
	if err := fb.awaitReady(ctx, password); err != nil {
		log := fb.child.Log()
		fb.stop()
		return nil, fmt.Errorf("%w; its log ends with:\n%s", err, log)
	}
	return fb, nil
}

// writeFiles writes the configuration and the secret, and returns the configuration's path.
func (fb *forebay) writeFiles(dir string, pgPort int, password string) (string, error) {
	secret, err := json.Marshal(map[string]string{"username": appUser, "password": password})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "app.json"), secret, 0o600); err != nil {
		return "", err
	}
	config := filepath.Join(dir, "forebay.yaml")
	text := fmt.Sprintf(configText, fb.addr, fb.admin, pgPort, poolSize)
	return config, os.WriteFile(config, []byte(text), 0o600)
}

// awaitReady returns when one client has got through.
func (fb *forebay) awaitReady(ctx context.Context, password string) error {
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	proto, err := storm.NewPostgres(storm.Target{Addr: fb.addr, User: appUser, Password: password, Database: appDatabase})
	if err != nil {
		return err
	}
	one := storm.Options{Clients: 1, Statement: "SELECT 1", Timeout: limit}
	for {
		r, err := storm.Run(ctx, proto, one, nil)
		if err != nil {
			return err
		}
		if r.Succeeded == 1 {
			return nil
		}
		select {
		case <-fb.child.Done():
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("it lets nobody in: %v", r.Errors)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends Forebay. Its clients are gone, so it has nothing to wait for.
func (fb *forebay) stop() { _ = fb.child.Stop(10 * time.Second) }
