package oidc_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"forebay/internal/engine"
	"forebay/internal/oidc"
	"forebay/internal/secret"
	"forebay/internal/testkit"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that the test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type claims = map[string]any

func verifier(t *testing.T, o oidc.Options) *oidc.Verifier {
	t.Helper()
	v, err := oidc.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// reasonOf is why a token was refused; unavailable stands for that it cannot be told.
func reasonOf(err error) string {
	var refused *engine.TokenError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return refused.Reason.String()
	}
	return "unavailable"
}

func TestVerify(t *testing.T) {
	t.Parallel()
	i := testkit.StartIssuer(t)
	i.Publish("ec", i.EC())
	i.Publish("two", i.RSA())
	now := time.Now()
	o := oidc.Options{Issuer: i.URL, Audience: "forebay", CAFile: i.CAFile, UserClaim: "sub", Required: []oidc.Claim{{"tenant", "shop"}, {"email_verified", "true"}}}
	by, prefixed := verifier(t, o), o
	prefixed.UserTemplate, prefixed.UserClaim = "app_{}", "groups"
	byGroup := verifier(t, prefixed)
	with := func(more claims) claims {
		all := claims{"sub": "app", "tenant": "shop", "email_verified": true}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	public, err := x509.MarshalPKIXPublicKey(i.RSA().Public())
	if err != nil {
		t.Fatal(err)
	}
	good := i.Token("one", nil, with(nil))
	for name, tt := range map[string]struct {
		token string
		user  string // empty: app
		group bool
		want  string
	}{
		"RS256":                      {token: good},
		"ES256":                      {token: i.Token("ec", nil, with(nil))},
		"one of several audiences":   {token: i.Token("one", nil, with(claims{"aud": []string{"x", "forebay"}}))},
		"a claim that is a list":     {token: i.Token("one", nil, with(claims{"tenant": []string{"x", "shop"}}))},
		"just expired":               {token: i.Token("one", nil, with(claims{"exp": now.Add(-50 * time.Second).Unix()}))},
		"just not valid yet":         {token: i.Token("one", nil, with(claims{"nbf": now.Add(50 * time.Second).Unix()}))},
		"a group":                    {token: i.Token("one", nil, with(claims{"groups": []string{"x", "reports"}})), user: "app_reports", group: true},
		"not that group":             {token: i.Token("one", nil, with(claims{"groups": []string{"x"}})), user: "app_reports", group: true, want: "user"},
		"no groups":                  {token: good, user: "app_", group: true, want: "user"},
		"the claim without template": {token: i.Token("one", nil, with(claims{"groups": "reports"})), user: "reports", group: true, want: "user"},
		"expired":                    {token: i.Token("one", nil, with(claims{"exp": now.Add(-2 * time.Minute).Unix()})), want: "expired"},
		"not valid yet":              {token: i.Token("one", nil, with(claims{"nbf": now.Add(2 * time.Minute).Unix()})), want: "expired"},
		"without an end":             {token: i.Token("one", nil, with(claims{"exp": nil})), want: "malformed"},
		"another issuer's":           {token: i.Token("one", nil, with(claims{"iss": "https://evil.example.com"})), want: "signature"},
		"another audience":           {token: i.Token("one", nil, with(claims{"aud": "other"})), want: "endpoint"},
		"no audience":                {token: i.Token("one", nil, with(claims{"aud": nil})), want: "endpoint"},
		"another tenant":             {token: i.Token("one", nil, with(claims{"tenant": "other"})), want: "denied"},
		"no tenant":                  {token: i.Token("one", nil, with(claims{"tenant": nil})), want: "denied"},
		"not verified":               {token: i.Token("one", nil, with(claims{"email_verified": false})), want: "denied"},
		"another user":               {token: i.Token("one", nil, with(claims{"sub": "App"})), want: "user"},
		"a long number":              {token: i.Token("one", nil, with(claims{"groups": 9007199254740993})), user: "app_9007199254740993", group: true},
		"another long number":        {token: i.Token("one", nil, with(claims{"groups": 9007199254740993})), user: "app_9007199254740992", group: true, want: "user"},
		"a round number":             {token: i.Token("one", nil, with(claims{"groups": 100000000000000000})), user: "app_100000000000000000", group: true},
		"a number in a list":         {token: i.Token("one", nil, with(claims{"groups": []int{9007199254740993}})), user: "app_9007199254740993", group: true},
		"no user":                    {token: i.Token("one", nil, with(claims{"sub": nil})), want: "user"},
		"an empty user":              {token: i.Token("one", nil, with(claims{"sub": ""})), user: "", want: "user"},
		"a key that is not its":      {token: i.Token("one", i.RSA(), with(nil)), want: "signature"},
		"a key that nobody knows":    {token: i.Token("three", i.RSA(), with(nil)), want: "signature"},
		"a changed claim":            {token: strings.Join([]string{strings.Split(good, ".")[0], strings.Split(i.Token("one", nil, with(claims{"sub": "root"})), ".")[1], strings.Split(good, ".")[2]}, "."), user: "root", want: "signature"},
		"alg none":                   {token: i.Unsigned(with(nil)), want: "signature"},
		"HS256 with the public key":  {token: i.Symmetric("one", public, with(nil)), want: "signature"},
		"a password":                 {token: "hunter2", want: "malformed"},
		"nothing":                    {token: "", want: "malformed"},
		"too long":                   {token: i.Token("one", nil, with(claims{"more": strings.Repeat("x", 20000)})), want: "malformed"},
	} {
		v, user := by, tt.user
		if tt.group {
			v = byGroup
		}
		if user == "" && name != "an empty user" {
			user = "app"
		}
		err := v.Verify(t.Context(), secret.Password(tt.token), user)
		if got := reasonOf(err); got != tt.want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, tt.want)
		}
		if err != nil && len(tt.token) > 20 && strings.Contains(err.Error(), tt.token[len(tt.token)-20:]) {
			t.Errorf("%s: the error holds the token", name)
		}
	}
}

