package engine

import (
	"context"
	"errors"
	"fmt"

	"forebay/internal/resource"
	"forebay/internal/secret"
)

// ServerTokens makes the tokens by which users without a secret are logged in to the database: end-to-end IAM (contract
// section 6.3). It is safe for concurrent use.
type ServerTokens interface {
	// Token makes a token for one log-in: signed in the name of p's role, for a member of p's target and that user, good for a quarter of
	// an hour. An error that matches ErrNoToken says that this takes more than time. It may block, not longer than ctx lasts.
	// No error holds a token.
	Token(ctx context.Context, p *resource.Proxy, m resource.Member, user string) (secret.Password, error)
	// Ready returns the error of Token that does not depend on the user, if there is one now.
	Ready(ctx context.Context, p *resource.Proxy) error
}

// ErrNoToken is in the error of a token that cannot be made as things are: the role may not connect, there is no role, or
// the database is not said to take tokens.
var ErrNoToken = errors.New("no IAM token for the database")

// errNoServerTokens is what becomes of end-to-end IAM when nothing was given that could make tokens.
var errNoServerTokens = fmt.Errorf("%w: nothing here can make any", ErrNoToken)

// NoServerTokens makes none.
type NoServerTokens struct{}

// Token implements ServerTokens.
func (NoServerTokens) Token(context.Context, *resource.Proxy, resource.Member, string) (secret.Password, error) {
	return "", errNoServerTokens
}

// Ready implements ServerTokens.
func (NoServerTokens) Ready(context.Context, *resource.Proxy) error { return errNoServerTokens }
