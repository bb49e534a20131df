package mysql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"forebay/internal/localserver"
	"forebay/internal/testkit"
	"forebay/internal/wire/mysqlwire"
)

// TestLeak runs random statements in many sessions at once, over few server connections, and compares after each statement
// what the session sees with a model of what it should see. FOREBAY_LEAK_ROUNDS multiplies the number of sessions,
// FOREBAY_LEAK_SEED has other statements than the usual ones. With FOREBAY_LEAK_KILLS=1 one more run has server connections killed.
func TestLeak(t *testing.T) {
	t.Parallel()
	rounds := envInt(t, "FOREBAY_LEAK_ROUNDS", 1)
	seed := uint64(envInt(t, "FOREBAY_LEAK_SEED", 1))
	kills := envInt(t, "FOREBAY_LEAK_KILLS", 0) != 0
	testkit.EachMySQL(t, func(t *testing.T, m *localserver.MySQL) {
		t.Run("direct", func(t *testing.T) { // the model is right
			(&hunt{w: newWorld(t, m, options{direct: true}), seed: seed, long: 3, short: 20 * rounds, steps: 40}).run()
		})
		t.Run("one loop", func(t *testing.T) {
			(&hunt{w: newWorld(t, m, options{loops: 1, pool: 2 + maxPinned}), seed: seed, long: 6, short: 100 * rounds, steps: 60 * rounds}).run()
		})
		t.Run("two loops", func(t *testing.T) {
			(&hunt{w: newWorld(t, m, options{loops: 2, pool: 3 + maxPinned}), seed: seed + 1, long: 6, short: 100 * rounds, steps: 60 * rounds}).run()
		})
		if !kills {
			return
		}
		t.Run("killed", func(t *testing.T) { // server connections, all the time
			(&hunt{w: newWorld(t, m, options{loops: 2, pool: 3 + maxPinned}), seed: seed + 2, long: 6, short: 60 * rounds, steps: 40 * rounds, kills: true}).run()
		})
	})
}

// maxPinned bounds how many sessions of a hunt hold state that pins at a time: pinned sessions that keep all server
// connections while they wait for nothing would stop everybody else.
const maxPinned = 4

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
	kills bool // server connections are killed all the time

	baseline map[mysqlwire.Capability]map[string]string
	names    sync.Map // of locks
	lost     atomic.Int64
	pinned   chan struct{}
	settable []int // which of settable the server has, and a plain user may set
}

// concurrent is how many short sessions run at a time.
const concurrent = 8

// huntTables are what all sessions use.
var huntTables = []string{
	"CREATE TABLE rows_t (id BIGINT AUTO_INCREMENT PRIMARY KEY, sid INT, v VARCHAR(100), KEY (sid)) ENGINE=InnoDB",
	"CREATE TABLE locked_t (a INT)", "CREATE TABLE other_t (a INT)", "CREATE TABLE which (v VARCHAR(20))", "INSERT INTO which VALUES ('first')",
	"CREATE TABLE noted (sid INT, n INT, KEY (sid), seen BIGINT, tz VARCHAR(20), mine VARCHAR(100)) ENGINE=InnoDB",
	"CREATE TRIGGER tr BEFORE INSERT ON noted FOR EACH ROW SET NEW.seen = LAST_INSERT_ID(), NEW.tz = @@time_zone, NEW.mine = @a",
	"CREATE PROCEDURE put_timeout(v INT) SET SESSION lock_wait_timeout = v",
	"CREATE PROCEDURE put_a(v VARCHAR(100)) SET @a = v",
	"CREATE PROCEDURE make_t1(v VARCHAR(100)) BEGIN CREATE TEMPORARY TABLE t1 SELECT v AS v; END",
	"CREATE PROCEDURE rows_of(v INT) BEGIN SELECT v; SELECT @@lock_wait_timeout, @a; END",
	"CREATE PROCEDURE adds(s INT, v VARCHAR(100)) INSERT INTO rows_t (sid, v) VALUES (s, v)",
	"CREATE FUNCTION got(n VARCHAR(60)) RETURNS INT NO SQL RETURN GET_LOCK(n, 0)",
	"CREATE FUNCTION my_zone() RETURNS VARCHAR(20) NO SQL RETURN @@time_zone",
	"CREATE VIEW zone_v AS SELECT my_zone() AS z",
}

