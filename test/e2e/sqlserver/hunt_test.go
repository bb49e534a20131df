package sqlserver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// TestLeak runs random statements in many sessions at once, over few server connections, and compares after each statement
// what the session sees with a model of what it should see. FOREBAY_LEAK_ROUNDS multiplies the number of sessions,
// FOREBAY_LEAK_SEED has other statements than the usual ones. With FOREBAY_LEAK_KILLS=1 one more run has server connections
// killed. FOREBAY_TEST_SQLSERVER_DSN, a URL of go-mssqldb's, has it run on that server, too, with kills with one loop and with
// two: it makes its tables in the database that the URL names, and in a database forebay_hunt. What that server does in
// another way than SQL Server it is asked (readManners); what it does not know is not played.
func TestLeak(t *testing.T) {
	t.Parallel()
	rounds := envInt(t, "FOREBAY_LEAK_ROUNDS", 1)
	seed := uint64(envInt(t, "FOREBAY_LEAK_SEED", 1))
	kills := envInt(t, "FOREBAY_LEAK_KILLS", 0) != 0
	for name, o := range likes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Databases = []string{"app", "other"}
			play := func(name string, seed uint64, loops, sessions int, kills bool) {
				t.Run(name, func(t *testing.T) {
					(&hunt{t: t, at: direct(t, o), other: "other", seed: seed, loops: loops, pool: loops + maxPinned, sessions: sessions * rounds, steps: 30, kills: kills}).run()
				})
			}
			play("direct", seed, 0, 6, false) // the model is right
			play("one loop", seed, 1, 14, false)
			play("two loops", seed+1, 2, 14, false)
			if kills {
				play("killed", seed+2, 2, 10, true) // server connections, all the time
			}
		})
	}
	t.Run("server", func(t *testing.T) {
		p := realPlace(t)
		play := func(name string, loops int, kills bool) {
			t.Run(name, func(t *testing.T) {
				(&hunt{t: t, at: p, other: "forebay_hunt", seed: seed, loops: loops, pool: 1 + loops + maxPinned, sessions: 14 * rounds, steps: 30, kills: kills}).run()
			})
		}
		for loops, name := range []string{"direct", "one loop", "two loops"} {
			play(name, loops, false)
		}
		if kills {
			play("one loop, killed", 1, true)
			play("two loops, killed", 2, true)
		}
	})
}

// maxPinned bounds how many sessions of a hunt hold state that pins at a time.
const maxPinned = 3

// concurrent is how many sessions run at a time.
const concurrent = 10

