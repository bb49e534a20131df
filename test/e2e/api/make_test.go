package api

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"forebay/internal/sigv4"
	"forebay/internal/testkit"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// What tests need that are about something else.

var versions = map[string]string{"iam": "2010-05-08", "rds": "2014-10-31", "sts": "2011-06-15"}

// query has an operation of an AWS Query service done by the root. Parameters are names and values in turn.
func (w *world) query(service, action string, params ...string) string {
	w.t.Helper()
	form := url.Values{"Action": {action}, "Version": {versions[service]}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	body := []byte(form.Encode())
	r := w.request(w.url(), body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sigv4.SignRequest(r, w.root, region, service, body, time.Now())
	status, answer := w.send(r)
	if status != http.StatusOK {
		w.t.Fatalf("%s: %d %s", action, status, answer)
	}
	return answer
}

// userKey makes an IAM user with an inline policy, and a key.
func (w *world) userKey(name, policy string) sigv4.Credentials {
	w.t.Helper()
	w.query("iam", "CreateUser", "UserName", name)
	w.query("iam", "PutUserPolicy", "UserName", name, "PolicyName", "inline", "PolicyDocument", policy)
	answer := w.query("iam", "CreateAccessKey", "UserName", name)
	var key struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	if err := xml.Unmarshal([]byte(answer), &key); err != nil || key.ID == "" || key.Secret == "" {
		w.t.Fatalf("no key in %q: %v", answer, err)
	}
	return sigv4.Credentials{AccessKeyID: key.ID, SecretKey: key.Secret}
}

// account is the id of the account.
func (w *world) account() string {
	w.t.Helper()
	who, err := w.sdk(w.root).sts.GetCallerIdentity(w.t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		w.t.Fatal(err)
	}
	return *who.Account
}

// role is the ARN of a role.
func (w *world) role(name string) string {
	w.t.Helper()
	return fmt.Sprintf("arn:aws:iam::%s:role/%s", w.account(), name)
}

type secretID struct{ arn, version string }

// secret makes a secret.
func (w *world) secret(name, user, password string, tags map[string]string) secretID {
	w.t.Helper()
	in := &secretsmanager.CreateSecretInput{Name: &name, SecretString: ptr(secretOf(user, password)), Description: ptr("a user")}
	for k, v := range tags {
		in.Tags = append(in.Tags, smtypes.Tag{Key: ptr(k), Value: ptr(v)})
	}
	s, err := w.sdk(w.root).secrets.CreateSecret(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return secretID{*s.ARN, *s.VersionId}
}

// put gives a secret a new version.
func (w *world) put(s secretID, user, password string) {
	w.t.Helper()
	if _, err := w.sdk(w.root).secrets.PutSecretValue(w.t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: &s.arn, SecretString: ptr(secretOf(user, password)),
	}); err != nil {
		w.t.Fatal(err)
	}
}

// proxy is a proxy that a test has made, with a role and a database of the same name.
type proxy struct {
	w        *world
	name     string
	arn      string
	endpoint string
	secret   secretID
}

// newProxy makes a proxy of a secret, in front of a database, with a role that may read it.
func (w *world) newProxy(name string, d database, s secretID) proxy {
	w.t.Helper()
	p := w.bareProxy(name, d, s)
	p.allow()
	return p
}

// bareProxy makes a proxy whose role may nothing.
func (w *world) bareProxy(name string, d database, s secretID) proxy {
	w.t.Helper()
	w.declare(name, d.engine, d.host, d.port)
	w.query("iam", "CreateRole", "RoleName", name, "AssumeRolePolicyDocument", trust)
	api := w.sdk(w.root).rds
	made, err := api.CreateDBProxy(w.t.Context(), &rds.CreateDBProxyInput{
		DBProxyName: &name, EngineFamily: rdstypes.EngineFamily(d.family), RoleArn: ptr(w.role(name)),
		Auth:         []rdstypes.UserAuthConfig{{AuthScheme: rdstypes.AuthSchemeSecrets, SecretArn: &s.arn}},
		VpcSubnetIds: []string{"subnet-1", "subnet-2"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := api.RegisterDBProxyTargets(w.t.Context(), &rds.RegisterDBProxyTargetsInput{
		DBProxyName: &name, DBInstanceIdentifiers: []string{name},
	}); err != nil {
		w.t.Fatal(err)
	}
	return proxy{w, name, *made.DBProxy.DBProxyArn, *made.DBProxy.Endpoint, s}
}

// allow lets the proxy's role read its secret.
func (p proxy) allow() {
	p.w.t.Helper()
	p.w.query("iam", "PutRolePolicy", "RoleName", p.name, "PolicyName", "reads", "PolicyDocument", reads(p.secret.arn))
}

// health is that of the proxy's target.
func (p proxy) health() (state, reason, description string) {
	p.w.t.Helper()
	all, err := p.w.sdk(p.w.root).rds.DescribeDBProxyTargets(p.w.t.Context(), &rds.DescribeDBProxyTargetsInput{DBProxyName: &p.name})
	if err != nil {
		p.w.t.Fatal(err)
	}
	if len(all.Targets) != 1 || all.Targets[0].TargetHealth == nil {
		p.w.t.Fatalf("targets %+v", all.Targets)
	}
	h := all.Targets[0].TargetHealth
	if h.Description != nil {
		description = *h.Description
	}
	return string(h.State), string(h.Reason), description
}

// becomes waits until the target is as it should be, and returns how its health is described. A description that lacks one
// of the words fails the test.
func (p proxy) becomes(state, reason string, words ...string) {
	t := p.w.t
	t.Helper()
	var s, r, d string
	for end := time.Now().Add(watchdog); s != state || r != reason; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: the target is %s, %s (%s), and does not become %s, %s", p.name, s, r, d, state, reason)
		}
		last := s + r + d
		if s, r, d = p.health(); s+r+d != last {
			t.Logf("%s: %s %s %s", p.name, s, r, d)
		}
	}
	for _, w := range words {
		if !strings.Contains(d, w) {
			t.Errorf("%s: the description %q lacks %q", p.name, d, w)
		}
	}
}

// saysSoon waits for an AUTH_FAILURE that is described so: at first it may be that the role is only being made.
func (p proxy) saysSoon(words string) {
	p.w.t.Helper()
	testkit.Eventually(p.w.t, p.name+" is AUTH_FAILURE, "+words, func() bool {
		state, reason, description := p.health()
		return state == "UNAVAILABLE" && reason == "AUTH_FAILURE" && strings.Contains(description, words)
	})
}

// soon waits until a user is let in.
func (d database) soon(t *testing.T, what, endpoint, user, password string) {
	t.Helper()
	testkit.Eventually(t, what, func() bool {
		c, err := d.open(t.Context(), endpoint, user, password)
		if err == nil {
			c.close()
		}
		return err == nil
	})
}

// secretText is a secret's value.
func (w *world) secretText(arn string) string {
	w.t.Helper()
	v, err := w.sdk(w.root).secrets.GetSecretValue(w.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		w.t.Fatal(err)
	}
	return *v.SecretString
}
