package rdsapi

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/resource"
)

// Types and states of targets (contract 1.3).
const (
	rdsInstance    = "RDS_INSTANCE"
	trackedCluster = "TRACKED_CLUSTER"
	registering    = "REGISTERING"
	isAvailable    = "AVAILABLE"
	unavailable    = "UNAVAILABLE"
	unknownRole    = "UNKNOWN"
	invalidState   = "INVALID_REPLICATION_STATE"
)

// DBProxyTargetsInput is the request of RegisterDBProxyTargets and DeregisterDBProxyTargets.
type DBProxyTargetsInput struct {
	DBProxyName           string `aws:"required"`
	TargetGroupName       *string
	DBInstanceIdentifiers []string
	DBClusterIdentifiers  []string
}

// check returns the one instance or the one cluster that the request is about.
func (in *DBProxyTargetsInput) check() (instance, cluster string, err error) {
	for _, err := range []error{
		checkName("DBProxyName", in.DBProxyName),
		checkOptionalName("TargetGroupName", in.TargetGroupName),
	} {
		if err != nil {
			return "", "", err
		}
	}
	if len(in.DBInstanceIdentifiers)+len(in.DBClusterIdentifiers) != 1 {
		return "", "", combination("The request must name exactly one DB instance in DBInstanceIdentifiers, or exactly one DB cluster in DBClusterIdentifiers.")
	}
	if len(in.DBInstanceIdentifiers) == 1 {
		instance = in.DBInstanceIdentifiers[0]
		return instance, "", checkName("DBInstanceIdentifiers.member.1", instance)
	}
	cluster = in.DBClusterIdentifiers[0]
	return "", cluster, checkName("DBClusterIdentifiers.member.1", cluster)
}

// RegisterDBProxyTargetsOutput is the answer of RegisterDBProxyTargets.
type RegisterDBProxyTargetsOutput struct{ DBProxyTargets []DBProxyTarget }

func (s *server) registerDBProxyTargets(ctx context.Context, c *awsapi.Call, in *DBProxyTargetsInput) (*RegisterDBProxyTargetsOutput, error) {
	instance, cluster, err := in.check()
	if err != nil {
		return nil, err
	}
	return update(ctx, s, func(tx *controlplane.Tx) (*RegisterDBProxyTargetsOutput, error) {
		st := tx.State()
		acct, err := account(st)
		if err != nil {
			return nil, err
		}
		old := st.ProxyNamed(in.DBProxyName)
		if err := may(c, "rds:RegisterDBProxyTargets", nil, groupSubject(acct, old)); err != nil {
			return nil, err
		}
		if old == nil {
			return nil, proxyNotFound(in.DBProxyName)
		}
		if err := checkDefault(in.TargetGroupName); err != nil {
			return nil, err
		}
		if err := changeable(old); err != nil {
			return nil, err
		}
		p := *old
		if err := registerIn(st, &p, instance, cluster); err != nil {
			return nil, err
		}
		p.Group.Registered = when(c)
		tx.Proxies.Put(p.ID, &p)
		return &RegisterDBProxyTargetsOutput{s.targetsOf(st, &p, true)}, nil
	})
}

// registerIn makes an instance or a cluster the target of p, if it can be.
func registerIn(st *controlplane.State, p *controlplane.Proxy, instance, cluster string) error {
	var members []*controlplane.Database
	if instance != "" {
		d := st.Database(instance)
		if d == nil {
			return instanceNotFound(instance)
		}
		members = append(members, d)
	} else {
		k := st.Cluster(cluster)
		if k == nil {
			return clusterNotFound(cluster)
		}
		if members = st.Members(k.Identifier); len(members) == 0 {
			return awsapi.Errorf(400, "InvalidDBClusterStateFault", "DB Cluster %s has no DB instances.", k.Identifier)
		}
		cluster = k.Identifier
	}
	if has := p.Group.Instance + p.Group.Cluster; has != "" {
		return awsapi.Errorf(400, "DBProxyTargetAlreadyRegisteredFault", "DB proxy %s has a target already: %s. A target group has one DB instance or one DB cluster.", p.Name, has)
	}
	if engine := members[0].Engine; controlplane.FamilyOf(engine) != p.EngineFamily { // of all members
		what := "DB Instance"
		if cluster != "" {
			what = "DB Cluster"
		}
		return invalid("Unsupported Database engine or engine mode for %s: %s is not of the engine family %s.", what, engine, p.EngineFamily)
	}
	for _, d := range members {
		if ip, err := netip.ParseAddr(d.Host); err == nil && ip.Is4() && p.TargetConnectionNetworkType == "IPV6" {
			return awsapi.Errorf(400, "InvalidDBInstanceState", "DB Instance %s has the IPv4 address %s, and the proxy's TargetConnectionNetworkType is IPV6.", d.Identifier, d.Host)
		}
	}
	if instance != "" {
		p.Group.Instance = members[0].Identifier
	} else {
		p.Group.Cluster = cluster
	}
	return nil
}

