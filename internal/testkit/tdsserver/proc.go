package tdsserver

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// arg is what a procedure is called with. An output one's value is what the caller gets.
type arg struct {
	name   string // with @; "": by its place
	v      value
	output bool
	usual  bool // DEFAULT
	set    string
}

// param is what a procedure declares.
type param struct {
	name   string
	t      sqlType
	output bool
	def    *expr
}

// procedure is one that CREATE PROCEDURE made.
type procedure struct {
	params []param
	body   string
	name   string // as it is written
	text   string // of its CREATE PROCEDURE
	id     int64
}

// prepared is a statement of sp_prepare's.
type prepared struct {
	params []param
	text   string
}

// builtin are the procedures that are there; a name may have sp_ or xp_ before it.
var builtin map[string]func(x *exec, args []*arg) (int64, error)

func argNamed(args []*arg, name string, place int) *arg {
	for _, a := range args {
		if strings.EqualFold(a.name, name) {
			return a
		}
	}
	if place < len(args) && args[place].name == "" {
		return args[place]
	}
	return nil
}

func argString(args []*arg, name string, place int) string {
	if a := argNamed(args, name, place); a != nil && a.v.v != nil {
		return a.v.String()
	}
	return ""
}

func argInt(args []*arg, name string, place int, usual int64) int64 {
	if a := argNamed(args, name, place); a != nil && a.v.v != nil {
		if n, ok := toInt(a.v); ok {
			return n
		}
	}
	return usual
}

func init() {
	builtin = map[string]func(x *exec, args []*arg) (int64, error){
		"sp_executesql":          executeSQL,
		"sp_prepare":             func(x *exec, args []*arg) (int64, error) { return prepare(x, args, false) },
		"sp_prepexec":            func(x *exec, args []*arg) (int64, error) { return prepare(x, args, true) },
		"sp_execute":             executePrepared,
		"sp_unprepare":           unprepare,
		"sp_cursoropen":          cursorOpen,
		"sp_cursorfetch":         cursorFetch,
		"sp_cursorclose":         cursorClose,
		"sp_cursoroption":        func(*exec, []*arg) (int64, error) { return 0, nil },
		"sp_getapplock":          getAppLock,
		"sp_releaseapplock":      releaseAppLock,
		"sp_set_session_context": setSessionContext,
		"sp_reset_connection": func(x *exec, _ []*arg) (int64, error) {
			x.s.reset(false)
			return 0, nil
		},
		"sp_who":               sessionsOf,
		"toy_echo":             echo,
		"toy_outputs":          outputs,
		"sp_datatype_info":     typeInfo,
		"sp_datatype_info_90":  typeInfo,
		"sp_datatype_info_100": typeInfo,
	}
}

// echo answers with a row of its parameters, and gives the output ones back as they are.
func echo(x *exec, args []*arg) (int64, error) {
	var cols []outCol
	var vals []any
	for _, a := range args {
		if t, ok := a.v.v.(tvp); ok {
			cols, vals = append(cols, outCol{name: a.name, t: typeInt}), append(vals, int64(len(t.rows)))
			continue
		}
		t := a.v.t
		if t.id == tNull || t.id == 0 {
			t = typeInt
		}
		cols, vals = append(cols, outCol{name: strings.TrimPrefix(a.name, "@"), t: t}), append(vals, a.v.v)
	}
	if len(cols) == 0 {
		return 0, nil
	}
	x.s.columns(x.r, cols)
	if err := x.s.row(x.r, cols, vals); err != nil {
		return 0, err
	}
	x.done(cmdSelect, 1, doneCount)
	return 0, nil
}

// outputs doubles its integers and strings that are output parameters, and returns 7.
func outputs(_ *exec, args []*arg) (int64, error) {
	for _, a := range args {
		switch v := a.v.v.(type) {
		case int64:
			a.v.v = 2 * v
		case string:
			a.v.v = v + v
		}
	}
	return 7, nil
}

func sessionsOf(x *exec, _ []*arg) (int64, error) {
	q := &query{items: []item{{star: true}}, from: &source{parts: []string{"sys", "dm_exec_sessions"}}}
	return 0, q.run(x)
}

