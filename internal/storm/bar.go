package storm

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// RunWithBar is Run with a progress bar on w while it lasts, if w is a terminal.
func RunWithBar(ctx context.Context, w io.Writer, proto Protocol, o Options) (*Result, error) {
	var p Progress
	stop := make(chan struct{})
	var wg sync.WaitGroup
	if width := terminalWidth(w); width > 0 {
		wg.Go(func() { drawBar(w, width, &p, o.Clients, stop) })
	}
	r, err := Run(ctx, proto, o, &p)
	close(stop)
	wg.Wait()
	return r, err
}

// terminalWidth returns the columns of a terminal, 0 if w is none.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// drawBar redraws the bar ten times a second and wipes it at the end.
func drawBar(w io.Writer, width int, p *Progress, clients int, stop <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintf(w, "\r\x1b[K%s", barLine(width, p, clients))
		case <-stop:
			fmt.Fprint(w, "\r\x1b[K")
			return
		}
	}
}

// barLine is one state of the bar, at most width-1 columns.
func barLine(width int, p *Progress, clients int) string {
	done := p.Succeeded.Load() + p.Failed.Load()
	text := fmt.Sprintf(" %d/%d, %d connected, %d failed", done, clients, p.Connected.Load(), p.Failed.Load())
	room := min(width-1-len(text)-2, 40)
	if room < 5 {
		return text[:min(len(text), max(width-1, 0))]
	}
	full := int(done) * room / max(clients, 1)
	full = min(full, room)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", room-full) + "]" + text
}
