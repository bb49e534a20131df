package engine

import (
	"context"
	"errors"
	"net"
	"strings"

	"forebay/internal/resource"
	"forebay/internal/secret"
)

// Tokens judges the tokens that clients send in place of a password (contract section 6.4). It is safe for concurrent use.
type Tokens interface {
	// Verify returns nil if the token lets the client in. A *TokenError says that it does not, every other error that this
	// cannot be told now. It may block, not longer than ctx lasts. No error may hold the token, or enough of it to make
	// another.
	Verify(ctx context.Context, l TokenLogin) error
}

// TokenUsers is a Tokens that can tell whom a token is for. It is safe for concurrent use.
type TokenUsers interface {
	// TokenUser returns the database user that a token names; nothing of the token is checked, and it does not block. ok is
	// false where it names none, or several.
	TokenUser(token secret.Password) (user string, ok bool)
}

// TokenLogin is a client that wants to log in with a token.
type TokenLogin struct {
	Proxy      string   // its name
	ResourceID string   // prx-...; empty for a proxy of the configuration file
	Endpoint   string   // the name of the one through which the client came
	Hostnames  []string // its names: the token must be for one of them; do not change
	Port       int      // that the endpoint listens on: the token must be for it
	User       string   // whom the client wants to be at the database
	Token      secret.Password
	Remote     net.Addr // of the client
	TLS        bool     // the client's connection is encrypted; engines ask for a token over no other
}

// TokenReason sorts refused tokens, for the metric.
type TokenReason uint8

const (
	TokenMalformed   TokenReason = iota // no token: a password, or one that lacks something
	TokenSignature                      // of nobody known, or not signed by whom it names
	TokenExpired                        // or not valid yet
	TokenEndpoint                       // for another host or port
	TokenUser                           // for another database user
	TokenDenied                         // whose it is may not connect as this user
	TokenUnknownUser                    // no secret is this user's
	TokenNoTLS                          // was not even asked for, without TLS
	TokenUnavailable                    // cannot be checked now; the one reason that is not the client's fault
	NumTokenReasons
)

var tokenReasons = [NumTokenReasons]string{
	"malformed", "signature", "expired", "endpoint", "user", "denied", "unknown_user", "no_tls", "unavailable",
}

// String is the metric's label.
func (r TokenReason) String() string { return tokenReasons[r] }

// TokenError is a token that does not let its client in. The client is told no more than that; the error is for the log,
// and holds nothing of the token that could be used.
type TokenError struct {
	Reason TokenReason
	Err    error // more about it; may be nil
}

func (e *TokenError) Error() string {
	if e.Err == nil {
		return "token refused: " + e.Reason.String()
	}
	return "token refused: " + e.Reason.String() + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *TokenError) Unwrap() error { return e.Err }

// TokenInvalid reports whether err, from a check, means that the token is no good, rather than that this cannot be told.
func TokenInvalid(err error) bool {
	var e *TokenError
	return errors.As(err, &e) && e.Reason != TokenUnavailable
}

// ErrWrongPassword is a password, sent where a token would have done too, that is not the user's.
var ErrWrongPassword = errors.New("wrong password")

// errNoTokens is what becomes of tokens when nothing was given that could check them.
var errNoTokens = errors.New("nothing here can check tokens")

// IsToken reports whether what a client sent as its password is a token: those of RDS all have this in them, and others are
// JWTs.
func IsToken(p secret.Password) bool {
	return strings.Contains(p.Reveal(), "Action=connect") || IsJWT(p)
}

// IsJWT reports whether what a client sent as its password has the form of a signed JWT, as tokens of OpenID Connect are: three
// parts in base64 with a dot between them, of which the first two are JSON objects.
func IsJWT(p secret.Password) bool {
	text := p.Reveal()
	return strings.HasPrefix(text, "ey") && strings.Count(text, ".") == 2 && strings.Contains(text, ".ey") &&
		!strings.ContainsFunc(text, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
		})
}

// TokenCheck judges what one client sends in the clear, over TLS, as a user whose auth entry takes tokens.
type TokenCheck struct {
	Verify   func(ctx context.Context, user string, token secret.Password) error // AcceptOptions.VerifyToken
	IAMAuth  resource.IAMAuth
	User     string
	Unknown  bool                         // there is no such user: nothing lets the client in
	Password func(p secret.Password) bool // reports whether p is the user's password; for resource.IAMEnabled
	ByToken  bool                         // set by Check: what has let the client in was a token
}

// Check returns nil, ErrWrongPassword, or an error as of Tokens.Verify. It may block.
func (c *TokenCheck) Check(ctx context.Context, p secret.Password) error {
	if c.IAMAuth == resource.IAMEnabled && !IsToken(p) {
		if c.Unknown || !c.Password(p) {
			return ErrWrongPassword
		}
		return nil
	}
	if c.Verify == nil {
		return &TokenError{Reason: TokenUnavailable, Err: errNoTokens}
	}
	// Of an unknown user too, so that it takes as long.
	err := c.Verify(ctx, c.User, p)
	if err == nil && c.Unknown {
		err = &TokenError{Reason: TokenUnknownUser}
	}
	c.ByToken = err == nil
	return err
}
