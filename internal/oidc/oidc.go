// Package oidc checks tokens of an OpenID Connect issuer that clients send in place of a password. It is the only package that
// knows the library, whose answers become engine.TokenError here. Nothing in it, no error included, holds a token.
package oidc

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"forebay/internal/engine"
	"forebay/internal/secret"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Claim is one that a token must have.
type Claim struct{ Name, Value string }

// Options say whose tokens count, and for whom.
type Options struct {
	Issuer   string // URL, https
	Audience string // that a token must be for
	CAFile   string // PEM bundle for the issuer's certificate; empty: the system's
	// Required are claims that a token must have, each with that value, or with a list that holds it.
	Required []Claim
	// UserClaim names the database user: its value or, of a list, one of its values.
	UserClaim string
	// UserTemplate makes a database user of such a value, which takes the place of {}; empty: the value itself.
	UserTemplate string
	Now          func() time.Time // nil: time.Now
}

// Bounds.
const (
	skew        = time.Minute      // between the issuer's clock and ours
	answerLimit = 5 * time.Second  // for one answer of the issuer
	maxAnswer   = 1 << 20          // bytes of one
	maxReason   = 300              // bytes of why the issuer cannot be asked
	askAgain    = 10 * time.Second // between two questions because of keys that are not known: anybody can name one
	failsFor    = time.Second      // how long a question that has failed is not asked again
	keysFor     = time.Hour        // after that the keys are fetched anew: one may have been withdrawn
	tryAgain    = time.Minute      // between two attempts at that
	maxTokenLen = 16 << 10
)

// algorithms are those that tokens may be signed by: all asymmetric, so that what checks a token cannot make one.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// Verifier checks the tokens of one issuer. Make one with New. It is safe for concurrent use.
type Verifier struct {
	// Static after New.
	o      Options
	client *http.Client

	turn chan struct{} // has one value while somebody uses what is below

	url   string    // guarded by turn; of the issuer's keys, as discovery has told
	keys  *keySet   // guarded by turn; nil: none yet
	tried time.Time // guarded by turn; when the keys were last to be fetched anew
}

// New returns a Verifier. Nothing is asked of the issuer before the first token comes.
func New(o Options) (*Verifier, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: expected at least one certificate in PEM", o.CAFile)
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = conf
	transport.DisableKeepAlives = true // the issuer is asked once in a while
	return &Verifier{o: o, turn: make(chan struct{}, 1), client: &http.Client{
		Transport: &sparing{next: transport, now: o.Now}, Timeout: answerLimit,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Scheme != "https" || len(via) > 3 {
				return errors.New("the issuer leads to a place without TLS, or nowhere")
			}
			return nil
		},
	}}, nil
}

// header is the first part of a token.
type header struct {
	Algorithm string `json:"alg"`
}

