package app

import (
	"forebay/internal/admin"
	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/engine/mysql"
	"forebay/internal/engine/postgres"
	"forebay/internal/engine/sqlserver"
	"forebay/internal/metrics"
	"forebay/internal/resource"
)

// defaultPlane makes the real data plane, with every engine there is.
func defaultPlane(o PlaneOptions) (Plane, View, error) {
	p, err := dataplane.New(dataplane.Options{
		Log:     o.Log,
		Secrets: o.Secrets,
		Engines: map[resource.EngineFamily]engine.Engine{
			resource.PostgreSQL: postgres.New(o.Log, o.Secrets),
			resource.MySQL:      mysql.New(o.Log),
			resource.SQLServer:  sqlserver.New(o.Log),
		},
		Certificates: o.Certificates,
		Loops:        o.Loops,
		Handshakes:   o.Handshakes,
		Tokens:       o.Tokens,
		ServerTokens: o.ServerTokens,
	})
	if err != nil {
		return nil, View{}, err
	}
	if err := o.Registry.Register(metrics.NewCollector(p.Collect)); err != nil {
		p.Close()
		return nil, View{}, err
	}
	return p, View{
		Readiness: func() []admin.Readiness { return readiness(p.Readiness()) },
		Pools:     func() any { return p.Pools() },
		Pins:      func() any { return p.Pins() },
		Targets:   p.TargetHealth,
	}, nil
}

func readiness(proxies []dataplane.Readiness) []admin.Readiness {
	all := make([]admin.Readiness, len(proxies))
	for i, r := range proxies {
		all[i] = admin.Readiness{Proxy: r.Proxy, Ready: r.Ready, Reason: r.Reason}
	}
	return all
}
