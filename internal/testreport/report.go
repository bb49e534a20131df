package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of go test -json (cmd/test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail, in place of Package
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// key names a test; an empty test is the package itself.
type key struct{ pkg, test string }

// report is what has been read so far. Output of tests that passed is dropped at once.
type report struct {
	out    io.Writer
	output map[key][]string
	parent map[key]bool // has subtests: only the leaves are counted
	failed map[key]bool // itself or a subtest of it
	open   map[key]bool // started, without a result yet

	packages, passed, failures, skipped int
	skips                               []string
}

// errFailed says that some test or package failed; its output has been printed.
var errFailed = errors.New("testreport: failed")

// run reads go test -json from in and writes to out: package lines and the output of failures as they come, then
// skips with their reason, then one closing line with the counts. It returns errFailed if anything failed or if no
// package was tested at all.
func run(in io.Reader, out io.Writer) error {
	r := &report{
		out: out, output: map[key][]string{}, parent: map[key]bool{},
		failed: map[key]bool{}, open: map[key]bool{},
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("testreport: read: %w", err)
		}
	}
	return r.close()
}

func (r *report) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		fmt.Fprint(r.out, line) // not from a test: what the go command itself says
		return
	}
	r.event(e)
}

func (r *report) event(e event) {
	k := key{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "run":
		r.open[k] = true
		if p, ok := parentOf(k); ok {
			r.parent[p] = true
		}
	case "output":
		if strings.HasPrefix(e.Output, "=== ") {
			return // RUN, PAUSE, CONT: progress, not a message
		}
		r.output[k] = append(r.output[k], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(k, e.Action)
		}
	}
}

func (r *report) endTest(k key, action string) {
	delete(r.open, k)
	switch {
	case action == "fail":
		r.fail(k)
	case action == "skip":
		r.skipped++
		r.skips = append(r.skips, fmt.Sprintf("skip %s %s: %s", k.pkg, k.test, reason(r.output[k])))
	case !r.parent[k]:
		r.passed++
	}
	delete(r.output, k)
}

// fail counts a failed test, unless it failed only because a subtest did, and prints what it wrote.
func (r *report) fail(k key) {
	if !r.failed[k] {
		r.failures++
	}
	for p, ok := parentOf(k); ok; p, ok = parentOf(p) {
		r.failed[p] = true
	}
	r.failed[key{pkg: k.pkg}] = true
	fmt.Fprintf(r.out, "FAIL %s %s\n%s", k.pkg, k.test, strings.Join(r.output[k], ""))
}

func (r *report) endPackage(e event) {
	r.packages++
	k := key{pkg: e.Package}
	if e.Action == "fail" {
		r.endOpen(e.Package)
		if !r.failed[k] { // it did not build, TestMain failed, or the process died
			r.failures++
		}
		fmt.Fprintf(r.out, "FAIL %s %.1fs\n%s", e.Package, e.Elapsed, strings.Join(r.output[k], ""))
	} else if e.Action == "pass" {
		fmt.Fprintf(r.out, "ok   %s %.1fs\n", e.Package, e.Elapsed)
	}
	delete(r.output, k)
}

// endOpen fails the tests that a dead process left without a result: a crash's trace is the output of one of them.
func (r *report) endOpen(pkg string) {
	var left []key
	for k := range r.open {
		if k.pkg == pkg {
			left = append(left, k)
		}
	}
	slices.SortFunc(left, func(a, b key) int { return strings.Compare(b.test, a.test) }) // subtests first
	for _, k := range left {
		r.endTest(k, "fail")
	}
}

func (r *report) close() error {
	slices.Sort(r.skips)
	for _, s := range r.skips {
		fmt.Fprintln(r.out, s)
	}
	if r.packages == 0 {
		r.failures++
		fmt.Fprintln(r.out, "FAIL: no package was tested")
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failures, r.skipped)
	if r.failures > 0 {
		return errFailed
	}
	return nil
}

// reason is what a skipped test said last, without the file and line before it.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
			continue
		}
		if _, said, ok := strings.Cut(line, ".go:"); ok {
			if _, text, ok := strings.Cut(said, ": "); ok {
				return text
			}
		}
		return line
	}
	return "no reason given"
}

func parentOf(k key) (key, bool) {
	i := strings.LastIndexByte(k.test, '/')
	if i < 0 {
		return key{}, false
	}
	return key{k.pkg, k.test[:i]}, true
}
