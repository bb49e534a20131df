package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxSkew is how far the clocks of a client and ours may differ, either way.
	MaxSkew = 5 * time.Minute
	// MaxExpires is the longest lifetime of a presigned request (X-Amz-Expires).
	MaxExpires = 7 * 24 * time.Hour
)

// Signature is the signature of one request and what it covers, as ParseRequest found them. Nothing in it is to be
// believed before Verify returned nil. It is immutable and keeps no reference to the request.
type Signature struct {
	AccessKeyID   string
	Region        string // for the caller to compare
	Service       string // for the caller to compare, such as "rds" or "secretsmanager"
	SessionToken  string // X-Amz-Security-Token; empty for a long-term key
	SignedHeaders []string
	Time          time.Time     // when it was signed, by the client's clock
	Presigned     bool          // by query parameters rather than the Authorization header
	Expires       time.Duration // lifetime of a presigned request, counted from Time; 0 otherwise

	time         string // as the client wrote it, normalised to timeFormat: part of the string to sign
	date         string
	signature    [sha256.Size]byte
	canonical    string // the canonical request but for its last line, the hash of the payload
	declaredHash string // X-Amz-Content-Sha256; empty where there is none
	hasDeclared  bool
}

// Payload is what the caller knows about the body of a request.
type Payload struct {
	// SHA256 is the hash of the whole body, the empty body's too.
	SHA256 [sha256.Size]byte
	// AllowUnsigned accepts X-Amz-Content-Sha256: UNSIGNED-PAYLOAD, by which a client leaves the body to TLS. Say so only
	// for a request that came over TLS to an operation that allows it.
	AllowUnsigned bool
}

// authParams are the parts of a signature as strings, from the header or from the query.
type authParams struct {
	credential, signedHeaders, signature, time, token string
}

// ParseRequest finds the signature of r, in the Authorization header or in the query, and the canonical form of what it
// covers. It reads neither the body nor any form of it. Of r it uses Method, RequestURI (URL where that is empty), Host,
// Header, ContentLength and TransferEncoding.
//
// It returns an *Error: MissingAuthenticationToken where there is no signature, IncompleteSignature where its parts are
// not as they must be or it does not cover the host and every X-Amz-* header that was sent, SignatureDoesNotMatch where
// the scope contradicts the request, MalformedQueryString.
func ParseRequest(r *http.Request) (*Signature, error) {
	path, rawQuery := rawTarget(r)
	params, err := parseQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	s := &Signature{}
	for _, p := range params {
		s.Presigned = s.Presigned || p.name == "X-Amz-Algorithm" || p.name == "X-Amz-Signature" || p.name == "X-Amz-Credential"
	}
	var a authParams
	switch {
	case s.Presigned && r.Header["Authorization"] != nil:
		return nil, errorf(IncompleteSignature, "Only one auth mechanism allowed; the request has both query parameters and an Authorization header.")
	case s.Presigned:
		a, s.Expires, err = fromQuery(params)
	default:
		a, err = fromHeader(r.Header)
	}
	if err != nil {
		return nil, err
	}
	if err := s.fill(a); err != nil {
		return nil, err
	}
	if err := checkCoverage(r.Header, s.SignedHeaders); err != nil {
		return nil, err
	}
	if err := s.findPayloadHash(r.Header, params); err != nil {
		return nil, err
	}
	headers, err := canonicalHeaders(r, s.SignedHeaders)
	if err != nil {
		return nil, err
	}
	skip := ""
	if s.Presigned {
		skip = "X-Amz-Signature"
	}
	method := r.Method
	if method == "" { // net/http's client: GET
		method = http.MethodGet
	}
	s.canonical = method + "\n" + canonicalPath(path) + "\n" + canonicalQuery(params, skip) + "\n" +
		headers + "\n" + a.signedHeaders + "\n"
	return s, nil
}

// Verify reports whether the request was signed with secretKey, is of its time, and has this payload. It compares in
// constant time. It returns nil or an *Error of the kind SignatureDoesNotMatch, RequestExpired or RequestInTheFuture.
//
// Region, Service, AccessKeyID and SessionToken are the caller's to check.
func (s *Signature) Verify(secretKey string, now time.Time, payload Payload) error {
	lifetime := MaxSkew
	if s.Presigned {
		lifetime = s.Expires
	}
	if err := checkTime(s.Time, now, lifetime); err != nil {
		return err
	}
	hash := hex.EncodeToString(payload.SHA256[:])
	if s.hasDeclared {
		if s.declaredHash != hash && !(s.declaredHash == unsignedPayload && payload.AllowUnsigned) {
			return errorf(SignatureDoesNotMatch, "The provided 'x-amz-content-sha256' header does not match what was computed.")
		}
		hash = s.declaredHash
	}
	want := scope{s.date, s.Region, s.Service}.sign(secretKey, s.time, s.canonical+hash)
	if matches(secretKey, want, s.signature) != 1 {
		return errMismatch()
	}
	return nil
}

