// Package etcdtest runs an etcd inside the test's own process.
package etcdtest

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Start runs an etcd of one member on loopback until the test ends, or stop is called, and returns its host and port. change,
// unless nil, may set more of its configuration; with ClientAutoTLS it serves https.
func Start(t *testing.T, change func(*embed.Config)) (addr string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	cfg.UnsafeNoFsync = true
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	if change != nil {
		change(cfg)
	}
	scheme := "http"
	if cfg.ClientAutoTLS {
		scheme = "https"
	}
	cfg.ListenPeerUrls = nil
	cfg.ListenClientUrls = []url.URL{{Scheme: scheme, Host: addr}}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(server.Close)
	t.Cleanup(stop)
	<-server.Server.ReadyNotify()
	return addr, stop
}