// DeregisterDBProxyTargetsOutput is the answer of DeregisterDBProxyTargets: nothing.
type DeregisterDBProxyTargetsOutput struct{}

func (s *server) deregisterDBProxyTargets(ctx context.Context, c *awsapi.Call, in *DBProxyTargetsInput) (*DeregisterDBProxyTargetsOutput, error) {
	instance, cluster, err := in.check()
	if err != nil {
		return nil, err
	}
	return update(ctx, s, func(tx *controlplane.Tx) (*DeregisterDBProxyTargetsOutput, error) {
		st := tx.State()
		acct, err := account(st)
		if err != nil {
			return nil, err
		}
		old := st.ProxyNamed(in.DBProxyName)
		target := databaseSubject(acct, instance, st.Database(instance))
		if cluster != "" {
			target = clusterSubject(acct, cluster, st.Cluster(cluster))
		}
		if err := may(c, "rds:DeregisterDBProxyTargets", nil, proxySubject(acct, old), groupSubject(acct, old), target); err != nil {
			return nil, err
		}
		if old == nil {
			return nil, proxyNotFound(in.DBProxyName)
		}
		if err := checkDefault(in.TargetGroupName); err != nil {
			return nil, err
		}
		if err := changeable(old); err != nil {
			return nil, err
		}
		g := &old.Group
		if instance != "" && !strings.EqualFold(g.Instance, instance) || cluster != "" && !strings.EqualFold(g.Cluster, cluster) {
			return nil, targetNotFound(instance + cluster)
		}
		p := *old
		p.Group.Instance, p.Group.Cluster, p.Group.Registered = "", "", time.Time{}
		tx.Proxies.Put(p.ID, &p)
		return &DeregisterDBProxyTargetsOutput{}, nil
	})
}

// DescribeDBProxyTargetsInput is the request of DescribeDBProxyTargets.
type DescribeDBProxyTargetsInput struct {
	DBProxyName     string `aws:"required"`
	TargetGroupName *string
	Filters         []Filter `aws:"list=Filter"`
	Marker          *string
	MaxRecords      *int
}

// DescribeDBProxyTargetsOutput is the answer of DescribeDBProxyTargets.
type DescribeDBProxyTargetsOutput struct {
	Targets []DBProxyTarget
	Marker  *string
}

func (s *server) describeDBProxyTargets(_ context.Context, c *awsapi.Call, in *DescribeDBProxyTargetsInput) (*DescribeDBProxyTargetsOutput, error) {
	for _, err := range []error{
		checkName("DBProxyName", in.DBProxyName),
		checkOptionalName("TargetGroupName", in.TargetGroupName),
		noFilters(in.Filters),
	} {
		if err != nil {
			return nil, err
		}
	}
	st := s.plane.State()
	acct, err := account(st)
	if err != nil {
		return nil, err
	}
	p := st.ProxyNamed(in.DBProxyName)
	if err := may(c, "rds:DescribeDBProxyTargets", nil, proxySubject(acct, p), groupSubject(acct, p)); err != nil {
		return nil, err
	}
	if p == nil {
		return nil, proxyNotFound(in.DBProxyName)
	}
	if err := checkDefault(in.TargetGroupName); err != nil {
		return nil, err
	}
	targets := s.targetsOf(st, p, false)
	// The cluster's row comes first, and its members in their own order: the key is the place.
	place := map[string]string{}
	for i, t := range targets {
		place[t.Type+"/"+t.RdsResourceID] = fmt.Sprintf("%06d", i)
	}
	rows, next, err := awsapi.Page(targets, in.Marker, in.MaxRecords, func(t DBProxyTarget) string { return place[t.Type+"/"+t.RdsResourceID] })
	if err != nil {
		return nil, err
	}
	return &DescribeDBProxyTargetsOutput{Targets: rows, Marker: next}, nil
}

