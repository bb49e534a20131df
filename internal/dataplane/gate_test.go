package dataplane

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

type entrantFunc func()

func (f entrantFunc) entered() { f() }

// No more than the size run at a time, those that wait go in their order, and close drops them.
func TestGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2)
		let := make(chan struct{})
		var running, most atomic.Int32
		order := make(chan int, 100)
		for i := range 10 {
			if !g.enter(entrantFunc(func() {
				most.Store(max(most.Load(), running.Add(1)))
				order <- i
				go func() {
					<-let
					running.Add(-1)
					g.leave()
				}()
			})) {
				t.Fatal("refused before close")
			}
		}
		synctest.Wait()
		if r, q := g.waiting(); r != 2 || q != 8 || g.idle() {
			t.Errorf("%d run and %d wait, want 2 and 8", r, q)
		}
		for range 5 {
			let <- struct{}{}
			synctest.Wait()
		}
		if r, q := g.waiting(); r != 2 || q != 3 || most.Load() != 2 {
			t.Errorf("%d run, %d wait, at most %d ran; want 2, 3, 2", r, q, most.Load())
		}
		closed := make(chan struct{})
		go func() { g.close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("close did not wait for what runs")
		default:
		}
		if g.enter(entrantFunc(func() { t.Error("ran after close") })) {
			t.Error("entered after close")
		}
		close(let)
		<-closed
		close(order)
		var got []int
		for i := range order {
			got = append(got, i)
		}
		if want := []int{0, 1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) || !g.idle() {
			t.Errorf("ran %v, idle %v; want %v", got, g.idle(), want)
		}
	})
}
