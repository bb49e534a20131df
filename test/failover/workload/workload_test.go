package workload

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fake takes one write in two, and ends with every tenth.
type fake struct {
	n      int
	closed bool
}

var errFake = errors.New("fake")

func (f *fake) Write(context.Context, int64) error {
	f.n++
	f.closed = f.n == 10
	if f.n%2 == 0 {
		return errFake
	}
	return nil
}
func (f *fake) IDs(context.Context) ([]int64, error) { return nil, nil }
func (f *fake) Ping(context.Context) error           { return nil }
func (f *fake) Closed() bool                         { return f.closed }
func (f *fake) Close()                               {}

func TestHold(t *testing.T) {
	t.Parallel()
	c := &Clients{acked: []int64{1, 2, 3}, failed: map[int64]bool{4: true, 5: true}, errs: map[string]int{"x": 2}}
	got := c.hold([]int64{1, 3, 3, 4, 9})
	want := Truth{Acked: 3, Missing: []int64{2}, Doubled: []int64{3}, Unknown: []int64{9}, Errors: map[string]int{"x": 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each client has one stall, and those that reconnect go on.
func TestClients(t *testing.T) {
	t.Parallel()
	var made atomic.Int64
	c, err := Start(t.Context(), Options{Clients: 3, Reconnect: true, Connect: func(context.Context) (Conn, error) {
		made.Add(1)
		return &fake{}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.Mark(time.Now())
	if got, err := c.Stalls(t.Context()); err != nil || len(got) != 3 {
		t.Errorf("%d stalls, %v; want 3", len(got), err)
	}
	if err := c.GoOn(t.Context(), 60); err != nil {
		t.Error(err)
	}
	release := c.Hold()
	release()
	if err := c.GoOn(t.Context(), 3); err != nil {
		t.Error(err)
	}
	truth, err := c.End(t.Context(), &fake{})
	if err != nil || truth.Perished < 3 || made.Load() < 6 || truth.Errors["fake"] == 0 || len(truth.Missing) != truth.Acked {
		t.Errorf("%d connections; %+v, %v", made.Load(), truth, err)
	}
}

// A client that does not reconnect ends with its connection.
func TestClientsPerish(t *testing.T) {
	t.Parallel()
	c, err := Start(t.Context(), Options{Clients: 1, Connect: func(context.Context) (Conn, error) { return &fake{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	c.running.Wait()
	if truth, err := c.End(t.Context(), &fake{}); err != nil || truth.Perished != 1 || truth.Acked != 5 {
		t.Errorf("%+v, %v", truth, err)
	}
}
