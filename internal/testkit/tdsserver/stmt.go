package tdsserver

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// option is a SET option that is ON or OFF, with its bit in @@OPTIONS.
var options = []struct {
	name string
	bit  int64
}{
	{"DISABLE_DEF_CNST_CHK", 1},
	{"IMPLICIT_TRANSACTIONS", 2},
	{"CURSOR_CLOSE_ON_COMMIT", 4},
	{"ANSI_WARNINGS", 8},
	{"ANSI_PADDING", 16},
	{"ANSI_NULLS", 32},
	{"ARITHABORT", 64},
	{"ARITHIGNORE", 128},
	{"QUOTED_IDENTIFIER", 256},
	{"NOCOUNT", 512},
	{"ANSI_NULL_DFLT_ON", 1024},
	{"ANSI_NULL_DFLT_OFF", 2048},
	{"CONCAT_NULL_YIELDS_NULL", 4096},
	{"NUMERIC_ROUNDABORT", 8192},
	{"XACT_ABORT", 16384},
	{"ANSI_DEFAULTS", 0},
	{"FMTONLY", 0},
	{"FORCEPLAN", 0},
	{"NOEXEC", 0},
	{"PARSEONLY", 0},
	{"REMOTE_PROC_TRANSACTIONS", 0},
	{"SHOWPLAN_ALL", 0},
	{"SHOWPLAN_TEXT", 0},
	{"SHOWPLAN_XML", 0},
	{"STATISTICS IO", 0},
	{"STATISTICS TIME", 0},
	{"STATISTICS PROFILE", 0},
	{"STATISTICS XML", 0},
}

// languages and what else they set.
var languages = map[string][2]string{
	"us_english": {"mdy", "7"}, "english": {"mdy", "7"}, "british": {"dmy", "1"}, "deutsch": {"dmy", "1"}, "german": {"dmy", "1"},
	"français": {"dmy", "1"}, "french": {"dmy", "1"}, "español": {"dmy", "1"}, "spanish": {"dmy", "1"}, "日本語": {"ymd", "7"}, "japanese": {"ymd", "7"},
}

// parse makes statements of a text.
func parse(text string, quoted bool) (list []stmt, e *Error) {
	words, e := lex(text, quoted)
	if e != nil {
		return nil, e
	}
	p := &parser{text: []rune(text), words: words}
	defer func() {
		if r := recover(); r != nil {
			var ok bool
			if e, ok = r.(*Error); !ok {
				panic(r)
			}
		}
	}()
	for {
		for p.op(";") {
		}
		if p.cur().kind == kEnd {
			return list, nil
		}
		list = append(list, p.statement())
	}
}

func (p *parser) statement() stmt {
	line := p.cur().line
	st := p.statementOf()
	st.line = line
	p.op(";")
	return st
}

// list takes statements until END.
func (p *parser) list(end ...string) []stmt {
	var out []stmt
	for {
		for p.op(";") {
		}
		p.need(p.cur().kind != kEnd)
		if p.kw(end...) {
			return out
		}
		out = append(out, p.statement())
	}
}

func run(f func(x *exec) error) stmt { return stmt{run: f} }

// plain is a statement whose DONE has no count.
func plain(cmd uint16, f func(x *exec) error) stmt {
	return run(func(x *exec) error {
		if err := f(x); err != nil {
			return err
		}
		x.s.rowcount, x.s.errno = 0, 0
		x.done(cmd, 0, 0)
		return nil
	})
}

