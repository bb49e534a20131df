package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"forebay/internal/testkit"
)

// TestLeak runs random statements in many sessions at once, over few server connections, and compares after each statement
// what the session sees with a model of what it should see. FOREBAY_LEAK_ROUNDS multiplies the number of sessions,
// FOREBAY_LEAK_SEED repeats a run.
func TestLeak(t *testing.T) {
	t.Parallel()
	rounds := envInt(t, "FOREBAY_LEAK_ROUNDS", 1)
	seed := uint64(envInt(t, "FOREBAY_LEAK_SEED", int(time.Now().UnixNano()%1e9)))
	t.Run("direct", func(t *testing.T) { // the model is right
		t.Parallel()
		hunt{w: direct(t), seed: seed, long: 6, short: 40 * rounds, steps: 40}.run()
	})
	t.Run("one loop", func(t *testing.T) {
		t.Parallel()
		hunt{w: newWorld(t, options{loops: 1, pool: 3 + maxPinned}), seed: seed, long: 12, short: 1000 * rounds, steps: 60 * rounds}.run()
	})
	t.Run("three loops", func(t *testing.T) {
		t.Parallel()
		hunt{w: newWorld(t, options{loops: 3, pool: 5 + maxPinned}), seed: seed + 1, long: 12, short: 1000 * rounds, steps: 60 * rounds}.run()
	})
}

// maxPinned bounds how many sessions of a hunt hold state that pins at a time: pinned sessions that keep all server
// connections while they wait for nothing would stop everybody else.
const maxPinned = 6

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
	w     *world
	seed  uint64
	long  int // sessions that last for steps statements
	short int // sessions of a few statements
	steps int
}

// concurrent is how many short sessions run at a time.
const concurrent = 12

