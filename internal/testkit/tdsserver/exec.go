package tdsserver

import (
	"crypto/rand"
	"errors"
	"math/big"
	"slices"
	"strings"
)

// exec runs a batch or what a procedure holds.
type exec struct {
	s      *session
	r      *reply
	vars   map[string]*value // by their names in small letters, with @
	inProc bool              // DONEINPROC in place of DONE
	nest   int
	status int64 // what RETURN returned

	cursors    map[string]*cursor // local ones
	tables     map[string]*table  // table variables, by their names in small letters, with @
	fetched    int64
	cursorRows int64
	trying     int
	caught     *Error
	failed     int32 // the number of the last error that was sent
}

var (
	errAbort    = errors.New("the batch has ended with an error that is sent")
	errReturn   = errors.New("return")
	errBreak    = errors.New("break")
	errContinue = errors.New("continue")
)

// stmt is a statement.
type stmt struct {
	line   int
	always bool   // runs under NOEXEC too
	option string // SHOWPLAN_* or PARSEONLY, which it sets
	on     string // to what
	run    func(x *exec) error
}

// batch runs a text and answers it. An error is not of T-SQL's.
func (x *exec) batch(text string) error {
	err := x.text(text)
	if errors.Is(err, errAbort) || errors.Is(err, errReturn) {
		return nil
	}
	return err
}

func (x *exec) text(text string) error {
	list, e := parse(text, x.s.set["QUOTED_IDENTIFIER"] == "ON")
	if e != nil {
		x.sendError(e)
		return errAbort
	}
	for _, st := range list {
		switch {
		case st.option == "PARSEONLY": // is obeyed while the text is parsed
			x.s.set["PARSEONLY"] = st.on
		case st.option != "" && len(list) > 1:
			x.sendError(&Error{Number: 1067, Class: 15, State: 1, Message: "The SET SHOWPLAN statements must be the only statements in the batch.", Line: st.line})
			return errAbort
		}
	}
	return x.runList(list)
}

func (x *exec) sendError(e *Error) {
	x.s.errno, x.failed, x.s.rowcount = e.Number, e.Number, 0
	x.r.token(x.s.messageToken(tokenError, e))
	x.done(cmdSelect, 0, doneError)
}

// done says that a statement has ended; it is kept back until it is known what comes next.
func (x *exec) done(cmd uint16, rows int64, status uint16) {
	kind := byte(tokenDone)
	if x.inProc {
		kind = tokenDoneInProc
		status |= doneMore
	}
	if x.s.set["NOCOUNT"] == "ON" {
		if status&doneCount != 0 && x.inProc && cmd != cmdSelect {
			return
		}
		status &^= doneCount
	}
	x.r.last(x.s.doneToken(kind, status, cmd, rows))
}

func (x *exec) runList(list []stmt) error {
	for _, st := range list {
		if x.s.interrupted() {
			return errAttention
		}
		if !st.always {
			if x.s.set["NOEXEC"] == "ON" || x.s.set["PARSEONLY"] == "ON" {
				continue
			}
			if plan := x.s.planned(); plan != "" {
				x.s.columns(x.r, []outCol{{name: "StmtText", t: nvarchar(4000)}})
				x.done(cmdSelect, 0, doneCount)
				continue
			}
		}
		err := st.run(x)
		var e *Error
		switch {
		case err == nil:
			continue
		case !errors.As(err, &e):
			return err
		}
		if e.Line == 0 {
			e.Line = st.line
		}
		x.s.errno = e.Number
		thrown := errors.Is(err, errThrown)
		if x.trying > 0 && e.Class < 20 {
			if x.s.trancount > 0 && (x.s.set["XACT_ABORT"] == "ON" && !isRaised(err)) {
				x.s.doomed = true
			}
			return err
		}
		x.sendError(e)
		if x.s.set["XACT_ABORT"] == "ON" && !isRaised(err) {
			x.s.rollbackEnv(x.r)
			x.done(cmdRollback, 0, doneError)
			return errAbort
		}
		if thrown || slices.Contains([]int32{208, 245, 241, 8114, 2715, 137, 3930}, e.Number) {
			return errAbort
		}
		if e.Class >= 20 {
			return errAbort
		}
	}
	return nil
}

