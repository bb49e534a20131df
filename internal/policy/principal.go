package policy

import (
	"fmt"
	"strings"
)

// Principal is who makes a request. Exactly one of ARN, Service and Federated is set.
type Principal struct {
	ARN     string // of a user, of an assumed role's session (arn:aws:sts::...:assumed-role/role/session) or of the account's root
	RoleARN string // of the role, where ARN is a session of it
	ID      string // unique ID of the user or role (AIDA..., AROA...); may be empty
	Account string // 12 digits

	Service   string // a service that calls, such as "rds.amazonaws.com"
	Federated string // an identity provider, as a trust policy names it
}

// String is how AWS's messages name the principal.
func (p *Principal) String() string {
	switch {
	case p.Service != "":
		return p.Service
	case p.Federated != "":
		return p.Federated
	}
	return p.ARN
}

// isRoot reports whether this is the account itself, to which no identity policy applies.
func (p *Principal) isRoot() bool {
	return p.Account != "" && isRootOf(p.ARN, p.Account)
}

// isRootOf reports whether arn is arn:<partition>:iam::<account>:root.
func isRootOf(arn, account string) bool {
	rest, ok := strings.CutPrefix(arn, "arn:")
	_, rest, ok2 := strings.Cut(rest, ":")
	return ok && ok2 && rest == "iam::"+account+":root"
}

// principals is the value of Principal or NotPrincipal.
type principals []principal

// principal is one entry; kind is "AWS", "Service", "Federated", "CanonicalUser" or, for the bare "*", "*".
type principal struct{ kind, value string }

func parsePrincipals(n node) (principals, error) {
	if n.kind == stringNode && n.text == "*" {
		return principals{{"*", "*"}}, nil
	}
	if n.kind != objectNode {
		return nil, syntax("Principal: must be \"*\" or an object")
	}
	var list principals
	for _, m := range n.members {
		values, ok := m.value.strings()
		if !ok {
			return nil, syntax("Principal: %q must be a string or a list of strings", m.name)
		}
		for _, v := range values {
			valid := false
			switch m.name {
			case "AWS":
				valid = v == "*" || validAWSPrincipal(v)
				if isAccount(v) {
					v = "arn:aws:iam::" + v + ":root"
				}
			case "Service":
				valid = strings.Contains(v, ".") && !strings.ContainsFunc(v, func(r rune) bool { return !alphanumeric(r) && r != '.' && r != '-' })
			case "Federated", "CanonicalUser":
				valid = v != "" && !strings.ContainsAny(v, "*?")
			default:
				return nil, syntax("Principal: unknown kind %q", m.name)
			}
			if !valid {
				return nil, malformed(fmt.Sprintf("Invalid principal in policy: \"%s\":\"%s\"", m.name, v), "Principal")
			}
			list = append(list, principal{m.name, v})
		}
	}
	return list, nil
}

// validAWSPrincipal: an account, an ARN of IAM or STS in full (wildcards are for Condition), or a unique ID, which is
// what a principal turns into once it is deleted.
func validAWSPrincipal(v string) bool {
	if isAccount(v) {
		return true
	}
	if strings.HasPrefix(v, "arn:") {
		p := strings.SplitN(v, ":", 6)
		return len(p) == 6 && (p[2] == "iam" || p[2] == "sts") && p[3] == "" && isAccount(p[4]) && p[5] != "" && !strings.ContainsAny(v, "*?$ ")
	}
	return len(v) >= 16 && len(v) <= 128 && v[0] == 'A' && !strings.ContainsFunc(v, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
}

func isAccount(v string) bool {
	return len(v) == 12 && strings.Trim(v, "0123456789") == ""
}

// grade is how a policy names a principal, and so how much its Allow is worth ("AWS JSON policy elements: Principal";
// "Policy evaluation for requests within a single account").
type grade int

const (
	unnamed grade = iota
	// delegated: the account is named. The policy gives the permission to the account, whose identity policies give it on.
	delegated
	// limited: the role is named, or everybody. Suffices, within permissions boundary and session policy.
	limited
	// direct: this very user, session, service or provider is named. Suffices.
	direct
)

func (list principals) grade(p *Principal) grade {
	best := unnamed
	for _, e := range list {
		best = max(best, e.grade(p))
	}
	return best
}

func (e principal) grade(p *Principal) grade {
	switch e.kind {
	case "*":
		return limited
	case "Service":
		return directIf(e.value == p.Service)
	case "Federated":
		return directIf(e.value == p.Federated)
	case "AWS":
		switch {
		case e.value == "*": // the same as the bare "*", says the guide
			return limited
		case e.value == p.ARN:
			return direct
		case p.RoleARN != "" && (e.value == p.RoleARN || e.value == p.ID):
			return limited
		case p.ID != "" && e.value == p.ID:
			return direct
		case p.Account != "" && isRootOf(e.value, p.Account):
			return delegated
		}
	}
	return unnamed
}

func directIf(match bool) grade {
	if match {
		return direct
	}
	return unnamed
}

// excepts reports whether NotPrincipal leaves p out. As in IAM, everything that p is must be listed: the account and
// the user, or the account, the role and the session ("AWS JSON policy elements: NotPrincipal").
func (list principals) excepts(p *Principal) bool {
	var account, role, self bool
	for _, e := range list {
		switch {
		case e.kind == "*" || e.kind == "AWS" && e.value == "*":
			return true
		case e.kind != "AWS":
			self = self || e.grade(p) == direct
		default:
			account = account || p.Account != "" && isRootOf(e.value, p.Account)
			role = role || p.RoleARN != "" && e.value == p.RoleARN
			self = self || p.ARN != "" && e.value == p.ARN
		}
	}
	if p.ARN == "" {
		return self
	}
	return account && self && (role || p.RoleARN == "")
}
