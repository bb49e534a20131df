package controlplane_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"forebay/internal/controlplane"
	"forebay/internal/resource"

	"github.com/google/go-cmp/cmp"
)

var updateGolden = flag.Bool("update", false, "write the golden files")

// TestSnapshot compares snapshots with golden files: run it with -update to write them.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	add(t, p,
		controlplane.DatabaseSpec{Identifier: "pg", Engine: "postgres", Host: "10.0.0.1"},
		controlplane.DatabaseSpec{Identifier: "shop-2", Engine: "aurora-mysql", Host: "10.0.0.2", Port: 3307, Cluster: "shop", TLSMode: resource.TLSRequire},
	)
	n := 20
	change(t, p, func(tx *controlplane.Tx) error {
		if _, err := tx.AddDatabase(start.Add(1), controlplane.DatabaseSpec{Identifier: "shop-1", Engine: "aurora-mysql", Host: "10.0.0.3", Cluster: "shop"}); err != nil {
			return err
		}
		if _, err := tx.ModifyCluster("shop", controlplane.ClusterChange{
			Discover: ptr(true), MonitorSecret: ptr(monitorARN), MaxReplicaLag: ptr(10), ReaderFallback: ptr(controlplane.FallbackWriter),
		}); err != nil {
			return err
		}
		for key, row := range tx.State().Databases.All() { // the golden files have the same each time
			d := *row
			d.ResourceID = "db-" + key
			tx.Databases.Put(key, &d)
		}
		d := *tx.Databases.Get("pg")
		d.CA, d.TLSMode = "PEM", resource.TLSVerifyFull // the state is not looked at again
		tx.Databases.Put("pg", &d)
		for _, px := range []*controlplane.Proxy{
			{
				ID: "prx-1", Name: "orders", EngineFamily: resource.PostgreSQL, RequireTLS: true, DebugLogging: true, IdleClientTimeout: 60,
				Auth: []controlplane.Auth{
					{SecretARN: "arn:a", Description: "d", IAMAuth: "REQUIRED", ClientPasswordAuthType: "POSTGRES_SCRAM_SHA_256"},
					{SecretARN: "arn:b", ClientPasswordAuthType: "POSTGRES_MD5"},
				},
				Listen: controlplane.Listen{Address: "127.0.0.1", Port: 5432, Host: "127.0.0.1"},
				Group:  controlplane.TargetGroup{Instance: "PG"},
			},
			{
				ID: "prx-2", Name: "shop", EngineFamily: resource.MySQL, IdleClientTimeout: 1800, Paused: true, Tags: []controlplane.Tag{{Key: controlplane.SplitTag, Value: "true"}},
				Listen: controlplane.Listen{Address: "::1", Port: 3306, Host: "shop.example.com"},
				Group: controlplane.TargetGroup{Cluster: "shop", Pool: controlplane.PoolConfig{
					MaxConnectionsPercent: &n, ConnectionBorrowTimeout: new(int), SessionPinningFilters: []string{controlplane.ExcludeVariableSets}, InitQuery: "SET a=1",
				}},
			},
			{ID: "prx-3", Name: "bare", EngineFamily: resource.MySQL, DefaultAuthScheme: "IAM_AUTH", IdleClientTimeout: 1800, Listen: controlplane.Listen{Address: "127.0.1.1", Port: 3306, Host: "127.0.1.1"}},
			{ID: "prx-4", Name: "sql", EngineFamily: resource.SQLServer, Listen: controlplane.Listen{Address: "127.0.0.1", Port: 1433, Host: "127.0.0.1"}},
		} {
			tx.Proxies.Put(px.ID, px)
		}
		for _, e := range []*controlplane.Endpoint{
			{ID: "prx-endpoint-1", Name: "writers", ProxyID: "prx-2", TargetRole: "READ_WRITE", Listen: controlplane.Listen{Address: "127.0.1.2", Port: 3306, Host: "127.0.1.2"}},
			{ID: "prx-endpoint-2", Name: "readers", ProxyID: "prx-2", TargetRole: "READ_ONLY", Listen: controlplane.Listen{Address: "127.0.1.3", Port: 3306, Host: "127.0.1.3"}},
			{ID: "prx-endpoint-3", Name: "batch", ProxyID: "prx-2", TargetRole: "READ_WRITE", Listen: controlplane.Listen{Address: "127.0.0.1", Port: 20000, Host: "127.0.0.1"}},
		} {
			tx.Endpoints.Put(e.ID, e)
		}
		return nil
	})
	for name, o := range map[string]controlplane.SnapshotOptions{
		"served.json": {
			Families: []resource.EngineFamily{resource.PostgreSQL, resource.MySQL},
			CAFile:   func(pem string) (string, error) { return "/ca/" + pem, nil },
		},
		"no-ca.json":     {},
		"ca-failed.json": {CAFile: func(string) (string, error) { return "", errors.New("disk full") }},
	} {
		var got struct {
			Snapshot resource.Snapshot
			Omitted  []controlplane.Omission
		}
		got.Snapshot, got.Omitted = p.State().Snapshot(o)
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "snapshot", name)
		if *updateGolden {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(text)+"\n"); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
