package sigv4

import "fmt"

// Kind says what is wrong with a signature. Its text is the error code that AWS's Query services answer with (IAM User
// Guide, "Troubleshoot Signature Version 4 signing for AWS API requests"); their JSON services use other spellings of
// some, such as InvalidSignatureException.
type Kind string

const (
	// MissingAuthenticationToken: the request is not signed at all, or by another scheme than AWS's.
	MissingAuthenticationToken Kind = "MissingAuthenticationToken"
	// IncompleteSignature: the parts of the signature are missing, doubled, malformed, or do not cover what they must.
	IncompleteSignature Kind = "IncompleteSignature"
	// SignatureDoesNotMatch: well formed, but not made with this key over this request.
	SignatureDoesNotMatch Kind = "SignatureDoesNotMatch"
	// RequestExpired: signed too long ago, or presigned and past its lifetime.
	RequestExpired Kind = "RequestExpired"
	// RequestInTheFuture: signed later than now, by more than MaxSkew. Several services of AWS say SignatureDoesNotMatch.
	RequestInTheFuture Kind = "RequestInTheFuture"
	// MalformedQueryString: the query holds a broken percent encoding, so that there is no canonical form to check.
	MalformedQueryString Kind = "MalformedQueryString"
)

// Error is why a signature was refused. Message is fit to be sent to the client: it holds no secret, no signature and
// no session token.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string { return string(e.Kind) + ": " + e.Message }

// Is reports whether target is an *Error of the same kind; its message does not matter. So
// errors.Is(err, &sigv4.Error{Kind: sigv4.RequestExpired}) asks for a kind.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind
}

func errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// errMismatch is the same whatever did not match: it tells an attacker nothing, and is word for word what AWS says.
func errMismatch() *Error {
	return errorf(SignatureDoesNotMatch, "The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
}
