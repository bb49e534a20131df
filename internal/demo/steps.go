package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"forebay/internal/sigv4"
	"forebay/internal/storm"
)

// The burst of step 4.
const (
	instances   = 20
	invocations = 10
)

// steps is the four steps of RDS Proxy against the demo's Forebay, in front of one of its databases.
type steps struct {
	s      *screen
	api    *api
	db     *backend
	node   string // path of Node.js; empty: there is none, or not the packages
	lambda string // folder of the function, with its packages

	secret, prx, host, port string
	function                sigv4.Credentials // of the function's role
}

// walk goes through the four steps. Its error says what went wrong, also if a client failed.
func walk(ctx context.Context, s *screen, fb *forebay, db *backend, o Options) error {
	keys, err := readKeys(filepath.Join(fb.data, "root-credentials"))
	if err != nil {
		return err
	}
	w := &steps{s: s, db: db, api: &api{url: "http://" + fb.api, keys: keys, dir: fb.dir}}
	w.api.aws, _ = exec.LookPath("aws")
	if node, err := exec.LookPath("node"); err == nil && o.Lambda != "" {
		if _, err := os.Stat(filepath.Join(o.Lambda, "node_modules", "sequelize")); err == nil {
			w.node, w.lambda = node, o.Lambda
		}
	}
	s.step("The four steps of RDS Proxy, in front of the same %s, %s", db.name, w.means())
	s.command("", "export AWS_ENDPOINT_URL="+w.api.url+" AWS_REGION="+region)
	s.command("", "export AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(fb.data, "root-credentials"))
	for _, step := range []func(context.Context) error{w.makeSecret, w.makeRole, w.makeProxy, w.makeFunction} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return w.burst(ctx, o, filepath.Join(fb.data, "ca.pem"))
}

func (w *steps) means() string {
	switch {
	case w.api.aws != "" && w.node != "":
		return "with the AWS CLI and Node.js"
	case w.api.aws != "":
		return "with the AWS CLI (no Node.js with packages: a storm in its place)"
	case w.node != "":
		return "with Node.js (no AWS CLI: Forebay sends the same requests)"
	}
	return "by Forebay alone (no AWS CLI: it sends the same requests; no Node.js with packages: a storm in its place)"
}

// do prints a call and makes it.
func (w *steps) do(ctx context.Context, c call) (string, error) {
	w.s.command("$ ", shown(c.argv))
	return w.api.run(ctx, c)
}

// file writes what a command line names as file://name.
func (w *steps) file(name string, content any) (string, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return "", err
	}
	return string(text), os.WriteFile(filepath.Join(w.api.dir, name), text, 0o600)
}

func (w *steps) makeSecret(ctx context.Context) error {
	w.s.step("Step 1: a secret with the database's user name and password")
	text, err := w.file("secret.json", map[string]string{"username": appUser, "password": w.db.password})
	if err != nil {
		return err
	}
	out, err := w.do(ctx, call{
		argv:    []string{"aws", "secretsmanager", "create-secret", "--name", "orders", "--secret-string", "file://secret.json"},
		service: "secretsmanager",
		params:  params{action: "CreateSecret", target: "secretsmanager", in: map[string]any{"Name": "orders", "SecretString": text, "ClientRequestToken": "forebay-demo-forebay-demo-forebay-demo"}},
	})
	if err == nil {
		w.secret, err = value(out, "ARN")
	}
	return err
}

// policy is a document of these statements.
func policy(statements ...map[string]any) map[string]any {
	return map[string]any{"Version": "2012-10-17", "Statement": statements}
}

// role makes a role that a principal may assume, with one policy.
func (w *steps) role(ctx context.Context, name string, principal map[string]any, permissions map[string]any) (arn string, err error) {
	trustFile, policyFile := name+"-trust.json", name+"-policy.json"
	trust, err := w.file(trustFile, policy(map[string]any{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}))
	if err != nil {
		return "", err
	}
	may, err := w.file(policyFile, permissions)
	if err != nil {
		return "", err
	}
	out, err := w.do(ctx, call{
		argv:    []string{"aws", "iam", "create-role", "--role-name", name, "--assume-role-policy-document", "file://" + trustFile},
		service: "iam",
		params:  params{action: "CreateRole", in: map[string]any{"RoleName": name, "AssumeRolePolicyDocument": trust}},
	})
	if err != nil {
		return "", err
	}
	if arn, err = value(out, "Arn"); err != nil {
		return "", err
	}
	_, err = w.do(ctx, call{
		argv:    []string{"aws", "iam", "put-role-policy", "--role-name", name, "--policy-name", "may", "--policy-document", "file://" + policyFile},
		service: "iam",
		params:  params{action: "PutRolePolicy", in: map[string]any{"RoleName": name, "PolicyName": "may", "PolicyDocument": may}},
	})
	return arn, err
}

