package rdsapi

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPoolConfig(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.create("my")
	w.create("sql", func(in *CreateDBProxyInput) { in.EngineFamily = "SQLSERVER" })
	none := []string{}
	filters := []string{"EXCLUDE_VARIABLE_SETS"}
	if got := w.group("sql").ConnectionPoolConfig; !cmp.Equal(got, ConnectionPoolConfigurationInfo{10, 5, 120, none, nil}) {
		t.Errorf("SQL Server's defaults: %+v", got)
	}
	if got := w.group("my").ConnectionPoolConfig; !cmp.Equal(got, ConnectionPoolConfigurationInfo{100, 50, 120, none, nil}) {
		t.Errorf("defaults: %+v", got)
	}
	type in = ConnectionPoolConfiguration
	for _, tt := range []struct {
		name string
		in   *in
		want ConnectionPoolConfigurationInfo
	}{
		{"nothing", nil, ConnectionPoolConfigurationInfo{100, 50, 120, none, nil}},
		{"idle follows max while it was never set", &in{MaxConnectionsPercent: p(30)}, ConnectionPoolConfigurationInfo{30, 15, 120, none, nil}},
		{"idle alone, within the max that is stored", &in{MaxIdleConnectionsPercent: p(30)}, ConnectionPoolConfigurationInfo{30, 30, 120, none, nil}},
		{"bounds", &in{MaxConnectionsPercent: p(1), MaxIdleConnectionsPercent: p(0), ConnectionBorrowTimeout: p(0)}, ConnectionPoolConfigurationInfo{1, 0, 0, none, nil}},
		{"bounds above", &in{MaxConnectionsPercent: p(100), MaxIdleConnectionsPercent: p(100), ConnectionBorrowTimeout: p(300)}, ConnectionPoolConfigurationInfo{100, 100, 300, none, nil}},
		{"filters and query", &in{SessionPinningFilters: filters, InitQuery: p("SET a=1, b=2")}, ConnectionPoolConfigurationInfo{100, 100, 300, filters, p("SET a=1, b=2")}},
		{"Terraform 5: what is left out stays", &in{MaxConnectionsPercent: p(90), MaxIdleConnectionsPercent: p(50), ConnectionBorrowTimeout: p(120)}, ConnectionPoolConfigurationInfo{90, 50, 120, filters, p("SET a=1, b=2")}},
		{"Terraform 4: what is empty is cleared", &in{SessionPinningFilters: none, InitQuery: p("")}, ConnectionPoolConfigurationInfo{90, 50, 120, none, nil}},
	} {
		w.now = w.now.Add(time.Second)
		answer := do(w, w.modifyDBProxyTargetGroup, ModifyDBProxyTargetGroupInput{DBProxyName: "my", TargetGroupName: "default", ConnectionPoolConfig: tt.in, NewName: p("default")}).DBProxyTargetGroup
		if d := cmp.Diff(tt.want, answer.ConnectionPoolConfig); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
		got := w.group("my")
		if d := cmp.Diff(answer, got); d != "" {
			t.Errorf("%s: the answer: %s", tt.name, d)
		}
		if !got.UpdatedDate.Equal(w.now) || !got.CreatedDate.Equal(start) {
			t.Errorf("%s: created %v, updated %v", tt.name, got.CreatedDate, got.UpdatedDate)
		}
	}
	for _, tt := range []struct {
		name, proxy string
		in          in
	}{
		{"max 0", "my", in{MaxConnectionsPercent: p(0)}},
		{"max 101", "my", in{MaxConnectionsPercent: p(101)}},
		{"idle -1", "my", in{MaxIdleConnectionsPercent: p(-1)}},
		{"idle above max", "my", in{MaxConnectionsPercent: p(20), MaxIdleConnectionsPercent: p(21)}},
		{"idle above the stored max", "my", in{MaxIdleConnectionsPercent: p(91)}},
		{"max below the stored idle, as Terraform's default 50", "my", in{MaxConnectionsPercent: p(49)}},
		{"idle above SQL Server's default", "sql", in{MaxIdleConnectionsPercent: p(11)}},
		{"borrow timeout 301", "my", in{ConnectionBorrowTimeout: p(301)}},
		{"borrow timeout -1", "my", in{ConnectionBorrowTimeout: p(-1)}},
		{"unknown filter", "my", in{SessionPinningFilters: []string{"EVERYTHING"}}},
		{"filter without MySQL", "sql", in{SessionPinningFilters: filters}},
		{"NUL", "my", in{InitQuery: p("SELECT 1\x00")}},
	} {
		t.Log(tt.name)
		refused(w, w.modifyDBProxyTargetGroup, ModifyDBProxyTargetGroupInput{DBProxyName: tt.proxy, TargetGroupName: "default", ConnectionPoolConfig: &tt.in}, "InvalidParameterValue")
	}
	type modify = ModifyDBProxyTargetGroupInput
	refused(w, w.modifyDBProxyTargetGroup, modify{DBProxyName: "my"}, "MissingParameter")
	refused(w, w.modifyDBProxyTargetGroup, modify{TargetGroupName: "default"}, "MissingParameter")
	refused(w, w.modifyDBProxyTargetGroup, modify{DBProxyName: "p9", TargetGroupName: "default"}, "DBProxyNotFoundFault")
	refused(w, w.modifyDBProxyTargetGroup, modify{DBProxyName: "my", TargetGroupName: "other"}, "DBProxyTargetGroupNotFoundFault")
	refused(w, w.modifyDBProxyTargetGroup, modify{DBProxyName: "my", TargetGroupName: "default", NewName: p("x")}, "InvalidParameterValue")
	type describe = DescribeDBProxyTargetGroupsInput
	refused(w, w.describeDBProxyTargetGroups, describe{}, "MissingParameter")
	refused(w, w.describeDBProxyTargetGroups, describe{DBProxyName: "p9"}, "DBProxyNotFoundFault")
	refused(w, w.describeDBProxyTargetGroups, describe{DBProxyName: "my", TargetGroupName: p("other")}, "DBProxyTargetGroupNotFoundFault")
	refused(w, w.describeDBProxyTargetGroups, describe{DBProxyName: "my", MaxRecords: p(19)}, "InvalidParameterValue")
}
