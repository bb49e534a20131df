package sigv4_test

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"forebay/internal/sigv4"
)

// TestSuite verifies AWS's test suite, and signs it again where a client of ours would sign the same headers.
func TestSuite(t *testing.T) {
	t.Parallel()
	v := readVectors(t, "suite.json")
	for _, c := range v.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			r, hash, body := read(t, c.Request)
			r.Header.Set("Authorization", c.Authorization)
			sig, err := sigv4.ParseRequest(r)
			if err != nil {
				t.Fatalf("ParseRequest: %v\n%s", err, c.Request)
			}
			if sig.AccessKeyID != v.AccessKeyID || sig.Region != "us-east-1" || sig.Service != "service" || sig.Presigned {
				t.Errorf("ParseRequest = %+v", sig)
			}
			if err := sig.Verify(v.SecretKey, v.now(t), sigv4.Payload{SHA256: hash}); err != nil {
				t.Errorf("Verify: %v\n%s", err, c.Request)
			}
			if slices.Contains(sig.SignedHeaders, "content-length") == (r.Header.Get("Content-Length") != "") {
				creds := sigv4.Credentials{AccessKeyID: v.AccessKeyID, SecretKey: v.SecretKey, SessionToken: sig.SessionToken}
				sigv4.SignRequest(r, creds, "us-east-1", "service", body, v.now(t))
				if got := r.Header.Get("Authorization"); got != c.Authorization {
					t.Errorf("SignRequest:\n got %s\nwant %s", got, c.Authorization)
				}
			}
		})
	}
}

// TestBotocoreRequests verifies what botocore signed, and signs it again.
func TestBotocoreRequests(t *testing.T) {
	t.Parallel()
	v := readVectors(t, "requests.json")
	for _, c := range v.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			r, hash, body := read(t, c.Request)
			sig, err := sigv4.ParseRequest(r)
			if err != nil {
				t.Fatalf("ParseRequest: %v\n%s", err, c.Request)
			}
			expires := time.Duration(c.Expires) * time.Second
			if sig.AccessKeyID != v.AccessKeyID || sig.Service != c.Service || sig.SessionToken != c.SessionToken ||
				sig.Presigned != (c.Expires > 0) || sig.Expires != expires || !sig.Time.Equal(v.now(t)) {
				t.Errorf("ParseRequest = %+v", sig)
			}
			p := sigv4.Payload{SHA256: hash, AllowUnsigned: sig.UnsignedPayload()}
			if err := sig.Verify(v.SecretKey, v.now(t), p); err != nil {
				t.Errorf("Verify: %v\n%s", err, c.Request)
			}
			if sig.Presigned {
				if err := sig.Verify(v.SecretKey, v.now(t).Add(expires), p); err != nil {
					t.Errorf("Verify at the end of its life: %v", err)
				}
				wantKind(t, sig.Verify(v.SecretKey, v.now(t).Add(expires+time.Second), p), sigv4.RequestExpired)
				return
			}
			if r.Header.Get("Date") != "" {
				return // ours sends X-Amz-Date
			}
			r.Header.Del("Content-Length") // botocore has its connection add it
			r.ContentLength = -1
			want := r.Header.Get("Authorization")
			creds := sigv4.Credentials{AccessKeyID: v.AccessKeyID, SecretKey: v.SecretKey, SessionToken: c.SessionToken}
			sigv4.SignRequest(r, creds, sig.Region, sig.Service, body, v.now(t))
			if got := r.Header.Get("Authorization"); got != want {
				t.Errorf("SignRequest:\n got %s\nwant %s", got, want)
			}
		})
	}
}

// TestSDKRequests verifies what the SDK for Go signed: more headers, and a query that it encodes anew.
func TestSDKRequests(t *testing.T) {
	t.Parallel()
	v := readVectors(t, "sdk-requests.json")
	for _, c := range v.Cases {
		r, hash, _ := read(t, c.Request)
		r.Header.Del("Content-Length") // some servers keep it in ContentLength alone
		sig, err := sigv4.ParseRequest(r)
		if err != nil {
			t.Errorf("%s: %v\n%s", c.Name, err, c.Request)
			continue
		}
		if sig.SessionToken != c.SessionToken || sig.Expires != time.Duration(c.Expires)*time.Second {
			t.Errorf("%s: ParseRequest = %+v", c.Name, sig)
		}
		if err := sig.Verify(v.SecretKey, v.now(t), sigv4.Payload{SHA256: hash}); err != nil {
			t.Errorf("%s: %v\n%s", c.Name, err, c.Request)
		}
	}
}

