package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// The steps of a hunt. Each runs a statement and changes the model as PostgreSQL should change the session; each
// reports whether the answer was right.

type step func(*player) bool

// setting picks a setting and a value for it, both as SQL and as shown.
func (p *player) setting() (name, value string) {
	switch p.r.IntN(8) {
	case 0, 1:
		return "app.a", p.text()
	case 2:
		return "app.b", p.text()
	case 3:
		return "application_name", p.text()
	case 4:
		return "work_mem", p.memory()
	case 5:
		return "timezone", []string{"Asia/Tokyo", "America/New_York", "UTC"}[p.r.IntN(3)]
	case 6:
		return "datestyle", []string{"ISO, DMY", "ISO, MDY", "German, DMY"}[p.r.IntN(3)]
	default:
		return "statement_timeout", fmt.Sprintf("%dms", 1000001+2*p.m.id) // odd: the server shows 1000ms as 1s
	}
}

var settingSteps = []step{
	func(p *player) bool { // SET, SET LOCAL
		name, v := p.setting()
		local := p.r.IntN(3) == 0
		how := "SET "
		if local {
			how = "SET LOCAL "
		}
		p.m.set(name, v, local)
		return p.ok(how + name + " = '" + v + "'")
	},
	func(p *player) bool { // set_config
		name, v := p.setting()
		local := p.r.IntN(3) == 0
		p.m.set(name, v, local)
		return p.is(fmt.Sprintf("SELECT set_config('%s', '%s', %t)", name, v, local), v)
	},
	func(p *player) bool { // in a DO block, which may draw from sequences: pins once somebody has used currval
		if !p.mayPin() {
			return true
		}
		name, v := p.setting()
		p.m.set(name, v, false)
		return p.ok(fmt.Sprintf("DO $$BEGIN PERFORM set_config('%s', '%s', false); END$$", name, v))
	},
	func(p *player) bool { // in a DO block, dynamic
		if !p.mayPin() {
			return true
		}
		p.m.set("app.a", p.text(), false)
		return p.ok(fmt.Sprintf("DO $$BEGIN EXECUTE 'SET app.a = ''%s'''; END$$", p.m.now.settings["app.a"].session))
	},
	func(p *player) bool { // in a function
		v := p.text()
		p.m.set("app.a", v, false)
		return p.ok(fmt.Sprintf("SELECT public.put_a('%s')", v))
	},
	func(p *player) bool { // in a function that takes the name: pins, since the name may be anything
		if !p.mayPin() {
			return true
		}
		name, v := p.setting()
		p.m.set(name, v, false)
		return p.ok(fmt.Sprintf("SELECT public.put('%s', '%s')", name, v))
	},
	func(p *player) bool { // RESET
		name, _ := p.setting()
		p.m.set(name, p.m.resetValue(name), false)
		return p.ok("RESET " + name)
	},
	func(p *player) bool { // SET ... TO DEFAULT
		name, _ := p.setting()
		p.m.set(name, p.m.resetValue(name), false)
		return p.ok("SET " + name + " TO DEFAULT")
	},
	func(p *player) bool {
		if p.r.IntN(3) > 0 {
			return true
		}
		p.m.resetAll()
		return p.ok("RESET ALL")
	},
	func(p *player) bool {
		v := fmt.Sprintf("s%d, public", p.m.id)
		p.m.set("search_path", v, false)
		return p.ok("SET search_path = " + v)
	},
	func(p *player) bool {
		p.m.set("default_transaction_isolation", "repeatable read", false)
		return p.ok("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ")
	},
	func(p *player) bool {
		p.m.set("role", p.role, false)
		return p.ok("SET ROLE " + p.role)
	},
	func(p *player) bool {
		if p.m.startup["role"] != "" {
			return true // Forebay takes it for RESET ROLE
		}
		p.m.set("role", "none", false)
		return p.ok("SET ROLE NONE")
	},
	func(p *player) bool {
		p.m.set("role", p.m.resetValue("role"), false)
		return p.ok("RESET ROLE")
	},
	func(p *player) bool { // several statements in one query string: one transaction
		name, v := p.setting()
		_, err := p.c.Exec(context.Background(), "SELECT 1; SET "+name+" = '"+v+"'; SELECT 2").ReadAll()
		p.note("SELECT 1; SET "+name+" = '"+v+"'; SELECT 2", 0)
		p.m.set(name, v, false)
		return err == nil
	},
	func(p *player) bool { // the same, failing at the end
		name, v := p.setting()
		_, err := p.c.Exec(context.Background(), "SET "+name+" = '"+v+"'; SELECT 1/0").ReadAll()
		p.note("SET "+name+" = '"+v+"'; SELECT 1/0", 0)
		p.m.failed = p.m.inTx()
		return codeOf(err) == "22012"
	},
	func(p *player) bool { // a pipeline: two statements, one transaction
		name, v := p.setting()
		p.note("pipeline: SET "+name+" = '"+v+"', SELECT 1", 1)
		b := p.c.StartPipeline(context.Background())
		b.SendQueryParams("SET "+name+" = '"+v+"'", nil, nil, nil, nil)
		b.SendQueryParams("SELECT 1", nil, nil, nil, nil)
		if err := b.Sync(); err != nil {
			return false
		}
		p.m.set(name, v, false)
		return b.Close() == nil
	},
}

