//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"forebay/test/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o, err := readOptions()
	if err != nil {
		return err
	}
	if o.csv == "" {
		o.csv = filepath.Join(os.TempDir(), "forebay-bench-"+time.Now().Format("20060102-150405")+".csv")
	}
	r, err := newResults(o.csv)
	if err != nil {
		return err
	}
	defer r.close()
	measured := 0
	for _, e := range o.engines {
		n, err := runEngine(ctx, o, e, r)
		if errors.Is(err, errNoServer) && !o.named {
			fmt.Printf("%s is left out: %v\n", e.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		measured += n
	}
	if measured == 0 {
		return fmt.Errorf("nothing was measured: ENGINE, ONLY=%s or PEERS=%s leaves no scenario", strings.Join(o.only, ","), strings.Join(o.peers, ","))
	}
	fmt.Printf("raw rows: %s\n", o.csv)
	return nil
}

// runEngine measures one engine's scenarios and reports. It returns how many there were.
func runEngine(ctx context.Context, o options, e *engine, r *results) (int, error) {
	all := slices.DeleteFunc(e.scenarios(), func(s scenario) bool { return !o.wants(s.name) })
	if len(all) == 0 || !slices.ContainsFunc(e.peers, o.wantsPeer) {
		return 0, nil
	}
	w, err := newWorld(ctx, o, e)
	if err != nil {
		return 0, err
	}
	defer w.close()
	fmt.Print(w.describe())
	before, failed := len(r.rows), 0
	for round := range o.rounds {
		for _, s := range all {
			if s.once && round > 0 {
				continue
			}
			n, err := w.measure(ctx, r, s, round)
			if err != nil {
				return 0, err
			}
			failed += n
		}
	}
	low, high := loads(r.rows[before:])
	text := w.describe() + fmt.Sprintf("- %d rounds of %v; load average while measuring: %.1f to %.1f; failed measurements: %d\n\n",
		o.rounds, o.duration, low, high, failed) + w.table(all, r)
	fmt.Printf("\n%s\n", text)
	if o.markdown != "" {
		return len(all), program.ReplaceGenerated(o.markdown, e.beginMark(), e.endMark(), text)
	}
	return len(all), nil
}

// measure measures one scenario once with each peer, in an order that moves on with each round. A measurement that fails
// is told and counted, and its pair is missing from the ratios; only a broken world ends the run.
func (w *world) measure(ctx context.Context, r *results, s scenario, round int) (failed int, err error) {
	for i := range w.peers {
		p := w.peers[(i+round)%len(w.peers)]
		if !s.fits(p) {
			continue
		}
		if err := p.check(); err != nil {
			return failed, err
		}
		at, before := time.Now(), program.Load()
		profiled := w.profile(ctx, p, s, round)
		samples, err := s.run(ctx, w, p)
		profiled()
		if ctx.Err() != nil {
			return failed, ctx.Err()
		}
		fmt.Printf("round %d  %-30s %-10s load %5.1f ", round+1, s.name, p.name, before)
		if err != nil {
			failed++
			fmt.Printf(" FAILED: %v\n", err)
			continue
		}
		for _, m := range samples {
			fmt.Printf("  %s "+m.metric.format, m.metric.name, m.value)
			if err := r.add(row{at, round + 1, s.name, p.name, m.metric.name, m.value, before}); err != nil {
				return failed, err
			}
		}
		fmt.Println()
	}
	return failed, nil
}

// profile records a CPU profile of Forebay during a measurement, if asked to, and returns what waits for it. Figures taken
// meanwhile are a few per cent worse.
func (w *world) profile(ctx context.Context, p *peer, s scenario, round int) (wait func()) {
	if w.o.pprof == "" || p.name != forebay || round > 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		seconds := max(1, int(w.o.duration/time.Second)-1)
		if err := fetchProfile(ctx, p.admin, seconds, filepath.Join(w.o.pprof, s.name+".pprof")); err != nil {
			fmt.Println("  profile:", err)
		}
	}()
	return func() { <-done }
}

func fetchProfile(ctx context.Context, admin string, seconds int, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, seconds), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, resp.Body)
	return err
}
