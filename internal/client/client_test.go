package client_test

import (
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"forebay/internal/client"
	"forebay/internal/sigv4"
)

// TestHTTPS calls a server that only CAFile vouches for, and checks the request as the server does.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sig, err := sigv4.ParseRequest(r)
		if err == nil {
			err = sig.Verify("secret", time.Now(), sigv4.Payload{SHA256: sha256.Sum256(body)})
		}
		if err != nil || sig.Service != "forebay" || sig.Region != "eu-west-1" || r.Header.Get("X-Amz-Target") != "Forebay_20261126.ListDatabases" {
			t.Errorf("the request: %v, %v", err, r.Header)
		}
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type":"AccessDeniedException","message":"no"}`)
	}))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	o := client.Options{Endpoint: server.URL + "/", CAFile: ca, Region: "eu-west-1", Credentials: sigv4.Credentials{AccessKeyID: "A", SecretKey: "secret"}}
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var refused *client.Error
	if err := c.Call(t.Context(), "ListDatabases", struct{}{}, &struct{}{}); !errors.As(err, &refused) || refused.Code != "AccessDeniedException" || refused.Status != 400 {
		t.Errorf("got %v", err)
	}
	for endpoint, want := range map[string]string{"": "endpoint URL", "ftp://x": "endpoint URL", "http://u:hunter2@x": "endpoint URL", "http://x/path": "endpoint URL"} {
		o.Endpoint = endpoint
		if _, err := client.New(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("endpoint %q: got %v", endpoint, err)
		}
	}
	o.Endpoint, o.CAFile = server.URL, ""
	c, err = client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Call(t.Context(), "ListDatabases", struct{}{}, &struct{}{}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: got %v", err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), "client_test.go"} {
		o.CAFile = path
		if _, err := client.New(o); err == nil {
			t.Errorf("CAFile %s: no error", path)
		}
	}
}