// typeInfo is what ODBC drivers ask for their SQLGetTypeInfo. It knows the types whose sizes they want to know.
func typeInfo(x *exec, args []*arg) (int64, error) {
	want := argInt(args, "@data_type", 0, 0)
	name, small, whole := nvarchar(128), typeSmall, typeInt
	cols := []outCol{
		{name: "TYPE_NAME", t: name},
		{name: "DATA_TYPE", t: small},
		{name: "PRECISION", t: whole},
		{name: "LITERAL_PREFIX", t: name},
		{name: "LITERAL_SUFFIX", t: name},
		{name: "CREATE_PARAMS", t: name},
		{name: "NULLABLE", t: small},
		{name: "CASE_SENSITIVE", t: small},
		{name: "SEARCHABLE", t: small},
		{name: "UNSIGNED_ATTRIBUTE", t: small},
		{name: "MONEY", t: small},
		{name: "AUTO_INCREMENT", t: small},
		{name: "LOCAL_TYPE_NAME", t: name},
		{name: "MINIMUM_SCALE", t: small},
		{name: "MAXIMUM_SCALE", t: small},
		{name: "SQL_DATA_TYPE", t: small},
		{name: "SQL_DATETIME_SUB", t: small},
		{name: "NUM_PREC_RADIX", t: whole},
		{name: "INTERVAL_PRECISION", t: small},
		{name: "USERTYPE", t: small},
	}
	x.s.columns(x.r, cols)
	n := int64(0)
	for _, t := range []struct {
		name string
		id   int64
		size int64
	}{
		{"nvarchar", -9, 4000},
		{"nchar", -8, 4000},
		{"bit", -7, 1},
		{"tinyint", -6, 3},
		{"bigint", -5, 19},
		{"varbinary", -3, 8000},
		{"binary", -2, 8000},
		{"char", 1, 8000},
		{"numeric", 2, 38},
		{"decimal", 3, 38},
		{"int", 4, 10},
		{"smallint", 5, 5},
		{"float", 6, 53},
		{"real", 7, 24},
		{"varchar", 12, 8000},
		{"datetime2", 93, 27},
		{"datetime", 11, 23},
	} {
		if want != 0 && want != t.id {
			continue
		}
		vals := make([]any, len(cols))
		vals[0], vals[1], vals[2], vals[6], vals[8], vals[12], vals[15] = t.name, t.id, t.size, int64(1), int64(3), t.name, t.id
		if err := x.s.row(x.r, cols, vals); err != nil {
			return 0, err
		}
		n++
	}
	x.done(cmdSelect, n, doneCount)
	return 0, nil
}

// declarations parses what sp_executesql and sp_prepare take as @params.
func declarations(text string) (out []param, e *Error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	words, e := lex(text, true)
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
	out = p.params()
	p.need(p.cur().kind == kEnd)
	return out, nil
}

func (p *parser) params() []param {
	var out []param
	for p.cur().kind == kVar {
		o := param{name: strings.ToLower(p.cur().s)}
		p.i++
		p.kw("AS")
		at := p.i
		parts := p.parts()
		if _, ok := typeNamed(parts[len(parts)-1], nil); ok || strings.EqualFold(parts[0], "national") || strings.EqualFold(parts[0], "double") {
			p.i = at
			o.t = p.typ()
		} else {
			o.t = sqlType{id: tTVP} // a table type
		}
		p.kw("READONLY")
		if p.op("=") {
			e := p.unary()
			o.def = &e
		}
		o.output = p.oneOf("OUTPUT", "OUT") != ""
		p.kw("READONLY")
		out = append(out, o)
		if !p.op(",") {
			break
		}
	}
	return out
}

// bind gives an exec the variables of a procedure, and returns what gives the output ones back.
func (x *exec) bind(proc string, params []param, args []*arg) (back func(), err error) {
	pairs := map[*arg]string{}
	for i, pa := range params {
		v := &value{t: pa.t}
		x.vars[pa.name] = v
		a := argNamed(args, pa.name, i)
		if a == nil || a.usual {
			if pa.def == nil {
				return nil, &Error{Number: 201, Class: 16, State: 4, Message: "Procedure or function '" + proc + "' expects parameter '" + pa.name + "', which was not supplied."}
			}
			d, err := pa.def.eval(&env{x: x})
			if err != nil {
				return nil, err
			}
			if d, err = x.s.convert(d, pa.t); err != nil {
				return nil, err
			}
			v.v = d.v
			continue
		}
		if t, ok := a.v.v.(tvp); ok {
			v.v = t
			continue
		}
		conv, err := x.s.convert(a.v, pa.t)
		if err != nil {
			return nil, err
		}
		v.v = conv.v
		if a.output {
			pairs[a] = pa.name
		}
	}
	if len(args) > len(params) {
		return nil, &Error{Number: 8144, Class: 16, State: 2, Message: "Procedure or function " + proc + " has too many arguments specified."}
	}
	for i, a := range args {
		if a.name != "" && !slices.ContainsFunc(params, func(p param) bool { return strings.EqualFold(p.name, a.name) }) {
			return nil, &Error{Number: 8145, Class: 16, State: 1, Message: args[i].name + " is not a parameter for procedure " + proc + "."}
		}
	}
	return func() {
		for a, name := range pairs {
			a.v = *x.vars[name]
		}
	}, nil
}

