package testkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"forebay/internal/localserver"
)

// MotoAccount is the account that Moto is.
const MotoAccount = "123456789012"

// Moto is moto's server, an AWS account for tests, which ends with the test. It lets everybody do everything until Enforce.
type Moto struct {
	URL string

	t testing.TB
}

// StartMoto starts one. A test is skipped where there is no moto_server.
func StartMoto(t testing.TB) *Moto {
	t.Helper()
	if _, err := exec.LookPath("moto_server"); err != nil {
		t.Skip("moto_server is not installed (pip install 'moto[server]'): needs an AWS account for tests")
	}
	port, err := localserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("moto_server", "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := os.Create(filepath.Join(t.TempDir(), "moto.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		http.DefaultClient.CloseIdleConnections()
	})
	m := &Moto{URL: fmt.Sprintf("http://127.0.0.1:%d", port), t: t}
	for end := time.Now().Add(time.Minute); ; {
		r, err := http.Get(m.URL + "/moto-api/data.json")
		if err == nil {
			r.Body.Close()
			return m
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(out.Name())
			t.Skipf("moto_server does not start here: %s", text)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("moto_server does not answer: %v", err)
		}
	}
}

// call sends a request in somebody's name to a service, and returns the answer. Moto reads the region from the signature,
// and does not check that before Enforce.
func (m *Moto) call(service, region string, header http.Header, body []byte) []byte {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, m.URL, bytes.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header = header
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=admin/20260101/"+region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		m.t.Fatalf("moto: %s: %s: %s, %v", service, r.Status, text, err)
	}
	return text
}

// Secrets calls Secrets Manager, and returns the ARN in the answer.
func (m *Moto) Secrets(action string, in map[string]any) (arn string) {
	m.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		m.t.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"secretsmanager." + action}}
	var out struct{ ARN string }
	if err := json.Unmarshal(m.call("secretsmanager", "eu-central-1", header, body), &out); err != nil {
		m.t.Fatal(err)
	}
	return out.ARN
}

// IAM calls IAM, and returns the answer, which is XML.
func (m *Moto) IAM(action string, form url.Values) string {
	m.t.Helper()
	form.Set("Version", "2010-05-08")
	form.Set("Action", action)
	return string(m.call("iam", "us-east-1", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode())))
}

// Role makes a role that anybody may assume who has sts:AssumeRole, with one policy.
func (m *Moto) Role(name, policy string) (arn string) {
	m.t.Helper()
	trust := `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}`
	out := m.IAM("CreateRole", url.Values{"RoleName": {name}, "AssumeRolePolicyDocument": {trust}})
	m.IAM("PutRolePolicy", url.Values{"RoleName": {name}, "PolicyName": {"p"}, "PolicyDocument": {policy}})
	return Element(out, "Arn")
}

// User makes a user with an access key and one policy.
func (m *Moto) User(name, policy string) (id, key string) {
	m.t.Helper()
	m.IAM("CreateUser", url.Values{"UserName": {name}})
	m.IAM("PutUserPolicy", url.Values{"UserName": {name}, "PolicyName": {"p"}, "PolicyDocument": {policy}})
	out := m.IAM("CreateAccessKey", url.Values{"UserName": {name}})
	return Element(out, "AccessKeyId"), Element(out, "SecretAccessKey")
}

// Enforce has signatures and policies checked from now on.
func (m *Moto) Enforce() {
	m.t.Helper()
	r, err := http.Post(m.URL+"/moto-api/reset-auth", "text/plain", strings.NewReader("0"))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Body.Close()
}

// Allow is a policy that allows an action on everything.
func Allow(action string) string {
	return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "` + action + `", "Resource": "*"}]}`
}

// Element returns the text of the first element of a name in an answer of AWS's.
func Element(xml, name string) string {
	_, rest, _ := strings.Cut(xml, "<"+name+">")
	value, _, _ := strings.Cut(rest, "</"+name+">")
	return value
}
