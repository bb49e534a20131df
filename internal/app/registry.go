package app

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// reloadMetrics say whether the configuration in force is the one in the file.
type reloadMetrics struct {
	successful prometheus.Gauge
	time       prometheus.Gauge
}

// newRegistry makes the registry of all metrics, with those of the process itself.
func newRegistry(version string) (*prometheus.Registry, reloadMetrics) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "forebay_build_info", Help: "Always 1; the labels say which Forebay this is.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m := reloadMetrics{
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "forebay_config_last_reload_successful", Help: "1 if the last attempt to load the configuration succeeded, else 0.",
		}),
		time: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "forebay_config_last_reload_success_timestamp_seconds", Help: "When the configuration in force was loaded, in seconds since 1970.",
		}),
	}
	r := prometheus.NewRegistry()
	r.MustRegister(build, m.successful, m.time, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r, m
}

// done records an attempt to load the configuration.
func (m reloadMetrics) done(err error) {
	if err != nil {
		m.successful.Set(0)
		return
	}
	m.successful.Set(1)
	m.time.SetToCurrentTime()
}