func (h hunt) run() {
	t := h.w.t
	t.Logf("FOREBAY_LEAK_SEED=%d", h.seed)
	role := h.w.db.User + "_r"
	super := h.w.db.Server
	if err := super.Exec(t.Context(), "CREATE ROLE "+role+"; GRANT "+role+" TO "+h.w.db.User); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := super.Exec(context.Background(), "DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	})
	h.w.super("CREATE SEQUENCE public.seq; GRANT ALL ON SEQUENCE public.seq TO public; " +
		"CREATE TABLE public.mark (i int); GRANT ALL ON public.mark TO public; " +
		"CREATE FUNCTION public.put(name text, v text) RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM set_config(name, v, false); END$$; " +
		"CREATE FUNCTION public.put_a(v text) RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('app.a', v, false); END$$")
	// From the first use of currval on, sessions that draw from sequences keep their server connection.
	h.w.open().exec("SELECT currval('public.seq')")

	pinned := make(chan struct{}, maxPinned)
	var ids sync.Mutex
	next := 0
	newID := func() int {
		ids.Lock()
		defer ids.Unlock()
		next++
		return next
	}
	var all sync.WaitGroup
	for range h.long {
		id := newID()
		all.Go(func() { h.session(id, h.steps, role, pinned) })
	}
	work := make(chan int)
	for range concurrent {
		all.Go(func() {
			for id := range work {
				h.session(id, 3+id%9, role, pinned)
			}
		})
	}
	for range h.short {
		if t.Failed() {
			break
		}
		work <- newID()
	}
	close(work)
	all.Wait()
	if h.w.log != nil {
		t.Logf("pinned in all: %v", h.w.log.total())
	}
	testkit.Eventually(t, "all advisory locks are released", func() bool {
		return h.w.super("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == "0"
	})
}

// session is one session from log-in to its end.
func (h hunt) session(id, steps int, role string, pinned chan struct{}) {
	r := rand.New(rand.NewPCG(h.seed, uint64(id)))
	p := &player{hunt: h, r: r, role: role, pinned: pinned, m: newModel(id, map[string]string{})}
	defer p.unpin()
	if !p.login() {
		return
	}
	for i := range steps {
		if h.w.t.Failed() {
			break
		}
		if !p.step() || !p.check() {
			h.w.t.Errorf("session %d, step %d of seed %d; its statements:\n%s", id, i, h.seed, strings.Join(p.said, "\n"))
			_ = p.c.Conn().Close()
			return
		}
	}
	switch r.IntN(3) {
	case 0:
		_ = p.c.Conn().Close()
	default:
		_ = p.c.Close(context.Background())
	}
}

// player plays one session.
type player struct {
	hunt
	r      *rand.Rand
	role   string
	m      *model
	c      *pgconn.PgConn
	got    []pgconn.Notification
	said   []string
	pinned chan struct{}
	holds  bool // a place among the sessions that may be pinned
	serial int
	last   error // of the last statement
}

func (p *player) login() bool {
	cfg := p.w.config()
	start := p.m.startup
	if p.r.IntN(3) == 0 {
		start["application_name"] = p.text()
		cfg.RuntimeParams["application_name"] = start["application_name"]
	}
	if p.r.IntN(4) == 0 {
		start["timezone"] = "Europe/Berlin"
		cfg.RuntimeParams["timezone"] = start["timezone"]
	}
	if p.r.IntN(4) == 0 {
		start["work_mem"], start["app.b"] = p.memory(), p.text()
		cfg.RuntimeParams["options"] = "-c work_mem=" + start["work_mem"] + " -c app.b=" + start["app.b"]
	}
	if p.r.IntN(12) == 0 {
		start["role"] = p.role
		cfg.RuntimeParams["role"] = p.role
	}
	p.said = append(p.said, fmt.Sprintf("-- log-in with %v", start))
	p.m.reset()
	cfg.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { p.got = append(p.got, *n) }
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	var err error
	if p.c, err = pgconn.ConnectConfig(ctx, cfg); err != nil {
		p.w.t.Errorf("session %d: connect: %v", p.m.id, err)
		return false
	}
	return true
}

// text is a value of this session's own.
func (p *player) text() string {
	p.serial++
	return fmt.Sprintf("s%d_%d", p.m.id, p.serial)
}

func (p *player) memory() string { return strconv.Itoa(101+2*p.m.id) + "kB" } // odd: the server shows 1024kB as 1MB

// mayPin takes a place among the sessions that may be pinned, if one is free.
func (p *player) mayPin() bool {
	if p.holds {
		return true
	}
	select {
	case p.pinned <- struct{}{}:
		p.holds = true
		return true
	default:
		return false
	}
}

func (p *player) unpin() {
	if p.holds {
		p.holds = false
		<-p.pinned
	}
}

// say runs a statement by a protocol of chance; it returns its rows and its error's SQLSTATE ("" for success, "?" if the
// connection broke).
func (p *player) say(sql string) (rows, code string) {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	how := p.r.IntN(3)
	p.note(sql, how)
	switch how {
	case 0:
		rs, err := p.c.Exec(ctx, sql).ReadAll()
		if len(rs) > 0 {
			rows = text(rs[len(rs)-1])
		}
		return rows, p.code(err)
	case 1:
		res := p.c.ExecParams(ctx, sql, nil, nil, nil, nil).Read()
		return text(res), p.code(res.Err)
	default:
		if p.m.failed {
			res := p.c.ExecParams(ctx, sql, nil, nil, nil, nil).Read()
			return text(res), p.code(res.Err)
		}
		if _, err := p.c.Prepare(ctx, "once", sql, nil); err != nil {
			return "", p.code(err)
		}
		res := p.c.ExecPrepared(ctx, "once", nil, nil, nil).Read()
		if p.c.TxStatus() != 'E' && strings.ToUpper(sql) != "DISCARD ALL" && sql != "DEALLOCATE ALL" {
			if err := p.c.Deallocate(ctx, "once"); err != nil {
				return "", "deallocate: " + p.code(err)
			}
		} else if p.c.TxStatus() == 'E' {
			_ = p.c.Deallocate(ctx, "once") // Close works in a failed transaction
		}
		return text(res), p.code(res.Err)
	}
}

func (p *player) note(sql string, how int) {
	p.said = append(p.said, fmt.Sprintf("%s;  -- %s", sql, [...]string{"simple", "unnamed", "named", "prepare", "execute"}[how]))
	if len(p.said) > 60 {
		p.said = slices.Delete(p.said, 0, 10)
	}
}

// code is codeOf, and keeps the error for the test's output.
func (p *player) code(err error) string {
	p.last = err
	return codeOf(err)
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := pgError(err); ok {
		return e.Code
	}
	return "? " + err.Error()
}

// ok runs a statement that must succeed.
func (p *player) ok(sql string) bool {
	_, code := p.say(sql)
	if code != "" {
		p.w.t.Errorf("session %d: %s: %s (%s)", p.m.id, sql, code, p.last)
	}
	return code == ""
}

// wrong runs a statement that must fail.
func (p *player) wrong(sql, want string) bool {
	_, code := p.say(sql)
	if code != want {
		p.w.t.Errorf("session %d: %s: SQLSTATE %q, want %s", p.m.id, sql, code, want)
	}
	p.m.failed = p.m.inTx()
	return code == want
}

// is runs a query that must return want.
func (p *player) is(sql, want string) bool {
	got, code := p.say(sql)
	if code != "" || got != want {
		p.w.t.Errorf("session %d: %s = %q (SQLSTATE %q), want %q", p.m.id, sql, got, code, want)
		return false
	}
	return true
}

// step does one thing of chance.
func (p *player) step() bool {
	m, r := p.m, p.r
	if m.failed {
		switch r.IntN(4) {
		case 0:
			return p.wrongAgain("SELECT 1")
		case 1:
			if n := p.savepoint(); n != "" {
				if !p.ok("ROLLBACK TO SAVEPOINT " + n) {
					return false
				}
				m.rollbackTo(n)
				return true
			}
			fallthrough
		case 2:
			_, code := p.say("COMMIT")
			m.rollback()
			return code == ""
		default:
			_, code := p.say("ROLLBACK")
			m.rollback()
			return code == ""
		}
	}
	steps := settingSteps
	switch n := r.IntN(100); {
	case n < 35:
	case n < 50:
		steps = txSteps
	case n < 70:
		steps = statementSteps
	case n < 75:
		steps = errorSteps
	default:
		steps = pinSteps
		if !p.mayPin() {
			steps = settingSteps
		}
	}
	return steps[r.IntN(len(steps))](p)
}

func (p *player) wrongAgain(sql string) bool {
	_, code := p.say(sql)
	if code != "25P02" {
		p.w.t.Errorf("session %d: %s in a failed transaction: SQLSTATE %q", p.m.id, sql, code)
	}
	return code == "25P02"
}

// savepoint is the name of one that is set, or "".
func (p *player) savepoint() string {
	if len(p.m.levels) < 2 {
		return ""
	}
	return p.m.levels[1+p.r.IntN(len(p.m.levels)-1)].name
}

// stateSQL asks for everything that the model knows.
const stateSQL = `SELECT current_setting('application_name'), current_setting('work_mem'), current_setting('timezone'), current_setting('datestyle'),
 current_setting('search_path'), current_setting('role'), coalesce(current_setting('app.a', true), ''), coalesce(current_setting('app.b', true), ''),
 current_setting('statement_timeout'), current_setting('default_transaction_isolation'), current_user,
 coalesce((SELECT string_agg(n, ' ' ORDER BY n) FROM unnest('{t1,t2,t3}'::text[]) n WHERE to_regclass('pg_temp.' || n) IS NOT NULL), ''),
 coalesce((SELECT string_agg(name, ' ' ORDER BY name) FROM pg_catalog.pg_cursors WHERE is_holdable), ''),
 coalesce((SELECT string_agg(c, ' ' ORDER BY c) FROM pg_catalog.pg_listening_channels() c), ''),
 coalesce((SELECT string_agg(objid::text, ' ' ORDER BY objid) FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), ''),
 coalesce((SELECT string_agg(name || '=' || statement, ' | ') FROM pg_catalog.pg_prepared_statements WHERE from_sql), '')`

var stateNames = []string{
	"application_name", "work_mem", "timezone", "datestyle", "search_path", "role", "app.a", "app.b",
	"statement_timeout", "default_transaction_isolation", "user", "tables", "cursors", "channels", "locks",
}

// check compares what the session sees with the model.
func (p *player) check() bool {
	t, m := p.w.t, p.m
	wantTx := byte('I')
	if m.failed {
		wantTx = 'E'
	} else if m.inTx() {
		wantTx = 'T'
	}
	if tx := p.c.TxStatus(); tx != wantTx {
		t.Errorf("session %d: transaction status %c, want %c", m.id, tx, wantTx)
		return false
	}
	if m.failed {
		return true // nothing can be asked
	}
	good := true
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	var res *pgconn.Result
	if p.r.IntN(2) == 0 {
		res = p.c.ExecParams(ctx, stateSQL, nil, nil, nil, nil).Read()
	} else if rs, err := p.c.Exec(ctx, stateSQL).ReadAll(); err != nil {
		res = &pgconn.Result{Err: err}
	} else {
		res = rs[0]
	}
	if res.Err != nil || len(res.Rows) != 1 {
		t.Errorf("session %d: state: %v", m.id, res.Err)
		return false
	}
	row := res.Rows[0]
	want := m.seen(p.w.db.User)
	for i, n := range stateNames {
		if got := string(row[i]); got != want[n] {
			t.Errorf("session %d: %s is %q, want %q", m.id, n, got, want[n])
			good = false
		}
	}
	// Of the SQL-level prepared statements those are there that the session used last; never another session's.
	if got := string(row[len(stateNames)]); got != "" {
		for _, st := range strings.Split(got, " | ") {
			name, _, _ := strings.Cut(st, "=")
			if v, ok := m.sql[name]; !ok || !strings.Contains(st, v) {
				t.Errorf("session %d: SQL-level prepared statement %s, want one of %v", m.id, st, m.sql)
				good = false
			}
		}
	}
	for name, key := range map[string]string{"application_name": "application_name", "TimeZone": "timezone", "DateStyle": "datestyle"} {
		if got := p.c.ParameterStatus(name); got != want[key] {
			t.Errorf("session %d: ParameterStatus %s is %q, want %q", m.id, name, got, want[key])
			good = false
		}
	}
	var notes []string
	for _, n := range p.got {
		notes = append(notes, n.Channel+" "+n.Payload)
	}
	if !slices.Equal(notes, m.notes) {
		t.Errorf("session %d: notifications %q, want %q", m.id, notes, m.notes)
		good = false
	}
	p.got, m.notes = nil, nil
	return good
}
