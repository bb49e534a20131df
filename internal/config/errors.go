package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing wrong with a configuration file: where it stands and what was expected there.
type Error struct {
	File    string // as given to Load
	Line    int    // from 1; 0 if the file could not be read at all
	Field   string // path from the top, such as proxies[0].target.port; empty if the whole file is meant
	Message string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	b.WriteString(": " + e.Message)
	return b.String()
}

// Errors are all the errors of one file, in the order of its lines.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Is makes every error found in a file match ErrInvalid.
func (e Errors) Is(target error) bool { return target == ErrInvalid }

// ErrInvalid is matched by all errors that Load returns.
var ErrInvalid = errors.New("config: the configuration is not usable")

// report collects errors while one file is read. It knows the line on which each field stands.
type report struct {
	file  string
	lines map[string]int // field path -> line of its key, or of its value in a list
	errs  Errors
}

func newReport(file string) *report {
	return &report{file: file, lines: map[string]int{"": 1}}
}

// has reports whether the file itself has the field, rather than its default.
func (r *report) has(path string) bool {
	_, ok := r.lines[path]
	return ok
}

// errorf records an error at the line of the field, or, where the file has no such field, of the section around it.
func (r *report) errorf(path, format string, args ...any) {
	r.errorAt(r.line(path), path, format, args...)
}

func (r *report) errorAt(line int, path, format string, args ...any) {
	r.errs = append(r.errs, &Error{File: r.file, Line: line, Field: path, Message: fmt.Sprintf(format, args...)})
}

func (r *report) line(path string) int {
	for {
		if line, ok := r.lines[path]; ok {
			return line
		}
		path = parent(path)
	}
}

// parent cuts the last key or index off a path: a.b[1] becomes a.b, and a.b becomes a.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// failed reports whether anything is wrong with the field or with something inside it.
func (r *report) failed(path string) bool {
	return slices.ContainsFunc(r.errs, func(e *Error) bool {
		rest, ok := strings.CutPrefix(e.Field, path)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// err returns what was recorded, in the order of the lines, or nil.
func (r *report) err() error {
	if len(r.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(r.errs, func(a, b *Error) int { return a.Line - b.Line })
	return r.errs
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