var txSteps = []step{
	begin, begin,
	func(p *player) bool {
		if !p.m.inTx() {
			return begin(p)
		}
		p.m.commit()
		return p.ok("COMMIT")
	},
	func(p *player) bool {
		if !p.m.inTx() {
			return begin(p)
		}
		p.m.rollback()
		return p.ok("ROLLBACK")
	},
	func(p *player) bool {
		if !p.m.inTx() || len(p.m.levels) > 4 {
			return true
		}
		name := fmt.Sprintf("sp%d", p.r.IntN(3))
		p.m.push(name)
		return p.ok("SAVEPOINT " + name)
	},
	func(p *player) bool {
		if n := p.savepoint(); n != "" {
			p.m.rollbackTo(n)
			return p.ok("ROLLBACK TO SAVEPOINT " + n)
		}
		return true
	},
	func(p *player) bool {
		if n := p.savepoint(); n != "" {
			p.m.release(n)
			return p.ok("RELEASE SAVEPOINT " + n)
		}
		return true
	},
	func(p *player) bool { // a query string that begins and ends transactions
		if p.m.inTx() {
			return true
		}
		v := p.text()
		p.m.set("app.b", v, false)
		return p.simple("BEGIN; SET app.a = 'gone'; ROLLBACK; BEGIN; SET app.b = '"+v+"'; COMMIT", "")
	},
}

// simple runs a query string with the simple protocol.
func (p *player) simple(sql, code string) bool {
	p.note(sql, 0)
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	_, err := p.c.Exec(ctx, sql).ReadAll()
	return codeOf(err) == code
}

func begin(p *player) bool {
	if p.m.inTx() {
		return true
	}
	p.m.push("")
	return p.ok("BEGIN")
}

