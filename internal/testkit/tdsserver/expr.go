package tdsserver

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// env is what an expression may look at.
type env struct {
	x    *exec
	cols []column
	vals []any   // of the row; nil where cols is: there is none
	rows [][]any // of an aggregate
}

// expr is an expression.
type expr struct {
	eval    func(*env) (value, error)
	notNull bool
	agg     bool
	col     string // of a column that stands alone
}

func constant(v value) expr {
	return expr{eval: func(*env) (value, error) { return v, nil }, notNull: v.v != nil}
}

func (p *parser) expr() expr { return p.additive() }

// binaryOp makes an expression of two; either one NULL makes it NULL.
func binaryOp(a, b expr, f func(e *env, a, b value) (value, error)) expr {
	return expr{agg: a.agg || b.agg, notNull: a.notNull && b.notNull, eval: func(e *env) (value, error) {
		x, err := a.eval(e)
		if err != nil {
			return x, err
		}
		y, err := b.eval(e)
		if err != nil {
			return y, err
		}
		return f(e, x, y)
	}}
}

func (p *parser) additive() expr {
	a := p.multiplicative()
	for {
		w := p.cur()
		if w.kind != kOp || !slices.Contains([]string{"+", "-", "&", "|", "^"}, w.s) {
			return a
		}
		p.i++
		a = binaryOp(a, p.multiplicative(), func(e *env, x, y value) (value, error) { return arith(e, w.s, x, y) })
	}
}

func (p *parser) multiplicative() expr {
	a := p.unary()
	for {
		w := p.cur()
		if w.kind != kOp || !slices.Contains([]string{"*", "/", "%"}, w.s) {
			return a
		}
		p.i++
		a = binaryOp(a, p.unary(), func(e *env, x, y value) (value, error) { return arith(e, w.s, x, y) })
	}
}

func arith(e *env, op string, a, b value) (value, error) {
	c := &e.x.s.codec
	if op == "+" && (a.t.chars() && b.t.chars() || a.t.binary() && b.t.binary()) {
		if a.t.binary() {
			t := varbinary(a.t.size + b.t.size)
			if a.v == nil || b.v == nil {
				return value{t, nil}, nil
			}
			return value{t, slices.Concat(a.v.([]byte), b.v.([]byte))}, nil
		}
		t := varchar(min(a.t.size+b.t.size, 8000))
		if a.t.wide() || b.t.wide() {
			t = nvarchar(min((a.t.size+b.t.size)/2, 4000))
		}
		if a.t.plp() || b.t.plp() {
			t.size = most
		}
		if a.v == nil || b.v == nil {
			if e.x.s.set["CONCAT_NULL_YIELDS_NULL"] == "ON" || a.v == nil && b.v == nil {
				return value{t, nil}, nil
			}
			if a.v == nil {
				a.v = ""
			}
			if b.v == nil {
				b.v = ""
			}
		}
		return value{t, a.String() + b.String()}, nil
	}
	t := typeInt
	for _, x := range []value{a, b} {
		switch x.t.id {
		case tFltN:
			t = typeFloat
		case tDecimal, tNumeric, tMoneyN:
			if t.id != tFltN {
				t = sqlType{id: tDecimal, size: 17, prec: 38, scale: max(x.t.scale, 6)}
			}
		case tIntN:
			if t.id == tIntN && x.t.size == 8 {
				t = typeBigint
			}
		}
	}
	if a.v == nil || b.v == nil {
		return value{t, nil}, nil
	}
	zero := &Error{Number: 8134, Class: 16, State: 1, Message: "Divide by zero error encountered."}
	overflow := &Error{Number: 8115, Class: 16, State: 2, Message: "Arithmetic overflow error converting expression to data type int."}
	switch t.id {
	case tIntN:
		va, err := c.convert(a, typeBigint)
		if err != nil {
			return va, err
		}
		vb, err := c.convert(b, typeBigint)
		if err != nil {
			return vb, err
		}
		x, y := va.v.(int64), vb.v.(int64)
		switch op {
		case "+":
			x += y
		case "-":
			x -= y
		case "*":
			x *= y
		case "&":
			x &= y
		case "|":
			x |= y
		case "^":
			x ^= y
		default:
			if y == 0 {
				return value{t, nil}, zero
			}
			if op == "/" {
				x /= y
			} else {
				x %= y
			}
		}
		if t.size == 4 && int64(int32(x)) != x {
			return value{t, nil}, overflow
		}
		return value{t, x}, nil
	case tFltN:
		x, okx := toFloat(a)
		y, oky := toFloat(b)
		if !okx || !oky {
			return value{t, nil}, conversionError(a, t)
		}
		switch op {
		case "+":
			x += y
		case "-":
			x -= y
		case "*":
			x *= y
		case "/":
			if y == 0 {
				return value{t, nil}, zero
			}
			x /= y
		}
		return value{t, x}, nil
	}
	da, oka := toDecimal(a)
	db, okb := toDecimal(b)
	if !oka || !okb {
		return value{t, nil}, conversionError(a, t)
	}
	da, db = rescale(da, t.scale), rescale(db, t.scale)
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.scale)), nil)
	n := new(big.Int)
	switch op {
	case "+":
		n.Add(da.n, db.n)
	case "-":
		n.Sub(da.n, db.n)
	case "*":
		n.Quo(n.Mul(da.n, db.n), unit)
	default:
		if db.n.Sign() == 0 {
			return value{t, nil}, zero
		}
		n.Quo(n.Mul(da.n, unit), db.n)
	}
	return value{t, decimal{n, t.scale}}, nil
}

