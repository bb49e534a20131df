package policy

import (
	"fmt"
	"strings"
)

// check refuses what is well formed but means nothing, or has no place in a policy of this kind.
func (d *Document) check(kind Kind) error {
	sids := map[string]bool{}
	for i := range d.Statements {
		s := &d.Statements[i]
		if s.Sid != "" && sids[s.Sid] {
			return malformed(msgSidUnique, "Statement %d: Sid %q", i+1, s.Sid)
		}
		sids[s.Sid] = true
		for _, f := range []func(Kind) error{s.checkSid, s.checkActions, s.checkResources, s.checkPrincipals} {
			if err := f(kind); err != nil {
				return at(i, err)
			}
		}
	}
	return nil
}

// checkSid holds to IAM's own rule for IAM's own policies; services allow more in resource policies.
func (s *Statement) checkSid(kind Kind) error {
	if kind == Resource {
		return nil
	}
	for _, r := range s.Sid {
		if !alphanumeric(r) {
			return malformed(msgSidAlnum, "Sid %q", s.Sid)
		}
	}
	return nil
}

func alphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func (s *Statement) checkActions(kind Kind) error {
	if len(s.actions) == 0 {
		return malformed(msgNoActions, "no Action")
	}
	for _, a := range s.actionTexts {
		if err := checkAction(a); err != nil {
			return err
		}
		if kind == Trust && (s.notAction || !strings.HasPrefix(strings.ToLower(a), "sts:")) {
			return malformed(msgTrustActions, "Action %q", a)
		}
	}
	return nil
}

func checkAction(a string) error {
	if a == "*" {
		return nil
	}
	vendor, name, ok := strings.Cut(a, ":")
	switch {
	case !ok:
		return malformed(msgVendorPrefix, "Action %q", a)
	case strings.Contains(name, ":"):
		return malformed(msgOneColon, "Action %q", a)
	case vendor == "*" && name == "*":
		return nil
	case vendor == "" || name == "" || strings.ContainsFunc(vendor, func(r rune) bool { return !alphanumeric(r) && r != '-' && r != '.' }):
		return malformed(fmt.Sprintf("Vendor %s is not valid", vendor), "Action %q", a)
	}
	return nil
}

func (s *Statement) checkResources(kind Kind) error {
	if kind == Trust {
		if s.hasResource {
			return malformed(msgHasResource, "a trust policy is about its role alone")
		}
		return nil
	}
	if len(s.resources) == 0 {
		return malformed(msgNoResources, "no Resource")
	}
	for _, r := range s.resourceTexts {
		if err := checkARN(r); err != nil {
			return err
		}
	}
	return nil
}

// checkARN holds to "IAM JSON policy elements: Resource": "*", or an ARN with wildcards anywhere after its service. The
// empty resource part of an ARN that ends early, as in arn:aws:rds:*, is what its last wildcard stands for.
func checkARN(r string) error {
	if r == "*" {
		return nil
	}
	p := strings.SplitN(r, ":", 4)
	if len(p) < 2 || p[0] != "arn" {
		return malformed(fmt.Sprintf("Resource %s must be in ARN format or \"*\".", r), "")
	}
	if p[1] != "*" && p[1] != "aws" && !strings.HasPrefix(p[1], "aws-") {
		whole := strings.SplitN(r, ":", arnResource+1)
		for len(whole) <= arnResource {
			whole = append(whole, "*")
		}
		return malformed(fmt.Sprintf("Partition \"%s\" is not valid for resource \"%s\".", p[1], strings.Join(whole, ":")), "Resource %q", r)
	}
	if len(p) < 4 || p[2] == "" || strings.ContainsAny(p[2], "*?$") {
		return malformed(msgVendorRegexes, "Resource %q", r)
	}
	return nil
}

func (s *Statement) checkPrincipals(kind Kind) error {
	switch kind {
	case Identity, Session, Boundary:
		if s.hasPrincipal {
			return malformed(msgHasPrincipal, "it applies to whom it is attached to")
		}
	case Resource, Trust:
		if len(s.principals) == 0 {
			return malformed(msgNoPrincipal, "no Principal")
		}
		if s.notPrincipal && s.Effect == Allow {
			return malformed(msgNotPrincipal, "it would let in everybody else")
		}
	}
	return nil
}
