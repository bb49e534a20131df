package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"

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
// derived from one version of a secret; immutable and safe for concurrent use. It prints as its user name alone.
type Verifier struct {
	user        string
	authType    resource.ClientPasswordAuthType
	mock        bool
	scram       *scram.Server
	md5         string // hex of md5(password || user)
	cleartext   []byte // keyed hash of the password
	credentials *Credentials
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
		return v, v.setKeys(keys)
	}
	return v, nil
}

func (v *Verifier) setKeys(keys scram.StoredCredentials) (err error) {
	// The name in the SCRAM message means nothing: PostgreSQL's clients leave it empty.
	v.scram, err = scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return keys, nil })
	return err
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
		return v, v.setKeys(scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: userSalt(user), Iters: clientIterations},
			StoredKey:  derive("mock stored key", user),
			ServerKey:  derive("mock server key", user),
		})
	}
	return v, nil
}

// User returns the name of the user that the verifier is for.
func (v *Verifier) User() string { return v.user }

// Credentials returns what Dial needs to log the same user in to a server.
func (v *Verifier) Credentials() *Credentials { return v.credentials }

// String returns the user name: nothing else of a Verifier may be printed.
func (v *Verifier) String() string { return v.user }

// GoString is String, for %#v.
func (v *Verifier) GoString() string { return v.user }
