package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"forebay/internal/secret"
	"forebay/internal/secret/lease"
)

// makeLimit is how long Vault may take to answer a request that has it make a user, which takes some statements at the database.
const makeLimit = 15 * time.Second

// maxLife is the most that is believed of a lease or a token.
const maxLife = 10 * 365 * 24 * time.Hour

// NewDynamic returns the store of a dynamic role's users, which the caller closes. Of o, Observe, Refresh and PreviousFor do not
// count. Where, Source and Log of l are set here.
func NewDynamic(o Options, l lease.Options) *lease.Store {
	r := newReader(o)
	r.answer = makeLimit
	l.Log, l.Where, l.Source = o.Log, o.Path, &source{r}
	return lease.New(l)
}

// source implements lease.Source.
type source struct{ r *reader }

// Session implements lease.Source: leases end with the token that they were asked for with.
func (s *source) Session(ctx context.Context) (lease.Session, error) {
	r := s.r
	defer r.hangUp()
	if err := r.logIn(ctx); err != nil {
		return lease.Session{}, err
	}
	if r.o.Auth.TokenFile == "" {
		return lease.Session{ID: r.session, Ends: r.ends, Next: r.renew}, nil
	}
	now := r.now()
	got, err := r.call(ctx, http.MethodGet, "auth/token/lookup-self", nil)
	if err != nil {
		return lease.Session{}, fmt.Errorf("the token in %s: %w", r.o.Auth.TokenFile, err)
	}
	var token struct {
		TTL int64 `json:"ttl"` // seconds; 0: it has no end
	}
	if err := json.Unmarshal(got.Data, &token); err != nil {
		return lease.Session{}, errors.New("no data in the answer of Vault")
	}
	out := lease.Session{ID: r.session}
	if token.TTL > 0 {
		life := seconds(token.TTL)
		out.Ends = now.Add(life)
		out.Next = now.Add(min(life/3, time.Minute)) // it is not ours to renew
	} else {
		out.Next = now.Add(time.Minute) // there may be another one
	}
	return out, nil
}

func seconds(n int64) time.Duration {
	return time.Duration(min(n, int64(maxLife/time.Second))) * time.Second
}

// Obtain implements lease.Source.
func (s *source) Obtain(ctx context.Context) (lease.Grant, error) {
	defer s.r.hangUp()
	got, err := s.r.get(ctx, s.r.o.Path)
	if err != nil {
		return lease.Grant{}, err
	}
	if got.LeaseID == "" || got.Duration <= 0 {
		return lease.Grant{}, errors.New("the path gives out no lease: it is no dynamic role, so clients and clients_user do not belong there")
	}
	var data map[string]any
	if err := json.Unmarshal(got.Data, &data); err != nil {
		return lease.Grant{}, errors.New("no data in the answer of Vault")
	}
	user, err := s.r.parse(data)
	if err != nil {
		return lease.Grant{}, err
	}
	return lease.Grant{ID: got.LeaseID, Username: user.Username, Password: user.Password, Life: seconds(got.Duration), Renewable: got.Renewable}, nil
}

// Renew implements lease.Source.
func (s *source) Renew(ctx context.Context, id string, life time.Duration) (lease.Grant, error) {
	defer s.r.hangUp()
	got, err := s.r.ask(ctx, http.MethodPut, "sys/leases/renew", map[string]any{"lease_id": id, "increment": int64(life / time.Second)})
	var status *statusError
	if errors.As(err, &status) && status.status == http.StatusBadRequest {
		return lease.Grant{}, fmt.Errorf("%w: %w", lease.ErrNoLease, err)
	}
	if err != nil {
		return lease.Grant{}, err
	}
	if got.Duration <= 0 {
		return lease.Grant{}, fmt.Errorf("%w: no time is left", lease.ErrNoLease)
	}
	return lease.Grant{ID: id, Life: seconds(got.Duration), Renewable: got.Renewable}, nil
}

// Revoke implements lease.Source.
func (s *source) Revoke(ctx context.Context, id string) error {
	defer s.r.hangUp()
	_, err := s.r.ask(ctx, http.MethodPut, "sys/leases/revoke", map[string]any{"lease_id": id, "sync": true})
	var status *statusError
	if errors.Is(err, secret.ErrNotFound) || errors.As(err, &status) && status.status == http.StatusBadRequest {
		return nil // it is no more
	}
	return err
}

// End implements lease.Source: with a token of Forebay's own, its leases end.
func (s *source) End(ctx context.Context) error {
	r := s.r
	defer r.hangUp()
	if r.o.Auth.TokenFile != "" || r.token == "" {
		return nil
	}
	_, err := r.call(ctx, http.MethodPost, "auth/token/revoke-self", map[string]string{})
	r.token = ""
	return err
}
