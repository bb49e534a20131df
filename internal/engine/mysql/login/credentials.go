package login

import "forebay/internal/secret"

// Credentials log one user in to servers. They are immutable and print as the user name.
type Credentials struct {
	user     string
	password secret.Password
}

// NewCredentials returns the credentials of a user.
func NewCredentials(user string, password secret.Password) *Credentials {
	return &Credentials{user: user, password: password}
}

// User returns the user name.
func (c *Credentials) User() string { return c.user }

// String returns the user name: nothing else of Credentials may be printed.
func (c *Credentials) String() string { return c.user }

// GoString is String, for %#v.
func (c *Credentials) GoString() string { return c.user }
