package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/engine/mysql"
	"forebay/internal/engine/postgres"
	"forebay/internal/engine/sqlserver"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// subject is a driver whose own test suite is run.
type subject struct {
	name     string // on the command line
	module   string // go.mod says which version
	expected string // file of documented differences
	skip     string // regular expression of tests that are left out, direct and through Forebay
	packages string // of the module, unless others are named
	alone    bool   // each test has a process of its own: one that panics must not end the others
	// start starts a server, with what the suite needs, and Forebay in front of it.
	start func(ctx context.Context, s *suite, verbose bool) (*sides, error)
}

// sides are a server and a Forebay in front of it, and how the suite finds each.
type sides struct {
	server          string // what it is, for the output
	direct, through []string
	stop            func()
}

// The modules whose tests are run.
const (
	modulePgx       = "github.com/jackc/pgx/v5"
	moduleMySQL     = "github.com/go-sql-driver/mysql"
	moduleSQLServer = "github.com/microsoft/go-mssqldb"
)

var subjects = []subject{
	{name: "pgx", module: modulePgx, expected: "test/conformance/expected-pgx.txt", packages: "./...", start: startPgx},
	// One test wants an address of the Internet that does not answer, and ends the whole run where there is one that does.
	{name: "mysql", module: moduleMySQL, expected: "test/conformance/expected-mysql.txt", packages: "./...", skip: "^TestConnectorReturnsTimeout$", start: startMySQL},
	{name: "mssql", module: moduleSQLServer, expected: "test/conformance/expected-mssql.txt", packages: ".", alone: true, start: startSQLServer},
}

// startForebay starts a data plane in this process.
func startForebay(ctx context.Context, p resource.Proxy, password string, cert tls.Certificate, verbose bool) (*dataplane.Plane, int, error) {
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	var out io.Writer = io.Discard
	if verbose {
		out = os.Stderr
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	plane, err := dataplane.New(dataplane.Options{
		Log: log, Secrets: secrets(password), Loops: 1,
		Engines: map[resource.EngineFamily]engine.Engine{
			resource.PostgreSQL: postgres.New(log, secrets(password)), resource.MySQL: mysql.New(log),
			resource.SQLServer: sqlserver.New(log),
		},
		Certificates: func(*resource.Proxy) (*tls.Config, error) { return cfg, nil },
	})
	if err != nil {
		return nil, 0, err
	}
	p.Name = "conformance"
	p.Endpoints = []resource.Endpoint{{Name: "default", Listen: "127.0.0.1:0"}}
	p.IdleClientTimeout, p.ClientLoginTimeout = 30*time.Minute, time.Minute
	p.Target.Members[0].TLSMode, p.Target.Members[0].ConnectTimeout = resource.TLSPrefer, 10*time.Second
	p.Pool = resource.ConnectionPoolConfig{
		MaxConnectionsPercent: 90, MaxIdleConnectionsPercent: 50, ConnectionBorrowTimeout: time.Minute,
		IdleTimeout: 5 * time.Minute, Lifetime: 24 * time.Hour, MaxPreparedStatements: 200, RoutineScanInterval: 30 * time.Second,
	}
	if err := plane.Apply(ctx, resource.Snapshot{Proxies: []resource.Proxy{p}}); err != nil {
		plane.Close()
		return nil, 0, err
	}
	_, port, err := net.SplitHostPort(plane.Addrs()[p.Name]["default"])
	if err != nil {
		plane.Close()
		return nil, 0, err
	}
	n, err := strconv.Atoi(port)
	return plane, n, err
}

// secrets is a secret store in which each user has the same password.
type secrets string

// Get implements secret.Store.
func (s secrets) Get(_ context.Context, name string) (secret.Secret, error) {
	return secret.Secret{Name: name, Version: "1", Username: name, Password: secret.Password(s)}, nil
}

// certificate reads the pair that a server shows.
func certificate(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return cert, fmt.Errorf("certificate: %w", err)
	}
	cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0])
	return cert, err
}
