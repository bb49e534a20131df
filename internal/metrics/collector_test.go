package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"forebay/internal/dataplane"
	"forebay/internal/engine"
	"forebay/internal/metrics"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// sample has something for every metric.
func sample() dataplane.Figures {
	t := dataplane.TargetFigures{Address: "db:5432", Checked: true, Available: true, Availability: 75, Previous: 6, Tokens: 7}
	t.Engine = engine.Counters{
		Queries: 10, QueryCycles: 4, QueryNanos: 2e9, InTransaction: 2, Pinned: 1,
		Pins: map[string]uint64{"listen": 3},
	}
	t.Session.ClientsIn, t.Session.ClientsTLS, t.Session.QueriesTLS = 7, 5, 4
	t.Session.WaitNanos[0], t.Session.WaitNanos[2], t.Session.WaitNanos[11] = 3, 1, 2
	t.Session.WaitSum, t.Session.RequestWait = 5e9, 1e9
	t.Session.ClientBytesIn, t.Session.ServerBytesOut = 100, 90
	t.Pool.Closed[0] = 8
	t.Session.Ended[1] = 9
	return dataplane.Figures{
		HandshakesRunning: 1, HandshakesLimit: 512, LoopConnections: []int{4, 5},
		Proxies: []dataplane.ProxyFigures{{
			Proxy: "orders", Clients: dataplane.ClientFigures{
				Open: 9, FailedAuth: 2, Tokens: 5, TokensRefused: [engine.NumTokenReasons]int64{engine.TokenExpired: 4},
			}, CertificateNotAfter: time.Unix(2e9, 0), Target: t,
			Members: []dataplane.MemberFigures{
				{Name: "db-a", Address: "10.0.0.1:5432", Role: engine.Writer, Checked: true, Available: true, Lag: -1, LagBytes: -1, Clients: 2},
				{Address: "10.0.0.2:5432", Role: engine.Reader, Checked: true, Available: true, Lag: time.Second / 4, LagBytes: 96},
			},
		}},
	}
}

func registry(t *testing.T, collect func() dataplane.Figures) *prometheus.Registry {
	t.Helper()
	r, reloads := metrics.NewRegistry("v1")
	reloads.Done(nil)
	if err := r.Register(metrics.NewCollector(collect)); err != nil {
		t.Fatal(err)
	}
	metrics.NewState(r, func(context.Context) error { return nil })
	metrics.NewAPIRequests(r).Observe("rds", "DescribeDBProxies", "", time.Millisecond)
	metrics.NewSecretReads(r).Of("aws")(nil)
	leases := metrics.NewSecretLeases(r).Of("app")
	leases.Asked("renew", nil)
	leases.Asked("renew", errors.New("no route"))
	leases.Stands(2, time.UnixMilli(1500))
	return r
}

// values returns the present values by name and labels, histograms and summaries as their sum and count.
func values(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "proxy" && l.GetName() != "target" {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
			}
			name := strings.TrimPrefix(f.GetName(), "forebay_")
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.GetHistogram() != nil:
				all[name+"_sum"], all[name+"_count"] = m.GetHistogram().GetSampleSum(), float64(m.GetHistogram().GetSampleCount())
				for _, b := range m.GetHistogram().GetBucket() {
					all[fmt.Sprintf("%s_le_%g", name, b.GetUpperBound())] = float64(b.GetCumulativeCount())
				}
			case m.GetSummary() != nil:
				all[name+"_sum"], all[name+"_count"] = m.GetSummary().GetSampleSum(), float64(m.GetSummary().GetSampleCount())
			default:
				all[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return all
}

func TestValues(t *testing.T) {
	t.Parallel()
	got := values(t, registry(t, sample))
	for name, want := range map[string]float64{
		"handshakes_running": 1, "handshakes_limit": 512, "loop_connections{loop=1}": 5,
		"client_connections": 9, "client_connections_tls": 5, "client_connections_no_tls": 2,
		"client_connections_setup_failed_auth_total": 2, "certificate_not_after_timestamp_seconds": 2e9,
		"client_token_logins_total": 5, "client_tokens_refused_total{reason=expired}": 4, "client_tokens_refused_total{reason=no_tls}": 0,
		"database_connections_previous_password_total": 6,
		"database_connections_token_total":             7,
		"target_available":                             1, "availability_percentage": 75,
		"database_connections_currently_in_transaction": 2, "database_connections_currently_session_pinned": 1,
		"session_pins_total{reason=listen}": 3,
		"query_requests_total":              10, "query_requests_tls_total": 4, "query_requests_no_tls_total": 6,
		"query_database_response_latency_seconds_sum": 2, "query_database_response_latency_seconds_count": 4,
		"query_response_latency_seconds_sum": 3, "query_response_latency_seconds_count": 4,
		"database_connections_borrow_latency_seconds_sum": 5, "database_connections_borrow_latency_seconds_count": 6,
		"database_connections_borrow_latency_seconds_le_0.0001": 3, "database_connections_borrow_latency_seconds_le_0.005": 4,
		"database_connections_borrow_latency_seconds_le_120": 4,
		"client_bytes_total{direction=received}":             100, "database_bytes_total{direction=sent}": 90,
		"database_connections_closed_total{reason=idle}": 8, "database_connections_closed_total{reason=unsure}": 9,
		"config_last_reload_successful": 1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: got %v (there: %t), want %v", name, v, ok, want)
		}
	}
}

// TestLint has Prometheus's own rules for names and help texts look at ours.
func TestLint(t *testing.T) {
	t.Parallel()
	families, err := registry(t, sample).Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "forebay_") {
			continue
		}
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestEveryMetricIsDocumented compares docs/operations.md, in both directions, with what is registered: name, kind, labels.
func TestEveryMetricIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for line := range strings.Lines(string(page)) {
		if cols := strings.Split(line, "|"); len(cols) > 4 && strings.HasPrefix(cols[1], " `forebay_") {
			documented[strings.Trim(cols[1], " `")] = strings.TrimSpace(cols[2]) + " " + strings.Trim(cols[3], " ")
		}
	}
	families, err := registry(t, sample).Gather()
	if err != nil {
		t.Fatal(err)
	}
	registered := map[string]string{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "forebay_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		registered[f.GetName()] = strings.ToLower(f.GetType().String()) + " " + strings.Join(labels, ", ")
	}
	if d := cmp.Diff(registered, documented); d != "" {
		t.Errorf("docs/operations.md (+) and what is registered (-) differ: %s", d)
	}
	// What a Describe without a sample in it would leave out.
	described := make(chan *prometheus.Desc, 200)
	metrics.NewCollector(sample).Describe(described)
	close(described)
	var missing []string
	for d := range described {
		name, _, _ := strings.Cut(strings.TrimPrefix(d.String(), `Desc{fqName: "`), `"`)
		if _, ok := registered[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		t.Errorf("the sample has no value for %v; it has %v", missing, slices.Sorted(maps.Keys(registered)))
	}
}
