package mysql

import (
	"testing"

	"forebay/internal/engine"
)

const (
	uuidA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	uuidB = "4e11fa47-71ca-11e1-9e33-c80aa9429562"
)

func gtids(t testing.TB, text string) engine.Position {
	t.Helper()
	s, err := parseGTIDSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func domains(t testing.TB, text ...string) engine.Position {
	t.Helper()
	p, err := parseMariaDBPosition(text...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// at is where a server of MariaDB is, whose id is 1.
func at(t testing.TB, binlog, slave, state string, applies bool) engine.Position {
	t.Helper()
	p, err := mariaDBAt(binlog, slave, state, 1, applies)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPositions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p, q            engine.Position
		covers, covered bool
	}{
		{gtids(t, ""), gtids(t, ""), true, true},
		{gtids(t, uuidA+":1-5"), gtids(t, ""), true, false},
		{gtids(t, uuidA+":1-5"), gtids(t, uuidA+":1-3:5"), true, false},
		{gtids(t, uuidA+":1-3:4-5"), gtids(t, uuidA+":1-5"), true, true},
		{gtids(t, uuidA+":5:1-3"), gtids(t, uuidA+":4"), false, false},
		{gtids(t, uuidA+":1-5,\n"+uuidB+":1"), gtids(t, uuidA+":1-5"), true, false},
		{gtids(t, uuidA+":1-5"), gtids(t, uuidB+":1-5"), false, false},
		{gtids(t, uuidA+":1-5"), gtids(t, uuidA+":tag_1:1-5"), false, false},
		{gtids(t, uuidA+":1-5:blue:1-2:7:green:9"), gtids(t, uuidA+":BLUE:7"), true, false},
		{gtids(t, "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5"), gtids(t, uuidA+":1-5"), true, true},
		{gtids(t, uuidA+":1-9223372036854775807"), gtids(t, uuidA+":1-9223372036854775806"), true, false},
		{domains(t, ""), domains(t, ""), true, true},
		{domains(t, "0-1-5"), domains(t, "0-2-4"), true, false},
		{domains(t, "0-1-5,1-1-1"), domains(t, "0-1-5"), true, false},
		{domains(t, "0-1-5,1-1-1"), domains(t, "0-1-4,2-1-1"), false, false},
		{domains(t, "0-1-5"), domains(t, "0-2-5"), false, false},
		{domains(t, "0-1-5", "0-2-7"), domains(t, "0-2-7"), true, true},
		// A replica's log has what nobody sees yet.
		{at(t, "0-2-7", "0-2-6", "0-2-7", true), domains(t, "0-2-7"), false, true},
		{at(t, "0-2-7", "0-2-6", "0-2-7", false), domains(t, "0-2-7"), true, true},
		// A former writer has writes of its own that nobody else has, or has gone on from what the next one has written.
		{at(t, "0-1-9", "0-3-2", "0-1-9,0-3-2", true), domains(t, "0-2-8"), false, false},
		{at(t, "0-1-9", "0-2-6", "0-1-9,0-2-6", true), domains(t, "0-2-8"), false, false},
		{at(t, "0-1-9", "0-2-8", "0-1-9,0-2-8", true), domains(t, "0-2-8"), true, false},
		{at(t, "0-2-9", "0-2-9", "0-1-5,0-2-9", true), domains(t, "0-1-5"), true, false},
		{at(t, "0-2-9", "0-2-9", "0-1-5,0-2-9", true), domains(t, "0-1-6"), false, false},
		{at(t, "", "0-2-9", "", true), domains(t, "0-3-8"), true, false},
		{galeraPosition{uuidA, 7}, galeraPosition{uuidA, 6}, true, false},
		{galeraPosition{uuidA, 7}, galeraPosition{uuidB, 6}, false, false},
		{domains(t, ""), gtids(t, ""), false, false},
		{galeraPosition{uuidA, 7}, gtids(t, ""), false, false},
	} {
		if got := tt.p.Covers(tt.q); got != tt.covers {
			t.Errorf("%q covers %q: %v", tt.p, tt.q, got)
		}
		if got := tt.q.Covers(tt.p); got != tt.covered {
			t.Errorf("%q covers %q: %v", tt.q, tt.p, got)
		}
	}
	for p, want := range map[engine.Position]string{
		gtids(t, uuidA+":1-5,\n"+uuidB+":1:tag:2"): uuidA + ":1-5," + uuidB + ":1:tag:2",
		galeraPosition{uuidA, 7}:                   uuidA + ":7",
	} {
		if p.String() != want {
			t.Errorf("got %q, want %q", p, want)
		}
	}
	if got := domains(t, "1-1-1, 0-1-5", "0-3-9").String(); got != "0-3-9,1-1-1" {
		t.Errorf("got %q", got)
	}
}

func TestBadPositions(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"x", uuidA, uuidA + ":", uuidA + ":0", uuidA + ":5-4", uuidA + ":1-", uuidA + ":-1", uuidA + ":+1", uuidA + ":1:tag",
		uuidA + ":tag", uuidA + ":1-9223372036854775808", uuidA + ":1--2", uuidA[:35] + ":1", uuidA + ":1:ta g:", uuidA + ":1::2",
	} {
		if s, err := parseGTIDSet(text); err == nil {
			t.Errorf("%q is %v", text, s.of)
		}
	}
	for _, text := range []string{"0-1", "0-1-2-3", "a-1-2", "0-1-", "4294967296-1-1", "0--1-1"} {
		if p, err := parseMariaDBPosition(text); err == nil {
			t.Errorf("%q is %v", text, p.of)
		}
	}
}

// FuzzGTIDSet: what can be read covers itself and nothing, and reads the same from what it says.
func FuzzGTIDSet(f *testing.F) {
	for _, s := range []string{"", uuidA + ":1-5:7:tag:1-3,\n" + uuidB + ":1", uuidA + ":3:1:2", uuidA + ":1:ta g:2", ",,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseGTIDSet(text)
		if err != nil {
			return
		}
		if !s.Covers(s) || !s.Covers(gtids(t, "")) {
			t.Errorf("%q does not cover itself", text)
		}
		again, err := parseGTIDSet(s.String())
		if err != nil || !again.Covers(s) || !s.Covers(again) {
			t.Errorf("%q reads as another from %q: %v", text, s, err)
		}
		for key, all := range s.of {
			for i, v := range all {
				if v.first < 1 || v.last < v.first || i > 0 && v.first <= all[i-1].last+1 {
					t.Errorf("%q: %s has %v", text, key, all)
				}
			}
		}
	})
}

// FuzzMariaDBPosition does the same for MariaDB's.
func FuzzMariaDBPosition(f *testing.F) {
	for _, s := range []string{"", "0-1-5,1-2-18446744073709551615", "0-1-5,0-2-5", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseMariaDBPosition(text)
		if err != nil {
			return
		}
		again, err := parseMariaDBPosition(p.String())
		if err != nil || !again.Covers(p) || !p.Covers(again) {
			t.Errorf("%q reads as another from %q: %v", text, p, err)
		}
	})
}