var statementSteps = []step{
	func(p *player) bool { // a protocol-level prepared statement: equal names, different texts
		name := fmt.Sprintf("n%d", p.r.IntN(3))
		v := p.text()
		p.note("prepare "+name+": "+v, 3)
		ctx, cancel := context.WithTimeout(context.Background(), watchdog)
		defer cancel()
		_, err := p.c.Prepare(ctx, name, "SELECT '"+v+"'::text", nil)
		if _, taken := p.m.named[name]; taken {
			p.m.failed = p.m.inTx()
			return codeOf(err) == "42P05"
		}
		p.m.named[name] = v
		return err == nil
	},
	executeNamed, executeNamed,
	func(p *player) bool {
		name := fmt.Sprintf("n%d", p.r.IntN(3))
		p.note("close "+name, 3)
		delete(p.m.named, name)
		return p.c.Deallocate(context.Background(), name) == nil
	},
	func(p *player) bool { // equal texts in many sessions
		p.note("common", 3)
		if _, taken := p.m.named["common"]; !taken {
			if _, err := p.c.Prepare(context.Background(), "common", "SELECT count(*) FROM public.mark WHERE i = $1", nil); err != nil {
				return false
			}
			p.m.named["common"] = "0"
		}
		res := p.c.ExecPrepared(context.Background(), "common", [][]byte{[]byte("7")}, nil, nil).Read()
		return res.Err == nil && text(res) == "0"
	},
	func(p *player) bool { // a SQL-level one
		name := fmt.Sprintf("q%d", p.r.IntN(3))
		if _, taken := p.m.sql[name]; taken {
			return p.wrong("PREPARE "+name+" AS SELECT 1", "42P05")
		}
		v := p.text()
		p.m.sql[name] = v
		return p.ok("PREPARE " + name + " AS SELECT '" + v + "'::text")
	},
	executeSQL, executeSQL,
	func(p *player) bool {
		name := fmt.Sprintf("q%d", p.r.IntN(3))
		if _, have := p.m.sql[name]; !have {
			return p.wrong("DEALLOCATE "+name, "26000")
		}
		delete(p.m.sql, name)
		return p.ok("DEALLOCATE " + name)
	},
	func(p *player) bool {
		if p.r.IntN(3) > 0 {
			return true
		}
		clear(p.m.sql)
		clear(p.m.named)
		return p.ok("DEALLOCATE ALL")
	},
	func(p *player) bool { // unnamed, with a parameter
		v := p.text()
		p.note("SELECT $1: "+v, 1)
		res := p.c.ExecParams(context.Background(), "SELECT $1::text", [][]byte{[]byte(v)}, nil, nil, nil).Read()
		return res.Err == nil && text(res) == v
	},
}

func executeNamed(p *player) bool {
	name := fmt.Sprintf("n%d", p.r.IntN(3))
	p.note(name, 4)
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	res := p.c.ExecPrepared(ctx, name, nil, nil, nil).Read()
	want, have := p.m.named[name]
	if !have {
		p.m.failed = p.m.inTx()
		return codeOf(res.Err) == "26000"
	}
	if res.Err != nil || text(res) != want {
		p.w.t.Errorf("session %d: %s returns %q (%v), want %q", p.m.id, name, text(res), res.Err, want)
		return false
	}
	return true
}

func executeSQL(p *player) bool {
	name := fmt.Sprintf("q%d", p.r.IntN(3))
	want, have := p.m.sql[name]
	if !have {
		return p.wrong("EXECUTE "+name, "26000")
	}
	return p.is("EXECUTE "+name, want)
}

var errorSteps = []step{
	func(p *player) bool { return p.wrong("SELECT 1/0", "22012") },
	func(p *player) bool { return p.wrong("SELEKT", "42601") },
	func(p *player) bool { return p.wrong("SELECT * FROM nowhere", "42P01") },
	func(p *player) bool { return p.wrong("SET work_mem = 'no'", "22023") },
	func(p *player) bool { // cancel
		if p.r.IntN(5) > 0 {
			return true
		}
		p.note("SELECT pg_sleep(600), cancelled", 0)
		ctx, cancel := context.WithTimeout(context.Background(), watchdog)
		defer cancel()
		done := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(3 * time.Millisecond): // the statement may not have begun
				}
				if err := p.c.CancelRequest(ctx); err != nil {
					p.w.t.Errorf("session %d: cancel: %v", p.m.id, err)
					return
				}
			}
		})
		_, err := p.c.Exec(ctx, "SELECT pg_sleep(600)").ReadAll()
		close(done)
		all.Wait()
		p.m.failed = p.m.inTx()
		return codeOf(err) == "57014"
	},
	func(p *player) bool { // abandon everything and come again
		if p.r.IntN(2) == 0 {
			p.c.Conn().Close()
		} else {
			p.c.Close(context.Background())
		}
		p.m.startup = map[string]string{}
		p.unpin()
		p.got = nil
		return p.login()
	},
}

