package controlplane_test

import (
	"errors"
	"testing"

	"forebay/internal/controlplane"

	"github.com/google/go-cmp/cmp"
)

func ptr[T any](v T) *T { return &v }

const monitorARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:monitor-AbCdEf"

func TestModifyCluster(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	add(t, p,
		controlplane.DatabaseSpec{Identifier: "a", Engine: "mysql", Host: "db1", Cluster: "Shop"},
		controlplane.DatabaseSpec{Identifier: "f", Engine: "mysql", Host: "db2", Cluster: "file", FromFile: true},
	)
	modify := func(id string, change controlplane.ClusterChange) error {
		_, err := p.Update(t.Context(), func(tx *controlplane.Tx) error {
			_, err := tx.ModifyCluster(id, change)
			return err
		})
		return err
	}
	for _, step := range []struct {
		change controlplane.ClusterChange
		want   controlplane.ClusterSettings
	}{
		{controlplane.ClusterChange{}, controlplane.ClusterSettings{}},
		{controlplane.ClusterChange{Discover: ptr(true), MaxReplicaLag: ptr(10)}, controlplane.ClusterSettings{Discover: true, MaxReplicaLag: 10}},
		{
			controlplane.ClusterChange{MonitorSecret: ptr(monitorARN), ReaderFallback: ptr("writer")},
			controlplane.ClusterSettings{Discover: true, MaxReplicaLag: 10, MonitorSecret: monitorARN, ReaderFallback: "writer"},
		},
		{
			controlplane.ClusterChange{Discover: ptr(false), MaxReplicaLag: ptr(0), MonitorSecret: ptr(""), ReaderFallback: ptr("wait")},
			controlplane.ClusterSettings{ReaderFallback: "wait"},
		},
	} {
		if err := modify("shop", step.change); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(step.want, p.State().Cluster("SHOP").Settings); d != "" {
			t.Errorf("%+v: %s", step.change, d)
		}
	}
	for field, change := range map[string]controlplane.ClusterChange{
		"MonitorSecret":  {MonitorSecret: ptr("monitor")},
		"MaxReplicaLag":  {MaxReplicaLag: ptr(-1)},
		"ReaderFallback": {ReaderFallback: ptr("WRITER")},
	} {
		var e *controlplane.FieldError
		if err := modify("shop", change); !errors.As(err, &e) || e.Field != field {
			t.Errorf("%+v: %v, want an error of %s", change, err, field)
		}
	}
	if err := modify("other", controlplane.ClusterChange{}); !errors.Is(err, controlplane.ErrClusterNotFound) {
		t.Error(err)
	}
	if err := modify("file", controlplane.ClusterChange{Discover: ptr(false)}); !errors.Is(err, controlplane.ErrFromFile) {
		t.Error(err)
	}
}

// TestDeclaredSettings: settings of the file follow the file, and those of the API are left alone by a file that has none.
func TestDeclaredSettings(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	add(t, p, controlplane.DatabaseSpec{Identifier: "a", Engine: "mysql", Host: "db1", Cluster: "api"})
	change(t, p, func(tx *controlplane.Tx) error {
		_, err := tx.ModifyCluster("api", controlplane.ClusterChange{Discover: ptr(true)})
		return err
	})
	declare := func(settings controlplane.ClusterSettings) {
		t.Helper()
		change(t, p, func(tx *controlplane.Tx) error {
			_, err := tx.DeclareDatabases(start, "local", []controlplane.DatabaseSpec{
				{Identifier: "f1", Engine: "mysql", Host: "db2", Cluster: "file", Settings: settings},
				{Identifier: "f2", Engine: "mysql", Host: "db3", Cluster: "File", Settings: settings},
				{Identifier: "b", Engine: "mysql", Host: "db4", Cluster: "api"},
			})
			return err
		})
	}
	for _, settings := range []controlplane.ClusterSettings{{}, {MaxReplicaLag: 5, ReaderFallback: "writer"}, {}} {
		declare(settings)
		if d := cmp.Diff(settings, p.State().Cluster("file").Settings); d != "" {
			t.Error(d)
		}
	}
	if c := p.State().Cluster("api"); !c.Settings.Discover || c.FromFile {
		t.Errorf("a file that says nothing of a cluster changed it: %+v", c)
	}
	before := p.State().Revision
	change(t, p, func(tx *controlplane.Tx) error {
		_, err := tx.DeclareDatabases(start, "local", []controlplane.DatabaseSpec{{Identifier: "b", Engine: "mysql", Host: "db4", Cluster: "api", Settings: controlplane.ClusterSettings{MaxReplicaLag: 7}}})
		return err
	})
	if c := p.State().Cluster("api"); c.Settings != (controlplane.ClusterSettings{MaxReplicaLag: 7}) || !c.FromFile || p.State().Revision == before {
		t.Errorf("a file with settings of the cluster: %+v", c)
	}
}