func (p *parser) unary() expr {
	if p.op("-") {
		a := p.unary()
		return binaryOp(constant(vInt(0)), a, func(e *env, x, y value) (value, error) {
			switch n := y.v.(type) {
			case int64:
				return value{y.t, -n}, nil
			case float64:
				return value{y.t, -n}, nil
			case decimal:
				return value{y.t, decimal{new(big.Int).Neg(n.n), n.scale}}, nil
			}
			return arith(e, "-", x, y)
		})
	}
	p.op("+")
	return p.primary()
}

func (p *parser) primary() expr {
	w := p.cur()
	switch w.kind {
	case kNumber:
		p.i++
		return constant(number(w))
	case kString:
		p.i++
		return constant(value{varchar(len(w.s)), w.s})
	case kNString:
		p.i++
		return constant(vString(w.s))
	case kHex:
		p.i++
		s := w.s
		if len(s)%2 == 1 {
			s = "0" + s
		}
		b, err := hex.DecodeString(s)
		if err != nil {
			p.fail()
		}
		return constant(value{varbinary(len(b)), b})
	case kVar:
		p.i++
		name := strings.ToLower(w.s)
		return expr{eval: func(e *env) (value, error) {
			if v := e.x.vars[name]; v != nil {
				return *v, nil
			}
			return value{}, &Error{Number: 137, Class: 15, State: 2, Message: "Must declare the scalar variable \"" + w.s + "\".", Line: w.line}
		}}
	case kGlobal:
		p.i++
		f, ok := globals[w.up]
		unknown := &Error{Number: 137, Class: 15, State: 2, Message: "Must declare the scalar variable \"" + w.s + "\".", Line: w.line}
		if !ok {
			panic(unknown)
		}
		return expr{notNull: w.up != "@@IDENTITY", eval: func(e *env) (value, error) {
			if w.up == "@@TEXTSIZE" && e.x.s.srv.o.NoTextSize {
				return value{}, unknown
			}
			return f(e.x), nil
		}}
	case kOp:
		if p.op("(") {
			if p.isKw("SELECT") {
				sel := p.selectQuery()
				p.need(p.op(")"))
				return expr{eval: func(e *env) (value, error) { return sel.scalar(e.x) }}
			}
			e := p.expr()
			p.need(p.op(")"))
			return e
		}
	case kName:
		switch {
		case p.kw("NULL"):
			return constant(value{typeInt, nil})
		case p.isKw("CAST") || p.isKw("TRY_CAST"):
			p.i++
			p.need(p.op("("))
			a := p.expr()
			p.need(p.kw("AS"))
			t := p.typ()
			p.need(p.op(")"))
			return castTo(a, t)
		case p.kw("CONVERT"):
			p.need(p.op("("))
			t := p.typ()
			p.need(p.op(","))
			a := p.expr()
			if p.op(",") {
				p.expr() // the style
			}
			p.need(p.op(")"))
			return castTo(a, t)
		case p.kw("CASE"):
			return p.caseExpr()
		case p.kw("CURRENT_TIMESTAMP"):
			return expr{eval: func(*env) (value, error) { return value{typeTime, time.Now().UTC().Truncate(time.Millisecond)}, nil }}
		case p.isKw("SYSTEM_USER") || p.isKw("CURRENT_USER") || p.isKw("SESSION_USER"):
			p.i++
			return expr{eval: func(e *env) (value, error) { return vSys(128, e.x.s.user), nil }}
		}
		if p.peek().kind == kOp && p.peek().s == "(" && !isReserved(w) {
			p.i += 2
			return p.call(w)
		}
	}
	parts := p.parts()
	name := parts[len(parts)-1]
	return expr{col: name, eval: func(e *env) (value, error) {
		for i, c := range e.cols {
			if strings.EqualFold(c.name, name) {
				if e.vals == nil {
					return value{c.t, nil}, nil
				}
				return value{c.t, e.vals[i]}, nil
			}
		}
		return value{}, &Error{Number: 207, Class: 16, State: 1, Message: "Invalid column name '" + name + "'.", Line: w.line}
	}}
}