func (s *session) planned() string {
	for _, o := range []string{"SHOWPLAN_ALL", "SHOWPLAN_TEXT", "SHOWPLAN_XML"} {
		if s.set[o] == "ON" {
			return o
		}
	}
	return ""
}

// raised is an error of RAISERROR's, which XACT_ABORT does not care for, or of THROW's.
type raised struct {
	e      *Error
	thrown bool
}

var errThrown = errors.New("throw")

func (r *raised) Error() string        { return r.e.Message }
func (r *raised) Unwrap() error        { return r.e }
func (r *raised) Is(target error) bool { return target == errThrown && r.thrown }

func isRaised(err error) bool {
	var r *raised
	return errors.As(err, &r) && !r.thrown
}

// implicit begins a transaction where IMPLICIT_TRANSACTIONS has one begin.
func (x *exec) implicit() {
	if x.s.set["IMPLICIT_TRANSACTIONS"] == "ON" && x.s.trancount == 0 {
		x.s.begin(x.r, !x.s.srv.o.NoTransactionEnv)
	}
}

// atomic runs what changes tables, undoes it if it fails, and keeps how to undo it inside of a transaction.
func (x *exec) atomic(f func() error) error {
	x.implicit()
	defer x.s.srv.store.enter(x.s)()
	n := len(x.s.undo)
	if err := f(); err != nil {
		for _, u := range slices.Backward(x.s.undo[n:]) {
			u()
		}
		x.s.undo = x.s.undo[:n]
		return err
	}
	if x.s.trancount == 0 {
		x.s.undo = nil
	}
	return nil
}

// outCol is a column of a result.
type outCol struct {
	name     string
	t        sqlType
	notNull  bool
	identity bool
	table    string
}

// columns sends COLMETADATA, with the types that the session's version knows.
func (s *session) columns(r *reply, cols []outCol) {
	b := []byte{tokenColMetaData, byte(len(cols)), byte(len(cols) >> 8)}
	for _, c := range cols {
		flags := byte(0x08)
		if !c.notNull {
			flags |= 0x01
		}
		if c.identity {
			flags |= 0x10
		}
		if rank(s.version) >= 72 {
			b = append(b, 0, 0, 0, 0)
		} else {
			b = append(b, 0, 0)
		}
		b = append(b, flags, 0)
		t := s.known(c.t)
		b = s.appendType(b, t, c.notNull)
		if t.long() {
			if rank(s.version) >= 72 {
				b = append(b, 1)
			}
			b = usString(b, c.table)
		}
		b = bString(b, c.name)
	}
	r.token(b)
}

// row sends a ROW, or an NBCROW where there is a NULL and the version has it.
func (s *session) row(r *reply, cols []outCol, vals []any) error {
	var b []byte
	nbc := s.version >= v73b || s.version == v80
	if nbc = nbc && slices.Contains(vals, nil); nbc {
		b = append(b, tokenNBCRow)
		bits := make([]byte, (len(cols)+7)/8)
		for i, v := range vals {
			if v == nil {
				bits[i/8] |= 1 << (i % 8)
			}
		}
		b = append(b, bits...)
	} else {
		b = append(b, tokenRow)
	}
	for i, c := range cols {
		if vals[i] == nil && nbc {
			continue
		}
		t, v := s.known(c.t), vals[i]
		if t != c.t && v != nil {
			conv, err := s.convert(value{c.t, v}, t)
			if err != nil {
				return err
			}
			v = conv.v
		}
		b = s.appendValue(b, t, v, c.notNull, inRow)
	}
	r.token(b)
	return r.err
}

