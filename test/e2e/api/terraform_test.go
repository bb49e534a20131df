package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"forebay/internal/localserver"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// providersVar names a folder with the AWS provider, laid out as `terraform providers mirror` does.
const providersVar = "FOREBAY_TEST_TF_PLUGINS"

// findTerraform finds Terraform, and a settings file by which it finds the AWS provider without the network.
func findTerraform(t *testing.T) (path, settings string) {
	t.Helper()
	path, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("needs terraform")
	}
	mirror := os.Getenv(providersVar)
	if mirror == "" {
		for _, file := range []string{os.Getenv("TF_CLI_CONFIG_FILE"), filepath.Join(os.Getenv("HOME"), ".terraformrc")} {
			if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), "provider_installation") {
				return path, file
			}
		}
		mirror = filepath.Join(localserver.CacheRoot(), "terraform-providers")
	}
	if found, _ := filepath.Glob(filepath.Join(mirror, "registry.terraform.io/hashicorp/aws/*")); len(found) == 0 {
		t.Skipf("needs a mirror of Terraform's AWS provider: run terraform providers mirror, and set %s to its folder (CONTRIBUTING.md)", providersVar)
	}
	settings = filepath.Join(t.TempDir(), "terraformrc")
	text := fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror { path = %q }\n}\n", mirror)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, settings
}

// terraform is Terraform in a folder of its own.
type terraform struct {
	w    *world
	path string
	dir  string
	env  []string
}

// terraformFile is one of testdata's.
func terraformFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/terraform", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// newTerraform prepares a folder with the configuration, main.tf unless there is another one among more, and with more.
func (w *world) newTerraform(path, settings string, vars, more map[string]string) *terraform {
	w.t.Helper()
	tf := &terraform{w: w, path: path, dir: w.t.TempDir()}
	tf.env = append(w.env(w.root), "TF_CLI_CONFIG_FILE="+settings, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1",
		"GOGC=400") // the provider's schema is large, and is made anew at each of its many starts
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		tf.env = append(tf.env, "TF_VAR_"+k+"="+vars[k])
	}
	files := map[string]string{}
	maps.Copy(files, more)
	if files["main.tf"] == "" {
		files["main.tf"] = terraformFile(w.t, "main.tf")
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(tf.dir, name), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	if out, err := run(tf.path, tf.env, tf.dir, "init", "-no-color"); err != nil {
		w.t.Fatalf("terraform init: %v\n%s", err, out)
	}
	return tf
}

// event is a line of terraform test -json -verbose, as far as it is of interest.
type event struct {
	Type string `json:"type"`
	Run  string `json:"@testrun"`
	Test struct {
		Progress string `json:"progress"`
		Status   string `json:"status"`
	} `json:"test_run"`
	Message    string `json:"@message"`
	Diagnostic struct {
		Severity string `json:"severity"`
		Detail   string `json:"detail"`
		Address  string `json:"address"`
	} `json:"diagnostic"`
	Plan struct {
		Changes []struct {
			Address string `json:"address"`
			Change  struct {
				Actions []string        `json:"actions"`
				Before  json.RawMessage `json:"before"`
				After   json.RawMessage `json:"after"`
			} `json:"change"`
		} `json:"resource_changes"`
	} `json:"test_plan"`
}

// test runs terraform test, which does all in one process and so in half the time, and calls passed after each of its runs.
func (tf *terraform) test(passed func(run string)) {
	t := tf.w.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*watchdog)
	defer cancel()
	cmd := exec.CommandContext(ctx, tf.path, "test", "-json", "-verbose")
	cmd.Env, cmd.Dir, cmd.WaitDelay = tf.env, tf.dir, time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	plans := 0
	lines := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(line, []byte(`"type":"test_state"`)) {
			continue // large
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("terraform test: %v\n%.300s", err, line)
		}
		switch {
		case e.Type == "diagnostic":
			t.Errorf("terraform test, %s: %s: %s: %s: %s", e.Run, e.Diagnostic.Severity, e.Diagnostic.Address, e.Message, e.Diagnostic.Detail)
		case e.Type == "test_plan":
			plans++
			for _, c := range e.Plan.Changes {
				if !slices.Equal(c.Change.Actions, []string{"no-op"}) {
					t.Errorf("%s: the plan is not empty: %s %v\nbefore %s\nafter %s", e.Run, c.Address, c.Change.Actions, c.Change.Before, c.Change.After)
				}
			}
		case e.Type == "test_run" && e.Test.Progress == "complete" && e.Test.Status == "pass":
			passed(e.Run)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("terraform test: %v\n%s", err, stderr.String())
	}
	if plans != 2 {
		t.Errorf("%d plans, want 2", plans)
	}
}

