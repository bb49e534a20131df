package awsapi

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Scope is what a signature is good for.
type Scope struct {
	Region  string
	Service string
}

// Authenticator finds out who has signed a request.
type Authenticator interface {
	// Authenticate verifies the signature of r, whose body has been read, and returns the caller and the scope as it was
	// signed; what the scope must be is the Server's to judge. An *Error goes to the client: Common makes one of the codes
	// of contract 2.2. Any other error is Forebay's own failure: the client is told no more than InternalFailure.
	Authenticate(r *http.Request, body []byte, now time.Time) (Caller, Scope, error)
}

// globalServices have one endpoint on AWS, whose region is us-east-1: clients sign for that, or for the region they have
// been configured with.
var globalServices = map[string]bool{"iam": true, "sts": true}

const globalRegion = "us-east-1"

// checkScope refuses a signature for another region.
func (s *Server) checkScope(scope Scope) *Error {
	if scope.Region == s.o.Region || scope.Region == globalRegion && globalServices[scope.Service] {
		return nil
	}
	return Common("SignatureDoesNotMatch", "Credential should be scoped to a valid region, not '"+clip(scope.Region)+"'. This is '"+s.o.Region+"'.")
}

// signed reports whether a request has a signature of any kind, good or bad.
func signed(r *http.Request) bool {
	if r.Header["Authorization"] != nil {
		return true
	}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		switch name {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature":
			return true
		}
	}
	return false
}

// claimed is the service that a request says it is for. Nothing has been verified: it decides only how a refusal looks.
func claimed(r *http.Request) string {
	credential := ""
	if _, after, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		credential, _, _ = strings.Cut(after, ",")
	} else if _, after, ok := strings.Cut(r.URL.RawQuery, "X-Amz-Credential="); ok {
		credential, _, _ = strings.Cut(after, "&")
		credential, _ = url.QueryUnescape(credential)
	}
	parts := strings.Split(strings.TrimSpace(credential), "/") // key/date/region/service/aws4_request
	if len(parts) < 5 {
		return ""
	}
	return parts[len(parts)-2]
}
