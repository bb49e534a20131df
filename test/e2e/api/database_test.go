package api

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// database is a database of one engine that a test works with through a proxy.
type database struct {
	family, engine string
	host           string // of the server itself
	port           int
	name           string
	user, password string
	enginePort     int
	// open logs in over TLS at a proxy, as user, with a password or token.
	open func(ctx context.Context, endpoint, user, password string) (client, error)
	// alter changes the user's password at the server.
	alter func(t *testing.T, password string)
	// refused is the code of a log-in that is refused.
	refused string
}

// client is a connection through a proxy.
type client interface {
	// one asks for a row of one column.
	one(ctx context.Context, sql string) (string, error)
	close()
}

func postgresDatabase(t *testing.T) database {
	t.Helper()
	db := testkit.Database(t, testkit.SharedPostgres(t))
	d := database{
		family: "POSTGRESQL", engine: "postgres", host: db.Server.Host(), port: db.Server.Port(), name: db.Name, user: db.User, password: db.Password,
		enginePort: 5432, refused: "28P01",
	}
	d.open = func(ctx context.Context, endpoint, user, password string) (client, error) {
		host, port := endpointOf(endpoint, d.enginePort)
		cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=require", host, port, user, d.name))
		if err != nil {
			return nil, err
		}
		cfg.Password = password
		c, err := pgconn.ConnectConfig(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return pgClient{c}, nil
	}
	d.alter = func(t *testing.T, password string) {
		t.Helper()
		if err := db.Server.Exec(t.Context(), fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", db.User, password)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

type pgClient struct{ c *pgconn.PgConn }

func (c pgClient) one(ctx context.Context, sql string) (string, error) {
	r, err := c.c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	if len(r) == 0 || len(r[0].Rows) == 0 {
		return "", errors.New("no row")
	}
	return string(r[0].Rows[0][0]), nil
}

func (c pgClient) close() { _ = c.c.Close(context.Background()) }

func mariaDatabase(t *testing.T) database {
	t.Helper()
	db := testkit.MySQLDatabase(t, testkit.SharedMySQL(t))
	d := database{
		family: "MYSQL", engine: "mariadb", host: db.Server.Host(), port: db.Server.Port(), name: db.Name, user: db.User, password: db.Password,
		enginePort: 3306, refused: "1045",
	}
	d.open = func(ctx context.Context, endpoint, user, password string) (client, error) {
		host, port := endpointOf(endpoint, d.enginePort)
		cfg := mysql.NewConfig()
		cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(host, strconv.Itoa(port))
		cfg.User, cfg.Passwd, cfg.DBName = user, password, d.name
		cfg.AllowCleartextPasswords = true
		cfg.Logger = &mysql.NopLogger{}
		cfg.TLS = &tls.Config{InsecureSkipVerify: true} // the test's own proxy, whose certificate is its own too
		connector, err := mysql.NewConnector(cfg)
		if err != nil {
			return nil, err
		}
		pool := sql.OpenDB(connector)
		c, err := pool.Conn(ctx)
		if err != nil {
			pool.Close()
			return nil, err
		}
		return sqlClient{pool, c}, nil
	}
	d.alter = func(t *testing.T, password string) {
		t.Helper()
		if err := db.Server.Exec(t.Context(), fmt.Sprintf("ALTER USER '%s'@'%%' IDENTIFIED BY '%s'", db.User, password)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func sqlServerDatabase(t *testing.T) database {
	t.Helper()
	server := tdsserver.Start(t, tdsserver.Options{})
	d := database{
		family: "SQLSERVER", engine: "sqlserver-ex", host: server.Host, port: server.Port, name: tdsserver.DefaultDatabase,
		user: tdsserver.DefaultUser, password: tdsserver.DefaultPassword, enginePort: 1433, refused: "18456",
	}
	d.open = func(ctx context.Context, endpoint, user, password string) (client, error) {
		host, port := endpointOf(endpoint, d.enginePort)
		q := url.Values{"database": {d.name}, "encrypt": {"true"}, "TrustServerCertificate": {"true"}}
		u := url.URL{Scheme: "sqlserver", Host: net.JoinHostPort(host, strconv.Itoa(port)), User: url.User(user), RawQuery: q.Encode()}
		cfg, err := msdsn.Parse(u.String())
		if err != nil {
			return nil, err
		}
		var connector *mssql.Connector
		if strings.Contains(password, "X-Amz-Signature=") { // as drivers have it: beside it there is no user
			cfg.User = ""
			if connector, err = mssql.NewSecurityTokenConnector(cfg, func(context.Context) (string, error) { return password, nil }); err != nil {
				return nil, err
			}
		} else {
			cfg.Password = password
			connector = mssql.NewConnectorConfig(cfg)
		}
		pool := sql.OpenDB(connector)
		c, err := pool.Conn(ctx)
		if err != nil {
			pool.Close()
			return nil, err
		}
		return sqlClient{pool, c}, nil
	}
	d.alter = func(_ *testing.T, password string) { server.SetPassword(d.user, password) }
	return d
}

type sqlClient struct {
	pool *sql.DB
	c    *sql.Conn
}

func (c sqlClient) one(ctx context.Context, sql string) (s string, err error) {
	err = c.c.QueryRowContext(ctx, sql).Scan(&s)
	return s, err
}

func (c sqlClient) close() {
	_ = c.c.Close()
	_ = c.pool.Close()
}

// eachEngine runs a test on a database of each engine.
func eachEngine(t *testing.T, test func(t *testing.T, d database)) {
	t.Run("sqlserver", func(t *testing.T) {
		t.Parallel()
		test(t, sqlServerDatabase(t))
	})
	eachEndToEnd(t, test)
}

// eachEndToEnd runs a test on a database of each engine that takes tokens itself.
func eachEndToEnd(t *testing.T, test func(t *testing.T, d database)) {
	for name, of := range map[string]func(*testing.T) database{"postgres": postgresDatabase, "mariadb": mariaDatabase} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, of(t))
		})
	}
}

// letIn logs in at a proxy and does something there.
func (d database) letIn(t *testing.T, what, endpoint, user, password string) {
	t.Helper()
	c, err := d.open(t.Context(), endpoint, user, password)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	defer c.close()
	if got, err := c.one(t.Context(), "SELECT 42"); err != nil || got != "42" {
		t.Errorf("%s: %q, %v", what, got, err)
	}
}

// keptOut must be refused as a wrong password is, in words that hold all of these.
func (d database) keptOut(t *testing.T, what, endpoint, user, password string, words ...string) {
	t.Helper()
	c, err := d.open(t.Context(), endpoint, user, password)
	if err == nil {
		c.close()
		t.Errorf("%s: was let in", what)
		return
	}
	if code := codeOf(err); code != d.refused {
		t.Errorf("%s: code %q (%v), want %s", what, code, err, d.refused)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v, which lacks %q", what, err, w)
		}
	}
}

// codeOf is a database's code for an error; empty: it is of no database.
func codeOf(err error) string {
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var ms mssql.Error
	switch {
	case errors.As(err, &ms):
		return strconv.Itoa(int(ms.Number))
	case errors.As(err, &pg):
		return pg.Code
	case errors.As(err, &my):
		return strconv.Itoa(int(my.Number))
	}
	return ""
}
