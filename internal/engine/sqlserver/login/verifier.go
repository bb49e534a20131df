package login

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"forebay/internal/secret"
)

// Verifier judges how one user proves who it is.
type Verifier struct {
	// Tokens is set where a token can let the user in.
	Tokens bool
	// Check judges what the client has sent as its password or, with fedAuth, as its token: nil, engine.ErrWrongPassword, or
	// an error as of engine.Tokens.Verify. nil: nothing lets the client in.
	Check func(ctx context.Context, sent secret.Password, fedAuth bool) error
	// Blocks is set where Check may block.
	Blocks bool
}

// Holds reports whether a password, as a client has sent it, is that of a secret: the current one or, while it counts too, the
// one before. The time that takes does not depend on how much of it is right. An empty password is nobody's.
func Holds(s secret.Secret, sent secret.Password, now time.Time) bool {
	got := sha256.Sum256([]byte(sent.Reveal()))
	same := func(p secret.Password) int {
		want := sha256.Sum256([]byte(p.Reveal()))
		return subtle.ConstantTimeCompare(got[:], want[:])
	}
	ok := same(s.Password)
	if p := s.Previous; p != nil && p.Username == s.Username && p.LetsIn(now) {
		ok |= same(p.Password)
	}
	return ok == 1 && sent != ""
}
