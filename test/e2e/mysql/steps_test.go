package mysql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"forebay/internal/wire/mysqlwire"
)

// step does one thing of chance.
func (p *player) step() bool {
	steps := settingSteps
	switch n := p.r.IntN(100); {
	case n < 40:
	case n < 55:
		steps = txSteps
	case n < 75:
		steps = statementSteps
	case n < 80:
		steps = errorSteps
	default:
		steps = pinSteps
		if !p.mayPin() {
			steps = settingSteps
		}
	}
	return steps[p.r.IntN(len(steps))](p)
}

// settable are variables with values of the session's own: what a SET takes, and what is shown then.
var settable = []struct {
	name  string
	value func(p *player) (expr, shown string)
}{
	{"lock_wait_timeout", number(1000)},
	{"group_concat_max_len", number(5000)},
	{"net_read_timeout", number(1000)},
	{"wait_timeout", number(20000)},
	{"innodb_lock_wait_timeout", number(500)},
	{"sql_select_limit", number(100000)},
	{"min_examined_row_limit", number(1)},
	{"interactive_timeout", number(20000)},
	{"max_sort_length", number(2000)},
	{"bulk_insert_buffer_size", number(1000000)},
	{"time_zone", func(p *player) (string, string) {
		z := fmt.Sprintf("+%02d:%02d", p.m.id%13, p.m.id*7%60)
		return "'" + z + "'", z
	}},
	{"lc_time_names", oneOf("de_DE", "fr_FR", "it_IT")},
	{"lc_messages", oneOf("de_DE", "fr_FR", "es_ES")},
	{"div_precision_increment", func(p *player) (string, string) { n := itoa(5 + p.m.id%20); return n, n }},
	{"default_week_format", func(p *player) (string, string) { n := itoa(1 + p.m.id%7); return n, n }},
	{"long_query_time", func(p *player) (string, string) { n := itoa(20 + p.m.id); return n, n + ".000000" }},
	{"sql_mode", oneOf("STRICT_ALL_TABLES", "PIPES_AS_CONCAT,NO_ENGINE_SUBSTITUTION", "ANSI_QUOTES", "", "IGNORE_SPACE,NO_BACKSLASH_ESCAPES")},
	{"foreign_key_checks", flag},
	{"unique_checks", flag},
	{"sql_warnings", flag},
	{"sql_big_selects", flag},
	{"low_priority_updates", flag},
	{"sql_auto_is_null", flag},
	{"updatable_views_with_limit", flag2("YES", "NO")},
	{"character_set_filesystem", oneOf("latin1", "utf8mb4", "latin2")},
	{"default_storage_engine", oneOf("MyISAM", "MEMORY")},
}

func number(from int) func(p *player) (string, string) {
	return func(p *player) (string, string) { n := itoa(from + p.m.id*3 + p.r.IntN(3)); return n, n }
}

func oneOf(values ...string) func(p *player) (string, string) {
	return func(p *player) (string, string) {
		v := values[p.r.IntN(len(values))]
		return "'" + v + "'", v
	}
}

func flag(p *player) (string, string) { return flag2("ON", "OFF")(p) }

func flag2(on, off string) func(p *player) (string, string) {
	return func(p *player) (string, string) {
		if p.r.IntN(2) == 0 {
			return "0", off
		}
		return "1", on
	}
}

// setting returns an assignment of chance, in one of the ways to write it, and what it does to the model.
func (p *player) setting() (sql string, done func()) {
	s := settable[p.settable[p.r.IntN(len(p.settable))]]
	expr, shown := s.value(p)
	switch p.r.IntN(10) {
	case 0:
		expr, shown = "DEFAULT", p.m.baseline[s.name]
		if s.name == "foreign_key_checks" || s.name == "unique_checks" {
			expr = "1" // their DEFAULT is not what it should be (MySQL 9.7)
		}
	case 1:
		if _, err := fmt.Sscan(expr, new(int)); err == nil && expr != "0" && expr != "1" {
			expr += " + 0"
		}
	}
	name := s.name
	prefix := []string{"", "SESSION ", "@@", "@@SESSION.", "LOCAL ", "@@local.", "session `"}[p.r.IntN(7)]
	if strings.HasSuffix(prefix, "`") {
		name += "`"
	}
	return prefix + name + []string{" = ", " := ", "="}[p.r.IntN(3)] + expr, func() { p.m.set(s.name, shown) }
}

