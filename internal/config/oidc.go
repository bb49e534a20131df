package config

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"forebay/internal/resource"
)

// OIDC says whose OpenID Connect tokens may stand in for a password. Without an issuer there are none.
type OIDC struct {
	Issuer         string
	Audience       string
	CAFile         string // empty: the system's
	RequiredClaims []Claim
	UserClaim      string
	UserTemplate   string // with {} for the claim's value; empty: the value itself
	APIProxies     bool   // proxies of the API take them where they take tokens of RDS
}

// Claim is one that a token must have, with its value.
type Claim struct{ Name, Value string }

// Enabled reports whether there is an issuer.
func (o *OIDC) Enabled() bool { return o.Issuer != "" }

// Equal reports whether a and b say the same.
func (o *OIDC) Equal(b *OIDC) bool {
	return slices.Equal(o.RequiredClaims, b.RequiredClaims) && o.Issuer == b.Issuer && o.Audience == b.Audience && o.CAFile == b.CAFile &&
		o.UserClaim == b.UserClaim && o.UserTemplate == b.UserTemplate && o.APIProxies == b.APIProxies
}

type oidcSection struct {
	Issuer         string         `yaml:"issuer"`
	Audience       string         `yaml:"audience"`
	CAFile         string         `yaml:"ca_file"`
	RequiredClaims []claimSection `yaml:"required_claims"`
	UserClaim      string         `yaml:"user_claim"`
	UserTemplate   string         `yaml:"user_template"`
	APIProxies     bool           `yaml:"api_proxies"`
}

type claimSection struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

// oidc checks the issuer's section. Nobody is asked.
func (c *checker) oidc(s oidcSection) OIDC {
	if !c.has("oidc") {
		return OIDC{}
	}
	out := OIDC{
		Issuer: s.Issuer, Audience: s.Audience, CAFile: c.path(s.CAFile), UserClaim: s.UserClaim, UserTemplate: s.UserTemplate, APIProxies: s.APIProxies,
	}
	if c.required("oidc.issuer", s.Issuer, "the issuer's URL, as tokens have it in iss") {
		u, err := url.Parse(s.Issuer)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			c.errorf("oidc.issuer", "expected a URL such as https://login.example.com/realms/main, got %q", clip(s.Issuer))
		}
	}
	c.required("oidc.audience", s.Audience, "whom tokens must be for, as they have it in aud")
	c.required("oidc.user_claim", s.UserClaim, "the name of a claim")
	if s.UserTemplate != "" && strings.Count(s.UserTemplate, "{}") != 1 {
		c.errorf("oidc.user_template", "expected a text with {} in it once, got %q", clip(s.UserTemplate))
	}
	if s.CAFile != "" {
		if data, ok := c.readable("oidc.ca_file", s.CAFile); ok && !x509.NewCertPool().AppendCertsFromPEM(data) {
			c.errorf("oidc.ca_file", "expected at least one certificate in PEM, got none in %q", clip(c.path(s.CAFile)))
		}
	}
	for i, r := range s.RequiredClaims {
		at := fmt.Sprintf("oidc.required_claims[%d]", i)
		c.required(join(at, "name"), r.Name, "the name of a claim")
		c.required(join(at, "value"), r.Value, "the value that it must have")
		out.RequiredClaims = append(out.RequiredClaims, Claim(r))
	}
	return out
}

// oidcAuth checks whether an auth entry takes tokens of the issuer. Its words, and their meanings, are those of IAMAuth.
func (c *checker) oidcAuth(path, word string) resource.IAMAuth {
	if word == "" && !c.has(path) {
		return ""
	}
	if !c.oneOf(path, word, string(resource.IAMDisabled), string(resource.IAMRequired), string(resource.IAMEnabled)) {
		return ""
	}
	a := resource.IAMAuth(word)
	if a.Tokens() && !c.has("oidc") {
		c.errorf(path, "expected the section oidc in this file, which says whose tokens count")
	}
	return a
}