// scope is left with the options, the database and SCOPE_IDENTITY() that it was entered with, and without the tables and
// procedures that were made for the time of it: so it is with procedures and with dynamic SQL.
func (x *exec) scope() (leave func()) {
	s := x.s
	set, db, identity, tables, procs := maps.Clone(s.set), s.database, s.scopeIdentity, maps.Clone(s.temp), maps.Clone(s.tempProcs)
	resets := s.resetted.Load()
	return func() {
		if s.resetted.Load() != resets { // sp_reset_connection has left nothing to go back to
			return
		}
		if s.set["LANGUAGE"] != set["LANGUAGE"] {
			x.r.token(envStrings(envLanguage, set["LANGUAGE"], s.set["LANGUAGE"]))
		}
		if s.database != db {
			x.r.token(envStrings(envDatabase, db, s.database))
			s.use(db)
		}
		s.set, s.scopeIdentity = set, identity
		maps.DeleteFunc(s.temp, func(name string, _ *table) bool { _, was := tables[name]; return !was })
		maps.DeleteFunc(s.tempProcs, func(name string, _ *procedure) bool { _, was := procs[name]; return !was })
	}
}

// runText runs a procedure's text in an exec that is bound.
func runText(x *exec, text string, back func()) (int64, error) {
	leave := x.scope()
	err := x.text(text)
	leave()
	if errors.Is(err, errReturn) {
		err = nil
	}
	back()
	return x.status, err
}

func executeSQL(x *exec, args []*arg) (int64, error) {
	if len(args) == 0 {
		return 0, &Error{Number: 201, Class: 16, State: 10, Message: "Procedure or function 'sp_executesql' expects parameter '@statement', which was not supplied."}
	}
	decl := ""
	var rest []*arg
	if len(args) > 1 {
		decl, rest = args[1].v.String(), args[2:]
		if args[1].v.v == nil {
			decl = ""
		}
	}
	params, e := declarations(decl)
	if e != nil {
		return 0, e
	}
	back, err := x.bind("(@"+")", params, rest)
	if err != nil {
		return 0, err
	}
	status, err := runText(x, args[0].v.String(), back)
	if x.failed != 0 {
		status = int64(x.failed)
	}
	return status, err
}

func prepare(x *exec, args []*arg, and bool) (int64, error) {
	if len(args) < 3 {
		return 0, &Error{Number: 201, Class: 16, State: 10, Message: "Procedure or function 'sp_prepare' expects parameter '@stmt', which was not supplied."}
	}
	decl := ""
	if args[1].v.v != nil {
		decl = args[1].v.String()
	}
	params, e := declarations(decl)
	if e != nil {
		return 0, e
	}
	pr := &prepared{params, args[2].v.String()}
	if _, e := parse(pr.text, x.s.set["QUOTED_IDENTIFIER"] == "ON"); e != nil {
		x.sendError(e)
		return 0, &Error{Number: 8180, Class: 16, State: 1, Message: "Statement(s) could not be prepared."}
	}
	h := x.s.nextHandle
	x.s.nextHandle++
	x.s.prepared[h] = pr
	args[0].v = vInt(h)
	if !and {
		return 0, nil
	}
	return pr.run(x, args[3:])
}

func (pr *prepared) run(x *exec, args []*arg) (int64, error) {
	back, err := x.bind("(prepared)", pr.params, args)
	if err != nil {
		return 0, err
	}
	status, err := runText(x, pr.text, back)
	if x.failed != 0 {
		status = int64(x.failed)
	}
	return status, err
}

func (s *session) preparedOf(args []*arg) (int64, *prepared, error) {
	if len(args) == 0 {
		return 0, nil, &Error{Number: 201, Class: 16, State: 10, Message: "Procedure or function 'sp_execute' expects parameter '@handle', which was not supplied."}
	}
	h, _ := toInt(args[0].v)
	pr := s.prepared[h]
	if pr == nil {
		return h, nil, &Error{Number: 8179, Class: 16, State: 2, Message: "Could not find prepared statement with handle " + vInt(h).String() + "."}
	}
	return h, pr, nil
}

