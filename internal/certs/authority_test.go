package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/certs"
	"forebay/internal/resource"
)

func open(t *testing.T, dir string) *certs.Authority {
	t.Helper()
	a, err := certs.OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// trust is what a client has who was given the authority's file.
func trust(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(dir, certs.AuthorityFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %s", pem)
	}
	return roots
}

// dial makes a TLS connection to a server with cfg, which sends back what it gets, and returns the client's side.
func dial(t *testing.T, cfg *tls.Config, roots *x509.CertPool, name string) (*tls.Conn, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // a pipe has no buffer: an alert would wait for ever
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := tls.Server(server, cfg)
		_, _ = io.Copy(s, s)
	}()
	t.Cleanup(func() { client.Close(); server.Close(); <-done })
	c := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: name})
	return c, c.HandshakeContext(t.Context())
}

func echo(t *testing.T, c *tls.Conn) {
	t.Helper()
	got := make([]byte, 5)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Error(err)
	} else if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

func proxyWith(hosts ...string) *resource.Proxy {
	p := &resource.Proxy{Name: "shop", ResourceID: "prx-1"}
	for _, h := range hosts {
		p.Endpoints = append(p.Endpoints, resource.Endpoint{Name: h, Listen: "127.0.0.1:3306", Hostnames: []string{h}})
	}
	return p
}

// TestAuthorityLasts opens one twice, once more without its certificate, and with what is none.
func TestAuthorityLasts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := open(t, dir)
	first, err := os.ReadFile(a.Path())
	if err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if again, _ := os.ReadFile(a.Path()); string(again) != string(first) {
		t.Error("the second start made another authority")
	}
	for name, mode := range map[string]os.FileMode{"ca.pem": 0o644, "ca.key": 0o600} {
		if i, err := os.Stat(filepath.Join(dir, name)); err != nil || i.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %v", name, i.Mode(), err, mode)
		}
	}
	if all, _ := os.ReadDir(dir); len(all) != 2 {
		t.Errorf("files %v, want two", all)
	}

	if err := os.Remove(a.Path()); err != nil { // as if the first start had been cut short
		t.Fatal(err)
	}
	open(t, dir)
	cfg, err := certs.NewWithAuthority(slog.New(slog.DiscardHandler), open(t, dir)).Config(proxyWith("db.test"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, cfg, trust(t, dir), "db.test"); err != nil {
		t.Error(err)
	}

	other := t.TempDir()
	open(t, other)
	for what, breakIt := range map[string]func() error{
		"another key": func() error { return os.Rename(filepath.Join(other, "ca.key"), filepath.Join(dir, "ca.key")) },
		"no key":      func() error { return os.WriteFile(filepath.Join(dir, "ca.key"), []byte("secret words"), 0o600) },
	} {
		if err := breakIt(); err != nil {
			t.Fatal(err)
		}
		if _, err := certs.OpenAuthority(dir); err == nil || !strings.Contains(err.Error(), "ca.key") || strings.Contains(err.Error(), "secret words") {
			t.Errorf("%s: error %v, want one that names the file", what, err)
		}
	}
}

