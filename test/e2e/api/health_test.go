package api

import (
	"strings"
	"testing"

	"forebay/internal/localserver"
	"forebay/internal/testkit"
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

	// One wrong secret is no other user's, wherever it stands.
	two := w.newProxy("two", d, good)
	stranger := w.secret("stranger", "stranger", "not-the-password", nil)
	w.query("iam", "PutRolePolicy", "RoleName", "two", "PolicyName", "reads", "PolicyDocument", reads("*"))
	w.query("rds", "ModifyDBProxy", "DBProxyName", "two", "Auth.member.1.SecretArn", stranger.arn, "Auth.member.1.AuthScheme", "SECRETS",
		"Auth.member.2.SecretArn", good.arn, "Auth.member.2.AuthScheme", "SECRETS")
	testkit.Eventually(t, "the wrong secret is said", func() bool {
		return strings.Contains(w.log.String(), "the target answers, but does not let a user in\" proxy=two user=stranger")
	})
	two.becomes("AVAILABLE", "")
	w.query("rds", "ModifyDBProxy", "DBProxyName", "two", "Auth.member.1.SecretArn", stranger.arn, "Auth.member.1.AuthScheme", "SECRETS")
	two.saysSoon("user stranger")

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