func newGUID() guid {
	var g guid
	_, _ = rand.Read(g[:])
	return g
}

// query is a SELECT.
type query struct {
	items   []item
	top     *expr
	from    *source
	where   cond
	order   []ordering
	into    []string
	assigns bool
	offset  *expr
	limit   *expr
	union   *query
}

type item struct {
	e      expr
	name   string
	assign string // the variable
	star   bool
}

type ordering struct {
	e    expr
	desc bool
	nth  int // of the items, from 1
}

// source is what stands after FROM.
type source struct {
	parts []string
	args  []expr
	fn    bool
	v     string  // a table variable
	cross *source // CROSS JOIN
}

// opened is a source's columns and rows.
type opened struct {
	cols  []column
	each  func(yield func([]any) error) error
	table string
}

func (src *source) open(x *exec) (*opened, error) {
	o, err := src.openAlone(x)
	if err != nil || src.cross == nil {
		return o, err
	}
	other, err := src.cross.open(x)
	if err != nil {
		return nil, err
	}
	return &opened{cols: slices.Concat(o.cols, other.cols), each: func(yield func([]any) error) error {
		return o.each(func(left []any) error {
			return other.each(func(right []any) error { return yield(slices.Concat(left, right)) })
		})
	}}, nil
}

func (src *source) openAlone(x *exec) (*opened, error) {
	s := x.s
	if t := x.tables[strings.ToLower(src.v)]; t != nil {
		return &opened{cols: t.cols, table: t.name, each: rowsOf(t)}, nil
	}
	if src.v != "" {
		o := &opened{each: func(func([]any) error) error { return nil }}
		v := x.vars[strings.ToLower(src.v)]
		if v == nil {
			return nil, &Error{Number: 1087, Class: 15, State: 2, Message: "Must declare the table variable \"" + src.v + "\"."}
		}
		t, ok := v.v.(tvp)
		if !ok || len(t.rows) == 0 {
			return o, nil
		}
		for i, c := range t.rows[0] {
			o.cols = append(o.cols, column{name: "c" + vInt(int64(i+1)).String(), t: c.t})
		}
		o.each = func(yield func([]any) error) error {
			for _, r := range t.rows {
				vals := make([]any, len(r))
				for i := range r {
					vals[i] = r[i].v
				}
				if err := yield(vals); err != nil {
					return err
				}
			}
			return nil
		}
		return o, nil
	}
	name := strings.ToLower(src.parts[len(src.parts)-1])
	if src.fn {
		if name != "numbers" || len(src.args) != 1 {
			return nil, &Error{Number: 208, Class: 16, State: 3, Message: "Invalid object name '" + strings.Join(src.parts, ".") + "'."}
		}
		v, err := src.args[0].eval(&env{x: x})
		if err != nil {
			return nil, err
		}
		n, ok := toInt(v)
		if !ok {
			return nil, conversionError(v, typeBigint)
		}
		return &opened{cols: []column{{name: "n", t: typeInt, notNull: true}}, each: func(yield func([]any) error) error {
			for i := int64(1); i <= n; i++ {
				if err := yield([]any{i}); err != nil {
					return err
				}
			}
			return nil
		}}, nil
	}
	if o := src.view(s, name); o != nil {
		return o, nil
	}
	defer s.srv.store.enter(s)()
	t, _ := s.srv.store.lookup(s, src.parts)
	if t == nil {
		return nil, noObject(src.parts)
	}
	return &opened{cols: t.cols, table: t.name, each: rowsOf(t)}, nil
}

// rowsOf goes through the rows as they are now. The store's mu is held for the call, not for what it returns.
func rowsOf(t *table) func(func([]any) error) error {
	var all [][]any
	for _, r := range t.rows {
		all = append(all, r.vals)
	}
	return eachOf(all)
}

func eachOf(all [][]any) func(func([]any) error) error {
	return func(yield func([]any) error) error {
		for _, vals := range all {
			if err := yield(vals); err != nil {
				return err
			}
		}
		return nil
	}
}