func (p *parser) statementOf() stmt {
	w := p.cur()
	if w.kind == kOp && w.s == "(" || p.isKw("SELECT") {
		q := p.selectQuery()
		return run(q.run)
	}
	if w.kind != kName && w.kind != kQuoted {
		p.fail()
	}
	switch {
	case p.kw("SET"):
		return p.setStatement()
	case p.kw("USE"):
		name := p.ident()
		return plain(cmdUse, func(x *exec) error {
			db := x.s.srv.store.find(name)
			if db == "" {
				return &Error{Number: 911, Class: 16, State: 1, Message: "Database '" + name + "' does not exist. Make sure that the name is entered correctly."}
			}
			x.s.tellDatabase(x.r, db, x.s.database)
			x.s.use(db)
			return nil
		})
	case p.kw("PRINT"):
		e := p.expr()
		return run(func(x *exec) error {
			v, err := e.eval(&env{x: x})
			if err != nil {
				return err
			}
			x.r.token(x.s.messageToken(tokenInfo, &Error{State: 1, Message: v.String(), Line: w.line}))
			x.s.rowcount, x.s.errno = 0, 0
			x.done(cmdPrint, 0, 0)
			return nil
		})
	case p.kw("IF"):
		c := p.cond()
		then := p.statement()
		var otherwise *stmt
		if p.kw("ELSE") {
			st := p.statement()
			otherwise = &st
		}
		return run(func(x *exec) error {
			t, err := c(&env{x: x})
			if err != nil {
				return err
			}
			if t == yes {
				return x.runList([]stmt{then})
			}
			if otherwise != nil {
				return x.runList([]stmt{*otherwise})
			}
			return nil
		})
	case p.kw("WHILE"):
		c := p.cond()
		body := p.statement()
		return run(func(x *exec) error {
			for {
				t, err := c(&env{x: x})
				if err != nil || t != yes {
					return err
				}
				err = x.runList([]stmt{body})
				if errors.Is(err, errBreak) {
					return nil
				}
				if err != nil && !errors.Is(err, errContinue) {
					return err
				}
				if x.s.interrupted() {
					return errAttention
				}
			}
		})
	case p.kw("BREAK"):
		return run(func(*exec) error { return errBreak })
	case p.kw("CONTINUE"):
		return run(func(*exec) error { return errContinue })
	case p.kw("RETURN"):
		var e *expr
		if w := p.cur(); w.kind == kNumber || w.kind == kVar || w.kind == kGlobal || w.kind == kOp && (w.s == "-" || w.s == "(") {
			v := p.expr()
			e = &v
		}
		return run(func(x *exec) error {
			if e != nil {
				v, err := e.eval(&env{x: x})
				if err != nil {
					return err
				}
				x.status, _ = toInt(v)
			}
			return errReturn
		})
	case p.isKw("BEGIN", "TRAN") || p.isKw("BEGIN", "TRANSACTION"):
		p.i += 2
		p.tranName()
		if p.kw("WITH", "MARK") && p.cur().kind == kString {
			p.i++
		}
		return plain(cmdBegin, func(x *exec) error {
			x.s.begin(x.r, !x.s.srv.o.NoTransactionEnv)
			return nil
		})
	case p.kw("BEGIN", "TRY"):
		body := p.list("END", "TRY")
		p.need(p.kw("BEGIN", "CATCH"))
		catch := p.list("END", "CATCH")
		return run(func(x *exec) error {
			x.trying++
			err := x.runList(body)
			x.trying--
			var e *Error
			if !errors.As(err, &e) {
				return err
			}
			was := x.caught
			x.caught = e
			defer func() { x.caught = was }()
			return x.runList(catch)
		})
	case p.kw("BEGIN"):
		body := p.list("END")
		return run(func(x *exec) error { return x.runList(body) })
	case p.kw("COMMIT"):
		if !p.kw("TRAN") && !p.kw("TRANSACTION") {
			p.kw("WORK")
		}
		p.tranName()
		return plain(cmdCommit, func(x *exec) error {
			return x.s.commit(x.r, !x.s.srv.o.NoTransactionEnv)
		})
	case p.kw("ROLLBACK"):
		if !p.kw("TRAN") && !p.kw("TRANSACTION") {
			p.kw("WORK")
		}
		name := p.tranName()
		return plain(cmdRollback, func(x *exec) error {
			return x.s.rollback(x.r, name, !x.s.srv.o.NoTransactionEnv)
		})
	case p.kw("SAVE"):
		p.need(p.kw("TRAN") || p.kw("TRANSACTION"))
		name := p.tranName()
		return plain(cmdSave, func(x *exec) error { return x.s.save(name) })
	case p.kw("WAITFOR"):
		p.need(p.kw("DELAY"))
		e := p.expr()
		return plain(cmdExec, func(x *exec) error {
			v, err := e.eval(&env{x: x})
			if err != nil {
				return err
			}
			at, perr := time.Parse("15:04:05.999", v.String())
			if perr != nil {
				if at, perr = time.Parse("15:04", v.String()); perr != nil {
					return &Error{Number: 148, Class: 15, State: 1, Message: "Incorrect time syntax in time string '" + v.String() + "' used with WAITFOR."}
				}
			}
			return x.s.wait(sinceMidnight(at), nil)
		})
	case p.kw("RAISERROR"):
		return p.raiserror()
	case p.kw("THROW"):
		var args []expr
		for p.cur().kind != kEnd && !p.isOp(";") && !isReserved(p.cur()) {
			args = append(args, p.expr())
			if !p.op(",") {
				break
			}
		}
		p.need(len(args) == 0 || len(args) == 3)
		return run(func(x *exec) error {
			if len(args) == 0 {
				if x.caught == nil {
					return &Error{Number: 10704, Class: 15, State: 1, Message: "To rethrow an error, a THROW statement must be used inside a CATCH block."}
				}
				return &raised{x.caught, true}
			}
			n, err := x.intOf(args[0])
			if err != nil {
				return err
			}
			text, err := args[1].eval(&env{x: x})
			if err != nil {
				return err
			}
			state, err := x.intOf(args[2])
			if err != nil {
				return err
			}
			return &raised{&Error{Number: int32(n), Class: 16, State: byte(state), Message: text.String(), Line: w.line}, true}
		})
	case p.kw("DBCC"):
		return p.dbcc()
	case p.kw("DECLARE"):
		return p.declare()
	case p.kw("INSERT"):
		return p.insert()
	case p.kw("UPDATE"):
		return p.update()
	case p.kw("DELETE"):
		return p.delete()
	case p.kw("TRUNCATE", "TABLE"):
		parts := p.parts()
		return plain(cmdDelete, func(x *exec) error {
			return x.atomic(func() error {
				t, _ := x.s.srv.store.lookup(x.s, parts)
				if t == nil {
					return &Error{Number: 4701, Class: 16, State: 1, Message: "Cannot find the object \"" + strings.Join(parts, ".") + "\" because it does not exist or you do not have permissions."}
				}
				rows, next := t.rows, t.next
				t.rows, t.next = nil, 1
				x.s.undo = append(x.s.undo, func() { t.rows, t.next = rows, next })
				return nil
			})
		})
	case p.isKw("CREATE") || p.isKw("ALTER"):
		return p.create()
	case p.kw("DROP"):
		kind := p.oneOf("TABLE", "PROCEDURE", "PROC")
		p.need(kind != "")
		exists := p.kw("IF", "EXISTS")
		var all [][]string
		for {
			all = append(all, p.parts())
			if !p.op(",") {
				break
			}
		}
		return plain(cmdDrop, func(x *exec) error {
			return x.atomic(func() error {
				for _, parts := range all {
					if kind != "TABLE" {
						if err := x.dropProc(parts, exists); err != nil {
							return err
						}
					} else if err := x.drop(parts, exists); err != nil {
						return err
					}
				}
				return nil
			})
		})
	case p.kw("OPEN"), p.isKw("CLOSE"), p.isKw("DEALLOCATE"), p.isKw("FETCH"):
		return p.cursorStatement(w.up)
	case p.kw("EXEC"), p.kw("EXECUTE"):
		return p.execute()
	case p.kw("KILL"):
		n := p.integer()
		return plain(cmdExec, func(x *exec) error {
			if !x.s.srv.Kill(n) {
				return &Error{Number: 6106, Class: 16, State: 2, Message: "Process ID " + strconv.Itoa(n) + " is not an active process ID."}
			}
			return nil
		})
	}
	if !isReserved(w) && p.i == 0 { // a procedure's name alone begins a batch
		return p.execute()
	}
	if !isReserved(w) {
		p.i++
	}
	p.fail()
	return stmt{}
}

