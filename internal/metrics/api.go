package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// APIRequests count the requests to the management API. It is safe for concurrent use.
type APIRequests struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// NewAPIRequests registers the metrics of the management API.
func NewAPIRequests(r prometheus.Registerer) *APIRequests {
	m := &APIRequests{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "api_requests_total", Help: "Requests to the management API, by service, action and the code of the error (empty: success).",
		}, []string{"service", "action", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "api_request_duration_seconds", Help: "How long requests to the management API took.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10},
		}, []string{"service"}),
	}
	r.MustRegister(m.requests, m.seconds)
	return m
}

// Observe counts a request.
func (m *APIRequests) Observe(service, action, code string, d time.Duration) {
	m.requests.WithLabelValues(service, action, code).Inc()
	m.seconds.WithLabelValues(service).Observe(d.Seconds())
}
