package sqltext

import (
	"math"
	"strings"

	"forebay/internal/engine/sqlserver/settings"
)

// fixed is a set of the settings that change what a text means.
type fixed uint8

const (
	fixShowplan fixed = 1 << iota
	fixParseOnly
	fixNoExec
	fixFmtOnly
)

var fixedWords = map[string]fixed{
	"showplan_all": fixShowplan, "showplan_text": fixShowplan, "showplan_xml": fixShowplan, "parseonly": fixParseOnly,
	"noexec": fixNoExec, "fmtonly": fixFmtOnly,
}

// optionWords are the options of SET x ON, without those of STATISTICS.
var optionWords = func() map[string]settings.Options {
	m := map[string]settings.Options{"ansi_defaults": settings.AnsiDefaults}
	for o := settings.Options(1); settings.OptionName(o) != ""; o <<= 1 {
		m[strings.ToLower(settings.OptionName(o))] = o
	}
	return m
}()

var statisticsWords = map[string]settings.Options{
	"io": settings.StatisticsIO, "profile": settings.StatisticsProfile, "time": settings.StatisticsTime,
	"xml": settings.StatisticsXML,
}

// set reads SET. ("SET Statements")
func (s *scan) set() {
	s.next()
	if s.kind == kVar {
		s.next()
		if s.is('=') {
			if x := s.peek(); x.kw.id == wCursor { // a variable's own cursor
				s.next()
				s.next()
				for s.kind == kWord && !s.kw.starts && !s.word(wFor) {
					s.next()
				}
				if s.word(wFor) {
					s.next()
				}
				s.body(wCursor)
				return
			}
		}
		s.body(wSet)
		return
	}
	if s.kind != kWord {
		s.unclear = true
		s.body(wSet)
		return
	}
	switch string(s.folded[:s.nFolded]) {
	case "transaction":
		s.isolation()
	case "identity_insert":
		s.identityInsert()
	case "language":
		s.next()
		s.named(setLanguage)
	case "dateformat":
		s.next()
		s.named(setDateFormat)
	case "datefirst":
		s.number(setDateFirst, 1, 7)
	case "lock_timeout":
		s.number(setLockTimeout, -1, math.MaxInt32)
	case "textsize":
		s.number(setTextSize, -1, math.MaxInt32)
	case "rowcount":
		s.number(setRowCount, 0, math.MaxInt64)
	case "query_governor_cost_limit":
		s.number(setCostLimit, 0, math.MaxInt32)
	case "deadlock_priority":
		s.deadlockPriority()
	case "context_info":
		s.contextInfo()
	case "fips_flagger":
		s.fips()
	case "offsets":
		s.fixedUnknown = true
		for s.next(); s.kind != kEOF && !s.is(';') && !s.word(wOn) && !s.word(wOff); s.next() {
		}
		s.step()
	default:
		s.options()
		return
	}
	s.body(wSet)
}

// options reads SET a, b ON.
func (s *scan) options() {
	var o settings.Options
	var f fixed
	for {
		switch {
		case s.isWord("statistics"):
			for s.next(); ; s.next() {
				x, ok := statisticsWords[string(s.folded[:s.nFolded])]
				if s.kind != kWord || !ok {
					s.unknownSet()
					return
				}
				o |= x
				if y := s.peek(); !y.is(',') {
					break
				}
				s.next()
			}
		case s.kind == kWord && optionWords[string(s.folded[:s.nFolded])] != 0:
			o |= optionWords[string(s.folded[:s.nFolded])]
		case s.kind == kWord && fixedWords[string(s.folded[:s.nFolded])] != 0:
			f |= fixedWords[string(s.folded[:s.nFolded])]
		default:
			s.unknownSet()
			return
		}
		if s.next(); !s.is(',') {
			break
		}
		s.next()
	}
	on := s.word(wOn)
	if !on && !s.word(wOff) {
		s.unknownSet()
		return
	}
	s.next()
	if f != 0 {
		s.fix(f, on)
	}
	if o&settings.QuotedIdentifier != 0 {
		s.double = on // when the text is parsed, from here on
	}
	if o != 0 {
		s.assign(assignment{kind: setOption, option: o, on: on})
	}
	s.body(wSet)
}

// unknownSet reads the rest of a SET that is not known.
func (s *scan) unknownSet() {
	s.add(Unknown)
	s.body(wSet)
}

// fix notes a setting that changes what a text means.
func (s *scan) fix(f fixed, on bool) {
	switch {
	case on && (!s.certain() || s.texts > 0):
		s.fixedUnknown = true
	case on:
		s.fixed |= f
	default:
		s.add(FixedEnds)
		if s.certain() {
			s.fixed &^= f
			s.formatEnds = f == fixFmtOnly && s.texts == 0 && !s.within
		}
	}
}

