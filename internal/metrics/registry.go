package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Reloads say whether the configuration in force is the one in the file. It is safe for concurrent use.
type Reloads struct {
	successful prometheus.Gauge
	time       prometheus.Gauge
}

// NewRegistry makes the registry of all metrics, with those of the process itself. version is Forebay's.
func NewRegistry(version string) (*prometheus.Registry, *Reloads) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: prefix + "build_info", Help: "Always 1; the labels say which Forebay this is.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m := &Reloads{
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "config_last_reload_successful", Help: "1 if the last attempt to load the configuration succeeded, else 0.",
		}),
		time: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "config_last_reload_success_timestamp_seconds", Help: "When the configuration in force was loaded, in seconds since 1970.",
		}),
	}
	r := prometheus.NewRegistry()
	r.MustRegister(build, m.successful, m.time, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r, m
}

// Done records an attempt to load the configuration.
func (m *Reloads) Done(err error) {
	if err != nil {
		m.successful.Set(0)
		return
	}
	m.successful.Set(1)
	m.time.SetToCurrentTime()
}