func number(w word) value {
	if strings.ContainsAny(w.s, "eE") {
		f, err := strconv.ParseFloat(w.s, 64)
		if err != nil {
			panic(syntax(w.s, w.line))
		}
		return value{typeFloat, f}
	}
	whole, frac, dot := strings.Cut(w.s, ".")
	n, ok := new(big.Int).SetString(whole+frac, 10)
	if !ok {
		panic(syntax(w.s, w.line))
	}
	if !dot && n.IsInt64() && int64(int32(n.Int64())) == n.Int64() {
		return vInt(n.Int64())
	}
	digits := max(len(strings.TrimLeft(whole, "0"))+len(frac), 1)
	return value{sqlType{id: tNumeric, size: 17, prec: byte(min(digits, 38)), scale: byte(len(frac))}, decimal{n, byte(len(frac))}}
}

func castTo(a expr, t sqlType) expr {
	return expr{agg: a.agg, eval: func(e *env) (value, error) {
		v, err := a.eval(e)
		if err != nil {
			return v, err
		}
		return e.x.s.convert(v, t)
	}}
}

func (p *parser) caseExpr() expr {
	var subject *expr
	if !p.isKw("WHEN") {
		s := p.expr()
		subject = &s
	}
	type arm struct {
		when cond
		then expr
	}
	var arms []arm
	otherwise := constant(value{typeInt, nil})
	for p.kw("WHEN") {
		var c cond
		if subject != nil {
			c = comparison("=", *subject, p.expr())
		} else {
			c = p.cond()
		}
		p.need(p.kw("THEN"))
		arms = append(arms, arm{c, p.expr()})
	}
	if p.kw("ELSE") {
		otherwise = p.expr()
	}
	p.need(p.kw("END") && len(arms) > 0)
	return expr{eval: func(e *env) (value, error) {
		for _, a := range arms {
			ok, err := a.when(e)
			if err != nil {
				return value{}, err
			}
			if ok == yes {
				return a.then.eval(e)
			}
		}
		v, err := otherwise.eval(e)
		if err == nil && v.v == nil {
			v, err = arms[0].then.eval(e)
			v.v = nil
		}
		return v, err
	}}
}

// truth is three-valued.
type truth int

const (
	no truth = iota
	unknown
	yes
)

func is(b bool) truth {
	if b {
		return yes
	}
	return no
}

// cond is a condition.
type cond func(*env) (truth, error)

func (p *parser) cond() cond {
	a := p.condAnd()
	for p.kw("OR") {
		x, y := a, p.condAnd()
		a = func(e *env) (truth, error) {
			l, err := x(e)
			if err != nil || l == yes {
				return l, err
			}
			r, err := y(e)
			return max(l, r), err
		}
	}
	return a
}

func (p *parser) condAnd() cond {
	a := p.condNot()
	for p.kw("AND") {
		x, y := a, p.condNot()
		a = func(e *env) (truth, error) {
			l, err := x(e)
			if err != nil || l == no {
				return l, err
			}
			r, err := y(e)
			return min(l, r), err
		}
	}
	return a
}

