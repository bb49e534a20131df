package awsapi

import (
	"fmt"
	"net/url"
	"strings"
)

// Limits of a form. The largest honest request, CreateDBProxy with 200 Auth entries and 50 tags, has 1,300 parameters of
// at most 5 parts.
const (
	maxParams     = 5000
	maxNameLength = 256 // bytes
	maxNameParts  = 10
)

// params are the parameters of a request by name. A name occurs once.
type params map[string]string

// add takes the parameters of a form, or of a query string. Errors are in the terms of AWS Query.
func (p params) add(form string, skip func(name string) bool) error {
	for pair := range strings.SplitSeq(form, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return Common("MalformedQueryString", "The query string contains a syntax error: a percent sign without two hexadecimal digits.")
		}
		if skip != nil && skip(name) {
			continue
		}
		value, err := url.QueryUnescape(rawValue)
		switch _, twice := p[name]; {
		case err != nil:
			return Common("MalformedQueryString", "The query string contains a syntax error: a percent sign without two hexadecimal digits.")
		case name == "" || len(name) > maxNameLength || strings.Count(name, ".") >= maxNameParts:
			return malformed("The name of a parameter is empty, too long or too deep: %q", clip(name))
		case twice:
			return malformed("The parameter %s occurs more than once", clip(name))
		case len(p) == maxParams:
			return malformed("The request has more than %d parameters", maxParams)
		}
		p[name] = value
	}
	return nil
}

// isSignature reports whether a parameter of the query string belongs to a presigned request's signature.
func isSignature(name string) bool { return strings.HasPrefix(name, "X-Amz-") }

// malformed is the error of AWS Query for a request whose structure is broken.
func malformed(format string, args ...any) *Error {
	return Common("MalformedInput", fmt.Sprintf(format, args...))
}

// node is a part of a parameter's name: it has a value, or parts below it.
type node struct {
	value *string
	below map[string]*node
}

// tree sorts parameters by the parts of their names. Action and Version are left out: they have been used.
func (p params) tree() *node {
	root := &node{}
	for name, value := range p {
		if name == "Action" || name == "Version" {
			continue
		}
		n := root
		for part := range strings.SplitSeq(name, ".") {
			next := n.below[part]
			if next == nil {
				next = &node{}
				if n.below == nil {
					n.below = map[string]*node{}
				}
				n.below[part] = next
			}
			n = next
		}
		n.value = &value
	}
	return root
}
