package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// DialOptions say how to reach a cluster.
type DialOptions struct {
	Endpoints          []string // host:port, of any number of its members
	TLS                *tls.Config
	Username, Password string // both empty: none
	Log                *slog.Logger
}

// dialTimeout is how long the first answer may take.
const dialTimeout = 10 * time.Second

// Dial reaches a cluster that is there already. It fails when no member answers within ten seconds.
func Dial(ctx context.Context, o DialOptions) (*Store, error) {
	if len(o.Endpoints) == 0 {
		return nil, errors.New("etcd: no address of a member")
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: o.Endpoints, TLS: o.TLS, Username: o.Username, Password: o.Password,
		DialTimeout: dialTimeout, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
		// Of what is too large the server is to say so, by its own setting.
		MaxCallRecvMsgSize: 256 << 20, MaxCallSendMsgSize: 16 << 20, Logger: zap.New(zapTo(o.Log)),
	})
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	s := newStore(client, nil)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if _, err := client.Get(ctx, "/forebay/v1/head", clientv3.WithCountOnly()); err != nil {
		s.Close()
		return nil, fmt.Errorf("etcd: no answer from %v: %w", o.Endpoints, err)
	}
	return s, nil
}
