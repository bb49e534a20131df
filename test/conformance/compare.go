package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// difference is a test that passes direct and does not through Forebay.
type difference struct {
	testID
	got    outcome // "" when it did not run at all
	reason string  // why it cannot be otherwise, for a documented one
}

// comparison is what two runs differ in.
type comparison struct {
	same       int // pass in both
	unexpected []difference
	documented []difference
	stale      []string // documented, but they pass
	failDirect []testID // say nothing about Forebay
	skipDirect []testID // neither do these
	unsteady   []testID
}

// compare compares. A failed subtest is named; its parent is not, unless that failed by itself.
func compare(direct, through *results, expected map[string]string) comparison {
	var c comparison
	parents := map[testID]bool{} // of tests that differ
	for _, id := range sorted(direct.tests) {
		if direct.tests[id] != passed {
			switch direct.tests[id] {
			case failed, cut:
				c.failDirect = append(c.failDirect, id)
			case skipped:
				c.skipDirect = append(c.skipDirect, id)
			}
			continue
		}
		got := through.tests[id]
		reason, known := expected[id.String()]
		switch {
		case got == passed:
			c.same++
			if known {
				c.stale = append(c.stale, id.String())
			}
			if through.unsteady[id] {
				c.unsteady = append(c.unsteady, id)
			}
		case known:
			c.documented = append(c.documented, difference{id, got, reason})
			markParents(parents, id)
		case parents[id]:
		default:
			c.unexpected = append(c.unexpected, difference{testID: id, got: got})
			markParents(parents, id)
		}
	}
	byName := func(a, b difference) int { return strings.Compare(a.String(), b.String()) }
	slices.SortFunc(c.unexpected, byName)
	slices.SortFunc(c.documented, byName)
	return c
}

// markParents notes the tests that a test is part of: they fail with it.
func markParents(parents map[testID]bool, id testID) {
	for i := strings.LastIndexByte(id.test, '/'); i > 0; i = strings.LastIndexByte(id.test[:i], '/') {
		parents[testID{id.pkg, id.test[:i]}] = true
	}
}

// sorted lists tests with subtests before what they are part of.
func sorted(tests map[testID]outcome) []testID {
	ids := make([]testID, 0, len(tests))
	for id := range tests {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b testID) int {
		if n := strings.Count(b.test, "/") - strings.Count(a.test, "/"); n != 0 {
			return n
		}
		return strings.Compare(a.String(), b.String())
	})
	return ids
}

// print writes the differences and a closing summary.
func (c *comparison) print(w io.Writer, through *results) {
	for _, d := range c.unexpected {
		fmt.Fprintf(w, "\n--- DIFFERENT: %s: passes direct; through Forebay: %s\n%s", d, d.outcome(), through.output[d.testID])
	}
	for _, d := range c.documented {
		fmt.Fprintf(w, "\n--- documented: %s: %s\n    %s\n", d, d.outcome(), d.reason)
	}
	for _, id := range c.unsteady {
		fmt.Fprintf(w, "\n--- unsteady: %s: failed through Forebay, passed when run again\n%s", id, through.output[id])
	}
	for _, name := range c.stale {
		fmt.Fprintf(w, "\n--- passes now, take it off the list: %s\n", name)
	}
	for _, id := range c.skipDirect {
		fmt.Fprintf(w, "\n--- skipped direct: %s\n", id)
	}
	for _, id := range c.failDirect {
		fmt.Fprintf(w, "\n--- fails direct too: %s\n", id)
	}
	fmt.Fprintf(w, "\n%d tests pass direct and through Forebay (%d of them in a later try), %d documented differences, %d differences\n",
		c.same, len(c.unsteady), len(c.documented), len(c.unexpected))
}

func (d *difference) outcome() string {
	switch d.got {
	case "":
		return "did not run"
	case cut:
		return "never ended"
	}
	return string(d.got)
}

// readExpected reads the documented differences: lines of a test's name, a blank, and the reason. What follows a # at the
// start of a line is a comment.
func readExpected(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	expected := map[string]string{}
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, reason, ok := strings.Cut(line, " ")
		if reason = strings.TrimSpace(reason); !ok || reason == "" {
			return nil, fmt.Errorf("%s: %s stands without a reason", path, name)
		}
		expected[name] = reason
	}
	return expected, nil
}
