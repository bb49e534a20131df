package testkit

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/targettls"
)

// vaultEnv names the program of a real OpenBao or Vault.
const vaultEnv = "FOREBAY_TEST_VAULT"

// RealVault is a private OpenBao or Vault: unsealed, with TLS, and gone with the test.
type RealVault struct {
	URL    string
	CAFile string // of its certificate

	t       testing.TB
	program string
	conf    string
	key     string // unseals it
	token   string // root's
	version string // such as 1.14.8
	client  *http.Client
	child   *localserver.Child
}

// StartRealVault starts one. A test is skipped where there is none: the program is what FOREBAY_TEST_VAULT names, or bao or vault in
// PATH.
func StartRealVault(t testing.TB) *RealVault {
	t.Helper()
	v := &RealVault{t: t, program: vaultProgram(t)}
	port, err := localserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	v.URL = fmt.Sprintf("https://127.0.0.1:%d", port)
	dir := t.TempDir()
	v.CAFile, v.conf = filepath.Join(dir, "server.crt"), filepath.Join(dir, "conf.hcl")
	if err := localserver.WriteCertificate(dir); err != nil {
		t.Fatal(err)
	}
	roots, err := targettls.Roots(v.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	v.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	v.write(v.conf, fmt.Appendf(nil, `
disable_mlock = true
api_addr      = %q
storage "file" { path = %q }
listener "tcp" {
  address       = "127.0.0.1:%d"
  tls_cert_file = %q
  tls_key_file  = %q
}
`, v.URL, filepath.Join(dir, "data"), port, v.CAFile, filepath.Join(dir, "server.key")))
	v.Start()
	t.Cleanup(v.Stop)
	var made struct {
		Keys  []string `json:"keys_base64"`
		Token string   `json:"root_token"`
	}
	v.decode(v.Do(http.MethodPut, "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1}), &made)
	v.key, v.token = made.Keys[0], made.Token
	v.Unseal()
	t.Logf("%s %s", filepath.Base(v.program), v.version)
	return v
}

func vaultProgram(t testing.TB) string {
	t.Helper()
	if named := os.Getenv(vaultEnv); named != "" {
		return named
	}
	for _, name := range []string{"bao", "vault"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("needs OpenBao or Vault: neither bao nor vault is in PATH, and %s names none", vaultEnv)
	return ""
}

func (v *RealVault) write(path string, text []byte) {
	v.t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// Start starts it, again after Stop, and waits until it answers. It is sealed then.
func (v *RealVault) Start() {
	v.t.Helper()
	dir, err := os.MkdirTemp("", "forebay-vault-")
	if err != nil {
		v.t.Fatal(err)
	}
	cmd := exec.Command(v.program, "server", "-config", v.conf)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	if v.child, err = localserver.StartChild(cmd, dir); err != nil {
		v.t.Fatalf("start %s: %v", v.program, err)
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	for {
		status, text, err := v.ask(ctx, http.MethodGet, "sys/seal-status", nil)
		if err == nil && status == http.StatusOK {
			var about struct {
				Version string `json:"version"`
			}
			v.decode(text, &about)
			v.version = about.Version
			return
		}
		select {
		case <-v.child.Done():
			v.t.Fatalf("%s has ended:\n%s", v.program, v.child.Log())
		case <-ctx.Done():
			v.t.Fatalf("%s does not answer: %d, %v\n%s", v.program, status, err, v.child.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server. What it holds stays for Start.
func (v *RealVault) Stop() {
	if v.child != nil {
		if err := v.child.Stop(20 * time.Second); err != nil {
			v.t.Error(err)
		}
		v.child = nil
	}
	v.client.CloseIdleConnections()
}

// Seal seals it: it answers nothing any more until Unseal.
func (v *RealVault) Seal() { v.Do(http.MethodPut, "sys/seal", nil) }

// Unseal unseals it.
func (v *RealVault) Unseal() {
	v.t.Helper()
	v.Do(http.MethodPut, "sys/unseal", map[string]any{"key": v.key})
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	for { // it loads its mounts and leases
		status, text, err := v.ask(ctx, http.MethodGet, "sys/health", nil)
		if err == nil && status == http.StatusOK {
			return
		}
		if ctx.Err() != nil {
			v.t.Fatalf("not unsealed: %d, %s, %v", status, text, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Do makes a request as root, or fails the test. It returns the answer.
func (v *RealVault) Do(method, path string, body any) []byte {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.t.Context()), time.Minute)
	defer cancel()
	status, text, err := v.ask(ctx, method, path, body)
	if err != nil || status > 299 {
		v.t.Fatalf("%s %s: %d, %s, %v", method, path, status, text, err)
	}
	return text
}

// Try makes a request as root, and reports whether it was done.
func (v *RealVault) Try(method, path string, body any) bool {
	status, _, err := v.ask(v.t.Context(), method, path, body)
	return err == nil && status < 300
}

// Field is a text in the data of a GET's answer, or of a POST's where there is a body.
func (v *RealVault) Field(path, field string, body any) string {
	v.t.Helper()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	var got struct {
		Data map[string]any `json:"data"`
	}
	v.decode(v.Do(method, path, body), &got)
	text, ok := got.Data[field].(string)
	if !ok {
		v.t.Fatalf("%s: no %s", path, field)
	}
	return text
}

// Leases are the ids of the leases below a prefix, such as database/creds/app.
func (v *RealVault) Leases(prefix string) []string {
	v.t.Helper()
	return v.list("sys/leases/lookup/" + prefix)
}

// Accessors are the accessors of all tokens.
func (v *RealVault) Accessors() []string {
	v.t.Helper()
	return v.list("auth/token/accessors")
}

func (v *RealVault) list(path string) []string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.t.Context()), time.Minute)
	defer cancel()
	status, text, err := v.ask(ctx, "LIST", path, nil)
	if err == nil && status == http.StatusNotFound {
		return nil // there are none
	}
	if err != nil || status != http.StatusOK {
		v.t.Fatalf("list %s: %d, %s, %v", path, status, text, err)
	}
	var got struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	v.decode(text, &got)
	return got.Data.Keys
}

// Policy makes a policy.
func (v *RealVault) Policy(name, rules string) {
	v.t.Helper()
	v.Do(http.MethodPut, "sys/policies/acl/"+name, map[string]any{"policy": rules})
}

// TokenFile makes a file with a token that has a policy and the default policy, and ends after the time.
func (v *RealVault) TokenFile(policy string, life time.Duration) string {
	v.t.Helper()
	var got struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	v.decode(v.Do(http.MethodPost, "auth/token/create", map[string]any{"policies": []string{policy}, "ttl": life.String(), "no_parent": true}), &got)
	path := filepath.Join(v.t.TempDir(), "token")
	v.write(path, []byte(got.Auth.Token+"\n"))
	return path
}

// ask makes a request as root.
func (v *RealVault) ask(ctx context.Context, method, path string, body any) (int, []byte, error) {
	var send bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&send).Encode(body); err != nil {
			return 0, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, v.URL+"/v1/"+strings.TrimPrefix(path, "/"), &send)
	if err != nil {
		return 0, nil, err
	}
	if v.token != "" {
		req.Header.Set("X-Vault-Token", v.token)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(resp.Body)
	return resp.StatusCode, text.Bytes(), err
}

func (v *RealVault) decode(text []byte, into any) {
	v.t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		v.t.Fatalf("%s: %v", text, err)
	}
}