var userNames = []string{"a", "b", "c"}

// isolations are what SET TRANSACTION takes, without the one under which sessions wait for each other.
var isolations = []string{"READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ"}

var settingSteps = []func(p *player) bool{
	func(p *player) bool { return p.set1(1) },
	func(p *player) bool { return p.set1(1) },
	func(p *player) bool { return p.set1(1 + p.r.IntN(4)) },
	func(p *player) bool { // nothing of it is done
		a, _ := p.setting()
		return p.wrong("SET "+a+", nothing_such = 1", "1193")
	},
	func(p *player) bool { // a literal
		n, v := userNames[p.r.IntN(3)], p.text()
		lit := []string{"'" + v + "'", "'" + v + "'", itoa(p.m.id), "NULL", "-1.5", "X'414243'", "''"}[p.r.IntN(7)]
		seen := map[string]string{"NULL": "NULL", "-1.5": "-1.5", "X'414243'": "ABC", "''": ""}
		if !p.ok("SET @" + n + " = " + lit) {
			return p.fine()
		}
		s, ok := seen[lit]
		if !ok {
			s = strings.Trim(lit, "'")
		}
		if p.m.user[n] = s; s == "" {
			p.m.assign(n, s) // that one pins
		}
		return true
	},
	func(p *player) bool {
		names := []string{p.w.db.Name, p.w.other}
		n := names[p.r.IntN(2)]
		if p.r.IntN(2) == 0 {
			p.note("COM_INIT_DB %s", n)
			if _, code := p.took(p.c.simple(mysqlwire.ComInitDB, []byte(n)...)); code != "" {
				return p.fine()
			}
		} else if !p.ok("USE `" + n + "`") {
			return p.fine()
		}
		p.m.schema = n
		return true
	},
	func(p *player) bool { return p.wrong("USE missing_schema", "1049", "1044") },
	func(p *player) bool { // names
		cs := []string{"latin1", "utf8mb4", "latin2", "greek"}[p.r.IntN(4)]
		coll := map[string]string{"latin1": "latin1_swedish_ci", "utf8mb4": "", "latin2": "latin2_general_ci", "greek": "greek_general_ci"}[cs]
		sql := "SET NAMES " + cs
		if coll == "" || p.r.IntN(2) == 0 {
			coll = cs + "_bin"
			sql += " COLLATE " + coll
		}
		if !p.ok(sql) {
			return p.fine()
		}
		p.m.set("character_set_client", cs)
		p.m.set("character_set_connection", cs)
		p.m.set("character_set_results", cs)
		p.m.set("collation_connection", coll)
		return true
	},
	func(p *player) bool {
		if !p.ok("SET collation_connection = latin1_german1_ci, character_set_results = latin2") {
			return p.fine()
		}
		p.m.set("character_set_connection", "latin1")
		p.m.set("collation_connection", "latin1_german1_ci")
		p.m.set("character_set_results", "latin2")
		return true
	},
	func(p *player) bool {
		if p.m.inTx || !p.m.autocommit {
			return true
		}
		i := isolations[p.r.IntN(3)]
		if !p.ok("SET SESSION TRANSACTION ISOLATION LEVEL " + i) {
			return p.fine()
		}
		p.m.set("transaction_isolation", strings.ReplaceAll(i, " ", "-"))
		return true
	},
	func(p *player) bool {
		if p.m.inTx || !p.m.autocommit {
			return true
		}
		i := strings.ReplaceAll(isolations[p.r.IntN(3)], " ", "-")
		name := "transaction_isolation"
		if _, ok := p.m.baseline[name]; !ok || p.r.IntN(2) == 0 {
			if _, ok := p.m.baseline["tx_isolation"]; ok {
				name = "tx_isolation"
			}
		}
		if !p.ok("SET SESSION " + name + " = '" + i + "'") {
			return p.fine()
		}
		p.m.set("transaction_isolation", i)
		return true
	},
	func(p *player) bool {
		n := int64(100_000 + p.m.id)
		if p.r.IntN(2) == 0 {
			n = 0
		}
		if !p.ok([]string{"SET timestamp = ", "SET @@timestamp = "}[p.r.IntN(2)] + fmt.Sprint(n)) {
			return p.fine()
		}
		p.m.timestamp = n
		return true
	},
	func(p *player) bool {
		if p.m.locked {
			return true
		}
		n := 2000 + p.m.id
		if !p.ok("CALL `" + p.m.home + "`.put_timeout(" + itoa(n) + ")") {
			return p.fine()
		}
		p.m.set("lock_wait_timeout", itoa(n))
		return true
	},
	func(p *player) bool { // restored at once
		if p.w.maria {
			return p.is("SET STATEMENT lock_wait_timeout = 77 FOR SELECT @@lock_wait_timeout", "77")
		}
		return p.is("SELECT /*+ SET_VAR(sort_buffer_size = 65536) */ @@sort_buffer_size", "65536")
	},
	func(p *player) bool {
		p.note("COM_RESET_CONNECTION")
		if _, code := p.took(p.c.simple(mysqlwire.ComResetConnection)); code != "" {
			return p.fine()
		}
		p.kept = nil
		p.m.reset()
		p.m.rollback()
		// Nobody but the server knows what it sets then.
		p.m.set("character_set_client", "*")
		p.m.set("character_set_connection", "*")
		p.m.set("character_set_results", "*")
		p.m.set("collation_connection", "*")
		return true
	},
	func(p *player) bool {
		p.note("COM_PING")
		_, code := p.took(p.c.simple(mysqlwire.ComPing))
		return code == "" || p.fine()
	},
}

