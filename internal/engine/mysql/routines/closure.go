package routines

import "forebay/internal/engine/mysql/sqltext"

// bodyKind says what a body belongs to.
type bodyKind uint8

const (
	procedure bodyKind = iota
	function
	trigger
	view
)

// restored are the effects that functions and triggers do not have, since the server puts back the value when they end.
const restored = sqltext.LastInsertIDWrite | sqltext.FoundRowsWrite

// body is a routine, a trigger or a view.
type body struct {
	kind         bodyKind
	schema, name string // of the routine, or of the trigger's table, or of the view
	effects      sqltext.Effects
	calls        []string // keys of routines
	relations    []string // keys of the relations that it names
	writes       bool     // some of these
}

// builder collects bodies.
type builder struct {
	version uint32
	mariaDB bool
	blind   bool

	packages map[string]bool // MariaDB's, by name in lower case

	bodies []*body
	texts  []source // of the bodies that can be read, until finish
}

// source is the text of a body.
type source struct {
	of   *body
	text []byte
	mode sqltext.Mode
}

// add takes a body. A nil text is not visible. MariaDB's sql_mode ORACLE is another language, which is not read.
func (b *builder) add(kind bodyKind, schema, name string, text *string, sqlMode string) {
	x := &body{kind: kind, schema: schema, name: name}
	b.bodies = append(b.bodies, x)
	if text == nil || *text == "" || b.mariaDB && hasMode(sqlMode, "ORACLE") {
		x.effects = Anything
		return
	}
	mode := b.mode(sqlMode)
	if kind == view { // shown in a form of its own, with escapes
		mode.AnsiQuotes, mode.NoBackslashEscapes = false, false
	}
	p := sqltext.ReadProgram([]byte(*text), mode)
	x.effects = p.Effects
	for _, c := range p.Calls {
		if c.Schema == "" {
			c.Schema = schema
		}
		x.calls = append(x.calls, string(appendRoutine(nil, []byte(c.Schema), []byte(c.Name), c.Kind)))
	}
	b.texts = append(b.texts, source{x, []byte(*text), mode})
}

// finish works out the catalogue. Effects flow from callee to caller until nothing changes; they are only ever added, so
// that it ends.
func (b *builder) finish() *Catalog {
	c := &Catalog{
		routines: map[string]sqltext.Effects{}, relations: map[string]reach{}, names: map[string]reach{}, blind: b.blind,
	}
	for _, x := range b.bodies {
		switch x.kind {
		case procedure, function:
			c.routines[x.routineKey()] = 0
			if b.packages[string(appendFolded(nil, []byte(x.schema)))] {
				x.effects = Anything // from where there is the package, the name is that of a routine in it
			}
		default:
			c.relations[x.relationKey()] = reach{}
		}
	}
	for _, s := range b.texts {
		s.mentions(c.relations)
		if b.blind && s.of.writes {
			s.of.effects |= sqltext.Unseen
		}
	}
	for changed := true; changed; {
		changed = false
		for _, x := range b.bodies {
			changed = c.flow(x) || changed
		}
	}
	c.settle()
	return c
}

// flow unites what x is known to do with what it reaches and reports whether that told something new.
func (c *Catalog) flow(x *body) bool {
	e, w := x.effects, sqltext.Effects(0)
	for _, k := range x.calls {
		if called, ok := c.routines[k]; ok {
			e |= called
		} else {
			e |= Anything
		}
	}
	for _, k := range x.relations {
		e |= c.relations[k].read
		w |= c.relations[k].write
	}
	if x.writes {
		e |= w
	}
	if x.kind == function || x.kind == trigger {
		e &^= restored
	}
	x.effects |= e
	switch x.kind {
	case procedure, function:
		k := x.routineKey()
		old := c.routines[k]
		c.routines[k] = old | e
		return c.routines[k] != old
	case trigger:
		return c.unite(x.relationKey(), reach{write: e})
	default: // writing a view writes its tables
		return c.unite(x.relationKey(), reach{read: e, write: w})
	}
}

func (c *Catalog) unite(k string, r reach) bool {
	old := c.relations[k]
	c.relations[k] = old.with(r)
	return c.relations[k] != old
}

// settle keeps the relations that reach something.
func (c *Catalog) settle() {
	for k, r := range c.relations {
		if r.write&^sqltext.SequenceWrite == 0 {
			r.write = 0 // the text that writes has this mark itself
		}
		if r == (reach{}) {
			delete(c.relations, k)
			continue
		}
		c.relations[k] = r
		schema, name := splitKey(k)
		c.names[name] = c.names[name].with(r)
		c.all = c.all.with(r)
		if !serversOwn(schema) {
			c.hidden |= r.read | r.write
		}
	}
}

// mentions finds the relations that a body names.
func (s *source) mentions(relations map[string]reach) {
	var n sqltext.Names
	seen := map[string]bool{}
	for n.Init(s.text, s.mode); n.Next(); {
		schema := n.Schema()
		if len(schema) == 0 {
			schema = []byte(s.of.schema)
		}
		k := string(appendRelation(nil, schema, n.Name()))
		if _, ok := relations[k]; ok && !seen[k] {
			seen[k] = true
			s.of.relations = append(s.of.relations, k)
		}
	}
	s.of.writes = n.Writes
}

func (x *body) routineKey() string {
	kind := sqltext.CallsProcedure
	if x.kind == function {
		kind = sqltext.CallsFunction
	}
	return string(appendRoutine(nil, []byte(x.schema), []byte(x.name), kind))
}

func (x *body) relationKey() string {
	return string(appendRelation(nil, []byte(x.schema), []byte(x.name)))
}
