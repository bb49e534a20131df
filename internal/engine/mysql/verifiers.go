package mysql

import (
	"sync"

	"forebay/internal/engine/mysql/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// verifiers keeps what was derived from secrets: one value for each user, of the last state of its secret.
type verifiers struct {
	mu     sync.Mutex
	byUser map[string]derived // guarded by mu
}

type derived struct {
	versions string
	authType resource.ClientPasswordAuthType
	verifier *login.Verifier
}

// maxVerifiers bounds what is kept: when it is reached the table starts anew.
const maxVerifiers = 4096

func (t *verifiers) of(s secret.Secret, authType resource.ClientPasswordAuthType) *login.Verifier {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d, ok := t.byUser[s.Username]; ok && d.versions == s.Versions() && d.authType == authType {
		return d.verifier
	}
	if t.byUser == nil || len(t.byUser) >= maxVerifiers {
		t.byUser = make(map[string]derived)
	}
	v := login.NewVerifierOf(s, authType)
	t.byUser[s.Username] = derived{versions: s.Versions(), authType: authType, verifier: v}
	return v
}
