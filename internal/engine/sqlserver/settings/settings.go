// Package settings holds the settings of a SQL Server session as a value: what they are after a log-in, what a reset makes
// of them, and the batch that turns a session with some into one with others.
//
// It works on values alone: no I/O, no goroutine, no log. Package sqltext says which settings a text assigns.
//
// A [Set] holds what a statement can set again. What none can (SHOWPLAN_*, PARSEONLY, NOEXEC, FMTONLY and OFFSETS, which
// change what a batch means; an impersonation; session_context entries that are read-only) is in no Set: a session that has
// it stays on its server connection. docs/sqlserver.md has the whole list.
package settings

import (
	"strconv"
	"strings"
	"unique"
)

// Options is a set of the options that are ON. (Contract 5.1, 5.2)
type Options uint32

// The options of SET x ON, each named by its word.
const (
	AnsiNulls Options = 1 << iota
	AnsiNullDfltOn
	AnsiNullDfltOff
	AnsiPadding
	AnsiWarnings
	ArithAbort
	ArithIgnore
	ConcatNullYieldsNull
	CursorCloseOnCommit
	ForcePlan
	ImplicitTransactions
	NoCount
	NumericRoundAbort
	QuotedIdentifier
	RemoteProcTransactions
	StatisticsIO
	StatisticsProfile
	StatisticsTime
	StatisticsXML
	XactAbort
)

// AnsiDefaults are the options that SET ANSI_DEFAULTS sets together.
const AnsiDefaults = AnsiNulls | AnsiNullDfltOn | AnsiPadding | AnsiWarnings | CursorCloseOnCommit | ImplicitTransactions |
	QuotedIdentifier

// optionNames are the words after SET, in the order of the bits.
var optionNames = [...]string{
	"ANSI_NULLS", "ANSI_NULL_DFLT_ON", "ANSI_NULL_DFLT_OFF", "ANSI_PADDING", "ANSI_WARNINGS", "ARITHABORT", "ARITHIGNORE",
	"CONCAT_NULL_YIELDS_NULL", "CURSOR_CLOSE_ON_COMMIT", "FORCEPLAN", "IMPLICIT_TRANSACTIONS", "NOCOUNT",
	"NUMERIC_ROUNDABORT", "QUOTED_IDENTIFIER", "REMOTE_PROC_TRANSACTIONS", "STATISTICS IO", "STATISTICS PROFILE",
	"STATISTICS TIME", "STATISTICS XML", "XACT_ABORT",
}

// OptionName returns the words of one option, as they stand after SET.
func OptionName(o Options) string {
	for i, n := range optionNames {
		if o == 1<<i {
			return n
		}
	}
	return ""
}

// Isolation is a session's isolation level, numbered as in sys.dm_exec_sessions.
type Isolation uint8

// The levels of SET TRANSACTION ISOLATION LEVEL.
const (
	ReadUncommitted Isolation = 1 + iota
	ReadCommitted
	RepeatableRead
	Serializable
	Snapshot
)

