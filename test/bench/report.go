//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// table is the report: one line for each scenario and metric, as markdown. It has a column for each peer that is there.
func (w *world) table(all []scenario, r *results) string {
	var peers, rivals []string
	for _, p := range w.engine.peers {
		if slices.ContainsFunc(w.peers, func(there *peer) bool { return there.name == p }) {
			peers = append(peers, p)
		}
	}
	for _, p := range w.engine.rivals {
		if slices.Contains(peers, p) {
			rivals = append(rivals, p)
		}
	}
	var b strings.Builder
	b.WriteString("| what | metric |")
	for _, p := range peers {
		b.WriteString(" " + title(p) + " |")
	}
	for _, p := range rivals {
		b.WriteString(" / " + title(p) + " |")
	}
	b.WriteString(" target | met |\n| --- | --- |" + strings.Repeat(" ---: |", len(peers)+len(rivals)) + " --- | --- |\n")
	for _, s := range all {
		name := s.title
		for _, m := range allMetrics {
			values := make(map[string]map[int]float64)
			for _, p := range peers {
				if v := r.of(s.name, p, m.name); len(v) > 0 {
					values[p] = v
				}
			}
			if len(values) == 0 {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s |", name, m.label)
			name = "" // said once
			for _, p := range peers {
				b.WriteString(" " + figure(m.format, values[p]) + " |")
			}
			for _, p := range rivals {
				b.WriteString(" " + ratio(values[forebay], values[p]) + " |")
			}
			var texts, verdicts []string
			for _, t := range w.engine.targets(s.name, m) {
				texts = append(texts, t.text(m))
				verdicts = append(verdicts, verdict(t, m, values))
			}
			fmt.Fprintf(&b, " %s | %s |\n", strings.Join(texts, ", "), strings.Join(verdicts, ", "))
		}
	}
	return b.String()
}

func figure(format string, v map[int]float64) string {
	if len(v) == 0 {
		return "-"
	}
	return fmt.Sprintf(format, median(slices.Collect(maps.Values(v))))
}

func ratio(a, b map[int]float64) string {
	r := pairedRatios(a, b)
	if len(r) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", median(r))
}

func verdict(t target, m metric, values map[string]map[int]float64) string {
	v := slices.Collect(maps.Values(values[forebay]))
	if t.against != "" {
		v = pairedRatios(values[forebay], values[t.against])
	}
	switch {
	case len(v) == 0:
		return "-"
	case t.met(m, median(v)):
		return "yes"
	}
	return "**no**"
}
