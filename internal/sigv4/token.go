package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	// TokenLifetime is how long an RDS IAM token may be used to log in, and the longest X-Amz-Expires in one.
	TokenLifetime = 15 * time.Minute
	// MaxTokenLen is the longest token that is looked at, in bytes. One made with a long-term key has about 310; a session
	// token adds 1 KB or more.
	MaxTokenLen = 8192
	// TokenService is the service in the scope of an RDS IAM token, and the prefix of its action, rds-db:connect.
	TokenService = "rds-db"
)

// Token is an RDS IAM token: a presigned GET of https://host:port/ without its scheme, used as a password (Amazon RDS
// User Guide, "Connecting to your DB instance using IAM authentication"; contract section 6.4). Nothing in it is to be
// believed before Verify returned nil.
type Token struct {
	Host         string // of the proxy's endpoint, as the client wrote it; an IPv6 address has no brackets
	Port         int    // of the proxy's endpoint
	DBUser       string // to compare with the name of the log-in, case-sensitive
	AccessKeyID  string
	Region       string // for the caller to compare
	SessionToken string // empty for a long-term key
	Time         time.Time
	Expires      time.Duration // counted from Time

	time, date string
	hosts      []string // the values of the host header that clients may have signed for Host and Port
	query      string   // canonical
	signature  [sha256.Size]byte
}

// ParseToken takes a token apart. The order of its parameters does not matter; each may be there once; those it does
// not know must only be signed, like all others. It returns an *Error: IncompleteSignature where the token is not as it
// must be, SignatureDoesNotMatch where its scope contradicts it, MalformedQueryString.
//
// The caller compares Host, Port, Region and DBUser with where and how the client logs in.
func ParseToken(s string) (*Token, error) {
	if len(s) > MaxTokenLen {
		return nil, errorf(IncompleteSignature, "The token is longer than %d bytes.", MaxTokenLen)
	}
	address, rawQuery, ok := strings.Cut(s, "?")
	if !ok {
		return nil, errorf(IncompleteSignature, "The token has no query.")
	}
	t := &Token{}
	if err := t.parseAddress(strings.TrimSuffix(address, "/")); err != nil { // the SDK for Go leaves the slash out
		return nil, err
	}
	params, err := parseQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]string, len(params))
	for _, p := range params {
		if _, ok := seen[p.name]; ok {
			return nil, errorf(IncompleteSignature, "A parameter of the token is there more than once.")
		}
		seen[p.name] = p.value
	}
	a, expires, err := fromQuery(params)
	if err != nil {
		return nil, err
	}
	if expires > TokenLifetime {
		return nil, errorf(IncompleteSignature, "X-Amz-Expires must be between 1 and %d seconds", TokenLifetime/time.Second)
	}
	if seen["Action"] != "connect" {
		return nil, errorf(IncompleteSignature, "The token's 'Action' must be 'connect'.")
	}
	if a.signedHeaders != "host" {
		return nil, errorf(IncompleteSignature, "The token's 'X-Amz-SignedHeaders' must be 'host'.")
	}
	if t.DBUser = seen["DBUser"]; t.DBUser == "" {
		return nil, errorf(IncompleteSignature, "The token has no 'DBUser'.")
	}
	var service string
	if t.AccessKeyID, t.date, t.Region, service, err = parseCredential(a.credential); err != nil {
		return nil, err
	}
	if service != TokenService {
		return nil, errorf(SignatureDoesNotMatch, "Credential should be scoped to correct service: '%s'.", TokenService)
	}
	if t.Time, t.time, err = scopedTime(a.time, t.date); err != nil {
		return nil, err
	}
	if t.signature, err = parseSignature(a.signature); err != nil {
		return nil, err
	}
	t.Expires, t.SessionToken = expires, a.token
	t.query = canonicalQuery(params, "X-Amz-Signature")
	return t, nil
}

// parseAddress reads host:port and notes which host headers may have been signed for it: botocore signs the host in
// lower case whatever the token shows, and with port 443 some SDKs leave the port out and some do not.
func (t *Token) parseAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	n, err2 := strconv.ParseUint(port, 10, 16)
	if err != nil || err2 != nil || host == "" || n == 0 || port[0] == '0' || strings.ContainsAny(s, "/?#@\\ \t\r\n") {
		return errorf(IncompleteSignature, "The token must begin with host:port.")
	}
	t.Host, t.Port = host, int(n)
	lower := strings.ToLower(s)
	t.hosts = []string{s}
	if lower != s {
		t.hosts = append(t.hosts, lower)
	}
	if n == 443 {
		for _, h := range t.hosts {
			t.hosts = append(t.hosts, strings.TrimSuffix(h, ":443"))
		}
	}
	return nil
}

// Verify reports whether the token was signed with secretKey and is of its time. It compares in constant time. It
// returns nil or an *Error of the kind SignatureDoesNotMatch, RequestExpired or RequestInTheFuture. A token may be used
// again and again during its lifetime, as on AWS.
func (t *Token) Verify(secretKey string, now time.Time) error {
	if err := checkTime(t.Time, now, t.Expires); err != nil {
		return err
	}
	sc := scope{t.date, t.Region, TokenService}
	match := 0
	for _, host := range t.hosts {
		want := sc.sign(secretKey, t.time, canonicalToken(host, t.query))
		match |= matches(secretKey, want, t.signature)
	}
	if match != 1 {
		return errMismatch()
	}
	return nil
}

func canonicalToken(host, query string) string {
	return "GET\n/\n" + query + "\nhost:" + host + "\n\nhost\n" + emptyHash
}

// SignToken makes a token for user at an endpoint, good for TokenLifetime from now. It is byte for byte what botocore's
// generate_db_auth_token makes. An IPv6 address is given without brackets.
func SignToken(host string, port int, region, user string, c Credentials, now time.Time) string {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	signedHost := strings.ToLower(address)
	if port == 443 { // the default port of https, the scheme that was cut off
		signedHost = strings.TrimSuffix(signedHost, ":443")
	}
	t := now.UTC().Format(timeFormat)
	sc := scope{t[:dateLen], region, TokenService}
	params := []param{
		{"Action", "connect"},
		{"DBUser", user},
		{"X-Amz-Algorithm", algorithm},
		{"X-Amz-Credential", c.AccessKeyID + "/" + sc.String()},
		{"X-Amz-Date", t},
		{"X-Amz-Expires", strconv.Itoa(int(TokenLifetime / time.Second))},
		{"X-Amz-SignedHeaders", "host"},
	}
	if c.SessionToken != "" {
		params = append(params, param{"X-Amz-Security-Token", c.SessionToken})
	}
	sig := sc.sign(c.SecretKey, t, canonicalToken(signedHost, canonicalQuery(params, "")))
	var b strings.Builder
	b.WriteString(address)
	b.WriteString("/?")
	for _, p := range params {
		b.WriteString(encode(p.name) + "=" + encode(p.value) + "&")
	}
	b.WriteString("X-Amz-Signature=" + hex.EncodeToString(sig[:]))
	return b.String()
}
