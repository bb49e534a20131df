package rdsapi

import (
	"strconv"
	"strings"
	"testing"

	"forebay/internal/controlplane"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func endpointInput(proxy, name string) CreateDBProxyEndpointInput {
	return CreateDBProxyEndpointInput{DBProxyName: proxy, DBProxyEndpointName: name, VpcSubnetIds: []string{"subnet-1", "subnet-2"}}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	px := w.create("p1")
	in := endpointInput("p1", "e1")
	in.Tags = []Tag{{"a", p("b")}}
	answer := do(w, w.createDBProxyEndpoint, in).DBProxyEndpoint
	want := DBProxyEndpoint{
		DBProxyEndpointName: "e1", DBProxyName: "p1", Status: "creating", VpcID: px.VpcID, VpcSecurityGroupIds: px.VpcSecurityGroupIds,
		VpcSubnetIds: []string{"subnet-1", "subnet-2"}, Endpoint: "127.0.1.1", CreatedDate: start, TargetRole: "READ_WRITE", EndpointNetworkType: "IPV4",
	}
	if d := cmp.Diff(want, answer, cmpopts.IgnoreFields(DBProxyEndpoint{}, "DBProxyEndpointArn")); d != "" {
		t.Error(d)
	}
	describe := func(name string) DBProxyEndpoint {
		t.Helper()
		out := do(w, w.describeDBProxyEndpoints, DescribeDBProxyEndpointsInput{DBProxyName: p("p1"), DBProxyEndpointName: &name})
		if len(out.DBProxyEndpoints) != 1 || out.Marker != nil {
			t.Fatalf("described as %+v", out)
		}
		return out.DBProxyEndpoints[0]
	}
	answer.Status = "available"
	if d := cmp.Diff(answer, describe("e1")); d != "" {
		t.Error(d)
	}

	got := do(w, w.modifyDBProxyEndpoint, ModifyDBProxyEndpointInput{DBProxyEndpointName: "e1", NewDBProxyEndpointName: p("e1"), VpcSecurityGroupIds: []string{"sg-7"}})
	answer.VpcSecurityGroupIds = []string{"sg-7"}
	if got.DBProxyEndpoint.Status != "modifying" || !cmp.Equal(describe("e1"), answer) {
		t.Errorf("answer %+v, then %+v", got, describe("e1"))
	}
	do(w, w.modifyDBProxyEndpoint, ModifyDBProxyEndpointInput{DBProxyEndpointName: "e1", NewDBProxyEndpointName: p("e2")})
	answer.DBProxyEndpointName = "e2"
	if d := cmp.Diff(answer, describe("e2")); d != "" {
		t.Errorf("another name changes more than that: %s", d)
	}

	if got := do(w, w.deleteDBProxyEndpoint, DeleteDBProxyEndpointInput{"e2"}); got.DBProxyEndpoint.Status != "deleting" {
		t.Errorf("answer %+v", got)
	}
	refused(w, w.describeDBProxyEndpoints, DescribeDBProxyEndpointsInput{DBProxyEndpointName: p("e2")}, "DBProxyEndpointNotFoundFault")
	refused(w, w.deleteDBProxyEndpoint, DeleteDBProxyEndpointInput{"e2"}, "DBProxyEndpointNotFoundFault")
}

func TestEndpointRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Endpoints: 1})
	w.create("p1")
	w.create("p2")
	w.create("sql", func(in *CreateDBProxyInput) { in.EngineFamily = "SQLSERVER" })
	do(w, w.createDBProxyEndpoint, endpointInput("p1", "e1"))
	for _, tt := range []struct {
		code   string
		change func(in *CreateDBProxyEndpointInput)
	}{
		{"MissingParameter", func(in *CreateDBProxyEndpointInput) { in.DBProxyName = "" }},
		{"MissingParameter", func(in *CreateDBProxyEndpointInput) { in.DBProxyEndpointName = "" }},
		{"MissingParameter", func(in *CreateDBProxyEndpointInput) { in.VpcSubnetIds = nil }},
		{"InvalidSubnet", func(in *CreateDBProxyEndpointInput) { in.VpcSubnetIds = []string{"subnet-1"} }},
		{"InvalidParameterValue", func(in *CreateDBProxyEndpointInput) { in.DBProxyEndpointName = "e-" }},
		{"InvalidParameterValue", func(in *CreateDBProxyEndpointInput) { in.DBProxyEndpointName = "default" }},
		{"InvalidParameterValue", func(in *CreateDBProxyEndpointInput) { in.VpcSecurityGroupIds = []string{"x"} }},
		{"InvalidParameterValue", func(in *CreateDBProxyEndpointInput) { in.TargetRole = p("READER") }},
		{"InvalidParameterValue", func(in *CreateDBProxyEndpointInput) { in.EndpointNetworkType = p("IPV5") }},
		{"InvalidParameterValue", func(in *CreateDBProxyEndpointInput) { in.Tags = []Tag{{Key: "rds:x"}} }},
		{"DBProxyNotFoundFault", func(in *CreateDBProxyEndpointInput) { in.DBProxyName = "p9" }},
		{"DBProxyEndpointAlreadyExistsFault", func(in *CreateDBProxyEndpointInput) { in.DBProxyEndpointName = "E1" }},
		{"DBProxyEndpointQuotaExceededFault", func(in *CreateDBProxyEndpointInput) { in.DBProxyName = "p1" }},
		{"InvalidParameterValue", func(in *CreateDBProxyEndpointInput) { in.TargetRole = p("READ_ONLY") }}, // no target
		{"InvalidParameterValue", func(in *CreateDBProxyEndpointInput) { in.DBProxyName, in.TargetRole = "sql", p("READ_ONLY") }},
	} {
		in := endpointInput("p2", "e2")
		tt.change(&in)
		refused(w, w.createDBProxyEndpoint, in, tt.code)
	}
	do(w, w.createDBProxyEndpoint, endpointInput("p2", "e2"))
	for _, tt := range []struct {
		code string
		in   ModifyDBProxyEndpointInput
	}{
		{"MissingParameter", ModifyDBProxyEndpointInput{}},
		{"DBProxyEndpointNotFoundFault", ModifyDBProxyEndpointInput{DBProxyEndpointName: "e9"}},
		{"DBProxyEndpointAlreadyExistsFault", ModifyDBProxyEndpointInput{DBProxyEndpointName: "e1", NewDBProxyEndpointName: p("e2")}},
		{"InvalidParameterValue", ModifyDBProxyEndpointInput{DBProxyEndpointName: "e1", NewDBProxyEndpointName: p("Default")}},
		{"InvalidParameterValue", ModifyDBProxyEndpointInput{DBProxyEndpointName: "e1", NewDBProxyEndpointName: p("")}},
		{"InvalidParameterValue", ModifyDBProxyEndpointInput{DBProxyEndpointName: "e1", VpcSecurityGroupIds: []string{"x"}}},
	} {
		refused(w, w.modifyDBProxyEndpoint, tt.in, tt.code)
	}
	refused(w, w.describeDBProxyEndpoints, DescribeDBProxyEndpointsInput{DBProxyName: p("p9")}, "DBProxyNotFoundFault")
	refused(w, w.describeDBProxyEndpoints, DescribeDBProxyEndpointsInput{DBProxyName: p("p1"), DBProxyEndpointName: p("e2")}, "DBProxyEndpointNotFoundFault")
	refused(w, w.describeDBProxyEndpoints, DescribeDBProxyEndpointsInput{Filters: []Filter{{"a", []string{"b"}}}}, "InvalidParameterValue")
	w.change(func(tx *controlplane.Tx) error {
		e := *tx.State().EndpointNamed("e1")
		e.Status = "creating"
		tx.Endpoints.Put(e.ID, &e)
		return nil
	})
	refused(w, w.modifyDBProxyEndpoint, ModifyDBProxyEndpointInput{DBProxyEndpointName: "e1"}, "InvalidDBProxyEndpointStateFault")
	refused(w, w.deleteDBProxyEndpoint, DeleteDBProxyEndpointInput{"e1"}, "InvalidDBProxyEndpointStateFault")
}

