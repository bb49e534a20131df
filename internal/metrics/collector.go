package metrics

import (
	"strconv"

	"forebay/internal/dataplane"
	"forebay/internal/dataplane/session"
	"forebay/internal/engine"
	"forebay/internal/pool"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector makes metrics of a data plane's figures. It is safe for concurrent use if collect is.
type Collector struct {
	collect func() dataplane.Figures
}

// NewCollector returns a Collector for prometheus.Register. collect is called once for each scrape: Plane.Collect.
func NewCollector(collect func() dataplane.Figures) *Collector { return &Collector{collect: collect} }

var (
	proxyLabels  = []string{"proxy"}
	targetLabels = []string{"proxy", "target"}
	memberLabels = []string{"proxy", "member", "role"}
)

// entry is a scalar with its description.
type entry[X any] struct {
	scalar[X]
	desc *prometheus.Desc
}

func describe[X any](all []scalar[X], labels []string) []entry[X] {
	out := make([]entry[X], len(all))
	for i, s := range all {
		out[i] = entry[X]{s, newDesc(s.name, s.help, labels)}
	}
	return out
}

func newDesc(name, help string, labels []string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, append(labels[:len(labels):len(labels)], more...), nil)
}

var (
	processDescs = describe(process, nil)
	clientDescs  = describe(clients, proxyLabels)
	targetDescs  = describe(targets, targetLabels)
	memberDescs  = describe(members, memberLabels)

	loopConnections = newDesc("loop_connections", "Sockets of an event loop, of clients and servers.", nil, "loop")
	memberLag       = newDesc("member_lag_seconds", "How far a reader is behind the writer, as far as it can tell.", memberLabels)
	memberLagBytes  = newDesc("member_lag_bytes", "How many bytes of the log a reader is behind the writer.", memberLabels)
	certificate     = newDesc("certificate_not_after_timestamp_seconds", "When the certificate shown to clients expires, in seconds since 1970.", proxyLabels)
	closed          = newDesc("database_connections_closed_total", "Server connections that have ended, by reason.", targetLabels, "reason")
	tokensRefused   = newDesc("client_tokens_refused_total", "Clients not let in because of their token, by reason.", proxyLabels, "reason")
	pins            = newDesc("session_pins_total", "Times that a session was pinned to its server connection, by reason.", targetLabels, "reason")
	clientBytes     = newDesc("client_bytes_total", "Bytes received from and sent to logged-in clients, without those of TLS itself.", targetLabels, "direction")
	databaseBytes   = newDesc("database_bytes_total", "Bytes received from and sent to logged-in server connections, without those of TLS itself.", targetLabels, "direction")
	borrowLatency   = newDesc("database_connections_borrow_latency_seconds", "How long sessions waited for a server connection that they got.", targetLabels)
	databaseLatency = newDesc("query_database_response_latency_seconds", "From a request being passed on to the end of the database's answer.", targetLabels)
	queryLatency    = newDesc("query_response_latency_seconds", "From a request being received to the end of its answer.", targetLabels)
)

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, e := range processDescs {
		ch <- e.desc
	}
	for _, e := range clientDescs {
		ch <- e.desc
	}
	for _, e := range targetDescs {
		ch <- e.desc
	}
	for _, e := range memberDescs {
		ch <- e.desc
	}
	for _, d := range []*prometheus.Desc{memberLag, memberLagBytes, loopConnections, certificate, tokensRefused, closed, pins, clientBytes, databaseBytes, borrowLatency, databaseLatency, queryLatency} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	f := c.collect()
	send(ch, processDescs, &f)
	for i, n := range f.LoopConnections {
		ch <- prometheus.MustNewConstMetric(loopConnections, gauge, float64(n), strconv.Itoa(i))
	}
	for i := range f.Proxies {
		p := &f.Proxies[i]
		send(ch, clientDescs, p, p.Proxy)
		if !p.CertificateNotAfter.IsZero() {
			ch <- prometheus.MustNewConstMetric(certificate, gauge, float64(p.CertificateNotAfter.Unix()), p.Proxy)
		}
		for r, n := range p.Clients.TokensRefused {
			ch <- prometheus.MustNewConstMetric(tokensRefused, counter, float64(n), p.Proxy, engine.TokenReason(r).String())
		}
		send(ch, targetDescs, &p.Target, p.Proxy, p.Target.Address)
		sendTarget(ch, &p.Target, p.Proxy, p.Target.Address)
		for i := range p.Members {
			sendMember(ch, &p.Members[i], p.Proxy)
		}
	}
}

func sendMember(ch chan<- prometheus.Metric, m *dataplane.MemberFigures, proxy string) {
	name := m.Name
	if name == "" {
		name = m.Address
	}
	role := m.Role.String()
	send(ch, memberDescs, m, proxy, name, role)
	if m.Role != engine.Reader {
		return
	}
	if m.Lag >= 0 {
		ch <- prometheus.MustNewConstMetric(memberLag, gauge, m.Lag.Seconds(), proxy, name, role)
	}
	if m.LagBytes >= 0 {
		ch <- prometheus.MustNewConstMetric(memberLagBytes, gauge, float64(m.LagBytes), proxy, name, role)
	}
}

func send[X any](ch chan<- prometheus.Metric, all []entry[X], x *X, labels ...string) {
	for _, e := range all {
		ch <- prometheus.MustNewConstMetric(e.desc, e.kind, e.of(x), labels...)
	}
}

// sendTarget sends the metrics of a target that have more than one value.
func sendTarget(ch chan<- prometheus.Metric, t *dataplane.TargetFigures, proxy, target string) {
	count := func(d *prometheus.Desc, n uint64, label string) {
		ch <- prometheus.MustNewConstMetric(d, counter, float64(n), proxy, target, label)
	}
	for r := range pool.NumReasons {
		count(closed, t.Pool.Closed[r], r.String())
	}
	for e := range session.NumEndings {
		count(closed, t.Session.Ended[e], e.String())
	}
	for reason, n := range t.Engine.Pins {
		count(pins, n, reason)
	}
	count(clientBytes, t.Session.ClientBytesIn, "received")
	count(clientBytes, t.Session.ClientBytesOut, "sent")
	count(databaseBytes, t.Session.ServerBytesIn, "received")
	count(databaseBytes, t.Session.ServerBytesOut, "sent")

	borrows, buckets := waits(&t.Session)
	ch <- prometheus.MustNewConstHistogram(borrowLatency, borrows, seconds(t.Session.WaitSum), buckets, proxy, target)
	cycles := t.Engine.QueryCycles
	ch <- prometheus.MustNewConstSummary(databaseLatency, cycles, seconds(t.Engine.QueryNanos), nil, proxy, target)
	ch <- prometheus.MustNewConstSummary(queryLatency, cycles, seconds(t.Engine.QueryNanos+t.Session.RequestWait), nil, proxy, target)
}

// waits turns the counts of each bucket into cumulative ones by upper bound in seconds.
func waits(s *session.PoolStats) (total uint64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(session.WaitBuckets))
	for i, n := range s.WaitNanos {
		total += n
		if i < len(session.WaitBuckets) {
			buckets[seconds(uint64(session.WaitBuckets[i]))] = total
		}
	}
	return total, buckets
}

func seconds(nanos uint64) float64 { return float64(nanos) / 1e9 }
