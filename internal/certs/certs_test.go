package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/certs"
	"forebay/internal/resource"
)

// write makes a new certificate with its key in the files of c.
func write(t *testing.T, c resource.Certificate, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(100, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, c.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, c.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func files(t *testing.T) resource.Certificate {
	dir := t.TempDir()
	return resource.Certificate{CertFile: filepath.Join(dir, "a.crt"), KeyFile: filepath.Join(dir, "a.key")}
}

func subject(c *tls.Config) string { return c.Certificates[0].Leaf.Subject.CommonName }

// TestReload follows a pair of files through a good and a broken change.
func TestReload(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	m, c := certs.New(slog.New(slog.NewTextHandler(&log, nil))), files(t)
	p := &resource.Proxy{Certificate: c}
	if _, err := m.Config(p); err == nil || !strings.Contains(err.Error(), c.CertFile) {
		t.Errorf("no file: got error %v, want one that names it", err)
	}

	write(t, c, "one")
	first, err := m.Config(p)
	if err != nil {
		t.Fatal(err)
	}
	if m.Refresh() {
		t.Error("nothing has changed, but Refresh says so")
	}
	if same, _ := m.Config(p); same != first || subject(first) != "one" || first.MinVersion != tls.VersionTLS12 || len(first.Certificates) != 1 {
		t.Error("an unchanged certificate has a new Config, or the wrong one")
	}

	write(t, c, "two")
	if !m.Refresh() {
		t.Error("Refresh missed a change")
	}
	second, err := m.Config(p)
	if err != nil || second == first || subject(second) != "two" || subject(first) != "one" {
		t.Errorf("after a change: got %s, %v; and the former Config must stay as it was", subject(second), err)
	}

	writeFile(t, c.CertFile, []byte("broken"))
	for range 3 {
		if m.Refresh() {
			t.Error("a broken pair counts as a change")
		}
	}
	if still, err := m.Config(p); err != nil || still != second {
		t.Errorf("a broken pair took the former one away: %v", err)
	}
	if n := strings.Count(log.String(), "the former one stays"); n != 1 {
		t.Errorf("the broken pair was reported %d times, want once", n)
	}
	m.Keep(resource.Snapshot{})
	if _, err := m.Config(p); err == nil {
		t.Error("Keep did not forget an unused pair")
	}
}

// TestConfigLooksOnceASecond checks that handshakes alone, without Refresh, notice a change, and do not look each time.
func TestConfigLooksOnceASecond(t *testing.T) {
	t.Parallel()
	c := files(t)
	synctest.Test(t, func(t *testing.T) {
		m := certs.New(slog.New(slog.DiscardHandler))
		p := &resource.Proxy{Certificate: c}
		write(t, c, "one")
		for _, step := range []struct {
			write string
			wait  time.Duration
			want  string
		}{{"", 0, "one"}, {"two", 999 * time.Millisecond, "one"}, {"", time.Millisecond, "two"}} {
			if step.write != "" {
				write(t, c, step.write)
			}
			time.Sleep(step.wait)
			if got, err := m.Config(p); err != nil || subject(got) != step.want {
				t.Errorf("after %v: got %s, %v; want %s", step.wait, subject(got), err, step.want)
			}
		}
	})
}

// TestSelfSigned checks the certificate that is made at start by a handshake that verifies it.
func TestSelfSigned(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	m := certs.New(slog.New(slog.NewTextHandler(&log, nil)), "db.test", "192.0.2.1", "0.0.0.0", "", "localhost")
	cfg, err := m.Config(&resource.Proxy{})
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := m.Config(&resource.Proxy{Name: "another"}); again != cfg {
		t.Error("two proxies have two self-signed certificates")
	}
	if strings.Count(log.String(), "self-signed") != 1 || !strings.Contains(log.String(), "sha256=") {
		t.Errorf("want one line with the fingerprint, got %s", log.String())
	}
	roots := x509.NewCertPool()
	roots.AddCert(cfg.Certificates[0].Leaf)
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "db.test", "192.0.2.1"} {
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- tls.Server(server, cfg).HandshakeContext(t.Context()) }()
		err := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: name, MaxVersion: tls.VersionTLS12}).HandshakeContext(t.Context())
		client.Close()
		if serverErr := <-done; err != nil || serverErr != nil {
			t.Errorf("%s: client %v, server %v", name, err, serverErr)
		}
		server.Close()
	}
	if ips := cfg.Certificates[0].Leaf.IPAddresses; len(ips) != 3 {
		t.Errorf("addresses in the certificate: %v, want three, and none that stands for all", ips)
	}
}