func wantKind(t *testing.T, err error, want sigv4.Kind) {
	t.Helper()
	var e *sigv4.Error
	if !errors.As(err, &e) || e.Kind != want {
		t.Errorf("got %v, want the kind %s", err, want)
	}
}

var (
	now   = time.Date(2026, 11, 26, 10, 20, 30, 0, time.UTC)
	creds = sigv4.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
)

// signed returns a request of the kind our CLI sends, as a server would see it.
func signed(t testing.TB, body string, c sigv4.Credentials) *http.Request {
	t.Helper()
	r, err := http.NewRequest("POST", "https://forebay.example:8443/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sigv4.SignRequest(r, c, "eu-central-1", "rds", []byte(body), now)
	r.RequestURI = r.URL.RequestURI()
	return r
}

const body = "Action=DescribeDBProxies"

// TestTampered changes one thing of a good request: Verify must notice.
func TestTampered(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(r *http.Request)
		body   string
		secret string
		want   sigv4.Kind // empty: still good
	}{
		{name: "nothing"},
		{name: "the body", body: "Action=DeleteDBProxy", want: sigv4.SignatureDoesNotMatch},
		{name: "the secret key", secret: "another", want: sigv4.SignatureDoesNotMatch},
		{name: "the method", change: func(r *http.Request) { r.Method = "PUT" }, want: sigv4.SignatureDoesNotMatch},
		{name: "the path", change: func(r *http.Request) { r.RequestURI = "/x" }, want: sigv4.SignatureDoesNotMatch},
		{name: "the query", change: func(r *http.Request) { r.RequestURI = "/?x" }, want: sigv4.SignatureDoesNotMatch},
		{name: "the path as a handler sees it", change: func(r *http.Request) { r.URL.Path = "/x" }},
		{name: "the host", change: func(r *http.Request) { r.Host = "forebay.example" }, want: sigv4.SignatureDoesNotMatch},
		{name: "a signed header", change: func(r *http.Request) { r.Header.Set("Content-Type", "text/xml") }, want: sigv4.SignatureDoesNotMatch},
		{name: "white space in a signed header", change: func(r *http.Request) { r.Header.Set("Content-Type", " application/x-www-form-urlencoded  ") }},
		{name: "a signed header twice", change: func(r *http.Request) { r.Header.Add("Content-Type", "text/xml") }, want: sigv4.SignatureDoesNotMatch},
		{name: "a header that is not signed", change: func(r *http.Request) { r.Header.Set("User-Agent", "x") }},
		{name: "the time", change: func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261126T102031Z") }, want: sigv4.SignatureDoesNotMatch},
		{name: "the access key", change: replace("Credential=AKIA", "Credential=AKIB")},
		{name: "the region", change: replace("/eu-central-1/", "/eu-central-2/"), want: sigv4.SignatureDoesNotMatch},
		{name: "the service", change: replace("/rds/", "/sts/"), want: sigv4.SignatureDoesNotMatch},
		{name: "a digit of the signature", change: func(r *http.Request) {
			a := r.Header.Get("Authorization")
			last := "0"
			if strings.HasSuffix(a, "0") {
				last = "1"
			}
			r.Header.Set("Authorization", a[:len(a)-1]+last)
		}, want: sigv4.SignatureDoesNotMatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := signed(t, body, creds)
			if tt.change != nil {
				tt.change(r)
			}
			sig, err := sigv4.ParseRequest(r)
			if err != nil {
				t.Fatal(err)
			}
			sent, secret := body, creds.SecretKey
			if tt.body != "" {
				sent = tt.body
			}
			if tt.secret != "" {
				secret = tt.secret
			}
			err = sig.Verify(secret, now, sigv4.Payload{SHA256: sha256.Sum256([]byte(sent))})
			if tt.want == "" && err != nil {
				t.Errorf("Verify: %v", err)
			}
			if tt.want != "" {
				wantKind(t, err, tt.want)
			}
		})
	}
}

// replace changes the Authorization header.
func replace(old, with string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
	}
}

