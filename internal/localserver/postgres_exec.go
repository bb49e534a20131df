package localserver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Exec runs one or more SQL statements as the superuser in the database postgres.
func (p *Postgres) Exec(ctx context.Context, sql string) error {
	return p.ExecIn(ctx, "postgres", sql)
}

// ExecIn is Exec in another database.
func (p *Postgres) ExecIn(ctx context.Context, database, sql string) error {
	_, err := p.Query(ctx, database, sql)
	return err
}

// Query runs SQL as the superuser and returns the rows of its last statement as text; a NULL is "".
func (p *Postgres) Query(ctx context.Context, database, sql string) ([][]string, error) {
	conn, err := p.connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, nil
	}
	var rows [][]string
	for _, r := range results[len(results)-1].Rows {
		row := make([]string, len(r))
		for i := range r {
			row[i] = string(r[i])
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// connect opens a superuser connection over the Unix socket.
func (p *Postgres) connect(ctx context.Context, database string) (*pgconn.PgConn, error) {
	conf, err := pgconn.ParseConfig("sslmode=disable")
	if err != nil {
		return nil, errors.New("a PG environment variable is wrong") // not %w: it could quote a password
	}
	conf.Host, conf.Port = p.base, uint16(p.port)
	conf.User, conf.Password, conf.Database = "postgres", p.password, database
	conf.TLSConfig, conf.Fallbacks = nil, nil
	conf.RuntimeParams = map[string]string{}
	conf.ValidateConnect, conf.AfterConnect = nil, nil
	conf.ConnectTimeout = 10 * time.Second
	return pgconn.ConnectConfig(ctx, conf)
}

// User describes an account for CreateUser.
type User struct {
	Name     string
	Password string // "": none
	MD5      bool   // store the password for MD5 instead of SCRAM-SHA-256
	Options  string // further words of CREATE ROLE, such as "CREATEDB CONNECTION LIMIT 5"
}

// CreateUser makes an account that may log in.
func (p *Postgres) CreateUser(ctx context.Context, u User) error {
	var b strings.Builder
	if u.MD5 {
		b.WriteString("SET password_encryption = 'md5'; ")
	}
	fmt.Fprintf(&b, "CREATE ROLE %s LOGIN %s", quoteName(u.Name), u.Options)
	if u.Password != "" {
		fmt.Fprintf(&b, " PASSWORD %s", quoteLiteral(u.Password))
	}
	if err := p.Exec(ctx, b.String()); err != nil {
		return fmt.Errorf("create user %s: %w", u.Name, err)
	}
	return nil
}

// CreateDatabase makes an empty database owned by owner; "" is the superuser.
func (p *Postgres) CreateDatabase(ctx context.Context, name, owner string) error {
	sql := "CREATE DATABASE " + quoteName(name)
	if owner != "" {
		sql += " OWNER " + quoteName(owner)
	}
	if err := p.Exec(ctx, sql); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// DropDatabase removes a database and closes the connections it still has.
func (p *Postgres) DropDatabase(ctx context.Context, name string) error {
	sql := "DROP DATABASE IF EXISTS " + quoteName(name)
	if p.install.Major >= 13 {
		sql += " WITH (FORCE)"
	}
	return p.Exec(ctx, sql)
}

// Connections returns the number of client connections the server has, our own question not counted.
func (p *Postgres) Connections(ctx context.Context) (int, error) {
	rows, err := p.Query(ctx, "postgres", "SELECT count(*) FROM pg_stat_activity "+
		"WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return 0, fmt.Errorf("count connections: unexpected answer %v", rows)
	}
	return strconv.Atoi(rows[0][0])
}
