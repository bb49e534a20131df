package app

import (
	"sync/atomic"

	"forebay/internal/controlplane"
	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/resource"
)

// health tells the APIs how the members of targets are, as the data plane knows it (contract section 1.3).
type health struct {
	plane    *controlplane.Plane
	targets  func() []dataplane.TargetHealth
	unserved *atomic.Pointer[map[string]error] // App.unserved
}

// Members implements controlplane.Health.
func (h *health) Members(proxyID string) []controlplane.MemberHealth {
	st := h.plane.State()
	proxy := st.Proxies.Get(proxyID)
	if proxy == nil || h.targets == nil {
		return nil
	}
	if unserved := h.unserved.Load(); unserved != nil && (*unserved)[proxyID] != nil {
		return everyMember(st, proxy, "The proxy is not served as it should be: "+(*unserved)[proxyID].Error())
	}
	var all []controlplane.MemberHealth
	for _, t := range h.targets() {
		if t.ResourceID != proxyID {
			continue
		}
		m := controlplane.MemberHealth{Member: t.Member, Role: t.Role.String(), Lag: t.Lag}
		m.State, m.Reason, m.Description = describe(t, len(proxy.Auth) == 0)
		if t.Role != engine.Reader {
			m.Lag = -1
		}
		all = append(all, m)
	}
	return all
}

// everyMember says the same of all that has been declared: the data plane may know none of them.
func everyMember(st *controlplane.State, p *controlplane.Proxy, description string) []controlplane.MemberHealth {
	var all []controlplane.MemberHealth
	for _, d := range st.Declared(&p.Group) {
		all = append(all, controlplane.MemberHealth{
			Member: resource.Member{Name: d.Identifier, ResourceID: d.ResourceID, Host: d.Host, Port: d.Port},
			State:  "UNAVAILABLE", Description: description, Role: engine.RoleUnknown.String(), Lag: -1,
		})
	}
	return all
}
