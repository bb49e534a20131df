package sqltext_test

import (
	"math/rand/v2"
	"testing"

	"forebay/internal/engine/sqlserver/settings"
	. "forebay/internal/engine/sqlserver/sqltext"
)

func TestApply(t *testing.T) {
	login := settings.LogIn(settings.LoginOptions{ODBC: true, Database: "d"})
	var a Analysis
	for _, c := range []struct {
		sql  string
		want func(s *settings.Set)
	}{
		{"SELECT 1", func(*settings.Set) {}},
		{"SET NOCOUNT, XACT_ABORT ON", func(s *settings.Set) { s.Options |= settings.NoCount | settings.XactAbort }},
		{"SET ANSI_DEFAULTS ON", func(s *settings.Set) {
			s.Options |= settings.CursorCloseOnCommit | settings.ImplicitTransactions
		}},
		{"SET ANSI_NULL_DFLT_OFF ON", func(s *settings.Set) {
			s.Options = s.Options&^settings.AnsiNullDfltOn | settings.AnsiNullDfltOff
		}},
		{"SET STATISTICS IO, XML ON", func(s *settings.Set) { s.Options |= settings.StatisticsIO | settings.StatisticsXML }},
		{"SET NOCOUNT ON SET NOCOUNT OFF", func(*settings.Set) {}},
		{"SET LANGUAGE 'German'", func(s *settings.Set) { s.Language, s.DateFormat, s.DateFirst = "Deutsch", "dmy", 1 }},
		{"SET LANGUAGE Français; SET DATEFORMAT 'YMD'", func(s *settings.Set) {
			s.Language, s.DateFormat, s.DateFirst = "Français", "ymd", 1
		}},
		{"USE [a]]b]", func(s *settings.Set) { s.Database = "a]b" }},
		{"SET LOCK_TIMEOUT - 1 SET LOCK_TIMEOUT 5 SET ROWCOUNT 5000000000", func(s *settings.Set) { s.LockTimeout, s.RowCount = 5, 5000000000 }},
		{"SET TEXTSIZE 0", func(s *settings.Set) { s.TextSize = 4096 }},
		{"SET DEADLOCK_PRIORITY HIGH SET DATEFIRST 3", func(s *settings.Set) { s.DeadlockPriority, s.DateFirst = 5, 3 }},
		{"SET TRANSACTION ISOLATION LEVEL SNAPSHOT", func(s *settings.Set) { s.Isolation = settings.Snapshot }},
		{"SET CONTEXT_INFO 0x0a0B00", func(s *settings.Set) { s.HasContextInfo, s.ContextInfo = true, "\n\v" }},
		{"SET FIPS_FLAGGER 'Entry'", func(s *settings.Set) { s.FIPS = settings.FIPSEntry }},
		{"SET QUERY_GOVERNOR_COST_LIMIT 7", func(s *settings.Set) { s.CostLimit = 7 }},
		{"SET IDENTITY_INSERT [a b].t ON", func(s *settings.Set) { s.IdentityInsert = "[d].[a b].[t]" }},
		{"SET IDENTITY_INSERT x..t ON USE y SET IDENTITY_INSERT X..T OFF", func(s *settings.Set) { s.Database = "y" }},
		{"EXEC sp_set_session_context N'k''', N'v''1'; sp_set_session_context", nil},
		{"EXEC sp_set_session_context N'k''', N'v''1'", func(s *settings.Set) { s.SetContext("k'", "N'v''1'") }},
		{"EXEC sp_set_session_context @value = 5, @key = 'k' EXEC sp_set_session_context 'k', NULL", func(*settings.Set) {}},
		{"SET LANGUAGE Klingon", nil},
		{"SET DATEFORMAT abc", nil},
		{"SET IDENTITY_INSERT a ON SET IDENTITY_INSERT b ON", nil},
	} {
		text := wire(c.sql)
		Inspect(text, batch, &a)
		got, ok := a.Apply(text, login)
		want := login
		if c.want != nil {
			c.want(&want)
		} else if a.Effects&Unknown != 0 {
			continue
		}
		if ok != (c.want != nil) || got != want {
			t.Errorf("%s (%v)\n got %v %v\nwant %v", c.sql, a.Effects, ok, got, want)
		}
	}
}

// TestTextReads checks that what settings writes is what this package reads: the batch that makes one set another does so
// by the assignments that it is seen to make.
func TestTextReads(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var a Analysis
	for range 1000 {
		from, to := random(r), random(r)
		text := wire(string(from.Text(to)))
		Inspect(text, batch, &a)
		if a.Effects&^Assigns != 0 {
			t.Fatalf("%s: %v", from.Text(to), a.Effects)
		}
		got, ok := a.Apply(text, from)
		if !from.Reaches(to) {
			continue
		}
		if !ok || got != to {
			t.Fatalf("%s\nfrom %v\n got %v\nwant %v", from.Text(to), from, got, to)
		}
		if got.Fit() != to.Fit() || (from == to) != (from.Fit() == to.Fit()) {
			t.Fatal("equal sets do not fit, or others do")
		}
	}
}

// random returns settings, near to those of a log-in as sessions' are.
func random(r *rand.Rand) settings.Set {
	s := settings.LogIn(settings.LoginOptions{ODBC: r.IntN(4) > 0, Database: "d"})
	for range r.IntN(8) {
		switch r.IntN(16) {
		case 0:
			s.SetOption(1<<r.IntN(20), r.IntN(2) == 0)
		case 1:
			s.Database = []string{"d", "e", "a]b", "ü'"}[r.IntN(4)]
		case 2:
			s.SetLanguage([]string{"English", "German", "日本語", "British"}[r.IntN(4)])
		case 3:
			s.SetDateFormat([]string{"mdy", "dmy", "ymd"}[r.IntN(3)])
		case 4:
			s.DateFirst = uint8(1 + r.IntN(7))
		case 5:
			s.Isolation = settings.Isolation(1 + r.IntN(5))
		case 6:
			s.LockTimeout = int32(r.IntN(3) - 1)
		case 7:
			s.SetTextSize(int32(r.IntN(4) - 1))
		case 8:
			s.DeadlockPriority = int8(r.IntN(21) - 10)
		case 9:
			s.RowCount = r.Int64N(1 << 40)
		case 10:
			s.CostLimit = int32(r.IntN(10))
		case 11:
			s.SetContextInfo([]byte{byte(r.IntN(2)), byte(r.IntN(256)), 0}[:r.IntN(4)])
		case 12:
			s.SetIdentityInsert("", []string{"", "s"}[r.IntN(2)], []string{"t", "u]v"}[r.IntN(2)], true)
		case 13:
			s.SetContext([]string{"k", "l'm", "日"}[r.IntN(3)], []string{"1", "N'a''b'", "0xff", "NULL"}[r.IntN(4)])
		case 14:
			s.FIPS = settings.FIPS(r.IntN(4))
		case 15:
			s.SetOption(settings.AnsiDefaults, r.IntN(2) == 0)
		}
	}
	return s
}
