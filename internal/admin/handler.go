package admin

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// handler routes requests. All are for GET and HEAD.
func handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { writeReadiness(w, o.Readiness()) })
	for path, show := range map[string]func() any{"/pools": o.Pools, "/pins": o.Pins, "/config": o.Config} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, show()) })
	}
	profiles(mux, o.Debug)
	return guard(o, mux)
}

// writeReadiness answers 503 with the reasons until every proxy is ready, and also while there is none.
func writeReadiness(w http.ResponseWriter, proxies []Readiness) {
	answer := struct {
		Ready   bool        `json:"ready"`
		Proxies []Readiness `json:"proxies"`
	}{Ready: len(proxies) > 0, Proxies: append([]Readiness{}, proxies...)}
	for _, p := range proxies {
		answer.Ready = answer.Ready && p.Ready
	}
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, answer)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "this cannot be shown as JSON: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that has gone needs no answer
}

// profiles serves the Go profiles while debug says so: they show more than an operator's neighbours should see.
func profiles(mux *http.ServeMux, debug func() bool) {
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/":        pprof.Index,
		"/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol":  pprof.Symbol,
		"/debug/pprof/trace":   pprof.Trace,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if !debug() {
				http.Error(w, "profiles are served at log level debug only", http.StatusNotFound)
				return
			}
			h(w, r)
		})
	}
}