func noObject(parts []string) *Error {
	return &Error{Number: 208, Class: 16, State: 1, Message: "Invalid object name '" + strings.Join(parts, ".") + "'."}
}

var levelNumbers = map[string]int64{"READ UNCOMMITTED": 1, "READ COMMITTED": 2, "REPEATABLE READ": 3, "SERIALIZABLE": 4, "SNAPSHOT": 5}

// view opens the few system views that there are; nil: it is none.
func (src *source) view(s *session, name string) *opened {
	schema := ""
	if n := len(src.parts); n > 1 {
		schema = strings.ToLower(src.parts[n-2])
	}
	sysName := nvarchar(128)
	switch {
	case schema == "sys" && name == "dm_exec_sessions":
		s.srv.mu.Lock()
		defer s.srv.mu.Unlock()
		// What is not this session's own is owned by another goroutine: only what is fixed at the log-in is shown of it.
		var rows [][]any
		for spid, other := range s.srv.sessions {
			vals := []any{int64(spid), other.user, other.l.app, nil, nil, nil, other.database, nil, nil}
			if other == s {
				ci := s.contextInfo
				if ci == nil {
					ci = []byte{}
				}
				vals = []any{int64(spid), s.user, s.l.app, levelNumbers[s.set["TRANSACTION ISOLATION LEVEL"]], int64(s.trancount), s.set["LANGUAGE"], s.database, s.set["DATEFORMAT"], ci}
			}
			rows = append(rows, vals)
		}
		return &opened{cols: []column{
			{name: "session_id", t: typeSmall, notNull: true},
			{name: "login_name", t: sysName},
			{name: "program_name", t: sysName},
			{name: "transaction_isolation_level", t: typeSmall},
			{name: "open_transaction_count", t: typeInt},
			{name: "language", t: sysName},
			{name: "database_name", t: sysName},
			{name: "date_format", t: sysName},
			{name: "context_info", t: varbinary(128)},
		}, each: eachOf(rows)}
	case schema == "sys" && name == "all_columns": // as many rows as a server has at least
		rows := make([][]any, 4096)
		for i := range rows {
			rows[i] = []any{int64(i)}
		}
		return &opened{cols: []column{{name: "object_id", t: typeInt}}, each: eachOf(rows)}
	case schema == "sys" && name == "databases":
		defer s.srv.store.enter(s)()
		var rows [][]any
		for _, d := range s.srv.store.dbs {
			rows = append(rows, []any{d.name, "ONLINE", false, "SQL_Latin1_General_CP1_CI_AS"})
		}
		return &opened{cols: []column{{name: "name", t: sysName}, {name: "state_desc", t: sysName}, {name: "is_read_only", t: typeBit}, {name: "collation_name", t: sysName}}, each: eachOf(rows)}
	case schema == "sys" && (name == "tables" || name == "objects") || name == "sysobjects":
		defer s.srv.store.enter(s)()
		db := s.database
		if n := len(src.parts); n > 2 {
			db = src.parts[n-3]
		}
		var rows [][]any
		add := func(t *table) { rows = append(rows, []any{t.name, t.id(), t.id(), "U ", int64(1)}) }
		if d := s.srv.store.dbs[strings.ToLower(db)]; d != nil {
			for _, t := range d.tables {
				add(t)
			}
			for _, p := range d.procs {
				if name == "objects" {
					rows = append(rows, []any{p.name, p.id, p.id, "P ", int64(1)})
				}
			}
		}
		if strings.EqualFold(db, "tempdb") {
			for _, t := range s.srv.store.global {
				add(t)
			}
			for _, t := range s.temp {
				add(t)
			}
		}
		return &opened{cols: []column{{name: "name", t: sysName}, {name: "object_id", t: typeInt}, {name: "id", t: typeInt}, {name: "type", t: sqlType{id: tChar, size: 2}}, {name: "schema_id", t: typeInt}}, each: eachOf(rows)}
	case schema == "sys" && name == "sql_modules":
		defer s.srv.store.enter(s)()
		var rows [][]any
		for _, p := range s.srv.store.dbs[strings.ToLower(s.database)].procs {
			rows = append(rows, []any{p.id, p.text, true})
		}
		return &opened{cols: []column{{name: "object_id", t: typeInt}, {name: "definition", t: nvarchar(4001)}, {name: "uses_quoted_identifier", t: typeBit}}, each: eachOf(rows)}
	case schema == "sys" && name == "system_objects":
		var rows [][]any
		for p := range builtin {
			rows = append(rows, []any{p, "P "})
		}
		return &opened{cols: []column{{name: "name", t: sysName}, {name: "type", t: sqlType{id: tChar, size: 2}}}, each: eachOf(rows)}
	case schema == "sys" && emptyViews[name] != "": // there are none of these
		var cols []column
		for c := range strings.FieldsSeq(emptyViews[name]) {
			t := typeInt
			if strings.HasSuffix(c, "name") || c == "state" || c == "type" {
				t = sysName
			}
			cols = append(cols, column{name: c, t: t})
		}
		return &opened{cols: cols, each: eachOf(nil)}
	}
	return nil
}

