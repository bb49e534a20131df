package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"

	"github.com/jackc/pgx/v5/pgconn"
)

// watchdog ends a statement that hangs. Nothing takes nearly so long.
const watchdog = 30 * time.Second

// world is a database of the test's own and a way to it: through a Forebay of the test's own, or directly.
type world struct {
	t   *testing.T
	db  testkit.DB
	f   *testkit.Forebay // nil: directly
	log *pinLog
}

// options of a world.
type options struct {
	loops  int
	pool   int // server connections; 0 = testkit.PoolSize
	users  map[string]string
	db     *testkit.DB // nil: one of the test's own
	change func(p *resource.Proxy)
}

// newWorld makes a world with a Forebay.
func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{t: t}
	if o.db != nil {
		w.db = *o.db
	} else {
		w.db = testkit.Database(t, testkit.SharedPostgres(t))
	}
	users := map[string]string{w.db.User: w.db.Password}
	for u, p := range o.users {
		users[u] = p
	}
	w.log = &pinLog{t: t, pins: make(map[uint32][]string), seen: make(map[string]int)}
	w.f = testkit.StartForebay(t, w.db.Server, testkit.ForebayOptions{
		Users: users, Loops: o.loops, Log: pinHandler{log: w.log},
		Change: func(p *resource.Proxy) {
			if o.pool > 0 {
				p.Pool.MaxConnections = o.pool
			}
			if o.change != nil {
				o.change(p)
			}
		},
	})
	return w
}

// direct makes a world without a Forebay.
func direct(t *testing.T) *world {
	t.Helper()
	return &world{t: t, db: testkit.Database(t, testkit.SharedPostgres(t))}
}

// both runs the test directly and through Forebay.
func both(t *testing.T, o options, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("direct", func(t *testing.T) {
		t.Parallel()
		test(t, direct(t))
	})
	t.Run("forebay", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, o))
	})
}

// super runs statements as the server's superuser in the world's database, past Forebay.
func (w *world) super(sql string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	c, err := pgconn.Connect(ctx, w.db.Server.SuperDSN(w.db.Name))
	if err != nil {
		w.t.Fatalf("superuser: %v", err)
	}
	defer c.Close(ctx)
	return (&client{t: w.t, PgConn: c}).must(sql)
}

// config is how a client of the world connects, with startup parameters given as name, value, name, value.
func (w *world) config(params ...string) *pgconn.Config {
	w.t.Helper()
	dsn := w.db.DSN()
	if w.f != nil {
		dsn = w.f.DSN(w.db.User, w.db.Name, "")
	}
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(params); i += 2 {
		cfg.RuntimeParams[params[i]] = params[i+1]
	}
	return cfg
}

// open connects a client, which is closed with the test.
func (w *world) open(params ...string) *client {
	w.t.Helper()
	c, err := w.dial(w.config(params...))
	if err != nil {
		w.t.Fatalf("connect: %v", err)
	}
	return c
}

// dial connects a client.
func (w *world) dial(cfg *pgconn.Config) (*client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	c := &client{t: w.t, w: w}
	cfg.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { c.notifications = append(c.notifications, *n) }
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { c.notices = append(c.notices, n.Message) }
	var err error
	if c.PgConn, err = pgconn.ConnectConfig(ctx, cfg); err != nil {
		return nil, err
	}
	w.t.Cleanup(c.leave)
	return c, nil
}

// pins are the reasons for which Forebay keeps a server connection for the client. It makes a round trip first: the look
// at the session's state comes behind the answer that the client has seen.
func (w *world) pins(c *client) []string {
	w.t.Helper()
	c.must("SELECT 1")
	return w.log.of(c.PID())
}

// client is one session.
type client struct {
	*pgconn.PgConn
	t             *testing.T
	w             *world
	notifications []pgconn.Notification
	notices       []string
}

// leave says good-bye.
func (c *client) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	_ = c.PgConn.Close(ctx)
}

// drop closes the connection without a word.
func (c *client) drop() { _ = c.Conn().Close() }

// exec runs a query string with the simple protocol.
func (c *client) exec(sql string) ([]*pgconn.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	return c.PgConn.Exec(ctx, sql).ReadAll()
}