// TestNamesFollowEndpoints adds an endpoint to a proxy: new clients can verify both names, and those who are connected
// notice nothing.
func TestNamesFollowEndpoints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := certs.NewWithAuthority(slog.New(slog.DiscardHandler), open(t, dir))
	roots := trust(t, dir)
	config := func(p *resource.Proxy) *tls.Config {
		t.Helper()
		c, err := m.Config(p)
		if err != nil {
			t.Fatal(err)
		}
		// The channel binding rule: one certificate, and nothing that would choose another.
		if len(c.Certificates) != 1 || c.Certificates[0].Leaf == nil || c.GetCertificate != nil || c.GetConfigForClient != nil || c.MinVersion != tls.VersionTLS12 {
			t.Errorf("a Config must have exactly one certificate: %+v", c)
		}
		return c
	}

	one := proxyWith("shop.proxy-1.test", "127.0.1.1")
	first := config(one)
	if config(one) != first {
		t.Error("an unchanged proxy has a new Config")
	}
	if ends := first.Certificates[0].Leaf.NotAfter; time.Until(ends) > 100*24*time.Hour {
		t.Errorf("the certificate ends at %v", ends)
	}
	early, err := dial(t, first, roots, "shop.proxy-1.test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, first, roots, "ro.endpoint.proxy-1.test"); err == nil {
		t.Error("a name that no endpoint has was verified")
	}

	two := proxyWith("shop.proxy-1.test", "127.0.1.1", "ro.endpoint.proxy-1.test")
	second := config(two)
	if second == first {
		t.Fatal("an endpoint more, and the same Config")
	}
	m.Keep(resource.Snapshot{Proxies: []resource.Proxy{*two}})
	for _, name := range []string{"shop.proxy-1.test", "ro.endpoint.proxy-1.test", "127.0.1.1"} {
		c, err := dial(t, second, roots, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		echo(t, c)
	}
	echo(t, early)
	if config(two) != second {
		t.Error("Keep took away what is used")
	}
	if config(one) == first {
		t.Error("Keep did not forget what nobody uses")
	}

	slices.Reverse(two.Endpoints)
	if config(two) != second {
		t.Error("the order of the endpoints makes a difference")
	}
}

// TestNamesWithoutHostnames is a proxy of a configuration file.
func TestNamesWithoutHostnames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := certs.NewWithAuthority(slog.New(slog.DiscardHandler), open(t, dir))
	for listen, names := range map[string][]string{
		"192.0.2.7:5432":    {"192.0.2.7", "localhost", "127.0.0.1", "::1"},
		"db.internal:5432":  {"db.internal", "localhost"},
		"0.0.0.0:5432":      {"localhost", "127.0.0.1"},
		":5432":             {"localhost", "127.0.0.1"},
		"[2001:db8::1]:543": {"2001:db8::1"},
	} {
		cfg, err := m.Config(&resource.Proxy{Endpoints: []resource.Endpoint{{Name: "default", Listen: listen}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if _, err := dial(t, cfg, trust(t, dir), name); err != nil {
				t.Errorf("%s: %s: %v", listen, name, err)
			}
		}
	}
}

// TestRenewal waits: a certificate is replaced before it ends, by Refresh as by Config, and never after the authority's end.
func TestRenewal(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		m := certs.NewWithAuthority(slog.New(slog.DiscardHandler), open(t, dir))
		p := proxyWith("db.test")
		config := func() *tls.Config {
			c, err := m.Config(p)
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(c.Certificates[0].Leaf.NotAfter); left < 29*day {
				t.Errorf("only %v is left", left)
			}
			return c
		}
		first := config()
		time.Sleep(59 * day)
		if m.Refresh() || config() != first {
			t.Error("renewed too early")
		}
		time.Sleep(2 * day)
		if !m.Refresh() || m.Refresh() {
			t.Error("want it renewed once")
		}
		second := config()
		if second == first || second.Certificates[0].Leaf.NotAfter.Sub(first.Certificates[0].Leaf.NotAfter) < 60*day {
			t.Error("want another certificate, that lasts longer")
		}
		time.Sleep(61 * day)
		if config() == second {
			t.Error("Config gave out what is about to end")
		}
		ends := time.Now().Add(20 * 365 * day)
		time.Sleep(time.Until(ends) - 130*day) // the authority is older by some months
		m.Refresh()
		last, _ := m.Config(p)
		if left := time.Until(last.Certificates[0].Leaf.NotAfter); left <= 0 || left > 90*day {
			t.Errorf("shortly before the authority's end: %v is left", left)
		}
		if m.Refresh() {
			t.Error("renewed to no purpose")
		}
	})
}