func (p *parser) tranName() string {
	w := p.cur()
	if w.kind == kVar || w.kind == kQuoted || w.kind == kName && !isReserved(w) {
		p.i++
		return w.s
	}
	return ""
}

func (x *exec) intOf(e expr) (int64, error) {
	v, err := e.eval(&env{x: x})
	if err != nil {
		return 0, err
	}
	n, ok := toInt(v)
	if !ok {
		return 0, conversionError(v, typeInt)
	}
	return n, nil
}

func (p *parser) raiserror() stmt {
	line := p.cur().line
	p.need(p.op("("))
	var args []expr
	for {
		args = append(args, p.expr())
		if !p.op(",") {
			break
		}
	}
	p.need(p.op(")") && len(args) >= 3)
	if p.kw("WITH") {
		for p.oneOf("NOWAIT", "LOG", "SETERROR") != "" && p.op(",") {
		}
	}
	return run(func(x *exec) error {
		var vals []value
		for _, a := range args {
			v, err := a.eval(&env{x: x})
			if err != nil {
				return err
			}
			vals = append(vals, v)
		}
		class, _ := toInt(vals[1])
		state, _ := toInt(vals[2])
		e := &Error{Number: 50000, Class: byte(class), State: byte(state), Line: line}
		if vals[0].t.id == tIntN {
			n, _ := toInt(vals[0])
			e.Number, e.Message = int32(n), fmt.Sprintf("Error %d, severity %d, state %d was raised, but no message with that error number was found in sys.messages.", n, class, state)
		} else {
			e.Message = vals[0].String()
			for _, v := range vals[3:] {
				i := strings.IndexAny(e.Message, "%")
				if i < 0 || i+1 >= len(e.Message) {
					break
				}
				e.Message = e.Message[:i] + v.String() + e.Message[i+2:]
			}
		}
		if class <= 10 {
			e.Class = 0
			x.r.token(x.s.messageToken(tokenInfo, e))
			x.s.rowcount, x.s.errno = 0, 0
			x.done(cmdPrint, 0, 0)
			return nil
		}
		return &raised{e, false}
	})
}

