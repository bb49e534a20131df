//go:build linux

package main

import (
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"forebay/internal/certs"
	"forebay/internal/resource"
	"forebay/internal/storm"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// sqlserverEngine is the SQL Server that the environment names: there is none to install. Nobody else multiplexes its connections, so
// Forebay is compared with HAProxy alone, the price of passing bytes on.
var sqlserverEngine = engine{
	name:      "sqlserver",
	peers:     []string{direct, haproxy, forebay},
	rivals:    []string{haproxy},
	scenarios: sqlserverScenarios,
	targets: func(scenario string, m metric) []target {
		switch m {
		case mTxCPU:
			return []target{{haproxy, 1}}
		case mMany:
			if strings.Contains(scenario, "tls") {
				return []target{{"", 10}}
			}
			return []target{{"", 2}}
		case mFailed, mIdleCPU:
			return pgTargets(scenario, m)
		}
		return nil
	},
	open: startSQLServer,
}

// serverDSN is the environment variable with its URL.
const serverDSN = "FOREBAY_TEST_SQLSERVER_DSN"

// benchTable is what is read, of tableRows rows.
const benchTable = "forebay_bench"

// sqlserver is a SQL Server that was there before.
type sqlserver struct {
	dsn     *url.URL
	number  int // port
	user    login
	version string
	ca      string
	db      *sql.DB
}

func startSQLServer(ctx context.Context, w *world) (database, error) {
	text := os.Getenv(serverDSN)
	if text == "" {
		return nil, fmt.Errorf("%w: %s names none", errNoServer, serverDSN)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "sqlserver" || u.User == nil || net.ParseIP(u.Hostname()) == nil || !net.ParseIP(u.Hostname()).IsLoopback() {
		return nil, errors.New(serverDSN + ": expected sqlserver://user:password@127.0.0.1:port?database=NAME")
	}
	s := &sqlserver{dsn: u}
	if s.number, err = strconv.Atoi(u.Port()); err != nil {
		return nil, errors.New(serverDSN + ": no port")
	}
	s.user.name, s.user.authType = u.User.Username(), string(resource.SQLServerAuthentication)
	s.user.password, _ = u.User.Password()
	if s.ca, err = writeCertificate(w.dir); err != nil {
		return nil, err
	}
	if s.db, err = sql.Open("sqlserver", text); err != nil {
		return nil, errors.New(serverDSN + ": not a URL for go-mssqldb") // not %w: it could quote the password
	}
	s.db.SetMaxOpenConns(1)
	w.ms = s
	if err := s.fill(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// babelfish is the last line of a Babelfish's @@VERSION: the first one has the release of SQL Server that it takes itself for.
var babelfish = regexp.MustCompile(`\n(PostgreSQL [0-9.]+) .*\((Babelfish [0-9.]+)\)`)

// fill makes the table.
func (s *sqlserver) fill(ctx context.Context) error {
	if err := s.db.QueryRowContext(ctx, "SELECT @@VERSION").Scan(&s.version); err != nil {
		return fmt.Errorf("ask the server what it is: %w", err)
	}
	if m := babelfish.FindStringSubmatch(s.version); m != nil {
		s.version = m[2] + " (" + m[1] + ")"
	}
	s.version, _, _ = strings.Cut(s.version, "\n")
	for _, statement := range []string{
		"IF OBJECT_ID('" + benchTable + "') IS NOT NULL DROP TABLE " + benchTable,
		"CREATE TABLE " + benchTable + " (id INT NOT NULL PRIMARY KEY, filler VARCHAR(120) NOT NULL)",
	} {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // an error after Commit
	bulk, err := tx.PrepareContext(ctx, mssql.CopyIn(benchTable, mssql.BulkOptions{}, "id", "filler"))
	if err != nil {
		return err
	}
	for i := range tableRows {
		if _, err := bulk.ExecContext(ctx, i+1, strings.Repeat("x", 119)); err != nil {
			return err
		}
	}
	if _, err := bulk.ExecContext(ctx); err != nil {
		return err
	}
	if err := bulk.Close(); err != nil {
		return err
	}
	return tx.Commit()
}

// writeCertificate makes a certificate for the proxies, and its key beside it: the server keeps its own to itself.
func writeCertificate(dir string) (string, error) {
	c, err := certs.New(slog.New(slog.DiscardHandler), "localhost", "127.0.0.1").Config(new(resource.Proxy))
	if err != nil {
		return "", err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.Certificates[0].PrivateKey)
	if err != nil {
		return "", err
	}
	ca := filepath.Join(dir, "server.crt")
	for name, block := range map[string]*pem.Block{
		ca:                               {Type: "CERTIFICATE", Bytes: c.Certificates[0].Certificate[0]},
		filepath.Join(dir, "server.key"): {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			return "", err
		}
	}
	return ca, nil
}

func (s *sqlserver) port() int       { return s.number }
func (s *sqlserver) product() string { return s.version }
func (s *sqlserver) caFile() string  { return s.ca }
func (s *sqlserver) family() string  { return string(resource.SQLServer) }
func (s *sqlserver) logins() []login { return []login{s.user} }

func (s *sqlserver) contents() string { return fmt.Sprintf("a table of %d rows", tableRows) }

func (s *sqlserver) stop() {
	// What is left is in the way of nobody: the next run removes it too.
	_, _ = s.db.ExecContext(context.Background(), "DROP TABLE "+benchTable)
	_ = s.db.Close()
}

// protocol implements database.
func (s *sqlserver) protocol(port int, encrypted bool) (storm.Protocol, error) {
	t := storm.Target{
		Engine: storm.EngineSQLServer, Addr: fmt.Sprintf("127.0.0.1:%d", port),
		User: s.user.name, Password: s.user.password, Database: s.dsn.Query().Get("database"),
	}
	if encrypted {
		t.TLS, t.TLSMust = clientTLS(), true
	}
	return storm.NewProtocol(t)
}

// connector is a go-mssqldb that logs in at a port.
func (s *sqlserver) connector(port int, encrypted bool) (*mssql.Connector, error) {
	u := *s.dsn
	u.Host = fmt.Sprintf("127.0.0.1:%d", port)
	q := u.Query()
	q.Set("encrypt", "disable")
	if encrypted {
		q.Set("encrypt", "true")
		q.Set("TrustServerCertificate", "true")
	}
	u.RawQuery = q.Encode()
	c, err := msdsn.Parse(u.String())
	if err != nil {
		return nil, errors.New(serverDSN + ": not a URL for go-mssqldb") // not %w: it could quote the password
	}
	return mssql.NewConnectorConfig(c), nil
}