// targetsOf is the rows of a proxy's target: the instance, or the cluster (which comes first) and its members. fresh: it has been
// registered this moment, so that nothing is known of it.
func (s *server) targetsOf(st *controlplane.State, p *controlplane.Proxy, fresh bool) []DBProxyTarget {
	declared := st.Declared(&p.Group)
	if len(declared) == 0 {
		return []DBProxyTarget{}
	}
	var seen []controlplane.MemberHealth
	if s.health != nil && !fresh {
		seen = s.health.Members(p.ID)
	}
	members := withHealth(declared, seen)
	out := []DBProxyTarget{}
	if p.Group.Instance == "" {
		out = append(out, clusterTarget(p.Group.Cluster, members))
	}
	for _, m := range members {
		row := DBProxyTarget{
			Endpoint: &m.Member.Host, RdsResourceID: m.Member.String(), Port: m.Member.Port, Type: rdsInstance, Role: &m.Role, TargetHealth: healthOf(m),
			TrackedClusterID: awsapi.Optional(p.Group.Cluster),
		}
		if d := st.Database(m.Member.Name); d != nil && d.ResourceID == m.Member.ResourceID {
			row.TrackedClusterID = awsapi.Optional(d.Cluster)
		}
		out = append(out, row)
	}
	return out
}

// withHealth is the declared databases with what has been seen of each, and then the members that have been found beside them.
func withHealth(declared []*controlplane.Database, seen []controlplane.MemberHealth) []controlplane.MemberHealth {
	var all []controlplane.MemberHealth
	known := map[string]bool{}
	for _, d := range declared {
		m := controlplane.MemberHealth{State: registering, Role: unknownRole, Lag: -1}
		for _, of := range seen {
			if of.Member.ResourceID == d.ResourceID {
				m = of
			}
		}
		m.Member = resource.Member{Name: d.Identifier, ResourceID: d.ResourceID, Host: d.Host, Port: d.Port}
		known[d.ResourceID] = true
		all = append(all, m)
	}
	for _, m := range seen {
		if !known[m.Member.ResourceID] { // what nobody has declared has no resource id
			all = append(all, m)
		}
	}
	return all
}

// healthOf is how a member is, as the API says it.
func healthOf(m controlplane.MemberHealth) *TargetHealth {
	h := &TargetHealth{State: m.State}
	if m.State != isAvailable {
		h.Reason, h.Description = awsapi.Optional(m.Reason), awsapi.Optional(m.Description)
	}
	return h
}

// clusterTarget is the row of a cluster: as available as its writer is. Where no writer is known, that is what is wrong with it, or what is wrong
// with the first member that has something.
func clusterTarget(cluster string, members []controlplane.MemberHealth) DBProxyTarget {
	writer := slices.IndexFunc(members, func(m controlplane.MemberHealth) bool { return m.Role == string(resource.ReadWrite) })
	row := DBProxyTarget{RdsResourceID: cluster, Port: members[0].Member.Port, Type: trackedCluster}
	if writer >= 0 {
		row.Port = members[writer].Member.Port
		row.TargetHealth = healthOf(members[writer])
		if d := row.TargetHealth.Description; d != nil {
			*d = "The writer, " + members[writer].Member.String() + ": " + *d
		}
		return row
	}
	m := controlplane.MemberHealth{State: unavailable, Reason: invalidState, Description: "None of the members that answer is the writer"}
	for _, of := range members {
		if of.State == registering {
			m = controlplane.MemberHealth{State: registering}
			break
		}
		if of.State == unavailable && m.Reason == invalidState {
			m.Reason, m.Description = of.Reason, m.Description+"; "+of.Member.String()+": "+of.Description
		}
	}
	row.TargetHealth = healthOf(m)
	return row
}
