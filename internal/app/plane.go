package app

import (
	"context"
	"crypto/tls"
	"log/slog"

	"forebay/internal/admin"
	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/resource"
	"forebay/internal/secret"

	"github.com/prometheus/client_golang/prometheus"
)

// Plane is the data plane, as far as App drives it.
type Plane interface {
	// Apply makes the plane do what s says. On error nothing has changed.
	Apply(ctx context.Context, s resource.Snapshot) error
	// Addrs returns the addresses that are listened on, by proxy and endpoint name.
	Addrs() map[string]map[string]string
	// Drain takes no new clients and lets transactions finish until ctx ends; then it returns ctx's error.
	Drain(ctx context.Context) error
	// Close ends everything at once.
	Close()
}

// PlaneOptions is what a data plane is made of.
type PlaneOptions struct {
	Log     *slog.Logger
	Secrets secret.Store
	// Certificates returns how a proxy encrypts: the same value until its certificate changes. It costs little enough
	// to be called for each connection.
	Certificates func(p *resource.Proxy) (*tls.Config, error)
	Loops        int // event loops; 0 = half the cores, at least one
	Handshakes   int // connection phases under way at once
	Registry     prometheus.Registerer
	Tokens       engine.Tokens
	ServerTokens engine.ServerTokens // nil: there is no control plane in whose name any could be made
}

// View is what the admin server shows of a data plane. A nil function shows nothing.
type View struct {
	Readiness func() []admin.Readiness
	Pools     func() any
	Pins      func() any
	Targets   func() []dataplane.TargetHealth
}

// NewPlane makes a data plane. Nothing listens until its Apply.
type NewPlane func(o PlaneOptions) (Plane, View, error)
