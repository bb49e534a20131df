package routines

import (
	"slices"
	"strings"

	"forebay/internal/engine/sqlserver/sqltext"
)

// Effect is what running a module leaves in the session.
type Effect struct {
	// Effects are those that outlive the module, and what it does to transactions, identities and other modules. Exec means
	// that one of the server's own procedures runs that is not known; Triggers, that triggers may run that are not known.
	Effects sqltext.Effects
	// Failing is what it leaves besides if it fails.
	Failing sqltext.Effects
	// Unknown means that some of what runs is not known.
	Unknown bool
	// Objects are what Effects and Failing make that has a name; those of Failing alone are Conditional. Not to be changed.
	Objects []sqltext.Object
}

// Anything is the effect of a procedure of which nothing is known.
var Anything = Effect{Effects: sqltext.Exec | sqltext.WritesIdentity, Unknown: true}

// unsure is the effect of a write that may reach what is not known.
var unsure = Effect{Effects: sqltext.Triggers}

// maxObjects is how many named objects an effect has at most.
const maxObjects = 16

// with unites two effects. A result that is equal to e is e.
func (e Effect) with(o Effect) Effect {
	e.Effects |= o.Effects
	e.Failing |= o.Failing
	e.Unknown = e.Unknown || o.Unknown
	for _, x := range o.Objects {
		if slices.Contains(e.Objects, x) {
			continue
		}
		if len(e.Objects) == maxObjects {
			e.Effects |= sqltext.Unknown
			break
		}
		e.Objects = append(e.Objects[:len(e.Objects):len(e.Objects)], x)
	}
	return e
}

// caught is the effect where a failure goes on: in a TRY of who calls.
func (e Effect) caught() Effect {
	e.Effects |= e.Failing
	e.Failing = 0
	objects := e.Objects
	e.Objects = nil
	for _, x := range objects {
		x.Conditional = false
		e = e.with(Effect{Objects: []sqltext.Object{x}})
	}
	return e
}

func (e Effect) equal(o Effect) bool {
	return e.Effects == o.Effects && e.Failing == o.Failing && e.Unknown == o.Unknown && len(e.Objects) == len(o.Objects)
}

// Catalog is what was found. It does not change, so that any number of sessions may use it at once. A nil Catalog knows
// nothing.
type Catalog struct {
	database string // folded, as all names here
	schema   string // default schema of the user
	blind    bool   // there may be modules that the user does not see
	procs    map[string]Effect
	system   map[string]bool
	writes   map[string]Effect // of relations by name: those that reach something
	odd      Effect            // of those whose names are not compared
	unknown  int
}

// Blind reports whether there may be triggers that the user does not see.
func (c *Catalog) Blind() bool { return c == nil || c.blind }

// Len returns how many procedures there are, and of how many of them it is not known what they leave.
func (c *Catalog) Len() (procedures, unknown int) { return len(c.procs), c.unknown }

// Cache remembers what names stand for, so that they need not be taken apart again. It is for one goroutine.
type Cache struct {
	of    *Catalog
	calls map[string]Effect // by name, in UTF-16LE
}

// maxCached is how many names a cache holds.
const maxCached = 1024

// call is the effect of a procedure by its name.
func (x *Cache) call(c *Catalog, text []byte, a *sqltext.Analysis, i int) Effect {
	name := a.Call(text, i)
	if x.of == c {
		if e, ok := x.calls[string(name)]; ok {
			return e
		}
	}
	if x.of != c || len(x.calls) >= maxCached {
		x.of, x.calls = c, map[string]Effect{}
	}
	e := c.call(a.CallName(text, i), c.schema, false)
	x.calls[string(name)] = e
	return e
}

// Called returns the effect of all procedures that a text calls: what the mark Exec in its effects stands for. database is the
// session's.
func (c *Catalog) Called(text []byte, a *sqltext.Analysis, database string, cache *Cache) Effect {
	var e Effect
	if c == nil {
		return Anything
	}
	if !c.is(database) || a.Uses || a.MoreCalls {
		e = Anything
	}
	e = e.with(loose(a))
	for i := range a.CallLen() {
		e = e.with(cache.call(c, text, a, i))
	}
	if a.Tries {
		e = e.caught()
	}
	return e
}

