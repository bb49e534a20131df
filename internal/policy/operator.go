package policy

import (
	"math/big"
	"net/netip"
	"strings"
	"time"
)

// operator is a condition operator without prefix and suffix ("IAM JSON policy elements: Condition operators").
type operator struct {
	negated bool // StringNotEquals is whatever StringEquals is not, a missing key included
	// parse reads a value of the policy once, so that a value which can never be compared is an error of the policy.
	parse func(text string, variables bool) (value, error)
	// match compares one value of the request with one of the policy, without negation.
	match func(v *value, request string, keys context) bool
	null  bool // Null, which looks at the key alone
}

// value is a value of the policy in the form that its operator compares.
type value struct {
	template template
	number   *big.Rat
	time     time.Time
	bool     bool
	bytes    string
	prefix   netip.Prefix
}

// operators by name in lower case: IAM does not mind the case of operators.
var operators = func() map[string]operator {
	all := map[string]operator{
		"bool":         {parse: parseBool, match: matchBool},
		"binaryequals": {parse: parseBinary, match: matchBinary},
		"null":         {parse: parseBool, null: true},
		"ipaddress":    {parse: parsePrefix, match: matchPrefix},
		"notipaddress": {parse: parsePrefix, match: matchPrefix, negated: true},
	}
	withNot := func(prefix, name string, parse func(string, bool) (value, error), match func(*value, string, context) bool) {
		all[prefix+name] = operator{parse: parse, match: match}
		all[prefix+"not"+name] = operator{parse: parse, match: match, negated: true}
	}
	withNot("string", "equals", parsePlain, matchTemplate)
	withNot("string", "equalsignorecase", parsePlain, matchIgnoreCase)
	withNot("string", "like", parseLike, matchTemplate)
	withNot("arn", "equals", parseARN, matchTemplate) // the two are the same, says the guide
	withNot("arn", "like", parseARN, matchTemplate)
	for name, holds := range map[string]func(c int) bool{
		"lessthan":          func(c int) bool { return c < 0 },
		"lessthanequals":    func(c int) bool { return c <= 0 },
		"greaterthan":       func(c int) bool { return c > 0 },
		"greaterthanequals": func(c int) bool { return c >= 0 },
	} {
		all["numeric"+name] = operator{parse: parseNumber, match: matchNumber(holds)}
		all["date"+name] = operator{parse: parseDate, match: matchDate(holds)}
	}
	equal := func(c int) bool { return c == 0 }
	withNot("numeric", "equals", parseNumber, matchNumber(equal))
	withNot("date", "equals", parseDate, matchDate(equal))
	return all
}()

func parsePlain(text string, variables bool) (v value, err error) {
	v.template, err = parseTemplate(text, noWildcards, variables)
	return v, err
}

func parseLike(text string, variables bool) (v value, err error) {
	v.template, err = parseTemplate(text, allWildcards, variables)
	return v, err
}

func parseARN(text string, variables bool) (v value, err error) {
	v.template, err = parseTemplate(text, arnWildcards, variables)
	return v, err
}

func matchTemplate(v *value, request string, keys context) bool {
	return v.template.match(request, keys)
}

func matchIgnoreCase(v *value, request string, keys context) bool {
	return v.template.equalFold(request, keys)
}

func parseBool(text string, _ bool) (v value, err error) {
	switch strings.ToLower(text) {
	case "true":
		v.bool = true
	case "false":
	default:
		err = malformed(msgLegacy, "Condition: %q is neither true nor false", text)
	}
	return v, err
}

func matchBool(v *value, request string, _ context) bool {
	r, err := parseBool(request, false)
	return err == nil && r.bool == v.bool
}