var pinSteps = []step{
	func(p *player) bool {
		t := fmt.Sprintf("t%d", 1+p.r.IntN(3))
		if _, have := p.m.now.tables[t]; have {
			return p.wrong("CREATE TEMP TABLE "+t+" (v text)", "42P07")
		}
		drop := p.m.inTx() && p.r.IntN(2) == 0
		p.m.now.tables[t] = drop
		tail := ""
		if drop {
			tail = " ON COMMIT DROP"
		}
		return p.ok("CREATE TEMP TABLE " + t + tail + " AS SELECT 's" + fmt.Sprint(p.m.id) + "'::text AS v")
	},
	func(p *player) bool { // as DISCARD TEMP, whatever role made them
		if p.m.inTx() {
			return true
		}
		clear(p.m.now.tables)
		return p.ok("DISCARD TEMP")
	},
	func(p *player) bool {
		c := fmt.Sprintf("h%d", p.r.IntN(2))
		if p.m.now.cursors[c] || p.m.inTx() {
			return true
		}
		p.m.now.cursors[c] = true
		return p.ok(fmt.Sprintf("DECLARE %s SCROLL CURSOR WITH HOLD FOR SELECT 's%d'::text", c, p.m.id))
	},
	func(p *player) bool {
		for _, c := range slices.Sorted(maps.Keys(p.m.now.cursors)) {
			return p.is("FETCH ABSOLUTE 1 FROM "+c, fmt.Sprintf("s%d", p.m.id))
		}
		return true
	},
	func(p *player) bool {
		if p.m.inTx() {
			return true
		}
		for _, c := range slices.Sorted(maps.Keys(p.m.now.cursors)) {
			delete(p.m.now.cursors, c)
			return p.ok("CLOSE " + c)
		}
		return true
	},
	func(p *player) bool {
		c := fmt.Sprintf("c%d_%d", p.m.id, p.r.IntN(2))
		p.m.listen(c)
		return p.ok("LISTEN " + c)
	},
	func(p *player) bool {
		if p.r.IntN(2) == 0 {
			p.m.listen("-")
			return p.ok("UNLISTEN *")
		}
		c := fmt.Sprintf("c%d_%d", p.m.id, p.r.IntN(2))
		p.m.listen("-" + c)
		return p.ok("UNLISTEN " + c)
	},
	notify, notify,
	func(p *player) bool {
		key := p.m.id*10 + p.r.IntN(3)
		if p.m.locks[key] || p.m.now.xact[key] {
			return true
		}
		p.m.locks[key] = true
		return p.ok(fmt.Sprintf("SELECT pg_advisory_lock(%d)", key))
	},
	func(p *player) bool {
		for _, key := range slices.Sorted(maps.Keys(p.m.locks)) {
			delete(p.m.locks, key)
			return p.is(fmt.Sprintf("SELECT pg_advisory_unlock(%d)", key), "t")
		}
		return true
	},
	func(p *player) bool {
		key := p.m.id*10 + 5 + p.r.IntN(3)
		if p.m.inTx() {
			p.m.now.xact[key] = true
		}
		return p.ok(fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", key))
	},
	func(p *player) bool {
		v, code := p.say("SELECT nextval('public.seq')")
		p.m.drawn = v
		return code == ""
	},
	currval, currval,
	func(p *player) bool {
		if p.m.inTx() || p.r.IntN(2) > 0 {
			return true
		}
		p.m.reset()
		if !p.ok("DISCARD ALL") {
			return false
		}
		p.unpin()
		return true
	},
}

func notify(p *player) bool {
	c := fmt.Sprintf("c%d_%d", p.m.id, p.r.IntN(2))
	v := p.text()
	p.m.notify(c + " " + v)
	return p.ok("NOTIFY " + c + ", '" + v + "'")
}

func currval(p *player) bool {
	if p.m.drawn == "" {
		return p.wrong("SELECT currval('public.seq')", "55000")
	}
	return p.is("SELECT currval('public.seq'), lastval()", p.m.drawn+","+p.m.drawn)
}
