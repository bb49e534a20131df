//go:build linux

package main

import (
	"strings"
	"testing"
	"time"

	"forebay/test/failover/workload"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	d := []time.Duration{5, 1, 4, 2, 3}
	for part, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(d, part); got != want {
			t.Errorf("quantile(%v) = %v, want %v", part, got, want)
		}
	}
	if quantile(nil, 0.5) != 0 {
		t.Error("a quantile of nothing")
	}
}

// A row that is missing is a target not met, and only Forebay has targets.
func TestTable(t *testing.T) {
	t.Parallel()
	all := []result{
		{peer: direct, rounds: make([][]time.Duration, 2), idleLost: 7},
		{
			peer: forebay, rounds: make([][]time.Duration, 2), stalls: []time.Duration{300 * time.Millisecond},
			truth:  workload.Truth{Acked: 9, Missing: []int64{4}},
			errors: map[string]int{"08006 lost": 3, "connect: refused": 1},
		},
	}
	got := table(all)
	for _, want := range []string{
		"| | direct | Forebay | target | met |",
		"first success: median | 0 ms | 300 ms | ≤ 1 s | yes |",
		"| idle connections lost, in all | 7 | 0 | 0 | yes |",
		"| acknowledged, and missing | 0 | 1 | 0 | **no** |",
		"| writes that failed, for each failover | 0.0 | 1.5 |",
		"- direct: nothing\n- Forebay: `08006 lost` 1.5; `connect: refused` 0.5\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestReadOptions(t *testing.T) {
	for name, value := range map[string]string{"FAILOVERS": "0", "CLIENTS": "390", "PEERS": "nginx", "ENGINE": "oracle"} {
		t.Setenv(name, value)
		if _, err := readOptions(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
		t.Setenv(name, "")
	}
	if o, err := readOptions(); err != nil || o.failovers != 20 || o.writers != 200 || len(o.peers) != 4 {
		t.Errorf("%+v, %v", o, err)
	}
}
