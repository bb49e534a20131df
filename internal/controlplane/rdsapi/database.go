package rdsapi

import (
	"context"
	"slices"
	"strings"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/resource"
)

// DescribeDBInstancesInput is the request of DescribeDBInstances.
type DescribeDBInstancesInput struct {
	DBInstanceIdentifier *string
	Filters              []Filter `aws:"list=Filter"`
	MaxRecords           *int
	Marker               *string
}

// DescribeDBInstancesOutput is the answer of DescribeDBInstances.
type DescribeDBInstancesOutput struct {
	Marker      *string
	DBInstances []DBInstance `aws:"list=DBInstance"`
}

// DBInstance is a database that has been declared, with the members that clients of proxies pick (contract 2.6).
type DBInstance struct {
	DBInstanceIdentifier             string
	Engine                           string
	DBInstanceStatus                 string
	Endpoint                         Endpoint
	InstanceCreateTime               time.Time
	VpcSecurityGroups                []VpcSecurityGroupMembership `aws:"list=VpcSecurityGroupMembership"`
	AvailabilityZone                 string
	DBSubnetGroup                    DBSubnetGroup
	MultiAZ                          bool
	EngineVersion                    *string
	DBClusterIdentifier              *string
	DbiResourceID                    string `aws:"name=DbiResourceId"`
	DBInstanceArn                    string
	IAMDatabaseAuthenticationEnabled bool
	TagList                          []Tag `aws:"list=Tag"`
}

// Endpoint is where a database is.
type Endpoint struct {
	Address string
	Port    int
}

// VpcSecurityGroupMembership is a security group of a database.
type VpcSecurityGroupMembership struct {
	VpcSecurityGroupID string `aws:"name=VpcSecurityGroupId"`
	Status             string
}

// DBSubnetGroup is the network that a database seems to be in.
type DBSubnetGroup struct {
	DBSubnetGroupName        string
	DBSubnetGroupDescription string
	VpcID                    string `aws:"name=VpcId"`
	SubnetGroupStatus        string
	Subnets                  []Subnet `aws:"list=Subnet"`
}

// Subnet belongs to a DBSubnetGroup.
type Subnet struct {
	SubnetIdentifier       string
	SubnetAvailabilityZone AvailabilityZone
	SubnetStatus           string
}

// AvailabilityZone has a name.
type AvailabilityZone struct{ Name string }

func (s *server) describeDBInstances(_ context.Context, c *awsapi.Call, in *DescribeDBInstancesInput) (*DescribeDBInstancesOutput, error) {
	if err := checkFilters(in.Filters, "db-cluster-id", "db-instance-id", "dbi-resource-id", "domain", "engine"); err != nil {
		return nil, err
	}
	st := s.plane.State()
	acct, err := account(st)
	if err != nil {
		return nil, err
	}
	var rows []*controlplane.Database
	about := all(acct, controlplane.KindDatabase)
	var one *controlplane.Database
	if in.DBInstanceIdentifier != nil {
		name := identifierOf(acct, controlplane.KindDatabase, *in.DBInstanceIdentifier)
		one = st.Database(name)
		about = databaseSubject(acct, name, one)
	}
	if err := may(c, "rds:DescribeDBInstances", nil, about); err != nil {
		return nil, err
	}
	if in.DBInstanceIdentifier != nil && one == nil {
		return nil, instanceNotFound(*in.DBInstanceIdentifier)
	}
	for _, d := range st.Databases.All() {
		if one != nil && d != one {
			continue
		}
		if matches(in.Filters, func(name, want string) bool {
			switch name {
			case "db-cluster-id":
				return d.Cluster != "" && strings.EqualFold(d.Cluster, identifierOf(acct, controlplane.KindCluster, want))
			case "db-instance-id":
				return strings.EqualFold(d.Identifier, identifierOf(acct, controlplane.KindDatabase, want))
			case "dbi-resource-id":
				return d.ResourceID == want
			case "engine":
				return d.Engine == want
			}
			return false // domain: none has one
		}) {
			rows = append(rows, d)
		}
	}
	rows, next, err := awsapi.Page(rows, in.Marker, in.MaxRecords, func(d *controlplane.Database) string { return strings.ToLower(d.Identifier) })
	if err != nil {
		return nil, err
	}
	out := &DescribeDBInstancesOutput{Marker: next, DBInstances: []DBInstance{}}
	for _, d := range rows {
		out.DBInstances = append(out.DBInstances, instanceOf(acct, d))
	}
	return out, nil
}

