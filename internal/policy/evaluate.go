package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Request is what is to be decided.
type Request struct {
	Principal Principal
	Action    string // such as "rds:CreateDBProxy"; case does not matter
	// Resource is the ARN that the action is about; "*" for an action about nothing in particular, which only a policy for
	// "*" allows.
	Resource string
	// Context holds the condition keys and their values, such as "aws:SourceIp". The case of keys does not matter. A key
	// without values counts as missing. Nothing is added to it: aws:username, aws:PrincipalArn, aws:CurrentTime and all the
	// others are the caller's to set.
	Context map[string][]string
}

// Policy is a document with the name that decisions call it by: an ARN, or what it is attached to.
type Policy struct {
	Name string
	*Document
}

// Set is all the policies that apply to a request.
type Set struct {
	Identity []Policy // of the user and its groups, or of the role
	Resource []Policy // of the resource
	// Trust is the role's trust policy, for sts:AssumeRole alone: it must allow, whatever the others say.
	Trust *Policy
	// Boundary and Session limit what Identity allows, where they are not nil: an empty list allows nothing.
	Boundary []Policy
	Session  []Policy
}

// Outcome is how a decision came out.
type Outcome int

const (
	ImplicitDeny Outcome = iota // nothing allows it
	ExplicitDeny                // a statement denies it, whatever else allows
	Allowed
)

func (o Outcome) String() string {
	return [...]string{"implicitDeny", "explicitDeny", "allowed"}[o] // as SimulatePrincipalPolicy spells them
}

// Decision is the answer to a Request. The zero Decision denies.
type Decision struct {
	Outcome Outcome
	// By is the statement that denied or allowed. It is nil for an implicit deny, and where the account's root acts.
	By *Match
	// Missing is the kind of policy that would have had to allow it, for an implicit deny.
	Missing Kind
}

// Match names a statement.
type Match struct {
	Kind   Kind
	Policy string // Policy.Name
	Index  int    // in Document.Statements
	Sid    string // may be empty
}

func (m *Match) String() string {
	s := fmt.Sprintf("statement %d", m.Index+1)
	if m.Sid != "" {
		s += fmt.Sprintf(" (%s)", m.Sid)
	}
	return fmt.Sprintf("%s of the %s %s", s, m.Kind, m.Policy)
}

// Allowed reports whether the request may go ahead.
func (d Decision) Allowed() bool { return d.Outcome == Allowed }

// Reason is the end of AWS's access denied message ("Troubleshoot access denied error messages"), such as "because no
// identity-based policy allows the rds:CreateDBProxy action"; it is empty where the request is allowed. It names no
// policy: for a log, see By.
func (d Decision) Reason(action string) string {
	switch {
	case d.Outcome == Allowed:
		return ""
	case d.Outcome == ImplicitDeny || d.By == nil:
		return fmt.Sprintf("because no %s allows the %s action", d.Missing, action)
	case d.By.Kind == Trust:
		return "with an explicit deny in the role trust policy"
	case d.By.Kind == Identity:
		return "with an explicit deny in an identity-based policy"
	}
	return fmt.Sprintf("with an explicit deny in a %s", d.By.Kind)
}

// Message is AWS's access denied message in full: "User: arn:aws:iam::123456789012:user/app is not authorized to perform:
// rds:CreateDBProxy on resource: arn:... because no identity-based policy allows the rds:CreateDBProxy action".
func (d Decision) Message(r *Request) string {
	if d.Allowed() {
		return ""
	}
	on := ""
	if r.Resource != "" {
		on = " on resource: " + r.Resource
	}
	return fmt.Sprintf("User: %s is not authorized to perform: %s%s %s", &r.Principal, r.Action, on, d.Reason(r.Action))
}