func executePrepared(x *exec, args []*arg) (int64, error) {
	_, pr, err := x.s.preparedOf(args)
	if err != nil {
		return 0, err
	}
	return pr.run(x, args[1:])
}

func unprepare(x *exec, args []*arg) (int64, error) {
	h, _, err := x.s.preparedOf(args)
	delete(x.s.prepared, h)
	return 0, err
}

func cursorOpen(x *exec, args []*arg) (int64, error) {
	if len(args) < 2 {
		return 0, &Error{Number: 201, Class: 16, State: 10, Message: "Procedure or function 'sp_cursoropen' expects parameter '@stmt', which was not supplied."}
	}
	list, e := lex(args[1].v.String(), true)
	if e != nil {
		return 0, e
	}
	var q *query
	if len(args) > 5 {
		params, e := declarations(args[5].v.String())
		if e != nil {
			return 0, e
		}
		if _, err := x.bind("(cursor)", params, args[6:]); err != nil {
			return 0, err
		}
	}
	if e = func() (e *Error) {
		defer func() {
			if r := recover(); r != nil {
				var ok bool
				if e, ok = r.(*Error); !ok {
					panic(r)
				}
			}
		}()
		p := &parser{words: list}
		q = p.selectQuery()
		p.op(";")
		p.need(p.cur().kind == kEnd)
		return nil
	}(); e != nil {
		return 0, e
	}
	c := &cursor{q: q}
	if err := c.fill(x); err != nil {
		return 0, err
	}
	h := 180150000 + x.s.nextHandle
	x.s.nextHandle++
	x.s.apiCursors[h] = c
	x.s.columns(x.r, c.cols)
	x.done(cmdSelect, 0, doneCount)
	args[0].v = vInt(h)
	if len(args) > 4 {
		args[4].v = vInt(int64(len(c.rows)))
	}
	return 0, nil
}

func (s *session) apiCursor(args []*arg) (int64, *cursor, error) {
	h := argInt(args, "@cursor", 0, 0)
	c := s.apiCursors[h]
	if c == nil {
		return h, nil, &Error{Number: 16909, Class: 16, State: 1, Message: "The cursor identifier value provided (" + vInt(h).String() + ") is not valid."}
	}
	return h, c, nil
}

func cursorFetch(x *exec, args []*arg) (int64, error) {
	_, c, err := x.s.apiCursor(args)
	if err != nil {
		return 0, err
	}
	kind := argInt(args, "@fetchtype", 1, 2)
	rownum, n := argInt(args, "@rownum", 2, 1), int(argInt(args, "@nrows", 3, 1))
	if kind == 0x100 { // information
		if len(args) > 3 {
			args[2].v, args[3].v = vInt(int64(c.pos+1)), vInt(int64(len(c.rows)))
		}
		return 0, nil
	}
	from := c.pos + 1
	switch kind {
	case 1:
		from = 0
	case 4:
		from = c.pos - n
	case 8:
		from = max(len(c.rows)-n, 0)
	case 0x10:
		from = int(rownum) - 1
	case 0x20:
		from = c.pos + int(rownum)
	}
	x.s.columns(x.r, c.cols)
	sent := int64(0)
	for i := range n {
		vals := c.row(from + i)
		if vals == nil {
			break
		}
		if err := x.s.row(x.r, c.cols, vals); err != nil {
			return 0, err
		}
		sent++
	}
	x.done(cmdSelect, sent, doneCount)
	return 0, nil
}

func cursorClose(x *exec, args []*arg) (int64, error) {
	h, _, err := x.s.apiCursor(args)
	delete(x.s.apiCursors, h)
	return 0, err
}

func lockArgs(args []*arg, owner int) (name string, transaction bool) {
	return argString(args, "@Resource", 0), !strings.EqualFold(argString(args, "@LockOwner", owner), "Session")
}

