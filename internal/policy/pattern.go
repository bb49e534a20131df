package policy

import (
	"slices"
	"strings"
)

// pattern is a text with wildcards, as runes: those that are wildcards are negative.
type pattern []rune

const (
	anyRun        rune = -1 - iota // "*": any characters, or none
	anyOne                         // "?": any one character
	anyRunSegment                  // "*" that stays within its segment of an ARN
	anyOneSegment                  // "?" that does
)

// compilePattern reads "*" and "?" anywhere as wildcards that match everything.
func compilePattern(s string) pattern {
	p := pattern(s)
	for i, r := range p {
		switch r {
		case '*':
			p[i] = anyRun
		case '?':
			p[i] = anyOne
		}
	}
	return p
}

// match reports whether the whole of s matches. It takes time in proportion to len(p) * len(s) at most, whatever the
// wildcards: it follows all the places in p where s could be at once.
func (p pattern) match(s string) bool {
	text := []rune(s)
	for len(p) > 0 && p[0] >= 0 { // most patterns begin with, or are, plain text
		if len(text) == 0 || text[0] != p[0] {
			return false
		}
		p, text = p[1:], text[1:]
	}
	if len(p) == 0 {
		return len(text) == 0
	}
	if len(p) == 1 && p[0] == anyRun {
		return true
	}
	now, next := make([]bool, len(p)+1), make([]bool, len(p)+1)
	p.mark(now, 0)
	for _, r := range text {
		clear(next)
		alive := false
		for i, here := range now[:len(p)] {
			if !here {
				continue
			}
			switch q := p[i]; {
			case q == anyRun || q == anyRunSegment && r != ':':
				p.mark(next, i)
			case q == anyOne || q == anyOneSegment && r != ':' || q == r:
				p.mark(next, i+1)
			default:
				continue
			}
			alive = true
		}
		if !alive {
			return false
		}
		now, next = next, now
	}
	return now[len(p)]
}

// mark notes that s could be at i in p, and after the wildcards there that match nothing.
func (p pattern) mark(places []bool, i int) {
	for ; !places[i]; i++ {
		places[i] = true
		if i == len(p) || p[i] != anyRun && p[i] != anyRunSegment {
			return
		}
	}
}

// wildcards is how "*" and "?" are read in a template.
type wildcards int

const (
	noWildcards  wildcards = iota
	allWildcards           // StringLike
	// resourceWildcards: a "*" that ends a segment of an ARN reaches beyond it; any other stays within, except in the last
	// segment, the resource, whose colons are its own ("IAM JSON policy elements: Resource").
	resourceWildcards
	// arnWildcards: no wildcard leaves its segment, as each is compared on its own ("Amazon Resource Name (ARN) condition
	// operators"). "*" alone matches everything.
	arnWildcards
)

// arnResource is the number of colons before the resource part of an ARN.
const arnResource = 5

// template is a text of a policy whose variables are not filled in yet.
type template struct {
	parts []part // patterns and variables in turn
}

// part is a pattern or, where key is set, a variable.
type part struct {
	pattern    pattern
	key        string // in lower case
	value      string // the default, if hasDefault
	hasDefault bool
}

// parseTemplate reads s. Variables ("IAM policy elements: Variables and tags") are ${key} and ${key, 'default'}; ${*},
// ${?} and ${$} are those characters themselves.
func parseTemplate(s string, w wildcards, variables bool) (template, error) {
	var t template
	var p pattern
	segment := 0
	alone := s == "*"
	for s != "" {
		if variables && strings.HasPrefix(s, "${") {
			v, rest, ok := parseVariable(s)
			if !ok {
				return t, syntax("a policy variable must be ${key} or ${key, 'default'}: %q", s)
			}
			s = rest
			if len(v.pattern) > 0 {
				p = append(p, v.pattern...)
				continue
			}
			if len(p) > 0 {
				t.parts = append(t.parts, part{pattern: p})
				p = nil
			}
			t.parts = append(t.parts, v)
			continue
		}
		c := s[0]
		switch {
		case c == '*' && w != noWildcards:
			s = strings.TrimLeft(s, "*") // a run of them is one
			within := w == arnWildcards && !alone || w == resourceWildcards && s != "" && s[0] != ':'
			p = append(p, pick(within && segment < arnResource, anyRunSegment, anyRun))
		case c == '?' && w != noWildcards:
			s = s[1:]
			p = append(p, pick(w != allWildcards && segment < arnResource, anyOneSegment, anyOne))
		default:
			if c == ':' {
				segment++
			}
			i := strings.IndexAny(s[1:], "*?:$") + 1
			if i == 0 {
				i = len(s)
			}
			p = append(p, []rune(s[:i])...)
			s = s[i:]
		}
	}
	if len(p) > 0 || t.parts == nil {
		t.parts = append(t.parts, part{pattern: p})
	}
	return t, nil
}

func pick(within bool, a, b rune) rune {
	if within {
		return a
	}
	return b
}

// parseVariable reads the variable at the start of s, which begins with "${".
func parseVariable(s string) (v part, rest string, ok bool) {
	body := s[2:]
	if len(body) >= 2 && body[1] == '}' && strings.IndexByte("*?$", body[0]) >= 0 {
		return part{pattern: pattern{rune(body[0])}}, body[2:], true
	}
	i := strings.IndexAny(body, ",}")
	if i <= 0 {
		return v, "", false
	}
	v.key = strings.ToLower(strings.TrimSpace(body[:i]))
	if v.key == "" || strings.ContainsAny(v.key, "${'\"*?") {
		return v, "", false
	}
	if body[i] == '}' {
		return v, body[i+1:], true
	}
	quoted, ok := strings.CutPrefix(strings.TrimLeft(body[i+1:], " "), "'")
	if !ok {
		return v, "", false
	}
	if v.value, rest, ok = strings.Cut(quoted, "'"); !ok {
		return v, "", false
	}
	rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " "), "}")
	v.hasDefault = true
	return v, rest, ok
}

// resolve fills in the variables. What they stand for is plain text: a "*" in a user's name is no wildcard. ok is false
// where a variable has no value (or several) and no default; such a text matches nothing.
func (t template) resolve(keys context) (p pattern, ok bool) {
	if len(t.parts) == 1 && t.parts[0].key == "" {
		return t.parts[0].pattern, true
	}
	for _, part := range t.parts {
		if part.key == "" {
			p = append(p, part.pattern...)
			continue
		}
		values := keys[part.key]
		switch {
		case len(values) == 1:
			p = append(p, []rune(values[0])...)
		case len(values) == 0 && part.hasDefault:
			p = append(p, []rune(part.value)...)
		default:
			return nil, false
		}
	}
	return slices.Clip(p), true
}

// match resolves and matches.
func (t template) match(s string, keys context) bool {
	p, ok := t.resolve(keys)
	return ok && p.match(s)
}

// equalFold resolves a template without wildcards and compares it, ignoring case.
func (t template) equalFold(s string, keys context) bool {
	p, ok := t.resolve(keys)
	return ok && strings.EqualFold(string(p), s)
}