// set1 is a SET of n variables.
func (p *player) set1(n int) bool {
	var list []string
	var all []func()
	for range n {
		sql, done := p.setting()
		list, all = append(list, sql), append(all, done)
	}
	if !p.ok("SET " + strings.Join(list, ", ")) {
		return p.fine()
	}
	for _, done := range all {
		done()
	}
	return true
}

func (p *player) insertSQL() string {
	return fmt.Sprintf("INSERT INTO `%s`.rows_t (sid, v) VALUES (%d, '%s')", p.m.home, p.m.id, p.text())
}

// inserted runs an INSERT and takes over what it has told.
func (p *player) inserted(sql string) bool {
	p.note("%s", sql)
	all, err := p.c.query(sql)
	if _, code := p.took(all, err); code != "" {
		if !p.gone {
			p.w.t.Errorf("session %d: %s: error %s", p.m.id, sql, code)
		}
		return p.fine()
	}
	p.m.insert()
	p.m.insertID = fmt.Sprint(all[len(all)-1].ok.LastInsertID)
	return true
}

var txSteps = []func(p *player) bool{
	func(p *player) bool {
		if !p.ok([]string{"BEGIN", "START TRANSACTION", "START TRANSACTION WITH CONSISTENT SNAPSHOT"}[p.r.IntN(3)]) {
			return p.fine()
		}
		p.m.locked = false // it unlocks tables
		p.m.begin()
		return true
	},
	func(p *player) bool {
		if !p.ok([]string{"COMMIT", "COMMIT WORK", "COMMIT AND NO CHAIN"}[p.r.IntN(3)]) {
			return p.fine()
		}
		p.m.commit()
		return true
	},
	func(p *player) bool {
		if !p.ok("ROLLBACK") {
			return p.fine()
		}
		p.m.rollback()
		return true
	},
	func(p *player) bool { return p.insert() },
	func(p *player) bool { return p.insert() },
	func(p *player) bool {
		if !p.m.inTx {
			return true
		}
		n := "sp" + itoa(p.r.IntN(3))
		if !p.ok("SAVEPOINT " + n) {
			return p.fine()
		}
		p.m.savepoint(n)
		return true
	},
	func(p *player) bool {
		if !p.m.inTx || len(p.m.saves) == 0 {
			return true
		}
		i := p.r.IntN(len(p.m.saves))
		if !p.ok("ROLLBACK TO SAVEPOINT " + p.m.saves[i].name) {
			return p.fine()
		}
		p.m.rollbackTo(i)
		return true
	},
	func(p *player) bool {
		on := p.r.IntN(2) == 0
		v := map[bool][]string{true: {"1", "ON"}, false: {"0", "OFF"}}[on][p.r.IntN(2)]
		if !p.ok("SET autocommit = " + v) {
			return p.fine()
		}
		if on && !p.m.autocommit {
			p.m.commit()
		}
		p.m.autocommit = on
		return true
	},
	func(p *player) bool { // the end of a transaction by the way
		if p.m.locked {
			return true
		}
		if !p.ok("CREATE TABLE IF NOT EXISTS `" + p.m.home + "`.other_t (a INT)") {
			return p.fine()
		}
		p.m.commit()
		return true
	},
	func(p *player) bool { // one command for all of it
		if p.m.locked {
			return true
		}
		sql := "BEGIN; " + p.insertSQL() + "; " + p.insertSQL()
		ends := p.r.IntN(3)
		sql += []string{"; COMMIT", "; ROLLBACK", ""}[ends]
		p.note("%s", sql)
		all, err := p.c.query(sql)
		if _, code := p.took(all, err); code != "" {
			if !p.gone {
				p.w.t.Errorf("session %d: %s: error %s", p.m.id, sql, code)
			}
			return p.fine()
		}
		p.m.begin()
		p.m.insert()
		p.m.insert()
		p.m.insertID = fmt.Sprint(all[2].ok.LastInsertID)
		switch ends {
		case 0:
			p.m.commit()
		case 1:
			p.m.rollback()
		}
		return true
	},
}