func getAppLock(x *exec, args []*arg) (int64, error) {
	name, transaction := lockArgs(args, 2)
	mode := argString(args, "@LockMode", 1)
	if name == "" || mode == "" {
		return -999, nil
	}
	if transaction && x.s.trancount == 0 {
		x.sendError(&Error{Number: 15247, Class: 16, State: 1, Message: "The statement or function must be executed in the context of a user transaction."})
		return -999, nil
	}
	timeout := argInt(args, "@LockTimeout", 3, x.s.number("LOCK_TIMEOUT"))
	shared := strings.EqualFold(mode, "Shared") || strings.EqualFold(mode, "IntentShared")
	deadline := time.Now().Add(time.Duration(timeout) * time.Millisecond)
	status := int64(0)
	for {
		ok, freed := x.s.srv.store.lock(x.s, name, shared, transaction)
		if ok {
			return status, nil
		}
		status = 1
		left := time.Duration(-1)
		if timeout >= 0 {
			if left = time.Until(deadline); left <= 0 {
				return -1, nil
			}
		}
		if err := x.s.wait(left, freed); err != nil {
			return 0, err
		}
	}
}

func releaseAppLock(x *exec, args []*arg) (int64, error) {
	name, transaction := lockArgs(args, 1)
	if !x.s.srv.store.unlock(x.s, name, transaction) {
		x.sendError(&Error{Number: 1223, Class: 16, State: 1, Message: "Cannot release the application lock (Database Principal: 'public', Resource: '" + name + "') because it is not currently held."})
		return -999, nil
	}
	return 0, nil
}

func setSessionContext(x *exec, args []*arg) (int64, error) {
	key := strings.ToLower(argString(args, "@key", 0))
	v := argNamed(args, "@value", 1)
	if key == "" || v == nil {
		return 1, &Error{Number: 15666, Class: 16, State: 1, Message: "Cannot set a key with an empty name in the session context."}
	}
	if x.s.readOnly[key] {
		return 1, &Error{Number: 15664, Class: 16, State: 1, Message: "Cannot set key '" + key + "' in the session context. The key has been set as read_only for this session."}
	}
	if inner, ok := v.v.v.(variant); ok {
		x.s.context[key] = inner.value
	} else {
		x.s.context[key] = v.v
	}
	x.s.readOnly[key] = argInt(args, "@read_only", 2, 0) != 0
	return 0, nil
}

// call runs a procedure inside of an exec of its own. An error of T-SQL's is sent, unless outer catches errors.
func (x *exec) call(parts []string, args []*arg) (int64, error) {
	name := strings.ToLower(parts[len(parts)-1])
	if f := builtin[name]; f != nil {
		status, err := f(x, args)
		return x.finish(status, err)
	}
	leave := x.s.srv.store.enter(x.s)
	db := x.s.database
	if len(parts) >= 3 && parts[len(parts)-3] != "" {
		db = parts[len(parts)-3]
	}
	var proc *procedure
	if d := x.s.srv.store.dbs[strings.ToLower(db)]; d != nil {
		proc = d.procs[name]
	}
	if strings.HasPrefix(name, "#") {
		proc = x.s.tempProcs[name]
	}
	leave()
	if proc == nil {
		return x.finish(0, &Error{Number: 2812, Class: 16, State: 62, Message: "Could not find stored procedure '" + strings.Join(parts, ".") + "'."})
	}
	back, err := x.bind(name, proc.params, args)
	if err != nil {
		return x.finish(0, err)
	}
	for i, a := range args { // what comes back has the procedure's names
		if a.name == "" && i < len(proc.params) {
			a.name = proc.params[i].name
		}
	}
	return x.finish(runText(x, proc.body, back))
}

func (x *exec) finish(status int64, err error) (int64, error) {
	var e *Error
	if errors.As(err, &e) && x.trying == 0 {
		x.sendError(e)
		if x.s.set["XACT_ABORT"] == "ON" {
			x.s.rollbackEnv(x.r)
			return status, errAbort
		}
		return status, nil
	}
	return status, err
}

