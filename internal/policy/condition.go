package policy

import (
	"strings"
)

// context holds the keys of a request, in lower case. A key without values is the same as no key.
type context map[string][]string

// condition is one operator with one key and its values. A statement applies where all its conditions hold.
type condition struct {
	operator
	set      setOperator
	ifExists bool   // holds where the key is missing
	key      string // in lower case
	values   []value
}

// setOperator says how several values of one key in the request count ("Set operators for multivalued context keys").
type setOperator int

const (
	oneValue  setOperator = iota
	forAll                // each of them must match; holds where there are none
	forAnyOne             // one of them must match; does not hold where there are none
)

func parseConditions(n node, variables bool) ([]condition, error) {
	if n.kind != objectNode {
		return nil, syntax("Condition: must be an object")
	}
	var list []condition
	for _, m := range n.members {
		c, err := parseOperator(m.name)
		if err != nil {
			return nil, err
		}
		if m.value.kind != objectNode {
			return nil, syntax("Condition: %q must be an object", m.name)
		}
		for _, km := range m.value.members {
			if !strings.Contains(km.name, ":") {
				return nil, malformed(msgVendorPrefix, "Condition: key %q", km.name)
			}
			c.key = strings.ToLower(km.name)
			c.values = nil
			for _, v := range km.value.list() {
				if v.kind != stringNode && v.kind != numberNode && v.kind != boolNode {
					return nil, syntax("Condition: the values of %q must be strings, numbers or booleans", km.name)
				}
				parsed, err := c.parse(v.text, variables)
				if err != nil {
					return nil, err
				}
				c.values = append(c.values, parsed)
			}
			list = append(list, c)
		}
	}
	return list, nil
}

func parseOperator(name string) (c condition, err error) {
	lower := strings.ToLower(name)
	if rest, ok := strings.CutPrefix(lower, "forallvalues:"); ok {
		lower, c.set = rest, forAll
	} else if rest, ok := strings.CutPrefix(lower, "foranyvalue:"); ok {
		lower, c.set = rest, forAnyOne
	}
	lower, c.ifExists = strings.CutSuffix(lower, "ifexists")
	op, ok := operators[lower]
	if !ok || op.null && (c.ifExists || c.set != oneValue) {
		return c, syntax("Condition: unknown operator %q", name)
	}
	c.operator = op
	return c, nil
}

// holds is the "Evaluation logic for multiple context keys or values": the values of the policy are alternatives; to a
// negated operator they all are what must not be. effect is the statement's.
func (c *condition) holds(keys context, effect Effect) bool {
	request := keys[c.key]
	if c.null {
		for i := range c.values {
			if c.values[i].bool == (len(request) == 0) {
				return true
			}
		}
		return false
	}
	if len(request) == 0 {
		switch {
		case c.ifExists:
			return true
		case c.set == oneValue:
			return c.negated
		}
		return c.set == forAll
	}
	matched, failed := false, false
	for _, r := range request {
		if c.matchesAny(r, keys) {
			matched = true
		} else {
			failed = true
		}
	}
	// A key of several values without a set operator, which the guide warns of. Who asks may choose them: tag keys, or tags whose
	// keys differ in case alone, which are one condition key. An Allow holds for all of them, a Deny for any.
	if c.set == forAnyOne || c.set == oneValue && effect == Deny {
		return c.negated && failed || !c.negated && matched
	}
	return c.negated && !matched || !c.negated && !failed
}

func (c *condition) matchesAny(request string, keys context) bool {
	for i := range c.values {
		if c.match(&c.values[i], request, keys) {
			return true
		}
	}
	return false
}
