package demo

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"

	"github.com/go-sql-driver/mysql"

	"forebay/internal/localserver"
	"forebay/internal/storm"
)

// startMySQL starts MariaDB, or MySQL where that is what the machine has, with the clients' account and database.
func startMySQL(ctx context.Context) (*backend, error) {
	m, err := localserver.StartMySQL(ctx, localserver.MySQLOptions{MaxConnections: maxConnections})
	if err != nil {
		return nil, err
	}
	b := &backend{
		server: m, name: m.Version().Product, family: "MYSQL", engine: storm.EngineMySQL,
		statement:  "SELECT SLEEP(0.005)",
		password:   localserver.RandomWord(16),
		openCensus: func(ctx context.Context) (census, error) { return openMySQLCensus(ctx, m) },
	}
	b.shell = func(host, port string, tls bool) string {
		return fmt.Sprintf("MYSQL_PWD=%s %s --host=%s --port=%s --user=%s %s",
			b.password, mysqlClient(m.Version().Product, tls), host, port, appUser, appDatabase)
	}
	err = m.CreateDatabase(ctx, appDatabase)
	if err == nil {
		err = m.CreateUser(ctx, localserver.MySQLUser{Name: appUser, Password: b.password, Database: appDatabase})
	}
	if err != nil {
		m.Stop()
		return nil, err
	}
	return b, nil
}

// mysqlClient is the command-line client that comes with a product, with its words for TLS with a certificate that nobody
// vouches for, or for no TLS. MariaDB's client was called mysql before 10.4, and verifies certificates since 11.4.
func mysqlClient(product string, tls bool) string {
	if product == localserver.ProductMySQL {
		if tls {
			return "mysql --ssl-mode=REQUIRED"
		}
		return "mysql --ssl-mode=DISABLED --get-server-public-key"
	}
	name := "mariadb"
	if _, err := exec.LookPath(name); err != nil {
		if _, err := exec.LookPath("mysql"); err == nil {
			name = "mysql"
		}
	}
	if tls {
		return name + " --ssl --skip-ssl-verify-server-cert"
	}
	return name + " --skip-ssl"
}

// mysqlCensus counts MariaDB's clients.
type mysqlCensus struct{ db *sql.DB }

func openMySQLCensus(ctx context.Context, m *localserver.MySQL) (census, error) {
	conf, err := mysql.ParseDSN(m.SuperDSN(""))
	if err != nil {
		return nil, err
	}
	conf.Logger = &mysql.NopLogger{} // what it would say comes back as an error too
	connector, err := mysql.NewConnector(conf)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1) // the one that is opened here, before the crowd comes
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return mysqlCensus{db}, nil
}

// count implements census. Who is still logging in has a connection too, under the name "unauthenticated user".
func (c mysqlCensus) count() (n int, err error) {
	err = c.db.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE id <> CONNECTION_ID() " +
		"AND user NOT IN ('system user', 'event_scheduler')").Scan(&n)
	return n, err
}

func (c mysqlCensus) close() { _ = c.db.Close() } // the server is stopped anyway
