package mysql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"forebay/internal/wire/mysqlwire"
)

// usesNext uses up what SET TRANSACTION has set for the next transaction, which a statement with autocommit is.
func (p *player) usesNext() bool {
	return p.is(fmt.Sprintf("SELECT COUNT(*) FROM `%s`.rows_t WHERE sid = %d", p.m.home, p.m.id), itoa(p.m.rows))
}

// pinSteps leave what only the server connection has.
var pinSteps = []func(p *player) bool{
	func(p *player) bool { // user variables from expressions
		n, v := userNames[p.r.IntN(3)], p.text()
		sql := []string{"SET @%s = CONCAT('%s', '')", "SELECT @%s := '%s'", "SELECT '%[2]s' INTO @%[1]s", "DO @%s := '%s'"}[p.r.IntN(4)]
		if !p.ok(fmt.Sprintf(sql, n, v)) {
			return p.fine()
		}
		p.m.assign(n, v)
		return true
	},
	func(p *player) bool {
		if p.m.locked {
			return true
		}
		v := p.text()
		if !p.ok(fmt.Sprintf("CALL `%s`.put_a('%s')", p.m.home, v)) {
			return p.fine()
		}
		p.m.assign("a", v)
		return true
	},
	func(p *player) bool { // locks
		n := fmt.Sprintf("l%s_%d_%d", p.w.db.Name, p.m.id, p.r.IntN(3))
		n = n[max(0, len(n)-60):]
		p.names.Store(n, true)
		sql := []string{"SELECT GET_LOCK('%s', 0)", "SELECT GET_LOCK('%s', 0) AS l", "SELECT GET_LOCK('%s', 0) + 0", "SELECT IF(GET_LOCK('%s', 0), 1, 0)"}[p.r.IntN(4)]
		if p.r.IntN(6) == 0 && !p.m.locked {
			sql = "SELECT `" + p.m.home + "`.got('%s')"
		}
		if !p.is(fmt.Sprintf(sql, n), "1") || p.gone {
			return p.gone
		}
		p.m.locks[n]++
		return true
	},
	func(p *player) bool {
		for n, count := range p.m.locks {
			if !p.is("SELECT RELEASE_LOCK('"+n+"')", "1") || p.gone {
				return p.gone
			}
			if p.m.locks[n] = count - 1; count == 1 {
				delete(p.m.locks, n)
			}
			break
		}
		return true
	},
	func(p *player) bool {
		sum := 0
		for _, n := range p.m.locks {
			sum += n
		}
		if !p.is("SELECT RELEASE_ALL_LOCKS()", itoa(sum)) || p.gone {
			return p.gone
		}
		clear(p.m.locks)
		return true
	},
	func(p *player) bool { // temporary tables
		n, v := "t"+itoa(1+p.r.IntN(3)), p.text()
		if p.m.temp[n] != "" || p.m.locked {
			return true
		}
		full := "`" + p.m.home + "`." + n
		if n == "t1" && p.r.IntN(2) == 0 {
			if !p.ok("CALL `" + p.m.home + "`.make_t1('" + v + "')") {
				return p.fine()
			}
			p.m.temp[n] = v
			return true
		}
		if !p.ok("CREATE TEMPORARY TABLE " + full + " ENGINE=MEMORY SELECT '" + v + "' AS v") {
			return p.fine()
		}
		p.m.temp[n] = v
		return true
	},
	func(p *player) bool {
		for n := range p.m.temp {
			if p.m.locked {
				break
			}
			how := []string{"DROP TABLE ", "DROP TEMPORARY TABLE ", "DROP TABLE IF EXISTS "}[p.r.IntN(3)]
			if !p.ok(how + "`" + p.m.home + "`." + n) {
				return p.fine()
			}
			if !strings.Contains(how, "TEMPORARY") {
				p.m.commit()
			}
			delete(p.m.temp, n)
			break
		}
		return true
	},
	func(p *player) bool { // LOCK TABLES
		if !p.ok("LOCK TABLES `" + p.m.home + "`.locked_t READ") {
			return p.fine()
		}
		p.m.commit()
		p.m.locked, p.m.handler = true, false
		return true
	},
	func(p *player) bool {
		if !p.ok("UNLOCK TABLES") {
			return p.fine()
		}
		if p.m.locked {
			p.m.commit()
		}
		p.m.locked = false
		return true
	},
	func(p *player) bool { // PREPARE
		n, v := "p"+itoa(p.r.IntN(3)), p.text()
		if !p.ok("PREPARE " + n + " FROM 'SELECT ''" + v + "'''") {
			return p.fine()
		}
		p.m.sql[n] = v
		return true
	},
	func(p *player) bool {
		n := "p" + itoa(p.r.IntN(3))
		if v, ok := p.m.sql[n]; ok {
			return p.is("EXECUTE "+n, v)
		}
		return p.wrong("EXECUTE "+n, "1243")
	},
	func(p *player) bool {
		n := "p" + itoa(p.r.IntN(3))
		if _, ok := p.m.sql[n]; !ok {
			return p.wrong("DEALLOCATE PREPARE "+n, "1243")
		}
		if !p.ok("DEALLOCATE PREPARE " + n) {
			return p.fine()
		}
		delete(p.m.sql, n)
		return true
	},
	func(p *player) bool { // what an EXECUTE does
		v := p.text()
		if !p.ok("PREPARE px FROM 'SET @b = ''"+v+"'''") || !p.ok("EXECUTE px") {
			return p.fine()
		}
		p.m.assign("b", v)
		return p.ok("DEALLOCATE PREPARE px") || p.fine()
	},
	func(p *player) bool { // the next transaction
		if p.m.inTx || !p.m.autocommit || p.m.locked {
			return true
		}
		if !p.ok("SET TRANSACTION READ ONLY") {
			return p.fine()
		}
		if p.r.IntN(3) == 0 {
			return p.usesNext()
		}
		if p.r.IntN(2) == 0 && (!p.set1(1) || p.gone) {
			return p.gone
		}
		if p.r.IntN(2) == 0 && !p.is("SELECT 1", "1") || p.gone {
			return p.gone
		}
		return p.wrong(p.insertSQL(), "1792") && (p.gone || p.usesNext())
	},
	func(p *player) bool { // HANDLER
		if p.m.handler || p.m.locked {
			return true
		}
		if !p.ok("HANDLER `" + p.m.home + "`.other_t OPEN AS h") {
			return p.fine()
		}
		p.m.handler = true
		if !p.is("HANDLER h READ FIRST", "") || p.gone {
			return p.gone
		}
		if p.r.IntN(2) == 0 {
			return true
		}
		if !p.ok("HANDLER h CLOSE") {
			return p.fine()
		}
		p.m.handler = false
		return true
	},
	func(p *player) bool { // a cursor
		p.note("cursor")
		st, err := p.c.prepare("SELECT 1 UNION SELECT 2 UNION SELECT " + itoa(p.m.id+10))
		if _, code := p.took(nil, err); code != "" {
			return p.fine()
		}
		if _, code := p.took(p.c.simple(mysqlwire.ComStmtExecute, p.c.executeBody(st.id, 1, true)...)); code != "" {
			return p.fine()
		}
		if !p.c.status.Has(mysqlwire.StatusCursorExists) {
			return true // the server has sent the rows
		}
		var got []string
		for range 2 {
			if err := p.c.send(mysqlwire.ComStmtFetch, named(st.id, 2, 0, 0, 0)...); err != nil {
				return p.sent(err)
			}
			r := result{columns: st.columns.columns, types: st.columns.types}
			err := p.c.rowsOf(true, &r)
			rows, code := p.took([]result{r}, err)
			if code != "" {
				return p.fine()
			}
			got = append(got, rows)
		}
		if want := []string{"1;2", itoa(p.m.id + 10)}; !slices.Equal(got, want) {
			p.w.t.Errorf("session %d: a cursor gave %q, want %q", p.m.id, got, want)
			return false
		}
		return true
	},
	func(p *player) bool { // long data
		p.note("long data")
		st, err := p.c.prepare("SELECT ?, ?")
		if _, code := p.took(nil, err); code != "" {
			return p.fine()
		}
		v := p.text()
		for range 3 {
			if err := p.c.send(mysqlwire.ComStmtSendLongData, named(st.id, append([]byte{0, 0}, v...)...)...); err != nil {
				return p.sent(err)
			}
		}
		got, code := p.took(p.c.execute(st, true, long{}, v))
		if p.gone {
			return true
		}
		if want := strings.Repeat(v, 3) + "," + v; code != "" || got != want {
			p.w.t.Errorf("session %d: long data gave %q (error %q), want %q", p.m.id, got, code, want)
			return false
		}
		return p.sent(p.c.close(st))
	},
}

