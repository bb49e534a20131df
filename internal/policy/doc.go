// Package policy reads IAM policy documents and decides by them whether a request is allowed.
//
// Parse is as strict as IAM and words its errors alike. Evaluate takes the request (who, which action, on what, and the
// context keys) and the policies that apply, and returns a Decision that names the statement which decided:
//
//	doc, err := policy.Parse(policy.Identity, text)
//	d := policy.Evaluate(&policy.Request{...}, policy.Set{Identity: []policy.Policy{{Name: "app", Document: doc}}})
//	if !d.Allowed() {
//		return accessDenied(d.Message(req))
//	}
//
// The language is that of the IAM User Guide: "IAM JSON policy element reference" (reference_policies_elements.html),
// "Grammar of the IAM JSON policy language" (reference_policies_grammar.html) and "Policy evaluation logic"
// (reference_policies_evaluation-logic.html), for principals and resources of one account. Where the guide leaves
// something open, the answer here is the one that denies.
//
// The package does no I/O and knows no action, resource or condition key by name, but for the demand that trust policies
// are about STS. Documents are immutable once parsed; everything may be used by many goroutines.
package policy
