package dataplane

import (
	"net"
	"time"

	"forebay/internal/evloop"
)

// arrivals are the clients of one loop that have connected and not logged in yet. Those that have said nothing hold a
// descriptor and nothing else: no coroutine, and no place among the connection phases under way, which silent clients
// could otherwise fill. Owned by loop.
type arrivals struct {
	loop    *evloop.Loop
	clients map[*evloop.Conn]arrival
}

type arrival struct {
	px  *proxy
	at  int64    // by the loop's clock
	net net.Conn // of the connection phase; nil before it has begun
}

// sweepArrivals is how often clients that have not logged in are looked at, while there are any.
const sweepArrivals = time.Second

// newArrivals begins to watch a loop that does not run yet.
func newArrivals(l *evloop.Loop) *arrivals {
	a := &arrivals{loop: l, clients: make(map[*evloop.Conn]arrival)}
	l.Every(sweepArrivals, func() bool { return len(a.clients) > 0 }, func(time.Time) { a.sweep() })
	return a
}

// wait has f called on the loop when the client has sent something or hung up, unless it stays silent for too long.
func (a *arrivals) wait(px *proxy, c *evloop.Conn, f func()) {
	a.clients[c] = arrival{px: px, at: a.loop.Nanos()}
	c.WhenReadable(f)
}

// begin says that the client's connection phase begins: it will end in time, and then leave is due. It returns false where
// the client was turned away while it waited for that.
func (a *arrivals) begin(c *evloop.Conn, nc net.Conn) bool {
	e, ok := a.clients[c]
	if ok {
		e.net = nc
		a.clients[c] = e
	}
	return ok
}

// leave forgets a client: it has logged in, or will not.
func (a *arrivals) leave(c *evloop.Conn) { delete(a.clients, c) }

// sweep turns away the clients that have taken as long as a log-in may.
func (a *arrivals) sweep() {
	now := a.loop.Nanos()
	for c, e := range a.clients {
		if now-e.at >= int64(loginTimeout(e.px.cfg.Load())) {
			a.turnAway(c, e)
		}
	}
}

// turnAwayAll turns all of them away.
func (a *arrivals) turnAwayAll() {
	for c, e := range a.clients {
		a.turnAway(c, e)
	}
}

func (a *arrivals) turnAway(c *evloop.Conn, e arrival) {
	if e.net != nil {
		// What the connection phase does next fails.
		_ = e.net.SetDeadline(time.Unix(1, 0))
		return
	}
	delete(a.clients, c)
	e.px.stats.failedOther.Add(1)
	e.px.gone()
	c.Close()
}
