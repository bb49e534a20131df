package sqltext

// Bounds of what an Analysis holds.
const (
	maxPrepared = 8
	maxSettings = 8
	nameBuf     = 512 // bytes of all names together
)

// PreparedOp says what a text does with a prepared statement of SQL level.
type PreparedOp uint8

const (
	OpPrepare PreparedOp = iota
	OpExecute
	OpDeallocate
)

// SetKind says what a plain SET does.
type SetKind uint8

const (
	NotSet     SetKind = iota // the text is no plain SET
	SetValue                  // SET name TO value, ...
	SetDefault                // SET name TO DEFAULT, RESET name
)

// Set describes a text that is one plain SET or RESET of a session setting and nothing else. SET LOCAL, TRANSACTION,
// SESSION CHARACTERISTICS, ROLE, SESSION AUTHORIZATION and RESET ALL are not plain.
type Set struct {
	Kind SetKind
	name nameRef
	// From and To bound the value in the analysed text, as typed: literals and identifiers, separated by commas.
	// Both are 0 if Kind is not SetValue.
	From, To int
}

// ResetKind says what a text puts back to its default.
type ResetKind uint8

const (
	NotReset ResetKind = iota
	ResetOne           // RESET name, SET name TO DEFAULT
	ResetAll           // RESET ALL
)

// Reset describes a text that is one RESET, or one SET TO DEFAULT, and nothing else. Other than a Set it may be LOCAL, and
// of any setting.
type Reset struct {
	Kind  ResetKind
	Local bool
	name  nameRef
}

type nameRef struct{ at, n uint16 }

// Analysis is the answer of Analyze. It holds no reference to the text. Keep one and use it again: its names are
// valid until the next Analyze.
type Analysis struct {
	Effects    Effects
	Statements int // statements in the text; empty ones do not count
	Set        Set
	Reset      Reset
	// MorePrepared says that there was no room for all names of prepared statements. (If there was none for a
	// setting's name, Effects has UnknownSetting.)
	MorePrepared bool

	nPrepared, nSettings uint8
	ops                  [maxPrepared]PreparedOp
	prepared             [maxPrepared]nameRef
	settings             [maxSettings]nameRef
	used                 int
	names                [nameBuf]byte
}

func (a *Analysis) reset() {
	a.Effects, a.Statements, a.Set, a.Reset, a.MorePrepared = 0, 0, Set{}, Reset{}, false
	a.nPrepared, a.nSettings, a.used = 0, 0, 0
}

func (a *Analysis) name(r nameRef) []byte { return a.names[r.at : r.at+r.n : r.at+r.n] }

// SetName returns the name of the setting in a.Set, folded; empty if a.Set.Kind is NotSet. The time zone is
// "timezone", NAMES is "client_encoding", SCHEMA is "search_path".
func (a *Analysis) SetName() []byte { return a.name(a.Set.name) }

// ResetName returns the name of the setting in a.Reset, in the same form; empty if a.Reset.Kind is not ResetOne.
func (a *Analysis) ResetName() []byte { return a.name(a.Reset.name) }

// PreparedLen returns how many names Prepared has.
func (a *Analysis) PreparedLen() int { return int(a.nPrepared) }

// Prepared returns what the text does with its i-th prepared statement, in the order of the text, and the name as the
// server has it (folded unless quoted). DEALLOCATE ALL is an effect, DropsPrepared.
func (a *Analysis) Prepared(i int) (PreparedOp, []byte) { return a.ops[i], a.name(a.prepared[i]) }

// SettingsLen returns how many names Setting has.
func (a *Analysis) SettingsLen() int { return int(a.nSettings) }

// Setting returns the name of the i-th custom setting ("app.tenant") that the text sets or resets for the session,
// folded, each once. They show in no catalogue: ask the server for each by name.
func (a *Analysis) Setting(i int) []byte { return a.name(a.settings[i]) }

// keep copies a name, in parts joined by dots, and reports whether there was room.
func (a *Analysis) keep(name []byte) (nameRef, bool) {
	if a.used+len(name) > nameBuf {
		return nameRef{}, false
	}
	r := nameRef{uint16(a.used), uint16(len(name))}
	a.used += copy(a.names[a.used:], name)
	return r, true
}

// addPrepared notes the use of a prepared statement.
func (a *Analysis) addPrepared(op PreparedOp, name []byte) {
	if int(a.nPrepared) == maxPrepared {
		a.MorePrepared = true
		return
	}
	r, ok := a.keep(name)
	if !ok {
		a.MorePrepared = true
		return
	}
	a.ops[a.nPrepared], a.prepared[a.nPrepared] = op, r
	a.nPrepared++
}

// addSetting notes a custom setting; a name without a dot is none.
func (a *Analysis) addSetting(name []byte) {
	dot := false
	for _, c := range name {
		dot = dot || c == '.'
	}
	if !dot {
		return
	}
	for i := range int(a.nSettings) {
		if string(a.Setting(i)) == string(name) {
			return
		}
	}
	if int(a.nSettings) == maxSettings {
		a.Effects |= UnknownSetting
		return
	}
	r, ok := a.keep(name)
	if !ok {
		a.Effects |= UnknownSetting
		return
	}
	a.settings[a.nSettings] = r
	a.nSettings++
}