func (p *parser) dbcc() stmt {
	what := p.cur().up
	p.need(p.cur().kind == kName)
	p.i++
	if p.isOp("(") {
		p.balanced()
	}
	if p.kw("WITH") {
		p.ident()
	}
	return run(func(x *exec) error {
		s := x.s
		if what != "USEROPTIONS" {
			s.rowcount, s.errno = 0, 0
			x.done(cmdExec, 0, 0)
			return nil
		}
		cols := []outCol{{name: "Set Option", t: nvarchar(128)}, {name: "Value", t: nvarchar(128)}}
		s.columns(x.r, cols)
		rows := [][2]string{
			{"textsize", s.set["TEXTSIZE"]},
			{"language", s.set["LANGUAGE"]},
			{"dateformat", s.set["DATEFORMAT"]},
			{"datefirst", s.set["DATEFIRST"]},
			{"lock_timeout", s.set["LOCK_TIMEOUT"]},
		}
		for _, o := range options {
			if o.bit > 0 && s.set[o.name] == "ON" {
				rows = append(rows, [2]string{strings.ToLower(o.name), "SET"})
			}
		}
		rows = append(rows, [2]string{"isolation level", strings.ToLower(s.set["TRANSACTION ISOLATION LEVEL"])})
		for _, r := range rows {
			if err := s.row(x.r, cols, []any{r[0], r[1]}); err != nil {
				return err
			}
		}
		s.rowcount, s.errno = int64(len(rows)), 0
		x.done(cmdSelect, int64(len(rows)), doneCount)
		return nil
	})
}

func (p *parser) setStatement() stmt {
	w := p.cur()
	if w.kind == kVar {
		p.i++
		op := p.cur().s
		p.need(p.op("=") || p.op("+=") || p.op("-="))
		if p.kw("CURSOR") {
			p.fail()
		}
		e := p.expr()
		return run(func(x *exec) error {
			v, err := e.eval(&env{x: x})
			if err != nil {
				return err
			}
			if op != "=" {
				was := x.vars[strings.ToLower(w.s)]
				if was != nil {
					if v, err = arith(&env{x: x}, op[:1], *was, v); err != nil {
						return err
					}
				}
			}
			if err := x.setVar(w.s, v); err != nil {
				return err
			}
			x.s.rowcount, x.s.errno = 1, 0
			return nil
		})
	}
	set := func(f func(s *session)) stmt {
		st := plain(cmdSet, func(x *exec) error { f(x.s); return nil })
		st.always = true
		return st
	}
	onOff := func() string {
		if p.kw("ON") {
			return "ON"
		}
		w := p.cur()
		p.need(w.kind == kName && w.up == "OFF")
		p.i++
		return "OFF"
	}
	if p.kw("TRANSACTION", "ISOLATION", "LEVEL") {
		for n := range levelNumbers {
			if p.kw(strings.Fields(n)...) {
				return set(func(s *session) { s.set["TRANSACTION ISOLATION LEVEL"] = n })
			}
		}
		p.fail()
	}
	if p.kw("IDENTITY_INSERT") {
		parts := p.parts()
		on := onOff()
		return set(func(s *session) {
			s.set["IDENTITY_INSERT"] = ""
			if on == "ON" {
				s.set["IDENTITY_INSERT"] = parts[len(parts)-1]
			}
		})
	}
	if p.kw("STATISTICS") {
		kind := p.oneOf("IO", "TIME", "PROFILE", "XML")
		p.need(kind != "")
		on := onOff()
		return set(func(s *session) { s.set["STATISTICS "+kind] = on })
	}
	if p.kw("OFFSETS") {
		for p.cur().kind == kName && !p.isKw("ON") && p.cur().up != "OFF" {
			p.i++
			p.op(",")
		}
		onOff()
		return set(func(*session) {})
	}
	if p.kw("CONTEXT_INFO") {
		e := p.expr()
		st := plain(cmdSet, func(x *exec) error {
			v, err := e.eval(&env{x: x})
			if err != nil {
				return err
			}
			if v, err = x.s.convert(v, varbinary(128)); err != nil {
				return err
			}
			b, _ := v.v.([]byte)
			x.s.contextInfo = append(slices.Clone(b), make([]byte, max(0, 128-len(b)))...)
			return nil
		})
		return st
	}
	name := w.up
	p.need(w.kind == kName)
	if slices.Contains([]string{"LANGUAGE", "DATEFORMAT", "DATEFIRST", "LOCK_TIMEOUT", "TEXTSIZE", "ROWCOUNT", "DEADLOCK_PRIORITY", "QUERY_GOVERNOR_COST_LIMIT"}, name) {
		p.i++
		var e expr
		if v := p.cur(); v.kind == kName || v.kind == kQuoted {
			p.i++
			e = constant(vString(v.s))
		} else {
			e = p.unary()
		}
		st := plain(cmdSet, func(x *exec) error {
			v, err := e.eval(&env{x: x})
			if err != nil {
				return err
			}
			return x.setOption(name, v.String())
		})
		st.always = true
		return st
	}
	var names []string
	for {
		w := p.cur()
		i := slices.IndexFunc(options, func(o struct {
			name string
			bit  int64
		},
		) bool {
			return o.name == w.up
		})
		if w.kind != kName || i < 0 {
			panic(&Error{Number: 195, Class: 15, State: 5, Message: "'" + w.s + "' is not a recognized SET option.", Line: w.line})
		}
		p.i++
		names = append(names, w.up)
		if !p.op(",") {
			break
		}
	}
	on := onOff()
	st := set(func(s *session) {
		for _, n := range names {
			s.set[n] = on
			switch n {
			case "ANSI_DEFAULTS":
				for _, o := range []string{"ANSI_NULLS", "ANSI_NULL_DFLT_ON", "IMPLICIT_TRANSACTIONS", "ANSI_PADDING", "QUOTED_IDENTIFIER", "ANSI_WARNINGS", "CURSOR_CLOSE_ON_COMMIT"} {
					s.set[o] = on
				}
			case "ANSI_NULL_DFLT_ON", "ANSI_NULL_DFLT_OFF":
				if other := map[string]string{"ANSI_NULL_DFLT_ON": "ANSI_NULL_DFLT_OFF", "ANSI_NULL_DFLT_OFF": "ANSI_NULL_DFLT_ON"}[n]; on == "ON" {
					s.set[other] = "OFF"
				}
			}
		}
	})
	st.on = on
	for _, n := range names {
		if n == "PARSEONLY" || strings.HasPrefix(n, "SHOWPLAN_") {
			st.option = n
		}
	}
	return st
}