// learnID finds out the id of the row that the session has inserted last, which nobody has told.
func (p *player) learnID() bool {
	sql := fmt.Sprintf("SELECT MAX(id) FROM `%s`.rows_t WHERE sid = %d", p.m.home, p.m.id)
	p.note("%s", sql)
	got, code := p.took(p.c.query(sql))
	for p.gone && !p.broken { // the row may be, too
		p.note("SELECT LAST_INSERT_ID()")
		got, code = p.took(p.c.query(p.last))
		if n, _ := strconv.Atoi(got); code == "" && (n >= 1_000_000 || p.w.ask(fmt.Sprintf("SELECT sid <> %d FROM rows_t WHERE id = %d", p.m.id, n)) == "1") {
			p.w.t.Errorf("session %d: LAST_INSERT_ID() is %s, another's, or that of an older row", p.m.id, got)
			return false
		}
	}
	if code != "" {
		return p.fine()
	}
	p.m.insertID = got
	return true
}

// insert adds a row of the session's own, in some way.
func (p *player) insert() bool {
	if p.m.locked {
		return true
	}
	switch p.r.IntN(4) {
	case 0:
		sql := fmt.Sprintf("CALL `%s`.adds(%d, '%s')", p.m.home, p.m.id, p.text())
		if !p.ok(sql) {
			return p.fine()
		}
		p.m.insert()
		return p.learnID()
	case 1:
		if !p.ok(p.insertSQL()) {
			return p.fine()
		}
		p.m.insert()
		return p.learnID()
	}
	return p.inserted(p.insertSQL())
}

