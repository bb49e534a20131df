package controlplane

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"forebay/internal/resource"
)

// SnapshotOptions say what the data plane can do with a snapshot.
type SnapshotOptions struct {
	Families []resource.EngineFamily // that it speaks; nil: all
	// CAFile puts a PEM bundle into a file and returns its path, the same for the same bundle. nil: there is no place for
	// it, and databases that need one are no targets.
	CAFile func(pem string) (string, error)
}

// Omission is something of the desired state that is not in a snapshot, and why.
type Omission struct {
	Proxy  string // name
	Reason string
}

// What the API has no member for, and has these values: the contract's where it has one (3.1, 3.4), else those of a
// configuration file's proxy (docs/configuration.md).
const (
	clientLifetime        = 24 * time.Hour
	clientLoginTimeout    = 60 * time.Second
	connectTimeout        = 10 * time.Second
	reservedConnections   = 3
	serverIdleTimeout     = 5 * time.Minute
	serverLifetime        = 24 * time.Hour
	maxPreparedStatements = 200
	maxWaiting            = 10000
	routineScanInterval   = 30 * time.Second
	monitorInterval       = 500 * time.Millisecond
)

// Snapshot turns the state into the data plane's desired state: proxies in the order of their ids, each with its default
// endpoint first and the others in the order of their names. A proxy is in it as soon as it exists, with whatever it has:
// without an auth entry nobody can log in, unless its scheme is IAM_AUTH; without a registered target its Target has no members, and clients wait for the
// borrow timeout and get its error.
func (s *State) Snapshot(o SnapshotOptions) (resource.Snapshot, []Omission) {
	var snap resource.Snapshot
	var left []Omission
	endpoints := map[string][]*Endpoint{}
	for _, e := range s.Endpoints.All() {
		endpoints[e.ProxyID] = append(endpoints[e.ProxyID], e)
	}
	for _, p := range s.Proxies.All() {
		if o.Families != nil && !slices.Contains(o.Families, p.EngineFamily) {
			left = append(left, Omission{Proxy: p.Name, Reason: fmt.Sprintf("engine family %s is not served yet", p.EngineFamily)})
			continue
		}
		out := s.proxy(p)
		for _, e := range slices.SortedFunc(slices.Values(endpoints[p.ID]), func(a, b *Endpoint) int { return cmp.Compare(a.Name, b.Name) }) {
			endpoint := endpointOf(e.Name, e.Listen)
			endpoint.Role = resource.TargetRole(e.TargetRole)
			out.Endpoints = append(out.Endpoints, endpoint)
		}
		target, reasons := s.target(p, o)
		for _, reason := range reasons {
			left = append(left, Omission{Proxy: p.Name, Reason: reason})
		}
		out.Target = target
		snap.Proxies = append(snap.Proxies, out)
	}
	return snap, left
}

// SecretName is the name under which the data plane asks for a secret in the name of a proxy, whose role must be allowed to
// read it.
func SecretName(proxyID, arn string) string { return proxyID + "/" + arn }

func (s *State) proxy(p *Proxy) resource.Proxy {
	out := resource.Proxy{
		Name: p.Name, ResourceID: p.ID, EngineFamily: p.EngineFamily, RequireTLS: p.RequireTLS, DebugLogging: p.DebugLogging,
		EndToEndIAM:       p.DefaultAuthScheme == "IAM_AUTH",
		Endpoints:         []resource.Endpoint{endpointOf("default", p.Listen)},
		IdleClientTimeout: time.Duration(p.IdleClientTimeout) * time.Second,
		ClientLifetime:    clientLifetime, ClientLoginTimeout: clientLoginTimeout,
		Pool: poolOf(p.Group.Pool.Effective(p.EngineFamily)), Paused: p.Paused, SplitReads: slices.Contains(p.Tags, Tag{SplitTag, "true"}),
	}
	for _, a := range p.Auth {
		out.Auth = append(out.Auth, resource.AuthEntry{
			Secret: SecretName(p.ID, a.SecretARN), Description: a.Description, IAMAuth: resource.IAMAuth(a.IAMAuth),
			ClientPasswordAuthType: resource.ClientPasswordAuthType(a.ClientPasswordAuthType),
		})
	}
	return out
}

func endpointOf(name string, l Listen) resource.Endpoint {
	return resource.Endpoint{Name: name, Listen: l.Socket(), Role: resource.ReadWrite, Hostnames: []string{l.Host}}
}

func poolOf(e EffectivePool) resource.ConnectionPoolConfig {
	return resource.ConnectionPoolConfig{
		MaxConnectionsPercent: e.MaxConnectionsPercent, MaxIdleConnectionsPercent: e.MaxIdleConnectionsPercent,
		ConnectionBorrowTimeout: time.Duration(e.ConnectionBorrowTimeout) * time.Second,
		ExcludeVariableSets:     slices.Contains(e.SessionPinningFilters, ExcludeVariableSets), InitQuery: e.InitQuery,
		ReservedConnections: reservedConnections, IdleTimeout: serverIdleTimeout, Lifetime: serverLifetime,
		MaxPreparedStatements: maxPreparedStatements, MaxWaiting: maxWaiting, RoutineScanInterval: routineScanInterval,
	}
}

// target is what a proxy's sessions go to; reasons say what of it cannot be served.
func (s *State) target(p *Proxy, o SnapshotOptions) (t resource.Target, reasons []string) {
	g := &p.Group
	declared := s.Declared(g)
	if c := s.Cluster(g.Cluster); g.Instance == "" && c != nil {
		t.Cluster, t.Discover = c.Identifier, c.Settings.Discover
		t.Monitor.Interval = monitorInterval
		if arn := s.MonitorSecret(p); arn != "" {
			t.Monitor.Secret = SecretName(p.ID, arn)
		}
		t.MaxReplicaLag = time.Duration(c.Settings.MaxReplicaLag) * time.Second
		t.WriterReads = c.Settings.ReaderFallback == FallbackWriter
	}
	for _, d := range declared {
		m, err := memberOf(d, o)
		if err != nil {
			reasons = append(reasons, fmt.Sprintf("the certificate authority of %s cannot be stored: %v", d.Identifier, err))
			continue
		}
		t.Members = append(t.Members, m)
	}
	if len(declared) == 0 {
		reasons = append(reasons, "no target is registered")
	}
	return t, reasons
}

func memberOf(d *Database, o SnapshotOptions) (m resource.Member, err error) {
	m = resource.Member{
		Name: d.Identifier, ResourceID: d.ResourceID, Host: d.Host, Port: d.Port, TLSMode: d.TLSMode, ConnectTimeout: connectTimeout,
	}
	if d.CA == "" {
		return m, nil
	}
	if o.CAFile == nil {
		return m, errors.New("there is no place for it")
	}
	m.CAFile, err = o.CAFile(d.CA)
	return m, err
}
