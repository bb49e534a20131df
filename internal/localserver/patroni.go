package localserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var patroniKind = kind{
	name:     "Patroni",
	variable: "FOREBAY_PATRONI_BIN",
	places:   []string{"/usr/bin", "/usr/local/bin"},
	programs: []string{"patroni"},
	install:  "run scripts/install-servers patroni, or install the package yourself (Debian, Ubuntu: apt-get install patroni python3-etcd)",
	probe:    probePatroni,
	habits: habits{
		folder:  "forebay-patroni-",
		socket:  postgresKind.socket,
		pidFile: postgresKind.pidFile,
		users:   postgresKind.users,
		stop:    []syscall.Signal{syscall.SIGTERM},
		orphan:  syscall.SIGKILL, // it has no end that leaves nothing behind and is quick
		server:  syscall.SIGQUIT,
	},
}

var patroniVersion = regexp.MustCompile(`patroni ((\d+)\.(\d+)\S*)`)

// probePatroni asks the program in dir for its version.
func probePatroni(dir, chroot string) (Install, error) {
	program := filepath.Join(dir, "patroni")
	if _, err := os.Stat(program); err != nil || chroot != "" {
		return Install{}, fmt.Errorf("no Patroni in %s: %w", dir, ErrNotInstalled)
	}
	m, err := askVersion(program, "", patroniVersion)
	if err != nil {
		return Install{}, err
	}
	in := Install{Product: ProductPatroni, Version: m[1], BinDir: dir}
	in.Major, _ = strconv.Atoi(m[2])
	in.Minor, _ = strconv.Atoi(m[3])
	return in, nil
}

// Patroni is a cluster of PostgreSQL servers which Patroni runs: it makes one of them the leader, and another one when that is
// lost. What the leader acknowledges another member has (synchronous_mode), but right after a promotion.
type Patroni struct {
	Nodes    []*PatroniNode // the first has been the leader first
	scope    string         // its name in etcd
	password string         // of the superuser postgres
	client   *http.Client   // of the REST API
}

// PatroniNode is one Patroni with its PostgreSQL. Kill ends both. Restart starts Patroni again, and returns when its PostgreSQL takes
// sessions. Freeze stops Patroni alone: PostgreSQL goes on.
type PatroniNode struct {
	instance
	Name     string
	cluster  *Patroni
	etcd     string
	postgres Install
	rest     int // TCP port of the REST API
}

// StartPatroni makes a cluster of n nodes that agree by an etcd at that address, host:port, and returns once all are in it. The REST API
// of each has TLS, see CAFile. The caller must Stop it. Without Patroni or PostgreSQL, and on other systems than Linux, the error
// wraps ErrNotInstalled.
func StartPatroni(ctx context.Context, etcd string, n int) (*Patroni, error) {
	if !diesWithParent {
		return nil, fmt.Errorf("Patroni: %w: it is started on Linux alone", ErrNotInstalled)
	}
	in, err := patroniKind.choose("", "")
	if err != nil {
		return nil, err
	}
	pg, err := postgresKind.choose("", "")
	if err != nil {
		return nil, err
	}
	if pg.Chroot != "" {
		return nil, fmt.Errorf("Patroni: %w: it does not reach %s in another system's tree", ErrNotInstalled, pg)
	}
	p := &Patroni{scope: "forebay-" + RandomWord(8), password: RandomWord(24)}
	if err := p.start(ctx, in, pg, etcd, n); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s with %s: %w", in, pg, err)
	}
	return p, nil
}

