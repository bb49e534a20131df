package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"forebay/internal/localserver"
)

// watch looks at the database again and again, over a connection opened before the crowd comes, and keeps the largest
// number of client connections it saw. Its own is not counted.
type watch struct {
	cancel context.CancelFunc
	done   chan struct{}
	most   int   // valid after done
	err    error // valid after done
}

const (
	watchEvery   = 20 * time.Millisecond
	countClients = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)

func startWatch(ctx context.Context, pg *localserver.Postgres) (*watch, error) {
	conn, err := pgconn.Connect(ctx, pg.SuperDSN("postgres"))
	if err != nil {
		return nil, fmt.Errorf("watch the database: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		defer conn.Close(context.Background())
		for ctx.Err() == nil && w.look(conn) {
			select {
			case <-ctx.Done():
			case <-time.After(watchEvery):
			}
		}
	}()
	return w, nil
}

// look counts once and reports whether that worked. A query is not cancelled: it takes a moment only.
func (w *watch) look(conn *pgconn.PgConn) bool {
	results, err := conn.Exec(context.Background(), countClients).ReadAll()
	if err == nil && (len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1) {
		err = errors.New("unexpected answer")
	}
	var n int
	if err == nil {
		n, err = strconv.Atoi(string(results[0].Rows[0][0]))
	}
	if err != nil {
		w.err = fmt.Errorf("watch the database: %w", err)
		return false
	}
	w.most = max(w.most, n)
	return true
}

// end stops watching and returns the largest number seen.
func (w *watch) end() (int, error) {
	w.cancel()
	<-w.done
	return w.most, w.err
}
