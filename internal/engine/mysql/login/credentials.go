package login

import "forebay/internal/secret"

// Credentials log one user in to servers. They are immutable and print as the user name.
type Credentials struct {
	user     string
	password secret.Password
	token    bool // password is a token: see NewTokenCredentials
}

// NewCredentials returns the credentials of a user.
func NewCredentials(user string, password secret.Password) *Credentials {
	return &Credentials{user: user, password: password}
}

// NewTokenCredentials returns the credentials of a user for one log-in by an IAM token. A token is sent over TLS alone, and
// by mysql_clear_password alone (contract section 6.5).
func NewTokenCredentials(user string, token secret.Password) *Credentials {
	return &Credentials{user: user, password: token, token: true}
}

// User returns the user name.
func (c *Credentials) User() string { return c.user }

// String returns the user name: nothing else of Credentials may be printed.
func (c *Credentials) String() string { return c.user }

// GoString is String, for %#v.
func (c *Credentials) GoString() string { return c.user }
