package api

import (
	"os"
	"strings"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/testkit"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// declareCluster declares the cluster shop: shop-1 is the database, and nobody is at shop-2.
func (w *world) declareCluster(d database) {
	w.t.Helper()
	port, err := localserver.FreePort()
	if err != nil {
		w.t.Fatal(err)
	}
	w.must(w.url(), "AddDatabase", map[string]any{"Identifier": "shop-1", "Engine": d.engine, "Host": d.host, "Port": d.port, "Cluster": "shop"})
	w.must(w.url(), "AddDatabase", map[string]any{
		"Identifier": "shop-2", "Engine": d.engine, "Host": "127.0.0.1", "Port": port, "Cluster": "shop", "MaxReplicaLag": 10, "ReaderFallback": "writer",
	})
}

// TestReaderEndpoint: a cluster's members are rows of their own, and it may have READ_ONLY endpoints, which an instance may not.
func TestReaderEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := postgresDatabase(t)
	p := w.newProxy("orders", d, w.secret("app", d.user, d.password, nil))
	w.declareCluster(d)
	api := w.sdk(w.root).rds
	in := &rds.CreateDBProxyEndpointInput{
		DBProxyName: &p.name, DBProxyEndpointName: ptr("reports"), VpcSubnetIds: []string{"subnet-1", "subnet-2"},
		TargetRole: rdstypes.DBProxyEndpointTargetRoleReadOnly,
	}
	if _, err := api.CreateDBProxyEndpoint(t.Context(), in); sdkCode(err) != "InvalidParameterValue" {
		t.Errorf("a reader endpoint of an instance: %v", err)
	}
	if _, err := api.DeregisterDBProxyTargets(t.Context(), &rds.DeregisterDBProxyTargetsInput{DBProxyName: &p.name, DBInstanceIdentifiers: []string{p.name}}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.RegisterDBProxyTargets(t.Context(), &rds.RegisterDBProxyTargetsInput{DBProxyName: &p.name, DBClusterIdentifiers: []string{"shop"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.CreateDBProxyEndpoint(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	all, err := api.DescribeDBProxyEndpoints(t.Context(), &rds.DescribeDBProxyEndpointsInput{DBProxyName: &p.name})
	if err != nil || len(all.DBProxyEndpoints) != 1 || all.DBProxyEndpoints[0].TargetRole != rdstypes.DBProxyEndpointTargetRoleReadOnly {
		t.Fatalf("endpoints %+v, %v", all, err)
	}
	var rows []rdstypes.DBProxyTarget
	testkit.Eventually(t, "the writer is known", func() bool {
		out, err := api.DescribeDBProxyTargets(t.Context(), &rds.DescribeDBProxyTargetsInput{DBProxyName: &p.name})
		if err != nil {
			t.Fatal(err)
		}
		rows = out.Targets
		return len(rows) == 3 && rows[1].TargetHealth.State == rdstypes.TargetStateAvailable
	})
	if rows[0].Type != rdstypes.TargetTypeTrackedCluster || *rows[0].RdsResourceId != "shop" || rows[0].TargetHealth.State != rdstypes.TargetStateAvailable {
		t.Errorf("the first row is %+v", rows[0])
	}
	if m := rows[1]; m.Role != rdstypes.TargetRoleReadWrite || *m.RdsResourceId != "shop-1" || *m.TrackedClusterId != "shop" {
		t.Errorf("the writer's row is %+v", m)
	}
	if m := rows[2]; m.Role == rdstypes.TargetRoleReadWrite || *m.RdsResourceId != "shop-2" || m.TargetHealth.State == rdstypes.TargetStateAvailable {
		t.Errorf("the row of a member that nobody is at: %+v, %+v", m, m.TargetHealth)
	}
	clusters, err := api.DescribeDBClusters(t.Context(), &rds.DescribeDBClustersInput{})
	if err != nil || len(clusters.DBClusters) != 1 || !*clusters.DBClusters[0].DBClusterMembers[0].IsClusterWriter || *clusters.DBClusters[0].DBClusterMembers[1].IsClusterWriter {
		t.Errorf("clusters %+v, %v", clusters, err)
	}
}

// TestPauseEvents: pausing is desired state, and events of the proxy tell of it.
func TestPauseEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := postgresDatabase(t)
	p := w.newProxy("orders", d, w.secret("app", d.user, d.password, nil))
	w.must(w.url(), "PauseProxy", map[string]any{"DBProxyName": p.name})
	w.must(w.url(), "ResumeProxy", map[string]any{"DBProxyName": p.name})
	out, err := w.sdk(w.root).rds.DescribeEvents(t.Context(), &rds.DescribeEventsInput{SourceType: rdstypes.SourceTypeDbProxy, SourceIdentifier: &p.name})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range out.Events {
		said = append(said, *e.Message)
	}
	if text := strings.Join(said, " "); !strings.Contains(text, "Forebay paused DB proxy orders. Forebay resumed DB proxy orders.") {
		t.Errorf("events: %s", text)
	}
	d.soon(t, "clients are served again", p.endpoint, d.user, d.password)
}

// TestTerraformReader makes a READ_ONLY endpoint of a cluster, and has nothing left to do then.
func TestTerraformReader(t *testing.T) {
	t.Parallel()
	path, settings := findTerraform(t)
	w := newWorld(t)
	d := postgresDatabase(t)
	p := w.newProxy("orders", d, w.secret("app", d.user, d.password, nil))
	w.query("rds", "DeregisterDBProxyTargets", "DBProxyName", p.name, "DBInstanceIdentifiers.member.1", p.name)
	w.declareCluster(d)
	text, err := os.ReadFile("testdata/terraform/reader.tf")
	if err != nil {
		t.Fatal(err)
	}
	tf := w.newTerraform(path, settings, map[string]string{"api": w.url(), "proxy": p.name, "cluster": "shop"}, map[string]string{"main.tf": string(text)})
	for _, args := range [][]string{
		{"apply", "-auto-approve"}, {"plan", "-detailed-exitcode"}, // the exit code is 2 if there is anything to do
		{"destroy", "-auto-approve"},
	} {
		if out, err := run(tf.path, tf.env, tf.dir, append(args, "-no-color", "-lock=false")...); err != nil {
			t.Fatalf("terraform %s: %v\n%s", args[0], err, out)
		}
		out, err := w.sdk(w.root).rds.DescribeDBProxyEndpoints(t.Context(), &rds.DescribeDBProxyEndpointsInput{})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(out.DBProxyEndpoints); args[0] == "destroy" && n != 0 || args[0] != "destroy" && (n != 1 || out.DBProxyEndpoints[0].TargetRole != rdstypes.DBProxyEndpointTargetRoleReadOnly) {
			t.Errorf("after %s: endpoints %+v", args[0], out.DBProxyEndpoints)
		}
	}
}