// TestParseRequestRefuses has a row for each thing that makes a signature unusable.
func TestParseRequestRefuses(t *testing.T) {
	t.Parallel()
	const sigHex = "56ec1da59856752a80dfabb1c37f71bc26e9474d3b2130ee3fb73b619755c9a1"
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	add := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, value) }
	}
	del := func(name string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(name) } }
	tests := []struct {
		name   string
		change func(r *http.Request)
		want   sigv4.Kind
	}{
		{"no Authorization", del("Authorization"), sigv4.MissingAuthenticationToken},
		{"an empty Authorization", set("Authorization", " "), sigv4.MissingAuthenticationToken},
		{"basic authentication", set("Authorization", "Basic Zm9v"), sigv4.MissingAuthenticationToken},
		{"a bearer token", set("Authorization", "Bearer x"), sigv4.MissingAuthenticationToken},
		{"version 2", set("Authorization", "AWS AKIA:sig"), sigv4.IncompleteSignature},
		{"version 4a", replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), sigv4.IncompleteSignature},
		{"the algorithm alone", set("Authorization", "AWS4-HMAC-SHA256"), sigv4.IncompleteSignature},
		{"two Authorizations", add("Authorization", "x"), sigv4.IncompleteSignature},
		{"no Credential", replace("Credential=", "Kredential="), sigv4.IncompleteSignature},
		{"an empty Signature", func(r *http.Request) {
			a, _, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
			r.Header.Set("Authorization", a+"Signature=")
		}, sigv4.IncompleteSignature},
		{"Signature twice", func(r *http.Request) {
			r.Header.Set("Authorization", r.Header.Get("Authorization")+", Signature="+sigHex)
		}, sigv4.IncompleteSignature},
		{"an unknown part", func(r *http.Request) {
			r.Header.Set("Authorization", r.Header.Get("Authorization")+", Other=1")
		}, sigv4.IncompleteSignature},
		{"no SignedHeaders", replace("SignedHeaders=content-type;host;x-amz-date, ", ""), sigv4.IncompleteSignature},
		{"a signature that is too short", replace("Signature=", "Signature=0,"), sigv4.IncompleteSignature},
		{"a signature that is too long", func(r *http.Request) {
			r.Header.Set("Authorization", r.Header.Get("Authorization")+"00")
		}, sigv4.IncompleteSignature},
		{"a signature that is not hex", replace("Signature=", "Signature=x"), sigv4.IncompleteSignature},
		{"four elements in the credential", replace("/rds/", "/"), sigv4.IncompleteSignature},
		{"six elements in the credential", replace("/rds/", "/rds/x/"), sigv4.IncompleteSignature},
		{"an empty element in the credential", replace("/rds/", "//"), sigv4.IncompleteSignature},
		{"another terminator", replace("aws4_request", "aws5_request"), sigv4.SignatureDoesNotMatch},
		{"another date in the scope", replace("/20261126/", "/20261127/"), sigv4.SignatureDoesNotMatch},
		{"no date", del("X-Amz-Date"), sigv4.IncompleteSignature},
		{"a date in the extended format", set("X-Amz-Date", "2026-11-26T10:20:30Z"), sigv4.IncompleteSignature},
		{"no such date", set("X-Amz-Date", "20261131T102030Z"), sigv4.IncompleteSignature},
		{"a Date that is none", func(r *http.Request) {
			r.Header.Del("X-Amz-Date")
			r.Header.Set("Date", "yesterday")
			replace(";x-amz-date", "")(r)
		}, sigv4.IncompleteSignature},
		{"two payload hashes", func(r *http.Request) {
			r.Header["X-Amz-Content-Sha256"] = []string{"x", "y"}
			replace("host;", "host;x-amz-content-sha256;")(r)
		}, sigv4.IncompleteSignature},
		{"two dates", add("X-Amz-Date", "20261126T102030Z"), sigv4.IncompleteSignature},
		{"host not signed", replace("content-type;host;", "content-type;"), sigv4.IncompleteSignature},
		{"X-Amz-Date not signed", replace("host;x-amz-date", "host"), sigv4.IncompleteSignature},
		{"an X-Amz-Target that somebody added", set("X-Amz-Target", "secretsmanager.DeleteSecret"), sigv4.IncompleteSignature},
		{"a session token that somebody added", set("X-Amz-Security-Token", "x"), sigv4.IncompleteSignature},
		{"signed headers not sorted", replace("content-type;host", "host;content-type"), sigv4.IncompleteSignature},
		{"signed headers in upper case", replace("content-type;host", "Content-Type;host"), sigv4.IncompleteSignature},
		{"a signed header twice", replace("host;", "host;host;"), sigv4.IncompleteSignature},
		{"an empty signed header", replace("content-type;host", ";content-type;host"), sigv4.IncompleteSignature},
		{"a signed header that is absent", del("Content-Type"), sigv4.SignatureDoesNotMatch},
		{"a broken query", func(r *http.Request) { r.RequestURI = "/?a=%zz" }, sigv4.MalformedQueryString},
		{"a query that ends too early", func(r *http.Request) { r.RequestURI = "/?a=%4" }, sigv4.MalformedQueryString},
		{"both forms", func(r *http.Request) { r.RequestURI = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256" }, sigv4.IncompleteSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := signed(t, body, creds)
			tt.change(r)
			_, err := sigv4.ParseRequest(r)
			wantKind(t, err, tt.want)
			if err != nil && strings.Contains(err.Error(), sigHex) {
				t.Errorf("the error shows the signature: %v", err)
			}
		})
	}
}

