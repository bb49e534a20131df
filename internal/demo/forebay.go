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
	"strings"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/storm"
)

// poolSize is how many connections Forebay may open to each of the demo's databases.
const poolSize = 20

// forebay is a running `forebay serve`.
type forebay struct {
	child *localserver.Child
	addrs []string // clients come here: one for each database
	admin string   // metrics and state
	api   string   // management API, host:port
	dir   string   // its files, gone after stop
	data  string   // its data folder
}

// The file that Forebay is started with: a head with the addresses of the administration and, for the four steps, of the
// API; then a proxy for each database.
const (
	configHead = `# Forebay in front of the demo's databases.
admin:
  listen: %s
`
	configAPI = `api:
  listen: %s
  region: ` + region + `
  data_dir: data
`
	configSecrets = `secrets:
`
	configSecret = `  - name: %[1]s
    file: %[1]s.json
`
	configProxies = `proxies:
`
	configProxy = `  - name: %[1]s
    engine_family: %[2]s
    endpoints:
      - listen: %[3]s
    auth:
      - secret: %[1]s
    target:
      host: %[4]s
      port: %[5]d
      tls:
        mode: disable # it is on this machine, without a certificate
    connection_pool:
      max_connections: %[6]d
`
)

// startForebay starts Forebay in front of all databases and returns once a client gets through to each.
func startForebay(ctx context.Context, all []*backend, o Options) (*forebay, error) {
	// The ports are looked for and used a moment later. Should somebody take one in between, once more.
	for try := 1; ; try++ {
		fb, err := startForebayOnce(ctx, all, o)
		if err == nil || try == 3 || !errors.Is(err, errEnded) || ctx.Err() != nil {
			return fb, err
		}
	}
}

// errEnded means that Forebay ended while it was expected to start.
var errEnded = errors.New("it ended at once")

func startForebayOnce(ctx context.Context, all []*backend, o Options) (*forebay, error) {
	addrs := make([]string, len(all)+2)
	for i := range addrs {
		port, err := localserver.FreePort()
		if err != nil {
			return nil, err
		}
		addrs[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	fb := &forebay{addrs: addrs[:len(all)], admin: addrs[len(all)]}
	if o.Steps {
		fb.api = addrs[len(all)+1]
	}
	dir, err := os.MkdirTemp("", "forebay-demo-")
	if err != nil {
		return nil, err
	}
	fb.dir, fb.data = dir, filepath.Join(dir, "data")
	config, err := fb.writeFiles(dir, all)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if fb.child, err = localserver.StartChild(exec.Command(o.Executable, "serve", "--config", config), dir); err != nil {
		return nil, err
	}
	for i, b := range all {
		if err := fb.awaitReady(ctx, b, fb.addrs[i]); err != nil {
			log := fb.child.Log()
			fb.stop()
			return nil, fmt.Errorf("%s: %w; its log ends with:\n%s", b.name, err, log)
		}
	}
	return fb, nil
}

// writeFiles writes the configuration and the secrets, and returns the configuration's path.
func (fb *forebay) writeFiles(dir string, all []*backend) (string, error) {
	var secrets, proxies strings.Builder
	for i, b := range all {
		name := strings.ToLower(b.name)
		secret, err := json.Marshal(map[string]string{"username": appUser, "password": b.password})
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), secret, 0o600); err != nil {
			return "", err
		}
		fmt.Fprintf(&secrets, configSecret, name)
		fmt.Fprintf(&proxies, configProxy, name, b.family, fb.addrs[i], b.Host(), b.Port(), poolSize)
	}
	config := filepath.Join(dir, "forebay.yaml")
	text := fmt.Sprintf(configHead, fb.admin)
	if fb.api != "" {
		text += fmt.Sprintf(configAPI, fb.api)
	}
	text += configSecrets + secrets.String() + configProxies + proxies.String()
	return config, os.WriteFile(config, []byte(text), 0o600)
}

// awaitReady returns when one client has got through to a database.
func (fb *forebay) awaitReady(ctx context.Context, b *backend, addr string) error {
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	proto, err := b.protocol(addr)
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
