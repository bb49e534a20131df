package app

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"forebay/internal/controlplane"
	"forebay/internal/secret"
	"forebay/internal/secret/awssm"
	"forebay/internal/secret/remote"
)

// foreignSecrets are the secrets of other accounts than Forebay's own, which are in AWS: each is read through the role of
// the proxy that has it as an auth entry, as RDS does, never by Forebay's own credentials alone. Who may give a proxy
// which role is iam:PassRole's to say. It is safe for concurrent use.
type foreignSecrets struct {
	aws *awssm.Account // static

	mu       sync.Mutex
	stores   map[foreignSecret]*remote.Store // guarded by mu
	revision int64                           // guarded by mu; of the state that stores were last held against
	closed   bool                            // guarded by mu
}

// foreignSecret is one secret, read through one role.
type foreignSecret struct{ arn, role string }

func newForeignSecrets(aws *awssm.Account) *foreignSecrets {
	return &foreignSecrets{aws: aws, stores: map[foreignSecret]*remote.Store{}}
}

// foreignOf finds which secret of another account a name of controlplane.SecretName means. ok is false where it means one
// of the state's own, or none.
func foreignOf(state *controlplane.State, name string) (of foreignSecret, ok bool, err error) {
	id, arn, _ := strings.Cut(name, "/")
	proxy, own := state.Proxies.Get(id), state.Account().ID
	if account := awssm.AccountID(arn); proxy == nil || account == "" || account == own {
		return foreignSecret{}, false, nil
	}
	if proxy.RoleARN == "" || ofAccount(proxy.RoleARN, own) {
		return foreignSecret{}, true, fmt.Errorf("%w %s: it is of another account, in AWS, where the role %q is not known: the proxy needs one of AWS",
			ErrSecretDenied, arn, proxy.RoleARN)
	}
	return foreignSecret{arn: arn, role: proxy.RoleARN}, true, nil
}

// ofAccount reports whether a role is one of the account, in whichever partition its ARN says that it is.
func ofAccount(role, account string) bool {
	p := strings.SplitN(role, ":", 6)
	return len(p) == 6 && p[0] == "arn" && p[2] == "iam" && p[4] == account
}

func (f *foreignSecrets) get(ctx context.Context, state *controlplane.State, of foreignSecret, name string) (secret.Secret, error) {
	store, err := f.store(state, of)
	if err != nil {
		return secret.Secret{}, err
	}
	return store.Get(ctx, name)
}

func (f *foreignSecrets) store(state *controlplane.State, of foreignSecret) (*remote.Store, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, remote.ErrClosed
	}
	if f.revision < state.Revision {
		f.sweepLocked(state)
	}
	store := f.stores[of]
	if store == nil {
		store = f.aws.Store(awssm.Secret{ARN: of.arn, Role: of.role})
		f.stores[of] = store
	}
	return store, nil
}

// sweepLocked ends what no proxy has any more.
func (f *foreignSecrets) sweepLocked(state *controlplane.State) {
	f.revision = state.Revision
	wanted := map[foreignSecret]bool{}
	for _, p := range state.Proxies.All() {
		for _, a := range p.Auth {
			wanted[foreignSecret{arn: a.SecretARN, role: p.RoleARN}] = true
		}
		if arn := state.MonitorSecret(p); arn != "" {
			wanted[foreignSecret{arn: arn, role: p.RoleARN}] = true
		}
	}
	for of, store := range f.stores {
		if !wanted[of] {
			delete(f.stores, of)
			store.Close() // a read under way ends at once
		}
	}
}

func (f *foreignSecrets) doubt(of foreignSecret, name, version string) {
	f.mu.Lock()
	store := f.stores[of]
	f.mu.Unlock()
	if store != nil {
		store.Doubt(name, version)
	}
}

func (f *foreignSecrets) close() {
	f.mu.Lock()
	f.closed = true
	stores := f.stores
	f.stores = nil
	f.mu.Unlock()
	for _, s := range stores {
		s.Close()
	}
}
