package awsapi

import (
	"crypto/rand"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// form is how a request is written, whatever service it is for.
type form int

const (
	formQuery form = iota
	formJSON
)

// formOf tells the forms apart. What is neither is taken as Query, whose errors people can read.
func formOf(r *http.Request) form {
	t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Header["X-Amz-Target"] != nil || t == "application/json" || strings.HasPrefix(t, "application/x-amz-json-") {
		return formJSON
	}
	return formQuery
}

// route finds out who calls which operation of which service. Nothing of the request but its signature is judged before
// that is known to be good, unless it has none and means an operation that needs none.
func (s *Server) route(r *request) (Operation, error) {
	if !signed(r.Request) {
		if op, ok := s.anonymous(r); ok {
			r.call.Region = s.o.Region
			return op, nil
		}
	}
	caller, scope, err := s.o.Auth.Authenticate(r.Request, r.body, r.call.Time)
	if err != nil {
		return Operation{}, err
	}
	provenConn(r.Context())
	r.call.Caller, r.call.Region = caller, scope.Region
	r.service = s.services[scope.Service]
	if err := s.checkScope(scope); err != nil {
		return Operation{}, err
	}
	switch {
	case r.service == nil:
		r.asked = scope.Service
		names := slices.Sorted(maps.Keys(s.services))
		return Operation{}, Common("InvalidAction", fmt.Sprintf("The service %s is not served here: this is Forebay, which serves %s.",
			clip(scope.Service), strings.Join(names, ", ")))
	case r.Method != http.MethodPost && (r.Method != http.MethodGet || r.form == formJSON):
		return Operation{}, Errorf(http.StatusMethodNotAllowed, "InvalidAction", "The method %s is not allowed here.", clip(r.Method))
	case r.URL.Path != "/" && r.URL.Path != "":
		return Operation{}, Errorf(http.StatusNotFound, "InvalidAction", "The path of a request is / and no other.")
	case (r.service.Protocol == JSON) != (r.form == formJSON):
		return Operation{}, Common("InvalidAction", fmt.Sprintf("The request is not in the protocol of %s, for which it is signed.", r.service.Name))
	case r.form == formJSON:
		return s.routeJSON(r)
	}
	if err := r.parse(); err != nil {
		return Operation{}, err
	}
	return s.routeQuery(r)
}

// anonymous finds an operation that needs no signature.
func (s *Server) anonymous(r *request) (Operation, bool) {
	if r.form == formJSON || r.Method != http.MethodPost && r.Method != http.MethodGet || r.URL.Path != "/" || r.parse() != nil {
		return Operation{}, false
	}
	for _, service := range s.services {
		op, ok := service.Operations[r.params["Action"]]
		if ok && service.Protocol == Query && service.Version == r.params["Version"] && service.Anonymous[r.params["Action"]] {
			r.service, r.action = service, r.params["Action"]
			return op, true
		}
	}
	return Operation{}, false
}

// parse reads the parameters: of the query string and of the body, together.
func (r *request) parse() error {
	r.params = params{}
	if err := r.params.add(r.URL.RawQuery, isSignature); err != nil {
		return err
	}
	r.asked = r.params["Action"]
	if len(r.body) == 0 {
		return nil
	}
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || err != nil || t != "application/x-www-form-urlencoded" {
		return malformed("A body is sent by POST, and its Content-Type is application/x-www-form-urlencoded.")
	}
	err = r.params.add(string(r.body), nil)
	r.asked = r.params["Action"]
	return err
}

func (s *Server) routeQuery(r *request) (Operation, error) {
	action, version := r.params["Action"], r.params["Version"]
	if action == "" {
		return Operation{}, Common("MissingAction", "The request is missing an action or a required parameter.")
	}
	if version == "" {
		version = "NO_VERSION_SPECIFIED"
	}
	op, ok := r.service.Operations[action]
	if !ok || version != r.service.Version {
		return Operation{}, Common("InvalidAction", fmt.Sprintf("Could not find operation %s for version %s", clip(action), clip(version)))
	}
	r.action = action
	return op, nil
}

func (s *Server) routeJSON(r *request) (Operation, error) {
	r.asked = r.Header.Get("X-Amz-Target")
	target, action, _ := strings.Cut(r.asked, ".")
	op, ok := r.service.Operations[action]
	if !ok || target != r.service.Target || len(r.Header["X-Amz-Target"]) != 1 {
		return Operation{}, Common("InvalidAction", fmt.Sprintf("The operation %s is not served here.", clip(r.asked)))
	}
	if r.URL.RawQuery != "" && !onlySignature(r.URL.RawQuery) {
		return Operation{}, Common("MalformedInput", "A request in JSON has no parameters in its query string.")
	}
	r.action = action
	return op, nil
}

// onlySignature reports whether a query string holds nothing but a presigned request's signature.
func onlySignature(query string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		if !isSignature(pair) {
			return false
		}
	}
	return true
}

// NewUUID makes a random UUID (RFC 9562 section 5.4).
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
