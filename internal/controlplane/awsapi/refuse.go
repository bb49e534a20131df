package awsapi

import (
	"fmt"
	"net/http"
	"strings"
)

// common are the codes that all services share (contract 2.2), with their HTTP status in AWS Query and their names in
// JSON 1.1, whose status is 400 for all of a caller's mistakes.
var common = map[string]struct {
	status int
	json   string // empty: the same
}{
	"AccessDenied":               {http.StatusForbidden, "AccessDeniedException"},
	"ExpiredToken":               {http.StatusForbidden, "ExpiredTokenException"},
	"IncompleteSignature":        {http.StatusBadRequest, "IncompleteSignatureException"},
	"InternalFailure":            {http.StatusInternalServerError, ""},
	"InvalidAction":              {http.StatusBadRequest, "UnknownOperationException"},
	"InvalidClientTokenId":       {http.StatusForbidden, "UnrecognizedClientException"},
	"MalformedInput":             {http.StatusBadRequest, "SerializationException"},
	"MalformedQueryString":       {http.StatusNotFound, "SerializationException"},
	"MissingAction":              {http.StatusBadRequest, "UnknownOperationException"},
	"MissingAuthenticationToken": {http.StatusForbidden, "MissingAuthenticationTokenException"},
	"OptInRequired":              {http.StatusForbidden, "OptInRequired"},
	"RequestEntityTooLarge":      {http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException"},
	"RequestExpired":             {http.StatusBadRequest, "InvalidSignatureException"},
	"RequestTimeout":             {http.StatusRequestTimeout, "RequestTimeoutException"},
	"ServiceUnavailable":         {http.StatusServiceUnavailable, ""},
	"SignatureDoesNotMatch":      {http.StatusForbidden, "InvalidSignatureException"},
	"Throttling":                 {http.StatusBadRequest, "ThrottlingException"},
	"ValidationError":            {http.StatusBadRequest, "ValidationException"},
}

// Common makes an error of one of the codes that all services share, such as AccessDenied, SignatureDoesNotMatch or
// InternalFailure. The code is the one of AWS Query; an answer of a JSON service gets that protocol's name for it, such
// as AccessDeniedException. A code that is not among them has the status 400. The message goes to the client.
func Common(code, message string) *Error {
	// STS and IAM know no code for a clock that is ahead.
	if code == "RequestInTheFuture" {
		code = "SignatureDoesNotMatch"
	}
	e := &Error{Code: code, Message: message, Status: http.StatusBadRequest}
	if c, ok := common[code]; ok {
		e.Status, e.Fault = c.status, c.status >= http.StatusInternalServerError
	}
	return e
}

// in returns the error as a service of protocol p words it.
func (e *Error) in(p Protocol) *Error {
	c := *e
	if c.Status == 0 {
		c.Status = http.StatusBadRequest
		if c.Fault {
			c.Status = http.StatusInternalServerError
		}
	}
	if k, ok := common[c.Code]; ok && p == JSON {
		if k.json != "" {
			c.Code = k.json
		}
		if c.Status < http.StatusInternalServerError {
			c.Status = http.StatusBadRequest
		}
	}
	return &c
}

// missing is the error for required members that are absent.
func (s *Service) missing(members []string) *Error {
	switch {
	case s.Missing != nil:
		return s.Missing(members)
	case s.Name == "rds":
		return Errorf(http.StatusBadRequest, "MissingParameter", "The parameter %s must be provided and must not be blank.", members[0])
	default:
		problems := make([]string, len(members))
		for i, m := range members {
			problems[i] = "Value null at '" + constraintPath(m) + "' failed to satisfy constraint: Member must not be null"
		}
		return Constraint(problems...)
	}
}

// invalid is the error for a member whose value is not of its type.
func (s *Service) invalid(member, problem string) *Error {
	switch {
	case s.Invalid != nil:
		return s.Invalid(member, problem)
	case s.Name == "rds":
		return Errorf(http.StatusBadRequest, "InvalidParameterValue", "The parameter %s is not valid: it %s.", clip(member), problem)
	default:
		return Constraint("Value at '" + constraintPath(clip(member)) + "' failed to satisfy constraint: Member " + problem)
	}
}

// unknown is the error for a member that the operation does not have.
//
// AWS ignores such members. Forebay refuses them: whoever sends one wants something done, and an answer without an error
// would be a fake success. An SDK of a newer model is no reason to be lenient, since SDKs send only what their caller has
// set. The code is ValidationError ("the input fails to satisfy the constraints specified by an AWS service"), which is
// among the common errors of all services, and not InvalidParameterValue, which would blame the value.
func (s *Service) unknown(action, member string) *Error {
	return Common("ValidationError", fmt.Sprintf("Unknown parameter %s: %s takes no such parameter here. Nothing has been changed.", clip(member), action))
}

// Constraint is the error of services other than RDS for input that breaks the rules of their model: ValidationError in
// AWS Query, ValidationException in JSON. A problem reads like "Value '0' at 'maxItems' failed to satisfy constraint:
// Member must have value greater than or equal to 1".
func Constraint(problems ...string) *Error {
	were := "errors"
	if len(problems) == 1 {
		were = "error"
	}
	return Common("ValidationError", fmt.Sprintf("%d validation %s detected: %s", len(problems), were, strings.Join(problems, "; ")))
}

// constraintPath writes the path of a member as constraint errors do: Tags.member.1.Key becomes tags.1.member.key.
func constraintPath(path string) string {
	parts := strings.Split(path, ".")
	for i, p := range parts {
		if i > 0 && p != "" && p[0] >= '0' && p[0] <= '9' {
			parts[i-1], parts[i] = p, defaultItem
		} else {
			parts[i] = lowerFirst(p)
		}
	}
	return strings.Join(parts, ".")
}

func lowerFirst(s string) string {
	if s == "" || s[0] < 'A' || s[0] > 'Z' {
		return s
	}
	return string(s[0]+'a'-'A') + s[1:]
}

// clip shortens text of the client's for a message.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:most], "\uFFFD") + "…"
}
