// Package secret is where user names and passwords come from. Store is the interface; the packages below it implement
// it. Nothing here, and nothing that holds a Secret, may print one.
package secret

import (
	"context"
	"errors"
)

// ErrNotFound means that the store has no secret of that name.
var ErrNotFound = errors.New("secret: not found")

// Secret is one version of a secret: a database user and its password.
type Secret struct {
	Name     string
	Version  string // changes whenever the content does; what is derived from the password is cached under it
	Username string
	Password Password
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
	// Get returns the current version of the named secret, or ErrNotFound.
	Get(ctx context.Context, name string) (Secret, error)
}