func (x *exec) setOption(name, v string) error {
	s := x.s
	switch name {
	case "LANGUAGE":
		l, ok := languages[strings.ToLower(v)]
		if !ok {
			return &Error{Number: 2740, Class: 16, State: 1, Message: "SET LANGUAGE failed because '" + v + "' is not an official language name or a language alias on this SQL Server."}
		}
		s.tellLanguage(x.r, v, s.set["LANGUAGE"])
		s.set["DATEFORMAT"], s.set["DATEFIRST"] = l[0], l[1]
	case "DATEFORMAT":
		v = strings.ToLower(v)
		if !slices.Contains([]string{"mdy", "dmy", "ymd", "ydm", "myd", "dym"}, v) {
			return &Error{Number: 2741, Class: 16, State: 1, Message: "SET DATEFORMAT date order '" + v + "' is invalid."}
		}
	case "DEADLOCK_PRIORITY":
		if n, ok := map[string]string{"LOW": "-5", "NORMAL": "0", "HIGH": "5"}[strings.ToUpper(v)]; ok {
			v = n
		}
	default:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return &Error{Number: 245, Class: 16, State: 1, Message: "Conversion failed when converting the value '" + v + "' to data type int."}
		}
		if name == "DATEFIRST" && (n < 1 || n > 7) {
			return &Error{Number: 2742, Class: 16, State: 1, Message: "SET DATEFIRST " + v + " is out of range."}
		}
		if name == "TEXTSIZE" && n < 1 {
			v = "4096"
			if n == -1 {
				v = "2147483647"
			}
		}
	}
	s.set[name] = v
	return nil
}

