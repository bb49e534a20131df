package sqlserver

import (
	"fmt"
	"testing"
	"time"

	"forebay/internal/resource"
	"forebay/internal/storm"
	"forebay/internal/testkit"
	"forebay/internal/testkit/tdsserver"
)

// Two thousand clients come at once, and all are served on twenty server connections, which is what the metrics say, too.
func TestStorm(t *testing.T) {
	t.Parallel()
	for name, encrypt := range map[string]string{"plain": "disable", "tls": "true&trustServerCertificate=true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const clients, most = 2000, 20
			p := direct(t, tdsserver.Options{})
			f := testkit.StartForebaySQLServer(t, p.host, p.port, testkit.ForebayOptions{
				Users: map[string]string{p.user: p.password}, TLS: p.server.TLS(),
				Change: func(px *resource.Proxy) { px.Pool.MaxConnections = most },
			})
			target, err := storm.ParseTarget(fmt.Sprintf("sqlserver://%s:%s@%s:%d/%s?encrypt=%s", p.user, p.password, f.Host, f.Port, p.database, encrypt))
			if err != nil {
				t.Fatal(err)
			}
			proto, err := storm.NewProtocol(target)
			if err != nil {
				t.Fatal(err)
			}
			// The clients themselves are what takes time: no more of them log in at once than a small machine can bear.
			r, err := storm.Run(t.Context(), proto, storm.Options{Clients: clients, Concurrency: 500, Statement: "SELECT 1", Transaction: true, Timeout: 5 * time.Minute}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Succeeded != clients {
				t.Errorf("%d of %d clients were served: %v", r.Succeeded, clients, r.Errors)
			}
			figures := f.Plane.Collect().Proxies[0].Target
			if n := figures.Engine.Queries; n < 3*clients {
				t.Errorf("%d queries are counted, want %d or more", n, 3*clients)
			}
			if n := figures.Engine.Transactions; n < clients {
				t.Errorf("%d transactions are counted, want %d or more", n, clients)
			}
			if n := figures.Pool.Open; n > most {
				t.Errorf("%d server connections, want no more than %d", n, most)
			}
			if tls := figures.Session.QueriesTLS > 0; tls != (name == "tls") {
				t.Errorf("%d queries over TLS are counted", figures.Session.QueriesTLS)
			}
		})
	}
}
