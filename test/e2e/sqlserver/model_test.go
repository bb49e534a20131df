package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
)

// model is what a session should see.
type model struct {
	sid   int
	see   map[string]string   // by the names of looks
	also  map[string][]string // what it may see instead
	vague map[string]bool     // what it has set in a way that does not tell to what
	undo  undone              // what goes with the transaction

	tran     int
	saves    []save
	before   undone // as of when the transaction began
	cursor   int    // the next number that it returns; 0: there is none
	api      int    // the same of the one of sp_cursoropen
	handle   int    // of it
	lock     string // of the session
	limit    int    // SET ROWCOUNT
	count    string // @@ROWCOUNT; "": not known
	errno    string
	identity string
	scope    string
	handles  []handle
	readOnly bool // key k1
	perhaps  bool // it may be yet, from before a reset
}

// undone is what a rollback undoes.
type undone struct {
	rows   int // in rows_t
	temps  map[string]int
	global string
}

func (u undone) clone() undone { return undone{u.rows, maps.Clone(u.temps), u.global} }

type save struct {
	name string
	as   undone
}

// handle is a prepared statement: it adds a number to its parameter.
type handle struct{ h, plus int }

// fresh is what a session begins with, and what a reset leaves.
func (m *model) fresh(start map[string]string) {
	if m.tran > 0 {
		m.rollback()
	}
	rows := m.undo.rows
	*m = model{
		sid: m.sid, see: maps.Clone(start), also: map[string][]string{}, vague: map[string]bool{}, undo: undone{rows: rows, temps: map[string]int{}},
		identity: "NULL", scope: "NULL",
	}
}

// reset is what the client's own reset leaves. What the server's leaves (hunt.keeps) Forebay takes away, but for what it does not know
// of: that is there until the session has another server connection. One reset may come behind another: what was there before the first
// one may still be.
func (m *model) reset(h *hunt) {
	was := *m
	m.fresh(h.start)
	for name := range h.keeps {
		switch {
		case h.loops == 0:
			m.see[name], m.also[name] = was.see[name], was.also[name]
		case was.vague[name]:
			for _, v := range append(was.also[name], was.see[name]) {
				m.may(name, v)
			}
			m.vague[name] = true
		}
	}
	if h.keeps["k1"] {
		m.readOnly = was.readOnly && h.loops == 0
		m.perhaps = was.perhaps || was.readOnly && h.loops > 0
	}
}

// set says that the session sees this, and nothing else.
func (m *model) set(name, v string) {
	m.see[name] = v
	delete(m.also, name)
	delete(m.vague, name)
}

// may says that the session may see this, too.
func (m *model) may(name, v string) {
	if !m.sees(name, v) {
		m.also[name] = append(m.also[name], v)
	}
}

// sees reports whether the session may see this.
func (m *model) sees(name, v string) bool {
	return v == m.see[name] || slices.Contains(m.also[name], v)
}

// rollback ends the transaction.
func (m *model) rollback() {
	m.undo, m.tran, m.saves = m.before, 0, nil
	m.tables()
	m.see["trancount"] = "0"
}

// tables says in see which temporary tables there are.
func (m *model) tables() {
	for _, name := range []string{"#a", "#b"} {
		m.see[name] = "0"
		if _, ok := m.undo.temps[name]; ok {
			m.see[name] = "1"
		}
	}
}

// ran is what the last statement leaves.
func (m *model) ran(count, errno int) { m.count, m.errno = strconv.Itoa(count), strconv.Itoa(errno) }

// pins reports whether the session has what pins.
func (m *model) pins() bool {
	return len(m.undo.temps) > 0 || m.cursor > 0 || m.api > 0 || m.lock != "" || m.undo.global != ""
}

// player plays one session.
type player struct {
	*hunt
	r      *rand.Rand
	m      *model
	c      *client
	said   []string
	serial int
	holds  bool // a place among the sessions that may be pinned
	gone   bool // the last request lost its server connection
	over   bool // the client's connection has ended
	good   bool
}

// session is one session from log-in to its end.
func (h *hunt) session(id, steps int) {
	r := rand.New(rand.NewPCG(h.seed, uint64(id)))
	p := &player{hunt: h, r: r, m: &model{sid: id}, good: true}
	defer p.unpin()
	encrypt := "disable"
	if h.toy() {
		encrypt = []string{"disable", "false", "true", "strict"}[r.IntN(4)]
	}
	for try := 0; p.c == nil; try++ {
		p.c = h.open(h.at, encrypt, func(err error) {
			if !h.kills || try > 100 {
				h.t.Errorf("session %d: log in: %v", id, err)
			}
		})
		if p.c == nil && h.t.Failed() {
			return
		}
	}
	defer p.c.close()
	p.m.fresh(h.start)
	p.check()
	for i := 0; i < steps && p.good && !p.over && !h.t.Failed(); i++ {
		if p.step(); p.good && !p.over && r.IntN(3) > 0 {
			p.check()
		}
	}
	if !p.good {
		h.t.Errorf("session %d of seed %d; its statements:\n%s", id, h.seed, strings.Join(p.said, "\n"))
		return
	}
	p.leave()
}

