package metrics

import (
	"context"
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

// writableLimit is how long a scrape waits for the store.
const writableLimit = time.Second

// NewState registers whether the control plane's state takes changes: writable is asked at each scrape, and nil is yes.
func NewState(r prometheus.Registerer, writable func(context.Context) error) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: prefix + "state_writable", Help: "Whether the control plane's state takes changes (1), or etcd is full, has no leader or does not answer (0).",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), writableLimit)
		defer cancel()
		if writable(ctx) != nil {
			return 0
		}
		return 1
	}))
}