// TestTerraform makes, modifies and destroys everything, with an empty plan after each.
func TestTerraform(t *testing.T) {
	t.Parallel()
	path, settings := findTerraform(t)
	d := postgresDatabase(t)
	w := newWorld(t)
	w.declare("shop", d.engine, d.host, d.port)
	tf := w.newTerraform(path, settings, map[string]string{"api": w.url(), "database": "shop", "user": d.user, "password": d.password},
		map[string]string{"all.tftest.hcl": terraformFile(t, "all.tftest.hcl")})
	api := w.sdk(w.root).rds
	passed := map[string]bool{}
	tf.test(func(run string) {
		passed[run] = true
		switch run {
		case "create": // while Terraform plans
			all, err := api.DescribeDBProxies(t.Context(), &rds.DescribeDBProxiesInput{DBProxyName: ptr("tf-shop")})
			if err != nil {
				t.Error(err)
				return
			}
			d.soon(t, "clients are served", *all.DBProxies[0].Endpoint, d.user, d.password)
		case "modify":
			all, err := api.DescribeDBProxyTargetGroups(t.Context(), &rds.DescribeDBProxyTargetGroupsInput{DBProxyName: ptr("tf-store")})
			if err != nil {
				t.Error(err)
				return
			}
			if c := all.TargetGroups[0].ConnectionPoolConfig; *c.MaxConnectionsPercent != 60 || *c.InitQuery != "SET datestyle TO iso, dmy" {
				t.Errorf("the pool: %+v", c)
			}
		}
	})
	for _, run := range []string{"create", "created", "modify", "modified"} {
		if !passed[run] {
			t.Errorf("%s has not passed", run)
		}
	}
	if left := w.left(); left != "" {
		t.Errorf("left after destroy: %s", left)
	}
	w.silent(d.password)
}

// mysqlWorld is a Forebay with a database for MySQL, shop, and a cluster of it and another one.
func mysqlWorld(t *testing.T, engine, host string, port int) *world {
	t.Helper()
	w := newWorld(t)
	w.declare("shop", engine, host, port)
	for i, name := range []string{"fleet-1", "fleet-2"} {
		w.must(w.url(), "AddDatabase", map[string]any{"Identifier": name, "Engine": engine, "Host": host, "Port": port + i, "Cluster": "fleet"})
	}
	return w
}