// Evaluate decides ("Policy evaluation for requests within a single account"):
//
//   - A statement that denies wins over everything, in whichever policy.
//   - Then an identity policy or a resource policy must allow. A resource policy that names the account alone hands the
//     decision to the account, so to its identity policies.
//   - With Set.Trust, the trust policy must allow; where it names the account alone, an identity policy must as well.
//   - Boundary and Session must allow too, where they are set, but for what a resource policy allows to this very user,
//     session or service by name.
//   - The account's root needs no identity policy.
//
// A request with text that is not UTF-8 is denied: no pattern can be trusted with it.
func Evaluate(r *Request, set Set) Decision {
	e, ok := newEvaluation(r)
	trust := set.trust()
	if !ok {
		return Decision{Missing: missingFor(r, trust)}
	}
	for _, group := range []struct {
		kind     Kind
		policies []Policy
	}{{Identity, set.Identity}, {Resource, set.Resource}, {Trust, trust}, {Boundary, set.Boundary}, {Session, set.Session}} {
		if m, _ := e.find(group.kind, Deny, group.policies); m != nil {
			return Decision{Outcome: ExplicitDeny, By: m}
		}
	}

	within := func(d Decision) Decision { return e.limit(d, set) }
	identity := Decision{Missing: missingFor(r, trust)}
	if m, _ := e.find(Identity, Allow, set.Identity); m != nil || r.Principal.isRoot() {
		identity = within(Decision{Outcome: Allowed, By: m})
	}
	kind, policies := Resource, set.Resource
	if trust != nil {
		kind, policies = Trust, trust
	}
	m, g := e.find(kind, Allow, policies)
	named := Decision{Outcome: Allowed, By: m}
	switch {
	case g == direct:
		return named
	case g == limited:
		if d := within(named); d.Allowed() || trust != nil {
			return d
		}
	case trust != nil && g == unnamed:
		return Decision{Missing: Trust}
	case trust != nil && !identity.Allowed() && identity.Missing == Trust:
		identity.Missing = Identity // the trust policy did its part
	}
	return identity
}

// missingFor is the kind of policy whose Allow is missing, if nothing else is known.
func missingFor(r *Request, trust []Policy) Kind {
	switch {
	case trust != nil:
		return Trust
	case r.Principal.ARN == "": // services and providers have no identity policies
		return Resource
	}
	return Identity
}

func (s Set) trust() []Policy {
	if s.Trust == nil {
		return nil
	}
	return []Policy{*s.Trust}
}

// evaluation is a request, prepared.
type evaluation struct {
	principal *Principal
	action    string // in lower case
	resource  string
	keys      context
}

func newEvaluation(r *Request) (*evaluation, bool) {
	e := &evaluation{
		principal: &r.Principal,
		action:    strings.ToLower(r.Action),
		resource:  r.Resource,
		keys:      make(context, len(r.Context)),
	}
	ok := utf8.ValidString(r.Action) && utf8.ValidString(r.Resource)
	for key, values := range r.Context {
		lower := strings.ToLower(key)
		e.keys[lower] = append(e.keys[lower], values...)
		for _, v := range values {
			ok = ok && utf8.ValidString(v)
		}
	}
	return e, ok
}

// limit turns an Allow into an implicit deny where boundary or session policy do not allow it as well.
func (e *evaluation) limit(d Decision, set Set) Decision {
	if set.Boundary != nil {
		if m, _ := e.find(Boundary, Allow, set.Boundary); m == nil {
			return Decision{Missing: Boundary}
		}
	}
	if set.Session != nil {
		if m, _ := e.find(Session, Allow, set.Session); m == nil {
			return Decision{Missing: Session}
		}
	}
	return d
}

// find returns the statement with this effect that applies and names the principal most closely; m is nil if none does.
func (e *evaluation) find(kind Kind, effect Effect, policies []Policy) (m *Match, best grade) {
	for _, p := range policies {
		if p.Document == nil {
			continue
		}
		for i := range p.Statements {
			s := &p.Statements[i]
			if s.Effect != effect {
				continue
			}
			if g := e.applies(s, kind); g > best {
				m, best = &Match{Kind: kind, Policy: p.Name, Index: i, Sid: s.Sid}, g
			}
		}
	}
	return m, best
}

// applies returns how a statement names the principal if all the rest of it fits, and unnamed otherwise.
func (e *evaluation) applies(s *Statement, kind Kind) grade {
	g := direct // an identity policy is attached to whom it is about
	if kind == Resource || kind == Trust {
		g = e.named(s)
	}
	if g == unnamed || !e.fitsAction(s) || !e.fitsResource(s, kind) {
		return unnamed
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(e.keys, s.Effect) {
			return unnamed
		}
	}
	return g
}

func (e *evaluation) named(s *Statement) grade {
	if !s.notPrincipal {
		return s.principals.grade(e.principal)
	}
	return directIf(!s.principals.excepts(e.principal))
}

func (e *evaluation) fitsAction(s *Statement) bool {
	for _, p := range s.actions {
		if p.match(e.action) {
			return !s.notAction
		}
	}
	return s.notAction
}

func (e *evaluation) fitsResource(s *Statement, kind Kind) bool {
	if kind == Trust {
		return true
	}
	unknown := false
	for _, t := range s.resources {
		p, ok := t.resolve(e.keys)
		if !ok {
			unknown = true
			continue
		}
		if p.match(e.resource) {
			return !s.notResource
		}
	}
	if !s.notResource {
		return false
	}
	// NotResource with a variable that has no value: it is not known what is left out. A Deny leaves out nothing then, and
	// an Allow allows nothing.
	return !unknown || s.Effect == Deny
}
