package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"forebay/internal/cluster"
	"forebay/internal/cluster/storetest"

	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// startServer runs an etcd that listens, with a certificate it makes, and returns its address and that certificate's pool.
func startServer(t *testing.T) (string, *tls.Config) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.ListenPeerUrls = nil
	cfg.ListenClientUrls = []url.URL{{Scheme: "https", Host: addr}}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	cfg.ClientAutoTLS = true
	cfg.SelfSignedCertValidity = 1
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	<-server.Server.ReadyNotify()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // to learn the certificate
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	roots := x509.NewCertPool()
	roots.AddCert(conn.ConnectionState().PeerCertificates[0])
	return addr, &tls.Config{RootCAs: roots}
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
