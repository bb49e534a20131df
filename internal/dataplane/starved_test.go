package dataplane_test

import (
	"testing"
	"time"
)

// A client that has sent half a message and stops does not borrow a server connection again and again.
func TestHalfAMessage(t *testing.T) {
	t.Parallel()
	w := newToyWorld(t, toyOptions{pool: 1})
	c := w.login("app toys 0")
	c.ask("who")
	borrows := func() (n uint64) {
		for _, k := range w.plane.Collect().Proxies[0].Target.Session.WaitNanos {
			n += k
		}
		return n
	}
	before := borrows()
	if _, err := c.Write([]byte("wh")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if n := borrows() - before; n > 2 {
		t.Errorf("borrowed %d times for half a message", n)
	}
	if n := c.ask("o"); n != "1" {
		t.Errorf("the message's rest: got %q", n)
	}
}