// check compares what the session sees with the model. all: every variable.
func (p *player) check(all bool) bool {
	m := p.m
	sql := "SELECT DATABASE(), @a, @b, @c, @@autocommit, UNIX_TIMESTAMP() < 1000000, CONNECTION_ID() > 0"
	got, code := p.say(sql)
	for p.gone && !p.broken {
		got, code = p.say(sql)
	}
	if p.broken {
		return true
	}
	old := "0"
	if m.timestamp != 0 {
		old = "1"
	}
	cells := strings.Split(got, ",")
	if m.perhaps && len(cells) > 4 && strings.Join(cells[1:4], "") == "NULLNULLNULL" {
		m.user = map[string]string{}
	}
	m.perhaps = false
	want := []string{m.schema, m.seen("a"), m.seen("b"), m.seen("c"), map[bool]string{true: "1", false: "0"}[m.autocommit], old, "1"}
	if code != "" || len(cells) != len(want) {
		p.w.t.Errorf("session %d: %s: %q, error %q", m.id, sql, got, code)
		return false
	}
	for i, w := range want {
		if cells[i] != w {
			p.w.t.Errorf("session %d: cell %d of %s is %q, want %q", m.id, i, sql, cells[i], w)
			return false
		}
	}
	if auto := p.c.status.Has(mysqlwire.StatusAutocommit); auto != m.autocommit {
		p.w.t.Errorf("session %d: status says autocommit %v, want %v", m.id, auto, m.autocommit)
		return false
	}
	if in := p.c.status.Has(mysqlwire.StatusInTrans); m.autocommit && in != m.inTx {
		p.w.t.Errorf("session %d: status says in a transaction %v, want %v", m.id, in, m.inTx)
		return false
	}
	if all && !p.checkVariables() {
		return p.gone
	}
	if m.locked {
		return p.wrong("SELECT * FROM `"+m.home+"`.other_t", "1100")
	}
	if p.r.IntN(2) == 0 || m.unsure != nil {
		got, code := p.say(fmt.Sprintf("SELECT COUNT(*) FROM `%s`.rows_t WHERE sid = %d", m.home, m.id))
		if code != "" {
			return p.fine()
		}
		if n, _ := strconv.Atoi(got); slices.Contains(m.unsure, n) {
			m.rows, m.committed = n, n
		}
		if got != itoa(m.rows) {
			p.w.t.Errorf("session %d: %s rows, want %d, or one of %v", m.id, got, m.rows, m.unsure)
			return false
		}
		m.unsure = nil
	}
	for _, n := range []string{"t1", "t2", "t3"} {
		sql := "SELECT v FROM `" + m.home + "`." + n
		switch v := m.temp[n]; {
		case p.r.IntN(3) > 0:
		case v == "":
			if !p.wrong(sql, "1146") {
				return false
			}
		case !p.is(sql, v):
			return false
		}
		if p.gone {
			return true
		}
	}
	for n := range m.locks {
		if !p.is("SELECT IS_USED_LOCK('"+n+"') = CONNECTION_ID()", "1") {
			return false
		}
		break
	}
	return true
}

func (p *player) checkVariables() bool {
	p.note("SHOW SESSION VARIABLES")
	all, err := p.c.query("SHOW SESSION VARIABLES")
	if _, code := p.took(all, err); code != "" {
		if !p.gone {
			p.w.t.Errorf("session %d: SHOW SESSION VARIABLES: %v", p.m.id, err)
		}
		return false
	}
	want, good := p.m.variables(), true
	for _, row := range all[0].rows {
		w, ok := want[row[0]]
		if ok && row[1] != w && w != "*" {
			p.w.t.Errorf("session %d: %s is %q, want %q", p.m.id, row[0], row[1], w)
			good = false
		}
	}
	return good
}
