package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lines is what go test -json writes for these tests, given as "name outcome".
func lines(tests ...string) string {
	var b strings.Builder
	for _, s := range tests {
		name, action, _ := strings.Cut(s, " ")
		fmt.Fprintf(&b, `{"Action":"run","Package":"%s/pgconn","Test":"%s"}`+"\n", modulePgx, name)
		if action != "" {
			fmt.Fprintf(&b, `{"Action":"%s","Package":"%s/pgconn","Test":"%s"}`+"\n", action, modulePgx, name)
		}
	}
	return b.String()
}

func TestCompare(t *testing.T) {
	t.Parallel()
	direct, err := readResults(strings.NewReader(lines("TestA pass", "TestB pass", "TestB/one pass", "TestB/two pass", "TestC fail",
		"TestD skip", "TestE pass", "TestF pass", "TestG pass", "TestH/in_/tmp/TestH123/001 pass")))
	if err != nil {
		t.Fatal(err)
	}
	through, err := readResults(strings.NewReader("not JSON\n" + lines("TestA pass", "TestB fail", "TestB/one pass", "TestB/two fail", "TestC fail",
		"TestD skip", "TestE", "TestG fail", "TestH/in_/tmp/TestH4567/001 pass")))
	if err != nil {
		t.Fatal(err)
	}
	c := compare(direct, through, map[string]string{"pgconn.TestA": "once failed", "pgconn.TestG": "cannot pass"})
	var got []string
	for _, d := range c.unexpected {
		got = append(got, d.String()+" "+d.outcome())
	}
	want := []string{"pgconn.TestB/two fail", "pgconn.TestE never ended", "pgconn.TestF did not run"}
	if !slices.Equal(got, want) {
		t.Errorf("differences: got %q, want %q", got, want)
	}
	if len(c.documented) != 1 || c.documented[0].String() != "pgconn.TestG" {
		t.Errorf("documented differences: got %v, want TestG", c.documented)
	}
	if !slices.Equal(c.stale, []string{"pgconn.TestA"}) {
		t.Errorf("documented that pass: got %q, want TestA", c.stale)
	}
	if c.same != 3 {
		t.Errorf("got %d tests that pass on both sides, want 3", c.same)
	}

	again, err := readResults(strings.NewReader(lines("TestE pass")))
	if err != nil {
		t.Fatal(err)
	}
	through.retried(again)
	c = compare(direct, through, nil)
	if len(c.unsteady) != 1 || c.unsteady[0].test != "TestE" {
		t.Errorf("unsteady: got %v, want TestE", c.unsteady)
	}
}

func TestExpectedDifferencesHaveReasons(t *testing.T) {
	t.Parallel()
	for _, sub := range subjects {
		if _, err := readExpected(filepath.Base(sub.expected)); err != nil {
			t.Errorf("%s: %v", sub.name, err)
		}
	}
}
