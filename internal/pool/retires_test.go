package pool_test

import (
	"testing"

	"forebay/internal/pool"
)

// TestRetires: a connection that says that it is out of date is not lent, and closed: an idle one within seconds, whatever it
// said when it became idle, a borrowed one when it is returned.
func TestRetires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, pool.Limits{MaxOpen: 5, MaxIdle: 5})
	s := w.shard(0, "u", pool.DefaultConfig)
	at := 1000 * sec
	limit := func(c *conn) { c.Retires = func(uint8) int64 { return at } }
	cls := w.fill(s, 4)
	for _, cl := range cls[:3] {
		limit(cl.conn)
	}
	idle, busy, lent, other := cls[0].conn, cls[1].conn, cls[2].conn, cls[3].conn
	w.giveBack(cls[0])
	w.pass(4 * sec)
	if idle.closed {
		t.Fatal("closed before its time")
	}
	at = w.now + 1
	w.pass(3 * sec)
	if !idle.closed || idle.why != pool.ReasonRetired {
		t.Errorf("an idle connection out of date: closed %t, %v", idle.closed, idle.why)
	}
	if busy.closed {
		t.Error("a borrowed one is closed")
	}
	w.giveBack(cls[1])
	if !busy.closed || busy.why != pool.ReasonRetired {
		t.Errorf("a returned connection out of date: closed %t, %v", busy.closed, busy.why)
	}
	at = w.now + 10*sec
	w.giveBack(cls[2])
	at = w.now // before the next Tick
	cl := newClient()
	w.borrow(s, cl, "")
	w.settle()
	if !lent.closed || cl.conn == nil || cl.conn == lent || other.closed {
		t.Errorf("a borrow: the one out of date is closed %t, what is lent is it: %t", lent.closed, cl.conn == lent)
	}
}
