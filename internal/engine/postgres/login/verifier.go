package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"forebay/internal/resource"
	"forebay/internal/secret"

	"github.com/xdg-go/scram"
)

// clientIterations is the SCRAM iteration count shown to clients (contract section 6.5).
const clientIterations = 4096

const saltLen = 16 // bytes, as PostgreSQL's

// processKey makes salts and hides passwords in memory. It is drawn once for each process.
var processKey = sync.OnceValue(func() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
})

// derive is a keyed hash of a name for one purpose.
func derive(purpose, name string) []byte {
	mac := hmac.New(sha256.New, processKey())
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write([]byte(name))
	return mac.Sum(nil)
}

// userSalt is the SCRAM salt of a user. Real and mock verifiers have theirs from here, so that a salt, and whether it
// stays the same, says nothing about a user (the server's mock authentication nonce has the same purpose).
func userSalt(user string) string { return string(derive("salt", user)[:saltLen]) }

// Verifier checks one user's proof that it knows a password, and holds the same user's Credentials for servers. It is
// derived from one state of a secret; immutable and safe for concurrent use. It prints as its user name alone.
type Verifier struct {
	user        string
	authType    resource.ClientPasswordAuthType
	mock        bool
	scram       *scram.StoredCredentials
	md5         string // hex of md5(password || user)
	cleartext   []byte // keyed hash of the password
	check       func(ctx context.Context, password secret.Password) error
	tokensOnly  bool // check takes tokens, no passwords
	credentials *Credentials
	previous    *Verifier                // of the password before this one, while it counts too; nil: none
	lets        func(now time.Time) bool // whether previous lets clients in; nil: there is none
}

// NewVerifier derives a verifier. With SCRAM it costs one PBKDF2, some milliseconds: use Verifiers, which does so once
// for each version of a secret. An empty authType means SCRAM, the contract's default.
func NewVerifier(user string, password secret.Password, authType resource.ClientPasswordAuthType) (*Verifier, error) {
	if authType == "" {
		authType = resource.PostgresSCRAM
	}
	v := &Verifier{
		user:        user,
		authType:    authType,
		credentials: NewCredentials(user, password),
	}
	switch authType {
	case resource.PostgresMD5:
		v.md5 = md5Hash(user, password.Reveal())
	case resource.PostgresCleartext:
		v.cleartext = derive("cleartext", password.Reveal())
	default:
		keys, err := v.credentials.keys(scram.KeyFactors{Salt: userSalt(user), Iters: clientIterations})
		if err != nil {
			return nil, err
		}
		v.scram = &keys
	}
	return v, nil
}

// NewVerifierOf derives the verifier of a secret. It takes the previous password of the same user, too, if the secret has
// one: both have the same salt, so that a client's proof can be held against either.
func NewVerifierOf(s secret.Secret, authType resource.ClientPasswordAuthType) (*Verifier, error) {
	v, err := NewVerifier(s.Username, s.Password, authType)
	if err != nil {
		return nil, err
	}
	if p := s.Previous; p != nil && p.Username == s.Username && p.Password != s.Password {
		v.previous, err = NewVerifier(p.Username, p.Password, authType)
		v.lets = p.LetsIn
	}
	return v, err
}

// older is the verifier of the previous password, nil if there is none or it lets no client in any more.
func (v *Verifier) older() *Verifier {
	if v.previous == nil || !v.lets(time.Now()) {
		return nil
	}
	return v.previous
}

// NewTokenVerifier returns a verifier for a user who logs in with a token: check, which may block, is given what the client
// sent over TLS. tokensOnly says that it takes no password. What check returns decides what the client is told: see
// engine.TokenCheck. Without Credentials it stands in for a user that does not exist.
func NewTokenVerifier(
	user string, check func(context.Context, secret.Password) error, tokensOnly bool, c *Credentials,
) *Verifier {
	return &Verifier{
		user: user, authType: resource.PostgresCleartext, check: check, tokensOnly: tokensOnly, credentials: c, mock: c == nil,
	}
}

// Holds reports whether a password is that of a verifier of type PostgresCleartext.
func (v *Verifier) Holds(password secret.Password) bool {
	got := derive("cleartext", password.Reveal())
	ok := hmac.Equal(got, v.cleartext) && !v.mock
	if p := v.older(); p != nil {
		ok = hmac.Equal(got, p.cleartext) || ok
	}
	return ok
}

// mockVerifier stands in for a user that does not exist. No proof satisfies it, and all its messages and steps are those
// of a real one.
func mockVerifier(user string, authType resource.ClientPasswordAuthType) (*Verifier, error) {
	if authType == "" {
		authType = resource.PostgresSCRAM
	}
	v := &Verifier{user: user, authType: authType, mock: true}
	switch authType {
	case resource.PostgresMD5:
		v.md5 = hex.EncodeToString(derive("mock md5", user)[:16])
	case resource.PostgresCleartext:
		v.cleartext = derive("mock cleartext", user)
	default:
		v.scram = &scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: userSalt(user), Iters: clientIterations},
			StoredKey:  derive("mock stored key", user),
			ServerKey:  derive("mock server key", user),
		}
	}
	return v, nil
}

// User returns the name of the user that the verifier is for.
func (v *Verifier) User() string { return v.user }

// Credentials returns what Dial needs to log the same user in to a server.
func (v *Verifier) Credentials() *Credentials { return v.credentials }

// Previous returns the same for the previous password, nil if there is none.
func (v *Verifier) Previous() *Credentials {
	if v.previous == nil {
		return nil
	}
	return v.previous.credentials
}

// String returns the user name: nothing else of a Verifier may be printed.
func (v *Verifier) String() string { return v.user }

// GoString is String, for %#v.
func (v *Verifier) GoString() string { return v.user }
