package demo

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"

	"forebay/internal/storm"
)

// screen prints for people. On a terminal it uses colours and lines; elsewhere plain ASCII.
type screen struct {
	w     io.Writer
	fancy bool
	begin time.Time
}

func newScreen(w io.Writer) *screen {
	f, ok := w.(*os.File)
	fancy := ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return &screen{w: w, fancy: fancy, begin: time.Now()}
}

// The colours of a terminal (ECMA-48, SGR).
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func (s *screen) colour(code, text string) string {
	if !s.fancy || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// step says what happens now, with the seconds since the start.
func (s *screen) step(format string, args ...any) {
	at := fmt.Sprintf("%6.1f s", time.Since(s.begin).Seconds())
	fmt.Fprintf(s.w, "%s  %s\n", s.colour(dim, at), fmt.Sprintf(format, args...))
}

// command prints a command line, or what came of one.
func (s *screen) command(prompt, text string) {
	colour := dim
	if prompt == "$ " {
		colour = bold
	}
	fmt.Fprintf(s.w, "          %s%s\n", prompt, s.colour(colour, text))
}

// compare prints all results side by side: for each database straight at it, then through Forebay.
func (s *screen) compare(results []comparison) {
	var names []string
	var legs []leg
	for _, c := range results {
		names = append(names, c.name)
		legs = append(legs, c.direct, c.through)
	}
	var rows []row
	add := func(name string, value func(l leg) string, colour func(l leg, through bool) string) {
		r := row{name: name}
		for i, l := range legs {
			r.cells = append(r.cells, cell{value(l), colour(l, i%2 == 1)})
		}
		rows = append(rows, r)
	}
	plain := func(leg, bool) string { return "" }
	count := func(of func(l leg) int) func(leg) string { return func(l leg) string { return thousands(of(l)) } }
	add("clients", count(func(l leg) int { return l.Clients }), plain)
	add("succeeded", count(func(l leg) int { return l.Succeeded }), verdict)
	add("failed", count(func(l leg) int { return l.Failed }), verdict)
	add("clients connected at once", count(func(l leg) int { return l.Peak }), plain)
	add("server connections, most", count(func(l leg) int { return l.serverConnections }), highlight)
	add("connect, p50", func(l leg) string { return latency(l.Connect, l.Connect.P50) }, plain)
	add("connect, p99", func(l leg) string { return latency(l.Connect, l.Connect.P99) }, plain)
	add("transaction, p50", func(l leg) string { return latency(l.Query, l.Query.P50) }, plain)
	add("transaction, p99", func(l leg) string { return latency(l.Query, l.Query.P99) }, plain)
	add("the whole storm", func(l leg) string { return span(l.Elapsed) }, plain)
	s.table(names, []string{"straight", "Forebay"}, rows)
	for _, c := range results {
		s.reasons("straight at "+c.name, c.direct)
		s.reasons("through Forebay at "+c.name, c.through)
	}
}

// verdict is the colour of a count of clients.
func verdict(l leg, _ bool) string {
	if l.Failed > 0 {
		return red
	}
	return green
}

// highlight is for what to look at: Forebay's columns.
func highlight(_ leg, through bool) string {
	if through {
		return bold
	}
	return ""
}

// reasons lists why clients failed.
func (s *screen) reasons(name string, l leg) {
	if len(l.Errors) == 0 {
		return
	}
	fmt.Fprintf(s.w, "  Why clients failed %s:\n", name)
	for _, e := range l.Errors {
		fmt.Fprintf(s.w, "  %7s x %s\n", thousands(e.Count), e)
	}
	fmt.Fprintln(s.w)
}

// invite prints what to paste.
func (s *screen) invite(fb *forebay, all []*backend) {
	fmt.Fprint(s.w, "  All keep running. Through Forebay (TLS with a certificate of its own):\n\n")
	for i, b := range all {
		host, port, err := net.SplitHostPort(fb.addrs[i])
		if err != nil {
			host, port = "127.0.0.1", fb.addrs[i]
		}
		fmt.Fprintf(s.w, "    %s\n", s.colour(bold, b.shell(host, port, true)))
	}
	fmt.Fprint(s.w, "\n  Straight at the databases:\n\n")
	for _, b := range all {
		fmt.Fprintf(s.w, "    %s\n", s.colour(bold, b.shell(b.Host(), strconv.Itoa(b.Port()), false)))
	}
	fmt.Fprintf(s.w, "\n  Metrics: http://%s/metrics\n\n  Ctrl-C stops all and removes everything.\n", fb.admin)
}

// thousands writes a number with a comma before each three digits.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// latency writes one figure of l, unless there was nothing to measure.
func latency(l storm.Latency, d time.Duration) string {
	if l.Max == 0 {
		return "-"
	}
	return span(d)
}

// span writes a duration in ms or s.
func span(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