// alone reports whether the statement ends behind the token, so that the token is all of its value.
func (s *scan) alone() bool {
	x := s.peek()
	return x.kind == kEOF || x.is(';') || x.kind == kWord && (x.kw.starts || x.kw.id == wEnd || x.kw.id == wElse) ||
		x.kind == kWord && x.kw.id == wWith
}

// take notes an assignment whose value's last token is the current one, if it is known.
func (s *scan) take(x assignment, ok bool) {
	if ok && s.alone() {
		s.assign(x)
	} else {
		s.unknown(x)
	}
	if s.kind != kEOF && !s.is(';') && !(s.kind == kWord && s.kw.starts) {
		s.next()
	}
}

// unknown notes that a setting may get a value that the text does not tell.
func (s *scan) unknown(x assignment) {
	switch x.kind {
	case setContextInfo, setContext:
		s.add(ContextUnknown)
		return
	}
	if s.within {
		return
	}
	switch x.kind {
	case setRowCount, setCostLimit, setFIPS, setIdentityInsert:
		s.add(SettingLost)
	case setOption:
		if x.option&^settings.Reported != 0 {
			s.add(SettingLost)
		}
		if x.option&settings.Reported != 0 {
			s.add(SettingUnknown)
		}
	default:
		s.add(SettingUnknown)
	}
}

// named reads a value that is a word or a string.
func (s *scan) named(k assignKind) {
	s.take(assignment{kind: k, a: span{s.start, s.end}}, s.isName() || s.kind == kString)
}

// number reads SET x n.
func (s *scan) number(k assignKind, low, high int64) {
	s.next()
	n, ok := s.integer()
	s.take(assignment{kind: k, n: n}, ok && n >= low && n <= high)
}

// integer reads an integer with its sign; its last token is the current one then.
func (s *scan) integer() (n int64, ok bool) {
	negative := false
	for s.is('-') || s.is('+') {
		negative = negative != (s.c == '-')
		s.next()
	}
	if s.kind != kNumber || s.end-s.start > 18 {
		return 0, false
	}
	for i := s.start; i < s.end; i++ {
		c := s.at(i)
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// isolation reads SET TRANSACTION ISOLATION LEVEL.
func (s *scan) isolation() {
	s.step()
	ok := s.isWord("isolation")
	if ok {
		s.step()
		ok = s.isWord("level")
		s.step()
	}
	var level settings.Isolation
	switch {
	case s.isWord("read"):
		if s.step(); s.isWord("uncommitted") {
			level = settings.ReadUncommitted
		} else if s.isWord("committed") {
			level = settings.ReadCommitted
		}
	case s.isWord("repeatable"):
		if s.step(); s.isWord("read") {
			level = settings.RepeatableRead
		}
	case s.isWord("serializable"):
		level = settings.Serializable
	case s.isWord("snapshot"):
		level = settings.Snapshot
	}
	s.take(assignment{kind: setIsolation, n: int64(level)}, ok && level != 0)
}

// deadlockPriority reads SET DEADLOCK_PRIORITY.
func (s *scan) deadlockPriority() {
	s.next()
	n, ok := int64(0), true
	switch {
	case s.isWord("low"):
		n = -5
	case s.isWord("normal"):
	case s.isWord("high"):
		n = 5
	default:
		n, ok = s.integer()
	}
	s.take(assignment{kind: setDeadlockPriority, n: n}, ok && n >= -10 && n <= 10)
}

// contextInfo reads SET CONTEXT_INFO.
func (s *scan) contextInfo() {
	s.next()
	n := s.end - s.start - len("0x")
	s.take(assignment{kind: setContextInfo, a: span{s.start, s.end}}, s.kind == kHex && n > 0 && n%2 == 0 && n <= 256)
}

// fips reads SET FIPS_FLAGGER.
func (s *scan) fips() {
	s.next()
	level, ok := settings.FIPSOff, true
	switch {
	case s.word(wOff):
	case s.kind == kString && s.textIs("entry"):
		level = settings.FIPSEntry
	case s.kind == kString && s.textIs("intermediate"):
		level = settings.FIPSIntermediate
	case s.kind == kString && s.textIs("full"):
		level = settings.FIPSFull
	default:
		ok = false
	}
	s.take(assignment{kind: setFIPS, n: int64(level)}, ok)
}

// identityInsert reads SET IDENTITY_INSERT table ON.
func (s *scan) identityInsert() {
	s.next()
	from := s.start
	last, ok := s.nameEnd()
	to := s.end
	if !ok {
		s.unknown(assignment{kind: setIdentityInsert})
		return
	}
	if s.at(last.start) == '#' || s.at(last.start+1) == '#' {
		ok = false // it goes with its table
	}
	s.next()
	on := s.word(wOn)
	s.take(assignment{kind: setIdentityInsert, on: on, a: span{from, to}}, ok && (on || s.word(wOff)))
}
