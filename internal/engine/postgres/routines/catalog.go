package routines

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"forebay/internal/engine/postgres/sqltext"
)

const (
	unreadable = sqltext.Look | sqltext.SequenceWrite | sqltext.SequenceRead
	anySQL     = unreadable | sqltext.UnknownSetting
)

// proc is one routine that did not come with the server.
type proc struct {
	name      string
	attribute bool // can be called as row.name
	effects   sqltext.Effects
	body      sqltext.Body // what its source calls
	uses      []string     // oids of other routines that it calls without naming them
}

// catalog is what was read so far.
type catalog struct {
	names       map[string]sqltext.Effects
	attributes  map[string]sqltext.Effects
	procs       map[string]*proc           // by oid
	builtin     map[string]sqltext.Effects // by oid; those with effects only
	builtinOIDs []string                   // the keys of builtin
	settings    map[string]bool

	all, dml, ddl sqltext.Effects
	uses          []use
}

// use says that something other than a routine uses one.
type use struct {
	oid   string       // of the routine, or empty
	class string       // the catalogue of the user
	body  sqltext.Body // instead of a routine: the expression
}

func newCatalog() *catalog {
	return &catalog{
		names: map[string]sqltext.Effects{}, attributes: map[string]sqltext.Effects{}, procs: map[string]*proc{},
		builtin: map[string]sqltext.Effects{}, settings: map[string]bool{},
	}
}

// addRow takes a row of procQuery.
func (c *catalog) addRow(r []*string) error {
	if len(r) != 9 {
		return fmt.Errorf("pg_proc: row of %d columns", len(r))
	}
	oid, name := text(r[1]), text(r[2])
	switch text(r[0]) {
	case "t":
		c.names[name] |= 0
	case "b":
		c.names[name] |= 0
		if sqltext.BuiltinEffects(name) != 0 {
			e, _ := (*sqltext.Routines)(nil).Lookup(name)
			for o := range strings.SplitSeq(oid, ",") {
				c.builtin[o] = e
				c.builtinOIDs = append(c.builtinOIDs, o)
			}
		}
	case "u":
		p := &proc{name: name, attribute: text(r[7]) == "true"}
		p.read(text(r[3]), text(r[4]), text(r[5]), text(r[6]))
		if at := text(r[8]); at == "first" || at == "later" && p.effects&sqltext.DDL != 0 {
			p.effects |= sqltext.Look // what it creates may be temporary
		}
		c.procs[oid] = p
		c.note(p.body.Settings)
	default:
		return fmt.Errorf("pg_proc: row of kind %q", text(r[0]))
	}
	return nil
}

func (c *catalog) note(settings []string) {
	for _, s := range settings {
		c.settings[s] = true
	}
}

// read fills in what the routine itself does.
func (p *proc) read(language, source, extension, kind string) {
	switch language {
	case "internal":
		if kind == "aggregate" {
			break // its parts are in pg_depend
		}
		if source == "" {
			p.effects = unreadable
			break
		}
		for n := range strings.SplitSeq(source, ",") {
			e, _ := (*sqltext.Routines)(nil).Lookup(n)
			if sqltext.BuiltinEffects(n) != 0 {
				p.effects |= e
				if sqltext.BuiltinEffects(n) == sqltext.BuiltinEffects("set_config") {
					p.effects |= sqltext.UnknownSetting // under another name its arguments are not read
				}
			}
		}
	case "c":
		if kind != "handler" {
			p.effects = cEffects(extension, p.name)
		}
	case "sql", "plpgsql":
		p.body = sqltext.ReadBody([]byte(cutBody(source)))
		p.effects = p.body.Effects &^ sqltext.Unknown
	default:
		p.effects = interpreterEffects(language, source)
	}
}

// cutBody returns the body of a definition, if source is one: pg_get_functiondef puts it on a line of its own.
func cutBody(source string) string {
	if !strings.HasPrefix(source, "CREATE OR REPLACE ") {
		return source
	}
	at := len(source)
	for _, mark := range []string{"\nBEGIN ATOMIC", "\nRETURN "} {
		if i := strings.Index(source, mark); i >= 0 {
			at = min(at, i)
		}
	}
	if at == len(source) {
		return source
	}
	return source[at:]
}

