package policy

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// maxDepth is how deep a document nests at most: document, statements, statement, condition block, operator, values.
const maxDepth = 6

// node is a JSON value. Objects keep their order, and a name twice is an error: encoding/json would take the last one,
// and so might read another policy than the people who reviewed it.
type node struct {
	kind    nodeKind
	text    string // of a string (decoded), number or boolean (as written)
	members []member
	items   []node
}

type member struct {
	name  string
	value node
}

type nodeKind int

const (
	nullNode nodeKind = iota
	stringNode
	numberNode
	boolNode
	objectNode
	arrayNode
)

func readJSON(text []byte) (node, error) {
	if !utf8.Valid(text) {
		return node{}, syntax("not UTF-8")
	}
	if !json.Valid(text) {
		return node{}, syntax("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return readNode(d, 0)
}

func readNode(d *json.Decoder, depth int) (node, error) {
	t, err := d.Token()
	if err != nil {
		return node{}, syntax("not JSON")
	}
	switch t := t.(type) {
	case string:
		return node{kind: stringNode, text: t}, nil
	case json.Number:
		return node{kind: numberNode, text: t.String()}, nil
	case bool:
		if t {
			return node{kind: boolNode, text: "true"}, nil
		}
		return node{kind: boolNode, text: "false"}, nil
	case json.Delim:
		if depth == maxDepth {
			return node{}, syntax("nested too deeply")
		}
		if t == '{' {
			return readObject(d, depth+1)
		}
		return readArray(d, depth+1)
	}
	return node{kind: nullNode}, nil
}

func readObject(d *json.Decoder, depth int) (node, error) {
	n := node{kind: objectNode}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return n, syntax("not JSON")
		}
		if seen[name] {
			return n, syntax("%q is there twice", name)
		}
		seen[name] = true
		v, err := readNode(d, depth)
		if err != nil {
			return n, err
		}
		n.members = append(n.members, member{name, v})
	}
	_, err := d.Token()
	return n, err
}

func readArray(d *json.Decoder, depth int) (node, error) {
	n := node{kind: arrayNode}
	for d.More() {
		v, err := readNode(d, depth)
		if err != nil {
			return n, err
		}
		n.items = append(n.items, v)
	}
	_, err := d.Token()
	return n, err
}

// list returns the items of an array, or the value itself: IAM lets the brackets of a list of one be left out.
func (n node) list() []node {
	if n.kind == arrayNode {
		return n.items
	}
	return []node{n}
}

// strings returns a string or a list of strings; ok is false for anything else.
func (n node) strings() (list []string, ok bool) {
	list = make([]string, 0, len(n.items)+1)
	for _, item := range n.list() {
		if item.kind != stringNode {
			return nil, false
		}
		list = append(list, item.text)
	}
	return list, true
}
