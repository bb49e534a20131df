package dataplane

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"forebay/internal/engine"
)

// ErrNoTarget is the health of a proxy for which nothing is registered.
var ErrNoTarget = errors.New("no target is registered")

// UnusableError is the health of a member that answers, and to which no session may go for all that, such as one that has lost
// the rest of its replication set.
type UnusableError struct{ Reason string }

func (e *UnusableError) Error() string { return e.Reason }

// CredentialsError is the health of a target that could not be asked, because no secret could be had to ask it by.
type CredentialsError struct{ Err error }

func (e *CredentialsError) Error() string { return e.Err.Error() }

// Unwrap gives the store's own error.
func (e *CredentialsError) Unwrap() error { return e.Err }

// userHealth is how a server that answers took each user and database that it was asked as: nil where it let them in.
type userHealth map[engine.Key]error

// refused is why nobody gets in, naming each user; nil while anybody does. One wrong secret does not make a target unavailable
// to the others (contract 1.3: AVAILABLE is said of the target, not of an auth entry).
func (h userHealth) refused() error {
	var lines []string
	var all []error
	for k, err := range h {
		if err == nil {
			return nil
		}
		lines = append(lines, fmt.Sprintf("user %s, database %s: %v", k.User, k.Database, err))
		all = append(all, err)
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(lines)
	return &refusedError{strings.Join(slices.Compact(lines), "; "), all}
}

// keep forgets all that are not among keys.
func (h userHealth) keep(keys map[engine.Key]engine.Database) {
	for k := range h {
		if keys[k] == nil {
			delete(h, k)
		}
	}
}

// refusedError is one text for what several users heard.
type refusedError struct {
	text string
	all  []error
}

func (e *refusedError) Error() string   { return e.text }
func (e *refusedError) Unwrap() []error { return e.all }