// emptyViews are the columns of views that have no rows.
var emptyViews = map[string]string{
	"triggers": "object_id parent_id parent_class", "synonyms": "schema_id name base_object_name",
	"foreign_keys":         "parent_object_id referenced_object_id delete_referential_action update_referential_action",
	"database_permissions": "state type",
}

// result is a query's columns and rows, which are made as they are asked for.
type result struct {
	cols []outCol
	each func(yield func([]any) error) error
}

var errEnough = errors.New("enough")

// open finds out a query's columns.
func (q *query) open(x *exec) (*result, error) {
	src := &opened{each: func(yield func([]any) error) error { return yield(nil) }}
	if q.from != nil {
		var err error
		if src, err = q.from.open(x); err != nil {
			return nil, err
		}
	}
	return q.openOn(x, src)
}

// openOn is open where the source is open already.
func (q *query) openOn(x *exec, src *opened) (*result, error) {
	var items []item
	agg := false
	for _, it := range q.items {
		if !it.star {
			items = append(items, it)
			agg = agg || it.e.agg
			continue
		}
		if src.cols == nil {
			return nil, &Error{Number: 263, Class: 16, State: 1, Message: "Must specify table to select from."}
		}
		for i, c := range src.cols {
			items = append(items, item{name: c.name, e: expr{col: c.name, eval: func(e *env) (value, error) {
				if e.vals == nil {
					return value{c.t, nil}, nil
				}
				return value{c.t, e.vals[i]}, nil
			}}})
		}
	}
	res := &result{}
	var failure error
	first := make([]value, len(items))
	for i, it := range items {
		v, err := it.e.eval(&env{x: x, cols: src.cols})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Number == 207 || e.Number == 137 {
				return nil, err
			}
			failure, v = err, value{typeInt, nil}
		}
		first[i] = v
		oc := outCol{name: it.name, t: v.t, notNull: it.e.notNull, table: src.table}
		for _, c := range src.cols {
			if strings.EqualFold(c.name, it.e.col) {
				oc.notNull, oc.identity = c.notNull, c.identity
			}
		}
		if v.t.id == 0 {
			oc.t = typeInt
		}
		res.cols = append(res.cols, oc)
	}
	if failure != nil && src.cols != nil {
		failure = nil // of the row that is none
	}
	one := func(vals []any, e *env) ([]any, error) {
		out := make([]any, len(items))
		for i, it := range items {
			v := first[i]
			if src.cols != nil || q.assigns {
				var err error
				if v, err = it.e.eval(e); err != nil {
					return nil, err
				}
			}
			conv, err := x.s.convert(v, res.cols[i].t)
			if err != nil {
				return nil, err
			}
			if out[i] = conv.v; res.cols[i].notNull && conv.v == nil {
				return nil, &Error{Number: 8115, Class: 16, State: 2, Message: "NULL in a column that has none"}
			}
		}
		return out, nil
	}
	matching := func(yield func([]any) error) error {
		return src.each(func(vals []any) error {
			if x.s.interrupted() {
				return errAttention
			}
			if q.where != nil {
				t, err := q.where(&env{x: x, cols: src.cols, vals: vals})
				if err != nil || t != yes {
					return err
				}
			}
			return yield(vals)
		})
	}
	limit, skip := int64(-1), int64(0)
	for _, l := range []struct {
		e  *expr
		to *int64
	}{{q.top, &limit}, {q.limit, &limit}, {q.offset, &skip}} {
		if l.e == nil {
			continue
		}
		v, err := l.e.eval(&env{x: x})
		if err != nil {
			return nil, err
		}
		n, ok := toInt(v)
		if !ok {
			return nil, conversionError(v, typeBigint)
		}
		*l.to = n
	}
	if n := x.s.number("ROWCOUNT"); n > 0 && (limit < 0 || n < limit) {
		limit = n
	}
	res.each = func(yield func([]any) error) error {
		if failure != nil {
			return failure
		}
		n := int64(0)
		counted := func(out []any) error {
			if n++; n <= skip {
				return nil
			}
			if limit >= 0 && n-skip > limit {
				return errEnough
			}
			return yield(out)
		}
		err := func() error {
			switch {
			case limit == 0:
				return nil
			case agg:
				var rows [][]any
				if err := matching(func(vals []any) error { rows = append(rows, vals); return nil }); err != nil {
					return err
				}
				out, err := one(nil, &env{x: x, cols: src.cols, rows: rows})
				if err != nil {
					return err
				}
				return counted(out)
			case len(q.order) == 0:
				return matching(func(vals []any) error {
					out, err := one(vals, &env{x: x, cols: src.cols, vals: vals})
					if err != nil {
						return err
					}
					return counted(out)
				})
			}
			type sorted struct {
				out  []any
				keys []value
			}
			var all []sorted
			err := matching(func(vals []any) error {
				e := &env{x: x, cols: src.cols, vals: vals}
				out, err := one(vals, e)
				if err != nil {
					return err
				}
				row := sorted{out: out}
				for _, o := range q.order {
					var key value
					nth := o.nth - 1
					for i, it := range items {
						if o.e.col != "" && strings.EqualFold(it.name, o.e.col) {
							nth = i
						}
					}
					if nth >= 0 && nth < len(out) {
						key = value{res.cols[nth].t, out[nth]}
					} else if key, err = o.e.eval(e); err != nil {
						return err
					}
					row.keys = append(row.keys, key)
				}
				all = append(all, row)
				return nil
			})
			if err != nil {
				return err
			}
			slices.SortStableFunc(all, func(a, b sorted) int {
				for i, o := range q.order {
					var n int
					switch ka, kb := a.keys[i], b.keys[i]; {
					case ka.v == nil && kb.v == nil:
					case ka.v == nil:
						n = -1
					case kb.v == nil:
						n = 1
					default:
						n, _ = x.s.compare(ka, kb)
					}
					if o.desc {
						n = -n
					}
					if n != 0 {
						return n
					}
				}
				return 0
			})
			for _, row := range all {
				if err := counted(row.out); err != nil {
					return err
				}
			}
			return nil
		}()
		if errors.Is(err, errEnough) {
			err = nil
		}
		if err == nil && q.union != nil {
			more, err := q.union.open(x)
			if err != nil {
				return err
			}
			if len(more.cols) != len(res.cols) {
				return &Error{Number: 205, Class: 16, State: 1, Message: "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists."}
			}
			return more.each(func(vals []any) error {
				out := make([]any, len(vals))
				for i := range vals {
					v, err := x.s.convert(value{more.cols[i].t, vals[i]}, res.cols[i].t)
					if err != nil {
						return err
					}
					out[i] = v.v
				}
				return yield(out)
			})
		}
		return err
	}
	if q.union != nil {
		for i := range res.cols {
			res.cols[i].notNull = false
		}
	}
	return res, nil
}