func (p *parser) condNot() cond {
	if p.kw("NOT") {
		x := p.condNot()
		return func(e *env) (truth, error) {
			t, err := x(e)
			return yes - t, err
		}
	}
	if p.kw("EXISTS") {
		p.need(p.op("("))
		sel := p.selectQuery()
		p.need(p.op(")"))
		return func(e *env) (truth, error) {
			n, err := sel.count(e.x)
			return is(n > 0), err
		}
	}
	if p.isOp("(") { // of a condition or of an expression
		at := p.i
		if c, ok := p.tryCond(); ok {
			return c
		}
		p.i = at
	}
	a := p.expr()
	negate := p.kw("NOT")
	var c cond
	switch {
	case p.kw("IS"):
		negate = p.kw("NOT")
		p.need(p.kw("NULL"))
		c = func(e *env) (truth, error) {
			v, err := a.eval(e)
			return is(v.v == nil), err
		}
	case p.kw("IN"):
		p.need(p.op("("))
		var any []cond
		for {
			any = append(any, comparison("=", a, p.expr()))
			if !p.op(",") {
				break
			}
		}
		p.need(p.op(")"))
		c = func(e *env) (truth, error) {
			best := no
			for _, one := range any {
				t, err := one(e)
				if err != nil {
					return no, err
				}
				best = max(best, t)
			}
			return best, nil
		}
	case p.kw("BETWEEN"):
		lo := comparison(">=", a, p.expr())
		p.need(p.kw("AND"))
		hi := comparison("<=", a, p.expr())
		c = func(e *env) (truth, error) {
			l, err := lo(e)
			if err != nil {
				return no, err
			}
			h, err := hi(e)
			return min(l, h), err
		}
	case p.kw("LIKE"):
		b := p.expr()
		c = func(e *env) (truth, error) {
			v, err := a.eval(e)
			if err != nil {
				return no, err
			}
			pat, err := b.eval(e)
			if err != nil || v.v == nil || pat.v == nil {
				return unknown, err
			}
			return is(like(strings.ToLower(v.String()), strings.ToLower(pat.String()))), nil
		}
	default:
		w := p.cur()
		p.need(!negate && w.kind == kOp && slices.Contains([]string{"=", "<", ">", "<=", ">=", "<>", "!="}, w.s))
		p.i++
		return comparison(w.s, a, p.expr())
	}
	if !negate {
		return c
	}
	return func(e *env) (truth, error) {
		t, err := c(e)
		return yes - t, err
	}
}

// tryCond takes a condition in parentheses, if that is what stands here.
func (p *parser) tryCond() (c cond, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, isError := r.(*Error); !isError {
				panic(r)
			}
			ok = false
		}
	}()
	p.need(p.op("("))
	c = p.cond()
	p.need(p.op(")"))
	w := p.cur()
	return c, w.kind != kOp || w.s == ")" || w.s == ";"
}

func comparison(op string, a, b expr) cond {
	return func(e *env) (truth, error) {
		x, err := a.eval(e)
		if err != nil {
			return no, err
		}
		y, err := b.eval(e)
		if err != nil || x.v == nil || y.v == nil {
			return unknown, err
		}
		n, err := e.x.s.compare(x, y)
		switch op {
		case "=":
			return is(n == 0), err
		case "<":
			return is(n < 0), err
		case ">":
			return is(n > 0), err
		case "<=":
			return is(n <= 0), err
		case ">=":
			return is(n >= 0), err
		}
		return is(n != 0), err
	}
}

// like knows % and _.
func like(s, pat string) bool {
	if pat == "" {
		return s == ""
	}
	switch pat[0] {
	case '%':
		for i := 0; i <= len(s); i++ {
			if like(s[i:], pat[1:]) {
				return true
			}
		}
		return false
	case '_':
		return s != "" && like(s[1:], pat[1:])
	}
	return s != "" && s[0] == pat[0] && like(s[1:], pat[1:])
}

