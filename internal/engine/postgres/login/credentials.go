package login

import (
	"sync"

	"forebay/internal/secret"

	"github.com/xdg-go/scram"
)

// maxKeyFactors is how many salts a Credentials keeps keys for: a user has one salt on each server it logs in to.
const maxKeyFactors = 16

// Credentials log one user in to servers. The keys derived from the password are kept for each salt and iteration
// count, so that only the first login to a server costs a PBKDF2. Safe for concurrent use; prints as the user name.
type Credentials struct {
	user     string
	password secret.Password
	prepared string // password after SASLprep
	token    bool   // password is a token: see NewTokenCredentials

	mu    sync.Mutex // held while deriving: connections that open together derive once
	scram *scram.Client
	known map[scram.KeyFactors]bool // what scram has cached; guarded by mu
}

// NewCredentials returns the credentials of a user. It derives nothing yet.
func NewCredentials(user string, password secret.Password) *Credentials {
	c := &Credentials{user: user, password: password, prepared: saslPrep(password.Reveal())}
	c.forgetLocked()
	return c
}

// NewTokenCredentials returns the credentials of a user for one log-in by an IAM token. A token is sent over TLS alone, and
// only to a server that asks for a password in the clear, as those do that take tokens (contract section 6.5).
func NewTokenCredentials(user string, token secret.Password) *Credentials {
	c := NewCredentials(user, token)
	c.token = true
	return c
}

// User returns the user name.
func (c *Credentials) User() string { return c.user }

// String returns the user name: nothing else of Credentials may be printed.
func (c *Credentials) String() string { return c.user }

// GoString is String, for %#v.
func (c *Credentials) GoString() string { return c.user }

// forgetLocked drops all derived keys. c.mu is held, or c is not shared yet.
func (c *Credentials) forgetLocked() {
	// The server takes the user from the startup packet; libpq leaves the name in SCRAM empty, and so do we. The error
	// is always nil for a client whose strings are not prepared by the library.
	c.scram, _ = scram.SHA256.NewClientUnprepped("", c.prepared, "")
	// Servers choose the count (scram_iterations, from 1); libpq takes any.
	c.scram.WithMinIterations(1)
	c.known = make(map[scram.KeyFactors]bool)
}

// keys derives or recalls the keys for a salt and count.
func (c *Credentials) keys(kf scram.KeyFactors) (scram.StoredCredentials, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known[kf] && len(c.known) >= maxKeyFactors {
		c.forgetLocked()
	}
	c.known[kf] = true
	return c.scram.GetStoredCredentialsWithError(kf)
}

// client returns the SCRAM client, to begin a conversation with.
func (c *Credentials) client() *scram.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scram
}
