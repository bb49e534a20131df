package failover_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// link is a network between Forebay and one server, which can be cut or slowed down.
type link struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func startLink(t *testing.T, upstream string) *link {
	t.Helper()
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), t.Name(), "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return &link{t, p}
}

// port is where the server can be reached through the link.
func (l *link) port() int {
	l.t.Helper()
	_, port, err := net.SplitHostPort(l.proxy.Listen)
	if err != nil {
		l.t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

func (l *link) add(toxics ...string) {
	l.t.Helper()
	for _, json := range toxics {
		if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(json)); err != nil {
			l.t.Fatal(err)
		}
	}
}

// cut has nothing come through any more, in either direction, and nobody is told: connections stay half open, and new ones are
// taken and never answered.
func (l *link) cut() {
	l.t.Helper()
	l.add(
		`{"name": "up", "type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`,
		`{"name": "down", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`,
	)
}

// slow has everything take longer, in either direction, and more or less so.
func (l *link) slow() {
	l.t.Helper()
	l.add(
		`{"name": "up", "type": "latency", "stream": "upstream", "attributes": {"latency": 60, "jitter": 40}}`,
		`{"name": "down", "type": "latency", "stream": "downstream", "attributes": {"latency": 60, "jitter": 40}}`,
	)
}

// restore makes the link good again.
func (l *link) restore() { l.proxy.Toxics.ResetToxics(context.Background()) }
