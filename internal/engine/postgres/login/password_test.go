package login

import (
	"fmt"
	"strings"
	"testing"

	"forebay/internal/resource"
)

func TestSASLPrep(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"ascii stays, control characters too", "a\tb", "a\tb"},
		{"compatibility form", "\u2168", "IX"},
		{"soft hyphen vanishes", "I\u00adX", "IX"},
		{"space of another kind", "a\u00a0b", "a b"},
		{"zero width space is a space, as in PostgreSQL", "a\u200bb", "a b"},
		{"prohibited stays raw", "\u0007\u00e9", "\u0007\u00e9"},
		{"mixed directions stay raw", "\u0627a", "\u0627a"},
		{"not UTF-8 stays raw", "\xffx", "\xffx"},
		{"nothing left stays raw", "\u00ad", "\u00ad"},
	}
	for _, tt := range tests {
		if got := saslPrep(tt.in); got != tt.want {
			t.Errorf("%s: saslPrep(%q) = %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}

func TestNothingPrintsSecrets(t *testing.T) {
	t.Parallel()
	const password = "hunter2-secret"
	for _, authType := range []resource.ClientPasswordAuthType{
		resource.PostgresSCRAM, resource.PostgresMD5, resource.PostgresCleartext,
	} {
		v, err := NewVerifier("u", password, authType)
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			out := fmt.Sprintf(verb+verb, v, v.Credentials())
			if out != "uu" {
				t.Errorf("%s of a verifier and its credentials prints %q", verb, out)
			}
		}
		if v.md5 != "" && strings.Contains(v.String(), v.md5) {
			t.Error("hash printed")
		}
	}
}

// A salt must not tell a real user from one that does not exist, nor one version of a secret from the next.
func TestMockLooksReal(t *testing.T) {
	t.Parallel()
	challenge := func(v *Verifier) string {
		c, err := (&acceptor{}).conversation(v, newNonce(), false)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Step("n,,n=,r=x")
		if err != nil {
			t.Fatal(err)
		}
		return s[strings.IndexByte(s, ','):]
	}
	first, err := NewVerifier("u", "one", "")
	if err != nil {
		t.Fatal(err)
	}
	second, _ := NewVerifier("u", "two", "")
	mock, _ := mockVerifier("u", "")
	other, _ := mockVerifier("v", "")
	if a, b, c := challenge(first), challenge(second), challenge(mock); a != b || b != c {
		t.Errorf("salts of one user differ: %q, %q, %q", a, b, c)
	}
	if challenge(mock) == challenge(other) {
		t.Error("two users have the same salt")
	}
}
