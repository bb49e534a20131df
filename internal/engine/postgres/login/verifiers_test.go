package login_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"forebay/internal/engine/postgres/login"
	"forebay/internal/resource"
	"forebay/internal/secret"
)

// fakeStore is a secret.Store of one function.
type fakeStore func(name string) (secret.Secret, error)

func (f fakeStore) Get(_ context.Context, name string) (secret.Secret, error) { return f(name) }

func TestVerifiersDeriveOncePerVersion(t *testing.T) {
	t.Parallel()
	var version atomic.Pointer[string]
	one, two := "1", "2"
	version.Store(&one)
	vs := login.NewVerifiers(fakeStore(func(name string) (secret.Secret, error) {
		if name != "s" {
			return secret.Secret{}, secret.ErrNotFound
		}
		return secret.Secret{Name: name, Version: *version.Load(), Username: "u", Password: "p"}, nil
	}))
	get := func() *login.Verifier {
		v, err := vs.Get(t.Context(), "s", resource.PostgresSCRAM)
		if err != nil {
			t.Error(err)
		}
		return v
	}
	first := get()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if get() != first {
				t.Error("derived again for the same version")
			}
		})
	}
	wg.Wait()
	version.Store(&two)
	second := get()
	if second == first {
		t.Error("a new version did not replace the verifier")
	}
	vs.Retain(func(name string) bool { return name == "s" })
	if get() != second {
		t.Error("Retain forgot a secret that is still named")
	}
	vs.Retain(func(string) bool { return false })
	if get() == second {
		t.Error("Retain kept a secret that nobody names")
	}
	if _, err := vs.Get(t.Context(), "other", ""); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("unknown secret: %v", err)
	}
}
