//go:build linux

package main

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// row is one figure, as it goes into the raw file.
type row struct {
	at       time.Time
	round    int
	scenario string
	peer     string
	metric   string
	value    float64
	load     float64 // of the machine when the measurement began
}

// results collects rows, and writes them at once: a run that is interrupted has been worth something.
type results struct {
	rows []row
	file *os.File
	csv  *csv.Writer
}

func newResults(path string) (*results, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	r := &results{file: f, csv: csv.NewWriter(f)}
	return r, r.csv.Write([]string{"time", "round", "scenario", "peer", "metric", "value", "load"})
}

func (r *results) add(w row) error {
	r.rows = append(r.rows, w)
	err := r.csv.Write([]string{
		w.at.UTC().Format(time.RFC3339), strconv.Itoa(w.round), w.scenario, w.peer, w.metric,
		strconv.FormatFloat(w.value, 'g', 6, 64), strconv.FormatFloat(w.load, 'f', 2, 64),
	})
	r.csv.Flush()
	return err
}

func (r *results) close() error { return r.file.Close() }

// of returns the values of one metric by round.
func (r *results) of(scenario, peer, metric string) map[int]float64 {
	m := make(map[int]float64)
	for _, w := range r.rows {
		if w.scenario == scenario && w.peer == peer && w.metric == metric {
			m[w.round] = w.value
		}
	}
	return m
}

// loads returns the lowest and the highest load that anything was measured under.
func loads(rows []row) (low, high float64) {
	for i, w := range rows {
		if i == 0 || w.load < low {
			low = w.load
		}
		high = max(high, w.load)
	}
	return low, high
}

// median returns 0 for no values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// pairedRatios divides a by b within each round that has both. A ratio to nothing is left out.
func pairedRatios(a, b map[int]float64) []float64 {
	var out []float64
	for round, v := range a {
		if w, ok := b[round]; ok && w != 0 {
			out = append(out, v/w)
		}
	}
	return out
}