func (p *Patroni) start(ctx context.Context, in, pg Install, etcd string, n int) error {
	for i := range n {
		node := &PatroniNode{Name: "node-" + strconv.Itoa(i), cluster: p, etcd: etcd, postgres: pg}
		node.program = node
		if err := node.open(in, place{}); err != nil {
			return err
		}
		p.Nodes = append(p.Nodes, node)
	}
	if err := p.trustItself(); err != nil {
		return err
	}
	// Who comes first makes the cluster: the others copy it.
	if err := p.Nodes[0].startFirst(ctx); err != nil {
		return err
	}
	errs := make([]error, n)
	var all sync.WaitGroup
	for i, node := range p.Nodes[1:] {
		all.Go(func() { errs[i] = node.startFirst(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// trustItself makes the certificate that all nodes show, and a client that trusts it.
func (p *Patroni) trustItself() error {
	first := p.Nodes[0]
	if err := WriteCertificate(first.base); err != nil {
		return err
	}
	for _, n := range p.Nodes[1:] {
		for _, name := range []string{"server.crt", "server.key"} {
			if err := copyFile(first.path(name), n.path(name), 0o600); err != nil {
				return err
			}
		}
	}
	pem, err := os.ReadFile(p.CAFile())
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	return nil
}

// CAFile is the file with the certificate to trust at the REST API.
func (p *Patroni) CAFile() string { return p.Nodes[0].path("server.crt") }

// Password returns the password of the superuser postgres.
func (p *Patroni) Password() string { return p.password }

// URLs are those of the nodes' REST APIs.
func (p *Patroni) URLs() []string {
	var all []string
	for _, n := range p.Nodes {
		all = append(all, n.URL())
	}
	return all
}

// Stop kills all nodes and removes their files. It may be called more than once.
func (p *Patroni) Stop() {
	var all sync.WaitGroup
	for _, n := range p.Nodes {
		all.Go(func() {
			n.Kill()
			n.Stop()
		})
	}
	all.Wait()
}

// Leader waits until there is a leader that takes writes, and returns it.
func (p *Patroni) Leader(ctx context.Context) (*PatroniNode, error) { return p.await(ctx, "primary") }

// SyncStandby waits until a node has all that the leader acknowledges, and returns it.
func (p *Patroni) SyncStandby(ctx context.Context) (*PatroniNode, error) { return p.await(ctx, "sync") }

// patroniLimit is how long the nodes may take to agree.
const patroniLimit = 60 * time.Second

// await returns the first node that says it is what is asked for.
func (p *Patroni) await(ctx context.Context, what string) (*PatroniNode, error) {
	ctx, cancel := context.WithTimeout(ctx, patroniLimit)
	defer cancel()
	for {
		for _, n := range p.Nodes {
			if n.answers() && n.ask(ctx, what) == nil {
				return n, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("Patroni: no %s: %w", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Switchover has another node lead, and returns when it does. The other one has to be the synchronous standby.
func (p *Patroni) Switchover(ctx context.Context, from, to *PatroniNode) error {
	body, err := json.Marshal(map[string]string{"leader": from.Name, "candidate": to.Name})
	if err != nil {
		return err
	}
	return from.request(ctx, http.MethodPost, "switchover", body)
}

// URL is the base of the node's REST API.
func (n *PatroniNode) URL() string { return "https://" + n.restAddr() }

func (n *PatroniNode) restAddr() string { return net.JoinHostPort(n.Host(), strconv.Itoa(n.rest)) }

// DSN returns a connection URL for the superuser postgres.
func (n *PatroniNode) DSN(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", n.cluster.password), Host: n.Addr(), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// answers reports whether its Patroni runs.
func (n *PatroniNode) answers() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process != nil && !n.frozen
}

// ask is nil if the node is what is asked for: health, primary, sync.
func (n *PatroniNode) ask(ctx context.Context, what string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return n.request(ctx, http.MethodGet, what, nil)
}

func (n *PatroniNode) request(ctx context.Context, method, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, n.URL()+"/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := n.cluster.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, tail(answer))
	}
	return nil
}

// command implements program.
func (n *PatroniNode) command() *exec.Cmd {
	return exec.Command(filepath.Join(n.install.BinDir, "patroni"), n.path(patroniConfig))
}

// ping implements program: PostgreSQL runs.
func (n *PatroniNode) ping(ctx context.Context) error { return n.ask(ctx, "health") }

// whyEnded implements program.
func (n *PatroniNode) whyEnded(log string) error {
	switch {
	case strings.Contains(log, "Address already in use"), strings.Contains(log, "could not bind"):
		return errPortTaken
	case strings.Contains(log, "distributed configuration store"):
		return fmt.Errorf("%w: it lacks the client of etcd (python3-etcd)", ErrNotInstalled)
	}
	return nil
}
