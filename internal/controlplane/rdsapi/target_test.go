package rdsapi

import (
	"testing"

	"forebay/internal/controlplane"

	"github.com/google/go-cmp/cmp"
)

// how is a Health.
type how struct{ state, reason, description, role string }

func (h how) Target(string) (state, reason, description, role string) {
	return h.state, h.reason, h.description, h.role
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
		{how{}, TargetHealth{State: "REGISTERING"}, "UNKNOWN"},
		{how{"AVAILABLE", "x", "y", "READ_WRITE"}, TargetHealth{State: "AVAILABLE"}, "READ_WRITE"},
		{how{"UNAVAILABLE", "AUTH_FAILURE", "why", ""}, TargetHealth{"UNAVAILABLE", p("AUTH_FAILURE"), p("why")}, "UNKNOWN"},
		{how{"UNAVAILABLE", "", "why", ""}, TargetHealth{"UNAVAILABLE", nil, p("why")}, "UNKNOWN"},
	} {
		w.server.health = tt.health
		if got := describe()[0]; !cmp.Equal(*got.TargetHealth, tt.want) || *got.Role != tt.role {
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
	w.server.health = how{state: "AVAILABLE", role: "READ_WRITE"}
	want = []DBProxyTarget{
		{RdsResourceID: "shop", Port: 3306, Type: "TRACKED_CLUSTER", TargetHealth: &TargetHealth{State: "AVAILABLE"}},
		member("shop-1", "10.0.0.3", "AVAILABLE", nil, "READ_WRITE"),
		member("shop-2", "10.0.0.4", "UNUSED", p("Forebay connects to the cluster's writer alone."), "UNKNOWN"),
	}
	if d := cmp.Diff(want, do(w, w.describeDBProxyTargets, DescribeDBProxyTargetsInput{DBProxyName: "p1"}).Targets); d != "" {
		t.Error(d)
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
	} {
		refused(w, w.registerDBProxyTargets, tt.in, tt.code)
	}
	do(w, w.registerDBProxyTargets, DBProxyTargetsInput{DBProxyName: "six", DBInstanceIdentifiers: one})
	refused(w, w.deregisterDBProxyTargets, DBProxyTargetsInput{DBProxyName: "p9", DBInstanceIdentifiers: one}, "DBProxyNotFoundFault")
	refused(w, w.deregisterDBProxyTargets, DBProxyTargetsInput{DBProxyName: "p1", TargetGroupName: p("other"), DBInstanceIdentifiers: one}, "DBProxyTargetGroupNotFoundFault")
	refused(w, w.describeDBProxyTargets, DescribeDBProxyTargetsInput{DBProxyName: "p9"}, "DBProxyNotFoundFault")
	refused(w, w.describeDBProxyTargets, DescribeDBProxyTargetsInput{DBProxyName: "p1", TargetGroupName: p("other")}, "DBProxyTargetGroupNotFoundFault")
}
