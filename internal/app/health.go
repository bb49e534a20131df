package app

import (
	"errors"
	"net"
	"sync/atomic"

	"forebay/internal/controlplane"
	"forebay/internal/dataplane"
	"forebay/internal/secret"
)

// health tells the API how the targets are, as the data plane knows it (contract section 1.3).
type health struct {
	plane    *controlplane.Plane
	targets  func() []dataplane.TargetHealth
	unserved *atomic.Pointer[map[string]error] // App.unserved
}

// Target implements rdsapi.Health.
func (h *health) Target(proxyID string) (state, reason, description, role string) {
	proxy := h.plane.State().Proxies.Get(proxyID)
	if proxy == nil || h.targets == nil {
		return "", "", "", ""
	}
	if unserved := h.unserved.Load(); unserved != nil && (*unserved)[proxyID] != nil {
		return "UNAVAILABLE", "", "The proxy is not served as it should be: " + (*unserved)[proxyID].Error(), "UNKNOWN"
	}
	for _, t := range h.targets() {
		if t.ResourceID == proxyID {
			return describe(t)
		}
	}
	return "REGISTERING", "", "The target has not been asked yet", "UNKNOWN"
}

func describe(t dataplane.TargetHealth) (state, reason, description, role string) {
	var network *net.OpError
	switch err := t.Err; {
	case !t.Checked:
		return "REGISTERING", "", "The target has not been asked yet", "UNKNOWN"
	case t.Refused != nil && err == nil:
		return "UNAVAILABLE", "AUTH_FAILURE", t.Refused.Error(), "UNKNOWN"
	case err == nil && t.Unseen:
		return "AVAILABLE", "", "", "UNKNOWN" // nobody has logged in who could have asked it
	case err == nil:
		return "AVAILABLE", "", "", "READ_WRITE"
	case errors.Is(err, ErrSecretDenied), errors.Is(err, secret.ErrDenied), errors.Is(err, secret.ErrNotFound), errors.Is(err, controlplane.ErrSealed):
		return "UNAVAILABLE", "AUTH_FAILURE", err.Error(), "UNKNOWN"
	case errors.As(err, &network) && network.Op == "dial":
		return "UNAVAILABLE", "UNREACHABLE", err.Error(), "UNKNOWN"
	default:
		return "UNAVAILABLE", "CONNECTION_FAILED", err.Error(), "UNKNOWN"
	}
}