// scalar is the one value of a query in an expression.
func (q *query) scalar(x *exec) (value, error) {
	res, err := q.open(x)
	if err != nil {
		return value{}, err
	}
	v := value{t: res.cols[0].t}
	err = res.each(func(vals []any) error { v.v = vals[0]; return errEnough })
	if errors.Is(err, errEnough) {
		err = nil
	}
	return v, err
}

func (q *query) count(x *exec) (n int64, err error) {
	res, err := q.open(x)
	if err != nil {
		return 0, err
	}
	err = res.each(func([]any) error { n++; return nil })
	return n, err
}

// run answers a SELECT statement.
func (q *query) run(x *exec) error {
	if q.from != nil {
		x.implicit()
	}
	res, err := q.open(x)
	if err != nil {
		return err
	}
	n := int64(0)
	switch {
	case q.assigns:
		if err := res.each(func(vals []any) error {
			n++
			return x.assign(q, res, vals)
		}); err != nil {
			return err
		}
		x.s.rowcount, x.s.errno = n, 0
		x.done(cmdSelect, n, doneCount)
		return nil
	case q.into != nil:
		return q.intoTable(x, res)
	}
	x.s.columns(x.r, res.cols)
	if x.s.set["FMTONLY"] != "ON" {
		if err := res.each(func(vals []any) error {
			n++
			return x.s.row(x.r, res.cols, vals)
		}); err != nil {
			return err
		}
	}
	x.s.rowcount, x.s.errno = n, 0
	x.done(cmdSelect, n, doneCount)
	return nil
}

