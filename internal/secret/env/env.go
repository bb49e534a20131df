// Package env keeps a secret in an environment variable: the JSON object of AWS Secrets Manager, {"username": ...,
// "password": ...}. An environment does not change while a process runs, so a rotation needs a restart.
package env

import (
	"context"
	"fmt"

	"forebay/internal/secret"
)

// Store is the secret in one environment variable. It is safe for concurrent use.
type Store struct {
	variable string
	lookup   func(string) (string, bool)
}

// New returns the store of a variable. lookup is os.LookupEnv or a test's own.
func New(variable string, lookup func(string) (string, bool)) *Store {
	return &Store{variable: variable, lookup: lookup}
}

// Get implements secret.Store.
func (s *Store) Get(_ context.Context, name string) (secret.Secret, error) {
	text, ok := s.lookup(s.variable)
	if !ok {
		return secret.Secret{}, fmt.Errorf("secret %s: environment variable %s is not set", name, s.variable)
	}
	parsed, err := secret.Parse(name, []byte(text))
	if err != nil {
		return secret.Secret{}, fmt.Errorf("secret %s: environment variable %s: %w", name, s.variable, err)
	}
	return parsed, nil
}
