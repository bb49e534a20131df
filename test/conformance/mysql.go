package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"forebay/internal/localserver"
	"forebay/internal/resource"
)

// mysqlUser is the suite's user.
const mysqlUser = "gotest"

// startMySQL starts MariaDB or MySQL for the suite of go-sql-driver, and Forebay with its user.
func startMySQL(ctx context.Context, _ *suite, verbose bool) (*sides, error) {
	m, err := localserver.StartMySQL(ctx, localserver.MySQLOptions{
		MaxConnections: 200, TLS: true, Settings: map[string]string{"local_infile": "1"},
	})
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{
		"CREATE DATABASE gotest",
		"CREATE USER '" + mysqlUser + "'@'%' IDENTIFIED BY '" + password + "'",
		"GRANT ALL ON *.* TO '" + mysqlUser + "'@'%'",
	} {
		if err := m.Exec(ctx, sql); err != nil {
			m.Stop()
			return nil, fmt.Errorf("prepare the server: %w", err)
		}
	}
	cert, err := certificate(m.CAFile(), strings.TrimSuffix(m.CAFile(), ".crt")+".key")
	if err != nil {
		m.Stop()
		return nil, err
	}
	f, port, err := startForebay(ctx, resource.Proxy{
		EngineFamily: resource.MySQL, Target: resource.Target{Members: []resource.Member{{Host: m.Host(), Port: m.Port()}}},
		Auth: []resource.AuthEntry{{Secret: mysqlUser, ClientPasswordAuthType: resource.MySQLNative}},
	}, password, cert, verbose)
	if err != nil {
		m.Stop()
		return nil, err
	}
	environment := func(port int) []string {
		return []string{
			"MYSQL_TEST_USER=" + mysqlUser, "MYSQL_TEST_PASS=" + password, "MYSQL_TEST_PROT=tcp",
			"MYSQL_TEST_ADDR=" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "MYSQL_TEST_DBNAME=gotest", "MYSQL_TEST_CONCURRENT=1",
		}
	}
	return &sides{
		server: m.Version().String(), direct: environment(m.Port()), through: environment(port),
		stop: func() { f.Close(); m.Stop() },
	}, nil
}
