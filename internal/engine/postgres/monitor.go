package postgres

import (
	"context"
	"errors"

	"forebay/internal/engine"
)

// NewMonitor implements engine.Engine.
func (e *Engine) NewMonitor(o engine.MonitorOptions) engine.Monitor { return &monitor{o: o} }

type monitor struct{ o engine.MonitorOptions }

// Look implements engine.Monitor.
func (m *monitor) Look(context.Context) (engine.Status, error) {
	return engine.Status{}, errors.New("postgres: monitor: not built yet")
}

// Close implements engine.Monitor.
func (m *monitor) Close() {}