// globals are the @@functions.
var globals = map[string]func(x *exec) value{
	"@@SPID":            func(x *exec) value { return vSmall(int64(x.s.w.spid)) },
	"@@TRANCOUNT":       func(x *exec) value { return vInt(int64(x.s.trancount)) },
	"@@IDENTITY":        func(x *exec) value { return x.s.identity },
	"@@ROWCOUNT":        func(x *exec) value { return vInt(x.s.rowcount) },
	"@@ERROR":           func(x *exec) value { return vInt(int64(x.s.errno)) },
	"@@VERSION":         func(*exec) value { return vSys(300, "Microsoft SQL Server 2022 (RTM) - 16.0.4096.0 (X64) toy") },
	"@@MAX_CONNECTIONS": func(x *exec) value { return vInt(int64(maxOr(int(x.s.srv.max.Load()), 32767))) },
	"@@OPTIONS":         func(x *exec) value { return vInt(x.s.optionBits()) },
	"@@LANGUAGE":        func(x *exec) value { return vSys(128, x.s.set["LANGUAGE"]) },
	"@@LANGID":          func(*exec) value { return vSmall(0) },
	"@@DATEFIRST":       func(x *exec) value { return value{typeTiny, x.s.number("DATEFIRST")} },
	"@@LOCK_TIMEOUT":    func(x *exec) value { return vInt(x.s.number("LOCK_TIMEOUT")) },
	"@@TEXTSIZE":        func(x *exec) value { return vInt(x.s.number("TEXTSIZE")) },
	"@@SERVERNAME":      func(x *exec) value { return vSys(128, x.s.srv.o.Name) },
	"@@SERVICENAME":     func(*exec) value { return vSys(128, "MSSQLSERVER") },
	"@@MICROSOFTVERSION": func(*exec) value {
		return vInt(0x10001000)
	},
	"@@FETCH_STATUS":  func(x *exec) value { return vInt(x.fetchStatus()) },
	"@@CURSOR_ROWS":   func(x *exec) value { return vInt(x.cursorRows) },
	"@@NESTLEVEL":     func(x *exec) value { return vInt(int64(x.nest)) },
	"@@PROCID":        func(*exec) value { return vInt(0) },
	"@@MAX_PRECISION": func(*exec) value { return value{typeTiny, int64(38)} },
	"@@DBTS":          func(*exec) value { return value{varbinary(8), make([]byte, 8)} },
}

func maxOr(n, usual int) int {
	if n > 0 {
		return n
	}
	return usual
}