// params runs a statement with the extended protocol, unnamed.
func (c *client) params(sql string, args ...string) *pgconn.Result {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	var values [][]byte
	for _, a := range args {
		values = append(values, []byte(a))
	}
	return c.PgConn.ExecParams(ctx, sql, values, nil, nil, nil).Read()
}

// prepare makes a named prepared statement.
func (c *client) prepare(name, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	_, err := c.PgConn.Prepare(ctx, name, sql, nil)
	return err
}

// run executes a named prepared statement and returns its rows, the columns joined by commas.
func (c *client) run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	var values [][]byte
	for _, a := range args {
		values = append(values, []byte(a))
	}
	r := c.PgConn.ExecPrepared(ctx, name, values, nil, nil).Read()
	return text(r), r.Err
}

// must runs a query string that must succeed and returns the rows of its last statement.
func (c *client) must(sql string) string {
	c.t.Helper()
	rs, err := c.exec(sql)
	if err != nil {
		c.t.Fatalf("%s: %v", short(sql), err)
	}
	if len(rs) == 0 {
		return ""
	}
	return text(rs[len(rs)-1])
}

// fails runs a query string that must fail with the given SQLSTATE.
func (c *client) fails(sql, code string) *pgconn.PgError {
	c.t.Helper()
	_, err := c.exec(sql)
	return failsWith(c.t, short(sql), err, code)
}

// backend is the process of the server connection that serves the client now.
func (c *client) backend() string {
	c.t.Helper()
	return c.must("SELECT pg_backend_pid()")
}

// failsWith checks an error's SQLSTATE.
func failsWith(t *testing.T, what string, err error, code string) *pgconn.PgError {
	t.Helper()
	e, ok := pgError(err)
	if !ok || e.Code != code {
		t.Fatalf("%s: error %v, want SQLSTATE %s", what, err, code)
	}
	return e
}

// text joins rows by newlines and columns by commas.
func text(r *pgconn.Result) string {
	var rows []string
	for _, row := range r.Rows {
		var cols []string
		for _, c := range row {
			if c == nil {
				cols = append(cols, "NULL")
			} else {
				cols = append(cols, string(c))
			}
		}
		rows = append(rows, strings.Join(cols, ","))
	}
	return strings.Join(rows, "\n")
}

func short(s string) string {
	if len(s) > 200 {
		return fmt.Sprintf("%s... (%d bytes)", s[:200], len(s))
	}
	return s
}

// pinLog keeps what Forebay logs about pins.
type pinLog struct {
	t    *testing.T
	mu   sync.Mutex
	pins map[uint32][]string // guarded by mu; by the client's pid
	seen map[string]int      // guarded by mu; how often for which reason
	last string              // guarded by mu; the statement that the last pin was put down to
	runs []string            // guarded by mu; digests of statements, with debug_logging
}

// total returns how often there was a pin for each reason.
func (l *pinLog) total() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.seen)
}

// digest returns the statement that the last pin was put down to.
func (l *pinLog) digest() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// of returns the reasons for which a client is pinned, sorted.
func (l *pinLog) of(pid uint32) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(slices.Values(l.pins[pid]))
}

// pinHandler is the slog.Handler that fills a pinLog.
type pinHandler struct {
	log *pinLog
}

func (h pinHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (h pinHandler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h pinHandler) WithGroup(string) slog.Handler                { return h }

// Handle implements slog.Handler.
func (h pinHandler) Handle(_ context.Context, r slog.Record) error {
	var pid uint32
	reason, digest := "", ""
	var line strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "pid":
			pid = uint32(a.Value.Uint64())
		case "reason":
			reason = a.Value.String()
		case "digest":
			digest = a.Value.String()
		}
		fmt.Fprintf(&line, " %s=%v", a.Key, a.Value)
		return true
	})
	l := h.log
	l.mu.Lock()
	defer l.mu.Unlock()
	switch r.Message {
	case "session pinned to its server connection":
		l.pins[pid] = append(l.pins[pid], reason)
		l.seen[reason]++
		l.last = digest
	case "session no longer pinned for this reason":
		l.pins[pid] = slices.DeleteFunc(l.pins[pid], func(p string) bool { return p == reason })
	case "statement":
		l.runs = append(l.runs, digest)
	default:
		if r.Level >= slog.LevelWarn {
			l.t.Logf("%s: %s%s", r.Level, r.Message, line.String())
		}
	}
	return nil
}
