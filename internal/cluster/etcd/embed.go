package etcd

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

// Embed starts a member of its own in dir, which is made if need be, for this user alone. The member listens nowhere: it
// is reached inside this process. It fails when another process has dir open.
func Embed(ctx context.Context, dir string, log *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	cfg := embed.NewConfig()
	cfg.Name = "forebay"
	cfg.Dir = filepath.Join(dir, "etcd")
	// The peer address is a name in the member list and nothing more.
	peer := url.URL{Scheme: "http", Host: "localhost:2380"}
	cfg.AdvertisePeerUrls = []url.URL{peer}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	cfg.ListenPeerUrls, cfg.ListenClientUrls, cfg.AdvertiseClientUrls = nil, nil, nil
	cfg.EnableGRPCGateway = false
	cfg.TickMs, cfg.ElectionMs = 10, 100 // alone, an election is a formality
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "revision", "1000"
	cfg.QuotaBackendBytes = 1 << 30
	cfg.MaxTxnOps = 4096
	cfg.MaxRequestBytes = 8 << 20 // a secret with thirty versions of 64 KiB, in base64, is one value
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(zapTo(log)))
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("etcd: start a member in %s: %w", dir, err)
	}
	stop := func() error {
		server.Close()
		return lock.Close()
	}
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(time.Minute):
		err = fmt.Errorf("etcd: the member in %s was not ready within a minute", dir)
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-server.Err():
	}
	if err != nil {
		stop()
		return nil, err
	}
	return newStore(v3client.New(server.Server), stop), nil
}
