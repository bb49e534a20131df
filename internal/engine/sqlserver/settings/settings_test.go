package settings_test

import (
	"maps"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	. "forebay/internal/engine/sqlserver/settings"
	"github.com/google/go-cmp/cmp"
)

func login(f func(s *Set)) Set {
	s := LogIn(LoginOptions{ODBC: true, Database: "d"})
	f(&s)
	return s
}

func TestLogIn(t *testing.T) {
	t.Parallel()
	s := LogIn(LoginOptions{ODBC: true, Database: "d", Language: "german"})
	if s.Language != "Deutsch" || s.DateFormat != "dmy" || s.DateFirst != 1 || s.TextSize != TextSizeInfinite || s.Isolation != ReadCommitted {
		t.Error(s)
	}
	if got, want := s.Options, AnsiNulls|AnsiNullDfltOn|AnsiPadding|AnsiWarnings|ConcatNullYieldsNull|QuotedIdentifier; got != want {
		t.Errorf("options %b, want %b", got, want)
	}
	if s = LogIn(LoginOptions{}); s.Options != 0 || s.TextSize != 4096 || s.Language != "us_english" || s.DateFirst != 7 {
		t.Error(s)
	}
	if got := s.WithOptions(5496).Options; got != LogIn(LoginOptions{ODBC: true}).Options|ArithAbort {
		t.Errorf("@@OPTIONS 5496 is %b", got)
	}
	if got := s.WithOptions(1<<15 - 1).Options; got != Reported {
		t.Errorf("all of @@OPTIONS is %b, want %b", got, Reported)
	}
	if s = LogIn(LoginOptions{Language: "Klingon"}); s.Language != "Klingon" {
		t.Error("a language that is not known is lost")
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	at := login(func(*Set) {})
	s := login(func(s *Set) { s.Isolation, s.DateFirst = Snapshot, 2; s.SetContextInfo([]byte{1}) })
	if got := s.Reset(at, Survivors{}); got != at {
		t.Error(got)
	}
	// What may have survived is set in any case, whether it has or not.
	s.Database = "e"
	got := s.Reset(at, Survivors{Isolation: true, ContextInfo: true, Database: true})
	for _, c := range []struct {
		to   Set
		want string
	}{
		{s, "USE [e];SET DATEFIRST 2;SET TRANSACTION ISOLATION LEVEL SNAPSHOT;SET CONTEXT_INFO 0x01;"},
		{at, "USE [d];SET TRANSACTION ISOLATION LEVEL READ COMMITTED;"},
	} {
		if text := string(got.Text(c.to)); text != c.want {
			t.Errorf("behind a reset %s, want %s", text, c.want)
		}
	}
	s = at
	s.SetContext("a", "N'b'")
	s.SetContext("c", "1")
	if got := s.Reset(at, Survivors{}); got != at {
		t.Error(got)
	}
	left := s.Reset(at, Survivors{SessionContext: true})
	if text, want := string(left.Text(at)), "EXEC sys.sp_set_session_context @key=N'a',@value=NULL;EXEC sys.sp_set_session_context @key=N'c',@value=NULL;"; text != want {
		t.Errorf("behind a reset %s, want %s", text, want)
	}
	s.SetContext("c", "NULL")
	if text, want := string(left.Text(s)), "EXEC sys.sp_set_session_context @key=N'c',@value=NULL;EXEC sys.sp_set_session_context @key=N'a',@value=N'b';"; text != want {
		t.Errorf("behind a reset %s, want %s", text, want)
	}
	if left.Reset(at, Survivors{SessionContext: true}) != left {
		t.Error("a session_context that is not known is known behind a second reset")
	}
	if got.Reaches(at) {
		t.Error("a CONTEXT_INFO that may have survived can be taken away")
	}
	if again := got.Reset(at, Survivors{Isolation: true, ContextInfo: true, Database: true}); again != got {
		t.Error("what is not known is known behind a second reset")
	}
	if got := at.Reset(at, Survivors{Isolation: true, ContextInfo: true, Database: true}); got != at {
		t.Error("what is as after the log-in is in doubt")
	}
}

func TestSetters(t *testing.T) {
	t.Parallel()
	s := login(func(*Set) {})
	s.SetOption(AnsiNullDfltOff, true)
	if s.Options&(AnsiNullDfltOn|AnsiNullDfltOff) != AnsiNullDfltOff {
		t.Error("ANSI_NULL_DFLT_OFF leaves ANSI_NULL_DFLT_ON")
	}
	s.SetOption(AnsiDefaults, true)
	if s.Options&(AnsiNullDfltOff|AnsiDefaults) != AnsiDefaults {
		t.Error("ANSI_DEFAULTS does not set all of its options")
	}
	if !s.SetContextInfo([]byte("ab\x00\x00")) || s.ContextInfo != "ab" || s.SetContextInfo(make([]byte, 129)) {
		t.Error("CONTEXT_INFO")
	}
	if !s.SetIdentityInsert("", "", "t", true) || s.SetIdentityInsert("", "", "u", true) || !s.SetIdentityInsert("D", "", "T", false) ||
		s.IdentityInsert != "" || !s.SetIdentityInsert("", "", "u", false) {
		t.Error("IDENTITY_INSERT")
	}
	if s.SetDateFormat("mmm") || !s.SetDateFormat("YDM") || s.DateFormat != "ydm" {
		t.Error("DATEFORMAT")
	}
	for key, want := range map[string]bool{"a": true, "A": false, "b": true, "": false, strings.Repeat("x", 257): false} {
		was := s
		if key == "A" {
			was.SetContext("a", "1")
		}
		if got := was.SetContext(key, "2"); got != want {
			t.Errorf("key %.10q: %v", key, got)
		}
	}
	if s.SetContext("a", "N'"+strings.Repeat("x", 70000)+"'") {
		t.Error("a value of 70000 bytes is carried")
	}
	s.SetContext("a", "1")
	if s.Context("a") != "1" || s.Context("b") != "" {
		t.Error("Context")
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	from := login(func(s *Set) { s.SetOption(ImplicitTransactions, true); s.SetIdentityInsert("", "", "t", true) })
	for _, c := range []struct {
		to   Set
		want string
	}{
		{from, ""},
		{login(func(*Set) {}), "SET IMPLICIT_TRANSACTIONS OFF;SET IDENTITY_INSERT [d]..[t] OFF;"},
		{login(func(s *Set) {
			s.SetLanguage("British")
			s.Database = "a]b"
			s.SetIdentityInsert("", "s", "u", true)
			s.SetOption(NoCount|ImplicitTransactions, true)
		}), "SET IDENTITY_INSERT [d]..[t] OFF;USE [a]]b];SET LANGUAGE N'British';SET DATEFORMAT dmy;SET DATEFIRST 1;" +
			"SET IDENTITY_INSERT [a]]b].[s].[u] ON;SET NOCOUNT ON;"},
		{
			func() Set { s := from; s.SetContextInfo(nil); s.SetContext("k'", "N'v'"); return s }(),
			"SET CONTEXT_INFO 0x00;EXEC sys.sp_set_session_context @key=N'k''',@value=N'v';",
		},
		{
			func() Set { s := from; s.Isolation, s.FIPS, s.RowCount = Serializable, FIPSFull, 7; return s }(),
			"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;SET ROWCOUNT 7;SET FIPS_FLAGGER 'FULL';",
		},
	} {
		if diff := cmp.Diff(c.want, string(from.Text(c.to))); diff != "" {
			t.Error(diff)
		}
	}
}

func TestReaches(t *testing.T) {
	t.Parallel()
	plain := login(func(*Set) {})
	for _, f := range []func(*Set){
		func(s *Set) { s.SetContextInfo(nil) },
		func(s *Set) { s.CostLimit = 0 },
	} {
		s := login(f)
		if !plain.Reaches(s) || s.Reaches(plain) || !s.Reaches(s) {
			t.Errorf("%s", plain.Text(s))
		}
	}
	if plain.Reaches(LogIn(LoginOptions{ODBC: true})) {
		t.Error("a database that is not known is reached")
	}
}

// server is a model of a session that runs batches of SET, USE and sp_set_session_context by the rules of the reference:
// each setting by its name.
type server map[string]string

var statement = regexp.MustCompile(`^(?:USE (\[(?:[^\]]|\]\])*\])|SET LANGUAGE N'((?:[^']|'')*)'|` +
	`SET (IDENTITY_INSERT) (\S.*?) (ON|OFF)|SET ((?:STATISTICS )?\w+) (ON|OFF|-?\d+|0x[0-9a-f]+|[a-z]{3}|'[A-Z]+')|` +
	`SET (TRANSACTION ISOLATION LEVEL) ([A-Z ]+)|EXEC sys.sp_set_session_context @key=N'((?:[^']|'')*)',@value=(NULL|N'(?:[^']|'')*'|\w+));`)

func (s server) run(t *testing.T, batch string) {
	t.Helper()
	for batch != "" {
		m := statement.FindStringSubmatch(batch)
		if m == nil {
			t.Fatalf("no statement: %s", batch)
		}
		batch = batch[len(m[0]):]
		switch {
		case m[1] != "":
			s["USE"] = m[1]
		case m[2] != "":
			s["LANGUAGE"] = m[2]
			first, format := "7", "mdy"
			switch m[2] {
			case "Deutsch":
				first, format = "1", "dmy"
			case "日本語":
				format = "ymd"
			}
			s["DATEFIRST"], s["DATEFORMAT"] = first, format
		case m[3] != "":
			on := s["IDENTITY_INSERT"] != ""
			if on && m[5] == "ON" || m[5] == "OFF" && s["IDENTITY_INSERT"] != m[4] {
				t.Fatalf("%s while IDENTITY_INSERT is %q", m[0], s["IDENTITY_INSERT"])
			}
			if delete(s, m[3]); m[5] == "ON" {
				s[m[3]] = m[4]
			}
		case m[6] != "":
			s.set(m[6], m[7])
		case m[8] != "":
			s[m[8]] = m[9]
		default:
			if delete(s, "key "+m[10]); m[11] != "NULL" {
				s["key "+m[10]] = m[11]
			}
		}
	}
}

func (s server) set(name, value string) {
	if value == "OFF" {
		delete(s, name)
		return
	}
	switch name {
	case "ANSI_NULL_DFLT_ON":
		delete(s, "ANSI_NULL_DFLT_OFF")
	case "ANSI_NULL_DFLT_OFF":
		delete(s, "ANSI_NULL_DFLT_ON")
	case "CONTEXT_INFO": // 128 bytes in which zeros follow
		value = strings.TrimRight(strings.TrimPrefix(value, "0x"), "0")
	}
	s[name] = value
}

// TestTextSets checks against the model that the batch from one set to another, run in a session with the one, ends in
// that which the other's own description says.
func TestTextSets(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	zero := LogIn(LoginOptions{Database: "d"})
	for range 1000 {
		from, to := wild(r), wild(r)
		if !from.Reaches(to) || !zero.Reaches(from) || !zero.Reaches(to) {
			continue
		}
		got, want := describe(from), describe(to)
		got.run(t, string(from.Text(to)))
		if !maps.Equal(got, want) {
			t.Fatalf("%s\n%s", from.Text(to), cmp.Diff(want, got))
		}
	}
}

// describe writes down a Set field by field, without Text.
func describe(s Set) server {
	m := server{
		"USE": "[" + strings.ReplaceAll(s.Database, "]", "]]") + "]", "LANGUAGE": s.Language, "DATEFORMAT": s.DateFormat,
		"DATEFIRST": strconv.Itoa(int(s.DateFirst)), "TRANSACTION ISOLATION LEVEL": s.Isolation.String(),
		"LOCK_TIMEOUT": strconv.Itoa(int(s.LockTimeout)), "TEXTSIZE": strconv.Itoa(int(s.TextSize)),
		"ROWCOUNT": strconv.FormatInt(s.RowCount, 10), "DEADLOCK_PRIORITY": strconv.Itoa(int(s.DeadlockPriority)),
	}
	for o := Options(1); OptionName(o) != ""; o <<= 1 {
		if s.Options&o != 0 {
			m[OptionName(o)] = "ON"
		}
	}
	if s.HasContextInfo {
		m["CONTEXT_INFO"] = ""
		const digits = "0123456789abcdef"
		var b strings.Builder
		for i := range len(s.ContextInfo) {
			b.WriteByte(digits[s.ContextInfo[i]>>4])
			b.WriteByte(digits[s.ContextInfo[i]&15])
		}
		m["CONTEXT_INFO"] = strings.TrimRight(b.String(), "0")
	}
	if s.CostLimit != CostLimitDefault {
		m["QUERY_GOVERNOR_COST_LIMIT"] = strconv.Itoa(int(s.CostLimit))
	}
	if s.IdentityInsert != "" {
		m["IDENTITY_INSERT"] = s.IdentityInsert
	}
	if s.FIPS != FIPSOff {
		m["FIPS_FLAGGER"] = []string{"", "'ENTRY'", "'INTERMEDIATE'", "'FULL'"}[s.FIPS]
	}
	for _, k := range []string{"k", "l'm"} {
		if v := s.Context(k); v != "" {
			m["key "+strings.ReplaceAll(k, "'", "''")] = v
		}
	}
	return m
}

// wild returns settings that differ from those of a log-in in anything.
func wild(r *rand.Rand) Set {
	s := LogIn(LoginOptions{ODBC: r.IntN(2) == 0, Database: []string{"d", "e", "a]b"}[r.IntN(3)]})
	s.SetLanguage([]string{"English", "German", "Japanese"}[r.IntN(3)])
	for range r.IntN(6) {
		s.SetOption(1<<r.IntN(20), r.IntN(2) == 0)
	}
	if r.IntN(2) == 0 {
		s.SetDateFormat([]string{"mdy", "dmy", "ymd", "ydm", "myd", "dym"}[r.IntN(6)])
		s.DateFirst = uint8(1 + r.IntN(7))
	}
	s.Isolation, s.FIPS = Isolation(1+r.IntN(5)), FIPS(r.IntN(4))
	s.LockTimeout, s.RowCount, s.DeadlockPriority = int32(r.IntN(3)-1), r.Int64N(3), int8(r.IntN(21)-10)
	s.SetTextSize(int32(r.IntN(4) - 1))
	s.CostLimit = int32(r.IntN(3) - 1)
	if r.IntN(2) == 0 {
		s.SetContextInfo([]byte{byte(r.IntN(256)), byte(r.IntN(2)), 0x10}[:r.IntN(4)])
	}
	if r.IntN(2) == 0 {
		s.SetIdentityInsert("", []string{"", "s"}[r.IntN(2)], "t", true)
	}
	for _, k := range []string{"k", "l'm"} {
		s.SetContext(k, []string{"NULL", "1", "N'a'';b'"}[r.IntN(3)])
	}
	return s
}