func (s *session) number(option string) int64 {
	n, err := strconv.ParseInt(s.set[option], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (s *session) optionBits() int64 {
	var n int64
	for _, o := range options {
		if s.set[o.name] == "ON" {
			n |= o.bit
		}
	}
	return n
}

// function is what stands before parentheses.
type function func(e *env, args []value) (value, error)

func str(args []value, i int) string {
	if i < len(args) && args[i].v != nil {
		return args[i].String()
	}
	return ""
}

var functions map[string]function

func init() {
	functions = map[string]function{
		"SCOPE_IDENTITY": func(e *env, _ []value) (value, error) { return e.x.s.scopeIdentity, nil },
		"IDENT_CURRENT": func(e *env, args []value) (value, error) {
			defer e.x.s.srv.store.enter(e.x.s)()
			v := value{t: e.x.s.identity.t}
			if t, _ := e.x.s.srv.store.lookup(e.x.s, strings.Split(str(args, 0), ".")); t != nil {
				v.v = decimal{big.NewInt(max(t.last, 1)), 0}
			}
			return v, nil
		},
		"DB_NAME": func(e *env, _ []value) (value, error) { return vSys(128, e.x.s.database), nil },
		"DB_ID":   func(*env, []value) (value, error) { return vSmall(5), nil },
		"SUSER_SNAME": func(e *env, _ []value) (value, error) {
			return vSys(128, e.x.s.user), nil
		},
		"SUSER_NAME":        func(e *env, _ []value) (value, error) { return vSys(128, e.x.s.user), nil },
		"ORIGINAL_LOGIN":    func(e *env, _ []value) (value, error) { return vSys(128, e.x.s.user), nil },
		"USER_NAME":         func(e *env, _ []value) (value, error) { return vSys(128, "dbo"), nil },
		"SCHEMA_NAME":       func(*env, []value) (value, error) { return vSys(128, "dbo"), nil },
		"OBJECT_NAME":       func(*env, []value) (value, error) { return value{nvarchar(128), nil}, nil },
		"HAS_PERMS_BY_NAME": func(*env, []value) (value, error) { return vInt(1), nil },
		"IS_MEMBER":         func(*env, []value) (value, error) { return vInt(1), nil },
		"APP_NAME":          func(e *env, _ []value) (value, error) { return vSys(128, e.x.s.l.app), nil },
		"HOST_NAME":         func(e *env, _ []value) (value, error) { return vSys(128, e.x.s.l.host), nil },
		"CONTEXT_INFO": func(e *env, _ []value) (value, error) {
			if e.x.s.contextInfo == nil {
				return value{varbinary(128), nil}, nil
			}
			return value{varbinary(128), e.x.s.contextInfo}, nil
		},
		"SESSION_CONTEXT": func(e *env, args []value) (value, error) {
			t := sqlType{id: tVariant, size: 8009}
			if v, ok := e.x.s.context[strings.ToLower(str(args, 0))]; ok && v.v != nil {
				return value{t, variant{v}}, nil
			}
			return value{t, nil}, nil
		},
		"SESSIONPROPERTY": func(e *env, args []value) (value, error) {
			t := sqlType{id: tVariant, size: 8009}
			on, ok := e.x.s.set[strings.ToUpper(str(args, 0))]
			if !ok || on != "ON" && on != "OFF" {
				return value{t, nil}, nil
			}
			return value{t, variant{vInt(int64(is(on == "ON") / yes))}}, nil
		},
		"SERVERPROPERTY": func(e *env, args []value) (value, error) {
			t := sqlType{id: tVariant, size: 8009}
			v, ok := map[string]value{
				"productversion": vString("16.0.4096.0"), "productlevel": vString("RTM"), "edition": vString("Developer Edition (64-bit)"),
				"engineedition": vInt(3), "productmajorversion": vString("16"), "servername": vString(e.x.s.srv.o.Name), "machinename": vString(e.x.s.srv.o.Name),
				"collation": vString("SQL_Latin1_General_CP1_CI_AS"), "ishadrenabled": vInt(0), "isclustered": vInt(0),
			}[strings.ToLower(str(args, 0))]
			if !ok {
				return value{t, nil}, nil
			}
			return value{t, variant{v}}, nil
		},
		"DATABASEPROPERTYEX": func(e *env, args []value) (value, error) {
			t := sqlType{id: tVariant, size: 8009}
			v, ok := map[string]value{
				"updateability": vString("READ_WRITE"), "status": vString("ONLINE"), "collation": vString("SQL_Latin1_General_CP1_CI_AS"),
			}[strings.ToLower(str(args, 1))]
			if !ok || e.x.s.srv.store.find(str(args, 0)) == "" {
				return value{t, nil}, nil
			}
			return value{t, variant{v}}, nil
		},
		"OBJECT_ID": func(e *env, args []value) (value, error) {
			defer e.x.s.srv.store.enter(e.x.s)()
			words, err := lex(str(args, 0), true)
			if err != nil {
				return vInt(0), err
			}
			var parts []string
			for i, w := range words {
				switch {
				case w.kind == kName || w.kind == kQuoted:
					parts = append(parts, w.s)
				case w.s == "." && i > 0 && words[i-1].s == ".":
					parts = append(parts, "")
				}
			}
			if len(parts) > 0 {
				if t, _ := e.x.s.srv.store.lookup(e.x.s, parts); t != nil {
					return vInt(t.id()), nil
				}
			}
			return value{typeInt, nil}, nil
		},
		"XACT_STATE": func(e *env, _ []value) (value, error) {
			switch {
			case e.x.s.doomed:
				return vSmall(-1), nil
			case e.x.s.trancount > 0:
				return vSmall(1), nil
			}
			return vSmall(0), nil
		},
		"APPLOCK_MODE": func(e *env, args []value) (value, error) {
			st := e.x.s.srv.store
			defer st.enter(e.x.s)()
			mode := "NoLock"
			for _, h := range st.locks[str(args, 1)] {
				if h.s == e.x.s && h.transaction == !strings.EqualFold(str(args, 2), "Session") {
					if mode = "Exclusive"; h.shared {
						mode = "Shared"
					}
				}
			}
			return vSys(32, mode), nil
		},
		"ERROR_NUMBER": func(e *env, _ []value) (value, error) {
			return e.x.caughtValue(typeInt, func(c *Error) any { return int64(c.Number) }), nil
		},
		"ERROR_SEVERITY": func(e *env, _ []value) (value, error) {
			return e.x.caughtValue(typeInt, func(c *Error) any { return int64(c.Class) }), nil
		},
		"ERROR_STATE": func(e *env, _ []value) (value, error) {
			return e.x.caughtValue(typeInt, func(c *Error) any { return int64(c.State) }), nil
		},
		"ERROR_LINE": func(e *env, _ []value) (value, error) {
			return e.x.caughtValue(typeInt, func(c *Error) any { return int64(c.Line) }), nil
		},
		"ERROR_MESSAGE": func(e *env, _ []value) (value, error) {
			return e.x.caughtValue(nvarchar(4000), func(c *Error) any { return c.Message }), nil
		},
		"ISNULL": func(e *env, args []value) (value, error) {
			if len(args) != 2 {
				return value{}, &Error{Number: 174, Class: 15, State: 1, Message: "The isnull function requires 2 argument(s)."}
			}
			if args[0].v != nil {
				return args[0], nil
			}
			return e.x.s.convert(args[1], args[0].t)
		},
		"COALESCE": func(_ *env, args []value) (value, error) {
			for _, a := range args {
				if a.v != nil {
					return a, nil
				}
			}
			return value{typeInt, nil}, nil
		},
		"LEN": func(_ *env, args []value) (value, error) {
			if len(args) == 0 || args[0].v == nil {
				return value{typeInt, nil}, nil
			}
			return vInt(int64(len([]rune(strings.TrimRight(args[0].String(), " "))))), nil
		},
		"DATALENGTH": func(e *env, args []value) (value, error) {
			if len(args) == 0 || args[0].v == nil {
				return value{typeInt, nil}, nil
			}
			return vInt(int64(len(e.x.s.bare(args[0].t, args[0].v)))), nil
		},
		"REPLICATE": func(_ *env, args []value) (value, error) {
			if len(args) < 2 {
				return value{}, &Error{Number: 174, Class: 15, State: 1, Message: "The replicate function requires 2 argument(s)."}
			}
			n, _ := toInt(args[1])
			out := args[0]
			s := str(args, 0)
			if unit := 1 + int(is(out.t.wide())/yes); out.t.size != most { // cut as the server does
				n = min(n, int64(8000/unit/max(len(s), 1)))
				out.t.size = max(len(s)*int(n)*unit, unit)
			}
			out.v = strings.Repeat(s, max(int(n), 0))
			return out, nil
		},
		"UPPER": func(_ *env, args []value) (value, error) { return value{args[0].t, strings.ToUpper(str(args, 0))}, nil },
		"LOWER": func(_ *env, args []value) (value, error) { return value{args[0].t, strings.ToLower(str(args, 0))}, nil },
		"CONCAT": func(_ *env, args []value) (value, error) {
			var b strings.Builder
			for i := range args {
				b.WriteString(str(args, i))
			}
			return vString(b.String()), nil
		},
		"ABS": func(_ *env, args []value) (value, error) {
			n, _ := toInt(args[0])
			return value{args[0].t, max(n, -n)}, nil
		},
		"NEWID": func(*env, []value) (value, error) { return value{sqlType{id: tGUID, size: 16}, newGUID()}, nil },
		"GETDATE": func(*env, []value) (value, error) {
			return value{typeTime, time.Now().UTC().Truncate(time.Millisecond)}, nil
		},
		"SYSDATETIME": func(*env, []value) (value, error) {
			return value{sqlType{id: tDateTime2, scale: 7}, time.Now().UTC().Truncate(100)}, nil
		},
		"CURRENT_TRANSACTION_ID": func(e *env, _ []value) (value, error) { return vBigint(int64(e.x.s.descriptor)), nil },
		"CONNECTIONPROPERTY": func(e *env, args []value) (value, error) {
			t := sqlType{id: tVariant, size: 8009}
			if strings.EqualFold(str(args, 0), "net_transport") {
				return value{t, variant{vString("TCP")}}, nil
			}
			return value{t, nil}, nil
		},
		"SQL_VARIANT_PROPERTY": func(*env, []value) (value, error) { return value{sqlType{id: tVariant, size: 8009}, nil}, nil },
		"HAS_DBACCESS": func(e *env, args []value) (value, error) {
			return vInt(int64(is(e.x.s.srv.store.find(str(args, 0)) != "") / yes)), nil
		},
		"TYPE_ID":          func(*env, []value) (value, error) { return value{typeInt, nil}, nil },
		"IS_SRVROLEMEMBER": func(*env, []value) (value, error) { return vInt(1), nil },
	}
	functions["GETUTCDATE"] = functions["GETDATE"]
	functions["SYSUTCDATETIME"] = functions["SYSDATETIME"]
}

func (x *exec) caughtValue(t sqlType, f func(*Error) any) value {
	if x.caught == nil {
		return value{t, nil}
	}
	return value{t, f(x.caught)}
}

// call takes a function's arguments; its name and the opening parenthesis have been taken.
func (p *parser) call(w word) expr {
	if slices.Contains([]string{"COUNT", "COUNT_BIG", "SUM", "MIN", "MAX", "AVG"}, w.up) {
		return p.aggregate(w)
	}
	f, ok := functions[w.up]
	if !ok {
		panic(&Error{Number: 195, Class: 15, State: 10, Message: "'" + w.s + "' is not a recognized built-in function name.", Line: w.line})
	}
	var args []expr
	if !p.op(")") {
		for {
			args = append(args, p.expr())
			if !p.op(",") {
				break
			}
		}
		p.need(p.op(")"))
	}
	if slices.Contains([]string{"UPPER", "LOWER", "ABS"}, w.up) && len(args) != 1 {
		panic(&Error{Number: 174, Class: 15, State: 1, Message: "The " + strings.ToLower(w.s) + " function requires 1 argument(s).", Line: w.line})
	}
	return expr{eval: func(e *env) (value, error) {
		vals := make([]value, len(args))
		for i, a := range args {
			var err error
			if vals[i], err = a.eval(e); err != nil {
				return value{}, err
			}
		}
		return f(e, vals)
	}}
}

func (p *parser) aggregate(w word) expr {
	star := p.op("*")
	distinct := !star && p.kw("DISTINCT")
	var a expr
	if !star {
		a = p.expr()
	}
	p.need(p.op(")"))
	return expr{agg: true, eval: func(e *env) (value, error) {
		count := vInt(0)
		if w.up == "COUNT_BIG" {
			count = vBigint(0)
		}
		if star {
			count.v = int64(len(e.rows))
			return count, nil
		}
		out, err := a.eval(&env{x: e.x, cols: e.cols})
		if err != nil {
			return out, err
		}
		out.v = nil
		if w.up == "SUM" && out.t.id == tIntN && out.t.size < 4 {
			out.t = typeInt
		}
		seen := map[string]bool{}
		n := int64(0)
		for _, vals := range e.rows {
			v, err := a.eval(&env{x: e.x, cols: e.cols, vals: vals})
			if err != nil {
				return v, err
			}
			if v.v == nil || distinct && seen[v.String()] {
				continue
			}
			seen[v.String()] = true
			n++
			switch {
			case out.v == nil:
				out.v = v.v
			case w.up == "SUM" || w.up == "AVG":
				if out, err = arith(e, "+", out, v); err != nil {
					return out, err
				}
			case w.up == "MIN" || w.up == "MAX":
				order, err := e.x.s.compare(v, out)
				if err != nil {
					return out, err
				}
				if order < 0 == (w.up == "MIN") {
					out.v = v.v
				}
			}
		}
		switch w.up {
		case "COUNT", "COUNT_BIG":
			count.v = n
			return count, nil
		case "AVG":
			if n > 0 {
				return arith(e, "/", out, vInt(n))
			}
		}
		return out, nil
	}}
}

func (t *table) id() int64 {
	var n int64 = 17
	for _, c := range fmt.Sprintf("%p", t) {
		n = (n*31 + int64(c)) & 0x7FFFFFFF
	}
	return n
}
