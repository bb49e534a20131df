package api

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"forebay/internal/sigv4"
)

// TestBadInput sends what no client of AWS's sends. Each is refused with a code, and nothing changes.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := postgresDatabase(t)
	p := w.newProxy("shop", d, w.secret("app", d.user, "the-secret-password", nil))
	user := w.userKey("somebody", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds:DescribeDBProxies","Resource":"*"}]}`)
	before := w.described()

	form := "Action=DeleteDBProxy&Version=2014-10-31&DBProxyName=shop"
	secret := `{"SecretId":"app","SecretString":"the-new-password"}`
	wrong, unknown := w.root, w.root
	wrong.SecretKey = strings.Repeat("x", len(wrong.SecretKey))
	unknown.AccessKeyID = "AKIAAAAAAAAAAAAAAAAA"
	session := w.root
	session.SessionToken = "no-such-session-token"
	type request struct {
		what   string
		body   string
		target string // of JSON; empty: a form
		key    sigv4.Credentials
		at     time.Duration
		change func(r *http.Request) // after it is signed
		status int
		code   string
	}
	replace := func(body string) func(r *http.Request) {
		return func(r *http.Request) {
			b := strings.NewReader(body)
			r.Body, r.ContentLength = http.NoBody, 0
			r2, err := http.NewRequest(r.Method, r.URL.String(), b)
			if err != nil {
				t.Fatal(err)
			}
			r.Body, r.ContentLength, r.GetBody = r2.Body, r2.ContentLength, r2.GetBody
		}
	}
	drop := func(header string) func(r *http.Request) { return func(r *http.Request) { r.Header.Del(header) } }
	set := func(header, value string) func(r *http.Request) {
		return func(r *http.Request) { r.Header.Set(header, value) }
	}
	const put = "secretsmanager.PutSecretValue"
	for _, tt := range []request{
		{what: "unsigned", body: form, key: w.root, change: drop("Authorization"), status: 403, code: "MissingAuthenticationToken"},
		{what: "unsigned JSON", body: secret, target: put, key: w.root, change: drop("Authorization"), status: 400, code: "MissingAuthenticationTokenException"},
		{what: "a wrong key", body: form, key: wrong, status: 403, code: "SignatureDoesNotMatch"},
		{what: "a wrong key, JSON", body: secret, target: put, key: wrong, status: 400, code: "InvalidSignatureException"},
		{what: "an unknown key", body: form, key: unknown, status: 403, code: "InvalidClientTokenId"},
		{what: "an unknown key, JSON", body: secret, target: put, key: unknown, status: 400, code: "UnrecognizedClientException"},
		{what: "a session token of nobody", body: form, key: session, status: 403, code: "InvalidClientTokenId"},
		{what: "no permission", body: form, key: user, status: 403, code: "AccessDenied"},
		{what: "no permission, JSON", body: secret, target: put, key: user, status: 400, code: "AccessDeniedException"},
		{what: "expired", body: form, key: w.root, at: -20 * time.Minute, status: 400, code: "RequestExpired"},
		{what: "expired, JSON", body: secret, target: put, key: w.root, at: -20 * time.Minute, status: 400, code: "InvalidSignatureException"},
		{what: "in the future", body: form, key: w.root, at: 20 * time.Minute, status: 403, code: "SignatureDoesNotMatch"},
		{what: "another body", body: strings.Replace(form, "shop", "SHOP", 1), key: w.root, change: replace(form), status: 403, code: "SignatureDoesNotMatch"},
		{what: "another body, JSON", body: `{"SecretId":"app","SecretString":"x"}`, target: put, key: w.root, change: replace(secret), status: 400, code: "InvalidSignatureException"},
		{what: "another date", body: form, key: w.root, change: set("X-Amz-Date", time.Now().Add(time.Minute).UTC().Format("20060102T150405Z")), status: 403, code: "SignatureDoesNotMatch"},
		{what: "half a signature", body: form, key: w.root, change: set("Authorization", "AWS4-HMAC-SHA256 Credential=x"), status: 400, code: "IncompleteSignature"},
		{what: "oversized", body: form + "&x=" + strings.Repeat("x", 1<<20), key: w.root, status: 413, code: "RequestEntityTooLarge"},
		{what: "oversized and unsigned", body: form + "&x=" + strings.Repeat("x", 1<<20), key: w.root, change: drop("Authorization"), status: 413, code: "RequestEntityTooLarge"},
		{what: "no action", body: "Version=2014-10-31", key: w.root, status: 400, code: "MissingAction"},
		{what: "another action", body: "Action=RebootDBInstance&Version=2014-10-31", key: w.root, status: 400, code: "InvalidAction"},
		{what: "a form that cannot be decoded", body: form + "&x=%zz", key: w.root, status: 404, code: "MalformedQueryString"},
		{what: "an unknown parameter", body: form + "&Force=true", key: w.root, status: 400, code: "ValidationError"},
		{what: "a name that is too long", body: strings.Replace(form, "shop", strings.Repeat("a", 64), 1), key: w.root, status: 400, code: "InvalidParameterValue"},
		{what: "half of JSON", body: secret[:20], target: put, key: w.root, status: 400, code: "SerializationException"},
		{what: "JSON of another type", body: `{"SecretId":["app"]}`, target: put, key: w.root, status: 400, code: "SerializationException"},
		{what: "another target", body: secret, target: "secretsmanager.StealSecret", key: w.root, status: 400, code: "UnknownOperationException"},
		{what: "deep JSON", body: strings.Repeat(`{"a":`, 100000), target: put, key: w.root, status: 400, code: "SerializationException"},
	} {
		body := []byte(tt.body)
		r := w.request(w.url(), body)
		service := "rds"
		if tt.target != "" {
			service = "secretsmanager"
			r.Header.Set("Content-Type", "application/x-amz-json-1.1")
			r.Header.Set("X-Amz-Target", tt.target)
		} else {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		}
		sigv4.SignRequest(r, tt.key, region, service, body, time.Now().Add(tt.at))
		if tt.change != nil {
			tt.change(r)
		}
		status, answer := w.send(r)
		code := "<Code>" + tt.code + "</Code>"
		if tt.target != "" {
			code = `"__type":"` + tt.code + `"`
		}
		if status != tt.status || !strings.Contains(answer, code) {
			t.Errorf("%s: %d %.300s, want %d %s", tt.what, status, answer, tt.status, tt.code)
		}
		for _, s := range []string{"the-new-password", "the-secret-password", w.root.SecretKey, session.SessionToken} {
			if strings.Contains(answer, s) {
				t.Errorf("%s: a secret is in the answer", tt.what)
			}
		}
	}
	// Other methods and paths, and what is no HTTP.
	for _, r := range []*http.Request{{Method: "PUT"}, {Method: "DELETE"}, {Method: "OPTIONS"}} {
		u, err := url.Parse(w.url() + "/anything?Action=DeleteDBProxy")
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.Header = u, http.Header{}
		if status, answer := w.send(r); status < 400 || status >= 500 {
			t.Errorf("%s: %d %.200s", r.Method, status, answer)
		}
	}
	if after := w.described(); after != before {
		t.Errorf("something has changed:\n%s\nwas\n%s", after, before)
	}
	if answer := w.secretText(p.secret.arn); !strings.Contains(answer, "the-secret-password") {
		t.Error("the secret has changed")
	}
	w.silent("the-new-password", "the-secret-password", user.SecretKey, session.SessionToken)
	if bytes.Contains([]byte(w.log.String()), []byte("level=ERROR msg=\"management API\"")) {
		t.Error("a failure of Forebay's own is in the log")
	}
}
