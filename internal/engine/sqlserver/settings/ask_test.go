package settings_test

import (
	"strings"
	"testing"

	. "forebay/internal/engine/sqlserver/settings"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	row := func(v ...string) (r []*string) {
		for i := range v {
			if v[i] == "NULL" {
				r = append(r, nil)
			} else {
				r = append(r, &v[i])
			}
		}
		return r
	}
	was := login(func(s *Set) { s.RowCount = 5; s.SetOption(ForcePlan, true); s.SetContextInfo([]byte{1}) })
	want := was
	want.Options = LogIn(LoginOptions{ODBC: true}).Options | ArithAbort | ForcePlan
	want.Database, want.Language, want.DateFormat, want.DateFirst, want.Isolation = "e", "Deutsch", "dym", 3, Serializable
	want.LockTimeout, want.TextSize, want.DeadlockPriority = -1, 4096, -5
	want.HasContextInfo, want.ContextInfo = true, "\xab"
	good := []string{"e", "5496", "Deutsch", "dym", "3", "4", "-1", "4096", "-5", "0xAB00"}
	if got, ok := was.Answer(row(good...)); !ok || got != want {
		t.Errorf("got %v %v\nwant %v", ok, got, want)
	}
	want.HasContextInfo, want.ContextInfo = false, ""
	if got, ok := was.Answer(row(append(good[:9:9], "NULL")...)); !ok || got != want {
		t.Errorf("without CONTEXT_INFO: %v %v", ok, got)
	}
	for i, bad := range []string{"NULL", "x", "NULL", "abc", "8", "0", "-2", "9999999999", "11", "0x1"} {
		v := append([]string(nil), good...)
		v[i] = bad
		if got, ok := was.Answer(row(v...)); ok || got != was {
			t.Errorf("column %d, %s: %v %v", i, bad, ok, got)
		}
	}
	if got, ok := was.Answer(row(append(good[:9:9], "01010002")...)); ok || got != was { // as Babelfish tells eight characters
		t.Errorf("CONTEXT_INFO without 0x: %v %v", ok, got)
	}
	if _, ok := was.Answer(row(good[:9]...)); ok {
		t.Error("a row of nine columns is an answer")
	}
	for _, column := range []string{"language", "date_first", "lock_timeout"} { // of the view: @@... is right on Babelfish, too
		if strings.Contains(Ask, "CAST("+column+" ") {
			t.Errorf("%s is asked of the view", column)
		}
	}
	if n := strings.Count(Ask, "nvarchar("); n != AskColumns {
		t.Errorf("%d columns are asked for, not %d", n, AskColumns)
	}
}