func (w *steps) makeRole(ctx context.Context) error {
	w.s.step("Step 2: a role that lets the proxy read it")
	_, err := w.role(ctx, "orders-proxy", map[string]any{"Service": "rds.amazonaws.com"}, policy(
		map[string]any{
			"Effect": "Allow", "Resource": w.secret,
			"Action": []string{"secretsmanager:GetResourcePolicy", "secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"},
		},
		map[string]any{"Effect": "Allow", "Resource": "*", "Action": []string{"secretsmanager:GetRandomPassword", "secretsmanager:ListSecrets"}},
	))
	return err
}

func (w *steps) makeProxy(ctx context.Context) error {
	w.s.step("Step 3: the proxy, which clients reach over TLS and with tokens alone, and its target")
	engine, role := strings.ToLower(w.db.name), "arn:aws:iam::"+strings.Split(w.secret, ":")[4]+":role/orders-proxy"
	auth := map[string]string{"AuthScheme": "SECRETS", "SecretArn": w.secret, "IAMAuth": "REQUIRED"}
	authText, err := json.Marshal([]any{auth})
	if err != nil {
		return err
	}
	calls := []call{
		{
			argv:    []string{"forebay", "database", "add", "orders-db", "--engine", engine, "--host", w.db.Host(), "--port", strconv.Itoa(w.db.Port())},
			service: "forebay",
			params:  params{action: "AddDatabase", target: "Forebay_20261126", in: map[string]any{"Identifier": "orders-db", "Engine": engine, "Host": w.db.Host(), "Port": w.db.Port()}},
		},
		{
			argv: []string{
				"aws", "rds", "create-db-proxy", "--db-proxy-name", "orders", "--engine-family", w.db.family, "--role-arn", role, "--require-tls",
				"--auth", string(authText), "--vpc-subnet-ids", "subnet-0a", "subnet-0b",
			},
			service: "rds",
			params: params{action: "CreateDBProxy", in: map[string]any{
				"DBProxyName": "orders", "EngineFamily": w.db.family, "RoleArn": role, "RequireTLS": true,
				"Auth.member.1.AuthScheme": "SECRETS", "Auth.member.1.SecretArn": w.secret, "Auth.member.1.IAMAuth": "REQUIRED",
				"VpcSubnetIds.member.1": "subnet-0a", "VpcSubnetIds.member.2": "subnet-0b",
			}},
		},
		{
			argv:    []string{"aws", "rds", "register-db-proxy-targets", "--db-proxy-name", "orders", "--db-instance-identifiers", "orders-db"},
			service: "rds",
			params:  params{action: "RegisterDBProxyTargets", in: map[string]any{"DBProxyName": "orders", "DBInstanceIdentifiers.member.1": "orders-db"}},
		},
	}
	for i, c := range calls {
		out, err := w.do(ctx, c)
		if err != nil {
			return err
		}
		if i == 1 {
			if err := w.readProxy(out); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *steps) readProxy(answer string) error {
	arn, err := value(answer, "DBProxyArn")
	if err != nil {
		return err
	}
	w.prx = arn[strings.LastIndexByte(arn, ':')+1:]
	endpoint, err := value(answer, "Endpoint")
	if err != nil {
		return err
	}
	// Only where another port had to be taken is one in it.
	if w.host, w.port, err = net.SplitHostPort(endpoint); err != nil {
		w.host, w.port = endpoint, "3306"
	}
	w.s.command("  ", "DBProxyArn "+arn+", Endpoint "+endpoint)
	return nil
}

// makeFunction makes what a deployment of the function makes: its role. The session of it that Lambda hands to the function
// is here asked for by a user.
func (w *steps) makeFunction(ctx context.Context) error {
	account := strings.Split(w.secret, ":")[4]
	connect := fmt.Sprintf("arn:aws:rds-db:%s:%s:dbuser:%s/%s", region, account, w.prx, appUser)
	w.s.step("The function's role may connect: rds-db:connect on %s (a user plays Lambda, which assumes it)", connect)
	out, err := w.do(ctx, call{
		argv:    []string{"aws", "iam", "create-user", "--user-name", "lambda"},
		service: "iam", params: params{action: "CreateUser", in: map[string]any{"UserName": "lambda"}},
	})
	if err != nil {
		return err
	}
	user, err := value(out, "Arn")
	if err != nil {
		return err
	}
	role, err := w.role(ctx, "orders-function", map[string]any{"AWS": user},
		policy(map[string]any{"Effect": "Allow", "Action": "rds-db:connect", "Resource": connect}))
	if err != nil {
		return err
	}
	out, err = w.do(ctx, call{
		argv:    []string{"aws", "iam", "create-access-key", "--user-name", "lambda"},
		service: "iam", params: params{action: "CreateAccessKey", in: map[string]any{"UserName": "lambda"}},
	})
	if err != nil {
		return err
	}
	lambda := *w.api
	if lambda.keys, err = keysOf(out); err != nil {
		return err
	}
	c := call{
		argv:    []string{"aws", "sts", "assume-role", "--role-arn", role, "--role-session-name", "orders"},
		service: "sts", params: params{action: "AssumeRole", in: map[string]any{"RoleArn": role, "RoleSessionName": "orders"}},
	}
	w.s.command("$ ", shown(c.argv))
	if out, err = lambda.run(ctx, c); err != nil {
		return err
	}
	w.function, err = keysOf(out)
	return err
}

func keysOf(answer string) (sigv4.Credentials, error) {
	id, err1 := value(answer, "AccessKeyId")
	secret, err2 := value(answer, "SecretAccessKey")
	token, _ := value(answer, "SessionToken") // of a session alone
	return sigv4.Credentials{AccessKeyID: id, SecretKey: secret, SessionToken: token}, errors.Join(err1, err2)
}

// readKeys reads the file that Forebay has made at its first start.
func readKeys(path string) (sigv4.Credentials, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return sigv4.Credentials{}, err
	}
	var c sigv4.Credentials
	for line := range strings.Lines(string(text)) {
		name, v, _ := strings.Cut(line, "=")
		switch v = strings.TrimSpace(v); strings.TrimSpace(name) {
		case "aws_access_key_id":
			c.AccessKeyID = v
		case "aws_secret_access_key":
			c.SecretKey = v
		}
	}
	return c, nil
}

// burst is step 4.
func (w *steps) burst(ctx context.Context, o Options, ca string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := w.awaitEndpoint(ctx); err != nil {
		return err
	}
	if w.node == "" {
		return w.stormBurst(ctx, o, ca)
	}
	w.s.step("Step 4: the function (Sequelize, mysql2, @aws-sdk/rds-signer) in %d processes, as Lambda runs it", instances)
	env := []string{
		"DB_HOST=" + w.host, "DB_PORT=" + w.port, "DB_USER=" + appUser, "DB_NAME=" + appDatabase, "DB_CA=" + ca,
	}
	w.s.command("", "export "+strings.Join(env, " "))
	keys := *w.api
	keys.keys = w.function
	env = append(keys.environment(), env...)
	if err := w.runNode(ctx, env, "-e", "import('./handler.js').then(h => h.migrate())"); err != nil {
		return err
	}
	return w.runNode(ctx, env, "run.js", "--instances", strconv.Itoa(instances), "--invocations", strconv.Itoa(invocations))
}

// awaitEndpoint returns when the proxy listens, which a change of its state takes a moment for.
func (w *steps) awaitEndpoint(ctx context.Context) error {
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(w.host, w.port))
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the proxy does not listen: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (w *steps) runNode(ctx context.Context, env []string, args ...string) error {
	w.s.command("$ ", shown(append([]string{"node"}, args...)))
	cmd := exec.CommandContext(ctx, w.node, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = w.lambda, env, time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // its instances end with it
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "{") { // for machines
			w.s.command("  ", strings.TrimRight(line, "\n"))
		}
	}
	if err != nil {
		return fmt.Errorf("step 4: %s: %w", shown(append([]string{"node"}, args...)), err)
	}
	return nil
}

