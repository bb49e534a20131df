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
	denied.becomes("UNAVAILABLE", "AUTH_FAILURE", "assumed-role/denied/", "not authorized to perform: secretsmanager:GetSecretValue on resource: "+good.arn)
	if c, err := d.open(t.Context(), denied.endpoint, d.user, d.password); err == nil {
		c.close()
		t.Error("was let in by a secret that the proxy may not read")
	}
	denied.allow()
	denied.becomes("AVAILABLE", "")
	d.letIn(t, "the role may read the secret", denied.endpoint, d.user, d.password)
	w.query("iam", "DeleteRolePolicy", "RoleName", "denied", "PolicyName", "reads")
	denied.becomes("UNAVAILABLE", "AUTH_FAILURE", "secretsmanager:GetSecretValue")

	bad := w.secret("bad", d.user, "not-the-password", nil)
	wrong := w.newProxy("wrong", d, bad)
	wrong.saysSoon("password authentication failed")
	w.put(bad, d.user, d.password)
	wrong.becomes("AVAILABLE", "")

	missing := w.newProxy("missing", d, secretID{arn: strings.Replace(good.arn, "good", "none", 1)})
	missing.saysSoon("not found")

	nowhere := d
	port, err := localserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	nowhere.port = port
	w.newProxy("nowhere", nowhere, good).becomes("UNAVAILABLE", "UNREACHABLE", "connection refused")

	w.silent(d.password, "not-the-password")
}
