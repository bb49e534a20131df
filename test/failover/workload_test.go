package failover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// conn is a client's connection, whatever its database.
type conn interface {
	// write inserts a row with that id into ledger, in a transaction of its own.
	write(ctx context.Context, id int64) error
	// ids are those in ledger, each as often as it is there.
	ids(ctx context.Context) ([]int64, error)
	// closed reports whether the connection is no more.
	closed() bool
	close()
}

// workload is clients that write rows, each with an id of its own, as fast as they are answered.
type workload struct {
	t       *testing.T
	clients []conn
	next    atomic.Int64
	running sync.WaitGroup
	stop    context.CancelFunc

	mu       sync.Mutex
	acked    []int64        // answered with success
	failed   map[int64]bool // answered with an error: it may be there, or not
	errs     map[string]int // by their class
	lastOK   time.Time
	longest  time.Duration // between two successes of all clients
	perished int           // clients whose connection has ended
}

func startWorkload(t *testing.T, clients int, connect func() conn) *workload {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	w := &workload{t: t, stop: stop, failed: map[int64]bool{}, errs: map[string]int{}}
	for range clients {
		w.clients = append(w.clients, connect())
	}
	w.lastOK = time.Now()
	for _, c := range w.clients {
		w.running.Go(func() { w.run(ctx, c) })
	}
	t.Cleanup(func() {
		stop()
		w.running.Wait()
		for _, c := range w.clients {
			c.close()
		}
	})
	return w
}

func (w *workload) run(ctx context.Context, c conn) {
	for ctx.Err() == nil {
		id := w.next.Add(1)
		err := c.write(context.Background(), id)
		w.mu.Lock()
		if err == nil {
			now := time.Now()
			w.longest = max(w.longest, now.Sub(w.lastOK))
			w.lastOK = now
			w.acked = append(w.acked, id)
		} else {
			w.failed[id] = true
			w.errs[class(err)]++
		}
		w.mu.Unlock()
		if c.closed() {
			w.mu.Lock()
			w.perished++
			w.mu.Unlock()
			return
		}
	}
}

// class is the SQLSTATE of an error, with the start of its text.
func class(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code + " " + pg.Message
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// successes is how many rows have been acknowledged.
func (w *workload) successes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// goesOn waits until another n rows have been acknowledged.
func (w *workload) goesOn(n int) {
	w.t.Helper()
	from := w.successes()
	for end := time.Now().Add(60 * time.Second); w.successes() < from+n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.t.Fatalf("%d rows in a minute, want %d; errors %v", len(w.acked)-from, n, w.errs)
		}
	}
}

// end stops the clients and holds the ledger against what they were told.
func (w *workload) end(ledger conn) {
	w.t.Helper()
	w.stop()
	w.running.Wait()
	there, err := ledger.ids(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	count := make(map[int64]int, len(there))
	for _, id := range there {
		count[id]++
	}
	var missing, doubled, unknown []int64
	for _, id := range w.acked {
		if count[id] == 0 {
			missing = append(missing, id)
		}
	}
	known := make(map[int64]bool, len(w.acked))
	for _, id := range w.acked {
		known[id] = true
	}
	for id, n := range count {
		if n > 1 {
			doubled = append(doubled, id)
		}
		if !known[id] && !w.failed[id] {
			unknown = append(unknown, id)
		}
	}
	slices.Sort(doubled)
	w.t.Logf("%d rows, longest pause %v, errors %v", len(w.acked), w.longest.Round(time.Millisecond), w.errs)
	if len(missing)+len(doubled)+len(unknown) > 0 {
		w.t.Errorf("acknowledged and missing %v, written twice %v, never sent %v", missing, doubled, unknown)
	}
	if w.perished > 0 {
		w.t.Errorf("%d connections of clients have ended; errors %v", w.perished, w.errs)
	}
}

// pgClient is a connection to PostgreSQL.
type pgClient struct{ *pgx.Conn }

func connectPG(t testing.TB, dsn string) pgClient {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return pgClient{c}
}

func (c pgClient) write(ctx context.Context, id int64) error {
	_, err := c.Exec(ctx, "INSERT INTO ledger (id) VALUES ($1)", id)
	return err
}

func (c pgClient) ids(ctx context.Context) ([]int64, error) {
	rows, err := c.Query(ctx, "SELECT id FROM ledger")
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

func (c pgClient) closed() bool { return c.IsClosed() }
func (c pgClient) close()       { _ = c.Conn.Close(context.Background()) }
