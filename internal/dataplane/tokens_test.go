package dataplane

import (
	"context"
	"errors"
	"net"
	"net/netip"
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

func TestLeadsTo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		at, listener string
		want         bool
	}{
		{"10.0.0.5:5432", "10.0.0.5:5432", true},
		{"10.0.0.5:5432", "10.0.0.6:5432", false},
		{"10.0.0.5:5432", "0.0.0.0:5432", true},
		{"10.0.0.5:5432", "[::]:5432", true},
		{"[fd00::5]:5432", "[::]:5432", true},
		{"10.0.0.5:5432", "0.0.0.0:5433", false},
	} {
		at, listener := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(tt.at)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(tt.listener))
		if got := leadsTo(at, listener); got != tt.want {
			t.Errorf("%s to a listener at %s: got %v", tt.at, tt.listener, got)
		}
	}
}