func (h *hunt) run() {
	t := h.w.t
	t.Logf("FOREBAY_LEAK_SEED=%d", h.seed)
	c := h.w.open(usual)
	for _, sql := range huntTables {
		if _, err := c.query(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{"CREATE TABLE which (v VARCHAR(20))", "INSERT INTO which VALUES ('second')"} {
		if _, err := c.query("USE `" + h.w.other + "`"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.query(sql); err != nil {
			t.Fatal(err)
		}
	}
	c.leave()
	if h.w.f != nil {
		h.w.waitForRoutines() // of one that is not known a session might have its user variables
	}
	h.readBaseline()
	h.pinned = make(chan struct{}, maxPinned)
	var ids atomic.Int64
	var all sync.WaitGroup
	for range h.long {
		id := int(ids.Add(1))
		all.Go(func() { h.session(id, h.steps) })
	}
	work := make(chan int)
	for range concurrent {
		all.Go(func() {
			for id := range work {
				h.session(id, 3+id%9)
			}
		})
	}
	stop := make(chan struct{})
	var killer sync.WaitGroup
	if h.kills {
		killer.Go(func() { h.kill(stop) })
	}
	for range h.short {
		if t.Failed() {
			break
		}
		work <- int(ids.Add(1))
	}
	close(work)
	all.Wait()
	close(stop)
	killer.Wait()
	t.Logf("%d commands lost their server connection", h.lost.Load())
	testkit.Eventually(t, "all named locks are free", func() bool {
		free := true
		h.names.Range(func(name, _ any) bool {
			free = h.w.ask("SELECT IS_FREE_LOCK('"+name.(string)+"')") == "1"
			return free
		})
		return free
	})
}

// readBaseline reads what SHOW SESSION VARIABLES shows in a session straight to the server.
func (h *hunt) readBaseline() {
	h.baseline = map[mysqlwire.Capability]map[string]string{}
	for _, caps := range []mysqlwire.Capability{usual, usual &^ deprecateEOF, usual &^ mysqlwire.ClientSessionTrack} {
		c, err := h.w.dialDirect(caps)
		if err != nil {
			h.w.t.Fatal(err)
		}
		all, err := c.query("SHOW SESSION VARIABLES")
		if err != nil {
			h.w.t.Fatal(err)
		}
		h.baseline[caps] = map[string]string{}
		for _, row := range all[0].rows {
			h.baseline[caps][row[0]] = row[1]
		}
		if h.settable == nil {
			for i, s := range settable {
				if _, err := c.query("SET SESSION " + s.name + " = @@SESSION." + s.name); err == nil {
					h.settable = append(h.settable, i)
				}
			}
		}
		c.leave()
	}
}

// kill ends server connections of the user's, one after the other.
func (h *hunt) kill(stop chan struct{}) {
	r := rand.New(rand.NewPCG(h.seed, 1<<40))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(20+r.IntN(60)) * time.Millisecond):
		}
		rows, err := h.w.m.Query(h.w.t.Context(), "", "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '"+h.w.db.User+"'")
		if err != nil || len(rows) == 0 {
			continue
		}
		_ = h.w.m.Exec(h.w.t.Context(), "KILL "+rows[r.IntN(len(rows))][0]) // it may be gone
	}
}

// session is one session from log-in to its end.
func (h *hunt) session(id, steps int) {
	r := rand.New(rand.NewPCG(h.seed, uint64(id)))
	p := &player{hunt: h, r: r}
	defer p.unpin()
	caps := []mysqlwire.Capability{usual, usual &^ deprecateEOF, usual &^ mysqlwire.ClientSessionTrack}[r.IntN(3)]
	p.m = newModel(id, h.w.db.Name, h.baseline[caps])
	var err error
	for p.c, err = h.w.dial(caps); err != nil && h.kills && (lostCodes[codeOf(err)] || ended(err)); { // what it was logged in to was killed
		p.c, err = h.w.dial(caps)
	}
	if err != nil {
		h.w.t.Errorf("session %d: log in: %v", id, err)
		return
	}
	defer p.c.conn.Close()

	good := p.check(true)
	for i := 0; i < steps && good && !p.broken && !h.w.t.Failed(); i++ {
		good = p.step() && (p.broken || p.check(r.IntN(4) == 0))
	}
	if !good {
		h.w.t.Errorf("session %d of seed %d, %s; its statements:\n%s", id, h.seed, p.m, strings.Join(p.said, "\n"))
		return
	}
	if !p.broken {
		p.end()
	}
}

// end leaves, in some way.
func (p *player) end() {
	if p.r.IntN(4) == 0 && p.m.autocommit && !p.m.inTx && !p.m.locked {
		_, _ = p.c.query("SET TRANSACTION READ ONLY")
	}
	switch p.r.IntN(6) {
	case 0: // without a word
	case 1: // in the middle of a command
		b := encode(mysqlwire.ComQuery, p.c.queryBody("SET @a = 'never said', time_zone = '-11:00'")...)
		_, _ = p.c.conn.Write(b[:p.r.IntN(len(b))])
	case 2: // without an answer
		_, _ = p.c.conn.Write(encode(mysqlwire.ComQuery, p.c.queryBody("SET @a = 'unanswered', time_zone = '-11:00'")...))
	case 3: // with the answer half read
		_ = p.c.send(mysqlwire.ComQuery, p.c.queryBody("SELECT @x := 'half', GET_LOCK('half_"+itoa(p.m.id)+"', 0)")...)
		_, _ = p.c.packet()
		p.names.Store("half_"+itoa(p.m.id), true)
	default:
		p.c.leave()
	}
}

