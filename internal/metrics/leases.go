package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// SecretLeases count what becomes of database users that are made for Forebay, and end with a lease. It is safe for concurrent
// use.
type SecretLeases struct {
	requests, failures *prometheus.CounterVec
	leases, ends       *prometheus.GaugeVec
}

// NewSecretLeases registers the metrics of such users.
func NewSecretLeases(r prometheus.Registerer) *SecretLeases {
	m := &SecretLeases{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "secret_lease_requests_total", Help: "Requests to Vault to obtain, renew or revoke the lease of a database user, failed ones included.",
		}, []string{"request", "secret"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "secret_lease_request_failures_total", Help: "Requests to Vault for the lease of a database user that failed: the user that there is stays in use until it ends.",
		}, []string{"request", "secret"}),
		leases: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: prefix + "secret_leases", Help: "Database users that were made for Forebay and have not ended.",
		}, []string{"secret"}),
		ends: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: prefix + "secret_lease_end_timestamp_seconds", Help: "When the lease ends of the database user that is in use; 0: there is none.",
		}, []string{"secret"}),
	}
	r.MustRegister(m.requests, m.failures, m.leases, m.ends)
	return m
}

// Of returns what watches the leases of one secret, a lease.Watcher.
func (m *SecretLeases) Of(secret string) *SecretLease { return &SecretLease{m, secret} }

// Forget ends the metrics of one secret.
func (m *SecretLeases) Forget(secret string) {
	of := prometheus.Labels{"secret": secret}
	m.requests.DeletePartialMatch(of)
	m.failures.DeletePartialMatch(of)
	m.leases.DeletePartialMatch(of)
	m.ends.DeletePartialMatch(of)
}

// SecretLease is the metrics of one secret.
type SecretLease struct {
	m      *SecretLeases
	secret string
}

// Asked counts a request.
func (l *SecretLease) Asked(request string, err error) {
	l.m.requests.WithLabelValues(request, l.secret).Inc()
	if failures := l.m.failures.WithLabelValues(request, l.secret); err != nil {
		failures.Inc()
	}
}

// Stands says how many users there are, and when the one in use ends; zero: there is none.
func (l *SecretLease) Stands(leases int, until time.Time) {
	l.m.leases.WithLabelValues(l.secret).Set(float64(leases))
	ends := 0.0
	if !until.IsZero() {
		ends = float64(until.UnixMilli()) / 1000
	}
	l.m.ends.WithLabelValues(l.secret).Set(ends)
}
