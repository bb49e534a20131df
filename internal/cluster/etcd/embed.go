package etcd

import (
	"context"
	"errors"
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
	end := newFatal(log)
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
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(quiet{zapTo(log)}, zap.WithFatalHook(end), zap.WithPanicHook(end)))
	server, err := startEtcd(cfg, end)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("etcd: start a member in %s: %w", dir, err)
	}
	stop := func() error {
		err := closeEtcd(server, end)
		return errors.Join(err, lock.Close())
	}
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(time.Minute):
		err = fmt.Errorf("etcd: the member in %s was not ready within a minute", dir)
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-server.Err():
	case <-end.ctx.Done():
		err = end.failed()
	}
	if err != nil {
		stop()
		return nil, err
	}
	s := newStore(v3client.New(server.Server), stop)
	s.end = end
	return s, nil
}

// startEtcd starts in a goroutine of its own, which etcd may end.
func startEtcd(cfg *embed.Config, end *fatal) (server *embed.Etcd, err error) {
	type started struct {
		server *embed.Etcd
		err    error
	}
	done := make(chan started, 1)
	go func() {
		server, err := embed.StartEtcd(cfg)
		done <- started{server, err}
	}()
	select {
	case s := <-done:
		return s.server, s.err
	case <-end.ctx.Done(): // what has been started so far is not to be had, and goes with the process
		return nil, end.failed()
	}
}

// closeLimit is how long a member that has come to an end by itself may take to be closed: what it had locked then may stay so.
const closeLimit = 5 * time.Second

func closeEtcd(server *embed.Etcd, end *fatal) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Close()
	}()
	select {
	case <-done:
		return end.failed()
	case <-end.ctx.Done():
	}
	select {
	case <-done:
	case <-time.After(closeLimit):
	}
	return end.failed()
}
