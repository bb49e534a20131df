package workload

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Class is the SQLSTATE of an error, or MySQL's number, with its text; or what is wrong with the connection.
func Class(err error) string {
	var (
		pg *pgconn.PgError
		my *mysql.MySQLError
		op *net.OpError
	)
	switch {
	case errors.As(err, &pg):
		return pg.Code + " " + pg.Message
	case errors.As(err, &my):
		return fmt.Sprintf("%d %s", my.Number, my.Message)
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &op) && op.Op == "dial":
		return "connection refused"
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn):
		return "connection closed"
	case errors.As(err, &op), strings.Contains(err.Error(), "EOF"), strings.Contains(err.Error(), "conn closed"):
		return "connection closed"
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// Postgres is a connection to PostgreSQL.
type Postgres struct{ *pgx.Conn }

// DialPostgres connects. The statements are sent in that mode, pgx's default where it is 0.
func DialPostgres(ctx context.Context, dsn string, mode pgx.QueryExecMode) (Postgres, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return Postgres{}, err
	}
	if mode != 0 {
		cfg.DefaultQueryExecMode = mode
	}
	c, err := pgx.ConnectConfig(ctx, cfg)
	return Postgres{c}, err
}

// Write implements Conn.
func (c Postgres) Write(ctx context.Context, id int64) error {
	_, err := c.Exec(ctx, "INSERT INTO ledger (id) VALUES ($1)", id)
	return err
}

// IDs implements Conn.
func (c Postgres) IDs(ctx context.Context) ([]int64, error) {
	rows, err := c.Query(ctx, "SELECT id FROM ledger")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// Ping implements Conn.
func (c Postgres) Ping(ctx context.Context) error {
	_, err := c.Exec(ctx, "SELECT 1")
	return err
}

// Closed implements Conn.
func (c Postgres) Closed() bool { return c.IsClosed() }

// Close implements Conn.
func (c Postgres) Close() { _ = c.Conn.Close(context.Background()) }

// MySQL is a connection to MariaDB or MySQL.
type MySQL struct {
	*sql.Conn
	db *sql.DB
}

// DialMySQL connects.
func DialMySQL(ctx context.Context, dsn string) (MySQL, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return MySQL{}, err
	}
	cfg.Logger = &mysql.NopLogger{} // that connections break is what this is about
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return MySQL{}, err
	}
	db := sql.OpenDB(connector)
	// The one connection is the client's: what is made in its place when that has ended is another one.
	db.SetMaxOpenConns(1)
	c, err := db.Conn(ctx)
	if err != nil {
		db.Close()
		return MySQL{}, err
	}
	return MySQL{c, db}, nil
}

// Write implements Conn.
func (c MySQL) Write(ctx context.Context, id int64) error {
	_, err := c.ExecContext(ctx, "INSERT INTO ledger (id) VALUES (?)", id)
	return err
}

// IDs implements Conn.
func (c MySQL) IDs(ctx context.Context) ([]int64, error) {
	rows, err := c.QueryContext(ctx, "SELECT id FROM ledger")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Ping implements Conn.
func (c MySQL) Ping(ctx context.Context) error {
	_, err := c.ExecContext(ctx, "DO 1")
	return err
}

// Closed implements Conn.
func (c MySQL) Closed() bool {
	return c.Raw(func(dc any) error {
		if v, ok := dc.(driver.Validator); ok && !v.IsValid() {
			return driver.ErrBadConn
		}
		return nil
	}) != nil
}

// Close implements Conn.
func (c MySQL) Close() {
	c.Conn.Close()
	c.db.Close()
}
