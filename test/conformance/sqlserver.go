package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"forebay/internal/certs"
	"forebay/internal/resource"

	_ "github.com/microsoft/go-mssqldb" // the driver with which the server is asked what it is
)

// serverDSN names the environment variable with the SQL Server for go-mssqldb's suite: there is none to install.
const serverDSN = "FOREBAY_TEST_SQLSERVER_DSN"

// errNoServer says that a suite has nothing to run against.
var errNoServer = errors.New(serverDSN + " names no server (sqlserver://user:password@host:port?database=...)")

// startSQLServer starts Forebay in front of the SQL Server that the environment names.
func startSQLServer(ctx context.Context, _ *suite, verbose bool) (*sides, error) {
	dsn := os.Getenv(serverDSN)
	if dsn == "" {
		return nil, errNoServer
	}
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "sqlserver" || u.User == nil {
		return nil, errors.New(serverDSN + " is no URL of the form sqlserver://user:password@host:port?database=NAME")
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return nil, errors.New(serverDSN + " names no port")
	}
	version, err := askVersion(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("ask the server what it is: %w", err)
	}
	made, err := certs.New(slog.New(slog.DiscardHandler), "127.0.0.1").Config(new(resource.Proxy))
	if err != nil {
		return nil, err
	}
	secret, _ := u.User.Password()
	f, own, err := startForebay(ctx, resource.Proxy{
		EngineFamily: resource.SQLServer, Target: resource.Target{Members: []resource.Member{{Host: u.Hostname(), Port: port}}},
		Auth: []resource.AuthEntry{{Secret: u.User.Username(), ClientPasswordAuthType: resource.SQLServerAuthentication}},
	}, secret, made.Certificates[0], verbose)
	if err != nil {
		return nil, err
	}
	through := *u
	through.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(own))
	return &sides{
		server: version, direct: []string{"SQLSERVER_DSN=" + dsn}, through: []string{"SQLSERVER_DSN=" + through.String()},
		stop: func() { f.Close() },
	}, nil
}

func askVersion(ctx context.Context, dsn string) (version string, err error) {
	db, err := sql.Open("sqlserver", dsn)
	if err != nil {
		return "", errors.New("not a URL for go-mssqldb") // not %w: it could quote the password
	}
	defer db.Close()
	err = db.QueryRowContext(ctx, "SELECT @@VERSION").Scan(&version)
	return shorten(version), err
}

// babelfish is the last line of a Babelfish's @@VERSION: the first one has the release of SQL Server that it takes itself for.
var babelfish = regexp.MustCompile(`\n(PostgreSQL [0-9.]+) .*\((Babelfish [0-9.]+)\)`)

// shorten says what a server is by its @@VERSION: the first line, or Babelfish's own name.
func shorten(s string) string {
	if m := babelfish.FindStringSubmatch(s); m != nil {
		return m[2] + " (" + m[1] + ")"
	}
	s, _, _ = strings.Cut(s, "\n")
	return strings.TrimSpace(s)
}
