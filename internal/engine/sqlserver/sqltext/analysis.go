package sqltext

import "forebay/internal/engine/sqlserver/settings"

// Bounds of what an Analysis holds, and of how deep a text is read.
const (
	maxAssignments = 32
	maxObjects     = 8
	maxCalls       = 8
	maxDepth       = 64  // of statements within statements
	maxTexts       = 4   // of texts within texts
	maxArgs        = 8   // of a procedure that are looked at
	maxName        = 128 // UTF-16 units of a part of a name ("Database Identifiers")
)

// Mode says how a text is run.
type Mode struct {
	// QuotedIdentifier is the session's QUOTED_IDENTIFIER: "x" is a name, and otherwise a string.
	QuotedIdentifier bool
	// Within means that the text is not a batch of its own but that of sp_executesql, sp_prepare or the like: what it
	// sets, the database, its temporary tables and its scope of identities end with it.
	Within bool
	// Module means that the text is the body of a procedure or a trigger, as [Body] finds it. EXECUTE AS ends with it, what it
	// makes and surely takes away again is in Analysis.Failing, and keys and locks are among the objects. Set Within, too.
	Module bool
}

// ObjectOp says what a text does with a named object.
type ObjectOp uint8

// What a text does with a temporary table, procedure or cursor of the session.
const (
	CreatesTable ObjectOp = iota // #t or ##t, by CREATE TABLE or SELECT INTO
	DropsTable
	CreatesProcedure // #p or ##p
	DropsProcedure
	DeclaresCursor // which may outlive the text
	DeallocatesCursor
	opensKey // in modules alone, as the rest
	closesKey
	getsAppLock
	releasesAppLock
)

// ends is what takes away what an operation makes, and makes the effect of that.
func (op ObjectOp) ends() (end ObjectOp, makes Effects) {
	switch op {
	case CreatesTable:
		return DropsTable, TempTable
	case CreatesProcedure:
		return DropsProcedure, TempProcedure
	case DeclaresCursor:
		return DeallocatesCursor, Cursor
	case opensKey:
		return closesKey, Key
	case getsAppLock:
		return releasesAppLock, AppLock
	}
	return op, 0
}

// Object is a temporary table or procedure, or a cursor, that a text deals with. Names compare without case (as far as it
// is certain: a server may have a collation with case, in which DROP of another spelling fails).
type Object struct {
	Op ObjectOp
	// Conditional means that the statement may not run, even if the text ends without an error.
	Conditional bool
	// Name is the last part of the name, in UTF-8 and lower case, without quotes: #t.
	Name string

	region int  // what stands in the same one runs, or none of it does, as long as nothing fails
	tried  bool // what fails goes on elsewhere
}

// Kept is what a session keeps until it is given up as often as it was taken, or all of it at once.
type Kept uint8

// The kinds of what is kept.
const (
	KeptLogin    Kept = iota // EXECUTE AS, until REVERT
	KeptKey                  // OPEN of a key, until CLOSE
	KeptDocument             // sp_xml_preparedocument, until sp_xml_removedocument
	KeptLock                 // sp_getapplock, until sp_releaseapplock, of the session's
	Kinds
)

// Balance says how often a text takes what a session keeps, and gives it up. It holds where the text ends without an error.
type Balance struct {
	Taken int32 // that are not given up by the text, or perhaps not
	Given int32 // surely, of those from before
	All   bool  // all of those from before are given up
	Stays bool  // it takes some that nothing gives up
}

// Then makes b that of a text and of another one behind it.
func (b *Balance) Then(n Balance) {
	if n.All {
		b.Taken, b.All = 0, true
	}
	own := min(b.Taken, n.Given)
	b.Taken += n.Taken - own
	b.Given += n.Given - own
	b.Stays = b.Stays || n.Stays
}

// takes notes that something is taken.
func (s *scan) takes(k Kept, ends bool) {
	b := &s.a.Kept[k]
	b.Taken++
	b.Stays = b.Stays || !ends || s.within || s.texts > 0
}

// gives notes that something is given up, or with all, all of it.
func (s *scan) gives(k Kept, all bool) {
	b := &s.a.Kept[k]
	switch {
	case !s.certain() || s.within || s.texts > 0:
	case all:
		b.Taken, b.All = 0, true
	case b.Taken > 0:
		b.Taken--
	default:
		b.Given++
	}
}

// span bounds a piece of the text in UTF-16 units.
type span struct{ from, to int }

// assignKind says what an assignment sets.
type assignKind uint8

const (
	setOption assignKind = iota
	setDatabase
	setLanguage
	setDateFormat
	setDateFirst
	setIsolation
	setLockTimeout
	setTextSize
	setRowCount
	setDeadlockPriority
	setCostLimit
	setContextInfo
	setFIPS
	setIdentityInsert
	setContext
)

type assignment struct {
	kind   assignKind
	on     bool
	option settings.Options
	n      int64
	// a bounds the name or the value, or the key of setContext, whose value b bounds.
	a, b span
}

// Analysis is the answer of Inspect. Keep one and use it again.
type Analysis struct {
	Effects    Effects
	Statements int // in the text, without those within others
	// MoreObjects says that there was no room for all objects, or that a name was not understood.
	MoreObjects bool
	// MoreCalls says the same of procedures.
	MoreCalls bool
	// Failing is what a module leaves if it fails: it makes these things, and takes them away at its end.
	Failing Effects
	// Tries means that the text has a TRY: what fails within it goes on.
	Tries bool
	// Uses means that the text, or one within, has a USE.
	Uses bool

	// Kept says of each kind what the text takes and gives up.
	Kept [Kinds]Balance

	nAssignments int
	nObjects     int
	nCalls       int
	assignments  [maxAssignments]assignment
	objects      [maxObjects]Object
	calls        [maxCalls]span
}

func (a *Analysis) reset() {
	a.Effects, a.Statements, a.MoreObjects, a.MoreCalls = 0, 0, false, false
	a.Kept = [Kinds]Balance{}
	a.nAssignments, a.nObjects, a.nCalls = 0, 0, 0
	a.Failing, a.Tries, a.Uses = 0, false, false
}

// ObjectLen returns how many objects there are, in the order of the text.
func (a *Analysis) ObjectLen() int { return a.nObjects }

// Object returns the i-th object.
func (a *Analysis) Object(i int) Object { return a.objects[i] }

// CallLen returns how many procedures that are not known Exec stands for, in the order of the text.
func (a *Analysis) CallLen() int { return a.nCalls }
