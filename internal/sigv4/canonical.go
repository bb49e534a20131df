package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const upperHex = "0123456789ABCDEF"

// unreserved reports whether c stands for itself in a URI: RFC 3986, section 2.3.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// appendEncoded appends s with every byte that is neither unreserved nor in safe as %XX, in upper case.
func appendEncoded(dst []byte, s, safe string) []byte {
	for i := range len(s) {
		if c := s[i]; unreserved(c) || strings.IndexByte(safe, c) >= 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

func encode(s string) string { return string(appendEncoded(nil, s, "")) }

// decode undoes percent encoding. A plus sign is a space, as in forms: those SDKs that parse a query and encode it anew
// (Go's) sign it as %20, and the others never send one.
func decode(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			b = append(b, byte(hi<<4|lo))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b), true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// canonicalPath is the canonical URI of a path as it was sent, that is, encoded once: dot segments and empty segments
// removed, and encoded a second time ("Create a canonical request", step 2: twice for every service but S3).
func canonicalPath(raw string) string {
	var segments []string
	for s := range strings.SplitSeq(raw, "/") {
		switch s {
		case "", ".":
		case "..":
			if len(segments) > 0 {
				segments = segments[:len(segments)-1]
			}
		default:
			segments = append(segments, s)
		}
	}
	path := "/" + strings.Join(segments, "/")
	if len(segments) > 0 && strings.HasSuffix(raw, "/") {
		path += "/"
	}
	return string(appendEncoded(nil, path, "/"))
}

// param is one pair of a query, decoded.
type param struct{ name, value string }

// parseQuery splits and decodes a raw query. Empty pairs, as in "a=1&&b=2", are skipped.
func parseQuery(raw string) ([]param, error) {
	var params []param
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, ok1 := decode(name)
		v, ok2 := decode(value)
		if !ok1 || !ok2 {
			return nil, errorf(MalformedQueryString, "The query string contains an invalid percent encoding.")
		}
		params = append(params, param{n, v})
	}
	return params, nil
}

// canonicalQuery encodes params and sorts them by encoded name, then by encoded value, leaving out those named skip.
func canonicalQuery(params []param, skip string) string {
	encoded := make([]param, 0, len(params))
	for _, p := range params {
		if skip == "" || p.name != skip {
			encoded = append(encoded, param{encode(p.name), encode(p.value)})
		}
	}
	slices.SortFunc(encoded, func(a, b param) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	var b strings.Builder
	for i, p := range encoded {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(p.value)
	}
	return b.String()
}

// canonicalHeaders lists the headers named (in lower case, sorted), each with its values joined by commas and their
// white space collapsed ("Create a canonical request", step 4). A header that is named but absent is refused.
func canonicalHeaders(r *http.Request, names []string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		values := headerValues(r, name)
		if len(values) == 0 {
			return "", errMismatch()
		}
		b.WriteString(name)
		b.WriteByte(':')
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			writeCollapsed(&b, v)
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// headerValues also finds what net/http takes out of the header map of a request that it read.
func headerValues(r *http.Request, name string) []string {
	switch name {
	case "host":
		if r.Host != "" {
			return []string{r.Host}
		}
		if r.URL != nil && r.URL.Host != "" { // a client's request, not sent yet
			return []string{r.URL.Host}
		}
		return nil
	case "transfer-encoding":
		return r.TransferEncoding
	}
	values := r.Header[http.CanonicalHeaderKey(name)]
	if len(values) == 0 && name == "content-length" && r.ContentLength >= 0 {
		return []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	return values
}

func writeCollapsed(b *strings.Builder, v string) {
	first := true
	for word := range strings.FieldsSeq(v) {
		if !first {
			b.WriteByte(' ')
		}
		b.WriteString(word)
		first = false
	}
}

// rawTarget is the path and the query as they were sent. The URL of a request that was read has already lost how its
// path was encoded, and a handler in front may have changed it; RequestURI is what the client wrote and signed.
func rawTarget(r *http.Request) (path, query string) {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, query, _ = strings.Cut(r.RequestURI, "?")
		return path, query
	}
	if r.URL == nil {
		return "/", ""
	}
	return r.URL.EscapedPath(), r.URL.RawQuery
}
