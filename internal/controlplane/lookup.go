package controlplane

import (
	"cmp"
	"slices"
	"strings"

	"forebay/internal/resource"
)

// ProxyNamed returns the proxy of that name, or nil. As with host names, which names become, case makes no difference.
func (s *State) ProxyNamed(name string) *Proxy {
	return s.Proxies.Find(func(p *Proxy) bool { return strings.EqualFold(p.Name, name) })
}

// EndpointNamed returns the user endpoint of that name, or nil. Names of endpoints are unique in the account.
func (s *State) EndpointNamed(name string) *Endpoint {
	return s.Endpoints.Find(func(e *Endpoint) bool { return strings.EqualFold(e.Name, name) })
}

// EndpointsOf returns the user endpoints of a proxy in the order of their names.
func (s *State) EndpointsOf(proxyID string) []*Endpoint {
	var found []*Endpoint
	for _, e := range s.Endpoints.All() {
		if e.ProxyID == proxyID {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *Endpoint) int { return cmp.Compare(a.Name, b.Name) })
	return found
}

// Database returns the database with that identifier, or nil.
func (s *State) Database(identifier string) *Database {
	return s.Databases.Get(strings.ToLower(identifier))
}

// Cluster returns the cluster with that identifier, or nil.
func (s *State) Cluster(identifier string) *Cluster {
	return s.Clusters.Get(clusterKey(identifier))
}

func clusterKey(identifier string) string { return strings.ToLower(identifier) }

// Members returns the databases of a cluster, those declared first in front: the first counts as the writer until the data plane
// has seen which one it is.
func (s *State) Members(cluster string) []*Database {
	var found []*Database
	for _, d := range s.Databases.All() {
		if d.Cluster != "" && strings.EqualFold(d.Cluster, cluster) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b *Database) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(strings.ToLower(a.Identifier), strings.ToLower(b.Identifier)))
	})
	return found
}

// Declared returns the databases that a target group's sessions may go to: the instance, or the members of the cluster.
func (s *State) Declared(g *TargetGroup) []*Database {
	if g.Instance == "" {
		return s.Members(g.Cluster)
	}
	if d := s.Database(g.Instance); d != nil {
		return []*Database{d}
	}
	return nil
}

// ConnectID is the resource id of what a target group's sessions go to, as permissions to connect name it: cluster-… where a
// cluster is registered, else db-…. Empty: nothing is.
func (s *State) ConnectID(g *TargetGroup) string {
	if c := s.Cluster(g.Cluster); g.Instance == "" && c != nil {
		return c.ResourceID
	}
	if declared := s.Declared(g); len(declared) > 0 {
		return declared[0].ResourceID
	}
	return ""
}

// FamilyOf returns the engine family of a database's engine, or "".
func FamilyOf(engine string) resource.EngineFamily {
	switch engine {
	case "postgres", "aurora-postgresql":
		return resource.PostgreSQL
	case "mysql", "mariadb", "aurora-mysql":
		return resource.MySQL
	case "sqlserver-ee", "sqlserver-se", "sqlserver-ex", "sqlserver-web":
		return resource.SQLServer
	}
	return ""
}

// EnginePort is the port on which clients of a family expect a proxy (contract 1.1), whatever the database's is.
func EnginePort(f resource.EngineFamily) int {
	switch f {
	case resource.PostgreSQL:
		return 5432
	case resource.SQLServer:
		return 1433
	}
	return 3306
}
