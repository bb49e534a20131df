package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/engine/postgres"
	"forebay/internal/localserver"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// forebay is a data plane in this process, in front of the server.
type forebay struct {
	*dataplane.Plane
	port int
}

// authTypes are how the suite's users log in at Forebay: as they do at the server.
var authTypes = []struct {
	user string
	how  resource.ClientPasswordAuthType
}{
	{"pgx_scram", resource.PostgresSCRAM},
	{"pgx_ssl", resource.PostgresSCRAM},
	{"pgx_md5", resource.PostgresMD5},
	{"pgx_pw", resource.PostgresCleartext},
}

// startForebay starts it with the suite's users, and with the suite's certificate for localhost.
func startForebay(ctx context.Context, s *suite, pg *localserver.Postgres, verbose bool) (*forebay, error) {
	cert, err := tls.LoadX509KeyPair(s.cert("localhost.crt"), s.cert("localhost.key"))
	if err != nil {
		return nil, fmt.Errorf("the suite's certificate: %w", err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	var out io.Writer = io.Discard
	if verbose {
		out = os.Stderr
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	plane, err := dataplane.New(dataplane.Options{
		Log: log, Secrets: secrets{}, Loops: 1,
		Engines:      map[resource.EngineFamily]engine.Engine{resource.PostgreSQL: postgres.New(log, secrets{})},
		Certificates: func(*resource.Proxy) (*tls.Config, error) { return cfg, nil },
	})
	if err != nil {
		return nil, err
	}
	p := resource.Proxy{
		Name: "conformance", EngineFamily: resource.PostgreSQL,
		Endpoints:          []resource.Endpoint{{Name: "default", Listen: "127.0.0.1:0"}},
		IdleClientTimeout:  30 * time.Minute,
		ClientLoginTimeout: time.Minute,
		Target:             resource.Target{Host: pg.Host(), Port: pg.Port(), TLSMode: resource.TLSPrefer, ConnectTimeout: 10 * time.Second},
		Pool: resource.ConnectionPoolConfig{
			MaxConnectionsPercent: 90, MaxIdleConnectionsPercent: 50, ConnectionBorrowTimeout: time.Minute,
			IdleTimeout: 5 * time.Minute, Lifetime: 24 * time.Hour, MaxPreparedStatements: 200, RoutineScanInterval: 30 * time.Second,
		},
	}
	for _, a := range authTypes {
		p.Auth = append(p.Auth, resource.AuthEntry{Secret: a.user, ClientPasswordAuthType: a.how})
	}
	if err := plane.Apply(ctx, resource.Snapshot{Proxies: []resource.Proxy{p}}); err != nil {
		plane.Close()
		return nil, err
	}
	_, port, err := net.SplitHostPort(plane.Addrs()[p.Name]["default"])
	if err != nil {
		plane.Close()
		return nil, err
	}
	f := &forebay{Plane: plane}
	f.port, err = strconv.Atoi(port)
	return f, err
}

// secrets is a secret store in which each user has the suite's password.
type secrets struct{}

// Get implements secret.Store.
func (secrets) Get(_ context.Context, name string) (secret.Secret, error) {
	return secret.Secret{Name: name, Version: "1", Username: name, Password: password}, nil
}