func envInt(t *testing.T, name string, otherwise int) int {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// hunt is one run.
type hunt struct {
	t        *testing.T
	at       place
	other    string // a second database
	seed     uint64
	loops    int // of Forebay; 0: straight to the server
	pool     int
	sessions int
	steps    int
	kills    bool // server connections are killed all the time

	target  place           // the server itself
	looks   []look          // those that the server knows
	standIn bool            // the server is Babelfish
	keeps   map[string]bool // looks that the server's reset leaves as they are
	undoes  bool            // an error that the server has no number for ends the transaction
	start   map[string]string
	pinned  chan struct{}
	killed  int // of the killer's alone until it has ended
	lost    atomic.Int64
	refused atomic.Int64 // requests that read what was not known any more
	broken  atomic.Int64 // connections that the driver gave up behind a cancel

	mu     sync.Mutex
	names  []string    // guarded by mu; of locks and global tables
	rows   map[int]int // guarded by mu; what is to be left in rows_t, by its sid
	served []int       // guarded by mu; sessions of a real server in which clients have run something, for the killer
}

// toy reports whether the server is the scripted one.
func (h *hunt) toy() bool { return h.at.server != nil }

func (h *hunt) run() {
	t := h.t
	t.Logf("FOREBAY_LEAK_SEED=%d", h.seed)
	h.target = h.at
	h.rows = map[int]int{}
	h.pinned = make(chan struct{}, maxPinned)
	setup := h.open(h.target, "disable", nil)
	defer func() { setup.close() }()
	h.makeTables(setup)
	if h.loops > 0 {
		o := testkit.ForebayOptions{
			Users: map[string]string{h.at.user: h.at.password}, Loops: h.loops,
			Change: func(p *resource.Proxy) { p.Pool.MaxConnections = h.pool },
		}
		if h.toy() {
			o.TLS = h.at.server.TLS()
		}
		if h.kills {
			o.Log = slog.DiscardHandler
		}
		f := testkit.StartForebaySQLServer(t, h.at.host, h.at.port, o)
		h.at.host, h.at.port, h.at.through = f.Host, f.Port, true
	}
	h.readStart()
	var all sync.WaitGroup
	work := make(chan int)
	for range concurrent {
		all.Go(func() {
			for id := range work {
				h.session(id, h.steps/4+id*7%h.steps)
			}
		})
	}
	stop := make(chan struct{})
	var killer sync.WaitGroup
	if h.kills {
		killer.Go(func() { h.kill(stop) })
	}
	for id := range h.sessions {
		if t.Failed() {
			break
		}
		work <- id + 1
	}
	close(work)
	all.Wait()
	close(stop)
	killer.Wait()
	t.Logf("%d killed, %d requests lost their server connection, %d were refused since what they read was lost, %d connections ended with a cancel",
		h.killed, h.lost.Load(), h.refused.Load(), h.broken.Load())
	if t.Failed() {
		return
	}
	if h.kills { // that connection may have been lost
		setup.close()
		setup = h.open(h.target, "disable", nil)
	}
	h.lookBehind(setup)
}

// lookBehind looks whether anything is left of the sessions.
func (h *hunt) lookBehind(c *client) {
	for _, name := range h.names {
		text := "DECLARE @r int; EXEC @r = sp_getapplock '" + name + "', 'Exclusive', 'Session', 20000; SELECT CASE WHEN @r >= 0 THEN 'free' ELSE 'taken' END"
		if strings.HasPrefix(name, "##") {
			text = "SELECT CASE WHEN OBJECT_ID('tempdb.." + name + "') IS NULL THEN 'free' ELSE 'there' END"
		}
		got, err := "", error(nil)
		for end := time.Now().Add(20 * time.Second); got != "free" && time.Now().Before(end); {
			if got, err = c.query(text); err != nil {
				h.t.Fatalf("%s: %v", text, err)
			}
		}
		if got != "free" {
			h.t.Errorf("%s is %s when its session has gone", name, got)
		}
	}
	for sid, want := range h.rows {
		text := fmt.Sprintf("SELECT COUNT(*) FROM dbo.rows_t WHERE sid = %d", sid)
		got, err := "", error(nil)
		for end := time.Now().Add(20 * time.Second); got != strconv.Itoa(want) && time.Now().Before(end); {
			if got, err = c.query(text); err != nil {
				h.t.Fatalf("%s: %v", text, err)
			}
		}
		if got != strconv.Itoa(want) {
			h.t.Errorf("session %d has left %s rows, want %d", sid, got, want)
		}
	}
}

// huntTables are what all sessions use.
var huntTables = []string{
	"CREATE TABLE dbo.rows_t (id int IDENTITY(1,1) PRIMARY KEY, sid int, v nvarchar(40))",
	"CREATE PROCEDURE dbo.adds @sid int AS INSERT INTO dbo.rows_t (sid, v) VALUES (@sid, N'by procedure')",
	"CREATE PROCEDURE dbo.puts @v varbinary(20) AS SET CONTEXT_INFO @v",
}

func (h *hunt) makeTables(c *client) {
	texts := huntTables
	if !h.toy() {
		_, _ = c.query("CREATE DATABASE " + h.other) // it may be there
		for _, text := range []string{"DROP TABLE dbo.rows_t", "DROP PROCEDURE dbo.adds", "DROP PROCEDURE dbo.puts", "DROP FUNCTION dbo.numbers"} {
			_, _ = c.query(text) // of another run
		}
		texts = append(slices.Clone(texts),
			"CREATE FUNCTION dbo.numbers (@n int) RETURNS TABLE AS RETURN SELECT TOP (@n) ROW_NUMBER() OVER (ORDER BY a.object_id) AS n FROM sys.all_objects a CROSS JOIN sys.all_objects b")
	}
	for _, text := range texts {
		if _, err := c.query(text); err != nil {
			h.t.Fatalf("%s: %v", text, err)
		}
	}
}

// kill ends server connections, one after the other. A real server may take long for a log-in: those that are logging in are spared, and
// each is ended over a connection that has been made for it.
func (h *hunt) kill(stop chan struct{}) {
	r := rand.New(rand.NewPCG(h.seed, 1<<40))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(10+r.IntN(30)) * time.Millisecond):
		}
		if h.toy() {
			all := slices.DeleteFunc(h.at.server.Sessions(), func(s tdsserver.Session) bool { return s.Application == setupName })
			if len(all) > 0 {
				h.at.server.Kill(all[r.IntN(len(all))].SPID)
				h.killed++
			}
			continue
		}
		c := h.open(h.target, "disable", func(err error) { h.t.Logf("the killer's log-in: %v", err) })
		if c == nil { // Babelfish has been seen to crash at a KILL
			continue
		}
		h.mu.Lock()
		spid := 0
		if n := len(h.served); n > 0 {
			i := r.IntN(n)
			spid = h.served[i]
			h.served = slices.Delete(h.served, i, i+1)
		}
		h.mu.Unlock()
		if spid != 0 {
			if _, err := c.query("KILL " + strconv.Itoa(spid)); err == nil { // else it has gone
				h.killed++
			}
		}
		c.close()
	}
}

