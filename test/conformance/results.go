package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"
)

// testID names one test.
type testID struct{ pkg, test string }

func (t testID) String() string {
	pkg := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(t.pkg, modulePgx), moduleMySQL), moduleSQLServer)
	return strings.TrimPrefix(pkg, "/") + "." + t.test
}

// outcome is how a test ended.
type outcome string

const (
	passed  outcome = "pass"
	failed  outcome = "fail"
	skipped outcome = "skip"
	cut     outcome = "cut" // it began and never ended: the package crashed or ran out of time
)

// results are those of one run.
type results struct {
	tests    map[testID]outcome
	output   map[testID]string // of tests that did not pass
	builds   []string          // output of packages that do not build
	unsteady map[testID]bool   // passed in a later try
}

func newResults() *results {
	return &results{tests: map[testID]outcome{}, output: map[testID]string{}, unsteady: map[testID]bool{}}
}

// add takes over the results of other tests.
func (r *results) add(more *results) {
	maps.Copy(r.tests, more.tests)
	maps.Copy(r.output, more.output)
}

// readResults reads what go test -json writes.
func readResults(in io.Reader) (*results, error) {
	r := newResults()
	br := bufio.NewReader(in)
	for {
		line, err := br.ReadBytes('\n')
		if len(line) > 0 && line[0] == '{' {
			r.event(line)
		}
		if err == io.EOF {
			return r, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// temporary matches a folder of t.TempDir in a test's name: its number is another one in each run.
var temporary = regexp.MustCompile(`(/Test[A-Za-z_]+)[0-9]+`)

// maxOutput is how much of one test's output is kept, in bytes.
const maxOutput = 16 << 10

// event takes over one line; those that are none of a test's are passed over.
func (r *results) event(line []byte) {
	var e struct{ Action, Package, Test, Output string }
	if json.Unmarshal(line, &e) != nil {
		return
	}
	if e.Action == "build-output" {
		r.builds = append(r.builds, e.Output)
	}
	if e.Test == "" {
		return
	}
	id := testID{e.Package, temporary.ReplaceAllString(e.Test, "$1")}
	switch e.Action {
	case "run":
		r.tests[id] = cut
	case "output":
		if len(r.output[id]) < maxOutput {
			r.output[id] += e.Output
		}
	case "pass":
		r.tests[id] = passed
		delete(r.output, id)
	case "fail":
		r.tests[id] = failed
	case "skip":
		r.tests[id] = skipped
	}
}

// retried takes over the results of another try: whatever passes now was unsteady.
func (r *results) retried(second *results) {
	for id, o := range second.tests {
		if o == passed && r.tests[id] != passed {
			r.tests[id] = passed
			r.unsteady[id] = true
		}
	}
}

// count is how many tests ended so.
func (r *results) count(o outcome) int {
	n := 0
	for _, have := range r.tests {
		if have == o {
			n++
		}
	}
	return n
}

// print writes one line about the run.
func (r *results) print(w io.Writer, name string) {
	fmt.Fprintf(w, "%-16s %d tests: %d passed, %d failed, %d skipped", name+":", len(r.tests), r.count(passed), r.count(failed), r.count(skipped))
	if n := r.count(cut); n > 0 {
		fmt.Fprintf(w, ", %d never ended", n)
	}
	fmt.Fprintln(w)
}

// printFailures writes what the failed tests had to say.
func (r *results) printFailures(w io.Writer) {
	for _, id := range sorted(r.tests) {
		if o := r.tests[id]; o == failed || o == cut {
			fmt.Fprintf(w, "\n--- %s: %s\n%s", id, o, r.output[id])
		}
	}
}
