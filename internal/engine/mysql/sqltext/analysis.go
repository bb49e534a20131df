package sqltext

// Bounds of what an Analysis holds.
const (
	maxAssignments = 16
	maxObjects     = 8
	nameBuf        = 768 // bytes of all names together
	nameLen        = 256 // bytes of a name: 64 characters ("Identifier Length Limits")
	maxCalls       = 8
	callBuf        = 512 // bytes of the names of all routines together
)

// AssignKind says what an assignment sets.
type AssignKind uint8

const (
	AssignSystem       AssignKind = iota // a session system variable; SET SESSION x, SET @@x, SET x
	AssignUser                           // a user variable; SET @x
	AssignNames                          // SET NAMES value [COLLATE collation]
	AssignCharacterSet                   // SET CHARACTER SET value
	AssignTransaction                    // SET SESSION TRANSACTION value
	AssignSchema                         // USE name: it has a name and no value
)

// ValueKind says how a value was written.
type ValueKind uint8

const (
	ValueNone       ValueKind = iota
	ValueDefault              // DEFAULT
	ValueNumber               // with its sign
	ValueString               // '...', "...", and what stands as a quoted name in SET x = `y`
	ValueHex                  // X'..', 0x.., B'..', 0b..
	ValueWord                 // ON, NULL, TRUE, utf8mb4, ...
	ValuePhrase               // words and commas, of SET SESSION TRANSACTION
	ValueExpression           // none of these, and not given: MariaDB's SET @@x alone, of which the server does not tell
)

// Assignment is one value that a text gives to the session, as a literal.
type Assignment struct {
	Kind  AssignKind
	Value ValueKind
	// From and To bound the value in the analysed text, as typed. CollationFrom and CollationTo bound the collation of
	// SET NAMES; both are 0 if there is none.
	From, To                   int
	CollationFrom, CollationTo int

	name nameRef
}

// ObjectOp says what a text does with a named object.
type ObjectOp uint8

const (
	CreatesTemp   ObjectOp = iota // CREATE TEMPORARY TABLE or SEQUENCE
	DropsObject                   // DROP [TEMPORARY] TABLE or SEQUENCE: a temporary one of this name is dropped first
	Prepares                      // PREPARE; From and To bound the text's literal, or are 0
	Executes                      // EXECUTE
	Deallocates                   // DEALLOCATE PREPARE, DROP PREPARE
	DropsSchema                   // DROP DATABASE; the default database is none afterwards if it was this one
	OpensHandler                  // HANDLER x OPEN
	ClosesHandler                 // HANDLER x CLOSE
)

// Object is a named object of the session that a text deals with.
type Object struct {
	Op           ObjectOp
	From, To     int
	schema, name nameRef
}

// KillKind says what KILL ends.
type KillKind uint8

const (
	NoKill         KillKind = iota
	KillConnection          // KILL id, KILL CONNECTION id
	KillQuery               // KILL QUERY id
	KillOther               // KILL USER, KILL QUERY ID, and what else MariaDB has
)

// KillTarget describes a KILL.
type KillTarget struct {
	Kind KillKind
	// Soft is MariaDB's KILL SOFT.
	Soft bool
	// From and To bound the id if it is a plain number; otherwise both are 0.
	From, To int
}

type nameRef struct{ at, n uint16 }

// Analysis is the answer of Analyze. It holds no reference to the text. Keep one and use it again: its names are valid
// until the next Analyze.
type Analysis struct {
	Effects    Effects
	Statements int // in the text; empty ones do not count
	// Tableless says that the text is one SELECT without FROM.
	Tableless bool
	Kill      KillTarget // of the last KILL in the text
	// MoreObjects says that there was no room for all objects, or that a name was not understood. (If there was no room
	// for an assignment, the effects are those of one that cannot be carried.)
	MoreObjects bool
	// MoreCalls says the same of routines: there may be some that CallName does not tell.
	MoreCalls bool

	calls calls

	noEscape               bool // how the text was read
	nAssignments, nObjects uint8
	used                   int
	assignments            [maxAssignments]Assignment
	objects                [maxObjects]Object
	names                  [nameBuf]byte
}

