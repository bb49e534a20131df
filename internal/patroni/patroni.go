// Package patroni asks Patroni's REST API who is in a cluster of PostgreSQL servers and which of them leads. It only reads:
// GET /cluster, which needs no log-in. What it learns is a hint where to look: the servers themselves say what they are.
package patroni

import (
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
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds on what is asked for and taken.
const (
	// DefaultTimeout is for one answer, from the dial to the last byte.
	DefaultTimeout = 2 * time.Second
	maxAnswer      = 1 << 20 // bytes
	maxMembers     = 256     // each is watched by a connection of its own
	defaultPort    = 5432    // of a member that tells none
)

// Options say whom to ask.
type Options struct {
	// URLs are base URLs of the API of any members, http or https, such as http://10.0.0.4:8008.
	URLs     []string
	CAFile   string        // PEM bundle that https is checked against; empty: the system's
	Insecure bool          // https is not checked at all
	Timeout  time.Duration // for each URL; 0: DefaultTimeout
}

// Client asks one cluster's API. It is safe for concurrent use.
type Client struct {
	urls    []string // of GET /cluster
	http    *http.Client
	timeout time.Duration

	mu    sync.Mutex
	first int // guarded by mu: index of the URL that has answered last
}

// Cluster is what a member of a cluster knows of all.
type Cluster struct {
	Scope   string // the cluster's name; older versions tell none
	Paused  bool   // Patroni does not fail over by itself
	Members []Member
}

// Role is what a member is, as Patroni calls it. There may be others than these: they are not the leader.
type Role string

const (
	Leader        Role = "leader"
	StandbyLeader Role = "standby_leader" // leads a cluster that follows another one, and so takes no writes
	SyncStandby   Role = "sync_standby"
	QuorumStandby Role = "quorum_standby"
	Replica       Role = "replica"
)

// Member is one server of a cluster.
type Member struct {
	Name     string
	Host     string // of the database; empty while Patroni does not know it
	Port     int    // of the database
	Role     Role
	State    string // running, streaming, in archive recovery, starting, stopped ...
	Timeline uint64 // 0: not known
	Lag      int64  // behind the leader, in bytes, as of Patroni's last round; negative: not known
	// NoLoadBalance is set where Patroni's tag of that name keeps readers away from it.
	NoLoadBalance bool
}

// Running reports whether the database takes sessions, as far as Patroni knows.
func (m *Member) Running() bool {
	return m.State == "running" || m.State == "streaming" || m.State == "in archive recovery"
}

// New makes a client. It asks nothing yet.
func New(o Options) (*Client, error) {
	if len(o.URLs) == 0 {
		return nil, errors.New("patroni: no URL to ask")
	}
	c := &Client{timeout: o.Timeout}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	for _, s := range o.URLs {
		u, err := clusterURL(s)
		if err != nil {
			return nil, err
		}
		c.urls = append(c.urls, u)
	}
	conf := &tls.Config{InsecureSkipVerify: o.Insecure}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("patroni: CA file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("patroni: no certificate in %s", o.CAFile)
		}
	}
	c.http = &http.Client{
		// Straight to the members: no proxy of the environment's, and nobody sends us elsewhere.
		Transport: &http.Transport{
			TLSClientConfig: conf, DialContext: (&net.Dialer{}).DialContext,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// clusterURL checks a base URL. What it holds beyond scheme, host and path could be a secret, and is not repeated.
func clusterURL(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", errors.New("patroni: a URL must be http://HOST:PORT or https://HOST:PORT")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("patroni: the URL of %s must have neither a user nor a query", u.Host)
	}
	return u.JoinPath("cluster").String(), nil
}

// Cluster asks the URLs one after the other, that which has answered last first, until one answers. The error names all of
// them; it is ctx's where ctx has ended.
func (c *Client) Cluster(ctx context.Context) (Cluster, error) {
	c.mu.Lock()
	first := c.first
	c.mu.Unlock()
	var errs []error
	for i := range c.urls {
		at := (first + i) % len(c.urls)
		answer, err := c.ask(ctx, c.urls[at])
		if err == nil {
			c.mu.Lock()
			c.first = at
			c.mu.Unlock()
			return answer, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return Cluster{}, fmt.Errorf("patroni: %w", errors.Join(errs...))
}

// Close ends the connections that are kept for the next question.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) ask(ctx context.Context, from string) (Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return Cluster{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Cluster{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Cluster{}, fmt.Errorf("%s: answers %s", from, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Cluster{}, fmt.Errorf("%s: %w", from, err)
	}
	if len(body) > maxAnswer {
		return Cluster{}, fmt.Errorf("%s: an answer of more than %d bytes", from, maxAnswer)
	}
	answer, err := parse(body)
	if err != nil {
		return Cluster{}, fmt.Errorf("%s: %w", from, err)
	}
	return answer, nil
}

// bytes is a number that Patroni may not know, and then writes as a word.
type bytes int64

// UnmarshalJSON implements json.Unmarshaler.
func (b *bytes) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' || string(text) == "null" {
		*b = -1
		return nil
	}
	var n int64
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	*b = bytes(n)
	return nil
}

// parse reads the answer to GET /cluster. Of what newer versions add it knows nothing.
func parse(body []byte) (Cluster, error) {
	var answer struct {
		Scope   string
		Pause   bool
		Members []struct {
			Name, Host, State string
			Port              *int
			Role              Role
			Timeline          uint64
			Lag               *bytes
			ReplayLag         *bytes `json:"replay_lag"` // of newer versions, whose lag is that of what was received
			Tags              map[string]any
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Cluster{}, fmt.Errorf("no answer of Patroni's: %w", err)
	}
	if len(answer.Members) == 0 {
		return Cluster{}, errors.New("names no members")
	}
	if len(answer.Members) > maxMembers {
		return Cluster{}, fmt.Errorf("names %d members, more than %d", len(answer.Members), maxMembers)
	}
	c := Cluster{Scope: answer.Scope, Paused: answer.Pause}
	for _, a := range answer.Members {
		m := Member{Name: a.Name, Host: a.Host, Port: defaultPort, Role: a.Role, State: a.State, Timeline: a.Timeline, Lag: -1}
		if a.Port != nil {
			m.Port = *a.Port
		}
		if m.Name == "" || m.Port < 1 || m.Port > 65535 {
			return Cluster{}, fmt.Errorf("names a member %q at port %d", m.Name, m.Port)
		}
		switch {
		case m.Role == Leader:
			m.Lag = 0
		case a.ReplayLag != nil:
			m.Lag = int64(*a.ReplayLag)
		case a.Lag != nil:
			m.Lag = int64(*a.Lag)
		}
		m.NoLoadBalance = isTrue(a.Tags["noloadbalance"])
		c.Members = append(c.Members, m)
	}
	leads := func(m Member) bool { return m.Role == Leader || m.Role == StandbyLeader }
	if i := slices.IndexFunc(c.Members, leads); i >= 0 && slices.IndexFunc(c.Members[i+1:], leads) >= 0 {
		return Cluster{}, errors.New("names more than one leader")
	}
	return c, nil
}

// isTrue reads a tag, which people write in YAML as they like.
func isTrue(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return strings.EqualFold(v, "true") || strings.EqualFold(v, "on") || strings.EqualFold(v, "yes")
	}
	return false
}
