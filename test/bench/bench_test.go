//go:build linux

package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"forebay/test/program"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   []float64
		want float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 2, 100}, 3},
	} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestPairedRatios(t *testing.T) {
	t.Parallel()
	a := map[int]float64{1: 10, 2: 30, 3: 7}
	b := map[int]float64{1: 5, 2: 10, 4: 1, 3: 0}
	got := pairedRatios(a, b)
	if len(got) != 2 || median(got) != 2.5 {
		t.Errorf("pairedRatios(%v, %v) = %v, want 2 and 3: only rounds that have both", a, b, got)
	}
}

// The log-ins and the first second are not part of the pace.
func TestWatchProgress(t *testing.T) {
	t.Parallel()
	const out = `pgbench (15.1)
progress: 1.0 s, 100.0 tps, lat 0.650 ms stddev 0.3, 0 failed
progress: 2.0 s, 2000.0 tps, lat 0.650 ms stddev 0.3, 0 failed
pgbench: warning
`
	used := 10 * time.Second
	p, err := watchProgress(strings.NewReader(out), func() (time.Duration, error) {
		used += time.Second
		return used, nil
	})
	if err != nil || p.cpu != time.Second {
		t.Errorf("got %+v, %v; want a second of CPU time", p, err)
	}
	if want := "pgbench (15.1)\npgbench: warning\n"; p.other != want {
		t.Errorf("other lines %q, want %q", p.other, want)
	}
	boom := errors.New("boom")
	if _, err := watchProgress(strings.NewReader(out), func() (time.Duration, error) { return 0, boom }); !errors.Is(err, boom) {
		t.Errorf("err = %v, want %v", err, boom)
	}
}

// The log-ins are not part of what sysbench costs a proxy.
func TestWatchSysbench(t *testing.T) {
	t.Parallel()
	const out = `sysbench 1.0.20 (using system LuaJIT 2.1.0-beta3)
Initializing worker threads...

Threads started!

SQL statistics:
    queries performed:
        read:                            35294
    queries:                             40336  (20043.33 per sec.)
`
	used := 10 * time.Second
	text, cpu, err := watchSysbench(strings.NewReader(out), func() (time.Duration, error) {
		used += time.Second
		return used, nil
	})
	if err != nil || cpu != time.Second || text != out {
		t.Errorf("got %v, %v, %q; want a second of CPU time and the text", cpu, err, text)
	}
	n, err1 := find(queriesLine, text)
	qps, err2 := find(qpsLine, text)
	if n != 40336 || qps != 20043.33 || err1 != nil || err2 != nil {
		t.Errorf("got %v queries (%v), %v per second (%v)", n, err1, qps, err2)
	}
	boom := errors.New("boom")
	if _, _, err := watchSysbench(strings.NewReader(out), func() (time.Duration, error) { return 0, boom }); !errors.Is(err, boom) {
		t.Errorf("err = %v, want %v", err, boom)
	}
}

func TestPickEngines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		words []string
		want  []*engine
	}{
		{nil, engines},
		{[]string{"postgresql"}, []*engine{&postgresEngine}},
		{[]string{"mysql9", "postgresql"}, []*engine{&postgresEngine, &mysql9Engine}},
		{[]string{"mysql"}, []*engine{&mariadbEngine, &mysql9Engine}},
	} {
		if got, err := pickEngines(tt.words); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, %v; want %v", tt.words, got, err, tt.want)
		}
	}
	if _, err := pickEngines([]string{"mysql", "oracle"}); err == nil {
		t.Error("no error for an engine that does not exist")
	}
}

// A peer or a scenario that nobody prepares, or two of one name, would be found in the middle of a run only.
func TestEnginesAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range engines {
		for _, p := range slices.Concat(e.peers, e.rivals, e.optional) {
			if p != direct && prepare[p] == nil || !slices.Contains(e.peers, p) {
				t.Errorf("%s: peer %s cannot be started", e.name, p)
			}
		}
		for _, s := range e.scenarios() {
			if seen[s.name] {
				t.Errorf("two scenarios are called %s", s.name)
			}
			seen[s.name] = true
		}
	}
}

// What /proc and the kernel's clock say about ourselves.
func TestUsage(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if err := program.CheckListeners(os.Getpid(), port); err != nil {
		t.Error(err)
	}
	if err := program.CheckListeners(os.Getppid(), port); err == nil {
		t.Error("no error for a port on which another process listens")
	}
	if d, err := program.CPUTime(os.Getpid()); err != nil || d <= 0 {
		t.Errorf("cpuTime: %v, %v", d, err)
	}
	if kib, err := program.ResidentKiB(os.Getpid()); err != nil || kib < 100 {
		t.Errorf("residentKiB: %v, %v", kib, err)
	}
}

