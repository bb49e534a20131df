package forebayapi

import (
	"cmp"
	"context"
	"slices"

	"forebay/internal/controlplane"
	"forebay/internal/controlplane/awsapi"
)

// Proxy is a proxy of the API, as far as AWS has no member for it.
type Proxy struct {
	DBProxyName string
	ARN         string
	Paused      bool
}

// PauseProxyInput names a proxy.
type PauseProxyInput struct {
	DBProxyName string `aws:"required"`
}

// ProxyOutput is the proxy as it is now.
type ProxyOutput struct{ Proxy Proxy }

func (s *server) pauseProxy(ctx context.Context, c *awsapi.Call, in *PauseProxyInput) (*ProxyOutput, error) {
	return s.setPaused(ctx, c, in.DBProxyName, true)
}

func (s *server) resumeProxy(ctx context.Context, c *awsapi.Call, in *PauseProxyInput) (*ProxyOutput, error) {
	return s.setPaused(ctx, c, in.DBProxyName, false)
}

// setPaused changes the desired state, so that all of a fleet follow. A proxy that is so already stays as it is.
func (s *server) setPaused(ctx context.Context, c *awsapi.Call, name string, paused bool) (*ProxyOutput, error) {
	operation, done := "ResumeProxy", "resumed"
	if paused {
		operation, done = "PauseProxy", "paused"
	}
	var out *ProxyOutput
	_, err := s.plane.Update(ctx, func(tx *controlplane.Tx) error {
		p := tx.State().ProxyNamed(name)
		if err := mayToProxy(c, tx.State(), operation, p); err != nil {
			return err
		}
		if p == nil {
			return awsapi.Errorf(404, "DBProxyNotFoundFault",
				"DB proxy %s is none of the API. If the configuration file has it, set paused: %t there and send SIGHUP.", name, paused)
		}
		if p.Paused != paused {
			row := *p
			row.Paused, row.Updated = paused, when(c)
			p = &row
			tx.Proxies.Put(p.ID, p)
			tx.AddEvent(row.Updated, controlplane.ProxyModified, p, "Forebay %s DB proxy %s.", done, p.Name)
		}
		out = &ProxyOutput{proxyOf(tx.Account(), p)}
		return nil
	})
	return out, err
}

// ListProxiesInput is empty.
type ListProxiesInput struct{}

// ListProxiesOutput is all proxies of the API in the order of their names.
type ListProxiesOutput struct{ Proxies []Proxy }

func (s *server) listProxies(_ context.Context, c *awsapi.Call, _ *ListProxiesInput) (*ListProxiesOutput, error) {
	st := s.plane.State()
	if err := mayTo(c, st, "ListProxies", controlplane.KindProxy, "*"); err != nil {
		return nil, err
	}
	out := &ListProxiesOutput{Proxies: []Proxy{}}
	for _, p := range st.Proxies.All() {
		out.Proxies = append(out.Proxies, proxyOf(st.Account(), p))
	}
	slices.SortFunc(out.Proxies, func(a, b Proxy) int { return cmp.Compare(a.DBProxyName, b.DBProxyName) })
	return out, nil
}

func proxyOf(a *controlplane.Account, p *controlplane.Proxy) Proxy {
	return Proxy{DBProxyName: p.Name, ARN: a.ARN(controlplane.KindProxy, p.ID), Paused: p.Paused}
}

// mayToProxy asks whether the caller may do an operation to a proxy, by its tags, too. One that does not exist has the id prx-*, as in
// the RDS API: who may not is not told whether it exists.
func mayToProxy(c *awsapi.Call, st *controlplane.State, operation string, p *controlplane.Proxy) error {
	if p == nil {
		return mayTo(c, st, operation, controlplane.KindProxy, "prx-*")
	}
	keys := map[string][]string{}
	for _, t := range p.Tags {
		keys["aws:ResourceTag/"+t.Key] = []string{t.Value}
	}
	return c.AuthorizeAccess(awsapi.Access{Action: "forebay:" + operation, Resource: st.Account().ARN(controlplane.KindProxy, p.ID), Keys: keys})
}
