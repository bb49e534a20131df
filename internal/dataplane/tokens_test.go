package dataplane

import (
	"context"
	"errors"
	"net"
	"testing"

	"forebay/internal/engine"
	"forebay/internal/resource"
)

// believing takes every token.
type believing struct{}

func (believing) Verify(context.Context, engine.TokenLogin) error { return nil }

// A client whose endpoint has been taken away meanwhile is not let in by a token: nothing says for which host it may be.
func TestTokenWithoutEndpoint(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	px := &proxy{plane: &Plane{opts: Options{Tokens: believing{}}}}
	px.cfg.Store(&resource.Proxy{Endpoints: []resource.Endpoint{{Name: "default", Listen: "127.0.0.1:5432", Hostnames: []string{"db"}}}})
	var refused *engine.TokenError
	err := (&newcomer{px: px, net: here}).verifyToken(t.Context(), "app", "token")
	if !errors.As(err, &refused) || refused.Reason != engine.TokenEndpoint {
		t.Errorf("got %v, want a token for another endpoint", err)
	}
}