// matches reports whether each filter has a value for which is holds.
func matches(filters []Filter, is func(name, want string) bool) bool {
	for _, f := range filters {
		if !slices.ContainsFunc(f.Values, func(v string) bool { return is(f.Name, v) }) {
			return false
		}
	}
	return true
}

// identifierOf is what a name or an ARN of a kind names.
func identifierOf(a *controlplane.Account, kind, nameOrARN string) string {
	prefix := a.ARN(kind, "")
	if len(nameOrARN) > len(prefix) && strings.EqualFold(nameOrARN[:len(prefix)], prefix) {
		return nameOrARN[len(prefix):]
	}
	return nameOrARN
}

func instanceOf(a *controlplane.Account, d *controlplane.Database) DBInstance {
	return DBInstance{
		DBInstanceIdentifier: d.Identifier, Engine: d.Engine, DBInstanceStatus: available, Endpoint: Endpoint{d.Host, d.Port},
		InstanceCreateTime: d.Created, VpcSecurityGroups: memberships(a), AvailabilityZone: a.Region + "a", DBSubnetGroup: subnetGroup(a),
		EngineVersion: awsapi.Optional(d.Version), DBClusterIdentifier: awsapi.Optional(d.Cluster), DbiResourceID: d.ResourceID,
		DBInstanceArn: a.ARN(controlplane.KindDatabase, d.Identifier), IAMDatabaseAuthenticationEnabled: d.IAM != "", TagList: tagList(d.Tags),
	}
}

func memberships(a *controlplane.Account) []VpcSecurityGroupMembership {
	return []VpcSecurityGroupMembership{{a.DefaultSecurityGroupID(), "active"}}
}

func subnetGroup(a *controlplane.Account) DBSubnetGroup {
	g := DBSubnetGroup{DBSubnetGroupName: defaultName, DBSubnetGroupDescription: defaultName, VpcID: a.VPCID(), SubnetGroupStatus: "Complete"}
	for i, id := range a.DefaultSubnetIDs() {
		g.Subnets = append(g.Subnets, Subnet{id, AvailabilityZone{a.Region + string(rune('a'+i))}, "Active"})
	}
	return g
}

// DescribeDBClustersInput is the request of DescribeDBClusters.
type DescribeDBClustersInput struct {
	DBClusterIdentifier *string
	Filters             []Filter `aws:"list=Filter"`
	MaxRecords          *int
	Marker              *string
	IncludeShared       *bool // of other accounts: there are none
}

// DescribeDBClustersOutput is the answer of DescribeDBClusters.
type DescribeDBClustersOutput struct {
	Marker     *string
	DBClusters []DBCluster `aws:"list=DBCluster"`
}

// DBCluster is a cluster of declared databases, with the members that clients of proxies pick (contract 2.6).
type DBCluster struct {
	AvailabilityZones                []string `aws:"list=AvailabilityZone"`
	DBClusterIdentifier              string
	DBSubnetGroup                    string
	Status                           string
	Endpoint                         *string
	MultiAZ                          bool
	Engine                           string
	EngineVersion                    *string
	Port                             *int
	DBClusterMembers                 []DBClusterMember            `aws:"list=DBClusterMember"`
	VpcSecurityGroups                []VpcSecurityGroupMembership `aws:"list=VpcSecurityGroupMembership"`
	DBClusterResourceID              string                       `aws:"name=DbClusterResourceId"`
	DBClusterArn                     string
	IAMDatabaseAuthenticationEnabled bool
	ClusterCreateTime                time.Time
	TagList                          []Tag `aws:"list=Tag"`
}

