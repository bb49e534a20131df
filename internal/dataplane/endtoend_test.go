package dataplane_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/resource"
)

// A proxy that asks for tokens which nobody here can make or check is not served.
func TestEndToEndWithoutTokens(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{})
	w.proxy.EndToEndIAM = true
	var of *dataplane.ProxyError
	err := w.plane.Apply(t.Context(), resource.Snapshot{Proxies: []resource.Proxy{w.proxy}})
	if !errors.As(err, &of) || of.Proxy != "toy" || !strings.Contains(err.Error(), "IAM_AUTH") {
		t.Errorf("applied: %v", err)
	}
}

// roleTokens are a role that may sign, or not.
type roleTokens struct {
	engine.NoServerTokens
	may atomic.Bool
}

func (r *roleTokens) Ready(context.Context, *resource.Proxy) error {
	if r.may.Load() {
		return nil
	}
	return fmt.Errorf("%w: the role does not exist", engine.ErrNoToken)
}

// noToken takes none.
type noToken struct{}

func (noToken) Verify(context.Context, engine.TokenLogin) error {
	return &engine.TokenError{Reason: engine.TokenMalformed}
}

// While no client has come there is nobody to look at the target as: it answers or it does not, and the role may sign or not.
func TestLookWithoutUser(t *testing.T) {
	t.Parallel()
	role := &roleTokens{}
	w := newToyWorld(t, toyOptions{tokens: noToken{}, serverTokens: role, change: func(p *resource.Proxy) { p.Auth, p.EndToEndIAM = nil, true }})
	health := func() dataplane.TargetHealth { return w.plane.TargetHealth()[0] }
	w.eventually("the role may not sign", func() bool {
		h := health()
		return h.Checked && h.Unseen && h.Err == nil && errors.Is(h.Refused, engine.ErrNoToken)
	})
	role.may.Store(true)
	w.eventually("it may", func() bool { h := health(); return h.Unseen && h.Err == nil && h.Refused == nil })
	gone := startToyDB(t)
	gone.die()
	w.proxy.Target.Members = []resource.Member{gone.member()}
	w.apply()
	w.eventually("nobody answers", func() bool { return health().Err != nil })
}