// TestPresignedRefuses changes the query of a request that botocore presigned.
func TestPresignedRefuses(t *testing.T) {
	t.Parallel()
	v := readVectors(t, "requests.json")
	i := slices.IndexFunc(v.Cases, func(c vector) bool {
		return c.Name == "presigned rds"
	})
	tests := []struct {
		name, old, with string
		want            sigv4.Kind // empty: parses, and does not verify
	}{
		{"another algorithm", "Algorithm=AWS4-HMAC-SHA256", "Algorithm=AWS3", sigv4.IncompleteSignature},
		{"no algorithm", "X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", sigv4.IncompleteSignature},
		{"no date", "X-Amz-Date=20261126T102030Z&", "", sigv4.IncompleteSignature},
		{"no lifetime", "X-Amz-Expires=3600&", "", sigv4.IncompleteSignature},
		{"a lifetime of nothing", "Expires=3600", "Expires=0", sigv4.IncompleteSignature},
		{"a negative lifetime", "Expires=3600", "Expires=-1", sigv4.IncompleteSignature},
		{"more than a week", "Expires=3600", "Expires=604801", sigv4.IncompleteSignature},
		{"a lifetime that overflows", "Expires=3600", "Expires=99999999999999999999", sigv4.IncompleteSignature},
		{"the lifetime twice", "Expires=3600", "Expires=3600&X-Amz-Expires=3600", sigv4.IncompleteSignature},
		{"an empty doublet", "Expires=3600", "Expires=&X-Amz-Expires=3600", sigv4.IncompleteSignature},
		{"host not signed", "SignedHeaders=host", "SignedHeaders=accept", sigv4.IncompleteSignature},
		{"no signature", "X-Amz-Signature=", "X-Signature=", sigv4.IncompleteSignature},
		{"a longer lifetime", "Expires=3600", "Expires=3601", ""},
		{"another action", "DescribeDBProxies", "DeleteDBProxy", ""},
		{"one parameter more", "/?", "/?x&", ""},
		{"another payload hash", "/?", "/?X-Amz-Content-Sha256=" + strings.Repeat("0", 64) + "&", ""},
		{"the payload hash twice", "/?", "/?X-Amz-Content-Sha256=x&x-amz-content-sha256=x&", sigv4.IncompleteSignature},
		{"one parameter less", "&Version=2014-10-31", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(v.Cases[i].Request, tt.old, tt.with, 1)
			if text == v.Cases[i].Request {
				t.Fatalf("%q is not in the request", tt.old)
			}
			r, hash, _ := read(t, text)
			sig, err := sigv4.ParseRequest(r)
			if tt.want != "" {
				wantKind(t, err, tt.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantKind(t, sig.Verify(v.SecretKey, v.now(t), sigv4.Payload{SHA256: hash}), sigv4.SignatureDoesNotMatch)
		})
	}
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	sig, err := sigv4.ParseRequest(signed(t, body, creds))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		offset time.Duration // our clock, seen from the client's
		want   sigv4.Kind
	}{
		{0, ""},
		{sigv4.MaxSkew, ""},
		{-sigv4.MaxSkew, ""},
		{sigv4.MaxSkew + time.Second, sigv4.RequestExpired},
		{-sigv4.MaxSkew - time.Second, sigv4.RequestInTheFuture},
		{24 * time.Hour, sigv4.RequestExpired},
	}
	for _, tt := range tests {
		err := sig.Verify(creds.SecretKey, now.Add(tt.offset), sigv4.Payload{SHA256: sha256.Sum256([]byte(body))})
		if tt.want == "" && err != nil {
			t.Errorf("offset %v: %v", tt.offset, err)
		}
		if tt.want != "" {
			wantKind(t, err, tt.want)
		}
	}
	err = sig.Verify(creds.SecretKey, now.Add(6*time.Minute), sigv4.Payload{})
	const want = "RequestExpired: Signature expired: 20261126T102030Z is now earlier than 20261126T102130Z (20261126T102630Z - 5 min.)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestUnsignedPayload: only a caller that says so lets the body go unsigned.
func TestUnsignedPayload(t *testing.T) {
	t.Parallel()
	r, _ := http.NewRequest("POST", "https://forebay.example/", nil)
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	sigv4.SignRequest(r, creds, "eu-central-1", "rds", nil, now)
	sig, err := sigv4.ParseRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte("anything"))
	if !sig.UnsignedPayload() {
		t.Error("UnsignedPayload() = false")
	}
	if err := sig.Verify(creds.SecretKey, now, sigv4.Payload{SHA256: hash, AllowUnsigned: true}); err != nil {
		t.Errorf("allowed: %v", err)
	}
	wantKind(t, sig.Verify(creds.SecretKey, now, sigv4.Payload{SHA256: hash}), sigv4.SignatureDoesNotMatch)
}