// TestKeys follows the issuer's keys: new ones count soon, withdrawn ones no more after a while, and while it does not answer
// those that are known go on.
func TestKeys(t *testing.T) {
	t.Parallel()
	i := testkit.StartIssuer(t)
	i.SetDown(true)
	c := &clock{at: time.Now()}
	v := verifier(t, oidc.Options{Issuer: i.URL, Audience: "forebay", CAFile: i.CAFile, UserClaim: "sub", Now: c.now})
	far := claims{"sub": "app", "exp": c.now().Add(100 * time.Hour).Unix()}
	first := i.Token("one", nil, far)
	check := func(what, token, want string) {
		t.Helper()
		if err := v.Verify(t.Context(), secret.Password(token), "app"); reasonOf(err) != want {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	check("an issuer that is down", first, "unavailable")
	i.SetDown(false)
	c.pass(2 * time.Second)
	check("an issuer that is back", first, "")

	i.Publish("two", i.RSA())
	second := i.Token("two", nil, far)
	check("a key that is too new", second, "signature")
	asked := i.Asks()
	for range 50 {
		check("a key that is too new", second, "signature")
	}
	if now := i.Asks(); now != asked {
		t.Errorf("the issuer was asked %d times because of one token", now-asked)
	}
	c.pass(11 * time.Second)
	check("a new key", second, "")
	check("the older key", first, "")

	i.SetDown(true)
	c.pass(11 * time.Second)
	check("a key that may be known to the issuer", i.Token("three", i.RSA(), far), "unavailable")
	check("a known key", second, "")
	c.pass(2 * time.Hour)
	check("a known key, that is to be fetched anew", second, "")
	i.SetDown(false)
	i.Publish("one", nil)
	c.pass(2 * time.Minute)
	check("a known key, fetched anew", second, "")
	check("a key that was withdrawn", first, "signature")
}

func TestNowhere(t *testing.T) {
	t.Parallel()
	i := testkit.StartIssuer(t)
	token := secret.Password(i.Token("one", nil, claims{"sub": "app"}))
	for name, o := range map[string]oidc.Options{
		"another certificate": {Issuer: i.URL},
		"nobody there":        {Issuer: "https://127.0.0.1:1", CAFile: i.CAFile},
		"another path":        {Issuer: i.URL + "/realm", CAFile: i.CAFile},
	} {
		o.Audience, o.UserClaim = "forebay", "sub"
		err := verifier(t, o).Verify(t.Context(), token, "app")
		if reasonOf(err) != "unavailable" || !strings.Contains(err.Error(), "the keys of the issuer "+o.Issuer+" cannot be had") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := oidc.New(oidc.Options{CAFile: "none.pem"}); err == nil {
		t.Error("a file that is not there is no error")
	}
}

// TestUserOf reads whom a token names, before anything of it is verified.
func TestUserOf(t *testing.T) {
	t.Parallel()
	i := testkit.StartIssuer(t)
	o := oidc.Options{Issuer: i.URL, Audience: "forebay", CAFile: i.CAFile, UserClaim: "groups", UserTemplate: "app_{}"}
	v := verifier(t, o)
	for name, tt := range map[string]struct {
		token, want string // want is empty where it names nobody
	}{
		"one":              {i.Token("one", nil, claims{"groups": "reports"}), "app_reports"},
		"a list of one":    {i.Token("one", nil, claims{"groups": []string{"reports"}}), "app_reports"},
		"several":          {i.Token("one", nil, claims{"groups": []string{"x", "reports"}}), ""},
		"none":             {i.Token("one", nil, claims{}), ""},
		"a long number":    {i.Token("one", nil, claims{"groups": 9007199254740993}), "app_9007199254740993"},
		"empty":            {i.Token("one", nil, claims{"groups": ""}), ""},
		"no JWT":           {"Action=connect", ""},
		"not base64":       {"ey.ey!.x", ""},
		"not JSON":         {"ey.eyJ4.x", ""},
		"of another shape": {"ey.W10.x", ""},
	} {
		if got, ok := v.UserOf(secret.Password(tt.token)); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %t", name, got, ok)
		}
	}
}
