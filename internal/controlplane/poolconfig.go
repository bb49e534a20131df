package controlplane

import "forebay/internal/resource"

// ExcludeVariableSets is the one session pinning filter there is (contract 3.3).
const ExcludeVariableSets = "EXCLUDE_VARIABLE_SETS"

// EffectivePool is a PoolConfig with the defaults of its engine family.
type EffectivePool struct {
	MaxConnectionsPercent     int
	MaxIdleConnectionsPercent int
	ConnectionBorrowTimeout   int // seconds
	SessionPinningFilters     []string
	InitQuery                 string
}

// Effective fills the defaults in (contract 3.3): an idle percentage that was never set is half of the other, and follows it.
func (c PoolConfig) Effective(f resource.EngineFamily) EffectivePool {
	e := EffectivePool{
		MaxConnectionsPercent: 100, ConnectionBorrowTimeout: 120, SessionPinningFilters: c.SessionPinningFilters, InitQuery: c.InitQuery,
	}
	if f == resource.SQLServer {
		e.MaxConnectionsPercent = 10
	}
	if c.MaxConnectionsPercent != nil {
		e.MaxConnectionsPercent = *c.MaxConnectionsPercent
	}
	e.MaxIdleConnectionsPercent = e.MaxConnectionsPercent / 2
	if c.MaxIdleConnectionsPercent != nil {
		e.MaxIdleConnectionsPercent = *c.MaxIdleConnectionsPercent
	}
	if c.ConnectionBorrowTimeout != nil {
		e.ConnectionBorrowTimeout = *c.ConnectionBorrowTimeout
	}
	return e
}
