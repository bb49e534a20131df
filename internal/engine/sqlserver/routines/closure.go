package routines

import "forebay/internal/engine/sqlserver/sqltext"

// module is a procedure, a trigger or a view.
type module struct {
	schema, name string // folded
	proc, view   bool
	table        string // of a trigger, folded; empty: it is none
	defined      bool   // its definition has been read
	effect       Effect
	calls        []string // as typed
	tries        bool
	writes       bool     // it may reach triggers
	ddl          bool     // also those that are not in the catalogue
	text         []byte   // of what writes, and of views, until finish
	names        []string // of relations in it
	elsewhere    bool     // it names another database
}

// builder collects modules.
type builder struct {
	c         *Catalog
	a         sqltext.Analysis
	modules   map[string]*module   // by object_id
	relations map[string]Effect    // what writes to it reach, by name
	leads     map[string][]string  // whose writes reach those of others
	synonyms  map[string][2]string // key -> name of what it stands for, and the synonym's name
}

func newBuilder() *builder {
	return &builder{
		c:       &Catalog{procs: map[string]Effect{}, system: map[string]bool{}, writes: map[string]Effect{}},
		modules: map[string]*module{}, relations: map[string]Effect{}, leads: map[string][]string{}, synonyms: map[string][2]string{},
	}
}

// object takes a procedure, a trigger or a view.
func (b *builder) object(id, schema, name, kind string) {
	m := &module{schema: fold(schema), name: fold(name)}
	b.modules[id] = m
	switch kind {
	case "V ", "V", "IF":
		m.view = true
	case "TR", "TA":
		m.table = "\x00" // until it is known
	default:
		m.proc = true
	}
}

// trigger takes the table or the view of one; nil: it is not to be seen.
func (b *builder) trigger(id string, table *string) {
	m := b.modules[id]
	if m == nil {
		m = &module{}
		b.modules[id] = m
	}
	m.proc = false
	if m.table = "\x00"; table != nil {
		m.table = fold(*table)
	}
}

// definition takes that of a module, or one more of a procedure of several numbers.
func (b *builder) definition(id string, definition *string, quoted bool) {
	m := b.modules[id]
	if m == nil {
		return // a function
	}
	m.defined = true
	if definition == nil {
		m.effect = m.effect.with(Anything)
		return
	}
	m.inspect(*definition, quoted, &b.a)
}

func (b *builder) synonym(schema, name, base string) {
	b.synonyms[key(fold(schema), fold(name))] = [2]string{base, fold(name)}
}

// cascade takes a foreign key: a write of the one table may write the other.
func (b *builder) cascade(table, other *string) {
	if table == nil || other == nil {
		return // not to be seen: the user does not see all
	}
	b.leads[fold(*table)] = append(b.leads[fold(*table)], fold(*other))
}

// finish works out the catalogue. Effects flow from callee to caller until nothing changes; they are only ever added, so that
// it ends.
func (b *builder) finish() *Catalog {
	c := b.c
	for _, m := range b.modules {
		if !m.defined {
			m.effect = m.effect.with(Anything)
		}
		if m.proc {
			c.procs[key(m.schema, m.name)] = Effect{}
			continue
		}
		b.relations[m.relation()] = Effect{}
	}
	for from, to := range b.leads {
		b.relations[from] = Effect{}
		for _, t := range to {
			b.relations[t] = Effect{}
		}
	}
	for k, s := range b.synonyms {
		b.relations[s[1]] = Effect{}
		c.procs[k] = Effect{}
	}
	for _, m := range b.modules {
		m.mentions(b)
	}
	for changed := true; changed; {
		changed = false
		for _, m := range b.modules {
			changed = b.flow(m) || changed
		}
		for k, s := range b.synonyms {
			changed = b.alias(k, s) || changed
		}
		for from, to := range b.leads {
			for _, t := range to {
				changed = b.reach(from, b.relations[t]) || changed
			}
		}
	}
	for name, e := range b.relations {
		switch {
		case e.equal(Effect{}):
		case plain(name):
			c.writes[name] = e
		default:
			c.odd = c.odd.with(unsure)
		}
	}
	for k, s := range b.synonyms { // of tables, mostly: no procedures
		if !b.procedure(s[0]) {
			delete(c.procs, k)
		}
	}
	for _, e := range c.procs {
		if e.Unknown || e.Effects&sqltext.Dynamic != 0 {
			c.unknown++
		}
	}
	return c
}

// relation is the name whose writes reach the module.
func (m *module) relation() string {
	if m.view {
		return m.name
	}
	return m.table
}

// mentions finds the relations that a module names.
func (m *module) mentions(b *builder) {
	if m.text == nil {
		return
	}
	seen := map[string]bool{}
	w := words{text: m.text}
	for w.next() {
		if w.parts == 3 && !b.c.is(string(w.first())) {
			m.elsewhere = true
		}
		if w.strange { // its name may be any that is not compared
			m.elsewhere = true
		}
		name := string(w.word())
		if _, ok := b.relations[name]; ok && !seen[name] {
			seen[name] = true
			m.names = append(m.names, name)
		}
	}
	m.text = nil
}

// flow unites what a module is known to do with what it reaches and reports whether that told something new.
func (b *builder) flow(m *module) bool {
	e := m.effect
	for _, name := range m.calls {
		x := b.c.call(name, m.schema, true)
		if m.tries {
			x = x.caught()
		}
		e = e.with(x)
	}
	if m.writes || m.view {
		if m.elsewhere || m.ddl || m.writes && b.c.blind {
			e = e.with(unsure)
		}
		for _, name := range m.names {
			x := b.relations[name]
			if !plain(name) {
				x = unsure
			}
			if m.tries {
				x = x.caught()
			}
			e = e.with(x)
		}
	}
	if m.view && !m.defined {
		e = unsure
	}
	changed := !e.equal(m.effect)
	m.effect = e
	if m.proc {
		k := key(m.schema, m.name)
		if x := b.c.procs[k].with(e); !x.equal(b.c.procs[k]) {
			b.c.procs[k], changed = x, true
		}
		return changed
	}
	if m.view && e.Unknown { // its text: what it leads to is not known
		e = unsure
	}
	return b.reach(m.relation(), e) || changed
}

// reach unites what writes to a relation reach with more.
func (b *builder) reach(name string, e Effect) bool {
	old := b.relations[name]
	x := old.with(e)
	b.relations[name] = x
	return !x.equal(old)
}

// alias gives a synonym the effects of what it stands for.
func (b *builder) alias(k string, s [2]string) (changed bool) {
	var parts [4]string
	n, ok := split(s[0], &parts)
	e := Anything
	if ok && n > 1 { // alone, whose schema it is depends on the user
		e = b.c.call(s[0], "dbo", true)
	}
	if x := b.c.procs[k].with(e); !x.equal(b.c.procs[k]) {
		b.c.procs[k], changed = x, true
	}
	if !ok || n == 1 || n == 4 || n == 3 && parts[0] != "" && !b.c.is(parts[0]) {
		return b.reach(s[1], unsure) || changed
	}
	return b.reach(s[1], b.relations[fold(parts[n-1])]) || changed
}

// procedure reports whether a synonym may stand for a procedure.
func (b *builder) procedure(base string) bool {
	return !b.c.call(base, "dbo", true).equal(Anything)
}