// TestDeclaredHash: a declared hash is signed, but must also be that of the body, whatever it says.
func TestDeclaredHash(t *testing.T) {
	t.Parallel()
	for _, declared := range []string{
		strings.Repeat("0", 64), "", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "unsigned-payload",
	} {
		r, _ := http.NewRequest("POST", "https://forebay.example/", nil)
		r.Header.Set("X-Amz-Content-Sha256", declared)
		sigv4.SignRequest(r, creds, "eu-central-1", "rds", []byte(body), now)
		sig, err := sigv4.ParseRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		err = sig.Verify(creds.SecretKey, now, sigv4.Payload{SHA256: sha256.Sum256([]byte(body)), AllowUnsigned: true})
		wantKind(t, err, sigv4.SignatureDoesNotMatch)
	}
}

func TestSessionToken(t *testing.T) {
	t.Parallel()
	c := creds
	c.SessionToken = "FwoGZXIvYXdzEXAMPLE=="
	r := signed(t, body, c)
	sig, err := sigv4.ParseRequest(r)
	if err != nil || sig.SessionToken != c.SessionToken {
		t.Fatalf("token %q, err %v", sig.SessionToken, err)
	}
	sigv4.SignRequest(r, creds, "eu-central-1", "rds", []byte(body), now)
	if r.Header.Get("X-Amz-Security-Token") != "" {
		t.Error("signing anew with a long-term key left the session token there")
	}
}

func TestErrorIs(t *testing.T) {
	t.Parallel()
	_, err := sigv4.ParseRequest(&http.Request{})
	if !errors.Is(err, &sigv4.Error{Kind: sigv4.MissingAuthenticationToken}) || errors.Is(err, &sigv4.Error{Kind: sigv4.RequestExpired}) {
		t.Errorf("errors.Is is wrong about %v", err)
	}
}

// FuzzParseRequest checks that no request panics, that none verifies with a key it was not signed with, and that what
// parses can be signed by us and verifies then.
func FuzzParseRequest(f *testing.F) {
	for _, name := range []string{"suite.json", "requests.json", "sdk-requests.json"} {
		for _, c := range readVectors(f, name).Cases {
			head, rest, _ := strings.Cut(c.Request, "\r\n")
			if c.Authorization != "" {
				rest = "Authorization: " + c.Authorization + "\r\n" + rest
			}
			f.Add(head + "\r\n" + rest)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		sig, err := sigv4.ParseRequest(r)
		if err != nil {
			var e *sigv4.Error
			if !errors.As(err, &e) || e.Kind == "" || e.Message == "" {
				t.Errorf("%q: error %#v", text, err)
			}
			return
		}
		p := sigv4.Payload{SHA256: sha256.Sum256(nil), AllowUnsigned: true}
		if err := sig.Verify("not the key", sig.Time, p); err == nil {
			t.Errorf("%q verifies with a wrong key", text)
		}
		if sig.Presigned {
			return
		}
		r.Header.Del("X-Amz-Content-Sha256")
		sigv4.SignRequest(r, creds, "r", "s", nil, now)
		if sig, err = sigv4.ParseRequest(r); err == nil {
			err = sig.Verify(creds.SecretKey, now, p)
		}
		if err != nil && !errors.Is(err, &sigv4.Error{Kind: sigv4.IncompleteSignature}) {
			t.Errorf("%q signed by us: %v", text, err)
		}
	})
}