// stormBurst is the burst without Node.js.
func (w *steps) stormBurst(ctx context.Context, o Options, ca string) error {
	w.s.step("Step 4: clients with a token in place of the password, over TLS that they verify")
	addr := net.JoinHostPort(w.host, w.port)
	port, err := strconv.Atoi(w.port)
	if err != nil {
		return err
	}
	w.s.command("$ ", fmt.Sprintf("export MYSQL_PWD=$(forebay token --hostname %s --port %s --region %s --username %s)", w.host, w.port, region, appUser))
	w.s.command("$ ", shown([]string{
		"forebay", "storm", "--clients", strconv.Itoa(o.Clients), "--transaction",
		"--target", fmt.Sprintf("mysql://%s@%s/%s?ssl-mode=VERIFY_IDENTITY&ssl-ca=%s", appUser, addr, appDatabase, ca),
	}))
	t := storm.Target{
		Engine: w.db.engine, Addr: addr, User: appUser, Database: appDatabase,
		Password: sigv4.SignToken(w.host, port, region, appUser, w.function, time.Now()),
	}
	if err := t.SetTLS("verify-full", ca); err != nil {
		return err
	}
	proto, err := storm.NewProtocol(t)
	if err != nil {
		return err
	}
	r, err := storm.Run(ctx, proto, storm.Options{Clients: o.Clients, Window: time.Second, Timeout: time.Minute, Statement: "SELECT 1", Transaction: true}, nil)
	if err != nil {
		return err
	}
	w.s.command("  ", fmt.Sprintf("%s of %s succeeded; log-in p50 %s, p99 %s", thousands(r.Succeeded), thousands(o.Clients), span(r.Connect.P50), span(r.Connect.P99)))
	if r.Succeeded < o.Clients {
		return fmt.Errorf("step 4: %d of %d clients failed: %v", o.Clients-r.Succeeded, o.Clients, r.Errors)
	}
	return nil
}