// serves notes that a client has run something in that session of the server's.
func (h *hunt) serves(spid string) {
	n, err := strconv.Atoi(spid)
	if err != nil {
		h.t.Errorf("@@SPID is %s", spid)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.served, n) {
		h.served = append(h.served, n)
	}
}

// setupName is the application that a hunt's own connections to the server are of.
const setupName = "hunt"

// client is a connection of go-mssqldb's. Its pool has one, so that giving that back and taking it again resets it.
type client struct {
	db   *sql.DB
	conn *sql.Conn
	mu   sync.Mutex
	nets []net.Conn // guarded by mu
}

// DialContext implements mssql.Dialer.
func (c *client) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	n, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		c.mu.Lock()
		c.nets = append(c.nets, n)
		c.mu.Unlock()
	}
	return n, err
}

// open connects. With failed it returns nil where the log-in fails, and calls that.
func (h *hunt) open(p place, encrypt string, failed func(error)) *client {
	q := url.Values{"database": {p.database}, "disableRetry": {"true"}, "encrypt": {encrypt}, "app name": {setupName}, "dial timeout": {"60"}}
	if p.ca != "" {
		q.Set("certificate", p.ca)
		q.Set("hostNameInCertificate", "localhost")
	}
	u := url.URL{Scheme: "sqlserver", User: url.UserPassword(p.user, p.password), Host: p.addr(), RawQuery: q.Encode()}
	config, err := msdsn.Parse(u.String())
	if err != nil {
		h.t.Fatal(err)
	}
	connector := mssql.NewConnectorConfig(config)
	c := &client{}
	connector.Dialer = c
	c.db = sql.OpenDB(connector)
	c.db.SetMaxOpenConns(1)
	if c.conn, err = c.db.Conn(context.Background()); err != nil {
		_ = c.db.Close()
		if failed == nil {
			h.t.Fatalf("log in: %v", err)
		}
		failed(err)
		return nil
	}
	return c
}

// close leaves.
func (c *client) close() {
	_ = c.conn.Close() // it may have ended
	_ = c.db.Close()
}

// hangUp ends the network's connection.
func (c *client) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nets {
		_ = n.Close()
	}
}

// reset gives the connection back to the driver's pool and takes it again: the next request asks for a reset.
func (c *client) reset() error {
	if err := c.conn.Close(); err != nil {
		return err
	}
	var err error
	c.conn, err = c.db.Conn(context.Background())
	return err
}

// query runs a text, or a procedure, and returns the rows of all its results: "a,b|c,d".
func (c *client) query(text string, args ...any) (string, error) {
	return c.queryIn(context.Background(), text, args...)
}

