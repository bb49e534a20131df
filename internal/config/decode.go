package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// decoder copies a YAML tree into the structs of file.go. The library's own decoder stops at the first error and
// forgets the lines; this one goes on, and remembers where each field stood for the checks that follow.
type decoder struct {
	*report
	anchors map[string]ast.Node
	aliases []string // those being followed now, outermost first
}

// maxAliasUses bounds how much a small file can unfold to by naming the same part again and again.
const maxAliasUses = 8

// decode fills f, which holds the defaults, from the bytes of a file. It reports whether the file is YAML of the
// right outline at all; errors below that are in r.
func decode(r *report, data []byte, f *file) bool {
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, message := 0, err.Error()
		var located yaml.Error
		if errors.As(err, &located) {
			message = located.GetMessage()
			if tok := located.GetToken(); tok != nil && tok.Position != nil {
				line = tok.Position.Line
			}
		}
		r.errorAt(line, "", "not valid YAML: %s", message)
		return false
	}
	var body ast.Node
	for _, doc := range tree.Docs {
		if doc == nil || doc.Body == nil {
			continue
		}
		if body != nil {
			r.errorAt(nodeLine(doc.Body), "", "expected one YAML document, got a second one")
			return false
		}
		body = doc.Body
	}
	if body == nil {
		r.errorAt(1, "", "expected at least the sections secrets and proxies, got an empty file")
		return false
	}
	d := &decoder{report: r, anchors: map[string]ast.Node{}}
	d.value("", body, reflect.ValueOf(f).Elem())
	return true
}

func nodeLine(n ast.Node) int {
	if n != nil {
		if tok := n.GetToken(); tok != nil && tok.Position != nil {
			return tok.Position.Line
		}
	}
	return 1
}

var spanType = reflect.TypeFor[span]()

// value decodes n into v, which stands at path.
func (d *decoder) value(path string, n ast.Node, v reflect.Value) {
	switch node := n.(type) {
	case *ast.AnchorNode:
		d.anchors[node.Name.GetToken().Value] = node.Value
		d.value(path, node.Value, v)
		return
	case *ast.AliasNode:
		d.alias(path, node, v)
		return
	case *ast.TagNode:
		d.errorf(path, "expected a plain value, got the YAML tag %s", clip(node.GetToken().Value))
		return
	}

	var err error
	switch {
	case v.Type() == spanType:
		var s span
		if s, err = parseSpan(n); err == nil {
			v.Set(reflect.ValueOf(s))
		}
	case v.Kind() == reflect.Struct:
		d.section(path, n, v)
	case v.Kind() == reflect.Slice:
		d.list(path, n, v)
	case v.Kind() == reflect.String:
		var s string
		if s, err = parseText(n); err == nil {
			v.SetString(s)
		}
	case v.Kind() == reflect.Bool:
		var b bool
		if b, err = parseBool(n); err == nil {
			v.SetBool(b)
		}
	case v.Kind() == reflect.Int:
		var i int64
		if i, err = parseInt(n); err == nil {
			if v.OverflowInt(i) {
				err = fmt.Errorf("expected a whole number, got %d, which is too large", i)
			} else {
				v.SetInt(i)
			}
		}
	}
	if err != nil {
		d.errorf(path, "%v", err)
	}
}

func (d *decoder) alias(path string, n *ast.AliasNode, v reflect.Value) {
	name := n.Value.GetToken().Value
	target, ok := d.anchors[name]
	if !ok {
		d.errorf(path, "expected an anchor &%s above this alias, got none", clip(name))
		return
	}
	if len(d.aliases) == maxAliasUses {
		d.errorf(path, "expected at most %d aliases inside one another", maxAliasUses)
		return
	}
	d.aliases = append(d.aliases, name)
	d.value(path, target, v)
	d.aliases = d.aliases[:len(d.aliases)-1]
}

// section decodes a mapping into a struct. What the file leaves out keeps the value that v has.
func (d *decoder) section(path string, n ast.Node, v reflect.Value) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.errorf(path, "expected a section with keys (%s), got %s", strings.Join(keysOf(v.Type()), ", "), describe(n))
		return
	}
	seen := map[string]int{}
	for it := m.MapRange(); it.Next(); {
		key, line := it.Key().GetToken().Value, nodeLine(it.Key())
		if it.Key().IsMergeKey() {
			d.errorAt(line, path, "expected plain keys, got a merge key <<: name the whole section with an alias instead")
			continue
		}
		at := join(path, key)
		if first, ok := seen[key]; ok {
			d.errorAt(line, at, "expected once, got a second time (first on line %d)", first)
			continue
		}
		seen[key] = line
		field, ok := fieldOf(v, key)
		if !ok {
			// The value is left out: under an unknown key it could be a password.
			keys := keysOf(v.Type())
			d.errorAt(line, join(path, clip(key)), "unknown key%s; expected one of %s", guess(key, keys), strings.Join(keys, ", "))
			continue
		}
		d.lines[at] = line
		d.value(at, it.Value(), field)
	}
}

// list decodes a sequence, each element over its own defaults.
func (d *decoder) list(path string, n ast.Node, v reflect.Value) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.errorf(path, "expected a list, got %s", describe(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		if def, ok := out.Index(i).Addr().Interface().(defaulter); ok {
			def.setDefaults()
		}
		at := fmt.Sprintf("%s[%d]", path, i)
		d.lines[at] = itemLine(item)
		d.value(at, item, out.Index(i))
	}
	v.Set(out)
}

// itemLine is the line on which an element of a list begins: a mapping's own token is the colon after its first key.
func itemLine(n ast.Node) int {
	if m, ok := n.(ast.MapNode); ok {
		if it := m.MapRange(); it.Next() {
			return nodeLine(it.Key())
		}
	}
	return nodeLine(n)
}

func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}
