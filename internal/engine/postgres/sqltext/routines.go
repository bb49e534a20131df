package sqltext

import "slices"

// Catalog is what was learned about the routines of a database; NewRoutines makes it fit for look-ups.
type Catalog struct {
	// Names has all routines of the database by name (as in pg_proc, without schema), overloads united. Types whose
	// name may stand before a parenthesis (vector(3)) belong here too, with 0.
	Names map[string]Effects
	// Attributes has those of Names with effects that may be called without parentheses, as row.routine: they take
	// one argument, of a row type or of any type.
	Attributes map[string]Effects
	All        Effects // reached by any statement: through views, policies, operators, casts, domains, ...
	DML        Effects // reached by statements that write: triggers
	DDL        Effects // reached by DDL: event triggers
	// Settings are the names of custom settings that the routines may set, folded.
	Settings []string
}

// Routines tells what the routines of one database do to a session. It never changes, and may be shared.
type Routines struct {
	names         map[string]Effects
	attributes    map[string]Effects
	all, dml, ddl Effects
	settings      []string
}

// NewRoutines returns the Routines for c. What is known about built-in routines (BuiltinEffects) is added to c.Names.
// It keeps nothing of c.
func NewRoutines(c Catalog) *Routines {
	r := &Routines{
		names:      make(map[string]Effects, len(c.Names)+len(builtinEffects)),
		attributes: make(map[string]Effects, len(c.Attributes)),
		all:        c.All, dml: c.DML, ddl: c.DDL,
		settings: slices.Compact(slices.Sorted(slices.Values(c.Settings))),
	}
	for n, e := range builtinEffects {
		r.names[n] = e
	}
	for n, e := range c.Names {
		r.names[n] |= e
	}
	for n, e := range c.Attributes {
		r.attributes[n] = e &^ internal
	}
	return r
}

// nothingKnown stands in for a nil *Routines: every routine is unknown, and any statement may reach one.
var nothingKnown = &Routines{names: builtinEffects, all: unknownRoutine}

// Settings returns the names of the custom settings ("app.tenant") that the routines of the database may set, folded
// and sorted. They show in no catalogue: ask for each by name. The caller must not change the slice.
func (r *Routines) Settings() []string {
	if r == nil {
		return nil
	}
	return r.settings
}

// Lookup returns the effects of calling a routine by its name as the server has it (folded unless quoted), and whether
// it is known.
func (r *Routines) Lookup(name string) (Effects, bool) {
	if r == nil {
		r = nothingKnown
	}
	e, ok := r.names[name]
	switch {
	case !ok:
		e = unknownRoutine
	case e&isSetConfig != 0:
		e |= Look
	case e&runsText != 0:
		e |= Look | SequenceWrite | SequenceRead | UnknownSetting
	}
	return e &^ internal, ok
}

// Ambient returns what statements may do through routines that they do not name: any statement, one that writes rows,
// and DDL.
func (r *Routines) Ambient() (all, dml, ddl Effects) {
	if r == nil {
		r = nothingKnown
	}
	return r.all, r.dml, r.ddl
}
