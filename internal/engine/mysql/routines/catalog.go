package routines

import "forebay/internal/engine/mysql/sqltext"

// Anything is what a routine may do of which nothing is known.
const Anything = sqltext.Call | sqltext.Unknown

// Catalog is what was found. It does not change, so that any number of sessions may use it at once. A nil Catalog knows
// nothing.
type Catalog struct {
	routines  map[string]sqltext.Effects // by appendRoutine
	relations map[string]reach           // by appendRelation; those that reach something
	names     map[string]reach           // the same by name alone
	all       reach                      // of all relations
	hidden    sqltext.Effects
	blind     bool // there may be triggers that the user does not see
	stale     bool // there may be triggers and views that are not in it
}

// reach is what statements run beside what they say: those that name a table or a view, and those that write it.
type reach struct{ read, write sqltext.Effects }

func (r reach) with(o reach) reach { return reach{r.read | o.read, r.write | o.write} }

// WithoutRoutines returns what is left of the catalog when a routine may have changed: of no routine is anything known, and
// triggers and views are as they were, but there may be others (Unseen).
func (c *Catalog) WithoutRoutines() *Catalog {
	if c == nil {
		return nil
	}
	out := *c
	out.routines = nil
	out.stale = true
	return &out
}

// Effects returns what calling a routine leaves in the session, or depends on, itself and by all that it calls; Anything
// is among it if that is not known to the end. known is false for a routine that is not in the catalogue, which may be a
// loadable function. The name is as in a text, schema the default database if the text gives none. Case does not matter:
// databases whose names differ in that alone are taken together.
//
// A routine assigns nothing that a text would show, so that the effects come without values and names: TempTable is any
// table, UserVariable any variable.
func (c *Catalog) Effects(schema, name []byte, kind sqltext.CallKind) (e sqltext.Effects, known bool) {
	var key [maxKey]byte
	if c == nil || len(schema)+len(name) > maxKey-2 || len(schema) == 0 {
		return Anything, false
	}
	e, known = c.routines[string(appendRoutine(key[:0], schema, name, kind))]
	if !known {
		e = Anything
	}
	return e, known
}

// Called returns the effects of all routines that a text calls: what the mark Call in its own effects stands for.
// schema is the default database; empty if there is none.
func (c *Catalog) Called(a *sqltext.Analysis, schema []byte) sqltext.Effects {
	if a.Effects&sqltext.Call == 0 {
		return 0
	}
	var e sqltext.Effects
	if a.MoreCalls || a.Effects&sqltext.Schema != 0 { // the default database may be another for some of them
		e = Anything
	}
	for i := range a.CallLen() {
		s, name := a.CallName(i)
		bare := len(s) == 0
		if bare {
			s = schema
		}
		x, known := c.Effects(s, name, a.CallKind(i))
		if !known && bare && a.CallKind(i) == sqltext.CallsFunction && c.complete() && sqltext.Loadable(name) {
			x = 0 // a loadable function: the name of a database before it would mean a stored one
		}
		e |= x
	}
	return e
}

// complete reports whether a routine that is not in the catalogue is none that the user may call.
func (c *Catalog) complete() bool { return c != nil && c.routines != nil && !c.stale }

// Reached returns what triggers and views do that a text reaches by names of tables. It is for texts of one session whose
// default database is schema, and reads them once more, but not if Hidden is 0. Add what the text of a prepared
// statement reaches when it is executed.
func (c *Catalog) Reached(text []byte, mode sqltext.Mode, schema []byte) sqltext.Effects {
	if c == nil {
		return Anything
	}
	if len(c.relations) == 0 && !c.blind && !c.stale {
		return 0
	}
	var n sqltext.Names
	var r reach
	for n.Init(text, mode); n.Next(); {
		r = r.with(c.reached(&n, schema))
	}
	if !n.Sure() {
		r = r.with(c.all)
	}
	if n.Writes {
		r.read |= r.write
	}
	if c.stale || c.blind && n.Writes {
		r.read |= sqltext.Unseen
	}
	return r.read
}

// reached looks up the name at n.
func (c *Catalog) reached(n *sqltext.Names, schema []byte) reach {
	if n.Other {
		return c.all
	}
	if len(n.Schema()) > 0 {
		schema = n.Schema()
	} else if n.Moves {
		return c.names[string(n.Name())]
	}
	var key [maxKey]byte
	if len(schema)+len(n.Name()) > maxKey-2 {
		return reach{}
	}
	return c.relations[string(appendRelation(key[:0], schema, n.Name()))]
}

// Hidden returns what any trigger or view outside of the server's own databases does; Unseen is among it if there may be some
// that the catalogue does not know.
func (c *Catalog) Hidden() sqltext.Effects {
	if c == nil {
		return Anything
	}
	if c.blind || c.stale {
		return c.hidden | sqltext.Unseen
	}
	return c.hidden
}

// SeesTriggers reports whether all triggers are known of the tables that the user may write. MySQL shows no trigger to
// users without the privilege TRIGGER; then any INSERT, UPDATE and DELETE reaches what is Unseen. (Triggers of tables that
// the user may write only through a view or a routine of another user's are not known in any case.)
func (c *Catalog) SeesTriggers() bool { return c != nil && !c.blind }

// maxKey is the longest key in bytes: two names in UTF-8, four bytes for each of 64 characters.
const maxKey = 2 + 2*256

// appendRoutine appends the key of a routine.
func appendRoutine(dst, schema, name []byte, kind sqltext.CallKind) []byte {
	return appendRelation(append(dst, byte(kind)), schema, name)
}

// appendRelation appends the key of a table or a view.
func appendRelation(dst, schema, name []byte) []byte {
	return appendFolded(append(appendFolded(dst, schema), 0), name)
}

// appendFolded appends a name with its ASCII letters in lower case.
func appendFolded(dst, name []byte) []byte {
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}
