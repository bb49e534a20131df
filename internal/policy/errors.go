package policy

import "fmt"

// MalformedError is why a document was refused: AWS's error code MalformedPolicyDocument.
type MalformedError struct {
	Message string // as IAM words it; fit for the client
	Detail  string // where and what, for people: IAM's message alone is seldom enough to find a mistake. May be empty
}

func (e *MalformedError) Error() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + " (" + e.Detail + ")"
}

func malformed(message, detail string, args ...any) error {
	return &MalformedError{Message: message, Detail: fmt.Sprintf(detail, args...)}
}

// IAM's own words.
const (
	msgSyntax        = "Syntax errors in policy."
	msgLegacy        = "The policy failed legacy parsing"
	msgSidUnique     = "Statement IDs (SID) in a single policy must be unique."
	msgSidAlnum      = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
	msgNoActions     = "Policy statement must contain actions."
	msgNoResources   = "Policy statement must contain resources."
	msgVendorPrefix  = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	msgOneColon      = "Actions/Condition can contain only one colon."
	msgVendorRegexes = "Resource vendor must be fully qualified and cannot contain regexes."
	msgHasPrincipal  = "Policy document should not specify a principal."
	msgNoPrincipal   = "Missing required field Principal"
	msgNotPrincipal  = "Allow with NotPrincipal is not allowed."
	msgHasResource   = "Has prohibited field Resource."
	msgTrustActions  = "AssumeRole policy may only specify STS AssumeRole actions."
)

func syntax(detail string, args ...any) error { return malformed(msgSyntax, detail, args...) }