// TestTerraformMySQL does the same for MySQL, with what that has alone, and with a cluster as a target.
func TestTerraformMySQL(t *testing.T) {
	t.Parallel()
	path, settings := findTerraform(t)
	d := mariaDatabase(t)
	w := mysqlWorld(t, d.engine, d.host, d.port)
	tf := w.newTerraform(path, settings, map[string]string{"api": w.url(), "database": "shop", "cluster": "fleet", "user": d.user, "password": d.password},
		map[string]string{"main.tf": terraformFile(t, "mysql.tf"), "all.tftest.hcl": terraformFile(t, "all.tftest.hcl")})
	api := w.sdk(w.root).rds
	pool := func(proxy string) *rdstypes.ConnectionPoolConfigurationInfo {
		t.Helper()
		all, err := api.DescribeDBProxyTargetGroups(t.Context(), &rds.DescribeDBProxyTargetGroupsInput{DBProxyName: &proxy})
		if err != nil {
			t.Error(err)
			return &rdstypes.ConnectionPoolConfigurationInfo{}
		}
		return all.TargetGroups[0].ConnectionPoolConfig
	}
	want := func(borrow, most, idle int32, query string, filters ...string) *rdstypes.ConnectionPoolConfigurationInfo {
		return &rdstypes.ConnectionPoolConfigurationInfo{
			ConnectionBorrowTimeout: &borrow, MaxConnectionsPercent: &most, MaxIdleConnectionsPercent: &idle, InitQuery: &query, SessionPinningFilters: filters,
		}
	}
	var passed []string
	tf.test(func(run string) {
		switch passed = append(passed, run); run {
		case "create": // while Terraform plans
			all, err := api.DescribeDBProxies(t.Context(), &rds.DescribeDBProxiesInput{DBProxyName: ptr("tf-shop")})
			if err != nil {
				t.Error(err)
				return
			}
			d.soon(t, "clients are served", *all.DBProxies[0].Endpoint, d.user, d.password)
			if diff := cmp.Diff(want(60, 90, 40, "SET time_zone = '+02:00'"), pool("tf-shop"), ignoreDocument, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the pool (-want +got):\n%s", diff)
			}
			targets, err := api.DescribeDBProxyTargets(t.Context(), &rds.DescribeDBProxyTargetsInput{DBProxyName: ptr("tf-cluster")})
			if err != nil {
				t.Error(err)
				return
			}
			var rows []string
			for _, row := range targets.Targets {
				rows = append(rows, string(row.Type)+" "+*row.RdsResourceId)
			}
			if !slices.Equal(rows, []string{"TRACKED_CLUSTER fleet", "RDS_INSTANCE fleet-1", "RDS_INSTANCE fleet-2"}) {
				t.Errorf("targets of the cluster: %q", rows)
			}
		case "modify":
			if diff := cmp.Diff(want(30, 60, 20, "SET time_zone = '+01:00'", "EXCLUDE_VARIABLE_SETS"), pool("tf-store"), ignoreDocument); diff != "" {
				t.Errorf("the pool, modified (-want +got):\n%s", diff)
			}
			if got := pool("tf-cluster").SessionPinningFilters; !slices.Equal(got, []string{"EXCLUDE_VARIABLE_SETS"}) {
				t.Errorf("filters of the cluster's: %q", got)
			}
		}
	})
	if !slices.Equal(passed, []string{"create", "created", "modify", "modified"}) {
		t.Errorf("passed: %q", passed)
	}
	if left := w.left(); left != "" {
		t.Errorf("left after destroy: %s", left)
	}
	w.silent(d.password)
}

// ignoreDocument leaves out what the SDK's types have of its own.
var ignoreDocument = cmpopts.IgnoreUnexported(rdstypes.ConnectionPoolConfigurationInfo{})

