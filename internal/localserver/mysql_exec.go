package localserver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
)

// ErrNoPlugin means that the server does not have an authentication plugin.
var ErrNoPlugin = errors.New("the server does not have the authentication plugin")

// Exec runs one or more SQL statements as root, without a database of its own.
func (m *MySQL) Exec(ctx context.Context, sql string) error { return m.ExecIn(ctx, "", sql) }

// ExecIn is Exec in a database.
func (m *MySQL) ExecIn(ctx context.Context, database, sql string) error {
	_, err := m.Query(ctx, database, sql)
	return err
}

// Query runs one or more SQL statements as root, "" meaning no database, and returns the rows of the last one that
// has any as text; a NULL is "".
func (m *MySQL) Query(ctx context.Context, database, statements string) ([][]string, error) {
	_, rows, err := m.query(ctx, database, statements)
	return rows, err
}

// query is Query with the names of the columns.
func (m *MySQL) query(ctx context.Context, database, statements string) (names []string, out [][]string, err error) {
	c, err := m.connector(database)
	if err != nil {
		return nil, nil, err
	}
	db := sql.OpenDB(c)
	defer db.Close()
	rows, err := db.QueryContext(ctx, statements)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for more := true; more; more = rows.NextResultSet() {
		columns, err := rows.Columns()
		if err != nil {
			return nil, nil, err
		}
		if len(columns) > 0 {
			names, out = columns, nil
		}
		for rows.Next() {
			values := make([]sql.NullString, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return nil, nil, err
			}
			row := make([]string, len(columns))
			for i := range values {
				row[i] = values[i].String
			}
			out = append(out, row)
		}
	}
	return names, out, rows.Err()
}

// connector opens root's connections over the Unix socket.
func (m *MySQL) connector(database string) (driver.Connector, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr = "unix", m.Socket()
	c.User, c.Passwd, c.DBName = "root", m.password, database
	c.MultiStatements = true
	c.Timeout = 10 * time.Second
	c.Logger = &mysql.NopLogger{} // while the server starts, failures are expected; all others are returned
	return mysql.NewConnector(c)
}

// MySQLUser describes an account for MySQL.CreateUser. It may log in from anywhere.
type MySQLUser struct {
	Name     string
	Password string
	Plugin   string // mysql_native_password, caching_sha2_password, sha256_password, ed25519; "": the server's default
	Database string // may do all in it; "": in none
	Options  string // further words of CREATE USER, such as "WITH MAX_USER_CONNECTIONS 5"
}

// CreateUser makes an account. A plugin that the server has but not loaded is loaded; the error wraps ErrNoPlugin if it
// does not have it.
func (m *MySQL) CreateUser(ctx context.Context, u MySQLUser) error {
	if err := m.createUser(ctx, u); err != nil {
		return fmt.Errorf("create user %s: %w", u.Name, err)
	}
	return nil
}

func (m *MySQL) createUser(ctx context.Context, u MySQLUser) error {
	name, password := quoteMySQL(u.Name)+"@'%'", quoteMySQL(u.Password)
	if u.Plugin != "" {
		if err := m.loadPlugin(ctx, u.Plugin); err != nil {
			return err
		}
	}
	by := " IDENTIFIED BY " + password
	switch {
	case u.Plugin == "":
	case m.install.Product == ProductMariaDB:
		by = " IDENTIFIED VIA " + quoteMySQLName(u.Plugin) + " USING PASSWORD(" + password + ")"
	default:
		by = " IDENTIFIED WITH " + quoteMySQL(u.Plugin) + " BY " + password
	}
	if err := m.Exec(ctx, "CREATE USER "+name+by+" "+u.Options); err != nil {
		return err
	}
	if u.Database == "" {
		return nil
	}
	return m.Exec(ctx, "GRANT ALL ON "+quoteMySQLName(grantPattern(u.Database))+".* TO "+name)
}

// grantPattern makes a database's name one that GRANT does not take for a pattern.
func grantPattern(database string) string {
	var b []rune
	for _, r := range database {
		if r == '_' || r == '%' || r == '\\' {
			b = append(b, '\\')
		}
		b = append(b, r)
	}
	return string(b)
}

// mysqlLibraries are the files of plugins that MariaDB has, but does not load by itself.
var mysqlLibraries = map[string]string{
	"ed25519": "auth_ed25519", "parsec": "auth_parsec", "caching_sha2_password": "auth_mysql_sha2",
}

// loadPlugin makes an authentication plugin ready.
func (m *MySQL) loadPlugin(ctx context.Context, plugin string) error {
	has, err := m.hasPlugin(ctx, plugin)
	if has || err != nil {
		return err
	}
	if library := mysqlLibraries[plugin]; library != "" && m.install.Product == ProductMariaDB {
		// Two tests may do this at the same moment; then one of them hears that it is there already.
		err = m.Exec(ctx, "INSTALL SONAME "+quoteMySQL(library))
		if has, again := m.hasPlugin(ctx, plugin); has || again != nil {
			return again
		}
	}
	return errors.Join(fmt.Errorf("%w %s", ErrNoPlugin, plugin), err)
}

func (m *MySQL) hasPlugin(ctx context.Context, plugin string) (bool, error) {
	rows, err := m.Query(ctx, "", "SELECT 1 FROM information_schema.plugins WHERE plugin_type = 'AUTHENTICATION' "+
		"AND plugin_status = 'ACTIVE' AND plugin_name = "+quoteMySQL(plugin))
	return len(rows) > 0, err
}

// DropUser removes an account made by CreateUser.
func (m *MySQL) DropUser(ctx context.Context, name string) error {
	return m.Exec(ctx, "DROP USER "+quoteMySQL(name)+"@'%'")
}

// CreateDatabase makes an empty database.
func (m *MySQL) CreateDatabase(ctx context.Context, name string) error {
	if err := m.Exec(ctx, "CREATE DATABASE "+quoteMySQLName(name)); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// DropDatabase removes a database.
func (m *MySQL) DropDatabase(ctx context.Context, name string) error {
	return m.Exec(ctx, "DROP DATABASE IF EXISTS "+quoteMySQLName(name))
}

// Connections returns the number of client connections the server has, our own question not counted.
func (m *MySQL) Connections(ctx context.Context) (int, error) {
	rows, err := m.Query(ctx, "", "SHOW GLOBAL STATUS LIKE 'Threads_connected'")
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 || len(rows[0]) != 2 {
		return 0, fmt.Errorf("count connections: unexpected answer %v", rows)
	}
	n, err := strconv.Atoi(rows[0][1])
	return n - 1, err
}
