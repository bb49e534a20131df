// Package vault reads secrets from HashiCorp Vault or OpenBao: from a key-value store (version 1 or 2), or the present
// password of a static role of the database secrets engine.
//
// Dynamic roles (database/creds/...) have another user with every lease, while clients of a proxy log in as the user that a
// secret names, by its password: nobody could tell them either. So they log in by another secret, and the dynamic role's
// user is for server connections alone: NewDynamic.
package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"forebay/internal/secret"
	"forebay/internal/secret/remote"
)

// Kind is what these stores are called in logs.
const Kind = "Vault"

// Options say where a secret is, and how Forebay proves who it is.
type Options struct {
	Log     *slog.Logger
	Observe func(err error) // as of remote.Options
	Refresh time.Duration   // 0: remote.DefaultRefresh

	Address     string // URL of the server
	Namespace   string // empty: none
	CAFile      string // PEM; empty: the system's
	Path        string // of the API, without /v1/: secret/data/app, kv1/app, database/static-creds/app
	UsernameKey string
	PasswordKey string
	// PreviousFor is how long the version before the current one counts beside it (KV version 2). 0: not at all.
	PreviousFor time.Duration

	Auth Auth
}

// Auth is one way to a token: TokenFile, or a log-in with what is in the file Credential at the auth method at Mount.
type Auth struct {
	TokenFile string // read anew for each use: Vault's or OpenBao's agent keeps it fresh

	Mount      string // such as approle, kubernetes
	Role       string // the role's id (AppRole), or its name
	Credential string // a file: the secret id (AppRole), or the JWT
	AppRole    bool   // else: a method that takes a role and a JWT, such as Kubernetes
}

// New returns the store of a secret, which the caller closes.
func New(o Options) *remote.Store {
	r := newReader(o)
	return remote.New(remote.Options{
		Log: o.Log, Kind: Kind, Where: o.Path, Refresh: o.Refresh, Observe: o.Observe,
		Read: func(ctx context.Context) (remote.Answer, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			defer r.hangUp() // the next read is far away
			return r.read(ctx)
		},
	})
}

func newReader(o Options) *reader { return &reader{o: o, now: time.Now, answer: answerLimit} }

// reader reads one secret.
type reader struct {
	o      Options // static
	now    func() time.Time
	answer time.Duration // how long an answer may take to begin

	mu      sync.Mutex // held during a read; guards what is below
	http    *http.Client
	token   string        // from a log-in; empty: none
	renew   time.Time     // when the token is to be renewed; zero: never
	expires time.Time     // after which it is not renewed any more; zero: never
	ends    time.Time     // when it ends; zero: never
	life    time.Duration // that the token was given at its log-in; 0: it has no end
	session int           // counts tokens, but for one that is renewed
	dynamic bool          // the path gives out leases: it is not asked again
}

// reply is what Vault answers with.
type reply struct {
	LeaseID   string          `json:"lease_id"`
	Duration  int64           `json:"lease_duration"` // seconds
	Renewable bool            `json:"renewable"`
	Data      json.RawMessage `json:"data"`
	Errors    []string        `json:"errors"`
	Warnings  []string        `json:"warnings"`
	Auth      *struct {
		Token     string `json:"client_token"`
		Seconds   int64  `json:"lease_duration"`
		Renewable bool   `json:"renewable"`
	} `json:"auth"`
}

var errDynamic = errors.New("the path gives out another database user with every lease (a dynamic role); " +
	"clients of a proxy log in as the secret's user, so say in clients or clients_user whom they are to be, or take a static role " +
	"(database/static-creds/...) or a key-value store")

func (r *reader) read(ctx context.Context) (remote.Answer, error) {
	if r.dynamic {
		return remote.Answer{}, errDynamic
	}
	got, err := r.get(ctx, r.o.Path)
	if err != nil {
		return remote.Answer{}, err
	}
	if got.LeaseID != "" {
		r.dynamic = true
		_, _ = r.call(ctx, http.MethodPut, "sys/leases/revoke", map[string]string{"lease_id": got.LeaseID}) // else it ends by itself
		return remote.Answer{}, errDynamic
	}
	var versioned struct {
		Data     map[string]any `json:"data"`
		Metadata *struct {
			Version int       `json:"version"`
			Created time.Time `json:"created_time"`
		} `json:"metadata"`
	}
	if json.Unmarshal(got.Data, &versioned) == nil && versioned.Metadata != nil && versioned.Metadata.Version > 0 {
		current, err := r.parse(versioned.Data)
		if err != nil {
			return remote.Answer{}, err
		}
		answer := remote.Answer{Secret: current}
		if left := r.o.PreviousFor - r.now().Sub(versioned.Metadata.Created); versioned.Metadata.Version > 1 && left > 0 {
			answer.Next = left
			if answer.Secret.Previous, err = r.previous(ctx, versioned.Metadata.Version-1); err != nil {
				return remote.Answer{}, err
			}
			if answer.Secret.Previous != nil {
				answer.Secret.Previous.Since = versioned.Metadata.Created
			}
		}
		return answer, nil
	}
	var plain map[string]any
	if err := json.Unmarshal(got.Data, &plain); err != nil {
		return remote.Answer{}, errors.New("no data in the answer of Vault")
	}
	current, err := r.parse(plain)
	answer := remote.Answer{Secret: current}
	if ttl, ok := plain["ttl"].(float64); ok && plain["last_vault_rotation"] != nil && ttl >= 0 && ttl < 1e9 {
		answer.Next = time.Duration(ttl)*time.Second + time.Second // a static role's next password
	}
	return answer, err
}

// previous reads an earlier version. One that is deleted, or of another kind, is none.
func (r *reader) previous(ctx context.Context, version int) (*secret.Previous, error) {
	got, err := r.get(ctx, r.o.Path+"?version="+strconv.Itoa(version))
	if errors.Is(err, secret.ErrNotFound) || errors.Is(err, secret.ErrDenied) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var data struct {
		Data map[string]any `json:"data"`
	}
	if json.Unmarshal(got.Data, &data) != nil {
		return nil, nil
	}
	s, err := r.parse(data.Data)
	if err != nil {
		return nil, nil
	}
	return &secret.Previous{Version: s.Version, Username: s.Username, Password: s.Password}, nil
}

// parse reads user and password. The error names keys, and quotes no value.
func (r *reader) parse(data map[string]any) (secret.Secret, error) {
	username, err := text(data, r.o.UsernameKey)
	if err != nil {
		return secret.Secret{}, err
	}
	password, err := text(data, r.o.PasswordKey)
	if err != nil {
		return secret.Secret{}, err
	}
	// Not the version's number: it begins anew when a path is removed and written again.
	return secret.Secret{Version: secret.Version(username, secret.Password(password)), Username: username, Password: secret.Password(password)}, nil
}

func text(data map[string]any, key string) (string, error) {
	value, ok := data[key]
	if !ok {
		return "", fmt.Errorf("expected the key %q, got none", key)
	}
	s, _ := value.(string)
	if s == "" || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("expected the key %q to hold a text that is not empty, without NUL", key)
	}
	return s, nil
}
