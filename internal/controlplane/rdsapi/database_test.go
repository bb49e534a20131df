package rdsapi

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	const arn = "arn:aws:rds:us-east-1:123456789012:db:"
	id := do(w, w.describeDBInstances, DescribeDBInstancesInput{DBInstanceIdentifier: p("pg")}).DBInstances[0]
	want := DBInstance{
		DBInstanceIdentifier: "pg", Engine: "postgres", DBInstanceStatus: "available", Endpoint: Endpoint{"10.0.0.1", 5432},
		InstanceCreateTime: start, AvailabilityZone: "us-east-1a", EngineVersion: p("18.1"), DBInstanceArn: arn + "pg", TagList: []Tag{},
	}
	if d := cmp.Diff(want, id, cmpopts.IgnoreFields(DBInstance{}, "VpcSecurityGroups", "DBSubnetGroup", "DbiResourceID")); d != "" {
		t.Error(d)
	}
	// As in the guides: what a database says of its network makes a proxy.
	w.create("p1", func(in *CreateDBProxyInput) {
		in.VpcSubnetIds, in.VpcSecurityGroupIds = nil, []string{id.VpcSecurityGroups[0].VpcSecurityGroupID}
		for _, s := range id.DBSubnetGroup.Subnets {
			in.VpcSubnetIds = append(in.VpcSubnetIds, s.SubnetIdentifier)
		}
	})
	if got := w.describe("p1"); got.VpcID != id.DBSubnetGroup.VpcID {
		t.Errorf("networks %s and %s", got.VpcID, id.DBSubnetGroup.VpcID)
	}
	filter := func(name string, values ...string) []Filter { return []Filter{{name, values}} }
	for _, tt := range []struct {
		name string
		in   DescribeDBInstancesInput
		want []string
	}{
		{"all", DescribeDBInstancesInput{}, []string{"my", "pg", "shop-1", "shop-2"}},
		{"name's case", DescribeDBInstancesInput{DBInstanceIdentifier: p("Shop-1")}, []string{"shop-1"}},
		{"ARN", DescribeDBInstancesInput{DBInstanceIdentifier: p(arn + "SHOP-1")}, []string{"shop-1"}},
		{"filter by name or ARN", DescribeDBInstancesInput{Filters: filter("db-instance-id", "PG", arn+"my")}, []string{"my", "pg"}},
		{"filter by cluster", DescribeDBInstancesInput{Filters: filter("db-cluster-id", "Shop")}, []string{"shop-1", "shop-2"}},
		{"filter by cluster's ARN", DescribeDBInstancesInput{Filters: filter("db-cluster-id", "arn:aws:rds:us-east-1:123456789012:cluster:shop")}, []string{"shop-1", "shop-2"}},
		{"filter by resource id", DescribeDBInstancesInput{Filters: filter("dbi-resource-id", id.DbiResourceID)}, []string{"pg"}},
		{"filter by engine", DescribeDBInstancesInput{Filters: filter("engine", "postgres", "mariadb")}, []string{"my", "pg"}},
		{"filter by domain", DescribeDBInstancesInput{Filters: filter("domain", "d-1")}, nil},
		{"both filters", DescribeDBInstancesInput{Filters: append(filter("engine", "postgres"), filter("db-instance-id", "my")...)}, nil},
		{"name and filter", DescribeDBInstancesInput{DBInstanceIdentifier: p("pg"), Filters: filter("engine", "mariadb")}, nil},
	} {
		var got []string
		for _, d := range do(w, w.describeDBInstances, tt.in).DBInstances {
			got = append(got, d.DBInstanceIdentifier)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	for _, tt := range []struct {
		code string
		in   DescribeDBInstancesInput
	}{
		{"DBInstanceNotFound", DescribeDBInstancesInput{DBInstanceIdentifier: p("other")}},
		{"DBInstanceNotFound", DescribeDBInstancesInput{DBInstanceIdentifier: p("arn:aws:rds:us-east-1:123456789012:cluster:shop")}},
		{"InvalidParameterValue", DescribeDBInstancesInput{Filters: filter("name", "x")}},
		{"MissingParameter", DescribeDBInstancesInput{Filters: filter("engine")}},
		{"InvalidParameterValue", DescribeDBInstancesInput{MaxRecords: p(101)}},
		{"InvalidParameterValue", DescribeDBInstancesInput{Marker: p("x")}},
	} {
		refused(w, w.describeDBInstances, tt.in, tt.code)
	}
}

func TestClusters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	const arn = "arn:aws:rds:us-east-1:123456789012:cluster:"
	got := do(w, w.describeDBClusters, DescribeDBClustersInput{DBClusterIdentifier: p(arn + "Shop")}).DBClusters
	want := []DBCluster{{
		AvailabilityZones: []string{"us-east-1a", "us-east-1b"}, DBClusterIdentifier: "shop", DBSubnetGroup: "default", Status: "available",
		Endpoint: p("10.0.0.3"), Engine: "aurora-mysql", Port: p(3306), DBClusterArn: arn + "shop", ClusterCreateTime: start.Add(2 * time.Second), TagList: []Tag{},
		DBClusterMembers: []DBClusterMember{{"shop-1", true, "in-sync", 1}, {"shop-2", false, "in-sync", 1}},
	}}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(DBCluster{}, "VpcSecurityGroups", "DBClusterResourceID")); d != "" {
		t.Error(d)
	}
	// The writer is whom the data plane has seen, for whichever proxy; before that, the first.
	w.create("p1")
	do(w, w.registerDBProxyTargets, DBProxyTargetsInput{DBProxyName: "p1", DBClusterIdentifiers: []string{"shop"}})
	for _, tt := range []struct {
		name    string
		health  how
		writers []bool // of shop-1 and shop-2
		host    *string
	}{
		{"nothing has been seen", nil, []bool{true, false}, p("10.0.0.3")},
		{"no role has been seen", how{w.of("shop-1", "UNAVAILABLE", "", "x", "UNKNOWN")}, []bool{true, false}, p("10.0.0.3")},
		{"the other one", how{w.of("shop-1", "AVAILABLE", "", "", "READ_ONLY"), w.of("shop-2", "AVAILABLE", "", "", "READ_WRITE")}, []bool{false, true}, p("shop-2.found")},
		{"one that has gone", how{w.of("shop-1", "UNAVAILABLE", "", "", "READ_WRITE"), w.of("shop-2", "AVAILABLE", "", "", "READ_ONLY")}, []bool{true, false}, p("shop-1.found")},
		{"one that nobody has declared", how{w.of("shop-1", "AVAILABLE", "", "", "READ_ONLY"), w.of("new", "AVAILABLE", "", "", "READ_WRITE")}, []bool{false, false}, p("new.found")},
		{"none", how{w.of("shop-1", "AVAILABLE", "", "", "READ_ONLY")}, []bool{false, false}, nil},
	} {
		w.server.health = tt.health
		k := do(w, w.describeDBClusters, DescribeDBClustersInput{}).DBClusters[0]
		var writers []bool
		for _, m := range k.DBClusterMembers {
			writers = append(writers, m.IsClusterWriter)
		}
		if !cmp.Equal(writers, tt.writers) || !cmp.Equal(k.Endpoint, tt.host) {
			t.Errorf("%s: writers %v, endpoint %v", tt.name, writers, k.Endpoint)
		}
	}
	for _, tt := range []struct {
		filter string
		value  string
		rows   int
	}{
		{"db-cluster-id", "SHOP", 1},
		{"db-cluster-id", arn + "shop", 1},
		{"db-cluster-resource-id", got[0].DBClusterResourceID, 1},
		{"engine", "aurora-mysql", 1},
		{"engine", "mysql", 0},
		{"domain", "x", 0},
		{"clone-group-id", "x", 0},
	} {
		if got := do(w, w.describeDBClusters, DescribeDBClustersInput{Filters: []Filter{{tt.filter, []string{tt.value}}}}).DBClusters; len(got) != tt.rows {
			t.Errorf("%s=%s: %d rows, want %d", tt.filter, tt.value, len(got), tt.rows)
		}
	}
	refused(w, w.describeDBClusters, DescribeDBClustersInput{DBClusterIdentifier: p("pg")}, "DBClusterNotFoundFault")
	refused(w, w.describeDBClusters, DescribeDBClustersInput{Filters: []Filter{{"db-instance-id", []string{"x"}}}}, "InvalidParameterValue")
}
