package metrics

import "github.com/prometheus/client_golang/prometheus"

// SecretReads count how secrets are read that are kept elsewhere. It is safe for concurrent use.
type SecretReads struct {
	reads, failures *prometheus.CounterVec
}

// NewSecretReads registers the metrics of such secrets.
func NewSecretReads(r prometheus.Registerer) *SecretReads {
	m := &SecretReads{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "secret_reads_total", Help: "Reads of secrets from AWS Secrets Manager (store aws) or Vault (store vault), failed ones included.",
		}, []string{"store"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "secret_read_failures_total", Help: "Reads of secrets from AWS Secrets Manager or Vault that failed: what is known of them stays in use.",
		}, []string{"store"}),
	}
	r.MustRegister(m.reads, m.failures)
	return m
}

// Of returns what counts the reads from one store.
func (m *SecretReads) Of(store string) func(error) {
	reads, failures := m.reads.WithLabelValues(store), m.failures.WithLabelValues(store)
	return func(err error) {
		reads.Inc()
		if err != nil {
			failures.Inc()
		}
	}
}