var errorSteps = []func(p *player) bool{
	func(p *player) bool { return p.wrong("SELECT broken", "1054") },
	func(p *player) bool { return p.wrong("THIS IS NO STATEMENT", "1064") },
	func(p *player) bool { return p.m.locked || p.wrong("SELECT * FROM missing_table", "1146") },
	func(p *player) bool { return p.wrong("ROLLBACK TO SAVEPOINT nothing_such", "1305") },
	func(p *player) bool { return p.wrong("SELECT nothing_such()", "1305", "1370", "1046", "1630") },
	func(p *player) bool { return p.wrong("SELECT 1, (SELECT 1 UNION SELECT 2)", "1242") },
	func(p *player) bool {
		p.note("an unknown statement")
		_, code := p.took(p.c.simple(mysqlwire.ComStmtExecute, p.c.executeBody(987654, 0, true)...))
		return code == "1243" || p.fine()
	},
	func(p *player) bool {
		p.note("an unknown command")
		_, code := p.took(p.c.simple(0x7f))
		return code == "1047" || p.fine()
	},
}

var statementSteps = []func(p *player) bool{
	func(p *player) bool { // prepares
		if len(p.kept) > 6 {
			return true
		}
		sql := []string{"SELECT ?, ?", "SELECT ?, @a, DATABASE(), @@time_zone", "SELECT v, ? FROM which", "SELECT ?, @@lock_wait_timeout, 1/3"}[p.r.IntN(4)]
		if p.m.locked && strings.Contains(sql, "which") {
			return true
		}
		p.note("prepare %s", sql)
		st, err := p.c.prepare(sql)
		if _, code := p.took(nil, err); code != "" {
			if !p.gone {
				p.w.t.Errorf("session %d: prepare %s: %v", p.m.id, sql, err)
			}
			return p.fine()
		}
		p.kept = append(p.kept, kept{statement: st, sql: sql, schema: p.m.schema})
		return true
	},
	func(p *player) bool { return p.executeKept() },
	func(p *player) bool { return p.executeKept() },
	func(p *player) bool { return p.executeKept() },
	func(p *player) bool { // closes
		if len(p.kept) == 0 {
			return true
		}
		i := p.r.IntN(len(p.kept))
		p.note("close %d", p.kept[i].id)
		err := p.c.close(p.kept[i].statement)
		p.kept = slices.Delete(p.kept, i, i+1)
		return p.sent(err)
	},
	func(p *player) bool { return p.diagnostics() },
	func(p *player) bool { return p.diagnostics() },
	func(p *player) bool {
		return p.is("SELECT LAST_INSERT_ID()", p.m.insertID)
	},
	func(p *player) bool {
		n := itoa(1_000_000 + p.m.id)
		if !p.is("SELECT LAST_INSERT_ID("+n+")", n) || p.gone {
			return p.gone
		}
		p.m.insertID = n
		return true
	},
	func(p *player) bool { // a trigger sees the session's own
		if p.m.locked {
			return true
		}
		p.note("trigger")
		p.serial++
		ins := fmt.Sprintf("INSERT INTO `%s`.noted (sid, n) VALUES (%d, %d)", p.m.home, p.m.id, p.serial)
		get := fmt.Sprintf("SELECT seen, tz, COALESCE(mine, 'NULL') FROM `%s`.noted WHERE sid = %d AND n = %d", p.m.home, p.m.id, p.serial)
		if _, code := p.say(ins); code == "1064" && p.kills && p.w.maria && strings.Contains(p.err.Error(), "Trigger 'tr'") {
			// MariaDB keeps the failure of a thread that was killed while it read the trigger, for everybody.
			p.w.super("FLUSH TABLES `" + p.m.home + "`.noted")
			return true
		} else if code != "" {
			return p.fine()
		}
		got, code := p.say(get)
		if code != "" {
			return p.fine()
		}
		zone, a := p.m.variables()["time_zone"], p.m.seen("a")
		want := p.m.insertID + "," + zone + ","
		if got == want+a || !p.w.maria && strings.HasPrefix(got, want) { // MySQL remembers the variable's type
			return true
		}
		p.w.t.Errorf("session %d: a trigger saw %q, want %q", p.m.id, got, want+a)
		return false
	},
	func(p *player) bool {
		return p.m.locked || p.is(fmt.Sprintf("SELECT z FROM `%s`.zone_v", p.m.home), p.m.variables()["time_zone"])
	},
	func(p *player) bool {
		if p.m.locked {
			return true
		}
		return p.is(fmt.Sprintf("CALL `%s`.rows_of(5)", p.m.home), "")
	},
}

