// Package archtest watches the import directions of this project (docs/architecture.md, "Packages"). It reads the
// import lines of every Go file, whatever its build constraints, and compares them with Rules. It compiles nothing,
// so it also works while some package does not build or does not exist yet.
package archtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// std stands for the whole standard library in Rule.Only.
const std = "std"

// Rule says what may be imported where. It has one of four shapes: In and Only (these packages import nothing but),
// In and Not (these packages never import), Import and OnlyIn (these imports stand in no other package), Siblings
// (packages in different subfolders of this folder do not import each other).
//
// Under Only, a package may always import what is in its own folder or below the folder of its pattern.
type Rule struct {
	Why   string // shown with each violation
	Tests bool   // the rule binds _test.go files too

	In   []string
	Only []string
	Not  []string

	Import []string
	OnlyIn []string

	Siblings string
}

// File is one Go file and what it imports.
type File struct {
	Path    string // slash-separated, relative to the module's root
	Imports []Import
}

// Import is one import line. Project packages are written relative to the module ("internal/pool").
type Import struct {
	Path string
	Line int
	own  bool // a package of this module
}

// Violation is an import that a rule forbids.
type Violation struct {
	File   string
	Line   int
	Import string
	Why    string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: must not import %q: %s", v.File, v.Line, v.Import, v.Why)
}

// Read parses the import lines of all Go files below fsys, the root of the module called module. Folders that the
// go command ignores (testdata, vendor, names starting with "." or "_"), nested modules and node_modules are left out.
func Read(fsys fs.FS, module string) ([]File, error) {
	var files []File
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && ignored(fsys, name) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") {
			return nil
		}
		f, err := readFile(fsys, name, module)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

func ignored(fsys fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || base == "node_modules" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

func readFile(fsys fs.FS, name, module string) (File, error) {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return File{}, err
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, name, src, parser.ImportsOnly)
	if err != nil {
		return File{}, fmt.Errorf("archtest: %w", err)
	}
	f := File{Path: name}
	for _, spec := range parsed.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return File{}, fmt.Errorf("archtest: %s: import %s: %w", name, spec.Path.Value, err)
		}
		rel, own := strings.CutPrefix(p, module+"/")
		f.Imports = append(f.Imports, Import{Path: rel, Line: fset.Position(spec.Pos()).Line, own: own})
	}
	return f, nil
}

// Check returns every import in files that one of rules forbids, in the order of the files.
func Check(rules []Rule, files []File) []Violation {
	var out []Violation
	for _, f := range files {
		for _, imp := range f.Imports {
			for _, r := range rules {
				if strings.HasSuffix(f.Path, "_test.go") && !r.Tests {
					continue
				}
				if r.forbids(path.Dir(f.Path), imp) {
					out = append(out, Violation{File: f.Path, Line: imp.Line, Import: imp.Path, Why: r.Why})
				}
			}
		}
	}
	return out
}

func (r Rule) forbids(pkg string, imp Import) bool {
	switch {
	case r.Siblings != "":
		from, to := child(r.Siblings, pkg), child(r.Siblings, imp.Path)
		return imp.own && from != "" && to != "" && from != to
	case len(r.Import) > 0:
		return matchAny(r.Import, imp.Path) && !matchAny(r.OnlyIn, pkg)
	case len(r.Only) > 0:
		i := slices.IndexFunc(r.In, func(p string) bool { return match(p, pkg) })
		if i < 0 || (slices.Contains(r.Only, std) && imp.standard()) || matchAny(r.Only, imp.Path) {
			return false
		}
		return !imp.own || !match(r.In[i], imp.Path)
	default:
		return matchAny(r.In, pkg) && matchAny(r.Not, imp.Path)
	}
}

// standard reports whether the import is of the standard library: its first element has no dot.
func (i Import) standard() bool {
	first, _, _ := strings.Cut(i.Path, "/")
	return !i.own && !strings.Contains(first, ".")
}

// child returns the name of the subfolder of dir that pkg is in, or "" if it is in none.
func child(dir, pkg string) string {
	rest, ok := strings.CutPrefix(pkg, dir+"/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func matchAny(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, p) })
}

func match(pattern, p string) bool {
	prefix, tree := strings.CutSuffix(pattern, "/...")
	return p == prefix || tree && strings.HasPrefix(p, prefix+"/")
}
