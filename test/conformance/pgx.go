package main

import (
	"context"
	"fmt"
	"os"
	"os/user"

	"forebay/internal/localserver"
	"forebay/internal/resource"
)

// database is the one that the suite works in, and password that of all its users.
const (
	database = "pgx_test"
	password = "secret"
)

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

// startPgx starts PostgreSQL for pgx's suite, and Forebay with its users and with its certificate for localhost.
func startPgx(ctx context.Context, s *suite, verbose bool) (*sides, error) {
	if err := s.decodeCertificates(); err != nil {
		return nil, err
	}
	pg, err := startServer(ctx, s)
	if err != nil {
		return nil, err
	}
	cert, err := certificate(s.cert("localhost.crt"), s.cert("localhost.key"))
	if err != nil {
		pg.Stop()
		return nil, err
	}
	p := resource.Proxy{EngineFamily: resource.PostgreSQL, Target: resource.Target{Members: []resource.Member{{Host: pg.Host(), Port: pg.Port()}}}}
	for _, a := range authTypes {
		p.Auth = append(p.Auth, resource.AuthEntry{Secret: a.user, ClientPasswordAuthType: a.how})
	}
	f, port, err := startForebay(ctx, p, password, cert, verbose)
	if err != nil {
		pg.Stop()
		return nil, err
	}
	return &sides{
		server: "PostgreSQL " + pg.Version().Version,
		direct: environment(s, pg.Port(), pg.CAFile()), through: environment(s, port, s.cert("ca.pem")),
		stop: func() { f.Close(); pg.Stop() },
	}, nil
}

// startServer starts a private server and makes in it what the suite needs: its testsetup folder says what.
func startServer(ctx context.Context, s *suite) (*localserver.Postgres, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(s.cert("ca.pem"))
	if err != nil {
		return nil, err
	}
	pg, err := localserver.StartPostgres(ctx, localserver.PostgresOptions{
		MaxConnections: 200,
		TLS:            true,
		Settings:       map[string]string{"ssl_ca_file": "ca.pem"},
		Files:          map[string][]byte{"ca.pem": ca},
		HBA: []string{
			"local all " + me.Username + " trust",
			"host all pgx_md5 127.0.0.1/32 md5",
			"host all pgx_scram 127.0.0.1/32 scram-sha-256",
			"host all pgx_pw 127.0.0.1/32 password",
			"hostssl all pgx_ssl 127.0.0.1/32 scram-sha-256",
			"hostssl all pgx_sslcert 127.0.0.1/32 cert",
		},
	})
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, pg, me.Username); err != nil {
		pg.Stop()
		return nil, fmt.Errorf("prepare the server: %w", err)
	}
	return pg, nil
}

// fill makes users, the database, extensions and types.
func fill(ctx context.Context, pg *localserver.Postgres, me string) error {
	make := []string{
		"SET password_encryption = 'md5'; CREATE USER pgx_md5 SUPERUSER PASSWORD '" + password + "'",
		`CREATE USER " tricky, ' } "" \ test user " SUPERUSER PASSWORD '` + password + `'`,
		"CREATE USER pgx_oauth SUPERUSER",
	}
	for _, u := range []string{"pgx_ssl", "pgx_sslcert", "pgx_pw", "pgx_scram"} {
		make = append(make, "CREATE USER "+u+" SUPERUSER PASSWORD '"+password+"'")
	}
	if me != "postgres" {
		make = append(make, `CREATE USER "`+me+`" SUPERUSER`)
	}
	for _, sql := range make {
		if err := pg.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := pg.CreateDatabase(ctx, database, "pgx_md5"); err != nil {
		return err
	}
	return pg.ExecIn(ctx, database, "CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE DOMAIN uint64 AS numeric(20,0)")
}

// environment is how the suite finds a server whose certificate is to be trusted by the CA file ca. The suite's test of
// Unix sockets is left out: Forebay listens on TCP alone.
func environment(s *suite, port int, ca string) []string {
	at := func(host, user, more string) string {
		return fmt.Sprintf("host=%s port=%d user=%s dbname=%s %s", host, port, user, database, more)
	}
	verified := "sslmode=verify-full sslrootcert=" + ca
	return []string{
		"PGX_TEST_DATABASE=" + at("127.0.0.1", "pgx_md5", "password="+password),
		"PGX_TEST_TCP_CONN_STRING=" + at("127.0.0.1", "pgx_md5", "password="+password),
		"PGX_TEST_MD5_PASSWORD_CONN_STRING=" + at("127.0.0.1", "pgx_md5", "password="+password),
		"PGX_TEST_SCRAM_PASSWORD_CONN_STRING=" + at("127.0.0.1", "pgx_scram", "channel_binding=disable password="+password),
		"PGX_TEST_PLAIN_PASSWORD_CONN_STRING=" + at("127.0.0.1", "pgx_pw", "password="+password),
		"PGX_TEST_SCRAM_PLUS_CONN_STRING=" + at("localhost", "pgx_ssl", "channel_binding=require password="+password+" "+verified),
		"PGX_TEST_TLS_CONN_STRING=" + at("localhost", "pgx_ssl", "channel_binding=disable password="+password+" "+verified),
		"PGX_TEST_TLS_CLIENT_CONN_STRING=" + at("localhost", "pgx_sslcert", verified+" sslcert="+s.cert("pgx_sslcert.crt")+" sslkey="+s.cert("pgx_sslcert.key")),
		"PGX_SSL_PASSWORD=certpw",
	}
}
