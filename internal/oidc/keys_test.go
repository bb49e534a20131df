package oidc

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
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

// Whoever asks while a question is under way has its answer.
func TestQuestionsAreJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &held{let: make(chan struct{})}
		s := &sparing{next: h, now: time.Now}
		for range 20 {
			go func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://issuer.example/keys", nil)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := s.RoundTrip(r)
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
