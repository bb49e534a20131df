package oidc

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"forebay/internal/testkit"
)

// held is an issuer that answers when it is let.
type held struct {
	asked atomic.Int64
	let   chan struct{}
}

func (h *held) RoundTrip(*http.Request) (*http.Response, error) {
	h.asked.Add(1)
	<-h.let
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("keys"))}, nil
}

// question asks for the keys.
func question(t *testing.T, s *sparing) (*http.Response, error) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://issuer.example/keys", nil)
	if err != nil {
		t.Error(err)
		return nil, err
	}
	return s.RoundTrip(r)
}

// Whoever asks while a question is under way has its answer.
func TestQuestionsAreJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &held{let: make(chan struct{})}
		s := &sparing{next: h, now: time.Now}
		for range 20 {
			go func() {
				got, err := question(t, s)
				if err != nil {
					t.Error(err)
					return
				}
				if body, err := io.ReadAll(got.Body); err != nil || string(body) != "keys" {
					t.Errorf("got %q, %v", body, err)
				}
			}()
		}
		synctest.Wait()
		close(h.let)
		synctest.Wait()
		if n := h.asked.Load(); n != 1 {
			t.Errorf("the issuer was asked %d times, want once", n)
		}
	})
}

// failing is an issuer that takes long to fail.
type failing struct{ asked atomic.Int64 }

func (f *failing) RoundTrip(*http.Request) (*http.Response, error) {
	f.asked.Add(1)
	time.Sleep(answerLimit)
	return nil, errors.New("no answer")
}

// Whoever waits for a question that fails late has that failure, and does not ask again after all the others.
func TestFailuresAreJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &failing{}
		s := &sparing{next: f, now: time.Now}
		for range 20 {
			go func() {
				if resp, err := question(t, s); err == nil {
					resp.Body.Close()
					t.Error("no error")
				}
			}()
		}
		time.Sleep(answerLimit + time.Millisecond)
		synctest.Wait()
		if n := f.asked.Load(); n != 1 {
			t.Errorf("the issuer was asked %d times, want once", n)
		}
		time.Sleep(time.Minute)
	})
}

// published is an issuer whose one key is replaced.
type published struct{ set atomic.Pointer[string] }

func (p *published) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(*p.set.Load()))}, nil
}

// Keys that were fetched a moment ago are neither forgotten, nor given out in place of newer ones: the library's own set does both,
// now and then.
func TestKeysAfterAFetch(t *testing.T) {
	t.Parallel()
	p := &published{}
	k := &keySet{client: &http.Client{Transport: p}, url: "https://issuer.example/keys"}
	i := testkit.StartIssuer(t)
	key := i.EC()
	point, err := key.Public().(*ecdsa.PublicKey).Bytes() // 4, X, Y
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	for n := range 500 {
		kid := strconv.Itoa(n)
		token := i.Token(kid, key, nil)
		text := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"%s","x":"%s","y":"%s"}]}`, kid, b64(point[1:33]), b64(point[33:]))
		p.set.Store(&text)
		for range 2 {
			var why error
			if _, err := k.VerifySignature(context.WithValue(t.Context(), whyKey{}, &why), token); err != nil {
				t.Fatalf("key %d: %v", n, err)
			}
		}
	}
}
