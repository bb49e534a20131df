package routines

import (
	"slices"
	"strings"

	"forebay/internal/engine/mysql/sqltext"
)

// Look has the routines that one text reaches and that the catalogue does not have, asked for one by one before it runs: those
// that were made a moment ago. It is good for that one time.
type Look struct {
	of   string // the text
	seen []seen
}

// seen is a routine that was asked for.
type seen struct {
	name    Name
	effects sqltext.Effects // its own
	calls   []Name
	absent  bool
}

// Name names a routine.
type Name struct {
	kind         sqltext.CallKind
	schema, name string
	bare         bool // the text has named no database
}

// maxLooks is how many routines are asked for, for one text.
const maxLooks = 16

// NewLook begins to look at what a text reaches.
func NewLook(text []byte) *Look { return &Look{of: string(text)} }

// Of reports whether it is about that text. A nil Look is about none.
func (l *Look) Of(text []byte) bool { return l != nil && l.of == string(text) }

// Called is Catalog.Called with what has been seen. needs is set while a routine is to be asked for first.
func (l *Look) Called(c *Catalog, a *sqltext.Analysis, schema []byte) (e sqltext.Effects, next Name, needs bool) {
	if a.Effects&sqltext.Call == 0 || a.MoreCalls || a.Effects&sqltext.Schema != 0 {
		return c.Called(a, schema), next, false
	}
	var all []Name
	for i := range a.CallLen() {
		s, name := a.CallName(i)
		n := Name{a.CallKind(i), string(s), string(name), len(s) == 0}
		if n.bare {
			n.schema = string(schema)
		}
		all = append(all, n)
	}
	for i := 0; i < len(all); i++ { // it grows
		n := all[i]
		x, known := c.Effects([]byte(n.schema), []byte(n.name), n.kind)
		if known {
			e |= x
			continue
		}
		j := slices.IndexFunc(l.seen, func(s seen) bool { return s.name.is(n) })
		if j < 0 {
			if n.askable() && len(l.seen) < maxLooks {
				return 0, n, true
			}
			e |= Anything
			continue
		}
		switch s := &l.seen[j]; {
		case !s.absent:
			e |= s.effects
		case !n.bare || n.kind != sqltext.CallsFunction || !sqltext.Loadable([]byte(n.name)):
			e |= Anything
		}
		for _, called := range l.seen[j].calls {
			if !slices.ContainsFunc(all, called.is) {
				all = append(all, called)
			}
		}
	}
	return e, next, false
}

// is reports whether both name the same routine.
func (n Name) is(o Name) bool {
	return n.kind == o.kind && n.bare == o.bare && n.schema == o.schema && strings.EqualFold(n.name, o.name)
}

// askable reports whether the name is the same in every character set.
func (n Name) askable() bool {
	return n.schema != "" && n.name != "" && plain(n.schema) && plain(n.name)
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] == 0 || s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Ask is the statement that shows a routine.
func (n Name) Ask() string {
	kind := "PROCEDURE "
	if n.kind == sqltext.CallsFunction {
		kind = "FUNCTION "
	}
	return "SHOW CREATE " + kind + quote(n.schema) + "." + quote(n.name)
}

// Take takes the row of the answer to Ask: nil where there is no such routine, or the user may not see that there is one, and empty
// where the server has not shown it. version and mariaDB are the server's.
func (l *Look) Take(c *Catalog, n Name, row []string, version uint32, mariaDB bool) {
	s := seen{name: n, effects: Anything, absent: row == nil}
	if len(row) > 2 {
		s.read(c, row[1], row[2], &builder{version: version, mariaDB: mariaDB})
	}
	l.seen = append(l.seen, s)
}

// read reads what the server has shown of a routine. What is not ASCII may have been another character, in the client's character
// set.
func (s *seen) read(c *Catalog, sqlMode, create string, b *builder) {
	if !plain(create) || hasMode(sqlMode, "ORACLE") {
		return
	}
	mode := b.mode(sqlMode)
	mode.NoBackslashEscapes = hasMode(sqlMode, "NO_BACKSLASH_ESCAPES") // it is shown as it was typed
	body, ok := sqltext.BodyOf([]byte(create), mode)
	if !ok || strings.Contains(strings.ToLower(create[:len(create)-len(body)]), "language") { // MySQL's JavaScript
		return
	}
	p := sqltext.ReadProgram(body, mode)
	s.effects = p.Effects | c.Reached(body, mode, []byte(s.name.schema))
	if s.name.kind == sqltext.CallsFunction {
		s.effects &^= restored
	}
	for _, x := range p.Calls {
		n := Name{x.Kind, x.Schema, x.Name, x.Schema == ""}
		if n.bare {
			n.schema = s.name.schema
		}
		s.calls = append(s.calls, n)
	}
}