func (a *Analysis) reset() {
	a.Effects, a.Statements, a.Tableless, a.Kill, a.MoreObjects = 0, 0, false, KillTarget{}, false
	a.nAssignments, a.nObjects, a.used = 0, 0, 0
	a.MoreCalls, a.calls.n, a.calls.used = false, 0, 0
}

func (a *Analysis) bytes(r nameRef) []byte { return a.names[r.at : r.at+r.n : r.at+r.n] }

// AssignmentLen returns how many assignments there are, in the order of the text.
func (a *Analysis) AssignmentLen() int { return int(a.nAssignments) }

// Assignment returns the i-th assignment. Carry it when the server has said OK: the last one of a name counts.
func (a *Analysis) Assignment(i int) Assignment { return a.assignments[i] }

// AssignmentName returns the name of what the i-th assignment sets: in lower case for variables, as typed for a
// database; empty for the other kinds.
func (a *Analysis) AssignmentName(i int) []byte { return a.bytes(a.assignments[i].name) }

// ObjectLen returns how many objects there are, in the order of the text.
func (a *Analysis) ObjectLen() int { return int(a.nObjects) }

// Object returns the i-th object.
func (a *Analysis) Object(i int) Object { return a.objects[i] }

// ObjectName returns the name of the i-th object, as typed but without quotes, and of its database if one was given.
// Prepared statements compare without case; tables as lower_case_table_names says.
func (a *Analysis) ObjectName(i int) (schema, name []byte) {
	return a.bytes(a.objects[i].schema), a.bytes(a.objects[i].name)
}

// keep copies a name and reports whether there was room.
func (a *Analysis) keep(name []byte) (nameRef, bool) {
	if a.used+len(name) > nameBuf {
		return nameRef{}, false
	}
	r := nameRef{uint16(a.used), uint16(len(name))}
	a.used += copy(a.names[a.used:], name)
	return r, true
}

// addAssignment notes an assignment and reports whether there was room.
func (a *Analysis) addAssignment(x Assignment, name []byte) bool {
	r, ok := a.keep(name)
	if !ok || int(a.nAssignments) == maxAssignments {
		return false
	}
	x.name = r
	a.assignments[a.nAssignments] = x
	a.nAssignments++
	a.Effects |= Assigns
	return true
}

// addObject notes an object.
func (a *Analysis) addObject(o Object, schema, name []byte) {
	s, ok1 := a.keep(schema)
	n, ok2 := a.keep(name)
	if !ok1 || !ok2 || int(a.nObjects) == maxObjects {
		a.MoreObjects = true
		return
	}
	o.schema, o.name = s, n
	a.objects[a.nObjects] = o
	a.nObjects++
}

// unite adds another reading of the same text. What they do not agree on is no longer told in detail.
func (a *Analysis) unite(b *Analysis, text []byte) {
	same := a.nAssignments == b.nAssignments && a.nObjects == b.nObjects && a.used == b.used && a.Kill == b.Kill &&
		string(a.names[:a.used]) == string(b.names[:b.used])
	if same && a.noEscape != b.noEscape {
		for i := range int(a.nAssignments) {
			x := &a.assignments[i]
			for _, c := range text[x.From:x.To] {
				same = same && c != '\\'
			}
		}
	}
	for i := range int(a.nAssignments) {
		same = same && a.assignments[i] == b.assignments[i]
	}
	for i := range int(a.nObjects) {
		same = same && a.objects[i] == b.objects[i]
	}
	a.uniteCalls(b)
	a.Effects |= b.Effects
	a.Statements = max(a.Statements, b.Statements)
	a.Tableless = a.Tableless && b.Tableless
	if !same {
		a.Effects |= Unknown
		a.MoreObjects = true
		a.nAssignments, a.nObjects, a.used, a.Kill = 0, 0, 0, KillTarget{}
	}
}