// UnsignedPayload reports whether the client left the body out of the signature: see Payload.AllowUnsigned.
func (s *Signature) UnsignedPayload() bool { return s.declaredHash == unsignedPayload }

// fromHeader takes the parts from the Authorization header: "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=...,
// Signature=...", whose date is in X-Amz-Date or, where that is absent, in Date.
func fromHeader(h http.Header) (authParams, error) {
	var a authParams
	values := h["Authorization"]
	if len(values) == 0 || strings.TrimSpace(values[0]) == "" {
		return a, errorf(MissingAuthenticationToken, "Request is missing Authentication Token")
	}
	if len(values) > 1 {
		return a, errorf(IncompleteSignature, "The request has more than one Authorization header.")
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	if scheme != algorithm {
		if strings.HasPrefix(scheme, "AWS") {
			return a, errorf(IncompleteSignature, "Unsupported AWS 'algorithm' in the Authorization header: only %s is supported.", algorithm)
		}
		return a, errorf(MissingAuthenticationToken, "Request is missing Authentication Token")
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		var field *string
		switch name {
		case "Credential":
			field = &a.credential
		case "SignedHeaders":
			field = &a.signedHeaders
		case "Signature":
			field = &a.signature
		}
		if !ok || field == nil || *field != "" {
			return a, errorf(IncompleteSignature, "The Authorization header is not a list of 'Credential', 'SignedHeaders' and 'Signature', each once.")
		}
		*field = value
	}
	for _, p := range []param{{"Credential", a.credential}, {"SignedHeaders", a.signedHeaders}, {"Signature", a.signature}} {
		if p.value == "" {
			return a, errorf(IncompleteSignature, "Authorization header requires '%s' parameter.", p.name)
		}
	}
	var err error
	if a.time, err = timeFromHeader(h); err != nil {
		return a, err
	}
	a.token, err = single(h, "X-Amz-Security-Token")
	return a, err
}

func timeFromHeader(h http.Header) (string, error) {
	s, err := single(h, "X-Amz-Date")
	if err != nil || s != "" {
		return s, err
	}
	if s, err = single(h, "Date"); err != nil {
		return "", err
	}
	if s == "" {
		return "", errorf(IncompleteSignature, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if t, err := http.ParseTime(s); err == nil {
		return t.UTC().Format(timeFormat), nil
	}
	if t, err := time.Parse(time.RFC1123Z, s); err == nil { // botocore: "-0000"
		return t.UTC().Format(timeFormat), nil
	}
	return s, nil // perhaps in the form of X-Amz-Date; fill looks
}

// single returns a header that may be there once at most.
func single(h http.Header, name string) (string, error) {
	values := h[name]
	if len(values) > 1 {
		return "", errorf(IncompleteSignature, "The request has more than one '%s' header.", name)
	}
	if len(values) == 0 {
		return "", nil
	}
	return strings.TrimSpace(values[0]), nil
}

// fromQuery takes the parts from the query ("Authentication methods: Query parameters").
func fromQuery(params []param) (authParams, time.Duration, error) {
	var a authParams
	var alg, expires string
	fields := map[string]*string{
		"X-Amz-Algorithm":      &alg,
		"X-Amz-Credential":     &a.credential,
		"X-Amz-Date":           &a.time,
		"X-Amz-Expires":        &expires,
		"X-Amz-SignedHeaders":  &a.signedHeaders,
		"X-Amz-Signature":      &a.signature,
		"X-Amz-Security-Token": &a.token,
	}
	seen := map[string]bool{}
	for _, p := range params {
		if field := fields[p.name]; field != nil {
			if seen[p.name] {
				return a, 0, errorf(IncompleteSignature, "The query parameter '%s' is there more than once.", p.name)
			}
			seen[p.name] = true
			*field = p.value
		}
	}
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date", "X-Amz-Expires"} {
		if *fields[name] == "" {
			return a, 0, errorf(IncompleteSignature, "AWS query-string parameters must include '%s'.", name)
		}
	}
	if alg != algorithm {
		return a, 0, errorf(IncompleteSignature, "X-Amz-Algorithm only supports \"%s\"", algorithm)
	}
	d, err := parseExpires(expires, MaxExpires)
	return a, d, err
}

func parseExpires(s string, most time.Duration) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errorf(IncompleteSignature, "X-Amz-Expires should be a number of seconds")
	}
	if d := time.Duration(n) * time.Second; 0 < d && d <= most {
		return d, nil
	}
	return 0, errorf(IncompleteSignature, "X-Amz-Expires must be between 1 and %d seconds", most/time.Second)
}

