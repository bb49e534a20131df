package app

import (
	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/engine/postgres"
	"forebay/internal/resource"
)

// defaultPlane makes the real data plane, with every engine there is.
func defaultPlane(o PlaneOptions) (Plane, View, error) {
	p, err := dataplane.New(dataplane.Options{
		Log:     o.Log,
		Secrets: o.Secrets,
		Engines: map[resource.EngineFamily]engine.Engine{
			resource.PostgreSQL: postgres.New(o.Log, o.Secrets),
		},
		Certificates: o.Certificates,
		Loops:        o.Loops,
		Handshakes:   o.Handshakes,
	})
	if err != nil {
		return nil, View{}, err
	}
	return p, View{}, nil
}
