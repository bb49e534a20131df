//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// table is the report: one line for each scenario and metric, as markdown.
func table(all []scenario, r *results) string {
	var b strings.Builder
	b.WriteString("| what | metric | direct | HAProxy | PgBouncer | Forebay | / PgBouncer | / HAProxy | target | met |\n")
	b.WriteString("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |\n")
	for _, s := range all {
		name := s.title
		for _, m := range allMetrics {
			values := make(map[string]map[int]float64)
			for _, p := range peerNames {
				if v := r.of(s.name, p, m.name); len(v) > 0 {
					values[p] = v
				}
			}
			if len(values) == 0 {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s |", name, m.label)
			name = "" // said once
			for _, p := range peerNames {
				b.WriteString(" " + figure(m.format, values[p]) + " |")
			}
			for _, p := range []string{pgbouncer, haproxy} {
				b.WriteString(" " + ratio(values[forebay], values[p]) + " |")
			}
			var texts, verdicts []string
			for _, t := range targetsOf(s.name, m) {
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

const (
	beginMark = "<!-- made by make bench: begin -->\n"
	endMark   = "<!-- made by make bench: end -->\n"
)

// replaceGenerated puts text between the marks of a markdown file.
func replaceGenerated(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(old, []byte(beginMark))
	_, tail, ok2 := bytes.Cut(rest, []byte(endMark))
	if !ok || !ok2 {
		return errors.New(path + ": the marks of the generated part are missing")
	}
	return os.WriteFile(path, slices.Concat(head, []byte(beginMark), []byte("\n"+text+"\n"), []byte(endMark), tail), 0o644)
}
