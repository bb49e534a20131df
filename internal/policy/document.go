package policy

import (
	"strings"
	"unicode"
)

// Kind is what a policy is attached to, which decides what it may say.
type Kind int

const (
	Identity Kind = iota // of users, groups and roles: no Principal
	Resource             // of a secret, for example: Principal and Resource
	Trust                // of a role, who may assume it: Principal, no Resource, STS actions only
	Session              // given with AssumeRole: limits the session; written like Identity
	Boundary             // permissions boundary: limits a user or role; written like Identity
)

// String is the name of the kind in AWS's messages.
func (k Kind) String() string {
	return [...]string{"identity-based policy", "resource-based policy", "role trust policy", "session policy", "permissions boundary"}[k]
}

// Sizes that AWS allows, to compare with Document.Size (IAM User Guide, "IAM and AWS STS quotas"; for a resource policy,
// the limit of Secrets Manager). Which one holds depends on what the policy is attached to, so Parse does not look:
// inline policies count together.
const (
	MaxSizeManaged     = 6144
	MaxSizeInlineUser  = 2048
	MaxSizeInlineGroup = 5120
	MaxSizeInlineRole  = 10240
	MaxSizeTrust       = 2048
	MaxSizeSession     = 2048
	MaxSizeResource    = 20480

	// MaxText is the longest text that Parse reads, in bytes: what the API takes as policyDocumentType.
	MaxText = 131072
)

// Versions of the policy language. A document without a version is of the old one, which knows no policy variables.
const (
	Version2012 = "2012-10-17"
	Version2008 = "2008-10-17"
)

// Effect is what a statement does where it applies.
type Effect string

const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// Document is a policy, parsed and checked. It is immutable.
type Document struct {
	Version    string // Version2008 where the document has none
	ID         string
	Statements []Statement // at least one
	size       int
}

// Statement is one statement of a document.
type Statement struct {
	Sid    string
	Effect Effect

	principals   principals
	notPrincipal bool
	actions      []pattern
	notAction    bool
	resources    []template // nil in a trust policy
	notResource  bool
	conditions   []condition

	hasPrincipal, hasResource bool
	actionTexts               []string
	resourceTexts             []string
}

// Size is the number of characters without white space, as IAM counts them for its quotas.
func (d *Document) Size() int { return d.size }

// Parse reads a document. It returns a *MalformedError for anything that IAM would refuse: what is not JSON, an unknown
// or doubled element, an element that has no place in this kind of policy, a value that can never be compared.
func Parse(kind Kind, text []byte) (*Document, error) {
	if len(text) > MaxText {
		return nil, syntax("longer than %d bytes", MaxText)
	}
	root, err := readJSON(text)
	if err != nil {
		return nil, err
	}
	if root.kind != objectNode {
		return nil, syntax("not an object")
	}
	d := &Document{Version: Version2008, size: countCharacters(text)}
	var statements []node
	for _, m := range root.members {
		switch m.name {
		case "Version":
			if m.value.kind != stringNode || m.value.text != Version2012 && m.value.text != Version2008 {
				return nil, syntax("Version: must be %q or %q", Version2012, Version2008)
			}
			d.Version = m.value.text
		case "Id":
			if m.value.kind != stringNode {
				return nil, syntax("Id: must be a string")
			}
			d.ID = m.value.text
		case "Statement":
			statements = m.value.list()
		default:
			return nil, syntax("unknown element %q", m.name)
		}
	}
	if len(statements) == 0 {
		return nil, syntax("no Statement")
	}
	for i, n := range statements {
		s, err := parseStatement(n, d.Version == Version2012)
		if err != nil {
			return nil, at(i, err)
		}
		d.Statements = append(d.Statements, s)
	}
	if err := d.check(kind); err != nil {
		return nil, err
	}
	return d, nil
}

// at adds the number of the statement to what an error tells people.
func at(i int, err error) error {
	e, ok := err.(*MalformedError)
	if !ok {
		return err
	}
	return malformed(e.Message, "Statement %d: %s", i+1, e.Detail)
}

func countCharacters(text []byte) int {
	n := 0
	for _, r := range string(text) {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// parseStatement reads one statement; check looks at what depends on the kind of policy.
func parseStatement(n node, variables bool) (Statement, error) {
	var s Statement
	if n.kind != objectNode {
		return s, syntax("not an object")
	}
	has := map[string]bool{}
	for _, m := range n.members {
		has[m.name] = true
		var err error
		switch m.name {
		case "Sid":
			if m.value.kind != stringNode {
				err = syntax("Sid: must be a string")
			}
			s.Sid = m.value.text
		case "Effect":
			s.Effect = Effect(m.value.text)
			if m.value.kind != stringNode || s.Effect != Allow && s.Effect != Deny {
				err = syntax("Effect: must be %q or %q", Allow, Deny)
			}
		case "Principal", "NotPrincipal":
			s.hasPrincipal, s.notPrincipal = true, m.name == "NotPrincipal"
			s.principals, err = parsePrincipals(m.value)
		case "Action", "NotAction":
			s.notAction = m.name == "NotAction"
			err = s.parseActions(m)
		case "Resource", "NotResource":
			s.hasResource, s.notResource = true, m.name == "NotResource"
			err = s.parseResources(m, variables)
		case "Condition":
			s.conditions, err = parseConditions(m.value, variables)
		default:
			err = syntax("unknown element %q", m.name)
		}
		if err != nil {
			return s, err
		}
	}
	for _, pair := range []string{"Principal", "Action", "Resource"} {
		if has[pair] && has["Not"+pair] {
			return s, syntax("%s and Not%s exclude each other", pair, pair)
		}
	}
	if !has["Effect"] {
		return s, syntax("no Effect")
	}
	return s, nil
}

func (s *Statement) parseActions(m member) error {
	texts, ok := m.value.strings()
	if !ok {
		return syntax("%s: must be a string or a list of strings", m.name)
	}
	s.actionTexts = texts
	for _, text := range texts {
		s.actions = append(s.actions, compilePattern(strings.ToLower(text)))
	}
	return nil
}

func (s *Statement) parseResources(m member, variables bool) error {
	texts, ok := m.value.strings()
	if !ok {
		return syntax("%s: must be a string or a list of strings", m.name)
	}
	s.resourceTexts = texts
	for _, text := range texts {
		t, err := parseTemplate(text, resourceWildcards, variables)
		if err != nil {
			return err
		}
		s.resources = append(s.resources, t)
	}
	return nil
}
