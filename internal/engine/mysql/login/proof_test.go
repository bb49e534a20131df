package login

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"forebay/internal/resource"
	"forebay/internal/wire/mysqlwire"

	"filippo.io/edwards25519"
)

func testScramble() scramble { return scramble([]byte("abcdefghijklmnopqrst")) }

func TestHashes(t *testing.T) {
	t.Parallel()
	// SELECT PASSWORD('password') of MySQL 5.7 and MariaDB.
	native := nativeHash("password")
	if got := strings.ToUpper(hex.EncodeToString(native[:])); got != "2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19" {
		t.Errorf("native hash is %s", got)
	}
}

func TestProofs(t *testing.T) {
	t.Parallel()
	s := testScramble()
	other := s
	other[3]++
	for _, p := range []string{"a", "password", strings.Repeat("long", 100), "\x00\xff"} {
		for name, check := range map[string]func(string, scramble, []byte) bool{
			"native": func(p string, s scramble, b []byte) bool { return checkNative(nativeHash(p), s, b) },
			"sha2":   func(p string, s scramble, b []byte) bool { return checkSHA2(sha2Hash(p), s, b) },
		} {
			proof := nativeProof(p, s)
			if name == "sha2" {
				proof = sha2Proof(p, s)
			}
			switch {
			case !check(p, s, proof):
				t.Errorf("%s: proof of %q fails", name, p)
			case check(p+"x", s, proof), check(p, other, proof), check(p, s, nil), check(p, s, append(proof, 0)):
				t.Errorf("%s: a wrong proof of %q passes", name, p)
			}
		}
	}
	if nativeProof("", s) != nil || sha2Proof("", s) != nil {
		t.Error("an empty password has a proof")
	}
}

// TestEd25519 holds MariaDB's scheme against the standard one, which it is for passwords of 32 bytes.
func TestEd25519(t *testing.T) {
	t.Parallel()
	nonce := []byte("0123456789abcdef0123456789ABCDEF")
	seed := "a password of exactly 32 bytes.."
	if got, want := ed25519Proof(seed, nonce), ed25519.Sign(ed25519.NewKeyFromSeed([]byte(seed)), nonce); string(got) != string(want) {
		t.Errorf("proof is % x, want % x", got, want)
	}
	for _, p := range []string{"", "foobar", strings.Repeat("long", 100)} {
		expanded := sha512.Sum512([]byte(p))
		key, err := edwards25519.NewScalar().SetBytesWithClamping(expanded[:32])
		if err != nil {
			t.Fatal(err)
		}
		public := new(edwards25519.Point).ScalarBaseMult(key).Bytes()
		if !ed25519.Verify(public, nonce, ed25519Proof(p, nonce)) {
			t.Errorf("proof of %q fails", p)
		}
	}
}

func TestRSA(t *testing.T) {
	t.Parallel()
	key, err := serverKey()
	if err != nil {
		t.Fatal(err)
	}
	public, err := parsePublicKey(key.public)
	if err != nil {
		t.Fatal(err)
	}
	s := testScramble()
	for _, p := range []string{"", "x", strings.Repeat("p", 200)} {
		message, err := encryptPassword(p, s, public)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := key.decrypt(message, s); got != p || !ok {
			t.Errorf("%q becomes %q, %t", p, got, ok)
		}
		if got, ok := key.decrypt(message[1:], s); ok {
			t.Errorf("a cut message gives %q", got)
		}
	}
	if _, err := encryptPassword(strings.Repeat("p", 500), s, public); err == nil {
		t.Error("500 bytes fit into a block")
	}
	for _, text := range []string{"", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := parsePublicKey([]byte(text)); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}

func TestEndedString(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in, s string
		ok    bool
	}{{"", "", false}, {"a", "", false}, {"a\x00", "a", true}, {"\x00", "", true}, {"a\x00b\x00", "a", false}} {
		if s, ok := endedString([]byte(tt.in)); s != tt.s || ok != tt.ok {
			t.Errorf("endedString(%q) = %q, %t", tt.in, s, ok)
		}
	}
}

func TestScramble(t *testing.T) {
	t.Parallel()
	seen := map[scramble]bool{}
	for range 1000 {
		s := NewScramble()
		if seen[s] {
			t.Fatal("the same scramble twice")
		}
		seen[s] = true
		for _, c := range s {
			if c == 0 || c == '$' || c > 127 {
				t.Fatalf("scramble % x", s)
			}
		}
	}
}

func TestNothingPrintsSecrets(t *testing.T) {
	t.Parallel()
	for _, authType := range []resource.ClientPasswordAuthType{resource.MySQLNative, resource.MySQLCachingSHA2, resource.MySQLCleartext} {
		v := NewVerifier("u", "hunter2-secret", authType)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if out := fmt.Sprintf(verb+verb, v, v.Credentials()); out != "uu" {
				t.Errorf("%s of a verifier and its credentials prints %q", verb, out)
			}
		}
	}
}

// A mock verifier must go the same way as a real one, and let nobody in.
func TestMockLooksReal(t *testing.T) {
	t.Parallel()
	for _, authType := range []resource.ClientPasswordAuthType{"", resource.MySQLNative, resource.MySQLCleartext} {
		mock, real := mockVerifier("u", authType), NewVerifier("u", "p", authType)
		if mock.plugin() != real.plugin() || !mock.mock || mock.Credentials() != nil || mock.User() != "u" {
			t.Errorf("%q: mock is %+v", authType, mock)
		}
	}
	if NewVerifier("u", "p", resource.PostgresMD5).plugin() != mysqlwire.PluginCachingSHA2 {
		t.Error("a type of another engine is not the default")
	}
}