func (c *client) queryIn(ctx context.Context, text string, args ...any) (string, error) {
	rows, err := c.conn.QueryContext(ctx, text, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var out []string
	for {
		cols, err := rows.Columns()
		if err != nil {
			return "", err
		}
		for rows.Next() {
			vals, ptrs := make([]any, len(cols)), make([]any, len(cols))
			for i := range vals {
				ptrs[i] = &vals[i]
			}
			if err := rows.Scan(ptrs...); err != nil {
				return "", err
			}
			var row []string
			for _, v := range vals {
				switch v := v.(type) {
				case nil:
					row = append(row, "NULL")
				case []byte:
					row = append(row, string(v))
				default:
					row = append(row, fmt.Sprint(v))
				}
			}
			out = append(out, strings.Join(row, ","))
		}
		if !rows.NextResultSet() {
			break
		}
	}
	return strings.Join(out, "|"), rows.Err()
}

// huntOptions are the options that sessions turn on and off, with their bits in @@OPTIONS.
var huntOptions = []struct {
	name string
	bit  int
}{
	{"NOCOUNT", 512}, {"XACT_ABORT", 16384}, {"ARITHIGNORE", 128}, {"NUMERIC_ROUNDABORT", 8192}, {"CURSOR_CLOSE_ON_COMMIT", 4}, {"ANSI_NULL_DFLT_ON", 1024},
}

// look is something that a session looks at, by the model's name of it.
type look struct{ name, expr string }

var allLooks = []look{
	{"LOCK_TIMEOUT", "@@LOCK_TIMEOUT"},
	{"DATEFIRST", "@@DATEFIRST"},
	{"TEXTSIZE", "@@TEXTSIZE"},
	{"LANGUAGE", "@@LANGUAGE"},
	{"database", "DB_NAME()"},
	{"options", "@@OPTIONS & 26244"},
	{"trancount", "@@TRANCOUNT"},
	{"info", "CONVERT(varchar(8), CONVERT(varchar(128), CONTEXT_INFO()))"},
	{"k1", "CONVERT(varchar(20), SESSION_CONTEXT(N'k1'))"},
	{"k2", "CONVERT(varchar(20), SESSION_CONTEXT(N'k2'))"},
	{"#a", "CASE WHEN OBJECT_ID('tempdb..#a') IS NULL THEN 0 ELSE 1 END"},
	{"#b", "CASE WHEN OBJECT_ID('tempdb..#b') IS NULL THEN 0 ELSE 1 END"},
	{"level", "(SELECT transaction_isolation_level FROM sys.dm_exec_sessions WHERE session_id = @@SPID)"},
	{"dateformat", "(SELECT date_format FROM sys.dm_exec_sessions WHERE session_id = @@SPID)"},
}

// readStart reads what a session straight to the server begins with. Babelfish, which stands in for SQL Server, does not know
// everything: what it does not is not looked at.
func (h *hunt) readStart() {
	c := h.open(h.target, "disable", nil)
	defer c.close()
	version, err := c.query("SELECT @@VERSION")
	if err != nil {
		h.t.Fatal(err)
	}
	h.standIn = strings.Contains(version, "Babelfish")
	h.looks, h.start = nil, map[string]string{}
	for _, l := range allLooks {
		if h.standIn && strings.Contains(l.expr, "sys.dm_exec_sessions") {
			continue // a session does not always find itself in the view while others come and go
		}
		v, err := c.query("SELECT " + l.expr)
		if err != nil && h.toy() {
			h.t.Fatalf("%s: %v", l.expr, err)
		}
		if err != nil {
			h.t.Logf("the server does not know %s: %v", l.expr, err)
			continue
		}
		h.looks, h.start[l.name] = append(h.looks, l), v
	}
	if len(h.looks) < len(allLooks)/2 {
		h.t.Fatalf("of %d looks the server knows %d", len(allLooks), len(h.looks))
	}
	h.readManners(c)
}

// readManners asks the server in what it differs from SQL Server.
func (h *hunt) readManners(c *client) {
	must := func(text string) string {
		v, err := c.query(text)
		if err != nil {
			h.t.Fatalf("%s: %v", text, err)
		}
		return v
	}
	exprs := map[string]string{}
	for _, l := range h.looks {
		exprs[l.name] = l.expr
	}
	h.keeps = map[string]bool{}
	for name, text := range map[string]string{
		"database": "USE " + h.other, "info": "SET CONTEXT_INFO 0x3132333435363738", "k1": "EXEC sp_set_session_context N'k1', N'12345678'",
		"level": "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", // which survived before SQL Server 2014
	} {
		if exprs[name] == "" {
			continue
		}
		must(text)
		was := must("SELECT " + exprs[name])
		if err := c.reset(); err != nil {
			h.t.Fatal(err)
		}
		h.keeps[name] = must("SELECT "+exprs[name]) == was
	}
	h.keeps["k2"] = h.keeps["k1"]
	maps.DeleteFunc(h.keeps, func(_ string, keeps bool) bool { return !keeps })
	must("BEGIN TRAN")
	_, err := c.query("FETCH NEXT FROM there_is_none")
	h.undoes = errNumber(err) == untranslated && must("SELECT @@TRANCOUNT") == "0"
	if !h.undoes {
		must("ROLLBACK")
	}
	if (h.keeps["database"] || h.keeps["info"] || h.keeps["k1"] || h.undoes) && !h.standIn && !h.at.leaves {
		h.t.Errorf("no SQL Server leaves %v behind a reset, or ends a transaction for an error of no number of its own (%v)", h.keeps, h.undoes)
	}
	h.t.Logf("behind a reset there are %v yet; an error of no number of its own ends a transaction: %v", slices.Sorted(maps.Keys(h.keeps)), h.undoes)
}

// ended reports whether an error is that the connection has ended.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "failed to send ") && (strings.Contains(err.Error(), syscall.EPIPE.Error()) || strings.Contains(err.Error(), syscall.ECONNRESET.Error())) // the driver does not wrap it
}