func (p *player) executeKept() bool {
	if len(p.kept) == 0 {
		return true
	}
	k := &p.kept[p.r.IntN(len(p.kept))]
	if p.m.locked && strings.Contains(k.sql, "which") {
		return true
	}
	v := p.text()
	values := []any{v}
	want := v
	a := p.m.seen("a")
	vars := p.m.variables()
	switch k.sql {
	case "SELECT ?, ?":
		values = append(values, int64(p.m.id))
		want += "," + itoa(p.m.id)
	case "SELECT v, ? FROM which":
		want = map[bool]string{true: "first", false: "second"}[k.schema == p.m.home] + "," + v
	case "SELECT ?, @a, DATABASE(), @@time_zone":
		want += "," + a + "," + k.schema + "," + vars["time_zone"] // the database is that of its time, too
	default:
		want += "," + vars["lock_wait_timeout"]
	}
	types := !k.bound || p.r.IntN(2) == 0
	p.note("execute %d, types %v: %s, %q", k.id, types, k.sql, values)
	all, err := p.c.execute(k.statement, types, values...)
	got, code := p.took(all, err)
	if p.gone {
		return true
	}
	k.bound = true
	if code != "" || got != want && !(strings.HasPrefix(got, want+",0.3") && strings.Contains(k.sql, "1/3")) {
		p.w.t.Errorf("session %d: execute %s = %q (error %q), want %q", p.m.id, k.sql, got, code, want)
		return false
	}
	return true
}

// diagnostics asks for what the statement before has left: the session's own, or nothing.
func (p *player) diagnostics() bool {
	p.note("diagnostics")
	text := p.text()
	switch p.r.IntN(4) {
	case 0:
		if p.m.locked || p.m.inTx || !p.m.autocommit { // others would wait for the rows
			return true
		}
		if _, code := p.took(p.c.query(fmt.Sprintf("UPDATE `%s`.rows_t SET v = '%s' WHERE sid = %d", p.m.home, text, p.m.id))); code != "" {
			return p.fine()
		}
		got, code := p.took(p.c.query("SELECT ROW_COUNT()"))
		if code != "" {
			return p.fine()
		}
		if got != "0" && got != "-1" && got != itoa(p.m.rows) {
			p.w.t.Errorf("session %d: ROW_COUNT() = %s, with %d rows", p.m.id, got, p.m.rows)
			return false
		}
	case 1:
		if _, code := p.took(p.c.query("SELECT 1 UNION SELECT 2 UNION SELECT 3")); code != "" {
			return p.fine()
		}
		return p.is("SELECT FOUND_ROWS()", "3", "0", "1")
	case 2:
		if _, code := p.took(p.c.query("SELECT CAST('" + text + "' AS SIGNED)")); code != "" {
			return p.fine()
		}
		got, code := p.took(p.c.query("SHOW WARNINGS"))
		if code != "" {
			return p.fine()
		}
		if got != "" && !strings.Contains(got, text) {
			p.w.t.Errorf("session %d: SHOW WARNINGS: %s, want %s", p.m.id, got, text)
			return false
		}
	default:
		if _, code := p.took(p.c.query("SELECT `" + text + "`")); code != "1054" {
			return p.fine()
		}
		got, code := p.took(p.c.query("SHOW ERRORS"))
		if code != "" {
			return p.fine()
		}
		if got != "" && !strings.Contains(got, text) {
			p.w.t.Errorf("session %d: SHOW ERRORS: %s, want %s", p.m.id, got, text)
			return false
		}
	}
	return true
}
