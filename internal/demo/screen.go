package demo

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"forebay/internal/localserver"
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

// row is one line of the comparison; the colours are those of its two values.
type row struct {
	name        string
	left, right string
	leftColour  string
	rightColour string
}

// compare prints both results side by side.
func (s *screen) compare(direct, through leg) {
	rows := []row{
		{"clients", thousands(direct.Clients), thousands(through.Clients), "", ""},
		{"succeeded", thousands(direct.Succeeded), thousands(through.Succeeded), verdict(direct), verdict(through)},
		{"failed", thousands(direct.Failed), thousands(through.Failed), verdict(direct), verdict(through)},
		{"clients connected at once", thousands(direct.Peak), thousands(through.Peak), "", ""},
		{"server connections, most", thousands(direct.serverConnections), thousands(through.serverConnections), "", bold},
		{"connect, p50 / p99", pair(direct.Connect), pair(through.Connect), "", ""},
		{"transaction, p50 / p99", pair(direct.Query), pair(through.Query), "", ""},
		{"the whole storm", span(direct.Elapsed), span(through.Elapsed), "", ""},
	}
	s.table("straight at PostgreSQL", "through Forebay", rows)
	s.reasons("straight at PostgreSQL", direct)
	s.reasons("through Forebay", through)
}

// verdict is the colour of a count of clients.
func verdict(l leg) string {
	if l.Failed > 0 {
		return red
	}
	return green
}

// lines are what a table is drawn with: corners and crossings by row, then the two strokes.
type lines struct{ top, middle, bottom, stroke, bar string }

var (
	asciiLines = lines{"+++", "+++", "+++", "-", "|"}
	boxLines   = lines{"┌┬┐", "├┼┤", "└┴┘", "─", "│"}
)

// table prints rows under a head. The first column is aligned to the left, the values to the right.
func (s *screen) table(left, right string, rows []row) {
	width := [3]int{0, utf8.RuneCountInString(left), utf8.RuneCountInString(right)}
	for _, r := range rows {
		for i, text := range []string{r.name, r.left, r.right} {
			width[i] = max(width[i], utf8.RuneCountInString(text))
		}
	}
	l := asciiLines
	if s.fancy {
		l = boxLines
	}
	var b strings.Builder
	rule := func(ends string) {
		joint := []rune(ends)
		stroke := func(i int) string { return strings.Repeat(l.stroke, width[i]+2) }
		fmt.Fprintf(&b, "  %c%s%c%s%c%s%c\n", joint[0], stroke(0), joint[1], stroke(1), joint[1], stroke(2), joint[2])
	}
	line := func(r row) {
		fmt.Fprintf(&b, "  %s %s %s %s %s %s %s\n",
			l.bar, s.pad(r.name, width[0], true, ""), l.bar, s.pad(r.left, width[1], false, r.leftColour),
			l.bar, s.pad(r.right, width[2], false, r.rightColour), l.bar)
	}
	b.WriteByte('\n')
	rule(l.top)
	line(row{"", left, right, bold, bold})
	rule(l.middle)
	for _, r := range rows {
		line(r)
	}
	rule(l.bottom)
	b.WriteByte('\n')
	io.WriteString(s.w, b.String())
}

// pad fills text up to n characters, which a colour does not count among.
func (s *screen) pad(text string, n int, left bool, colour string) string {
	fill := strings.Repeat(" ", max(n-utf8.RuneCountInString(text), 0))
	if left {
		return s.colour(colour, text) + fill
	}
	return fill + s.colour(colour, text)
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
func (s *screen) invite(fb *forebay, pg *localserver.Postgres, password string) {
	host, port, err := net.SplitHostPort(fb.addr)
	if err != nil {
		host, port = "127.0.0.1", fb.addr
	}
	psql := func(host, port, mode string) string {
		return s.colour(bold, fmt.Sprintf(`PGPASSWORD=%s psql "host=%s port=%s user=%s dbname=%s sslmode=%s"`,
			password, host, port, appUser, appDatabase, mode))
	}
	fmt.Fprintf(s.w, "  Both keep running. Through Forebay (TLS with a certificate of its own):\n\n    %s\n\n", psql(host, port, "require"))
	fmt.Fprintf(s.w, "  Straight at the database:\n\n    %s\n\n", psql(pg.Host(), strconv.Itoa(pg.Port()), "disable"))
	fmt.Fprintf(s.w, "  Metrics: http://%s/metrics\n\n  Ctrl-C stops both and removes everything.\n", fb.admin)
}

// thousands writes a number with a comma before each three digits.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func pair(l storm.Latency) string {
	if l.Max == 0 {
		return "-"
	}
	return span(l.P50) + " / " + span(l.P99)
}

// span writes a duration in ms or s.
func span(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
