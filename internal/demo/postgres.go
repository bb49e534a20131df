package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"forebay/internal/localserver"
	"forebay/internal/storm"
)

// startPostgres starts PostgreSQL with the clients' account and database.
func startPostgres(ctx context.Context) (*backend, error) {
	pg, err := localserver.StartPostgres(ctx, localserver.PostgresOptions{MaxConnections: maxConnections})
	if err != nil {
		return nil, err
	}
	b := &backend{
		server: pg, name: pg.Version().Product, family: "POSTGRESQL", engine: storm.EnginePostgres,
		statement: "SELECT pg_sleep(0.005)", params: map[string]string{"application_name": "storm"},
		password:   localserver.RandomWord(16),
		openCensus: func(ctx context.Context) (census, error) { return openPgCensus(ctx, pg) },
	}
	b.shell = func(host, port string, tls bool) string {
		mode := "disable"
		if tls {
			mode = "require"
		}
		return fmt.Sprintf(`PGPASSWORD=%s psql "host=%s port=%s user=%s dbname=%s sslmode=%s"`,
			b.password, host, port, appUser, appDatabase, mode)
	}
	err = pg.CreateUser(ctx, localserver.User{Name: appUser, Password: b.password})
	if err == nil {
		err = pg.CreateDatabase(ctx, appDatabase, appUser)
	}
	if err != nil {
		pg.Stop()
		return nil, err
	}
	return b, nil
}

// pgCensus counts PostgreSQL's clients.
type pgCensus struct{ conn *pgconn.PgConn }

func openPgCensus(ctx context.Context, pg *localserver.Postgres) (census, error) {
	conn, err := pgconn.Connect(ctx, pg.SuperDSN("postgres"))
	if err != nil {
		return nil, err
	}
	return pgCensus{conn}, nil
}

// count implements census. The query is not cancelled: it takes a moment only.
func (c pgCensus) count() (int, error) {
	const sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
	results, err := c.conn.Exec(context.Background(), sql).ReadAll()
	if err != nil {
		return 0, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		return 0, errors.New("unexpected answer")
	}
	return strconv.Atoi(string(results[0].Rows[0][0]))
}

func (c pgCensus) close() { _ = c.conn.Close(context.Background()) } // the server is stopped anyway
