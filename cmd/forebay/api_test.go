package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/app"
	"forebay/internal/controlplane"
	"forebay/internal/sigv4"
	"forebay/internal/testkit"
)

// serveForTest runs a Forebay with a control plane whose state is in dir, and returns the URL of its API.
func serveForTest(t *testing.T, dir string) (a *app.App, url string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "forebay.yaml")
	if err := os.WriteFile(file, []byte("admin: {listen: \"\"}\napi: {listen: \"127.0.0.1:0\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), app.Options{ConfigPath: file, DataDir: dir, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a, "http://" + a.APIAddr()
}

// withoutAWS takes away what the environment says of AWS.
func withoutAWS(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
}

// command runs one command and checks how it ends.
func command(t *testing.T, code int, part string, args ...string) (stdout string) {
	t.Helper()
	var out, errOut bytes.Buffer
	got := run(t.Context(), args, &out, &errOut)
	said := out.String()
	if code != exitOK {
		said = errOut.String()
	}
	if got != code || !strings.Contains(said, part) {
		t.Errorf("%q: exit code %d, output %q, error output %q; want %d with %q", args, got, out.String(), errOut.String(), code, part)
	}
	return out.String()
}

// TestAPICommands is what a person does with the commands that call the API, one after the other.
func TestAPICommands(t *testing.T) {
	withoutAWS(t)
	dir := t.TempDir()
	a, url := serveForTest(t, dir)

	command(t, 1, "unable to locate credentials", "database", "list", "--endpoint-url", url)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "root-credentials"))
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	command(t, 1, "could not connect to the endpoint URL http://127.0.0.1:1: ", "database", "list")
	t.Setenv("AWS_ENDPOINT_URL_FOREBAY", url)

	command(t, 0, "NAME  ENGINE  ADDRESS  CLUSTER  TLS  IAM  DECLARED BY  ROLE  LAG  HEALTH\n", "database", "list")
	command(t, 2, `required flag(s) "engine", "host" not set`, "database", "add", "orders")
	command(t, 2, "accepts 1 arg(s)", "database", "add", "--engine", "mariadb", "--host", "db")
	command(t, 1, "(InvalidParameterValue) when calling the AddDatabase operation: Engine: expected postgres", "database", "add", "orders", "--engine", "oracle", "--host", "db")
	command(t, 0, "orders: mariadb at db.internal:3306\n", "database", "add", "orders", "--engine", "mariadb", "--host", "db.internal")
	command(t, 1, "(DBInstanceAlreadyExists)", "database", "add", "orders", "--engine", "mariadb", "--host", "db.internal")
	pem := "../../internal/config/testdata/valid/files/server.crt"
	command(t, 0, "shop-1: aurora-postgresql at [::1]:5433\n", "database", "add", "shop-1", "--engine", "aurora-postgresql", "--host", "::1", "--port", "5433",
		"--cluster", "shop", "--version", "17.2", "--tls-mode", "verify-full", "--ca-file", pem, "--iam", "aws", "--iam-region", "eu-central-1")
	command(t, 1, "TLSMode: expected require, verify-ca or verify-full with IAM", "database", "add", "x", "--engine", "mysql", "--host", "db", "--iam", "forebay", "--tls-mode", "prefer")
	command(t, 1, "no such file", "database", "add", "x", "--engine", "mysql", "--host", "db", "--ca-file", filepath.Join(dir, "none.pem"))
	const want = `NAME    ENGINE             ADDRESS           CLUSTER  TLS          IAM  DECLARED BY  ROLE  LAG  HEALTH
orders  mariadb            db.internal:3306  -        prefer       -    API          -     -    -
shop-1  aurora-postgresql  [::1]:5433        shop     verify-full  aws  API          -     -    -
`
	if got := command(t, 0, "", "database", "list"); got != want {
		t.Errorf("list:\n%s\nwant:\n%s", got, want)
	}
	var list struct {
		Databases []struct {
			Identifier, Version, ARN string
			Created                  time.Time
			OwnCA                    bool
		}
	}
	if err := json.Unmarshal([]byte(command(t, 0, "", "database", "list", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	if d := list.Databases; len(d) != 2 || d[1].Version != "17.2" || !d[1].OwnCA || !strings.HasSuffix(d[1].ARN, ":db:shop-1") || time.Since(d[1].Created).Abs() > time.Hour {
		t.Errorf("as JSON: %+v", list)
	}
	command(t, 0, "shop: discover true, monitor secret the proxy's first, max replica lag 2s, reader fallback wait\n",
		"database", "cluster", "shop", "--discover", "--max-replica-lag", "1500ms")
	command(t, 0, "shop: discover false, monitor secret the proxy's first, max replica lag 2s, reader fallback writer\n",
		"database", "cluster", "Shop", "--discover=false", "--reader-fallback", "writer")
	command(t, 1, "(DBClusterNotFoundFault)", "database", "cluster", "orders")
	command(t, 1, "(InvalidParameterValue) when calling the ModifyCluster operation: ReaderFallback: expected wait or writer", "database", "cluster", "shop", "--reader-fallback", "never")
	command(t, 1, "Cluster: expected the cluster that Discover", "database", "add", "x", "--engine", "mysql", "--host", "db", "--discover")

	command(t, 0, "PROXY  STATE\n", "pause")
	command(t, 1, "(DBProxyNotFoundFault) when calling the PauseProxy operation: DB proxy shop is none of the API. If the configuration file has it, set paused: true there and send SIGHUP.", "pause", "shop")
	command(t, 1, "set paused: false there", "resume", "shop")
	command(t, 2, "accepts 1 arg(s)", "resume")

	command(t, 0, "orders: removed\n", "database", "remove", "orders")
	command(t, 1, "(DBInstanceNotFound)", "database", "remove", "orders", "--force")
	command(t, 1, "(InvalidSignatureException)", "database", "list", "--region", "eu-west-1")
	command(t, 1, "endpoint URL: expected one such as", "database", "list", "--endpoint-url", "localhost:9190")

	backup := filepath.Join(t.TempDir(), "backup")
	command(t, 0, backup+": 4 entries. It is of no use without the sealing key", "backup", backup)
	if info, err := os.Stat(backup); err != nil || info.Mode() != 0o600 {
		t.Errorf("the backup: %v, %v; want it for its owner alone", info, err)
	}
	before, _ := os.ReadFile(backup)
	command(t, 1, "file exists", "backup", backup)
	if after, err := os.ReadFile(backup); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a backup was written over: %v", err)
	}
	command(t, 1, "(InvalidSignatureException)", "backup", backup+"2", "--region", "eu-west-1")
	if _, err := os.Stat(backup + "2"); err == nil {
		t.Error("a backup that was refused left a file")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	again := t.TempDir()
	command(t, 1, "expected the sealing key that the backup was made with", "restore", backup, "--data-dir", again)
	for _, name := range []string{"sealing.key", "root-credentials"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(again, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	command(t, 0, "4 entries restored", "restore", backup, "--data-dir", again)
	command(t, 1, "expected an empty store", "restore", backup, "--data-dir", again)
	command(t, 1, "no such file", "restore", backup+"2", "--data-dir", again)
	command(t, 2, "expected a configuration file", "restore", backup, "-c", filepath.Join(again, "none.yaml"))
	_, url = serveForTest(t, again)
	command(t, 0, "shop-1  aurora-postgresql", "database", "list", "--endpoint-url", url)
}

// TestEndpointIsNoForebay checks what is said where something else answers.
func TestEndpointIsNoForebay(t *testing.T) {
	withoutAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIA")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	answers := make(chan string, 3)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 64<<10)
			n, _ := c.Read(buf)
			if strings.Contains(string(buf[:n]), "very-secret") {
				t.Error("the secret key was sent")
			}
			answer := <-answers
			fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: 5\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\nhello", answer)
			c.Close()
		}
	}()
	url := "http://" + l.Addr().String()
	answers <- "200 OK"
	command(t, 1, "the answer is not JSON: is there a Forebay at "+url+"?", "database", "list", "--endpoint-url", url)
	answers <- "307 Temporary Redirect"
	command(t, 1, "HTTP status 307 Temporary Redirect and no error of AWS's", "database", "list", "--endpoint-url", url)
	answers <- "200 OK"
	backup := filepath.Join(t.TempDir(), "backup")
	command(t, 1, "the answer is no backup", "backup", backup, "--endpoint-url", url)
	if _, err := os.Stat(backup); err == nil {
		t.Error("what is no backup left a file")
	}
	l.Close()
	<-done
}

func TestToken(t *testing.T) {
	withoutAWS(t)
	args := []string{"token", "--hostname", "db.example", "--port", "5432", "--username", "app"}
	command(t, 1, "unable to locate credentials", args...)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAX")
	command(t, 1, "partial credentials", args...)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "session/token")
	command(t, 2, `required flag(s) "username" not set`, args[:5]...)
	command(t, 2, "invalid argument", "token", "--hostname", "h", "--port", "70000", "--username", "u")
	for _, region := range []string{"us-west-2", "eu-central-1"} {
		if region != "us-west-2" {
			args = append(args, "--region", region)
		}
		text := command(t, 0, "", args...)
		token, err := sigv4.ParseToken(strings.TrimSuffix(text, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if err := token.Verify("secret", time.Now()); err != nil || token.Host != "db.example" || token.Port != 5432 || token.DBUser != "app" || token.Region != region || token.SessionToken != "session/token" {
			t.Errorf("%v, %+v; want region %s", err, token, region)
		}
	}
}

// watched is a stream that says when a text has come.
type watched struct {
	mu    sync.Mutex
	text  strings.Builder
	until string
	found chan struct{} // closed when until has come
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := strings.Contains(w.text.String(), w.until)
	w.text.Write(b)
	if !before && strings.Contains(w.text.String(), w.until) {
		close(w.found)
	}
	return len(b), nil
}

// TestServeFirstStart checks that the root's key is on standard output once, and in no log.
func TestServeFirstStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "forebay.yaml")
	if err := os.WriteFile(file, []byte("admin: {listen: \"\"}\napi: {listen: \"127.0.0.1:0\"}\ndrain_timeout: 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, first := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		log := &watched{until: "msg=ready", found: make(chan struct{})}
		done := make(chan int, 1)
		go func() { done <- run(ctx, []string{"serve", "-c", file, "--data-dir", dir + "/state"}, &out, log) }()
		select {
		case <-log.found:
			cancel()
			if code := <-done; code != exitOK {
				t.Errorf("exit code %d", code)
			}
		case code := <-done:
			t.Fatalf("exit code %d:\n%s", code, log.text.String())
		}
		cancel()
		_, secret, told := strings.Cut(out.String(), "export AWS_SECRET_ACCESS_KEY=")
		if told != first || first && !strings.Contains(out.String(), dir+"/state/root-credentials") {
			t.Errorf("first start %t: output\n%s", first, out.String())
		}
		if secret = strings.TrimSpace(secret); told && (len(secret) != 40 || strings.Contains(log.text.String(), secret)) {
			t.Errorf("the key has %d characters, or is in the log", len(secret))
		}
	}
}

// TestSealingKey makes keys for the file of sealing keys.
func TestSealingKey(t *testing.T) {
	withoutAWS(t)
	kms := testkit.StartKMS(t)
	plain := command(t, 0, "", "sealing-key")
	if _, err := controlplane.ParseKeys(plain); err != nil || plain == command(t, 0, "", "sealing-key") {
		t.Errorf("the same again, or no key: %v", err)
	}
	command(t, 1, "expected --kms-key-id beside them", "sealing-key", "--region", "eu-central-1")
	command(t, 1, "--kms-key-id: no region is known", "sealing-key", "--kms-key-id", "alias/forebay")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
	args := []string{"sealing-key", "--kms-key-id", "alias/forebay", "--region", "eu-central-1", "--endpoint-url", kms.URL}
	line := command(t, 0, "aws-kms:"+testkit.KMSKey+":", args...)
	if _, err := controlplane.ParseKeys(line); err == nil || strings.Count(line, "\n") != 1 {
		t.Errorf("a plain key, or more than a line: %q", line)
	}
	kms.Fail("DisabledException")
	command(t, 1, "--kms-key-id: the KMS key is disabled", args...)
}

// TestRootKey replaces root's key in a folder that is not in use: the former one counts no longer.
func TestRootKey(t *testing.T) {
	withoutAWS(t)
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	command(t, 1, "expected the folder of a Forebay that has been started", "root-key", "--data-dir", state)
	if _, err := os.Stat(state); err == nil {
		t.Error("a folder was made")
	}
	a, _ := serveForTest(t, state)
	file, former := filepath.Join(state, "root-credentials"), filepath.Join(dir, "former")
	command(t, 1, "in use by another process", "root-key", "--data-dir", state)
	before, err := os.ReadFile(file)
	if err == nil {
		err = errors.Join(os.WriteFile(former, before, 0o600), a.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	said := command(t, 0, file+": the key AKIA", "root-key", "--data-dir", state)
	after, err := os.ReadFile(file)
	if info, err2 := os.Stat(file); err != nil || err2 != nil || info.Mode() != 0o600 || bytes.Equal(before, after) {
		t.Errorf("the file: %v, %v, %v; the same: %t", info, err, err2, bytes.Equal(before, after))
	}
	for line := range strings.Lines(string(after)) {
		if _, secret, ok := strings.Cut(line, "secret_access_key = "); ok && strings.Contains(said, strings.TrimSpace(secret)) {
			t.Error("the key is printed")
		}
	}
	_, url := serveForTest(t, state)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	command(t, 0, "NAME", "database", "list", "--endpoint-url", url)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", former)
	command(t, 1, "(UnrecognizedClientException)", "database", "list", "--endpoint-url", url)
}
