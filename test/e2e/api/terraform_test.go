package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// terraform is Terraform in a folder of its own.
type terraform struct {
	t    *testing.T
	path string
	dir  string
	env  []string
}

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
		if found, _ := filepath.Glob("/opt/*/registry.terraform.io/hashicorp/aws"); len(found) > 0 { // fails for a bad pattern only
			mirror = filepath.Join(found[0], "../../..")
		}
	}
	if found, _ := filepath.Glob(filepath.Join(mirror, "registry.terraform.io/hashicorp/aws/*")); mirror == "" || len(found) == 0 {
		t.Skipf("needs a mirror of Terraform's AWS provider: run terraform providers mirror, and set %s to its folder (CONTRIBUTING.md)", providersVar)
	}
	settings = filepath.Join(t.TempDir(), "terraformrc")
	text := fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror { path = %q }\n}\n", mirror)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, settings
}

func (w *world) terraform(path, settings string, vars map[string]string) *terraform {
	w.t.Helper()
	tf := &terraform{t: w.t, path: path, dir: w.t.TempDir()}
	tf.env = append(w.env(w.root), "TF_CLI_CONFIG_FILE="+settings, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1",
		"GOGC=400") // the provider's schema is large, and it is read again for each command
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		tf.env = append(tf.env, "TF_VAR_"+k+"="+vars[k])
	}
	text, err := os.ReadFile("testdata/main.tf")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tf.dir, "main.tf"), text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return tf
}

// must runs a command to its end.
func (tf *terraform) must(args ...string) string {
	tf.t.Helper()
	out, err := run(tf.path, tf.env, tf.dir, append(args, "-no-color")...)
	if err != nil {
		tf.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// outputs are those of the state.
func (tf *terraform) outputs() map[string]string {
	tf.t.Helper()
	var state struct {
		Outputs map[string]struct{ Value string }
	}
	text, err := os.ReadFile(filepath.Join(tf.dir, "terraform.tfstate"))
	if err != nil {
		tf.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &state); err != nil {
		tf.t.Fatal(err)
	}
	out := map[string]string{}
	for k, v := range state.Outputs {
		out[k] = v.Value
	}
	return out
}

// nothingToDo fails the test unless a plan is empty.
func (tf *terraform) nothingToDo(when string, args ...string) {
	tf.t.Helper()
	out, err := run(tf.path, tf.env, tf.dir, append([]string{"plan", "-detailed-exitcode", "-no-color", "-lock=false"}, args...)...)
	if err != nil {
		tf.t.Errorf("%s: the plan is not empty (%v)\n%s", when, err, out)
	}
}

// TestTerraform makes, modifies, imports and destroys everything, each time with an empty plan afterwards.
func TestTerraform(t *testing.T) {
	t.Parallel()
	path, settings := findTerraform(t)
	d := postgresDatabase(t)
	w := newWorld(t)
	w.declare("shop", d.engine, d.host, d.port)
	tf := w.terraform(path, settings, map[string]string{"api": w.url(), "database": "shop", "user": d.user, "password": d.password})
	tf.must("init")

	tf.must("apply", "-auto-approve", "-lock=false")
	tf.nothingToDo("after all is made")
	out := tf.outputs()
	if out["endpoint"] == "" || out["endpoint"] != out["seen"] || out["more"] == out["endpoint"] {
		t.Errorf("outputs %v", out)
	}
	eventually(t, "clients are served", func() bool {
		c, err := d.open(t.Context(), out["more"], d.user, d.password)
		if err == nil {
			c.close()
		}
		return err == nil
	})
	d.letIn(t, "the default endpoint", out["endpoint"], d.user, d.password)

	tf.must("apply", "-auto-approve", "-lock=false", "-var", "second=true")
	tf.nothingToDo("after all is modified", "-var", "second=true")
	if again := tf.outputs(); again["endpoint"] != out["endpoint"] {
		t.Errorf("the endpoint was %s and is %s", out["endpoint"], again["endpoint"])
	}

	// What is there can be imported into a state that knows nothing.
	old := filepath.Join(tf.dir, "terraform.tfstate")
	if err := os.Rename(old, old+".made"); err != nil {
		t.Fatal(err)
	}
	imports := map[string]string{
		"aws_secretsmanager_secret.app": out["secret"], "aws_iam_role.proxy": "tf-proxy", "aws_iam_role.other": "tf-other",
		"aws_iam_role_policy.proxy": "tf-proxy:reads", "aws_iam_policy.other": out["other_policy"],
		"aws_iam_role_policy_attachment.other": "tf-other/" + out["other_policy"],
		"aws_db_proxy.shop":                    "tf-store", "aws_db_proxy_default_target_group.shop": "tf-store",
		"aws_db_proxy_target.shop": "tf-store/default/RDS_INSTANCE/shop", "aws_db_proxy_endpoint.more[0]": "tf-store/tf-more",
		"aws_secretsmanager_secret_version.app": out["secret"] + "|" + w.versionOf(out["secret"]),
	}
	var blocks strings.Builder
	for _, to := range slices.Sorted(maps.Keys(imports)) {
		fmt.Fprintf(&blocks, "import {\n  to = %s\n  id = %q\n}\n", to, imports[to])
	}
	file := filepath.Join(tf.dir, "imports.tf")
	if err := os.WriteFile(file, []byte(blocks.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	text := tf.must("apply", "-auto-approve", "-lock=false", "-var", "second=true")
	if want := fmt.Sprintf("%d imported, 0 added, ", len(imports)); !strings.Contains(text, want) || !strings.Contains(text, " 0 destroyed.") {
		t.Errorf("imported, want %q:\n%s", want, text)
	}
	tf.nothingToDo("after all is imported", "-var", "second=true")

	tf.must("destroy", "-auto-approve", "-lock=false", "-var", "second=true")
	if left := w.left(); left != "" {
		t.Errorf("left after destroy: %s", left)
	}
	w.silent(d.password)
}
