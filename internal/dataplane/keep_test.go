package dataplane_test

import (
	"fmt"
	"testing"
)

// A session keeps its server connection for its next request, while nobody else wants one.
func TestKeeps(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 1})
	figures := func() (borrowed, idle int) {
		f := w.plane.Collect().Proxies[0].Target.Pool
		return f.Borrowed, f.Idle
	}
	a, b := w.login("app toys 0 0 true"), w.login("app toys 0")
	a.ask("who")
	if borrowed, _ := figures(); borrowed != 1 {
		t.Errorf("%d server connections are lent, want the kept one", borrowed)
	}
	if n := b.ask("who"); n != "1" { // there is no other: it is given up
		t.Errorf("server connection %s", n)
	}
	if borrowed, idle := figures(); borrowed != 0 || idle != 1 {
		t.Errorf("%d lent, %d idle; want 0, 1: nobody keeps it", borrowed, idle)
	}
	a.ask("who")
	a.Close()
	w.eventually("the kept connection is given back", func() bool { _, idle := figures(); return idle == 1 })
}

// A server connection that is kept on another loop is given up as soon as somebody waits, not at some tick.
func TestKeepsOnAnotherLoop(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{loops: 3, pool: 2})
	clients := make([]*toyClient, 12)
	for i := range clients {
		clients[i] = w.login(fmt.Sprintf("app%d toys 0 0 true", i%4/3)) // every fourth is another user
	}
	for range 30 {
		for i, c := range clients {
			if i%4 != 3 {
				c.ask("who")
			}
		}
	}
	clients[3].ask("who")
}
