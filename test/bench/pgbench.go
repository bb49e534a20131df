//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// pgbenchRun is select-only pgbench.
type pgbenchRun struct {
	mode    string
	clients int
	tls     bool
}

func (r pgbenchRun) measure(ctx context.Context, w *world, p *peer) ([]sample, error) {
	cmd := w.pg.libpqCommand(ctx, w.pg.md5, p.port, r.tls, "-n", "-S", "-M", r.mode, "-P", "1",
		"-c", strconv.Itoa(r.clients), "-j", strconv.Itoa(min(r.clients, 2)), "-T", strconv.Itoa(int(w.o.duration/time.Second)))
	var out strings.Builder
	cmd.Stdout = &out
	progress, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pace, err := watchProgress(progress, p.cpu)
	if e := cmd.Wait(); e != nil {
		return nil, fmt.Errorf("pgbench: %w: %s%s", e, pace.other, out.String())
	}
	if err != nil {
		return nil, err
	}
	tps, err := find(tpsLine, out.String())
	if err != nil {
		return nil, err
	}
	if pace.transactions == 0 {
		return nil, fmt.Errorf("pgbench told no progress: %s", pace.other)
	}
	s := []sample{{mTPS, tps}}
	if p.proc != nil {
		s = append(s, sample{mTxCPU, pace.cpu.Seconds() / pace.transactions * 1000})
	}
	return s, nil
}

// pace is what happened between pgbench's first progress report and its last: log-ins and the warm-up are not in it.
type pace struct {
	transactions float64
	cpu          time.Duration
	other        string // lines that are not progress
}

var (
	progressLine = regexp.MustCompile(`^progress: [\d.]+ s, ([\d.]+) tps`)
	tpsLine      = regexp.MustCompile(`(?m)^tps = ([\d.]+)`)
	countLine    = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
)

// watchProgress looks at the proxy's CPU time each time that pgbench reports.
func watchProgress(r io.Reader, cpu func() (time.Duration, error)) (p pace, err error) {
	var first time.Duration
	var last time.Time
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		m := progressLine.FindStringSubmatch(lines.Text())
		if m == nil {
			p.other += lines.Text() + "\n"
			continue
		}
		now := time.Now()
		used, e := cpu()
		tps, e2 := strconv.ParseFloat(m[1], 64)
		if e = errors.Join(e, e2); e != nil {
			err = e
			continue // pgbench must not block on a full pipe
		}
		if last.IsZero() {
			first = used
		} else {
			p.transactions += tps * now.Sub(last).Seconds()
			p.cpu = used - first
		}
		last = now
	}
	return p, errors.Join(err, lines.Err())
}

func find(re *regexp.Regexp, s string) (float64, error) {
	m := re.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%v is missing in %s", re, s)
	}
	return strconv.ParseFloat(m[1], 64)
}

// reconnectRun is pgbench with a new connection for each transaction. libpq's own work for SCRAM is most of it, so the
// rate says little about a proxy; the CPU time says more.
type reconnectRun struct{ tls bool }

func (r reconnectRun) measure(ctx context.Context, w *world, p *peer) ([]sample, error) {
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	cmd := w.pg.libpqCommand(ctx, w.pg.scram, p.port, r.tls, "-n", "-S", "-C", "-c", "16", "-j", "2", "-T", strconv.Itoa(int(w.o.duration/time.Second)))
	b, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("pgbench -C: %w: %s", err, b)
	}
	after, err := p.cpu()
	if err != nil {
		return nil, err
	}
	tps, err := find(tpsLine, string(b))
	if err != nil {
		return nil, err
	}
	n, err := find(countLine, string(b))
	if err != nil || n == 0 {
		return nil, errors.Join(err, errors.New("pgbench -C: no transaction"))
	}
	s := []sample{{mConnects, tps}}
	if p.proc != nil {
		s = append(s, sample{mConnCPU, float64((after - before).Microseconds()) / 1000 / n})
	}
	return s, nil
}
