package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"forebay/internal/cluster"
	"forebay/internal/cluster/etcd/etcdtest"
	"forebay/internal/cluster/storetest"

	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/server/v3/embed"
)

// startServer runs an etcd that listens, with a certificate it makes, and returns its address and that certificate's pool.
func startServer(t *testing.T) (string, *tls.Config) {
	t.Helper()
	_, addr, conf := startServerOf(t, 0)
	return addr, conf
}

// startServerOf is startServer for a database of at most that many bytes; 0: etcd's default.
func startServerOf(t *testing.T, quota int64) (stop func(), addr string, _ *tls.Config) {
	t.Helper()
	addr, stop = etcdtest.Start(t, func(c *embed.Config) {
		c.QuotaBackendBytes = quota
		c.ClientAutoTLS = true
		c.SelfSignedCertValidity = 1
	})
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // to learn the certificate
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	roots := x509.NewCertPool()
	roots.AddCert(conn.ConnectionState().PeerCertificates[0])
	return stop, addr, &tls.Config{RootCAs: roots}
}

func TestDialed(t *testing.T) {
	t.Parallel()
	addr, conf := startServer(t)
	storetest.Run(t, func(t *testing.T) cluster.Store {
		s, err := Dial(t.Context(), DialOptions{Endpoints: []string{addr}, TLS: conf, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		// Each test has a part of the server to itself.
		s.client.KV = namespace.NewKV(s.client.KV, t.Name())
		s.client.Watcher = namespace.NewWatcher(s.client.Watcher, t.Name())
		t.Cleanup(func() { s.Close() })
		return s
	})
}

// TestWritable checks that a store says when it takes no changes: its database is full, or nobody is there.
func TestWritable(t *testing.T) {
	t.Parallel()
	stop, addr, conf := startServerOf(t, 64<<10)
	s, err := Dial(t.Context(), DialOptions{Endpoints: []string{addr}, TLS: conf, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Writable(t.Context()); err != nil {
		t.Fatal(err)
	}
	var unavailable *cluster.UnavailableError
	for i := 0; err == nil && i < 100; i++ {
		_, err = s.Commit(t.Context(), cluster.Txn{Ops: []cluster.Op{{Key: "x", Value: make([]byte, 16<<10)}}})
	}
	if !errors.As(err, &unavailable) {
		t.Fatalf("a database that is full: %v", err)
	}
	for err = s.Writable(t.Context()); err == nil; err = s.Writable(t.Context()) { // the alarm comes a moment later
		time.Sleep(time.Millisecond)
	}
	if !strings.Contains(err.Error(), "NOSPACE") {
		t.Errorf("a full one: %v", err)
	}
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Writable(ctx); err == nil {
		t.Error("nobody is there: no error")
	}
	if _, err := s.Commit(ctx, cluster.Txn{Ops: []cluster.Op{{Key: "x"}}}); !errors.As(err, &unavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody is there: a change gets %v", err)
	}
}

// TestTooLarge checks that what etcd never takes is not taken for an outage, which another attempt would end.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	addr, conf := startServer(t)
	s, err := Dial(t.Context(), DialOptions{Endpoints: []string{addr}, TLS: conf, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var unavailable *cluster.UnavailableError
	for _, size := range []int{7 << 18, 9 << 20} {
		if _, err := s.Commit(t.Context(), cluster.Txn{Ops: []cluster.Op{{Key: "x", Value: make([]byte, size)}}}); err == nil || errors.As(err, &unavailable) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestDialErrors(t *testing.T) {
	t.Parallel()
	if _, err := Dial(t.Context(), DialOptions{Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("no address at all was accepted")
	}
	addr, _ := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := Dial(ctx, DialOptions{Endpoints: []string{addr}, TLS: &tls.Config{}, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("a server whose certificate nobody vouches for: got %v", err)
	}
}