// TestReaders: READ_ONLY needs a cluster with readers (contract 2.4, 7.3).
func TestReaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.change(func(tx *controlplane.Tx) error {
		for _, cluster := range []string{"alone", "found"} {
			if _, err := tx.AddDatabase(start, controlplane.DatabaseSpec{Identifier: cluster + "-1", Engine: "mysql", Host: "db", Cluster: cluster}); err != nil {
				return err
			}
		}
		discover := true
		_, err := tx.ModifyCluster("found", controlplane.ClusterChange{Discover: &discover})
		return err
	})
	for i, tt := range []struct {
		name     string
		register DBProxyTargetsInput
		says     string
	}{
		{"nothing", DBProxyTargetsInput{}, "needs a DB cluster with readers as the target of DB proxy"},
		{"an instance", DBProxyTargetsInput{DBInstanceIdentifiers: []string{"my"}}, "needs a DB cluster with readers as the target of DB proxy"},
		{"an instance of a cluster", DBProxyTargetsInput{DBInstanceIdentifiers: []string{"shop-1"}}, "needs a DB cluster with readers as the target of DB proxy"},
		{"a cluster without readers", DBProxyTargetsInput{DBClusterIdentifiers: []string{"alone"}}, "DB cluster alone has none"},
		{"a cluster whose readers are found", DBProxyTargetsInput{DBClusterIdentifiers: []string{"found"}}, ""},
		{"a cluster", DBProxyTargetsInput{DBClusterIdentifiers: []string{"shop"}}, ""},
	} {
		n := strconv.Itoa(i)
		w.create("p" + n)
		tt.register.DBProxyName = "p" + n
		if i > 0 {
			do(w, w.registerDBProxyTargets, tt.register)
		}
		in := endpointInput("p"+n, "ro"+n)
		in.TargetRole = p("READ_ONLY")
		if tt.says != "" {
			refused(w, w.createDBProxyEndpoint, in, "InvalidParameterValue")
			if _, err := w.createDBProxyEndpoint(t.Context(), w.call(), &in); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
			}
			continue
		}
		if got := do(w, w.createDBProxyEndpoint, in).DBProxyEndpoint.TargetRole; got != "READ_ONLY" {
			t.Errorf("%s: role %s", tt.name, got)
		}
		rows := do(w, w.describeDBProxyEndpoints, DescribeDBProxyEndpointsInput{DBProxyEndpointName: &in.DBProxyEndpointName}).DBProxyEndpoints
		if len(rows) != 1 || rows[0].TargetRole != "READ_ONLY" || rows[0].IsDefault {
			t.Errorf("%s: described as %+v", tt.name, rows)
		}
	}
}

func TestEndpointQuotaDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.create("p1")
	for i := range 20 {
		do(w, w.createDBProxyEndpoint, endpointInput("p1", "e"+strconv.Itoa(i)))
	}
	refused(w, w.createDBProxyEndpoint, endpointInput("p1", "e20"), "DBProxyEndpointQuotaExceededFault")
	first := do(w, w.describeDBProxyEndpoints, DescribeDBProxyEndpointsInput{MaxRecords: p(20)})
	if len(first.DBProxyEndpoints) != 20 || first.Marker != nil {
		t.Errorf("%d rows, marker %v", len(first.DBProxyEndpoints), first.Marker)
	}
}
