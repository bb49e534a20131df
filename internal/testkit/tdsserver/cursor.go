package tdsserver

import "strings"

// cursor is a static one: its rows are those of when it was opened.
type cursor struct {
	q    *query
	cols []outCol
	rows [][]any
	pos  int // of the row that was fetched last; -1: before the first one
	open bool
}

func noCursor(name string) *Error {
	return &Error{Number: 16916, Class: 16, State: 1, Message: "A cursor with the name '" + name + "' does not exist."}
}

func (x *exec) cursor(name string) (*cursor, map[string]*cursor) {
	name = strings.ToLower(name)
	if c := x.cursors[name]; c != nil {
		return c, x.cursors
	}
	return x.s.cursors[name], x.s.cursors
}

func (x *exec) fetchStatus() int64 { return x.fetched }

func (c *cursor) fill(x *exec) error {
	res, err := c.q.open(x)
	if err != nil {
		return err
	}
	c.cols, c.rows, c.pos, c.open = res.cols, nil, -1, true
	return res.each(func(vals []any) error { c.rows = append(c.rows, vals); return nil })
}

// row is the row of a position, nil beyond the ends.
func (c *cursor) row(pos int) []any {
	c.pos = min(max(pos, -1), len(c.rows))
	if c.pos < 0 || c.pos >= len(c.rows) {
		return nil
	}
	return c.rows[c.pos]
}

// declareCursor takes DECLARE name CURSOR; DECLARE has been taken.
func (p *parser) declareCursor() stmt {
	name := p.ident()
	p.oneOf("INSENSITIVE")
	p.oneOf("SCROLL")
	p.need(p.kw("CURSOR"))
	local := false
	for {
		w := p.oneOf("GLOBAL", "LOCAL", "FORWARD_ONLY", "SCROLL", "STATIC", "KEYSET", "DYNAMIC", "FAST_FORWARD", "READ_ONLY", "SCROLL_LOCKS", "OPTIMISTIC", "TYPE_WARNING")
		if w == "" {
			break
		}
		local = local || w == "LOCAL"
	}
	p.need(p.kw("FOR"))
	q := p.selectQuery()
	return plain(cmdSet, func(x *exec) error {
		if c, _ := x.cursor(name); c != nil {
			return &Error{Number: 16915, Class: 16, State: 1, Message: "A cursor with the name '" + name + "' already exists."}
		}
		in := x.s.cursors
		if local {
			if x.cursors == nil {
				x.cursors = map[string]*cursor{}
			}
			in = x.cursors
		}
		in[strings.ToLower(name)] = &cursor{q: q}
		return nil
	})
}

// cursorStatement takes OPEN (which has been taken), CLOSE, DEALLOCATE, FETCH.
func (p *parser) cursorStatement(what string) stmt {
	if what != "OPEN" {
		p.i++
	}
	if what != "FETCH" {
		p.kw("GLOBAL")
		name := p.ident()
		return plain(cmdSet, func(x *exec) error {
			c, in := x.cursor(name)
			switch {
			case c == nil:
				return noCursor(name)
			case what == "OPEN" && c.open:
				return &Error{Number: 16905, Class: 16, State: 1, Message: "The cursor is already open."}
			case what == "OPEN":
				if err := c.fill(x); err != nil {
					return err
				}
				x.cursorRows = int64(len(c.rows))
			case what == "CLOSE" && !c.open:
				return &Error{Number: 16917, Class: 16, State: 1, Message: "Cursor is not open."}
			case what == "CLOSE":
				c.open, c.rows = false, nil
			default:
				delete(in, strings.ToLower(name))
			}
			return nil
		})
	}
	how := p.oneOf("NEXT", "PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE")
	var n *expr
	if how == "ABSOLUTE" || how == "RELATIVE" {
		e := p.unary()
		n = &e
	}
	p.kw("FROM")
	p.kw("GLOBAL")
	name := p.ident()
	var into []string
	if p.kw("INTO") {
		for {
			w := p.cur()
			p.need(w.kind == kVar)
			p.i++
			into = append(into, w.s)
			if !p.op(",") {
				break
			}
		}
	}
	return run(func(x *exec) error {
		c, _ := x.cursor(name)
		if c == nil {
			return noCursor(name)
		}
		if !c.open {
			return &Error{Number: 16917, Class: 16, State: 1, Message: "Cursor is not open."}
		}
		pos := c.pos + 1
		switch how {
		case "PRIOR":
			pos = c.pos - 1
		case "FIRST":
			pos = 0
		case "LAST":
			pos = len(c.rows) - 1
		case "ABSOLUTE", "RELATIVE":
			i, err := x.intOf(*n)
			if err != nil {
				return err
			}
			if pos = int(i) - 1; how == "RELATIVE" {
				pos = c.pos + int(i)
			}
		}
		vals := c.row(pos)
		x.fetched = -1
		if vals != nil {
			x.fetched = 0
		}
		rows := int64(is(vals != nil) / yes)
		if into != nil {
			if vals != nil && len(into) != len(vals) {
				return &Error{Number: 16924, Class: 16, State: 1, Message: "Cursorfetch: The number of variables declared in the INTO list must match that of selected columns."}
			}
			for i := range vals {
				if err := x.setVar(into[i], value{c.cols[i].t, vals[i]}); err != nil {
					return err
				}
			}
		} else {
			x.s.columns(x.r, c.cols)
			if vals != nil {
				if err := x.s.row(x.r, c.cols, vals); err != nil {
					return err
				}
			}
		}
		x.s.rowcount, x.s.errno = rows, 0
		x.done(cmdSelect, rows, doneCount)
		return nil
	})
}
