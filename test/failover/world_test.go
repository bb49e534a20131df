package failover_test

import (
	"context"
	"testing"
	"time"

	"forebay/test/failover/workload"
)

// patience is how long a test waits for what is to happen.
const patience = 60 * time.Second

// writing is clients that write, of a test.
type writing struct {
	*workload.Clients
	t *testing.T
}

func startWriting(t *testing.T, clients int, connect func(context.Context) (workload.Conn, error)) *writing {
	t.Helper()
	c, err := workload.Start(t.Context(), workload.Options{Clients: clients, Connect: connect, Limit: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return &writing{c, t}
}

// goesOn waits until another n rows have been acknowledged.
func (w *writing) goesOn(n int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.GoOn(ctx, n); err != nil {
		w.t.Fatal(err)
	}
}

// all wait until each client has written a row from now on.
func (w *writing) all() {
	w.t.Helper()
	w.Mark(time.Now())
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if _, err := w.Stalls(ctx); err != nil {
		w.t.Fatalf("%v; errors %v", err, w.Errors())
	}
}

// end stops the clients and holds the ledger against what they were told: nothing is missing, nothing is there twice, and
// no client has lost its connection.
func (w *writing) end(ledger workload.Conn) workload.Truth {
	w.t.Helper()
	truth, err := w.End(w.t.Context(), ledger)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("%d rows, errors %v", truth.Acked, truth.Errors)
	if len(truth.Missing)+len(truth.Doubled)+len(truth.Unknown) > 0 {
		w.t.Errorf("acknowledged and missing %v, written twice %v, never sent %v", truth.Missing, truth.Doubled, truth.Unknown)
	}
	if truth.Perished > 0 {
		w.t.Errorf("%d connections of clients have ended; errors %v", truth.Perished, truth.Errors)
	}
	return truth
}

// eventually waits until f says nothing is wrong any more.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
