package dataplane

import (
	"time"

	"forebay/internal/evloop"
)

// arrivals are the clients of one loop that have connected and not logged in yet. Those that have said nothing hold a
// descriptor and nothing else: no coroutine, and no place among the connection phases under way, which silent clients
// could otherwise fill. Owned by loop.
type arrivals struct {
	loop    *evloop.Loop
	clients map[*newcomer]struct{}
}

// sweepArrivals is how often clients that have not logged in are looked at, while there are any.
const sweepArrivals = time.Second

// newArrivals begins to watch a loop that does not run yet.
func newArrivals(l *evloop.Loop) *arrivals {
	a := &arrivals{loop: l, clients: make(map[*newcomer]struct{})}
	l.Every(sweepArrivals, func() bool { return len(a.clients) > 0 }, func(time.Time) { a.sweep() })
	return a
}

// add has the time of a client's log-in begin.
func (a *arrivals) add(n *newcomer) {
	n.at = a.loop.Nanos()
	a.clients[n] = struct{}{}
}

// begin says that the client's connection phase begins: it will end in time, and then leave is due. It returns false where
// the client was turned away while it waited for that.
func (a *arrivals) begin(n *newcomer) bool {
	_, ok := a.clients[n]
	n.began = ok
	return ok
}

// leave forgets a client: it has logged in, or will not.
func (a *arrivals) leave(n *newcomer) { delete(a.clients, n) }

// sweep turns away the clients that have taken as long as a log-in may.
func (a *arrivals) sweep() {
	for n := range a.clients {
		if n.left() <= 0 {
			a.turnAway(n)
		}
	}
}

// turnAwayAll turns all of them away.
func (a *arrivals) turnAwayAll() {
	for n := range a.clients {
		a.turnAway(n)
	}
}

func (a *arrivals) turnAway(n *newcomer) {
	if n.began {
		// What the connection phase does next fails.
		_ = n.net.SetDeadline(time.Unix(1, 0))
		return
	}
	delete(a.clients, n)
	n.px.stats.failedOther.Add(1)
	n.gone()
	n.conn.Close()
}
