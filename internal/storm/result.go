package storm

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// Result is what became of a storm.
type Result struct {
	Clients   int           // that arrived
	Succeeded int           // did all they came for
	Failed    int           // Clients = Succeeded + Failed
	Errors    []ErrorCount  // the most frequent first
	Connect   Latency       // dial to ready, of the clients that got that far
	Query     Latency       // the statement or transaction, of the clients whose succeeded
	Elapsed   time.Duration // from the first arrival to the last departure
	Peak      int           // clients logged in at the same moment, at most
}

// ErrorCount is one kind of failure.
type ErrorCount struct {
	Code  string `json:"code"` // the database's own, such as SQLSTATE 53300 or "1040 (08004)"; "" for others, as of the network
	Text  string `json:"text"` // of the first error of the kind
	Count int    `json:"count"`
}

// Latency sums up durations. All are 0 if there were none.
type Latency struct {
	P50, P99, Max time.Duration
}

// MarshalJSON writes milliseconds, which is what people compare.
func (l Latency) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		P50 float64 `json:"p50_ms"`
		P99 float64 `json:"p99_ms"`
		Max float64 `json:"max_ms"`
	}{milliseconds(l.P50), milliseconds(l.P99), milliseconds(l.Max)})
}

// MarshalJSON writes the names that --json promises.
func (r Result) MarshalJSON() ([]byte, error) {
	errs := r.Errors
	if errs == nil {
		errs = []ErrorCount{}
	}
	return json.Marshal(struct {
		Clients   int          `json:"clients"`
		Succeeded int          `json:"succeeded"`
		Failed    int          `json:"failed"`
		Peak      int          `json:"peak_connected"`
		Elapsed   float64      `json:"elapsed_ms"`
		Connect   Latency      `json:"connect"`
		Query     Latency      `json:"query"`
		Errors    []ErrorCount `json:"errors"`
	}{r.Clients, r.Succeeded, r.Failed, r.Peak, milliseconds(r.Elapsed), r.Connect, r.Query, errs})
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// summarize counts outcomes.
func summarize(proto Protocol, outcomes []outcome, elapsed time.Duration, peak int) *Result {
	r := &Result{Clients: len(outcomes), Elapsed: elapsed, Peak: peak}
	var connect, query []time.Duration
	kinds := map[string]*ErrorCount{}
	for _, out := range outcomes {
		if out.connect > 0 {
			connect = append(connect, out.connect)
		}
		if out.query > 0 {
			query = append(query, out.query)
		}
		if out.err == nil {
			r.Succeeded++
			continue
		}
		r.Failed++
		code, text := proto.Describe(out.err)
		key := code
		if key == "" {
			key = " " + text
		}
		if kinds[key] == nil {
			kinds[key] = &ErrorCount{Code: code, Text: text}
		}
		kinds[key].Count++
	}
	for _, k := range kinds {
		r.Errors = append(r.Errors, *k)
	}
	slices.SortFunc(r.Errors, func(a, b ErrorCount) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Code, b.Code), cmp.Compare(a.Text, b.Text))
	})
	r.Connect, r.Query = latencyOf(connect), latencyOf(query)
	return r
}

// latencyOf sorts d and reads the percentiles by the nearest-rank rule.
func latencyOf(d []time.Duration) Latency {
	if len(d) == 0 {
		return Latency{}
	}
	slices.Sort(d)
	rank := func(percent int) time.Duration { return d[(len(d)*percent+99)/100-1] }
	return Latency{P50: rank(50), P99: rank(99), Max: d[len(d)-1]}
}