// player plays one session.
type player struct {
	*hunt
	r      *rand.Rand
	m      *model
	c      *client
	said   []string
	last   string // what was said last
	holds  bool   // a place among the sessions that may be pinned
	serial int
	kept   []kept // prepared statements of the protocol
	gone   bool   // the last command lost its server connection
	err    error  // of the last command
	broken bool   // the client's connection has ended
}

// kept is a prepared statement.
type kept struct {
	*statement
	sql    string
	bound  bool
	schema string // when it was prepared
}

// text is a value of this session's own.
func (p *player) text() string {
	p.serial++
	return fmt.Sprintf("s%d_%d", p.m.id, p.serial)
}

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

// vague are statements that may pin because Forebay cannot tell whether they have set user variables.
var vague = regexp.MustCompile(`CALL |PREPARE|EXECUTE|SET_VAR|SET STATEMENT|zone_v|noted|nothing_such|NO STATEMENT|\.got\(`)

func (p *player) note(format string, args ...any) {
	p.last = fmt.Sprintf(format, args...)
	p.said = append(p.said, p.last)
	p.m.vague = p.m.vague || vague.MatchString(p.last)
	if len(p.said) > 60 {
		p.said = slices.Delete(p.said, 0, 10)
	}
}

// say runs a statement by a protocol of chance. It returns its rows and its error's code.
func (p *player) say(sql string) (rows, code string) {
	switch p.r.IntN(6) {
	case 0, 1:
		return p.sayBinary(sql)
	case 2:
		p.note("DO 0; %s", sql)
		all, err := p.c.query("DO 0; " + sql)
		return p.took(all, err)
	}
	p.note("%s", sql)
	all, err := p.c.query(sql)
	return p.took(all, err)
}

func (p *player) sayBinary(sql string) (rows, code string) {
	p.note("%s -- prepared", sql)
	st, err := p.c.prepare(sql)
	if codeOf(err) == "1295" { // not by this protocol
		return p.took(p.c.query(sql))
	}
	if err != nil {
		return p.took(nil, err)
	}
	all, err := p.c.execute(st, true)
	rows, code = p.took(all, err)
	if !p.broken {
		if err := p.c.close(st); !p.sent(err) {
			return "", "close: " + err.Error()
		}
	}
	return rows, code
}

// took takes an answer.
func (p *player) took(all []result, err error) (rows, code string) {
	p.gone, p.err = false, err
	if err != nil {
		code = codeOf(err)
		p.gone = p.kills && (lostCodes[code] && !strings.Contains(err.Error(), "restored") || ended(err))
		if p.gone {
			p.broken = ended(err)
			p.lost.Add(1)
			p.m.lost(p.last)
			p.note("-- lost: %v", err)
			p.buried()
		}
	}
	return text(all, nil), code
}

// sent takes what became of a command without an answer.
func (p *player) sent(err error) bool {
	if err != nil {
		_, _ = p.took(nil, err)
		return p.fine()
	}
	return true
}

// ended reports whether an error is that the other side has closed the connection.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// lostCodes are what a client hears when its server connection was killed.
var lostCodes = map[string]bool{"2013": true, "1927": true, "1317": true, "3169": true}

// buried waits until the server is done with the connections that were killed: until then they hold their locks, and what they
// were doing may still be carried out.
func (p *player) buried() {
	const dying = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Killed' AND USER = '"
	for end := time.Now().Add(watchdog); p.w.ask(dying+p.w.db.User+"'") != "0" && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
}

// ok runs a statement that must succeed. After a failure the caller returns fine().
func (p *player) ok(sql string) bool {
	_, code := p.say(sql)
	if code != "" && !p.gone {
		p.w.t.Errorf("session %d: %s: error %s", p.m.id, sql, code)
	}
	return code == ""
}

// fine reports whether what has failed did so because the server connection was killed.
func (p *player) fine() bool {
	if !p.gone {
		p.w.t.Errorf("session %d: behind %q: %v", p.m.id, p.last, p.err)
	}
	return p.gone
}

// wrong runs a statement that must fail.
func (p *player) wrong(sql string, want ...string) bool {
	_, code := p.say(sql)
	if p.gone {
		return true
	}
	if !slices.Contains(want, code) {
		p.w.t.Errorf("session %d: %s: error %q, want %s", p.m.id, sql, code, want)
		return false
	}
	return true
}

// is runs a query that must return one of some values.
func (p *player) is(sql string, want ...string) bool {
	got, code := p.say(sql)
	if p.gone {
		return true
	}
	if code != "" || !slices.Contains(want, got) {
		p.w.t.Errorf("session %d: %s = %q (error %q), want %q", p.m.id, sql, got, code, want)
		return false
	}
	return true
}

// ask runs a query as root and returns its first value.
func (w *world) ask(sql string) string {
	w.t.Helper()
	rows, err := w.m.Query(context.Background(), w.db.Name, sql)
	if err != nil {
		w.t.Fatalf("root: %s: %v", sql, err)
	}
	if len(rows) == 0 || len(rows[0]) == 0 {
		return ""
	}
	return rows[0][0]
}
