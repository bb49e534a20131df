package app

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"
)

// logQueue passes log lines on to a writer from a goroutine of its own, in order: event loops log, and must not wait for
// whoever reads the log. What does not fit is dropped, and a line says how much. It is safe for concurrent use.
type logQueue struct {
	to   io.Writer
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	more    sync.Cond
	pending []byte // guarded by mu
	dropped int    // guarded by mu; lines since the last one that fitted
	json    bool   // guarded by mu; the form of the lines
	closed  bool   // guarded by mu
}

const (
	maxLogPending = 1 << 20 // bytes
	// logLinger is how long the last lines may take to be written.
	logLinger = 2 * time.Second
)

func newLogQueue(to io.Writer) *logQueue {
	q := &logQueue{to: to, done: make(chan struct{})}
	q.more.L = &q.mu
	go q.run()
	return q
}

// Write takes one line. It never fails.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.json = len(line) > 0 && line[0] == '{'
	if q.closed || len(q.pending)+len(line) > maxLogPending {
		q.dropped++
		return len(line), nil
	}
	q.tellDroppedLocked()
	q.pending = append(q.pending, line...)
	q.more.Signal()
	return len(line), nil
}

// tellDroppedLocked says that lines are missing here.
func (q *logQueue) tellDroppedLocked() {
	if q.dropped == 0 {
		return
	}
	format := "text"
	if q.json {
		format = "json"
	}
	var b bytes.Buffer
	newLog(&b, format, slog.LevelWarn).Warn("log lines were dropped: whoever reads the log is too slow", "lines", q.dropped)
	q.pending = append(q.pending, b.Bytes()...)
	q.dropped = 0
}

func (q *logQueue) run() {
	defer close(q.done)
	var writing []byte
	for {
		q.mu.Lock()
		for len(q.pending) == 0 && !q.closed {
			q.more.Wait()
		}
		if len(q.pending) == 0 {
			q.tellDroppedLocked()
		}
		writing, q.pending = q.pending, writing[:0]
		q.mu.Unlock()
		if len(writing) == 0 {
			return
		}
		_, _ = q.to.Write(writing) // there is nobody to tell
	}
}

// close writes what is pending, but does not wait for ever.
func (q *logQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.more.Signal()
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(logLinger):
	}
}