// DBClusterMember is a database of a cluster.
type DBClusterMember struct {
	DBInstanceIdentifier          string
	IsClusterWriter               bool
	DBClusterParameterGroupStatus string
	PromotionTier                 int
}

func (s *server) describeDBClusters(_ context.Context, c *awsapi.Call, in *DescribeDBClustersInput) (*DescribeDBClustersOutput, error) {
	if err := checkFilters(in.Filters, "clone-group-id", "db-cluster-id", "db-cluster-resource-id", "domain", "engine"); err != nil {
		return nil, err
	}
	st := s.plane.State()
	acct, err := account(st)
	if err != nil {
		return nil, err
	}
	var rows []*controlplane.Cluster
	about := all(acct, controlplane.KindCluster)
	var one *controlplane.Cluster
	if in.DBClusterIdentifier != nil {
		name := identifierOf(acct, controlplane.KindCluster, *in.DBClusterIdentifier)
		one = st.Cluster(name)
		about = clusterSubject(acct, name, one)
	}
	if err := may(c, "rds:DescribeDBClusters", nil, about); err != nil {
		return nil, err
	}
	if in.DBClusterIdentifier != nil && one == nil {
		return nil, clusterNotFound(*in.DBClusterIdentifier)
	}
	for _, k := range st.Clusters.All() {
		if one != nil && k != one {
			continue
		}
		if matches(in.Filters, func(name, want string) bool {
			switch name {
			case "db-cluster-id":
				return strings.EqualFold(k.Identifier, identifierOf(acct, controlplane.KindCluster, want))
			case "db-cluster-resource-id":
				return k.ResourceID == want
			case "engine":
				return k.Engine == want
			}
			return false // domain, clone-group-id: none has one
		}) {
			rows = append(rows, k)
		}
	}
	rows, next, err := awsapi.Page(rows, in.Marker, in.MaxRecords, func(k *controlplane.Cluster) string { return strings.ToLower(k.Identifier) })
	if err != nil {
		return nil, err
	}
	out := &DescribeDBClustersOutput{Marker: next, DBClusters: []DBCluster{}}
	for _, k := range rows {
		out.DBClusters = append(out.DBClusters, s.clusterOf(acct, st, k))
	}
	return out, nil
}

func (s *server) clusterOf(a *controlplane.Account, st *controlplane.State, k *controlplane.Cluster) DBCluster {
	out := DBCluster{
		AvailabilityZones: []string{a.Region + "a", a.Region + "b"}, DBClusterIdentifier: k.Identifier, DBSubnetGroup: defaultName,
		Status: available, Engine: k.Engine, DBClusterMembers: []DBClusterMember{}, VpcSecurityGroups: memberships(a),
		DBClusterResourceID: k.ResourceID, DBClusterArn: a.ARN(controlplane.KindCluster, k.Identifier), ClusterCreateTime: k.Created,
		TagList: tagList(k.Tags),
	}
	members := st.Members(k.Identifier)
	writer, seen := st.SeenWriter(k.Identifier, s.health)
	if !seen && len(members) > 0 { // the one declared first
		writer = resource.Member{ResourceID: members[0].ResourceID, Host: members[0].Host, Port: members[0].Port}
	}
	if writer.Host != "" {
		out.Endpoint, out.Port = &writer.Host, &writer.Port
	}
	for _, d := range members {
		if d.ResourceID == writer.ResourceID {
			out.EngineVersion = awsapi.Optional(d.Version)
			out.IAMDatabaseAuthenticationEnabled = d.IAM != ""
		}
		out.DBClusterMembers = append(out.DBClusterMembers, DBClusterMember{
			DBInstanceIdentifier: d.Identifier, IsClusterWriter: d.ResourceID == writer.ResourceID, DBClusterParameterGroupStatus: "in-sync", PromotionTier: 1,
		})
	}
	return out
}