func (x *exec) assign(q *query, res *result, vals []any) error {
	for i, it := range q.items {
		if it.assign == "" {
			continue
		}
		if err := x.setVar(it.assign, value{res.cols[i].t, vals[i]}); err != nil {
			return err
		}
	}
	return nil
}

func (x *exec) setVar(name string, v value) error {
	to := x.vars[strings.ToLower(name)]
	if to == nil {
		return &Error{Number: 137, Class: 15, State: 1, Message: "Must declare the scalar variable \"" + name + "\"."}
	}
	conv, err := x.s.convert(v, to.t)
	if err != nil {
		return err
	}
	to.v = conv.v
	return nil
}

func (q *query) intoTable(x *exec, res *result) error {
	t := &table{name: q.into[len(q.into)-1], step: 1, owner: x.s}
	for _, c := range res.cols {
		t.cols = append(t.cols, column{name: c.name, t: c.t, notNull: c.notNull})
	}
	var rows [][]any
	if err := res.each(func(vals []any) error { rows = append(rows, vals); return nil }); err != nil {
		return err
	}
	if err := x.atomic(func() error {
		if err := x.create(q.into, t); err != nil {
			return err
		}
		for _, vals := range rows {
			if err := t.insert(x.s, vals); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	x.s.rowcount, x.s.errno = int64(len(rows)), 0
	x.done(cmdSelect, int64(len(rows)), doneCount)
	return nil
}

// create puts a table where its name says. The store's mu is held.
func (x *exec) create(parts []string, t *table) error {
	old, in := x.s.srv.store.lookup(x.s, parts)
	if in == nil {
		return &Error{Number: 2702, Class: 16, State: 2, Message: "Database '" + parts[0] + "' does not exist."}
	}
	if old != nil {
		return &Error{Number: 2714, Class: 16, State: 6, Message: "There is already an object named '" + t.name + "' in the database."}
	}
	name := strings.ToLower(t.name)
	in[name] = t
	x.s.undo = append(x.s.undo, func() { delete(in, name) })
	return nil
}

// drop takes a table away. The store's mu is held.
func (x *exec) drop(parts []string, exists bool) error {
	t, in := x.s.srv.store.lookup(x.s, parts)
	if t == nil {
		if exists {
			return nil
		}
		return &Error{Number: 3701, Class: 11, State: 5, Message: "Cannot drop the table '" + strings.Join(parts, ".") + "', because it does not exist or you do not have permission."}
	}
	name := strings.ToLower(t.name)
	delete(in, name)
	x.s.undo = append(x.s.undo, func() { in[name] = t })
	return nil
}

// noIdentity is what a statement that inserts into a table without an identity column does.
func (s *session) noIdentity() {
	s.identity.v, s.scopeIdentity.v = nil, nil
}

// identityValue is a value of an identity column's as @@IDENTITY has it.
func (s *session) identityValue(n int64) value {
	return value{s.identity.t, decimal{big.NewInt(n), 0}}
}

// insertRows puts rows with values for some columns into a table. The store's mu is held.
func (x *exec) insertRows(t *table, cols []int, rows [][]value) ([][]any, error) {
	manual := strings.EqualFold(x.s.set["IDENTITY_INSERT"], t.name)
	if !slices.ContainsFunc(t.cols, func(c column) bool { return c.identity }) {
		x.s.noIdentity()
	}
	var out [][]any
	for _, in := range rows {
		if len(in) != len(cols) {
			return nil, &Error{Number: 213, Class: 16, State: 1, Message: "Column name or number of supplied values does not match table definition."}
		}
		vals := make([]any, len(t.cols))
		given := make([]bool, len(t.cols))
		for i, c := range cols {
			if t.cols[c].identity && !manual {
				return nil, &Error{Number: 544, Class: 16, State: 1, Message: "Cannot insert explicit value for identity column in table '" + t.name + "' when IDENTITY_INSERT is set to OFF."}
			}
			v, err := x.s.convert(in[i], t.cols[c].t)
			if err != nil {
				return nil, err
			}
			if s, ok := in[i].v.(string); ok && v.t.chars() && v.t.size != most && !v.t.long() {
				if got, _ := v.v.(string); len([]rune(strings.TrimRight(s, " "))) > len([]rune(got)) {
					return nil, &Error{Number: 2628, Class: 16, State: 1, Message: "String or binary data would be truncated in table '" + t.name + "', column '" + t.cols[c].name + "'."}
				}
			}
			vals[c], given[c] = v.v, true
		}
		for i, c := range t.cols {
			switch {
			case c.identity && !given[i]:
				vals[i] = t.next
				t.last = t.next
				t.next += t.step
				x.s.identity = x.s.identityValue(t.last)
				x.s.scopeIdentity = x.s.identity
			case !given[i] && c.def != nil:
				v, err := c.def.eval(&env{x: x})
				if err != nil {
					return nil, err
				}
				if v, err = x.s.convert(v, c.t); err != nil {
					return nil, err
				}
				vals[i] = v.v
			case c.identity && manual:
				if n, ok := vals[i].(int64); ok {
					t.last = n
					t.next = max(t.next, n+t.step)
					x.s.identity = x.s.identityValue(n)
					x.s.scopeIdentity = x.s.identity
				}
			}
		}
		if err := t.insert(x.s, vals); err != nil {
			return nil, err
		}
		out = append(out, vals)
	}
	return out, nil
}

// indexes are the columns of these names, all where there is none.
func (t *table) indexes(names []string, identity bool) ([]int, error) {
	var out []int
	if names == nil {
		for i, c := range t.cols {
			if !c.identity || identity {
				out = append(out, i)
			}
		}
		return out, nil
	}
	for _, n := range names {
		i := slices.IndexFunc(t.cols, func(c column) bool { return strings.EqualFold(c.name, n) })
		if i < 0 {
			return nil, &Error{Number: 207, Class: 16, State: 1, Message: "Invalid column name '" + n + "'."}
		}
		out = append(out, i)
	}
	return out, nil
}
