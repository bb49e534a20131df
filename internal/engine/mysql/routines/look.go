package routines

import (
	"bytes"
	"slices"

	"forebay/internal/engine/mysql/sqltext"
)

// Look has the routines that a text reaches and that the catalogue does not have, asked for one by one before it runs: those that
// were made a moment ago. It is good for that one time.
type Look struct {
	Version uint32 // the server's, as in an executable comment
	MariaDB bool

	seen map[Name]seen
}

// seen is what a routine was seen to do.
type seen struct {
	effects sqltext.Effects // its own
	calls   []Name
}

// Name names a routine.
type Name struct {
	kind     sqltext.CallKind
	schema   string
	name     string // in lower case, as far as it is ASCII
	loadable bool   // where there is no such stored function, it is one of MySQL's components
	packaged bool   // the text has named a database, which may be a package instead (MariaDB)
}

// maxLooks is how many routines are asked for, for one text, and how many one of them may call.
const maxLooks = 16

// nameOf is the name of what is called; own is the database that it is in if none is named.
func (l *Look) nameOf(kind sqltext.CallKind, schema, name, own string) Name {
	n := Name{kind: kind, schema: schema, name: string(appendFolded(nil, []byte(name))), packaged: l.MariaDB && schema != ""}
	if schema == "" {
		n.schema = own
	}
	return n
}

// Called is Catalog.Called with what has been seen. needs is set while a routine is to be asked for first.
func (l *Look) Called(c *Catalog, a *sqltext.Analysis, schema []byte) (e sqltext.Effects, next Name, needs bool) {
	if a.Effects&sqltext.Call == 0 || a.MoreCalls || a.Effects&sqltext.Schema != 0 {
		return c.Called(a, schema), next, false
	}
	var all []Name
	for i := range a.CallLen() {
		s, name := a.CallName(i)
		n := l.nameOf(a.CallKind(i), string(s), string(name), string(schema))
		// Of what a routine calls, the server may hide from the user that there is one.
		n.loadable = n.kind == sqltext.CallsFunction && len(s) == 0 && sqltext.Loadable(name)
		all = append(all, n)
	}
	for i := 0; i < len(all); i++ { // it grows
		n := all[i]
		if x, known := c.Effects([]byte(n.schema), []byte(n.name), n.kind); known {
			e |= x
			continue
		}
		r, ok := l.seen[n]
		switch {
		case ok:
			e |= r.effects
			for _, called := range r.calls {
				if !slices.Contains(all, called) {
					all = append(all, called)
				}
			}
		case n.askable() && len(l.seen) < maxLooks:
			return 0, n, true
		default:
			e |= Anything
		}
	}
	return e, next, false
}

// askable reports whether the name is certain, and the same in every character set.
func (n Name) askable() bool {
	return n.schema != "" && n.name != "" && !n.packaged && plain(n.schema) && plain(n.name)
}

// plain reports whether a text is ASCII, and has no ?, which is what the server shows in place of a character that the client's
// character set has not.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] == 0 || s[i] == '?' || s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// ASCII reports whether, in a character set, bytes and characters of ASCII are the same: others have @ or a quote elsewhere. What has
// none (NULL) is not converted.
func ASCII(charset string) bool {
	switch charset {
	case "utf8mb4", "utf8mb3", "utf8", "latin1", "latin2", "ascii", "binary", "NULL":
		return true
	}
	return false
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
// where the server has not shown it.
func (l *Look) Take(c *Catalog, n Name, row []string) {
	s := seen{effects: Anything}
	switch {
	case row == nil && n.loadable:
		s.effects = 0
	case len(row) > 3:
		s = l.read(c, n, row[1], row[2], row[3])
	}
	if l.seen == nil {
		l.seen = make(map[Name]seen)
	}
	l.seen[n] = s
}

// read reads what the server has shown of a routine: the sql_mode and the character set that it was made under, and the statement
// that made it.
func (l *Look) read(c *Catalog, n Name, sqlMode, create, charset string) seen {
	s := seen{effects: Anything}
	if !plain(create) || !ASCII(charset) || hasMode(sqlMode, "ORACLE") {
		return s
	}
	b := builder{version: l.Version, mariaDB: l.MariaDB}
	mode := b.typed(sqlMode)
	body, ok := sqltext.BodyOf([]byte(create), mode)
	head := []byte(create[:len(create)-len(body)])
	if !ok || hasDefaults(head) || bytes.Contains(bytes.ToLower(head), []byte("language")) { // MySQL's JavaScript
		return s
	}
	p := sqltext.ReadProgram(body, mode)
	if len(p.Calls) > maxLooks {
		return s
	}
	s.effects = p.Effects | c.Reached(body, mode, []byte(n.schema))
	if n.kind == sqltext.CallsFunction {
		s.effects &^= restored
	}
	for _, x := range p.Calls {
		s.calls = append(s.calls, l.nameOf(x.Kind, x.Schema, x.Name, n.schema))
	}
	return s
}
