// Package secret is where user names and passwords come from. Store is the interface; the packages below it implement
// it. Nothing here, and nothing that holds a Secret, may print one.
package secret

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound means that the store has no secret of that name.
var ErrNotFound = errors.New("secret: not found")

// ErrDenied means that the store does not let Forebay, or the role that it goes by, read the secret.
var ErrDenied = errors.New("secret: access denied")

// Secret is the current version of a secret: a database user and its password.
type Secret struct {
	Name     string
	Version  string // changes whenever user or password do
	Username string
	Password Password
	// Previous is the version before this one, for as long as the store has it count beside the current one; nil: none. It
	// is never changed, only replaced.
	Previous *Previous
	// Login is how to log in to the database, where that is not as Username with Password: then these, and Previous, are the
	// clients' alone. nil: it is.
	Login *Login
}

// Previous is the version of a secret that a rotation has replaced (AWSPREVIOUS). While a store gives it out, clients may
// log in with its password, and it is tried at the database when that refuses the current one.
type Previous struct {
	Version  string // as of Secret
	Username string
	Password Password
	// Since is when it became the previous one, as far as the store knows; zero: it does not.
	Since time.Time
	// ClientsUntil is until when clients may log in with its password; zero: for as long as it is given out. At the
	// database it is tried for longer: that may follow late.
	ClientsUntil time.Time
}

// LetsIn reports whether clients may log in with the password now.
func (p *Previous) LetsIn(now time.Time) bool {
	return p.ClientsUntil.IsZero() || now.Before(p.ClientsUntil)
}

// Versions names what clients prove with s, that of Previous included, but for its Login: what is derived from a secret is
// cached under it.
func (s Secret) Versions() string {
	if s.Previous == nil {
		return s.Version
	}
	return s.Version + "\x00" + s.Previous.Version + "\x00" + s.Previous.ClientsUntil.String()
}

// For returns the secret as it is for one of its users. That is s itself for the user of the current version. A rotation
// that alternates between two users leaves the other one in Previous: for that user its password is the only one, and the
// right one. ok is false for everybody else.
func (s Secret) For(user string) (own Secret, ok bool) {
	switch p := s.Previous; {
	case s.Username == user:
		if p != nil && p.Username != user {
			s.Previous = nil
		}
		return s, true
	case p != nil && p.Username == user:
		return Secret{Name: s.Name, Version: p.Version, Username: p.Username, Password: p.Password, Login: s.Login}, true
	}
	return Secret{}, false
}

// Password hides itself from every kind of printing.
type Password string

func (Password) String() string               { return "[hidden]" }
func (Password) GoString() string             { return "[hidden]" }
func (Password) MarshalText() ([]byte, error) { return []byte("[hidden]"), nil }

// Reveal returns the password itself, for the one place that proves or checks it.
func (p Password) Reveal() string { return string(p) }

// Store gives out secrets by name. It is safe for concurrent use.
type Store interface {
	// Get returns the current version of the named secret, with the one before it while that counts, or ErrNotFound.
	Get(ctx context.Context, name string) (Secret, error)
}
