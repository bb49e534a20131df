package api

import (
	"strings"
	"testing"

	"forebay/internal/localserver"
)

// TestTargetHealth says what is wrong, and that it is not any more.
func TestTargetHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := postgresDatabase(t)
	good := w.secret("good", d.user, d.password, nil)

	denied := w.bareProxy("denied", d, good)
	denied.becomes("UNAVAILABLE", "AUTH_FAILURE", w.role("denied"), "secretsmanager:GetSecretValue", good.arn)
	d.keptOut(t, "nobody's secret can be read", denied.endpoint, d.user, d.password)
	denied.allow()
	denied.becomes("AVAILABLE", "")
	d.letIn(t, "the role may read the secret", denied.endpoint, d.user, d.password)
	w.query("iam", "DeleteRolePolicy", "RoleName", "denied", "PolicyName", "reads")
	denied.becomes("UNAVAILABLE", "AUTH_FAILURE", "secretsmanager:GetSecretValue")

	bad := w.secret("bad", d.user, "not-the-password", nil)
	wrong := w.newProxy("wrong", d, bad)
	wrong.becomes("UNAVAILABLE", "AUTH_FAILURE", "password authentication failed")
	w.put(bad, d.user, d.password)
	wrong.becomes("AVAILABLE", "")

	missing := w.newProxy("missing", d, secretID{arn: strings.Replace(good.arn, "good", "none", 1)})
	missing.becomes("UNAVAILABLE", "AUTH_FAILURE", "not found")

	nowhere := d
	port, err := localserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	nowhere.port = port
	w.newProxy("nowhere", nowhere, good).becomes("UNAVAILABLE", "UNREACHABLE", "connection refused")

	w.silent(d.password, "not-the-password")
}