// loose is what Exec stands for beside the calls of an analysis.
func loose(a *sqltext.Analysis) (e Effect) {
	if a.Effects&sqltext.Exec == 0 {
		return e
	}
	if a.Effects&sqltext.Remote != 0 { // EXECUTE ... AT
		e = Anything
	}
	if a.Effects&sqltext.Dynamic != 0 || a.CallLen() == 0 {
		e.Effects |= sqltext.Exec
	}
	return e
}

// is reports whether a database is the one that has been looked at.
func (c *Catalog) is(database string) bool { return strings.EqualFold(c.database, database) }

// call is the effect of a procedure by its name, as typed. schema is where a name without one is looked for first; module says
// that it is a module that calls.
func (c *Catalog) call(name, schema string, module bool) Effect {
	var parts [4]string
	n, ok := split(name, &parts)
	if !ok || n == 4 {
		return Anything
	}
	if n == 3 && parts[0] != "" && !c.is(parts[0]) {
		return Anything
	}
	last := fold(parts[n-1])
	if n > 1 && parts[n-2] != "" {
		if s := fold(parts[n-2]); s != "sys" {
			return c.in(s, last)
		}
		return c.own(last)
	}
	if c.system[last] {
		return c.own(last)
	}
	if e, ok := c.procs[key(schema, last)]; ok {
		return e
	}
	if schema != "dbo" && module && c.blind {
		return Anything // there may be one that the user does not see
	}
	return c.in("dbo", last)
}

// in is the effect of a procedure in a schema.
func (c *Catalog) in(schema, name string) Effect {
	if e, ok := c.procs[key(schema, name)]; ok {
		return e
	}
	if schema == "dbo" && c.system[name] {
		return c.own(name)
	}
	return Anything
}

// own is the effect of a procedure of the server's that sqltext does not know. Those that leave something are known there; but
// some run texts.
func (c *Catalog) own(name string) Effect {
	if strings.HasPrefix(name, "sp_msforeach") {
		return Anything
	}
	return Effect{Effects: sqltext.Exec | sqltext.WritesIdentity}
}

// Written returns the effect of the triggers that a text may reach which writes: what the mark Triggers in its effects
// stands for. database is the session's.
func (c *Catalog) Written(text []byte, a *sqltext.Analysis, database string) Effect {
	if c == nil || c.blind || !c.is(database) || a.Uses || a.Effects&sqltext.DDL != 0 {
		return unsure
	}
	e := c.odd
	w := words{text: text}
	for w.next() {
		if w.strange && len(c.writes) > 0 || w.parts == 3 && !c.is(string(w.first())) {
			e = e.with(unsure)
		}
		if x, ok := c.writes[string(w.word())]; ok {
			e = e.with(x)
		}
	}
	if a.Tries {
		e = e.caught()
	}
	return e
}

// key is that of a procedure.
func key(schema, name string) string { return schema + "\x00" + name }

// fold makes names equal that differ in case. In a database whose collation knows case, they are taken together.
func fold(name string) string { return strings.ToLower(name) }

// split takes a name of up to four parts apart. Quotes are taken off.
func split(name string, parts *[4]string) (n int, ok bool) {
	for {
		name = strings.TrimLeft(name, " \t\r\n")
		if n == len(parts) {
			return 0, false
		}
		part := ""
		switch {
		case name == "":
		case name[0] == '[' || name[0] == '"':
			closing := name[:1]
			if closing == "[" {
				closing = "]"
			}
			var b strings.Builder
			for name = name[1:]; ; name = name[1:] {
				i := strings.Index(name, closing)
				if i < 0 {
					return 0, false
				}
				b.WriteString(name[:i])
				if name = name[i+1:]; !strings.HasPrefix(name, closing) {
					break
				}
				b.WriteString(closing)
			}
			part = b.String()
		default:
			i := strings.IndexAny(name, ".;[\"/- \t\r\n")
			if i < 0 {
				i = len(name)
			}
			part, name = name[:i], name[i:]
		}
		parts[n] = part
		n++
		name = strings.TrimLeft(name, " \t\r\n")
		if name == "" {
			return n, part != ""
		}
		if name[0] != '.' {
			return 0, false // a comment in it, or a number
		}
		name = name[1:]
	}
}