// Verify returns nil if the token lets its client in as a database user, a *engine.TokenError if it does not, and another error
// if that cannot be told. It may block, no longer than ctx lasts.
func (v *Verifier) Verify(ctx context.Context, token secret.Password, user string) error {
	text := token.Reveal()
	if len(text) > maxTokenLen {
		return refuse(engine.TokenMalformed, fmt.Errorf("it is longer than %d bytes", maxTokenLen))
	}
	first, _, _ := strings.Cut(text, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	var h header
	if err != nil || json.Unmarshal(raw, &h) != nil {
		return refuse(engine.TokenMalformed, errors.New("it is no JWT"))
	}
	if !slices.Contains(algorithms, h.Algorithm) {
		return refuse(engine.TokenSignature, fmt.Errorf("it is signed by %.16q, and must be by one of %s", h.Algorithm, strings.Join(algorithms, ", ")))
	}
	claims, err := v.signed(ctx, text)
	if err != nil {
		return err
	}
	return v.judge(claims, user)
}

// claims are what a token says that bears the issuer's signature.
type claims struct {
	issuer    string
	audience  []string
	expires   time.Time
	notBefore time.Time
	all       map[string]any
}

// signed checks a token's signature, and gives what it says.
func (v *Verifier) signed(ctx context.Context, text string) (*claims, error) {
	keys, old, err := v.current(ctx)
	if err != nil {
		return nil, v.unavailable(err)
	}
	if old {
		// One may have been withdrawn. While the issuer does not answer, those that are known go on.
		fresh := v.newKeys(v.url)
		c, err := v.signedBy(ctx, fresh, text)
		if err == nil || engine.TokenInvalid(err) {
			v.renewed(fresh)
			return c, err
		}
	}
	return v.signedBy(ctx, keys, text)
}

func (v *Verifier) signedBy(ctx context.Context, keys *keySet, text string) (*claims, error) {
	// Issuer, audience and time are judged by ourselves: so the reason of a refusal is known.
	check := oidc.NewVerifier(v.o.Issuer, keys, &oidc.Config{
		SupportedSigningAlgs: algorithms, SkipClientIDCheck: true, SkipExpiryCheck: true, SkipIssuerCheck: true,
	})
	var why error
	t, err := check.Verify(context.WithValue(ctx, whyKey{}, &why), text)
	switch {
	case why != nil:
		return nil, v.unavailable(why)
	case err != nil:
		return nil, refuse(engine.TokenSignature, errors.New("it does not bear the signature of a key of the issuer's"))
	}
	c := &claims{issuer: t.Issuer, audience: t.Audience, expires: t.Expiry}
	var rest struct {
		NotBefore float64 `json:"nbf"`
	}
	var payload json.RawMessage
	if t.Claims(&payload) != nil || t.Claims(&rest) != nil || decode(payload, &c.all) != nil {
		return nil, refuse(engine.TokenMalformed, errors.New("its claims cannot be read"))
	}
	if rest.NotBefore > 0 && rest.NotBefore < 1<<40 {
		c.notBefore = time.Unix(int64(rest.NotBefore), 0)
	}
	return c, nil
}

// judge holds what a token says against what it must say. The values of claims are a client's secret no more than its name.
func (v *Verifier) judge(c *claims, user string) error {
	now := v.o.Now()
	switch {
	case c.issuer != v.o.Issuer:
		return refuse(engine.TokenSignature, fmt.Errorf("it says that it is of %.128q", c.issuer))
	case !slices.Contains(c.audience, v.o.Audience):
		return refuse(engine.TokenEndpoint, fmt.Errorf("it is for %.256q", c.audience))
	case c.all["exp"] == nil:
		return refuse(engine.TokenMalformed, errors.New("it has no exp: it would count for ever"))
	case now.After(c.expires.Add(skew)):
		return refuse(engine.TokenExpired, fmt.Errorf("it has expired at %s", c.expires.UTC().Format(time.RFC3339)))
	case now.Add(skew).Before(c.notBefore):
		return refuse(engine.TokenExpired, fmt.Errorf("it is not valid before %s", c.notBefore.UTC().Format(time.RFC3339)))
	}
	for _, r := range v.o.Required {
		if !slices.Contains(values(c.all[r.Name]), r.Value) {
			return refuse(engine.TokenDenied, fmt.Errorf("its claim %s is not %q", r.Name, r.Value))
		}
	}
	for _, name := range values(c.all[v.o.UserClaim]) {
		if name != "" && v.userOf(name) == user {
			return nil
		}
	}
	return refuse(engine.TokenUser, fmt.Errorf("its claim %s is not for this user", v.o.UserClaim))
}

// UserOf returns the one database user that a token names, none of which has been verified. ok is false where it names none,
// or several.
func (v *Verifier) UserOf(token secret.Password) (user string, ok bool) {
	_, rest, _ := strings.Cut(token.Reveal(), ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return "", false
	}
	var all map[string]any
	if decode(text, &all) != nil {
		return "", false
	}
	names := values(all[v.o.UserClaim])
	if len(names) != 1 || names[0] == "" {
		return "", false
	}
	return v.userOf(names[0]), true
}

// userOf is the database user that a value of the claim stands for.
func (v *Verifier) userOf(value string) string {
	if v.o.UserTemplate == "" {
		return value
	}
	return strings.Replace(v.o.UserTemplate, "{}", value, 1)
}

// decode reads claims. Numbers stay as they are written: as a float64 two long ones may be the same.
func decode(text []byte, claims *map[string]any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(claims)
}

// values are the texts of a claim: of a list, all of them.
func values(claim any) []string {
	switch c := claim.(type) {
	case string:
		return []string{c}
	case bool:
		return []string{fmt.Sprint(c)}
	case json.Number:
		return []string{c.String()}
	case []any:
		var all []string
		for _, one := range c {
			switch one := one.(type) {
			case string:
				all = append(all, one)
			case json.Number:
				all = append(all, one.String())
			}
		}
		return all
	}
	return nil
}

func refuse(r engine.TokenReason, err error) error { return &engine.TokenError{Reason: r, Err: err} }