// execute takes what follows EXEC.
func (p *parser) execute() stmt {
	if p.isOp("(") {
		p.i++
		e := p.expr()
		p.need(p.op(")"))
		return run(func(x *exec) error {
			v, err := e.eval(&env{x: x})
			if err != nil {
				return err
			}
			in := &exec{s: x.s, r: x.r, vars: map[string]*value{}, inProc: x.inProc, nest: x.nest + 1, trying: x.trying}
			leave := in.scope()
			err = in.text(v.String())
			leave()
			return x.inner(in, err)
		})
	}
	rc := ""
	if w := p.cur(); w.kind == kVar && p.peek().s == "=" {
		p.i += 2
		rc = w.s
	}
	parts := p.parts()
	type given struct {
		a arg
		e *expr
		v string
	}
	var all []given
	for w := p.cur(); w.kind != kEnd && !p.isOp(";") && !isReserved(w) || p.isKw("DEFAULT"); w = p.cur() {
		var g given
		if w.kind == kVar && p.peek().s == "=" {
			p.i += 2
			g.a.name = w.s
		}
		switch w := p.cur(); {
		case p.kw("DEFAULT"):
			g.a.usual = true
		case w.kind == kName && w.up != "NULL" && !isReserved(w): // a word is a string here
			p.i++
			e := constant(vString(w.s))
			g.e = &e
		default:
			if w.kind == kVar {
				g.v = w.s
			}
			e := p.unary()
			g.e = &e
		}
		g.a.output = p.oneOf("OUTPUT", "OUT") != ""
		all = append(all, g)
		if !p.op(",") {
			break
		}
	}
	if p.kw("WITH") {
		p.need(p.kw("RECOMPILE"))
	}
	return run(func(x *exec) error {
		var args []*arg
		for _, g := range all {
			a := g.a
			if g.e != nil {
				v, err := g.e.eval(&env{x: x})
				if err != nil {
					return err
				}
				a.v = v
			}
			if a.output {
				a.set = g.v
			}
			args = append(args, &a)
		}
		if x.nest >= 32 {
			return &Error{Number: 217, Class: 16, State: 1, Message: "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32)."}
		}
		in := &exec{s: x.s, r: x.r, vars: map[string]*value{}, inProc: true, nest: x.nest + 1, trying: x.trying}
		status, err := in.call(parts, args)
		if err := x.inner(in, err); err != nil {
			return err
		}
		for _, a := range args {
			if a.set != "" {
				if err := x.setVar(a.set, a.v); err != nil {
					return err
				}
			}
		}
		if rc != "" {
			if err := x.setVar(rc, vInt(status)); err != nil {
				return err
			}
		}
		if x.inProc {
			return nil
		}
		x.r.token(returnStatus(status))
		x.r.last(x.s.doneToken(tokenDoneProc, 0, cmdExec, 0))
		return nil
	})
}

// inner decides what an inner exec's end means for the outer one.
func (x *exec) inner(in *exec, err error) error {
	if in.failed != 0 {
		x.failed = in.failed
	}
	switch {
	case errors.Is(err, errReturn):
		return nil
	case errors.Is(err, errAbort) && slices.Contains([]int32{208, 207, 102}, in.failed) && x.s.set["XACT_ABORT"] != "ON":
		return nil // that ends the inner text alone
	}
	return err
}

func returnStatus(n int64) []byte {
	return []byte{tokenReturnStatus, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
}

// createProc takes CREATE PROCEDURE, up to the end of the batch; PROCEDURE has been taken.
func (p *parser) createProc() stmt {
	parts := p.parts()
	paren := p.op("(")
	params := p.params()
	if paren {
		p.need(p.op(")"))
	}
	if p.kw("WITH") {
		p.ident()
	}
	w := p.cur()
	p.need(w.kind == kName && w.up == "AS")
	body, text := string(p.text[w.to:]), string(p.text)
	p.i = len(p.words) - 1
	if _, e := parse(body, true); e != nil {
		panic(e)
	}
	name := strings.ToLower(parts[len(parts)-1])
	return plain(cmdCreate, func(x *exec) error {
		return x.atomic(func() error {
			in := x.procs(name)
			was, had := in[name]
			made := &procedure{params: params, body: body, name: parts[len(parts)-1], text: text}
			if d := x.s.srv.store.dbs[strings.ToLower(x.s.database)]; d != nil {
				d.made++
				made.id = 1000 + d.made
			}
			in[name] = made
			x.s.undo = append(x.s.undo, func() {
				if delete(in, name); had {
					in[name] = was
				}
			})
			return nil
		})
	})
}

func (x *exec) procs(name string) map[string]*procedure {
	if strings.HasPrefix(name, "#") {
		return x.s.tempProcs
	}
	return x.s.srv.store.dbs[strings.ToLower(x.s.database)].procs
}

func (x *exec) dropProc(parts []string, exists bool) error {
	name := strings.ToLower(parts[len(parts)-1])
	in := x.procs(name)
	was, ok := in[name]
	if !ok {
		if exists {
			return nil
		}
		return &Error{Number: 3701, Class: 11, State: 5, Message: "Cannot drop the procedure '" + strings.Join(parts, ".") + "', because it does not exist or you do not have permission."}
	}
	delete(in, name)
	x.s.undo = append(x.s.undo, func() { in[name] = was })
	return nil
}
