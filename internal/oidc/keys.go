package oidc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// keySet is the issuer's keys as the library reads them, fetched when a token names one that is not there. It implements
// oidc.KeySet. The library's own set tells who waits for a fetch before it has taken over what was fetched: who asks a moment
// later may get the answer of before. So each set of the library's fetches once here, and is replaced by another.
type keySet struct {
	// Static after newKeys.
	client *http.Client
	url    string
	made   time.Time

	mu    sync.Mutex
	known *oidc.RemoteKeySet // guarded by mu; has fetched, and does no more; nil: none yet
}

// whyKey is where VerifySignature leaves, in a context, why keys could not be had: the library's verifier drops it.
type whyKey struct{}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	k.mu.Lock()
	known := k.known
	k.mu.Unlock()
	if known != nil {
		if payload, err := known.VerifySignature(ctx, token); err == nil {
			return payload, nil
		}
	}
	once := &gate{next: k.client.Transport}
	client := *k.client
	client.Transport = once
	fresh := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), &client), k.url)
	payload, err := fresh.VerifySignature(ctx, token)
	if cause := errors.Unwrap(err); cause != nil { // of all its errors, that of a fetch alone wraps one
		*ctx.Value(whyKey{}).(*error) = cause
		return nil, err
	}
	once.shut.Store(true)
	k.mu.Lock()
	k.known = fresh
	k.mu.Unlock()
	return payload, err
}

// gate is a transport until it is shut.
type gate struct {
	next http.RoundTripper
	shut atomic.Bool
}

var errShut = errors.New("oidc: these keys have been fetched")

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if g.shut.Load() {
		return nil, errShut
	}
	return g.next.RoundTrip(r)
}

// current gives the keys that are known, after discovery where they are not, and whether it is time to have them anew.
func (v *Verifier) current(ctx context.Context) (keys *keySet, old bool, err error) {
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	now := v.o.Now()
	if v.keys == nil {
		url, err := v.discover(ctx)
		if err != nil {
			return nil, false, err
		}
		v.url, v.keys = url, v.newKeys(url)
	}
	old = now.Sub(v.keys.made) > keysFor && now.Sub(v.tried) > tryAgain
	if old {
		v.tried = now
	}
	return v.keys, old, nil
}

func (v *Verifier) newKeys(url string) *keySet {
	return &keySet{client: v.client, url: url, made: v.o.Now()}
}

// renewed takes over keys that were fetched anew.
func (v *Verifier) renewed(keys *keySet) {
	v.turn <- struct{}{}
	v.keys = keys
	<-v.turn
}

// discover asks the issuer where its keys are.
func (v *Verifier) discover(ctx context.Context) (url string, err error) {
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, v.client), v.o.Issuer)
	if err != nil {
		return "", err
	}
	var says struct {
		Keys string `json:"jwks_uri"`
	}
	if err := p.Claims(&says); err != nil || !strings.HasPrefix(says.Keys, "https://") {
		return "", fmt.Errorf("its discovery document has no jwks_uri with https")
	}
	return says.Keys, nil
}

// unavailable is an issuer that cannot be asked. What it has answered is cut short: it may be anything.
func (v *Verifier) unavailable(err error) error {
	text := err.Error()
	if len(text) > maxReason {
		text = text[:maxReason] + "..."
	}
	return fmt.Errorf("the keys of the issuer %s cannot be had: %s", v.o.Issuer, text)
}

// sparing is a transport that gives an answer again for a while, and a failure for a moment: whoever sends tokens that name
// keys which do not exist must not have the issuer asked each time. It knows few addresses, all of the issuer's choice.
type sparing struct {
	next http.RoundTripper
	now  func() time.Time

	mu     sync.Mutex
	last   map[string]answer        // guarded by mu; by URL
	asking map[string]chan struct{} // guarded by mu; by URL, of questions under way; closed when they have ended
}

type answer struct {
	at     time.Time
	status int
	header http.Header
	body   []byte
	err    error
}

// RoundTrip implements http.RoundTripper.
func (s *sparing) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := s.answer(r)
	if err != nil {
		return nil, err
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: a.header.Clone(),
		Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: r,
	}, nil
}

// answer is the answer to r: one that still counts, or that of the question that is under way, or else a new one. The error is that
// of r's context.
func (s *sparing) answer(r *http.Request) (answer, error) {
	url := r.URL.String()
	for {
		s.mu.Lock()
		if a, ok := s.last[url]; ok && s.counts(a) {
			s.mu.Unlock()
			return a, nil
		}
		done := s.asking[url]
		if done == nil {
			break
		}
		s.mu.Unlock()
		select {
		case <-done:
		case <-r.Context().Done():
			return answer{}, r.Context().Err()
		}
	}
	done := make(chan struct{})
	if s.asking == nil {
		s.asking = map[string]chan struct{}{}
	}
	s.asking[url] = done
	s.mu.Unlock()
	defer close(done)
	a := s.ask(r)
	if a.err != nil {
		a.at = s.now() // it may have taken long: those who have waited for it are not to ask again, one after the other
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asking, url)
	if a.err == nil || r.Context().Err() == nil { // that somebody has left is nobody else's failure
		if s.last == nil || len(s.last) >= 16 {
			s.last = map[string]answer{}
		}
		s.last[url] = a
	}
	return a, nil
}

// counts reports whether an answer is new enough to be given again.
func (s *sparing) counts(a answer) bool {
	good := askAgain
	if a.err != nil || a.status != http.StatusOK {
		good = failsFor
	}
	age := s.now().Sub(a.at)
	return age >= 0 && age < good
}

func (s *sparing) ask(r *http.Request) answer {
	a := answer{at: s.now()}
	got, err := s.next.RoundTrip(r)
	if err != nil {
		a.err = err
		return a
	}
	defer got.Body.Close()
	a.status, a.header = got.StatusCode, got.Header
	if a.body, a.err = io.ReadAll(io.LimitReader(got.Body, maxAnswer+1)); len(a.body) > maxAnswer {
		a.err = fmt.Errorf("the issuer's answer has more than %d bytes", maxAnswer)
	}
	return a
}
