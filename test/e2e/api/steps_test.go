package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"forebay/internal/sigv4"
	"forebay/internal/testkit"
)

// trust lets RDS use a role.
const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"rds.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// reads is the policy of the guide for the role of a proxy.
func reads(arn string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["secretsmanager:GetResourcePolicy","secretsmanager:GetSecretValue","secretsmanager:DescribeSecret","secretsmanager:ListSecretVersionIds"],"Resource":[%q]},
		{"Effect":"Allow","Action":["secretsmanager:GetRandomPassword","secretsmanager:ListSecrets"],"Resource":"*"}]}`, arn)
}

// connects is the policy of somebody who may log in by a token.
func connects(account, proxyARN, user string) string {
	_, id, _ := strings.Cut(proxyARN, ":db-proxy:")
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds-db:connect","Resource":"arn:aws:rds-db:%s:%s:dbuser:%s/%s"}]}`,
		region, account, id, user)
}

// secretOf is what a secret says about a user.
func secretOf(user, password string) string {
	text, _ := json.Marshal(map[string]string{"username": user, "password": password}) // strings always can be
	return string(text)
}

type targets struct {
	Targets []struct {
		Endpoint, Type, RdsResourceID, Role string
		Port                                int
		TargetHealth                        struct{ State, Reason, Description string }
	}
}

// TestFourSteps goes the way of RDS Proxy's guide with the AWS CLI, and logs in by password and by token.
func TestFourSteps(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d database) {
		w := newWorld(t)
		aws := w.cli(w.root)
		w.declare("shop", d.engine, d.host, d.port)

		var secret struct{ ARN string }
		aws.json(&secret, "secretsmanager", "create-secret", "--name", "shop/app", "--secret-string", secretOf(d.user, d.password))
		var role struct{ Role struct{ Arn string } }
		aws.json(&role, "iam", "create-role", "--role-name", "proxy", "--assume-role-policy-document", trust)
		account := strings.Split(role.Role.Arn, ":")[4]
		aws.text("iam", "put-role-policy", "--role-name", "proxy", "--policy-name", "reads", "--policy-document", reads(secret.ARN))

		auth := func(iam string) string { return "AuthScheme=SECRETS,IAMAuth=" + iam + ",SecretArn=" + secret.ARN }
		var made struct {
			DBProxy struct{ DBProxyArn, Endpoint, Status string }
		}
		aws.json(&made, "rds", "create-db-proxy", "--db-proxy-name", "shop", "--engine-family", d.family, "--role-arn", role.Role.Arn,
			"--auth", auth("DISABLED"), "--vpc-subnet-ids", "subnet-1", "subnet-2")
		proxy := made.DBProxy
		aws.text("rds", "register-db-proxy-targets", "--db-proxy-name", "shop", "--db-instance-identifiers", "shop")
		var now targets
		testkit.Eventually(t, "the target is available", func() bool {
			aws.json(&now, "rds", "describe-db-proxy-targets", "--db-proxy-name", "shop")
			return now.Targets[0].TargetHealth.State == "AVAILABLE"
		})
		if got := now.Targets[0]; got.Endpoint != d.host || got.Port != d.port || got.Type != "RDS_INSTANCE" || got.RdsResourceID != "shop" || got.Role != "READ_WRITE" {
			t.Errorf("target %+v", got)
		}
		d.letIn(t, "the secret's password", proxy.Endpoint, d.user, d.password)
		d.keptOut(t, "another password", proxy.Endpoint, d.user, d.password+"x")

		// The function has a user of its own, who may log in; another one may not.
		fn := newUser(w, aws, "fn", connects(account, proxy.DBProxyArn, d.user))
		nobody := newUser(w, aws, "nobody", "")
		nobody.fails("AccessDenied", "rds", "describe-db-proxies")
		aws.text("rds", "modify-db-proxy", "--db-proxy-name", "shop", "--auth", auth("REQUIRED"))
		host, port := endpointOf(proxy.Endpoint, d.enginePort)
		token := func(who cli, host string, port int, user string) string {
			return who.text("rds", "generate-db-auth-token", "--hostname", host, "--port", fmt.Sprint(port), "--username", user)
		}
		good := token(fn, host, port, d.user)
		d.soon(t, "tokens are asked for", proxy.Endpoint, d.user, good)
		// The contract's words for a token that is no good; the others' are those of any log-in that is refused.
		words := "The IAM authentication failed for the role " + d.user + ". Check the IAM token for this role and try again."
		switch d.family {
		case "MYSQL":
			words = "Access denied for user '" + d.user + "'"
		case "SQLSERVER":
			words = "Login failed for user '" // whom the token names, where it is a token
		}
		d.keptOut(t, "the password where a token is required", proxy.Endpoint, d.user, d.password, words)
		d.keptOut(t, "a token of a user without rds-db:connect", proxy.Endpoint, d.user, token(nobody, host, port, d.user), words)
		d.keptOut(t, "a token for another host", proxy.Endpoint, d.user, token(fn, "db.example.com", port, d.user), words)
		d.keptOut(t, "a token for another port", proxy.Endpoint, d.user, token(fn, host, port+1, d.user), words)
		d.keptOut(t, "a token for another user", proxy.Endpoint, d.user, token(fn, host, port, "other"), words)
		d.keptOut(t, "a changed token", proxy.Endpoint, d.user, good[:len(good)-1]+"_", words)

		w.silent(d.password, good, "X-Amz-Signature")
		for _, why := range []string{"reason=denied", "reason=endpoint", "reason=user", "reason=malformed"} {
			if d.family == "SQLSERVER" && why == "reason=user" {
				continue // no user stands beside the token: it is another one's log-in
			}
			w.log.says(t, why)
		}
	})
}

// newUser makes an IAM user with an inline policy, if any, and is the AWS CLI with its key.
func newUser(w *world, aws cli, name, policy string) cli {
	w.t.Helper()
	aws.text("iam", "create-user", "--user-name", name)
	if policy != "" {
		aws.text("iam", "put-user-policy", "--user-name", name, "--policy-name", "inline", "--policy-document", policy)
	}
	var key struct {
		AccessKey struct{ AccessKeyID, SecretAccessKey string }
	}
	aws.json(&key, "iam", "create-access-key", "--user-name", name)
	return w.cli(sigv4.Credentials{AccessKeyID: key.AccessKey.AccessKeyID, SecretKey: key.AccessKey.SecretAccessKey})
}
