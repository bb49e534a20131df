package rdsapi

import (
	"testing"

	"forebay/internal/controlplane"
	"forebay/internal/resource"

	"github.com/google/go-cmp/cmp"
)

// how is a Health: that of the members of every proxy.
type how []controlplane.MemberHealth

func (h how) Members(string) []controlplane.MemberHealth { return h }

// of is how a member is, by the name of its database.
func (w *world) of(name, state, reason, description, role string) controlplane.MemberHealth {
	m := resource.Member{Name: name, Host: name + ".found", Port: 9}
	if d := w.plane.State().Database(name); d != nil {
		m.ResourceID = d.ResourceID
	}
	return controlplane.MemberHealth{Member: m, State: state, Reason: reason, Description: description, Role: role}
}

func TestInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.create("p1")
	describe := func() []DBProxyTarget {
		t.Helper()
		return do(w, w.describeDBProxyTargets, DescribeDBProxyTargetsInput{DBProxyName: "p1", TargetGroupName: p("default")}).Targets
	}
	if got := describe(); got == nil || len(got) != 0 {
		t.Errorf("targets %+v", got)
	}
	in := DBProxyTargetsInput{DBProxyName: "p1", DBInstanceIdentifiers: []string{"my"}}
	want := []DBProxyTarget{{
		Endpoint: p("db.example.com"), RdsResourceID: "my", Port: 13306, Type: "RDS_INSTANCE", Role: p("UNKNOWN"),
		TargetHealth: &TargetHealth{State: "REGISTERING"},
	}}
	if d := cmp.Diff(want, do(w, w.registerDBProxyTargets, in).DBProxyTargets); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, describe()); d != "" {
		t.Error(d)
	}
	for _, tt := range []struct {
		health how
		want   TargetHealth
		role   string
	}{
		{nil, TargetHealth{State: "REGISTERING"}, "UNKNOWN"},
		{how{w.of("pg", "AVAILABLE", "", "", "READ_WRITE")}[:0], TargetHealth{State: "REGISTERING"}, "UNKNOWN"},
		{how{w.of("my", "AVAILABLE", "x", "y", "READ_WRITE")}, TargetHealth{State: "AVAILABLE"}, "READ_WRITE"},
		{how{w.of("my", "UNAVAILABLE", "AUTH_FAILURE", "why", "UNKNOWN")}, TargetHealth{"UNAVAILABLE", p("AUTH_FAILURE"), p("why")}, "UNKNOWN"},
		{how{w.of("my", "UNAVAILABLE", "", "why", "READ_WRITE")}, TargetHealth{"UNAVAILABLE", nil, p("why")}, "READ_WRITE"},
	} {
		w.server.health = tt.health
		if got := describe()[0]; !cmp.Equal(*got.TargetHealth, tt.want) || *got.Role != tt.role || *got.Endpoint != "db.example.com" {
			t.Errorf("%+v: got %+v, role %s", tt.health, *got.TargetHealth, *got.Role)
		}
	}
	w.server.health = nil
	refused(w, w.registerDBProxyTargets, in, "DBProxyTargetAlreadyRegisteredFault")
	refused(w, w.registerDBProxyTargets, DBProxyTargetsInput{DBProxyName: "p1", DBClusterIdentifiers: []string{"shop"}}, "DBProxyTargetAlreadyRegisteredFault")
	refused(w, w.deregisterDBProxyTargets, DBProxyTargetsInput{DBProxyName: "p1", DBInstanceIdentifiers: []string{"pg"}}, "DBProxyTargetNotFoundFault")
	refused(w, w.deregisterDBProxyTargets, DBProxyTargetsInput{DBProxyName: "p1", DBClusterIdentifiers: []string{"shop"}}, "DBProxyTargetNotFoundFault")
	do(w, w.deregisterDBProxyTargets, in)
	if got := describe(); len(got) != 0 {
		t.Errorf("targets %+v", got)
	}
	refused(w, w.deregisterDBProxyTargets, in, "DBProxyTargetNotFoundFault")
}

func TestCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.create("p1")
	member := func(name, host, state string, description *string, role string) DBProxyTarget {
		return DBProxyTarget{
			Endpoint: &host, TrackedClusterID: p("shop"), RdsResourceID: name, Port: 3306, Type: "RDS_INSTANCE", Role: &role,
			TargetHealth: &TargetHealth{State: state, Description: description},
		}
	}
	in := DBProxyTargetsInput{DBProxyName: "p1", TargetGroupName: p("default"), DBClusterIdentifiers: []string{"SHOP"}}
	want := []DBProxyTarget{
		{RdsResourceID: "shop", Port: 3306, Type: "TRACKED_CLUSTER", TargetHealth: &TargetHealth{State: "REGISTERING"}},
		member("shop-1", "10.0.0.3", "REGISTERING", nil, "UNKNOWN"), member("shop-2", "10.0.0.4", "REGISTERING", nil, "UNKNOWN"),
	}
	if d := cmp.Diff(want, do(w, w.registerDBProxyTargets, in).DBProxyTargets); d != "" {
		t.Error(d)
	}
	// Each member has its own; what has been found beside the declared ones comes last.
	writer := w.of("shop-2", "AVAILABLE", "", "", "READ_WRITE")
	w.server.health = how{
		w.of("replica-9", "AVAILABLE", "", "", "READ_ONLY"), writer,
		w.of("shop-1", "UNAVAILABLE", "UNREACHABLE", "connection refused", "READ_ONLY"),
	}
	want = []DBProxyTarget{
		{RdsResourceID: "shop", Port: 3306, Type: "TRACKED_CLUSTER", TargetHealth: &TargetHealth{State: "AVAILABLE"}},
		member("shop-1", "10.0.0.3", "UNAVAILABLE", p("connection refused"), "READ_ONLY"),
		member("shop-2", "10.0.0.4", "AVAILABLE", nil, "READ_WRITE"),
		member("replica-9", "replica-9.found", "AVAILABLE", nil, "READ_ONLY"),
	}
	want[1].TargetHealth.Reason, want[3].Port = p("UNREACHABLE"), 9
	describe := func() []DBProxyTarget {
		t.Helper()
		return do(w, w.describeDBProxyTargets, DescribeDBProxyTargetsInput{DBProxyName: "p1"}).Targets
	}
	if d := cmp.Diff(want, describe()); d != "" {
		t.Error(d)
	}
	for _, tt := range []struct {
		name   string
		health how
		want   TargetHealth
	}{
		{
			"the writer is gone",
			how{w.of("shop-1", "AVAILABLE", "", "", "READ_ONLY"), w.of("shop-2", "UNAVAILABLE", "UNREACHABLE", "timeout", "READ_WRITE")},
			TargetHealth{"UNAVAILABLE", p("UNREACHABLE"), p("The writer, shop-2: timeout")},
		},
		{
			"there is none",
			how{w.of("shop-1", "AVAILABLE", "", "", "READ_ONLY"), w.of("shop-2", "AVAILABLE", "", "", "READ_ONLY")},
			TargetHealth{"UNAVAILABLE", p("INVALID_REPLICATION_STATE"), p("None of the members that answer is the writer")},
		},
		{
			"there is none, and one does not answer",
			how{w.of("shop-1", "AVAILABLE", "", "", "READ_ONLY"), w.of("shop-2", "UNAVAILABLE", "AUTH_FAILURE", "no", "UNKNOWN")},
			TargetHealth{"UNAVAILABLE", p("AUTH_FAILURE"), p("None of the members that answer is the writer; shop-2: no")},
		},
		{"one has not been asked yet", how{w.of("shop-1", "AVAILABLE", "", "", "READ_ONLY")}, TargetHealth{State: "REGISTERING"}},
	} {
		w.server.health = tt.health
		if d := cmp.Diff(&tt.want, describe()[0].TargetHealth); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	do(w, w.deregisterDBProxyTargets, in)
	if got := do(w, w.describeDBProxyTargets, DescribeDBProxyTargetsInput{DBProxyName: "p1"}).Targets; len(got) != 0 {
		t.Errorf("targets %+v", got)
	}
}

func TestRegisterRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.create("p1")
	w.create("six", func(in *CreateDBProxyInput) { in.TargetConnectionNetworkType = p("IPV6") })
	w.change(func(tx *controlplane.Tx) error {
		for id, host := range map[string]string{"mixed-1": "db.example.com", "mixed-2": "10.0.0.9"} {
			if _, err := tx.AddDatabase(start, controlplane.DatabaseSpec{Identifier: id, Engine: "mysql", Host: host, Cluster: "mixed"}); err != nil {
				return err
			}
		}
		tx.Clusters.Put("empty", &controlplane.Cluster{Identifier: "empty", Engine: "aurora-mysql"})
		return nil
	})
	one, both := []string{"my"}, []string{"my", "pg"}
	for _, tt := range []struct {
		code string
		in   DBProxyTargetsInput
	}{
		{"MissingParameter", DBProxyTargetsInput{DBInstanceIdentifiers: one}},
		{"InvalidParameterCombination", DBProxyTargetsInput{DBProxyName: "p1"}},
		{"InvalidParameterCombination", DBProxyTargetsInput{DBProxyName: "p1", DBInstanceIdentifiers: both}},
		{"InvalidParameterCombination", DBProxyTargetsInput{DBProxyName: "p1", DBInstanceIdentifiers: one, DBClusterIdentifiers: []string{"shop"}}},
		{"InvalidParameterValue", DBProxyTargetsInput{DBProxyName: "p1", DBInstanceIdentifiers: []string{"a b"}}},
		{"DBProxyNotFoundFault", DBProxyTargetsInput{DBProxyName: "p9", DBInstanceIdentifiers: one}},
		{"DBProxyTargetGroupNotFoundFault", DBProxyTargetsInput{DBProxyName: "p1", TargetGroupName: p("other"), DBInstanceIdentifiers: one}},
		{"DBInstanceNotFound", DBProxyTargetsInput{DBProxyName: "p1", DBInstanceIdentifiers: []string{"shop"}}},
		{"DBClusterNotFoundFault", DBProxyTargetsInput{DBProxyName: "p1", DBClusterIdentifiers: one}},
		{"InvalidDBClusterStateFault", DBProxyTargetsInput{DBProxyName: "p1", DBClusterIdentifiers: []string{"empty"}}},
		{"InvalidParameterValue", DBProxyTargetsInput{DBProxyName: "p1", DBInstanceIdentifiers: []string{"pg"}}},
		{"InvalidDBInstanceState", DBProxyTargetsInput{DBProxyName: "six", DBInstanceIdentifiers: []string{"shop-1"}}},
		{"InvalidDBInstanceState", DBProxyTargetsInput{DBProxyName: "six", DBClusterIdentifiers: []string{"mixed"}}},
	} {
		refused(w, w.registerDBProxyTargets, tt.in, tt.code)
	}
	do(w, w.registerDBProxyTargets, DBProxyTargetsInput{DBProxyName: "six", DBInstanceIdentifiers: one})
	refused(w, w.deregisterDBProxyTargets, DBProxyTargetsInput{DBProxyName: "p9", DBInstanceIdentifiers: one}, "DBProxyNotFoundFault")
	refused(w, w.deregisterDBProxyTargets, DBProxyTargetsInput{DBProxyName: "p1", TargetGroupName: p("other"), DBInstanceIdentifiers: one}, "DBProxyTargetGroupNotFoundFault")
	refused(w, w.describeDBProxyTargets, DescribeDBProxyTargetsInput{DBProxyName: "p9"}, "DBProxyNotFoundFault")
	refused(w, w.describeDBProxyTargets, DescribeDBProxyTargetsInput{DBProxyName: "p1", TargetGroupName: p("other")}, "DBProxyTargetGroupNotFoundFault")
}