// TestTerraformImportMySQL imports a proxy with a cluster, and one for MySQL with everything set.
func TestTerraformImportMySQL(t *testing.T) {
	t.Parallel()
	path, settings := findTerraform(t)
	w := mysqlWorld(t, "mariadb", "192.0.2.1", 3306) // nobody is there
	secret := w.secret("tf/mysql", "app", "pw", nil)
	reads := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:GetSecretValue"],"Resource":%q}]}`, secret.arn)
	w.query("iam", "CreateRole", "RoleName", "tf-mysql", "AssumeRolePolicyDocument", trust)
	w.query("iam", "PutRolePolicy", "RoleName", "tf-mysql", "PolicyName", "reads", "PolicyDocument", reads)
	create := func(name, authType string, more ...string) {
		w.query("rds", "CreateDBProxy", append([]string{
			"DBProxyName", name, "EngineFamily", "MYSQL", "RoleArn", w.role("tf-mysql"),
			"Auth.member.1.AuthScheme", "SECRETS", "Auth.member.1.IAMAuth", "DISABLED", "Auth.member.1.ClientPasswordAuthType", authType,
			"Auth.member.1.SecretArn", secret.arn, "VpcSubnetIds.member.1", "subnet-0a", "VpcSubnetIds.member.2", "subnet-0b",
		}, more...)...)
	}
	create("tf-shop", "MYSQL_CACHING_SHA2_PASSWORD", "Tags.Tag.1.Key", "team", "Tags.Tag.1.Value", "other", "Tags.Tag.2.Key", "old", "Tags.Tag.2.Value", "yes")
	create("tf-cluster", "MYSQL_CACHING_SHA2_PASSWORD")
	w.query("rds", "ModifyDBProxyTargetGroup", "DBProxyName", "tf-shop", "TargetGroupName", "default",
		"ConnectionPoolConfig.ConnectionBorrowTimeout", "60", "ConnectionPoolConfig.MaxConnectionsPercent", "90",
		"ConnectionPoolConfig.MaxIdleConnectionsPercent", "40", "ConnectionPoolConfig.InitQuery", "SET time_zone = '+02:00'")
	w.query("rds", "ModifyDBProxyTargetGroup", "DBProxyName", "tf-cluster", "TargetGroupName", "default",
		"ConnectionPoolConfig.SessionPinningFilters.member.1", "EXCLUDE_VARIABLE_SETS")
	w.query("rds", "RegisterDBProxyTargets", "DBProxyName", "tf-shop", "DBInstanceIdentifiers.member.1", "shop")
	w.query("rds", "RegisterDBProxyTargets", "DBProxyName", "tf-cluster", "DBClusterIdentifiers.member.1", "fleet")
	w.query("rds", "CreateDBProxyEndpoint", "DBProxyName", "tf-shop", "DBProxyEndpointName", "tf-more",
		"VpcSubnetIds.member.1", "subnet-0a", "VpcSubnetIds.member.2", "subnet-0b", "VpcSecurityGroupIds.member.1", "sg-0a",
		"Tags.Tag.1.Key", "team", "Tags.Tag.1.Value", "other", "Tags.Tag.2.Key", "old", "Tags.Tag.2.Value", "yes")
	imports := map[string]string{
		"aws_secretsmanager_secret.app": secret.arn, "aws_secretsmanager_secret_version.app": secret.arn + "|" + secret.version,
		"aws_iam_role.proxy": "tf-mysql", "aws_iam_role_policy.proxy": "tf-mysql:reads",
		"aws_db_proxy.shop": "tf-shop", "aws_db_proxy_default_target_group.shop": "tf-shop",
		"aws_db_proxy_target.shop": "tf-shop/default/RDS_INSTANCE/shop", "aws_db_proxy_endpoint.more": "tf-shop/tf-more",
		"aws_db_proxy.cluster": "tf-cluster", "aws_db_proxy_default_target_group.cluster": "tf-cluster",
		"aws_db_proxy_target.cluster": "tf-cluster/default/TRACKED_CLUSTER/fleet",
	}
	tf := w.newTerraform(path, settings, map[string]string{"api": w.url(), "database": "shop", "cluster": "fleet", "user": "app", "password": "pw"},
		map[string]string{"main.tf": terraformFile(t, "mysql.tf"), "imports.tf": importBlocks(imports)})
	out, err := run(tf.path, tf.env, tf.dir, "plan", "-no-color", "-lock=false")
	if err != nil {
		t.Fatalf("terraform plan: %v\n%s", err, out)
	}
	if want := fmt.Sprintf("Plan: %d to import, 0 to add, 1 to change, 0 to destroy.", len(imports)); !strings.Contains(out, want) ||
		!strings.Contains(out, "aws_secretsmanager_secret.app will be updated in-place") { // as below
		t.Errorf("want %q:\n%s", want, out)
	}
}

// importBlocks has Terraform import what there is: ids by resource.
func importBlocks(imports map[string]string) string {
	var blocks strings.Builder
	for _, to := range slices.Sorted(maps.Keys(imports)) {
		fmt.Fprintf(&blocks, "import {\n  to = %s\n  id = %q\n}\n", to, imports[to])
	}
	return blocks.String()
}