// addUse takes a row of useQuery.
func (c *catalog) addUse(oid, class, user string, source *string) {
	class = strings.TrimPrefix(class, "pg_catalog.")
	if class == "pg_proc" && oid != "" {
		if p := c.procs[user]; p != nil {
			p.uses = append(p.uses, oid)
		}
		return
	}
	u := use{oid: oid, class: class}
	if oid == "" {
		if source == nil {
			u.body.Effects = anySQL
		} else {
			u.body = sqltext.ReadBody([]byte(*source))
			// The definition of a rule or a trigger starts with CREATE.
			u.body.Effects &^= sqltext.Unknown | sqltext.DDL | sqltext.RoutineDDL
			c.note(u.body.Settings)
		}
		if p := c.procs[user]; class == "pg_proc" && p != nil {
			p.effects |= u.body.Effects
			p.body.Calls = append(p.body.Calls, u.body.Calls...)
			return
		}
	}
	c.uses = append(c.uses, u)
}

// bodyEffects returns what code does by itself and through what it calls, as far as that is known now.
func (c *catalog) bodyEffects(b *sqltext.Body) sqltext.Effects {
	e := b.Effects &^ sqltext.Unknown
	for _, n := range b.Calls {
		e |= c.names[n]
		switch own := sqltext.BuiltinEffects(n); {
		case own == 0, own == sqltext.BuiltinEffects("set_config"), own == sqltext.BuiltinEffects("query_to_xml"):
			// ReadBody looked at the arguments of these.
		default:
			e |= own
		}
	}
	for _, n := range b.Fields {
		e |= c.attributes[n]
	}
	if b.Writes {
		e |= c.dml
	}
	if e&sqltext.DDL != 0 {
		e |= c.ddl
	}
	return e
}

// oidEffects returns what a routine does, as far as that is known now.
func (c *catalog) oidEffects(oid string) sqltext.Effects {
	if p := c.procs[oid]; p != nil {
		return p.effects
	}
	return c.builtin[oid]
}

// routines lets effects flow from callee to caller until nothing changes, and returns the result. Effects are only
// ever added, so that it ends.
func (c *catalog) routines() *sqltext.Routines {
	for _, p := range c.procs {
		c.names[p.name] |= 0
	}
	for changed := true; changed; {
		changed = false
		for _, p := range c.procs {
			e := p.effects | c.bodyEffects(&p.body)
			for _, oid := range p.uses {
				e |= c.oidEffects(oid)
			}
			changed = add(&p.effects, e) || changed
			if n := c.names[p.name]; n|e != n {
				c.names[p.name], changed = n|e, true
			}
			if a := c.attributes[p.name]; p.attribute && a|e != a {
				c.attributes[p.name], changed = a|e, true
			}
		}
		for i := range c.uses {
			u := &c.uses[i]
			e := c.oidEffects(u.oid) | c.bodyEffects(&u.body)
			switch u.class {
			case "pg_trigger":
				changed = add(&c.dml, e) || changed
			case "pg_attrdef":
				// Defaults are for INSERT and DEFAULT, which may advance a sequence anyway.
				changed = add(&c.dml, e&^sqltext.SequenceWrite) || changed
			case "pg_event_trigger":
				changed = add(&c.ddl, e) || changed
			case "pg_language":
				// The handler of a language does what the routines in it do.
			default:
				changed = add(&c.all, e) || changed
			}
		}
	}
	return sqltext.NewRoutines(sqltext.Catalog{
		Names: c.names, Attributes: c.attributes, All: c.all, DML: c.dml, DDL: c.ddl,
		Settings: slices.Collect(maps.Keys(c.settings)),
	})
}

// add unites e into to and reports whether that changed it.
func add(to *sqltext.Effects, e sqltext.Effects) bool {
	old := *to
	*to |= e
	return *to != old
}
