package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// unsignedHeaders change on the way to the server, or are added there, so no SDK signs them.
var unsignedHeaders = []string{
	"authorization", "connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
	"transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id",
}

// SignRequest signs r in the header form, as a client does before it sends it: it sets X-Amz-Date, Authorization and,
// for temporary credentials, X-Amz-Security-Token. All other headers must be set before and stay as they are, except
// those that proxies change, which are not signed. body is the whole body; r.Body is not read.
func SignRequest(r *http.Request, c Credentials, region, service string, body []byte, now time.Time) {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	t := now.UTC().Format(timeFormat)
	r.Header.Del("Authorization")
	r.Header.Set("X-Amz-Date", t)
	r.Header.Del("X-Amz-Security-Token")
	if c.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	}

	names := []string{"host"}
	for name := range r.Header {
		if lower := strings.ToLower(name); lower != "host" && !slices.Contains(unsignedHeaders, lower) {
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	var headers strings.Builder
	for _, name := range names {
		headers.WriteString(name)
		headers.WriteByte(':')
		for i, v := range headerValues(r, name) {
			if i > 0 {
				headers.WriteByte(',')
			}
			writeCollapsed(&headers, v)
		}
		headers.WriteByte('\n')
	}
	hash := r.Header.Get("X-Amz-Content-Sha256")
	if hash == "" {
		sum := sha256.Sum256(body)
		hash = hex.EncodeToString(sum[:])
	}
	path, query := rawTarget(r)
	params, _ := parseQuery(query) // a query that cannot be decoded is refused by the server anyhow
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	signed := strings.Join(names, ";")
	canonical := method + "\n" + canonicalPath(path) + "\n" + canonicalQuery(params, "") + "\n" +
		headers.String() + "\n" + signed + "\n" + hash
	sc := scope{t[:dateLen], region, service}
	sig := sc.sign(c.SecretKey, t, canonical)
	r.Header.Set("Authorization", algorithm+" Credential="+c.AccessKeyID+"/"+sc.String()+
		", SignedHeaders="+signed+", Signature="+hex.EncodeToString(sig[:]))
}
