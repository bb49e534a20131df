package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
)

// stuckWriter takes nothing until it is let.
type stuckWriter struct {
	let chan struct{}
	got bytes.Buffer
}

func (w *stuckWriter) Write(b []byte) (int, error) {
	<-w.let
	return w.got.Write(b)
}

// Whoever logs does not wait for a reader that is stuck; the lines come in order, and what is missing is said.
func TestLogQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &stuckWriter{let: make(chan struct{})}
		q := newLogQueue(w)
		line := strings.Repeat("x", 99) + "\n"
		written, dropped := 0, 0
		for ; dropped < 5; written++ {
			if _, err := fmt.Fprint(q, line); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			q.mu.Lock()
			dropped = q.dropped
			q.mu.Unlock()
		}
		close(w.let)
		synctest.Wait()
		fmt.Fprintln(q, "the end")
		q.close()
		want := strings.Repeat(line, written-5)
		rest, ok := strings.CutPrefix(w.got.String(), want)
		if !ok || !strings.Contains(rest, "lines=5\nthe end\n") {
			t.Errorf("%d lines were written, of these %d dropped; the end is %q", written, dropped, w.got.String()[max(0, w.got.Len()-300):])
		}
		fmt.Fprintln(q, "late")
		if strings.Contains(w.got.String(), "late") {
			t.Error("written after close")
		}
	})
}

// A reader that is stuck for good does not keep the program from ending.
func TestLogQueueEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &stuckWriter{let: make(chan struct{})}
		q := newLogQueue(w)
		fmt.Fprintln(q, "a line")
		q.close()
		close(w.let)
	})
}

// What is said about missing lines has the form of the others.
func TestLogQueueJSON(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &stuckWriter{let: make(chan struct{})}
		q := newLogQueue(w)
		log := newLog(q, "json", slog.LevelInfo)
		log.Info("first")
		synctest.Wait()
		for range 3 {
			log.Info(strings.Repeat("x", maxLogPending/2))
		}
		close(w.let)
		synctest.Wait()
		log.Info("last")
		q.close()
		lines := strings.Split(strings.TrimSuffix(w.got.String(), "\n"), "\n")
		for _, line := range lines {
			if !json.Valid([]byte(line)) {
				t.Errorf("%.100s", line)
			}
		}
		if len(lines) != 4 || !strings.Contains(lines[2], `"lines":2}`) {
			t.Errorf("%d lines", len(lines))
		}
	})
}