// leave ends the session in some way.
func (p *player) leave() {
	m := p.m
	if m.tran > 0 {
		m.rollback()
	}
	if !p.over {
		switch p.r.IntN(5) {
		case 0: // without a word
			p.c.hangUp()
		case 1: // in the middle of a request
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			defer time.AfterFunc(time.Duration(p.r.IntN(20))*time.Millisecond, p.c.hangUp).Stop()
			_, _ = p.c.queryIn(ctx, "SET LOCK_TIMEOUT 4711; SET CONTEXT_INFO 0x6C65667421; BEGIN TRAN; WAITFOR DELAY '00:10:00'")
		case 2: // in the middle of an answer
			if rows, err := p.c.conn.QueryContext(context.Background(), "SET DATEFIRST 6; SELECT n FROM dbo.numbers(50000)"); err == nil {
				rows.Next()
				p.c.hangUp()
				for rows.Next() { // up to the error: the driver gives its buffers away when it is closed, whoever still reads them
				}
				_ = rows.Close()
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows[m.sid] = m.undo.rows
}

func (p *player) note(format string, args ...any) {
	p.said = append(p.said, fmt.Sprintf(format, args...))
	if len(p.said) > 80 {
		p.said = slices.Delete(p.said, 0, 20)
	}
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

// wrong fails the session.
func (p *player) wrong(format string, args ...any) {
	p.good = false
	p.t.Errorf("session %d: %s", p.m.sid, fmt.Sprintf(format, args...))
}

// say runs a text, or a procedure, and returns its rows and its error's number.
func (p *player) say(text string, args ...any) (rows string, number int) {
	p.note("%s %v", text, args)
	p.gone = false
	rows, err := p.c.query(text, args...)
	return rows, p.took(text, err)
}

// took takes what became of a request.
func (p *player) took(text string, err error) (number int) {
	if err == nil {
		return 0
	}
	number = int(errNumber(err))
	p.note("-- %v", err)
	switch {
	case p.kills && (number == 40197 || number == 49918 || ended(err) || killed(err)):
		p.lost.Add(1)
		p.gone = true
		p.over = number == 0
		p.mourn()
	case number == 0:
		p.wrong("%s: %v", text, err)
	}
	return number
}

// killed reports whether an error is a server's last words to a session that was killed.
func killed(err error) bool {
	var e mssql.Error
	return errors.As(err, &e) && e.Class >= 20
}

// untranslated is the number that Babelfish gives to errors of PostgreSQL's for which it knows none of SQL Server's.
const untranslated = 33557097

// mourn has the model be right again when a server connection has gone: of what ran there nobody knows whether it was carried
// out. The rows of before are another's. It may still be there, too: what reads the last request's @@ERROR is refused with the same number.
func (p *player) mourn() {
	p.m.sid += 1000
	p.m.tran = 0
	p.m.undo.rows = 0
	if p.over {
		return
	}
	if err := p.c.reset(); err != nil {
		p.over = true
		return
	}
	p.m.reset(p.hunt)
}

// ok runs what must succeed, and reports whether it has.
func (p *player) ok(text string, args ...any) bool {
	_, number := p.say(text, args...)
	if number != 0 && !p.gone {
		p.wrong("%s: error %d", text, number)
	}
	if number == 0 {
		p.m.count, p.m.errno = "", ""
	}
	return number == 0 && p.good
}

// call calls a procedure with output parameters, and reports whether it has succeeded.
func (p *player) call(name string, args ...any) bool {
	p.note("%s %v", name, args)
	p.gone = false
	_, err := p.c.conn.ExecContext(context.Background(), name, args...)
	if number := p.took(name, err); number != 0 && !p.gone {
		p.wrong("%s: error %d", name, number)
	}
	p.m.count, p.m.errno = "", ""
	return err == nil
}

// fails runs what must fail with an error, and reports whether it has.
func (p *player) fails(want int, text string, args ...any) bool {
	_, number := p.say(text, args...)
	if p.gone {
		return false
	}
	if number != want && !(p.standIn && number == untranslated) {
		p.wrong("%s: error %d, want %d", text, number, want)
		return false
	}
	if p.m.tran > 0 && (want != 50000 && p.m.option(xactAbort) || number == untranslated && p.undoes) {
		p.m.rollback()
	}
	p.m.count, p.m.errno = "", ""
	return true
}

// is runs a query that must have these rows.
func (p *player) is(want, text string, args ...any) bool {
	got, number := p.say(text, args...)
	if p.gone {
		return false
	}
	if got != want || number != 0 {
		p.wrong("%s = %q (error %d), want %q", text, got, number, want)
		return false
	}
	p.m.count, p.m.errno = "", ""
	return true
}

// check compares what the session sees with the model.
func (p *player) check() {
	m := p.m
	var exprs []string
	for _, l := range p.looks {
		exprs = append(exprs, l.expr)
	}
	tells := p.kills && !p.toy()
	if tells {
		exprs = append(exprs, "@@SPID")
	}
	text := "SELECT " + strings.Join(exprs, ", ")
	got, number := p.say(text)
	p.said[len(p.said)-1] = "-- check: " + got
	if p.gone {
		return
	}
	vals := strings.Split(got, ",")
	if tells && number == 0 {
		p.serves(vals[len(vals)-1])
		vals = vals[:len(vals)-1]
	}
	if number != 0 || len(vals) != len(p.looks) {
		p.wrong("check: %q, error %d", got, number)
		return
	}
	for i, l := range p.looks {
		if !m.sees(l.name, vals[i]) {
			p.wrong("%s is %s, want %s or one of %q", l.name, vals[i], m.see[l.name], m.also[l.name])
		}
	}
	m.ran(1, 0)
	switch p.r.IntN(4) {
	case 0:
		p.is(strconv.Itoa(m.undo.rows), fmt.Sprintf("SELECT COUNT(*) FROM %s.dbo.rows_t WHERE sid = %d", p.target.database, m.sid))
	case 1:
		for name, n := range m.undo.temps {
			if !p.is(strconv.Itoa(n), "SELECT COUNT(*) FROM "+name) {
				return
			}
		}
		if len(m.undo.temps) == 0 && m.tran == 0 {
			p.fails(208, "SELECT COUNT(*) FROM #a")
		}
	}
}

// one is one of some.
func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// step does something.
func (p *player) step() {
	if !p.m.pins() && p.holds && p.m.tran == 0 && p.r.IntN(2) == 0 {
		p.unpin()
	}
	steps[p.r.IntN(len(steps))](p, p.m, p.r)
}

// steps are what sessions do; what they do more often is there more than once.
var steps = []func(p *player, m *model, r *rand.Rand){
	setNumber, setNumber, setOption, setOption, setOption, setOther, setOther, use, level, info, info, keys, keys,
	temp, temp, tempRows, globalTemp,
	begin, begin, begin, begin, commit, commit, rollback, rollback, savepoint, aborts, implicit, managed,
	prepares, executes, executes, executes, unprepares, cursors, fetches, fetches, apiCursor, locks,
	inserts, inserts, inserts, insertsByRPC, deletes, readsIdentity, readsIdentity, readsCount, readsCount, readsError, failing, counts, counts,
	resets, cancels, cancelsRows, unknown, nothing, batches,
}

func setNumber(p *player, m *model, r *rand.Rand) {
	name, v := "LOCK_TIMEOUT", one(r, "-1", "1000", "77000", "123456")
	switch r.IntN(3) {
	case 0:
		name, v = "DATEFIRST", strconv.Itoa(1+r.IntN(7))
	case 1:
		name, v = "TEXTSIZE", one(r, "4096", "100000", "2147483647")
	}
	text := "SET " + name + " " + v
	switch {
	case name == "DATEFIRST" && r.IntN(3) == 0: // of which Forebay has to ask
		text = "DECLARE @a int = " + v + "; SET DATEFIRST @a"
	case r.IntN(5) == 0:
		text = "IF 1 = 1 SET " + name + " " + v
	}
	if p.ok(text) {
		m.see[name] = v
		m.count, m.errno = "", ""
	}
}

func setOption(p *player, m *model, r *rand.Rand) {
	o := one(r, huntOptions...)
	if p.standIn && o.bit != nocount && o.bit != xactAbort { // which are all that it shows in @@OPTIONS
		return
	}
	on := r.IntN(2) == 0
	text := "SET " + o.name + " " + map[bool]string{true: "ON", false: "OFF"}[on]
	if r.IntN(5) == 0 {
		text = "IF 1 = 1 " + text
	}
	if !p.ok(text) {
		return
	}
	bits, _ := strconv.Atoi(m.see["options"])
	if bits &^= o.bit; on {
		bits |= o.bit
	}
	m.see["options"] = strconv.Itoa(bits)
}

// option reports whether an option is on.
func (m *model) option(bit int) bool {
	bits, _ := strconv.Atoi(m.see["options"])
	return bits&bit != 0
}

// The bits of @@OPTIONS that what a session does depends on.
const (
	nocount   = 512
	xactAbort = 16384
)

func setOther(p *player, m *model, r *rand.Rand) {
	if p.standIn { // it takes a language and keeps its own
		return
	}
	switch r.IntN(3) {
	case 0:
		l := one(r, "us_english", "Deutsch", "British")
		if p.ok("SET LANGUAGE " + l) {
			m.see["LANGUAGE"] = l
			m.see["dateformat"], m.see["DATEFIRST"] = "dmy", "1"
			if l == "us_english" {
				m.see["dateformat"], m.see["DATEFIRST"] = "mdy", "7"
			}
		}
	case 1:
		f := one(r, "mdy", "dmy", "ymd")
		if p.ok("SET DATEFORMAT " + f) {
			m.see["dateformat"] = f
		}
	case 2:
		n := one(r, 0, 10, 50)
		if p.ok("SET ROWCOUNT " + strconv.Itoa(n)) {
			m.limit = n
		}
	}
}

func use(p *player, m *model, r *rand.Rand) {
	if p.standIn && (len(m.undo.temps) > 0 || m.tran > 0) { // it has a temporary table in the database alone in which that was made
		return
	}
	db := one(r, p.target.database, p.other, p.target.database)
	if p.ok("USE " + db) {
		m.set("database", db)
	}
}

func level(p *player, m *model, r *rand.Rand) {
	n := 1 + r.IntN(4)
	if m.tran > 0 && !p.toy() || n > 2 && p.standIn { // it knows no more levels
		return
	}
	if p.ok("SET TRANSACTION ISOLATION LEVEL " + []string{"READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"}[n-1]) {
		m.set("level", strconv.Itoa(n))
	}
}

// mark is a value of this session's own, of eight characters.
func (p *player) mark() string {
	p.serial++
	return fmt.Sprintf("%05d%03d", p.m.sid, p.serial%1000)
}

func info(p *player, m *model, r *rand.Rand) {
	v := p.mark()
	literal := fmt.Sprintf("0x%x", v)
	text, vague, perhaps := "SET CONTEXT_INFO "+literal, false, false
	switch r.IntN(6) {
	case 0:
		if !p.mayPin() {
			return
		}
		text, vague = "DECLARE @v varbinary(20) = "+literal+"; SET CONTEXT_INFO @v", true
	case 1:
		text, vague, perhaps = "EXEC "+p.target.database+".dbo.puts "+literal, true, true // of what a procedure leaves, nothing is known
	}
	if !p.ok(text) {
		return
	}
	if perhaps {
		m.may("info", v)
	} else {
		m.set("info", v)
	}
	m.vague["info"] = vague
}

func keys(p *player, m *model, r *rand.Rand) {
	key, v := one(r, "k1", "k2"), p.mark()
	text := "EXEC sp_set_session_context N'" + key + "', N'" + v + "'"
	var args []any
	vague := false
	switch r.IntN(8) {
	case 0:
		text, args, vague = "sp_set_session_context", []any{sql.Named("key", key), sql.Named("value", v)}, true
		if !p.mayPin() {
			return
		}
	case 1:
		text, v = "EXEC sp_set_session_context '"+key+"', NULL", "NULL"
	case 2:
		if !p.mayPin() {
			return
		}
		vague, text = true, "DECLARE @v nvarchar(20) = N'"+v+"'; EXEC sp_set_session_context N'"+key+"', @v"
	case 3:
		if key != "k1" || m.readOnly || r.IntN(3) > 0 || !p.mayPin() {
			break
		}
		if m.perhaps { // of some servers it survives a reset
			return
		}
		if p.ok(text + ", @read_only = 1") {
			m.set("k1", v)
			m.readOnly, m.vague["k1"] = true, true
		}
		return
	}
	if key == "k1" && m.perhaps {
		return
	}
	if key == "k1" && m.readOnly {
		p.fails(15664, text, args...)
		return
	}
	if p.ok(text, args...) {
		m.set(key, v)
		m.vague[key] = vague
	}
}

func temp(p *player, m *model, r *rand.Rand) {
	name := one(r, "#a", "#b")
	if _, ok := m.undo.temps[name]; ok {
		if p.ok("DROP TABLE " + name) {
			delete(m.undo.temps, name)
			m.tables()
		}
		return
	}
	if !p.mayPin() {
		return
	}
	if r.IntN(2) == 0 || p.standIn && m.see["database"] != p.target.database { // as with counts
		if p.ok("CREATE TABLE " + name + " (n int)") {
			m.undo.temps[name] = 0
		}
	} else if p.ok("SELECT n INTO " + name + " FROM " + p.target.database + ".dbo.numbers(3)") {
		m.undo.temps[name] = 3
		m.identity, m.scope = "?", "?"
	}
	m.tables()
}

func tempRows(p *player, m *model, r *rand.Rand) {
	for _, name := range slices.Sorted(maps.Keys(m.undo.temps)) {
		text, args := "INSERT INTO "+name+" VALUES (1), (2)", []any(nil)
		if r.IntN(2) == 0 {
			text, args = "INSERT INTO "+name+" VALUES (@p1), (@p1)", []any{7}
		}
		if !p.ok(text, args...) {
			return
		}
		m.undo.temps[name] += 2
		if m.identity = "NULL"; args == nil {
			m.scope = "NULL"
		} else if !p.toy() {
			m.scope = "?"
		}
	}
}

func globalTemp(p *player, m *model, r *rand.Rand) {
	if p.standIn { // it has none
		return
	}
	if name := m.undo.global; name != "" {
		if p.ok("DROP TABLE " + name) {
			m.undo.global = ""
		}
		return
	}
	if r.IntN(2) == 0 || !p.mayPin() {
		return
	}
	name := "##g" + p.mark()
	if p.ok("CREATE TABLE " + name + " (n int)") {
		m.undo.global = name
		p.mu.Lock()
		p.names = append(p.names, name)
		p.mu.Unlock()
	}
}

// began says that a transaction has begun.
func (m *model) began() {
	if m.tran == 0 {
		m.before, m.saves = m.undo.clone(), nil
	}
	m.tran++
	m.see["trancount"] = strconv.Itoa(m.tran)
}

// committed says that one has ended.
func (m *model) committed() {
	m.tran--
	m.see["trancount"] = strconv.Itoa(m.tran)
}

func begin(p *player, m *model, r *rand.Rand) {
	if m.tran > 2 {
		return
	}
	text := one(r, "BEGIN TRAN", "BEGIN TRANSACTION", "IF 1 = 1 BEGIN TRAN", "EXEC ('SELECT 1'); BEGIN TRAN", "SELECT 1; BEGIN TRAN")
	if p.ok(text) {
		m.began()
	}
}

func commit(p *player, m *model, r *rand.Rand) {
	if m.tran == 0 {
		if r.IntN(4) == 0 && p.fails(3902, "COMMIT") {
			m.errno = "3902"
		}
		return
	}
	text := one(r, "COMMIT", "COMMIT TRAN", "IF @@TRANCOUNT > 0 COMMIT TRAN", "SELECT 1; COMMIT")
	closes := m.tran == 1 && m.option(4)
	if p.ok(text) {
		m.committed()
		if closes {
			p.closed()
		}
	}
}

// closed says that CURSOR_CLOSE_ON_COMMIT has closed the cursors: they are no more of this test.
func (p *player) closed() {
	if !p.toy() {
		p.m.cursor = min(p.m.cursor, 1)
	}
}

func rollback(p *player, m *model, r *rand.Rand) {
	if m.tran == 0 {
		if r.IntN(4) == 0 && p.fails(3903, "ROLLBACK") {
			m.errno = "3903"
		}
		return
	}
	text := one(r, "ROLLBACK", "ROLLBACK TRAN", "IF @@TRANCOUNT > 0 ROLLBACK TRAN", "SELECT 1; ROLLBACK")
	if p.ok(text) {
		m.rollback()
	}
}

func savepoint(p *player, m *model, r *rand.Rand) {
	if m.tran == 0 {
		return
	}
	if len(m.saves) > 0 && r.IntN(2) == 0 {
		s := m.saves[len(m.saves)-1]
		if p.ok("ROLLBACK TRAN " + s.name) {
			m.undo = s.as.clone()
			m.tables()
		}
		return
	}
	name := fmt.Sprintf("s%d", len(m.saves))
	if p.ok("SAVE TRAN " + name) {
		m.saves = append(m.saves, save{name, m.undo.clone()})
	}
}

// aborts has a statement fail, which XACT_ABORT has end the transaction.
func aborts(p *player, m *model, _ *rand.Rand) {
	if p.fails(8134, "SELECT 1/0") && m.option(xactAbort) && m.tran > 0 {
		m.rollback()
	}
}

func implicit(p *player, m *model, r *rand.Rand) {
	if m.tran > 0 || !p.ok("SET IMPLICIT_TRANSACTIONS ON") {
		return
	}
	in := p.target.database + ".dbo.rows_t"
	if !p.ok(fmt.Sprintf("INSERT INTO %s (sid, v) VALUES (%d, N'implicit')", in, m.sid)) {
		return
	}
	m.before = m.undo.clone()
	m.identity, m.scope = "?", "?"
	if !p.is("1", "SELECT @@TRANCOUNT") {
		return
	}
	if r.IntN(2) == 0 {
		if !p.ok("COMMIT") {
			return
		}
		m.undo.rows++
	} else if !p.ok("ROLLBACK") {
		return
	}
	p.ok("SET IMPLICIT_TRANSACTIONS OFF")
}

// managed has a whole transaction by the transaction manager's requests.
func managed(p *player, m *model, r *rand.Rand) {
	if m.tran > 0 {
		return
	}
	iso, n := sql.LevelDefault, ""
	switch i := r.IntN(3); {
	case i == 0 && !p.standIn: // as with level
		iso, n = sql.LevelSerializable, "4"
	case i == 1:
		iso, n = sql.LevelReadUncommitted, "1"
	}
	p.note("begin, level %v", iso)
	p.gone = false
	tx, err := p.c.conn.BeginTx(context.Background(), &sql.TxOptions{Isolation: iso})
	if err != nil {
		p.took("begin", err)
		return
	}
	rows := m.undo.rows
	_, err = tx.Exec(fmt.Sprintf("INSERT INTO %s.dbo.rows_t (sid, v) VALUES (%d, N'managed')", p.target.database, m.sid))
	if err == nil && r.IntN(2) == 0 {
		p.note("commit")
		err = tx.Commit()
		rows++
	} else {
		p.note("rollback")
		if e := tx.Rollback(); err == nil {
			err = e
		}
	}
	if err != nil {
		if p.took("a managed transaction", err); !p.gone {
			p.wrong("a managed transaction: %v", err)
		}
		return
	}
	if m.undo.rows, m.count, m.errno = rows, "", ""; n != "" {
		m.see["level"] = n
	}
	m.identity, m.scope = "?", "?"
}

func prepares(p *player, m *model, r *rand.Rand) {
	if len(m.handles) > 4 || p.standIn { // called by their names, it returns no handle
		return
	}
	plus := r.IntN(1000)
	var h int
	text := fmt.Sprintf("SELECT @a + %d", plus)
	if r.IntN(2) == 0 {
		if !p.call("sp_prepare", sql.Named("handle", sql.Out{Dest: &h}), "@a int", text, 1) {
			return
		}
	} else if !p.call("sp_prepexec", sql.Named("handle", sql.Out{Dest: &h}), "@a int", text, 1) {
		return
	}
	if h == 0 || slices.ContainsFunc(m.handles, func(o handle) bool { return o.h == h }) {
		p.wrong("handle %d beside %v", h, m.handles)
	}
	m.handles = append(m.handles, handle{h, plus})
}

func executes(p *player, m *model, r *rand.Rand) {
	if len(m.handles) == 0 {
		return
	}
	x, n := one(r, m.handles...), r.IntN(1000)
	p.is(strconv.Itoa(x.plus+n), "sp_execute", x.h, n)
}

func unprepares(p *player, m *model, r *rand.Rand) {
	if len(m.handles) == 0 {
		return
	}
	i := r.IntN(len(m.handles))
	h := m.handles[i].h
	if !p.ok("sp_unprepare", h) {
		return
	}
	m.handles = slices.Delete(m.handles, i, i+1)
	if r.IntN(2) == 0 {
		p.fails(8179, "sp_execute", h, 1)
	}
}

func cursors(p *player, m *model, _ *rand.Rand) {
	if m.cursor > 0 {
		if p.ok("CLOSE cur; DEALLOCATE cur") {
			m.cursor = 0
		}
		return
	}
	if m.option(4) || m.limit != 0 || p.standIn || !p.mayPin() { // its cursors end with their text
		return
	}
	if p.ok("DECLARE cur CURSOR GLOBAL STATIC FOR SELECT n FROM " + p.target.database + ".dbo.numbers(1000); OPEN cur") {
		m.cursor = 1
	}
}

func fetches(p *player, m *model, _ *rand.Rand) {
	if m.cursor == 0 {
		p.fails(16916, "FETCH NEXT FROM cur")
		return
	}
	if p.is(strconv.Itoa(m.cursor), "FETCH NEXT FROM cur") {
		m.cursor++
	}
}

func apiCursor(p *player, m *model, r *rand.Rand) {
	if p.standIn { // it refuses this text as a cursor
		return
	}
	switch {
	case m.api == 0:
		if m.limit != 0 || !p.mayPin() {
			return
		}
		scroll, lock, n := 8, 1, 0
		if p.call("sp_cursoropen", sql.Named("cursor", sql.Out{Dest: &m.handle}), "SELECT n FROM "+p.target.database+".dbo.numbers(100)", sql.Named("scrollopt", sql.Out{Dest: &scroll}), sql.Named("ccopt", sql.Out{Dest: &lock}), sql.Named("rowcount", sql.Out{Dest: &n})) {
			m.api = 1
		}
	case r.IntN(3) > 0 && m.api < 100:
		if p.is(strconv.Itoa(m.api), "sp_cursorfetch", m.handle, 2, 0, 1) {
			m.api++
		}
	default:
		if p.ok("sp_cursorclose", m.handle) {
			m.api = 0
		}
	}
}

func locks(p *player, m *model, r *rand.Rand) {
	if m.lock != "" {
		if !p.is("Exclusive", "SELECT APPLOCK_MODE('public', '"+m.lock+"', 'Session')") {
			return
		}
		if r.IntN(2) == 0 {
			if p.ok("EXEC sp_releaseapplock '" + m.lock + "', 'Session'") {
				m.lock = ""
			}
		} else if p.ok("sp_releaseapplock", sql.Named("Resource", m.lock), sql.Named("LockOwner", "Session")) {
			m.lock = ""
		}
		return
	}
	if !p.mayPin() || m.see["database"] != p.target.database {
		return
	}
	name := "lock" + p.mark()
	p.mu.Lock()
	p.names = append(p.names, name)
	p.mu.Unlock()
	if r.IntN(2) == 0 {
		if p.ok("EXEC sp_getapplock '" + name + "', 'Exclusive', 'Session', 0") {
			m.lock = name
		}
	} else if p.ok("sp_getapplock", sql.Named("Resource", name), sql.Named("LockMode", "Exclusive"), sql.Named("LockOwner", "Session"), sql.Named("LockTimeout", 0)) {
		m.lock = name
	}
}

// inserted reads the identity of the row that was inserted last, with what does not tell Forebay of it.
func (p *player) inserted(v string) string {
	got, number := p.say("SELECT MAX(id) FROM " + p.target.database + ".dbo.rows_t WHERE v = N'" + v + "'")
	if number != 0 {
		return "?"
	}
	return got
}

func inserts(p *player, m *model, r *rand.Rand) {
	v := p.mark() + "i"
	n := 1 + r.IntN(2)
	in := p.target.database + ".dbo.rows_t"
	text := fmt.Sprintf("INSERT INTO %s (sid, v) VALUES (%d, N'%s')", in, m.sid, v)
	if n == 2 {
		text += fmt.Sprintf(", (%d, N'%s')", m.sid, v)
	}
	byProc := r.IntN(5) == 0 && m.see["database"] == p.target.database
	if byProc {
		n, text = 1, fmt.Sprintf("EXEC dbo.adds %d", m.sid)
	}
	before := m.scope
	if !p.ok(text) {
		return
	}
	m.undo.rows += n
	m.ran(n, 0)
	if byProc {
		m.count = ""
		m.identity, m.scope = "?", before
		return
	}
	m.identity, m.scope = "?", "?"
	if r.IntN(2) == 0 {
		p.readsCountNow()
	}
	if !p.good || p.over || p.gone || r.IntN(3) == 0 {
		return
	}
	id := p.inserted(v)
	if !p.gone {
		m.identity, m.scope = id, id
		m.count, m.errno = "", ""
	}
}

func insertsByRPC(p *player, m *model, _ *rand.Rand) {
	v, scope := p.mark()+"r", m.scope
	if !p.ok("INSERT INTO "+p.target.database+".dbo.rows_t (sid, v) VALUES (@p1, @p2)", m.sid, v) {
		return
	}
	m.undo.rows++
	m.identity, m.scope = "?", "?"
	id := p.inserted(v)
	if p.gone {
		return
	}
	m.identity, m.count, m.errno = id, "", ""
	if p.toy() {
		m.scope = scope
	}
}

func deletes(p *player, m *model, _ *rand.Rand) {
	if m.limit != 0 {
		return
	}
	if p.ok(fmt.Sprintf("DELETE FROM %s.dbo.rows_t WHERE sid = %d", p.target.database, m.sid)) {
		m.ran(m.undo.rows, 0)
		m.undo.rows = 0
		p.readsCountNow()
	}
}

// reads reads what an earlier request has left. Where that may be lost it may be refused.
func (p *player) reads(expr, want string, mayRefuse bool) {
	got, number := p.say("SELECT " + expr)
	if p.gone {
		return
	}
	m := p.m
	if number == 40197 {
		p.refused.Add(1)
		if !mayRefuse {
			p.wrong("%s is refused, want %s", expr, want)
		}
		m.count, m.errno = "", ""
		return
	}
	if number != 0 || want != got && want != "?" && want != "" {
		p.wrong("%s is %s (error %d), want %s", expr, got, number, want)
	}
	m.ran(1, 0)
}

func readsIdentity(p *player, m *model, r *rand.Rand) {
	if r.IntN(2) == 0 {
		p.reads("CAST(@@IDENTITY AS int)", m.identity, true)
	} else {
		p.reads("CAST(SCOPE_IDENTITY() AS int)", m.scope, true)
	}
}

func (p *player) readsCountNow() {
	m := p.m
	over := m.limit > 0
	p.reads("@@ROWCOUNT", m.count, m.count == "" || over || m.option(nocount) || m.errno != "0")
}

func readsCount(p *player, _ *model, _ *rand.Rand) { p.readsCountNow() }

func readsError(p *player, m *model, _ *rand.Rand) {
	p.reads("@@ERROR", m.errno, m.errno != "0")
}

// failing has a statement fail, and reads @@ERROR.
func failing(p *player, m *model, r *rand.Rand) {
	number, text := 50000, "RAISERROR('no', 16, 1)"
	if r.IntN(2) == 0 && !m.option(xactAbort) && !p.standIn {
		number, text = 2812, "EXEC dbo.nothing_such"
	}
	if !p.fails(number, text) {
		return
	}
	m.errno = strconv.Itoa(number)
	if r.IntN(2) == 0 {
		readsError(p, m, r)
	}
}

// counts has rows counted.
func counts(p *player, m *model, r *rand.Rand) {
	if p.standIn && m.see["database"] != p.target.database { // it refuses another database's functions
		return
	}
	n := r.IntN(120)
	got, number := p.say(fmt.Sprintf("SELECT n FROM %s.dbo.numbers(%d)", p.target.database, n))
	if p.gone {
		return
	}
	want := n
	if m.limit > 0 {
		want = min(n, m.limit)
	}
	rows := 0
	if got != "" {
		rows = strings.Count(got, "|") + 1
	}
	if number != 0 || rows != want {
		p.wrong("%d of %d rows (error %d), want %d", rows, n, number, want)
		return
	}
	m.ran(want, 0)
	if r.IntN(2) == 0 {
		p.readsCountNow()
	}
}

// resets has the driver's pool reset the connection.
func resets(p *player, m *model, r *rand.Rand) {
	if p.standIn && m.tran > 0 && p.loops == 0 { // its reset leaves @@TRANCOUNT
		return
	}
	if r.IntN(2) == 0 {
		return
	}
	p.note("-- reset")
	p.gone = false
	if err := p.c.reset(); err != nil {
		p.took("reset", err)
		return
	}
	m.reset(p.hunt)
	p.check() // which carries the reset
	if p.good && p.r.IntN(2) == 0 && !p.over {
		p.unpin()
	}
}

// cancelled takes what became of a request that was cancelled.
func (p *player) cancelled(text string, err error) {
	m := p.m
	p.note("%s -- cancelled: %v", text, err)
	p.gone = false
	switch {
	case err == nil:
		p.wrong("%s: it has not been cancelled", text)
	case p.kills && (errNumber(err) == 40197 || ended(err)):
		p.took(text, err)
	case ended(err):
		p.over = true
		p.broken.Add(1)
	case m.tran > 0 && m.option(xactAbort): // which ends the transaction, unless the request was withdrawn before it ran
		got, number := p.say("SELECT @@TRANCOUNT")
		switch {
		case p.gone:
		case got == "0":
			m.rollback()
		case got != strconv.Itoa(m.tran):
			p.wrong("@@TRANCOUNT is %s (error %d) behind a cancel, want 0 or %d", got, number, m.tran)
		}
	}
	m.count, m.errno = "", ""
}

func cancels(p *player, _ *model, r *rand.Rand) {
	if p.standIn { // it looks at an attention when the statement has ended
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer time.AfterFunc(time.Duration(1+r.IntN(20))*time.Millisecond, cancel).Stop()
	const text = "WAITFOR DELAY '01:00:00'"
	_, err := p.c.queryIn(ctx, text)
	p.cancelled(text, err)
}

func cancelsRows(p *player, m *model, r *rand.Rand) {
	if p.standIn { // as with cancels
		return
	}
	if m.limit > 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const text = "SELECT n FROM dbo.numbers(100000000)"
	if m.see["database"] != p.target.database && !p.toy() {
		return
	}
	rows, err := p.c.conn.QueryContext(ctx, text)
	if err == nil {
		for range 1 + r.IntN(2000) {
			rows.Next()
		}
		cancel()
		for rows.Next() {
		}
		err = rows.Err()
		_ = rows.Close()
	}
	p.cancelled(text, err)
}

// unknown has what Forebay cannot understand: the session keeps its server connection.
func unknown(p *player, m *model, r *rand.Rand) {
	if r.IntN(6) > 0 || !p.mayPin() {
		return
	}
	if p.ok("DECLARE @t nvarchar(100) = N'SET CONTEXT_INFO 0x" + fmt.Sprintf("%x", "abcdefgh") + "'; EXEC (@t)") {
		m.may("info", "abcdefgh")
		m.vague["info"] = true
	}
}

func nothing(p *player, _ *model, _ *rand.Rand) {
	p.is("2", "SELECT @p1 + 1", 1)
}

// batches has several of these at once.
func batches(p *player, m *model, r *rand.Rand) {
	v, first := p.mark(), strconv.Itoa(1+r.IntN(7))
	in := p.target.database + ".dbo.rows_t"
	text := fmt.Sprintf("SET DATEFIRST %s; BEGIN TRAN; INSERT INTO %s (sid, v) VALUES (%d, N'batch'); COMMIT; SET CONTEXT_INFO 0x%x; SELECT @@DATEFIRST", first, in, m.sid, v)
	if p.is(first, text) {
		m.see["DATEFIRST"] = first
		m.set("info", v)
		m.undo.rows++
		m.identity, m.scope = "?", "?"
	}
}