// TestTerraformImport imports what was made without Terraform: the plan has nothing else to do.
func TestTerraformImport(t *testing.T) {
	t.Parallel()
	path, settings := findTerraform(t)
	w := newWorld(t)
	w.declare("shop", "postgres", "192.0.2.1", 5432) // nobody is there
	secret := w.secret("tf/app", "app", "pw", map[string]string{"team": "other", "old": "yes"})
	reads := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:GetSecretValue"],"Resource":%q}]}`, secret.arn)
	w.query("iam", "CreateRole", "RoleName", "tf-proxy", "AssumeRolePolicyDocument", trust)
	w.query("iam", "PutRolePolicy", "RoleName", "tf-proxy", "PolicyName", "reads", "PolicyDocument", reads)
	w.query("iam", "CreateRole", "RoleName", "tf-other", "AssumeRolePolicyDocument", trust)
	w.query("iam", "CreatePolicy", "PolicyName", "tf-reads", "PolicyDocument", reads)
	policy := fmt.Sprintf("arn:aws:iam::%s:policy/tf-reads", w.account())
	w.query("iam", "AttachRolePolicy", "RoleName", "tf-other", "PolicyArn", policy)
	w.query("rds", "CreateDBProxy", "DBProxyName", "tf-shop", "EngineFamily", "POSTGRESQL", "RoleArn", w.role("tf-proxy"),
		"Auth.member.1.AuthScheme", "SECRETS", "Auth.member.1.Description", "a user", "Auth.member.1.IAMAuth", "DISABLED",
		"Auth.member.1.SecretArn", secret.arn, "VpcSubnetIds.member.1", "subnet-0a", "VpcSubnetIds.member.2", "subnet-0b",
		"VpcSecurityGroupIds.member.1", "sg-0a",
		"Tags.Tag.1.Key", "team", "Tags.Tag.1.Value", "other", "Tags.Tag.2.Key", "old", "Tags.Tag.2.Value", "yes")
	w.query("rds", "ModifyDBProxyTargetGroup", "DBProxyName", "tf-shop", "TargetGroupName", "default",
		"ConnectionPoolConfig.InitQuery", "SET datestyle TO iso, ymd")
	w.query("rds", "RegisterDBProxyTargets", "DBProxyName", "tf-shop", "DBInstanceIdentifiers.member.1", "shop")
	w.query("rds", "CreateDBProxyEndpoint", "DBProxyName", "tf-shop", "DBProxyEndpointName", "tf-more",
		"VpcSubnetIds.member.1", "subnet-0a", "VpcSubnetIds.member.2", "subnet-0b", "VpcSecurityGroupIds.member.1", "sg-0a",
		"Tags.Tag.1.Key", "team", "Tags.Tag.1.Value", "other", "Tags.Tag.2.Key", "old", "Tags.Tag.2.Value", "yes")

	imports := map[string]string{
		"aws_secretsmanager_secret.app": secret.arn, "aws_secretsmanager_secret_version.app": secret.arn + "|" + secret.version,
		"aws_iam_role.proxy": "tf-proxy", "aws_iam_role.other": "tf-other", "aws_iam_role_policy.proxy": "tf-proxy:reads",
		"aws_iam_policy.other": policy, "aws_iam_role_policy_attachment.other": "tf-other/" + policy,
		"aws_db_proxy.shop": "tf-shop", "aws_db_proxy_default_target_group.shop": "tf-shop",
		"aws_db_proxy_target.shop": "tf-shop/default/RDS_INSTANCE/shop", "aws_db_proxy_endpoint.more[0]": "tf-shop/tf-more",
	}
	tf := w.newTerraform(path, settings, map[string]string{"api": w.url(), "database": "shop", "user": "app", "password": "pw"},
		map[string]string{"imports.tf": importBlocks(imports)})
	out, err := run(tf.path, tf.env, tf.dir, "plan", "-no-color", "-lock=false")
	if err != nil {
		t.Fatalf("terraform plan: %v\n%s", err, out)
	}
	// The one to change is the secret, whose force_overwrite_replica_secret and recovery_window_in_days are the provider's own:
	// nothing that can be imported.
	if want := fmt.Sprintf("Plan: %d to import, 0 to add, 1 to change, 0 to destroy.", len(imports)); !strings.Contains(out, want) ||
		!strings.Contains(out, "aws_secretsmanager_secret.app will be updated in-place") {
		t.Errorf("want %q:\n%s", want, out)
	}
}

// ptr is for the SDK, whose members are pointers.
func ptr[T any](v T) *T { return &v }
