package sqltext

import (
	"encoding/hex"

	"forebay/internal/engine/sqlserver/settings"
)

// Apply returns s with what the analysed text, which has to be the same, assigns in its order. Call it when the text has
// run without an error: behind one it may not have reached its end, and settings are not known then. It reports false if a
// value is none that s can hold; the settings are not known then, either. What [SettingUnknown], [SettingLost] and
// [ContextUnknown] stand for is not in it.
func (a *Analysis) Apply(text []byte, s settings.Set) (settings.Set, bool) {
	was := s
	for i := range a.nAssignments {
		if !a.assignments[i].apply(text, &s) {
			return was, false
		}
	}
	return s, true
}

func (x *assignment) apply(text []byte, s *settings.Set) bool {
	switch x.kind {
	case setOption:
		s.SetOption(x.option, x.on)
	case setDatabase:
		s.Database = valueOf(text, x.a)
	case setLanguage:
		return s.SetLanguage(valueOf(text, x.a))
	case setDateFormat:
		return s.SetDateFormat(valueOf(text, x.a))
	case setDateFirst:
		s.DateFirst = uint8(x.n)
	case setIsolation:
		s.Isolation = settings.Isolation(x.n)
	case setLockTimeout:
		s.LockTimeout = int32(x.n)
	case setTextSize:
		s.SetTextSize(int32(x.n))
	case setRowCount:
		s.RowCount = x.n
	case setDeadlockPriority:
		s.DeadlockPriority = int8(x.n)
	case setCostLimit:
		s.CostLimit = int32(x.n)
	case setContextInfo:
		b, err := hex.DecodeString(string(raw(text, span{x.a.from + len("0x"), x.a.to})))
		return err == nil && s.SetContextInfo(b)
	case setFIPS:
		s.FIPS = settings.FIPS(x.n)
	case setIdentityInsert:
		return x.identityInsert(text, s)
	case setContext:
		return s.SetContext(valueOf(text, x.a), string(raw(text, x.b)))
	}
	return true
}

// identityInsert applies SET IDENTITY_INSERT to a name of one to three parts, of which the schema may be left out.
func (x *assignment) identityInsert(text []byte, s *settings.Set) bool {
	var parts [3]string
	n := 0
	l := lexer{text: text, n: x.a.to, pos: x.a.from, double: true}
	for l.next(); l.kind != kEOF; l.next() {
		switch {
		case l.is('.'):
			if n++; n == len(parts) {
				return false
			}
		case l.isName():
			parts[n] = valueOf(text, span{l.start, l.end})
		default:
			return false
		}
	}
	switch n {
	case 0:
		return s.SetIdentityInsert("", "", parts[0], x.on)
	case 1:
		return s.SetIdentityInsert("", parts[0], parts[1], x.on)
	}
	return s.SetIdentityInsert(parts[0], parts[1], parts[2], x.on)
}

// raw returns a piece of a text in UTF-8, as it was typed.
func raw(text []byte, p span) []byte {
	x := lexer{text: text, n: len(text) / 2}
	return appendUnits(nil, &x, p.from, p.to, 0, false)
}

// valueOf returns the value of the token that is a piece of a text: a name or a string.
func valueOf(text []byte, p span) string {
	x := lexer{text: text, n: p.to, pos: p.from, double: true}
	x.next()
	from, to, closing := x.content()
	return string(appendUnits(nil, &x, from, to, closing, false))
}

// CallName returns the name of the i-th procedure in UTF-8, as typed, with its parts and quotes.
func (a *Analysis) CallName(text []byte, i int) string { return string(raw(text, a.calls[i])) }
