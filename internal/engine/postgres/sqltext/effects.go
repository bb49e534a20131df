// Package sqltext reads SQL text as a PostgreSQL server would and says what a statement may leave behind in its
// session. It works on bytes alone: no I/O, no goroutine, no log, and no allocation for everyday statements.
//
// # What the answer is for
//
// Server connections are shared between clients at transaction level. The text of a statement only tells when to look:
// after a transaction with [Look] the server itself is asked what changed. So a wrong "look" costs a round trip, and a
// wrong "clean" lets one client see another's state. Whatever is not known to be clean is therefore Look.
//
// # What cannot be seen in the text
//
// A statement reaches routines that it does not name: through triggers, views, rules, policies, defaults, operators,
// casts and domains. [Routines] holds what the catalogue of the database says about those, and is added to every
// statement that can reach them. A nil *Routines means that the catalogue was not read, and then every statement that
// can run a routine is Look.
//
// # Encodings and strings
//
// The server converts a text to its own encoding before it reads it. All bytes from 0x80 up are read as identifier
// bytes, as the server's scanner does. The encodings that only clients may use (SJIS, BIG5, GBK, GB18030, UHC, JOHAB,
// SHIFT_JIS_2004) have ASCII bytes as the second byte of a character. None of these is a quote, but a backslash can
// be; what such a backslash makes uncertain is flagged [Unclear] unless the caller vouches with [Standard].
package sqltext

// Effects is a set of things that a text may do.
type Effects uint32

const (
	// Look means that session state may change in a way the server can be asked about: settings, LISTEN, temporary
	// objects, holdable cursors, session advisory locks, SQL-level prepared statements. Ask after the transaction.
	Look Effects = 1 << iota
	// SequenceWrite means that currval or lastval may change: nextval, setval, INSERT, MERGE, COPY FROM, UPDATE to
	// DEFAULT, DISCARD, unknown routines.
	SequenceWrite
	// SequenceRead means that the result depends on an earlier SequenceWrite of this session: currval, lastval.
	SequenceRead
	// SequenceNamed comes with SequenceRead where currval or lastval is called by name, in the text or in what it reaches.
	// Without it, SequenceRead is merely possible: in code that cannot be read, or that is put together as it runs.
	SequenceNamed
	// Load means LOAD: the library stays in the process for good, and nothing lists it.
	Load
	// Opaque means state that the server cannot be asked about, nor relied on to reset: see builtinEffects.
	Opaque
	// DDL means that the result type of a prepared statement may change. A DDL statement creates objects in the first
	// schema of search_path: while that may be pg_temp, treat DDL as Look.
	DDL
	// RoutineDDL means that what a Routines says may be out of date afterwards, for all sessions of the database. Read
	// the catalogue again, and use nil until that is done. The text itself is Look then, if it could run new code.
	RoutineDDL
	// Ends means that state which keeps a session pinned may end here. Look while the session is pinned.
	Ends
	// UsesPrepared means EXECUTE or DEALLOCATE of SQL-level prepared statements: Analysis.Prepared names them. What
	// an executed statement does is NOT in the Effects: add the Effects of its PREPARE, or Anything if unknown.
	UsesPrepared
	// DropsPrepared means DEALLOCATE ALL or DISCARD ALL: all prepared statements of both protocols are gone.
	DropsPrepared
	// TxControl means that the text starts, ends or marks transactions.
	TxControl
	// Unknown means that a routine or a statement was not recognised; Look is set too. A routine that was made
	// outside of Forebay's sight is a reason to read the catalogue again.
	Unknown
	// UnknownSetting means that a setting may have been set whose name is not in the text, or SQL was run that is not
	// in the text. A custom setting ("app.tenant") shows in no catalogue, so one must know its name to ask for it:
	// unless the caller knows better (a set_config($1, ...) whose parameter it has seen), this is as bad as Opaque.
	UnknownSetting
	// Unclear means that the server may read the text otherwise than this package did. Anything may hide in it.
	Unclear

	// Anything is what a text may do of which nothing is known.
	Anything = Look | SequenceWrite | SequenceRead | Opaque | DDL | RoutineDDL | Ends | Unknown | UnknownSetting
)

// Internal marks of routines; never in Analysis.Effects.
const (
	runsText    Effects = 1 << 30 // runs SQL given in a text argument
	isSetConfig Effects = 1 << 31 // is set_config: its arguments decide
	internal            = runsText | isSetConfig
)

// unknownRoutine is what calling a routine of unknown content may do.
const unknownRoutine = Look | SequenceWrite | SequenceRead | Unknown

// effectNames are in the order of the bits.
var effectNames = [...]string{
	"Look", "SequenceWrite", "SequenceRead", "SequenceNamed", "Load", "Opaque", "DDL", "RoutineDDL", "Ends", "UsesPrepared",
	"DropsPrepared", "TxControl", "Unknown", "UnknownSetting", "Unclear",
}

// String lists the names of the effects, joined by "|"; "0" for none.
func (e Effects) String() string {
	if e&^internal == 0 {
		return "0"
	}
	var s string
	for i, n := range effectNames {
		if e&(1<<i) != 0 {
			if s != "" {
				s += "|"
			}
			s += n
		}
	}
	return s
}