func TestFetchAcrossReads(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		defer server.Close()
		_, _ = server.Read(make([]byte, 1))
		_, _ = server.Write([]byte(strings.Repeat("x", bulkRows*bulkWidth)))
		_, _ = server.Write([]byte("Z\x00\x00"))
		_, _ = server.Write([]byte("\x00\x05"))
		_, _ = server.Write([]byte("I"))
	}()
	n, err := fetch(client, []byte("q"), make([]byte, 1<<20))
	if want := int64(bulkRows*bulkWidth + 6); n != want || err != nil {
		t.Errorf("fetch = %d, %v; want %d", n, err, want)
	}
}

func TestOptions(t *testing.T) {
	t.Setenv("BENCH_ROUNDS", "7")
	t.Setenv("ONLY", "simple-16, churn, mariadb-point-text-1")
	o, err := readOptions()
	if err != nil || o.rounds != 7 {
		t.Fatalf("rounds %d, %v; want 7", o.rounds, err)
	}
	for name, want := range map[string]bool{"simple-16": true, "simple-1": false, "churn-tls": true, "bulk": false, "mariadb-point-text-1": true, "mariadb-point-text-16": false} {
		if o.wants(name) != want {
			t.Errorf("wants(%s) = %t, want %t", name, !want, want)
		}
	}
	t.Setenv("BENCH_SECONDS", "1")
	t.Setenv("ENGINE", "mariadb")
	if o, err := readOptions(); err != nil || o.duration != time.Second {
		t.Errorf("ENGINE=mariadb SECONDS=1: %v, %v", o.duration, err)
	}
	t.Setenv("ENGINE", "")
	t.Setenv("BENCH_SECONDS", "2")
	if _, err := readOptions(); err == nil {
		t.Error("no error for SECONDS=2: pgbench's first second does not count")
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	r, err := newResults(filepath.Join(t.TempDir(), "raw.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for round := 1; round <= 3; round++ {
		for peer, v := range map[string]float64{haproxy: 0.02, pgbouncer: 0.03, forebay: 0.021} {
			if err := r.add(row{time.Unix(0, 0), round, "simple-100", peer, mTxCPU.name, v * float64(round), 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := &world{engine: &postgresEngine, peers: []*peer{{name: forebay}, {name: haproxy}, {name: pgbouncer}}}
	got := w.table([]scenario{{name: "simple-100", title: "S"}, {name: "bulk", title: "not measured"}}, r)
	want := "| S | CPU s for 1000 transactions | 0.0400 | 0.0600 | 0.0420 | 0.70 | 1.05 | ≤ 0.75 x PgBouncer, ≤ 1 x HAProxy | yes, **no** |\n"
	if _, last, _ := strings.Cut(got, "---: | --- | --- |\n"); last != want {
		t.Errorf("got  %q\nwant %q", last, want)
	}
}

// A target against a peer that the engine does not have would never be judged.
func TestTargetsAreAgainstPeers(t *testing.T) {
	t.Parallel()
	for _, e := range engines {
		for _, s := range e.scenarios() {
			for _, m := range allMetrics {
				for _, target := range e.targets(s.name, m) {
					if target.against != "" && !slices.Contains(e.rivals, target.against) {
						t.Errorf("%s: target %q, and %s is no rival", s.name, target.text(m), target.against)
					}
				}
			}
		}
	}
	for _, e := range []*engine{&mariadbEngine, &mysql9Engine} {
		for _, script := range []string{"point", "readonly"} {
			for _, clients := range []string{"1", "16", "100", "1000"} {
				name := e.name + "-" + script + "-prepared-" + clients
				if got := e.targets(name, mQPS); len(got) != len(e.rivals) {
					t.Errorf("%s: targets %v of throughput, of rivals %v", name, got, e.rivals)
				}
			}
		}
	}
}

func TestReplaceGenerated(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.md")
	begin, end := postgresEngine.beginMark(), postgresEngine.endMark()
	if err := program.ReplaceGenerated(path, postgresEngine.beginMark(), postgresEngine.endMark(), "new"); err == nil {
		t.Error("no error for a missing file")
	}
	if err := os.WriteFile(path, []byte("head\n"+begin+"old\n"+end+"tail\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := program.ReplaceGenerated(path, postgresEngine.beginMark(), postgresEngine.endMark(), "new"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := "head\n" + begin + "\nnew\n" + end + "tail\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
