package forebayapi

import (
	"log/slog"
	"testing"
	"time"

	"forebay/internal/cluster/memory"
	"forebay/internal/controlplane"
	"forebay/internal/resource"

	"github.com/google/go-cmp/cmp"
)

// newServer has an account, and the proxy prx-1, named p1, whose target is the cluster shop.
func newServer(t *testing.T) *server {
	t.Helper()
	plane, err := controlplane.Open(t.Context(), memory.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plane.Close)
	if _, err := plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		tx.Accounts.Put("account", &controlplane.Account{ID: "123456789012", Region: "us-east-1"})
		tx.Proxies.Put("prx-1", &controlplane.Proxy{ID: "prx-1", Name: "p1", Group: controlplane.TargetGroup{Cluster: "shop"}})
		tx.Secrets.Put(monitor, &controlplane.Secret{ARN: monitor, Name: "monitor"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return &server{plane: plane}
}

const (
	monitor = "arn:aws:secretsmanager:us-east-1:123456789012:secret:monitor-AbCdEf"
	rdsARN  = "arn:aws:rds:us-east-1:123456789012:"
)

func ptr[T any](v T) *T { return &v }

func TestModifyCluster(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const add, join, modify, read = "forebay:AddDatabase " + rdsARN + "db:a", "forebay:AddDatabase " + rdsARN + "cluster:shop", "forebay:ModifyCluster " + rdsARN + "cluster:shop", "secretsmanager:GetSecretValue " + monitor
	in := AddDatabaseInput{Identifier: "a", Engine: "mysql", Host: "db", Cluster: ptr("shop"), MaxReplicaLag: ptr(10), MonitorSecret: ptr(monitor)}
	alone := in
	alone.Cluster = nil
	wrong := in
	wrong.ReaderFallback = ptr("never")
	for _, tt := range []struct {
		name  string
		in    AddDatabaseInput
		code  string
		allow []string
	}{
		{"may not change clusters", in, "AccessDenied", []string{add, join, read}},
		{"may not read the secret", in, "AccessDenied", []string{add, join, modify}},
		{"no cluster", alone, "InvalidParameterValue", []string{add, join, modify, read}},
		{"a wrong word", wrong, "InvalidParameterValue", []string{add, join, modify, read}},
	} {
		if _, code := try(t, s.addDatabase, tt.in, tt.allow...); code != tt.code || s.plane.State().Databases.Len() > 0 {
			t.Errorf("%s: code %s, %d databases", tt.name, code, s.plane.State().Databases.Len())
		}
	}
	if _, code := try(t, s.addDatabase, in, add, join, modify, read); code != "" {
		t.Fatalf("code %s", code)
	}
	want := Cluster{Identifier: "shop", ARN: rdsARN + "cluster:shop", Engine: "mysql", MonitorSecret: ptr(monitor), MaxReplicaLag: 10, ReaderFallback: "wait"}
	list := func() []Cluster {
		t.Helper()
		out, code := try(t, s.listDatabases, ListDatabasesInput{}, "forebay:ListDatabases "+rdsARN+"db:*")
		if code != "" {
			t.Fatalf("code %s", code)
		}
		return out.Clusters
	}
	if d := cmp.Diff([]Cluster{want}, list()); d != "" {
		t.Error(d)
	}
	out, code := try(t, s.modifyCluster, ModifyClusterInput{Cluster: "shop", Discover: ptr(true), ReaderFallback: ptr("writer")}, modify)
	want.Discover, want.ReaderFallback = true, "writer"
	if d := cmp.Diff(&ClusterOutput{want}, out); code != "" || d != "" {
		t.Errorf("code %s: %s", code, d)
	}
	for _, tt := range []struct {
		in    ModifyClusterInput
		code  string
		allow string
	}{
		{ModifyClusterInput{Cluster: "shop"}, "AccessDenied", ""},
		{ModifyClusterInput{Cluster: "shop", MonitorSecret: ptr(monitor)}, "AccessDenied", modify},
		{ModifyClusterInput{Cluster: "shop", MaxReplicaLag: ptr(-1)}, "InvalidParameterValue", modify},
		{ModifyClusterInput{Cluster: "SHOP", Discover: ptr(true)}, "", modify}, // asked about by the name that it has
		{ModifyClusterInput{Cluster: "SHOP", Discover: ptr(false)}, "AccessDenied", "forebay:ModifyCluster " + rdsARN + "cluster:SHOP"},
		{ModifyClusterInput{Cluster: "other"}, "DBClusterNotFoundFault", "forebay:ModifyCluster " + rdsARN + "cluster:other"},
	} {
		if _, code := try(t, s.modifyCluster, tt.in, tt.allow); code != tt.code {
			t.Errorf("%+v: code %s, want %s", tt.in, code, tt.code)
		}
	}
	if _, err := s.plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		_, err := tx.DeclareDatabases(start, "local", []controlplane.DatabaseSpec{{Identifier: "f", Engine: "mysql", Host: "db", Cluster: "file"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, code := try(t, s.modifyCluster, ModifyClusterInput{Cluster: "file", Discover: ptr(false)}, "forebay:ModifyCluster "+rdsARN+"cluster:file"); code != "InvalidDBClusterStateFault" {
		t.Errorf("a cluster of the configuration file: code %s", code)
	}
}

// seen is a Health.
type seen map[string][]controlplane.MemberHealth

func (s seen) Members(id string) []controlplane.MemberHealth { return s[id] }

func TestListHealth(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if _, err := s.plane.Update(t.Context(), func(tx *controlplane.Tx) error {
		for _, id := range []string{"shop-1", "shop-2", "spare"} {
			d := controlplane.DatabaseSpec{Identifier: id, Engine: "mysql", Host: id, Cluster: "shop"}
			if id == "spare" {
				d.Cluster = ""
			}
			if _, err := tx.AddDatabase(start, d); err != nil {
				return err
			}
		}
		tx.Proxies.Put("prx-0", &controlplane.Proxy{ID: "prx-0", Name: "p0", Group: controlplane.TargetGroup{Instance: "shop-1"}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	of := func(id string) resource.Member {
		return resource.Member{Name: id, ResourceID: s.plane.State().Database(id).ResourceID}
	}
	s.health = seen{
		"prx-0": {{Member: of("shop-1"), State: "REGISTERING", Description: "not yet", Role: "UNKNOWN", Lag: -1}},
		"prx-1": {
			{Member: of("shop-1"), State: "AVAILABLE", Role: "READ_WRITE", Lag: 0},
			{Member: of("shop-2"), State: "UNAVAILABLE", Reason: "UNREACHABLE", Description: "refused", Role: "READ_ONLY", Lag: -1},
			{Member: resource.Member{Name: "new", Host: "db9", Port: 3306}, State: "AVAILABLE", Role: "READ_ONLY", Lag: 1500 * time.Millisecond},
		},
	}
	out, code := try(t, s.listDatabases, ListDatabasesInput{}, "forebay:ListDatabases "+rdsARN+"db:*")
	if code != "" {
		t.Fatalf("code %s", code)
	}
	got := map[string]*Health{}
	for _, d := range out.Databases {
		got[d.Identifier] = d.Health
	}
	if d := cmp.Diff(map[string]*Health{
		"shop-1": {State: "AVAILABLE", Role: "READ_WRITE"},
		"shop-2": {State: "UNAVAILABLE", Reason: ptr("UNREACHABLE"), Description: ptr("refused"), Role: "READ_ONLY"},
		"spare":  nil,
	}, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]FoundMember{
		{Name: "new", Cluster: "shop", Host: "db9", Port: 3306, Health: Health{State: "AVAILABLE", Role: "READ_ONLY", LagMilliseconds: ptr(1500)}},
	}, out.Found); d != "" {
		t.Error(d)
	}
}
