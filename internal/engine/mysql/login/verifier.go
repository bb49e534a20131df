package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"sync"
	"time"

	"forebay/internal/resource"
	"forebay/internal/secret"
	"forebay/internal/wire/mysqlwire"
)

// processKey hides passwords in memory and stands in for those that do not exist. It is drawn once for each process.
var processKey = sync.OnceValue(func() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
})

// derive is a keyed hash of a text for one purpose.
func derive(purpose, text string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, processKey())
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write([]byte(text))
	return [sha256.Size]byte(mac.Sum(nil))
}

// Verifier checks one user's proof that it knows a password, and holds the same user's Credentials for servers. It is
// derived from one state of a secret; immutable and safe for concurrent use. It prints as its user name alone.
type Verifier struct {
	user        string
	authType    resource.ClientPasswordAuthType
	mock        bool
	native      [sha1.Size]byte   // mysql_native_password
	sha2        [sha256.Size]byte // caching_sha2_password
	cleartext   [sha256.Size]byte // mysql_clear_password, and caching_sha2_password in full: keyed hash
	check       func(ctx context.Context, password secret.Password) error
	credentials *Credentials
	previous    *Verifier                // of the password before this one, while it counts too; nil: none
	lets        func(now time.Time) bool // whether previous lets clients in; nil: there is none
}

// NewVerifier derives a verifier, which takes some microseconds. An empty authType means MySQLCachingSHA2, the contract's
// default; types of other engines count as that too. An empty password lets nobody in.
func NewVerifier(user string, password secret.Password, authType resource.ClientPasswordAuthType) *Verifier {
	v := &Verifier{user: user, authType: authType, credentials: NewCredentials(user, password)}
	switch text := password.Reveal(); authType {
	case resource.MySQLNative:
		v.native = nativeHash(text)
	case resource.MySQLCleartext:
		v.cleartext = derive("cleartext", text)
	default:
		v.sha2, v.cleartext = sha2Hash(text), derive("cleartext", text)
	}
	return v
}

// NewVerifierOf derives the verifier of a secret. It takes the previous password of the same user, too, if the secret has
// one.
func NewVerifierOf(s secret.Secret, authType resource.ClientPasswordAuthType) *Verifier {
	v := NewVerifier(s.Username, s.Password, authType)
	if p := s.Previous; p != nil && p.Username == s.Username && p.Password != s.Password {
		v.previous = NewVerifier(p.Username, p.Password, authType)
		v.lets = p.LetsIn
	}
	return v
}

// older is the verifier of the previous password, nil if there is none or it lets no client in any more.
func (v *Verifier) older() *Verifier {
	if v.previous == nil || !v.lets(time.Now()) {
		return nil
	}
	return v.previous
}

// NewCheckVerifier returns a verifier for a user whose password is not known in advance, such as a token: check is given
// what the client sent, never empty. authType is MySQLCleartext, over TLS alone, or anything else for the full path of
// caching_sha2_password, over TLS or encrypted with a key of ours. check may block. What it returns decides what the client
// is told: see engine.TokenCheck. Without Credentials the verifier stands in for a user that does not exist.
func NewCheckVerifier(
	user string, check func(context.Context, secret.Password) error, authType resource.ClientPasswordAuthType, c *Credentials,
) *Verifier {
	if authType != resource.MySQLCleartext {
		authType = resource.MySQLCachingSHA2
	}
	return &Verifier{user: user, authType: authType, check: check, credentials: c, mock: c == nil}
}

// Holds reports whether a password, as the client has sent it, is that of a verifier made from one.
func (v *Verifier) Holds(password secret.Password) bool {
	got := derive("cleartext", password.Reveal())
	ok := hmac.Equal(got[:], v.cleartext[:])
	if p := v.older(); p != nil {
		ok = hmac.Equal(got[:], p.cleartext[:]) || ok
	}
	return ok && !v.mock
}

// proves reports whether proof was made, with a scramble, from the password of a verifier of mysql_native_password or
// caching_sha2_password.
func (v *Verifier) proves(s scramble, proof []byte) bool {
	check := func(v *Verifier) bool { return checkSHA2(v.sha2, s, proof) }
	if v.authType == resource.MySQLNative {
		check = func(v *Verifier) bool { return checkNative(v.native, s, proof) }
	}
	ok := check(v)
	if p := v.older(); p != nil {
		ok = check(p) || ok
	}
	return ok && !v.mock
}

// mockVerifier stands in for a user that does not exist. No proof satisfies it, and all its messages and steps are those
// of a real one.
func mockVerifier(user string, authType resource.ClientPasswordAuthType) *Verifier {
	v := &Verifier{user: user, authType: authType, mock: true}
	hash := derive("mock", user)
	switch authType {
	case resource.MySQLNative:
		v.native = [sha1.Size]byte(hash[:])
	case resource.MySQLCleartext:
		v.cleartext = hash
	default:
		v.sha2, v.cleartext = hash, hash
	}
	return v
}

// plugin is the client's side of the verifier.
func (v *Verifier) plugin() string {
	switch v.authType {
	case resource.MySQLNative:
		return mysqlwire.PluginNative
	case resource.MySQLCleartext:
		return mysqlwire.PluginClearPassword
	}
	return mysqlwire.PluginCachingSHA2
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