var isolationNames = [...]string{"", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"}

// String returns the words of the level.
func (i Isolation) String() string {
	if int(i) < len(isolationNames) {
		return isolationNames[i]
	}
	return ""
}

// FIPS is the level of SET FIPS_FLAGGER; 0 is OFF.
type FIPS uint8

// The levels of SET FIPS_FLAGGER.
const (
	FIPSOff FIPS = iota
	FIPSEntry
	FIPSIntermediate
	FIPSFull
)

var fipsNames = [...]string{"OFF", "'ENTRY'", "'INTERMEDIATE'", "'FULL'"}

// Values that stand for "none" or "as the server is configured".
const (
	NoLockTimeout    = -1   // LOCK_TIMEOUT: wait without end
	TextSizeInfinite = -1   // TEXTSIZE -1
	TextSizeDefault  = 4096 // TEXTSIZE 0
	CostLimitDefault = -1   // QUERY_GOVERNOR_COST_LIMIT was not set in the session
)

// Set is the settings of one session. Two that are equal by == are the same settings. The zero Set is none that a
// session has: begin with [LogIn].
type Set struct {
	Database string // as the server spells it; "" if it is not known
	Language string // name in sys.syslanguages, such as us_english
	// DateFormat is mdy, dmy, ymd, ydm, myd or dym.
	DateFormat string
	DateFirst  uint8 // 1 is Monday, 7 Sunday
	Isolation  Isolation
	FIPS       FIPS
	// DeadlockPriority is -10 to 10; 0 is NORMAL.
	DeadlockPriority int8
	Options          Options
	LockTimeout      int32 // milliseconds, or NoLockTimeout
	TextSize         int32 // bytes, or TextSizeInfinite
	CostLimit        int32 // seconds, 0 for no limit, or CostLimitDefault
	RowCount         int64 // rows; 0 for no limit
	// HasContextInfo tells an empty CONTEXT_INFO from one that was never set, which no statement brings back.
	HasContextInfo bool
	ContextInfo    string // bytes, at most 128; zeros at the end are cut
	// IdentityInsert is the table of SET IDENTITY_INSERT ON, as [database].[schema].[table]; "" for none.
	IdentityInsert string

	context string // of session_context: see context.go
}

// LoginOptions is what a log-in says about settings.
type LoginOptions struct {
	// ODBC is fODBC or fOLEDB of LOGIN7's flags: the ANSI options are ON and TEXTSIZE is without limit.
	ODBC bool
	// Database and Language are those of LOGIN7, or what the server's ENVCHANGE said.
	Database, Language string
}

// LogIn returns the settings of a session that has just logged in. ([MS-TDS] 2.2.6.4, OptionFlags2) A server whose
// configuration has "user options" begins otherwise: see [Set.WithOptions]. Of a language that is not
// known here DateFormat and DateFirst are those of us_english until they are asked for.
func LogIn(o LoginOptions) Set {
	s := Set{
		Database: o.Database, Isolation: ReadCommitted, LockTimeout: NoLockTimeout, TextSize: TextSizeDefault,
		CostLimit: CostLimitDefault,
	}
	if o.ODBC {
		s.Options = AnsiDefaults&^(CursorCloseOnCommit|ImplicitTransactions) | ConcatNullYieldsNull
		s.TextSize = TextSizeInfinite
	}
	if o.Language == "" || !s.SetLanguage(o.Language) {
		s.SetLanguage("us_english")
		if o.Language != "" {
			s.Language = o.Language
		}
	}
	return s
}

// reported are the options of @@OPTIONS and their bits there. ("Configure the user options Server Configuration Option")
var reported = [...]struct {
	bit uint32
	o   Options
}{
	{2, ImplicitTransactions},
	{4, CursorCloseOnCommit},
	{8, AnsiWarnings},
	{16, AnsiPadding},
	{32, AnsiNulls},
	{64, ArithAbort},
	{128, ArithIgnore},
	{256, QuotedIdentifier},
	{512, NoCount},
	{1024, AnsiNullDfltOn},
	{2048, AnsiNullDfltOff},
	{4096, ConcatNullYieldsNull},
	{8192, NumericRoundAbort},
	{16384, XactAbort},
}

// Reported are the options that @@OPTIONS tells.
const Reported = AnsiNulls | AnsiNullDfltOn | AnsiNullDfltOff | AnsiPadding | AnsiWarnings | ArithAbort | ArithIgnore |
	ConcatNullYieldsNull | CursorCloseOnCommit | ImplicitTransactions | NoCount | NumericRoundAbort | QuotedIdentifier | XactAbort

// WithOptions returns s with the options that @@OPTIONS tells.
func (s Set) WithOptions(mask uint32) Set {
	for _, r := range reported {
		s.Options &^= r.o
		if mask&r.bit != 0 {
			s.Options |= r.o
		}
	}
	return s
}

// Survivors says what RESETCONNECTION may leave as it is on a server: it is in doubt, some do and some do not.
type Survivors struct {
	Isolation   bool // survives before SQL Server 2014, and on Babelfish
	ContextInfo bool // survives on Babelfish
	Database    bool // survives on Babelfish 4.3

	SessionContext bool // survives on Babelfish 4.3
	TranCount      bool // the count, not the transaction; survives on Babelfish 4.3
}

// unknownContext is a CONTEXT_INFO that is not known. None that is set ends in a zero.
const unknownContext = "\x00"

// Reset returns what a reset makes of s on a server connection whose log-in was with these settings. What may have survived
// and was not as after the log-in is not known then, and differs from what any session wants.
func (s Set) Reset(login Set, k Survivors) Set {
	if k.Isolation && s.Isolation != login.Isolation {
		login.Isolation = 0
	}
	if k.Database && s.Database != login.Database {
		login.Database = ""
	}
	if k.ContextInfo && s.HasContextInfo {
		login.HasContextInfo, login.ContextInfo = true, unknownContext
	}
	if k.SessionContext {
		login.context = doubted(s.context)
	}
	return login
}

// SetOption turns options on or off. ANSI_NULL_DFLT_ON and ANSI_NULL_DFLT_OFF exclude one another.
func (s *Set) SetOption(o Options, on bool) {
	if !on {
		s.Options &^= o
		return
	}
	if o&AnsiNullDfltOn != 0 {
		s.Options &^= AnsiNullDfltOff
	}
	if o&AnsiNullDfltOff != 0 {
		s.Options &^= AnsiNullDfltOn
	}
	s.Options |= o
}

// SetTextSize does SET TEXTSIZE n: 0 is the default, below 0 is no limit.
func (s *Set) SetTextSize(n int32) {
	switch {
	case n == 0:
		n = TextSizeDefault
	case n < 0:
		n = TextSizeInfinite
	}
	s.TextSize = n
}

// SetContextInfo does SET CONTEXT_INFO. It reports false if the value is too long.
func (s *Set) SetContextInfo(b []byte) bool {
	if len(b) > 128 {
		return false
	}
	s.HasContextInfo, s.ContextInfo = true, strings.TrimRight(string(b), "\x00")
	return true
}

// SetIdentityInsert does SET IDENTITY_INSERT table ON or OFF for a table named by its parts without quotes; database and
// schema may be empty. It reports false if another table has it, which the server refuses.
func (s *Set) SetIdentityInsert(database, schema, table string, on bool) bool {
	if database == "" {
		database = s.Database
	}
	name := string(appendName(nil, table))
	if schema != "" || database != "" {
		name = string(appendPart(nil, schema)) + "." + name
	}
	if database != "" {
		name = string(appendName(nil, database)) + "." + name
	}
	switch {
	case on && (s.IdentityInsert == "" || strings.EqualFold(s.IdentityInsert, name)):
		s.IdentityInsert = name
	case !on && strings.EqualFold(s.IdentityInsert, name):
		s.IdentityInsert = ""
	case !on && s.IdentityInsert == "":
	default:
		return false
	}
	return true
}

// appendPart is appendName for a part of a name that may be missing.
func appendPart(b []byte, name string) []byte {
	if name == "" {
		return b
	}
	return appendName(b, name)
}

// appendName appends a quoted name, which means the same whatever QUOTED_IDENTIFIER is.
func appendName(b []byte, name string) []byte {
	b = append(b, '[')
	for i := range len(name) {
		if b = append(b, name[i]); name[i] == ']' {
			b = append(b, ']')
		}
	}
	return append(b, ']')
}

// appendString appends a Unicode string.
func appendString(b []byte, s string) []byte {
	b = append(b, "N'"...)
	for i := range len(s) {
		if b = append(b, s[i]); s[i] == '\'' {
			b = append(b, '\'')
		}
	}
	return append(b, '\'')
}

// String returns all of s in a form that two sets share only if they are equal. It is no text for a server, and holds what
// the client has put into the session: not for logs.
func (s Set) String() string {
	b := make([]byte, 0, 256)
	for _, v := range [...]string{s.Database, s.Language, s.DateFormat, s.ContextInfo, s.IdentityInsert, s.context} {
		b = strconv.AppendQuote(b, v)
		b = append(b, ' ')
	}
	has := int64(0)
	if s.HasContextInfo {
		has = 1
	}
	for _, n := range [...]int64{
		int64(s.DateFirst), int64(s.Isolation), int64(s.FIPS), int64(s.DeadlockPriority),
		int64(s.Options), int64(s.LockTimeout), int64(s.TextSize), int64(s.CostLimit), s.RowCount, has,
	} {
		b = strconv.AppendInt(b, n, 10)
		b = append(b, ' ')
	}
	return string(b)
}

// Fit returns the handle of s by which settings are compared.
func (s Set) Fit() unique.Handle[string] { return unique.Make(s.String()) }
