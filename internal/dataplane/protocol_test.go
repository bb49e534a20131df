package dataplane_test

import (
	"testing"

	"forebay/internal/metrics"

	"github.com/prometheus/client_golang/prometheus"
)

// Sessions whose log-ins differ in what the protocol fixes there share no server connection, but the target's limit; and an
// operator sees one pool for each user and database.
func TestProtocols(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 2, loops: 2})
	byNumber := make(map[string]int)
	for protocol, as := range []string{"app toys 0", "app toys 1", "app toys 2", "app toys 0", "app toys 1", "app toys 2"} {
		protocol %= 3
		c := w.login(as)
		for range 3 {
			n := c.ask("who") // the third has another's connection closed
			if p, ok := byNumber[n]; ok && p != protocol {
				t.Errorf("server connection %s has served protocols %d and %d", n, p, protocol)
			}
			byNumber[n] = protocol
		}
	}
	views := w.plane.Pools()[0].Pools
	if len(views) != 1 || views[0].Clients != 6 || views[0].User != "app" || views[0].Database != "toys" {
		t.Errorf("pools: %+v", views)
	}
	f := w.plane.Collect().Proxies[0].Target
	if f.Session.ClientsIn != 6 || f.Pool.Open > 2 || f.Pool.Borrows < 18 {
		t.Errorf("figures: %+v", f)
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(metrics.NewCollector(w.plane.Collect))
	if _, err := r.Gather(); err != nil {
		t.Error(err)
	}
}