// fill checks the parts and puts them into s.
func (s *Signature) fill(a authParams) error {
	var err error
	if s.AccessKeyID, s.date, s.Region, s.Service, err = parseCredential(a.credential); err != nil {
		return err
	}
	if s.Time, s.time, err = scopedTime(a.time, s.date); err != nil {
		return err
	}
	if s.signature, err = parseSignature(a.signature); err != nil {
		return err
	}
	s.SessionToken = a.token
	s.SignedHeaders = strings.Split(a.signedHeaders, ";")
	for i, name := range s.SignedHeaders {
		if !headerName(name) || i > 0 && name <= s.SignedHeaders[i-1] {
			return errorf(IncompleteSignature, "'SignedHeaders' must be a sorted list of header names in lower case, each once.")
		}
	}
	return nil
}

// parseCredential splits keyid/date/region/service/aws4_request.
func parseCredential(s string) (keyID, date, region, service string, err error) {
	p := strings.Split(s, "/")
	if len(p) != 5 || slices.Contains(p, "") || len(s) > 512 {
		return "", "", "", "", errorf(IncompleteSignature,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	if p[4] != terminator {
		return "", "", "", "", errorf(SignatureDoesNotMatch, "Credential should be scoped with a valid terminator: '%s'.", terminator)
	}
	return p[0], p[1], p[2], p[3], nil
}

func scopedTime(s, date string) (time.Time, string, error) {
	t, ok := parseTime(s)
	if !ok {
		return t, "", errorf(IncompleteSignature, "Date must be in ISO-8601 'basic format', YYYYMMDD'T'HHMMSS'Z'.")
	}
	if s[:dateLen] != date {
		return t, "", errorf(SignatureDoesNotMatch,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s'.", s[:dateLen])
	}
	return t, s, nil
}

func parseSignature(s string) (sig [sha256.Size]byte, err error) {
	if n, err := hex.Decode(sig[:], []byte(s[:min(len(s), 2*len(sig))])); err != nil || n != len(sig) || len(s) != 2*len(sig) {
		return sig, errorf(IncompleteSignature, "'Signature' must be %d hexadecimal digits.", 2*len(sig))
	}
	return sig, nil
}

// headerName reports whether s is a header's name (RFC 9110, section 5.6.2) in lower case.
func headerName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// checkCoverage refuses a signature that leaves out what AWS demands: the host, and every X-Amz-* header that was sent
// ("Create a canonical request", step 4). Otherwise somebody on the way could add a session token or another target.
func checkCoverage(h http.Header, signed []string) error {
	if _, ok := slices.BinarySearch(signed, "host"); !ok {
		return errorf(IncompleteSignature, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	var missing []string
	for name := range h {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "x-amz-") {
			continue
		}
		// Searched, as the list is sorted and may be as long as the server lets headers be.
		if _, ok := slices.BinarySearch(signed, lower); !ok {
			missing = append(missing, lower)
		}
	}
	if missing != nil {
		slices.Sort(missing)
		return errorf(IncompleteSignature, "There were headers present in the request which were not signed: %s", strings.Join(missing, ", "))
	}
	return nil
}

// findPayloadHash takes X-Amz-Content-Sha256 from the header, or from the query of a presigned request.
func (s *Signature) findPayloadHash(h http.Header, params []param) error {
	const name = "X-Amz-Content-Sha256"
	_, s.hasDeclared = h[name]
	var err error
	if s.declaredHash, err = single(h, name); err != nil || !s.Presigned {
		return err
	}
	for _, p := range params {
		if strings.EqualFold(p.name, name) {
			if s.hasDeclared {
				return errorf(IncompleteSignature, "'%s' is there more than once.", name)
			}
			s.hasDeclared, s.declaredHash = true, p.value
		}
	}
	return nil
}