func (p *parser) declare() stmt {
	if w := p.cur(); w.kind != kVar {
		return p.declareCursor()
	}
	type one struct {
		name string
		t    sqlType
		e    *expr
	}
	var all []one
	for {
		w := p.cur()
		p.need(w.kind == kVar)
		p.i++
		p.kw("AS")
		if p.kw("TABLE") {
			shape := p.tableShape()
			return run(func(x *exec) error {
				t, err := shape(w.s, x)
				if err != nil {
					return err
				}
				if x.tables == nil {
					x.tables = map[string]*table{}
				}
				x.tables[strings.ToLower(w.s)] = t
				return nil
			})
		}
		o := one{name: strings.ToLower(w.s), t: p.typ()}
		if p.op("=") {
			e := p.expr()
			o.e = &e
		}
		all = append(all, o)
		if !p.op(",") {
			break
		}
	}
	return run(func(x *exec) error {
		for _, o := range all {
			x.vars[o.name] = &value{t: o.t}
			if o.e != nil {
				v, err := o.e.eval(&env{x: x})
				if err != nil {
					return err
				}
				if err := x.setVar(o.name, v); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// selectQuery takes a SELECT.
func (p *parser) selectQuery() *query {
	if p.op("(") {
		q := p.selectQuery()
		p.need(p.op(")"))
		return q
	}
	p.need(p.kw("SELECT"))
	q := &query{}
	if !p.kw("ALL") {
		p.kw("DISTINCT")
	}
	if p.kw("TOP") {
		e := p.primary()
		q.top = &e
	}
	plainItems := false
	for {
		var it item
		w := p.cur()
		switch {
		case p.op("*"):
			it.star = true
		case w.kind == kVar && p.peek().kind == kOp && p.peek().s == "=":
			p.i += 2
			it.assign, it.e = w.s, p.expr()
			q.assigns = true
		case (w.kind == kName && !isReserved(w) || w.kind == kQuoted) && p.peek().s == "." && p.i+2 < len(p.words) && p.words[p.i+2].s == "*":
			p.i += 3
			it.star = true
		case (w.kind == kName && !isReserved(w) || w.kind == kQuoted) && p.peek().kind == kOp && p.peek().s == "=":
			p.i += 2
			it.name, it.e = w.s, p.expr()
		default:
			it.e = p.expr()
			it.name = it.e.col
			p.alias(&it.name)
		}
		plainItems = plainItems || it.assign == ""
		q.items = append(q.items, it)
		if !p.op(",") {
			break
		}
	}
	if q.assigns && plainItems {
		panic(&Error{Number: 141, Class: 15, State: 1, Message: "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.", Line: p.cur().line})
	}
	if p.kw("INTO") {
		q.into = p.parts()
	}
	if p.kw("FROM") {
		q.from = p.source()
	}
	if p.kw("WHERE") {
		q.where = p.cond()
	}
	if p.kw("UNION") {
		p.need(p.kw("ALL"))
		q.union = p.selectQuery()
		return q
	}
	if p.kw("ORDER", "BY") {
		for {
			var o ordering
			if w := p.cur(); w.kind == kNumber {
				o.nth = p.integer()
			} else {
				o.e = p.expr()
			}
			if p.kw("DESC") {
				o.desc = true
			} else {
				p.kw("ASC")
			}
			q.order = append(q.order, o)
			if !p.op(",") {
				break
			}
		}
		if p.kw("OFFSET") {
			e := p.expr()
			q.offset = &e
			p.need(p.kw("ROWS") || p.kw("ROW"))
			if p.kw("FETCH") {
				p.need(p.kw("NEXT") || p.kw("FIRST"))
				e := p.expr()
				q.limit = &e
				p.need((p.kw("ROWS") || p.kw("ROW")) && p.kw("ONLY"))
			}
		}
	}
	if p.kw("OPTION") {
		p.balanced()
	}
	if p.kw("FOR") { // BROWSE, READ ONLY, UPDATE: as without
		if !p.kw("BROWSE") && !p.kw("READ", "ONLY") {
			p.need(p.kw("UPDATE"))
		}
	}
	return q
}

func (p *parser) alias(name *string) {
	w := p.cur()
	switch {
	case p.kw("AS"):
		w = p.cur()
		p.need(w.kind == kName || w.kind == kQuoted || w.kind == kString)
		*name = w.s
		p.i++
	case w.kind == kQuoted, w.kind == kString, w.kind == kName && !isReserved(w):
		*name = w.s
		p.i++
	}
}

func (p *parser) source() *source {
	src := &source{}
	if w := p.cur(); w.kind == kVar {
		p.i++
		src.v = w.s
	} else {
		src.parts = p.parts()
		if p.op("(") {
			src.fn = true
			if !p.op(")") {
				for {
					src.args = append(src.args, p.expr())
					if !p.op(",") {
						break
					}
				}
				p.need(p.op(")"))
			}
		}
	}
	var alias string
	p.alias(&alias)
	if p.kw("WITH") {
		p.balanced()
	}
	if p.kw("CROSS", "JOIN") {
		src.cross = p.source()
	}
	return src
}

func (p *parser) insert() stmt {
	if p.isKw("BULK") {
		return p.insertBulk()
	}
	p.kw("INTO")
	var parts []string
	if w := p.cur(); w.kind == kVar {
		p.i++
		parts = []string{w.s}
	} else {
		parts = p.parts()
	}
	if p.kw("WITH") {
		p.balanced()
	}
	var names []string
	if p.isOp("(") && !(p.peek().kind == kName && p.peek().up == "SELECT") {
		p.i++
		for {
			names = append(names, p.ident())
			if !p.op(",") {
				break
			}
		}
		p.need(p.op(")"))
	}
	output := p.output()
	var rows [][]expr
	var q *query
	switch {
	case p.kw("DEFAULT"):
		p.need(p.kw("VALUES"))
		names, rows = []string{}, [][]expr{{}}
	case p.kw("VALUES"):
		for {
			p.need(p.op("("))
			var r []expr
			for {
				r = append(r, p.expr())
				if !p.op(",") {
					break
				}
			}
			p.need(p.op(")"))
			rows = append(rows, r)
			if !p.op(",") {
				break
			}
		}
	default:
		q = p.selectQuery()
	}
	return run(func(x *exec) error {
		var in [][]value
		if q != nil {
			res, err := q.open(x)
			if err != nil {
				return err
			}
			if err := res.each(func(vals []any) error {
				var r []value
				for i, v := range vals {
					r = append(r, value{res.cols[i].t, v})
				}
				in = append(in, r)
				return nil
			}); err != nil {
				return err
			}
		}
		for _, r := range rows {
			vals := []value{}
			for _, e := range r {
				v, err := e.eval(&env{x: x})
				if err != nil {
					return err
				}
				vals = append(vals, v)
			}
			in = append(in, vals)
		}
		var t *table
		var out [][]any
		if err := x.atomic(func() error {
			if t = x.tables[strings.ToLower(parts[0])]; t == nil {
				t, _ = x.s.srv.store.lookup(x.s, parts)
			}
			if t == nil {
				return noObject(parts)
			}
			cols, err := t.indexes(names, strings.EqualFold(x.s.set["IDENTITY_INSERT"], t.name))
			if err != nil {
				return err
			}
			out, err = x.insertRows(t, cols, in)
			return err
		}); err != nil {
			return err
		}
		if err := x.outputRows(output, t.cols, out); err != nil {
			return err
		}
		x.s.rowcount, x.s.errno = int64(len(out)), 0
		x.done(cmdInsert, int64(len(out)), doneCount)
		return nil
	})
}

// output takes an OUTPUT clause.
func (p *parser) output() []item {
	if !p.kw("OUTPUT") {
		return nil
	}
	var out []item
	for {
		if w := p.cur(); (w.up == "INSERTED" || w.up == "DELETED") && p.peek().s == "." && p.words[p.i+2].s == "*" {
			p.i += 3
			out = append(out, item{star: true})
		} else {
			e := p.expr()
			it := item{e: e, name: e.col}
			p.alias(&it.name)
			out = append(out, it)
		}
		if !p.op(",") {
			return out
		}
	}
}

func (x *exec) outputRows(items []item, cols []column, rows [][]any) error {
	if items == nil {
		return nil
	}
	q := &query{items: items}
	src := &opened{cols: cols, each: eachOf(rows)}
	res, err := q.openOn(x, src)
	if err != nil {
		return err
	}
	x.s.columns(x.r, res.cols)
	return res.each(func(vals []any) error { return x.s.row(x.r, res.cols, vals) })
}

func (p *parser) update() stmt {
	var top *expr
	if p.kw("TOP") {
		e := p.primary()
		top = &e
	}
	parts := p.parts()
	if p.kw("WITH") {
		p.balanced()
	}
	p.need(p.kw("SET"))
	type assign struct {
		col string
		op  string
		e   expr
	}
	var sets []assign
	for {
		names := p.parts()
		op := p.cur().s
		p.need(p.op("=") || p.op("+=") || p.op("-="))
		sets = append(sets, assign{names[len(names)-1], op, p.expr()})
		if !p.op(",") {
			break
		}
	}
	output := p.output()
	var where cond
	if p.kw("WHERE") {
		where = p.cond()
	}
	return run(func(x *exec) error {
		return x.change(parts, top, where, output, cmdUpdate, func(t *table, r *row) error {
			vals := slices.Clone(r.vals)
			for _, a := range sets {
				i, err := t.indexes([]string{a.col}, true)
				if err != nil {
					return err
				}
				c := t.cols[i[0]]
				if c.identity {
					return &Error{Number: 8102, Class: 16, State: 1, Message: "Cannot update identity column '" + c.name + "'."}
				}
				e := &env{x: x, cols: t.cols, vals: r.vals}
				v, err := a.e.eval(e)
				if err != nil {
					return err
				}
				if a.op != "=" {
					if v, err = arith(e, a.op[:1], value{c.t, r.vals[i[0]]}, v); err != nil {
						return err
					}
				}
				if v, err = x.s.convert(v, c.t); err != nil {
					return err
				}
				if c.notNull && v.v == nil {
					return &Error{Number: 515, Class: 16, State: 2, Message: "Cannot insert the value NULL into column '" + c.name + "', table '" + t.name + "'; column does not allow nulls. UPDATE fails."}
				}
				vals[i[0]] = v.v
			}
			if e := t.violation(&x.s.codec, vals, r); e != nil {
				return e
			}
			was := r.vals
			r.vals = vals
			x.s.undo = append(x.s.undo, func() { r.vals = was })
			return nil
		})
	})
}

func (p *parser) delete() stmt {
	var top *expr
	if p.kw("TOP") {
		e := p.primary()
		top = &e
	}
	p.kw("FROM")
	parts := p.parts()
	if p.kw("WITH") {
		p.balanced()
	}
	output := p.output()
	var where cond
	if p.kw("WHERE") {
		where = p.cond()
	}
	return run(func(x *exec) error {
		return x.change(parts, top, where, output, cmdDelete, func(t *table, r *row) error {
			t.remove(r)
			x.s.undo = append(x.s.undo, func() { t.rows = append(t.rows, r) })
			return nil
		})
	})
}

// change does something with each row that a condition holds for.
func (x *exec) change(parts []string, top *expr, where cond, output []item, cmd uint16, f func(*table, *row) error) error {
	limit := int64(-1)
	if top != nil {
		n, err := x.intOf(*top)
		if err != nil {
			return err
		}
		limit = n
	}
	if n := x.s.number("ROWCOUNT"); n > 0 && limit < 0 {
		limit = n
	}
	n := int64(0)
	var shown [][]any
	var t *table
	if err := x.atomic(func() error {
		if t, _ = x.s.srv.store.lookup(x.s, parts); t == nil {
			return noObject(parts)
		}
		for _, r := range slices.Clone(t.rows) {
			if limit >= 0 && n >= limit {
				break
			}
			if where != nil {
				ok, err := where(&env{x: x, cols: t.cols, vals: r.vals})
				if err != nil {
					return err
				}
				if ok != yes {
					continue
				}
			}
			if err := f(t, r); err != nil {
				return err
			}
			shown = append(shown, r.vals)
			n++
		}
		return nil
	}); err != nil {
		return err
	}
	if err := x.outputRows(output, t.cols, shown); err != nil {
		return err
	}
	x.s.rowcount, x.s.errno = n, 0
	x.done(cmd, n, doneCount)
	return nil
}

func (p *parser) create() stmt {
	p.i++
	if p.kw("OR") {
		p.need(p.kw("ALTER"))
	}
	if p.oneOf("PROCEDURE", "PROC") != "" {
		return p.createProc()
	}
	if p.oneOf("UNIQUE", "CLUSTERED", "NONCLUSTERED", "INDEX", "TYPE", "STATISTICS") != "" { // of no matter here
		for w := p.cur(); w.kind != kEnd && !p.isOp(";"); w = p.cur() {
			p.i++
		}
		return plain(cmdCreate, func(*exec) error { return nil })
	}
	p.need(p.kw("TABLE"))
	parts := p.parts()
	shape := p.tableShape()
	if p.kw("ON") {
		p.ident()
	}
	return plain(cmdCreate, func(x *exec) error {
		t, err := shape(parts[len(parts)-1], x)
		if err != nil {
			return err
		}
		return x.atomic(func() error { return x.create(parts, t) })
	})
}

// tableShape takes a table's columns and keys, and returns what makes such a table.
func (p *parser) tableShape() func(name string, x *exec) (*table, error) {
	p.need(p.op("("))
	var cols []column
	var key []string
	next, step := int64(1), int64(1)
	for {
		if p.kw("CONSTRAINT") {
			p.ident()
		}
		if p.kw("PRIMARY", "KEY") || p.kw("UNIQUE") {
			p.oneOf("CLUSTERED", "NONCLUSTERED")
			p.need(p.op("("))
			for {
				key = append(key, p.ident())
				p.oneOf("ASC", "DESC")
				if !p.op(",") {
					break
				}
			}
			p.need(p.op(")"))
		} else {
			c := column{name: p.ident(), t: p.typ()}
			for more := true; more; {
				switch {
				case p.kw("NOT", "NULL"):
					c.notNull = true
				case p.kw("NULL"):
				case p.kw("IDENTITY"):
					c.identity, c.notNull = true, true
					if p.op("(") {
						next = int64(p.integer())
						p.need(p.op(","))
						step = int64(p.integer())
						p.need(p.op(")"))
					}
				case p.kw("PRIMARY", "KEY"):
					c.unique, c.notNull = true, true
					p.oneOf("CLUSTERED", "NONCLUSTERED")
				case p.kw("UNIQUE"):
					c.unique = true
				case p.kw("DEFAULT"):
					e := p.primary()
					c.def = &e
				case p.kw("COLLATE"), p.kw("CONSTRAINT"):
					p.ident()
				case p.kw("SPARSE"):
				default:
					more = false
				}
			}
			cols = append(cols, c)
		}
		if !p.op(",") {
			break
		}
	}
	p.need(p.op(")"))
	return func(name string, x *exec) (*table, error) {
		t := &table{name: name, cols: slices.Clone(cols), next: next, step: step, owner: x.s}
		if key != nil {
			k, err := t.indexes(key, true)
			if err != nil {
				return nil, err
			}
			t.key = k
			for _, i := range k {
				t.cols[i].notNull = true
			}
		}
		return t, nil
	}
}
