//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"forebay/test/failover/workload"
	"forebay/test/program"
)

// result is what one peer's clients have been through.
type result struct {
	peer, version string
	promotions    []time.Duration // from the kill to the promotion's end
	stalls        []time.Duration // from there to each client's first success, of all failovers
	rounds        [][]time.Duration
	unrecovered   int // clients, of all failovers, that had no success in recoverLimit
	idleLost      int // connections of idle clients that had ended
	idleErrors    int // idle clients whose statement failed, and whose connection lived on
	truth         workload.Truth
	errors        map[string]int
	loadLow       float64
	loadHigh      float64
}

// last says how the last failover went.
func (r *result) last(n, lost int) string {
	s := r.rounds[len(r.rounds)-1]
	return fmt.Sprintf("failover %2d  %-10s promoted after %6s; first success after %6s, p99 %6s, max %6s; %d idle clients lost; load %.1f",
		n, r.peer, ms(r.promotions[len(r.promotions)-1]), ms(quantile(s, 0.5)), ms(quantile(s, 0.99)), ms(quantile(s, 1)), lost, program.Load())
}

// quantile returns the value that this part of all is not above; 0 of none.
func quantile(d []time.Duration, part float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// describe says what is compared, and on what.
func describe(o options, s set, all []result) string {
	versions := []string{s.product()}
	low, high := 0.0, 0.0
	for i, r := range all {
		if r.version != "" {
			versions = append(versions, r.version)
		}
		if i == 0 || r.loadLow < low {
			low = r.loadLow
		}
		high = max(high, r.loadHigh)
	}
	return fmt.Sprintf("- %s; %d failovers each, %d clients that write and %d that are idle, pools of %d\n- %s; load average while measuring: %.1f to %.1f\n\n",
		strings.Join(versions, "; "), o.failovers, o.writers, o.idle, poolSize, program.Machine(), low, high)
}

// table is the report: a line for each figure, a column for each peer, then what clients were told.
func table(all []result) string {
	var b strings.Builder
	line := func(what string, of func(r *result) string, target string, met func(r *result) bool) {
		b.WriteString("| " + what + " |")
		verdict := ""
		for i := range all {
			b.WriteString(" " + of(&all[i]) + " |")
			if met != nil && all[i].peer == forebay {
				verdict = "**no**"
				if met(&all[i]) {
					verdict = "yes"
				}
			}
		}
		b.WriteString(" " + target + " | " + verdict + " |\n")
	}
	b.WriteString("| |")
	for _, r := range all {
		b.WriteString(" " + title(r.peer) + " |")
	}
	b.WriteString(" target | met |\n| --- |" + strings.Repeat(" ---: |", len(all)) + " --- | --- |\n")
	stall := func(part float64) func(r *result) string {
		return func(r *result) string { return ms(quantile(r.stalls, part)) }
	}
	count := func(of func(r *result) int) func(r *result) string {
		return func(r *result) string { return fmt.Sprint(of(r)) }
	}
	each := func(of func(r *result) int) func(r *result) string {
		return func(r *result) string { return fmt.Sprintf("%.1f", float64(of(r))/float64(max(1, len(r.rounds)))) }
	}
	none := func(of func(r *result) int) func(r *result) bool { return func(r *result) bool { return of(r) == 0 } }
	idle := func(r *result) int { return r.idleLost }
	missing := func(r *result) int { return len(r.truth.Missing) }
	doubled := func(r *result) int { return len(r.truth.Doubled) }
	line("promotion, from the kill: median", func(r *result) string { return ms(quantile(r.promotions, 0.5)) }, "", nil)
	line("from its end to a client's first success: median", stall(0.5), "≤ 1 s", func(r *result) bool { return quantile(r.stalls, 0.5) <= time.Second })
	line("p99", stall(0.99), "", nil)
	line("max", stall(1), "", nil)
	line("writes that failed, for each failover", each(func(r *result) int { return writesFailed(r.errors) }), "", nil)
	line("connections that writing clients lost, for each failover", each(func(r *result) int { return r.truth.Perished }), "", nil)
	line("attempts to connect that failed, for each failover", each(func(r *result) int { return connectsFailed(r.errors) }), "", nil)
	line("idle connections lost, in all", count(idle), "0", none(idle))
	line("idle clients whose next statement failed, in all", count(func(r *result) int { return r.idleErrors }), "", nil)
	line("rows acknowledged", count(func(r *result) int { return r.truth.Acked }), "", nil)
	line("acknowledged, and missing", count(missing), "0", none(missing))
	line("written twice", count(doubled), "0", none(doubled))
	b.WriteString("\nWhat clients were told, and how often for each failover:\n\n")
	for _, r := range all {
		var said []string
		for _, class := range slices.SortedFunc(maps.Keys(r.errors), func(x, y string) int { return r.errors[y] - r.errors[x] }) {
			said = append(said, fmt.Sprintf("`%s` %.1f", strings.ReplaceAll(class, "`", "'"), float64(r.errors[class])/float64(max(1, len(r.rounds)))))
		}
		if len(said) == 0 {
			said = []string{"nothing"}
		}
		fmt.Fprintf(&b, "- %s: %s\n", title(r.peer), strings.Join(said, "; "))
	}
	return b.String()
}

const connecting = "connect: "

func writesFailed(errs map[string]int) (n int) {
	for class, k := range errs {
		if !strings.HasPrefix(class, connecting) {
			n += k
		}
	}
	return n
}

func connectsFailed(errs map[string]int) (n int) {
	for class, k := range errs {
		if strings.HasPrefix(class, connecting) {
			n += k
		}
	}
	return n
}

// title is a peer's name for people.
func title(peer string) string {
	switch peer {
	case haproxy:
		return "HAProxy"
	case pgbouncer:
		return "PgBouncer"
	case forebay:
		return "Forebay"
	}
	return peer
}
