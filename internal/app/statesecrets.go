package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
	"forebay/internal/controlplane/identity"
	"forebay/internal/controlplane/secretsapi"
	"forebay/internal/secret"
)

// stateSecrets gives out the secrets of the control plane to the data plane: each to the proxy it is an auth entry of, if
// that proxy's role may read it. Those of another account are AWS's. It is safe for concurrent use.
type stateSecrets struct {
	// Static after newStateSecrets.
	plane   *controlplane.Plane
	ring    *controlplane.Keyring
	ids     *identity.Registry
	foreign *foreignSecrets

	mu    sync.Mutex
	known map[string]knownSecret // guarded by mu; by name
}

// knownSecret is an answer, good for as long as the state stays the same, and for a while: conditions of policies may be
// about the time.
type knownSecret struct {
	revision int64
	until    time.Time
	secret   secret.Secret
	err      error
}

const knownFor = 5 * time.Second

func newStateSecrets(plane *controlplane.Plane, ring *controlplane.Keyring, ids *identity.Registry, foreign *foreignSecrets) *stateSecrets {
	return &stateSecrets{plane: plane, ring: ring, ids: ids, foreign: foreign, known: map[string]knownSecret{}}
}

// ErrSecretDenied is in the error of a secret that the proxy's role may not read.
var ErrSecretDenied = errors.New("the role of the proxy may not read the secret")

// Get implements secret.Store, for the names of controlplane.SecretName.
func (s *stateSecrets) Get(ctx context.Context, name string) (secret.Secret, error) {
	state, now := s.plane.State(), time.Now()
	if of, ok, err := foreignOf(state, name); ok {
		if err != nil {
			return secret.Secret{}, err
		}
		return s.foreign.get(ctx, state, of, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.known[name]; ok && k.revision == state.Revision && now.Before(k.until) {
		return k.secret, k.err
	}
	k := knownSecret{revision: state.Revision, until: now.Add(knownFor)}
	k.secret, k.err = s.read(state, name, now)
	if len(s.known) > 4096 { // names of proxies that are gone
		clear(s.known)
	}
	s.known[name] = k
	return k.secret, k.err
}

// Doubt implements secret.Doubter.
func (s *stateSecrets) Doubt(name, version string) {
	if of, ok, err := foreignOf(s.plane.State(), name); ok && err == nil {
		s.foreign.doubt(of, name, version)
	}
}

func (s *stateSecrets) close() { s.foreign.close() }

func (s *stateSecrets) read(state *controlplane.State, name string, now time.Time) (secret.Secret, error) {
	id, arn, _ := strings.Cut(name, "/")
	proxy := state.Proxies.Get(id)
	if proxy == nil {
		return secret.Secret{}, fmt.Errorf("%w: %s", secret.ErrNotFound, name)
	}
	role, err := s.ids.Role(proxy.RoleARN, "rds.amazonaws.com")
	if err != nil {
		return secret.Secret{}, fmt.Errorf("%w %s: %w", ErrSecretDenied, arn, err)
	}
	row := state.FindSecret(arn)
	access := awsapi.Access{Action: "secretsmanager:GetSecretValue", Resource: arn}
	if row != nil {
		access = secretsapi.AccessTo(row, "GetSecretValue", map[string][]string{"secretsmanager:VersionStage": {controlplane.StageCurrent}})
	}
	call := &awsapi.Call{Caller: role, Time: now, Region: state.Account().Region, Secure: true}
	if err := call.AuthorizeAccess(access); err != nil {
		return secret.Secret{}, fmt.Errorf("%w: %w", ErrSecretDenied, err)
	}
	switch {
	case row == nil:
		return secret.Secret{}, fmt.Errorf("%w: %s", secret.ErrNotFound, arn)
	case !row.Deleted.IsZero():
		return secret.Secret{}, fmt.Errorf("%w: %s is marked for deletion", secret.ErrNotFound, arn)
	}
	current, err := s.version(row, name, controlplane.StageCurrent)
	if err != nil {
		return secret.Secret{}, err
	}
	// One that cannot be read does not matter: the current one counts.
	if previous, err := s.version(row, name, controlplane.StagePrevious); err == nil {
		current.Previous = &secret.Previous{Version: previous.Version, Username: previous.Username, Password: previous.Password, Since: row.PreviousSince}
		if current.Previous.Since.IsZero() { // of before this was noted
			current.Previous.Since = row.Staged(controlplane.StageCurrent).Created
		}
	}
	return current, nil
}

func (s *stateSecrets) version(row *controlplane.Secret, name, stage string) (secret.Secret, error) {
	v := row.Staged(stage)
	if v == nil {
		return secret.Secret{}, fmt.Errorf("%w: %s has no version with the stage %s", secret.ErrNotFound, row.ARN, stage)
	}
	text, err := row.OpenVersion(s.ring, v)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("secret %s: %w", row.ARN, err)
	}
	// Its Version stays that of its content. The id of the API's version is the client's to choose, so two secrets may have
	// the same: what is derived from one must not be taken for the other.
	parsed, err := secret.Parse(name, text)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("secret %s: %w", row.ARN, err)
	}
	return parsed, nil
}
