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

// sysbenchRun is one of sysbench's read-only scripts.
type sysbenchRun struct {
	script   string
	threads  int
	prepared bool
	tls      bool
}

func (r sysbenchRun) measure(ctx context.Context, w *world, p *peer) ([]sample, error) {
	mode := "disable"
	if r.prepared {
		mode = "auto"
	}
	args := []string{
		r.script, "--db-ps-mode=" + mode, "--threads=" + strconv.Itoa(r.threads),
		"--time=" + strconv.Itoa(int(w.o.duration/time.Second)),
	}
	if r.tls {
		args = append(args, "--mysql-ssl=on")
	}
	cmd := w.my.sysbenchCommand(ctx, p.portFor(r.tls), append(args, "run")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var errOut strings.Builder
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	text, used, err := watchSysbench(out, p.cpu)
	if e := cmd.Wait(); e != nil {
		return nil, fmt.Errorf("sysbench: %w: %s%s", e, errOut.String(), lastLines(text, 5))
	}
	if err != nil {
		return nil, err
	}
	n, err := find(queriesLine, text)
	if err != nil || n == 0 {
		return nil, errors.Join(err, errors.New("sysbench: no query"))
	}
	qps, err := find(qpsLine, text)
	if err != nil {
		return nil, err
	}
	s := []sample{{mQPS, qps}}
	if p.proc != nil {
		s = append(s, sample{mQueryCPU, used.Seconds() / n * 1000})
	}
	return s, nil
}

// What sysbench prints when it has logged in on all its threads and has prepared its statements, and when it has ended.
const (
	startedLine = "Threads started!"
	endedLine   = "SQL statistics:"
)

var (
	queriesLine = regexp.MustCompile(`(?m)^ *queries: +(\d+) `)
	qpsLine     = regexp.MustCompile(`(?m)^ *queries: +\d+ +\(([\d.]+) per sec\.\)`)
)

// watchSysbench reads what sysbench prints, and the CPU time that the proxy has used between the last log-in and the end.
func watchSysbench(r io.Reader, cpu func() (time.Duration, error)) (text string, used time.Duration, err error) {
	var b strings.Builder
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		b.WriteString(lines.Text() + "\n")
		switch lines.Text() {
		case startedLine:
			now, e := cpu()
			used, err = -now, errors.Join(err, e) // sysbench must not block on a full pipe: go on reading
		case endedLine:
			now, e := cpu()
			used, err = used+now, errors.Join(err, e)
		}
	}
	return b.String(), used, errors.Join(err, lines.Err())
}

// lastLines is the end of a program's output.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
